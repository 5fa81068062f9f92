#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>

static const char settings[] = "[module:auth]\nusers = ann:open, bob:sesame\n"
                               "[module:mailbox]\nping = 10s\nmax_clients = 2\n"
                               "[route:read]\nmatch = = /read\nhandler = mailbox\n"
                               "[route:write]\nmatch = = /write\nuse = auth\nhandler = mailbox\n"
                               "publishers = ann\n";
#define ANN "Authorization: Basic YW5uOm9wZW4=\n"
#define BOB "Authorization: Basic Ym9iOnNlc2FtZQ==\n"

static struct cst *open_it(void)
{
    static const char *const more[] = {"./auth.so", NULL};
    return cst_open("./mailbox.so", settings, .more = more);
}

/* What has come ends with that. */
static void ends_with(cst_req *q, const char *text)
{
    cst_answer a = cst_so_far(q);
    size_t n = strlen(text);
    if (a.body.n < n || memcmp(a.body.p + a.body.n - n, text, n) != 0)
        fprintf(stderr, "not \"%s\" but \"%.*s\"\n", text, CS_F(a.body));
    assert(a.body.n >= n && memcmp(a.body.p + a.body.n - n, text, n) == 0);
}

static cst_req *subscribe(struct cst *t, const char *last)
{
    char field[100];
    snprintf(field, sizeof field, last ? "Last-Event-ID: %s\n" : "%s", last ? last : "");
    cst_req *q = cst_begin(t, "GET", "/read", field, "");
    cst_run(t);
    assert(cst_so_far(q).status == 200 && !cst_so_far(q).closed);
    return q;
}

static void test_who(struct cst *t)
{
    cst_expect(cst_request(t, "POST", "/read", ANN, "x"), 405, NULL);
    cst_expect(cst_request(t, "POST", "/write", NULL, "x"), 401, NULL);
    cst_expect(cst_request(t, "POST", "/write", BOB, "x"), 403, NULL);
    assert(cst_published_count(t) == 0);
    cst_expect(cst_request(t, "POST", "/write", ANN, "first"), 204, "");
    assert(cst_published_count(t) == 1 && cst_published_at(t, 0)->to == CS_TO_WORKERS);
    cst_fail(t, "publish", 1);
    cst_expect(cst_request(t, "POST", "/write", ANN, "x"), 503, NULL);
}

static void test_events(struct cst *t)
{
    char last[64], expect[200];
    uint64_t *birth = cst_zone(t, "born");
    assert(*birth);
    *birth = 0xabc;
    cst_req *q = subscribe(t, NULL);
    ends_with(q, "retry: 3000\n\n");
    cst_request(t, "POST", "/write", ANN, "a\r\nid: 9\n\nb");
    ends_with(q, "id: abc-2\ndata: a\ndata: id: 9\ndata: \ndata: b\n\n");
    cst_message(t, CS_FROM_COMMAND, "mailbox", "c");
    ends_with(q, "id: abc-3\ndata: c\n\n");
    cst_advance(t, 10000);
    ends_with(q, "\n\n: ping\n\n");
    cst_req *again = subscribe(t, "abc-1");
    snprintf(expect, sizeof expect, "%s",
             "retry: 3000\n\nid: abc-2\ndata: a\ndata: id: 9\ndata: \n"
             "data: b\n\nid: abc-3\ndata: c\n\n");
    assert(cst_is(cst_so_far(again).body, expect));
    cst_expect(cst_get(t, "/read"), 503, NULL); /* two are there */
    cst_abort(again);
    cst_run(t);
    snprintf(last, sizeof last, "%s", "abd-1");
    again = subscribe(t, last);
    ends_with(again,
              "event: lost\ndata: ?\n\nid: abc-1\ndata: first\n\nid: abc-2\ndata: a\ndata: id: 9\n"
              "data: \ndata: b\n\nid: abc-3\ndata: c\n\n");
    cst_abort(again);
    cst_run(t);
    again = subscribe(t, "abc-4");
    ends_with(again, "retry: 3000\n\nevent: lost\ndata: ?\n\n");
}

int main(void)
{
    struct cst *t = open_it();
    test_who(t);
    test_events(t);
    cst_worker(t, 2, 2); /* another one knows it too */
    cst_req *q = subscribe(t, "abc-2");
    ends_with(q, "retry: 3000\n\nid: abc-3\ndata: c\n\n");
    cst_abort(q);
    for (unsigned k = 1; k <= 2; k++) {
        cst_fail(t, "format", k);
        q = subscribe(t, "abc-3");
        cst_abort(q);
        cst_run(t);
    }
    cst_fail(t, "detach", 1);
    cst_expect(cst_get(t, "/read"), 503, NULL);
    q = subscribe(t, "abc-3");
    for (int i = 0; i < 3; i++) { /* reloads: it goes to other workers, with the same ids */
        assert(cst_move(q) == CS_OK);
        cst_message(t, CS_FROM_COMMAND, "mailbox", "moved");
    }
    ends_with(q, "retry: 3000\n\nid: abc-4\ndata: moved\n\nid: abc-5\ndata: moved\n\n"
                 "id: abc-6\ndata: moved\n\n");
    cst_abort(q);
    cst_primary(t); /* takes none, and is not harmed */
    cst_message(t, CS_FROM_COMMAND, "mailbox", "d");
    cst_close(t);
    assert(strstr(cst_check("./mailbox.so", "ping = 1ms\n"), "ping"));
}
