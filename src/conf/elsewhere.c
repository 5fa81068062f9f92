/* elsewhere.c - keys that operators bring with them from nginx, and what does that here. */
#include "conf/bind.h"

#include "base/check.h"

static const struct {
    const char *theirs;
    const char *ours; /* NULL: nothing does */
} keys[] = {
    {"add_header", "\"set\" or \"add\" of the module headers"},
    {"alias", "\"root\" of a [route:...], with try_files = ${capture.rest}"},
    {"autoindex", NULL},
    {"auth_basic", "\"realm\" of the module auth"},
    {"auth_basic_user_file", "\"users_file\" of the module auth"},
    {"client_body_timeout", "\"body_timeout\""},
    {"client_header_timeout", "\"head_timeout\" of [limits]"},
    {"client_max_body_size", "\"max_body\""},
    {"expires", "\"cache_control\", such as max-age=2592000"},
    {"fastcgi_pass", NULL},
    {"gzip", "the module compress, behind \"use\""},
    {"gzip_types", "\"types\" of the module compress"},
    {"limit_conn", "\"connections\" of the module ratelimit"},
    {"limit_except", "\"methods\" of a [route:...]"},
    {"limit_req", "\"requests\" and \"per\" of the module ratelimit"},
    {"limit_req_zone", "\"key\", \"requests\" and \"per\" of the module ratelimit"},
    {"location", "\"match\" of a [route:...]"},
    {"proxy_pass", NULL},
    {"real_ip_header", "\"client_from\" of [listen:...]"},
    {"return", "the module return, or redirect for 3xx: the \"handler\" of a [route:...]"},
    {"satisfy", "two routes with one match, the first with \"clients\", the second with auth"},
    {"send_timeout", "\"write_timeout\""},
    {"server_name", "\"host\" of [site:...]"},
    {"set_real_ip_from", "\"trusted\" of [listen:...]"},
    {"ssl_certificate", NULL},
    {"ssl_certificate_key", NULL},
    {"worker_connections", "\"max_connections\" of [limits]"},
    {"worker_processes", "\"workers\" of [server]"},
};

bool elsewhere_key(cs_str name, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!str_is(name, keys[i].theirs))
            continue;
        if (keys[i].ours)
            buf_printf(out, "; what nginx calls so is here %s", keys[i].ours);
        else
            buf_add_z(out, "; what nginx calls so is not there yet");
        return true;
    }
    return false;
}
