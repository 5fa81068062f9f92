#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ann:open, and the same with `openssl passwd -6 -salt salt open`. */
#define PLAIN "users = ann:open, bob:sesame\n"

static cst_answer ask(struct cst *t, const char *authorization)
{
    return cst_request(t, "GET", "/", authorization, "");
}

static size_t hashes_tried;

static const struct {
    const char *name, *hash; /* of "open" */
} hashes[] = {
    {"bcrypt", "$2b$04$KBCwKxOzLha2MUDgW0PjXeAs1CLKnE00SoLkNZNyQc3qYbEs7Dnoa"},
    {"bcrypt 2y", "$2y$04$KBCwKxOzLha2MUDgW0PjXeAs1CLKnE00SoLkNZNyQc3qYbEs7Dnoa"},
    {"bcrypt 05", "$2b$05$KBCwKxOzLha2MUDgW0PjXepJF4hKcArTPxxo12zoJ2jnt6nJesg7W"},
    {"SHA-256", "$5$saltsalt$4NEBeCMO9KNtDGCX12S.OqmGJOmVMFPPt4vh0LEuNf."},
    {"SHA-256 rounds",
     "$5$rounds=1000$k2XAnEHBqQ1Ct2aM$PjnBlV3CGYFVsvi0a0fVnqYDAqYob9iOtAAXv07Lz88"},
    {"SHA-512 rounds", "$6$rounds=1000$k2XAnEHBqQ1Ct2aM$liXroSAh6c5kwsKbWULQJGe5OlJopL5hS."
                       "WQ3dEVgadhwixZ8/HwzQA1.Pbq4sKUWq//v/qybjfiRjCPxP.N0."},
    {"yescrypt", "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/"
                 "HAmA1BpMnBsYHMWB4NZN4$LjD6AYdIncq0hFbkNlK02FVGkafzJ.SYYHvgRJ3uP04"},
};

static unsigned counted(struct cst *t, const char *name)
{
    return (unsigned)cst_counter(t, name);
}

static const char *users_of(char *to, size_t size, const char *hash, const char *more)
{
    snprintf(to, size, "users = ann:%s%s\n", hash, more);
    return to;
}

#define ANN "Authorization: Basic YW5uOm9wZW4="     /* ann:open */
#define BOB "Authorization: Basic Ym9iOnNlc2FtZQ==" /* bob:sesame */

/* Each method, and what is remembered of it. */
static void test_hashes(void)
{
    char text[512];
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        const char *settings = users_of(text, sizeof text, hashes[i].hash, "");
        if (cst_check("./auth.so", settings)) /* built without libcrypt */
            continue;
        struct cst *t = cst_open("./auth.so", settings);
        cst_expect(ask(t, ANN), 200, "ok\n");
        cst_expect(ask(t, "Authorization: Basic YW5uOnNlc2FtZQ=="), 401, NULL);
        cst_expect(ask(t, "Authorization: Basic ZXZlOm9wZW4="), 401, NULL);
        assert(counted(t, "computed_total") == 3);
        cst_expect(ask(t, ANN), 200, "ok\n");
        cst_advance(t, 299000);
        cst_expect(ask(t, ANN), 200, "ok\n");
        assert(counted(t, "computed_total") == 3 && counted(t, "remembered_total") == 2);
        cst_advance(t, 2000);
        cst_expect(ask(t, ANN), 200, "ok\n");
        assert(counted(t, "computed_total") == 4);
        cst_worker(t, 1, 1); /* as after a reload: nothing is remembered */
        cst_expect(ask(t, ANN), 200, "ok\n");
        assert(counted(t, "computed_total") == 5);
        assert(counted(t, "passed_total") == 5 && counted(t, "refused_total") == 2);
        cst_fail(t, "offload", 1);
        cst_expect(ask(t, BOB), 503, NULL);
        cst_close(t);
        users_of(text, sizeof text, hashes[i].hash, "\ncache = 0");
        t = cst_open("./auth.so", text);
        for (int k = 0; k < 3; k++)
            cst_expect(ask(t, ANN), 200, "ok\n");
        assert(counted(t, "computed_total") == 3);
        cst_close(t);
        hashes_tried++;
    }
}

static char path[] = "/tmp/auth_test.XXXXXX";

static const char *users_file(const char *content)
{
    static char settings[64];
    static int fd = -1;
    if (fd < 0)
        fd = mkstemp(path);
    assert(fd >= 0 && ftruncate(fd, 0) == 0);
    assert(pwrite(fd, content, strlen(content), 0) == (ssize_t)strlen(content));
    snprintf(settings, sizeof settings, "users_file = %s\n", path);
    return settings;
}

#define H4  "$2b$04$KBCwKxOzLha2MUDgW0PjXeAs1CLKnE00SoLkNZNyQc3qYbEs7Dnoa"
#define BAD "$2b$04$KBCwKxOzLha2MUDgW0PjXeAs1CLKnE00SoLk"

/* A file that changes, once wrongly. */
static void test_file(void)
{
    struct cst *t =
        cst_open("./auth.so", users_file("# who\n\nann:" H4 "\r\neve:" H4 ":a comment\n"));
    cst_expect(ask(t, ANN), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic ZXZlOm9wZW4="), 200, "ok\n");
    cst_expect(ask(t, BOB), 401, NULL);
    users_file("eve:" H4 "\nann:" BAD "\n");
    cst_advance(t, 1000);
    cst_expect(ask(t, ANN), 200, "ok\n");
    assert(cst_logged(t, ":2: ann has a hash that is cut off") && cst_logged(t, "remain"));
    users_file("eve:" H4 "\n");
    cst_expect(ask(t, ANN), 200, "ok\n"); /* looked at once in a second */
    cst_advance(t, 1000);
    cst_expect(ask(t, ANN), 401, NULL); /* also what was remembered */
    cst_close(t);
}

static void test_bad_files(void)
{
    static const struct {
        const char *content, *says;
    } rows[] = {
        {"", "there is nobody in it"},
        {"# nobody\n", "there is nobody in it"},
        {"ann:" H4 "\nbob\n", ":2: this is not name:hash"},
        {":" H4, ":1: this is not name:hash"},
        {"ann:" H4 "\n\nann:" H4, ":3: ann is in line 1 too"},
        {"ann:\n", ":1: ann has no password"},
        {"ann:open\n", ":1: ann has no hash: in a file"},
        {"ann:$apr1$abc$def\n", "is not bcrypt"},
        {"ann:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=\n", "has no hash"},
        {"ann:" BAD, "cut off"},
        {"ann:" H4 "x\n", "too long"},
        {"ann:$2b$03$" H4, "cost"},
        {"ann:$2b$32$" H4, "cost"},
        {"ann:$y$j9T$salt\n", "cut off"},
        {"ann:$y$!$salt$x\n", "parameters"},
        {" ann " H4 "\n", "name:hash"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *said = cst_check("./auth.so", users_file(rows[i].content));
        if (!said || !strstr(said, rows[i].says))
            fprintf(stderr, "row %zu (%s): %s\n", i, rows[i].says, said ? said : "no error");
        assert(said && strstr(said, rows[i].says));
    }
    assert(strstr(cst_check("./auth.so", "users_file = /nowhere\n"),
                  "cannot be opened: No such file"));
    assert(strstr(cst_check("./auth.so", "users_file = /\n"), "it is no file"));
    char both[256];
    snprintf(both, sizeof both, "%susers = ann:open\n", users_file("eve:" H4 "\nann:" H4 "\n"));
    assert(strstr(cst_check("./auth.so", both), ":2: ann is among `users` too"));
}

/* Plain ones and hashes, and more kinds of those than there may be. */
static void test_mixtures(void)
{
    char text[1024];
    struct cst *t =
        cst_open("./auth.so", users_of(text, sizeof text, hashes[0].hash, ", bob:sesame"));
    cst_expect(ask(t, ANN), 200, "ok\n");
    cst_expect(ask(t, BOB), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic Ym9iOm9wZW4="), 401, NULL);     /* bob:open */
    cst_expect(ask(t, "Authorization: Basic YW5uOnNlc2FtZQ=="), 401, NULL); /* ann:sesame */
    assert(counted(t, "computed_total") == 4); /* he waits as she does */
    cst_expect(ask(t, BOB), 200, "ok\n");
    assert(counted(t, "computed_total") == 4);
    cst_close(t);
    snprintf(text, sizeof text, "users = a:%s, b:%s, c:%s, d:%s, ann:%s\n", hashes[0].hash,
             hashes[2].hash, hashes[3].hash, hashes[4].hash, hashes[1].hash);
    t = cst_open("./auth.so", text);
    cst_expect(ask(t, ANN), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic YTpvcGVu"), 200, "ok\n"); /* a:open */
    cst_expect(ask(t, "Authorization: Basic YjpvcGVu"), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic YzpvcGVu"), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic ZDpvcGVu"), 200, "ok\n");
    cst_expect(ask(t, "Authorization: Basic ZDpvcGVuZA=="), 401, NULL);
    cst_close(t);
    snprintf(text, sizeof text, "users = a:%s, b:%s, c:%s, d:%s, e:%s\n", hashes[0].hash,
             hashes[2].hash, hashes[3].hash, hashes[4].hash, hashes[5].hash);
    assert(strstr(cst_check("./auth.so", text), "more than 4 methods and costs"));
}

int main(void)
{
    test_hashes();
    if (hashes_tried) {
        test_file();
        test_bad_files();
        test_mixtures();
        unlink(path);
    }
    struct cst *t = cst_open("./auth.so", PLAIN "realm = Here\n");
    cst_answer a = cst_expect(cst_get(t, "/"), 401, NULL);
    assert(cst_is(cst_field(&a, "WWW-Authenticate"), "Basic realm=\"Here\", charset=\"UTF-8\""));
    cst_expect(ask(t, "Authorization: Basic YW5uOm9wZW4="), 200, "ok\n");     /* ann:open */
    cst_expect(ask(t, "Authorization: Basic YW5uOnNlc2FtZQ=="), 401, NULL);   /* ann:sesame */
    cst_expect(ask(t, "Authorization: Basic Ym9iOnNlc2FtZQ=="), 200, "ok\n"); /* bob:sesame */
    cst_expect(ask(t, "Authorization: Basic ZXZlOm9wZW4="), 401, NULL);       /* eve:open */
    cst_expect(ask(t, "Authorization: Basic ???"), 401, NULL);
    cst_expect(ask(t, "Authorization: Bearer YW5uOm9wZW4="), 401, NULL);
    for (unsigned k = 1; k < 3; k++) {
        cst_fail(t, "alloc", k);
        cst_expect(ask(t, "Authorization: Basic YW5uOm9wZW4="), 503, NULL);
    }
    cst_close(t);
    assert(strstr(cst_check("./auth.so", "users = ann\n"), "is not name:password"));
    assert(strstr(cst_check("./auth.so", "users = ann:a, bob:$6$salt$hash\n"), "the 2. one"));
    assert(strstr(cst_check("./auth.so", "users = ann:a, bob:b, ann:c\n"),
                  "the 3. one (ann) has the name of the 1."));
    assert(strstr(cst_check("./auth.so", NULL), "\"users\" ("));
    assert(strstr(cst_check("./auth.so", NULL), " or \"users_file\" ("));
}
