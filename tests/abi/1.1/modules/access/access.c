/* access.c - who may pass, by the address of the client. */
#include <cserver/cserver.h>

struct conf {
    const cs_blocks *allow, *deny;
};

static cs_counter *refused;

/* The more exact one decides; what is as exact is denied; who is nowhere passes where nobody was asked for. */
static int verdict(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    int allow = cs_client_in(r, c->allow);
    int deny = cs_client_in(r, c->deny);
    if (!allow && !deny)
        return c->allow->words.n ? 403 : CS_DECLINED;
    return allow > deny ? CS_DECLINED : 403;
}

static int access_hook(cs_req *r)
{
    int rc = verdict(r);
    if (rc == 403)
        cs_counter_add(refused, 1);
    return rc;
}

static void say_list(cs_req *r, const char *key, const cs_blocks *b)
{
    cs_str word = cs_client_block(r, b);
    if (word.n)
        cs_say(r, key, "%.*s has the client", CS_F(word));
    else if (b->words.n)
        cs_say(r, key, "has no block with the client");
}

static int explain(cs_req *r, int hook)
{
    const struct conf *c = cs_conf(r);
    if (hook != CS_HOOK_ACCESS)
        return CS_DECLINED;
    say_list(r, "allow", c->allow);
    say_list(r, "deny", c->deny);
    return verdict(r);
}

static const cs_directive directives[] = {
    CS_BLOCKS(
        struct conf, allow, NULL, 0, 10000, CS_PER_ROUTE | CS_ADDS,
        "Who may pass: addresses, blocks such as 10.0.0.0/8, unix, all; then nobody else may."),
    CS_BLOCKS(
        struct conf, deny, NULL, 0, 10000, CS_PER_ROUTE | CS_ADDS,
        "Who may not. Of allow and deny the longer block counts, and deny where both are as long."),
    CS_END,
};

static const cs_counter_def counters[] = {
    {.ref = &refused, .name = "refused_total", .help = "Requests refused by the client's address."},
    {0},
};

CS_MODULE(.name = "access", .version = "1.0", .help = "Lets clients pass by their addresses.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .access = access_hook, .explain = explain);
