/* token.h - character classes and list syntax of HTTP fields (RFC 9110 section 5.6). */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include "base/str.h"

/* What a byte may be part of; bits of http_class[byte]. */
enum {
    HTTP_CLASS_TCHAR = 1,  /* token: method, field name */
    HTTP_CLASS_VALUE = 2,  /* field value: VCHAR, obs-text, SP, HTAB */
    HTTP_CLASS_TARGET = 4, /* request target: VCHAR without "#" */
    HTTP_CLASS_PATH = 8,   /* stands for itself in a normalised path: SP and VCHAR without "%" */
    HTTP_CLASS_HOST = 16,  /* reg-name without "%": unreserved, sub-delims */
    HTTP_CLASS_HEX = 32,
    HTTP_CLASS_UNRESERVED = 64
};
extern const unsigned char http_class[256];

static inline bool http_is(unsigned char c, unsigned char classes)
{
    return (http_class[c] & classes) != 0;
}

static inline bool http_is_tchar(unsigned char c)
{
    return http_is(c, HTTP_CLASS_TCHAR);
}

/* 0..15, or -1. */
int http_hex_value(unsigned char c);
/* One or more tchar. */
bool http_is_token(cs_str s);
/* Bytes allowed in a field value: VCHAR, obs-text, SP, HTAB. */
bool http_is_field_value(cs_str s);
/* Next element of a comma list, trimmed, empty ones skipped, quoted strings respected; false at the
 * end. */
bool http_list_next(cs_str *rest, cs_str *element);
/* The same for lists of tokens, in which a quote is no quote: Connection. */
bool http_tokens_next(cs_str *rest, cs_str *element);
/* Is `token` (any case) an element of the list? */
bool http_list_has(cs_str list, const char *token);

#endif
