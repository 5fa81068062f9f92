/* module_metrics.c - see module_metrics.h. */
#include "serve/module_metrics.h"

#include "base/check.h"
#include "ipc/board.h"

#include <stdio.h>
#include <string.h>

/* "module.counter" becomes module_counter. */
static void family_of(const char *name, char out[IPC_COUNTER_NAME])
{
    snprintf(out, IPC_COUNTER_NAME, "%s", name);
    char *dot = strchr(out, '.');
    if (dot)
        *dot = '_';
}

static unsigned module_counters(const struct region *r)
{
    unsigned n = 0;
    while (n < IPC_MODULE_COUNTERS && atomic_load_explicit(&r->names[n].used, memory_order_acquire))
        n++;
    return n;
}

/* Counters a.b_c and a_b.c are one family, so each puts those of its name that come after it. */
static void put_family(const struct region *r, struct publisher *p, unsigned first, unsigned n)
{
    char family[IPC_COUNTER_NAME], name[IPC_COUNTER_NAME];
    family_of(r->names[first].name, family);
    for (unsigned i = 0; i < n; i++) {
        const char *full = r->names[i].name, *dot = strchr(full, '.');
        const cs_str labels[] = {CS_S("module"), {full, dot ? (size_t)(dot - full) : 0}};
        family_of(full, name);
        if (strcmp(family, name) != 0)
            continue;
        if (i < first)
            return;
        publisher_put(p, (cs_metric){.kind = CS_METRIC_COUNTER,
                                     .name = family,
                                     .help = r->names[first].help,
                                     .nlabels = 2,
                                     .labels = labels,
                                     .value = (int64_t)board_module_sum(r, i)});
    }
}

struct module_family {
    int kind;
    const char *name, *help;
    uint64_t (*value)(const struct region *r, const struct ipc_module *m);
};

static uint64_t is_quarantined(const struct region *r, const struct ipc_module *m)
{
    return board_is_quarantined(r, m);
}

static uint64_t crashes(const struct region *r, const struct ipc_module *m)
{
    (void)r;
    return atomic_load_explicit(&m->crashes, memory_order_relaxed);
}

static uint64_t stalls(const struct region *r, const struct ipc_module *m)
{
    (void)r;
    return atomic_load_explicit(&m->stalls, memory_order_relaxed);
}

static const struct module_family module_families[] = {
    {CS_METRIC_GAUGE, "cserver_module_quarantined",
     "1 while a module is not called because it has crashed too often.", is_quarantined},
    {CS_METRIC_COUNTER, "cserver_module_crashes_total",
     "Processes that have died in a module's code.", crashes},
    {CS_METRIC_COUNTER, "cserver_module_stalls_total",
     "Times a process was in a module's code for longer than block_warn.", stalls},
};

static void put_containment(const struct region *r, struct publisher *p)
{
    for (size_t f = 0; f < ARRAY_LEN(module_families); f++)
        for (unsigned i = 1; i < IPC_MODULES && board_module(r, i); i++) {
            const struct module_family *family = &module_families[f];
            const cs_str labels[] = {CS_S("module"), str_of(r->modules[i].name)};
            publisher_put(p, (cs_metric){.kind = family->kind,
                                         .name = family->name,
                                         .help = family->help,
                                         .nlabels = 2,
                                         .labels = labels,
                                         .value = (int64_t)family->value(r, &r->modules[i])});
        }
}

void module_metrics_put(const struct region *r, struct publisher *p)
{
    unsigned n = module_counters(r);
    put_containment(r, p);
    for (unsigned i = 0; i < n; i++)
        put_family(r, p, i, n);
}
