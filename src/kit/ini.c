/* ini.c - stands in for libinih, so that who links the kit needs none. conf/source.c gives it only lines that cannot be
 * misread: "[section]", "key=value" and, with a blank before it, more of the value. */
#include <ini.h>

#include <stdio.h>
#include <string.h>

static int give(ini_handler handler, void *user, const char *name, const char *value)
{
    return handler(user, "", name, value);
}

int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
    char line[1024], name[64] = "";
    while (reader(line, sizeof line, stream)) {
        char *value = line[0] == ' ' ? line + 1 : strchr(line, '=');
        if (line[0] == '[')
            continue;
        if (!value)
            return 1;
        if (line[0] != ' ') {
            snprintf(name, sizeof name, "%.*s", (int)(value - line), line);
            value++;
        }
        if (!give(handler, user, name, value))
            return 1;
    }
    return 0;
}
