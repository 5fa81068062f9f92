/* status.c - one list of codes; reasons and ready status lines both come from it. Codes nobody has
 * registered get a line of their class, made at compile time, so that a line is valid for ever. */
#include "http/status.h"

#include "base/check.h"

#define STATUS_LIST(X)                                                                             \
    X(100, "Continue")                                                                             \
    X(101, "Switching Protocols")                                                                  \
    X(102, "Processing")                                                                           \
    X(103, "Early Hints")                                                                          \
    X(200, "OK")                                                                                   \
    X(201, "Created")                                                                              \
    X(202, "Accepted")                                                                             \
    X(203, "Non-Authoritative Information")                                                        \
    X(204, "No Content")                                                                           \
    X(205, "Reset Content")                                                                        \
    X(206, "Partial Content")                                                                      \
    X(207, "Multi-Status")                                                                         \
    X(208, "Already Reported")                                                                     \
    X(226, "IM Used")                                                                              \
    X(300, "Multiple Choices")                                                                     \
    X(301, "Moved Permanently")                                                                    \
    X(302, "Found")                                                                                \
    X(303, "See Other")                                                                            \
    X(304, "Not Modified")                                                                         \
    X(305, "Use Proxy")                                                                            \
    X(307, "Temporary Redirect")                                                                   \
    X(308, "Permanent Redirect")                                                                   \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(402, "Payment Required")                                                                     \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(406, "Not Acceptable")                                                                       \
    X(407, "Proxy Authentication Required")                                                        \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(410, "Gone")                                                                                 \
    X(411, "Length Required")                                                                      \
    X(412, "Precondition Failed")                                                                  \
    X(413, "Content Too Large")                                                                    \
    X(414, "URI Too Long")                                                                         \
    X(415, "Unsupported Media Type")                                                               \
    X(416, "Range Not Satisfiable")                                                                \
    X(417, "Expectation Failed")                                                                   \
    X(421, "Misdirected Request")                                                                  \
    X(422, "Unprocessable Content")                                                                \
    X(423, "Locked")                                                                               \
    X(424, "Failed Dependency")                                                                    \
    X(425, "Too Early")                                                                            \
    X(426, "Upgrade Required")                                                                     \
    X(428, "Precondition Required")                                                                \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(451, "Unavailable For Legal Reasons")                                                        \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(505, "HTTP Version Not Supported")                                                           \
    X(506, "Variant Also Negotiates")                                                              \
    X(507, "Insufficient Storage")                                                                 \
    X(508, "Loop Detected")                                                                        \
    X(510, "Not Extended")                                                                         \
    X(511, "Network Authentication Required")

#define INFORMATIONAL "Informational"
#define SUCCESS       "Success"
#define REDIRECTION   "Redirection"
#define CLIENT_ERROR  "Client Error"
#define SERVER_ERROR  "Server Error"

#define LINE(code, reason) "HTTP/1.1 " code " " reason "\r\n"
#define TEN(c, t, r)                                                                               \
    LINE(c t "0", r), LINE(c t "1", r), LINE(c t "2", r), LINE(c t "3", r), LINE(c t "4", r),      \
        LINE(c t "5", r), LINE(c t "6", r), LINE(c t "7", r), LINE(c t "8", r), LINE(c t "9", r)
#define HUNDRED(c, r)                                                                              \
    {                                                                                              \
        TEN(c, "0", r), TEN(c, "1", r), TEN(c, "2", r), TEN(c, "3", r), TEN(c, "4", r),            \
            TEN(c, "5", r), TEN(c, "6", r), TEN(c, "7", r), TEN(c, "8", r), TEN(c, "9", r)         \
    }

static const char class_line[5][100][sizeof LINE("000", INFORMATIONAL)] = {
    HUNDRED("1", INFORMATIONAL), HUNDRED("2", SUCCESS),      HUNDRED("3", REDIRECTION),
    HUNDRED("4", CLIENT_ERROR),  HUNDRED("5", SERVER_ERROR),
};

const char *http_status_reason(int status)
{
    static const char *const class_reason[] = {INFORMATIONAL, SUCCESS, REDIRECTION, CLIENT_ERROR,
                                               SERVER_ERROR};
    switch (status) {
#define REASON(code, reason)                                                                       \
    case code:                                                                                     \
        return reason;
        STATUS_LIST(REASON)
#undef REASON
    default:
        check(status >= 100 && status <= 599);
        return class_reason[status / 100 - 1];
    }
}

cs_str http_status_line(int status)
{
    switch (status) {
#define READY(code, reason)                                                                        \
    case code:                                                                                     \
        return CS_S(LINE(#code, reason));
        STATUS_LIST(READY)
#undef READY
    default:
        check(status >= 100 && status <= 599);
        return str_of(class_line[status / 100 - 1][status % 100]);
    }
}

bool http_status_bodiless(int status)
{
    return status < 200 || status == 204 || status == 304;
}
