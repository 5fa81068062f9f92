/* pages.c - "404 /404.html", "500 502 503 /50x.html", "4xx off": which path stands in for the server's own page. */
#include "conf/bind.h"

#include "http/uri.h"

#define STATUS_FIRST 400
#define STATUS_LAST  599

/* "404" or "4xx". */
static bool read_status(cs_str word, struct conf_page *page)
{
    uint64_t number;

    if (str_is(word, "4xx") || str_is(word, "5xx")) {
        page->from = (word.p[0] - '0') * 100;
        page->to = page->from + 99;
        return true;
    }
    if (word.n != 3 || !str_to_u64(word, STATUS_LAST, &number) || number < STATUS_FIRST)
        return false;
    page->from = page->to = (int)number;
    return true;
}

/* The next word of *text. */
static bool next_word(cs_str *text, cs_str *word)
{
    *text = str_trim(*text);
    size_t n = 0;
    while (n < text->n && text->p[n] != ' ' && text->p[n] != '\t')
        n++;
    *word = (cs_str){text->p, n};
    *text = (cs_str){text->p + n, text->n - n};
    return n > 0;
}

static cs_str last_word(cs_str text)
{
    size_t n = 0;

    text = str_trim(text);
    while (n < text.n && text.p[text.n - n - 1] != ' ' && text.p[text.n - n - 1] != '\t')
        n++;
    return (cs_str){text.p + text.n - n, n};
}

/* The path in its normal form, the query as it is. NULL, or why it cannot be. */
static const char *read_target(struct arena *a, cs_str text, struct conf_page *page)
{
    const char *mark = memchr(text.p, '?', text.n), *error = NULL;
    cs_str raw = {text.p, mark ? (size_t)(mark - text.p) : text.n};
    char *path;
    long n;

    if (str_is(text, "off"))
        return NULL;
    if (raw.n == 0 || raw.p[0] != '/')
        return "names no page: a path such as /404.html, or off, comes last";
    if (memchr(text.p, '#', text.n))
        return "has a \"#\", which never reaches a server";
    path = arena_alloc(a, raw.n + 1);
    n = http_path_normalise(raw, path, &error);
    if (n < 0)
        return error;
    page->path = (cs_str){path, (size_t)n};
    page->query = mark ? arena_dup(a, (cs_str){mark + 1, text.n - raw.n - 1}) : (cs_str){"", 0};
    return NULL;
}

static void refuse(struct bind *b, const struct conf_section *s, size_t i, cs_str element,
                   const char *why)
{
    struct conf_origin at = value_place(b, s, "error_pages", i, element);

    report_error(b->rep, &at, element.n ? (int)element.n : 1, "error_pages: \"%.*s\" %s",
                 element.n > 80 ? 80 : (int)element.n, element.p, why);
}

/* Of one element; room for as many pages as it has words. */
static void read_element(struct bind *b, const struct conf_section *s, size_t i, cs_str element,
                         struct conf_pages *out, struct conf_page *room)
{
    cs_str target = last_word(element), word;
    cs_str rest = {element.p, element.n ? (size_t)(target.p - element.p) : 0};
    struct conf_page page = {.at = value_place(b, s, "error_pages", i, element)};
    const char *why = target.n ? read_target(&b->c->arena, target, &page)
                               : "is empty; write statuses and a path: 404 /404.html";
    size_t before = out->n;

    while (!why && next_word(&rest, &word))
        if (!read_status(word, &page))
            why = "has a word before its path that is no status: 400 to 599, 4xx or 5xx";
        else
            room[out->n++] = page;
    if (!why && out->n == before)
        why = "has no status before its path, such as 404 or 5xx";
    if (!why)
        return;
    out->n = before;
    refuse(b, s, i, element, why);
}

static bool same(const struct conf_page *x, const struct conf_page *y)
{
    return x->from == y->from && x->to == y->to;
}

static void refuse_twice(struct bind *b, const struct conf_pages *p)
{
    for (size_t k = 1; k < p->n; k++)
        for (size_t i = 0; i < k; i++)
            if (same(&p->v[i], &p->v[k])) {
                bool one = p->v[k].from == p->v[k].to;
                report_error(b->rep, &p->v[k].at, 1, "error_pages: %d%s has two pages",
                             one ? p->v[k].from : p->v[k].from / 100, one ? "" : "xx");
                break;
            }
}

void pages_bind(struct bind *b, const struct conf_section *s, const cs_list *texts,
                struct conf_pages *out)
{
    size_t most = 0;
    struct conf_page *room;

    for (size_t i = 0; i < texts->n; i++)
        most += texts->v[i].n / 2 + 1;
    room = arena_zalloc(&b->c->arena, most * sizeof *room + 1);
    *out = (struct conf_pages){0, room};
    for (size_t i = 0; i < texts->n; i++)
        read_element(b, s, i, texts->v[i], out, room);
    refuse_twice(b, out);
}

const struct conf_page *conf_page_for(const struct conf_pages *p, int status)
{
    const struct conf_page *found = NULL;

    for (size_t i = 0; i < p->n; i++) {
        const struct conf_page *page = &p->v[i];

        if (status == page->from && status == page->to)
            return page;
        if (status >= page->from && status <= page->to)
            found = page;
    }
    return found;
}
