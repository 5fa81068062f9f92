/* need.c - holds the encoders of modules/compress to what they say they need: built with codec.c, it counts all memory. */
#include "codec.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static size_t now, peak;

void *malloc(size_t n)
{
    static void *(*real)(size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "malloc");
    void *p = real(n);
    now += malloc_usable_size(p);
    peak = now > peak ? now : peak;
    return p;
}

void *calloc(size_t n, size_t size)
{
    volatile char *p = malloc(n * size);
    for (size_t i = 0; p && i < n * size; i++)
        p[i] = 0;
    return (void *)p;
}

void free(void *p)
{
    static void (*real)(void *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "free");
    now -= p ? malloc_usable_size(p) : 0;
    real(p);
}

enum {
    ALL = 400000,
    PIECE = 65536
};
static char data[ALL];

static void fill(int kind)
{
    unsigned s = 1;
    for (size_t i = 0; i < ALL; i++) {
        s = s * 1664525 + 1013904223;
        data[i] = kind == 0   ? (char)(s >> 24)
                  : kind == 1 ? "abcdefgh <>\n/"[(s >> 24) % 13]
                              : (char)('a' + (i / 7) % 20 + (s >> 28 == 0));
    }
}

static int drop(void *arg, cs_str out)
{
    (void)arg, (void)out;
    return CS_OK;
}

/* Whether it keeps its word. */
static int is_good(int coding, int level, int64_t announced)
{
    const size_t before = now, len = announced < 0 ? ALL : (size_t)announced;
    peak = now;
    struct codec *c = codec_new(coding, level, announced);
    int rc = c ? CS_OK : CS_NOMEM;
    for (size_t at = 0; at < len && rc == CS_OK; at += PIECE) {
        const size_t n = len - at < PIECE ? len - at : PIECE;
        const int how = at + n == len ? CODEC_END : at / PIECE % 3 == 2 ? CODEC_FLUSH : CODEC_MORE;
        rc = codec_put(c, (cs_str){data + at, n}, how, drop, NULL);
    }
    codec_free(c);
    const size_t took = peak - before, need = codec_need(coding, level, announced);
    if (rc == CS_OK && took <= need && now == before)
        return 1;
    printf("%s, level %d, %ld bytes: result %d, %zu of %zu bytes, %zu kept\n", codec_name(coding),
           level, (long)announced, rc, took, need, now - before);
    return 0;
}

int main(void)
{
    static const int64_t lens[] = {-1, 1000, 1025, 20000, 70000, 150000, ALL};
    static const int most[CODEC_COUNT] = {9, 6, 9};
    int rows = 0, bad = 0;
    for (int kind = 0; kind < 3; kind++) {
        fill(kind);
        for (int coding = 0; coding < CODEC_COUNT; coding++)
            for (int level = coding == CODEC_BR ? 0 : 1; level <= most[coding]; level++)
                for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++, rows++)
                    bad += codec_is_there(coding) && !is_good(coding, level, lens[i]);
    }
    printf("rows: %d\n", rows);
    return bad > 0;
}
