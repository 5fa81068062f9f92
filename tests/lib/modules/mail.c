/* mail.c - a module for tests: does with topics, zones and counters what lines of text tell it, and writes down what it
 * sees, one line for each event, in the file $CS_EVENTS/SLOT.INCARNATION.
 *
 * A line comes as the body of POST /mail (results are the answer), as the data of a message that begins with "!", from
 * the settings `start` and `stop`, or from a timer (`after`); several are separated by "|", in a body by line ends. tests/lib/mail.py is the
 * other side. -DSECOND makes another module with another choice of topics, -DMUTE one that only publishes. */
#define _GNU_SOURCE
#include <cserver/cserver.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef ZONE_SIZE
#define ZONE_SIZE 4096
#endif
#if defined SECOND
#define NAME "mail2"
#elif defined MUTE
#define NAME "mute"
#else
#define NAME "mail"
#endif

struct settings {
    cs_str start, stop;
};

static cs_proc *process;
static const cs_msg *current; /* what `answer` answers */
static int events = -1;

/* ---- Writing down ---- */

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
    char line[400];
    va_list ap;
    int n = snprintf(line, sizeof line, NAME " ");
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n] = '\n';
    if (events >= 0 && write(events, line, (size_t)n + 1) < 0)
        abort();
}

static int open_events(const char *name)
{
    const char *folder = getenv("CS_EVENTS");
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/* Zeroed, until the process ends: with it end timers and calls, and nobody is told. */
static void *keep(size_t n)
{
    static struct kept {
        struct kept *next;
        max_align_t data[];
    } * all;
    struct kept *k = calloc(1, sizeof *k + n);
    k->next = all;
    all = k;
    return k->data;
}

/* strndup looks at the byte behind the text. */
static char *copy_of(const void *p, size_t n)
{
    char *copy = calloc(1, n + 1);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

static void readable(char *to, size_t room, const char *p, size_t n)
{
    size_t i;
    for (i = 0; i < n && i + 1 < room; i++)
        to[i] = p[i] > ' ' && p[i] < 127 ? p[i] : p[i] == ' ' ? ' ' : '.';
    to[i] = '\0';
}

/* ---- A message that shows whether it is whole ---- */

struct pattern {
    char mark[4]; /* "#pat" */
    uint32_t len;
    uint64_t n;
    int32_t slot;
    uint32_t incarnation;
};

static unsigned char filling(const struct pattern *p)
{
    return (unsigned char)(p->n * 31 + (uint64_t)p->slot * 7 + p->incarnation + p->len);
}

static void make_pattern(char *to, size_t len, uint64_t n)
{
    struct pattern p = {.len = (uint32_t)len,
                        .n = n,
                        .slot = cs_self()->slot,
                        .incarnation = cs_self()->incarnation};
    memcpy(p.mark, "#pat", 4);
    memset(to, filling(&p), len);
    memcpy(to, &p, sizeof p < len ? sizeof p : len);
}

static int is_whole(const cs_msg *m, struct pattern *p)
{
    const unsigned char *data = m->data;
    memcpy(p, data, sizeof *p);
    if (p->len != m->len || p->slot != m->from_slot || p->incarnation != m->from_incarnation)
        return 0;
    for (size_t i = sizeof *p; i < m->len; i++)
        if (data[i] != filling(p))
            return 0;
    return 1;
}

/* ---- Topics ---- */

static void on_message(const cs_msg *m);
static void on_ping(const cs_msg *m);
static cs_topic *a, *b, *tiny, *big, *latest, *latest2, *ask, *ping, *pong, *none;

#if defined MUTE
#define TAKE(f) NULL
#else
#define TAKE(f) f
#endif
static const cs_topic_def topics[] = {{&a, "a", TAKE(on_message), 0, 0},
                                      {&ask, "ask", TAKE(on_message), 0, 0},
#if defined SECOND
                                      {&ping, "ping", NULL, 0, 0},
                                      {&pong, "pong", TAKE(on_ping), 0, 0},
                                      {&b, "second.own", TAKE(on_message), 0, 0},
#else
                                      {&b, "b", TAKE(on_message), 0, 0},
                                      {&tiny, "tiny", TAKE(on_message), 1, 0},
                                      {&big, "big", TAKE(on_message), 65536, 0},
                                      {&latest, "latest", TAKE(on_message), 0, CS_LATEST},
                                      {&latest2, "latest2", TAKE(on_message), 100, CS_LATEST},
                                      {&ping, "ping", TAKE(on_ping), 0, 0},
                                      {&pong, "pong", NULL, 0, 0},
                                      {&none, "none", NULL, 0, 0},
#endif
                                      {0}};

static const char *name_of(const cs_topic *t)
{
    for (const cs_topic_def *d = topics; d->ref; d++)
        if (*d->ref == t)
            return d->name;
    return "?";
}

static cs_topic *topic(const char *name)
{
    for (const cs_topic_def *d = topics; d->ref; d++)
        if (!strcmp(d->name, name))
            return *d->ref;
    return NULL;
}

static int target(const char *word)
{
    static const char *const names[] = {"all", "workers", "others", "primary"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(word, names[i]))
            return CS_TO_ALL - i;
    return atoi(word);
}

/* ---- Zones and counters ---- */

struct box {
    uint64_t inits, recovers, value, half;
    char rest[ZONE_SIZE - 32];
};
static cs_zone *box, *fresh, *stubborn;
static cs_counter *counted;
static const cs_counter_def counters[] = {{&counted, "counted_total", "What `count` has added."},
                                          {0}};

static void init_zone(void *p, size_t size)
{
    int fd = open_events("zones");
    dprintf(fd, NAME " init %zu\n", size);
    close(fd);
    ((struct box *)p)->inits++;
}

static int recover_zone(void *p, size_t size)
{
    struct box *z = p;
    (void)size;
    z->value -= z->half;
    z->half = 0;
    z->recovers++;
    return 0;
}

static int recover_not(void *p, size_t size)
{
    (void)p, (void)size;
    return CS_ERROR;
}

static const cs_zone_def zones[] = {{&box, "box", sizeof(struct box), init_zone, recover_zone},
                                    {&fresh, "fresh", 4096, init_zone, NULL},
                                    {&stubborn, "stubborn", 4096, init_zone, recover_not},
                                    {0}};

/* add N; die N: dies in the middle of adding, with the lock; hold MS: keeps the lock so long. */
static void use_zone(const char *name, const char *verb, long n, char *out)
{
    cs_zone *zone = !strcmp(name, "box") ? box : !strcmp(name, "fresh") ? fresh : stubborn;
    struct box *z = cs_zone_of(zone);
    int rc = cs_zone_lock(zone);
    if (rc != CS_OK) {
        sprintf(out, "%d", rc);
        return;
    }
    if (!strcmp(verb, "die")) {
        z->value += (uint64_t)n;
        z->half = (uint64_t)n;
        raise(SIGKILL);
    } else if (!strcmp(verb, "hold")) {
        usleep((useconds_t)n * 1000);
    }
    z->value += !strcmp(verb, "add") ? (uint64_t)n : 0;
    sprintf(out, "inits=%d recovers=%d value=%lld at=%p", (int)z->inits, (int)z->recovers,
            (long long)z->value, (void *)z);
    cs_zone_unlock(zone);
}

/* ---- Commands ---- */

static void run_all(char *lines, const char *end, char *out, size_t room);

static char *word(char **line)
{
    char *w = *line + strspn(*line, " ");
    *line = w + strcspn(w, " ");
    if (**line)
        *(*line)++ = '\0';
    return w;
}

/* COUNT messages in one loop, as far as they are taken. */
static void flood(cs_topic *t, int to, long count, size_t len, char *out)
{
    char *data = malloc(len);
    long n = 0;
    int rc = CS_OK;
    while (n < count && rc == CS_OK) {
        make_pattern(data, len, (uint64_t)n + 1);
        rc = cs_publish(t, to, data, len);
        n += rc == CS_OK;
    }
    free(data);
    sprintf(out, "%ld %d", n, rc);
}

struct stream {
    cs_timer *timer;
    cs_topic *topic;
    int to, batch;
    long count, n, agains;
    size_t len;
};

static void on_stream(void *arg)
{
    struct stream *s = arg;
    static char data[65536];
    for (int i = 0; i < s->batch && s->n < s->count; i++) {
        make_pattern(data, s->len, (uint64_t)s->n + 1);
        int rc = cs_publish(s->topic, s->to, data, s->len);
        s->agains += rc == CS_AGAIN;
        if (rc == CS_AGAIN)
            break;
        if (rc != CS_OK)
            say("did stream = %d", rc);
        s->n++;
    }
    if (s->n < s->count)
        return;
    say("streamed count=%ld agains=%ld", s->n, s->agains);
    cs_timer_cancel(s->timer);
}

/* TOPIC TO COUNT LEN BATCH MS: BATCH messages every MS, what is refused with CS_AGAIN later again. */
static int stream(char *line)
{
    struct stream *s = keep(sizeof *s);
    s->topic = topic(word(&line));
    s->to = target(word(&line));
    s->count = atol(word(&line));
    s->len = (size_t)atol(word(&line));
    s->batch = atoi(word(&line));
    s->timer = cs_every(process, atol(word(&line)), on_stream, s);
    return s->timer ? CS_OK : CS_NOMEM;
}

struct later {
    cs_msg asked; /* what is to be answered */
    int has_asked;
    char line[];
};

static void on_later(void *arg)
{
    struct later *l = arg;
    char out[1000];
    char *copy = strdup(l->line);
    current = l->has_asked ? &l->asked : NULL;
    run_all(copy, "|", out, sizeof out);
    current = NULL;
    say("did %s = %s", l->line, out);
    free(copy);
}

static int after(char *line)
{
    long ms = atol(word(&line));
    struct later *l = keep(sizeof *l + strlen(line) + 1);
    strcpy(l->line, line);
    if (current) {
        l->asked = *current;
        l->has_asked = 1;
    }
    return cs_after(process, ms, on_later, l) ? CS_OK : CS_NOMEM;
}

static void on_applied(int result, void *id)
{
    say("done id=%s result=%d", (char *)id, result);
}

static void on_answer(int result, const cs_msg *m, void *id)
{
    char text[64] = "";
    if (m)
        readable(text, sizeof text, m->data, m->len);
    say("done id=%s result=%d from=%d.%u len=%zd data=%s", (char *)id, result,
        m ? m->from_slot : -1, m ? m->from_incarnation : 0, m ? (ssize_t)m->len : -1, text);
}

/* ID TOPIC TO TIMEOUT TEXT */
static int wait_for(int is_call, char *line)
{
    char *name = word(&line), *id = keep(strlen(name) + 1);
    strcpy(id, name);
    cs_topic *t = topic(word(&line));
    const int to = target(word(&line));
    const long timeout = atol(word(&line));
    return is_call ? cs_call(t, to, line, strlen(line), timeout, on_answer, id)
                   : cs_publish_applied(t, to, line, strlen(line), timeout, on_applied, id);
}

/* TOPIC TO TEXT */
static int publish(char *line)
{
    cs_topic *t = topic(word(&line));
    const int to = target(word(&line));
    return cs_publish(t, to, line, strlen(line));
}

/* TOPIC TO LEN */
static int publish_size(char *line)
{
    cs_topic *t = topic(word(&line));
    const int to = target(word(&line));
    const size_t len = (size_t)atol(word(&line));
    char *data = malloc(len + sizeof(struct pattern));
    make_pattern(data, len < sizeof(struct pattern) ? sizeof(struct pattern) : len, 1);
    const int rc = cs_publish(t, to, data, len);
    free(data);
    return rc;
}

static int answer_size(size_t len)
{
    char *data = calloc(1, len + 1);
    memset(data, 'x', len);
    const int rc = cs_answer(current, data, len);
    free(data);
    return rc;
}

static int sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0) {
    }
    return 0;
}

static void run(char *line, char *out)
{
    const char *verb = word(&line);
    int rc = CS_OK;
    if (!strcmp(verb, "pub"))
        rc = publish(line);
    else if (!strcmp(verb, "size"))
        rc = publish_size(line);
    else if (!strcmp(verb, "stream"))
        rc = stream(line);
    else if (!strcmp(verb, "after"))
        rc = after(line);
    else if (!strcmp(verb, "applied") || !strcmp(verb, "call"))
        rc = wait_for(*verb == 'c', line);
    else if (!strcmp(verb, "answer"))
        rc = cs_answer(current, line, strlen(line));
    else if (!strcmp(verb, "answer-size"))
        rc = answer_size((size_t)atol(line));
    else if (!strcmp(verb, "count"))
        cs_counter_add(counted, atol(line));
    else if (!strcmp(verb, "raise"))
        rc = raise(atoi(line));
    else if (!strcmp(verb, "sleep"))
        rc = sleep_ms(atol(line));
    else if (!strcmp(verb, "flood") || !strcmp(verb, "zone")) {
        char *w1 = word(&line), *w2 = word(&line);
        const long n = atol(word(&line));
        if (*verb == 'f')
            flood(topic(w1), target(w2), n, (size_t)atol(word(&line)), out);
        else
            use_zone(w1, w2, n, out);
        return;
    } else if (!strcmp(verb, "sum")) {
        sprintf(out, "%llu", cs_counter_sum(counted));
        return;
    } else if (!strcmp(verb, "who")) {
        sprintf(out, "%d.%u %u %d", cs_self()->slot, cs_self()->incarnation, cs_self()->generation,
                getpid());
        return;
    } else
        rc = -99;
    sprintf(out, "%d", rc);
}

/* Their results, with a blank between them. */
static void run_all(char *lines, const char *end, char *out, size_t room)
{
    size_t n = 0;
    char *next;
    *out = '\0';
    for (; lines && n + 100 < room; lines = next) {
        next = strpbrk(lines, end);
        if (next)
            *next++ = '\0';
        if (!*lines)
            continue;
        if (n)
            out[n++] = ' ';
        run(lines, out + n);
        n += strlen(out + n);
    }
}

/* ---- Hooks ---- */

static void on_message(const cs_msg *m)
{
    struct pattern p = {.n = 0};
    char text[64], out[1000];
    if (m->len >= sizeof p && !memcmp(m->data, "#pat", 4)) {
        const char *mark = is_whole(m, &p) ? "#" : "torn";
        snprintf(text, sizeof text, "%s%llu", mark, (unsigned long long)p.n);
    } else {
        readable(text, sizeof text, m->data, m->len);
    }
    say("msg topic=%s from=%d.%u hops=%u seq=%llu number=%llu lost=%llu retained=%d call=%d "
        "len=%zu data=%s",
        name_of(m->topic), m->from_slot, m->from_incarnation, m->hops, (unsigned long long)m->seq,
        (unsigned long long)m->number, (unsigned long long)m->lost, m->retained, m->call != 0,
        m->len, text);
    if (m->len == 0 || *(const char *)m->data != '!')
        return;
    char *line = copy_of((const char *)m->data + 1, m->len - 1);
    current = m->call ? m : NULL;
    run_all(line, "|", out, sizeof out);
    current = NULL;
    say("did %s = %s", text, out);
    free(line);
}

/* The one half of the game answers with the other's ball, to itself. */
static void on_ping(const cs_msg *m)
{
    const int rc = cs_publish(m->topic == ping ? pong : ping, cs_self()->slot, m->data, m->len);
    say("ball topic=%s hops=%u result=%d", name_of(m->topic), m->hops, rc);
}

static void run_setting(cs_str setting)
{
    char out[1000];
    char *lines = copy_of(setting.p, setting.n);
    run_all(lines, "|", out, sizeof out);
    if (setting.n)
        say("did %.*s = %s", CS_F(setting), out);
    free(lines);
}

static int start(cs_proc *p)
{
    char name[40];
    const struct settings *s = cs_module_conf(p);
    process = p;
    snprintf(name, sizeof name, "%d.%u", cs_self()->slot, cs_self()->incarnation);
    events = open_events(name);
    if (events < 0)
        return CS_ERROR;
    say("start pid=%d generation=%u workers=%d", getpid(), cs_self()->generation,
        cs_self()->workers);
    run_setting(s->start);
    return CS_OK;
}

static void stop(cs_proc *p)
{
    const struct settings *s = cs_module_conf(p);
    say("stop");
    run_setting(s->stop);
}

static void on_join(int slot, uint32_t incarnation)
{
    say("join slot=%d incarnation=%u", slot, incarnation);
}

static void on_leave(int slot, uint32_t incarnation, int number)
{
    say("leave slot=%d incarnation=%u signal=%d", slot, incarnation, number);
}

static int handler(cs_req *r)
{
    static char out[64000];
    cs_str body = cs_body(r);
    char *lines = copy_of(body.p, body.n);
    say("request");
    run_all(lines, "\n", out, sizeof out);
    free(lines);
    return cs_textf(r, 200, "%s", out);
}

static const cs_directive directives[] = {
    CS_STRING(struct settings, start, "", 0, 200, 0, "What to do at the start."),
    CS_STRING(struct settings, stop, "", 0, 200, 0, "What to do at the end."), CS_END};

CS_MODULE(.name = NAME, .version = "1.0", .help = "Sends and takes messages.",
          .directives = directives, .conf_size = sizeof(struct settings), .counters = counters,
          .zones = zones, .topics = topics, .worker_start = start, .worker_stop = stop,
          .handler = handler,
#ifndef MUTE
          .primary_start = start, .primary_stop = stop,
#endif
          .on_join = on_join, .on_leave = on_leave);
