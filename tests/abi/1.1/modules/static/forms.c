/* forms.c - a sibling is used as long as it is not older than the file: who has changed the file and forgotten the sibling must
 * not see the old text. Which ones there are is known with the file, for `cache_valid`, so that siblings that are not there cost
 * nothing. */
#include "forms.h"

static const struct {
    const char *suffix, *coding;
} kinds[] = {{"zst", "zstd"}, {"br", "br"}, {"gz", "gzip"}};

enum {
    KINDS = sizeof kinds / sizeof kinds[0]
};

static int kind_of(cs_str suffix)
{
    for (int i = 0; i < KINDS; i++)
        if (cs_eq(suffix, kinds[i].suffix))
            return i;
    return -1;
}

const char *forms_coding(cs_str suffix)
{
    const int kind = kind_of(suffix);
    return kind < 0 ? NULL : kinds[kind].coding;
}

static int is_older(const struct file *a, const struct file *b)
{
    const struct timespec *x = &a->st.st_mtim, *y = &b->st.st_mtim;
    return x->tv_sec < y->tv_sec || (x->tv_sec == y->tv_sec && x->tv_nsec < y->tv_nsec);
}

/* Why there is none for this request, while the next may find one. */
static const char not_now[] = "the server is too busy to look";

/* The sibling of that kind with a reference, or NULL and why there is none; *why NULL: that is not known yet. */
static struct file *look(cs_req *r, const struct conf *c, const struct file *f, int kind,
                         const char **why)
{
    char room[PATH_MOST + 8];
    struct file *sibling = NULL;
    *why = "not there";
    if (f->path.n > PATH_MOST)
        return NULL;
    memcpy(room, f->path.p, f->path.n);
    room[f->path.n] = '.';
    const size_t n = strlen(kinds[kind].suffix);
    memcpy(room + f->path.n + 1, kinds[kind].suffix, n);
    const int rc = find_file(r, c, (cs_str){room, f->path.n + 1 + n}, &sibling);
    if (rc < 0) {
        *why = rc == FIND_WAITS ? NULL : find_is_no_file(rc) ? *why : not_now;
        return NULL;
    }
    if (!is_older(sibling, f) && !sibling->fleeting)
        return sibling;
    *why = sibling->fleeting ? "being written" : "older than the file";
    file_unref(sibling);
    return NULL;
}

/* Looks for those that are not known of yet. False: a thread does. */
static _Bool find_out(cs_req *r, const struct conf *c, struct file *f, _Bool say)
{
    if (cs_now_ms() - f->forms_checked >= c->cache_valid) {
        f->forms_known = 0;
        f->forms_checked = cs_now_ms();
    }
    for (size_t i = 0; i < c->precompressed.n; i++) {
        const int kind = kind_of(c->precompressed.v[i]);
        const unsigned bit = kind < 0 ? 0 : 1u << kind;
        const char *why = NULL;
        if (!bit || (f->forms_known & bit))
            continue;
        struct file *sibling = look(r, c, f, kind, &why);
        if (!sibling && !why)
            return 0;
        f->forms_known |= why == not_now ? 0 : bit;
        f->forms = sibling ? f->forms | bit : f->forms & ~bit;
        if (say && !sibling)
            cs_say(r, "no sibling", "%.*s.%s: %s", CS_F(f->path), kinds[kind].suffix, why);
        if (sibling)
            file_unref(sibling);
    }
    return 1;
}

/* The kind that the client likes best, of equals the first of the settings; -1: the file as it is. */
static int best(cs_req *r, const struct conf *c, const struct file *f, _Bool say)
{
    int found = -1, weight = 0;
    for (size_t i = 0; i < c->precompressed.n; i++) {
        const int kind = kind_of(c->precompressed.v[i]);
        if (kind < 0 || !(f->forms & 1u << kind))
            continue;
        const int w = cs_coding_weight(r, kinds[kind].coding);
        if (say)
            cs_say(r, "sibling", "%.*s.%s, with weight %d", CS_F(f->path), kinds[kind].suffix,
                   w < 0 ? 0 : w);
        if (w > weight) {
            found = kind;
            weight = w;
        }
    }
    return found >= 0 && cs_coding_weight(r, "identity") <= weight ? found : -1;
}

static unsigned wanted(const struct conf *c)
{
    unsigned bits = 0;
    for (size_t i = 0; i < c->precompressed.n; i++)
        if (kind_of(c->precompressed.v[i]) >= 0)
            bits |= 1u << kind_of(c->precompressed.v[i]);
    return bits;
}

struct file *forms_choose(cs_req *r, const struct conf *c, struct file *f, _Bool say)
{
    const char *why = "";
    struct file *sibling = NULL;
    if (f->fleeting)
        return f;
    _Bool known = find_out(r, c, f, say);
    const int kind = known && f->forms & wanted(c) ? best(r, c, f, say) : -1;
    if (kind >= 0)
        sibling = look(r, c, f, kind, &why);
    known = known && (sibling || why);
    /* What is not known now may be there for the next. */
    if (known && (f->forms | ~f->forms_known) & wanted(c))
        cs_add_header(r, "Vary", "Accept-Encoding");
    if (known && !sibling)
        return f;
    if (sibling)
        cs_set_header(r, "Content-Encoding", kinds[kind].coding);
    file_unref(f);
    return sibling;
}
