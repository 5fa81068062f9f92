/* Media types by extension. */
#include "http/mime.h"

#include "edge.h"

#define UNKNOWN       "application/octet-stream"
#define THREE_LETTERS 99 /* extensions of that length in the table */

static const struct {
    const char *path, *type;
} rows[] = {
    {"/index.html", "text/html; charset=utf-8"},
    {"/a.htm", "text/html; charset=utf-8"},
    {"/a.css", "text/css; charset=utf-8"},
    {"/a.js", "text/javascript; charset=utf-8"},
    {"/a.mjs", "text/javascript; charset=utf-8"},
    {"/a.json", "application/json"},
    {"/a.js.map", "application/json"},
    {"/a.jsonl", "application/jsonl"},
    {"/a.webmanifest", "application/manifest+json"},
    {"/a.wasm", "application/wasm"},
    {"/a.avif", "image/avif"},
    {"/a.webp", "image/webp"},
    {"/a.svg", "image/svg+xml"},
    {"/favicon.ico", "image/x-icon"},
    {"/a.png", "image/png"},
    {"/a.jpg", "image/jpeg"},
    {"/a.jpeg", "image/jpeg"},
    {"/a.gif", "image/gif"},
    {"/a.woff", "font/woff"},
    {"/a.woff2", "font/woff2"},
    {"/a.ttf", "font/ttf"},
    {"/a.m3u8", "application/vnd.apple.mpegurl"},
    {"/a.ts", "video/mp2t"},
    {"/a.mp4", "video/mp4"},
    {"/a.webm", "video/webm"},
    {"/a.mp3", "audio/mpeg"},
    {"/a.ogg", "audio/ogg"},
    {"/a.txt", "text/plain; charset=utf-8"},
    {"/a.md", "text/markdown; charset=utf-8"},
    {"/a.csv", "text/csv; charset=utf-8"},
    {"/a.vtt", "text/vtt; charset=utf-8"},
    {"/a.xml", "application/xml"},
    {"/a.rss", "application/rss+xml"},
    {"/a.pdf", "application/pdf"},
    {"/a.zip", "application/zip"},
    {"/a.tar.gz", "application/gzip"},
    {"/a.7z", "application/x-7z-compressed"},
    {"/a.3gp", "video/3gpp"},
    {"/a.yml", "application/yaml"},
    {"/a.gltf", "model/gltf+json"},
    {"/A.HTML", "text/html; charset=utf-8"},
    {"/a.WoFf2", "font/woff2"},
    {"a.png", "image/png"},
    {".png", "image/png"},
    {"/x.html/y.png", "image/png"},
    {"/x.png/y", UNKNOWN},
    {"/x.png/", UNKNOWN},
    {"/", UNKNOWN},
    {"", UNKNOWN},
    {"/a", UNKNOWN},
    {"/a.", UNKNOWN},
    {"/a.unknown", UNKNOWN},
    {"/a.htmlx", UNKNOWN},
    {"/a.htm l", UNKNOWN},
    {"/a.longerthananything", UNKNOWN},
    {"/a.webmanifests", UNKNOWN},
    {"/a.bin", UNKNOWN},
    {"/a.html%00", UNKNOWN},
};

static void types(void **state)
{
    (void)state;
    struct edge page = edge_open(4096);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_text(rows[i].path, "type", http_mime_of(edge_put(&page, str_of(rows[i].path))),
                    rows[i].type);
    assert_string_equal(http_mime_of(CS_S("/a.html\0")), UNKNOWN);
    assert_string_equal(http_mime_of(CS_S("/a.\0html")), UNKNOWN);
    edge_close(&page);
    printf("rows: %zu\n", sizeof rows / sizeof rows[0]);
}

/* A table that is not sorted loses some of its rows: every short extension must be found, or be
 * none. Counts what three letters and fewer reach, so that no row can vanish unseen. */
static void the_table_is_sorted(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t known = 0, n = sizeof letters - 1;
    for (size_t i = 0; i < n * n * n; i++) {
        char path[] = {'.', letters[i / n / n], letters[i / n % n], letters[i % n], 0};
        known += strcmp(http_mime_of(str_of(path)), UNKNOWN) != 0;
    }
    assert_int_equal(known, THREE_LETTERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(the_table_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
