/* secret.c - plain passwords, and hashes where there is libcrypt. */
#include "secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The whole text as base64, padded or not, to a text without NUL. False: it is none. */
static _Bool decode(cs_str in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    if (in.n % 4 == 0)
        in.n -= cs_ends(in, "==") ? 2u : cs_ends(in, "=") ? 1u : 0u;
    for (size_t i = 0; i < in.n; i++) {
        const char *digit = memchr(digits, in.p[i], sizeof digits - 1);
        if (!digit)
            return 0;
        bits = bits << 6 | (unsigned)(digit - digits);
        if (!(i % 4))
            continue;
        *out = (char)(bits >> (6 - i % 4 * 2));
        if (!*out++)
            return 0;
    }
    *out = '\0';
    return in.n % 4 != 1;
}

_Bool secret_read(struct secret *s, cs_str field, char *room)
{
    if (field.n < 6 || strncasecmp(field.p, "Basic ", 6) != 0)
        return 0;
    for (field = (cs_str){field.p + 6, field.n - 6}; cs_starts(field, " "); field.n--)
        field.p++;
    char *colon = decode(field, room) ? strchr(room, ':') : NULL;
    if (!colon || colon == room)
        return 0;
    *colon = '\0';
    s->name = room;
    s->password = colon + 1;
    return 1;
}

_Bool secret_is_hash(const char *known)
{
    return known[0] == '$';
}

#define DIGITS   "0123456789"
#define DIGITS64 "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* The methods, by how their hashes begin. */
struct method {
    const char *begins;
    size_t length; /* of what is behind the salt's $ */
    const char *cut_off, *too_long;
};

static const struct method sha512 = {
    "$6$", 86, "has a hash that is cut off: behind $6$SALT$ there are 86 characters",
    "has a hash that is too long: behind $6$SALT$ there are 86 characters"};
static const struct method sha256 = {
    "$5$", 43, "has a hash that is cut off: behind $5$SALT$ there are 43 characters",
    "has a hash that is too long: behind $5$SALT$ there are 43 characters"};
static const struct method yescrypt = {
    "$y$", 43, "has a hash that is cut off: behind $y$PARAMETERS$SALT$ there are 43 characters",
    "has a hash that is too long: behind $y$PARAMETERS$SALT$ there are 43 characters"};

static _Bool starts(const char *p, const char *with)
{
    return strncmp(p, with, strlen(with)) == 0;
}

static _Bool is_bcrypt(const char *p)
{
    return starts(p, "$2b$") || starts(p, "$2y$") || starts(p, "$2a$");
}

static const struct method *method_of(const char *p)
{
    return starts(p, "$6$")   ? &sha512
           : starts(p, "$5$") ? &sha256
           : starts(p, "$y$") ? &yescrypt
                              : NULL;
}

#ifdef AUTH_CRYPT
/* SALT$HASH. One that is cut off, or has an end too much, fits no password at all. */
static const char *salt_fault(const struct method *m, const char *p, size_t most)
{
    const size_t salt = strcspn(p, "$");
    if (p[salt] != '$')
        return m->cut_off;
    if (salt > most)
        return "has a hash with a salt that is too long, which nothing has made";
    const size_t n = strspn(p + salt + 1, DIGITS64);
    if (p[salt + 1 + n])
        return "has a hash with a character that is no letter, no digit, and not . or /";
    return n == m->length ? NULL : n < m->length ? m->cut_off : m->too_long;
}

/* Behind $5$ or $6$: [rounds=N$]SALT$HASH */
static const char *sha_fault(const struct method *m, const char *p)
{
    if (!starts(p, "rounds="))
        return salt_fault(m, p, 16);
    const size_t n = strspn(p + 7, DIGITS);
    if (p[7] == '0' || n < 4 || n > 9 || p[7 + n] != '$')
        return "has a hash with other rounds than 1000 to 999999999, which nothing has made";
    return salt_fault(m, p + 7 + n + 1, 16);
}

/* Behind $y$: PARAMETERS$SALT$HASH */
static const char *yescrypt_fault(const char *p)
{
    const size_t n = strspn(p, DIGITS64);
    if (!n || n > 16 || p[n] != '$')
        return p[n] ? "has a hash with parameters that nothing has made" : yescrypt.cut_off;
    return salt_fault(&yescrypt, p + n + 1, 86);
}

/* Behind $2b$: COST$, 22 characters of salt, 31 of the hash */
static const char *bcrypt_fault(const char *p)
{
    const unsigned long cost = strtoul(p, NULL, 10);
    if (strspn(p, DIGITS) != 2 || p[2] != '$' || cost < 4 || cost > 31)
        return "has a hash with another cost than 04 to 31, which nothing has made";
    const size_t n = strspn(p + 3, DIGITS64);
    if (p[3 + n])
        return "has a hash with a character that is no letter, no digit, and not . or /";
    return n == 53  ? NULL
           : n < 53 ? "has a hash that is cut off: behind $2b$NN$ there are 53 characters"
                    : "has a hash that is too long: behind $2b$NN$ there are 53 characters";
}

/* Is it one that this libcrypt knows? */
static const char *library_fault(const char *known)
{
#ifdef CRYPT_CHECKSALT_AVAILABLE
    const int said = crypt_checksalt(known);
    if (said == CRYPT_SALT_INVALID || said == CRYPT_SALT_METHOD_DISABLED)
        return "has a hash that the libcrypt of this system does not take";
#else
    (void)known;
#endif
    return NULL;
}

static const char *hash_fault(const char *known)
{
    const struct method *m = method_of(known);
    const char *fault;
    if (is_bcrypt(known))
        fault = bcrypt_fault(known + 4);
    else if (m == &yescrypt)
        fault = yescrypt_fault(known + 3);
    else if (m)
        fault = sha_fault(m, known + 3);
    else
        return "has a hash that is not bcrypt ($2b$), SHA-512 ($6$), SHA-256 ($5$) or yescrypt "
               "($y$); "
               "`openssl passwd -6` makes one";
    return fault ? fault : library_fault(known);
}
#endif

const char *secret_fault(const char *known)
{
    if (!*known)
        return "has no password";
    if (!secret_is_hash(known))
        return NULL;
#ifdef AUTH_CRYPT
    return hash_fault(known);
#else
    return "has a hash, and this server was built without libcrypt";
#endif
}

void secret_cost(const char *known, char cost[SECRET_COST])
{
    const struct method *m = method_of(known);
    if (is_bcrypt(known))
        snprintf(cost, SECRET_COST, "bcrypt %.2s", known + 4);
    else if (m == &yescrypt)
        snprintf(cost, SECRET_COST, "y %.*s", (int)strcspn(known + 3, "$"), known + 3);
    else
        snprintf(cost, SECRET_COST, "%c %lu", known[1],
                 starts(known + 3, "rounds=") ? strtoul(known + 10, NULL, 10) : 5000);
}

/* How long it takes says nothing of what is known, only of what was sent. */
static _Bool same(const char *sent, const char *known)
{
    size_t ns = strlen(sent), nk = strlen(known);
    unsigned differs = ns != nk;
    for (size_t i = 0; i < ns; i++)
        differs |= (unsigned char)sent[i] ^ (unsigned char)known[i < nk ? i : nk];
    return !differs;
}

#ifdef AUTH_CRYPT
static _Bool fits(struct secret_check *s, const char *hash)
{
    const char *got = crypt_rn(s->password, hash, &s->crypt, sizeof s->crypt);
    return got && same(got, hash);
}

/* Once for each cost, with the hash that counts where it is of that one. */
static _Bool measure(struct secret_check *s)
{
    char own[SECRET_COST] = "", cost[SECRET_COST];
    _Bool right = 0, counted = !s->known;
    if (s->known)
        secret_cost(s->known, own);
    for (size_t i = 0; i < SECRET_COSTS && s->others[i]; i++) {
        secret_cost(s->others[i], cost);
        const _Bool counts = !counted && strcmp(own, cost) == 0;
        const _Bool did = fits(s, counts ? s->known : s->others[i]);
        right |= counts && did;
        counted |= counts;
    }
    return counted ? right : fits(s, s->known);
}
#endif

void secret_check(void *arg)
{
    struct secret_check *s = arg;
    const char *plain = s->known && !secret_is_hash(s->known) ? s->known : NULL;
    const _Bool equal = same(s->password, plain ? plain : "");
#ifdef AUTH_CRYPT
    const char *known = s->known;
    s->known = plain ? NULL : known;
    s->right = measure(s);
    s->known = known;
    explicit_bzero(&s->crypt, sizeof s->crypt);
#endif
    if (plain)
        s->right = equal;
}
