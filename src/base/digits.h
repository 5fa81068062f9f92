/* digits.h - numbers as text, where a printf would cost more than all the rest. No NUL behind them; each call returns where
 * the next byte goes. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>

#define DIGITS_MAX 20 /* of a number in decimal */

/* So many decimal digits, with zeros in front; what is above them is left out. */
static inline char *digits_put_fixed(char *at, uint64_t n, size_t digits)
{
    for (char *p = at + digits; p > at; n /= 10)
        *--p = (char)('0' + n % 10);
    return at + digits;
}

/* In decimal. */
static inline char *digits_put(char *at, uint64_t n)
{
    size_t digits = 1;
    uint64_t high = n;
    for (; high >= 10000; high /= 10000)
        digits += 4;
    return digits_put_fixed(at, n, digits + (high >= 10) + (high >= 100) + (high >= 1000));
}

/* All 16 hexadecimal digits, in lower case. */
char *digits_put_hex(char *at, uint64_t n);

#endif
