/* reader.c - stands between the files and libinih.
 *
 * libinih asks for lines (on_line) and calls back with names and values (on_value), one for one.
 * What it gets are only lines that line.h has found good, and in a form that it cannot misread:
 * inside values blanks, ";" and "#" travel as control characters, which no file may have, and a
 * long line travels in pieces as continuation lines. on_value puts the pieces together again and
 * turns the stand-ins back. */
#include "conf/reader.h"

#include "base/check.h"
#include "base/mem.h"
#include "conf/expand.h"
#include "conf/line.h"
#include "conf/schema.h"
#include "conf/text.h"
#include "os/file.h"

#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)4 << 20)
#define DEPTH_MAX      8
#define ERRORS_MAX     500
#define SECTION_CUT    49 /* what libinih keeps of a section's name */

static const char stood_for[] = " \t;#", stand_ins[] = "\1\2\3\4";

/* A file that has been read, so that no file is read twice. */
struct seen {
    dev_t dev;
    ino_t ino;
    struct conf_origin at; /* where it was included */
    bool open;             /* it is still being read */
    struct seen *next;
};

struct reader {
    struct conf_text *text;
    struct report *rep;
    struct seen *seen;
    bool from_memory, again;
};

/* One file while it is read. */
struct source {
    struct reader *r;
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

/* ---- Including files ---- */

static void read_file(struct reader *r, const char *path, int depth, const struct conf_origin *at);

static int on_glob_error(const char *path, int err)
{
    (void)path;
    return err == ENOENT || err == ENOTDIR ? 0 : 1;
}

/* The pattern below the including file's folder; what is special in the folder's own name loses its
 * meaning. */
static char *below_folder_of(const char *file, cs_str pattern, bool escape)
{
    const char *slash = strrchr(file, '/');
    struct buf out = {0};

    for (const char *p = file; pattern.p[0] != '/' && slash && p <= slash; p++) {
        if (escape && strchr("*?[\\", *p))
            buf_add_char(&out, '\\');
        buf_add_char(&out, *p);
    }
    buf_add_str(&out, pattern);
    return out.p;
}

static void include_pattern(struct source *s, cs_str pattern, const struct conf_origin *at)
{
    char *full = below_folder_of(s->name, pattern, true);
    glob_t found = {0};
    int err = glob(full, 0, on_glob_error, &found);

    if (err && err != GLOB_NOMATCH)
        report_error(s->r->rep, at, (int)pattern.n,
                     "a folder of the pattern \"%.*s\" cannot be read", CS_F(pattern));
    for (size_t i = 0; !err && i < found.gl_pathc; i++)
        read_file(s->r, found.gl_pathv[i], s->depth + 1, at);
    globfree(&found);
    free(full);
}

static void include(struct source *s, cs_str name, const struct conf_origin *at)
{
    char *full;

    if (!name.n) {
        report_error(s->r->rep, at, 1,
                     "\"include\" needs the name of a file, or a pattern such as sites/*.ini");
    } else if (s->r->from_memory) {
        report_error(s->r->rep, at, (int)name.n, "\"include\" is not possible here");
    } else if (memchr(name.p, '*', name.n) || memchr(name.p, '?', name.n) ||
               memchr(name.p, '[', name.n)) {
        include_pattern(s, name, at);
    } else {
        full = below_folder_of(s->name, name, false);
        read_file(s->r, full, s->depth + 1, at);
        free(full);
    }
}

static void include_piece(struct source *s, const struct conf_piece *p)
{
    struct buf error = {0}, plain = {0};
    cs_str where = {NULL, 0}, text = {NULL, 0};
    cs_list names = {1, &text};
    bool ok = expand_plain(p->text, &plain, &where, &error) == 0;

    text = arena_dup(&s->r->text->arena, buf_str(&plain));
    if (ok && !p->quoted)
        ok = schema_split(text, &s->r->text->arena, &names, &error) == 0;
    if (!ok) {
        report_error(s->r->rep, &p->at, 1, "include: %s", error.p);
        names.n = 0;
    }
    for (size_t i = 0; i < names.n; i++) {
        struct conf_origin at = report_point(&p->at, names.v[i]);

        include(s, names.v[i], &at);
    }
    buf_free(&plain);
    buf_free(&error);
}

static void include_entry(struct source *s, const struct conf_entry *e)
{
    for (const struct conf_piece *p = e->pieces; p && !e->bad; p = p->next)
        include_piece(s, p);
    if (!e->bad && e->value.n == 0)
        include(s, e->value, &e->value_at);
}

/* ---- The tree ---- */

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
        include_entry(s, e);
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

/* ---- What libinih is given ---- */

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

/* ---- Files ---- */

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

static void read_bytes(struct reader *r, const char *name, cs_str bytes, int depth)
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

static struct seen *find_seen(struct reader *r, const struct stat *st)
{
    for (struct seen *i = r->seen; i; i = i->next)
        if (i->dev == st->st_dev && i->ino == st->st_ino)
            return i;
    return NULL;
}

/* Each file once: a second time would open all its sections again, and a loop would never end. */
static struct seen *enter(struct reader *r, const char *path, const struct conf_origin *at)
{
    struct stat st;
    struct seen *old, *new;

    if (stat(path, &st) < 0) {
        report_error(r->rep, at, 1, "\"%s\" cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && at->file) {
        report_error(r->rep, at, 1, "\"%s\" is not a file", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && r->again) {
        report_error(r->rep, at, 1,
                     "\"%s\" is not a file, so it cannot be read again; put the settings into a "
                     "file, and restart with that",
                     path);
        return NULL;
    }
    old = find_seen(r, &st);
    if (!old) {
        new = arena_zalloc(&r->text->arena, sizeof *new);
        *new = (struct seen){st.st_dev, st.st_ino, *at, true, r->seen};
        r->seen = new;
        return new;
    }
    if (old->open)
        report_error(r->rep, at, 1, "\"%s\" includes itself, directly or through others", path);
    else
        report_error(r->rep, at, 1, "\"%s\" is included a second time; the first time is at %s:%d",
                     path, old->at.file, old->at.line);
    return NULL;
}

static void read_file(struct reader *r, const char *path, int depth, const struct conf_origin *at)
{
    struct buf bytes = {0};
    struct seen *seen;
    int err;

    if (depth > DEPTH_MAX) {
        report_error(r->rep, at, 1, "files include each other more than %d deep", DEPTH_MAX);
        return;
    }
    seen = enter(r, path, at);
    if (!seen)
        return;
    err = file_read(path, FILE_BYTES_MAX, &bytes);
    if (err == -EFBIG)
        report_error(r->rep, at, 1, "\"%s\" is larger than %zu MiB", path, FILE_BYTES_MAX >> 20);
    else if (err < 0)
        report_error(r->rep, at, 1, "\"%s\" cannot be read: %s", path, strerror(-err));
    else
        read_bytes(r, path, buf_str(&bytes), depth);
    seen->open = false;
    buf_free(&bytes);
}

static void apply_overrides(struct reader *r, const struct conf_read_opts *opts)
{
    for (size_t i = 0; opts && i < opts->noverrides; i++)
        text_override(r->text, opts->overrides[i].text, r->rep);
}

static bool readable(const char *path, struct report *rep)
{
    struct conf_origin at = {.file = path};
    struct stat st;
    int err = stat(path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;

    if (!err && access(path, R_OK) < 0)
        err = errno;
    if (err)
        report_error(rep, &at, 1, "the settings file cannot be read: %s", strerror(err));
    return !err;
}

struct conf_text *conf_read(const char *path, const struct conf_read_opts *opts, struct report *rep)
{
    struct reader r = {.rep = rep, .again = opts && opts->again};
    struct conf_origin at = {.what = NULL};

    if (!readable(path, rep))
        return NULL;
    r.text = text_new(path, opts ? opts->prefix : NULL);
    read_file(&r, path, 0, &at);
    apply_overrides(&r, opts);
    return r.text;
}

struct conf_text *conf_read_bytes(const char *name, cs_str bytes, const struct conf_read_opts *opts,
                                  struct report *rep)
{
    struct reader r = {.rep = rep, .from_memory = true};

    r.text = text_new(name, opts ? opts->prefix : NULL);
    if (bytes.n > FILE_BYTES_MAX) {
        struct conf_origin at = {.file = name};

        report_error(rep, &at, 1, "larger than %zu MiB", FILE_BYTES_MAX >> 20);
    } else {
        read_bytes(&r, name, bytes, 0);
    }
    apply_overrides(&r, opts);
    return r.text;
}
