/* test.c - -t and -T: the probe of a start, in a child, with nothing behind it. Writes nothing and
 * needs no root: what a plain user lacks only the right for is a warning. */
#include "base/log.h"
#include "cli/cli.h"
#include "proc/client.h"
#include "proc/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Addresses of a running server are no fault: ask it which they are. */
static void ask_server(const struct settings *s, const struct settings_source *src,
                       struct listen_set *set, struct listen_owned *owned)
{
    char *prefix = s->text ? NULL : conf_prefix_of(src->path);
    char *control = settings_server_path(s->text, s->text ? s->text->prefix : prefix, "control");
    int rc = control ? client_listeners(control, set) : -ENOENT;

    owned->set = set;
    owned->unsure = rc == -EACCES;
    free(control);
    free(prefix);
}

static void print_verdict(const struct options *o, const struct settings_source *src,
                          const struct probe *p)
{
    if (p->text.n > 0 && (!p->good || !o->quiet))
        fwrite(p->text.p, 1, p->text.n, stderr);
    if (!p->good)
        fprintf(stderr, "%s: settings are refused\n", src->path);
    else if (!o->quiet)
        fprintf(stderr, "%s: settings are good\n", src->path);
    if (p->good && p->print.n > 0)
        fwrite(p->print.p, 1, p->print.n, stdout);
}

int cli_test(const struct options *o, const struct settings_source *src)
{
    struct settings *s = settings_read(src);
    struct listen_set set = {0}, inherited;
    struct probe_ask ask = {.lenient = geteuid() != 0, .print = o->action == ACTION_PRINT};
    struct probe p;
    int rc;

    ask_server(s, src, &set, &ask.owned);
    listen_inherit(&inherited);
    ask.owned.inherited = &inherited;
    ask.owned.outside = inherited.n == 0;
    rc = probe_run(&p, s, &ask);
    if (rc < 0)
        fatal(CLI_FAILED, "cannot start the process that tries the settings: %s", strerror(-rc));
    print_verdict(o, src, &p);
    rc = p.good ? CLI_DONE : CLI_REFUSED;
    probe_free(&p);
    listen_close(&set, NULL, false);
    listen_close(&inherited, NULL, false);
    settings_free(s, NULL);
    return rc;
}
