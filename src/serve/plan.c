#include "serve/plan.h"

#include "base/mem.h"
#include "os/fd.h"
#include "os/file.h"
#include "serve/api.h"
#include "serve/missing.h"
#include "serve/route.h"

#include <stdlib.h>

static bool has_root(const struct serve_plan *p, const char *path)
{
    for (size_t i = 0; i < p->nroots; i++)
        if (!strcmp(p->roots[i].path, path))
            return true;
    return false;
}

static void open_root(struct serve_plan *p, cs_str path, const struct conf_origin *at,
                      struct report *rep)
{
    if (!path.n || has_root(p, path.p))
        return;
    int fd = file_open_dir(path.p);
    if (fd < 0) {
        report_error(
            rep, at, 1,
            "root \"%s\" cannot be opened: %s; name a folder that the starting user may enter",
            path.p, strerror(-fd));
        return;
    }
    p->roots = mem_resize(p->roots, (p->nroots + 1) * sizeof *p->roots);
    p->roots[p->nroots++] = (struct serve_root){.path = path.p, .fd = fd};
}

static void open_roots(struct serve_plan *p, struct report *rep)
{
    const struct conf *conf = p->conf;
    for (size_t i = 0; i < conf->nsites; i++)
        open_root(p, conf->sites[i].root, conf_origin_of(&conf->sites[i].head, "root"), rep);
    for (size_t i = 0; i < conf->nroutes; i++)
        open_root(p, conf->routes[i].root, &conf->routes[i].root_at, rep);
}

static struct serve_plan *new_plan(const struct conf *conf)
{
    struct serve_plan *p = mem_alloc(sizeof *p);
    p->conf = conf;
    p->log_fds = mem_alloc((conf->nlogs + 1) * sizeof *p->log_fds);
    for (size_t i = 0; i < conf->nlogs; i++)
        p->log_fds[i] = -1;
    return p;
}

struct serve_plan *serve_plan_new(const struct conf *conf, struct report *rep)
{
    unsigned before = rep->errors;
    struct serve_plan *p = new_plan(conf);
    open_roots(p, rep);
    p->router = router_new(conf, p, rep);
    if (rep->errors == before) {
        missing_pages(p, rep);
        return p;
    }
    serve_plan_free(p);
    return NULL;
}

void serve_plan_survey(const struct conf *conf, struct report *rep)
{
    struct serve_plan *p = new_plan(conf);
    open_roots(p, rep);
    router_check(conf, rep);
    serve_plan_free(p);
}

void serve_plan_drop_listeners(struct serve_plan *p)
{
    for (size_t i = 0; i < p->nlisteners; i++)
        free(p->listeners[i].fds);
    free(p->listeners);
    p->listeners = NULL;
    p->nlisteners = 0;
}

void serve_plan_free(struct serve_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->nroots; i++)
        fd_close(&p->roots[i].fd);
    free(p->roots);
    free(p->log_fds);
    router_free(p->router);
    free(p);
}

void serve_plan_check_modules(const struct serve_plan *p, struct report *rep)
{
    const struct conf *c = p->conf;
    for (size_t i = 0; i < c->nmodules; i++) {
        const struct conf_module *m = &c->modules[i];
        api_check_conf(m->desc, m->conf, &m->head, rep);
        for (size_t k = 0; k < c->nsites; k++)
            if (c->sites[k].module_conf[i] != m->conf)
                api_check_conf(m->desc, c->sites[k].module_conf[i], &c->sites[k].head, rep);
        for (size_t k = 0; k < c->nroutes; k++)
            if (c->routes[k].module_conf[i] != c->routes[k].site->module_conf[i])
                api_check_conf(m->desc, c->routes[k].module_conf[i], &c->routes[k].head, rep);
    }
}
