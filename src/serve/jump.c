#include "serve/jump.h"

#include "http/uri.h"
#include "serve/feed.h"
#include "serve/handle.h"
#include "serve/respond.h"
#include "serve/tell.h"
#include "serve/variable.h"

/* ---- What a request is ---- */

static struct jump_walk here(const struct request *r)
{
    return (struct jump_walk){.route = r->route,
                              .link = r->link,
                              .ctx = r->ctx,
                              .info = r->info,
                              .found = r->found,
                              .path = r->path,
                              .query = r->head.target_query,
                              .method_text = r->method,
                              .method = r->head.method,
                              .collected = r->collected};
}

static void become(struct request *r, const struct jump_walk *w)
{
    r->route = w->route;
    r->link = w->link;
    r->ctx = w->ctx;
    r->info = w->info;
    r->found = w->found;
    r->path = w->path;
    r->head.target_query = w->query;
    r->method = w->method_text;
    r->head.method = w->method;
    r->collected = w->collected;
}

void jump_change(struct request *r)
{
    struct jump *j = r->jump;
    struct jump_walk now = here(r);
    become(r, &j->other);
    j->other = now;
    j->inside = !j->inside;
}

/* ---- Where to ---- */

/* "/path?query", escaped as in a URL. 0 or -400 with *error; without a "?" the query stays. */
static int set_target(struct request *r, cs_str target, const char **error)
{
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    cs_str raw = {target.p, mark ? (size_t)(mark - target.p) : target.n};
    char *path = request_path_room(r, raw.n);
    long n = http_path_normalise(raw, path, error);
    if (n < 0)
        return (int)n;
    r->path = (cs_str){path, (size_t)n};
    if (mark)
        r->head.target_query = arena_dup(&r->arena, (cs_str){mark + 1, target.n - raw.n - 1});
    return 0;
}

static bool may_jump(struct request *r, const char *how)
{
    if (r->jumps < JUMP_MOST) {
        r->jumps++;
        return true;
    }
    request_log(r, CS_ERR, NULL,
                "gone on to another path %d times, the last one is \"%.*s\": %s leads round in a "
                "circle",
                JUMP_MOST, CS_F(r->path), how);
    return false;
}

static int refuse_target(struct request *r, int status, cs_str target, const char *why)
{
    request_log(r, status < 500 ? CS_INFO : CS_ERR, NULL, "rewrite to \"%.*s\": %s",
                target.n > 200 ? 200 : (int)target.n, target.p, why);
    return status;
}

/* A capture may be empty, or begin in the middle of a path. */
static cs_str with_slash(struct request *r, cs_str target)
{
    if (target.n && target.p[0] == '/')
        return target;
    return arena_printf(&r->arena, "/%.*s", CS_F(target));
}

static int rewrite(struct request *r, const struct conf_route *c)
{
    const char *error = "";
    cs_str target = variable_expand(r, c->rewrite, CS_ESCAPE_URL);
    if (!target.p)
        return refuse_target(r, 414, c->rewrite->text, "becomes too long");
    if (set_target(r, with_slash(r, target), &error) < 0)
        return refuse_target(r, 400, target, error);
    r->info = NULL; /* asked for by variables */
    if (r->trace)
        tell_jump(r, "rewrite", &c->rewrite_at, r->path, r->head.target_query);
    return 0;
}

int jump_route(struct request *r)
{
    int status = request_search(r);
    while (!status && r->route->conf && r->route->conf->rewrite->text.n) {
        status = may_jump(r, "rewrite") ? rewrite(r, r->route->conf) : 500;
        status = status ? status : request_search(r);
    }
    return status;
}

/* ---- Leaving ---- */

/* Whoever was at work has no say any more. */
static void leave_behind(struct request *r)
{
    struct timer_wheel *timers = &r->serve->loop->timers;
    for (struct request_timer *t = r->timers; t; t = t->next)
        timer_clear(timers, &t->timer);
    timer_clear(timers, &r->patience);
    request_stop_work(r);
    request_drop_token(r);
    if (r->feed)
        feed_end(r->feed);
    r->on_drain = NULL;
    r->on_data = NULL;
    r->paused = r->pending = r->proceed = false;
    if (r->sink != REQUEST_SINK_DISCARD)
        r->sink = REQUEST_SINK_WAIT;
}

/* Also when the connection is at work: it may be past looking. */
static void leave(struct request *r)
{
    leave_behind(r);
    r->jumping = true;
    if (!r->dry)
        loop_later(r->serve->loop, &r->conn->task);
}

static struct jump *new_jump(struct request *r)
{
    if (!r->jump)
        r->jump = arena_zalloc(&r->arena, sizeof *r->jump);
    return r->jump;
}

/* ---- cs_jump ---- */

int jump_ask(struct request *r, cs_str target)
{
    const char *error = "";
    if (!r->passed || r->answered || r->heading || r->jumping || r->proceed || r->tasted ||
        jump_has_page(r) || !(r->pending || r->working) || task_is_past(r))
        return CS_ERROR;
    struct jump *j = new_jump(r);
    j->other = here(r);
    int rc = set_target(r, target, &error);
    struct jump_walk to = here(r);
    become(r, &j->other);
    if (rc < 0) {
        request_log(r, CS_INFO, request_culprit(r), "cannot go on to \"%.*s\": %s",
                    target.n > 200 ? 200 : (int)target.n, target.p, error);
        return CS_ERROR;
    }
    j->other = to;
    leave(r);
    if (r->trace)
        tell_jump(r, "module", NULL, to.path, to.query);
    return CS_OK;
}

/* A module that meets the request on both routes keeps what it knows of it. */
static void keep_ctx(struct request *r, const struct jump_walk *was)
{
    if (!was->ctx)
        return;
    r->ctx = arena_zalloc(&r->arena, (r->route->nlinks + 1) * sizeof *r->ctx);
    for (size_t i = 0; i < r->route->nlinks; i++)
        for (size_t k = 0; k < was->route->nlinks; k++)
            if (was->route->chain[k].module == r->route->chain[i].module)
                r->ctx[i] = was->ctx[k];
}

static void run_path(struct request *r)
{
    struct jump_walk was = here(r), to = r->jump->other;
    to.info = NULL;
    to.ctx = NULL;
    to.link = 0;
    become(r, &to);
    int status = may_jump(r, "the handler that has sent it there") ? jump_route(r) : 500;
    request_stand_before(r);
    if (status) {
        respond_page(r, status, NULL);
        return;
    }
    r->passed = false;
    request_crumb(r);
    keep_ctx(r, &was);
    request_enter_route(r);
}

/* ---- Error pages ---- */

static const struct conf_page *page_for(const struct request *r, int status)
{
    const struct conf_route *route = r->route ? r->route->conf : NULL;
    const struct conf_page *page = route ? conf_page_for(&route->pages, status) : NULL;
    page = page ? page : conf_page_for(&r->site->pages, status);
    return page && page->path.n ? page : NULL;
}

bool jump_to_page(struct request *r, int status)
{
    const struct conf_page *page;
    if (status < 400 || r->refused || !r->site || jump_has_page(r) || r->conn->broken)
        return false;
    page = page_for(r, status);
    if (!page)
        return false;
    struct jump *j = new_jump(r);
    j->page = page;
    j->status = status;
    leave(r);
    if (r->trace)
        tell_jump(r, "error_pages", &page->at, page->path, page->query);
    r->type = (cs_str){0};
    respond_settle_body(r);
    return true;
}

static void run_page(struct request *r)
{
    struct jump *j = r->jump;
    j->other = (struct jump_walk){.path = request_path_copy(r, j->page->path),
                                  .query = j->page->query,
                                  .method_text = CS_S("GET"),
                                  .method = HTTP_GET};
    jump_change(r);
    int status = jump_route(r);
    if (status) {
        respond_page(r, status, NULL);
        return;
    }
    request_crumb(r);
    handle_page(r);
}

/* What was said of an answer that does not come holds for no other. */
static void forget_fields(struct request *r)
{
    struct request_field **at = &r->fields;
    while (*at)
        if ((*at)->of_page)
            *at = (*at)->next;
        else
            at = &(*at)->next;
}

int jump_page_failed(struct request *r, int status)
{
    struct jump *j = r->jump;
    forget_fields(r);
    request_log(r, CS_WARN, NULL, "the error page %.*s for %d came to %d: ours takes its place",
                CS_F(j->page->path), j->status, status);
    jump_outside(r);
    return j->status;
}

void jump_run(struct request *r)
{
    r->jumping = false;
    if (jump_has_page(r))
        run_page(r);
    else
        run_path(r);
}

/* ---- Answers ---- */

bool jump_is_past_of(const struct request *r, unsigned number)
{
    if (!number || !r->route)
        return false;
    if (jump_has_page(r))
        return r->jump->inside &&
               (r->link >= r->route->nlinks || r->route->chain[r->link].module->number != number);
    for (size_t i = 0; i < r->route->nlinks; i++)
        if (r->route->chain[i].module->number == number)
            return false;
    return true;
}

/* What a file may be kept for says nothing of the error that it is the page of. */
static void forget_age(struct request *r)
{
    struct request_field **at = &r->fields;
    while (*at) {
        cs_str name = (*at)->name;
        bool age =
            str_eq_nocase(name, CS_S("Cache-Control")) || str_eq_nocase(name, CS_S("Expires"));
        if (age && (*at)->of_page)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    r->validators = (struct http_validators){.mtime = -1};
}

/* A redirect is what it says. */
int jump_page_status(struct request *r, int status)
{
    if (status >= 300 && status < 400)
        return status;
    forget_age(r);
    return r->jump->status;
}
