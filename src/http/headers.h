/* headers.h - the fields the server itself looks at, by number, so that nobody compares names
 * twice. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "base/str.h"

enum http_field {
    HTTP_FIELD_OTHER,
    HTTP_FIELD_HOST,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_CONTENT_LENGTH,
    HTTP_FIELD_TRANSFER_ENCODING,
    HTTP_FIELD_EXPECT,
    HTTP_FIELD_IF_MATCH,
    HTTP_FIELD_IF_NONE_MATCH,
    HTTP_FIELD_IF_MODIFIED_SINCE,
    HTTP_FIELD_IF_UNMODIFIED_SINCE,
    HTTP_FIELD_IF_RANGE,
    HTTP_FIELD_RANGE,
    HTTP_FIELD_REFERER,
    HTTP_FIELD_USER_AGENT,
    HTTP_FIELD_COUNT
};

struct http_header {
    cs_str name;  /* as sent */
    cs_str value; /* without blanks around it */
    enum http_field field;
};

/* First of the n fields with that name, any case; NULL if there is none. */
const struct http_header *http_header_find(const struct http_header *v, size_t n, cs_str name);

/* The number of a field name, any case; HTTP_FIELD_OTHER if it is not one of the above. Cheap: one
 * switch on the length, one compare. */
enum http_field http_field_of(cs_str name);

#endif
