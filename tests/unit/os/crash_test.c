/* Children that fault: what they say, and what they die of. */
#include "os/crash.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include <cmocka.h>

#define FAULTS __attribute__((noinline, no_sanitize("address"), no_sanitize("undefined")))

static char said[65536];

FAULTS static void touch(void)
{
    *(volatile int *)0x1000 = 1;
}

FAULTS static void call_nowhere(void)
{
    void (*volatile call)(void) = (void (*)(void))(uintptr_t)0;
    call();
    __asm__ volatile("");
}

FAULTS static int use_up(volatile int *p)
{
    volatile char room[4096];
    room[0] = (char)*p;
    if (room[0] == 1)
        return 0;
    return use_up((volatile int *)(volatile void *)room) + room[0];
}

static void overflow(void)
{
    volatile int n = 0;
    use_up(&n);
}

static void send_itself(void)
{
    raise(SIGBUS);
}

static void trap(void)
{
    raise(SIGTRAP);
}

static void bad_call(void)
{
    raise(SIGSYS);
}

/* The kernel says so of a fault, and nothing is wrong with the instruction: as with memory that broke behind its back. */
static void fault_once(void)
{
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_MCEERR_AO};
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &info);
    log_write_plain(LOG_LEVEL_ERROR, CS_S("went on"), NULL, 0);
}

static void *on_thread(void *arg)
{
    touch();
    return arg;
}

static void crash_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, on_thread, NULL);
    pthread_join(t, NULL);
}

/* Two at once: one report. */
static void crash_together(void)
{
    pthread_t t;
    pthread_create(&t, NULL, on_thread, NULL);
    touch();
}

/* A child of the process: not its affair. */
static void fork_and_crash(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        touch();
    waitpid(pid, &status, 0);
    _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 7 : 8);
}

static void explain(struct crash *c)
{
    note_add(&c->message, " while testing");
    c->pairs[c->npairs++] = (struct log_pair){"key", CS_S("value")};
}

static void call_before(int sig)
{
    (void)sig;
    _exit(9);
}

/* The reason is itself wrong: the end comes all the same. */
static void explain_badly(struct crash *c)
{
    (void)c;
    touch();
}

/* Of cmocka, and of a sanitizer. */
static void forget_handlers(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
}

static int run(void (*fault)(void), void (*why)(struct crash *c), bool json)
{
    int ends[2], status;
    size_t n = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        forget_handlers();
        close(ends[0]);
        log_open(ends[1], json);
        log_set_name("test");
        crash_watch(why);
        fault();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + n, sizeof said - 1 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static size_t count(const char *word)
{
    size_t n = 0;
    for (const char *at = said; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        void (*fault)(void);
        int signal;
        const char *words[4];
    } rows[] = {
        {"a wild pointer",
         touch,
         SIGSEGV,
         {"SIGSEGV while testing, at ", "+0x", "(address 0x1000) key=value"}},
        {"a call of nowhere",
         call_nowhere,
         SIGSEGV,
         {"at 0x0, called from ", "backtrace of the SIGSEGV: 0x0 "}},
        {"no stack left",
         overflow,
         SIGSEGV,
         {"SIGSEGV while testing", "backtrace of the SIGSEGV: "}},
        {"on a thread", crash_thread, SIGSEGV, {"SIGSEGV while testing", "(address 0x1000)"}},
        {"abort",
         abort,
         SIGABRT,
         {"SIGABRT while testing, at libc.so", "backtrace of the SIGABRT: libc.so"}},
        {"a breakpoint", trap, SIGTRAP, {"SIGTRAP while testing, at "}},
        {"no such system call", bad_call, SIGSYS, {"SIGSYS while testing, at "}},
        {"a fault that does not happen again", fault_once, SIGBUS, {"SIGBUS while testing, at "}},
        {"sent by itself", send_itself, SIGBUS, {"SIGBUS while testing, at "}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = run(rows[i].fault, explain, false);
        for (size_t k = 0; k < 4 && rows[i].words[k]; k++)
            if (!strstr(said, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in\n%s", rows[i].label, rows[i].words[k], said);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != rows[i].signal)
            fail_msg("%s: ended with %#x", rows[i].label, status);
        if (count("SIG") != 2)
            fail_msg("%s: more or less than two lines\n%s", rows[i].label, said);
        if (strstr(said, "went on"))
            fail_msg("%s: it goes on", rows[i].label);
        if (strstr(said, "sent by"))
            fail_msg("%s: nobody else did that\n%s", rows[i].label, said);
    }
    print_message("rows: %zu\n", sizeof rows / sizeof *rows);
}

static void test_json(void **state)
{
    (void)state;
    run(touch, explain, true);
    assert_non_null(strstr(said, "\"message\":\"SIGSEGV while testing, at "));
    assert_non_null(strstr(said, "\"key\":\"value\"}\n"));
    assert_non_null(strstr(said, "\"message\":\"backtrace of the SIGSEGV\",\"backtrace\":\""));
}

static void test_two_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        run(crash_together, explain, false);
        assert_int_equal(count("SIGSEGV while testing"), 1);
    }
}

static void test_a_fault_in_the_report(void **state)
{
    (void)state;
    int status = run(touch, explain_badly, false);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_int_equal(count("backtrace"), 0);
}

/* As a sanitizer does it: it has the last word. */
static void crash_with_another(void)
{
    signal(SIGSEGV, call_before);
    crash_watch(explain);
    touch();
}

static void test_who_was_there_before(void **state)
{
    (void)state;
    int status = run(crash_with_another, explain, false);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(count("SIGSEGV while testing"), 1);
}

static void test_not_in_children(void **state)
{
    (void)state;
    int status = run(fork_and_crash, explain, false);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_a_fault_in_the_report),
        cmocka_unit_test(test_who_was_there_before),
        cmocka_unit_test(test_not_in_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
