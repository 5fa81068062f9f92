/* json.h - writes JSON onto a buf; commas are its business. Bytes that are not UTF-8 become U+FFFD.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

struct json {
    struct buf *out;
    bool need_comma;
};

void json_init(struct json *j, struct buf *out);
/* Each value takes its key inside an object, NULL inside an array or at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_str(struct json *j, const char *key, cs_str value);
void json_z(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* Only the escaping, without the quotes. */
void json_escape(struct buf *out, cs_str value);
/* Takes one character off *rest (not empty), writes it escaped to out; returns the length of that.
 */
#define JSON_STEP_MAX 6
size_t json_escape_step(cs_str *rest, char out[JSON_STEP_MAX]);

/* Finds "key" in one flat JSON object and gives its raw value: a string without quotes (escapes
 * left as they are), or a number, true, false, null, or a nested object or array as text. For the
 * command line, which reads the master's replies. */
bool json_find(cs_str object, const char *key, cs_str *value);
/* Adds what the inside of a string (as json_find gives it) stands for. False (*out is then as before) where an escape is
 * wrong; half a surrogate pair is. */
bool json_unescape(struct buf *out, cs_str inside);

#endif
