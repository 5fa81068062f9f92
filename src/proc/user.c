/* user.c - see user.h. */
#include "proc/user.h"

#include "base/mem.h"
#include "os/child.h"
#include "os/priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool look_up(struct settings_user *u, const char *name)
{
    snprintf(u->name, sizeof u->name, "%s", name);
    return child_user_find(name, &u->uid, &u->gid) == 0;
}

/* False: it is said that there is no such user. */
static bool take_named(struct settings *s, cs_str name)
{
    if (look_up(&s->user, name.p))
        return true;
    report_error(&s->report, settings_origin(s, "user"), (int)name.n,
                 "there is no user \"%s\" on this machine; name one that exists (getent passwd "
                 "lists them)",
                 name.p);
    return false;
}

static bool take_usual(struct settings *s)
{
    if (look_up(&s->user, "www-data") || look_up(&s->user, "nobody"))
        return true;
    report_error(&s->report, NULL, 1,
                 "there is no user www-data and none called nobody: set `user` in [server] to whom "
                 "the workers shall be");
    return false;
}

/* The same for whoever tests the settings, so that a plain user's -t says what a start by root will say. */
static void judge_root(struct settings *s)
{
    const struct settings_user *u = &s->user;
    const struct conf_origin *at = settings_origin(s, "user");
    int width = (int)strlen(u->name);

    if (!s->conf->server.allow_root)
        report_error(&s->report, at, width,
                     "user = %s: the workers would be root, and so would be whoever breaks into "
                     "one; name another user (useradd --system makes one), or write `allow_root = "
                     "on` in [server] if they must be root",
                     u->name);
    else
        report_warning(&s->report, at, width,
                       "the workers are root (allow_root = on): whoever breaks into one is root");
}

void user_find(struct settings *s)
{
    cs_str name = s->conf->server.user;
    struct settings_user *u = &s->user;
    uid_t self = geteuid();

    *u = (struct settings_user){.uid = self, .gid = getegid()};
    if (name.n > 0 ? !take_named(s, name) : self == 0 && !take_usual(s))
        return;
    if (u->uid == 0)
        judge_root(s);
    else if (name.n > 0 && self != 0 && u->uid != self)
        report_warning(&s->report, settings_origin(s, "user"), (int)name.n,
                       "user = %s is for a start by root: who is not root cannot become somebody "
                       "else, and the workers stay user %u",
                       name.p, (unsigned)self);
    u->drop = self == 0 && u->uid != 0;
    u->keep = self == 0 && u->uid == 0;
}

int user_become(const struct settings_user *u)
{
    if (u->keep)
        return priv_no_new();
    return priv_drop(u->drop ? u->name : NULL, u->uid, u->gid);
}

char *user_complaint(const struct settings_user *u, int error)
{
    if (!u->drop)
        return mem_printf("cannot give up capabilities: %s", strerror(-error));
    return mem_printf(
        "cannot become the user %s: %s; a server that is started by root needs "
        "CAP_SETUID and CAP_SETGID for that (containers may take them away), or start "
        "it as that user",
        u->name, strerror(-error));
}
