/* msgtext.c - see msgtext.h. */
#include "proc/msgtext.h"

#include "base/base64.h"
#include "ipc/ring.h"

#include <stdio.h>

void msgtext_put_data(struct json *j, const char *key, cs_str bytes)
{
    struct buf text = {0};

    if (str_is_utf8(bytes)) {
        json_str(j, key, bytes);
        return;
    }
    base64_add(&text, bytes);
    json_object(j, key);
    json_str(j, "base64", buf_str(&text));
    json_end_object(j);
    buf_free(&text);
}

/* json_find gives a string without its quotes, which are still there around it. */
static bool is_string(cs_str value)
{
    return value.p[-1] == '"';
}

bool msgtext_take_data(cs_str object, const char *key, struct buf *out)
{
    cs_str value, text;

    if (!json_find(object, key, &value))
        return false;
    if (is_string(value))
        return str_is_utf8(value) && json_unescape(out, value);
    return json_find(value, "base64", &text) && is_string(text) && base64_decode(out, text);
}

bool msgtext_target(cs_str whom, int *to)
{
    cs_str worker = CS_S("worker:");
    uint64_t n;

    if (str_is(whom, "all"))
        *to = MAIL_ALL;
    else if (str_is(whom, "workers"))
        *to = MAIL_WORKERS;
    else if (str_is(whom, "primary"))
        *to = MAIL_PRIMARY;
    else if (str_starts(whom, worker) &&
             str_to_u64((cs_str){whom.p + worker.n, whom.n - worker.n}, 9999, &n) && n > 0)
        *to = IPC_SLOT_WORKERS + (int)n - 1;
    else
        return false;
    return true;
}

void msgtext_name(int slot_or_group, char out[MSGTEXT_NAME])
{
    const char *name = slot_or_group == MAIL_ALL          ? "all"
                       : slot_or_group == MAIL_WORKERS    ? "workers"
                       : slot_or_group == MAIL_OTHERS     ? "others"
                       : slot_or_group == MAIL_PRIMARY    ? "primary"
                       : slot_or_group == IPC_SLOT_MASTER ? "command"
                       : ring_is_primary(slot_or_group)   ? "primary"
                                                          : NULL;

    if (name)
        snprintf(out, MSGTEXT_NAME, "%s", name);
    else
        snprintf(out, MSGTEXT_NAME, "worker:%d", region_worker(slot_or_group));
}
