/* The writer of captures: the datagrams given to it are read back one by one; on a full disk the error is
 * told, and the file has the first of them. The first byte is how much the disk has room for, in units of 64
 * bytes (255: enough); of the others, each datagram has its length in two bytes before it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inet_diag/capture.h"
#include "inet_diag/pcap.h"

#define COOKED 16 /* bytes before each datagram, see pcap's LINKTYPE_NETLINK */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char in_memory[] = "/dev/shm/fuzz-capture-XXXXXX";
static char on_disk[] = "/tmp/fuzz-capture-XXXXXX";
static const char *folder;
static char path[128];

static void clean_up(void)
{
    unlink(path);
    rmdir(folder);
}

/* A finding leaves nothing behind either. */
static void fail(void)
{
    clean_up();
    abort();
}

static void begin(void)
{
    folder = mkdtemp(in_memory);
    if (!folder)
        folder = mkdtemp(on_disk);
    if (!folder)
        abort();
    snprintf(path, sizeof(path), "%s/poll-7-netns-42.pcap", folder);
    signal(SIGXFSZ, SIG_IGN);
    atexit(clean_up);
}

/* The next datagram of the input. */
static bool next(const uint8_t **data, size_t *size, const uint8_t **at, size_t *n)
{
    if (*size < 2)
        return false;
    *n = (size_t)((*data)[0] | (*data)[1] << 8);
    *data += 2;
    *size -= 2;
    if (*n > *size)
        *n = *size;
    *at = *data;
    *data += *n;
    *size -= *n;
    return true;
}

/* Files of this process may not grow beyond |bytes|. */
static void set_room(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        fail();
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        fail();
}

/* Writes the capture. Returns what went wrong. */
static int write_all(const uint8_t *data, size_t size)
{
    struct capture c;
    const uint8_t *at;
    size_t n;
    int rc = capture_open(&c, folder, 7, 42);
    if ((rc != 0) != (c.fd < 0))
        fail();
    while (rc == 0 && next(&data, &size, &at, &n))
        capture_add(&c, at, n);
    return rc ? rc : capture_close(&c);
}

/* Compares the |len| bytes of the file with the input; |whole|: nothing went wrong. */
static void compare(const uint8_t *file, size_t len, const uint8_t *data, size_t size, bool whole)
{
    struct pcap_reader r;
    struct pcap_packet p;
    struct err e = {0};
    const uint8_t *at = NULL;
    size_t n = 0;
    int rc = pcap_open(&r, file, len, &e);
    if (rc != 0) {
        if (whole)
            fail();
        return;
    }
    if (r.linktype != PCAP_LINKTYPE_NETLINK)
        fail();
    while ((rc = pcap_next(&r, &p, &e)) == 1) {
        if (!next(&data, &size, &at, &n) || p.len != COOKED + n || p.wire_len != p.len ||
            memcmp(p.data + COOKED, at, n) != 0)
            fail();
    }
    if (whole && (rc != 0 || next(&data, &size, &at, &n)))
        fail();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!*path)
        begin();
    if (size < 1)
        return 0;
    set_room(data[0] == 255 ? RLIM_INFINITY : (rlim_t)data[0] * 64);
    int rc = write_all(data + 1, size - 1);
    set_room(RLIM_INFINITY);
    if (rc > 0 || (rc != 0 && data[0] == 255))
        fail();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { /* of a capture without anything in it nothing need be left */
        if (rc == 0 || errno != ENOENT)
            fail();
        return 0;
    }
    struct stat st;
    uint8_t *file = fstat(fd, &st) == 0 ? malloc(st.st_size ? (size_t)st.st_size : 1) : NULL;
    if (!file || read(fd, file, (size_t)st.st_size) != st.st_size)
        fail();
    close(fd);
    unlink(path);
    compare(file, (size_t)st.st_size, data + 1, size - 1, rc == 0);
    free(file);
    return 0;
}
