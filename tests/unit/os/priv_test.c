/* priv_test.c - what is left of a process that gives up its rights. */
#include "os/priv.h"

#include "base/check.h"
#include "os/child.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PORTS (UINT64_C(1) << CAP_NET_BIND_SERVICE)
#define RAW   (UINT64_C(1) << CAP_NET_RAW)

/* A value of /proc/self/status, read as hexadecimal; -1 where there is none. */
static long long status_of(const char *key)
{
    char line[256];
    long long value = -1;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoll(line + strlen(key), NULL, 16);
    if (f)
        (void)fclose(f);
    return value;
}

static int in_child(int (*what)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool has_nothing(void)
{
    return status_of("CapInh:") == 0 && status_of("CapPrm:") == 0 && status_of("CapEff:") == 0 &&
           status_of("CapAmb:") == 0 && status_of("NoNewPrivs:") == 1;
}

static int drop_to_nobody(void)
{
    uid_t uid;
    gid_t gid;
    int sig = 0;

    if (child_user_find("nobody", &uid, &gid) < 0)
        return 77;
    prctl(PR_SET_PDEATHSIG, 15UL, 0UL, 0UL, 0UL);
    if (priv_drop("nobody", uid, gid) != 0)
        return 1;
    if (!has_nothing() || status_of("CapBnd:") != 0)
        return 2;
    if (getuid() != uid || geteuid() != uid || getegid() != gid || setuid(0) == 0)
        return 3;
    prctl(PR_GET_PDEATHSIG, (unsigned long)&sig, 0UL, 0UL, 0UL);
    if (sig != 15 || prctl(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) != 1)
        return 4;
    return priv_drop(NULL, 0, 0) == 0 ? 0 : 5; /* once more does no harm */
}

static void test_root_becomes_a_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    int rc = in_child(drop_to_nobody);
    if (rc == 77)
        skip();
    assert_int_equal(rc, 0);
}

/* A plain user with these capabilities, as systemd's AmbientCapabilities makes one. */
static int become_plain_with(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    prctl(PR_SET_KEEPCAPS, 1UL, 0UL, 0UL, 0UL);
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return -1;
    data[0].permitted = data[0].effective = data[0].inheritable = (uint32_t)caps;
    if (syscall(SYS_capset, &head, data) < 0)
        return -1;
    for (unsigned long i = 0; i < 32; i++)
        if (caps >> i & 1)
            prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_RAISE, i, 0UL, 0UL);
    return status_of("CapAmb:") == (long long)caps ? 0 : -1;
}

static int keep_one_of_two(void)
{
    struct priv_sets sets;

    if (become_plain_with(PORTS | RAW) < 0)
        return 77;
    if (priv_no_new() != 0 || priv_keep_ports() != 0 || priv_look(&sets) != 0)
        return 1;
    if (sets.permitted != PORTS || sets.effective != PORTS || sets.inheritable != PORTS ||
        status_of("CapAmb:") != (long long)PORTS)
        return 2;
    if (priv_drop(NULL, 0, 0) != 0) /* as a worker of that one does */
        return 3;
    return has_nothing() && getuid() == 65534 ? 0 : 4;
}

static int keep_none(void)
{
    struct priv_sets sets;

    if (become_plain_with(RAW) < 0)
        return 77;
    if (priv_keep_ports() != 0 || priv_look(&sets) != 0)
        return 1;
    return (sets.permitted | sets.effective | sets.inheritable) == 0 && status_of("CapAmb:") == 0
               ? 0
               : 2;
}

static void test_plain_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    int rc = in_child(keep_one_of_two);
    if (rc == 77)
        skip();
    assert_int_equal(rc, 0);
    assert_int_equal(in_child(keep_none), 0);
}

static int drop_what_is_not_there(void)
{
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534)))
        return 77;
    return priv_keep_ports() == 0 && priv_drop(NULL, 0, 0) == 0 && has_nothing() ? 0 : 1;
}

static void test_user_without_rights(void **state)
{
    (void)state;
    int rc = in_child(drop_what_is_not_there);
    if (rc == 77)
        skip();
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_becomes_a_user),
        cmocka_unit_test(test_plain_user),
        cmocka_unit_test(test_user_without_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
