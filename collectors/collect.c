#include "collectors/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inet_diag/capture.h"
#include "inet_diag/dump.h"
#include "inet_diag/enter.h"
#include "inet_diag/sockstat.h"
#include "lib/clock.h"
#include "lib/linux/netns.h"
#include "lib/log.h"
#include "record/record.h"

/* Slots of a cookie set that stay allocated between dumps, enough for 24 Ki sockets: nothing that grows with
 * the number of sockets does. */
#define KEEP_SLOTS (32 * 1024)

/* A collect under way. */
struct work {
    struct collect *collect;
    struct collector_result *result;
    struct err *e; /* result->err */
    struct record_context context;
    struct record_frame frame;
    struct filter_env *envs; /* of the request's filters; NULL: none of them needs one */
    struct batch *batch;     /* being filled; NULL: none yet */
    struct dump dump;        /* closed unless dump_once is at work */
    uint64_t inode;          /* of the namespace that was entered */
    uint64_t cookie;         /* of the namespace; 0 when the kernel has no cookies */
    uint64_t position;       /* of the next socket in the dump */
    uint32_t nsid;
};

/* Answers with a hole, and how often to ask again for the sockets that were not passed on yet. */
static const struct {
    int code;
    unsigned retries;
} retry_table[] = {
    {-EBUSY, 2},
    {-ENOBUFS, 1},
    {ERR_INTERRUPTED, 1},
};

static bool worth_a_retry(int code, unsigned retries)
{
    for (size_t i = 0; i < sizeof(retry_table) / sizeof(retry_table[0]); i++) {
        if (retry_table[i].code == code)
            return retries < retry_table[i].retries;
    }
    return false;
}

static void flush(struct work *w)
{
    const struct collector_sink *sink = &w->collect->set->options.sink;
    if (w->batch)
        sink->batch(sink->arg, batch_seal(w->batch));
    w->batch = NULL;
}

static int new_batch(struct work *w)
{
    w->batch = batch_new(w->collect->set->options.pool);
    if (!w->batch)
        return -ENOMEM;
    w->batch->poll_id = w->collect->request->poll_id;
    w->batch->netns_cookie = w->cookie;
    w->batch->netns_id = w->collect->ns->id;
    return 0;
}

/* The filters that |s| passes. */
static uint64_t match(const struct work *w, const struct record_source *s)
{
    const struct poll_request *o = w->collect->request;
    uint64_t passed = 0;
    for (unsigned i = 0; i < o->n_filters; i++)
        passed |= (uint64_t)filter_match(o->filters[i], s, &w->context, w->envs ? &w->envs[i] : NULL) << i;
    return passed;
}

static int append(void *arg, const struct record_source *s)
{
    struct work *w = arg;
    const struct poll_request *o = w->collect->request;
    uint64_t position = w->position++;
    if (o->modulus > 1 && position % o->modulus != 0)
        return 0;
    uint64_t passed = match(w, s);
    if (!passed && !o->want_all)
        return 0;
    if (!w->batch || !batch_append_match(w->batch, &w->frame, s, position, passed)) {
        flush(w);
        int rc = new_batch(w);
        if (rc)
            return rc;
        if (!batch_append_match(w->batch, &w->frame, s, position, passed))
            return ERR_LIMIT;
    }
    w->result->rows++;
    return 0;
}

static int frame_init(struct work *w)
{
    const struct poll_request *o = w->collect->request;
    const struct netns_ref *ns = w->collect->ns;
    w->context = (struct record_context){
        .daemon_version = o->daemon_version,
        .hostname = o->hostname,
        .location = o->location,
        .netns = ns->name,
        .label = o->label,
        .tag = o->tag,
        .timestamp_ns = o->timestamp_ns,
        .netns_inode = ns->inode ? ns->inode : w->inode,
        .netns_cookie = w->cookie,
        .nsid = w->nsid,
        .poll_id = o->poll_id,
        .event = RECORD_EVENT_POLL,
        .groups = o->groups,
    };
    int rc = record_frame_init(&w->frame, &w->context);
    return rc ? err_set(w->e, rc,
                        "hostname, location, label, tag and names are too long: together at most %d bytes",
                        RECORD_FRAME_HEAD_MAX)
              : 0;
}

/* The idle check, inside the namespace: whether it is the right one and has no sockets. */
static bool nothing_there(struct work *w)
{
    uint64_t sockets;
    uint64_t cookie;
    if (sockstat_count(&sockets) || sockets)
        return false;
    /* A unix socket is the cheapest one that can tell which namespace the thread is in. */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int rc = netns_cookie(fd, &cookie);
    close(fd);
    uint64_t want = w->collect->ns->cookie;
    return want == 0 || rc == -ENOPROTOOPT || (rc == 0 && cookie == want);
}

/* The facts that the request's filters need of the namespace that the thread is in. */
static int read_envs(struct work *w)
{
    const struct poll_request *o = w->collect->request;
    bool needed = false;
    for (unsigned i = 0; i < o->n_filters; i++)
        needed |= filter_needs_env(o->filters[i]);
    if (!needed)
        return 0;
    if (!w->envs)
        w->envs = calloc(o->n_filters, sizeof(*w->envs));
    if (!w->envs)
        return err_set(w->e, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < o->n_filters; i++)
        filter_env_read(o->filters[i], &w->envs[i]);
    return 0;
}

static int look_inside(void *arg, struct err *e)
{
    struct work *w = arg;
    struct dump *d = &w->dump;
    w->result->empty = w->collect->idle_check && nothing_there(w);
    if (w->result->empty) {
        *d = (struct dump){.fd = -1};
        return 0;
    }
    int rc = dump_open(d, w->collect->ns->cookie, e);
    if (!rc && (rc = read_envs(w)))
        dump_close(d);
    return rc;
}

/* Opens the dump's socket in the namespace. The thread is inside only for that: the socket stays behind and
 * brings the answers to the thread wherever it is. Opens no socket when there is nothing to dump. */
static int open_inside(struct work *w)
{
    struct netns_entry entry;
    int rc = netns_inside(w->collect->set->own_netns_fd, w->collect->ns, look_inside, w, &entry, w->e);
    w->inode = entry.inode;
    if (entry.lost) {
        dump_close(&w->dump);
        w->collect->lost = true;
    }
    return rc;
}

/* The request: with the code, unless the kernel is known not to take it. */
static struct diag_request request_for(const struct work *w)
{
    const struct poll_request *o = w->collect->request;
    const struct filter_kernel *k = o->kernel;
    const struct collectors *set = w->collect->set;
    struct diag_request r = {.groups = o->groups | o->filter_groups, .states = DIAG_STATES_ALL};
    if (!k)
        return r;
    r.states = k->states;
    r.sport = k->sport;
    r.dport = k->dport;
    r.code = k->code;
    r.code_len =
        atomic_load(&set->no_code) || (k->privileged && atomic_load(&set->no_privileged_code)) ? 0 : k->len;
    return r;
}

static void note_refusal(struct work *w, int code)
{
    bool privileged = code == -EPERM && w->collect->request->kernel->privileged;
    log_limited(LOG_INFO, "collector", "the kernel does not take %s: %s; the daemon evaluates filters itself",
                privileged ? "a filter by marks" : "filters", err_name(code));
    atomic_store(privileged ? &w->collect->set->no_privileged_code : &w->collect->set->no_code, true);
}

/* One dump, with a socket of its own, which is closed in the end. */
static int dump_once(struct work *w, const struct dump_options *options, struct dump_counts *counts)
{
    struct dump *d = &w->dump;
    int refused = 0;
    int rc = open_inside(w);
    if (rc || !d->socket)
        return rc;
    w->cookie = d->cookie;
    rc = frame_init(w);
    struct diag_request request = request_for(w);
    if (!rc)
        rc = dump_filtered(d, &request, options, append, w, counts, &refused, w->e);
    if (refused)
        note_refusal(w, refused);
    w->result->partial =
        request.states != DIAG_STATES_ALL || request.sport || request.dport || request.code_len;
    dump_close(d);
    return rc;
}

/* The size of a datagram's buffer. */
static size_t buffer_size(const struct poll_request *o)
{
    return o->packet_size && o->packet_size < DUMP_BUFFER_SIZE ? o->packet_size : DUMP_BUFFER_SIZE;
}

/* Begins to record the answers; an error of the recording does not stop the dump. */
static void begin_capture(const struct work *w, struct capture *capture)
{
    const struct poll_request *o = w->collect->request;
    uint64_t inode = w->collect->ns->inode;
    *capture = (struct capture){.fd = -1};
    int rc = o->capture_path ? capture_open(capture, o->capture_path, o->poll_id, inode) : 0;
    if (rc)
        log_limited(LOG_WARN, "collector", "ns=%s: nothing is recorded in %s: %s", w->collect->ns->name,
                    o->capture_path, err_name(rc));
}

static void end_capture(const struct work *w, struct capture *capture)
{
    int rc = capture_close(capture);
    if (rc && w->collect->request->capture_path)
        log_limited(LOG_WARN, "collector", "ns=%s: %s in %s%s: %s", w->collect->ns->name,
                    capture->packets ? "the record" : "nothing is recorded",
                    w->collect->request->capture_path, capture->packets ? " is cut" : "", err_name(rc));
}

/* The id of the namespace, where it is wanted and there is one. */
static void look_up_nsid(struct work *w)
{
    int32_t id;
    if (w->collect->request->populate_nsid && !w->collect->ns->own &&
        netns_nsid(w->collect->ns->path, &id) == 0 && id >= 0)
        w->nsid = (uint32_t)id;
}

static int dump_all(struct work *w)
{
    struct collect *v = w->collect;
    struct capture capture;
    struct dump_counts counts = {0};
    struct dump_options options = {
        .buffer = v->slot->buffer,
        .buffer_size = buffer_size(v->request),
        .seen = &v->slot->seen,
        .wake_fd = v->slot->wake_fd,
        .cancelled = &v->request->cancelled,
        .stopping = v->stopping,
        .deadline_ns = v->request->deadline_ns,
        .silence_ns = v->request->silence_ns,
        .capture = v->request->capture_path ? &capture : NULL,
    };
    look_up_nsid(w);
    begin_capture(w, &capture);
    int rc = dump_once(w, &options, &counts);
    while (worth_a_retry(rc, w->result->retries) && !v->lost) {
        w->result->retries++;
        options.again = true;
        rc = dump_once(w, &options, &counts);
    }
    end_capture(w, &capture);
    free(w->envs);
    w->result->sockets = counts.sockets;
    w->result->duplicates = counts.duplicates;
    w->result->malformed = counts.malformed;
    w->result->unknown_attrs = counts.unknown_attrs;
    w->result->interrupted = counts.interrupted;
    return rc;
}

/* Whether the path still leads to the namespace that the answers are about. The socket kept it alive until
 * now. */
static int check_alive(const struct work *w)
{
    uint64_t inode;
    const struct netns_ref *ns = w->collect->ns;
    if (ns->own)
        return 0;
    int rc = netns_inode(ns->path, &inode);
    if (rc == 0 && inode == w->inode)
        return 0;
    return err_set(w->e, ERR_GONE, "%s ceased to exist during the dump", ns->path);
}

void collect_run(struct collect *v, struct collector_result *result)
{
    struct work w = {.collect = v, .result = result, .e = &result->err};
    int64_t start = clock_mono_ns();
    int64_t cpu = clock_thread_cpu_ns();
    int64_t kernel = clock_thread_kernel_ns();

    u64set_reserve(&v->slot->seen, v->expected);
    int rc = dump_all(&w);
    flush(&w);
    if (!rc)
        rc = check_alive(&w);
    if (!rc)
        result->err = (struct err){0}; /* errors that a retry has mended */
    u64set_clear(&v->slot->seen, KEEP_SLOTS);
    result->dump_ns = clock_mono_ns() - start;
    result->cpu_ns = clock_thread_cpu_ns() - cpu;
    result->kernel_ns = clock_thread_kernel_ns() - kernel;
}
