/* whereabouts.c - see whereabouts.h. The crumb is read while it may be written: texts are cut at their room, numbers are
 * looked at before they are used as places. */
#include "proc/whereabouts.h"

#include "module/crumb.h"
#include "os/crash.h"
#include "serve/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

/* What is there may not end, or have been cut anywhere. */
static void copy(char *to, size_t size, const char *from)
{
    struct note t = note_on(to, size);
    cs_str text = {from, strnlen(from, size - 1)};

    note_add_str(&t, text.n == size - 1 ? str_utf8_whole(text) : text);
}

static void copy_number(char *to, size_t size, uint64_t n, void (*add)(struct note *t, uint64_t n))
{
    struct note t = note_on(to, size);

    add(&t, n);
}

static bool is_of_request(unsigned hook)
{
    return (hook >= CRUMB_ACCESS && hook <= CRUMB_ON_CLOSE) || hook == CRUMB_REQ_TIMER ||
           hook == CRUMB_REQ_DONE || hook == CRUMB_FETCH;
}

static void read_module(struct whereabouts *w, const struct region *r)
{
    const struct ipc_module *m = &r->modules[w->module < IPC_MODULES ? w->module : 0];

    copy(w->name, sizeof w->name, m->name);
    copy(w->version, sizeof w->version, m->version);
}

static void read_request(struct whereabouts *w, const struct ipc_crumb *c)
{
    if (get(&c->request) == 0)
        return;
    copy_number(w->request, sizeof w->request, get(&c->request), note_add_id);
    copy(w->route, sizeof w->route, c->route);
    copy(w->path, sizeof w->path, c->path);
}

/* What the master has to say itself goes to topics of the server. */
static void say_sender(struct note *t, int slot, const char *topic)
{
    if (slot < IPC_SLOT_WORKERS) {
        note_add(t, slot != IPC_SLOT_MASTER              ? "the primary"
                    : strncmp(topic, "cserver.", 8) == 0 ? "the master"
                                                         : "the command line");
        return;
    }
    note_add(t, "worker ");
    note_add_number(t, (uint64_t)region_worker(slot));
}

static void read_message(struct whereabouts *w, const struct region *r, const struct ipc_crumb *c)
{
    uint32_t topic = atomic_load_explicit(&c->topic, memory_order_relaxed);
    struct note from = note_on(w->from, sizeof w->from);

    copy(w->topic, sizeof w->topic, r->topics[topic < IPC_TOPICS ? topic : 0].name);
    copy_number(w->seq, sizeof w->seq, get(&c->seq), note_add_number);
    say_sender(&from, atomic_load_explicit(&c->from, memory_order_relaxed), w->topic);
}

void whereabouts_read(struct whereabouts *w, const struct region *r, const struct ipc_crumb *c)
{
    uint32_t signal = atomic_load(&c->signal);
    uint32_t where = atomic_load(signal ? &c->crash_where : &c->where);

    *w = (struct whereabouts){.module = where >> 8,
                              .hook = where & 0xff,
                              .since_ms = get(&c->since_ms),
                              .signal = signal,
                              .waits_for =
                                  atomic_load_explicit(&c->waits_for, memory_order_relaxed)};
    if (where)
        read_module(w, r);
    if (is_of_request(w->hook))
        read_request(w, c);
    if (w->hook == CRUMB_ON_MESSAGE)
        read_message(w, r, c);
    if (!w->signal)
        return;
    copy(w->at, sizeof w->at, c->at);
    if (atomic_load_explicit(&c->has_address, memory_order_relaxed))
        copy_number(w->address, sizeof w->address, get(&c->address), note_add_hex);
}

void whereabouts_say(const struct whereabouts *w, struct note *t)
{
    note_add(t, " in module \"");
    note_add(t, w->name[0] ? w->name : "?");
    note_add(t, "\"");
    note_add(t, w->version[0] ? " " : "");
    note_add(t, w->version);
    note_add(t, ", hook ");
    note_add(t, crumb_hook_name((enum crumb_hook)w->hook));
}

void whereabouts_say_place(const struct whereabouts *w, struct note *t)
{
    if (!w->signal)
        return;
    note_add(t, ", at ");
    note_add(t, w->at);
    if (!w->address[0])
        return;
    note_add(t, " (address ");
    note_add(t, w->address);
    note_add(t, ")");
}

void whereabouts_say_wait(const struct whereabouts *w, struct note *t)
{
    if (!w->waits_for)
        return;
    note_add(t, ", waiting for the lock of a zone");
    if (w->waits_for < 0)
        return;
    note_add(t, " that process ");
    note_add_number(t, (uint64_t)w->waits_for);
    note_add(t, " holds");
}

static size_t pair(struct log_pair *out, const char *key, const char *value)
{
    *out = (struct log_pair){key, str_of(value)};
    return *value != '\0';
}

/* As text the sentence names the module. */
size_t whereabouts_pairs(const struct whereabouts *w, struct log_pair *out)
{
    size_t n = 0;

    if (log_is_json() && whereabouts_in_module(w)) {
        n += pair(out + n, "module", w->name);
        n += pair(out + n, "version", w->version);
        n += pair(out + n, "hook", crumb_hook_name((enum crumb_hook)w->hook));
    }
    if (log_is_json())
        n += pair(out + n, "at", w->at);
    n += pair(out + n, "request_id", w->request);
    n += pair(out + n, "route", w->route);
    n += pair(out + n, "path", w->path);
    n += pair(out + n, "topic", w->topic);
    n += pair(out + n, "seq", w->seq);
    n += pair(out + n, "from", w->from);
    return n;
}

void whereabouts_log(const struct whereabouts *w, enum log_level level, const char *fmt, ...)
{
    struct log_pair pairs[WHEREABOUTS_PAIRS];
    size_t n = whereabouts_pairs(w, pairs);
    va_list ap;

    va_start(ap, fmt);
    log_write_with(level, pairs, n, fmt, ap);
    va_end(ap);
}

/* ---- The report of the process itself ---- */

static const struct region *shared;
static struct whereabouts last; /* the stack of the handler is small */

/* What the loop's thread is doing says nothing of another one. */
static uint32_t where_of_thread(const struct ipc_crumb *c)
{
    return syscall(SYS_gettid) == getpid() ? atomic_load(&c->where) : crumb_thread_where;
}

/* So that the master knows it too. */
static void leave_place(struct ipc_crumb *c, const struct crash *crash)
{
    atomic_store(&c->crash_where, where_of_thread(c));
    atomic_store(&c->address, crash->address);
    atomic_store(&c->has_address, crash->has_address);
    copy(c->at, sizeof c->at, crash->at);
    atomic_store(&c->signal, (uint32_t)crash->signal);
}

/* The master tells it too, by what the process has left in `at`. */
static void add_overflow(struct crash *crash)
{
    size_t n = strnlen(crash->at, sizeof crash->at - 1);
    struct note at = note_on(crash->at + n, sizeof crash->at - n);

    note_add(&at, ", beyond the end of its stack (task_stack)");
}

static void explain(struct crash *crash)
{
    if (crash->has_address && task_overflows(crash->address))
        add_overflow(crash);
    leave_place(crumb_here, crash);
    whereabouts_read(&last, shared, crumb_here);
    if (whereabouts_in_module(&last))
        whereabouts_say(&last, &crash->message);
    else
        note_add(&crash->message, " in the server's own code");
    crash->npairs = whereabouts_pairs(&last, crash->pairs);
}

/* ---- What it says of a long stay ---- */

static struct region *counted;

static void on_long(uint64_t stayed_ms)
{
    struct whereabouts w;
    char text[200];
    struct note where = note_on(text, sizeof text);
    uint64_t waited_ms = crumb_waited_ms();

    whereabouts_read(&w, counted, crumb_here);
    whereabouts_say(&w, &where);
    note_add(&where, ", for ");
    note_add_number(&where, stayed_ms);
    note_add(&where, " ms");
    if (waited_ms > 0) {
        note_add(&where, ", ");
        note_add_number(&where, waited_ms);
        note_add(&where, " ms of them waiting for the lock of a zone");
    }
    whereabouts_log(&w, LOG_LEVEL_WARN, "was%s: all else waited", text);
    if (stayed_ms - waited_ms >= crumb_limit_ms && w.module > 0 && w.module < IPC_MODULES)
        atomic_fetch_add(&counted->modules[w.module].stalls, 1);
}

void whereabouts_watch_stays(struct region *r, uint64_t warn_ms)
{
    counted = r;
    crumb_limit(warn_ms ? warn_ms : UINT64_MAX, on_long);
}

/* ---- Beginning ---- */

void whereabouts_note_objects(const struct conf *conf)
{
    char name[IPC_MODULE_NAME + 8];

    crash_note_objects();
    for (size_t i = 0; i < conf->nmodules; i++) {
        if (!conf->modules[i].desc)
            continue;
        snprintf(name, sizeof name, "%s.so", conf->modules[i].desc->name);
        crash_name_object(conf->modules[i].desc, name);
    }
}

void whereabouts_watch(const struct region *r, const struct conf *conf)
{
    shared = r;
    whereabouts_note_objects(conf);
    crash_watch(explain);
}
