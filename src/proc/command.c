/* command.c - what the control socket is asked, and the answers. Each answer carries the pid and
 * the generation, so that the one who asks knows who has answered. */
#include "proc/command.h"

#include "base/check.h"
#include "base/log.h"
#include "proc/code.h"
#include "proc/master.h"
#include "proc/msg.h"

#include <string.h>
#include <unistd.h>

/* One of the two functions. */
struct command {
    const char *word;
    void (*run)(struct master *m, struct control_call *call);
    void (*run_with)(struct master *m, struct control_call *call, cs_str object);
    bool lasts; /* it may be asked for without waiting for what comes of it: {"wait":"no"} */
};

void command_begin(struct master *m, struct json *j, struct buf *out, int code)
{
    json_init(j, out);
    json_object(j, NULL);
    json_bool(j, "ok", code == 0);
    json_int(j, "code", code);
    json_int(j, "pid", getpid());
    json_int(j, "generation", m->live ? (int64_t)m->live->number : 0);
    json_int(j, "revision", m->live ? (int64_t)m->live->revision : 0);
}

void command_end(struct control_call *call, struct json *j, struct buf *out)
{
    json_end_object(j);
    control_answer(call, buf_str(out));
    buf_free(out);
}

void command_answer(struct master *m, struct control_call *call, int code, const char *message,
                    cs_str report)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, code);
    json_z(&j, "message", message);
    if (report.n > 0)
        json_str(&j, "report", report);
    command_end(call, &j, &out);
}

/* Who asked waits for the end of the process; limit_ms says how long that may take. */
static void answer_stop(struct master *m, struct control_call *call, bool limited)
{
    struct buf out = {0};
    struct json j;

    command_begin(m, &j, &out, 0);
    json_z(&j, "message", "stopping");
    json_int(&j, "limit_ms", limited ? m->live->settings->conf->server.shutdown_timeout : -1);
    command_end(call, &j, &out);
}

static void run_stop(struct master *m, struct control_call *call)
{
    answer_stop(m, call, true);
    if (m->stop < STOP_DRAIN)
        master_stop(m, STOP_DRAIN);
}

static void run_quit(struct master *m, struct control_call *call)
{
    answer_stop(m, call, false);
    if (m->stop < STOP_WAIT)
        master_stop(m, STOP_WAIT);
}

static bool is(cs_str object, const char *key, const char *text)
{
    cs_str value;

    return json_find(object, key, &value) && str_is(value, text);
}

static void run_reload(struct master *m, struct control_call *call, cs_str object)
{
    cs_str value;

    if (json_find(object, "workers", &value) && !str_is(value, "new")) {
        command_answer(m, call, CODE_WRONG, "\"workers\" is new, or is not there", CS_S(""));
        return;
    }
    call->drained = is(object, "wait", "drained");
    call->fresh = is(object, "workers", "new");
    rollout_request(m, call);
}

static const struct command commands[] = {
    {"status", status_request, NULL, false},  {"listeners", status_listeners, NULL, false},
    {"reload", NULL, run_reload, true},       {"reopen", reopen_request, NULL, true},
    {"upgrade", upgrade_request, NULL, true}, {"stop", run_stop, NULL, true},
    {"quit", run_quit, NULL, true},           {"topics", NULL, msg_topics, false},
    {"send", NULL, msg_send, false},          {"tail", NULL, msg_tail, false},
    {"diff", NULL, compare_request, false},
};

/* False: it has been answered. */
static bool take_wait(struct master *m, struct control_call *call, const struct command *c,
                      cs_str object)
{
    struct buf out = {0}, text = {0};
    struct json j;
    cs_str value;
    bool good = true;

    if (!c->lasts || !json_find(object, "wait", &value))
        return true;
    if (is(object, "wait", "no") && m->stop) {
        return true; /* so that it is told of */
    } else if (is(object, "wait", "no")) {
        command_begin(m, &j, &out, 0);
        buf_printf(&text, "%s is asked for; nothing waits for what comes of it", c->word);
        json_z(&j, "message", text.p);
        json_end_object(&j);
        good = control_release(call, buf_str(&out));
        if (!good)
            command_answer(m, call, CODE_FAILED, "too many are asked for already; try again later",
                           CS_S(""));
    } else if (c->run_with != run_reload || !str_is(value, "drained")) {
        good = false;
        command_answer(m, call, CODE_WRONG,
                       "\"wait\" is no, or is not there; of reload also drained", CS_S(""));
    }
    buf_free(&text);
    buf_free(&out);
    return good;
}

/* What changes something; a message of the mailbox is the business of modules. */
static void log_request(const struct control_call *call, const struct command *c)
{
    bool message = c->run_with == msg_send;

    if (c->lasts || message)
        log_write(message ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
                  "asked to %s through the control socket by pid %d of user %u", c->word, call->pid,
                  call->uid);
}

static void run(struct master *m, struct control_call *call, const struct command *c, cs_str object)
{
    log_request(call, c);
    if (!take_wait(m, call, c, object))
        return;
    if (c->run)
        c->run(m, call);
    else
        c->run_with(m, call, object);
}

static const struct command *find(cs_str word)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_is(word, commands[i].word))
            return &commands[i];
    return NULL;
}

static void refuse(struct master *m, struct control_call *call)
{
    struct buf text = {0};

    buf_add_z(&text, "unknown command; there are ");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        buf_printf(&text, "%s%s",
                   i == 0                        ? ""
                   : i + 1 < ARRAY_LEN(commands) ? ", "
                                                 : " and ",
                   commands[i].word);
    command_answer(m, call, CODE_WRONG, text.p, CS_S(""));
    buf_free(&text);
}

void command_run(void *arg, struct control_call *call, cs_str line)
{
    struct master *m = arg;
    cs_str rest = line, word = {0};
    const struct command *c;

    str_split(&rest, ' ', &word);
    rest = str_trim(rest);
    c = find(word);
    if (rest.n > 0 && rest.p[0] != '{')
        command_answer(m, call, CODE_WRONG, "behind the command only a JSON object may follow",
                       CS_S(""));
    else if (c)
        run(m, call, c, rest);
    else
        refuse(m, call);
}
