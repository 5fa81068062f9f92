/* Sockets from settings to settings, as a start and a reload make them; real ones, on loopback. */
#include "proc/listen.h"

#include "listen_fake.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool open_with(struct listen_set *set, struct settings *s, const struct listen_set *old)
{
    struct listen_from from = {.old = old, .positions = POSITIONS};

    return listen_open(set, s, &from);
}

/* A generation: settings and their sockets. */
struct gen {
    struct settings *s;
    struct listen_set set;
};

static struct gen gen_new(const char *text, const struct gen *old)
{
    struct gen g = {.s = settings_of(text)};

    assert_true(open_with(&g.set, g.s, old ? &old->set : NULL));
    listen_fill(&g.set, g.s->plan);
    return g;
}

static void gen_end(struct gen *g, const struct gen *keep)
{
    listen_close(&g->set, keep ? &keep->set : NULL, true);
    settings_free(g->s, NULL);
}

static bool is_shared(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &n), 0);
    return on != 0;
}

static bool foreign_may_bind(const struct listen_socket *s)
{
    struct sock_listen_opts opts = {.backlog = 5};
    int fd = sock_listen(&s->bound, &opts);

    if (fd >= 0)
        close(fd);
    else
        assert_int_equal(fd, -EADDRINUSE);
    return fd >= 0;
}

#define MAIN "[listen:main]\naddress = 127.0.0.1:0\ndeferred = off\n"
#define SPREAD                                                                                     \
    "[accept]\npolicy = reuseport\n"                                                               \
    "[listen:main]\naddress = 127.0.0.1:0\ndeferred = off\n"

static void test_turn(void **state)
{
    struct gen g = gen_new(MAIN, NULL);

    (void)state;
    assert_int_equal(g.set.v[0].nfds, 1);
    assert_false(is_shared(g.set.v[0].fds[0]));
    assert_int_equal(listen_width(&g.set), 0);
    assert_int_equal(listen_grow(&g.set, 3), 0);
    assert_int_equal(g.set.v[0].nlistening, 1);
    assert_false(foreign_may_bind(&g.set.v[0]));
    gen_end(&g, NULL);
}

/* Only the first listens at first, and gets all; then all get their share. */
static void test_reuseport(void **state)
{
    struct gen g = gen_new(SPREAD, NULL);
    struct listen_socket *s = &g.set.v[0];
    unsigned waiting[POSITIONS];

    (void)state;
    assert_int_equal(s->nfds, POSITIONS);
    assert_int_equal(listen_width(&g.set), 1);
    assert_false(foreign_may_bind(s));
    visit_often(s, 50);
    count_waiting(s, waiting);
    assert_int_equal(waiting[0], 50);
    assert_int_equal(listen_grow(&g.set, POSITIONS), 0);
    assert_int_equal(listen_width(&g.set), POSITIONS);
    visit_often(s, 400);
    count_waiting(s, waiting);
    for (int i = 0; i < POSITIONS; i++)
        if (waiting[i] < 40)
            fail_msg("socket %d got %u of 400", i, waiting[i]);
    assert_int_equal(waiting[0] + waiting[1] + waiting[2] + waiting[3], 400);
    assert_false(foreign_may_bind(s));
    gen_end(&g, NULL);
}

/* With one worker at most there is nobody to share with. */
static void test_one_position(void **state)
{
    struct settings *s = settings_of(SPREAD);
    struct listen_from from = {.positions = 1};
    struct listen_set set;

    (void)state;
    assert_true(listen_open(&set, s, &from));
    assert_int_equal(set.v[0].nfds, 1);
    assert_false(is_shared(set.v[0].fds[0]));
    assert_int_equal(listen_grow(&set, 1), 0);
    assert_int_equal(listen_width(&set), 1);
    listen_close(&set, NULL, true);
    settings_free(s, NULL);
}

/* Settings that do not go live leave no trace, and what waits meanwhile stays. */
static void test_roll_back(void **state)
{
    struct gen live = gen_new(MAIN, NULL);
    unsigned before, waiting[POSITIONS];
    struct gen next;

    (void)state;
    visit_often(&live.set.v[0], 5);
    before = count_fds();
    for (int i = 0; i < 3; i++) {
        next = gen_new(SPREAD, &live);
        assert_int_equal(next.set.v[0].nfds, POSITIONS);
        assert_int_equal(next.set.v[0].fds[0], live.set.v[0].fds[0]);
        assert_true(is_shared(live.set.v[0].fds[0]));
        visit_often(&live.set.v[0], 5);
        gen_end(&next, &live);
        assert_false(is_shared(live.set.v[0].fds[0]));
        assert_int_equal(count_fds(), before);
    }
    visit_often(&live.set.v[0], 5);
    count_waiting(&live.set.v[0], waiting);
    assert_int_equal(waiting[0], 25);
    gen_end(&live, NULL);
}

/* All the way round: what listens once goes on, with what waits in it. */
static void test_change_and_back(void **state)
{
    struct gen turn = gen_new(MAIN, NULL), spread, again, more;
    unsigned before = count_fds(), waiting[POSITIONS];
    int fds[POSITIONS];

    (void)state;
    spread = gen_new(SPREAD, &turn);
    gen_end(&turn, &spread);
    assert_int_equal(listen_grow(&spread.set, 3), 0);
    visit_often(&spread.set.v[0], 100);
    memcpy(fds, spread.set.v[0].fds, sizeof fds);

    again = gen_new(MAIN, &spread);
    gen_end(&spread, &again);
    assert_int_equal(again.set.v[0].policy, CONF_POLICY_TURN);
    assert_int_equal(again.set.v[0].nlistening, 3);
    assert_int_equal(again.s->plan->listeners[0].nfds, POSITIONS);
    assert_memory_equal(again.set.v[0].fds, fds, sizeof fds);
    assert_int_equal(listen_width(&again.set), 0);

    more = gen_new(SPREAD, &again);
    gen_end(&again, &more);
    assert_memory_equal(more.set.v[0].fds, fds, sizeof fds);
    assert_int_equal(listen_grow(&more.set, 1), 0);
    assert_int_equal(listen_width(&more.set), 3);
    count_waiting(&more.set.v[0], waiting);
    assert_int_equal(waiting[0] + waiting[1] + waiting[2], 100);
    gen_end(&more, NULL);
    assert_int_equal(count_fds(), before - 1);
}

/* Roll-back of settings that would have taken sockets over touches none of them. */
static void test_roll_back_of_spread(void **state)
{
    struct gen live = gen_new(SPREAD, NULL), next;
    unsigned before;

    (void)state;
    assert_int_equal(listen_grow(&live.set, 2), 0);
    before = count_fds();
    next = gen_new(MAIN, &live);
    gen_end(&next, &live);
    next = gen_new(SPREAD, &live);
    gen_end(&next, &live);
    assert_int_equal(count_fds(), before);
    for (int i = 0; i < POSITIONS; i++) {
        assert_true(is_shared(live.set.v[0].fds[i]));
        assert_int_equal(listens(live.set.v[0].fds[i]), i < 2);
    }
    gen_end(&live, NULL);
}

/* A new address catches up with the others: a socket's number means one worker, whatever its address. */
static void test_same_width(void **state)
{
    struct gen one = gen_new(SPREAD, NULL), two;

    (void)state;
    assert_int_equal(listen_grow(&one.set, 3), 0);
    two = gen_new("[accept]\npolicy = reuseport\n[listen:main]\naddress = 127.0.0.1:0, [::1]:0\n",
                  &one);
    gen_end(&one, &two);
    assert_int_equal(listen_width(&two.set), 1);
    assert_int_equal(listen_grow(&two.set, 2), 0);
    assert_int_equal(two.set.v[0].nlistening, 3);
    assert_int_equal(two.set.v[1].nlistening, 3);
    assert_int_equal(listen_width(&two.set), 3);
    gen_end(&two, NULL);
}

struct policy_row {
    const char *label, *text;
    enum conf_policy policy[2];
    size_t nfds[2];
};

#define TCP  "[listen:a]\naddress = 127.0.0.1:0\n"
#define UNIX "[listen:b]\naddress = unix:@/b.sock\n"

static const struct policy_row policy_rows[] = {
    {"the default", TCP UNIX, {CONF_POLICY_TURN, CONF_POLICY_TURN}, {1, 1}},
    {"exclusive",
     "[accept]\npolicy = exclusive\n" TCP UNIX,
     {CONF_POLICY_EXCLUSIVE, CONF_POLICY_EXCLUSIVE},
     {1, 1}},
    {"a unix socket takes turns under reuseport",
     "[accept]\npolicy = reuseport\n" TCP UNIX,
     {CONF_POLICY_REUSEPORT, CONF_POLICY_TURN},
     {POSITIONS, 1}},
    {"each its own",
     TCP "policy = reuseport\n" UNIX "policy = exclusive\n",
     {CONF_POLICY_REUSEPORT, CONF_POLICY_EXCLUSIVE},
     {POSITIONS, 1}},
    {"one goes without",
     "[accept]\npolicy = reuseport\n" TCP "policy = turn\n" UNIX,
     {CONF_POLICY_TURN, CONF_POLICY_TURN},
     {1, 1}},
    {"one as the rest",
     "[accept]\npolicy = exclusive\n" TCP "policy = default\n" UNIX "policy = turn\n",
     {CONF_POLICY_EXCLUSIVE, CONF_POLICY_TURN},
     {1, 1}},
    {"both families",
     "[accept]\npolicy = reuseport\n[listen:a]\naddress = :0, 127.0.0.1:0\n",
     {CONF_POLICY_REUSEPORT, CONF_POLICY_REUSEPORT},
     {POSITIONS, POSITIONS}},
};

static void test_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(policy_rows); i++) {
        const struct policy_row *r = &policy_rows[i];
        struct gen g = gen_new(r->text, NULL);

        assert_int_equal(listen_grow(&g.set, POSITIONS), 0);
        for (size_t k = 0; k < 2; k++) {
            const struct listen_socket *s = &g.set.v[k];

            if (s->policy != r->policy[k] || s->nfds != r->nfds[k] || s->nlistening != s->nfds ||
                g.s->plan->listeners[k].policy != s->policy)
                fail_msg("%s: address %zu has policy %d and %zu sockets, %zu listen", r->label, k,
                         (int)s->policy, s->nfds, s->nlistening);
        }
        gen_end(&g, NULL);
    }
    printf("rows: %zu\n", ARRAY_LEN(policy_rows));
}

/* IPv4 and IPv6 clients are spread over all sockets of ":0" (or there is no IPv6 here). */
static void test_both_families(void **state)
{
    struct gen g =
        gen_new("[accept]\npolicy = reuseport\n[listen:a]\naddress = :0\ndeferred=off\n", NULL);
    struct listen_socket *s = &g.set.v[0];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned waiting[POSITIONS];

    (void)state;
    assert_int_equal(listen_grow(&g.set, POSITIONS), 0);
    memcpy(&to.sin_port, (const char *)&s->bound.u + 2, 2);
    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof to), 0);
        close(fd);
    }
    count_waiting(s, waiting);
    for (int i = 0; i < POSITIONS; i++)
        if (waiting[i] < 15)
            fail_msg("socket %d got %u of 200", i, waiting[i]);
    gen_end(&g, NULL);
}

/* A limit of open files that lets n more be opened. */
static rlim_t room_for(int n)
{
    int fd = dup(0), rest = n > 1 ? (int)room_for(n - 1) : 0;

    assert_true(fd >= 0);
    close(fd);
    return (rlim_t)(rest > fd + 1 ? rest : fd + 1);
}

/* The first address and the second get what they need, the third only its first socket: nothing new stays, the running server is as it was, and the report says where. */
static void test_no_descriptors_left(void **state)
{
    struct gen live = gen_new(MAIN, NULL);
    struct settings *s = settings_of("[accept]\npolicy = reuseport\n[listen:main]\naddress =\n"
                                     "  127.0.0.1:0\n  unix:@/n.sock\n  127.0.0.1:0\n");
    struct listen_set next;
    struct rlimit was, low;
    struct buf text = {0};
    unsigned before = count_fds();
    char path[96];

    (void)state;
    getrlimit(RLIMIT_NOFILE, &was);
    low = was;
    low.rlim_cur = room_for(POSITIONS - 1 + 2);
    setrlimit(RLIMIT_NOFILE, &low);
    assert_false(open_with(&next, s, &live.set));
    setrlimit(RLIMIT_NOFILE, &was);
    assert_int_equal(count_fds(), before);
    assert_false(is_shared(live.set.v[0].fds[0]));
    report_print(&s->report, &text);
    buf_add_char(&text, '\0');
    if (!strstr(text.p, "policy = reuseport needs a socket for each worker") ||
        !strstr(text.p, "t.ini:4:") || !strstr(text.p, "raise the limit of open files"))
        fail_msg("%s", text.p);
    snprintf(path, sizeof path, "%s/n.sock", folder);
    assert_int_not_equal(access(path, F_OK), 0);
    buf_free(&text);
    settings_free(s, NULL);
    gen_end(&live, NULL);
}

/* A socket that another user has opened (systemd's) cannot be shared with us. */
static void test_of_another_user(void **state)
{
    struct gen live = gen_new(MAIN, NULL);
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(folder, 0777), 0);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        struct settings *s = settings_of(SPREAD);
        struct listen_set next;
        struct buf text = {0};
        int code = 0;

        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(9);
        code |= open_with(&next, s, &live.set);
        report_print(&s->report, &text);
        buf_add_char(&text, '\0');
        code |= strstr(text.p, "opened by another user") ? 0 : 2;
        code |= is_shared(live.set.v[0].fds[0]) ? 4 : 0;
        buf_free(&text);
        settings_free(s, NULL);
        _exit(code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    gen_end(&live, NULL);
}

/* A worker of the old settings has none of the new sockets, one of the new ones has them all. */
static void test_shed(void **state)
{
    struct gen live = gen_new(MAIN UNIX, NULL), next = gen_new(SPREAD, &live);
    int status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        unsigned before = count_fds();

        listen_shed(&next.set, &live.set);
        if (count_fds() != before - (POSITIONS - 1) || !listens(live.set.v[0].fds[0]))
            _exit(1);
        listen_shed(&live.set, &next.set);
        _exit(count_fds() != before - POSITIONS || !listens(next.set.v[0].fds[0]));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(is_shared(live.set.v[0].fds[0]));
    gen_end(&next, &live);
    gen_end(&live, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn),
        cmocka_unit_test(test_reuseport),
        cmocka_unit_test(test_one_position),
        cmocka_unit_test(test_roll_back),
        cmocka_unit_test(test_change_and_back),
        cmocka_unit_test(test_roll_back_of_spread),
        cmocka_unit_test(test_same_width),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_no_descriptors_left),
        cmocka_unit_test(test_of_another_user),
        cmocka_unit_test(test_shed),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
