/* clock.h - time as the current turn of the loop sees it: read once a turn, used everywhere. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Reads the clocks (no system call: vdso). The loop calls it after each wait. */
void clock_update(void);

uint64_t clock_ms(void);      /* monotonic milliseconds of the last update */
uint64_t clock_us(void);      /* monotonic microseconds of the last update */
uint64_t clock_wall_us(void); /* microseconds since 1970 of the last update */
static inline time_t clock_wall(void)
{
    return (time_t)(clock_wall_us() / 1000000);
}
/* Monotonic milliseconds right now, some of them late: the cheapest reading there is. */
uint64_t clock_coarse_ms(void);
/* Monotonic microseconds right now. */
uint64_t clock_us_now(void);

/* For tests: from now on all of the above stand still, and are moved by hand; then they go with the machine again. */
void clock_freeze(void);
void clock_advance(uint64_t ms);
void clock_thaw(void);

#endif
