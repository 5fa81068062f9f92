/* msg.c - see msg.h. */
#include "proc/msg.h"

#include "base/check.h"
#include "ipc/mailstat.h"
#include "ipc/topic.h"
#include "proc/code.h"
#include "proc/command.h"
#include "proc/master.h"
#include "proc/msgtext.h"

#include <stdlib.h>

#define NEAR 2
#define SOME 6

static void fail(struct master *m, struct control_call *call, int code, struct buf *text)
{
    command_answer(m, call, code, text->p, CS_S(""));
    buf_free(text);
}

/* ---- Topics ---- */

static void put_topic(const struct master *m, struct json *j, unsigned number)
{
    const struct ipc_topic *t = topic_get(&m->region, number);
    struct mailstat_topic sum = mailstat_topic(&m->region, number);

    json_object(j, NULL);
    json_z(j, "name", t->name);
    json_z(j, "owner", t->owner);
    json_int(j, "max_len", atomic_load(&t->max_len));
    json_bool(j, "latest", atomic_load(&t->latest) >= 0);
    json_int(j, "published", (int64_t)sum.published);
    json_int(j, "bytes", (int64_t)sum.bytes);
    json_int(j, "delivered", (int64_t)sum.delivered);
    json_int(j, "lost", (int64_t)sum.lost);
    json_end_object(j);
}

void msg_topics(struct master *m, struct control_call *call, cs_str object)
{
    struct buf out = {0};
    struct json j;

    (void)object;
    command_begin(m, &j, &out, 0);
    json_array(&j, "topics");
    for (unsigned i = 0; topic_get(&m->region, i); i++)
        put_topic(m, &j, i);
    json_end_array(&j);
    command_end(call, &j, &out);
}

/* Of the server, not of a module. */
static bool is_ours(const char *name)
{
    return strncmp(name, "cserver.", 8) == 0;
}

/* Those near to the name; or, without one, the modules' first few. */
static unsigned list_topics(const struct master *m, cs_str near, struct buf *out)
{
    const struct ipc_topic *t;
    unsigned n = 0;

    for (unsigned i = 0; (t = topic_get(&m->region, i)); i++) {
        if (near.n ? str_distance(near, str_of(t->name), NEAR) > NEAR : is_ours(t->name))
            continue;
        if (n < SOME)
            buf_printf(out, "%s\"%s\"", n ? ", " : "", t->name);
        n++;
    }
    if (n > SOME)
        buf_printf(out, " and %u more", n - SOME);
    return n;
}

static void refuse_topic(struct master *m, struct control_call *call, cs_str name)
{
    struct buf text = {0}, names = {0};

    buf_printf(&text, "there is no topic \"%.*s\"", CS_F(name));
    if (list_topics(m, name, &names))
        buf_printf(&text, "; did you mean %s?", names.p);
    else if (list_topics(m, CS_S(""), &names))
        buf_printf(&text, "; there are %s", names.p);
    buf_add_z(&text, " (cserver msg topics tells about all)");
    buf_free(&names);
    fail(m, call, CODE_FAILED, &text);
}

int msg_find_topic(struct master *m, struct control_call *call, cs_str object)
{
    struct buf name = {0};
    int topic = -1;

    if (!msgtext_take_data(object, "topic", &name)) {
        command_answer(m, call, CODE_WRONG, "which topic? {\"topic\":\"...\"} is missing",
                       CS_S(""));
    } else {
        buf_add_z(&name, "");
        topic = strlen(name.p) == name.n ? topic_find(&m->region, name.p) : -1;
        if (topic < 0)
            refuse_topic(m, call, buf_str(&name));
    }
    buf_free(&name);
    return topic < 0 ? -1 : topic;
}

/* ---- Sending ---- */

/* False: *text says why not. */
static bool is_sendable(const struct master *m, const struct msg_request *r, struct buf *text)
{
    size_t max = atomic_load(&topic_get(&m->region, r->topic)->max_len);

    if (is_ours(r->name))
        buf_printf(text, "%s is the server's own topic: it can be watched, but nothing can be sent",
                   r->name);
    else if (r->data.n > max)
        buf_printf(text,
                   "a message of %s has at most %zu bytes, this has %zu: put them in a file, and "
                   "send its name",
                   r->name, max, r->data.n);
    else if (r->applied && m->msg.nwaits >= MSG_WAITS)
        buf_printf(text, "%d messages are waited for already; try again later", MSG_WAITS);
    return text->n == 0;
}

static bool is_text(cs_str object, const char *key, const char *text)
{
    cs_str value;

    return json_find(object, key, &value) && str_is(value, text);
}

static bool has(cs_str object, const char *key)
{
    cs_str value;

    return json_find(object, key, &value);
}

/* All but the topic. False: *text says what is missing or wrong. */
static bool take_request(cs_str object, struct msg_request *r, struct buf *text)
{
    cs_str value;

    r->target = (struct mail_target){.to = MAIL_ALL};
    r->timeout_ms = 5000;
    r->applied = is_text(object, "wait", "applied");
    if (!msgtext_take_data(object, "data", &r->data))
        buf_add_z(text, "\"data\" is a string of UTF-8, or {\"base64\":\"...\"}");
    else if (json_find(object, "to", &value) && !msgtext_target(value, &r->target.to))
        buf_add_z(text, "\"to\" is all, workers, primary or worker:N");
    else if (!r->applied && has(object, "wait"))
        buf_add_z(text, "\"wait\" is applied, or is not there");
    else if (json_find(object, "timeout_ms", &value) &&
             !str_to_u64(value, 86400000, &r->timeout_ms))
        buf_add_z(text, "\"timeout_ms\" is a number up to 86400000; 0 is for ever");
    return text->n == 0;
}

/* ---- What came of it ---- */

static unsigned count_takers(const struct master *m, const struct ipc_mail_record *rec)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->region.nslots; i++) {
        const struct ipc_mail_slot *s = &m->region.mailboxes[i];

        n += atomic_load(&s->state) != IPC_MAIL_OUT && ring_is_for(rec, (int)i) &&
             ring_takes(s, rec->topic);
    }
    return n;
}

static void list_workers(const struct master *m, struct buf *out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->crew.nworkers; i++)
        if (m->crew.workers[i].pid > 0)
            buf_printf(out, "%s%d", n++ ? ", " : "", worker_number(&m->crew.workers[i]));
    if (n == 0)
        buf_add_z(out, "none");
}

void msg_explain_nobody(const struct master *m, const struct msg_request *r, struct buf *out)
{
    struct primary_info primary;
    int to = r->target.to, slot = to - IPC_SLOT_WORKERS;

    if (to == MAIL_PRIMARY && !succession_info(m, &primary)) {
        buf_printf(out, "nobody takes it: there is no primary, since no module asks for one");
    } else if (to == MAIL_PRIMARY) {
        buf_printf(out, "nobody takes it: the primary is not there at the moment");
    } else if ((unsigned)slot >= m->crew.nworkers || m->crew.workers[slot].pid <= 0) {
        buf_printf(out, "there is no worker %d; there are: ", slot + 1);
        list_workers(m, out);
    } else {
        buf_printf(out, "worker %d does not take the topic %s", slot + 1, r->name);
    }
}

static void explain(const struct master *m, const struct msg_request *r, enum mail_result rc,
                    struct buf *out)
{
    if (rc == MAIL_UNKNOWN || rc == MAIL_NOBODY)
        msg_explain_nobody(m, r, out);
    else if (rc == MAIL_AGAIN)
        buf_add_z(out, "not sent: some process does not read its messages, and the master's queue "
                       "is full; try again later");
    else
        buf_add_z(out, "not sent: the mailbox is broken, no messages go until the server is "
                       "restarted");
}

void msg_put_number(struct json *j, const struct mail_receipt *receipt)
{
    if (receipt->state != MAIL_RECEIPT_SENT)
        return;
    json_int(j, "number", (int64_t)receipt->rec.number);
    json_int(j, "seq", (int64_t)receipt->rec.seq);
}

static const char *plural(unsigned n)
{
    return n == 1 ? "" : "es";
}

static void answer_sent(struct master *m, struct control_call *call, const struct msg_request *r,
                        const struct mail_receipt *receipt)
{
    struct buf out = {0}, text = {0};
    unsigned takers = 0;
    struct json j;

    command_begin(m, &j, &out, 0);
    if (receipt->state == MAIL_RECEIPT_SENT) {
        takers = count_takers(m, &receipt->rec);
        buf_printf(&text, "sent number %llu of %s to %u process%s",
                   (unsigned long long)receipt->rec.number, r->name, takers, plural(takers));
        json_int(&j, "receivers", takers);
    } else {
        buf_printf(&text,
                   "%s waits in the master's queue, since some process does not read its "
                   "messages: it goes out in its turn",
                   r->name);
    }
    json_z(&j, "state", receipt->state == MAIL_RECEIPT_SENT ? "sent" : "queued");
    msg_put_number(&j, receipt);
    json_z(&j, "message", text.p);
    buf_free(&text);
    command_end(call, &j, &out);
}

/* ---- The request ---- */

/* A receipt is also how one learns a message's number. */
static enum mail_result publish(struct master *m, struct control_call *call,
                                const struct msg_request *r)
{
    struct mail_receipt receipt = {.on_applied = NULL};
    enum mail_result rc =
        mailbox_publish(&m->mail, r->topic, r->target, r->data.p, r->data.n, &receipt);

    if (rc == MAIL_SENT || rc == MAIL_QUEUED) {
        answer_sent(m, call, r, &receipt);
        mailbox_forget(&m->mail, &receipt);
    }
    return rc;
}

static void send_it(struct master *m, struct control_call *call, const struct msg_request *r)
{
    enum mail_result rc = MAIL_AGAIN;
    struct buf text = {0};

    if (m->mail.outbox.bytes < MSG_OUTBOX)
        rc = r->applied ? applied_publish(m, call, r) : publish(m, call, r);

    if (rc == MAIL_SENT || rc == MAIL_QUEUED)
        return;
    explain(m, r, rc, &text);
    fail(m, call, CODE_FAILED, &text);
}

void msg_send(struct master *m, struct control_call *call, cs_str object)
{
    int topic = msg_find_topic(m, call, object);
    struct msg_request r = {.topic = (unsigned)topic};
    struct buf text = {0};

    if (topic < 0)
        return;
    r.name = topic_get(&m->region, r.topic)->name;
    if (!take_request(object, &r, &text))
        fail(m, call, CODE_WRONG, &text);
    else if (!is_sendable(m, &r, &text))
        fail(m, call, CODE_FAILED, &text);
    else
        send_it(m, call, &r);
    buf_free(&r.data);
}

/* ---- The life ---- */

void msg_init(struct master *m)
{
    applied_init(m);
    tail_init(m);
}

void msg_end(struct master *m)
{
    tail_end(m);
    applied_end(m);
}

void msg_on_message(struct master *m, const struct mail_message *mail)
{
    (void)m;
    (void)mail;
}
