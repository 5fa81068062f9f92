/* URLs and what a client makes of them, each flush against an unreadable page; every beginning of each as well. */
#include "http/url.h"

#include "edge.h"

struct row {
    const char *label;
    cs_str text;
    const char *answer; /* facts, or the end of the sentence */
};

#define ROW(label, text, answer)                                                                   \
    {                                                                                              \
        label, {text, sizeof(text) - 1}, answer                                                    \
    }

#define NOT_VISIBLE "has a blank, a control byte or one outside of ASCII"
#define NO_SCHEME   "does not begin with http://"
#define NO_HOST     "has no host"
#define BAD_HOST    "has no valid host and port"
#define USER        "has a user name"
#define PERCENT     "has a % in its host"

/* host port, authority, target */
static const struct row good[] = {
    ROW("host alone", "http://a", "a 80 <a> <>"),
    ROW("host and root", "http://a/", "a 80 <a> </>"),
    ROW("path and query", "http://a/b/c?d=e&f", "a 80 <a> </b/c?d=e&f>"),
    ROW("query without path", "http://a?b", "a 80 <a> <?b>"),
    ROW("empty query", "http://a/?", "a 80 <a> </?>"),
    ROW("fragment", "http://a/b#c", "a 80 <a> </b>"),
    ROW("fragment without path", "http://a#b/c?d", "a 80 <a> <>"),
    ROW("fragment behind a query", "http://a/?b#c#d?e", "a 80 <a> </?b>"),
    ROW("question marks and slashes in the query", "http://a/b?c?d/e", "a 80 <a> </b?c?d/e>"),
    ROW("port", "http://a:8080/b", "a 8080 <a:8080> </b>"),
    ROW("port and query", "http://a:8080?b", "a 8080 <a:8080> <?b>"),
    ROW("largest port", "http://a:65535", "a 65535 <a:65535> <>"),
    ROW("port with zeros", "http://a:0080", "a 80 <a:0080> <>"),
    ROW("empty port", "http://a:/b", "a 80 <a> </b>"),
    ROW("https", "https://a/b", "a 443 tls <a> </b>"),
    ROW("https with port", "https://a:80/b", "a 80 tls <a:80> </b>"),
    ROW("https, empty port", "https://a:", "a 443 tls <a> <>"),
    ROW("capitals", "HTTP://A.Example/B", "A.Example 80 <A.Example> </B>"),
    ROW("https in capitals", "hTTpS://a", "a 443 tls <a> <>"),
    ROW("IPv4", "http://127.0.0.1:81/", "127.0.0.1 81 <127.0.0.1:81> </>"),
    ROW("IPv6", "http://[::1]/", "::1 v6 80 <[::1]> </>"),
    ROW("IPv6 with port", "http://[2001:db8::1]:8080",
        "2001:db8::1 v6 8080 <[2001:db8::1]:8080> <>"),
    ROW("IPv6, empty port", "http://[::1]:", "::1 v6 80 <[::1]> <>"),
    ROW("dot at the end", "http://a.b./", "a.b. 80 <a.b.> </>"),
    ROW("underscore and minus", "http://a_b-c.d", "a_b-c.d 80 <a_b-c.d> <>"),
    ROW("at sign in the path", "http://a/b@c", "a 80 <a> </b@c>"),
    ROW("at sign in the query", "http://a?b@c", "a 80 <a> <?b@c>"),
    ROW("at sign in the fragment", "http://a#@b", "a 80 <a> <>"),
    ROW("two slashes in the path", "http://a//b", "a 80 <a> <//b>"),
    ROW("dots stay", "http://a/../b/./c", "a 80 <a> </../b/./c>"),
    ROW("escapes stay", "http://a/%2e%zz%", "a 80 <a> </%2e%zz%>"),
    ROW("what no grammar has, but servers take", "http://a/|^[]{}`\\\"<>",
        "a 80 <a> </|^[]{}`\\\"<>>"),
    ROW("a URL in the query", "http://a/?b=http://c:0/", "a 80 <a> </?b=http://c:0/>"),
};

static const struct row bad[] = {
    ROW("nothing", "", NO_SCHEME),
    ROW("no scheme", "a/b", NO_SCHEME),
    ROW("no scheme, two slashes", "//a/b", NO_SCHEME),
    ROW("only a path", "/a", NO_SCHEME),
    ROW("scheme without slashes", "http:a", NO_SCHEME),
    ROW("one slash", "http:/a", NO_SCHEME),
    ROW("backslashes", "http:\\\\a", NO_SCHEME),
    ROW("ftp", "ftp://a", NO_SCHEME),
    ROW("httpx", "httpx://a", NO_SCHEME),
    ROW("file", "file:///etc/passwd", NO_SCHEME),
    ROW("unix", "unix:/run/a", NO_SCHEME),
    ROW("blank first", " http://a", NOT_VISIBLE),
    ROW("blank last", "http://a ", NOT_VISIBLE),
    ROW("blank in the host", "http://a b", NOT_VISIBLE),
    ROW("blank in the path", "http://a/b c", NOT_VISIBLE),
    ROW("tab", "http://a/\t", NOT_VISIBLE),
    ROW("CR LF", "http://a/\r\nX: y", NOT_VISIBLE),
    ROW("LF in the host", "http://a\n", NOT_VISIBLE),
    ROW("LF in the fragment", "http://a#\n", NOT_VISIBLE),
    ROW("NUL", "http://a\0b", NOT_VISIBLE),
    ROW("NUL in the path", "http://a/\0", NOT_VISIBLE),
    ROW("control byte", "http://a/\x01", NOT_VISIBLE),
    ROW("DEL", "http://a/\x7f", NOT_VISIBLE),
    ROW("UTF-8 in the host", "http://\xc3\xa4", NOT_VISIBLE),
    ROW("UTF-8 in the path", "http://a/\xc3\xa4", NOT_VISIBLE),
    ROW("high byte", "http://a/\xff", NOT_VISIBLE),
    ROW("no host", "http://", NO_HOST),
    ROW("no host, path", "http:///a", NO_HOST),
    ROW("no host, query", "http://?a", NO_HOST),
    ROW("no host, fragment", "http://#a", NO_HOST),
    ROW("only a port", "http://:80/", NO_HOST),
    ROW("only a colon", "http://:", NO_HOST),
    ROW("user", "http://u@a", USER),
    ROW("user and password", "http://u:p@a/", USER),
    ROW("empty user", "http://@a/", USER),
    ROW("user that looks like a host", "http://good.example:80@evil.example/", USER),
    ROW("user behind a backslash", "http://evil\\@good/", USER),
    ROW("backslash for a slash", "http://a\\b", BAD_HOST),
    ROW("escape in the host", "http://%61/", PERCENT),
    ROW("escaped slash in the host", "http://a%2fb/", PERCENT),
    ROW("no escape in the host", "http://a%/", PERCENT),
    ROW("port 0", "http://a:0/", "has port 0"),
    ROW("port 00", "http://a:00/", "has port 0"),
    ROW("port too large", "http://a:65536/", BAD_HOST),
    ROW("port of many digits", "http://a:18446744073709551696/", BAD_HOST),
    ROW("port with a sign", "http://a:+80/", BAD_HOST),
    ROW("port -1", "http://a:-1/", BAD_HOST),
    ROW("port with a letter", "http://a:80x/", BAD_HOST),
    ROW("two ports", "http://a:80:81/", BAD_HOST),
    ROW("IPv6 without brackets", "http://::1/", BAD_HOST),
    ROW("IPv6 without the end", "http://[::1/", BAD_HOST),
    ROW("IPv6 with a zone", "http://[fe80::1%25eth0]/", PERCENT),
    ROW("no IPv6 in brackets", "http://[a]/", BAD_HOST),
    ROW("nothing in brackets", "http://[]/", BAD_HOST),
    ROW("bytes behind the brackets", "http://[::1]a/", BAD_HOST),
    ROW("IPvFuture", "http://[v1.a]/", BAD_HOST),
    ROW("bracket inside", "http://a[b]/", BAD_HOST),
    ROW("quote in the host", "http://a\"b/", BAD_HOST),
    ROW("angle in the host", "http://<a>/", BAD_HOST),
    ROW("bar in the host", "http://a|b/", BAD_HOST),
};

static void describe(const struct http_url *u, const char *error, char *out, size_t room)
{
    if (error)
        snprintf(out, room, "%s", error);
    else
        snprintf(out, room, "%.*s%s %d%s <%.*s> <%.*s>", CS_F(u->host), u->is_v6 ? " v6" : "",
                 u->port, u->tls ? " tls" : "", CS_F(u->authority), CS_F(u->target));
}

static struct edge page;

static bool is_inside(cs_str part, cs_str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* What may be said of any text. */
static void check_any(const struct row *r, cs_str text)
{
    struct http_url u;
    const char *error = NULL;
    cs_str at = edge_put(&page, text);
    int verdict = http_url_parse(&u, at, &error);
    if ((verdict < 0) != (error != NULL) || verdict > 0)
        fail_msg("row \"%s\", %zu bytes: verdict %d, error %s", r->label, text.n, verdict, error);
    if (verdict < 0)
        return;
    assert_true(is_inside(u.host, at) && is_inside(u.authority, at) && is_inside(u.target, at));
    assert_true(u.host.n > 0 && u.port > 0 && u.port < 65536);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char got[256];
        struct http_url u;
        const char *error = NULL;
        http_url_parse(&u, edge_put(&page, rows[i].text), &error);
        describe(&u, error, got, sizeof got);
        expect_text(rows[i].label, "parsed", got, rows[i].answer);
        for (size_t cut = 0; cut <= rows[i].text.n; cut++)
            check_any(&rows[i], (cs_str){rows[i].text.p, cut});
    }
}

static void good_urls(void **state)
{
    (void)state;
    check_rows(good, sizeof good / sizeof *good);
}

static void bad_urls(void **state)
{
    (void)state;
    check_rows(bad, sizeof bad / sizeof *bad);
}

static void every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char host[] = "http://a_b/", path[] = "http://a/b_c";
        struct http_url u;
        const char *error = NULL;
        host[8] = path[10] = (char)c;
        bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool in_host = letter || (c > 0 && c < 128 && strchr("-._~!$&'()*+,;=/?#", c));
        if ((http_url_parse(&u, (cs_str){path, sizeof path - 1}, &error) == 0) !=
            (c > ' ' && c < 0x7f))
            fail_msg("path with byte 0x%02x", (unsigned)c);
        if ((http_url_parse(&u, (cs_str){host, sizeof host - 1}, &error) == 0) != in_host)
            fail_msg("host with byte 0x%02x", (unsigned)c);
    }
}

static int open_page(void **state)
{
    (void)state;
    page = edge_open(4096);
    return 0;
}

static int close_page(void **state)
{
    (void)state;
    edge_close(&page);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(every_byte),
    };
    return cmocka_run_group_tests(tests, open_page, close_page);
}
