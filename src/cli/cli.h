/* cli.h - the program as its user calls it. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"
#include "proc/code.h"
#include "proc/settings.h"

/* As `cserver -h` has them. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = CODE_FAILED,
    CLI_USAGE = CODE_WRONG,
    CLI_DOWN = 3, /* status: no server is running */
    CLI_DENIED = CODE_DENIED,
    CLI_NOT_RUNNING = 7, /* a command, and no server is running */
    CLI_MSG_USAGE = 64,  /* wrong usage of msg */
    CLI_ROLLED_BACK = CODE_ROLLED_BACK,
    CLI_LATE = CODE_LATE,
    CLI_REFUSED = CODE_REFUSED
};

/* Parses and carries out: the exit status of the program. */
int cli_main(int argc, char **argv);

/* test.c: -t and -T. */
int cli_test(const struct options *o, const struct settings_source *src);
/* remote.c: -s. */
int cli_command(const struct options *o, const struct settings_source *src);
/* diff.c: diff. */
int cli_diff(const struct options *o, const struct settings_source *src);
/* explain.c: explain ... */
int cli_explain(const struct options *o, const struct settings_source *src);
/* msg.c: msg ... */
int cli_msg(const struct options *o, const struct settings_source *src);
/* module.c: module ...; check of one file, which build ends with. */
int cli_module(const struct options *o, const struct settings_source *src);
int cli_module_check(const char *path, bool json);
/* new.c, compile.c: module new, module build. */
int cli_module_new(const struct options *o);
int cli_module_build(const struct options *o);
/* dev.c: --dev; the control socket of such a server (to be freed): 0, or -ENOENT when this user has started none. */
int cli_dev(const struct options *o);
int cli_dev_find(const struct options *o, char **path);
/* about.c: -v, -V, --reference. */
int cli_version(void);
int cli_build(void);
int cli_reference(void);

#endif
