/* proxy_fuzz.c - any bytes as a PROXY header: byte by byte as in one piece, and what it says, written in both versions, is read
 * again. */
#include "http/proxy.h"
#include "input.h"

#include <arpa/inet.h>
#include <stdio.h>

#define V1_MAX 107

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";

static void check_same(cs_str header, const struct http_proxy *want)
{
    struct http_proxy got;
    const char *error = NULL;
    check(http_proxy_parse(header, &got, &error) == (long)header.n);
    check(got.kind == want->kind && got.client_port == want->client_port);
    check(got.server_port == want->server_port);
    check(!memcmp(&got.client, &want->client, sizeof got.client));
    check(!memcmp(&got.server, &want->server, sizeof got.server));
}

static void again_as_text(const struct http_proxy *p)
{
    char client[INET6_ADDRSTRLEN], server[INET6_ADDRSTRLEN];
    struct buf line = {0};
    check(inet_ntop(AF_INET6, p->client.byte, client, sizeof client));
    check(inet_ntop(AF_INET6, p->server.byte, server, sizeof server));
    buf_printf(&line, "PROXY TCP6 %s %s %u %u\r\n", client, server, p->client_port, p->server_port);
    check_same(buf_str(&line), p);
    buf_free(&line);
}

static void again_as_bytes(const struct http_proxy *p, cs_str extension)
{
    size_t n = 36 + extension.n;
    struct buf b = {0};
    const unsigned ports[2] = {p->client_port, p->server_port};
    buf_add(&b, signature, 12);
    buf_add(&b, (const char[]){0x21, 0x21, (char)(n >> 8), (char)n}, 4);
    buf_add(&b, (const char *)p->client.byte, 16);
    buf_add(&b, (const char *)p->server.byte, 16);
    for (int i = 0; i < 2; i++)
        buf_add(&b, (const char[]){(char)(ports[i] >> 8), (char)ports[i]}, 2);
    buf_add_str(&b, extension);
    check_same(buf_str(&b), p);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str in = input_of(data, size);
    struct http_proxy whole, cut;
    const char *error = NULL;
    long want = http_proxy_parse(in, &whole, &error), got = 0;
    size_t n = 0;
    while (got == 0 && n < size)
        got = http_proxy_parse((cs_str){in.p, ++n}, &cut, &error);
    check(size == 0 ? want == 0 : got == want);
    check(want != 0 || size < (size && in.p[0] == 'P' ? V1_MAX : HTTP_PROXY_MAX));
    check(want >= 0 || error);
    if (want <= 0)
        return 0;
    check((size_t)want == n && n <= HTTP_PROXY_MAX && cut.kind == whole.kind);
    if (whole.kind == HTTP_PROXY_IP) {
        check(in.p[0] == 'P' || n >= 16u + (in.p[13] == 0x21 ? 36 : 12));
        again_as_text(&whole);
        again_as_bytes(&whole, (cs_str){in.p, n < 480 ? n : 480});
    }
    return 0;
}
