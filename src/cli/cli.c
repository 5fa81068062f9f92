/* cli.c - see cli.h. */
#include "cli/cli.h"

#include "base/mem.h"
#include "config.h"
#include "module/place.h"
#include "os/file.h"
#include "os/sig.h"
#include "proc/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -c, else conf/cserver.ini below -p or here, else the installed one. To be freed. */
static char *find_conf(const struct options *o)
{
    char *path;

    if (o->conf)
        return mem_strdup(o->conf);
    path = o->prefix ? file_join(o->prefix, "conf/cserver.ini") : mem_strdup("conf/cserver.ini");
    if (o->prefix || access(path, F_OK) == 0)
        return path;
    free(path);
    return place_installed(CSERVER_CONF_PATH);
}

static char *find_prefix(const struct options *o)
{
    char *here, *prefix;

    if (!o->prefix)
        return NULL;
    here = getcwd(NULL, 0);
    prefix = file_join(here ? here : ".", o->prefix);
    free(here);
    return prefix;
}

static int run(const struct options *o, const struct settings_source *src)
{
    struct master_opts opts = {.source = *src,
                               .daemon = o->daemon,
                               .quiet = o->quiet,
                               .error_log = o->error_log,
                               .argv = o->argv};

    return master_run(&opts);
}

/* All but a server may be interrupted from the terminal. */
static int act(const struct options *o, const struct settings_source *src)
{
    if (o->action != ACTION_RUN && o->action != ACTION_DEV)
        sig_reset();
    switch (o->action) {
    case ACTION_TEST:
    case ACTION_PRINT:
        return cli_test(o, src);
    case ACTION_COMMAND:
        return cli_command(o, src);
    case ACTION_MSG:
        return cli_msg(o, src);
    case ACTION_DIFF:
        return cli_diff(o, src);
    case ACTION_MODULE:
        return cli_module(o, src);
    case ACTION_EXPLAIN:
        return cli_explain(o, src);
    case ACTION_VERSION:
        return cli_version();
    case ACTION_BUILD:
        return cli_build();
    case ACTION_REFERENCE:
        return cli_reference();
    case ACTION_DEV:
        return cli_dev(o);
    default:
        return run(o, src);
    }
}

static int help(enum options_of of)
{
    struct buf text = {0};

    options_help(&text, of);
    fwrite(text.p, 1, text.n, stdout);
    buf_free(&text);
    return CLI_DONE;
}

int cli_main(int argc, char **argv)
{
    struct options o;
    struct settings_source src;
    struct buf error = {0};
    char *conf, *prefix;
    int code;

    if (options_parse(argc, argv, &o, &error) < 0) {
        fprintf(stderr, "cserver: %s\n(cserver %s lists all options)\n", error.p,
                o.msg       ? "msg --help"
                : o.module  ? "module --help"
                : o.explain ? "explain --help"
                            : "-h");
        buf_free(&error);
        options_free(&o);
        return o.msg ? CLI_MSG_USAGE : CLI_USAGE;
    }
    if (o.action == ACTION_HELP)
        return help(options_which(&o));
    o.argv = argv;
    conf = find_conf(&o);
    prefix = find_prefix(&o);
    src = (struct settings_source){
        .path = conf, .prefix = prefix, .overrides = o.overrides, .noverrides = o.noverrides};
    code = act(&o, &src);
    free(conf);
    free(prefix);
    options_free(&o);
    return code;
}
