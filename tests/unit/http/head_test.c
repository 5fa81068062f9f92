/* Requests and what the parser must say about them, whichever way it scans them.
 *
 * A row is run in one piece and cut at every byte, each piece flush against an unreadable page and
 * at another address than the one before. A head that is good is complete with its last byte and
 * not before. One that is refused is refused with the last byte of the row and not before (so a row
 * shows how early it is refused), and whatever follows changes nothing. */
#include "http/head.h"

#include "base/check.h"

#include "http/scan.h"

#include "edge.h"

#define GET        "GET / HTTP/1.1\r\n"
#define POST       "POST / HTTP/1.1\r\n"
#define HOST       "Host: a\r\n"
#define MAX_FIELDS 24

struct row {
    const char *label;
    cs_str bytes;
    const char *answer; /* facts, or a status, or "more" */
    struct http_limits limits;
};

#define ROW(label, bytes, answer)                                                                  \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer,                                                 \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }
#define LIMITED(label, bytes, answer, ...)                                                         \
    {                                                                                              \
        label, {bytes, sizeof(bytes) - 1}, answer,                                                 \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* method form path?query HTTP/1.minor host:port, number of fields, framing, keep or close */
static const struct row good[] = {
    ROW("as short as can be", "X / HTTP/1.0\r\n\r\n", "X(other) origin / 1.0 host= fields=0 close"),
    ROW("shortest of HTTP/1.1 with GET", GET HOST "\r\n", "GET origin / 1.1 host=a fields=1 keep"),
    ROW("HTTP/1.0 without anything", "GET / HTTP/1.0\r\n\r\n",
        "GET origin / 1.0 host= fields=0 close"),
    ROW("HTTP/1.0 with Host", "GET / HTTP/1.0\r\n" HOST "\r\n",
        "GET origin / 1.0 host=a fields=1 close"),
    ROW("HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET origin / 1.0 host= fields=1 keep"),
    ROW("HTTP/1.0 Keep-Alive in capitals", "GET / HTTP/1.0\r\nCONNECTION: Keep-Alive\r\n\r\n",
        "GET origin / 1.0 host= fields=1 keep"),
    ROW("HTTP/1.2 counts as 1.1", "GET / HTTP/1.2\r\n" HOST "\r\n",
        "GET origin / 1.1 host=a fields=1 keep"),
    ROW("HTTP/1.9 counts as 1.1", "GET / HTTP/1.9\r\n" HOST "\r\n",
        "GET origin / 1.1 host=a fields=1 keep"),
    ROW("one empty line before", "\r\n" GET HOST "\r\n", "GET origin / 1.1 host=a fields=1 keep"),
    ROW("two empty lines before", "\r\n\r\n" GET HOST "\r\n",
        "GET origin / 1.1 host=a fields=1 keep"),
    ROW("HEAD", "HEAD / HTTP/1.1\r\n" HOST "\r\n", "HEAD origin / 1.1 host=a fields=1 keep"),
    ROW("POST with length", POST HOST "Content-Length: 5\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 length=5 keep"),
    ROW("PUT", "PUT /x HTTP/1.1\r\n" HOST "\r\n", "PUT origin /x 1.1 host=a fields=1 keep"),
    ROW("DELETE", "DELETE /x HTTP/1.1\r\n" HOST "\r\n",
        "DELETE origin /x 1.1 host=a fields=1 keep"),
    ROW("PATCH", "PATCH /x HTTP/1.1\r\n" HOST "\r\n", "PATCH origin /x 1.1 host=a fields=1 keep"),
    ROW("TRACE", "TRACE /x HTTP/1.1\r\n" HOST "\r\n", "TRACE origin /x 1.1 host=a fields=1 keep"),
    ROW("method in small letters is another", "get / HTTP/1.1\r\n" HOST "\r\n",
        "get(other) origin / 1.1 host=a fields=1 keep"),
    ROW("method of all odd tchars", "!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n" HOST "\r\n",
        "!#$%&'*+-.^_`|~9(other) origin / 1.1 host=a fields=1 keep"),
    ROW("query", "GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n",
        "GET origin /a?b=c&d 1.1 host=a fields=1 keep"),
    ROW("empty query", "GET /a? HTTP/1.1\r\n" HOST "\r\n",
        "GET origin /a? 1.1 host=a fields=1 keep"),
    ROW("second question mark", "GET /?a?b HTTP/1.1\r\n" HOST "\r\n",
        "GET origin /?a?b 1.1 host=a fields=1 keep"),
    ROW("two slashes are a path", "GET //b/c HTTP/1.1\r\n" HOST "\r\n",
        "GET origin //b/c 1.1 host=a fields=1 keep"),
    ROW("what browsers leave as it is", "GET /a|b^[c]?{x}`\\\" HTTP/1.1\r\n" HOST "\r\n",
        "GET origin /a|b^[c]?{x}`\\\" 1.1 host=a fields=1 keep"),
    ROW("percent is left alone", "GET /%41%zz HTTP/1.1\r\n" HOST "\r\n",
        "GET origin /%41%zz 1.1 host=a fields=1 keep"),
    ROW("asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
        "OPTIONS asterisk  1.1 host=a fields=1 keep"),
    ROW("OPTIONS of a path", "OPTIONS /x HTTP/1.1\r\n" HOST "\r\n",
        "OPTIONS origin /x 1.1 host=a fields=1 keep"),
    ROW("absolute form", "GET http://b/c?d HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET absolute /c?d 1.1 host=b fields=1 keep"),
    ROW("absolute form with port", "GET http://b:81/c HTTP/1.1\r\nHost: b:81\r\n\r\n",
        "GET absolute /c 1.1 host=b:81 fields=1 keep"),
    ROW("absolute form wins over Host", "GET http://b:81/c HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET absolute /c 1.1 host=b:81 fields=1 keep"),
    ROW("absolute form wins, no port", "GET http://b/c HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET absolute /c 1.1 host=b fields=1 keep"),
    ROW("absolute form, https, capitals", "GET HTTPS://b/c HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET absolute /c 1.1 host=b fields=1 keep"),
    ROW("absolute form without path", "GET http://b HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET absolute / 1.1 host=b fields=1 keep"),
    ROW("absolute form, only a query", "GET http://b?c HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET absolute /?c 1.1 host=b fields=1 keep"),
    ROW("absolute form in HTTP/1.0", "GET http://b/ HTTP/1.0\r\n\r\n",
        "GET absolute / 1.0 host=b fields=0 close"),
    ROW("absolute form, v6", "GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "GET absolute / 1.1 host=[::1]:8080 fields=1 keep"),
    ROW("authority form", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
        "CONNECT authority  1.1 host=b:443 fields=1 keep"),
    ROW("authority form wins over Host", "CONNECT b:443 HTTP/1.1\r\nHost: c\r\n\r\n",
        "CONNECT authority  1.1 host=b:443 fields=1 keep"),
    ROW("Host with port", GET "Host: a.example:8080\r\n\r\n",
        "GET origin / 1.1 host=a.example:8080 fields=1 keep"),
    ROW("Host with empty port", GET "Host: a:\r\n\r\n", "GET origin / 1.1 host=a fields=1 keep"),
    ROW("Host v6", GET "Host: [2001:db8::1]\r\n\r\n",
        "GET origin / 1.1 host=[2001:db8::1] fields=1 keep"),
    ROW("empty Host", GET "Host:\r\n\r\n", "GET origin / 1.1 host= fields=1 keep"),
    ROW("Host of blanks", GET "Host: \t \r\n\r\n", "GET origin / 1.1 host= fields=1 keep"),
    ROW("HOST", GET "HOST: a\r\n\r\n", "GET origin / 1.1 host=a fields=1 keep"),
    ROW("no blank behind the colon", GET "Host:a\r\n\r\n", "GET origin / 1.1 host=a fields=1 keep"),
    ROW("blanks around the value", GET "Host: \t a \t \r\n\r\n",
        "GET origin / 1.1 host=a fields=1 keep"),
    ROW("empty value", GET HOST "X:\r\n\r\n", "GET origin / 1.1 host=a fields=2 keep"),
    ROW("value of high bytes", GET HOST "X: \x80\xff\xc3\xa4\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("value with tabs far inside", GET HOST "X: 123456789\t123456789\t123456789\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("value with colons", GET HOST "X: a:b:c\r\n\r\n", "GET origin / 1.1 host=a fields=2 keep"),
    ROW("name with underscore", GET HOST "Content_Length: 7\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("name that only begins the same", GET HOST "Content-Lengthy: 7\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("name of odd tchars", GET HOST "!#$%&'*+-.^_`|~: 1\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("length 0", POST HOST "Content-Length: 0\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 length=0 keep"),
    ROW("length with leading zeros", POST HOST "Content-Length: 0005\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 length=5 keep"),
    ROW("length in capitals, blanks around", POST HOST "CONTENT-LENGTH:\t 5 \r\n\r\n",
        "POST origin / 1.1 host=a fields=2 length=5 keep"),
    ROW("largest length", POST HOST "Content-Length: 9223372036854775807\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 length=9223372036854775807 keep"),
    ROW("length in HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
        "POST origin / 1.0 host= fields=1 length=3 close"),
    ROW("chunked", POST HOST "Transfer-Encoding: chunked\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 chunked keep"),
    ROW("Chunked in capitals", POST HOST "transfer-encoding: CHUNKED\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 chunked keep"),
    ROW("chunked before Host", POST "Transfer-Encoding: chunked\r\n" HOST "\r\n",
        "POST origin / 1.1 host=a fields=2 chunked keep"),
    ROW("Connection: close", GET HOST "Connection: close\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("Connection: Close", GET HOST "Connection: CLOSE\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("close in a list", GET HOST "Connection: x, ,close , y\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("close beats keep-alive", GET HOST "Connection: close, keep-alive\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("close beats keep-alive of another field",
        GET HOST "Connection: close\r\nConnection: keep-alive\r\n\r\n",
        "GET origin / 1.1 host=a fields=3 close"),
    ROW("close behind a quote", GET HOST "Connection: \"x,close\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("close between quotes", GET HOST "Connection: \"x, close, y\"\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 close"),
    ROW("close in quotes is not close", GET HOST "Connection: \"close\"\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("closed is not close", GET HOST "Connection: closed\r\n\r\n",
        "GET origin / 1.1 host=a fields=2 keep"),
    ROW("Upgrade", GET HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET origin / 1.1 host=a fields=3 keep"),
    ROW("Expect", POST HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "POST origin / 1.1 host=a fields=3 length=1 keep expect"),
    ROW("Expect in capitals", POST HOST "Expect: 100-Continue\r\n\r\n",
        "POST origin / 1.1 host=a fields=2 keep expect"),
    ROW("Expect in HTTP/1.0 is ignored", "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
        "POST origin / 1.0 host= fields=1 close"),
    ROW("unknown Expect in HTTP/1.0 is ignored", "POST / HTTP/1.0\r\nExpect: x\r\n\r\n",
        "POST origin / 1.0 host= fields=1 close"),
    ROW("target of exactly max_uri", "GET /56789 HTTP/1.0\r\n\r\n",
        "GET origin /56789 1.0 host= fields=0 close"),
    LIMITED("target of exactly max_uri", "GET /5 HTTP/1.0\r\n\r\n",
            "GET origin /5 1.0 host= fields=0 close", .max_uri = 2),
    LIMITED("head of exactly max_head", "GET / HTTP/1.0\r\n\r\n",
            "GET origin / 1.0 host= fields=0 close", .max_head = 18),
    LIMITED("exactly max_headers", "GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\n\r\n",
            "GET origin / 1.0 host= fields=2 close", .max_headers = 2),
    LIMITED("room for no field", "GET / HTTP/1.0\r\n\r\n", "GET origin / 1.0 host= fields=0 close",
            .max_headers = SIZE_MAX),
};

static const struct row bad[] = {
    /* What can never become a request. */
    ROW("TLS hello", "\x16", "400"),
    ROW("TLS hello behind an empty line", "\r\n\x16", "400"),
    ROW("NUL", "\0", "400"),
    ROW("bare LF first", "\n", "400"),
    ROW("bare LF behind an empty line", "\r\n\n", "400"),
    ROW("bare CR first", "\rG", "400"),
    ROW("CR CR", "\r\r", "400"),
    ROW("third empty line", "\r\n\r\n\r\n", "400"),
    ROW("high byte first", "\x80", "400"),
    ROW("blank first", " ", "400"),
    ROW("tab first", "\t", "400"),
    ROW("byte order mark", "\xef", "400"),
    ROW("HTTP/2 preface", "PRI * HTTP/2.0\r\n", "505"),
    /* The request line. */
    ROW("method with a colon", "GET:", "400"),
    ROW("method with a slash", "GET/", "400"),
    ROW("method with a quote", "\"", "400"),
    ROW("method with a tab", "GET\t", "400"),
    ROW("method with NUL", "GE\0", "400"),
    ROW("method with DEL", "GE\x7f", "400"),
    ROW("method, then CRLF", "GET\r", "400"),
    ROW("method, then LF", "GET\n", "400"),
    ROW("two blanks behind the method", "GET  ", "400"),
    ROW("tab behind the blank", "GET \t", "400"),
    ROW("no target", "GET \r", "400"),
    ROW("HTTP/0.9", "GET /\r", "400"),
    ROW("HTTP/0.9 with LF", "GET /\n", "400"),
    ROW("two blanks behind the target", "GET /  ", "400"),
    ROW("tab in the target", "GET /\t", "400"),
    ROW("NUL in the target", "GET /a\0", "400"),
    ROW("control byte in the target", "GET /a\x01", "400"),
    ROW("DEL in the target", "GET /a\x7f", "400"),
    ROW("CR in the target", "GET /a\r", "400"),
    ROW("high byte in the target", "GET /\xc3", "400"),
    ROW("fragment in the target", "GET /a#", "400"),
    ROW("blank in the target", "GET /a b", "400"),
    ROW("a third word", "GET / x", "400"),
    ROW("version in small letters", "GET / h", "400"),
    ROW("version without slash", "GET / HTTP ", "400"),
    ROW("version HTTPS", "GET / HTTPS", "400"),
    ROW("version without minor", "GET / HTTP/1\r", "400"),
    ROW("version with a letter", "GET / HTTP/x", "400"),
    ROW("version with a minus", "GET / HTTP/-", "400"),
    ROW("version with a blank", "GET / HTTP/ ", "400"),
    ROW("two digits of major", "GET / HTTP/11", "400"),
    ROW("two digits of minor", "GET / HTTP/1.10", "400"),
    ROW("comma in the version", "GET / HTTP/1,", "400"),
    ROW("blank behind the version", "GET / HTTP/1.1 ", "400"),
    ROW("tab behind the version", "GET / HTTP/1.1\t", "400"),
    ROW("LF behind the version", "GET / HTTP/1.1\n", "400"),
    ROW("CR CR behind the version", "GET / HTTP/1.1\r\r", "400"),
    ROW("CR blank behind the version", "GET / HTTP/1.1\r ", "400"),
    ROW("NUL behind the version", "GET / HTTP/1.1\0", "400"),
    ROW("HTTP/2.0", "GET / HTTP/2.0\r\n", "505"),
    ROW("HTTP/0.9 written out", "GET / HTTP/0.9\r\n", "505"),
    ROW("HTTP/3.0", "GET / HTTP/3.0\r\n", "505"),
    /* Forms of the target. */
    ROW("asterisk for GET", "GET * HTTP/1.1\r\n", "400"),
    ROW("asterisk and more", "OPTIONS ** HTTP/1.1\r\n", "400"),
    ROW("path without slash", "GET a/b HTTP/1.1\r\n", "400"),
    ROW("query alone", "GET ?a HTTP/1.1\r\n", "400"),
    ROW("authority form for GET", "GET a:80 HTTP/1.1\r\n", "400"),
    ROW("another scheme", "GET ftp://a/ HTTP/1.1\r\n", "400"),
    ROW("scheme without slashes", "GET http:a HTTP/1.1\r\n", "400"),
    ROW("scheme with one slash", "GET http:/a HTTP/1.1\r\n", "400"),
    ROW("absolute form without host", "GET http:///a HTTP/1.1\r\n", "400"),
    ROW("absolute form, nothing behind it", "GET http:// HTTP/1.1\r\n", "400"),
    ROW("absolute form, only a port", "GET http://:80/ HTTP/1.1\r\n", "400"),
    ROW("user name", "GET http://u@a/ HTTP/1.1\r\n", "400"),
    ROW("user name and password", "GET http://u:p@a/ HTTP/1.1\r\n", "400"),
    ROW("backslash in the host", "GET http://a\\b/ HTTP/1.1\r\n", "400"),
    ROW("absolute form, bad port", "GET http://a:x/ HTTP/1.1\r\n", "400"),
    ROW("absolute form, port too large", "GET http://a:65536/ HTTP/1.1\r\n", "400"),
    ROW("absolute form, bad v6", "GET http://[::1/ HTTP/1.1\r\n", "400"),
    ROW("CONNECT of a path", "CONNECT / HTTP/1.1\r\n", "400"),
    ROW("CONNECT without port", "CONNECT a HTTP/1.1\r\n", "400"),
    ROW("CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\n", "400"),
    ROW("CONNECT to port 0", "CONNECT a:0 HTTP/1.1\r\n", "400"),
    ROW("CONNECT without host", "CONNECT :443 HTTP/1.1\r\n", "400"),
    ROW("CONNECT of a URI", "CONNECT http://a:443/ HTTP/1.1\r\n", "400"),
    /* Host. */
    ROW("no Host", GET "\r\n", "400"),
    ROW("no Host, other fields", GET "X: 1\r\n\r\n", "400"),
    ROW("no Host beside absolute form", "GET http://a/ HTTP/1.1\r\n\r\n", "400"),
    ROW("two Hosts", GET HOST "Host: b\r\n", "400"),
    ROW("two equal Hosts", GET HOST "host: a\r\n", "400"),
    ROW("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST, "400"),
    ROW("an empty Host and another", GET "Host:\r\n" HOST, "400"),
    ROW("two Hosts beside absolute form", "GET http://a/ HTTP/1.1\r\n" HOST HOST, "400"),
    ROW("Host list", GET "Host: a, b\r\n", "400"),
    ROW("Host with a blank", GET "Host: a b\r\n", "400"),
    ROW("Host with a path", GET "Host: a/b\r\n", "400"),
    ROW("Host with a user", GET "Host: u@a\r\n", "400"),
    ROW("Host with two ports", GET "Host: a:1:2\r\n", "400"),
    ROW("Host with a bad port", GET "Host: a:8o\r\n", "400"),
    ROW("Host with a signed port", GET "Host: a:+80\r\n", "400"),
    ROW("Host with a port too large", GET "Host: a:65536\r\n", "400"),
    ROW("Host with a high byte", GET "Host: \xc3\xa4\r\n", "400"),
    ROW("Host with a backslash", GET "Host: a\\b\r\n", "400"),
    ROW("Host with a query", GET "Host: a?b\r\n", "400"),
    ROW("Host with a fragment", GET "Host: a#b\r\n", "400"),
    ROW("Host with a bad percent", GET "Host: a%4\r\n", "400"),
    ROW("Host v6 without end", GET "Host: [::1\r\n", "400"),
    ROW("Host v6 with a zone", GET "Host: [fe80::1%25eth0]\r\n", "400"),
    ROW("Host v6 with a tail", GET "Host: [::1]x\r\n", "400"),
    ROW("Host v6 without brackets", GET "Host: ::1\r\n", "400"),
    ROW("Host of a port", GET "Host: :80\r\n", "400"),
    ROW("Host of a colon", GET "Host: :\r\n", "400"),
    ROW("Host with quotes", GET "Host: \"a\"\r\n", "400"),
    ROW("bad Host beside absolute form", "GET http://a/ HTTP/1.1\r\nHost: b c\r\n", "400"),
    /* Field lines. */
    ROW("blank before the colon", GET "Host ", "400"),
    ROW("tab before the colon", GET "Host\t", "400"),
    ROW("blank before the colon of a length", POST HOST "Content-Length ", "400"),
    ROW("blank before the colon of a coding", POST HOST "Transfer-Encoding ", "400"),
    ROW("first field line folded", GET " ", "400"),
    ROW("first field line folded with a tab", GET "\t", "400"),
    ROW("obs-fold", GET HOST "X: a\r\n ", "400"),
    ROW("obs-fold with a tab", GET HOST "X: a\r\n\t", "400"),
    ROW("obs-fold of an empty value", GET "Host:\r\n ", "400"),
    ROW("no name", GET ":", "400"),
    ROW("no colon", GET "Host\r", "400"),
    ROW("no colon, LF", GET "Host\n", "400"),
    ROW("name with a slash", GET "X/", "400"),
    ROW("name with a parenthesis", GET "X(", "400"),
    ROW("name with an at", GET "@", "400"),
    ROW("name with brackets", GET "X[", "400"),
    ROW("name with a comma", GET "Content-Length,", "400"),
    ROW("name with a semicolon", GET "X;", "400"),
    ROW("name with a quote", GET "\"", "400"),
    ROW("name with NUL", GET "Content-Length\0", "400"),
    ROW("name with vertical tab", GET "\x0b", "400"),
    ROW("name with form feed", GET "Transfer-Encoding\x0c", "400"),
    ROW("name with DEL", GET "X\x7f", "400"),
    ROW("name with a high byte", GET "Transfer\xad", "400"),
    ROW("name with a no-break space", GET "Content-Length\xa0", "400"),
    ROW("bare LF for a field line", GET "\n", "400"),
    ROW("bare LF behind a value", GET "Host: a\n", "400"),
    ROW("bare LF in an empty value", GET "Host:\n", "400"),
    ROW("bare LF at the end", GET HOST "\n", "400"),
    ROW("bare CR in a value", GET "Host: a\rb", "400"),
    ROW("bare CR before a smuggled field", GET HOST "X: a\rT", "400"),
    ROW("CR CR LF", GET "Host: a\r\r", "400"),
    ROW("bare CR for the last line", GET HOST "\rX", "400"),
    ROW("CR CR at the end", GET HOST "\r\r", "400"),
    ROW("NUL in a value", GET "X: a\0", "400"),
    ROW("vertical tab in a value", GET "X: \x0b", "400"),
    ROW("form feed in a value", GET "X: \x0c", "400"),
    ROW("escape in a value", GET "X: a\x1b", "400"),
    ROW("DEL in a value", GET "X: a\x7f", "400"),
    ROW("unit separator far inside", GET "X: 123456789012345678901234567\x1f", "400"),
    ROW("DEL at place 8", GET "X: 1234567\x7f", "400"),
    ROW("LF at place 16", GET "X: 1234567890abcde\n", "400"),
    ROW("the response of a server", "HTTP/", "400"),
    /* Content-Length. */
    ROW("empty length", POST HOST "Content-Length:\r\n", "400"),
    ROW("length of blanks", POST HOST "Content-Length:  \r\n", "400"),
    ROW("length +5", POST HOST "Content-Length: +5\r\n", "400"),
    ROW("length -5", POST HOST "Content-Length: -5\r\n", "400"),
    ROW("length -0", POST HOST "Content-Length: -0\r\n", "400"),
    ROW("length 0x5", POST HOST "Content-Length: 0x5\r\n", "400"),
    ROW("length 5x", POST HOST "Content-Length: 5x\r\n", "400"),
    ROW("length a", POST HOST "Content-Length: a\r\n", "400"),
    ROW("length 1e3", POST HOST "Content-Length: 1e3\r\n", "400"),
    ROW("length 5.0", POST HOST "Content-Length: 5.0\r\n", "400"),
    ROW("length 1_0", POST HOST "Content-Length: 1_0\r\n", "400"),
    ROW("length 5 5", POST HOST "Content-Length: 5 5\r\n", "400"),
    ROW("length 5,", POST HOST "Content-Length: 5,\r\n", "400"),
    ROW("length ,5", POST HOST "Content-Length: ,5\r\n", "400"),
    ROW("length 5, 5", POST HOST "Content-Length: 5, 5\r\n", "400"),
    ROW("length 5,6", POST HOST "Content-Length: 5,6\r\n", "400"),
    ROW("length in quotes", POST HOST "Content-Length: \"5\"\r\n", "400"),
    ROW("length with a parameter", POST HOST "Content-Length: 5;x\r\n", "400"),
    ROW("length in full-width digits", POST HOST "Content-Length: \xef\xbc\x95\r\n", "400"),
    ROW("length 2^63", POST HOST "Content-Length: 9223372036854775808\r\n", "400"),
    ROW("length 2^64 + 5", POST HOST "Content-Length: 18446744073709551621\r\n", "400"),
    ROW("length of 40 digits",
        POST HOST "Content-Length: 1000000000000000000000000000000000000000\r\n", "400"),
    ROW("two lengths", POST HOST "Content-Length: 5\r\nContent-Length: 6\r\n", "400"),
    ROW("two equal lengths", POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n", "400"),
    ROW("two lengths, one in HTTP/1.0 style",
        "POST / HTTP/1.0\r\nContent-Length: 5\r\ncontent-length: 05\r\n", "400"),
    /* Transfer-Encoding. */
    ROW("length, then chunked", POST HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "400"),
    ROW("chunked, then length", POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "400"),
    ROW("chunked, then length 0", POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "400"),
    ROW("length 0, then chunked", POST HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "400"),
    ROW("length, then another coding", POST HOST "Content-Length: 5\r\nTransfer-Encoding: x\r\n",
        "400"),
    ROW("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "400"),
    ROW("gzip in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n", "400"),
    ROW("empty coding", POST HOST "Transfer-Encoding:\r\n", "400"),
    ROW("coding of a comma", POST HOST "Transfer-Encoding: ,\r\n", "400"),
    ROW("identity", POST HOST "Transfer-Encoding: identity\r\n", "400"),
    ROW("gzip", POST HOST "Transfer-Encoding: gzip\r\n", "400"),
    ROW("xchunked", POST HOST "Transfer-Encoding: xchunked\r\n", "400"),
    ROW("chunke", POST HOST "Transfer-Encoding: chunke\r\n", "400"),
    ROW("chunked.", POST HOST "Transfer-Encoding: chunked.\r\n", "400"),
    ROW("chunked in quotes", POST HOST "Transfer-Encoding: \"chunked\"\r\n", "400"),
    ROW("chunked in single quotes", POST HOST "Transfer-Encoding: 'chunked'\r\n", "400"),
    ROW("chunked with a parameter", POST HOST "Transfer-Encoding: chunked;q=1\r\n", "400"),
    ROW("chunked with a semicolon", POST HOST "Transfer-Encoding: chunked;\r\n", "400"),
    ROW("chunked and a comma", POST HOST "Transfer-Encoding: chunked,\r\n", "400"),
    ROW("comma and chunked", POST HOST "Transfer-Encoding: ,chunked\r\n", "400"),
    ROW("chunked twice", POST HOST "Transfer-Encoding: chunked, chunked\r\n", "400"),
    ROW("chunked in two fields",
        POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "400"),
    ROW("chunked, then identity in two fields",
        POST HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "400"),
    ROW("chunked, identity", POST HOST "Transfer-Encoding: chunked, identity\r\n", "400"),
    ROW("chunked, gzip", POST HOST "Transfer-Encoding: chunked, gzip\r\n", "400"),
    ROW("chunked gzip", POST HOST "Transfer-Encoding: chunked gzip\r\n", "400"),
    ROW("vertical tab before chunked", POST HOST "Transfer-Encoding: \x0b", "400"),
    ROW("NUL behind chunked", POST HOST "Transfer-Encoding: chunked\0", "400"),
    ROW("long s and kelvin sign do not fold",
        POST HOST "Transfer-Encoding: chun\xe2\x84\xaa"
                  "ed\r\n",
        "400"),
    ROW("high byte before chunked",
        POST HOST "Transfer-Encoding: \xa0"
                  "chunked\r\n",
        "400"),
    ROW("gzip, chunked", POST HOST "Transfer-Encoding: gzip, chunked\r\n", "501"),
    ROW("identity, chunked", POST HOST "Transfer-Encoding: identity,chunked\r\n", "501"),
    ROW("x, y, chunked", POST HOST "Transfer-Encoding: x, y, Chunked\r\n", "501"),
    /* Expect. */
    ROW("unknown expectation", POST HOST "Expect: 200-ok\r\n", "417"),
    ROW("100-continue and another", POST HOST "Expect: 100-continue, x\r\n", "417"),
    ROW("another in a second field", POST HOST "Expect: 100-continue\r\nExpect: x\r\n", "417"),
    ROW("100-continue with a parameter", POST HOST "Expect: 100-continue;a=b\r\n", "417"),
    /* Limits. */
    LIMITED("target too long", "GET /23456789a", "414", .max_uri = 9),
    LIMITED("absolute target too long", "GET http://a/b", "414", .max_uri = 9),
    LIMITED("bad byte at the limit of the target", "GET /2345678\x01", "400", .max_uri = 9),
    LIMITED("method without end", "GETGETGETGETGETGETGE", "431", .max_head = 20),
    LIMITED("target up to the limit of the head", "GET /abcdefghijklmno", "414", .max_head = 20),
    LIMITED("version at the limit of the head", "GET /abcdefgh HTTP/1", "431", .max_head = 20),
    LIMITED("empty lines count", "\r\n\r\nGET / HTTP/1.0\r\n", "431", .max_head = 20),
    LIMITED("head too long by 1", "GET / HTTP/1.0\r\n\r", "431", .max_head = 17),
    LIMITED("long name", "GET / HTTP/1.1\r\nHost", "431", .max_head = 20),
    LIMITED("long value", "GET / HTTP/1.0\r\nX: 4", "431", .max_head = 20),
    LIMITED("many short fields", "GET / HTTP/1.1\r\nA:\r\nB:\r\nC:\r\nD:\r\n", "431",
            .max_head = 32),
    LIMITED("one field too many", "GET / HTTP/1.0\r\nA: 1\r\nB: 2\r\nC", "431", .max_headers = 2),
    LIMITED("no field at all", "GET / HTTP/1.0\r\nA", "431", .max_headers = SIZE_MAX),
    LIMITED("more than there is room for", "GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf",
            "431", .max_headers = 1000),
};

static const struct row partial[] = {
    ROW("nothing yet", "", "more"),
    ROW("a CR", "\r", "more"),
    ROW("an empty line", "\r\n", "more"),
    ROW("two empty lines", "\r\n\r\n", "more"),
    ROW("half a method", "GE", "more"),
    ROW("the start of the HTTP/2 preface", "PRI * HTTP/2.0\r", "more"),
    ROW("all but the last LF", GET HOST "\r", "more"),
    ROW("a name", GET "Hos", "more"),
    ROW("a value that ends in CR", GET "Host: a\r", "more"),
    LIMITED("one byte below the limit", "GET / HTTP/1.1\r\nHo", "more", .max_head = 19),
    LIMITED("target of exactly max_uri", "GET /2345678", "more", .max_uri = 8),
};

/* Room for 5 fields where the row says 1000; none where it says SIZE_MAX. */
static struct http_limits limits_of(const struct row *r, size_t *cap)
{
    struct http_limits lim = r->limits;
    *cap = lim.max_headers == 1000 ? 5 : lim.max_headers == SIZE_MAX ? 0 : MAX_FIELDS;
    if (lim.max_head == 0)
        lim.max_head = 4096;
    if (lim.max_uri == 0)
        lim.max_uri = 1024;
    if (lim.max_headers == 0)
        lim.max_headers = MAX_FIELDS;
    return lim;
}

/* What the parser found, as one line of text. */
static void describe(const struct http_head *h, long verdict, char *out, size_t room)
{
    static const char *const forms[] = {"origin", "absolute", "authority", "asterisk"};
    if (verdict <= 0) {
        snprintf(out, room, verdict == 0 ? "more" : "%ld", -verdict);
        return;
    }
    char port[16] = "", length[40] = "";
    if (h->port >= 0)
        snprintf(port, sizeof port, ":%d", h->port);
    if (h->content_length >= 0)
        snprintf(length, sizeof length, " length=%lld", (long long)h->content_length);
    snprintf(out, room, "%.*s%s %s %.*s%s%.*s 1.%d host=%.*s%s fields=%zu%s%s%s%s",
             CS_F(h->method_text), h->method == HTTP_OTHER ? "(other)" : "", forms[h->form],
             CS_F(h->target_path), h->target_query.p ? "?" : "", CS_F(h->target_query), h->minor,
             CS_F(h->host), port, h->nheaders, length, h->chunked ? " chunked" : "",
             h->keep_alive ? " keep" : " close", h->expect_continue ? " expect" : "");
}

struct bench {
    struct edge pages[2];
    struct http_header headers[MAX_FIELDS];
    int rows;
};

static cs_str front(cs_str s, size_t n)
{
    return (cs_str){s.p, n};
}

/* The answer to bytes that come in one piece. */
static long parse_whole(struct bench *b, const struct row *r, cs_str bytes, char *text, size_t room)
{
    size_t cap;
    struct http_limits lim = limits_of(r, &cap);
    struct http_head h = {.headers = b->headers, .headers_cap = cap};
    cs_str at = edge_put(&b->pages[0], bytes);
    long verdict = http_head_parse(&h, at.p, at.n, &lim);
    describe(&h, verdict, text, room);
    if (verdict < 0 && (!h.error || !h.error[0]))
        fail_msg("row \"%s\": refused without a sentence", r->label);
    return verdict;
}

/* Fed byte by byte, each time at another address: with each byte the same answer as in one piece.
 */
static void check_cuts(struct bench *b, const struct row *r, cs_str bytes)
{
    size_t cap;
    struct http_limits lim = limits_of(r, &cap);
    struct http_head h = {.headers = b->headers, .headers_cap = cap};
    struct http_header other[MAX_FIELDS];
    for (size_t n = 1; n <= bytes.n; n++) {
        char got[2048], want[2048], what[64];
        cs_str at = edge_put(&b->pages[n % 2], front(bytes, n));
        long verdict = http_head_parse(&h, at.p, at.n, &lim);
        describe(&h, verdict, got, sizeof got);
        struct http_head whole = {.headers = other, .headers_cap = cap};
        describe(&whole, http_head_parse(&whole, at.p, at.n, &lim), want, sizeof want);
        snprintf(what, sizeof what, "after %zu bytes one by one", n);
        expect_text(r->label, what, got, want);
        if (n < bytes.n && verdict != 0)
            fail_msg("row \"%s\": \"%s\" after %zu of %zu bytes", r->label, got, n, bytes.n);
        for (size_t i = 0; verdict > 0 && i < h.nheaders; i++)
            if (h.headers[i].name.p != other[i].name.p || h.headers[i].value.p != other[i].value.p)
                fail_msg("row \"%s\": field %zu points elsewhere", r->label, i);
    }
}

static void check_row(struct bench *b, const struct row *r, const char *const *tails)
{
    char got[2048], longer[512];
    parse_whole(b, r, r->bytes, got, sizeof got);
    expect_text(r->label, "in one piece", got, r->answer);
    check_cuts(b, r, r->bytes);
    for (; *tails; tails++) {
        size_t tail = strlen(*tails);
        memcpy(longer, r->bytes.p, r->bytes.n);
        memcpy(longer + r->bytes.n, *tails, tail);
        long verdict = parse_whole(b, r, (cs_str){longer, r->bytes.n + tail}, got, sizeof got);
        expect_text(r->label, "with more behind it", got, r->answer);
        if (verdict > 0)
            assert_int_equal(verdict, r->bytes.n);
    }
    b->rows++;
}

static const char *const tails[] = {"\r\n\r\n", "\n", "x", " HTTP/1.1\r\nHost: a\r\n\r\n",
                                    "\x16\x03", NULL};

static void good_heads(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        check_row(*state, &good[i], tails);
}

static void bad_heads(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_row(*state, &bad[i], tails);
}

static void partial_heads(void **state)
{
    for (size_t i = 0; i < sizeof partial / sizeof partial[0]; i++)
        check_row(*state, &partial[i], tails + 5);
}

/* Every byte value at places where the grammar names the class. */
static void every_byte(void **state)
{
    static const struct {
        const char *label, *before, *after;
        const char *allowed; /* besides letters and digits */
        bool high;
    } places[] = {
        {"method", "G", " / HTTP/1.0\r\n\r\n", "!#$%&'*+-.^_`|~ ", false},
        {"path", "GET /", " HTTP/1.0\r\n\r\n", "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~", false},
        {"name", "GET / HTTP/1.0\r\nX", ": 1\r\n\r\n", "!#$%&'*+-.^_`|~:", false},
        {"value", "GET / HTTP/1.0\r\nX: a", "b\r\n\r\n", " \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
         true},
        {"long value", "GET / HTTP/1.0\r\nX: 1234567890", "1234567890123\r\n\r\n",
         " \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (int c = 0; c < 256; c++) {
            char bytes[128], got[512];
            size_t n =
                (size_t)snprintf(bytes, sizeof bytes, "%sX%s", places[i].before, places[i].after);
            bytes[strlen(places[i].before)] = (char)c;
            struct row r = {.label = places[i].label};
            long verdict = parse_whole(b, &r, (cs_str){bytes, n}, got, sizeof got);
            bool letter =
                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            bool want = letter || (c > 0 && c < 128 && strchr(places[i].allowed, c)) ||
                        (c >= 128 && places[i].high);
            /* A blank ends a method; then " " is an empty target. */
            if (i == 0 && c == ' ')
                want = false;
            if ((verdict > 0) != want || (verdict < 0 && verdict != -400))
                fail_msg("%s with byte 0x%02x: %s", places[i].label, (unsigned)c, got);
        }
    }
}

static void fields_are_found(void **state)
{
    (void)state;
    static const char bytes[] = GET "host: a\r\nX-One: 1\r\nx-one:2 \r\nIf-None-Match: \"a\"\r\n"
                                    "if-none-match: \"b\"\r\nRange: bytes=0-1\r\n\r\n";
    struct http_header fields[8];
    struct http_head h = {.headers = fields, .headers_cap = 8};
    struct http_limits lim = {4096, 1024, 8};
    assert_int_equal(http_head_parse(&h, bytes, sizeof bytes - 1, &lim), sizeof bytes - 1);
    assert_int_equal(h.nheaders, 6);
    assert_ptr_equal(http_head_find(&h, CS_S("X-ONE")), &fields[1]);
    assert_true(str_is(fields[2].value, "2"));
    assert_null(http_head_find(&h, CS_S("X-On")));
    assert_ptr_equal(h.field[HTTP_FIELD_IF_NONE_MATCH], &fields[3]);
    assert_ptr_equal(h.field[HTTP_FIELD_RANGE], &fields[5]);
    assert_ptr_equal(h.field[HTTP_FIELD_HOST], &fields[0]);
    assert_null(h.field[HTTP_FIELD_OTHER]);
    assert_null(h.field[HTTP_FIELD_EXPECT]);
}

/* One struct for all requests of a connection: only `scanned` is set back. */
static void a_head_can_be_used_again(void **state)
{
    (void)state;
    static const char first[] =
        "POST http://b:1/c?d HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\n"
        "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char second[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_header fields[8];
    struct http_head h = {.headers = fields, .headers_cap = 8};
    struct http_limits lim = {4096, 1024, 8};
    char got[256];
    assert_int_equal(http_head_parse(&h, first, sizeof first - 1, &lim), sizeof first - 1);
    h.scanned = 0;
    describe(&h, http_head_parse(&h, second, sizeof second - 1, &lim), got, sizeof got);
    assert_string_equal(got, "GET origin / 1.1 host=a fields=1 keep");
    assert_null(h.field[HTTP_FIELD_TRANSFER_ENCODING]);
}

/* Limits are run-time settings: they may shrink below what has been read of a head. */
static void limits_shrink_meanwhile(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
        "HTTP/1.1\r\n"
        "Host: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nA: b\r\nC: d\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.0\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA: "
        "bbbbbbbbbbbbbbbb\r\n\r\n"};
    struct http_header fields[8];
    const struct http_limits lim = {4096, 1024, 8};
    for (size_t k = 0; k < ARRAY_LEN(heads); k++)
        for (size_t n = 1; n < strlen(heads[k]); n++)
            for (size_t most = 1; most < n; most++) {
                struct http_head h = {.headers = fields, .headers_cap = 8};
                const struct http_limits less = {most, most, most % 2};
                char *copy = malloc(n + 1);
                memcpy(copy, heads[k], n + 1);
                assert_int_equal(http_head_parse(&h, copy, n, &lim), 0);
                long verdict = http_head_parse(&h, copy, n + 1, &less);
                if (verdict != -414 && verdict != -431)
                    fail_msg("%zu bytes, at most %zu: %ld", n, most, verdict);
                free(copy);
            }
}

static int open_bench(void **state)
{
    static struct bench b;
    b.rows = 0;
    b.pages[0] = edge_open(8192);
    b.pages[1] = edge_open(8192);
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;
    edge_close(&b->pages[0]);
    edge_close(&b->pages[1]);
    if (scan_now == scan_way(0))
        printf("rows: %d\n", b->rows);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads),
        cmocka_unit_test(bad_heads),
        cmocka_unit_test(partial_heads),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(a_head_can_be_used_again),
        cmocka_unit_test(limits_shrink_meanwhile),
    };
    int failed = 0;
    for (size_t i = 0; scan_way(i); i++) {
        scan_use(scan_way(i)->name);
        failed += cmocka_run_group_tests_name(scan_way(i)->name, tests, open_bench, close_bench);
    }
    return failed;
}
