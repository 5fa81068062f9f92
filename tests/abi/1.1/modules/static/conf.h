/* conf.h - the settings, as they hold for a request. */
#ifndef STATIC_CONF_H
#define STATIC_CONF_H

#include <cserver/cserver.h>

enum slash {
    SLASH_REDIRECT,
    SLASH_CANONICAL,
    SLASH_KEEP
};
enum symlinks {
    SYMLINKS_BENEATH,
    SYMLINKS_OFF
};
enum listing {
    LISTING_OFF,
    LISTING_HTML,
    LISTING_JSON
};

struct conf {
    cs_list index;
    cs_templates try_files;
    int64_t slash; /* enum slash */
    cs_list precompressed;
    int64_t listing; /* enum listing */
    int64_t listing_most;
    int64_t symlinks; /* enum symlinks */
    cs_str cache_control;
    cs_list cache_by;
    _Bool dotfiles;
    int64_t cache_valid;
    int64_t cache_files;
    int64_t cache_small;
};

#endif
