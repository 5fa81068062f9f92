/* The table of cs_api: the calls about requests and answers are in api_request.c and api_response.c, those about the process
 * in module/. */
#include "serve/api.h"

#include "conf/mark.h"
#include "http/mime.h"
#include "http/template.h"
#include "module/call.h"
#include "module/counter.h"
#include "module/host.h"
#include "module/job.h"
#include "module/post.h"
#include "module/watch.h"
#include "module/zone.h"
#include "serve/api_calls.h"
#include "serve/api_debug.h"
#include "serve/metrics.h"
#include "serve/offload.h"
#include "serve/request.h"

#include <stdio.h>

/* The one worker that lives in this process: modules do not carry it around. NULL in the primary, where no request is. */
static struct serve *here;
struct cs_conf {
    struct report *report;
    const struct conf_head *section;
    const char *module;
    bool told; /* an outer scope has been told of the same */
};

/* ---- Settings under test ---- */

static const struct conf_value *value_of(const struct conf_head *section, const char *directive)
{
    for (size_t i = 0; section && i < section->nvalues; i++)
        if (!strcmp(section->values[i].directive->name, directive))
            return &section->values[i];
    return NULL;
}

static int api_conf_error(cs_conf *c, const char *directive, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct conf_value *v = value_of(c->section, directive);
    report_error(c->report,
                 v            ? &v->origin
                 : c->section ? &c->section->at
                              : NULL,
                 1, "module %s: %s: %s", c->module, directive, text);
    return CS_ERROR;
}

/* Lists that add up come again in each inner scope: what is wrong with an element is told once, at its own line. */
static int api_template_error(cs_conf *c, const char *directive, const cs_template *t,
                              const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (c->section && t->scope != mark_scope(c->section->kind)) {
        c->told = true;
        return CS_ERROR;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    report_error(c->report, template_of(t)->place, (int)t->text.n, "module %s: %s: %s", c->module,
                 directive, text);
    return CS_ERROR;
}

void api_check_conf(const cs_module *desc, const void *conf, const struct conf_head *section,
                    struct report *report)
{
    struct cs_conf c = {.report = report, .section = section, .module = desc->name};
    unsigned before = report->errors;
    int rc = desc->on_config ? desc->on_config(&c, conf) : CS_OK;
    if (rc != CS_OK && report->errors == before && !c.told)
        report_error(report, section ? &section->at : NULL, 1,
                     "module %s refuses these settings without a reason (%d)", desc->name, rc);
}

static int api_metric_each(int (*each)(const cs_metric *m, void *arg), void *arg)
{
    const struct host *h = host_here();
    const struct metrics_source src = {h->region, (unsigned)h->self.workers,
                                       here ? here->plan : NULL};
    return metrics_each(&src, each, arg);
}

/* ---- The request ---- */

static cs_req *api_from_token(cs_token t)
{
    struct request *r = here ? here->tokens[t % SERVE_TOKENS] : NULL;
    while (r && r->token != t)
        r = r->token_next;
    return r ? request_public(r) : NULL;
}

static const cs_api table = {
    .size = sizeof(cs_api),
    .major = CS_ABI_MAJOR,
    .minor = CS_ABI_MINOR,
    .self = host_self,
    .module_conf = host_module_conf,
    .log = host_log,
    .timer = host_timer,
    .timer_cancel = host_timer_cancel,
    .watch = host_watch,
    .watch_set = host_watch_set,
    .watch_end = host_watch_end,
    .job = host_job,
    .now_ms = host_now_ms,
    .conf_error = api_conf_error,
    .template_error = api_template_error,
    .counter_add = counter_add,
    .counter_sum = counter_sum,
    .metric_each = api_metric_each,
    .info = api_info,
    .conf = api_conf,
    .ctx = api_ctx,
    .header = api_header,
    .header_each = api_header_each,
    .query = api_query,
    .cookie = api_cookie,
    .escape = api_escape,
    .set_user = api_set_user,
    .user = api_user,
    .body = api_body,
    .body_stream = api_body_stream,
    .body_resume = api_body_resume,
    .alloc = api_alloc,
    .format = api_format,
    .on_close = api_on_close,
    .token = api_token,
    .from_token = api_from_token,
    .req_timer = api_req_timer,
    .offload = api_offload,
    .proceed = api_proceed,
    .root_open = api_root_open,
    .expand = api_expand,
    .client_in = api_client_in,
    .client_block = api_client_block,
    .say = api_say,
    .jump = api_jump,
    .page = api_page,
    .coding_weight = api_coding_weight,
    .body_length = api_body_length,
    .mime = http_mime_of,
    .set_header = api_set_header,
    .add_header = api_add_header,
    .validators = api_validators,
    .reply = api_reply,
    .replyf = api_replyf,
    .reply_ref = api_reply_ref,
    .reply_file = api_reply_file,
    .fail = api_fail,
    .start = api_start,
    .send = api_send,
    .on_drain = api_on_drain,
    .status = api_status,
    .response_header = api_response_header,
    .filter_body = api_filter_body,
    .elapsed_us = api_elapsed_us,
    .bytes_sent = api_bytes_sent,
    .detach = api_detach,
    .stream_send = api_stream_send,
    .stream_queued = api_stream_queued,
    .stream_on_drain = api_stream_on_drain,
    .stream_close = api_stream_close,
    .stream_on_close = api_stream_on_close,
    .group = api_group,
    .group_join = api_group_join,
    .group_send = api_group_send,
    .group_sendf = api_group_sendf,
    .group_size = api_group_size,
    .group_end = api_group_end,
    .publish = post_publish,
    .publish_applied = call_publish_applied,
    .call = call_begin,
    .answer = post_answer,
    .replay = post_replay,
    .zone = zone_data,
    .zone_lock = zone_lock,
    .zone_unlock = zone_unlock,
    .sleep = api_sleep,
    .await_body = api_await_body,
    .await_send = api_await_send,
    .await_offload = api_await_offload,
    .fetch = api_fetch,
    .subrequest = api_subrequest,
    .fetch_answer = api_fetch_answer,
    .fetch_header = api_fetch_header,
    .fetch_header_each = api_fetch_header_each,
    .fetch_pass = api_fetch_pass,
    .fetch_send = api_fetch_send,
    .fetch_resume = api_fetch_resume,
    .fetch_end = api_fetch_end,
    .await_fetched = api_await_fetched,
    .await_all = api_await_all,
    .await_head = api_await_head,
    .await_piece = api_await_piece,
    .await_fetch_send = api_await_fetch_send,
    .await_call = api_await_call,
};

const cs_api *serve_api(void)
{
    return &table;
}

const cs_api *serve_api_debug(void)
{
    return api_debug_table(&table);
}

void api_open(struct serve *s)
{
    here = s;
}

void api_close(void)
{
    here = NULL;
}
