#include "lookup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    BUCKETS = 256
};

/* In the request's memory. */
struct answer {
    struct answer *next;
    uint16_t root;
    cs_str path;
    int rc;
    struct file *file;
};
/* In the list of the lookup that it waits for; at: what points to it, NULL = it waits for none. */
struct waiter {
    struct waiter *next, **at;
    cs_token request;
    _Bool takes; /* what is found is new enough for it; else it asks again */
};
struct errand {
    uint64_t since; /* lookups that had begun when the request came */
    struct answer *answers;
    struct waiter waiter;
};

struct lookup {
    struct lookup *next; /* in its bucket */
    uint64_t hash, serial;
    struct file_ask ask;
    struct file *old;
    enum file_disk *disk, found_disk;
    int64_t asked;
    atomic_bool begun; /* the thread has begun to look */
    _Bool again;
    int rc;
    struct file *found;
    struct waiter *waiters;
    char path[];
};

static cs_proc *proc;
static lookup_keep *keep;
static void (*resume)(cs_req *r);
static struct lookup *under_way[BUCKETS];
static uint64_t begun;
static struct file *to_close; /* by the age of the list: chain */

cs_counter *lookup_waits, *lookup_refused;

/* ---- Closing ---- */

static void close_work(void *arg)
{
    file_free(arg);
}

static void close_some(void *unused);

/* When there is no room for one more job, it is closed behind one that ends. */
static void close_later(struct file *f)
{
    if (cs_job(proc, close_work, close_some, f) == CS_OK)
        return;
    f->chain = to_close;
    to_close = f;
}

static void close_some(void *unused)
{
    (void)unused;
    struct file *f = to_close;
    to_close = NULL;
    while (f) {
        struct file *next = f->chain;
        close_later(f);
        f = next;
    }
}

void lookup_init(cs_proc *p, lookup_keep *to_keep, void (*to_resume)(cs_req *r))
{
    proc = p;
    keep = to_keep;
    resume = to_resume;
    file_close_slow = close_later;
}

_Bool lookup_is_ready(void)
{
    return proc != NULL;
}

/* ---- What a request knows ---- */

static void wait_no_more(struct waiter *w)
{
    if (!w->at)
        return;
    *w->at = w->next;
    if (w->next)
        w->next->at = w->at;
    w->at = NULL;
}

static void wait_for(struct waiter *w, struct waiter **list)
{
    wait_no_more(w); /* before a jump it may have waited for something else */
    w->next = *list;
    w->at = list;
    if (w->next)
        w->next->at = &w->next;
    *list = w;
}

static void forget(void *arg)
{
    struct errand *e = arg;
    wait_no_more(&e->waiter);
    for (const struct answer *a = e->answers; a; a = a->next)
        if (a->file)
            file_unref(a->file);
}

static struct errand *errand_of(cs_req *r)
{
    struct errand *e = cs_ctx(r);
    if (e)
        return e;
    e = cs_alloc(r, sizeof *e);
    if (!e)
        return NULL;
    *e = (struct errand){.since = begun};
    if (cs_on_close(r, forget, e) != CS_OK)
        return NULL;
    cs_ctx(r) = e;
    return e;
}

_Bool lookup_known(cs_req *r, uint16_t root, cs_str path, int *rc, struct file **out)
{
    const struct errand *e = cs_ctx(r);
    const struct answer *a = e ? e->answers : NULL;
    while (a && !(a->root == root && cs_str_eq(a->path, path)))
        a = a->next;
    if (!a)
        return 0;
    *rc = a->rc;
    if (a->file)
        a->file->refs++;
    *out = a->file;
    return 1;
}

/* Takes a reference of its own. */
static void tell(cs_req *r, const struct lookup *l, int rc, struct file *f)
{
    struct errand *e = errand_of(r);
    struct answer *a = e ? cs_alloc(r, sizeof *a) : NULL;
    const cs_str path = a ? cs_format(r, "%.*s", CS_F(l->ask.path)) : (cs_str){0};
    if (!path.p)
        return; /* it asks again */
    *a = (struct answer){e->answers, l->ask.root, path, rc, rc == 0 ? f : NULL};
    if (a->file)
        a->file->refs++;
    e->answers = a;
}

/* ---- Lookups ---- */

static void work(void *arg)
{
    struct lookup *l = arg;
    atomic_store(&l->begun, 1);
    if (l->disk)
        l->found_disk = file_disk(l->ask.at);
    l->rc = file_load(&l->ask, &l->found);
}

static struct lookup **find(uint64_t hash, uint16_t root, cs_str path)
{
    struct lookup **at = &under_way[hash % BUCKETS];
    while (*at &&
           !((*at)->hash == hash && (*at)->ask.root == root && cs_str_eq((*at)->ask.path, path)))
        at = &(*at)->next;
    return at;
}

static void done(void *arg);

/* Descriptors had run out, and the cache has let some go. */
static _Bool try_again(struct lookup *l)
{
    if (l->again || (l->rc != -EMFILE && l->rc != -ENFILE))
        return 0;
    l->again = 1;
    return cs_job(proc, work, done, l) == CS_OK;
}

/* Each may wait again, or end, with its memory. */
static void wake(const struct lookup *l, int rc, struct file *f)
{
    struct waiter *w;
    while ((w = l->waiters)) {
        cs_req *r = cs_from_token(w->request);
        wait_no_more(w);
        if (r && w->takes)
            tell(r, l, rc, f);
        if (r)
            resume(r);
    }
}

static void done(void *arg)
{
    struct lookup *l = arg;
    struct file *f = NULL;
    const int rc = keep(&l->ask, l->hash, l->rc, l->found, l->old, l->asked, &f);
    if (try_again(l))
        return;
    *find(l->hash, l->ask.root, l->ask.path) = l->next;
    if (l->disk && !*l->disk)
        *l->disk = l->found_disk;
    wake(l, rc, f);
    if (f)
        file_unref(f);
    if (l->old)
        file_unref(l->old);
    free(l);
    close_some(NULL);
}

static struct lookup *begin(const struct file_ask *ask, uint64_t hash, struct file *old,
                            enum file_disk *disk)
{
    struct lookup *l = calloc(1, sizeof *l + ask->path.n);
    if (!l)
        return NULL;
    memcpy(l->path, ask->path.p, ask->path.n);
    l->ask = *ask;
    l->ask.path.p = l->path;
    l->hash = hash;
    l->old = old;
    l->disk = disk;
    l->asked = cs_now_ms();
    if (cs_job(proc, work, done, l) != CS_OK) {
        free(l);
        return NULL;
    }
    l->serial = ++begun;
    if (old)
        old->refs++;
    l->next = under_way[hash % BUCKETS];
    under_way[hash % BUCKETS] = l;
    return l;
}

int lookup_wait(cs_req *r, const struct file_ask *ask, uint64_t hash, struct file *old,
                enum file_disk *disk, int64_t valid)
{
    struct errand *e = errand_of(r);
    if (!e)
        return -ENOMEM;
    struct lookup *l = *find(hash, ask->root, ask->path);
    if (!l)
        l = begin(ask, hash, old, disk);
    if (!l) {
        cs_counter_add(lookup_refused, 1);
        return -EBUSY;
    }
    /* What has begun before the request came may have seen the disk as it was before a change that the client knows of. */
    e->waiter.takes =
        l->serial > e->since || !atomic_load(&l->begun) || cs_now_ms() - l->asked < valid;
    e->waiter.request = cs_token_of(r);
    wait_for(&e->waiter, &l->waiters);
    cs_counter_add(lookup_waits, 1);
    return 0;
}
