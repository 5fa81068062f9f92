#include "serve/handover.h"

#include "module/crumb.h"

static const struct conf_module *module_of(const struct feed *f)
{
    const struct conf *conf = f->serve->plan->conf;
    for (size_t i = 0; f->module && i < conf->nmodules; i++)
        if (conf->modules[i].number == f->module)
            return &conf->modules[i];
    return NULL;
}

const struct conf_module *handover_module(const struct feed *f)
{
    const struct conf_module *m = module_of(f);
    return m && m->desc->on_save && m->desc->on_adopt && !crumb_is_quarantined(m->number) ? m
                                                                                          : NULL;
}

int handover_save(struct feed *f, const struct conf_module *m, char *to, size_t room,
                  struct host_saved *at)
{
    *at = (struct host_saved){.mail = f->serve->host->mail.cursor};
    serve_enter_module(f->serve);
    uint32_t was = crumb_enter(m->number, CRUMB_STREAM);
    int n = m->desc->on_save(feed_public(f), to, room);
    crumb_leave(was);
    return n;
}

bool handover_is_due(const struct serve *s, struct host_saved at)
{
    const struct mailbox *mb = &s->host->mail;
    return !mb->joined || mb->broken || (mb->cursor >= at.mail && !mb->news);
}

int handover_adopt(struct conn *c, const struct route *route, const struct conf_module *m,
                   cs_str saved, struct host_saved at)
{
    struct serve *s = c->serve;
    struct feed *f = feed_adopt(c);
    f->module = (uint8_t)m->number;
    f->route = route;
    s->host->adopting = &at;
    serve_enter_module(s);
    uint32_t was = crumb_enter(m->number, CRUMB_STREAM);
    int rc = m->desc->on_adopt(feed_public(f), saved);
    crumb_leave(was);
    s->host->adopting = NULL;
    return rc;
}
