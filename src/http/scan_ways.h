/* scan_ways.h - private to scan*.c: the ways, and what they share. */
#ifndef HTTP_SCAN_WAYS_H
#define HTTP_SCAN_WAYS_H

#include "http/scan.h"

extern const struct scan scan_plain;
#ifdef __x86_64__
extern const struct scan scan_sse42, scan_avx2;
#endif

/* http_class, the other way round: bit h of row l says whether the byte h * 16 + l is of the class. Bytes
 * outside of ASCII have no place here. Filled in before main. */
struct scan_rows {
    _Alignas(16) unsigned char row[16];
};
extern struct scan_rows scan_tchars, scan_targets, scan_paths, scan_hosts;

#endif
