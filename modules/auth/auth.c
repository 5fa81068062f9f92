/* auth.c - asks for a name and a password before a request goes on (HTTP Basic). A hash is computed on a thread, while the
 * worker serves others. */
#include "secret.h"

struct conf {
    cs_list users; /* name:password */
    cs_str realm;
};

static size_t name_length(cs_str user)
{
    return (size_t)(strchrnul(user.p, ':') - user.p);
}

static int refuse(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    cs_set_header(r, "WWW-Authenticate",
                  cs_format(r, "Basic realm=\"%.*s\", charset=\"UTF-8\"", CS_F(c->realm)));
    return cs_text(r, 401, "Name and password, please.\n");
}

static const char *password_of(cs_str user)
{
    return user.p + name_length(user) + 1;
}

/* Who is not known is measured too, and never fits. It takes as long as for all others, which on_config sees to. */
static void find(const struct conf *c, struct secret *s)
{
    cs_str user = c->users.v[0];
    _Bool known = 0;
    for (size_t i = 0; i < c->users.n && !known; i++)
        if ((known = name_length(c->users.v[i]) == strlen(s->name) &&
                     memcmp(c->users.v[i].p, s->name, strlen(s->name)) == 0))
            user = c->users.v[i];
    s->known = password_of(user);
    s->name = known ? s->name : NULL;
}

static int judge(cs_req *r, const struct secret *s)
{
    if (!s->name || !s->right)
        return refuse(r);
    cs_set_user(r, s->name);
    return CS_DECLINED;
}

static void on_checked(cs_req *r, void *arg)
{
    if (judge(r, arg) == CS_DECLINED)
        cs_proceed(r);
}

static int may_pass(cs_req *r)
{
    cs_str field = cs_header(r, "Authorization");
    struct secret *s = cs_alloc(r, sizeof *s);
    char *room = cs_alloc(r, field.n + 1);
    if (!s || !room)
        return CS_NOMEM;
    if (!secret_read(s, field, room))
        return refuse(r);
    find(cs_conf(r), s);
    if (secret_cost(s->known)) {
        int rc = cs_offload(r, secret_check, on_checked, s);
        return rc == CS_OK ? CS_PENDING : rc;
    }
    secret_check(s);
    return judge(r, s);
}

/* NULL, or what is wrong with it. The first one is known to be right when others are looked at. */
static const char *fault_of(cs_str user, cs_str first)
{
    size_t n = name_length(user);
    if (!n || n == user.n)
        return "is not name:password";
    const char *fault = secret_fault(password_of(user));
    if (!fault && secret_cost(password_of(user)) != secret_cost(password_of(first)))
        fault = "does not take equally long as the first one, which tells strangers who "
                "is there: let all be plain, or all be hashes with the same rounds";
    return fault;
}

static int on_config(cs_conf *cf, const void *conf)
{
    const struct conf *c = conf;
    for (size_t i = 0; i < c->users.n; i++) {
        const cs_str user = c->users.v[i];
        const char *fault = fault_of(user, c->users.v[0]);
        const size_t n = name_length(user);
        if (fault && n == user.n) /* it may be a password, so it is not shown */
            return cs_conf_error(cf, "users", "the %zu. one %s", i + 1, fault);
        if (fault)
            return cs_conf_error(cf, "users", "the %zu. one (%.*s) %s", i + 1, (int)n, user.p,
                                 fault);
    }
    if (memchr(c->realm.p, '"', c->realm.n) || memchr(c->realm.p, '\\', c->realm.n))
        return cs_conf_error(cf, "realm", "there must be no \" and no \\ in it");
    return CS_OK;
}

static const cs_directive directives[] = {
    CS_LIST(struct conf, users, NULL, 1, 1000, CS_REQUIRED | CS_PER_ROUTE | CS_SECRET,
            "Who may pass: name:password, or name:$6$..., as `openssl passwd -6` writes it."),
    CS_STRING(struct conf, realm, "Restricted", 1, 200, CS_PER_ROUTE,
              "What browsers show to who is asked."),
    CS_END,
};

CS_MODULE(.name = "auth", .version = "1.0", .help = "Asks for a name and a password.",
          .directives = directives, .conf_size = sizeof(struct conf), .on_config = on_config,
          .access = may_pass);
