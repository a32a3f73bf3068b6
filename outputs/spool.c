#include "outputs/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "outputs/spool_folder.h"
#include "outputs/spool_position.h"
#include "outputs/spool_segment.h"

/* A spool that is full has about so many segments, each of which is within these bounds (bytes), unless a single entry is
 * larger. */
#define SEGMENTS    8
#define SEGMENT_MIN (64u << 10)
#define SEGMENT_MAX (16u << 20)

/* How often the disk is told what has been written, and the position what has been taken. */
#define UPKEEP_NS (1 * NS_PER_S)

/* A segment has at least one entry that has not been taken. */
struct segment {
    uint64_t number;
    uint64_t size;     /* of the file, in bytes */
    uint64_t end;      /* behind its last whole entry */
    uint64_t rows;     /* that have not been taken */
    int64_t oldest_ns; /* wall clock of its first entry that has not been taken */
};

/* The entry that spool_first gave last. */
struct given {
    bool out;     /* there is one, which has not been taken */
    bool removed; /* its segment had to make room: it is in memory alone, and still counted in stats.rows */
    struct spool_head head;
};

struct spool {
    char *dir;
    struct spool_folder folder;
    uint64_t bytes_max;
    int64_t age_max;

    struct segment *segments; /* those from |first| on, the oldest first */
    size_t first;
    size_t n;
    size_t room;
    uint64_t next_number;

    int read_fd;  /* the oldest segment; -1: not open */
    uint64_t at;  /* offset of its first entry that has not been taken */
    int write_fd; /* the newest segment; -1: the next entry begins another */
    struct given given;
    struct spool_stats stats; /* but for |oldest_ns| */

    bool unsynced; /* something was written since |synced_ns| */
    bool moved;    /* something was taken since |positioned_ns| */
    int64_t synced_ns;
    int64_t positioned_ns;
};

static struct segment *oldest(const struct spool *s)
{
    return &s->segments[s->first];
}

static struct segment *newest(const struct spool *s)
{
    return &s->segments[s->first + s->n - 1];
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- Errors ---- */

static int fail(const struct spool *s, const char *name, const char *what, int rc, struct err *e)
{
    return err_set(e, rc, "%s/%s: cannot be %s: %s", s->dir, name, what, err_name(rc));
}

static int fail_segment(const struct spool *s, uint64_t number, const char *what, int rc, struct err *e)
{
    char name[SPOOL_NAME_SIZE];
    spool_segment_name(number, name);
    return fail(s, name, what, rc, e);
}

/* ---- Upkeep ---- */

/* Puts the newest segment and the names of all on the disk. Where that fails, the log tells it: the entries are in the spool
 * all the same. */
static void sync_newest(struct spool *s)
{
    s->synced_ns = clock_mono_ns();
    if (!s->unsynced)
        return;
    s->unsynced = false;
    bool file = s->write_fd < 0 || fdatasync(s->write_fd) == 0;
    if (!file || (fsync(s->folder.dir) != 0 && errno != EINVAL)) /* EINVAL: not a thing to do there */
        log_limited(LOG_WARN, "spool", "%s: may not survive a power failure: %s", s->dir, err_name(-errno));
}

static void write_position(struct spool *s)
{
    struct spool_position p = {.segment = s->n ? oldest(s)->number : s->next_number,
                               .offset = s->n ? s->at : 0};
    s->positioned_ns = clock_mono_ns();
    if (!s->moved)
        return;
    s->moved = false;
    int rc = spool_position_write(s->folder.dir, &p);
    if (rc)
        log_limited(LOG_WARN, "spool", "%s/%s: cannot be written, so entries may come out twice: %s", s->dir,
                    SPOOL_POSITION_FILE, err_name(rc));
}

static void upkeep(struct spool *s)
{
    int64_t now_ns = clock_mono_ns();
    if (s->unsynced && now_ns - s->synced_ns >= UPKEEP_NS)
        sync_newest(s);
    if (s->moved && now_ns - s->positioned_ns >= UPKEEP_NS)
        write_position(s);
}

/* ---- Segments go ---- */

static void unlink_segment(const struct spool *s, uint64_t number)
{
    char name[SPOOL_NAME_SIZE];
    spool_segment_name(number, name);
    if (unlinkat(s->folder.dir, name, 0) != 0 && errno != ENOENT)
        log_limited(LOG_WARN, "spool", "%s/%s: cannot be removed: %s", s->dir, name, err_name(-errno));
}

/* The caller counts the rows that are left in it. */
static void remove_oldest(struct spool *s)
{
    const struct segment *g = oldest(s);
    close_fd(&s->read_fd);
    if (s->n == 1)
        close_fd(&s->write_fd);
    unlink_segment(s, g->number);
    s->stats.bytes -= g->size;
    s->stats.rows -= g->rows;
    s->at = SPOOL_FILE_HEAD;
    s->first++;
    s->n--;
}

/* The entry that is given out may be delivered yet: its rows are not dropped before that is known. */
static void drop_oldest(struct spool *s)
{
    struct segment *g = oldest(s);
    if (s->given.out && !s->given.removed) {
        g->rows -= s->given.head.rows;
        s->given.removed = true;
    }
    s->stats.rows_full += g->rows;
    remove_oldest(s);
}

static void make_room(struct spool *s, uint64_t bytes)
{
    while (s->n > 0 && s->stats.bytes + bytes > s->bytes_max)
        drop_oldest(s);
}

/* ---- Opening ---- */

/* Adds a segment behind the others. Returns 0 or -ENOMEM. */
static int add_segment(struct spool *s, const struct segment *g)
{
    if (s->first > 0 && s->first >= s->n) { /* so many have gone that moving the others is cheap */
        memmove(s->segments, oldest(s), s->n * sizeof(*g));
        s->first = 0;
    }
    if (array_room(&s->segments, s->first + s->n + 1, &s->room, sizeof(*g)))
        return -ENOMEM;
    s->segments[s->first + s->n++] = *g;
    s->stats.bytes += g->size;
    s->stats.rows += g->rows;
    return 0;
}

/* Adds the segment |number| with what its heads tell; removes it when nothing is left in it. */
static int keep_segment(struct spool *s, uint64_t number, const struct spool_scan *scan, struct err *e)
{
    struct segment g = {.number = number,
                        .size = scan->size,
                        .end = scan->end,
                        .rows = scan->rows,
                        .oldest_ns = scan->oldest_ns};
    s->stats.damaged += scan->damaged;
    if (scan->begin == scan->end) {
        unlink_segment(s, number);
        return 0;
    }
    if (s->n == 0)
        s->at = scan->begin;
    int rc = add_segment(s, &g);
    return rc ? err_set(e, rc, "%s: out of memory", s->dir) : 0;
}

static int load_segment(struct spool *s, uint64_t number, const struct spool_position *p, struct err *e)
{
    char name[SPOOL_NAME_SIZE];
    struct spool_scan scan;
    struct stat st;
    spool_segment_name(number, name);
    if (fstatat(s->folder.dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(s, name, "read", -errno, e);
    if (!S_ISREG(st.st_mode))
        return 0; /* somebody else's, for whatever reason it is called so */
    if (number < p->segment) {
        unlink_segment(s, number); /* it has been read, and could not be removed then */
        return 0;
    }
    int fd = openat(s->folder.dir, name, O_RDONLY | SPOOL_OPEN_FLAGS);
    if (fd < 0)
        return fail(s, name, "opened", -errno, e);
    int rc = spool_segment_scan(fd, number == p->segment ? p->offset : 0, &scan);
    close(fd);
    if (rc == ERR_UNSUPPORTED)
        return err_set(e, rc, "%s/%s: is of another version of this program; this one reads version %d",
                       s->dir, name, SPOOL_SEGMENT_VERSION);
    return rc ? fail(s, name, "read", rc, e) : keep_segment(s, number, &scan, e);
}

/* New segments get numbers above all that are in use, and above that of the position: what it says of a segment is never
 * taken for another one. */
static int load(struct spool *s, struct err *e)
{
    struct spool_position p;
    uint64_t *numbers;
    size_t n;
    int rc = spool_position_read(s->folder.dir, &p);
    if (rc)
        return fail(s, SPOOL_POSITION_FILE, "read", rc, e);
    if (p.segment > SPOOL_NUMBER_MAX)
        p = (struct spool_position){0};
    rc = spool_folder_segments(s->folder.dir, &numbers, &n);
    if (rc)
        err_set(e, rc, "%s: cannot be read: %s", s->dir, err_name(rc));
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = load_segment(s, numbers[i], &p, e);
    uint64_t last = n ? numbers[n - 1] : 0;
    s->next_number = (last > p.segment ? last : p.segment) + 1;
    free(numbers);
    return rc;
}

/* A copy of |dir| without slashes at its end: with one, a link would be followed. */
static char *copy_dir(const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strndup(dir, n);
}

static void spool_free(struct spool *s)
{
    close_fd(&s->read_fd);
    close_fd(&s->write_fd);
    spool_folder_close(&s->folder);
    free(s->segments);
    free(s->dir);
    free(s);
}

int spool_open(const struct spool_options *o, struct spool **out, struct err *e)
{
    struct spool *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "%s: out of memory", o->dir);
    s->folder = (struct spool_folder){.dir = -1, .lock = -1};
    s->read_fd = s->write_fd = -1;
    s->at = SPOOL_FILE_HEAD;
    s->bytes_max = o->bytes_max;
    s->age_max = o->age_max;
    s->dir = copy_dir(o->dir);
    int rc =
        s->dir ? spool_folder_open(s->dir, &s->folder, e) : err_set(e, -ENOMEM, "%s: out of memory", o->dir);
    if (rc == 0)
        rc = load(s, e);
    if (rc) {
        spool_free(s);
        return rc;
    }
    make_room(s, 0);
    *out = s;
    return 0;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    sync_newest(s);
    write_position(s);
    spool_free(s);
}

void spool_set_bounds(struct spool *s, uint64_t bytes_max, int64_t age_max)
{
    s->bytes_max = bytes_max;
    s->age_max = age_max;
    make_room(s, 0);
}

/* ---- Putting in ---- */

static uint64_t segment_size(const struct spool *s)
{
    uint64_t size = s->bytes_max / SEGMENTS;
    return size < SEGMENT_MIN ? SEGMENT_MIN : size > SEGMENT_MAX ? SEGMENT_MAX : size;
}

/* Nothing more is written to the newest segment. */
static void finish_newest(struct spool *s)
{
    sync_newest(s);
    close_fd(&s->write_fd);
}

/* Takes the newest segment, in which there is no entry yet, away again. */
static void abandon_newest(struct spool *s)
{
    const struct segment *g = newest(s);
    close_fd(&s->write_fd);
    unlink_segment(s, g->number);
    s->stats.bytes -= g->size;
    s->n--;
}

/* Makes the file of the next segment, under a number that nothing else has. Returns the descriptor or -errno. */
static int make_file(struct spool *s, char name[SPOOL_NAME_SIZE])
{
    int fd;
    do {
        spool_segment_name(s->next_number++, name);
        fd = openat(s->folder.dir, name, O_WRONLY | O_CREAT | O_EXCL | SPOOL_OPEN_FLAGS, 0600);
    } while (fd < 0 && errno == EEXIST && s->next_number <= SPOOL_NUMBER_MAX);
    return fd < 0 ? -errno : fd;
}

static int begin_segment(struct spool *s, struct err *e)
{
    char name[SPOOL_NAME_SIZE];
    if (s->next_number > SPOOL_NUMBER_MAX)
        return err_set(e, ERR_LIMIT, "%s: no number is left for another segment; empty the folder", s->dir);
    int fd = make_file(s, name);
    if (fd < 0)
        return fail(s, name, "made", fd, e);
    s->write_fd = fd;
    struct segment g = {.number = s->next_number - 1, .size = SPOOL_FILE_HEAD, .end = SPOOL_FILE_HEAD};
    int rc = add_segment(s, &g);
    if (rc) {
        close_fd(&s->write_fd);
        unlink_segment(s, g.number);
        return err_set(e, rc, "%s: out of memory", s->dir);
    }
    rc = spool_segment_begin(fd);
    if (rc)
        abandon_newest(s);
    return rc ? fail(s, name, "written", rc, e) : 0;
}

/* Removes what there is of an entry that could not be written. Where that fails as well, it stays at the end of its segment,
 * where the next spool_open finds it to be damaged. */
static void take_back(struct spool *s)
{
    const struct segment *g = newest(s);
    if (g->end == SPOOL_FILE_HEAD)
        abandon_newest(s);
    else if (ftruncate(s->write_fd, (off_t)g->end) != 0)
        finish_newest(s);
}

static int append(struct spool *s, const struct spool_entry *entry, struct err *e)
{
    struct segment *g = newest(s);
    int rc = spool_segment_append(s->write_fd, g->end, entry);
    if (rc) {
        fail_segment(s, g->number, "written", rc, e);
        take_back(s);
        return rc;
    }
    if (g->end == SPOOL_FILE_HEAD)
        g->oldest_ns = entry->time_ns;
    uint64_t size = spool_entry_size(entry->len);
    g->end += size;
    g->size += size;
    g->rows += entry->rows;
    s->stats.bytes += size;
    s->stats.rows += entry->rows;
    s->unsynced = true;
    return 0;
}

int spool_put(struct spool *s, const struct spool_entry *entry, struct err *e)
{
    uint64_t size = spool_entry_size(entry->len);
    if (entry->len > SPOOL_ENTRY_MAX || size + SPOOL_FILE_HEAD > s->bytes_max)
        return err_set(e, ERR_LIMIT,
                       "%s: an entry of %zu bytes is too long: one may have %u, and all together %llu",
                       s->dir, entry->len, SPOOL_ENTRY_MAX, (unsigned long long)s->bytes_max);
    make_room(s, size + SPOOL_FILE_HEAD);
    if (s->write_fd >= 0 && newest(s)->size + size > segment_size(s))
        finish_newest(s);
    int rc = s->write_fd >= 0 ? 0 : begin_segment(s, e);
    if (rc == 0)
        rc = append(s, entry, e);
    upkeep(s);
    return rc;
}

/* ---- Taking out ---- */

/* Goes on behind the oldest entry, whose head is |head|. */
static void pass(struct spool *s, const struct spool_head *head)
{
    struct segment *g = oldest(s);
    struct spool_head next;
    s->at += spool_entry_size(head->len);
    g->rows -= head->rows;
    s->stats.rows -= head->rows;
    s->moved = true;
    if (s->at == g->end)
        remove_oldest(s);
    else if (spool_segment_head(s->read_fd, s->at, &next) == 0)
        g->oldest_ns = next.time_ns;
}

/* The rest of the oldest segment cannot be read. */
static void drop_damaged(struct spool *s)
{
    s->stats.damaged++;
    s->stats.rows_damaged += oldest(s)->rows;
    remove_oldest(s);
}

static int open_oldest(struct spool *s)
{
    char name[SPOOL_NAME_SIZE];
    if (s->read_fd >= 0)
        return 0;
    spool_segment_name(oldest(s)->number, name);
    s->read_fd = openat(s->folder.dir, name, O_RDONLY | SPOOL_OPEN_FLAGS);
    if (s->read_fd >= 0)
        return 0;
    return errno == ENOENT ? ERR_TRUNCATED : -errno; /* somebody has removed it */
}

/* The head of the oldest entry. Returns 0, ERR_TRUNCATED, ERR_MALFORMED or -errno. It was good before: another one that does
 * not fit into what was known of the segment is damaged, too. */
static int read_head(struct spool *s, struct spool_head *head)
{
    const struct segment *g = oldest(s);
    int rc = open_oldest(s);
    if (rc == 0)
        rc = spool_segment_head(s->read_fd, s->at, head);
    if (rc)
        return rc;
    return spool_entry_size(head->len) <= g->end - s->at && head->rows <= g->rows ? 0 : ERR_MALFORMED;
}

static bool is_too_old(const struct spool *s, const struct spool_head *head)
{
    return s->age_max > 0 && head->time_ns < clock_wall_ns() - s->age_max;
}

/* Finds the oldest entry that is neither damaged nor too old; those before it are dropped. Returns 1, 0 or -errno. */
static int find_first(struct spool *s, struct buf *data, struct spool_head *head)
{
    while (s->n > 0) {
        int rc = read_head(s, head);
        if (spool_is_damage(rc)) {
            drop_damaged(s);
            continue;
        }
        if (rc)
            return rc;
        if (is_too_old(s, head)) {
            s->stats.rows_old += head->rows;
            pass(s, head);
            continue;
        }
        rc = spool_segment_data(s->read_fd, s->at, head, data);
        if (!spool_is_damage(rc))
            return rc ? rc : 1;
        s->stats.damaged++;
        s->stats.rows_damaged += head->rows;
        pass(s, head);
    }
    return 0;
}

/* The entry that was given out has not been delivered. If it is in the spool no more, its rows are lost now. */
static void end_given(struct spool *s)
{
    if (s->given.out && s->given.removed) {
        s->stats.rows -= s->given.head.rows;
        s->stats.rows_full += s->given.head.rows;
    }
    s->given = (struct given){0};
}

int spool_first(struct spool *s, struct buf *data, struct spool_entry *out, struct err *e)
{
    struct spool_head head;
    end_given(s);
    int rc = find_first(s, data, &head);
    if (rc == 1) {
        s->given = (struct given){.out = true, .head = head};
        *out = (struct spool_entry){.poll_id = head.poll_id,
                                    .time_ns = head.time_ns,
                                    .rows = head.rows,
                                    .poll_end = head.poll_end,
                                    .data = (const uint8_t *)data->data,
                                    .len = data->len};
    } else {
        buf_reset(data);
    }
    if (rc < 0)
        fail_segment(s, oldest(s)->number, "read", rc, e);
    upkeep(s);
    return rc;
}

void spool_take(struct spool *s)
{
    struct given g = s->given;
    s->given = (struct given){0};
    if (g.out && g.removed)
        s->stats.rows -= g.head.rows;
    else if (g.out)
        pass(s, &g.head);
    upkeep(s);
}

bool spool_give_back(struct spool *s)
{
    bool kept = !s->given.removed;
    end_given(s);
    return kept;
}

void spool_stats(const struct spool *s, struct spool_stats *out)
{
    *out = s->stats;
    out->oldest_ns = s->n ? oldest(s)->oldest_ns : 0;
}
