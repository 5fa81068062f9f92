/* inspect.c - see inspect.h. What the bytes say is read here, by os/elf.h, which runs nothing. The rest needs the module
 * loaded, and with that its constructors run: that is done aside, and comes back as three strings a finding: kind, about,
 * text. */
#include "cli/inspect.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/aside.h"
#include "os/elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACT       'f' /* a kind beside those of enum finding_kind: about the module itself */
#define MOST_SHOWN 5

/* ---- Findings ---- */

static void find(struct inspection *i, enum finding_kind kind, const char *about, const char *text)
{
    i->v = mem_resize(i->v, (i->n + 1) * sizeof *i->v);
    i->v[i->n++] =
        (struct finding){.kind = kind, .about = mem_strdup(about), .text = mem_strdup(text)};
    i->errors += kind == FINDING_ERROR;
    i->warnings += kind == FINDING_WARNING;
}

static void find_buf(struct inspection *i, enum finding_kind kind, const char *about,
                     struct buf *text)
{
    find(i, kind, about, text->n ? text->p : "");
    buf_free(text);
}

const char *inspection_error(const struct inspection *i)
{
    for (size_t k = 0; k < i->n; k++)
        if (i->v[k].kind == FINDING_ERROR)
            return i->v[k].text;
    return NULL;
}

/* ---- The bytes ---- */

/* Names that compilers and linkers put there by themselves. */
static bool is_tools_own(const char *name)
{
    static const char *const own[] = {"_init", "_fini", "__bss_start", "_edata", "_end", NULL};
    static const char *const starts[] = {"__odr_asan", "__asan_", "__gcov", "__llvm_", NULL};

    for (size_t i = 0; own[i]; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    for (size_t i = 0; starts[i]; i++)
        if (strncmp(name, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static bool is_descriptor(const char *name)
{
    return strncmp(name, "cserver_module_", 15) == 0;
}

static void find_exports(struct inspection *i, const struct elf *e)
{
    struct elf_symbol s;
    struct buf names = {0}, text = {0};
    size_t n = 0;

    for (size_t k = 0; k < e->nsymbols; k++) {
        if (!elf_symbol(e, k, &s) || !s.defined || is_tools_own(s.name) || is_descriptor(s.name))
            continue;
        if (n++ < MOST_SHOWN)
            buf_printf(&names, "%s%s", n > 1 ? ", " : "", s.name);
    }
    if (n == 0) {
        find(i, FINDING_GOOD, "symbols", "it shows no name but its descriptor");
    } else {
        buf_printf(&text,
                   "it shows %zu name%s beside its descriptor, %s%s: another library's of that "
                   "name would be called in place of it; compile with -fvisibility=hidden",
                   n, n > 1 ? "s" : "", names.p, n > MOST_SHOWN ? " ..." : "");
        find_buf(i, FINDING_WARNING, "symbols", &text);
    }
    buf_free(&names);
}

static void find_hardening(struct inspection *i, const struct elf *e)
{
    if (!e->relro)
        find(i, FINDING_WARNING, "hardening",
             "its tables of pointers stay writable (no RELRO): link with -Wl,-z,relro");
    if (!e->bind_now)
        find(i, FINDING_WARNING, "hardening",
             "names are looked up while requests run (no BIND_NOW): link with -Wl,-z,now");
    if (e->exec_stack)
        find(i, FINDING_WARNING, "hardening",
             "it makes the stack of the whole server executable: link with -Wl,-z,noexecstack");
    if (e->text_relocs)
        find(i, FINDING_WARNING, "hardening",
             "its code is written to while it is loaded (TEXTREL): compile all of it with -fPIC");
    if (e->relro && e->bind_now && !e->exec_stack && !e->text_relocs)
        find(i, FINDING_GOOD, "hardening",
             "RELRO, BIND_NOW, no executable stack, no text relocations");
}

static void find_libraries(struct inspection *i, const struct elf *e)
{
    struct buf text = {0};
    const char *name;

    for (size_t k = 0; (name = elf_needed(e, k)) != NULL; k++)
        buf_printf(&text, "%s%s", k > 0 ? ", " : "", name);
    if (text.n == 0)
        buf_add_z(&text, "none");
    find_buf(i, FINDING_NOTE, "libraries", &text);
}

static void inspect_bytes(struct inspection *i, int fd)
{
    struct elf e;

    if (elf_open(&e, fd) < 0)
        return; /* loading it says why */
    find_exports(i, &e);
    find_hardening(i, &e);
    find_libraries(i, &e);
    elf_close(&e);
}

/* ---- In the child ---- */

static void say(struct buf *out, char kind, const char *about, const char *text)
{
    buf_add_char(out, kind);
    buf_add_char(out, '\0');
    buf_add(out, about, strlen(about) + 1);
    buf_add(out, text, strlen(text) + 1);
}

static void say_kind(struct buf *out, enum finding_kind kind, const char *about, const char *text)
{
    say(out, (char)('0' + (int)kind), about, text);
}

/* With the file's name before it, as refusals have it, or without. */
static const char *behind_path(const struct module *m, const char *sentence)
{
    size_t n = strlen(m->path);

    return strncmp(sentence, m->path, n) == 0 && strncmp(sentence + n, ": ", 2) == 0
               ? sentence + n + 2
               : sentence;
}

#define HOOK(name, handles, used)                                                                  \
    {                                                                                              \
#name, offsetof(cs_module, name), handles, used                                            \
    }

static const struct hook {
    const char *name;
    size_t off;
    bool handles, used;
} hooks[] = {
    HOOK(on_config, 0, 0),     HOOK(worker_start, 0, 0), HOOK(worker_stop, 0, 0),
    HOOK(primary_start, 0, 0), HOOK(primary_stop, 0, 0), HOOK(on_join, 0, 0),
    HOOK(on_leave, 0, 0),      HOOK(access, 0, 1),       HOOK(handler, 1, 0),
    HOOK(header_filter, 0, 1), HOOK(body_filter, 0, 1),  HOOK(on_log, 0, 1),
    HOOK(on_save, 0, 0),       HOOK(on_adopt, 0, 0),
};

static bool has(const cs_module *d, const struct hook *h)
{
    void (*hook)(void);

    memcpy(&hook, (const char *)d + h->off, sizeof hook);
    return hook != NULL;
}

void inspect_hooks(const cs_module *d, struct buf *out)
{
    size_t start = out->n;

    for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
        if (has(d, &hooks[i]))
            buf_printf(out, "%s%s", out->n > start ? ", " : "", hooks[i].name);
}

static bool hears_topics(const cs_module *d)
{
    for (const cs_topic_def *t = d->topics; t && t->name; t++)
        if (t->on_message)
            return true;
    return false;
}

static size_t count_directives(const cs_module *d)
{
    size_t n = 0;

    while (d->directives && d->directives[n].type != CS_T_END)
        n++;
    return n;
}

static void say_hooks(const cs_module *d, struct buf *out)
{
    struct buf names = {0};

    inspect_hooks(d, &names);
    say(out, FACT, "hooks", names.n ? names.p : "");
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        if (has(d, &hooks[i]) && hooks[i].handles)
            say(out, FACT, "handles", "");
        if (has(d, &hooks[i]) && hooks[i].used)
            say(out, FACT, "used", "");
    }
    if (names.n || hears_topics(d))
        say_kind(out, FINDING_NOTE, "hooks", names.n ? names.p : "only messages");
    else
        say_kind(out, FINDING_WARNING, "hooks",
                 "it has none, and so does nothing: write .handler = ... into CS_MODULE");
    if (!d->on_adopt != !d->on_save)
        say_kind(out, FINDING_WARNING, "hooks",
                 "on_save and on_adopt go together: a stream moves with both, or is closed");
    buf_free(&names);
}

static void say_module(const struct module *m, struct buf *out)
{
    const cs_module *d = m->desc;
    char text[128];

    say(out, FACT, "name", d->name);
    say(out, FACT, "version", d->version);
    say(out, FACT, "help", d->help ? d->help : "");
    snprintf(text, sizeof text, "%u.%u", d->abi_major, d->abi_minor);
    say(out, FACT, "abi", text);
    snprintf(text, sizeof text, "%u.%u; this cserver has %d.%d", d->abi_major, d->abi_minor,
             CS_ABI_MAJOR, CS_ABI_MINOR);
    say_kind(out, FINDING_GOOD, "ABI", text);
    if (d->help && d->help[0])
        say_kind(out, FINDING_GOOD, "descriptor", d->help);
    else
        say_kind(out, FINDING_WARNING, "descriptor",
                 "it does not say what it is for: write .help = \"One sentence.\" into CS_MODULE");
    say_hooks(d, out);
    snprintf(text, sizeof text, "%zu key%s, all defaults fit", count_directives(d),
             count_directives(d) == 1 ? "" : "s");
    say_kind(out, FINDING_GOOD, "settings", count_directives(d) ? text : "no keys of its own");
}

/* The linker names the first that is missing; here all are. */
static void say_missing(const struct module *m, struct buf *out)
{
    struct elf_symbol s;
    struct buf names = {0};
    struct elf e;
    size_t n = 0;

    if (elf_open(&e, m->fd) < 0)
        return;
    for (size_t k = 0; k < e.nsymbols; k++)
        if (elf_symbol(&e, k, &s) && !s.defined && !s.weak && strncmp(s.name, "cs_", 3) == 0 &&
            n++ < MOST_SHOWN)
            buf_printf(&names, "%s%s", n > 1 ? ", " : "", s.name);
    if (n > 0) {
        buf_printf(&names, ": this cserver.h has no call of that name; compile with -Wall, it says "
                           "where it stands");
        say_kind(out, FINDING_ERROR, "undefined", names.p);
    }
    elf_close(&e);
    buf_free(&names);
}

static void work(void *arg, struct buf *out)
{
    struct module *m = arg;
    struct buf error = {0};

    aside_doing("loading it (its constructors run then)");
    if (module_load(m, &error) < 0) {
        say_kind(out, FINDING_ERROR, "loading", behind_path(m, error.p));
        if (strstr(error.p, "undefined symbol"))
            say_missing(m, out);
    } else {
        say_kind(out, FINDING_GOOD, "loading", "all names that it wants are there");
        aside_doing("reading its descriptor");
        say_module(m, out);
    }
    aside_doing("unloading it (its destructors run then)");
    module_free(m);
    buf_free(&error);
}

/* ---- What comes back ---- */

static const char *next(cs_str *rest)
{
    const char *z = rest->p, *end = rest->n ? memchr(z, '\0', rest->n) : NULL;

    if (!end)
        return NULL;
    rest->n -= (size_t)(end - z) + 1;
    rest->p = end + 1;
    return z;
}

static void take_fact(struct inspection *i, const char *about, const char *text)
{
    struct {
        const char *about;
        char **to;
    } places[] = {{"name", &i->name},
                  {"version", &i->version},
                  {"help", &i->help},
                  {"abi", &i->abi},
                  {"hooks", &i->hooks}};

    i->handles = i->handles || strcmp(about, "handles") == 0;
    i->used = i->used || strcmp(about, "used") == 0;
    for (size_t k = 0; k < ARRAY_LEN(places); k++)
        if (strcmp(places[k].about, about) == 0 && !*places[k].to)
            *places[k].to = mem_strdup(text);
}

static void take_all(struct inspection *i, cs_str rest)
{
    const char *kind, *about, *text;

    while ((kind = next(&rest)) && (about = next(&rest)) && (text = next(&rest)))
        if (*kind == FACT)
            take_fact(i, about, text);
        else
            find(i, (enum finding_kind)(*kind - '0'), about, text);
}

static void inspect_aside(struct inspection *i, struct module *m)
{
    struct aside a;
    struct buf text = {0};
    int rc = aside_run(&a, work, m);

    if (rc == 0 && a.whole) {
        take_all(i, buf_str(&a.out));
    } else if (rc == 0) {
        aside_tell(&a, &text);
        find_buf(i, FINDING_ERROR, "loading", &text);
    } else {
        buf_printf(&text, "cannot start the process that tries it: %s", strerror(-rc));
        find_buf(i, FINDING_ERROR, "loading", &text);
    }
    aside_free(&a);
}

void inspect(struct inspection *i, const char *path)
{
    struct buf error = {0};
    struct module m;

    *i = (struct inspection){.path = mem_strdup(path)};
    if (module_copy(&m, NULL, path, &error) < 0) {
        find(i, FINDING_ERROR, "file", error.p + strlen(path) + 2);
    } else {
        inspect_aside(i, &m);
        inspect_bytes(i, m.fd);
        module_free(&m);
    }
    buf_free(&error);
}

void inspection_free(struct inspection *i)
{
    for (size_t k = 0; k < i->n; k++) {
        free(i->v[k].about);
        free(i->v[k].text);
    }
    free(i->v);
    free(i->path);
    free(i->name);
    free(i->version);
    free(i->help);
    free(i->abi);
    free(i->hooks);
    *i = (struct inspection){.n = 0};
}
