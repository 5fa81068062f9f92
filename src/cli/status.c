/* status.c - see status.h. What is well is said in few words; what is not, with its reason. */
#include "cli/status.h"

#include <time.h>

static void print_time(int64_t seconds)
{
    if (seconds >= 86400)
        printf("%lld d ", (long long)(seconds / 86400));
    if (seconds >= 3600)
        printf("%lld h ", (long long)(seconds / 3600 % 24));
    if (seconds >= 60)
        printf("%lld min ", (long long)(seconds / 60 % 60));
    printf("%lld s", (long long)(seconds % 60));
}

static void print_list(const char *before, cs_str list)
{
    cs_str element;

    fputs(before, stdout);
    while (client_next(&list, &element)) {
        fputc(' ', stdout);
        remote_print(stdout, element);
    }
    fputc('\n', stdout);
}

static int64_t number(cs_str object, const char *key)
{
    return remote_number(remote_field(object, key), 0);
}

/* ---- Processes ---- */

static void print_workers(cs_str list)
{
    cs_str w;

    printf("  %-8s %-8s %-10s %-10s %11s %8s %12s\n", "worker", "pid", "state", "generation",
           "connections", "streams", "requests");
    while (client_next(&list, &w))
        printf("  %-8.*s %-8.*s %-10.*s %-10.*s %11.*s %8.*s %12.*s\n",
               CS_F(remote_field(w, "number")), CS_F(remote_field(w, "pid")),
               CS_F(remote_field(w, "state")), CS_F(remote_field(w, "generation")),
               CS_F(remote_field(w, "connections")), CS_F(remote_field(w, "streams")),
               CS_F(remote_field(w, "requests")));
}

/* As the server names them. */
static const char *reason(cs_str why)
{
    static const char *const words[][2] = {
        {"reload", "since a reload"},      {"rollback", "was rolled back"},
        {"recycled", "has had its share"}, {"fewer workers", "fewer workers are wanted"},
        {"signal", "a signal told it to"}, {"stop", "the server stops"},
        {"upgrade", "since an upgrade"},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_is(why, words[i][0]))
            return words[i][1];
    return "told to";
}

/* Of the connections of a worker, or of all. */
static void print_kinds(int64_t connections, int64_t streams, int64_t idle)
{
    int64_t busy = connections - streams - idle;

    printf(" (%lld in a request, %lld streams, %lld idle)", (long long)(busy > 0 ? busy : 0),
           (long long)streams, (long long)idle);
}

static void print_drain(cs_str w, cs_str drains)
{
    int64_t connections = number(w, "connections");

    printf("  worker %.*s (pid %.*s, generation %.*s) drains for ", CS_F(remote_field(w, "number")),
           CS_F(remote_field(w, "pid")), CS_F(remote_field(w, "generation")));
    print_time(number(drains, "for_ms") / 1000);
    printf(" (%s): %lld connection%s", reason(remote_field(drains, "why")), (long long)connections,
           connections == 1 ? "" : "s");
    if (connections > 0)
        print_kinds(connections, number(w, "streams"), number(w, "idle"));
    if (str_is(remote_field(drains, "left_ms"), "null")) {
        printf("; no time limit\n");
        return;
    }
    printf("; at most ");
    print_time((number(drains, "left_ms") + 999) / 1000);
    printf(" more\n");
}

static void print_drains(cs_str list)
{
    cs_str w;

    while (client_next(&list, &w)) {
        cs_str drains = remote_field(w, "drains");

        if (drains.n > 0)
            print_drain(w, drains);
    }
}

static void print_primary(cs_str p)
{
    if (p.n == 0 || str_is(p, "null"))
        return;
    if (str_is(remote_field(p, "pid"), "0"))
        printf("primary: %.*s", CS_F(remote_field(p, "state")));
    else
        printf("primary: pid %.*s, %.*s", CS_F(remote_field(p, "pid")),
               CS_F(remote_field(p, "state")));
    if (number(p, "starts") > 1)
        printf(", started %.*s times", CS_F(remote_field(p, "starts")));
    putchar('\n');
}

/* ---- Trouble ---- */

static void print_trouble(cs_str list)
{
    cs_str why;

    while (client_next(&list, &why))
        remote_print_line(stdout, "degraded: ", why);
}

/* Those that are well are not worth a line. */
static void print_modules(cs_str list)
{
    cs_str m;

    while (client_next(&list, &m)) {
        bool out = str_is(remote_field(m, "quarantined"), "true");

        if (!out && number(m, "crashes") == 0 && number(m, "stalls") == 0)
            continue;
        printf("module ");
        remote_print(stdout, remote_field(m, "name"));
        putchar(' ');
        remote_print(stdout, remote_field(m, "version"));
        printf(": crashes: %.*s", CS_F(remote_field(m, "crashes")));
        if (number(m, "stalls") > 0)
            printf(", blocked: %.*s times", CS_F(remote_field(m, "stalls")));
        printf("%s\n", out ? ", in quarantine until a reload succeeds" : "");
    }
}

static void print_crashes(const struct remote *r)
{
    int64_t primary = remote_number(remote_answer(r, "primary_crashes"), 0);

    printf("crashes: %.*s of workers", CS_F(remote_answer(r, "crashes")));
    if (primary > 0)
        printf(", %lld of the primary", (long long)primary);
    putchar('\n');
}

static void print_last(const struct remote *r, const char *what, const char *key)
{
    cs_str last = remote_answer(r, key);
    time_t at = (time_t)number(last, "at"), now = time(NULL);
    char when[64] = "";

    if (last.n == 0)
        return;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime(&at));
    printf("last %s: %s (", what, when);
    print_time(now > at ? (int64_t)(now - at) : 0);
    printf(" ago), %s: ", str_is(remote_field(last, "ok"), "true") ? "good" : "failed");
    remote_print_line(stdout, "", remote_field(last, "message"));
}

static void print_changes(const struct remote *r)
{
    cs_str upgrade = remote_answer(r, "upgrade"), old = remote_answer(r, "old_pid");

    if (str_is(remote_answer(r, "reloading"), "true"))
        puts("a reload is under way");
    if (upgrade.n > 0)
        printf("an upgrade is %.*s: pid %.*s\n", CS_F(remote_field(upgrade, "state")),
               CS_F(remote_field(upgrade, "pid")));
    if (old.n > 0)
        printf("the server before, pid %.*s, still drains\n", CS_F(old));
    print_last(r, "reload", "last_reload");
    print_last(r, "upgrade", "last_upgrade");
}

/* ---- The whole ---- */

static void print_head(const struct remote *r)
{
    printf("cserver is %.*s, pid %.*s, up ", CS_F(remote_answer(r, "state")),
           CS_F(remote_answer(r, "pid")));
    print_time(remote_number(remote_answer(r, "uptime_s"), 0));
    putchar('\n');
    print_trouble(remote_answer(r, "degraded"));
    remote_print_line(stdout, "settings: ", remote_answer(r, "settings"));
    print_list("listening on:", remote_answer(r, "listeners"));
}

static int64_t total(const struct remote *r, const char *key)
{
    return remote_number(remote_answer(r, key), 0);
}

static void print_totals(const struct remote *r)
{
    printf("connections: %lld now", (long long)total(r, "connections"));
    print_kinds(total(r, "connections"), total(r, "streams"), total(r, "idle"));
    printf(", requests: %lld in all\n", (long long)total(r, "requests"));
}

static void print_generation(const struct remote *r)
{
    int64_t revision = remote_number(remote_answer(r, "revision"), 0);

    printf("generation %.*s", CS_F(remote_answer(r, "generation")));
    if (revision > 0)
        printf(", with %lld change%s at run time", (long long)revision, revision == 1 ? "" : "s");
    printf(": %.*s of %.*s workers ready, %.*s draining\n", CS_F(remote_answer(r, "ready")),
           CS_F(remote_answer(r, "wanted")), CS_F(remote_answer(r, "draining")));
}

void status_print(const struct remote *r)
{
    print_head(r);
    print_generation(r);
    print_workers(remote_answer(r, "workers"));
    print_drains(remote_answer(r, "workers"));
    print_primary(remote_answer(r, "primary"));
    print_modules(remote_answer(r, "modules"));
    print_totals(r);
    print_crashes(r);
    print_changes(r);
}
