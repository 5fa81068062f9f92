/* check.h - assertions that stay on: a failed check is a bug, the process logs it and aborts, and
 * the master starts another. Never for input from outside. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define check(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__, __func__))

/* A magic number in what passes through a void pointer; MAGIC_CHECK sees that the right thing came
 * out. */
#define MAGIC_CHECK(ptr, value) check((ptr)->magic == (value))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

_Noreturn void check_failed(const char *cond, const char *file, int line, const char *func);

#endif
