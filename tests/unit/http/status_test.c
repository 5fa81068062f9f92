/* Status lines and reasons. */
#include "http/status.h"

#include "edge.h"

static void reasons(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {103, "Early Hints"},
        {199, "Informational"},
        {200, "OK"},
        {204, "No Content"},
        {206, "Partial Content"},
        {299, "Success"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {306, "Redirection"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "Client Error"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Error"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {599, "Server Error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(http_status_reason(rows[i].status), rows[i].reason) != 0)
            fail_msg("%d: \"%s\"", rows[i].status, http_status_reason(rows[i].status));
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

static void every_line_fits_its_reason(void **state)
{
    (void)state;
    for (int status = 100; status <= 599; status++) {
        char want[128];
        cs_str got = http_status_line(status);
        snprintf(want, sizeof want, "HTTP/1.1 %d %s\r\n", status, http_status_reason(status));
        if (!str_is(got, want))
            fail_msg("%d: \"%.*s\"", status, CS_F(got));
    }
}

static void bodiless(void **state)
{
    (void)state;
    for (int status = 100; status <= 599; status++) {
        bool want = status < 200 || status == 204 || status == 304;
        assert_int_equal(http_status_bodiless(status), want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons),
        cmocka_unit_test(every_line_fits_its_reason),
        cmocka_unit_test(bodiless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
