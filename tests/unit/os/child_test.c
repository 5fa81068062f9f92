/* child_test.c - processes that end, lose their parent, change their user and their title. */
#include "os/child.h"

#include "base/check.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int saved_argc;
static char **saved_argv;
static pid_t wait_for_end_of; /* prctl waits until this is no longer the parent */

/* Takes the place of the C library's in this program, to lose the race against the parent's end. */
int prctl(int option, ...)
{
    va_list ap;
    va_start(ap, option);
    unsigned long a = va_arg(ap, unsigned long);
    va_end(ap);
    while (option == PR_SET_PDEATHSIG && wait_for_end_of && getppid() == wait_for_end_of)
        usleep(1000);
    return (int)syscall(SYS_prctl, option, a, 0, 0, 0);
}

/* Runs `what` in a child; its exit status, or 1000 + signal. */
static int in_child(int (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(what());
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_end_text(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *want;
    } table[] = {
        {W_EXITCODE(0, 0), "exited with status 0"},
        {W_EXITCODE(3, 0), "exited with status 3"},
        {W_EXITCODE(255, 0), "exited with status 255"},
        {W_EXITCODE(0, SIGKILL), "killed by SIGKILL"},
        {W_EXITCODE(0, SIGSEGV) | WCOREFLAG, "killed by SIGSEGV (core dumped)"},
        {W_EXITCODE(0, 63), "killed by unknown signal"},
        {W_STOPCODE(SIGSTOP), "ended with wait status 0x137f"},
    };
    char text[100];
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        child_end_text(table[i].status, text, sizeof(text));
        if (strcmp(text, table[i].want) != 0)
            fail_msg("row \"%s\": %s", table[i].want, text);
    }
    child_end_text(0, text, 7);
    assert_string_equal(text, "exited");
    printf("rows: %zu\n", ARRAY_LEN(table));
}

static void end_by_exit(void)
{
    _exit(5);
}

static void end_by_term(void)
{
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
}

/* Where cores are written, it says so. */
static void end_by_abort(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void test_reap(void **state)
{
    (void)state;
    static const struct {
        void (*die)(void);
        bool exits;
        int number;
    } table[] = {
        {end_by_exit, true, 5}, {end_by_term, false, SIGTERM}, {end_by_abort, false, SIGABRT}};
    struct child_end end, again;

    assert_false(child_peek(&end));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        pid_t pid = child_fork(0);
        if (pid == 0)
            table[i].die();
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_true(child_peek(&end));
        assert_int_equal(end.pid, pid);
        assert_int_equal(WIFEXITED(end.status), table[i].exits);
        assert_int_equal(table[i].exits ? WEXITSTATUS(end.status) : WTERMSIG(end.status),
                         table[i].number);
        assert_true(child_peek(&again)); /* it still has its pid */
        assert_int_equal(again.pid, pid);
        assert_int_equal(kill(pid, 0), 0);
        int status;
        pid_t other = child_fork(0); /* as waitpid tells it */
        if (other == 0)
            table[i].die();
        assert_int_equal(waitpid(other, &status, 0), other);
        assert_int_equal(status, end.status);
        child_reap(pid);
        assert_false(child_peek(&end));
        assert_int_equal(kill(pid, 0), -1);
    }
}

/* A parent with a child that says "here" into the pipe and then waits for ever. */
static pid_t start_family(int pipe_out, bool parent_ends_first)
{
    pid_t parent = fork();
    if (parent != 0)
        return parent;
    wait_for_end_of = parent_ends_first ? getpid() : 0;
    if (child_fork(SIGKILL) == 0) {
        ssize_t n = write(pipe_out, "h", 1);
        for (;;)
            pause();
        (void)n;
    }
    if (parent_ends_first)
        _exit(0);
    for (;;)
        pause();
}

static void test_deathsig(void **state)
{
    (void)state;
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    pid_t parent = start_family(fds[1], false);
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_true(parent > 0);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(fds[0], &c, 1), 0); /* the grandchild is gone too */
    close(fds[0]);
}

static void test_deathsig_race(void **state)
{
    (void)state;
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    pid_t parent = start_family(fds[1], true);
    close(fds[1]);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(fds[0], &c, 1), 0); /* ended without a word */
    close(fds[0]);
}

static int drop_to_nobody(void)
{
    uid_t uid;
    gid_t gid;
    int sig = 0;
    if (child_user_find("nobody", &uid, &gid) < 0)
        return 77;
    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM);
    if (child_user_become("nobody", uid, gid) != 0)
        return 1;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
        return 11;
    prctl(PR_GET_PDEATHSIG, (unsigned long)&sig);
    if (sig != SIGTERM)
        return 2;
    if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
        return 3;
    if (setuid(0) == 0 || setgid(0) == 0)
        return 4;
    gid_t groups[64];
    int n = getgroups(64, groups);
    for (int i = 0; i < n; i++)
        if (groups[i] == 0)
            return 5;
    if (child_user_become("nobody", uid, gid) != 0) /* is that user already */
        return 6;
    return child_user_become("root", 0, 0) == -EPERM ? 0 : 7;
}

static void test_user(void **state)
{
    (void)state;
    uid_t uid = 5;
    gid_t gid = 5;
    assert_int_equal(child_user_find("root", &uid, &gid), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(child_user_find("no-such-user-here", &uid, &gid), -ENOENT);
    assert_int_equal(child_user_find("", &uid, &gid), -ENOENT);
    if (geteuid() != 0)
        skip();
    int rc = in_child(drop_to_nobody);
    if (rc == 77)
        skip();
    assert_int_equal(rc, 0);
}

static bool title_is(const char *want)
{
    char text[4096] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 && strcmp(text, want) == 0;
}

static int change_title(void)
{
    char name[512], longest[300], want[300];
    snprintf(name, sizeof(name), "%s", saved_argv[0]);
    setenv("CHILD_TEST", "stays", 1);
    size_t room = strlen(saved_argv[0]);
    for (char **e = environ; *e; e++)
        room += strlen(*e);
    child_title_set("nothing before init");
    child_title_init(saved_argc, saved_argv);
    child_title_set("cserver: worker %d", 12);
    if (!title_is("cserver: worker 12"))
        return 1;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(want, longest, 255); /* what a title may have */
    want[255] = '\0';
    child_title_set("%s", longest);
    if (room > 600 && !title_is(want))
        return 2;
    child_title_set("short");
    if (!title_is("short"))
        return 3;
    if (strcmp(saved_argv[0], name) != 0 || strcmp(program_invocation_name, name) != 0)
        return 4;
    const char *stays = getenv("CHILD_TEST"), *given = getenv("CHILD_TEST_GIVEN");
    if (!stays || strcmp(stays, "stays") != 0 || !given || strcmp(given, "1") != 0)
        return 5;
    return setenv("CHILD_TEST", "may change", 1) == 0 ? 0 : 6;
}

static void test_title(void **state)
{
    (void)state;
    assert_int_equal(in_child(change_title), 0);
}

static int count_one_cpu(void)
{
    cpu_set_t all, one;
    size_t cpu = 0;
    if (sched_getaffinity(0, sizeof(all), &all) < 0 || child_cpu_count() != CPU_COUNT(&all))
        return 1;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) < 0)
        return 2;
    return child_cpu_count() == 1 ? 0 : 3;
}

static void test_cpus(void **state)
{
    (void)state;
    assert_true(child_cpu_count() >= 1);
    assert_int_equal(in_child(count_one_cpu), 0);
}

static int odd_name(void)
{
    uint64_t before = child_start_time(getpid());
    prctl(PR_SET_NAME, (unsigned long)") 1 (2 ) 3");
    return child_start_time(getpid()) == before ? 0 : 1;
}

static void test_start_time(void **state)
{
    (void)state;
    uint64_t mine = child_start_time(getpid());
    assert_true(mine > 0);
    assert_int_equal(child_start_time(getpid()), mine);
    pid_t pid = child_fork(SIGKILL);
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    assert_true(child_start_time(pid) >= mine);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(child_start_time(pid), 0);
    assert_int_equal(in_child(odd_name), 0);
}

static void test_pidfd(void **state)
{
    (void)state;
    pid_t pid = child_fork(SIGKILL);
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    int fd = child_pidfd(pid);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int early = fd < 0 ? 0 : poll(&p, 1, 0);
    kill(pid, SIGKILL);
    int late = fd < 0 ? 1 : poll(&p, 1, 5000);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (fd == -ENOSYS)
        skip();
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(early, 0);
    assert_int_equal(late, 1);
    assert_int_equal(child_pidfd(pid), -ESRCH);
}

/* Started again with one more variable, so that the stack holds it as it does for any program. */
int main(int argc, char **argv)
{
    if (!getenv("CHILD_TEST_GIVEN")) {
        char self[4096] = "";
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        setenv("CHILD_TEST_GIVEN", "1", 1);
        execv(n > 0 ? self : argv[0], argv);
        return 1;
    }
    saved_argc = argc;
    saved_argv = argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_text), cmocka_unit_test(test_reap),
        cmocka_unit_test(test_deathsig), cmocka_unit_test(test_deathsig_race),
        cmocka_unit_test(test_user),     cmocka_unit_test(test_title),
        cmocka_unit_test(test_cpus),     cmocka_unit_test(test_start_time),
        cmocka_unit_test(test_pidfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
