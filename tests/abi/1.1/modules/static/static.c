/* static.c - serves the files of a site: index files, fallbacks, validators; what is not there is
 * left to the next handler, or to the server's 404.
 *
 *   handler: is the file in the cache and fresh? ------------------> answer (no system call)
 *      |      (where the disk has to be asked: a thread does, and then from the start again)
 *      look up: file, index of the folder, try_files in order -----> answer, redirect, 403, another path
 *      |
 *      nothing there ---------------------------------------------> CS_DECLINED
 *
 * Ranges, conditions, HEAD and sending are the server's; opening beneath the site's root is too, so
 * that neither ".." nor a link leads out. */
#include "find.h"
#include "forms.h"
#include "keep.h"
#include "listing.h"
#include "lookup.h"

#include <stdlib.h>

static const char *const slash_words[] = {"redirect", "canonical", "keep", NULL};

static const char *const symlinks_words[] = {"beneath", "off", NULL};
static const char *const listing_words[] = {"off", "html", "json", NULL};

enum {
    IS_LISTED = -10000 /* a folder without an index, whose names may be told: beside all of errno */
};

static _Bool explaining;

static int is_read(const cs_req_info *q)
{
    return cs_eq(q->method, "GET") || cs_eq(q->method, "HEAD");
}

/* There is a file, but not for this method. A method that HTTP does not know is left to whoever
 * does. */
static int not_allowed(cs_req *r)
{
    const int options = cs_is(r, "OPTIONS");
    if (!options && !cs_is(r, "POST") && !cs_is(r, "PUT") && !cs_is(r, "DELETE") &&
        !cs_is(r, "PATCH"))
        return CS_DECLINED;
    cs_set_header(r, "Allow", CS_S("GET, HEAD, OPTIONS"));
    return options ? cs_reply(r, 204, NULL, CS_S("")) : 405;
}

/* Takes over one reference to f. */
static int answer(cs_req *r, const struct conf *c, struct file *f)
{
    if (!is_read(cs_info(r))) {
        file_unref(f);
        return not_allowed(r);
    }
    const char *type = f->type;
    const cs_str keep = keep_for(c, f->path, type);
    if (c->precompressed.n && !(f = forms_choose(r, c, f, explaining)))
        return CS_PENDING;
    if (explaining)
        cs_say(r, "file", "%.*s", CS_F(f->path));
    if (keep.n)
        cs_set_header(r, "Cache-Control", keep);
    if (f->etag.n)
        cs_validators(r, f->etag, f->mtime);
    const cs_str data = {f->data, (size_t)f->size};
    if (f->data)
        return cs_reply_ref(r, 200, type, data, file_unref, f);
    return cs_reply_file(r, 200, type, f->fd, 0, f->size, file_unref, f);
}

/* a + b in `room`; empty when it does not fit. */
static cs_str joined(char *room, cs_str a, cs_str b)
{
    if (a.n + b.n > PATH_MOST)
        return (cs_str){room, 0};
    memcpy(room, a.p, a.n);
    memcpy(room + a.n, b.p, b.n);
    return (cs_str){room, a.n + b.n};
}

static int is_folder_name(cs_str path)
{
    return path.p[path.n - 1] == '/';
}

/* The way of nearly all requests: the file, or the first index of the folder, is at hand. */
static struct file *at_hand(const struct conf *c, const cs_req_info *q)
{
    char room[PATH_MOST];
    cs_str path = q->path;
    if (is_folder_name(path))
        path = c->index.n ? joined(room, path, c->index.v[0]) : (cs_str){room, 0};
    if (!path.n)
        return NULL;
    struct file *f = find_fresh(c, q->root, path);
    return f && (c->dotfiles || !f->hidden) && file_is_whole(f) ? f : NULL;
}

/* The index of a folder; when the folder has none, IS_LISTED or -EACCES. */
static int look_index(cs_req *r, const struct conf *c, cs_str folder, struct file **out)
{
    char room[PATH_MOST];
    for (size_t i = 0; i < c->index.n; i++) {
        cs_str path = joined(room, folder, c->index.v[i]);
        int rc = path.n ? find_file(r, c, path, out) : -ENAMETOOLONG;
        if (!find_is_missing(rc) && rc != -EISDIR)
            return rc;
    }
    const int rc = find_folder(r, c, folder);
    return rc != -EISDIR ? rc : c->listing == LISTING_OFF ? -EACCES : IS_LISTED;
}

static int look(cs_req *r, const struct conf *c, cs_str path, struct file **out)
{
    int rc = is_folder_name(path) ? look_index(r, c, path, out) : find_file(r, c, path, out);
    if (explaining && rc < 0 && rc != -EISDIR && rc != IS_LISTED)
        cs_say(r, "no file", "%.*s%s: %s", CS_F(path),
               is_folder_name(path) ? ", or an index in it" : "", strerror(-rc));
    return rc;
}

/* What variables have made of a path may be anything: here it has to be what the path of a request is. */
static int is_path(cs_str s)
{
    if (!s.n || s.p[0] != '/')
        return 0;
    for (size_t i = 0; i < s.n; i++) {
        const cs_str rest = {s.p + i, s.n - i};
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return 0;
        if (cs_starts(rest, "/./") || cs_starts(rest, "/../") || cs_eq(rest, "/.") ||
            cs_eq(rest, "/.."))
            return 0;
    }
    return 1;
}

static int look_alternative(cs_req *r, const struct conf *c, const cs_template *t,
                            struct file **out)
{
    cs_str path = cs_expand(r, t, CS_ESCAPE_NONE);
    if (!path.p)
        return -ENOMEM;
    if (!t->constant && (!is_path(path) || (!c->dotfiles && path_hidden(path))))
        return -ENOENT;
    const int rc = look(r, c, path, out);
    return rc == -EISDIR ? -ENOENT : rc == IS_LISTED ? -EACCES : rc;
}

/* "@/path": routes are searched again. Not for the path that has led here. */
static int go_on(cs_req *r, const cs_req_info *q, const cs_template *t)
{
    cs_str to = cs_expand(r, t, CS_ESCAPE_URL), here = cs_escape(r, CS_ESCAPE_PATH, q->path);
    if (!to.p || !here.p)
        return -ENOMEM;
    to = (cs_str){to.p + 1, to.n - 1};
    const cs_str path = {to.p, (size_t)(strchrnul(to.p, '?') - to.p)};
    return !cs_str_eq(path, here) && cs_jump(r, to) == CS_OK ? 0 : -ENOENT;
}

/* The alternatives of try_files: 0 and a file, or none where the request goes on elsewhere; -errno, or a status above 0. */
static int look_alternatives(cs_req *r, const struct conf *c, struct file **out)
{
    int rc = -ENOENT;
    for (size_t i = 0; i < c->try_files.n && find_is_missing(rc); i++) {
        const cs_template *t = c->try_files.v[i];
        if (t->text.p[0] == '=')
            return atoi(t->text.p + 1);
        rc = t->text.p[0] == '@' ? go_on(r, cs_info(r), t) : look_alternative(r, c, t, out);
    }
    return rc;
}

/* The path that it stands for, and the query as it came. */
static int to_path(cs_req *r, const cs_req_info *q, cs_str path, const char *end)
{
    if (!is_read(q))
        return not_allowed(r);
    path = cs_escape(r, CS_ESCAPE_PATH, path);
    if (!path.p)
        return CS_NOMEM;
    cs_str address =
        cs_format(r, "%.*s%s%s%.*s", CS_F(path), end, q->query.n ? "?" : "", CS_F(q->query));
    if (!address.p)
        return CS_NOMEM;
    int rc = cs_set_header(r, "Location", address);
    return rc == CS_OK ? 301 : rc;
}

/* A folder was asked for without its slash: relative links on its page would go wrong. */
static int to_folder(cs_req *r, const struct conf *c, const cs_req_info *q, struct file **out)
{
    char room[PATH_MOST];
    if (c->slash != SLASH_KEEP)
        return to_path(r, q, q->path, "/");
    const cs_str folder = joined(room, q->path, CS_S("/"));
    return folder.n ? look(r, c, folder, out) : -ENAMETOOLONG;
}

/* Is there a file of that name without the slash at its end? 0 or 1; below 0: that is not known. */
static int is_file_with_slash(cs_req *r, const struct conf *c, const cs_req_info *q)
{
    struct file *f = NULL;
    const cs_str path = {q->path.p, q->path.n - 1};
    if (c->slash != SLASH_CANONICAL || q->path.n < 2 || !is_folder_name(q->path))
        return 0;
    const int rc = find_file(r, c, path, &f);
    if (rc < 0)
        return find_is_no_file(rc) ? 0 : rc;
    file_unref(f);
    return 1;
}

static int too_busy(cs_req *r)
{
    cs_set_header(r, "Retry-After", "1");
    return 503;
}

static int failed(cs_req *r, int rc)
{
    if (rc == -EACCES || rc == -EPERM)
        return 403;
    if (rc == -EBUSY)
        return too_busy(r);
    const int busy = rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -EAGAIN;
    return cs_fail(r, busy ? 503 : 500, "cannot open the file: %s", strerror(-rc));
}

/* The folder's names, at the address that ends with "/": they are links from there. */
static int list(cs_req *r, const struct conf *c, const cs_req_info *q)
{
    if (!is_read(q))
        return not_allowed(r);
    if (!is_folder_name(q->path))
        return to_path(r, q, q->path, "/");
    if (!explaining)
        return listing_answer(r, c, q->path);
    cs_say(r, "listing", "%.*s, at most %lld names", CS_F(q->path), (long long)c->listing_most);
    return cs_reply(r, 200, listing_type(c), "");
}

static int search(cs_req *r, const struct conf *c, const cs_req_info *q)
{
    struct file *f = NULL;
    if (!c->dotfiles && path_hidden(q->path))
        return CS_DECLINED;
    int rc = look(r, c, q->path, &f);
    if (rc == -EISDIR)
        rc = to_folder(r, c, q, &f);
    const int without = find_is_missing(rc) ? is_file_with_slash(r, c, q) : 0;
    if (without > 0)
        return to_path(r, q, (cs_str){q->path.p, q->path.n - 1}, "");
    if (find_is_missing(rc))
        rc = without < 0 ? without : look_alternatives(r, c, &f);
    if (rc == FIND_WAITS)
        return CS_PENDING;
    if (rc == IS_LISTED)
        return list(r, c, q);
    if (rc == 0)
        return f ? answer(r, c, f) : CS_OK;
    if (rc > 0)
        return rc;
    return find_is_missing(rc) ? CS_DECLINED : failed(r, rc);
}

static int handler(cs_req *r)
{
    const cs_req_info *q = cs_info(r);
    const struct conf *c = cs_conf(r);
    if (!q->root)
        return CS_DECLINED;
    struct file *f = at_hand(c, q);
    if (!f)
        return search(r, c, q);
    f->refs++;
    return answer(r, c, f);
}

/* What the request has waited for is known: on with it, unless its time was over. */
static void resume(cs_req *r)
{
    if (cs_status(r))
        return;
    const int rc = search(r, cs_conf(r), cs_info(r));
    if (rc == CS_DECLINED)
        cs_proceed(r);
    else if (rc >= 200)
        cs_page(r, rc);
    else if (rc == CS_NOMEM || rc == CS_AGAIN)
        cs_page(r, too_busy(r));
    else if (rc < 0)
        cs_fail(r, 500, "cannot answer with the file (%d)", rc);
}

/* The handler changes nothing, but for a cache that this process has not made. */
static int explain(cs_req *r, int hook)
{
    if (hook != CS_HOOK_HANDLER)
        return CS_DECLINED;
    if (!find_is_ready() && find_init(0, 0, NULL, NULL) < 0)
        return CS_NOMEM;
    explaining = 1;
    return handler(r);
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    return find_init(c->cache_files, c->cache_small, p, resume) < 0 ? CS_NOMEM : CS_OK;
}

/* "$uri /index.html" is one element. */
static _Bool looks_like_two(cs_str s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == ' ' && strchr("/=@$", s.p[i + 1]))
            return 1;
    return 0;
}

static int check_alternative(cs_conf *cc, const struct conf *c, size_t i)
{
    const cs_template *t = c->try_files.v[i];
    const cs_str s = t->text;
    const int jumps = s.n && s.p[0] == '@';
    const cs_str path = {s.p + jumps, s.n - (size_t)jumps};
    const int is_status = s.n == 4 && s.p[0] == '=' && strspn(s.p + 1, "0123456789") == 3 &&
                          (s.p[1] == '4' || s.p[1] == '5');
    if (looks_like_two(s))
        return cs_template_error(
            cc, "try_files", t,
            "\"%.*s\" is one name: separate them by commas. The file that was asked "
            "for is looked for anyway, without a ${path} in front",
            CS_F(s));
    if (!is_status && !cs_starts(path, "/") && !cs_starts(path, "${path}") &&
        !cs_starts(path, "${capture."))
        return cs_template_error(
            cc, "try_files", t,
            "\"%.*s\" is neither a path, which starts with \"/\", ${path} or a "
            "capture, nor a status such as =404, nor \"@\" and a path",
            CS_F(s));
    if (!is_status && !jumps && memchr(s.p, '?', s.n))
        return cs_template_error(cc, "try_files", t,
                                 "\"%.*s\" has a query, and files have none; write @%.*s to "
                                 "search the routes for it",
                                 CS_F(s), CS_F(s));
    if ((is_status || jumps) && i + 1 < c->try_files.n)
        return cs_template_error(cc, "try_files", t, "%.*s ends the search: write it last",
                                 CS_F(s));
    return CS_OK;
}

static int check_keep(cs_conf *cc, const struct conf *c)
{
    cs_str what, value;
    int rc = CS_OK;
    for (size_t i = 0; i < c->cache_by.n; i++)
        if (!keep_split(c->cache_by.v[i], &what, &value) || !value.n)
            rc = cs_conf_error(
                cc, "cache_by",
                "\"%.*s\" is not \"TYPE: VALUE\" with a media type, such as text/css or "
                "image/*, or a suffix, such as .js; what has a comma stands in quotes",
                CS_F(c->cache_by.v[i]));
    return rc;
}

static int on_config(cs_conf *cc, const void *conf)
{
    const struct conf *c = conf;
    int rc = CS_OK;
    for (size_t i = 0; i < c->index.n; i++)
        if (c->index.v[i].n && memchr(c->index.v[i].p, ' ', c->index.v[i].n))
            rc = cs_conf_error(cc, "index", "\"%.*s\" has a blank: names are separated by commas",
                               CS_F(c->index.v[i]));
        else if (!c->index.v[i].n || memchr(c->index.v[i].p, '/', c->index.v[i].n))
            rc = cs_conf_error(cc, "index",
                               "\"%.*s\" is not the name of a file in the folder itself",
                               CS_F(c->index.v[i]));
    for (size_t i = 0; i < c->try_files.n; i++)
        if (check_alternative(cc, c, i) < 0)
            rc = CS_ERROR;
    for (size_t i = 0; i < c->precompressed.n; i++)
        if (!forms_coding(c->precompressed.v[i]))
            rc = cs_conf_error(cc, "precompressed", "\"%.*s\" is none of zst, br and gz",
                               CS_F(c->precompressed.v[i]));
    return check_keep(cc, c) < 0 ? CS_ERROR : rc;
}

static const cs_directive directives[] = {
    CS_LIST(struct conf, index, "index.html", 0, 16, CS_PER_ROUTE,
            "Files that stand for a folder, tried in order."),
    CS_TEMPLATES(
        struct conf, try_files, NULL, 0, 16, CS_PER_ROUTE,
        "Files tried in order where the one asked for is not there: /index.html, ${path}.html. "
        "The last may be =404 or another status, or \"@\" and a path that routes are searched "
        "for: @/app?${query}."),
    CS_ENUM(
        struct conf, slash, "redirect", slash_words, CS_PER_ROUTE,
        "A folder without \"/\" at its end: redirect leads to the address with it, keep serves its "
        "index as it is; canonical is redirect, and leads from a file with \"/\" to the one "
        "without."),
    CS_BOOL(struct conf, dotfiles, "off", CS_PER_ROUTE,
            "Serve names that start with a dot; .well-known always is."),
    CS_LIST(struct conf, precompressed, NULL, 0, 3, CS_PER_ROUTE,
            "Suffixes of compressed siblings that are sent in place of a file to who likes them, "
            "what is liked best first: zst, br, "
            "gz. One that is older than the file is not used."),
    CS_ENUM(struct conf, listing, "off", listing_words, CS_PER_ROUTE,
            "What a folder without an index answers: off, 403; html, a page with its names; json, "
            "the same for programs."),
    CS_INT(struct conf, listing_most, "5000", 1, 100000, CS_PER_ROUTE,
           "Most names that a listing has; it tells when there are more."),
    CS_ENUM(
        struct conf, symlinks, "beneath", symlinks_words, CS_PER_ROUTE,
        "Symbolic links: beneath, those that stay inside of the root are followed; off, none is."),
    CS_LIST(struct conf, cache_by, NULL, 0, 64, CS_PER_ROUTE,
            "Cache-Control by media type or suffix, the first that fits, before cache_control: "
            "\"image/*: max-age=86400\", "
            "\".html: no-cache\"."),
    CS_STRING(struct conf, cache_control, NULL, 0, 1024, CS_PER_ROUTE,
              "Value of the Cache-Control field; empty: none is sent."),
    CS_MSEC(
        struct conf, cache_valid, "1s", 0, 86400000, CS_PER_ROUTE,
        "How long an opened file is used before the disk is asked whether it has changed; 0: ask "
        "each time."),
    CS_INT(struct conf, cache_files, "1024", 0, 1000000, 0,
           "Most files that a worker keeps opened; 0: none."),
    CS_SIZE(struct conf, cache_small, "64k", 0, 16777216, 0,
            "Files up to this size are kept in memory, larger ones as a descriptor."),
    CS_END,
};

static const cs_counter_def counters[] = {
    {&find_loads, "loads_total", "Files opened or read anew"},
    {&lookup_waits, "waits_total", "Waits of requests for a thread that looks for a file"},
    {&lookup_refused, "refused_total",
     "Requests answered with 503, since too many wait for the disk"},
    {0},
};

CS_MODULE(.name = "static", .version = "1.0", .flags = CS_BODY_STREAM | CS_DISK,
          .help = "Serves the files of a site.", .directives = directives,
          .conf_size = sizeof(struct conf), .counters = counters, .on_config = on_config,
          .worker_start = worker_start, .handler = handler, .explain = explain);
