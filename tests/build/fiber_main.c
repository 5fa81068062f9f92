/* The cases of tests/unit/os/fiber_cases.h without a test framework, for compilers and machines that have none. */
#include "unit/os/fiber_cases.h"

_Noreturn void check_failed(const char *cond, const char *file, int line, const char *func)
{
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, func, cond);
    abort();
}

int main(void)
{
    size_t n = sizeof fiber_cases / sizeof fiber_cases[0];
    for (size_t i = 0; i < n; i++)
        run_case(&fiber_cases[i]);
    printf("%zu cases, by %s\n", n, FIBER_ASSEMBLY ? "assembly" : "ucontext");
    return 0;
}
