/* line.h - one physical line of a settings file: what it is, and what is wrong with it. Bytes in,
 * facts out: no files, no sections, no memory of the line before. */
#ifndef CONF_LINE_H
#define CONF_LINE_H

#include "base/buf.h"

#define LINE_KEY_MAX   48 /* libinih keeps names of up to 49 bytes */
#define LINE_KIND_MAX  32
#define LINE_LABEL_MAX 39 /* libinih keeps section names of up to 49 bytes, "listen:" included */

enum line_kind {
    LINE_BLANK,   /* nothing, or a comment */
    LINE_SECTION, /* [name] or [name:label] */
    LINE_KEY,     /* name = value */
    LINE_MORE,    /* indented: the value above goes on */
    LINE_BAD
};

struct line {
    enum line_kind kind;
    cs_str name, label; /* of a bad line: the key, where it is known */
    bool labelled;
    cs_str value; /* without comment and outer quotes; escapes are still in it */
    bool quoted;
    int col, value_col; /* 1.., of the name, of the value's first byte (inside its quotes) */
    int bad_col, bad_width;
    int hash_col; /* > 0: the value has " #", which somebody may take for a comment */
};

/* Reads `text`, which has no line end. The strings of *out point into it. LINE_BAD leaves a
 * sentence in *error. */
void line_read(cs_str text, struct line *out, struct buf *error);

/* A value that does not come from a line (-g, text): the same rules, but nothing is a comment. */
void line_read_value(cs_str text, struct line *out, struct buf *error);

/* Is `s` 1..max bytes of [A-Za-z0-9_.-]? */
bool line_is_name(cs_str s, size_t max);

#endif
