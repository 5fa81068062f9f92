#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOTE "{\"id\":1,\"text\":\"with \\\"quotes\\\"\\n\"}"

int main(void)
{
    char folder[] = "/tmp/cs-XXXXXX", file[64], settings[100];
    assert(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/notes.db", folder);
    snprintf(settings, sizeof settings, "database = %s\n", file);
    struct cst *t = cst_open("./sqlite.so", settings);
    cst_expect(cst_get(t, "/elsewhere"), 404, NULL);
    cst_expect(cst_get(t, "/notes1"), 404, NULL);
    cst_expect(cst_get(t, "/notes?before=x"), 400, NULL);

    cst_expect(cst_get(t, "/notes"), 200, "[]");
    cst_answer a =
        cst_expect(cst_request(t, "POST", "/notes", NULL, "with \"quotes\"\n"), 201, NOTE);
    assert(cst_is(cst_field(&a, "Location"), "/notes/1"));
    cst_expect(cst_get(t, "/notes/1"), 200, NOTE);
    cst_expect(cst_get(t, "/notes"), 200, "[" NOTE "]");
    cst_expect(cst_get(t, "/notes?before=1"), 200, "[]");
    cst_expect(cst_request(t, "POST", "/notes", NULL, ""), 400, NULL);
    cst_expect(cst_request(t, "PUT", "/notes/1", NULL, ""), 405, NULL);

    static const char *const calls[] = {"alloc", "on_close", "offload"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        cst_fail(t, calls[i], 1);
        cst_expect(cst_get(t, "/notes/1"), 503, NULL);
    }
    cst_fail(t, "escape", 1);
    cst_expect(cst_request(t, "POST", "/notes", NULL, "x"), 503, NULL);
    for (unsigned k = 1; k <= 2; k++) { /* the Location only */
        cst_fail(t, k == 1 ? "escape" : "format", k == 1 ? 2 : 1);
        cst_expect(cst_request(t, "POST", "/notes", NULL, "x"), 201, NULL);
    }

    cst_req *gone = cst_begin(t, "GET", "/notes", NULL, ""); /* its job has nobody left to tell */
    cst_abort(gone);
    cst_run(t);
    cst_worker(t, 2, 2);
    cst_expect(cst_get(t, "/notes/1"), 200, NOTE);
    cst_expect(cst_request(t, "DELETE", "/notes/1", NULL, ""), 204, "");
    cst_expect(cst_request(t, "DELETE", "/notes/1", NULL, ""), 404, "{\"error\":\"no such note\"}");
    cst_close(t);
    assert(strstr(cst_check("./sqlite.so", NULL), "database"));
    const char *const ends[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", file, ends[i]);
        unlink(name);
    }
    assert(rmdir(folder) == 0);
}
