/* crash.c - see crash.h. */
#include "os/crash.h"

#include "base/check.h"
#include "os/sig.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__has_include) && __has_include(<execinfo.h>)
#include <execinfo.h>
#else
static int backtrace(void **frames, int size)
{
    (void)frames;
    (void)size;
    return 0;
}
#endif

#define STACK_SIZE   65536
#define STACK_ENOUGH 32768 /* of one that somebody else has made */
#define OBJECTS      128
#define NAME_SIZE    48
#define WALK         48 /* frames, those of the handler included */
#define TOLD         16
#define HANG_S       5

/* Not SIGXFSZ, which the server ignores: a log that may not grow is no reason to die. */
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

struct object {
    uintptr_t low, high, base;
    char name[NAME_SIZE];
};

static struct {
    void (*explain)(struct crash *c);
    pid_t pid;
    struct sigaction before[ARRAY_LEN(signals)];
    struct object objects[OBJECTS];
    size_t nobjects;
    bool look_late;
    char late_name[NAME_SIZE];
    _Atomic int busy;
} state;

/* ---- Objects ---- */

static void set_name(char *to, const char *name)
{
    struct note t = note_on(to, NAME_SIZE);
    note_add(&t, name);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The program has no path of its own here; a module was loaded from a descriptor. */
static const char *name_of(const char *path, bool first)
{
    if (first && !*path)
        return "cserver";
    if (state.look_late && strncmp(path, "/proc/self/fd", 13) == 0)
        return state.late_name;
    return base_of(path);
}

static bool extent(const struct dl_phdr_info *info, struct object *o)
{
    *o = (struct object){.low = UINTPTR_MAX, .base = info->dlpi_addr};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t low = info->dlpi_addr + h->p_vaddr;
        if (h->p_type != PT_LOAD)
            continue;
        o->low = low < o->low ? low : o->low;
        o->high = low + h->p_memsz > o->high ? low + h->p_memsz : o->high;
    }
    return o->low < o->high;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct object o;
    (void)size;
    (void)arg;
    if (state.nobjects == OBJECTS)
        return 1;
    if (extent(info, &o)) {
        set_name(o.name, name_of(info->dlpi_name ? info->dlpi_name : "", state.nobjects == 0));
        state.objects[state.nobjects++] = o;
    }
    return 0;
}

void crash_note_objects(void)
{
    state.nobjects = 0;
    dl_iterate_phdr(on_object, NULL);
}

static struct object *object_at(uintptr_t address)
{
    for (size_t i = 0; i < state.nobjects; i++)
        if (address >= state.objects[i].low && address < state.objects[i].high)
            return &state.objects[i];
    return NULL;
}

void crash_name_object(const void *inside, const char *name)
{
    struct object *o = object_at((uintptr_t)inside);
    if (o)
        set_name(o->name, name);
}

void crash_look_late(const char *name)
{
    set_name(state.late_name, name);
    state.look_late = true;
}

static void add_place(struct note *t, uintptr_t address)
{
    const struct object *o = object_at(address);
    if (o) {
        note_add(t, o->name);
        note_add(t, "+");
    }
    note_add_hex(t, o ? address - o->base : address);
}

/* ---- What the kernel saw ---- */

struct place {
    uintptr_t pc;
    uintptr_t
        called_from; /* where pc is no code at all: what a call of it has left behind; 0: not known */
};

/* Through the kernel, which says no where there is nothing. */
static uintptr_t word_at(uintptr_t address)
{
    uintptr_t word = 0;
    struct iovec to = {&word, sizeof word}, from = {(void *)address, sizeof word};
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    return n == (ssize_t)sizeof word ? word : 0;
}

static struct place place_of(const ucontext_t *u)
{
#if defined(__x86_64__)
    uintptr_t pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    uintptr_t sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
    return (struct place){pc, object_at(pc) ? 0 : word_at(sp)};
#elif defined(__i386__)
    uintptr_t pc = (uintptr_t)u->uc_mcontext.gregs[REG_EIP];
    uintptr_t sp = (uintptr_t)u->uc_mcontext.gregs[REG_ESP];
    return (struct place){pc, object_at(pc) ? 0 : word_at(sp)};
#elif defined(__aarch64__)
    uintptr_t pc = (uintptr_t)u->uc_mcontext.pc;
    return (struct place){pc, object_at(pc) ? 0 : (uintptr_t)u->uc_mcontext.regs[30]};
#else
    (void)u;
    return (struct place){0, 0};
#endif
}

/* Lets it look as if the call of nowhere had returned, or undoes that: nobody can walk back from where no code is. */
static void step_back(ucontext_t *u, const struct place *where, bool undo)
{
    uintptr_t pc = undo ? where->pc : where->called_from;
    if (!where->called_from)
        return;
#if defined(__x86_64__)
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    u->uc_mcontext.gregs[REG_RSP] += undo ? -8 : 8;
#elif defined(__i386__)
    u->uc_mcontext.gregs[REG_EIP] = (greg_t)pc;
    u->uc_mcontext.gregs[REG_ESP] += undo ? -4 : 4;
#elif defined(__aarch64__)
    u->uc_mcontext.pc = pc;
#else
    (void)u;
    (void)pc;
#endif
}

/* By the kernel, because of what this process did. */
static bool is_own_fault(const siginfo_t *info)
{
    return info->si_code > 0;
}

static bool has_address(const siginfo_t *info)
{
    bool of_memory = info->si_signo == SIGSEGV || info->si_signo == SIGBUS;
    return of_memory && is_own_fault(info) && info->si_code != SI_KERNEL;
}

static int sender_of(const siginfo_t *info)
{
    return is_own_fault(info) || info->si_pid == getpid() ? 0 : (int)info->si_pid;
}

/* ---- What is written ---- */

static void tell(const siginfo_t *info, const struct place *where)
{
    char text[512];
    struct crash c = {.signal = info->si_signo,
                      .has_address = has_address(info),
                      .address = (uintptr_t)info->si_addr,
                      .sender = sender_of(info),
                      .message = note_on(text, sizeof text)};
    struct note at = note_on(c.at, sizeof c.at);
    add_place(&at, where->pc);
    if (where->called_from) {
        note_add(&at, ", called from ");
        add_place(&at, where->called_from - 1);
    }
    note_add(&c.message, sig_name(info->si_signo));
    if (c.sender) {
        note_add(&c.message, ", sent by process ");
        note_add_number(&c.message, (uint64_t)c.sender);
        note_add(&c.message, ",");
    }
    if (state.explain)
        state.explain(&c);
    note_add(&c.message, ", at ");
    note_add(&c.message, c.at);
    if (c.has_address) {
        note_add(&c.message, " (address ");
        note_add_hex(&c.message, c.address);
        note_add(&c.message, ")");
    }
    log_write_plain(LOG_LEVEL_ERROR, note_str(&c.message), c.pairs, c.npairs);
}

/* The first of what was going on: those before are the handler's. */
static int find(void *const *frames, int n, uintptr_t pc)
{
    for (int i = 0; i < n; i++)
        if ((uintptr_t)frames[i] == pc)
            return i;
    return -1;
}

static void add_frame(struct note *t, uintptr_t address)
{
    if (t->n)
        note_add(t, " ");
    add_place(t, address);
}

static void tell_frames(int sig, const struct place *where, ucontext_t *context)
{
    void *frames[WALK];
    char text[1200], message[64];
    struct note t = note_on(text, sizeof text), m = note_on(message, sizeof message);
    step_back(context, where, false);
    int n = backtrace(frames, WALK);
    step_back(context, where, true);
    int first = find(frames, n, where->called_from ? where->called_from : where->pc);
    add_frame(&t, where->pc);
    if (where->called_from)
        add_frame(&t, where->called_from - 1);
    for (int i = first + 1, told = 1; first >= 0 && i < n && told < TOLD; i++, told++)
        add_frame(&t, (uintptr_t)frames[i] - 1);
    note_add(&m, "backtrace of the ");
    note_add(&m, sig_name(sig));
    struct log_pair pair = {"backtrace", note_str(&t)};
    if (log_is_json()) {
        log_write_plain(LOG_LEVEL_ERROR, note_str(&m), &pair, 1);
        return;
    }
    char line[sizeof text + sizeof message];
    struct note l = note_on(line, sizeof line);
    note_add_str(&l, note_str(&m));
    note_add(&l, ": ");
    note_add_str(&l, note_str(&t));
    log_write_plain(LOG_LEVEL_ERROR, note_str(&l), NULL, 0);
}

/* ---- The handler ---- */

static const struct sigaction *before(int sig)
{
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        if (signals[i] == sig)
            return &state.before[i];
    return NULL;
}

static bool is_handler(const struct sigaction *a)
{
    return a &&
           ((a->sa_flags & SA_SIGINFO) || (a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN));
}

/* Sent again, with all that was said of it, since not every fault happens again where the handler returns to. It stays
 * blocked until then, so a core file shows the place. */
static void die_of(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *old = before(sig);
    if (is_handler(old)) {
        if (old->sa_flags & SA_SIGINFO)
            old->sa_sigaction(sig, info, context);
        else
            old->sa_handler(sig);
    }
    signal(sig, SIG_DFL);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, info) < 0)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

/* One report is enough. The thread that writes it ends all. */
static void wait_for_end(void)
{
    for (;;)
        pause();
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    if (getpid() == state.pid) {
        if (atomic_exchange(&state.busy, 1))
            wait_for_end();
        signal(SIGALRM, SIG_DFL);
        alarm(HANG_S);
        if (state.look_late)
            crash_note_objects();
        struct place where = place_of(context);
        tell(info, &where);
        tell_frames(sig, &where, context);
    }
    die_of(sig, info, context);
    errno = saved;
}

/* ---- Beginning ---- */

/* A sanitizer may have made one already. */
static void make_stack(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) && now.ss_size >= STACK_ENOUGH)
        return;
    void *p = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return;
    stack_t mine = {.ss_sp = p, .ss_size = STACK_SIZE};
    if (sigaltstack(&mine, NULL) < 0)
        munmap(p, STACK_SIZE);
}

void crash_watch(void (*explain)(struct crash *c))
{
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *frames[4];
    state.explain = explain;
    state.pid = getpid();
    state.busy = 0;
    backtrace(frames, 4); /* loads what it needs */
    make_stack();
    if (!state.nobjects)
        crash_note_objects();
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGALRM);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct sigaction old;
        sigaction(signals[i], &action, &old);
        if (!(old.sa_flags & SA_SIGINFO) || old.sa_sigaction != on_crash)
            state.before[i] = old;
    }
}
