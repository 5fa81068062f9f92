/* fiber.c - see fiber.h.
 *
 * The assembly swaps the stack pointer with f->sp, and what a call must keep lies on the stack that it leaves. A fiber that
 * has not begun has nothing there: fiber_enter calls its function on the empty stack, and comes back by itself when that
 * returns. So the whole life of a fiber that never stops is one save and one load.
 *
 * Every way lands behind a return, never at an indirect jump, so branch protection (IBT, BTI) has nothing to mark; return
 * addresses are stored as they come (PAC). */
#include "os/fiber.h"

#include "base/check.h"

#include <ucontext.h>

#if FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- Assembly ---- */

#if FIBER_ASSEMBLY
/* Calls body(arg) on the stack *sp, and leaves the own one there. True: it has stopped; false: it has ended. */
bool fiber_enter(void **sp, void (*body)(void *arg), void *arg);
/* To where *sp was left, which sees true. */
bool fiber_switch(void **sp);

/* clang-format off */
#define FUNCTION(name)                                        \
    ".p2align 4\n"                                            \
    ".globl " name "\n"                                       \
    ".hidden " name "\n"                                      \
    ".type " name ", %function\n"                             \
    name ":\n"                                                \
    ".cfi_startproc\n"
#define END(name)                                             \
    ".cfi_endproc\n"                                          \
    ".size " name ", . - " name "\n"

#if defined(__x86_64__)

#define PUSH(reg)                                             \
    "push %" reg "\n"                                         \
    ".cfi_adjust_cfa_offset 8\n"                              \
    ".cfi_rel_offset " reg ", 0\n"
#define POP(reg)                                              \
    "pop %" reg "\n"                                          \
    ".cfi_adjust_cfa_offset -8\n"                             \
    ".cfi_restore " reg "\n"

#define SAVE                                                  \
    PUSH("rbp") PUSH("rbx")                                   \
    PUSH("r12") PUSH("r13") PUSH("r14") PUSH("r15")           \
    "sub $8, %rsp\n"                                          \
    ".cfi_adjust_cfa_offset 8\n"                              \
    "stmxcsr (%rsp)\n"                                        \
    "fnstcw 4(%rsp)\n"
#define LOAD                                                  \
    "ldmxcsr (%rsp)\n"                                        \
    "fldcw 4(%rsp)\n"                                         \
    "add $8, %rsp\n"                                          \
    ".cfi_adjust_cfa_offset -8\n"                             \
    POP("r15") POP("r14") POP("r13") POP("r12")               \
    POP("rbx") POP("rbp")                                     \
    "ret\n"
#define SWAP                                                  \
    "mov (%rdi), %rax\n"                                      \
    "mov %rsp, (%rdi)\n"                                      \
    "mov %rax, %rsp\n"

/* In the middle of fiber_enter nothing is known of a caller: there a backtrace ends. */
#define CALL                                                  \
    ".cfi_remember_state\n"                                   \
    ".cfi_def_cfa rsp, 0\n"                                   \
    ".cfi_undefined rip\n"                                    \
    "mov %rdi, %rbx\n"                                        \
    "mov %rdx, %rdi\n"                                        \
    "xor %ebp, %ebp\n"                                        \
    "call *%rsi\n"                                            \
    "mov (%rbx), %rsp\n"                                      \
    ".cfi_restore_state\n"

#define FALSE "xor %eax, %eax\n"
#define TRUE  "mov $1, %eax\n"

#else

#define STORE_PAIR(a, b, at)                                  \
    "stp " a ", " b ", [sp, #" at "]\n"                       \
    ".cfi_rel_offset " a ", " at "\n"                         \
    ".cfi_rel_offset " b ", " at " + 8\n"
#define LOAD_PAIR(a, b, at)                                   \
    "ldp " a ", " b ", [sp, #" at "]\n"                       \
    ".cfi_restore " a "\n"                                    \
    ".cfi_restore " b "\n"
#define PAIRS(each)                                           \
    each("x29", "x30", "0") each("x19", "x20", "16")          \
    each("x21", "x22", "32") each("x23", "x24", "48")         \
    each("x25", "x26", "64") each("x27", "x28", "80")         \
    each("d8", "d9", "96") each("d10", "d11", "112")          \
    each("d12", "d13", "128") each("d14", "d15", "144")

/* "hint #34" is "bti c", for a linker that jumps here by way of a veneer. */
#define SAVE                                                  \
    "hint #34\n"                                              \
    "sub sp, sp, #176\n"                                      \
    ".cfi_adjust_cfa_offset 176\n"                            \
    PAIRS(STORE_PAIR)                                         \
    "mrs x9, fpcr\n"                                          \
    "str x9, [sp, #160]\n"
#define LOAD                                                  \
    "ldr x9, [sp, #160]\n"                                    \
    "msr fpcr, x9\n"                                          \
    PAIRS(LOAD_PAIR)                                          \
    "add sp, sp, #176\n"                                      \
    ".cfi_adjust_cfa_offset -176\n"                           \
    "ret\n"
#define SWAP                                                  \
    "ldr x9, [x0]\n"                                          \
    "mov x10, sp\n"                                           \
    "str x10, [x0]\n"                                         \
    "mov sp, x9\n"

/* In the middle of fiber_enter nothing is known of a caller: there a backtrace ends. */
#define CALL                                                  \
    ".cfi_remember_state\n"                                   \
    ".cfi_def_cfa sp, 0\n"                                    \
    ".cfi_undefined x30\n"                                    \
    "mov x19, x0\n"                                           \
    "mov x0, x2\n"                                            \
    "mov x29, #0\n"                                           \
    "mov x30, #0\n"                                           \
    "blr x1\n"                                                \
    "ldr x9, [x19]\n"                                         \
    "mov sp, x9\n"                                            \
    ".cfi_restore_state\n"

#define FALSE "mov w0, #0\n"
#define TRUE  "mov w0, #1\n"

#endif

__asm__(".pushsection .text\n"
        FUNCTION("fiber_enter") SAVE SWAP CALL FALSE LOAD END("fiber_enter")
        FUNCTION("fiber_switch") SAVE SWAP TRUE LOAD END("fiber_switch")
        ".popsection\n");
/* clang-format on */
#endif

/* ---- ASan ---- */

#if FIBER_ASAN

#define UNSEEN __attribute__((no_sanitize_address))

/* Kept is where the second stack of this side goes; NULL: this side ends, and so does that. */
static void tell_leaving(void **kept, const void *low, size_t size)
{
    __sanitizer_start_switch_fiber(kept, low, size);
}

static void tell_arrived(struct fiber *f, void *kept)
{
    __sanitizer_finish_switch_fiber(kept, &f->under_low, &f->under_size);
}

static void tell_back(void *kept)
{
    __sanitizer_finish_switch_fiber(kept, NULL, NULL);
}
#else
#define UNSEEN
#define tell_leaving(kept, ...) ((void)0)
#define tell_arrived(f, kept)   ((void)0)
#define tell_back(kept)         ((void)0)
#endif

/* ---- ucontext ---- */

#if defined(__GLIBC__) || !FIBER_ASSEMBLY
#define CONTEXTS 1

/* At the upper end of the stack. */
struct fiber_contexts {
    ucontext_t under, own;
    char *low;
    bool begun, over;
};

UNSEEN static void context_main(unsigned high, unsigned low)
{
    struct fiber *f = (struct fiber *)(((uintptr_t)high << 16 << 16) | low);
    tell_arrived(f, NULL);
    f->run(f->arg);
    f->contexts->over = true;
    tell_leaving(NULL, f->under_low, f->under_size);
    setcontext(&f->contexts->under);
    check(false);
}

static void place_contexts(struct fiber *f, char *low, size_t size)
{
    uintptr_t at = ((uintptr_t)low + size - sizeof *f->contexts) & ~(uintptr_t)63;
    f->contexts = (struct fiber_contexts *)at;
    f->contexts->low = low;
    f->contexts->begun = f->contexts->over = false;
    f->state = FIBER_CONTEXT;
}

/* Only now: control words are those of who resumes it first. */
static void make_context(struct fiber *f)
{
    struct fiber_contexts *c = f->contexts;
    check(getcontext(&c->own) == 0);
    c->own.uc_stack = (stack_t){.ss_sp = c->low, .ss_size = (size_t)((char *)c - c->low)};
    c->own.uc_link = NULL;
    makecontext(&c->own, (void (*)(void))context_main, 2, (unsigned)((uintptr_t)f >> 16 >> 16),
                (unsigned)(uintptr_t)f);
    c->begun = true;
}

static bool resume_context(struct fiber *f)
{
    if (!f->contexts->begun)
        make_context(f);
    check(swapcontext(&f->contexts->under, &f->contexts->own) == 0);
    return !f->contexts->over;
}

static void stop_context(struct fiber *f)
{
    check(swapcontext(&f->contexts->own, &f->contexts->under) == 0);
}
#else
#define CONTEXTS 0
#endif

/* ---- What is called ---- */

#if FIBER_ASSEMBLY && FIBER_ASAN
UNSEEN static void main_seen(void *arg)
{
    struct fiber *f = arg;
    tell_arrived(f, NULL);
    f->run(f->arg);
    tell_leaving(NULL, f->under_low, f->under_size);
}
#endif

void fiber_begin_slow(struct fiber *f, char *low, size_t size)
{
#if FIBER_ASAN
    __asan_unpoison_memory_region(low, size); /* somebody may have been left there */
    f->low = low;
    f->size = size;
#endif
#if CONTEXTS
    if (fiber_needs_ucontext())
        place_contexts(f, low, size);
#endif
    (void)f, (void)low, (void)size;
}

static bool go_on(struct fiber *f)
{
#if FIBER_ASSEMBLY
    if (f->state == FIBER_NEW) {
        f->state = FIBER_BEGUN;
#if FIBER_ASAN
        return fiber_enter(&f->sp, main_seen, f);
#else
        return fiber_enter(&f->sp, f->run, f->arg);
#endif
    }
    if (f->state == FIBER_BEGUN)
        return fiber_switch(&f->sp);
#endif
    check(f->state == FIBER_CONTEXT);
#if CONTEXTS
    return resume_context(f);
#else
    return false;
#endif
}

bool fiber_resume(struct fiber *f)
{
#if FIBER_ASAN
    void *kept = NULL;
#endif
    tell_leaving(&kept, f->low, f->size);
    bool more = go_on(f);
    tell_back(kept);
    if (!more)
        f->state = FIBER_OVER;
    return more;
}

void fiber_stop(struct fiber *f)
{
    tell_leaving(&f->fake, f->under_low, f->under_size);
#if CONTEXTS
    if (f->state == FIBER_CONTEXT)
        stop_context(f);
#endif
#if FIBER_ASSEMBLY
    if (f->state == FIBER_BEGUN)
        fiber_switch(&f->sp);
#endif
    tell_arrived(f, f->fake);
}
