#include "sink_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"

struct sink_fixture fix = {.folder = "/tmp/xt_sink_XXXXXX"};
struct sink_fixture_fake fake;

/* ---- What the system does, instead of what it would do ---- */

sem_t disk_answers;

void fake_nothing(void)
{
    fake.wall_ahead_ns = 0;
    fake.write_some = -1;
    fake.write_errno = fake.rename_errno = fake.truncate_errno = fake.sync_errno = 0;
    fake.intruder = NULL;
    fake.syncs = 0;
    fake.sync_hangs = fake.no_own = false;
}

int64_t __wrap_clock_wall_ns(void)
{
    return __real_clock_wall_ns() + fake.wall_ahead_ns;
}

static void intrude(void)
{
    int fd = __real_open(fake.intruder, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(__real_write(fd, "INTRUDER\n", 9), 9);
    close(fd);
    fake.intruder = NULL;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (fake.write_some >= 0 && len > (size_t)fake.write_some) {
        len = (size_t)fake.write_some;
        fake.write_some = -1;
        if (len)
            return __real_write(fd, data, len);
    }
    if (fake.write_errno && fake.write_some == -1) {
        if (fake.intruder)
            intrude();
        errno = fake.write_errno;
        fake.write_errno = 0;
        return -1;
    }
    return __real_write(fd, data, len);
}

void fake_full_disk(int some, int error)
{
    fake.write_some = some;
    fake.write_errno = error;
}

int __wrap_ftruncate(int fd, off_t size)
{
    errno = fake.truncate_errno;
    return errno ? -1 : __real_ftruncate(fd, size);
}

int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    errno = fake.rename_errno;
    return errno ? -1 : __real_renameat2(from_folder, from, to_folder, to, flags);
}

int __wrap_fdatasync(int fd)
{
    fake.syncs++;
    if (fake.sync_hangs)
        while (sem_wait(&disk_answers) != 0)
            ;
    errno = fake.sync_errno;
    return errno ? -1 : __real_fdatasync(fd);
}

int __wrap_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    if (fake.no_own && strncmp(path, "/proc/self/fd/", 14) == 0) {
        errno = EACCES;
        return -1;
    }
    return __real_open(path, flags, mode);
}

/* ---- Files ---- */

const char *in_folder(const char *name)
{
    static char path[8][sizeof(fix.folder) + NAME_MAX + 1];
    static unsigned next;
    char *out = path[next++ % COUNT(path)];
    snprintf(out, sizeof(path[0]), "%s/%s", fix.folder, name);
    return out;
}

void make_file(const char *name, const char *text)
{
    int fd = __real_open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(__real_write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void assert_contents(const char *path, const char *text)
{
    char data[4096];
    int fd = __real_open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    ssize_t n = read(fd, data, sizeof(data) - 1);
    close(fd);
    assert_true(n >= 0);
    data[n] = '\0';
    assert_string_equal(data, text);
}

bool exists(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(in_folder(name), &st), 0);
    return st.st_mode & 07777;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* The names in the folder that are rotated files of "log", in the order of names. */
size_t rotated_names(char names[][NAME_MAX + 1], size_t max)
{
    struct dirent **list;
    struct rotated r;
    size_t n = 0;
    int all = scandir(fix.folder, &list, no_dots, by_name);
    assert_true(all >= 0);
    for (int i = 0; i < all; i++) {
        if (n < max && rotate_parse("log", list[i]->d_name, &r))
            snprintf(names[n++], NAME_MAX + 1, "%s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return n;
}

static void remove_contents(void)
{
    struct dirent **list;
    int n = scandir(fix.folder, &list, no_dots, by_name);
    for (int i = 0; i < n; i++) {
        remove(in_folder(list[i]->d_name));
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

/* ---- The sink ---- */

void set_path(const char *path)
{
    snprintf(fix.path, sizeof(fix.path), "%s", path);
    fix.url.path = fix.path;
}

void sink_begin(const struct sink_ops *which)
{
    fix.ops = which;
    assert_int_equal(fix.ops->abi, SINK_ABI);
    assert_int_equal(fix.ops->open(&fix.env, &fix.sink, &fix.error), 0);
}

void sink_end(void)
{
    if (fix.sink)
        fix.ops->close(fix.sink);
    fix.sink = NULL;
}

void file_begin(void)
{
    set_path(in_folder("log"));
    sink_begin(&xtcp_sink_file);
}

enum sink_result connect_sink(bool *fresh)
{
    *fresh = false;
    fix.error = (struct err){0};
    return fix.ops->connect(fix.sink, fresh, &fix.error);
}

void assert_connects(bool fresh)
{
    bool is_fresh;
    if (connect_sink(&is_fresh) != SINK_DONE)
        fail_msg("%s", fix.error.text);
    assert_int_equal(is_fresh, fresh);
}

void assert_does_not_connect(int code, const char *words)
{
    bool fresh;
    assert_int_equal(connect_sink(&fresh), SINK_BROKEN);
    assert_int_equal(fix.error.code, code);
    if (!strstr(fix.error.text, words))
        fail_msg("\"%s\" does not say \"%s\"", fix.error.text, words);
}

void assert_sends(const char *text)
{
    if (sink_send_one(fix.ops, fix.sink, text, strlen(text), &fix.error) != SINK_DONE)
        fail_msg("%s", fix.error.text);
}

void assert_does_not_send(const char *text, enum sink_result result, const char *words)
{
    fix.error = (struct err){0};
    assert_int_equal(sink_send_one(fix.ops, fix.sink, text, strlen(text), &fix.error), result);
    if (!strstr(fix.error.text, words))
        fail_msg("\"%s\" does not say \"%s\"", fix.error.text, words);
}

void assert_writes(bool fresh, const char *text)
{
    assert_connects(fresh);
    assert_sends(text);
}

/* ---- Life of a test ---- */

int fixture_setup(void **state)
{
    (void)state;
    fake_nothing();
    sink_host_init(&fix.host);
    fix.options = (struct output_file_options){.mode = "0640", .rotate_keep = 7};
    fix.env = (struct sink_env){.host = &fix.host.host, .url = &fix.url, .options = &fix.options};
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    sink_end();
    fake_nothing();
    remove_contents();
    return 0;
}

int fixture_setup_all(void **state)
{
    (void)state;
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGXFSZ);
    sigprocmask(SIG_BLOCK, &ours, NULL); /* as the daemon does */
    sem_init(&disk_answers, 0, 0);
    fake_nothing();
    log_set_fd(__real_open("/dev/null", O_WRONLY | O_CLOEXEC));
    return mkdtemp(fix.folder) ? 0 : -1;
}

int fixture_teardown_all(void **state)
{
    (void)state;
    sem_destroy(&disk_answers);
    return rmdir(fix.folder);
}
