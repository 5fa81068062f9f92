#include "find.h"

#include "cache.h"
#include "lookup.h"

#include <stdlib.h>
#include <sys/resource.h>

/* One cache for all sites and routes of this worker. */
static struct cache cache;
static int64_t small;

/* The roots of sites, by number: a descriptor each, for as long as the worker lives. */
struct place {
    int fd;
    enum file_disk disk;
};
static struct place **places;
static size_t nplaces;

cs_counter *find_loads;

/* Files that stay open must leave most of the descriptors to connections. */
static size_t open_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
        return 1024;
    return (size_t)l.rlim_cur / 8;
}

/* What has been found goes into the cache, in place of what was there. */
static int keep(const struct file_ask *ask, uint64_t hash, int rc, struct file *found,
                struct file *old, int64_t asked, struct file **out)
{
    struct file *there = cache_find(&cache, hash, ask->root, ask->path);
    if (rc == FILE_SAME) {
        old->checked = asked;
        old->refs++;
        *out = old;
        return 0;
    }
    const _Bool newer = there && there->checked > asked;
    if (there && !newer)
        cache_drop(&cache, there);
    if (rc == -EMFILE || rc == -ENFILE)
        cache_shed(&cache);
    if (rc < 0)
        return rc;
    cs_counter_add(find_loads, 1);
    file_tell(found, asked);
    *out = found;
    if (found->fleeting || !cache.max || newer)
        return 0;
    found->refs++;
    cache_put(&cache, hash, found);
    return 0;
}

int find_init(int64_t files, int64_t most_small, cs_proc *p, void (*resume)(cs_req *r))
{
    small = most_small;
    if (p)
        lookup_init(p, keep, resume);
    return cache_init(&cache, (size_t)files, open_limit());
}

_Bool find_is_ready(void)
{
    return cache.buckets != NULL;
}

/* What may follow links and what may not are two files, even under one name. */
static uint16_t root_of(const struct conf *c, uint16_t root)
{
    return (uint16_t)(c->symlinks == SYMLINKS_OFF ? root | FILE_NO_LINKS : root);
}

static int is_fresh(const struct conf *c, const struct file *f)
{
    return cs_now_ms() - f->checked < c->cache_valid;
}

struct file *find_fresh(const struct conf *c, uint16_t root, cs_str path)
{
    root = root_of(c, root);
    struct file *f = cache_find(&cache, cache_hash(root, path), root, path);
    return f && is_fresh(c, f) ? f : NULL;
}

/* NULL: out of memory or descriptors. */
static struct place *place_of(cs_req *r)
{
    const size_t i = cs_info(r)->root;
    if (i >= nplaces) {
        struct place **more = realloc(places, (i + 1) * sizeof(struct place *));
        if (!more)
            return NULL;
        memset(more + nplaces, 0, (i + 1 - nplaces) * sizeof(struct place *));
        places = more;
        nplaces = i + 1;
    }
    if (places[i])
        return places[i];
    struct place *p = malloc(sizeof *p);
    const int fd = p ? cs_root_open(r, "") : -1;
    if (fd < 0) {
        free(p);
        return NULL;
    }
    *p = (struct place){.fd = fd};
    return places[i] = p;
}

/* Permissions are the operator's affair, so the log says what the client's 403 does not. */
static void tell_operator(cs_str path, int rc)
{
    if (rc == -EACCES || rc == -EPERM)
        cs_log(CS_WARN, "\"%.*s\" is no file that the workers' user may read: %s", CS_F(path),
               strerror(-rc));
}

static void let_go(struct file **f)
{
    if (*f)
        file_unref(*f);
    *f = NULL;
}

/* Looks itself, as far as that may be. -EAGAIN: a thread has to. What was there is let go of where descriptors have run out: it may
 * have one. */
static int look_here(struct file_ask *ask, uint64_t hash, struct file **old, struct file **out)
{
    const int64_t now = cs_now_ms();
    struct file *found = NULL;
    int rc = file_load(ask, &found);
    if ((rc == -EMFILE || rc == -ENFILE) && cache_shed(&cache)) {
        ask->old = NULL;
        let_go(old);
        rc = file_load(ask, &found);
    }
    if (rc == -EAGAIN)
        return rc;
    tell_operator(ask->path, rc);
    return keep(ask, hash, rc, found, *old, now, out);
}

/* Not in the cache, or not any more what it was: *old, of which the caller has a reference. */
static int find_out(cs_req *r, const struct conf *c, uint16_t root, cs_str path, uint64_t hash,
                    struct file **old, struct file **out)
{
    struct place *p = place_of(r);
    if (!p)
        return -EMFILE;
    struct file_ask ask = {.at = p->fd,
                           .root = root,
                           .path = path,
                           .small = small,
                           .old = *old,
                           .no_wait = lookup_is_ready(),
                           .disk = p->disk};
    int rc;
    if (ask.no_wait && lookup_known(r, root, path, &rc, out)) {
        tell_operator(path, rc);
        return rc;
    }
    rc = !ask.no_wait || p->disk >= FILE_DISK_LOCAL ? look_here(&ask, hash, old, out) : -EAGAIN;
    if (rc != -EAGAIN)
        return rc;
    ask.no_wait = 0;
    rc = lookup_wait(r, &ask, hash, *old, p->disk ? NULL : &p->disk, c->cache_valid);
    return rc < 0 ? rc : FIND_WAITS;
}

int find_file(cs_req *r, const struct conf *c, cs_str path, struct file **out)
{
    const uint16_t root = root_of(c, cs_info(r)->root);
    const uint64_t hash = cache_hash(root, path);
    struct file *f = cache_find(&cache, hash, root, path);
    if (f && is_fresh(c, f) && file_is_whole(f)) {
        f->refs++;
        *out = f;
        return 0;
    }
    /* The cache may drop it meanwhile. */
    if (f)
        f->refs++;
    const int rc = find_out(r, c, root, path, hash, &f, out);
    let_go(&f);
    return rc;
}

int find_folder(cs_req *r, const struct conf *c, cs_str path)
{
    const uint16_t root = root_of(c, cs_info(r)->root);
    struct file *f = NULL, *none = NULL;
    const int rc = find_out(r, c, root, path, cache_hash(root, path), &none, &f);
    let_go(&f);
    return rc == 0 ? -ENOTDIR : rc;
}
