/* compress.c - a filter that compresses what it is told to: zstd, brotli or gzip, as the client likes it.
 *
 *   head:  which coding? (choice.c) -> is there memory for it? -> Vary, Content-Encoding, body filter
 *   body:  pieces go through the encoder (codec.c); what it holds back of an answer in pieces follows at the end of the loop's
 *          turn, or `flush` later, so that nobody waits for a line that has been sent
 *
 * The encoder goes with the request, or with its last byte. */
#include "choice.h"

#include <stdlib.h>

/* One answer that is being compressed. */
struct job {
    struct codec *codec;
    size_t need;
    _Bool held;    /* the encoder may hold something back */
    _Bool waiting; /* a timer will ask for it */
};

static size_t in_use; /* reserved by encoders of this worker */
static int64_t memory;

static cs_counter *answers, *bytes_in, *bytes_out, *refused;

static void let_go(void *arg)
{
    struct job *j = arg;
    if (!j->codec)
        return;
    codec_free(j->codec);
    j->codec = NULL;
    in_use -= j->need;
}

/* The encoder of an answer that has a body. */
static int open_job(cs_req *r, const struct conf *c, int coding, size_t need)
{
    struct job *j = cs_alloc(r, sizeof *j);
    if (!j)
        return CS_NOMEM;
    j->codec = codec_new(coding, choice_level(c, coding), cs_body_length(r));
    if (!j->codec)
        return CS_NOMEM;
    j->need = need;
    in_use += need;
    cs_on_close(r, let_go, j);
    cs_ctx(r) = j;
    return CS_OK;
}

/* HEAD and 304 have no body, and so no encoder: their head is as it would be. */
static int compress(cs_req *r, const struct conf *c, int coding)
{
    const size_t need = codec_need(coding, choice_level(c, coding), cs_body_length(r));
    if (in_use + need > (size_t)memory) {
        cs_counter_add(refused, 1);
        return CS_OK;
    }
    int rc = cs_filter_body(r, -1);
    if (rc == CS_ERROR) /* a stream */
        return CS_OK;
    if (rc == CS_OK)
        rc = open_job(r, c, coding, need);
    if (rc < 0)
        return rc;
    if (cs_status(r) == 304)
        return CS_OK;
    return cs_set_header(r, "Content-Encoding", cs_str_z(codec_name(coding)));
}

static int header_filter(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    const struct choice choice = choice_of(r, c);
    if (choice.depends && !choice_is_told(r))
        cs_add_header(r, "Vary", "Accept-Encoding");
    return choice.coding < 0 ? CS_OK : compress(r, c, choice.coding);
}

static int pass_on(void *r, cs_str out)
{
    cs_counter_add(bytes_out, (int64_t)out.n);
    const int rc = cs_send((cs_req *)r, out, 0);
    return rc == CS_AGAIN ? CS_OK : rc;
}

/* An answer in pieces that is complete does not come here; one in one piece has no need of it, and is told CS_ERROR. */
static void ask_for_rest(cs_req *r, void *arg)
{
    struct job *j = arg;
    j->waiting = 0;
    if (j->codec && j->held)
        cs_send(r, CS_S(""), 0);
}

static int body_filter(cs_req *r, cs_str data, int last)
{
    const struct conf *c = cs_conf(r);
    struct job *j = cs_ctx(r);
    if (!j || !j->codec)
        return cs_send(r, data, last);
    const int flush = !data.n && !last;
    if (flush && !j->held)
        return CS_OK;
    cs_counter_add(bytes_in, (int64_t)data.n);
    const int rc = codec_put(j->codec, data,
                             last    ? CODEC_END
                             : flush ? CODEC_FLUSH
                                     : CODEC_MORE,
                             pass_on, r);
    if (rc < 0)
        return rc;
    j->held = !flush;
    if (last) {
        cs_counter_add(answers, 1);
        let_go(j);
        return cs_send(r, CS_S(""), 1);
    }
    if (j->held && !j->waiting)
        j->waiting = cs_req_after(r, c->flush, ask_for_rest, j) == CS_OK;
    return CS_OK;
}

static int explain(cs_req *r, int hook)
{
    const struct conf *c = cs_conf(r);
    if (hook != CS_HOOK_HEADER_FILTER)
        return CS_DECLINED;
    const struct choice choice = choice_of(r, c);
    if (choice.depends && !choice_is_told(r))
        cs_add_header(r, "Vary", "Accept-Encoding");
    if (choice.coding < 0) {
        cs_say(r, "as it is", "%s", choice.why);
        return CS_OK;
    }
    cs_say(r, "coding", "%s, level %d", codec_name(choice.coding), choice_level(c, choice.coding));
    cs_filter_body(r, -1);
    return cs_set_header(r, "Content-Encoding", cs_str_z(codec_name(choice.coding)));
}

static int worker_start(cs_proc *p)
{
    const struct conf *c = cs_module_conf(p);
    memory = c->memory;
    return CS_OK;
}

static int on_config(cs_conf *cc, const void *conf)
{
    const struct conf *c = conf;
    int rc = CS_OK;
    for (size_t i = 0; i < c->codings.n; i++) {
        const int coding = choice_coding(c->codings.v[i]);
        if (coding < 0)
            rc = cs_conf_error(cc, "codings", "\"%.*s\" is none of zstd, br and gzip",
                               CS_F(c->codings.v[i]));
        else if (!codec_is_there(coding))
            rc = cs_conf_error(cc, "codings",
                               "%s has been left out of this server: configure did not find its "
                               "library",
                               codec_name(coding));
    }
    for (size_t i = 0; i < c->types.n; i++)
        if (!cs_eq(c->types.v[i], "*") && !memchr(c->types.v[i].p, '/', c->types.v[i].n))
            rc = cs_conf_error(cc, "types",
                               "\"%.*s\" is no media type, such as text/html or text/*, nor \"*\"",
                               CS_F(c->types.v[i]));
    if (c->min_length > c->max_length)
        rc = cs_conf_error(cc, "min_length", "is larger than max_length: nothing would be left");
    return rc;
}

#define TYPES                                                                                      \
    "text/*, application/javascript, application/json, application/ld+json, "                      \
    "application/manifest+json, application/x-ndjson, application/xml, application/xhtml+xml, "    \
    "application/rss+xml, application/atom+xml, application/wasm, image/svg+xml, image/bmp, "      \
    "font/ttf, font/otf, application/vnd.ms-fontobject"

static const cs_directive directives[] = {
    CS_LIST(struct conf, codings, NULL, 0, 3, CS_PER_ROUTE,
            "What may be used, what is liked best first: zstd, br, gzip. Empty: all that this "
            "server has, in that order. The client's weights come first."),
    CS_LIST(struct conf, types, TYPES, 0, 64, CS_PER_ROUTE,
            "Media types that are compressed: text/html, all of text/*, or * for whatever there "
            "is."),
    CS_SIZE(struct conf, min_length, "1k", 0, 1073741824, CS_PER_ROUTE,
            "Answers known to be shorter stay as they are."),
    CS_SIZE(struct conf, max_length, "16m", 0, 1099511627776, CS_PER_ROUTE,
            "Answers known to be longer stay as they are."),
    CS_INT(struct conf, zstd_level, "3", 1, 9, CS_PER_ROUTE, "How hard zstd tries."),
    CS_INT(struct conf, br_level, "4", 0, 6, CS_PER_ROUTE, "How hard brotli tries."),
    CS_INT(struct conf, gzip_level, "5", 1, 9, CS_PER_ROUTE, "How hard gzip tries."),
    CS_MSEC(struct conf, flush, "0", 0, 60000, CS_PER_ROUTE,
            "How long a part of an answer that is made in pieces may be held back for the next "
            "one; 0: until all that is ready has been looked at."),
    CS_SIZE(struct conf, memory, "64m", 0, 17179869184, 0,
            "What the encoders of a worker may take together; answers that would need more stay "
            "as they are."),
    CS_END,
};

static const cs_counter_def counters[] = {
    {&answers, "answers_total", "Answers that were compressed"},
    {&bytes_in, "in_bytes_total", "Bytes before they were compressed"},
    {&bytes_out, "out_bytes_total", "Bytes after they were compressed"},
    {&refused, "refused_total", "Answers left as they are because memory was used up"},
    {0},
};

CS_MODULE(.name = "compress", .version = "1.0",
          .help = "Compresses answers: zstd, brotli or gzip, as the client likes it.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .on_config = on_config, .worker_start = worker_start, .header_filter = header_filter,
          .body_filter = body_filter, .explain = explain);
