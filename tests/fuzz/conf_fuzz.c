/* conf_fuzz.c - any bytes as a settings file: no crash, and what is accepted, printed with -T and
 * read again, gives the same settings. The first line may be an override (-g). */
#include "base/check.h"
#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct keys {
    cs_list list;
    cs_str text, path;
};

static int decline(cs_req *r)
{
    (void)r;
    return CS_DECLINED;
}

static const cs_directive table[] = {
    CS_LIST(struct keys, list, "index.html", 0, 0, CS_PER_ROUTE, "."),
    CS_STRING(struct keys, text, NULL, 0, 0, CS_PER_ROUTE, "."),
    CS_PATH(struct keys, path, NULL, CS_PER_ROUTE, "."), CS_END};

static const cs_module fuzzed = {
    .name = "static", .directives = table, .conf_size = sizeof(struct keys), .handler = decline};

/* The settings as text, or an empty buf when they are refused. */
static struct buf print(cs_str bytes, const struct conf_override *o, bool origins)
{
    const struct conf_read_opts opts = {.prefix = "/p", .overrides = o, .noverrides = o ? 1 : 0};
    const cs_module *desc[64];
    struct conf_module_ref *refs;
    struct report rep;
    struct buf out = {0};
    cs_str folder;

    report_init(&rep);
    struct conf_text *text = conf_read_bytes("f.ini", bytes, &opts, &rep);
    size_t n = conf_module_refs(text, &refs, &folder);

    for (size_t i = 0; i < ARRAY_LEN(desc); i++)
        desc[i] = &fuzzed;
    if (n <= ARRAY_LEN(desc)) {
        struct conf *c = conf_bind(text, refs, desc, n, &rep);

        if (!rep.errors && origins)
            conf_print(c, &out);
        else if (!rep.errors)
            conf_print_plain(c, &out);
        else
            report_print(&rep, &out);
        if (rep.errors)
            buf_free(&out);
        conf_free(c);
    }
    conf_text_free(text);
    report_free(&rep);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str bytes = {(const char *)data, size};
    const char *lf = size ? memchr(data, '\n', size) : NULL;
    char line[256];
    struct conf_override o = {line};
    bool override = lf && bytes.p[0] == '-' && (size_t)(lf - bytes.p) < sizeof line;

    if (override) {
        memcpy(line, bytes.p + 1, (size_t)(lf - bytes.p) - 1);
        line[lf - bytes.p - 1] = '\0';
        bytes = (cs_str){lf + 1, size - (size_t)(lf + 1 - bytes.p)};
    }
    struct buf plain = print(bytes, override ? &o : NULL, false);
    if (plain.n) {
        struct buf full = print(bytes, override ? &o : NULL, true);
        struct buf again = print(buf_str(&full), NULL, false);

        check(str_eq(buf_str(&plain), buf_str(&again)));
        buf_free(&full);
        buf_free(&again);
    }
    buf_free(&plain);
    return 0;
}
