/* streams.c - streams and groups, used in every way that is allowed and in some that are not. The last part of the path
 * says how; what happened is told by /facts. */
#include <cserver/cserver.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    ALL,
    FEW,
    CLOSING,
    SKIPPING,
    GROUPS
};

static const char *const group_names[GROUPS] = {"all", "few", "closing", "skipping"};
static cs_group *groups[GROUPS];
static cs_proc *proc;
static cs_stream *last; /* the latest one */
static unsigned long long detached, closed, refused, numbers[GROUPS], drains, wrong;
static _Bool end_when_stopped;

struct conf {
    _Bool end;
};

static void make_group(int i)
{
    static const cs_group_opts opts[GROUPS] = {
        {.size = sizeof(cs_group_opts)},
        {.size = sizeof(cs_group_opts), .max_streams = 2},
        {.size = sizeof(cs_group_opts), .on_slow = CS_SLOW_CLOSE, .high_water = 100000},
        {.size = sizeof(cs_group_opts), .on_slow = CS_SLOW_SKIP, .high_water = 100000},
    };
    groups[i] = cs_api_->group(proc, &opts[i]);
}

static int worker_start(cs_proc *p)
{
    proc = p;
    end_when_stopped = ((const struct conf *)cs_module_conf(p))->end;
    for (int i = 0; i < GROUPS; i++)
        make_group(i);
    return CS_OK;
}

static void worker_stop(cs_proc *p)
{
    (void)p;
    if (!end_when_stopped)
        return;
    cs_group_end(groups[ALL]);
    make_group(ALL);
}

static void expect(_Bool truth, const char *what)
{
    if (truth)
        return;
    wrong++;
    cs_log(CS_ERR, "streams: %s", what);
}

/* A stream that has ended is still there, and takes nothing. */
static void on_close(cs_stream *s, void *arg)
{
    closed++;
    if (s == last)
        last = NULL;
    expect(cs_stream_send(s, "late") == CS_CLOSED, "send in on_close");
    expect(cs_group_join(groups[ALL], s) == CS_CLOSED, "join in on_close");
    expect(cs_stream_queued(s) == 0, "queued in on_close");
    cs_stream_close(s);
    if (arg)
        cs_group_sendf(groups[ALL], "bye\n");
}

static cs_stream *detach(cs_req *r, void *arg)
{
    cs_stream *s = cs_detach(r, 200);
    if (!s)
        return NULL;
    detached++;
    cs_stream_on_close(s, on_close, arg);
    return s;
}

static long number(cs_req *r, const char *name)
{
    cs_str q = cs_info(r)->query;
    char text[256] = "&";
    size_t n = strlen(name);
    if (q.n)
        memcpy(text + 1, q.p, q.n < 250 ? q.n : 250);
    for (const char *p = text; (p = strchr(p, '&')); p++)
        if (!strncmp(p + 1, name, n) && p[n + 1] == '=')
            return atol(p + n + 2);
    return 0;
}

static _Bool ends_in(cs_str path, const char *word)
{
    size_t n = strlen(word);
    return path.n > n && path.p[path.n - n - 1] == '/' && !memcmp(path.p + path.n - n, word, n);
}

static int group_of(cs_req *r)
{
    for (int i = 0; i < GROUPS; i++)
        if (ends_in(cs_info(r)->path, group_names[i]))
            return i;
    return -1;
}

/* n messages "GROUP NUMBER xxx\n" of `size` bytes. */
static int publish(cs_req *r, int i)
{
    long n = number(r, "n"), size = number(r, "size");
    static char text[1 << 20];
    memset(text, 'x', sizeof text);
    for (long k = 0; k < n; k++) {
        char head[64];
        int nhead = snprintf(head, sizeof head, "%s %llu ", group_names[i], numbers[i]++);
        int pad = size > nhead + 1 ? (int)size - nhead - 1 : 0;
        if (cs_group_sendf(groups[i], "%s%.*s\n", head, pad, text) != CS_OK)
            return 500;
    }
    return 204;
}

static void on_time(cs_req *r, void *arg)
{
    (void)arg;
    cs_stream *s = detach(r, NULL);
    expect(s && cs_stream_send(s, "later\n") == CS_OK, "detach in a timer");
    expect(s && cs_group_join(groups[ALL], s) == CS_OK, "join in a timer");
    for (long i = 0; i < number(r, "burst"); i++)
        cs_group_sendf(groups[ALL], "%0100000ld\n", i);
}

static void on_time_answer(cs_req *r, void *arg)
{
    (void)arg;
    expect(cs_text(r, 200, "answered\n") == CS_OK, "an answer in a timer");
}

static int on_data(cs_req *r, cs_str data, int last, void *arg)
{
    (void)data;
    (void)arg;
    if (last)
        on_time(r, NULL);
    else
        expect(!cs_detach(r, 200), "detach before the end of the body");
    return CS_OK;
}

/* As much as asked for, as fast as the client takes it. */
struct flood {
    long left;
};

static void go_on(cs_stream *s, void *arg)
{
    struct flood *f = arg;
    static char text[60000];
    memset(text, 'f', sizeof text);
    int rc = CS_OK;
    drains++;
    while (f->left && rc == CS_OK) {
        long n = f->left < (long)sizeof text ? f->left : (long)sizeof text;
        rc = cs_stream_send(s, ((cs_str){text, (size_t)n}));
        f->left -= n;
        if (rc == CS_AGAIN)
            expect(cs_stream_queued(s) > 262144, "CS_AGAIN too early");
    }
    if (!f->left) {
        cs_stream_close(s);
        expect(cs_stream_send(s, "late") == CS_CLOSED, "send behind close");
    } else {
        cs_stream_on_drain(s, go_on, f);
    }
}

static void on_flood_close(cs_stream *s, void *arg)
{
    free(arg);
    on_close(s, NULL);
}

static int flood(cs_req *r)
{
    struct flood *f = calloc(1, sizeof *f);
    f->left = number(r, "n");
    cs_stream *s = detach(r, NULL);
    if (!s)
        return 500;
    cs_stream_on_close(s, on_flood_close, f);
    cs_stream_on_drain(s, go_on, f);
    return CS_OK;
}

static int finite(cs_req *r)
{
    cs_stream *s = detach(r, NULL);
    cs_stream_send(s, "one ");
    cs_stream_send(s, "");
    cs_stream_send(s, "two ");
    cs_group_join(groups[ALL], s);
    cs_group_send(groups[ALL], "three\n");
    cs_stream_close(s);
    expect(cs_group_size(groups[ALL]) == 0 || number(r, "more"),
           "a closed stream leaves its group");
    cs_group_send(groups[ALL], "four\n");
    expect(cs_stream_send(s, "five") == CS_CLOSED, "send behind close");
    expect(cs_group_join(groups[ALL], s) == CS_CLOSED, "join behind close");
    cs_set_header(r, "X-Late", "yes");
    return CS_OK;
}

/* What it has been sent in one group stands before what it gets in the next. */
static int moved(cs_req *r)
{
    cs_stream *s = detach(r, NULL);
    cs_group_join(groups[ALL], s);
    cs_group_send(groups[ALL], "in all\n");
    cs_stream_send(s, "alone\n");
    cs_group_send(groups[ALL], "again\n");
    expect(cs_group_join(groups[FEW], s) == CS_OK, "moving");
    expect(cs_group_join(groups[FEW], s) == CS_OK, "joining twice");
    cs_group_send(groups[ALL], "not for me\n");
    cs_group_send(groups[FEW], "in few\n");
    cs_stream_close(s);
    return CS_OK;
}

static int last_words(cs_req *r)
{
    static char text[4 << 20];
    cs_stream *s = detach(r, NULL);
    memset(text, 'w', sizeof text);
    cs_stream_send(s, ((cs_str){text, sizeof text}));
    cs_stream_close(s);
    return CS_OK;
}

/* More than a stream sends in one turn, and then a message of its group. */
static int history(cs_req *r)
{
    static char text[20000];
    cs_stream *s = detach(r, NULL);
    memset(text, 'h', sizeof text);
    for (int i = 0; i < 100; i++)
        cs_stream_send(s, ((cs_str){text, sizeof text}));
    expect(cs_group_join(groups[CLOSING], s) == CS_OK, "join with a history");
    return cs_group_send(groups[CLOSING], "joined\n");
}

static void on_request_close(void *arg)
{
    (void)arg;
    cs_group_send(groups[ALL], "request over\n");
}

static int not_allowed(cs_req *r)
{
    expect(!cs_detach(r, 199) && !cs_detach(r, 600), "detach with a status that is none");
    expect(detach(r, NULL) != NULL && !cs_detach(r, 200), "detach twice");
    return 204;
}

static int answered(cs_req *r)
{
    cs_start(r, 200, "text/plain", 2);
    expect(!cs_detach(r, 200), "detach behind start");
    return cs_send(r, CS_S("ok"), 1);
}

/* An answer in pieces whose end does not come. */
static int torn(cs_req *r)
{
    cs_start(r, 200, "text/plain", number(r, "len") ? number(r, "len") : -1);
    cs_send(r, CS_S("one"), 0);
    return number(r, "wait") ? CS_PENDING : CS_ERROR;
}

/* It is too slow for what its group has been sent, and that is seen when it is spoken to. */
static int nudge(cs_req *r)
{
    cs_stream *s = last;
    publish(r, CLOSING);
    if (number(r, "close"))
        cs_stream_close(s);
    else if (number(r, "join"))
        expect(cs_group_join(groups[ALL], s) == CS_CLOSED, "join of one that was too slow");
    else
        expect(cs_stream_send(s, "x") == CS_CLOSED, "send to one that was too slow");
    expect(cs_stream_send(s, "x") == CS_CLOSED, "send again");
    expect(cs_group_size(groups[CLOSING]) == 0, "who is too slow has left");
    return 204;
}

static int facts(cs_req *r)
{
    return cs_textf(r, 200,
                    "detached %llu\nclosed %llu\nrefused %llu\nsize %zu\nfew %zu\nclosing "
                    "%zu\nskipping %zu\ndrains %llu\nwrong %llu\n",
                    detached, closed, refused, cs_group_size(groups[ALL]),
                    cs_group_size(groups[FEW]), cs_group_size(groups[CLOSING]),
                    cs_group_size(groups[SKIPPING]), drains, wrong);
}

static int subscribe(cs_req *r, int i, int status)
{
    cs_set_header(r, "Content-Type", "text/event-stream");
    cs_set_header(r, "X-Mine", "yes");
    if (number(r, "note"))
        cs_on_close(r, on_request_close, NULL);
    cs_stream *s = cs_detach(r, status);
    if (!s)
        return 500;
    detached++;
    last = s;
    cs_stream_on_close(s, on_close, number(r, "bye") ? s : NULL);
    cs_stream_send(s, "hello\n");
    int rc = cs_group_join(groups[i], s);
    refused += rc != CS_OK;
    return rc;
}

static int handler(cs_req *r)
{
    cs_str path = cs_info(r)->path;
    int i = group_of(r);
    if (ends_in(path, "facts"))
        return facts(r);
    if (i >= 0 && cs_is(r, "POST"))
        return publish(r, i);
    if (i >= 0 && cs_is(r, "DELETE")) {
        cs_group_end(groups[i]);
        make_group(i);
        return 204;
    }
    if (i >= 0)
        return subscribe(r, i, 200);
    if (ends_in(path, "empty"))
        return subscribe(r, ALL, 204);
    if (ends_in(path, "taken"))
        return subscribe(r, ALL, 200) == CS_OK ? 404 : 500;
    if (ends_in(path, "replied"))
        return subscribe(r, ALL, 200) == CS_OK ? cs_text(r, 200, "whole\n") : 500;
    if (ends_in(path, "failed"))
        return subscribe(r, ALL, 200) == CS_OK ? CS_ERROR : 500;
    if (ends_in(path, "declined"))
        return subscribe(r, ALL, 200) == CS_OK ? CS_DECLINED : 500;
    if (ends_in(path, "pending")) {
        cs_req_after(r, 1, on_time_answer, NULL);
        return subscribe(r, ALL, 200) == CS_OK ? CS_PENDING : 500;
    }
    if (ends_in(path, "later")) {
        cs_req_after(r, 1, on_time, NULL);
        return CS_PENDING;
    }
    if (ends_in(path, "body"))
        return cs_body_stream(r, on_data, NULL) == CS_OK ? CS_PENDING : 500;
    if (ends_in(path, "unread"))
        return cs_detach(r, 200) ? 500 : 413;
    if (ends_in(path, "flood"))
        return flood(r);
    if (ends_in(path, "finite"))
        return finite(r);
    if (ends_in(path, "nudge"))
        return nudge(r);
    if (ends_in(path, "last_words"))
        return last_words(r);
    if (ends_in(path, "history"))
        return history(r);
    if (ends_in(path, "torn"))
        return torn(r);
    if (ends_in(path, "moved"))
        return moved(r);
    if (ends_in(path, "not_allowed"))
        return not_allowed(r);
    if (ends_in(path, "answered"))
        return answered(r);
    return 404;
}

static const cs_directive directives[] = {
    CS_BOOL(struct conf, end, "off", 0, "End the streams when the worker drains."),
    CS_END,
};

CS_MODULE(.name = "streams", .version = "1.0", .help = "Streams in every way.",
          .flags = CS_BODY_STREAM, .directives = directives, .conf_size = sizeof(struct conf),
          .worker_start = worker_start, .worker_stop = worker_stop, .handler = handler);
