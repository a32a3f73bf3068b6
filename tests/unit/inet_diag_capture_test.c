/* Recordings on a disk that has no room for them. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "inet_diag/capture.h"

#define HEADER 24       /* of a pcap file */
#define PACKET (32 + 8) /* headers of a packet, and what the test puts into it */

struct fixture {
    char folder[64];
    char path[128];
    struct rlimit before;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (!f)
        return -1;
    strcpy(f->folder, "/tmp/xtcp2_capture_XXXXXX");
    if (!mkdtemp(f->folder) || getrlimit(RLIMIT_FSIZE, &f->before) != 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/poll-7-netns-9.pcap", f->folder);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    setrlimit(RLIMIT_FSIZE, &f->before);
    unlink(f->path);
    int rc = rmdir(f->folder); /* fails when anything else is in it */
    free(f);
    return rc;
}

/* Records three packets on a disk that has room for |room| bytes. Returns what capture_open says, else what
 * capture_close says. */
static int record(const struct fixture *f, uint64_t room, size_t *packets)
{
    struct capture c;
    struct rlimit limit = {.rlim_cur = room, .rlim_max = f->before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = capture_open(&c, f->folder, 7, 9);
    if (rc == 0) {
        for (int i = 0; i < 3; i++)
            capture_add(&c, "datagram", 8);
        rc = capture_close(&c);
    }
    *packets = c.packets;
    assert_int_equal(c.fd, -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &f->before), 0); /* cmocka writes too */
    return rc;
}

/* How long the file may be: every length that the disk may have room for. */
static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    for (uint64_t room = 0; room <= HEADER + 3 * PACKET; room++) {
        size_t packets;
        int rc = record(f, room, &packets);
        size_t want = room < HEADER + PACKET ? 0 : (room - HEADER) / PACKET;
        assert_int_equal(packets, want);
        assert_int_equal(rc != 0, want < 3);
        if (want == 0) {
            assert_int_equal(stat(f->path, &st), -1);
            assert_int_equal(errno, ENOENT);
            continue;
        }
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_size, HEADER + want * PACKET);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void test_a_file_that_is_there(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    size_t packets;
    FILE *other = fopen(f->path, "w");
    assert_non_null(other);
    fclose(other);
    assert_int_equal(record(f, 1000, &packets), -EEXIST);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, 0);
}

/* A disk on the network may tell only at the end that there is no room. */
static bool close_fails;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    int rc = __real_close(fd);
    if (!close_fails)
        return rc;
    errno = EDQUOT;
    return -1;
}

static void test_no_room_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct capture c;
    struct stat st;
    for (int packets = 0; packets < 2; packets++) {
        assert_int_equal(capture_open(&c, f->folder, 7, 9), 0);
        if (packets)
            capture_add(&c, "datagram", 8);
        close_fails = true;
        int rc = capture_close(&c);
        close_fails = false;
        assert_int_equal(rc, -EDQUOT);
        assert_int_equal(stat(f->path, &st), packets ? 0 : -1); /* no file without packets */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room_at_the_end, setup, teardown),
    };
    signal(SIGXFSZ, SIG_IGN); /* so that the write fails, as on a full disk */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
