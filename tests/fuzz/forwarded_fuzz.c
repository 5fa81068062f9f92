/* forwarded_fuzz.c - any bytes as X-Forwarded-For, Forwarded and a block of addresses: what a proxy appends is what comes last,
 * and an address written is the address read. */
#include "http/forwarded.h"
#include "input.h"

#include <arpa/inet.h>

#define APPENDED "2001:db8::4711"

static void check_addr_again(struct buf *text, const struct cidr_addr *a)
{
    struct cidr_addr b;
    check(http_xff_addr(buf_str(text), &b) && !memcmp(a, &b, sizeof b));
}

/* In each of the ways that it may be written. */
static void check_addr(cs_str element)
{
    struct cidr_addr a;
    struct buf text = {0};
    char v6[INET6_ADDRSTRLEN];
    if (!http_xff_addr(element, &a))
        return;
    check(inet_ntop(AF_INET6, a.byte, v6, sizeof v6));
    buf_add_z(&text, v6);
    check_addr_again(&text, &a);
    buf_clear(&text);
    buf_printf(&text, "[%s]", v6);
    check_addr_again(&text, &a);
    buf_add_z(&text, ":8080");
    check_addr_again(&text, &a);
    buf_free(&text);
}

typedef bool next_element(cs_str *rest, cs_str *element);

/* The last element, and how many there are. */
static size_t walk(cs_str list, next_element *next, cs_str *last)
{
    size_t n = 0;
    cs_str rest = list, element;
    while (next(&rest, &element)) {
        check(!element.p || is_within(element, list));
        check(!rest.p || is_within(rest, list));
        check_addr(element);
        *last = element;
        n++;
    }
    check(n <= list.n + 1);
    return n;
}

/* Do all quoted strings end? */
static bool is_whole(cs_str list)
{
    bool quoted = false;
    for (size_t i = 0; i < list.n; i++)
        if (list.p[i] == '"')
            quoted = !quoted;
        else if (list.p[i] == '\\' && quoted)
            i++;
    return !quoted;
}

static void check_appended(cs_str list, next_element *next, const char *appended)
{
    struct buf longer = {0};
    struct cidr_addr got, want;
    cs_str last = {0};
    buf_add_str(&longer, list);
    buf_add_z(&longer, appended);
    size_t before = walk(list, next, &last);
    check(walk(buf_str(&longer), next, &last) == before + 1);
    check(http_xff_addr(last, &got) && cidr_addr_parse(CS_S(APPENDED), &want));
    check(!memcmp(&got, &want, sizeof got));
    buf_free(&longer);
}

/* A block with a bit behind its length is none. */
static void check_refused(const struct cidr *c)
{
    struct cidr_addr a = c->addr;
    struct cidr none;
    const char *error;
    struct buf printed = {0};
    char v6[INET6_ADDRSTRLEN];
    a.byte[c->bits / 8] |= (uint8_t)(0x80 >> c->bits % 8);
    check(inet_ntop(AF_INET6, a.byte, v6, sizeof v6));
    buf_printf(&printed, "%s/%u", v6, c->bits);
    check(!cidr_parse(buf_str(&printed), &none, &error));
    buf_free(&printed);
}

static void check_block(cs_str text)
{
    struct cidr c, again;
    const char *error = NULL;
    struct buf printed = {0};
    char v6[INET6_ADDRSTRLEN];
    if (!cidr_parse(text, &c, &error)) {
        check(error);
        return;
    }
    check(c.bits <= 128);
    check(inet_ntop(AF_INET6, c.addr.byte, v6, sizeof v6));
    buf_printf(&printed, "%s/%u", v6, c.bits);
    check(cidr_parse(buf_str(&printed), &again, &error));
    check(again.bits == c.bits && !memcmp(&again.addr, &c.addr, sizeof c.addr));
    buf_free(&printed);
    struct cidr_addr a = c.addr;
    check(cidr_has(&c, &a));
    if (c.bits < 128) { /* the last bit is free, the last of the block's own is not */
        check_refused(&c);
        a.byte[15] ^= 1;
        check(cidr_has(&c, &a));
    }
    if (c.bits > 0) {
        a.byte[(c.bits - 1) / 8] ^= (uint8_t)(0x80 >> (c.bits - 1) % 8);
        check(!cidr_has(&c, &a));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str list = input_of(data, size), last;
    if (!size)
        list.p = "";
    check_appended(list, http_xff_next, ",\t" APPENDED " ");
    if (is_whole(list))
        check_appended(list, http_forwarded_next, ", proto=https;For=\"[" APPENDED "]:_x\";by=a");
    else
        walk(list, http_forwarded_next, &last);
    check_block(list);
    return 0;
}
