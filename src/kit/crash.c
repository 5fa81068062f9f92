/* crash.c - the log of a test is in memory: when the process dies it is shown, and whose code it
 * was in. Only where nobody else (a sanitizer, a test framework) looks after the signal. */
#include "kit/kit.h"

#include "base/note.h"
#include "module/crumb.h"

#include <signal.h>
#include <unistd.h>

static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static void say(cs_str s)
{
    while (s.n) {
        ssize_t n = write(STDERR_FILENO, s.p, s.n);
        if (n <= 0)
            return;
        s = (cs_str){s.p + n, s.n - (size_t)n};
    }
}

static void show_log(const struct cst *t)
{
    char piece[1024];
    off_t at = 0;
    ssize_t n;
    if (t->log_shown)
        return;
    while ((n = pread(t->log_fd, piece, sizeof piece, at)) > 0) {
        say((cs_str){piece, (size_t)n});
        at += n;
    }
}

static void show_place(const struct cst *t)
{
    char line[200];
    struct note note = note_on(line, sizeof line);
    uint32_t where = atomic_load_explicit(&crumb_here->where, memory_order_relaxed);
    where = where ? where : crumb_thread_where;
    if (!where)
        return;
    note_add(&note, "cst: this was in ");
    note_add(&note, crumb_hook_name((enum crumb_hook)(where & 255)));
    for (size_t i = 0; t->settings.conf && i < t->settings.conf->nmodules; i++)
        if (t->settings.conf->modules[i].number == where >> 8) {
            note_add(&note, " of the module ");
            note_add(&note, t->settings.descs[i]->name);
        }
    note_add(&note, "\n");
    say(note_str(&note));
}

/* Then the signal comes again, and ends the process. */
static void on_signal(int number)
{
    signal(number, SIG_DFL);
    if (!kit_here)
        return;
    show_log(kit_here);
    show_place(kit_here);
}

void kit_crash_open(void)
{
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            signal(signals[i], on_signal);
    }
}

void kit_crash_close(void)
{
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct sigaction now;
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            signal(signals[i], SIG_DFL);
    }
}
