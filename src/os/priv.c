/* priv.c - see priv.h.
 *
 * The kernel takes root's capabilities away when it becomes somebody else, but not the inheritable ones and not the
 * bounding set; and of a plain user's nothing goes by itself. glibc has no call for capabilities, so this is the
 * kernel's own interface. */
#include "os/priv.h"

#include "os/child.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORDS 2 /* of 32 bits: version 3 of the interface */

int priv_no_new(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0 ? -errno : 0;
}

int priv_look(struct priv_sets *out)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[WORDS] = {{0}};

    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    *out = (struct priv_sets){.permitted = data[0].permitted | (uint64_t)data[1].permitted << 32,
                              .effective = data[0].effective | (uint64_t)data[1].effective << 32,
                              .inheritable = data[0].inheritable | (uint64_t)data[1].inheritable
                                                                       << 32};
    return 0;
}

static int set_all(uint64_t bits)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[WORDS];

    for (int i = 0; i < WORDS; i++)
        data[i].permitted = data[i].effective = data[i].inheritable = (uint32_t)(bits >> 32 * i);
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* Who may not do this (CAP_SETPCAP) need not: priv_no_new has the same effect for who is not root. */
static void shrink_bounding(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0UL, 0UL, 0UL) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL);
}

/* Kernels before 4.3 have no ambient set, hence nothing to clear. */
static int clear_ambient(void)
{
    int rc = prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);

    return rc < 0 && errno != EINVAL ? -errno : 0;
}

static int is_bare(void)
{
    struct priv_sets sets;
    int rc = priv_look(&sets);

    if (rc == 0 && (sets.permitted | sets.effective | sets.inheritable) != 0)
        rc = -EPERM;
    return rc;
}

int priv_drop(const char *name, uid_t uid, gid_t gid)
{
    int rc = priv_no_new();

    shrink_bounding();
    if (rc == 0 && name)
        rc = child_user_become(name, uid, gid);
    if (rc == 0)
        rc = clear_ambient();
    if (rc == 0)
        rc = set_all(0);
    if (rc == 0)
        rc = is_bare();
    if (rc == 0)
        prctl(PR_SET_DUMPABLE, 1UL, 0UL, 0UL, 0UL); /* a file with capabilities had it off */
    return rc;
}

int priv_keep_ports(void)
{
    const uint64_t ports = UINT64_C(1) << CAP_NET_BIND_SERVICE;
    struct priv_sets sets;
    int rc = priv_look(&sets);

    if (rc == 0)
        rc = set_all(sets.permitted & ports);
    if (rc == 0 && (sets.permitted & ports))
        prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_RAISE,
              (unsigned long)CAP_NET_BIND_SERVICE, 0UL, 0UL);
    return rc;
}
