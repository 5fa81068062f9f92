#include "serve/variable.h"

#include "http/query.h"
#include "serve/api_calls.h"
#include "serve/capture.h"

#define VALUE_MAX (1u << 20) /* of one text: more is no address, field or page */

static cs_str header(struct request *r, cs_str name)
{
    const struct http_header *h = http_head_find(&r->head, name);
    return h ? h->value : (cs_str){0};
}

static cs_str zero_ended(struct request *r, cs_str name)
{
    return arena_dup(&r->arena, name);
}

cs_str variable_value(struct request *r, const struct template_part *part)
{
    cs_req *pub = request_public(r);
    switch (part->var) {
    case TEMPLATE_CAPTURE:
        return capture_value(&r->found, part);
    case TEMPLATE_CLIENT:
        return api_info(pub)->client;
    case TEMPLATE_COOKIE:
        return api_cookie(pub, zero_ended(r, part->text).p);
    case TEMPLATE_HEADER:
        return header(r, part->text);
    case TEMPLATE_HOST:
        return request_host(r);
    case TEMPLATE_METHOD:
        return r->method;
    case TEMPLATE_PATH:
        return r->path;
    case TEMPLATE_PEER:
        return api_info(pub)->peer;
    case TEMPLATE_QUERY:
        return r->head.target_query;
    case TEMPLATE_QUERY_NAME:
        return api_query(pub, zero_ended(r, part->text).p);
    case TEMPLATE_REQUEST_ID:
        return request_id(r);
    case TEMPLATE_ROUTE:
        return r->route->label;
    case TEMPLATE_SCHEME:
        return CS_S("http");
    case TEMPLATE_SITE:
        return r->route->site->head.label;
    case TEMPLATE_TARGET:
        return r->head.target;
    case TEMPLATE_USER:
        return r->user;
    default:
        return (cs_str){0};
    }
}

static cs_str look_up(void *arg, const struct template_part *part)
{
    return variable_value(arg, part);
}

cs_str variable_expand(struct request *r, const cs_template *pub, int where)
{
    const struct template *t = template_of(pub);
    if (where < CS_ESCAPE_PATH || where > CS_ESCAPE_URL)
        return (cs_str){0};
    cs_str plain = template_plain(t);
    if (plain.p)
        return plain;
    struct buf text = {0};
    template_render(t, where, look_up, r, &text);
    cs_str out = text.n <= VALUE_MAX ? arena_dup(&r->arena, buf_str(&text)) : (cs_str){0};
    buf_free(&text);
    return out;
}
