/* codec.h - the three codings behind one face: bytes go in, pieces of the coded body come out. What each may take of memory is
 * known before it is made. */
#ifndef COMPRESS_CODEC_H
#define COMPRESS_CODEC_H

#include <cserver/cserver.h>

enum {
    CODEC_ZSTD,
    CODEC_BR,
    CODEC_GZIP,
    CODEC_COUNT
};

enum {
    CODEC_MORE,  /* it may hold back what it likes */
    CODEC_FLUSH, /* all that has gone in can be decoded from what has come out */
    CODEC_END
};

struct codec;

/* Takes a piece that has come out: CS_OK, or a negative result, which codec_put returns. */
typedef int codec_sink(void *arg, cs_str out);

/* Its name in Content-Encoding. */
const char *codec_name(int coding);
/* Has it been built in? */
_Bool codec_is_there(int coding);
/* Bytes that one of it takes at most, for a body of `len` bytes (-1: not known). */
size_t codec_need(int coding, int level, int64_t len);
/* NULL: no memory. */
struct codec *codec_new(int coding, int level, int64_t len);
/* One piece through it. CS_OK, what the sink has said, or CS_ERROR: the library has failed. */
int codec_put(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg);
void codec_free(struct codec *c);

#endif
