/* mime_fuzz.c - any bytes as the path of a file: its type is a media type, and only the extension of the last segment, in any
 * case, decides. */
#include "http/mime.h"
#include "http/token.h"
#include "input.h"

#define UNKNOWN "application/octet-stream"

static void check_type(cs_str type)
{
    cs_str part, rest = type;
    check(str_split(&rest, ';', &part));
    check(!rest.p || (str_is(rest, " charset=utf-8") && str_starts(part, CS_S("text/"))));
    cs_str main_type, sub = part;
    check(str_split(&sub, '/', &main_type) && http_is_token(main_type) && http_is_token(sub));
}

static const char *type_of(struct buf *path, const char *before, cs_str middle, const char *after)
{
    buf_clear(path);
    buf_add_z(path, before);
    buf_add_str(path, middle);
    buf_add_z(path, after);
    return http_mime_of(buf_str(path));
}

static void other_case(struct buf *text)
{
    for (size_t i = 0; i < text->n; i++) {
        char c = text->p[i];
        text->p[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : str_lower_char(c);
    }
}

/* What is known has an extension of letters and digits. */
static void check_extension(cs_str path)
{
    size_t i = path.n;
    while (i > 0 &&
           ((path.p[i - 1] >= '0' && path.p[i - 1] <= '9') ||
            (str_lower_char(path.p[i - 1]) >= 'a' && str_lower_char(path.p[i - 1]) <= 'z')))
        i--;
    check(i > 0 && i < path.n && path.p[i - 1] == '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cs_str path = input_of(data, size);
    struct buf other = {0};
    const char *type = http_mime_of(path);
    check_type(str_of(type));
    if (strcmp(type, UNKNOWN) != 0)
        check_extension(path);
    check(type_of(&other, "/folder.png/", path, "") == type);
    other_case(&other);
    check(strcmp(http_mime_of(buf_str(&other)), type) == 0);
    check(strcmp(type_of(&other, "", path, "/"), UNKNOWN) == 0);
    check(strcmp(type_of(&other, "", path, "."), UNKNOWN) == 0);
    check(strcmp(type_of(&other, "", path, ".html"), "text/html; charset=utf-8") == 0);
    buf_free(&other);
    return 0;
}
