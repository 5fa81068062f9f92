/* clock.c - two readings of the vdso per turn of the loop, and plain loads for everybody else. */
#include "base/clock.h"

#include <stdbool.h>

static uint64_t mono_us, mono_ms, wall_us;
static bool frozen;

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void clock_update(void)
{
    if (frozen)
        return;
    mono_us = read_us(CLOCK_MONOTONIC);
    mono_ms = mono_us / 1000;
    wall_us = read_us(CLOCK_REALTIME);
}

uint64_t clock_ms(void)
{
    return mono_ms;
}

uint64_t clock_us(void)
{
    return mono_us;
}

uint64_t clock_wall_us(void)
{
    return wall_us;
}

uint64_t clock_us_now(void)
{
    return frozen ? mono_us : read_us(CLOCK_MONOTONIC);
}

uint64_t clock_coarse_ms(void)
{
    struct timespec ts;
    if (frozen)
        return mono_ms;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void clock_freeze(void)
{
    clock_update();
    frozen = true;
}

void clock_advance(uint64_t ms)
{
    mono_us += ms * 1000;
    mono_ms = mono_us / 1000;
    wall_us += ms * 1000;
}

void clock_thaw(void)
{
    frozen = false;
    clock_update();
}
