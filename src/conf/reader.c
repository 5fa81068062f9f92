/* reader.c - the files of the settings: the one that is named, and those that are included, each once. */
#include "conf/reader.h"

#include "base/check.h"
#include "base/mem.h"
#include "conf/expand.h"
#include "conf/schema.h"
#include "conf/source.h"
#include "conf/text.h"
#include "os/file.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)4 << 20)
#define DEPTH_MAX      8

/* A file that has been read, so that no file is read twice. */
struct seen {
    dev_t dev;
    ino_t ino;
    struct conf_origin at; /* where it was included */
    bool open;             /* it is still being read */
    struct seen *next;
};

struct reader {
    struct source_reader source;
    struct seen *seen;
    bool from_memory, again;
};

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
        report_error(r->source.rep, at, 1, "\"%s\" cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && at->file) {
        report_error(r->source.rep, at, 1, "\"%s\" is not a file", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && r->again) {
        report_error(r->source.rep, at, 1,
                     "\"%s\" is not a file, so it cannot be read again; put the settings into a "
                     "file, and restart with that",
                     path);
        return NULL;
    }
    old = find_seen(r, &st);
    if (!old) {
        new = arena_zalloc(&r->source.text->arena, sizeof *new);
        *new = (struct seen){st.st_dev, st.st_ino, *at, true, r->seen};
        r->seen = new;
        return new;
    }
    if (old->open)
        report_error(r->source.rep, at, 1, "\"%s\" includes itself, directly or through others",
                     path);
    else
        report_error(r->source.rep, at, 1,
                     "\"%s\" is included a second time; the first time is at %s:%d", path,
                     old->at.file, old->at.line);
    return NULL;
}

static void read_file(struct reader *r, const char *path, int depth, const struct conf_origin *at)
{
    struct buf bytes = {0};
    struct seen *seen;
    int err;

    if (depth > DEPTH_MAX) {
        report_error(r->source.rep, at, 1, "files include each other more than %d deep", DEPTH_MAX);
        return;
    }
    seen = enter(r, path, at);
    if (!seen)
        return;
    err = file_read(path, FILE_BYTES_MAX, &bytes);
    if (err == -EFBIG)
        report_error(r->source.rep, at, 1, "\"%s\" is larger than %zu MiB", path,
                     FILE_BYTES_MAX >> 20);
    else if (err < 0)
        report_error(r->source.rep, at, 1, "\"%s\" cannot be read: %s", path, strerror(-err));
    else
        source_read(&r->source, path, buf_str(&bytes), depth);
    seen->open = false;
    buf_free(&bytes);
}

/* ---- Including files ---- */

/* The file that an "include" stands in. */
struct including {
    struct reader *r;
    const char *name;
    int depth;
};

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

static void include_pattern(const struct including *from, cs_str pattern,
                            const struct conf_origin *at)
{
    char *full = below_folder_of(from->name, pattern, true);
    glob_t found = {0};
    int err = glob(full, 0, on_glob_error, &found);

    if (err && err != GLOB_NOMATCH)
        report_error(from->r->source.rep, at, (int)pattern.n,
                     "a folder of the pattern \"%.*s\" cannot be read", CS_F(pattern));
    for (size_t i = 0; !err && i < found.gl_pathc; i++)
        read_file(from->r, found.gl_pathv[i], from->depth + 1, at);
    globfree(&found);
    free(full);
}

static void include(const struct including *from, cs_str name, const struct conf_origin *at)
{
    char *full;

    if (!name.n) {
        report_error(from->r->source.rep, at, 1,
                     "\"include\" needs the name of a file, or a pattern such as sites/*.ini");
    } else if (from->r->from_memory) {
        report_error(from->r->source.rep, at, (int)name.n, "\"include\" is not possible here");
    } else if (memchr(name.p, '*', name.n) || memchr(name.p, '?', name.n) ||
               memchr(name.p, '[', name.n)) {
        include_pattern(from, name, at);
    } else {
        full = below_folder_of(from->name, name, false);
        read_file(from->r, full, from->depth + 1, at);
        free(full);
    }
}

static void include_piece(const struct including *from, const struct conf_piece *p)
{
    struct buf error = {0}, plain = {0};
    cs_str where = {NULL, 0}, text = {NULL, 0};
    cs_list names = {1, &text};
    bool ok = expand_plain(p->text, &plain, &where, &error) == 0;

    text = arena_dup(&from->r->source.text->arena, buf_str(&plain));
    if (ok && !p->quoted)
        ok = schema_split(text, &from->r->source.text->arena, &names, &error) == 0;
    if (!ok) {
        report_error(from->r->source.rep, &p->at, 1, "include: %s", error.p);
        names.n = 0;
    }
    for (size_t i = 0; i < names.n; i++) {
        struct conf_origin at = report_point(&p->at, names.v[i]);

        include(from, names.v[i], &at);
    }
    buf_free(&plain);
    buf_free(&error);
}

static void on_include(struct source_reader *r, const char *name, int depth,
                       const struct conf_entry *e)
{
    struct including from = {
        .r = CONTAINER_OF(r, struct reader, source), .name = name, .depth = depth};

    for (const struct conf_piece *p = e->pieces; p && !e->bad; p = p->next)
        include_piece(&from, p);
    if (!e->bad && e->value.n == 0)
        include(&from, e->value, &e->value_at);
}

/* ---- All of it ---- */

static void apply_overrides(struct reader *r, const struct conf_read_opts *opts)
{
    for (size_t i = 0; opts && i < opts->noverrides; i++)
        text_override(r->source.text, opts->overrides[i].text, r->source.rep);
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
    struct reader r = {.source = {.rep = rep, .on_include = on_include},
                       .again = opts && opts->again};
    struct conf_origin at = {.what = NULL};

    if (!readable(path, rep))
        return NULL;
    r.source.text = text_new(path, opts ? opts->prefix : NULL);
    read_file(&r, path, 0, &at);
    apply_overrides(&r, opts);
    return r.source.text;
}

struct conf_text *conf_read_bytes(const char *name, cs_str bytes, const struct conf_read_opts *opts,
                                  struct report *rep)
{
    struct reader r = {.source = {.rep = rep, .on_include = on_include}, .from_memory = true};

    r.source.text = text_new(name, opts ? opts->prefix : NULL);
    if (bytes.n > FILE_BYTES_MAX) {
        struct conf_origin at = {.file = name};

        report_error(rep, &at, 1, "larger than %zu MiB", FILE_BYTES_MAX >> 20);
    } else {
        source_read(&r.source, name, bytes, 0);
    }
    apply_overrides(&r, opts);
    return r.source.text;
}
