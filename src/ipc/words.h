/* words.h - copying into and out of shared memory that another process may be writing at the same moment. By relaxed
 * atomic words, so that such a copy is merely wrong (and thrown away by who notices) and never undefined.
 *
 * With -DWORDS_PLAIN by memcpy: ThreadSanitizer then reports every copy that the protocol does not keep apart from a
 * write. Only where nobody is evicted in the middle of a copy (tests/unit/ipc/mailbox_threads.c). */
#ifndef IPC_WORDS_H
#define IPC_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef WORDS_PLAIN
static inline void words_store(_Atomic uint64_t *to, const void *from, size_t n)
{
    if (n)
        memcpy((void *)to, from, n);
}

static inline void words_load(const _Atomic uint64_t *from, void *to, size_t n)
{
    if (n)
        memcpy(to, (const void *)from, n);
}
#else
/* Stores n bytes, the last word filled with zeroes. */
static inline void words_store(_Atomic uint64_t *to, const void *from, size_t n)
{
    const char *p = from;
    uint64_t word;

    for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        atomic_store_explicit(to++, word, memory_order_relaxed);
    }
    if (n) {
        word = 0;
        memcpy(&word, p, n);
        atomic_store_explicit(to, word, memory_order_relaxed);
    }
}

static inline void words_load(const _Atomic uint64_t *from, void *to, size_t n)
{
    char *p = to;
    uint64_t word;

    for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
        word = atomic_load_explicit(from++, memory_order_relaxed);
        memcpy(p, &word, sizeof(word));
    }
    if (n) {
        word = atomic_load_explicit(from, memory_order_relaxed);
        memcpy(p, &word, n);
    }
}
#endif

#endif
