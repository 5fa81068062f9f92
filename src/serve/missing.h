/* missing.h - error pages that nobody could be shown. */
#ifndef SERVE_MISSING_H
#define SERVE_MISSING_H

#include "serve/plan.h"

/* Warns of pages that are no file now and for which there is no route. A regex may match anything: a site that has one is
 * believed. */
void missing_pages(const struct serve_plan *p, struct report *rep);

#endif
