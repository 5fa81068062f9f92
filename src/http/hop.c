#include "http/hop.h"

#include "base/check.h"
#include "http/token.h"

/* clang-format off */
static const cs_str always[] = {
    {"connection", 10}, {"keep-alive", 10}, {"proxy-connection", 16}, {"te", 2}, {"trailer", 7}, {"transfer-encoding", 17},
    {"upgrade", 7}, {"proxy-authenticate", 18}, {"proxy-authentication-info", 25}, {"proxy-authorization", 19},
};
/* clang-format on */

static bool is_option(cs_str name, cs_str list)
{
    cs_str option;
    while (http_tokens_next(&list, &option))
        if (str_eq_nocase(option, name))
            return true;
    return false;
}

bool http_hop_is(cs_str name, const struct http_header *fields, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        if (str_eq_nocase(name, always[i]))
            return true;
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(fields[i].name, always[0]) && is_option(name, fields[i].value))
            return true;
    return false;
}
