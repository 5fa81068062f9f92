/* method.h - request methods (RFC 9110 section 9). */
#ifndef HTTP_METHOD_H
#define HTTP_METHOD_H

#include "base/str.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_CONNECT,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PATCH,
    HTTP_OTHER /* any other token */
};

/* The method of a token; case matters (RFC 9110 section 9.1). */
enum http_method http_method_of(cs_str token);

#endif
