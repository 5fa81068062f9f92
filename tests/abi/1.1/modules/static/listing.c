/* listing.c - a folder is read, sorted and written down on a thread of the pool, since a large one takes its time; the loop only
 * sends what has come of it. How many names there may be is bounded, and so is the text: a name has at most 255 bytes. */
#include "listing.h"

#include "beneath.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct list {
    struct names names;
    _Bool html;
    _Bool top; /* there is nothing above it */
    char *text;
    size_t n;
    int rc;
};

const char *listing_type(const struct conf *c)
{
    return c->listing == LISTING_JSON ? "application/json" : "text/html; charset=utf-8";
}

/* ---- Writing, on the thread ---- */

static void put_html(FILE *f, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (p[i]) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default:
            fputc(p[i], f);
        }
}

/* One segment of a relative address: "./" before it, so that a colon in it makes no scheme of it. */
static void put_address(FILE *f, const struct name *e)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    fputs("./", f);
    for (size_t i = 0; i < e->n; i++)
        if (strchr(plain, e->text[i]))
            fputc(e->text[i], f);
        else
            fprintf(f, "%%%02X", (unsigned char)e->text[i]);
    if (e->is_folder)
        fputc('/', f);
}

static void put_json(FILE *f, const char *p, size_t n)
{
    fputc('"', f);
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\')
            fputc('\\', f);
        if (p[i] == '<') /* for who puts it into a page as it is */
            fputs("\\u003c", f);
        else
            fputc(p[i], f);
    }
    fputc('"', f);
}

static void put_time(FILE *f, int64_t when)
{
    char text[40];
    struct tm tm;
    const time_t t = (time_t)when;
    if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        strcpy(text, "");
    fputs(text, f);
}

static void put_row(FILE *f, const struct name *e)
{
    fputs("<tr><td><a href=\"", f);
    put_address(f, e);
    fputs("\">", f);
    put_html(f, e->text, e->n);
    fputs(e->is_folder ? "/</a></td><td>" : "</a></td><td>", f);
    if (!e->is_folder)
        fprintf(f, "%lld", (long long)e->size);
    fputs("</td><td>", f);
    put_time(f, e->mtime);
    fputs("</td></tr>\n", f);
}

static void put_page(FILE *f, const struct list *l)
{
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width\"><title>",
          f);
    put_html(f, l->names.path.p, l->names.path.n);
    fputs("</title>\n<style>body{font-family:sans-serif}td,th{text-align:left;padding:.1em 1em "
          ".1em 0}"
          "td:nth-child(2),th:nth-child(2){text-align:right}</style></head>\n<body><h1>",
          f);
    put_html(f, l->names.path.p, l->names.path.n);
    fputs("</h1>\n<table><tr><th>Name</th><th>Size</th><th>Changed</th></tr>\n", f);
    if (!l->top)
        fputs("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n", f);
    for (size_t i = 0; i < l->names.n; i++)
        put_row(f, &l->names.v[i]);
    fputs("</table>\n", f);
    if (l->names.more)
        fprintf(f, "<p>There are more than these %zu.</p>\n", l->names.n);
    fputs("</body></html>\n", f);
}

static void put_object(FILE *f, const struct list *l)
{
    fputs("{\"path\":", f);
    put_json(f, l->names.path.p, l->names.path.n);
    fputs(",\"entries\":[", f);
    for (size_t i = 0; i < l->names.n; i++) {
        const struct name *e = &l->names.v[i];
        fputs(i ? ",\n{\"name\":" : "\n{\"name\":", f);
        put_json(f, e->text, e->n);
        fprintf(f, ",\"type\":\"%s\"", e->is_folder ? "folder" : "file");
        if (!e->is_folder)
            fprintf(f, ",\"size\":%lld", (long long)e->size);
        fputs(",\"time\":\"", f);
        put_time(f, e->mtime);
        fputs("\"}", f);
    }
    fprintf(f, "],\"more\":%s}\n", l->names.more ? "true" : "false");
}

static void work(void *arg)
{
    struct list *l = arg;
    l->rc = names_read(&l->names);
    if (l->rc == 0) {
        FILE *f = open_memstream(&l->text, &l->n);
        if (f)
            (l->html ? put_page : put_object)(f, l);
        l->rc = !f || fclose(f) ? -ENOMEM : 0;
    }
    names_free(&l->names);
}

/* ---- The request ---- */

static void let_go(void *arg)
{
    struct list *l = arg;
    names_free(&l->names);
    free(l->text);
}

static void done(cs_req *r, void *arg)
{
    struct list *l = arg;
    if (l->rc == -EACCES) {
        cs_page(r, 403);
        return;
    }
    if (l->rc < 0) {
        cs_fail(r, l->rc == -ENOMEM || l->rc == -EMFILE || l->rc == -ENFILE ? 503 : 500,
                "cannot read the folder: %s", strerror(-l->rc));
        return;
    }
    char *text = l->text;
    l->text = NULL;
    cs_reply_ref(r, 200, listing_type(cs_conf(r)), (cs_str){text, l->n}, free, text);
}

int listing_answer(cs_req *r, const struct conf *c, cs_str path)
{
    struct list *l = cs_alloc(r, sizeof *l);
    if (!l)
        return CS_NOMEM;
    l->names = (struct names){.most = (size_t)c->listing_most,
                              .hidden = c->dotfiles,
                              .links = c->symlinks != SYMLINKS_OFF,
                              .root = -1,
                              .folder = -1,
                              .path = cs_format(r, "%.*s", CS_F(path))};
    if (!l->names.path.p)
        return CS_NOMEM;
    l->html = c->listing == LISTING_HTML;
    l->top = path.n == 1;
    cs_on_close(r, let_go, l);
    l->names.root = cs_root_open(r, "");
    if (l->names.root < 0)
        return CS_AGAIN;
    if (c->cache_control.n)
        cs_set_header(r, "Cache-Control", c->cache_control);
    const int rc = cs_offload(r, work, done, l);
    return rc == CS_OK ? CS_PENDING : rc;
}
