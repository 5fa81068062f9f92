/* place.h - where this program lies, and what lies around it: it was installed (perhaps below a DESTDIR), or runs from
 * the folder that it was built in. All paths are absolute, and to be freed. */
#ifndef MODULE_PLACE_H
#define MODULE_PLACE_H

/* What stands before the installed places: "" or the DESTDIR. NULL: the program does not lie where it is installed. */
char *place_root(void);
/* An installed path, as it is from here: below the root. The path itself where there is no root. */
char *place_installed(const char *path);
/* The folder that the program was built in, and runs from. NULL: it was installed. */
char *place_build(void);
/* The folder that has cserver/cserver.h; NULL: it is not here. */
char *place_include(void);
/* libcstest.a; NULL: it is not here. */
char *place_testlib(void);

#endif
