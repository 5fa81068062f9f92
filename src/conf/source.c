/* source.c - stands between the files and libinih.
 *
 * libinih asks for lines (on_line) and calls back with names and values (on_value), one for one.
 * What it gets are only lines that line.h has found good, and in a form that it cannot misread:
 * inside values blanks, ";" and "#" travel as control characters, which no file may have, and a
 * long line travels in pieces as continuation lines. on_value puts the pieces together again and
 * turns the stand-ins back. */
#include "conf/source.h"

#include "base/check.h"
#include "conf/line.h"
#include "conf/text.h"

#include <ini.h>
#include <string.h>

#define ERRORS_MAX 500

static const char stood_for[] = " \t;#", stand_ins[] = "\1\2\3\4";

/* One file while it is read. */
struct source {
    struct source_reader *r;
    const char *name;
    int depth;
    char *next, *end; /* lines not yet read */
    int line_no;
    const char *line_text;
    struct conf_section *section; /* NULL: before the first */
    bool lost;  /* behind a section line that was refused: keys are looked at and dropped */
    bool stray; /* a line was no section and no key: what is indented below it belongs to it */
    bool told_outside, told_crlf;
    struct conf_entry *entry; /* the one that continuation lines go to */
    struct line line;         /* the one that libinih is working on */
    struct buf pending;       /* what libinih has not been given of it yet */
    bool expected;            /* libinih owes a call of on_value */
    struct buf raw;           /* what on_value has got of it */
};

static struct conf_origin place(const struct source *s, int col)
{
    return (struct conf_origin){
        .file = s->name, .line = s->line_no, .col = col, .text = s->line_text};
}

/* A key is complete when the next one, a section or the end of the file shows that no line will
 * follow. */
static void close_entry(struct source *s)
{
    struct conf_entry *e = s->entry;

    s->entry = NULL;
    if (!e)
        return;
    text_close_entry(s->r->text, e);
    if (str_is(e->key, "include"))
        s->r->on_include(s->r, s->name, s->depth, e);
}

static void open_section(struct source *s)
{
    const struct line *l = &s->line;
    struct conf_origin at = place(s, 1);
    struct conf_section *old;

    close_entry(s); /* this may include files with sections */
    old = conf_text_find(s->r->text, l->name, l->label);
    s->lost = s->stray = false;
    s->section = text_add_section(s->r->text, l->name, l->label, l->labelled, &at);
    if (!old)
        return;
    s->section->again = true;
    report_error(s->r->rep, &at, (int)l->name.n + (int)l->label.n + 2 + l->labelled,
                 "[%s%s%s] is opened a second time; the first time is at %s:%d; a section stands "
                 "in one place",
                 old->kind.p, l->labelled ? ":" : "", old->label.p, old->at.file, old->at.line);
}

/* include is no setting: it never gets into the tree. */
static void open_include(struct source *s, const struct conf_origin *at)
{
    struct conf_section nowhere = {.last = &nowhere.first};
    bool allowed = !s->section || str_is(s->section->kind, "server");

    s->entry = text_add_entry(s->r->text, &nowhere, s->line.name, at);
    s->entry->bad = !allowed;
    if (!allowed && !s->lost)
        report_error(s->r->rep, at, (int)s->line.name.n,
                     "\"include\" stands in [server] or before the first section, not in [%s%s%s]",
                     s->section->kind.p, s->section->labelled ? ":" : "", s->section->label.p);
}

static void open_entry(struct source *s)
{
    struct conf_origin at = place(s, s->line.col);
    struct conf_section nowhere = {.last = &nowhere.first};

    close_entry(s);
    if (str_is(s->line.name, "include")) {
        open_include(s, &at);
        return;
    }
    if (s->section && !s->lost && s->section->nentries < TEXT_ENTRIES_MAX) {
        s->entry = text_add_entry(s->r->text, s->section, s->line.name, &at);
        return;
    }
    s->entry = text_add_entry(s->r->text, &nowhere, s->line.name, &at);
    if (s->section && !s->lost)
        report_error(s->r->rep, &at, 1,
                     "more than %d keys in one section; a long list can go on in indented lines",
                     TEXT_ENTRIES_MAX);
    else if (!s->lost && !s->told_outside)
        report_error(
            s->r->rep, &at, (int)s->line.name.n,
            "a key before the first section; only \"include\" may stand here; write a section "
            "such as [server] above it");
    s->told_outside = s->lost = true;
}

static char stand_in(char c)
{
    const char *hit = strchr(stood_for, c);

    return hit && c ? stand_ins[hit - stood_for] : c;
}

static char stood(char c)
{
    const char *hit = strchr(stand_ins, c);

    return hit && c ? stood_for[hit - stand_ins] : c;
}

static void hand_value(struct source *s, bool key)
{
    const struct line *l = &s->line;

    buf_clear(&s->pending);
    buf_clear(&s->raw);
    if (key)
        buf_printf(&s->pending, "%.*s=", CS_F(l->name));
    for (size_t i = 0; i < l->value.n; i++)
        buf_add_char(&s->pending, stand_in(l->value.p[i]));
    s->expected = true;
}

static void bad_line(struct source *s, const char *error)
{
    struct conf_origin at = place(s, s->line.bad_col);

    report_error(s->r->rep, &at, s->line.bad_width, "%s", error);
    if (s->line_text[0] == '[') {
        close_entry(s);
        s->lost = true;
    } else if (s->line.name.n) {
        open_entry(s);
        s->entry->bad = true;
    } else if (s->entry) {
        s->entry->bad = true;
    } else {
        s->stray = true;
    }
}

/* An indented line. Behind a key that was refused libinih does not see it: it would add it to an
 * older key. */
static bool more_line(struct source *s)
{
    struct conf_origin at = place(s, s->line.col);

    if (!s->entry && s->stray)
        return false;
    if (!s->entry) {
        report_error(
            s->r->rep, &at, 1,
            "an indented line goes on with the value above it, but there is none; remove the "
            "blanks at its start");
        return false;
    }
    if (s->entry->bad)
        return false;
    if (!s->line.value.n) { /* an indented "" would be a blank line to libinih */
        text_add_piece(s->r->text, s->entry, s->line.value, true, &at, s->r->rep);
        return false;
    }
    hand_value(s, false);
    return true;
}

/* Looks at the line; true when libinih shall see it. */
static bool take_line(struct source *s, cs_str text)
{
    struct buf error = {0};
    bool give = false;

    line_read(text, &s->line, &error);
    if (s->line.hash_col) {
        struct conf_origin at = place(s, s->line.hash_col);

        report_warning(
            s->r->rep, &at, 1,
            "\" #\" does not start a comment behind a value, it is part of it; a comment is "
            "written \" ;\", and a value with \"#\" goes in quotes");
    }
    switch (s->line.kind) {
    case LINE_BLANK:
        break;
    case LINE_BAD:
        bad_line(s, error.p);
        break;
    case LINE_SECTION:
        open_section(s);
        buf_clear(&s->pending);
        buf_printf(&s->pending, "[%.*s%s%.*s]", CS_F(s->line.name), s->line.labelled ? ":" : "",
                   CS_F(s->line.label));
        give = true;
        break;
    case LINE_KEY:
        open_entry(s);
        if (!s->entry->bad)
            hand_value(s, true);
        give = !s->entry->bad;
        break;
    case LINE_MORE:
        give = more_line(s);
        break;
    }
    buf_free(&error);
    return give;
}

/* A line of Windows is told once and then read as if it were right: one mistake, one error. */
static size_t without_cr(struct source *s, size_t n)
{
    struct conf_origin at = place(s, (int)n);

    if (!n || s->line_text[n - 1] != '\r')
        return n;
    s->next[n - 1] = '\0';
    if (!s->told_crlf)
        report_error(s->r->rep, &at, 1,
                     "the line ends in CR LF, as on Windows; save the file with plain line ends "
                     "(sed -i 's/\\r$//' FILE)");
    s->told_crlf = true;
    return n - 1;
}

/* Reads physical lines up to one that libinih shall see. */
static bool next_line(struct source *s)
{
    while (s->next < s->end) {
        char *lf = memchr(s->next, '\n', (size_t)(s->end - s->next));
        size_t n = (size_t)((lf ? lf : s->end) - s->next), len;
        cs_str text;

        if (s->r->rep->errors >= ERRORS_MAX) {
            struct conf_origin at = place(s, 0);

            report_error(s->r->rep, &at, 1, "too many errors; the rest is not read");
            return false;
        }
        s->line_no++;
        s->line_text = s->next;
        s->next[n] = '\0';
        len = without_cr(s, n);
        text = (cs_str){s->line_text, len};
        s->next += n + (lf ? 1 : 0);
        if (take_line(s, text))
            return true;
    }
    return false;
}

/* libinih's reader: one line, or the next piece of one. `size` counts the NUL. */
static char *on_line(char *out, int size, void *stream)
{
    struct source *s = stream;
    size_t room = (size_t)size - 1, n;
    bool piece = s->pending.n > 0;

    check(!s->expected || piece);
    if (!piece && !next_line(s))
        return NULL;
    if (piece || s->line.kind == LINE_MORE) {
        *out++ = ' ';
        room--;
    }
    n = s->pending.n < room ? s->pending.n : room;
    memcpy(out, s->pending.p, n);
    out[n] = '\0';
    buf_consume(&s->pending, n);
    return out;
}

/* libinih has split a line; the last piece completes it. */
static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct source *s = user;
    struct conf_origin at = place(s, s->line.value_col);

    (void)section;
    check(s->expected && s->entry && str_is(s->entry->key, name));
    for (const char *p = value; *p; p++)
        buf_add_char(&s->raw, stood(*p));
    if (s->pending.n)
        return 1;
    s->expected = false;
    check(str_eq(buf_str(&s->raw), s->line.value));
    text_add_piece(s->r->text, s->entry, buf_str(&s->raw), s->line.quoted, &at, s->r->rep);
    return 1;
}

static bool starts_with(cs_str s, const char *bytes, size_t n)
{
    return s.n >= n && memcmp(s.p, bytes, n) == 0;
}

static cs_str skip_bom(struct source *s, cs_str bytes)
{
    struct conf_origin at = {.file = s->name, .line = 1};

    if (starts_with(bytes, "\xff\xfe", 2) || starts_with(bytes, "\xfe\xff", 2)) {
        report_error(s->r->rep, &at, 1, "the file is saved as UTF-16; save it as UTF-8");
        return CS_S("");
    }
    if (!starts_with(bytes, "\xef\xbb\xbf", 3))
        return bytes;
    report_error(
        s->r->rep, &at, 1,
        "the file starts with a byte order mark (BOM, EF BB BF); save it as UTF-8 without BOM");
    return (cs_str){bytes.p + 3, bytes.n - 3};
}

void source_read(struct source_reader *r, const char *name, cs_str bytes, int depth)
{
    struct source s = {.r = r, .name = arena_strdup(&r->text->arena, name), .depth = depth};
    cs_str copy = arena_dup(&r->text->arena, skip_bom(&s, bytes));

    /* The copy is ours: its line ends become NULs, so that origins can point into it. */
    s.next = (char *)(uintptr_t)copy.p;
    s.end = s.next + copy.n;
    s.line_text = "";
    check(ini_parse_stream(on_line, &s, on_value, &s) == 0);
    close_entry(&s);
    buf_free(&s.pending);
    buf_free(&s.raw);
}
