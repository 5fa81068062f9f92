#include "find.h"

#include "cache.h"

#include <sys/resource.h>

/* One cache for all sites and routes of this worker. */
static struct cache cache;
static int64_t small;

cs_counter *find_loads;

/* Files that stay open must leave most of the descriptors to connections. */
static size_t open_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
        return 1024;
    return (size_t)l.rlim_cur / 8;
}

int find_init(int64_t files, int64_t most_small)
{
    small = most_small;
    return cache_init(&cache, (size_t)files, open_limit());
}

_Bool find_is_ready(void)
{
    return cache.buckets != NULL;
}

/* What may follow links and what may not are two files, even under one name. */
static uint16_t place(const struct conf *c, uint16_t root)
{
    return (uint16_t)(c->symlinks == SYMLINKS_OFF ? root | FILE_NO_LINKS : root);
}

static int is_fresh(const struct conf *c, const struct file *f)
{
    return cs_now_ms() - f->checked < c->cache_valid;
}

struct file *find_fresh(const struct conf *c, uint16_t root, cs_str path)
{
    root = place(c, root);
    struct file *f = cache_find(&cache, cache_hash(root, path), root, path);
    return f && is_fresh(c, f) ? f : NULL;
}

/* Opens anew and puts it into the cache. */
static int load(cs_req *r, uint16_t root, cs_str path, uint64_t hash, struct file **out)
{
    int rc = file_open(r, root, path, small, out);
    if ((rc == -EMFILE || rc == -ENFILE) && cache_shed(&cache))
        rc = file_open(r, root, path, small, out);
    if (rc < 0)
        return rc;
    cs_counter_add(find_loads, 1);
    if ((*out)->fleeting || !cache.max)
        return 0;
    (*out)->refs++;
    cache_put(&cache, hash, *out);
    return 0;
}

int find_file(cs_req *r, const struct conf *c, cs_str path, struct file **out)
{
    const uint16_t root = place(c, cs_info(r)->root);
    const uint64_t hash = cache_hash(root, path);
    struct file *f = cache_find(&cache, hash, root, path);
    if (f && (is_fresh(c, f) || file_still(r, f)) && file_is_whole(f)) {
        f->refs++;
        *out = f;
        return 0;
    }
    if (f)
        cache_drop(&cache, f);
    return load(r, root, path, hash, out);
}

int find_folder(cs_req *r, const struct conf *c, cs_str path)
{
    struct file *f = NULL;
    const int rc = file_open(r, place(c, cs_info(r)->root), path, 0, &f);
    if (f)
        file_unref(f);
    return rc == 0 ? -ENOTDIR : rc;
}
