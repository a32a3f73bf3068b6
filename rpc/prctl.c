/* prctl(2), in the place of the C library's, for all of a program.
 *
 * Abseil, which gRPC is built on, names memory that it takes by prctl(PR_SET_VMA). A kernel without that (before 5.17,
 * or built without CONFIG_ANON_VMA_NAME) answers EINVAL, which Abseil ignores. But gRPC 1.51 takes memory between its
 * connect(2) and its look at errno (iomgr/tcp_client_posix.cc), and so, once in a thousand times, takes a connection
 * that is on its way for one that has failed: "Invalid argument". The name is not worth a changed errno. */
#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

__attribute__((visibility("default"))) int prctl(int option, ...)
{
    int before = errno;
    va_list list;
    va_start(list, option);
    unsigned long a[4];
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    int rc = (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
    if (option == PR_SET_VMA)
        errno = before;
    return rc;
}
