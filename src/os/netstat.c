#include "os/netstat.h"

#include "os/file.h"

#include <errno.h>

#define MOST (64 * 1024)

/* The next line of *rest that begins with "group:", without that. */
static bool line_of(cs_str *rest, cs_str group, cs_str *out)
{
    cs_str line;
    while (str_split(rest, '\n', &line)) {
        if (!str_starts(line, group) || line.n == group.n || line.p[group.n] != ':')
            continue;
        *out = str_trim((cs_str){line.p + group.n + 1, line.n - group.n - 1});
        return true;
    }
    return false;
}

bool netstat_field(cs_str text, cs_str group, cs_str field, uint64_t *out)
{
    cs_str names, numbers, name, number;
    if (!line_of(&text, group, &names) || !line_of(&text, group, &numbers))
        return false;
    while (str_split(&names, ' ', &name) && str_split(&numbers, ' ', &number))
        if (str_eq(name, field))
            return str_to_u64(number, UINT64_MAX, out);
    return false;
}

int netstat_listen(struct netstat_listen *out)
{
    struct buf text = {0};
    const cs_str group = CS_S("TcpExt");
    int rc = file_read("/proc/self/net/netstat", MOST, &text);
    if (!rc && !(netstat_field(buf_str(&text), group, CS_S("ListenOverflows"), &out->overflows) &&
                 netstat_field(buf_str(&text), group, CS_S("ListenDrops"), &out->drops)))
        rc = -ENODATA;
    buf_free(&text);
    return rc;
}
