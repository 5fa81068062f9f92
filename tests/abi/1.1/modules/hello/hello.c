/* hello.c - the smallest module with a setting: answers every request with a greeting. */
#include <cserver/cserver.h>

struct conf {
    cs_str greeting;
};

static int handler(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    return cs_textf(r, 200, "%.*s\n", CS_F(c->greeting));
}

static const cs_directive directives[] = {
    CS_STRING(struct conf, greeting, "Hello, world!", 0, 1024, CS_PER_ROUTE, "What to say."),
    CS_END,
};

CS_MODULE(.name = "hello", .version = "1.0", .help = "Answers with a greeting.",
          .directives = directives, .conf_size = sizeof(struct conf), .handler = handler);
