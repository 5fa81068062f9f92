/* bind.h - what the parts of conf_bind share while the text becomes settings. */
#ifndef CONF_BIND_H
#define CONF_BIND_H

#include "conf/conf.h"
#include "conf/schema.h"

struct bind {
    struct conf *c;
    const struct conf_text *t;
    struct report *rep;
    const cs_module *const *desc; /* [index in c->modules] */
};

/* ---- value.c: entries become values ---- */

/* Sets one directive from the n entries that name it: more than one is an error unless it is a
 * list. Also fills in *out, without the module. A value that is wrong is reported and leaves the
 * old one. */
void value_bind(struct bind *b, const struct conf_section *s,
                const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                void *base, struct conf_value *out);
/* What holds when no entry names it: as found at base (a default, or inherited). */
void value_default(struct bind *b, const cs_directive *d, const void *base, struct conf_value *out);
/* Fills base with the defaults of the kind and the keys of s (NULL: none), and *head, with room
 * behind the values for every key of s that the table does not know. */
void value_section(struct bind *b, const struct conf_kind *kind, const struct conf_section *s,
                   void *base, struct conf_head *head);
/* The text of entries as schema_parse reads it for d; in the arena. */
cs_str value_text(struct arena *a, const struct conf_entry *const *entries, size_t n,
                  const cs_directive *d);
/* Where element `index` of the list `key` stands, for a caret under it. */
struct conf_origin value_place(struct bind *b, const struct conf_section *s, const char *key,
                               size_t index, cs_str element);
/* Reports what is wrong with that element, under it. */
void value_vrefuse(struct bind *b, const struct conf_section *s, const char *key, size_t index,
                   cs_str element, const char *fmt, va_list ap)
    __attribute__((format(printf, 6, 0)));
/* "[site:main]", in the arena. */
const char *value_section_name(struct bind *b, cs_str kind, cs_str label);

/* ---- mark.c ---- */

/* Notes in each template that d has just got from these entries where it stands, and in which scope. */
void mark_templates(struct bind *b, const struct conf_section *s,
                    const struct conf_entry *const *entries, size_t n, const cs_directive *d,
                    const void *base);

/* ---- keys.c: keys that nobody knows ---- */

/* Reports an unknown kind of section. */
void keys_unknown_kind(struct bind *b, const struct conf_section *s);
/* Reports an unknown key of a section: the nearest known one, or where it belongs. `extra` are the
 * tables of modules whose keys may stand here, as an array with [index in c->modules]; NULL: none.
 */
void keys_unknown(struct bind *b, const struct conf_section *s, const struct conf_entry *e,
                  const cs_directive *const *extra);
/* "; did you mean \"x\"?" when one of the n names is near enough, else nothing. */
void keys_did_you_mean(cs_str wrong, const cs_str *names, size_t n, struct buf *out);

/* ---- elsewhere.c ---- */

/* Appends what does here what a key of that name does in nginx; false: it is none that operators know. */
bool elsewhere_key(cs_str name, struct buf *out);

/* ---- participants.c: `use` and `handler` ---- */

/* Sets site->used; before the routes of the site. */
void participants_site(struct bind *b, struct conf_site *site, const struct conf_section *s);
/* Sets route->handlers and route->used; route->site is set. */
void participants_route(struct bind *b, struct conf_route *route, const struct conf_section *s);
/* Has it a hook that requests meet where it is not the handler? */
bool participants_usable(const cs_module *desc);
/* Can a module have that name? */
bool participants_is_name(cs_str s);

/* ---- inherit.c: keys of modules (whose key it is: owner.h) ---- */

/* Fills c->modules[i] of a module that is loaded. */
void inherit_module(struct bind *b, size_t i, const struct conf_section *s);
void inherit_site(struct bind *b, struct conf_site *site, const struct conf_section *s);
/* route->site, route->handlers and route->used are set. */
void inherit_route(struct bind *b, struct conf_route *route, const struct conf_section *s);

/* ---- required.c: keys of modules against where the modules are used ---- */

/* Is everything set that a module cannot do without, wherever it is used? */
void required_check(struct bind *b);
/* Keys that a site has for its routes, none of which uses the module: somebody believes in a rule that does not hold. */
void required_unread(struct bind *b);

/* ---- own.c: what sites and routes say otherwise ---- */

/* c->logs, and which of them each scope has. */
void own_bind_logs(struct bind *b);

/* ---- conflict.c: what single values cannot tell ---- */

void conflict_listens(struct bind *b);
void conflict_hosts(struct bind *b);
void conflict_routes(struct bind *b);

/* ---- match.c ---- */

/* Cuts route->match into kind and argument. */
void match_bind(struct bind *b, struct conf_route *route, const struct conf_section *s);

/* ---- condition.c: what a route asks of a request besides its path ---- */

/* Cuts the elements of `headers` and `query`, and looks at `methods`. */
void condition_bind(struct bind *b, struct conf_route *route, const struct conf_section *s);
/* Are they written the same way? */
bool condition_same(const struct conf_route *x, const struct conf_route *y);

/* ---- rewrite.c ---- */

/* What does not go together with the route's rewrite, if it has one. */
void rewrite_bind(struct bind *b, const struct conf_route *route, const struct conf_section *s);

/* ---- pages.c ---- */

/* error_pages of a site or a route: `texts` as written. */
void pages_bind(struct bind *b, const struct conf_section *s, const cs_list *texts,
                struct conf_pages *out);

/* ---- host.c ---- */

/* Checks the name of a site and writes it in lower case into the arena. 0, or -1 with *error. */
int host_check(cs_str name, struct arena *a, cs_str *out, struct buf *error);

#endif
