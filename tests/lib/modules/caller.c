/* Tasks that ask the primary: /sum?words is answered with their number, /never?ms=N not at all, /none goes to a process that is not
 * there. */
#include <cserver/cserver.h>
#include <stdio.h>

static cs_topic *topic;
static cs_counter *begun, *ended;

static void on_message(const cs_msg *m)
{
    char text[32];
    cs_str words = {m->data, m->len};
    if (!m->call || cs_starts(words, "never"))
        return;
    int n = snprintf(text, sizeof text, "%zu bytes to %d", words.n, cs_self()->slot);
    cs_answer(m, text, (size_t)n);
}

static int ask(cs_req *r)
{
    const cs_req_info *i = cs_info(r);
    cs_str answer;
    uint64_t ms = 5000;
    cs_u64(cs_query(r, "ms"), &ms);
    int to = cs_eq(i->path, "/none") ? 99 : CS_TO_PRIMARY;
    cs_str words = cs_eq(i->path, "/never") ? CS_S("never") : i->query;
    int rc = cs_await_call(r, topic, to, words.p, words.n, (int64_t)ms, &answer);
    return rc == CS_CLOSED && to > 0 ? 502 : rc == CS_TIMEOUT ? 504 : rc ? rc : cs_text(r, 200, answer);
}

static int handler(cs_req *r)
{
    cs_counter_add(begun, 1);
    int rc = ask(r);
    cs_counter_add(ended, 1);
    return rc;
}

static const cs_topic_def topics[] = {{.ref = &topic, .name = "caller.ask", .on_message = on_message}, {0}};
static const cs_counter_def counters[] = {{&begun, "begun_total", "Tasks begun."}, {&ended, "ended_total", "Tasks that have returned."}, {0}};

CS_MODULE(.name = "caller", .version = "1.0", .flags = CS_TASK, .topics = topics, .counters = counters, .handler = handler);
