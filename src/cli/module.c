/* module.c - module check, info and list; new and build have files of their own. */
#include "base/json.h"
#include "base/mem.h"
#include "cli/aside.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- check ---- */

static const char *const kind_words[] = {"good", "note", "warning", "error"};

static void print_check(const struct inspection *i)
{
    if (i->name)
        printf("%s: module %s %s\n", i->path, i->name, i->version);
    for (size_t k = 0; k < i->n; k++)
        printf("  %-8s %-11s %s\n", kind_words[i->v[k].kind], i->v[k].about, i->v[k].text);
    printf("%s: ", i->path);
    if (i->errors)
        printf("this cserver would refuse it\n");
    else if (i->warnings)
        printf("this cserver takes it; %u warning%s\n", i->warnings, i->warnings > 1 ? "s" : "");
    else
        printf("good\n");
}

static void write_head(struct json *j, const struct inspection *i)
{
    cs_str rest = str_of(i->hooks), hook;

    json_z(j, "file", i->path);
    json_bool(j, "good", i->errors == 0);
    json_z(j, "name", i->name);
    json_z(j, "version", i->version);
    json_z(j, "abi", i->abi);
    json_array(j, "hooks");
    while (rest.n && str_split(&rest, ',', &hook))
        json_str(j, NULL, str_trim(hook));
    json_end_array(j);
}

static void print_check_json(const struct inspection *i)
{
    struct buf out = {0};
    struct json j;

    json_init(&j, &out);
    json_object(&j, NULL);
    write_head(&j, i);
    json_int(&j, "errors", i->errors);
    json_int(&j, "warnings", i->warnings);
    json_array(&j, "findings");
    for (size_t k = 0; k < i->n; k++) {
        json_object(&j, NULL);
        json_z(&j, "kind", kind_words[i->v[k].kind]);
        json_z(&j, "about", i->v[k].about);
        json_z(&j, "text", i->v[k].text);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    printf("%s\n", out.p);
    buf_free(&out);
}

int cli_module_check(const char *path, bool json)
{
    struct inspection i;
    int code;

    inspect(&i, path);
    if (json)
        print_check_json(&i);
    else
        print_check(&i);
    code = i.errors ? CLI_FAILED : CLI_DONE;
    inspection_free(&i);
    return code;
}

static int run_check(const struct options *o)
{
    int code = CLI_DONE;

    for (size_t k = 0; k < o->nwords; k++)
        if (cli_module_check(o->words[k], o->json) != CLI_DONE)
            code = CLI_FAILED;
    return code;
}

/* ---- info ---- */

struct wish {
    struct module module;
    enum describe_as as;
};

/* First a byte that tells whether the rest is a description or a refusal. */
static void describe(void *arg, struct buf *out)
{
    struct wish *w = arg;
    struct buf error = {0};

    aside_doing("loading it (its constructors run then)");
    if (module_load(&w->module, &error) < 0) {
        buf_printf(out, "-%s", error.p);
    } else {
        buf_add_char(out, '+');
        describe_module(w->module.desc, w->module.path, w->as, out);
    }
    buf_free(&error);
}

static int tell(const struct aside *a, const char *path)
{
    struct buf text = {0};

    if (a->whole && a->out.p[0] == '+') {
        fputs(a->out.p + 1, stdout);
        return CLI_DONE;
    }
    if (a->whole)
        fprintf(stderr, "cserver: %s\n", a->out.p + 1);
    else
        aside_tell(a, &text);
    if (text.n)
        fprintf(stderr, "cserver: %s: %s\n", path, text.p);
    buf_free(&text);
    return CLI_FAILED;
}

static int info(const char *path, enum describe_as as)
{
    struct wish w = {.as = as};
    struct buf error = {0};
    struct aside a;
    int rc, code = CLI_FAILED;

    if (module_copy(&w.module, NULL, path, &error) < 0) {
        fprintf(stderr, "cserver: %s\n", error.p);
        buf_free(&error);
        return code;
    }
    rc = aside_run(&a, describe, &w);
    if (rc == 0)
        code = tell(&a, path);
    else
        fprintf(stderr, "cserver: cannot start the process that tries it: %s\n", strerror(-rc));
    aside_free(&a);
    module_free(&w.module);
    return code;
}

static int run_info(const struct options *o)
{
    enum describe_as as = o->json ? DESCRIBE_JSON : o->md ? DESCRIBE_MD : DESCRIBE_TEXT;
    int code = CLI_DONE;

    for (size_t k = 0; k < o->nwords; k++)
        if (info(o->words[k], as) != CLI_DONE)
            code = CLI_FAILED;
    return code;
}

/* ---- list ---- */

struct list_of {
    size_t n;
    char **paths;
};

static void add_path(struct list_of *l, char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->paths[i], path) == 0) {
            free(path);
            return;
        }
    l->paths = mem_resize(l->paths, (l->n + 1) * sizeof *l->paths);
    l->paths[l->n++] = path;
}

static int is_module(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');

    return dot && dot > e->d_name && strcmp(dot, ".so") == 0;
}

/* Says when there is no such folder: the list would look as if it were empty. */
static void add_folder(struct list_of *l, const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, is_module, alphasort);

    if (n < 0)
        fprintf(stderr, "cserver: the module folder %s cannot be read: %s\n", folder,
                strerror(errno));
    for (int i = 0; i < n; i++) {
        add_path(l, mem_printf("%s/%s", folder, names[i]->d_name));
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

/* The modules that settings name, and the folder that they say modules are in. */
static char *add_named(struct list_of *l, struct conf_text *text)
{
    struct conf_module_ref *refs;
    cs_str named;
    size_t n = conf_module_refs(text, &refs, &named);
    char *folder = named.n ? mem_strndup(named.p, named.n) : module_default_folder();

    for (size_t i = 0; i < n; i++) {
        char *name = mem_strndup(refs[i].name.p, refs[i].name.n);

        add_path(l, module_path(name, refs[i].file, folder, text->prefix));
        free(name);
    }
    return folder;
}

/* Settings that do not exist are no fault, unless they were asked for by name. */
static int gather(struct list_of *l, const struct options *o, const struct settings_source *src)
{
    char *prefix = src->prefix ? mem_strdup(src->prefix) : conf_prefix_of(src->path);
    struct conf_read_opts opts = {
        .prefix = prefix, .overrides = src->overrides, .noverrides = src->noverrides};
    struct buf text_of_report = {0};
    struct conf_text *text;
    struct report report;
    char *folder;
    int code = CLI_DONE;

    report_init(&report);
    text = conf_read(src->path, &opts, &report);
    if (!text && o->conf) {
        report_print(&report, &text_of_report);
        fputs(text_of_report.p, stderr);
        code = CLI_FAILED;
    }
    folder = text ? add_named(l, text) : module_default_folder();
    if (code == CLI_DONE)
        add_folder(l, folder);
    if (text)
        conf_text_free(text);
    report_free(&report);
    buf_free(&text_of_report);
    free(folder);
    free(prefix);
    return code;
}

static void print_row(const struct inspection *i, bool json)
{
    struct buf out = {0};
    struct json j;

    if (!json && i->errors) {
        printf("%-16s %-10s %-5s %s\n%16s broken: %s\n", i->name ? i->name : "-", "-", "-", i->path,
               "", inspection_error(i));
    } else if (!json) {
        printf("%-16s %-10s %-5s %s\n", i->name, i->version, i->abi, i->path);
        printf("%16s %s%s%s\n", "", i->help, i->help[0] ? "  " : "", i->hooks);
    } else {
        json_init(&j, &out);
        json_object(&j, NULL);
        write_head(&j, i);
        json_z(&j, "error", inspection_error(i));
        json_end_object(&j);
        printf("%s\n", out.p);
    }
    buf_free(&out);
}

static int run_list(const struct options *o, const struct settings_source *src)
{
    struct list_of l = {0};
    int code = gather(&l, o, src);

    if (code == CLI_DONE && !o->json)
        printf("%-16s %-10s %-5s %s\n", "name", "version", "ABI", "file, help, hooks");
    for (size_t k = 0; k < l.n; k++) {
        struct inspection i;

        inspect(&i, l.paths[k]);
        print_row(&i, o->json);
        inspection_free(&i);
        free(l.paths[k]);
    }
    free(l.paths);
    return code;
}

/* ---- All of them ---- */

int cli_module(const struct options *o, const struct settings_source *src)
{
    switch (o->verb[0]) {
    case 'n':
        return cli_module_new(o);
    case 'b':
        return cli_module_build(o);
    case 'c':
        return run_check(o);
    case 'i':
        return run_info(o);
    default:
        return run_list(o, src);
    }
}
