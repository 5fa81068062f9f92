/* elf.h - what a shared object says about itself, read from its bytes without loading it. The file may be anything:
 * every offset in it is checked, and a part that leads nowhere counts as not there. */
#ifndef OS_ELF_H
#define OS_ELF_H

#include <stdbool.h>
#include <stddef.h>

struct elf {
    const unsigned char *p; /* the whole file, mapped */
    size_t n;
    const char *soname; /* NULL: none */
    bool relro;         /* what is relocated becomes read-only ... */
    bool bind_now;      /* ... all of it, since all names are looked up at once */
    bool exec_stack;    /* it wants a stack that can be executed */
    bool text_relocs;   /* its code is written to while it is loaded */
    size_t nsymbols;
    /* elf.c's own */
    size_t segments, nsegments, dynamic, ndynamic, strings, nstrings, symbols;
};

struct elf_symbol {
    const char *name; /* never empty; lives as long as the elf */
    bool defined;     /* else it is to be found elsewhere */
    bool weak;        /* or unique: where others define it too it is the same */
};

/* 0; -ENOEXEC where it is no shared object of this machine's kind; another -errno. fd may be closed afterwards. */
int elf_open(struct elf *e, int fd);
int elf_open_path(struct elf *e, const char *path);
void elf_close(struct elf *e);

/* The i-th library it asks for, as written; NULL behind the last one. */
const char *elf_needed(const struct elf *e, size_t i);
/* Dynamic symbol i < nsymbols. False: it is none that others could see (local, hidden, without a name). */
bool elf_symbol(const struct elf *e, size_t i, struct elf_symbol *out);

#endif
