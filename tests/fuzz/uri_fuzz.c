/* uri_fuzz.c - any bytes as a path and as a host. What comes out is clean, and its escape means the
 * same. */
#include "base/check.h"
#include "http/scan.h"
#include "http/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(const char *path, size_t n)
{
    check(n > 0 && path[0] == '/' && path[n] == 0 && str_is_utf8((cs_str){path, n}));
    check(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
    check(n < 2 || strcmp(path + n - 2, "/.") != 0);
    check(n < 3 || strcmp(path + n - 3, "/..") != 0);
    for (size_t i = 0; i < n; i++)
        check((unsigned char)path[i] >= 0x20 && path[i] != 0x7f);
}

/* There is one form of a host, and it is a host too. */
static void check_host(cs_str host)
{
    size_t room = host.n > HTTP_V6_MAX ? host.n : HTTP_V6_MAX;
    char *once = malloc(room), *twice = malloc(room);
    int port;
    check(once && twice);
    cs_str form = http_host_normalise(host, once), same, split;
    check(form.n <= room && (form.p == host.p || form.p == once));
    check(form.n < host.n || !host.n || host.p[host.n - 1] != '.');
    for (size_t i = 0; i < form.n; i++)
        check(form.p[i] < 'A' || form.p[i] > 'Z');
    same = http_host_normalise(form, twice);
    check(str_eq(same, form) ||
          form.p[form.n - 1] == '.'); /* of two dots one stays: such a name is nobody's */
    check(http_host_split(form, &split, &port) && port == -1 && str_eq(split, form));
    free(once);
    free(twice);
}

/* Each way to scan reads the same. */
static void check_ways(cs_str raw, const char *path, long want)
{
    const struct scan *now = scan_now;
    char *out = malloc(raw.n + 1);
    cs_str host, same;
    int port, same_port;
    bool good = http_host_split(raw, &host, &port);
    check(out);
    for (size_t i = 0; scan_way(i); i++) {
        const char *error = NULL;
        check(scan_use(scan_way(i)->name));
        check(http_path_normalise(raw, out, &error) == want);
        check(want < 0 || memcmp(path, out, (size_t)want + 1) == 0);
        check(http_host_split(raw, &same, &same_port) == good);
        check(!good || (str_eq(same, host) && same_port == port));
    }
    scan_use(now->name);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str raw = {(const char *)data, size}, host;
    const char *error = NULL;
    int port;
    char *path = malloc(size + 1), *escaped = malloc(3 * size + 1), *again = malloc(3 * size + 2);
    check(path && escaped && again);
    long n = http_path_normalise(raw, path, &error);
    check(n >= 0 ? (size_t)n <= size : n == -400 && error);
    check_ways(raw, path, n);
    if (n >= 0) {
        check_clean(path, (size_t)n);
        size_t len = http_path_escape((cs_str){path, (size_t)n}, escaped);
        check(http_path_normalise((cs_str){escaped, len}, again, &error) == n);
        check(memcmp(path, again, (size_t)n) == 0);
    }
    if (http_host_split(raw, &host, &port)) {
        check(host.n <= size && port >= -1 && port <= 65535);
        check_host(host);
    }
    free(path);
    free(escaped);
    free(again);
    return 0;
}
