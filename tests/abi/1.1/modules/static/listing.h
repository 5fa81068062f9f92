/* listing.h - what is in a folder, as a page or as JSON. */
#ifndef STATIC_LISTING_H
#define STATIC_LISTING_H

#include "conf.h"

/* Answers with the folder of that path, which ends with "/": the result of a handler, mostly CS_PENDING. */
int listing_answer(cs_req *r, const struct conf *c, cs_str path);
const char *listing_type(const struct conf *c);

#endif
