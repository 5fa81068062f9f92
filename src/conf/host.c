/* host.c - the names that a site may have. What a browser cannot send, or sends in another form, is
 * refused, since such a site would never be found. */
#include "conf/bind.h"
#include "http/uri.h"

#include <arpa/inet.h>

static int refuse(cs_str name, const char *why, struct buf *error)
{
    buf_printf(error, "host: \"%.*s\" %s", name.n > 80 ? 80 : (int)name.n, name.p, why);
    return -1;
}

static int check_ipv6(cs_str name, struct buf *error)
{
    char z[64];
    unsigned char addr[16];

    if (name.n < 4 || name.n > sizeof z || name.p[name.n - 1] != ']')
        return refuse(name, "is not an IPv6 address in brackets, such as [::1]", error);
    memcpy(z, name.p + 1, name.n - 2);
    z[name.n - 2] = '\0';
    if (inet_pton(AF_INET6, z, addr) != 1)
        return refuse(name, "is not an IPv6 address in brackets, such as [::1]", error);
    return 0;
}

static const char *wrong_char(char c)
{
    switch (c) {
    case ':':
        return "has a port; a site's name has none, the port belongs to [listen:...]";
    case '/':
        return "is a URL or a path; write the bare name";
    case '*':
        return "has a \"*\" in the wrong place; only \"*\" alone and \"*.\" at the start are "
               "possible";
    case ' ':
        return "has a blank in it; names are separated by commas";
    default:
        return (unsigned char)c >= 0x80
                   ? "is not in ASCII; write an international name in its xn-- form"
                   : "has a character that host names do not have (letters, digits, \"-\", \".\", "
                     "\"_\")";
    }
}

/* What other servers take for names. */
static const char *elsewhere(cs_str name)
{
    if (str_is(name, "_"))
        return "is another server's sign for all other names; write \"*\"";
    if (name.n && name.p[0] == '~')
        return "is no name, and there is no regular expression for names; *.a.com is all below "
               "a.com";
    if (memmem(name.p, name.n, "//", 2))
        return "is a URL or a path; write the bare name";
    if (name.n > 1 && name.p[0] == '.')
        return "starts with a dot; a name and all below it are two names: a.com, *.a.com";
    return NULL;
}

static int check_name(cs_str name, cs_str part, struct buf *error)
{
    const char *why = elsewhere(name);
    cs_str rest = part, label;

    if (why)
        return refuse(name, why, error);
    for (size_t i = 0; i < part.n; i++) {
        char c = str_lower_char(part.p[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return refuse(name, wrong_char(c), error);
    }
    if (part.n > 253)
        return refuse(name, "is longer than 253 characters", error);
    if (part.n && part.p[part.n - 1] == '.')
        return refuse(name, "ends in a dot; write it without", error);
    while (str_split(&rest, '.', &label))
        if (!label.n || label.n > 63)
            return refuse(name, "has an empty part, or one of more than 63 characters", error);
    return 0;
}

int host_check(cs_str name, struct arena *a, cs_str *out, struct buf *error)
{
    cs_str part = name;
    char *room;
    int r = 0;

    if (str_starts(part, CS_S("*.")))
        part = (cs_str){part.p + 2, part.n - 2};
    if (name.n && name.p[0] == '[')
        r = check_ipv6(name, error);
    else if (!str_is(name, "*"))
        r = check_name(name, part, error);
    if (r < 0)
        return -1;
    room = arena_alloc(a, name.n > HTTP_V6_MAX ? name.n : HTTP_V6_MAX);
    *out = arena_dup(a, http_host_normalise(name, room));
    return 0;
}
