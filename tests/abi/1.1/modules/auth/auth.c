/* auth.c - asks for a name and a password before a request goes on (HTTP Basic). A hash is computed on a thread, while the
 * worker serves others. */
#include "roster.h"
#include "verdict.h"

struct conf {
    cs_list users; /* name:password */
    cs_str users_file, realm;
    int64_t cache;
};

/* In the request's memory: a thread works on it, and the file may be read anew meanwhile. */
struct visit {
    struct secret sent;
    struct secret_check check;
};

static cs_counter *passed, *refused, *computed, *remembered;

static size_t name_length(cs_str user)
{
    return (size_t)(strchrnul(user.p, ':') - user.p);
}

static const char *password_of(cs_str user)
{
    return user.p + name_length(user) + 1;
}

static int refuse(cs_req *r)
{
    const struct conf *c = cs_conf(r);
    cs_set_header(r, "WWW-Authenticate",
                  cs_format(r, "Basic realm=\"%.*s\", charset=\"UTF-8\"", CS_F(c->realm)));
    return 401;
}

/* What is known of a name. All are looked at, so that it does not matter which one it is. */
static const char *find(const struct conf *c, const struct roster *file, const char *name)
{
    const char *known = file ? roster_find(file, name) : NULL;
    const size_t n = strlen(name);
    for (size_t i = 0; i < c->users.n; i++)
        if (name_length(c->users.v[i]) == n && memcmp(c->users.v[i].p, name, n) == 0)
            known = password_of(c->users.v[i]);
    return known;
}

/* A hash of each cost that somebody of these has. False: there are more kinds than can be made to look alike. */
static _Bool find_costs(const struct conf *c, const struct roster *file,
                        const char *costs[SECRET_COSTS + 1])
{
    _Bool all = 1;
    for (size_t i = 0; file && file->costs[i]; i++)
        all &= roster_add_cost(costs, file->costs[i]);
    for (size_t i = 0; i < c->users.n; i++)
        if (secret_is_hash(password_of(c->users.v[i])))
            all &= roster_add_cost(costs, password_of(c->users.v[i]));
    return all;
}

static int let_in(cs_req *r, const struct visit *v)
{
    cs_counter_add(passed, 1);
    return cs_set_user(r, cs_str_z(v->sent.name)) == CS_OK ? CS_DECLINED : CS_NOMEM;
}

static int judge(cs_req *r, struct visit *v)
{
    const struct conf *c = cs_conf(r);
    if (v->check.right && v->check.others[0] && c->cache)
        verdict_keep(&v->sent, v->check.known, cs_now_ms() + c->cache);
    const int rc = v->check.right ? let_in(r, v) : refuse(r);
    explicit_bzero(v->sent.password, strlen(v->sent.password));
    cs_counter_add(refused, !v->check.right);
    return rc;
}

static void on_checked(cs_req *r, void *arg)
{
    const int rc = judge(r, arg);
    if (rc == CS_DECLINED)
        cs_proceed(r);
    else
        cs_page(r, rc == CS_NOMEM ? 503 : rc);
}

static const char *copy(cs_req *r, const char *text)
{
    return text ? cs_format(r, "%s", text).p : NULL;
}

static int prepare(cs_req *r, const struct conf *c, const struct roster *file, struct visit *v,
                   const char *known)
{
    const char *costs[SECRET_COSTS + 1] = {NULL};
    find_costs(c, file, costs);
    v->check.password = v->sent.password;
    v->check.known = copy(r, known);
    _Bool whole = !known || v->check.known;
    for (size_t i = 0; costs[i]; i++) {
        v->check.others[i] = copy(r, costs[i]);
        whole &= v->check.others[i] != NULL;
    }
    return whole ? CS_OK : CS_NOMEM;
}

static void work(void *arg)
{
    struct visit *v = arg;
    secret_check(&v->check);
}

static int check(cs_req *r, struct visit *v, const struct roster *file)
{
    const struct conf *c = cs_conf(r);
    const char *known = find(c, file, v->sent.name);
    if (known && c->cache && verdict_is_known(&v->sent, known, cs_now_ms())) {
        cs_counter_add(remembered, 1);
        explicit_bzero(v->sent.password, strlen(v->sent.password));
        return let_in(r, v);
    }
    int rc = prepare(r, c, file, v, known);
    if (rc == CS_OK && v->check.others[0]) {
        rc = cs_offload(r, work, on_checked, v);
        cs_counter_add(computed, rc == CS_OK);
        return rc == CS_OK ? CS_PENDING : rc;
    }
    if (rc != CS_OK)
        return rc;
    secret_check(&v->check);
    return judge(r, v);
}

/* The file's users, NULL where none is named. CS_OK; CS_ERROR: it never was right, *error says why. */
static int find_file(const struct conf *c, int64_t now, const struct roster **file,
                     const char **error)
{
    *file = c->users_file.n ? roster_of(c->users_file.p, now, error) : NULL;
    return !c->users_file.n || *file ? CS_OK : CS_ERROR;
}

static int may_pass(cs_req *r)
{
    const cs_str field = cs_header(r, "Authorization");
    const struct roster *file;
    const char *error;
    struct visit *v = cs_alloc(r, sizeof *v);
    char *room = cs_alloc(r, field.n + 1);
    if (!v || !room)
        return CS_NOMEM;
    if (!secret_read(&v->sent, field, room))
        return refuse(r);
    if (find_file(cs_conf(r), cs_now_ms(), &file, &error) != CS_OK)
        return cs_fail(r, 500, "%s", error);
    return check(r, v, file);
}

/* Here nobody waits, so a password is measured at once. */
static int explain_sent(cs_req *r, struct visit *v)
{
    const struct conf *c = cs_conf(r);
    const struct roster *file;
    const char *error;
    if (find_file(c, 0, &file, &error) != CS_OK) {
        cs_say(r, "users_file", "%s", error);
        return 500;
    }
    const char *known = find(c, file, v->sent.name);
    if (prepare(r, c, file, v, known) != CS_OK)
        return CS_NOMEM;
    secret_check(&v->check);
    cs_say(r, "user", "%s%s", v->sent.name,
           v->check.right ? ""
           : known        ? ", with a wrong password"
                          : ", whom nobody knows");
    return v->check.right && cs_set_user(r, cs_str_z(v->sent.name)) == CS_OK ? CS_DECLINED : 401;
}

static int explain(cs_req *r, int hook)
{
    const cs_str field = cs_header(r, "Authorization");
    struct visit *v = cs_alloc(r, sizeof *v);
    char *room = cs_alloc(r, field.n + 1);
    if (hook != CS_HOOK_ACCESS)
        return CS_DECLINED;
    if (cs_user(r).n)
        return CS_DECLINED; /* taken to be somebody already */
    const int rc = !v || !room                          ? CS_NOMEM
                   : secret_read(&v->sent, field, room) ? explain_sent(r, v)
                                                        : 401;
    return rc == 401 ? refuse(r) : rc;
}

/* ---- Settings ---- */

/* NULL, or what is wrong with it. */
static const char *fault_of(cs_str user)
{
    size_t n = name_length(user);
    return !n || n == user.n ? "is not name:password" : secret_fault(password_of(user));
}

static size_t first_of_that_name(const struct conf *c, cs_str user)
{
    size_t i = 0;
    const size_t n = name_length(user);
    while (name_length(c->users.v[i]) != n || memcmp(c->users.v[i].p, user.p, n) != 0)
        i++;
    return i;
}

static int check_user(cs_conf *cf, const struct conf *c, size_t i)
{
    const cs_str user = c->users.v[i];
    const char *fault = fault_of(user);
    const size_t n = name_length(user);
    if (fault && n == user.n) /* it may be a password, so it is not shown */
        return cs_conf_error(cf, "users", "the %zu. one %s", i + 1, fault);
    if (fault)
        return cs_conf_error(cf, "users", "the %zu. one (%.*s) %s", i + 1, (int)n, user.p, fault);
    const size_t first = first_of_that_name(c, user);
    return first == i ? CS_OK
                      : cs_conf_error(cf, "users", "the %zu. one (%.*s) has the name of the %zu.",
                                      i + 1, (int)n, user.p, first + 1);
}

static int check_names(cs_conf *cf, const struct conf *c, const struct roster *file)
{
    for (size_t i = 0; file && i < file->n; i++)
        for (size_t k = 0; k < c->users.n; k++)
            if (name_length(c->users.v[k]) == strlen(file->users[i].name) &&
                cs_starts(c->users.v[k], file->users[i].name))
                return cs_conf_error(cf, "users_file",
                                     "%.*s:%u: %s is among `users` too: leave one of "
                                     "them out",
                                     CS_F(c->users_file), file->users[i].line, file->users[i].name);
    return CS_OK;
}

static int on_config(cs_conf *cf, const void *conf)
{
    const struct conf *c = conf;
    const char *costs[SECRET_COSTS + 1] = {NULL}, *error;
    const struct roster *file;
    int rc = CS_OK;
    for (size_t i = 0; i < c->users.n && rc == CS_OK; i++)
        rc = check_user(cf, c, i);
    if (rc != CS_OK)
        return rc;
    if (find_file(c, 0, &file, &error) != CS_OK)
        return cs_conf_error(cf, "users_file", "%s", error);
    if (!find_costs(c, file, costs))
        return cs_conf_error(cf, c->users.n ? "users" : "users_file",
                             "there are hashes of more than %d methods and costs, and all who try "
                             "have to wait for one of each: make some of them anew",
                             SECRET_COSTS);
    if (memchr(c->realm.p, '"', c->realm.n) || memchr(c->realm.p, '\\', c->realm.n))
        return cs_conf_error(cf, "realm", "there must be no \" and no \\ in it");
    return check_names(cf, c, file);
}

static const cs_counter_def counters[] = {
    {&passed, "passed_total", "Requests of users who have shown the right password."},
    {&refused, "refused_total", "Requests with a wrong name or password."},
    {&computed, "computed_total", "Requests for which hashes were computed."},
    {&remembered, "remembered_total",
     "Requests with a password that had been right shortly before."},
    {0}};

static const cs_directive directives[] = {
    CS_LIST(struct conf, users, NULL, 1, 1000, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE | CS_SECRET,
            "Who may pass: name:password, or name:HASH, as `openssl passwd -6` writes it."),
    CS_PATH(struct conf, users_file, NULL, CS_REQUIRED | CS_ONE_OF | CS_PER_ROUTE,
            "A file of more of them, name:HASH in each line, as htpasswd writes it. Read again "
            "when it changes."),
    CS_STRING(struct conf, realm, "Restricted", 1, 200, CS_PER_ROUTE,
              "What browsers show to who is asked."),
    CS_MSEC(struct conf, cache, "5m", 0, 86400000, CS_PER_ROUTE,
            "How long a password that was right needs no hash; 0: it always does."),
    CS_END,
};

CS_MODULE(.name = "auth", .version = "1.1", .help = "Asks for a name and a password.",
          .directives = directives, .conf_size = sizeof(struct conf), .counters = counters,
          .on_config = on_config, .access = may_pass, .explain = explain);
