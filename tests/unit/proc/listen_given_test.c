/* Sockets that somebody else has opened, as systemd does, and what is said where one is missing or left over. */
#include "proc/listen_check.h"

#include "listen_fake.h"

#include <netinet/in.h>

/* As systemd hands them over: bound by somebody, listening. */
static void test_inherited(void **state)
{
    struct sock_listen_opts opts = {.backlog = 64};
    struct sock_addr any, bound;
    struct listen_set inherited = {0};
    struct listen_socket given = {.nlistening = 1, .given = 1};
    const char *error;
    char text[128];
    unsigned waiting[POSITIONS], before = count_fds();
    int fd;

    (void)state;
    assert_true(sock_addr_parse(CS_S("127.0.0.1:0"), &any, &error));
    fd = sock_listen(&any, &opts);
    assert_true(fd >= 0);
    assert_int_equal(sock_addr_of(fd, &bound), 0);
    given.asked = given.bound = bound;
    given.nfds = 1;
    given.fds = malloc(sizeof *given.fds);
    given.fds[0] = fd;
    inherited = (struct listen_set){.n = 1, .v = malloc(sizeof given)};
    *inherited.v = given;
    visit_often(&given, 7);

    snprintf(text, sizeof text,
             "[accept]\npolicy = reuseport\n[listen:main]\naddress = 127.0.0.1:%u\n",
             (unsigned)ntohs(((const struct sockaddr_in *)(const void *)&bound.u)->sin_port));
    struct settings *s = settings_of(text);
    struct listen_from from = {.inherited = &inherited, .positions = POSITIONS};
    struct listen_set set;
    assert_true(listen_open(&set, s, &from));
    assert_int_equal(set.v[0].given, given.given);
    listen_close(&inherited, NULL, false);
    assert_int_equal(listen_grow(&set, 2), 0);
    assert_int_equal(listen_width(&set), 2);
    count_waiting(&set.v[0], waiting);
    assert_int_equal(waiting[0], 7);
    visit_often(&set.v[0], 100);
    count_waiting(&set.v[0], waiting);
    assert_int_equal(waiting[0] + waiting[1], 100);
    assert_true(waiting[1] > 10);
    listen_close(&set, NULL, true);
    settings_free(s, NULL);
    assert_int_equal(count_fds(), before);
}

/* What listen_inherit gives: one listening socket each, of these names. */
static struct listen_set given_set(const char *const *names, size_t n)
{
    struct listen_set set = {.n = n, .v = calloc(n, sizeof *set.v)};
    struct sock_listen_opts opts = {.backlog = 64};
    struct sock_addr any;
    const char *error;

    assert_true(sock_addr_parse(CS_S("127.0.0.1:0"), &any, &error));
    for (size_t i = 0; i < n; i++) {
        struct listen_socket *s = &set.v[i];

        s->fds = malloc(sizeof *s->fds);
        s->fds[0] = s->given = sock_listen(&any, &opts);
        assert_true(s->given >= 0);
        s->nfds = s->nlistening = 1;
        assert_int_equal(sock_addr_of(s->given, &s->bound), 0);
        s->asked = s->bound;
        sock_addr_text(&s->bound, s->text);
        snprintf(s->name, sizeof s->name, "%s", names[i]);
    }
    return set;
}

static const char *const web_names[] = {"web", "admin", "web"};

/* A name stands for all sockets that have it; each belongs to the section that asked. */
static void test_named(void **state)
{
    unsigned before = count_fds();
    struct listen_set given = given_set(web_names, 3), first, second;
    struct settings *s =
        settings_of("[listen:a]\naddress = socket:web\n[listen:b]\naddress = socket:admin\n");
    struct listen_from from = {.inherited = &given, .positions = POSITIONS};

    (void)state;
    assert_true(listen_open(&first, s, &from));
    assert_int_equal(first.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const size_t want[] = {0, 2, 1};

        assert_int_equal(first.v[i].given, given.v[want[i]].given);
        assert_int_not_equal(first.v[i].fds[0], first.v[i].given);
        assert_string_equal(first.v[i].text, given.v[want[i]].text);
        assert_int_equal(first.v[i].section, i == 2);
    }
    listen_fill(&first, s->plan);
    assert_int_equal(s->plan->nlisteners, 3);
    assert_ptr_equal(s->plan->listeners[1].conf, &s->conf->listens[0]);
    assert_ptr_equal(s->plan->listeners[2].conf, &s->conf->listens[1]);

    from.old = &first;
    assert_true(listen_open(&second, s, &from));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(second.v[i].fds[0], first.v[i].fds[0]);
    listen_close(&first, &second, true);
    assert_true(listens(second.v[0].fds[0]));
    listen_close(&second, NULL, true);
    assert_true(listens(given.v[0].fds[0]));
    listen_close(&given, NULL, false);
    settings_free(s, NULL);
    assert_int_equal(count_fds(), before);
}

/* By name and then by address it is the same socket still, twins and all. */
static void test_name_becomes_address(void **state)
{
    unsigned before = count_fds();
    struct listen_set given = given_set(web_names, 1), first, second;
    struct settings *s =
        settings_of("[accept]\npolicy = reuseport\n[listen:a]\naddress = socket:web\n");
    struct listen_from from = {.inherited = &given, .positions = POSITIONS};
    char text[192];

    (void)state;
    assert_true(listen_open(&first, s, &from));
    assert_int_equal(first.v[0].nfds, POSITIONS);
    assert_int_equal(listen_grow(&first, 2), 0);
    settings_free(s, NULL);

    snprintf(text, sizeof text, "[accept]\npolicy = reuseport\n[listen:a]\naddress = %s\n",
             given.v[0].text);
    s = settings_of(text);
    from.old = &first;
    assert_true(listen_open(&second, s, &from));
    assert_int_equal(second.v[0].nlistening, 2);
    assert_int_equal(second.v[0].fds[1], first.v[0].fds[1]);
    listen_close(&first, &second, true);
    listen_close(&second, NULL, true);
    listen_close(&given, NULL, false);
    settings_free(s, NULL);
    assert_int_equal(count_fds(), before);
}

static void expect_complaint(const struct settings *s, const char *label, const char *part)
{
    struct buf text = {0};

    report_print(&s->report, &text);
    if (!text.n || !strstr(text.p, part))
        fail_msg("row \"%s\": \"%s\" is not in: %s", label, part, text.n ? text.p : "(nothing)");
    buf_free(&text);
}

/* Of sockets: that these settings serve nothing is true of all of them. */
static const char *complaint(const struct settings *s)
{
    for (const struct report_entry *e = s->report.first; e; e = e->next)
        if (!strstr(e->message, "there is no route"))
            return e->message;
    return NULL;
}

/* The place of the first passed socket stands for %s. */
static const struct {
    const char *label, *text;
    size_t given; /* so many of web_names are passed */
    bool outside;
    const char *opened, *checked; /* part of what listen_open and listen_check say; NULL: nothing */
} complaints[] = {
    {"good", "[listen:a]\naddress = socket:web, socket:admin\n", 3, false, NULL, NULL},
    {"by address", "[listen:a]\naddress = %s\n", 1, false, NULL, NULL},
    {"no such name", "[listen:a]\naddress = socket:wbe, socket:web\n", 1, false, "passed were: web",
     "t.ini:2:11: error: no socket called \"wbe\""},
    {"none passed", "[listen:a]\naddress = socket:web\n", 0, false, "for a start by systemd",
     "t.ini:2:11: error: no socket was passed"},
    {"outside", "[listen:a]\naddress = socket:web\n", 0, true, "for a start by systemd",
     "t.ini:2:11: note: whether"},
    {"unused", "[listen:a]\naddress = socket:web\n", 2, false, NULL,
     "(admin) was passed to this server, and nobody listens on it: write `address = socket:admin`"},
    {"twice", "[listen:a]\naddress = socket:web, %s\n", 1, false,
     "overlaps, the socket 127.0.0.1:", NULL},
};

static void test_complaints(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(complaints); i++) {
        struct listen_set given = given_set(web_names, complaints[i].given), set;
        char text[256];
        const char *at = strstr(complaints[i].text, "%s");

        if (at)
            snprintf(text, sizeof text, "%.*s%s%s", (int)(at - complaints[i].text),
                     complaints[i].text, given.v[0].text, at + 2);
        else
            snprintf(text, sizeof text, "%s", complaints[i].text);
        struct settings *s = settings_of(text);
        struct listen_from from = {.inherited = &given, .positions = POSITIONS};
        bool good = listen_open(&set, s, &from);

        if (good != !complaints[i].opened)
            fail_msg("row \"%s\": opened %d", complaints[i].label, good);
        if (!good)
            expect_complaint(s, complaints[i].label, complaints[i].opened);
        listen_close(&set, NULL, true);
        settings_free(s, NULL);

        s = settings_of(text);
        struct listen_owned owned = {.inherited = &given, .outside = complaints[i].outside};
        listen_check(s, &owned);
        if (complaints[i].checked)
            expect_complaint(s, complaints[i].label, complaints[i].checked);
        else if (complaint(s))
            fail_msg("row \"%s\": %s", complaints[i].label, complaint(s));
        settings_free(s, NULL);
        listen_close(&given, NULL, false);
    }
    printf("rows: %zu\n", ARRAY_LEN(complaints));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_name_becomes_address),
        cmocka_unit_test(test_complaints),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
