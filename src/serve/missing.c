#include "serve/missing.h"

#include <fcntl.h>
#include <unistd.h>

static bool takes(const struct conf_route *r, cs_str path)
{
    const cs_str m = r->match_arg;

    switch (r->match_kind) {
    case CONF_MATCH_EXACT:
        return str_eq(m, path);
    case CONF_MATCH_PREFIX:
        return str_starts(path, m) &&
               (path.n == m.n || path.p[m.n] == '/' || (m.n && m.p[m.n - 1] == '/'));
    default:
        return true;
    }
}

static bool has_route(const struct conf *c, const struct conf_site *site, cs_str path)
{
    for (size_t i = 0; i < c->nroutes; i++)
        if (c->routes[i].site == site && takes(&c->routes[i], path))
            return true;
    return false;
}

static int fd_of(const struct serve_plan *p, cs_str root)
{
    for (size_t i = 0; root.n && i < p->nroots; i++)
        if (str_is(root, p->roots[i].path))
            return p->roots[i].fd;
    return -1;
}

static void look(const struct serve_plan *p, const struct conf_site *site,
                 const struct conf_pages *pages, struct report *rep)
{
    const int fd = fd_of(p, site->root);

    for (size_t i = 0; i < pages->n; i++) {
        const struct conf_page *page = &pages->v[i];
        const bool again =
            i && page->path.p == pages->v[i - 1].path.p; /* one element, many statuses */

        if (!page->path.n || again || has_route(p->conf, site, page->path))
            continue;
        if (fd >= 0 && (page->path.n == 1 || faccessat(fd, page->path.p + 1, F_OK, 0) == 0))
            continue;
        report_warning(rep, &page->at, 1,
                       "error_pages: %s is no file%s%s, and no route of [site:%s] takes it: the "
                       "server's own page would be shown",
                       page->path.p, site->root.n ? " below " : "",
                       site->root.n ? site->root.p : "", site->head.label.p);
    }
}

void missing_pages(const struct serve_plan *p, struct report *rep)
{
    const struct conf *c = p->conf;

    for (size_t i = 0; i < c->nsites; i++)
        look(p, &c->sites[i], &c->sites[i].pages, rep);
    for (size_t i = 0; i < c->nroutes; i++)
        look(p, c->routes[i].site, &c->routes[i].pages, rep);
}
