#include "http/headers.h"

/* Compares n bytes of `name` with a name in small letters. */
static bool is(cs_str name, const char *lower)
{
    for (size_t i = 0; i < name.n; i++)
        if (str_lower_char(name.p[i]) != lower[i])
            return false;
    return true;
}

/* The length leaves at most three candidates, the first letter mostly one. */
enum http_field http_field_of(cs_str name)
{
    switch (name.n) {
    case 4:
        return is(name, "host") ? HTTP_FIELD_HOST : HTTP_FIELD_OTHER;
    case 5:
        return is(name, "range") ? HTTP_FIELD_RANGE : HTTP_FIELD_OTHER;
    case 6:
        return is(name, "expect") ? HTTP_FIELD_EXPECT : HTTP_FIELD_OTHER;
    case 7:
        return is(name, "referer") ? HTTP_FIELD_REFERER : HTTP_FIELD_OTHER;
    case 8:
        if (is(name, "if-match"))
            return HTTP_FIELD_IF_MATCH;
        return is(name, "if-range") ? HTTP_FIELD_IF_RANGE : HTTP_FIELD_OTHER;
    case 10:
        if (is(name, "user-agent"))
            return HTTP_FIELD_USER_AGENT;
        return is(name, "connection") ? HTTP_FIELD_CONNECTION : HTTP_FIELD_OTHER;
    case 13:
        return is(name, "if-none-match") ? HTTP_FIELD_IF_NONE_MATCH : HTTP_FIELD_OTHER;
    case 14:
        return is(name, "content-length") ? HTTP_FIELD_CONTENT_LENGTH : HTTP_FIELD_OTHER;
    case 17:
        if (is(name, "if-modified-since"))
            return HTTP_FIELD_IF_MODIFIED_SINCE;
        return is(name, "transfer-encoding") ? HTTP_FIELD_TRANSFER_ENCODING : HTTP_FIELD_OTHER;
    case 19:
        return is(name, "if-unmodified-since") ? HTTP_FIELD_IF_UNMODIFIED_SINCE : HTTP_FIELD_OTHER;
    default:
        return HTTP_FIELD_OTHER;
    }
}
