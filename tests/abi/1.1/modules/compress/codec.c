/* codec.c - zstd, brotli and zlib, each where configure has found it.
 *
 * Windows are small, 128 KiB at most and less where the body is known to be: a page gains nothing from more, and an answer
 * to a slow client holds its window for as long as it takes. */
#include "codec.h"

#include <stdlib.h>

#ifdef COMPRESS_ZSTD
#include <zstd.h>
#endif
#ifdef COMPRESS_BROTLI
#include <brotli/encode.h>
#endif
#ifdef COMPRESS_ZLIB
#include <zlib.h>
#endif

enum {
    ROOM = 16384,
    WINDOW_MOST = 17, /* bits */
    WINDOW_LEAST = 10
};

/* What a library does for us: one row for each. */
struct coding {
    const char *name;
    size_t (*need)(int level, int window);
    int (*open)(struct codec *c, int level, int window, int64_t len);
    int (*put)(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg);
    void (*close)(struct codec *c);
};

struct codec {
    const struct coding *coding;
#ifdef COMPRESS_ZSTD
    ZSTD_CCtx *zstd;
#endif
#ifdef COMPRESS_BROTLI
    BrotliEncoderState *brotli;
#endif
#ifdef COMPRESS_ZLIB
    z_stream zlib;
#endif
};

/* A process has one thread that compresses, and the sink copies. */
static char room[ROOM];

static int window_for(int64_t len)
{
    int bits = WINDOW_LEAST;
    while (bits < WINDOW_MOST && (len < 0 || len > (int64_t)1 << bits))
        bits++;
    return bits;
}

static int give(codec_sink *sink, void *arg, size_t n)
{
    return n ? sink(arg, (cs_str){room, n}) : CS_OK;
}

/* ---- zstd ---- */

#ifdef COMPRESS_ZSTD
enum {
    ZSTD_TABLE = 16 /* most bits of its two tables, of four bytes each */
};

/* Its buffers and tables, and what it writes a block with. The test of the module holds it to that. */
static size_t zstd_need(int level, int window)
{
    const size_t w = (size_t)1 << window;
    const size_t table = (size_t)4 << (window < ZSTD_TABLE ? window : ZSTD_TABLE);
    (void)level;
    return 4 * w + 3 * table + 262144;
}

static int zstd_open(struct codec *c, int level, int window, int64_t len)
{
    const int table = window < ZSTD_TABLE ? window : ZSTD_TABLE;
    c->zstd = ZSTD_createCCtx();
    if (!c->zstd)
        return CS_NOMEM;
    size_t rc = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, window);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_hashLog, table);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_chainLog, table);
    if (!ZSTD_isError(rc) && len >= 0)
        rc = ZSTD_CCtx_setPledgedSrcSize(c->zstd, (unsigned long long)len);
    return ZSTD_isError(rc) ? CS_ERROR : CS_OK;
}

static int zstd_put(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg)
{
    const ZSTD_EndDirective op = how == CODEC_MORE    ? ZSTD_e_continue
                                 : how == CODEC_FLUSH ? ZSTD_e_flush
                                                      : ZSTD_e_end;
    ZSTD_inBuffer in = {data.p, data.n, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {room, ROOM, 0};
        left = ZSTD_compressStream2(c->zstd, &out, &in, op);
        if (ZSTD_isError(left))
            return CS_ERROR;
        const int rc = give(sink, arg, out.pos);
        if (rc < 0)
            return rc;
    } while (in.pos < in.size || (op != ZSTD_e_continue && left));
    return CS_OK;
}

static void zstd_close(struct codec *c)
{
    ZSTD_freeCCtx(c->zstd);
}
#endif

/* ---- brotli ---- */

#ifdef COMPRESS_BROTLI
enum {
    BROTLI_HINT = (1 << 20) - 1 /* above that it takes larger tables */
};

/* The ring buffer, the tables of its level, and what a block of commands takes. The test of the module holds it to that. */
static size_t brotli_need(int level, int window)
{
    const size_t w = (size_t)1 << window;
    const size_t tables = level < 5 ? 786432 : level < 6 ? 1572864 : 2621440;
    return 16 * w + tables + 131072;
}

static int brotli_open(struct codec *c, int level, int window, int64_t len)
{
    c->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    if (!c->brotli)
        return CS_NOMEM;
    const uint32_t hint = len < 0 ? 0 : len > BROTLI_HINT ? BROTLI_HINT : (uint32_t)len;
    const int good = BrotliEncoderSetParameter(c->brotli, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
                     BrotliEncoderSetParameter(c->brotli, BROTLI_PARAM_LGWIN, (uint32_t)window) &&
                     BrotliEncoderSetParameter(c->brotli, BROTLI_PARAM_SIZE_HINT, hint);
    return good ? CS_OK : CS_ERROR;
}

static int brotli_put(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg)
{
    const BrotliEncoderOperation op = how == CODEC_MORE    ? BROTLI_OPERATION_PROCESS
                                      : how == CODEC_FLUSH ? BROTLI_OPERATION_FLUSH
                                                           : BROTLI_OPERATION_FINISH;
    const uint8_t *in = (const uint8_t *)data.p;
    size_t n = data.n;
    do {
        uint8_t *out = (uint8_t *)room;
        size_t space = ROOM;
        if (!BrotliEncoderCompressStream(c->brotli, op, &n, &in, &space, &out, NULL))
            return CS_ERROR;
        const int rc = give(sink, arg, ROOM - space);
        if (rc < 0)
            return rc;
    } while (n || BrotliEncoderHasMoreOutput(c->brotli));
    return CS_OK;
}

static void brotli_close(struct codec *c)
{
    BrotliEncoderDestroyInstance(c->brotli);
}
#endif

/* ---- gzip ---- */

#ifdef COMPRESS_ZLIB
enum {
    GZIP_HEAD = 16, /* added to the window's bits: a gzip head and tail in place of zlib's */
    GZIP_WINDOW = 15,
    GZIP_MEMORY = 8
};

static size_t zlib_need(int level, int window)
{
    (void)level;
    window = window < GZIP_WINDOW ? window : GZIP_WINDOW;
    return ((size_t)1 << (window + 2)) + ((size_t)1 << (GZIP_MEMORY + 9)) + 16384;
}

static int zlib_open(struct codec *c, int level, int window, int64_t len)
{
    (void)len;
    window = window < GZIP_WINDOW ? window : GZIP_WINDOW;
    const int rc = deflateInit2(&c->zlib, level, Z_DEFLATED, window + GZIP_HEAD, GZIP_MEMORY,
                                Z_DEFAULT_STRATEGY);
    return rc == Z_OK ? CS_OK : rc == Z_MEM_ERROR ? CS_NOMEM : CS_ERROR;
}

static int zlib_put(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg)
{
    static const int ops[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *z = &c->zlib;
    do {
        const size_t part = data.n < UINT32_MAX ? data.n : UINT32_MAX;
        z->next_in = (Bytef *)(uintptr_t)data.p;
        z->avail_in = (uInt)part;
        do {
            z->next_out = (Bytef *)room;
            z->avail_out = ROOM;
            const int got = deflate(z, part < data.n ? Z_NO_FLUSH : ops[how]);
            if (got != Z_OK && got != Z_BUF_ERROR && got != Z_STREAM_END)
                return CS_ERROR;
            const int rc = give(sink, arg, ROOM - z->avail_out);
            if (rc < 0)
                return rc;
        } while (!z->avail_out);
        data = (cs_str){data.p + part, data.n - part};
    } while (data.n);
    return CS_OK;
}

static void zlib_close(struct codec *c)
{
    deflateEnd(&c->zlib);
}
#endif

/* ---- All of them ---- */

static const struct coding codings[CODEC_COUNT] = {
#ifdef COMPRESS_ZSTD
    [CODEC_ZSTD] = {"zstd", zstd_need, zstd_open, zstd_put, zstd_close},
#else
    [CODEC_ZSTD] = {.name = "zstd"},
#endif
#ifdef COMPRESS_BROTLI
    [CODEC_BR] = {"br", brotli_need, brotli_open, brotli_put, brotli_close},
#else
    [CODEC_BR] = {.name = "br"},
#endif
#ifdef COMPRESS_ZLIB
    [CODEC_GZIP] = {"gzip", zlib_need, zlib_open, zlib_put, zlib_close},
#else
    [CODEC_GZIP] = {.name = "gzip"},
#endif
};

const char *codec_name(int coding)
{
    return codings[coding].name;
}

_Bool codec_is_there(int coding)
{
    return codings[coding].open != NULL;
}

size_t codec_need(int coding, int level, int64_t len)
{
    return codings[coding].need(level, window_for(len)) + sizeof(struct codec);
}

struct codec *codec_new(int coding, int level, int64_t len)
{
    struct codec *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->coding = &codings[coding];
    if (c->coding->open(c, level, window_for(len), len) == CS_OK)
        return c;
    codec_free(c);
    return NULL;
}

int codec_put(struct codec *c, cs_str data, int how, codec_sink *sink, void *arg)
{
    return c->coding->put(c, data, how, sink, arg);
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    c->coding->close(c);
    free(c);
}
