#undef NDEBUG
#include <assert.h>
#include <cserver/test.h>
#include <stdio.h>

static void test_answers(void)
{
    static const struct {
        const char *settings, *target;
        int status;
        const char *text;
    } rows[] = {
        {"", "/", 200, ""},
        {"text = hello\n", "/", 200, "hello"},
        {"status = 410\ntext = gone\n", "/", 410, "gone"},
        {"status = 204\n", "/", 204, ""},
        {"text = ${method} ${path} ${query.x}\n", "/a%20b?x=1%262", 200, "GET /a b 1&2"},
        {"text = <p>${query.x}</p>\ntype = text/html\n", "/?x=<script>", 200,
         "<p>&lt;script&gt;</p>"},
        {"text = {\"x\": \"${query.x}\"}\ntype = application/json\n", "/?x=%22%0a", 200,
         "{\"x\": \"\\\"\\n\"}"},
        {"text = f('${query.x}')\ntype = text/javascript\n", "/?x=')//", 200, "f('\\u0027)//')"},
        {"text = <a>${query.x}</a>\ntype = image/svg+xml\n", "/?x=%26", 200, "<a>&amp;</a>"},
        {"text = $${path}\n", "/", 200, "${path}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cst *t = cst_open("./return.so", rows[i].settings);
        cst_expect(cst_get(t, rows[i].target), rows[i].status, rows[i].text);
        cst_close(t);
    }
}

int main(void)
{
    test_answers();
    struct cst *t = cst_open("./return.so", "status = 403\n");
    cst_answer a = cst_get(t, "/");
    assert(a.status == 403 && a.body.n > 20); /* the server's page */
    cst_close(t);
    assert(strstr(cst_check("./return.so", "status = 301\n"), "redirect"));
    assert(strstr(cst_check("./return.so", "status = 204\ntext = x\n"), "no text"));
    assert(strstr(cst_check("./return.so", "status = 600\n"), "599"));
    assert(strstr(cst_check("./return.so", "text = ${pth}\n"), "did you mean ${path}?"));
    assert(strstr(cst_check("./return.so", "type = \"\"\n"), "type"));
}
