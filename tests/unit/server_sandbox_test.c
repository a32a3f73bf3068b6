/* The filter, in a process of its own: what it refuses, and that it refuses nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/process/sandbox.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Calls that do no harm when nobody refuses them: most of them are asked for something that is not there. */
struct attempt {
    const char *name;
    long number;
    long args[6];
    int refusal; /* the errno that the filter gives; 0: it lets the call through */
};

#define MISSING  ((long)"/nonexistent/x")
#define NOBODY   0x7ffffff0L
#define WX       (PROT_READ | PROT_WRITE | PROT_EXEC)
#define PRIVATE  (MAP_PRIVATE | MAP_ANONYMOUS)
#define CALL(n_) #n_, SYS_##n_

static const struct attempt attempts[] = {
    {CALL(execve), {MISSING, 0, 0}, EPERM},
    {CALL(execveat), {-1, MISSING, 0, 0, 0}, EPERM},
    {CALL(clone3), {0, 0}, ENOSYS},
    {CALL(ptrace), {2, NOBODY, 0, 0}, EPERM},
    {CALL(process_vm_readv), {NOBODY, 0, 0, 0, 0, 0}, EPERM},
    {CALL(process_vm_writev), {NOBODY, 0, 0, 0, 0, 0}, EPERM},
    {CALL(pidfd_open), {NOBODY, 0}, EPERM},
    {CALL(bpf), {-1, 0, 0}, EPERM},
    {CALL(perf_event_open), {0, 0, -1, -1, 0}, EPERM},
    {CALL(init_module), {0, 0, MISSING}, EPERM},
    {CALL(finit_module), {-1, MISSING, 0}, EPERM},
    {CALL(delete_module), {MISSING, O_NONBLOCK}, EPERM},
    {CALL(kexec_load), {0, 0, 0, -1}, EPERM},
    {CALL(io_uring_setup), {0, 0}, EPERM},
    {CALL(userfaultfd), {-1}, EPERM},
    {CALL(mount), {MISSING, MISSING, MISSING, 0, 0}, EPERM},
    {CALL(umount2), {MISSING, 0}, EPERM},
    {CALL(pivot_root), {MISSING, MISSING}, EPERM},
    {CALL(chroot), {MISSING}, EPERM},
    {CALL(mknodat), {AT_FDCWD, MISSING, 0, 0}, EPERM},
    {CALL(open_by_handle_at), {-1, 0, 0}, EPERM},
    {CALL(setresuid), {-1, -1, -1}, EPERM},
    {CALL(setresgid), {-1, -1, -1}, EPERM},
    {CALL(unshare), {0}, EPERM},
    {CALL(setns), {-1, CLONE_NEWNS}, EPERM},
    {CALL(setns), {-1, 0}, EPERM},
    {CALL(setns), {-1, CLONE_NEWNET}, 0},
    {CALL(personality), {0xffffffff}, EPERM},
    {CALL(reboot), {0, 0, 0, 0}, EPERM},
    {CALL(clock_settime), {-1, 0}, EPERM},
    {CALL(sethostname), {0, -1}, EPERM},
    {CALL(keyctl), {-1, 0, 0, 0, 0}, EPERM},
    {CALL(ioctl), {-1, TIOCSTI, 0}, EPERM},
    {CALL(ioctl), {-1, FIONREAD, 0}, 0},
    {CALL(socket), {AF_PACKET, SOCK_RAW, 0}, EAFNOSUPPORT},
    {CALL(socket), {AF_ALG, SOCK_SEQPACKET, 0}, EAFNOSUPPORT},
    {CALL(socket), {AF_VSOCK, SOCK_STREAM, 0}, EAFNOSUPPORT},
    /* the kernel takes an int out of the register, whatever else is in it */
    {CALL(socket), {1L << 32 | AF_PACKET, SOCK_RAW, 0}, EAFNOSUPPORT},
    {CALL(setns), {-1, 1L << 32 | CLONE_NEWNS}, EPERM},
    {CALL(kill), {1L << 32 | NOBODY, 0}, EPERM},
    {CALL(ioctl), {-1, 1L << 32 | TIOCSTI, 0}, EPERM},
    {CALL(socket), {AF_UNIX, SOCK_STREAM, 0}, 0},
    {CALL(socket), {AF_INET, SOCK_STREAM, 0}, 0},
    {CALL(socket), {AF_INET6, SOCK_STREAM, 0}, 0},
    {CALL(socket), {AF_NETLINK, SOCK_RAW, 0}, 0},
    {CALL(mmap), {0, 4096, WX, PRIVATE, -1, 0}, EPERM},
    {CALL(mmap), {0, 4096, PROT_READ | PROT_EXEC, PRIVATE, -1, 0}, 0},
    {CALL(mprotect), {1, 4096, WX}, EPERM},
    {CALL(pkey_mprotect), {1, 4096, WX, -1}, EPERM},
    {CALL(mprotect), {1, 4096, PROT_READ}, 0},
    {CALL(tkill), {NOBODY, 0}, EPERM},
    {CALL(tgkill), {NOBODY, NOBODY, 0}, EPERM},
    {CALL(kill), {NOBODY, 0}, EPERM},
    {CALL(getrandom), {0, 0, 0}, 0},
    {CALL(openat), {AT_FDCWD, MISSING, O_RDONLY}, 0},
};

/* The findings of a child of this test, in shared memory. */
struct findings {
    int error[N(attempts)]; /* errno of each, 0: it succeeded */
    int install;
    bool thread;     /* one could be started and joined */
    bool own_signal; /* one could be sent to ourselves */
    bool process;    /* another one could be started: as fork(2) does it */
    bool finished;
};

static void *nothing(void *arg)
{
    return arg;
}

/* As fork(2) does it since long ago. */
static bool start_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid((pid_t)pid, NULL, 0) == pid;
}

static void try_all(struct findings *f)
{
    for (size_t i = 0; i < N(attempts); i++) {
        const long *a = attempts[i].args;
        f->error[i] = syscall(attempts[i].number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0;
    }
    pthread_t t;
    f->thread = pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
    f->own_signal = kill(getpid(), 0) == 0 && raise(SIGURG) == 0;
    f->process = start_process();
    f->finished = true;
}

/* Has a child try everything, with the filter or without. The caller unmaps what is returned. */
static struct findings *run(bool filtered)
{
    struct findings *f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(f, MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (filtered)
            f->install = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : sandbox_install(NULL);
        try_all(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(f->finished);
    return f;
}

static void test_refused_and_allowed(void **state)
{
    (void)state;
    struct findings *without = run(false);
    struct findings *with = run(true);
    assert_int_equal(with->install, 0);
    size_t told = 0; /* refusals that are the filter's and nobody else's */
    for (size_t i = 0; i < N(attempts); i++) {
        const struct attempt *a = &attempts[i];
        int expected = a->refusal ? a->refusal : without->error[i];
        if (with->error[i] != expected)
            fail_msg("%s (%ld, %ld, …): %s, expected %s", a->name, a->args[0], a->args[1],
                     strerror(with->error[i]), strerror(expected));
        told += a->refusal && without->error[i] != a->refusal;
    }
    assert_true(told >= (geteuid() == 0 ? 30 : 10));
    assert_true(without->thread && without->own_signal && without->process);
    assert_true(with->thread && with->own_signal);
    assert_false(with->process);
    munmap(without, sizeof(*without));
    munmap(with, sizeof(*with));
}

/* Without no_new_privs an ordinary user may not filter himself: it is said, and REQUIRED does not go on. */
static void test_the_kernel_refuses(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e = {0};
        bool ready = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
        int rc = sandbox_install(&e);
        if (!ready || rc >= 0 || !strstr(e.text, "seccomp"))
            _exit(1);
        rc = sandbox_apply(CONFIG_SANDBOX_REQUIRED, &e);
        _exit(rc < 0 && strstr(e.text, "required") ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_off(void **state)
{
    (void)state;
    assert_int_equal(sandbox_apply(CONFIG_SANDBOX_OFF, NULL), 0);
    assert_int_equal(prctl(PR_GET_SECCOMP), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_and_allowed),
        cmocka_unit_test(test_the_kernel_refuses),
        cmocka_unit_test(test_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
