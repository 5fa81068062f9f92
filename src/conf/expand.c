/* expand.c - names other than env.* are kept for variables of a request and refused until they
 * exist, so that no file starts to mean something else later. */
#include "conf/expand.h"

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
        buf_add(out, colon + 1, what.n - name.n - 1);
        return 0;
    }
    if (line_check_text(str_of(value), true, &width, error) != strlen(value)) {
        buf_printf(error, " (in the environment variable %.*s)", CS_F(name));
        return -1;
    }
    buf_add_z(out, value);
    return 0;
}

static int add_braces(cs_str inside, struct buf *out, bool *env, struct buf *error)
{
    cs_str prefix = CS_S("env.");

    if (!str_starts(inside, prefix)) {
        buf_printf(error,
                   "${%.*s} is not known; settings take ${env.NAME} and ${env.NAME:default}, and a "
                   "plain \"${\" is written \"$${\"",
                   inside.n > NAME_MAX_LEN ? NAME_MAX_LEN : (int)inside.n, inside.p);
        return -1;
    }
    *env = true;
    return add_variable((cs_str){inside.p + prefix.n, inside.n - prefix.n}, out, error);
}

int expand_value(cs_str value, struct buf *out, bool *env, cs_str *where, struct buf *error)
{
    for (size_t i = 0; i < value.n; i++) {
        cs_str rest = {value.p + i, value.n - i};
        const char *close;

        if (str_starts(rest, CS_S("$${"))) {
            buf_add_z(out, "${");
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
        if (add_braces((cs_str){rest.p + 2, where->n - 3}, out, env, error) < 0)
            return -1;
        i += where->n - 1;
    }
    return 0;
}
