#include "serve/publisher.h"

#include <stdio.h>

void publisher_put(struct publisher *p, cs_metric m)
{
    m.size = sizeof m;
    if (!p->rc)
        p->rc = p->each(&m, p->arg);
}

void publisher_gauge(struct publisher *p, const char *name, const char *help, int64_t value)
{
    publisher_put(p,
                  (cs_metric){.kind = CS_METRIC_GAUGE, .name = name, .help = help, .value = value});
}

void publisher_counter(struct publisher *p, const char *name, const char *help, uint64_t value)
{
    publisher_put(
        p, (cs_metric){
               .kind = CS_METRIC_COUNTER, .name = name, .help = help, .value = (int64_t)value});
}

/* The number of all is that of the buckets as read here: their process goes on counting meanwhile. */
void publisher_histogram(struct publisher *p, cs_metric m, const struct ipc_buckets *buckets)
{
    double bounds[IPC_BUCKETS - 1];
    uint64_t counts[IPC_BUCKETS], all = 0;
    for (int i = 0; i < IPC_BUCKETS - 1; i++)
        bounds[i] = (double)(1u << i) / 1e6;
    for (int i = 0; i < IPC_BUCKETS; i++)
        all += counts[i] = atomic_load_explicit(&buckets->count[i], memory_order_relaxed);
    m.kind = CS_METRIC_HISTOGRAM;
    m.value = (int64_t)all;
    m.nbounds = IPC_BUCKETS - 1;
    m.bounds = bounds;
    m.counts = counts;
    m.sum = (double)atomic_load_explicit(&buckets->sum_us, memory_order_relaxed) / 1e6;
    publisher_put(p, m);
}

/* ---- Processes ---- */

static bool name_owner(struct owner *o)
{
    if (o->slot >= IPC_SLOT_WORKERS) {
        int n = snprintf(o->digits, sizeof o->digits, "%d", region_worker(o->slot));
        o->labels[0] = CS_S("worker");
        o->labels[1] = (cs_str){o->digits, (size_t)n};
        return true;
    }
    o->labels[0] = CS_S("process");
    o->labels[1] = o->slot == IPC_SLOT_MASTER ? CS_S("master") : CS_S("primary");
    return o->slot == IPC_SLOT_MASTER || o->slot == IPC_SLOT_PRIMARY_A;
}

bool owner_next(const struct owners *all, struct owner *o)
{
    while (++o->slot < (int)all->region->nslots)
        if (name_owner(o) && all->has(all->region, o->slot))
            return true;
    return false;
}

void owner_label(struct owner *o, size_t n, cs_str name, cs_str value)
{
    o->labels[2 * n] = name;
    o->labels[2 * n + 1] = value;
}

void owners_gauge(const struct owners *all, struct publisher *p, const char *name, const char *help,
                  int64_t (*value)(const struct region *r, int slot))
{
    for (struct owner o = OWNER_NONE; owner_next(all, &o);)
        publisher_put(p, (cs_metric){.kind = CS_METRIC_GAUGE,
                                     .name = name,
                                     .help = help,
                                     .nlabels = 2,
                                     .labels = o.labels,
                                     .value = value(all->region, o.slot)});
}
