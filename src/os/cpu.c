/* cpu.c - see cpu.h. The sets are larger than a cpu_set_t, which the kernel of a large machine refuses. */
#include "os/cpu.h"

#include "base/mem.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

unsigned *cpu_allowed(size_t *n)
{
    size_t size = CPU_ALLOC_SIZE(CPU_MOST);
    cpu_set_t *set = mem_alloc(size);
    unsigned *out = NULL;

    *n = 0;
    CPU_ZERO_S(size, set);
    if (sched_getaffinity(0, size, set) == 0) {
        out = mem_alloc(((size_t)CPU_COUNT_S(size, set) + 1) * sizeof *out);
        for (unsigned i = 0; i < CPU_MOST; i++)
            if (CPU_ISSET_S(i, size, set))
                out[(*n)++] = i;
    }
    free(set);
    return out;
}

int cpu_use(unsigned cpu)
{
    size_t size = CPU_ALLOC_SIZE(CPU_MOST);
    cpu_set_t *set;
    int rc;

    if (cpu >= CPU_MOST)
        return -EINVAL;
    set = mem_alloc(size);
    CPU_ZERO_S(size, set);
    CPU_SET_S(cpu, size, set);
    rc = sched_setaffinity(0, size, set) < 0 ? -errno : 0;
    free(set);
    return rc;
}
