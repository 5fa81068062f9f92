/* accept_fuzz.c - any bytes as a list of words with weights: it says the same in one field as in several, in any case, and
 * what stands first counts. */
#include "http/accept.h"
#include "http/token.h"
#include "input.h"

#include <stdio.h>

static const char *const words[] = {"gzip", "br", "zstd", "identity", "x", "*"};

static struct http_accept read_list(cs_str list, cs_str word)
{
    struct http_accept a = HTTP_ACCEPT_NONE;
    http_accept_read(list, word, &a);
    check(a.named >= -1 && a.named <= 1000 && a.rest >= -1 && a.rest <= 1000);
    check(http_accept_weight(&a) >= -1);
    return a;
}

static void check_same(struct http_accept a, struct http_accept b)
{
    check(a.named == b.named && a.rest == b.rest);
}

static struct http_accept read_apart(cs_str list, cs_str word)
{
    struct http_accept a = HTTP_ACCEPT_NONE;
    cs_str element;
    while (http_list_next(&list, &element))
        http_accept_read(element, word, &a);
    return a;
}

/* With words before it: ours, or others. */
static void check_first_counts(cs_str list, cs_str word, struct http_accept a, unsigned weight)
{
    struct buf more = {0};
    buf_add_z(&more, "no-such-word;q=0.7,  ,b@d, ");
    buf_add_str(&more, list);
    check_same(read_list(buf_str(&more), word), a);
    buf_clear(&more);
    buf_printf(&more, "%.*s ; Q=%u.%03u, ", CS_F(word), weight / 1000, weight % 1000);
    buf_add_str(&more, list);
    struct http_accept told = read_list(buf_str(&more), word);
    check(told.named == (int)weight && (told.rest == a.rest || str_is(word, "*")));
    buf_free(&more);
}

static void check_any_case(cs_str list, cs_str word, struct http_accept a)
{
    struct buf other = {0};
    buf_add_str(&other, list);
    for (size_t i = 0; i < other.n; i++)
        other.p[i] = str_lower_char(other.p[i]);
    check_same(read_list(buf_str(&other), word), a);
    buf_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str list = input_of(data, size);
    unsigned choice = input_byte(&list), weight = choice * 1000 / 255;
    cs_str word = str_of(words[choice % ARRAY_LEN(words)]);
    struct http_accept a = read_list(list, word);
    check_same(read_apart(list, word), a);
    check_first_counts(list, word, a, weight);
    check_any_case(list, word, a);
    return 0;
}
