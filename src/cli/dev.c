/* dev.c - --dev x.so: a server for one module, with settings that no file has. Its pid file and its control socket lie in a
 * folder that goes with it, so any number of such servers may run beside each other and beside a real one. */
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/sock.h"
#include "proc/master.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    if (a.u.sa.sa_family == AF_UNIX)
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

static char folder[] = "/tmp/cserver-dev-XXXXXX";
static pid_t owner; /* whoever else ends leaves it alone */

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

static int make_folder(void)
{
    if (!mkdtemp(folder)) {
        fprintf(stderr, "cserver: cannot make a folder in /tmp: %s\n", strerror(errno));
        return CLI_FAILED;
    }
    owner = getpid();
    atexit(remove_folder);
    return CLI_DONE;
}

/* ---- The settings ---- */

/* A value as it has to be written: a path may have any byte in it. */
static void add_quoted(struct buf *out, const char *value)
{
    buf_add_char(out, '"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buf_add_char(out, '\\');
        if (*value == '$' && value[1] == '{')
            buf_add_char(out, '$');
        buf_add_char(out, *value);
    }
    buf_add_z(out, "\"\n");
}

/* A module that answers gets all requests. One that only looks at them or changes them gets the files of this folder to do
 * so with. */
static void write_settings(struct buf *out, const struct inspection *i, const char *file,
                           const char *address, const char *here)
{
    buf_add_z(out, "[server]\nworkers = 1\nmax_workers = 1\nlog_level = debug\nerror_log = stderr\n"
                   "access_log = stdout\nmodule_debug = on\n");
    buf_printf(out, "pid_file = %s/pid\ncontrol = %s/control\n", folder, folder);
    buf_add_z(out, "[listen:dev]\naddress = ");
    add_quoted(out, address);
    buf_printf(out, "[module:%s]\nfile = ", i->name);
    add_quoted(out, file);
    buf_add_z(out, "[site:dev]\n");
    if (!i->handles) {
        buf_add_z(out, "root = ");
        add_quoted(out, here);
    }
    if (i->used && !i->handles)
        buf_printf(out, "use = %s\n", i->name);
    if (i->handles)
        buf_printf(out, "[route:dev]\nmatch = /\nhandler = %s\n", i->name);
}

static void greet(const struct inspection *i, const char *address, const char *file)
{
    bool tcp = strncmp(address, "unix:", 5) != 0;

    fprintf(stderr, "cserver: %s %s on %s%s/\n", i->name, i->version, tcp ? "http://" : "",
            address[0] == ':' ? mem_printf("127.0.0.1%s", address) : address);
    if (!i->handles)
        fprintf(stderr, "cserver: it has no handler: what it does is done to the files of this "
                        "folder\n");
    fprintf(stderr,
            "cserver: Ctrl-C ends it; when %s is built again, kill -HUP %d takes the new one\n",
            file, (int)getpid());
}

static int serve(const struct options *o, const struct inspection *i, const char *address)
{
    char *here = getcwd(NULL, 0), *file = file_join(here ? here : "/", o->dev);
    struct buf text = {0};
    struct master_opts opts = {.quiet = o->quiet, .error_log = o->error_log};
    int code = make_folder();

    if (code == CLI_DONE) {
        write_settings(&text, i, file, address, here ? here : "/");
        opts.source = (struct settings_source){.path = "--dev",
                                               .text = buf_str(&text),
                                               .prefix = here ? here : "/",
                                               .overrides = o->overrides,
                                               .noverrides = o->noverrides};
        if (!o->quiet)
            greet(i, address, file);
        code = master_run(&opts);
    }
    buf_free(&text);
    free(file);
    free(here);
    return code;
}

int cli_dev(const struct options *o)
{
    char *address = address_of(o->listen);
    struct inspection i = {0};
    int code = check_address(address);

    if (code == CLI_DONE) {
        inspect(&i, o->dev);
        if (i.errors) {
            fprintf(stderr, "cserver: %s: %s\n", o->dev, inspection_error(&i));
            code = CLI_REFUSED;
        }
    }
    if (code == CLI_DONE)
        code = serve(o, &i, address);
    inspection_free(&i);
    free(address);
    return code;
}
