/* foreign.c - who moves settings here writes what he has always written: an answer with our name saves a search. */
#include "http/foreign.h"

#include "base/check.h"

struct pair {
    const char *theirs, *ours;
};

static const struct pair names[] = {
    {"args", "query"},         {"binary_remote_addr", "client"},
    {"document_uri", "path"},  {"http_host", "host"},
    {"query_string", "query"}, {"realip_remote_addr", "peer"},
    {"remote_addr", "client"}, {"remote_host", "client"},
    {"remote_user", "user"},   {"request_method", "method"},
    {"request_uri", "target"}, {"server_name", "host"},
    {"uri", "path"},
};

/* Something follows; where it is a field's name, with "_" for "-". */
static const struct pair starts[] = {
    {"arg_", "query."},
    {"cookie_", "cookie."},
    {"http_", "header."},
};

static void add_rest(const struct pair *p, cs_str rest, struct buf *out)
{
    const bool field = str_is(str_of(p->ours), "header.");

    buf_add_z(out, p->ours);
    for (size_t i = 0; i < rest.n; i++)
        buf_add_char(out, field && rest.p[i] == '_' ? '-' : rest.p[i]);
}

static bool is_group(cs_str name)
{
    return name.n == 1 && name.p[0] >= '1' && name.p[0] <= '9';
}

bool foreign_name(cs_str name, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(name, names[i].theirs)) {
            buf_add_z(out, names[i].ours);
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        const cs_str start = str_of(starts[i].theirs);

        if (name.n > start.n && str_starts(name, start)) {
            add_rest(&starts[i], (cs_str){name.p + start.n, name.n - start.n}, out);
            return true;
        }
    }
    if (is_group(name))
        buf_printf(out, "capture.%.*s", CS_F(name));
    return is_group(name);
}
