#include "http/field.h"

#include "http/scan.h"
#include "http/token.h"

static int refuse(const char **error, const char *sentence)
{
    *error = sentence;
    return FIELD_WRONG;
}

/* The same with a better sentence for the two bytes that smuggle. */
static int refuse_byte(const char **error, char c, const char *sentence)
{
    if (c == '\n')
        sentence = "a line ends with LF instead of CRLF";
    else if (c == '\r')
        sentence = "a CR without LF";
    return refuse(error, sentence);
}

/* A CR is at i. */
static int line_end(const char *p, size_t i, size_t n, const char **error)
{
    if (i + 1 == n)
        return FIELD_MORE;
    return p[i + 1] == '\n' ? FIELD_LINE : refuse(error, "a CR without LF");
}

/* FIELD_LINE: a field begins here. */
static int look_at_start(struct field_place *at, const char *p, size_t n, bool room,
                         const char **error)
{
    if (at->line == n)
        return FIELD_MORE;
    char c = p[at->line];
    if (c == '\r')
        return line_end(p, at->line, n, error);
    if (c == ' ' || c == '\t')
        return refuse(error, "a field line starts with a blank (obs-fold)");
    return room ? FIELD_LINE : FIELD_FULL;
}

/* FIELD_LINE: the colon is there. */
static int read_name(struct field_place *at, const char *p, size_t n, const char **error)
{
    size_t i = at->scanned;
    while (i < n && http_is_tchar((unsigned char)p[i]))
        i++;
    at->scanned = i;
    if (i == n)
        return FIELD_MORE;
    if (p[i] != ':' || i == at->line)
        return refuse_byte(error, p[i], "a field name is empty or has a byte it may not have");
    at->colon = i;
    at->scanned = i + 1;
    return FIELD_LINE;
}

/* FIELD_LINE: so is the line end. */
static int read_value(struct field_place *at, const char *p, size_t n, const char **error)
{
    size_t i = at->scanned = scan_now->value(p, at->scanned, n);
    if (i == n)
        return FIELD_MORE;
    if (p[i] != '\r')
        return refuse_byte(error, p[i], "a field value has a control byte");
    return line_end(p, i, n, error);
}

int field_next(struct field_place *at, const char *p, size_t n, struct http_header *to,
               const char **error)
{
    int verdict = FIELD_LINE;
    if (at->scanned == at->line)
        verdict = look_at_start(at, p, n, to != NULL, error);
    if (verdict == FIELD_LINE && !at->colon)
        verdict = read_name(at, p, n, error);
    if (verdict == FIELD_LINE)
        verdict = read_value(at, p, n, error);
    if (verdict == FIELD_LINE) {
        scan_keep(to, p + at->line, p + at->colon, p + at->scanned);
        *at = (struct field_place){.line = at->scanned + 2, .scanned = at->scanned + 2};
    }
    return verdict;
}
