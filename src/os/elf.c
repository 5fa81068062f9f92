/* elf.c - see elf.h. Of the two views of the file this takes the loader's, segments and the dynamic table; a section is
 * only asked how many symbols there are, which the loader has no need to know. */
#include "os/elf.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NATIVE_CLASS      (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA       (__BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB)
#define SYMBOL_BIND(info) ((info) >> 4)

/* Copies n bytes at `at`; the file need not be aligned. */
static bool take(const struct elf *e, size_t at, void *to, size_t n)
{
    if (at > e->n || e->n - at < n)
        return false;
    memcpy(to, e->p + at, n);
    return true;
}

/* Element i of a table. */
static bool take_at(const struct elf *e, size_t table, size_t i, void *to, size_t n)
{
    return i <= (SIZE_MAX - table) / n && take(e, table + i * n, to, n);
}

static bool take_segment(const struct elf *e, size_t i, ElfW(Phdr) * out)
{
    return i < e->nsegments && take_at(e, e->segments, i, out, sizeof *out);
}

static bool take_dynamic(const struct elf *e, size_t i, ElfW(Dyn) * out)
{
    return i < e->ndynamic && take_at(e, e->dynamic, i, out, sizeof *out) && out->d_tag != DT_NULL;
}

/* Where in the file lies what will be at that address? */
static bool place_of(const struct elf *e, uint64_t address, size_t *out)
{
    ElfW(Phdr) s;

    for (size_t i = 0; take_segment(e, i, &s); i++) {
        if (s.p_type != PT_LOAD || address < s.p_vaddr || address - s.p_vaddr >= s.p_filesz)
            continue;
        *out = (size_t)(s.p_offset + (address - s.p_vaddr));
        return *out < e->n;
    }
    return false;
}

/* NULL: there is no such string, or it has no end. */
static const char *string_at(const struct elf *e, uint64_t offset)
{
    const char *z;

    if (offset >= e->nstrings)
        return NULL;
    z = (const char *)e->p + e->strings + offset;
    return memchr(z, '\0', e->nstrings - (size_t)offset) ? z : NULL;
}

static void read_segments(struct elf *e)
{
    ElfW(Phdr) s;

    e->exec_stack = true; /* the default where nothing is said */
    for (size_t i = 0; take_segment(e, i, &s); i++) {
        if (s.p_type == PT_DYNAMIC && s.p_offset <= e->n && e->n - s.p_offset >= s.p_filesz) {
            e->dynamic = (size_t)s.p_offset;
            e->ndynamic = (size_t)(s.p_filesz / sizeof(ElfW(Dyn)));
        } else if (s.p_type == PT_GNU_STACK) {
            e->exec_stack = s.p_flags & PF_X;
        } else if (s.p_type == PT_GNU_RELRO) {
            e->relro = true;
        }
    }
}

static void read_flags(struct elf *e, const ElfW(Dyn) * d)
{
    switch (d->d_tag) {
    case DT_BIND_NOW:
        e->bind_now = true;
        break;
    case DT_TEXTREL:
        e->text_relocs = true;
        break;
    case DT_FLAGS:
        e->bind_now = e->bind_now || d->d_un.d_val & DF_BIND_NOW;
        e->text_relocs = e->text_relocs || d->d_un.d_val & DF_TEXTREL;
        break;
    case DT_FLAGS_1:
        e->bind_now = e->bind_now || d->d_un.d_val & DF_1_NOW;
        break;
    default:
        break;
    }
}

static void read_strings(struct elf *e)
{
    uint64_t address = 0, size = 0;
    ElfW(Dyn) d;

    for (size_t i = 0; take_dynamic(e, i, &d); i++) {
        address = d.d_tag == DT_STRTAB ? d.d_un.d_ptr : address;
        size = d.d_tag == DT_STRSZ ? d.d_un.d_val : size;
    }
    if (!place_of(e, address, &e->strings))
        return;
    e->nstrings = e->n - e->strings;
    if (size < e->nstrings)
        e->nstrings = (size_t)size;
}

static void read_dynamic(struct elf *e)
{
    ElfW(Dyn) d;

    read_strings(e);
    for (size_t i = 0; take_dynamic(e, i, &d); i++) {
        read_flags(e, &d);
        if (d.d_tag == DT_SONAME)
            e->soname = string_at(e, d.d_un.d_val);
        if (d.d_tag == DT_SYMTAB && !place_of(e, d.d_un.d_ptr, &e->symbols))
            e->symbols = 0;
    }
}

static void count_symbols(struct elf *e, const ElfW(Ehdr) * h)
{
    ElfW(Shdr) s;

    for (size_t i = 0; i < h->e_shnum && take_at(e, (size_t)h->e_shoff, i, &s, sizeof s); i++)
        if (s.sh_type == SHT_DYNSYM && s.sh_offset == e->symbols)
            e->nsymbols = (size_t)(s.sh_size / sizeof(ElfW(Sym)));
    if (e->nsymbols > (e->n - e->symbols) / sizeof(ElfW(Sym)))
        e->nsymbols = (e->n - e->symbols) / sizeof(ElfW(Sym));
}

static bool is_ours(const ElfW(Ehdr) * h)
{
    return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == NATIVE_CLASS &&
           h->e_ident[EI_DATA] == NATIVE_DATA && h->e_type == ET_DYN &&
           h->e_phentsize == sizeof(ElfW(Phdr));
}

static int map(struct elf *e, int fd)
{
    struct stat st;
    void *p;

    *e = (struct elf){.p = NULL};
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(ElfW(Ehdr)))
        return -ENOEXEC;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    e->p = p;
    e->n = (size_t)st.st_size;
    return 0;
}

int elf_open(struct elf *e, int fd)
{
    int rc = map(e, fd);
    ElfW(Ehdr) h;

    if (rc < 0)
        return rc;
    if (!take(e, 0, &h, sizeof h) || !is_ours(&h)) {
        elf_close(e);
        return -ENOEXEC;
    }
    e->segments = (size_t)h.e_phoff;
    e->nsegments = h.e_phnum;
    read_segments(e);
    read_dynamic(e);
    if (e->symbols)
        count_symbols(e, &h);
    return 0;
}

int elf_open_path(struct elf *e, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc = fd < 0 ? -errno : elf_open(e, fd);

    fd_close(&fd);
    return rc;
}

void elf_close(struct elf *e)
{
    if (e->p)
        munmap((void *)(uintptr_t)e->p, e->n);
    *e = (struct elf){.p = NULL};
}

const char *elf_needed(const struct elf *e, size_t i)
{
    ElfW(Dyn) d;

    for (size_t k = 0; take_dynamic(e, k, &d); k++)
        if (d.d_tag == DT_NEEDED && i-- == 0)
            return string_at(e, d.d_un.d_val);
    return NULL;
}

bool elf_symbol(const struct elf *e, size_t i, struct elf_symbol *out)
{
    ElfW(Sym) s;
    const char *name;

    if (i >= e->nsymbols || !take_at(e, e->symbols, i, &s, sizeof s))
        return false;
    name = string_at(e, s.st_name);
    if (!name || !*name || SYMBOL_BIND(s.st_info) == STB_LOCAL || s.st_shndx == SHN_ABS)
        return false;
    if (ELF64_ST_VISIBILITY(s.st_other) == STV_HIDDEN ||
        ELF64_ST_VISIBILITY(s.st_other) == STV_INTERNAL)
        return false;
    *out = (struct elf_symbol){.name = name,
                               .defined = s.st_shndx != SHN_UNDEF,
                               .weak = SYMBOL_BIND(s.st_info) == STB_WEAK ||
                                       SYMBOL_BIND(s.st_info) == STB_GNU_UNIQUE};
    return true;
}
