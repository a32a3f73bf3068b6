#include "outputs_spool_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"

static char in_memory[] = "/dev/shm/xt_spool_XXXXXX"; /* where fsync costs nothing */
static char on_disk[] = "/tmp/xt_spool_XXXXXX";

const char *spool_parent;
char spool_dir[SPOOL_DIR_SIZE];
struct buf spool_data;

/* ---- Entries, each of which its number tells ---- */

static uint64_t random_state = 1;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint64_t random_below(uint64_t n)
{
    return next_random(&random_state) % n;
}

static const uint8_t *data_of(uint64_t number, size_t len)
{
    static uint8_t data[SPOOL_ENTRY_MAX + 8];
    uint64_t state = number + 88172645463325252u;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = next_random(&state);
        memcpy(data + i, &word, 8);
    }
    return data;
}

struct spool_entry entry_of(uint64_t number, size_t len)
{
    return (struct spool_entry){.poll_id = number,
                                .time_ns = clock_wall_ns(),
                                .rows = (uint32_t)rows_of(number, number + 1),
                                .poll_end = number % 3 == 0,
                                .data = data_of(number, len),
                                .len = len};
}

uint64_t rows_of(uint64_t first, uint64_t end)
{
    uint64_t rows = 0;
    for (uint64_t i = first; i < end; i++)
        rows += i % 7 + 1;
    return rows;
}

bool is_entry(const struct spool_entry *got, uint64_t number, size_t len)
{
    struct spool_entry want = entry_of(number, len);
    return got->poll_id == want.poll_id && got->rows == want.rows && got->poll_end == want.poll_end &&
           got->len == len && (len == 0 || memcmp(got->data, want.data, len) == 0);
}

int try_put(struct spool *s, uint64_t number, size_t len, struct err *e)
{
    struct spool_entry entry = entry_of(number, len);
    return spool_put(s, &entry, e);
}

void put_entry(struct spool *s, uint64_t number, size_t len)
{
    struct err e = {0};
    if (try_put(s, number, len, &e))
        fail_msg("entry %llu: %s", (unsigned long long)number, e.text);
}

void expect_entry(struct spool *s, uint64_t number, size_t len)
{
    struct spool_entry got;
    struct err e = {0};
    int rc = spool_first(s, &spool_data, &got, &e);
    if (rc != 1)
        fail_msg("entry %llu: %d %s", (unsigned long long)number, rc, e.text);
    assert_int_equal(got.poll_id, number);
    assert_true(is_entry(&got, number, len));
}

void take_entry(struct spool *s, uint64_t number, size_t len)
{
    expect_entry(s, number, len);
    spool_take(s);
}

void expect_empty(struct spool *s)
{
    struct spool_entry got;
    assert_int_equal(spool_first(s, &spool_data, &got, NULL), 0);
    assert_int_equal(spool_data.len, 0);
    spool_take(s); /* does nothing */
}

struct spool_stats stats_of(const struct spool *s)
{
    struct spool_stats stats;
    spool_stats(s, &stats);
    return stats;
}

/* ---- Folders and files ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void remove_dir(void)
{
    remove_tree(spool_dir);
}

struct spool *open_with(uint64_t bytes_max, int64_t age_max)
{
    struct spool *s = NULL;
    struct err e = {0};
    if (spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = bytes_max, .age_max = age_max}, &s,
                   &e))
        fail_msg("%s", e.text);
    return s;
}

struct spool *open_spool(void)
{
    return open_with(256 * MIB, 0);
}

void assert_refused(int code, const char *words)
{
    struct spool *s = NULL;
    struct err e = {0};
    assert_int_equal(spool_open(&(struct spool_options){.dir = spool_dir, .bytes_max = MIB}, &s, &e), code);
    assert_null(s);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, spool_dir) || !strstr(e.text, words))
        fail_msg("%s", e.text);
}

const char *in_dir(const char *name)
{
    static char path[4][sizeof(spool_dir) + 64];
    static unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof(path[0]), "%s/%s", spool_dir, name);
    return out;
}

const char *segment_path(uint64_t number)
{
    char name[SPOOL_NAME_SIZE];
    spool_segment_name(number, name);
    return in_dir(name);
}

size_t read_file(const char *path, uint8_t *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, to, size);
    assert_true(n >= 0);
    close(fd);
    return (size_t)n;
}

void write_file(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (n)
        assert_int_equal(write(fd, data, n), n);
    close(fd);
}

bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

size_t segments(uint64_t *bytes)
{
    uint64_t *list;
    size_t n;
    int fd = open(spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(spool_folder_segments(fd, &list, &n), 0);
    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        assert_int_equal(stat(segment_path(list[i]), &st), 0);
        *bytes += (uint64_t)st.st_size;
    }
    free(list);
    close(fd);
    return n;
}

void assert_no_segments(void)
{
    uint64_t bytes;
    assert_int_equal(segments(&bytes), 0);
}

void join(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("child: status %x", (unsigned)status);
}

void end_by_kill(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("child: status %x", (unsigned)status);
}

/* ---- Life ---- */

int spool_group_setup(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    if (!mkdtemp(in_memory) && !mkdtemp(on_disk))
        return -1;
    spool_parent = strstr(in_memory, "XXXXXX") ? on_disk : in_memory;
    return 0;
}

/* A test that has failed may have left something. */
int spool_group_teardown(void **state)
{
    (void)state;
    remove_tree(spool_parent);
    return 0;
}

int spool_setup(void **state)
{
    (void)state;
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", spool_parent);
    buf_init(&spool_data);
    return 0;
}

int spool_teardown(void **state)
{
    (void)state;
    remove_dir();
    buf_free(&spool_data);
    return 0;
}
