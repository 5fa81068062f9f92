/* names.c - a name is an entry: in the hash from the first question on, and in one of the lists below while it is not just
 * being asked for.
 *
 *     asked -> ready (somebody waits for the answer) -> kept -> asked again when it is too old, or evicted
 *
 * Who waits is told from a task, so what they do never happens inside c-ares. */
#include "net/names.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/resolver.h"

#include <stdlib.h>

#define BUCKETS 1024

_Static_assert(NAMES_ADDRESSES >= RESOLVER_ADDRESSES, "an answer has room");

struct entry {
    struct list node;   /* in ready or kept, else alone */
    struct entry *next; /* of its bucket */
    struct names *names;
    uint64_t hash;
    bool asked;         /* c-ares has it */
    uint64_t until;     /* clock_ms: what is in `answer` holds until then */
    struct timer limit; /* while somebody may wait */
    struct list waits;
    struct resolver_answer answer;
    size_t len;
    char name[];
};

struct names {
    struct loop *loop;
    struct names_setup setup;
    struct resolver *resolver;
    struct entry **buckets; /* NULL before the first name */
    size_t count;
    struct list ready, kept; /* kept: the oldest answer first */
    struct loop_task deliver;
    bool delivering;
};

/* ---- Answers ---- */

static void fill(struct names_found *f, const struct resolver_answer *a, uint16_t port)
{
    f->error = a->error;
    f->text = host_error_text(a->error);
    f->n = a->n;
    for (unsigned i = 0; i < a->n; i++)
        f->v[i].len = host_addr_put(&a->v[i], port, &f->v[i].addr);
}

static bool fill_error(struct names_found *f, enum host_error error)
{
    f->error = error;
    f->text = host_error_text(error);
    f->n = 0;
    return true;
}

static bool fill_text(struct names_found *f, const union host_addr *a, uint16_t port)
{
    fill_error(f, HOST_FOUND);
    f->n = 1;
    f->v[0].len = host_addr_put(a, port, &f->v[0].addr);
    return true;
}

static uint64_t keep_ms(const struct resolver_answer *a)
{
    uint64_t ms = (uint64_t)a->ttl * 1000;
    if (a->error != HOST_FOUND)
        return NAMES_FAILED_MS;
    if (a->local)
        return NAMES_LOCAL_MS;
    return ms < NAMES_LEAST_MS ? NAMES_LEAST_MS : ms > NAMES_MOST_MS ? NAMES_MOST_MS : ms;
}

/* ---- Entries ---- */

static uint64_t hash_of(const char *name, size_t len)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static struct entry **bucket_of(struct names *n, uint64_t hash)
{
    return &n->buckets[hash % BUCKETS];
}

static struct entry *entry_find(struct names *n, const char *name, size_t len, uint64_t hash)
{
    struct entry *e = *bucket_of(n, hash);
    while (e && !(e->hash == hash && e->len == len && memcmp(e->name, name, len) == 0))
        e = e->next;
    return e;
}

static void entry_free(struct entry *e)
{
    struct names *n = e->names;
    struct entry **at = bucket_of(n, e->hash);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    timer_clear(&n->loop->timers, &e->limit);
    list_remove(&e->node);
    LIST_EACH(it, &e->waits)
    {
        list_remove(it);
    }
    n->count--;
    free(e);
}

static void on_limit(struct timer *t);

/* NULL: every one of them is being looked up. */
static struct entry *entry_new(struct names *n, const char *name, size_t len, uint64_t hash)
{
    struct entry *e, **bucket = bucket_of(n, hash);
    if (n->count == NAMES_MOST && list_empty(&n->kept))
        return NULL;
    if (n->count == NAMES_MOST)
        entry_free(CONTAINER_OF(list_first(&n->kept), struct entry, node));
    e = mem_alloc(sizeof *e + len + 1);
    e->names = n;
    e->hash = hash;
    e->len = len;
    memcpy(e->name, name, len);
    list_init(&e->node);
    list_init(&e->waits);
    timer_init(&e->limit, on_limit);
    e->next = *bucket;
    *bucket = e;
    n->count++;
    return e;
}

/* ---- Questions ---- */

/* There is something to say, for a while. */
static void settle(struct entry *e, uint64_t ms)
{
    struct names *n = e->names;
    timer_clear(&n->loop->timers, &e->limit);
    e->until = clock_ms() + ms;
    list_remove(&e->node);
    if (!list_empty(&e->waits)) {
        list_add_tail(&n->ready, &e->node);
        loop_later(n->loop, &n->deliver);
    } else if (!e->asked) {
        list_add_tail(&n->kept, &e->node);
    }
}

static void on_answer(void *who, const struct resolver_answer *a)
{
    struct entry *e = who;
    e->asked = false;
    e->answer = *a;
    settle(e, keep_ms(a));
}

/* c-ares goes on, for it has no way to take one query back: its answer is used when it comes after all. */
static void on_limit(struct timer *t)
{
    struct entry *e = CONTAINER_OF(t, struct entry, limit);
    e->answer = (struct resolver_answer){.error = HOST_SILENT};
    settle(e, NAMES_FAILED_MS);
}

static void ask(struct entry *e)
{
    e->asked = true;
    list_remove(&e->node);
    resolver_ask(e->names->resolver, e->name, on_answer, e);
}

/* One wait more, within the time limit of the query; one that has been given up gets another. */
static void wait_for(struct entry *e, uint16_t port, struct names_wait *w)
{
    struct names *n = e->names;
    if (!timer_is_set(&e->limit))
        timer_set(&n->loop->timers, &e->limit,
                  n->setup.limit_ms ? n->setup.limit_ms : NAMES_LIMIT_MS);
    w->port = port;
    list_add_tail(&e->waits, &w->node);
}

/* What done does may evict the entry, so it works on copies. */
static void tell(struct entry *e)
{
    struct resolver_answer a = e->answer;
    struct names_found f;
    struct list waits, *node;
    struct names *n = e->names;
    waits = e->waits; /* not empty, or it would not be ready; but all may have been dropped since */
    list_remove(&e->node);
    if (!e->asked)
        list_add_tail(&n->kept, &e->node);
    if (list_empty(&e->waits))
        return;
    waits.next->prev = waits.prev->next = &waits;
    list_init(&e->waits);
    while ((node = list_first(&waits))) {
        struct names_wait *w = CONTAINER_OF(node, struct names_wait, node);
        list_remove(node);
        fill(&f, &a, w->port);
        w->done(w, &f);
    }
}

static void on_deliver(struct loop_task *task)
{
    struct names *n = CONTAINER_OF(task, struct names, deliver);
    struct list *node;
    n->delivering = true;
    while ((node = list_first(&n->ready)))
        tell(CONTAINER_OF(node, struct entry, node));
    n->delivering = false;
}

/* ---- What others call ---- */

struct names *names_new(struct loop *loop)
{
    struct names *n = mem_alloc(sizeof *n);
    n->loop = loop;
    n->deliver.run = on_deliver;
    list_init(&n->deliver.node);
    list_init(&n->ready);
    list_init(&n->kept);
    return n;
}

void names_set_up(struct names *n, const struct names_setup *s)
{
    check(!n->buckets);
    n->setup = *s;
}

void names_free(struct names *n)
{
    if (!n)
        return;
    check(!n->delivering);
    resolver_free(n->resolver);
    for (size_t i = 0; n->buckets && i < BUCKETS; i++)
        while (n->buckets[i])
            entry_free(n->buckets[i]);
    list_remove(&n->deliver.node);
    free(n->buckets);
    free(n);
}

static void begin(struct names *n)
{
    struct resolver_options o = {
        .conf = n->setup.resolv_conf, .port = n->setup.port, .timeout_ms = n->setup.timeout_ms};
    n->resolver = resolver_new(n->loop, &o);
    n->buckets = mem_alloc(BUCKETS * sizeof *n->buckets);
}

bool names_find(struct names *n, cs_str host, uint16_t port, struct names_found *f,
                struct names_wait *w)
{
    char name[HOST_ROOM];
    union host_addr a;
    check(!w->node.next || list_empty(&w->node));
    if (host_addr_parse(host, &a))
        return fill_text(f, &a, port);
    size_t len = host_name_put(host, name);
    if (!len)
        return fill_error(f, HOST_BAD);
    if (!n->buckets)
        begin(n);
    uint64_t hash = hash_of(name, len);
    struct entry *e = entry_find(n, name, len, hash);
    if (!e && !(e = entry_new(n, name, len, hash)))
        return fill_error(f, HOST_BUSY);
    if (e->until <= clock_ms() && !e->asked)
        ask(e);
    if (e->until > clock_ms()) {
        fill(f, &e->answer, port);
        return true;
    }
    wait_for(e, port, w);
    return false;
}

void names_drop(struct names_wait *w)
{
    if (w->node.next)
        list_remove(&w->node);
}
