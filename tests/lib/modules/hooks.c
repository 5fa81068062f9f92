/* hooks.c - a module for tests: says in the error log which of its hooks are called, with which settings and in which
 * generation. */
#include <cserver/cserver.h>

#include <string.h>

#define EDITION "first" /* the tests make another one */

struct conf {
    cs_str tag;
};

static cs_zone *zone;
static cs_counter *asked;

static void say(const char *hook, cs_str tag)
{
    const cs_self_info *self = cs_self();

    cs_log(CS_ERR, "hook=%s tag=%.*s edition=" EDITION " generation=%u role=%s", hook, CS_F(tag),
           (unsigned)self->generation, self->slot ? "worker" : "primary");
}

static int on_config(cs_conf *c, const void *conf)
{
    const struct conf *s = conf;

    (void)c;
    cs_log(CS_ERR, "hook=config tag=%.*s edition=" EDITION " generation=0 role=probe", CS_F(s->tag));
    return CS_OK;
}

static int worker_start(cs_proc *p)
{
    const struct conf *s = cs_module_conf(p);

    say("worker_start", s->tag);
    return CS_OK;
}

static int primary_start(cs_proc *p)
{
    const struct conf *s = cs_module_conf(p);

    say("primary_start", s->tag);
    return CS_OK;
}

static void init(void *p, size_t size)
{
    memset(p, 'z', size);
    say("zone_init", CS_S("-"));
}

static void on_word(const cs_msg *m)
{
    say("message", (cs_str){m->data, m->len});
}

static int access(cs_req *r)
{
    const struct conf *s = cs_conf(r);

    cs_counter_add(asked, 1);
    say("access", s->tag);
    return CS_DECLINED;
}

static int handler(cs_req *r)
{
    const struct conf *s = cs_conf(r);
    const char *z = cs_zone_of(zone);

    return cs_textf(r, 200, "%.*s of the " EDITION " edition, %c\n", CS_F(s->tag), z[0]);
}

static int header_filter(cs_req *r)
{
    const struct conf *s = cs_conf(r);

    return cs_add_header(r, "X-Hooks", s->tag);
}

static void on_log(cs_req *r)
{
    const struct conf *s = cs_conf(r);

    say("log", s->tag);
}

static const cs_directive directives[] = {
    CS_STRING(struct conf, tag, "none", 0, 64, CS_PER_ROUTE, "What it says of itself."), CS_END};
static const cs_zone_def zones[] = {{&zone, "hooks", 64, init, NULL}, {0}};
static cs_topic *word;
static const cs_topic_def topics[] = {{&word, "hooks.word", on_word, 0, 0}, {0}};
static const cs_counter_def counters[] = {{&asked, "asked", "Requests that it has seen."}, {0}};

CS_MODULE(.name = "hooks", .version = "1.0", .help = "Says which hooks are called.", .directives = directives,
          .conf_size = sizeof(struct conf), .zones = zones, .topics = topics, .counters = counters,
          .on_config = on_config, .worker_start = worker_start, .primary_start = primary_start, .access = access,
          .handler = handler, .header_filter = header_filter, .on_log = on_log);
