/* whole.c - a module for tests: wants the whole body, and tells its length and whether memory can
 * still be had beside it. */
#include <cserver/cserver.h>

static int handler(cs_req *r)
{
    _Bool room = cs_alloc(r, 1 << 20) != NULL;
    return cs_textf(r, 200, "%zu bytes, %s", cs_body(r).n, room ? "room" : "no room");
}

CS_MODULE(.name = "whole", .version = "1.0", .help = "Wants the whole body.", .handler = handler);
