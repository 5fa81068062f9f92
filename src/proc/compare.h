/* compare.h - what a reload would change. settings_compare is also what a reload asks; the rest is the request `diff` of
 * the control socket, for which a probe child reads settings, tries them as for a reload, and compares: beside any reload,
 * which it does not touch. */
#ifndef PROC_COMPARE_H
#define PROC_COMPARE_H

#include "conf/diff.h"
#include "proc/control.h"
#include "proc/probe.h"

/* Differences between settings that run, with their plan, and others that are bound: the trees, the content of the modules'
 * files, and folders that were replaced by others of the same name. */
void settings_compare(const struct settings *running, const struct settings *other,
                      struct conf_diff *out);

struct master;

void compare_init(struct master *m);
/* diff, diff {"file":"/etc/other.ini"} */
void compare_request(struct master *m, struct control_call *call, cs_str object);
/* Was it one of these probes that ended? */
bool compare_reaped(struct master *m, pid_t pid, int status);
void compare_cancel(struct master *m, const char *why);
/* In a child: closes the descriptors. */
void compare_shed(struct master *m);

/* In the probe: says the differences, as members of a JSON object. obstacle: why a reload would make new workers anyway. */
void compare_tell(const struct settings *running, const struct settings *other,
                  const char *obstacle, struct buf *out);

#endif
