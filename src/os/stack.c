/* stack.c - see stack.h. */
#include "os/stack.h"

#include "base/check.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#if FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define UNSEEN __attribute__((no_sanitize_address))
#else
#define UNSEEN
#endif

/* Frames larger than a page are common, and not everybody's compiler touches each page in turn. */
#define GUARD ((size_t)256 * 1024) /* a function with a large array does not jump over it */
#define ALIGN ((size_t)64)
#define LOOKS 256 /* pages asked for at once */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

void stack_pool_init(struct stack_pool *p, size_t size, unsigned max_spare)
{
    *p = (struct stack_pool){.size = size, .max_spare = max_spare};
}

/* ---- Mapping ---- */

/* With room for the guard below. Nothing is reserved, and no huge page is taken for the few bytes that most of them use. */
static char *map(size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *at = mmap(NULL, GUARD + size, PROT_NONE, flags, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (mprotect(at + GUARD, size, PROT_READ | PROT_WRITE) < 0) {
        int error = errno;
        munmap(at, GUARD + size);
        errno = error;
        return NULL;
    }
    madvise(at + GUARD, size, MADV_NOHUGEPAGE);
    return at + GUARD;
}

static struct stack *stack_new(struct stack_pool *p)
{
    size_t size = round_up(p->size * STACK_SCALE, page_size());
    char *low = map(size);
    if (!low)
        return NULL;
    size_t usable = size - round_up(sizeof(struct stack), ALIGN);
    struct stack *s = (struct stack *)(void *)(low + usable);
    *s = (struct stack){.low = low, .size = usable};
    p->nstacks++;
    p->changed = true;
    return s;
}

static void stack_free(struct stack_pool *p, struct stack *s)
{
    size_t size = s->size + round_up(sizeof *s, ALIGN);
#if FIBER_ASAN
    __asan_unpoison_memory_region(s->low, size); /* something else may be mapped there */
#endif
    check(munmap(s->low - GUARD, GUARD + size) == 0);
    p->nstacks--;
    p->changed = true;
}

/* ---- How deep ---- */

/* Offset of the first byte in use that is not zero, in words; size: none is. */
UNSEEN static size_t first_used(const char *at, size_t size)
{
    const volatile uint64_t *word = (const volatile uint64_t *)(const volatile void *)at;
    size_t n = 0;
    while (n < size && word[n / sizeof *word] == 0)
        n += sizeof *word;
    return n;
}

/* Of the memory from `at`, which ends at `size`; pages that nobody has touched are passed over. */
static size_t first_touched(char *at, size_t size)
{
    unsigned char there[LOOKS];
    size_t page = page_size(), batch = LOOKS * page;
    for (size_t from = 0; from < size; from += batch) {
        size_t length = size - from < batch ? size - from : batch;
        if (mincore(at + from, length, there) < 0)
            return size;
        for (size_t k = 0; k < length; k += page) {
            size_t some = length - k < page ? length - k : page;
            size_t n = there[k / page] & 1 ? first_used(at + from + k, some) : some;
            if (n < some)
                return from + k + n;
        }
    }
    return size;
}

size_t stack_used(const struct stack *s)
{
    return s->size - first_touched(s->low, s->size);
}

/* ---- Taking and giving ---- */

struct stack *stack_take_slow(struct stack_pool *p)
{
    struct stack *s = p->spare;
    if (s) {
        p->spare = s->next;
        p->nspare--;
    } else {
        s = stack_new(p);
    }
    if (!s)
        return NULL;
    s->uses++;
#if FIBER_ASAN
    __lsan_register_root_region(s->low, s->size);
#endif
    return s;
}

void stack_give_slow(struct stack_pool *p, struct stack *s)
{
#if FIBER_ASAN
    __lsan_unregister_root_region(s->low, s->size);
#endif
    if ((s->uses & (s->uses - 1)) == 0) {
        size_t used = stack_used(s);
        p->changed = p->changed || used > p->peak;
        p->peak = used > p->peak ? used : p->peak;
    }
    if (p->nspare >= p->max_spare) {
        stack_free(p, s);
        return;
    }
    s->next = p->spare;
    p->spare = s;
    p->nspare++;
}

void stack_pool_drain(struct stack_pool *p)
{
    while (p->spare) {
        struct stack *s = p->spare;
        p->spare = s->next;
        p->nspare--;
        stack_free(p, s);
    }
}

bool stack_guards(const struct stack *s, uintptr_t address)
{
    uintptr_t low = (uintptr_t)s->low;
    return address < low && address >= low - GUARD;
}
