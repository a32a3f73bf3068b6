#include "server/process/sandbox.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* The filter lists the refused calls, not the allowed ones: gRPC, OpenSSL and the C library may use other calls in
 * their next version, and a daemon that fails on some machine only makes people switch the filter off. The calls that
 * are refused are those that none of them ever makes. (deploy/systemd/xtcp2.service lists the allowed
 * ones.) */
#define CALL(name) SCMP_SYS(name)
static const int refused[] = {
    /* programs */
    CALL(execve), CALL(execveat), CALL(fork), CALL(vfork), CALL(uselib),
    /* other processes */
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(process_madvise), CALL(kcmp),
    CALL(pidfd_open), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(rt_sigqueueinfo),
    CALL(rt_tgsigqueueinfo), CALL(tkill), CALL(move_pages), CALL(migrate_pages),
    /* code in the kernel */
    CALL(bpf), CALL(perf_event_open), CALL(init_module), CALL(finit_module), CALL(delete_module),
    CALL(create_module), CALL(kexec_load), CALL(kexec_file_load), CALL(io_uring_setup), CALL(io_uring_enter),
    CALL(io_uring_register), CALL(userfaultfd),
    /* file systems */
    CALL(mount), CALL(umount), CALL(umount2), CALL(pivot_root), CALL(chroot), CALL(open_tree),
    CALL(move_mount), CALL(fsopen), CALL(fsconfig), CALL(fsmount), CALL(fspick), CALL(mount_setattr),
    CALL(swapon), CALL(swapoff), CALL(quotactl), CALL(quotactl_fd), CALL(name_to_handle_at),
    CALL(open_by_handle_at), CALL(fanotify_init), CALL(mknod), CALL(mknodat), CALL(acct),
    /* who we are */
    CALL(setuid), CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid), CALL(setresgid),
    CALL(setfsuid), CALL(setfsgid), CALL(setgroups), CALL(unshare), CALL(personality),
    /* the machine */
    CALL(reboot), CALL(settimeofday), CALL(clock_settime), CALL(clock_adjtime), CALL(adjtimex), CALL(stime),
    CALL(sethostname), CALL(setdomainname), CALL(syslog), CALL(vhangup), CALL(iopl), CALL(ioperm),
    CALL(modify_ldt), CALL(add_key), CALL(request_key), CALL(keyctl), CALL(nfsservctl), CALL(lookup_dcookie),
    CALL(sysfs), CALL(_sysctl)};

/* Families of sockets that the daemon uses: listeners and clients' connections, netlink, and no others
 * (packets, vsock, the kernel's ciphers, Bluetooth, …). */
static bool is_family(int family)
{
    return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

static int refuse_families(scmp_filter_ctx f)
{
    int rc = 0;
    /* the kernel takes an int out of the register: its other bits must not make a difference */
    for (int family = 0; family < AF_MAX && rc == 0; family++) {
        if (!is_family(family))
            rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)family));
    }
    return rc;
}

/* Refuses calls depending on their arguments. */
static int refuse_uses(scmp_filter_ctx f)
{
    const uint32_t no = SCMP_ACT_ERRNO(EPERM);
    const scmp_datum_t writable_code = PROT_WRITE | PROT_EXEC;
    const scmp_datum_t own = (scmp_datum_t)getpid();
    int rc = refuse_families(f);
    /* a process rather than a thread; the arguments of clone3 cannot be seen, and libc does without it */
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(setns), 1, SCMP_A1(SCMP_CMP_NE, CLONE_NEWNET, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, writable_code, writable_code));
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, writable_code, writable_code));
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(pkey_mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, writable_code, writable_code));
    /* signals to others; abort(3) sends one to itself */
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, own, 0));
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, own, 0));
    /* typing into the terminal that it was started from */
    if (rc == 0)
        rc = seccomp_rule_add(f, no, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI));
    return rc;
}

static int fill(scmp_filter_ctx f)
{
    /* a tree instead of a list, and no slower CPU in exchange for seccomp (kernels before 5.16); an older
     * libseccomp does without */
    (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0); /* privilege_drop has done that */
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && rc == 0; i++) {
        if (refused[i] != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    }
    return rc ? rc : refuse_uses(f);
}

int sandbox_install(struct err *e)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (!f)
        return err_set(e, -ENOMEM, "seccomp: out of memory");
    int rc = fill(f);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc ? err_set(e, rc, "seccomp: the filter is refused: %s", err_name(rc)) : 0;
}

int sandbox_apply(enum config_sandbox how, struct err *e)
{
    struct err why = {0};
    if (how == CONFIG_SANDBOX_OFF || (SANITIZED && how == CONFIG_SANDBOX_AUTO))
        return 0;
    int rc = sandbox_install(&why);
    if (rc == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        rc = err_set(&why, -errno, "PR_SET_DUMPABLE: %s", err_name(-errno));
    if (rc && how == CONFIG_SANDBOX_REQUIRED)
        return err_set(e, rc, "sandbox: value \"required\", but %s", why.text);
    if (rc)
        log_warn("app", "sandbox: going on without it: %s", why.text);
    return 0;
}
