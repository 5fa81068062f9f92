/* standalone.c - drives a fuzz target without libFuzzer:
 *
 *     x_fuzz [-n COUNT] FILE...
 *
 * Hands it the content of each file, then COUNT inputs made of them by chance, the same each time. Each is a block of exactly its
 * size, so that a sanitizer sees an over-read. What the target dies of is left beside the program, in x_fuzz.crash. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FILES 1024
#define LONGEST    4096 /* of what is made; files may be longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    uint8_t *p;
    size_t n;
};

static struct input corpus[MOST_FILES];
static size_t nfiles;

/* ---- What it dies of ---- */

static struct input current;
static char crash_path[512];

static void keep_input(void)
{
    FILE *f = fopen(crash_path, "wb");
    if (!f || fwrite(current.p, 1, current.n, f) != current.n || fclose(f) != 0)
        return;
    (void)fprintf(stderr, "the input is in %s\n", crash_path);
}

/* Nothing else is going on: the target has died in the one thread there is. */
static void on_death(int signum)
{
    signal(signum, SIG_DFL);
    keep_input();
    raise(signum);
}

/* With sanitizers only. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void watch(const char *program)
{
    static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    snprintf(crash_path, sizeof crash_path, "%s.crash", program);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        if (i == 0 || !__sanitizer_set_death_callback)
            signal(deadly[i], on_death);
}

static void run(const uint8_t *data, size_t size)
{
    current = (struct input){malloc(size ? size : 1), size};
    if (!current.p)
        abort();
    if (size)
        memcpy(current.p, data, size);
    LLVMFuzzerTestOneInput(current.p, size);
    free(current.p);
}

/* ---- Making inputs ---- */

static uint64_t seed = 1;

static size_t chance(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = (seed ^ seed >> 31) * 0x9e3779b97f4a7c15u;
    return (size_t)(x >> 33) % below;
}

/* Puts n bytes in the place of `out` bytes at `at`. */
static void splice(struct input *in, size_t at, size_t out, const void *bytes, size_t n)
{
    out = out < in->n - at ? out : in->n - at;
    n = n < LONGEST - (in->n - out) ? n : LONGEST - (in->n - out);
    memmove(in->p + at + n, in->p + at + out, in->n - at - out);
    memcpy(in->p + at, bytes, n);
    in->n = in->n - out + n;
}

static void spoil(struct input *in)
{
    static const char odd[] = "\0\n\r\t ,;:=\"\\%/+-.*{}$[]()019aAzZ\x7f\x80\xc3\xff";
    const struct input *other = &corpus[chance(nfiles)];
    const uint8_t any = (uint8_t)chance(256);
    uint8_t piece[32];
    size_t at = chance(in->n + 1), from = chance(other->n + 1);
    size_t n = chance(sizeof piece), there = in->n - at < n ? in->n - at : n;
    switch (chance(6)) {
    case 0:
        splice(in, at, chance(2), odd + chance(sizeof odd), 1);
        break;
    case 1:
        splice(in, at, 1, &any, 1);
        break;
    case 2:
        splice(in, at, n, "", 0);
        break;
    case 3:
        memcpy(piece, in->p + at, there);
        splice(in, chance(in->n + 1), 0, piece, there);
        break;
    case 4:
        splice(in, at, chance(8), other->p + from, other->n - from < n ? other->n - from : n);
        break;
    default:
        if (at < in->n)
            in->p[at] ^= (uint8_t)(1u << chance(8));
    }
}

static void run_made(void)
{
    uint8_t bytes[LONGEST];
    const struct input *from = &corpus[chance(nfiles)];
    struct input in = {bytes, from->n < LONGEST ? from->n : LONGEST};
    memcpy(bytes, from->p, in.n);
    for (size_t i = 1 + chance(6); i > 0; i--)
        spoil(&in);
    run(in.p, in.n);
}

/* ---- Files ---- */

/* 0 or -1. */
static int read_file(const char *path, struct input *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    bool good = end >= 0 && fseek(f, 0, SEEK_SET) == 0;
    if (good) {
        *out = (struct input){malloc((size_t)end + 1), (size_t)end};
        good = out->p && fread(out->p, 1, out->n, f) == out->n;
    }
    (void)fclose(f);
    return good ? 0 : -1;
}

int main(int argc, char **argv)
{
    unsigned long made = 0;
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "-n")) {
        made = strtoul(argv[2], NULL, 10);
        first = 3;
    }
    watch(argv[0]);
    for (int i = first; i < argc; i++) {
        if (nfiles == MOST_FILES) {
            (void)fprintf(stderr, "more than %d files\n", MOST_FILES);
            return 1;
        }
        if (read_file(argv[i], &corpus[nfiles]) < 0) {
            perror(argv[i]);
            return 1;
        }
        run(corpus[nfiles].p, corpus[nfiles].n);
        nfiles++;
    }
    for (unsigned long i = 0; nfiles && i < made; i++)
        run_made();
    printf("%zu files, %lu made of them\n", nfiles, nfiles ? made : 0);
    for (size_t i = 0; i < nfiles; i++)
        free(corpus[i].p);
    return nfiles ? 0 : 1;
}
