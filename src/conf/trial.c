#include "conf/trial.h"

#include "http/token.h"
#include "http/uri.h"

#define FORM "METHOD TARGET STATUS, such as GET /health 200 or GET http://example.com/ 2xx"

static int refuse(struct buf *error, cs_str what, const char *why)
{
    buf_printf(error, "probe: \"%.*s\" %s; an element is " FORM, CS_F(what), why);
    return -1;
}

/* The next word of *rest; empty at its end. */
static cs_str next_word(cs_str *rest)
{
    cs_str word;

    *rest = str_trim(*rest);
    word = (cs_str){rest->p, 0};
    while (word.n < rest->n && rest->p[word.n] != ' ' && rest->p[word.n] != '\t')
        word.n++;
    *rest = (cs_str){rest->p + word.n, rest->n - word.n};
    return word;
}

static bool is_target(cs_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_is((unsigned char)s.p[i], HTTP_CLASS_TARGET))
            return false;
    return s.n > 0 && s.p[0] == '/';
}

static bool is_authority(cs_str s)
{
    cs_str host;
    int port;

    return http_host_split(s, &host, &port) && host.n > 0;
}

static int parse_target(cs_str word, struct conf_trial *out, struct buf *error)
{
    cs_str scheme = CS_S("http://"), rest;

    out->host = CS_S("localhost");
    out->path = word;
    if (str_starts(word, CS_S("https://")))
        return refuse(error, word, "asks for TLS, and a probe speaks plain HTTP: write http://");
    if (str_starts(word, scheme)) {
        rest = (cs_str){word.p + scheme.n, word.n - scheme.n};
        out->host = (cs_str){rest.p, 0};
        while (out->host.n < rest.n && rest.p[out->host.n] != '/' && rest.p[out->host.n] != '?')
            out->host.n++;
        out->path = (cs_str){rest.p + out->host.n, rest.n - out->host.n};
        if (!is_authority(out->host))
            return refuse(error, word, "names no host");
        if (!out->path.n)
            out->path = CS_S("/");
    }
    return is_target(out->path)
               ? 0
               : refuse(error, word,
                        "is no target: it begins with / or http://, and has no blank, "
                        "no # and nothing outside of ASCII");
}

static bool is_digit(char c, char from, char to)
{
    return c >= from && c <= to;
}

static int parse_status(cs_str word, struct conf_trial *out, struct buf *error)
{
    bool good = word.n == 3 && is_digit(word.p[0], '2', '5');

    if (good && str_is((cs_str){word.p + 1, 2}, "xx")) {
        out->first = (word.p[0] - '0') * 100;
        out->last = out->first + 99;
    } else if (good && is_digit(word.p[1], '0', '9') && is_digit(word.p[2], '0', '9')) {
        out->first = (word.p[0] - '0') * 100 + (word.p[1] - '0') * 10 + (word.p[2] - '0');
        out->last = out->first;
    } else {
        return refuse(error, word, "is no status of 200 to 599, nor 2xx to 5xx");
    }
    out->wanted = word;
    return 0;
}

int conf_trial_parse(cs_str text, struct conf_trial *out, struct buf *error)
{
    cs_str rest = text, target, status;

    *out = (struct conf_trial){.text = text};
    out->method = next_word(&rest);
    target = next_word(&rest);
    status = next_word(&rest);
    if (!status.n || str_trim(rest).n)
        return refuse(error, text, "has not three words");
    if (!http_is_token(out->method) || str_is(out->method, "CONNECT"))
        return refuse(error, out->method, "is no method that can be asked for here");
    return parse_target(target, out, error) < 0 ? -1 : parse_status(status, out, error);
}
