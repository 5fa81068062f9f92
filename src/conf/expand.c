/* expand.c - the environment is read when the text is, before anybody knows whose key a value is: variables of a request stay
 * as they are until then. */
#include "conf/expand.h"

#include "conf/chars.h"
#include "conf/line.h"

#include <stdlib.h>

#define NAME_MAX_LEN 128

static bool is_variable_name(cs_str s)
{
    if (!s.n || s.n > NAME_MAX_LEN || (s.p[0] >= '0' && s.p[0] <= '9'))
        return false;
    return line_is_name(s, NAME_MAX_LEN) && !memchr(s.p, '.', s.n) && !memchr(s.p, '-', s.n);
}

static const char *look_up(cs_str name)
{
    char z[NAME_MAX_LEN + 1];

    memcpy(z, name.p, name.n);
    z[name.n] = '\0';
    return getenv(z);
}

/* What comes from outside is never looked through for variables. */
static void add_literally(cs_str value, struct buf *out)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '$' && i + 1 < value.n && value.p[i + 1] == '{')
            buf_add_char(out, '$');
        buf_add_char(out, value.p[i]);
    }
}

/* Replaces env.`what`, which is NAME or NAME:default. */
static int add_variable(cs_str what, struct buf *out, struct buf *error)
{
    const char *colon = memchr(what.p, ':', what.n), *value;
    cs_str name = {what.p, colon ? (size_t)(colon - what.p) : what.n};
    size_t width;

    if (!is_variable_name(name)) {
        buf_printf(error, "\"%.*s\" is no name of an environment variable",
                   name.n > NAME_MAX_LEN ? NAME_MAX_LEN : (int)name.n, name.p);
        return -1;
    }
    value = look_up(name);
    if (!value && !colon) {
        buf_printf(error,
                   "the environment variable %.*s is not set; set it, or give a default: "
                   "${env.%.*s:default}",
                   CS_F(name), CS_F(name));
        return -1;
    }
    if (!value) {
        add_literally((cs_str){colon + 1, what.n - name.n - 1}, out);
        return 0;
    }
    if (chars_check(str_of(value), true, &width, error) != strlen(value)) {
        buf_printf(error, " (in the environment variable %.*s)", CS_F(name));
        return -1;
    }
    add_literally(str_of(value), out);
    return 0;
}

static int add_braces(cs_str braces, struct buf *out, bool *env, struct buf *error)
{
    cs_str prefix = CS_S("${env.");

    if (!str_starts(braces, prefix)) {
        buf_add_str(out, braces);
        return 0;
    }
    *env = true;
    return add_variable((cs_str){braces.p + prefix.n, braces.n - prefix.n - 1}, out, error);
}

int expand_value(cs_str value, struct buf *out, bool *env, cs_str *where, struct buf *error)
{
    for (size_t i = 0; i < value.n; i++) {
        cs_str rest = {value.p + i, value.n - i};
        const char *close;

        if (str_starts(rest, CS_S("$${"))) {
            buf_add_z(out, "$${");
            i += 2;
            continue;
        }
        if (!str_starts(rest, CS_S("${"))) {
            buf_add_char(out, value.p[i]);
            continue;
        }
        close = memchr(rest.p, '}', rest.n);
        *where = close ? (cs_str){rest.p, (size_t)(close - rest.p) + 1} : rest;
        if (!close) {
            buf_add_z(error, "\"${\" without its \"}\"; a plain \"${\" is written \"$${\"");
            return -1;
        }
        if (add_braces(*where, out, env, error) < 0)
            return -1;
        i += where->n - 1;
    }
    return 0;
}

int expand_plain(cs_str value, struct buf *out, cs_str *where, struct buf *error)
{
    for (size_t i = 0; i < value.n; i++) {
        cs_str rest = {value.p + i, value.n - i};

        if (str_starts(rest, CS_S("$${"))) {
            buf_add_z(out, "${");
            i += 2;
        } else if (str_starts(rest, CS_S("${"))) {
            const char *close = memchr(rest.p, '}', rest.n);

            *where = close ? (cs_str){rest.p, (size_t)(close - rest.p) + 1} : rest;
            buf_printf(error,
                       "%.*s is not known here: this key takes no variables of a request, only "
                       "${env.NAME} and ${env.NAME:default}; a plain \"${\" is written \"$${\"",
                       where->n > NAME_MAX_LEN ? NAME_MAX_LEN : (int)where->n, where->p);
            return -1;
        } else {
            buf_add_char(out, value.p[i]);
        }
    }
    return 0;
}
