/* uri.h - the one place where a request path is decoded and normalised (RFC 3986
 * sections 2.1, 5.2.4, 6.2.2). Routes, access rules and files only ever see its result.
 *
 *   %41                decoded
 *   %2f %2F            stays "%2F": an encoded slash never separates segments
 *   %00, control bytes refused (400)
 *   %zz, %4            refused (400)
 *   //                 one "/"
 *   /./ /../           resolved after decoding; ".." above the root is refused (400)
 *   \                  an ordinary byte
 *   invalid UTF-8      refused (400), overlong forms too
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/str.h"

/* Normalises raw (which starts with "/") into out, which has room for raw.n + 1 bytes; writes a NUL
 * behind it. Returns the length, or -400 with *error a sentence. */
long http_path_normalise(cs_str raw, char *out, const char **error);

/* Escapes a path for use in a Location or a link: everything but unreserved, "/" and sub-delims is
 * %-encoded ("%2F" of a normalised path stays). out has room for 3 * path.n. Returns the length. */
size_t http_path_escape(cs_str path, char *out);

/* Splits "host", "host:port", "[v6]" or "[v6]:port" (RFC 3986 section 3.2.2). *port is -1 when not
 * given. The brackets stay in host. false if it is none of these; an empty host is fine (RFC 9112
 * section 3.2). */
bool http_host_split(cs_str authority, cs_str *host, int *port);

/* The host of http_host_split in the one form in which names are compared: lower case, without the dot at the end, an IPv6 address
 * as inet_ntop writes it. What is in this form already is given back as it is, else it is written to out, which has room for
 * host.n or HTTP_V6_MAX bytes, whichever is more. */
#define HTTP_V6_MAX 48
cs_str http_host_normalise(cs_str host, char *out);

#endif
