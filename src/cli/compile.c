/* compile.c - module build: one command of the compiler, with flags like those that the server's own modules are built
 * with, and a look at what came of it. */
#include "base/mem.h"
#include "cli/cli.h"
#include "module/place.h"
#include "os/child.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct words {
    size_t n;
    char **v; /* ends with NULL once there is one */
};

static void add(struct words *w, char *word)
{
    w->v = mem_resize(w->v, (w->n + 2) * sizeof *w->v);
    w->v[w->n++] = word;
    w->v[w->n] = NULL;
}

static void add_copies(struct words *w, const char *const *v)
{
    for (; *v; v++)
        add(w, mem_strdup(*v));
}

/* Cut at blanks, as make and the shell would. */
static void add_split(struct words *w, const char *text)
{
    static const char blanks[] = " \t\n";

    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t n = strcspn(text, blanks);

        add(w, mem_strndup(text, n));
        text += n;
    }
}

static void add_environment(struct words *w, const char *name)
{
    const char *value = getenv(name);

    add_split(w, value ? value : "");
}

static void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    free(w->v);
    *w = (struct words){.n = 0};
}

/* ---- What is to be built ---- */

static bool ends_with(const char *z, const char *end)
{
    size_t n = strlen(z), nend = strlen(end);

    return n > nend && strcmp(z + n - nend, end) == 0;
}

static int is_source(const struct dirent *e)
{
    return e->d_name[0] != '.' && ends_with(e->d_name, ".c") && !ends_with(e->d_name, "_test.c");
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* FOLDER/NAME.so, by the folder's own name. */
static char *name_in(const char *folder)
{
    char *whole = realpath(folder, NULL);
    const char *slash = whole ? strrchr(whole, '/') : NULL;
    char *path = mem_printf("%s/%s.so", folder, slash && slash[1] ? slash + 1 : "module");

    free(whole);
    return path;
}

/* False when there is nothing to build, which it says. */
static bool take_folder(const char *folder, struct words *files, char **so)
{
    struct dirent **names;
    int n = scandir(folder, &names, is_source, alphasort);

    for (int i = 0; i < n; i++) {
        add(files, file_join(folder, names[i]->d_name));
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    if (n <= 0)
        fprintf(stderr, "cserver: %s: there is no C file of a module here (%s); name one\n", folder,
                n < 0 ? strerror(errno) : "files that end in _test.c do not count");
    *so = name_in(folder);
    return n > 0;
}

static bool take_files(const struct options *o, struct words *files, char **so)
{
    for (size_t i = 0; i < o->nwords; i++) {
        if (access(o->words[i], R_OK) < 0 || is_folder(o->words[i])) {
            fprintf(stderr, "cserver: %s: %s; module build takes one folder, or C files\n",
                    o->words[i], is_folder(o->words[i]) ? "this is a folder" : strerror(errno));
            return false;
        }
        add(files, mem_strdup(o->words[i]));
    }
    *so = ends_with(o->words[0], ".c")
              ? mem_printf("%.*s.so", (int)strlen(o->words[0]) - 2, o->words[0])
              : mem_printf("%s.so", o->words[0]);
    return true;
}

static bool take_sources(const struct options *o, struct words *files, char **so)
{
    if (o->nwords == 0)
        return take_folder(".", files, so);
    if (o->nwords == 1 && is_folder(o->words[0]))
        return take_folder(o->words[0], files, so);
    return take_files(o, files, so);
}

/* ---- The command ---- */

static const char *const compile_flags[] = {"-shared",
                                            "-fPIC",
                                            "-O2",
                                            "-g",
                                            "-fvisibility=hidden",
                                            "-fno-common",
                                            "-fstack-protector-strong",
                                            "-Wall",
                                            "-Wextra",
                                            NULL};
static const char *const link_flags[] = {"-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack",
                                         "-Wl,--as-needed", NULL};
/* A sanitizer has its own checks, and leaves names open that the program brings. */
static const char *const fortify_flags[] = {"-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2",
                                            "-Wl,-z,defs", NULL};

static bool has_sanitizer(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->v[i], "-fsanitize", 10) == 0)
            return true;
    return false;
}

static void make_command(struct words *w, const struct options *o, const struct words *files,
                         const char *include, const char *so)
{
    const char *cc = getenv("CC");

    add_split(w, cc && *cc ? cc : "cc");
    add_copies(w, compile_flags);
    add(w, mem_printf("-I%s", include));
    add_environment(w, "CPPFLAGS");
    add_environment(w, "CFLAGS");
    add(w, mem_strdup("-o"));
    add(w, mem_strdup(so));
    for (size_t i = 0; i < files->n; i++)
        add(w, mem_strdup(files->v[i]));
    add_copies(w, link_flags);
    add_environment(w, "LDFLAGS");
    for (size_t i = 0; i < o->nextra; i++)
        add(w, mem_strdup(o->extra[i]));
    add_environment(w, "LDLIBS");
    if (!has_sanitizer(w))
        add_copies(w, fortify_flags);
}

/* As a shell would take it. */
static void print_command(const struct words *w)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=,./:@%";

    for (size_t i = 0; i < w->n; i++) {
        const char *z = w->v[i];

        fputs(i > 0 ? " " : "", stdout);
        if (*z && strspn(z, plain) == strlen(z)) {
            fputs(z, stdout);
            continue;
        }
        putchar('\'');
        for (; *z; z++)
            fputs(*z == '\'' ? "'\\''" : (char[]){*z, '\0'}, stdout);
        putchar('\'');
    }
    putchar('\n');
}

/* 0 when the command ran and was content. */
static int run(const struct words *w)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = child_fork(SIGKILL);
    if (pid == 0) {
        execvp(w->v[0], w->v);
        fprintf(stderr, "cserver: %s: %s; install a C compiler, or name one with CC=\n", w->v[0],
                strerror(errno));
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CLI_DONE : CLI_FAILED;
}

static int build(const struct options *o, const struct words *files, const char *so)
{
    char *include = place_include();
    struct words command = {0};
    int code = CLI_FAILED;

    if (!include) {
        fputs("cserver: cserver/cserver.h is not where it was installed with this program: "
              "install it again (make install)\n",
              stderr);
        return code;
    }
    make_command(&command, o, files, include, so);
    if (o->verbose)
        print_command(&command);
    code = run(&command);
    if (code == CLI_DONE)
        code = cli_module_check(so, false);
    words_free(&command);
    free(include);
    return code;
}

int cli_module_build(const struct options *o)
{
    struct words files = {0};
    char *so = NULL;
    int code = CLI_FAILED;

    if (take_sources(o, &files, &so))
        code = build(o, &files, o->output ? o->output : so);
    words_free(&files);
    free(so);
    return code;
}
