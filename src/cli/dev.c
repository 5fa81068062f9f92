/* dev.c - --dev x.so: a server for one module, with settings that no file has. Its pid file and its control socket lie in a
 * folder that goes with it, so any number of such servers may run beside each other and beside a real one. A second --dev
 * of the same module at the same address has the first take the module's new file. */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/remote.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sock.h"
#include "os/sock_unix.h"
#include "proc/master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADDRESS "127.0.0.1:8080"

/* ---- The address ---- */

/* A plain number is a port of this machine alone. To be freed. */
static char *address_of(const char *given)
{
    if (!given)
        return mem_strdup(ADDRESS);
    if (*given && strspn(given, "0123456789") == strlen(given))
        return mem_printf("127.0.0.1:%s", given);
    return mem_strdup(given);
}

/* Who tries modules should not have to look for what else has the port. */
static int check_address(const char *address)
{
    struct sock_listen_opts opts = {.backlog = 1};
    const char *why;
    struct sock_addr a;
    int fd;

    if (!sock_addr_parse(str_of(address), &a, &why)) {
        fprintf(stderr, "cserver: -l %s: %s\n", address, why);
        return CLI_USAGE;
    }
    if (sock_addr_is_unix(&a))
        return CLI_DONE;
    fd = sock_listen(&a, &opts);
    if (fd == -EADDRINUSE)
        fprintf(stderr,
                "cserver: %s is in use by another program: choose an address with -l, such as "
                "-l 8081\n",
                address);
    else if (fd < 0)
        fprintf(stderr, "cserver: cannot listen on %s: %s; choose an address with -l\n", address,
                strerror(-fd));
    if (fd < 0)
        return CLI_FAILED;
    fd_close(&fd);
    return CLI_DONE;
}

/* ---- The folder ---- */

static char *folder; /* of this module at this address */
static pid_t owner;  /* whoever else ends leaves it alone */

static uint64_t hash(uint64_t h, const char *z)
{
    for (; *z; z++)
        h = (h ^ (unsigned char)*z) * 1099511628211u;
    return h;
}

/* The same for the same module at the same address, so that a second --dev finds the first. */
static void name_folder(const char *file, const char *address)
{
    const char *tmp = getenv("TMPDIR");

    folder = mem_printf(
        "%s/cserver-dev-%u-%016llx", tmp && *tmp == '/' ? tmp : "/tmp", (unsigned)geteuid(),
        (unsigned long long)hash(hash(hash(14695981039346656037u, file), "\n"), address));
}

static void remove_folder(void)
{
    static const char *const names[] = {"pid", "control"};

    if (getpid() != owner)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = file_join(folder, names[i]);

        unlink(path);
        free(path);
    }
    rmdir(folder);
}

/* In /tmp anybody may have been there first. */
static bool folder_is_ours(void)
{
    struct stat st;

    return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & (S_IRWXG | S_IRWXO));
}

static int make_folder(void)
{
    if (mkdir(folder, 0700) < 0 && (errno != EEXIST || !folder_is_ours())) {
        fprintf(stderr,
                "cserver: cannot use the folder %s for the pid file: %s; set TMPDIR to another "
                "place\n",
                folder, errno == EEXIST ? "it is not this user's alone" : strerror(errno));
        return CLI_FAILED;
    }
    owner = getpid();
    atexit(remove_folder);
    return CLI_DONE;
}

/* ---- One that runs already ---- */

/* Connects to the one of this user, and tells nothing to anybody else. */
static bool find_server(struct remote *r)
{
    unsigned uid, gid;
    int pid;

    return folder_is_ours() && client_open(&r->client, r->path) == 0 &&
           sock_unix_peer(r->client.fd, &pid, &uid, &gid) == 0 && uid == geteuid();
}

/* Has it take the new module. False: there is none. */
static bool reload(const struct options *o, int *code)
{
    struct remote r = {.o = o,
                       .what = "reload",
                       .path = file_join(folder, "control"),
                       .client = {.fd = -1, .pidfd = -1}};
    bool there = find_server(&r);

    if (there) {
        *code = remote_ask(&r, r.what, remote_limit(o, REMOTE_LIMIT_MS));
        if (*code == CLI_DONE && !o->quiet)
            remote_print_line(stdout, "", remote_answer(&r, "message"));
        if (o->noverrides)
            fputs("cserver: -g is for the start: end the server that runs to try other settings\n",
                  stderr);
    }
    remote_close(&r);
    return there;
}

/* ---- The settings ---- */

/* A value as it has to be written: a path may have any byte in it. */
static void add_value(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s = \"", key);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_add_char(out, '\\');
        if (*value == '$' && value[1] == '{')
            buf_add_char(out, '$');
        buf_add_char(out, *value);
    }
    buf_add_z(out, "\"\n");
}

static void add_file(struct buf *out, const char *key, const char *name)
{
    char *path = file_join(folder, name);

    add_value(out, key, path);
    free(path);
}

/* A module that answers gets all requests. One that only looks at them or changes them gets the files of this folder to do
 * so with. */
static void write_settings(struct buf *out, const struct inspection *i, const char *file,
                           const char *address, const char *here)
{
    buf_add_z(out, "[server]\nworkers = 1\nmax_workers = 1\nlog_level = debug\nerror_log = stderr\n"
                   "access_log = stdout\nmodule_debug = on\n");
    add_file(out, "pid_file", "pid");
    add_file(out, "control", "control");
    buf_add_z(out, "[listen:dev]\n");
    add_value(out, "address", address);
    buf_printf(out, "[module:%s]\n", i->name);
    add_value(out, "file", file);
    buf_add_z(out, "[site:dev]\n");
    if (!i->handles)
        add_value(out, "root", here);
    if (i->used && !i->handles)
        buf_printf(out, "use = %s\n", i->name);
    if (i->handles)
        buf_printf(out, "[route:dev]\nmatch = /\nhandler = %s\n", i->name);
}

static void greet(const struct inspection *i, const char *address)
{
    bool tcp = strncmp(address, "unix:", 5) != 0, any = *address == ':' || *address == '*';

    fprintf(stderr, "cserver: %s %s on %s%s%s%s\n", i->name, i->version, tcp ? "http://" : "",
            any ? "127.0.0.1" : "", *address == '*' ? address + 1 : address, tcp ? "/" : "");
    if (!i->handles)
        fprintf(stderr, "cserver: it has no handler: what it does is done to the files of this "
                        "folder\n");
    fprintf(stderr,
            "cserver: Ctrl-C ends it; when the module has been built again, the same command from "
            "another terminal (or kill -HUP %d) has this one take it\n",
            (int)getpid());
    fprintf(stderr, "cserver: to talk to it: the same options with -s status, or cserver msg\n");
}

static int serve(const struct options *o, const struct inspection *i, const char *file,
                 const char *address)
{
    char *here = getcwd(NULL, 0);
    struct buf text = {0};
    struct master_opts opts = {.quiet = o->quiet, .error_log = o->error_log};
    int code;

    write_settings(&text, i, file, address, here ? here : "/");
    opts.source = (struct settings_source){.path = "--dev",
                                           .text = buf_str(&text),
                                           .prefix = here ? here : "/",
                                           .overrides = o->overrides,
                                           .noverrides = o->noverrides};
    if (!o->quiet)
        greet(i, address);
    code = master_run(&opts);
    buf_free(&text);
    free(here);
    return code;
}

static int begin(const struct options *o, const char *file, const char *address)
{
    struct inspection i;
    int code = CLI_REFUSED;

    inspect(&i, file);
    if (i.errors)
        fprintf(stderr, "cserver: %s: %s\n", file, inspection_error(&i));
    else
        code = check_address(address);
    if (code == CLI_DONE)
        code = make_folder();
    if (code == CLI_DONE)
        code = serve(o, &i, file, address);
    inspection_free(&i);
    return code;
}

/* However the folder is written; a file that is a link stays one, so that a reload sees where it leads by then. */
static char *absolute(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = file_dirname(path), *whole = realpath(dir, NULL);
    char *file = whole ? file_join(whole, slash ? slash + 1 : path) : mem_strdup(path);

    free(dir);
    free(whole);
    return file;
}

int cli_dev_find(const struct options *o, char **path)
{
    char *file = absolute(o->dev), *address = address_of(o->listen);

    name_folder(file, address);
    *path = file_join(folder, "control");
    free(address);
    free(file);
    return folder_is_ours() ? 0 : -ENOENT;
}

int cli_dev(const struct options *o)
{
    char *file = absolute(o->dev), *address = address_of(o->listen);
    int code;

    name_folder(file, address);
    if (!reload(o, &code))
        code = begin(o, file, address);
    free(address);
    free(file);
    return code; /* the folder goes at exit */
}
