/* ask.c - says what modules answer in the test kit: ask SETTINGS REQUEST... -- MODULE...
 *
 * Each REQUEST is a file with the bytes of one. For each comes a line "STATUS WHOLE CLOSED HEAD BODY", the last two being
 * lengths, then the head and the body. */
#include <cserver/test.h>

#include <stdio.h>
#include <stdlib.h>

static cs_str read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 4 << 20, n = 0;
    char *p = malloc(cap);
    if (!f || !p)
        exit(2);
    n = fread(p, 1, cap - 1, f);
    p[n] = '\0';
    fclose(f);
    return (cs_str){p, n};
}

static void ask(struct cst *t, const char *path)
{
    cs_str bytes = read_file(path);
    cst_answer a = cst_raw(t, bytes);
    printf("%d %d %d %zu %zu\n", a.status, a.whole, a.closed, a.head.n, a.body.n);
    fwrite(a.head.p, 1, a.head.n, stdout);
    fwrite(a.body.p, 1, a.body.n, stdout);
    free((char *)bytes.p);
}

int main(int argc, char **argv)
{
    int dash = 2;
    while (dash < argc && strcmp(argv[dash], "--") != 0)
        dash++;
    if (dash + 1 >= argc)
        return 2;
    cs_str settings = read_file(argv[1]);
    struct cst *t =
        cst_open(argv[dash + 1], settings.p, .more = (const char *const *)argv + dash + 2);
    for (int i = 2; i < dash; i++)
        ask(t, argv[i]);
    cst_close(t);
    free((char *)settings.p);
    return 0;
}
