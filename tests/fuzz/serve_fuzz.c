/* serve_fuzz.c - any bytes on a connection, to the engine with modules and files: what comes back is HTTP to the letter, an answer
 * for each request, and the same answers when the bytes come in pieces.
 *
 * The clients are those of the kit for tests of modules, so no network is in the way and time stands still. The modules are those
 * of the build folder: CSERVER_BUILD, or three folders above the program. */
#include "base/mem.h"
#include "http/body.h"
#include "http/date.h"
#include "http/head.h"
#include "http/token.h"
#include "input.h"
#include "kit/client.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST        32   /* requests of one input */
#define LONGEST     4096 /* bytes of it */
#define PIECES      24
#define RUNS        20000
#define FIELDS_MOST 100

static const char settings[] =
    "[module:static]\nlisting = json\n"
    "[module:headers]\nsecurity = on\n"
    "[site:all]\nroot = %s\nuse = headers\nerror_pages = 404 /gone.html\n"
    "[route:echo]\nmatch = /echo\nhandler = echo\n"
    "[route:say]\nmatch = /say\nhandler = return\n"
    "text = ${method} ${path} ${query} ${host} ${header.x} ${cookie.c}\n"
    "[route:jump]\nmatch = /jump\nrewrite = /a.txt?${query}\n"
    "[route:move]\nmatch = /move\nhandler = redirect\n"
    "to = /b/${capture.rest}?${query}\n"
    "[route:only]\nmatch = = /only\nmethods = PUT\nhandler = echo\n";

/* ---- The server ---- */

static struct cst *server;
static char root[] = "/tmp/serve_fuzz.XXXXXX";
static char modules[6][PATH_MAX];
static unsigned runs;

static void remove_root(void)
{
    static const char *const names[] = {"a.txt", "gone.html", "b/index.html", "b", ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        (void)remove(path);
    }
}

static void write_file(const char *name, size_t n)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    check(f);
    for (size_t i = 0; i < n; i++)
        fputc('a' + (int)(i % 26), f);
    check(fclose(f) == 0);
}

static void make_root(void)
{
    char path[PATH_MAX];
    check(mkdtemp(root));
    atexit(remove_root);
    snprintf(path, sizeof path, "%s/b", root);
    check(mkdir(path, 0755) == 0);
    write_file("a.txt", 10000);
    write_file("gone.html", 20);
    write_file("b/index.html", 300);
}

static void find_modules(void)
{
    static const char *const names[] = {"static", "echo", "return", "redirect", "headers"};
    const char *build = getenv("CSERVER_BUILD");
    char self[PATH_MAX] = {0};
    check(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    if (!build)
        build = dirname(dirname(dirname(dirname(self))));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check(snprintf(modules[i], sizeof modules[i], "%s/modules/%s.so", build, names[i]) > 0);
}

static void start(void)
{
    char text[sizeof settings + sizeof root];
    const char *more[] = {modules[1], modules[2], modules[3], modules[4], NULL};
    if (!server) {
        make_root();
        find_modules();
    } else {
        cst_close(server);
    }
    snprintf(text, sizeof text, settings, root);
    server = cst_open(modules[0], text, .more = more);
}

/* What has come back, without the kit's own reading of it. *ended: the server has closed the connection. */
static struct buf talk(cs_str bytes, size_t piece, bool *ended)
{
    struct buf got = {0};
    cst_req *q = cst_begin_raw(server, "");
    server->serve->next_id = 1; /* so that answers which tell it are the same */
    while (bytes.n && !q->ended) {
        size_t n = piece < bytes.n ? piece : bytes.n;
        cst_send_body(q, 0, ((cs_str){bytes.p, n}));
        cst_run(server);
        bytes = (cs_str){bytes.p + n, bytes.n - n};
    }
    *ended = q->ended;
    cst_abort(q);
    cst_run(server);
    buf_add_str(&got, buf_str(&q->reply.in));
    kit_clients_free(server);
    server->clients = server->past = NULL;
    return got;
}

/* ---- What is asked ---- */

struct asked {
    size_t n;     /* requests that have been sent whole */
    bool more;    /* behind them one that is not whole, or not good */
    bool expects; /* 100-continue: whether the body comes in time is seen in the answers */
    bool head[MOST + 1];
};

/* Bytes of the body at the beginning of in; SIZE_MAX: it is not whole, or not good. */
static size_t body_size(const struct http_head *h, cs_str in)
{
    struct http_chunked c = {0};
    size_t used, sum = 0;
    cs_str piece;
    int verdict = HTTP_CHUNKED_DATA;
    if (!h->chunked)
        return h->content_length <= (int64_t)in.n
                   ? (size_t)(h->content_length > 0 ? h->content_length : 0)
                   : SIZE_MAX;
    while (verdict == HTTP_CHUNKED_DATA) {
        verdict = http_chunked_next(&c, in.p + sum, in.n - sum, &used, &piece);
        sum += used;
    }
    return verdict == HTTP_CHUNKED_DONE ? sum : SIZE_MAX;
}

static struct asked read_requests(cs_str in)
{
    static const struct http_limits limits = {LONGEST + 1, LONGEST + 1, FIELDS_MOST};
    struct http_header fields[FIELDS_MOST];
    struct asked a = {0};
    while (in.n && a.n < MOST) {
        struct http_head h = {.headers = fields, .headers_cap = FIELDS_MOST};
        long n = http_head_parse(&h, in.p, in.n, &limits);
        a.more = true;
        if (n <= 0)
            break;
        a.head[a.n] = h.method == HTTP_HEAD;
        a.expects |= h.expect_continue;
        in = (cs_str){in.p + n, in.n - (size_t)n};
        size_t body = body_size(&h, in);
        if (body == SIZE_MAX)
            break;
        in = (cs_str){in.p + body, in.n - body};
        a.n++;
        a.more = false;
    }
    return a;
}

/* ---- What is answered ---- */

struct answers {
    size_t n;
    bool cut;  /* the last is not whole */
    bool last; /* it has said that it is the last */
    int status[MOST + 1];
    uint64_t body[MOST + 1]; /* a sum of its bytes */
};

struct answer {
    int status;
    int64_t length; /* -1: not said */
    bool chunked, closes;
};

static uint64_t add_up(uint64_t sum, cs_str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        sum = (sum ^ (unsigned char)bytes.p[i]) * 0x100000001b3;
    return sum;
}

static cs_str take_line(cs_str *in)
{
    const char *end = memmem(in->p, in->n, "\r\n", 2);
    check(end);
    cs_str line = {in->p, (size_t)(end - in->p)};
    *in = (cs_str){end + 2, in->n - line.n - 2};
    return line;
}

static void read_field(struct answer *a, cs_str line, bool *dated)
{
    cs_str value = line, name;
    uint64_t n;
    time_t t;
    check(str_split(&value, ':', &name) && http_is_token(name) && http_is_field_value(value));
    value = str_trim(value);
    if (str_eq_nocase(name, CS_S("Content-Length"))) {
        check(a->length < 0 && str_to_u64(value, INT64_MAX, &n));
        a->length = (int64_t)n;
    } else if (str_eq_nocase(name, CS_S("Transfer-Encoding"))) {
        check(!a->chunked && str_is(value, "chunked"));
        a->chunked = true;
    } else if (str_eq_nocase(name, CS_S("Connection"))) {
        a->closes = http_list_has(value, "close");
    } else if (str_eq_nocase(name, CS_S("Date"))) {
        check(!*dated && http_date_parse(value, 0, &t));
        *dated = true;
    }
}

static struct answer read_head(cs_str *in)
{
    struct answer a = {.length = -1};
    uint64_t status;
    bool dated = false;
    cs_str line = take_line(in);
    check(str_starts(line, CS_S("HTTP/1.1 ")) && line.n >= 13 && line.p[12] == ' ');
    check(str_to_u64((cs_str){line.p + 9, 3}, 599, &status) && status >= 100);
    check(http_is_field_value(line));
    a.status = (int)status;
    while ((line = take_line(in)).n)
        read_field(&a, line, &dated);
    check(!(a.chunked && a.length >= 0) && (dated || status < 200));
    check(status >= 200 || (a.length < 0 && !a.chunked));
    return a;
}

/* False: it has not come whole. */
static bool read_body(const struct answer *a, cs_str *in, uint64_t *sum)
{
    if (a->chunked) {
        struct http_chunked c = {0};
        int verdict = HTTP_CHUNKED_DATA;
        size_t used;
        cs_str piece;
        while (verdict == HTTP_CHUNKED_DATA) {
            verdict = http_chunked_next(&c, in->p, in->n, &used, &piece);
            *sum = add_up(*sum, piece);
            *in = (cs_str){in->p + used, in->n - used};
        }
        check(verdict == HTTP_CHUNKED_DONE || verdict == HTTP_CHUNKED_MORE);
        return verdict == HTTP_CHUNKED_DONE;
    }
    size_t n = a->length >= 0 && (uint64_t)a->length < in->n ? (size_t)a->length : in->n;
    check(a->length >= 0 || a->closes);
    *sum = add_up(*sum, (cs_str){in->p, n});
    *in = (cs_str){in->p + n, in->n - n};
    return a->length < 0 || n == (uint64_t)a->length;
}

static struct answers read_answers(cs_str in, const struct asked *asked)
{
    struct answers all = {0};
    while (in.n) {
        check(!all.last && !all.cut && all.n <= asked->n);
        struct answer a = read_head(&in);
        if (a.status < 200)
            continue;
        bool bodiless = asked->head[all.n] || a.status == 204 || a.status == 304;
        all.status[all.n] = a.status;
        all.last = a.closes;
        all.cut = !bodiless && !read_body(&a, &in, &all.body[all.n]);
        all.n++;
    }
    return all;
}

/* ---- Both ---- */

static struct answers ask(cs_str bytes, size_t piece, const struct asked *asked)
{
    bool ended;
    struct buf got = talk(bytes, piece, &ended);
    struct answers a = read_answers(buf_str(&got), asked);
    check(a.last || asked->more || !ended);
    check(a.last || ended || a.n >= asked->n);
    check(!a.cut || a.n == asked->n + 1);
    buf_free(&got);
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str in = input_of(data, size);
    if (!size || size > LONGEST)
        return 0;
    struct asked asked = read_requests(in);
    if (asked.n == MOST)
        return 0;
    if (runs++ % RUNS == 0)
        start();
    struct answers whole = ask(in, size, &asked);
    struct answers cut = ask(in, size / PIECES + 1, &asked);
    if (asked.expects)
        return 0;
    check(whole.n == cut.n && whole.last == cut.last && whole.cut == cut.cut);
    for (size_t i = 0; i < whole.n; i++)
        check(
            whole.status[i] == cut.status[i] &&
            (whole.body[i] == cut.body[i] || whole.status[i] == 206)); /* its boundary is random */
    return 0;
}
