/* Fibers: who runs when, what they find again, and what their life costs: in instructions, which are counted by stepping
 * through it, so that neither the machine nor its load matters. */
#include "os/fiber.h"

#define CASE_MANY 1000000

#include "unit/os/fiber_cases.h"

#include "base/check.h"

#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "unit/steps.h"

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fiber_cases); i++)
        run_case(&fiber_cases[i]);
    print_message("cases: %zu\n", ARRAY_LEN(fiber_cases));
}

/* ---- What it costs ---- */

#if FIBER_ASSEMBLY && !FIBER_ASAN && defined(__OPTIMIZE__)

static void nothing_at_all(void *arg)
{
    (void)arg;
}

static void stop_once(void *arg)
{
    fiber_stop(arg);
}

__attribute__((noinline)) static void live(void (*run)(void *arg), bool stops)
{
    struct fiber f;
    struct stack *s = stack_take(&case_pool);
    fiber_begin(&f, s->low, s->size, run, &f);
    if (stops && !fiber_resume(&f))
        _exit(1);
    if (fiber_resume(&f))
        _exit(1);
    stack_give(&case_pool, s);
}

/* As much frame, and no fiber. */
__attribute__((noinline)) static void no_life(void (*run)(void *arg), bool stops)
{
    struct fiber f;
    __asm__ volatile("" ::"r"(run), "r"((int)stops), "r"(&f) : "memory");
}

/* What happens between the two stops is counted. The spare stack has been used often enough not to be looked at. */
_Noreturn static void be_stepped(void (*volatile one)(void (*)(void *), bool),
                                 void (*run)(void *arg), bool stops)
{
    stack_pool_init(&case_pool, CASE_STACK, 1);
    for (int i = 0; i < 4; i++)
        live(nothing_at_all, false);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    raise(SIGSTOP);
    one(run, stops);
    raise(SIGSTOP);
    _exit(0);
}

static long cost(void (*one)(void (*)(void *), bool), void (*run)(void *arg), bool stops)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_stepped(one, run, stops);
    return count_steps(child);
}

/* gcc does not say that it was asked for this one. */
__attribute__((weak)) void __ubsan_handle_type_mismatch_v1(void *, void *);

static void test_cost(void **state)
{
    (void)state;
    long empty = cost(no_life, nothing_at_all, false);
    if (empty < 0 || fiber_needs_ucontext() || __ubsan_handle_type_mismatch_v1) {
        print_message("nothing is counted: children cannot be traced, or a sanitizer counts too\n");
        skip();
    }
    long whole = cost(live, nothing_at_all, false) - empty;
    long stopped = cost(live, stop_once, true) - empty;
    print_message("a fiber that never stops: %ld instructions, one that stops once: %ld\n", whole,
                  stopped);
    assert_in_range(whole, 30, 105);
    assert_in_range(stopped, whole, 200);
}

#else

static void test_cost(void **state)
{
    (void)state;
    print_message("nothing is counted: not optimised, or not by assembly\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
