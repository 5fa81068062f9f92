/* secret.c - plain passwords, and hashes of SHA-512-crypt where there is libcrypt. */
#include "secret.h"

#include <stdlib.h>
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

unsigned long secret_cost(const char *known)
{
    static const char rounds[] = "$6$rounds=";
    if (known[0] != '$')
        return 0;
    return strncmp(known, rounds, sizeof rounds - 1) == 0
               ? strtoul(known + sizeof rounds - 1, NULL, 10)
               : 5000;
}

#ifdef AUTH_CRYPT
static const char digits64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* What stands behind $6$, as crypt(3) writes it: [rounds=N$]SALT$HASH. One that is cut off, or has an end too much, fits no
 * password at all. */
static const char *hash_fault(const char *p)
{
    if (strncmp(p, "rounds=", 7) == 0) {
        const size_t n = strspn(p + 7, "0123456789");
        if (p[7] == '0' || n < 4 || n > 9 || p[7 + n] != '$')
            return "has a hash with other rounds than 1000 to 999999999, which nothing has made";
        p += 7 + n + 1;
    }
    const size_t salt = strcspn(p, "$");
    if (p[salt] != '$')
        return "has a hash that is cut off: behind $6$SALT$ there are 86 characters";
    if (salt > 16)
        return "has a hash with a salt of more than 16 characters, which nothing has made";
    const size_t n = strspn(p + salt + 1, digits64);
    if (p[salt + 1 + n])
        return "has a hash with a character that is no letter, no digit, and not . or /";
    return n == 86  ? NULL
           : n < 86 ? "has a hash that is cut off: behind $6$SALT$ there are 86 characters"
                    : "has a hash that is too long: behind $6$SALT$ there are 86 characters";
}
#endif

const char *secret_fault(const char *known)
{
    if (!*known)
        return "has no password";
    if (known[0] != '$')
        return NULL;
#ifdef AUTH_CRYPT
    return strncmp(known, "$6$", 3) == 0 ? hash_fault(known + 3)
                                         : "has a hash that is not SHA-512-crypt ($6$...)";
#else
    return "has a hash, and this server was built without libcrypt";
#endif
}

/* How long it takes says nothing of what is known, only of what was sent. */
static _Bool same(const char *sent, const char *known)
{
    size_t ns = strlen(sent), nk = strlen(known);
    unsigned differs = 0;
    for (size_t i = 0; i <= ns; i++)
        differs |= (unsigned char)sent[i] ^ (unsigned char)known[i < nk ? i : nk];
    return !differs;
}

void secret_check(void *arg)
{
    struct secret *s = arg;
    const char *sent = s->password;
#ifdef AUTH_CRYPT
    if (secret_cost(s->known))
        sent = crypt_rn(sent, s->known, &s->crypt, sizeof s->crypt);
#endif
    s->right = sent && same(sent, s->known);
}
