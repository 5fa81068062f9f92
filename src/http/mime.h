/* mime.h - media types by file extension; a built-in table good for today's web. */
#ifndef HTTP_MIME_H
#define HTTP_MIME_H

#include "base/str.h"

/* By the extension of the last segment, any case; text types come with "; charset=utf-8".
 * "application/octet-stream" when there is none or it is unknown. Valid for ever. */
const char *http_mime_of(cs_str path);

#endif
