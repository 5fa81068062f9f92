/* trial.h - one request of [reload] probe, as it is written there: METHOD TARGET STATUS.
 *
 *     GET /health 200
 *     HEAD http://www.example.com/ 2xx */
#ifndef CONF_TRIAL_H
#define CONF_TRIAL_H

#include "base/buf.h"
#include "conf/report.h"

#include <cserver/cserver.h>

#define CONF_TRIALS 16 /* there can be so many */

struct conf_trial {
    cs_str text;           /* as written */
    cs_str method, host;   /* host with its port; "localhost" where the target names none */
    cs_str path;           /* with the query; begins with "/" */
    cs_str wanted;         /* the status as written */
    int first, last;       /* that range of it is good */
    struct conf_origin at; /* set by the caller */
};

/* Points into text. 0, or -1 with a sentence in *error. */
int conf_trial_parse(cs_str text, struct conf_trial *out, struct buf *error);

#endif
