/* holder.c - who has the accept turn, for certain, and what happens to him.
 *
 *   holder MASTER_PID      reads commands, answers each with a line of JSON
 *
 *     look                 the lock's owner now, the slot that says it has the turn
 *     holder [stay]        SIGSTOP whoever has the turn, make sure that he has it, SIGKILL; with
 *                          a word behind it: leave him stopped
 *     kill PID...          SIGSTOP them all, look who of them has the turn, SIGKILL them all
 *     other PID...         SIGSTOP one of these that does not have the turn, and leave him so
 *
 * The status page tells who had the turn a while ago. Here the lock itself is read, in the shared
 * memory through /proc/MASTER/mem, after the process has come to a halt: the word of the mutex then
 * holds its thread id exactly when it has the lock, and the kernel will look at the same word when
 * it dies. `held`: "sure" when it also says in the shared memory that it has the turn, "mid" when it
 * was just taking or giving it (its own recovery of a dead owner may then be lost uncounted), "no".
 *
 * Before the kill the peers' ports of its connections are noted: only those may fail. */
#include "ipc/layout.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    VICTIMS = 256,
    LINE = 4096,
    PATIENCE_US = 10000000
};

struct view {
    pid_t tid; /* 0: the lock is free, or its owner has died */
    int owner; /* slot, -1 = nobody */
};

static int memory; /* /proc/MASTER/mem */
static off_t base;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void read_at(off_t at, void *to, size_t n)
{
    if (pread(memory, to, n, base + at) != (ssize_t)n)
        die("the shared memory");
}

static off_t round_up(off_t n)
{
    return (n + IPC_CACHE_LINE - 1) / IPC_CACHE_LINE * IPC_CACHE_LINE;
}

static off_t turn_at(void)
{
    return round_up(sizeof(struct ipc_header));
}

/* As ipc/region.c lays them out; the mail lies behind. */
static off_t slot_at(int slot)
{
    off_t names = round_up(turn_at() + (off_t)sizeof(struct ipc_turn));
    off_t modules = round_up(names + IPC_MODULE_COUNTERS * (off_t)sizeof(struct ipc_counter_name));
    off_t slots = round_up(modules + IPC_MODULES * (off_t)sizeof(struct ipc_module));
    return slots + slot * (off_t)sizeof(struct ipc_slot);
}

static void check_layout(void)
{
    struct ipc_header h;
    read_at(0, &h, sizeof h);
    if (h.version != IPC_LAYOUT_VERSION || (off_t)h.size < slot_at((int)h.nslots)) {
        fprintf(stderr, "the server was not built from these sources: another shared memory\n");
        exit(2);
    }
}

/* The region is the shared mapping whose first bytes are its magic. */
static void find_region(const char *master)
{
    char path[64], line[LINE];
    snprintf(path, sizeof path, "/proc/%s/mem", master);
    memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%s/maps", master);
    FILE *maps = fopen(path, "re");
    if (memory < 0 || !maps)
        die(path);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from;
        char mode[5];
        uint32_t words[2];
        if (sscanf(line, "%lx-%*x %4s", &from, mode) != 2 || strcmp(mode, "rw-s") != 0 ||
            pread(memory, words, sizeof words, (off_t)from) != (ssize_t)sizeof words ||
            words[0] != IPC_MAGIC)
            continue;
        base = (off_t)from;
        fclose(maps);
        check_layout();
        return;
    }
    fprintf(stderr, "process %s has no shared memory of ours\n", master);
    exit(2);
}

static struct view look(void)
{
    struct ipc_turn t;
    read_at(turn_at(), &t, sizeof t);
    uint32_t word = (uint32_t)t.lock.mutex.__data.__lock;
    return (struct view){(pid_t)(word & FUTEX_OWNER_DIED ? 0 : word & FUTEX_TID_MASK),
                         atomic_load(&t.owner)};
}

static pid_t pid_of_slot(int slot)
{
    struct ipc_slot s;
    if (slot < 0)
        return 0;
    read_at(slot_at(slot), &s, sizeof s);
    return atomic_load(&s.pid);
}

/* 'T' stopped, 'Z' dead, 0 gone, else another letter of /proc/PID/stat. */
static char state_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    return end ? end[2] : 0;
}

static bool halt(pid_t pid)
{
    if (pid <= 1 || kill(pid, SIGSTOP) < 0)
        return false;
    for (;;) {
        char state = state_of(pid);
        if (state == 'T' || state == 't')
            return true;
        if (state == 0 || state == 'Z' || state == 'X')
            return false;
        sched_yield();
    }
}

static const char *held(pid_t pid)
{
    struct view v = look();
    if (v.tid != pid)
        return "no";
    return pid_of_slot(v.owner) == pid ? "sure" : "mid";
}

static void print_peer(int fd, const char **comma)
{
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &n) == 0 && peer.ss_family == AF_INET) {
        printf("%s%d", *comma, ntohs(((struct sockaddr_in *)&peer)->sin_port));
        *comma = ", ";
    }
}

static void print_peers(pid_t pid)
{
    char path[64];
    const char *comma = "";
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    if (!dir || handle < 0)
        die(path);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        int fd = (int)syscall(SYS_pidfd_getfd, handle, atoi(entry->d_name), 0);
        if (fd < 0 && errno != EBADF)
            die("pidfd_getfd");
        print_peer(fd, &comma);
        close(fd);
    }
    close(handle);
    closedir(dir);
}

/* It has stopped; tells all about it and kills it, or leaves it so. */
static void finish(pid_t pid, const char *how, bool stay, int64_t stopped)
{
    printf("{\"pid\": %d, \"held\": \"%s\", \"peers\": [", (int)pid, how);
    print_peers(pid);
    if (!stay && kill(pid, SIGKILL) < 0)
        die("kill");
    int64_t now = now_us();
    printf("], \"at\": %.6f, \"stopped_us\": %lld}", (double)now / 1e6, (long long)(now - stopped));
}

/* The turn goes round quickly: often he has passed it on before he stops. */
static void take_holder(bool stay)
{
    for (int64_t end = now_us() + PATIENCE_US; now_us() < end;) {
        pid_t pid = look().tid;
        int64_t stopped = now_us();
        if (pid == 0 || !halt(pid))
            continue;
        const char *how = held(pid);
        if (strcmp(how, "sure") == 0) {
            finish(pid, how, stay, stopped);
            printf("\n");
            return;
        }
        kill(pid, SIGCONT);
        usleep(200);
    }
    printf("{\"pid\": 0}\n");
}

static int read_pids(char *words, pid_t *pids)
{
    int n = 0;
    for (char *w = strtok(words, " \n"); w && n < VICTIMS; w = strtok(NULL, " \n"))
        pids[n++] = (pid_t)atoi(w);
    return n;
}

/* Somebody of the list who sleeps and does not have the turn; he stays stopped. */
static void take_other(char *words)
{
    pid_t pids[VICTIMS];
    int n = read_pids(words, pids);
    int64_t end = now_us() + PATIENCE_US;
    for (int i = 0; n && now_us() < end; i++) {
        pid_t pid = pids[i % n];
        int64_t stopped = now_us();
        if (look().tid == pid || !halt(pid))
            continue;
        if (strcmp(held(pid), "no") == 0) {
            finish(pid, "no", true, stopped);
            printf("\n");
            return;
        }
        kill(pid, SIGCONT);
        usleep(200);
    }
    printf("{\"pid\": 0}\n");
}

static void kill_all(char *words)
{
    pid_t pids[VICTIMS];
    const char *comma = "";
    int n = read_pids(words, pids);
    int64_t stopped = now_us();
    for (int i = 0; i < n; i++)
        if (!halt(pids[i]))
            pids[i] = 0;
    /* Nobody else may take the turn between two looks, unless somebody else is alive. */
    const char *how[VICTIMS];
    for (int i = 0; i < n; i++)
        how[i] = pids[i] ? held(pids[i]) : "no";
    printf("[");
    for (int i = 0; i < n; i++)
        if (pids[i]) {
            printf("%s", comma);
            finish(pids[i], how[i], false, stopped);
            comma = ", ";
        }
    printf("]\n");
}

static void command(char *line)
{
    char *rest = line + strcspn(line, " \n");
    bool more = *rest == ' ';
    *rest = '\0';
    rest += more;
    if (strcmp(line, "holder") == 0) {
        take_holder(more);
    } else if (strcmp(line, "other") == 0) {
        take_other(rest);
    } else if (strcmp(line, "kill") == 0) {
        kill_all(rest);
    } else if (strcmp(line, "look") == 0) {
        struct view v = look();
        printf("{\"tid\": %d, \"owner\": %d, \"owner_pid\": %d}\n", (int)v.tid, v.owner,
               (int)pid_of_slot(v.owner));
    } else {
        fprintf(stderr, "what is %s?\n", line);
        exit(2);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[LINE];
    if (argc != 2) {
        fprintf(stderr, "usage: holder MASTER_PID\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpriority(PRIO_PROCESS, 0, -20); /* where it may: nobody is to stand for longer than needed */
    find_region(argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        size_t n = strlen(line);
        if (n && line[n - 1] == '\n')
            line[n - 1] = '\0';
        command(line);
    }
    return 0;
}
