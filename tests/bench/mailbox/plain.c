/* plain.c - the handler of modules/counter without the counting: what the other two cost is what they have more. */
#include <cserver/cserver.h>

static int handler(cs_req *r)
{
    return cs_text(r, 200, "hello world\n");
}

CS_MODULE(.name = "plain", .version = "1.0", .help = "Answers, and tells nobody.",
          .handler = handler);
