/* The state file: keeps the changes made in the running daemon for its next start. The same YAML as the
 * configuration file between a first and a last line that distinguish it from a foreign file and from one
 * that was cut. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "config/state.h"
#include "config/value.h"
#include "lib/file.h"

#define FIRST_LINE                                                                                           \
    "# xtcp2 state 1: what was changed over gRPC. Written by the daemon; remove the file to forget it.\n"
#define LAST_LINE "# end\n"

static const char magic[] = "# xtcp2 state ";

/* ---- Reading ---- */

static int check_frame(const char *data, size_t len, const char *filename, struct err *e)
{
    const size_t first = sizeof(FIRST_LINE) - 1;
    const size_t last = sizeof(LAST_LINE) - 1;
    if (len < first || memcmp(data, FIRST_LINE, first) != 0)
        return err_set(e, ERR_MALFORMED, "%s: is no state file of this program", filename);
    if (len < first + last || memcmp(data + len - last, LAST_LINE, last) != 0)
        return err_set(e, ERR_TRUNCATED, "%s: ends too early", filename);
    return 0;
}

/* Whether |option| is taken from the state |t| rather than from |b|. */
static bool is_kept(const struct config_builder *b, const struct config_builder *t, size_t option)
{
    return t->origins[option] && !b->fixed[option];
}

/* The configuration of |b| with the options of |t| that count; NULL when out of memory. */
static struct config *overlay(const struct config_builder *b, const struct config_builder *t)
{
    struct config *c = config_copy(b->config);
    for (size_t i = 0; c && i < CONFIG_OPTION_COUNT; i++) {
        const struct config_option *o = &config_options[i];
        if (!is_kept(b, t, i))
            continue;
        value_clear(o, value_field(o, c));
        if (i == CONFIG_OPTION_hostname)
            c->hostname_given = t->config->hostname_given;
        if (value_copy(o, value_field(o, c), value_field_const(o, t->config))) {
            config_unref(c);
            c = NULL;
        }
    }
    return c;
}

/* Puts the overlay |c| in place of b's configuration if the whole is valid. Takes over the reference to |c|. */
static int adopt(struct config_builder *b, struct config_builder *t, struct config *c, struct err *e)
{
    struct config *before = b->config;
    struct config *whole = NULL;
    char *origins[CONFIG_OPTION_COUNT];
    memcpy(origins, b->origins, sizeof(origins));
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (is_kept(b, t, i))
            b->origins[i] = t->origins[i];
    }
    b->config = c;
    int rc = config_build(b, &whole, e);
    if (rc) {
        b->config = before;
        memcpy(b->origins, origins, sizeof(origins));
        config_unref(c);
        return rc;
    }
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (b->origins[i] != origins[i]) { /* it has moved */
            free(origins[i]);
            t->origins[i] = NULL;
        }
    }
    config_unref(before);
    config_unref(whole);
    return 0;
}

int config_parse_state(struct config_builder *b, const void *data, size_t len, const char *filename,
                       struct err *e)
{
    int rc = check_frame(data, len, filename, e);
    if (rc)
        return rc;
    struct config_builder *t = config_builder_new();
    if (!t)
        return err_set(e, -ENOMEM, "%s: out of memory", filename);
    rc = config_parse_yaml(t, data, len, filename, e);
    for (size_t i = 0; !rc && i < CONFIG_OPTION_COUNT; i++) {
        if (t->origins[i] && config_options[i].reload != CONFIG_HOT)
            rc = err_set(e, ERR_UNSUPPORTED, "%s: %s: cannot be changed in a running daemon, nor be kept",
                         t->origins[i], config_options[i].name);
    }
    if (!rc) {
        struct config *c = overlay(b, t);
        rc = c ? adopt(b, t, c, e) : err_set(e, -ENOMEM, "%s: out of memory", filename);
    }
    config_builder_free(t);
    return rc;
}

int config_read_state(struct config_builder *b, const char *path, struct err *e)
{
    char *data;
    size_t len;
    int rc = file_read(path, CONFIG_FILE_MAX, &data, &len, NULL, e);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    rc = config_parse_state(b, data, len, path, e);
    free(data);
    return rc;
}

/* ---- Writing ---- */

void config_dump_state(const struct config *base, const struct config *c, struct buf *out)
{
    const struct config_option *changed[CONFIG_OPTION_COUNT];
    size_t n = config_diff(base, c, changed, CONFIG_OPTION_COUNT);
    buf_str(out, FIRST_LINE);
    for (size_t i = 0; i < n; i++) {
        if (changed[i]->reload == CONFIG_HOT)
            yaml_pair(out, changed[i], c);
    }
    buf_str(out, LAST_LINE);
}

static int not_ours(const char *path, struct err *e)
{
    return err_set(e, ERR_PRECONDITION, "%s: is no state file of this program, and left alone", path);
}

/* Refuses a file that is no state file. A state file, whole or cut, may be replaced. */
static int check_ours(const char *path, struct err *e)
{
    char *data;
    size_t len;
    struct stat st;
    int rc = file_read(path, CONFIG_FILE_MAX, &data, &len, &st, e);
    if (rc)
        return rc == -ENOENT ? 0 : rc == ERR_LIMIT || rc == ERR_TYPE ? not_ours(path, e) : rc;
    bool ours = S_ISREG(st.st_mode) &&
                (len == 0 || (len >= sizeof(magic) - 1 && memcmp(data, magic, sizeof(magic) - 1) == 0));
    free(data);
    return ours ? 0 : not_ours(path, e);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* Writes the directory of |path| to the disk, and with it the new name of the file. */
static int sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!directory)
        return -ENOMEM;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int config_write_state(const char *path, const void *data, size_t len, struct err *e)
{
    char *temporary;
    int rc = check_ours(path, e);
    if (rc)
        return rc;
    if (asprintf(&temporary, "%s.new", path) < 0)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    unlink(temporary); /* of a write that was cut short */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    rc = fd < 0 ? -errno : write_all(fd, data, len);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && rename(temporary, path) != 0)
        rc = -errno;
    if (rc && fd >= 0)
        unlink(temporary);
    if (rc == 0)
        rc = sync_directory(path);
    free(temporary);
    return rc ? err_set(e, rc, "%s: cannot write: %s", path, strerror(-rc)) : 0;
}
