/* maintenance.c - a switch for the whole server: while it is on, every request gets 503 and a page; while it is off, the
 * next handler of the chain takes it (`handler = maintenance, hello`).
 *
 * The switch is moved by a message, `on` or `off`, of the topic "maintenance". All processes take it, and what the newest
 * one says lies in a zone: so a message for one worker alone moves it for all, one that is neither `on` nor `off` leaves
 * it where it is, also for workers that are born behind it, and who reads an old message late moves nothing back. The topic
 * keeps its latest value for the case that nobody lived to read it. */
#include <cserver/cserver.h>

#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

struct conf {
    int64_t retry_after;
    cs_str page;
};

struct state {
    _Atomic uint64_t newest;  /* seq of the newest good message * 2, and 1 when it says on */
    _Atomic uint64_t refused; /* seq of the newest bad one */
};

static cs_topic *maintenance;
static cs_zone *zone;

/* True for the one process that does it first. */
static _Bool raise_to(_Atomic uint64_t *n, uint64_t to)
{
    uint64_t seen = atomic_load(n);
    while (seen < to)
        if (atomic_compare_exchange_weak(n, &seen, to))
            return 1;
    return 0;
}

static void on_message(const cs_msg *m)
{
    struct state *s = cs_zone_of(zone);
    const cs_str said = {m->data, m->len};
    _Bool on = cs_eq(said, "on");
    if (m->lost && !m->len)
        return; /* what was missed was for this process alone */
    if (on || cs_eq(said, "off")) {
        if (raise_to(&s->newest, m->seq * 2 + on))
            cs_log(CS_INFO, "%s", on ? "on: requests get 503" : "off");
    } else if (raise_to(&s->refused, m->seq)) {
        cs_log(CS_WARN, "\"%.*s\" is refused: say on or off", (int)m->len, (const char *)m->data);
    }
}

static int reply_page(cs_req *r, cs_str path)
{
    static const char page[] =
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Maintenance</title>\n"
        "<h1>Back soon</h1>\n<p>This site is being worked on. Please try again in a while.</p>\n";
    struct stat st;
    int fd = path.n ? cs_root_open(r, path) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return cs_reply_file(r, 503, cs_mime(path), fd, 0, (int64_t)st.st_size, NULL, NULL);
    if (fd >= 0)
        close(fd);
    return cs_reply(r, 503, "text/html; charset=utf-8", page);
}

static int handler(cs_req *r)
{
    const struct state *s = cs_zone_of(zone);
    if (!(atomic_load_explicit(&s->newest, memory_order_relaxed) & 1))
        return CS_DECLINED;
    const struct conf *c = cs_conf(r);
    cs_set_header(r, "Retry-After", cs_format(r, "%lld", (long long)(c->retry_after + 999) / 1000));
    cs_set_header(r, "Cache-Control", "no-store");
    return reply_page(r, c->page);
}

static const cs_topic_def topics[] = {
    {.ref = &maintenance,
     .name = "maintenance",
     .on_message = on_message,
     .max_len = 64,
     .flags = CS_LATEST},
    {0},
};

static const cs_zone_def zones[] = {
    {.ref = &zone, .name = "state", .size = sizeof(struct state)},
    {0},
};

static const cs_directive directives[] = {
    CS_MSEC(struct conf, retry_after, "60s", 0, 86400000, CS_PER_ROUTE,
            "What clients and search engines are told in Retry-After, in whole seconds."),
    CS_STRING(struct conf, page, "", 0, 1024, CS_PER_ROUTE,
              "A file below the site's root, such as /maintenance.html; else the page is the "
              "module's own."),
    CS_END,
};

/* With CS_BODY_STREAM it answers before a body has been sent in vain. */
CS_MODULE(.name = "maintenance", .version = "1.0", .help = "Answers 503 while it is switched on.",
          .flags = CS_BODY_STREAM, .directives = directives, .conf_size = sizeof(struct conf),
          .zones = zones, .topics = topics, .handler = handler);
