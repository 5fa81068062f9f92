/* new.c - module new: a folder with all that a module needs, from the texts in src/cli/templates. It has to work where
 * nothing but `make install` has been, so what pkg-config and PATH do not find this program itself knows. */
#include "base/mem.h"
#include "cli/cli.h"
#include "config.h"
#include "module/descriptor.h"
#include "module/place.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MOST 31

static const struct {
    const char *name; /* of the file, with NAME in it */
    const char *const *lines;
} templates[] = {
#include <obj/templates.inc>
};

struct project {
    const char *name;
    char *folder;        /* as given */
    char *whole;         /* absolute */
    bool in_path, in_pc; /* this very program is found */
};

/* ---- Names ---- */

static const char *wrong_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > NAME_MOST || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n ||
        !(name[0] >= 'a' && name[0] <= 'z'))
        return "a module's name is a letter and up to 30 of a-z, 0-9 and \"_\"";
    if (descriptor_name_is_taken(name))
        return "names that begin with cserver are the server's own: choose another name";
    if (n >= 5 && strcmp(name + n - 5, "_test") == 0)
        return "files that end in _test.c are tests: choose another name";
    return NULL;
}

/* ---- Where this program is ---- */

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* Does the shell find this program as "cserver"? */
static bool is_in_path(const char *self)
{
    cs_str rest = str_of(getenv("PATH")), dir;
    bool found = false;

    while (!found && rest.n && str_split(&rest, ':', &dir)) {
        char *path = mem_printf("%.*s/cserver", CS_F(dir));

        if (access(path, X_OK) == 0) {
            found = same_file(path, self);
            rest.n = 0;
        }
        free(path);
    }
    return found;
}

/* Does pkg-config find what was installed with this program? */
static bool is_in_pc(void)
{
    FILE *f = popen("pkg-config --variable=moduledir cserver 2>/dev/null", "r");
    char line[PATH_MAX] = "", *folder;
    bool same;

    if (!f)
        return false;
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    folder = place_installed(CSERVER_MODULE_DIR);
    same = pclose(f) == 0 && strcmp(line, folder) == 0;
    free(folder);
    return same;
}

/* ---- Files ---- */

/* A value between the quotes of a settings file. */
static void add_ini(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_add_char(out, '\\');
        if (*value == '$' && value[1] == '{')
            buf_add_char(out, '$');
        buf_add_char(out, *value);
    }
}

static void fill(struct buf *out, const struct project *p, const char *line)
{
    for (const char *at; (at = strchr(line, '@')) != NULL;) {
        buf_add(out, line, (size_t)(at - line));
        if (strncmp(at, "@NAME@", 6) == 0) {
            buf_add_z(out, p->name);
            line = at + 6;
        } else if (strncmp(at, "@FOLDER@", 8) == 0) {
            add_ini(out, p->whole);
            line = at + 8;
        } else {
            buf_add_char(out, '@');
            line = at + 1;
        }
    }
    buf_add_z(out, line);
}

static int write_file(const struct project *p, const char *file, cs_str text)
{
    char *path = file_join(p->folder, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int rc = fd < 0 ? -errno : fd_write_all(fd, text.p, text.n);

    fd_close(&fd);
    if (rc < 0)
        fprintf(stderr, "cserver: %s: cannot be written: %s\n", path, strerror(-rc));
    free(path);
    return rc;
}

/* "NAME_test.c" becomes "hello_test.c", "gitignore" gets its dot. */
static void name_file(struct buf *out, const struct project *p, const char *name)
{
    if (strncmp(name, "NAME", 4) == 0)
        buf_printf(out, "%s%s", p->name, name + 4);
    else
        buf_printf(out, "%s%s", strcmp(name, "gitignore") == 0 ? "." : "", name);
}

static int write_templates(const struct project *p)
{
    struct buf name = {0}, text = {0};
    int rc = 0;

    for (size_t i = 0; i < sizeof templates / sizeof *templates && rc == 0; i++) {
        buf_clear(&name);
        buf_clear(&text);
        name_file(&name, p, templates[i].name);
        for (const char *const *line = templates[i].lines; *line; line++)
            fill(&text, p, *line);
        rc = write_file(p, name.p, buf_str(&text));
    }
    buf_free(&name);
    buf_free(&text);
    return rc;
}

/* A word for make and, between quotes, for the shell behind it. */
static void add_make(struct buf *out, const char *word)
{
    for (; *word; word++) {
        if (*word == '$')
            buf_add_char(out, '$');
        if (*word == '#')
            buf_add_char(out, '\\');
        if (*word == '\'')
            buf_add_z(out, "'\\'");
        buf_add_char(out, *word);
    }
}

static void add_variable(struct buf *out, const char *name, const char *before, const char *path,
                         const char *after)
{
    buf_printf(out, "%s = %s", name, before);
    add_make(out, path);
    buf_printf(out, "%s\n", after);
}

/* What the Makefile would else ask pkg-config and the shell for. */
static int write_local(const struct project *p, const char *self)
{
    char *include = place_include(), *testlib = place_testlib(), *modules = module_default_folder();
    struct buf text = {0};
    int rc;

    buf_add_z(&text, "# Where cserver is on this machine, since PATH or pkg-config did not find it "
                     "when `cserver\n# module new` wrote this. Not for other machines: git leaves "
                     "it out.\n");
    buf_add_z(&text, "ifneq ($(origin CSERVER),environment)\n");
    add_variable(&text, "CSERVER", "", self, "");
    buf_add_z(&text, "endif\n");
    if (!p->in_pc) {
        add_variable(&text, "cserver_cflags", "-I'", include ? include : "", "'");
        add_variable(&text, "cserver_test", "'", testlib ? testlib : "", "' -lpthread -ldl");
        add_variable(&text, "cserver_modules", "", modules, "");
    }
    rc = write_file(p, "local.mk", buf_str(&text));
    buf_free(&text);
    free(include);
    free(testlib);
    free(modules);
    return rc;
}

/* ---- What comes next ---- */

static void print_quoted(const char *word)
{
    putchar('\'');
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stdout);
    putchar('\'');
}

static void print_export(const char *before, const char *path, const char *after)
{
    fputs(before, stdout);
    print_quoted(path);
    puts(after);
}

static void print_exports(const struct project *p, const char *self)
{
    char *root = place_root(), *dir = file_dirname(self);
    char *pc = root ? mem_printf("%s%s/pkgconfig", root, CSERVER_LIBDIR) : NULL;

    if (!p->in_path || (!p->in_pc && pc))
        puts("\nlocal.mk there says where cserver is. For your shell that would be:");
    if (!p->in_path)
        print_export("  export PATH=", dir, ":\"$PATH\"");
    if (!p->in_pc && pc)
        print_export("  export PKG_CONFIG_PATH=", pc, "");
    if (!p->in_pc && pc && *root)
        print_export("  export PKG_CONFIG_SYSROOT_DIR=", root, "");
    free(pc);
    free(root);
    free(dir);
}

static void print_next(const struct project *p, const char *self)
{
    bool plain = strspn(p->folder, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "_-+=,./:@%") == strlen(p->folder);

    printf("The module %s is in %s. Next:\n\n  cd ", p->name, p->folder);
    if (plain)
        fputs(p->folder, stdout);
    else
        print_quoted(p->folder);
    puts("\n  make && make check");
    puts("  make dev                    # then: curl http://127.0.0.1:8080/");
    print_exports(p, self);
}

/* Such as one that came with the server. */
static void warn_of_another(const struct project *p)
{
    char *folder = module_default_folder(), *other = mem_printf("%s/%s.so", folder, p->name);

    if (access(other, F_OK) == 0)
        fprintf(stderr,
                "cserver: warning: there is a module %s already, %s: `make install` of this one "
                "would overwrite it\n",
                p->name, other);
    free(other);
    free(folder);
}

/* ---- The whole ---- */

static int make_folder(const struct project *p)
{
    if (mkdir(p->folder, 0777) == 0)
        return 0;
    if (errno == EEXIST)
        fprintf(stderr,
                "cserver: %s: is there already: name another folder (cserver module new %s "
                "FOLDER), or move it away\n",
                p->folder, p->name);
    else
        fprintf(stderr, "cserver: %s: cannot be made: %s%s\n", p->folder, strerror(errno),
                errno == ENOENT ? "; make the folder above it first" : "");
    return -1;
}

static int write_all(struct project *p, const char *self)
{
    if (make_folder(p) < 0)
        return CLI_FAILED;
    p->whole = realpath(p->folder, NULL);
    if (!p->whole || write_templates(p) < 0)
        return CLI_FAILED;
    if (!(p->in_path && p->in_pc) && write_local(p, self) < 0)
        return CLI_FAILED;
    print_next(p, self);
    warn_of_another(p);
    return CLI_DONE;
}

int cli_module_new(const struct options *o)
{
    const char *name = o->words[0], *wrong = wrong_name(name);
    struct project p = {.name = name};
    char *self = file_self();
    int code = CLI_USAGE;

    if (wrong) {
        fprintf(stderr, "cserver: %s: %s\n", name, wrong);
    } else {
        p.folder = mem_strdup(o->nwords > 1 ? o->words[1] : name);
        p.in_path = self && is_in_path(self);
        p.in_pc = is_in_pc();
        code = write_all(&p, self ? self : "cserver");
    }
    free(p.folder);
    free(p.whole);
    free(self);
    return code;
}
