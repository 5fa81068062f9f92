/* report.c - entries live in the report's own arena, with copies of the lines they point at, so a
 * report may outlive the settings it is about. */
#include "conf/report.h"

#include <stdio.h>

/* A line of a settings file may be 64 KiB long: the report shows this much of it around the caret.
 */
#define SHOWN 120

void report_init(struct report *r)
{
    *r = (struct report){.first = NULL};
    r->last = &r->first;
    arena_init(&r->arena, NULL);
}

void report_free(struct report *r)
{
    arena_drop(&r->arena);
    r->first = NULL;
    r->last = &r->first;
    r->errors = r->warnings = 0;
}

static const char *copy(struct report *r, const char *z)
{
    return z ? arena_strdup(&r->arena, z) : NULL;
}

__attribute__((format(printf, 5, 0))) static void add(struct report *r, enum report_kind kind,
                                                      const struct conf_origin *at, int width,
                                                      const char *fmt, va_list ap)
{
    struct report_entry *e = arena_zalloc(&r->arena, sizeof *e);

    e->kind = kind;
    if (at) {
        e->at = *at;
        e->at.file = copy(r, at->file);
        e->at.text = copy(r, at->text);
        e->at.what = copy(r, at->what);
    }
    e->width = width < 1 ? 1 : width;
    e->message = arena_vprintf(&r->arena, fmt, ap).p;
    *r->last = e;
    r->last = &e->next;
}

void report_error(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(r, REPORT_ERROR, at, width, fmt, ap);
    va_end(ap);
    r->errors++;
}

void report_warning(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(r, REPORT_WARNING, at, width, fmt, ap);
    va_end(ap);
    r->warnings++;
}

void report_note(struct report *r, const struct conf_origin *at, int width, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(r, REPORT_NOTE, at, width, fmt, ap);
    va_end(ap);
}

static bool is_edge(char c)
{
    return strchr(" \t,=\"", c) != NULL; /* also the end of the line */
}

/* Case does not matter: host names are kept in lower case. A hit that is a whole word is the better
 * one. */
static const char *find(const char *text, size_t from, cs_str what)
{
    size_t len = strlen(text);
    const char *best = NULL;

    for (size_t i = from; i + what.n <= len; i++) {
        if (!str_eq_nocase((cs_str){text + i, what.n}, what))
            continue;
        if ((i == 0 || is_edge(text[i - 1])) && is_edge(text[i + what.n]))
            return text + i;
        best = best ? best : text + i;
    }
    return best;
}

struct conf_origin report_point(const struct conf_origin *at, cs_str what)
{
    struct conf_origin moved = *at;
    size_t from = at->col > 0 ? (size_t)at->col - 1 : 0;
    const char *hit = NULL;

    if (what.n && at->text && from < strlen(at->text))
        hit = find(at->text, from, what);
    if (hit)
        moved.col = (int)(hit - at->text) + 1;
    return moved;
}

void report_origin(const struct conf_origin *at, struct buf *out)
{
    if (at->file) {
        buf_add_z(out, at->file);
        if (at->line)
            buf_printf(out, ":%d", at->line);
        if (at->what)
            buf_printf(out, ", %s", at->what);
    } else {
        buf_add_z(out, at->what ? at->what : "default");
    }
}

static bool same_file(const struct report_entry *a, const struct report_entry *b)
{
    return a->at.file && b->at.file && strcmp(a->at.file, b->at.file) == 0;
}

/* Where `e` goes in a list that is sorted: behind the last entry of its file with no larger line.
 */
static struct report_entry **slot(struct report_entry **list, const struct report_entry *e)
{
    struct report_entry **best = NULL, **i = list;

    for (; *i && (!e->at.file || (*i)->at.file); i = &(*i)->next) {
        if (!same_file(*i, e))
            continue;
        if ((*i)->at.line <= e->at.line)
            best = &(*i)->next;
        else if (!best)
            best = i;
    }
    return best ? best : i;
}

void report_sort(struct report *r)
{
    struct report_entry *rest = r->first, *sorted = NULL, *e;

    while (rest) {
        struct report_entry **at = slot(&sorted, rest);

        e = rest;
        rest = rest->next;
        e->next = *at;
        *at = e;
    }
    r->first = sorted;
    for (r->last = &r->first; *r->last;)
        r->last = &(*r->last)->next;
}

/* File names and lines come from outside: what a terminal would act on is shown as '?'. */
static char printable(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ? '?' : c;
}

static void add_printable(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_char(out, printable(p[i]));
}

static bool is_rest_of_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static void print_place(const struct conf_origin *at, struct buf *out)
{
    if (at->file) {
        add_printable(out, at->file, strlen(at->file));
        if (at->line)
            buf_printf(out, ":%d", at->line);
        if (at->line && at->col)
            buf_printf(out, ":%d", at->col);
        buf_add_z(out, ": ");
    } else if (at->what) {
        buf_printf(out, "%s: ", at->what);
    }
}

/* Blanks up to the caret: a tab stays a tab, a character of several bytes takes one place. */
static void print_caret(const char *from, const char *at, const char *end, int width,
                        struct buf *out)
{
    int left = width;

    for (const char *p = from; p < at; p++)
        if (!is_rest_of_char(*p))
            buf_add_char(out, *p == '\t' ? '\t' : ' ');
    buf_add_char(out, '^');
    for (const char *p = at + 1; p < end && --left > 0; p++)
        if (!is_rest_of_char(*p))
            buf_add_char(out, '~');
    buf_add_char(out, '\n');
}

static void print_line(const struct report_entry *e, struct buf *out)
{
    size_t len = strlen(e->at.text), col = (size_t)e->at.col - 1, from = 0, to = len;

    if (col > len)
        col = len;
    if (len > SHOWN) {
        from = col > SHOWN / 2 ? col - SHOWN / 2 : 0;
        to = len - from > SHOWN ? from + SHOWN : len;
        while (from < col && is_rest_of_char(e->at.text[from]))
            from++;
        while (to < len && is_rest_of_char(e->at.text[to]))
            to++;
    }
    if (e->at.file)
        buf_printf(out, "%5d | ", e->at.line);
    else
        buf_add_z(out, "   -g | ");
    if (from)
        buf_add_z(out, "...");
    add_printable(out, e->at.text + from, to - from);
    buf_add_z(out, to < len ? "...\n      | " : "\n      | ");
    if (from)
        buf_add_z(out, "   ");
    print_caret(e->at.text + from, e->at.text + col, e->at.text + to, e->width, out);
}

static void print_entry(const struct report_entry *e, struct buf *out)
{
    print_place(&e->at, out);
    static const char *const words[] = {
        [REPORT_ERROR] = "error", [REPORT_WARNING] = "warning", [REPORT_NOTE] = "note"};

    buf_printf(out, "%s: %s", words[e->kind], e->message);
}

void report_print(const struct report *r, struct buf *out)
{
    for (const struct report_entry *e = r->first; e; e = e->next) {
        print_entry(e, out);
        buf_add_char(out, '\n');
        if (e->at.text && e->at.text[0] && e->at.col > 0)
            print_line(e, out);
    }
}

cs_str report_summary(const struct report *r, struct buf *out)
{
    size_t before = out->n;

    for (const struct report_entry *e = r->first; e; e = e->next)
        if (e->kind == REPORT_ERROR) {
            print_entry(e, out);
            return (cs_str){out->p + before, out->n - before};
        }
    return CS_S("");
}
