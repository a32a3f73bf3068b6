/* The round trip of `xtcp2client edit`: what the daemon tells, as a document; the document with an edit; the
 * request that is made of it; what the daemon makes of that. The input is the length of a SetRequest (two
 * bytes) and the request, which the daemon's configuration is changed by first; then where the document is
 * edited and how much of it is taken out (two bytes each); the rest is put there. */
#include "fuzz_rpc.h"

#include "rpc/codec/config/msg_config_draft.h"

static const struct config_msg_extra extra = {.daemon_version = "0.1.0"};

static unsigned take_u16(const uint8_t **data, size_t *size)
{
    unsigned v = 0;
    for (unsigned i = 0; i < 2 && *size; i++, ++*data, --*size)
        v |= (unsigned)**data << 8 * i;
    return v;
}

/* The reply of Get for |c|. */
static struct config_reply *get(const struct config *c)
{
    struct config_reply *r;
    struct buf reply;
    buf_init(&reply);
    if (config_msg_encode_reply(c, &extra, NULL, 0, &reply) != 0 ||
        config_reply_decode(reply.data, reply.len, &r, NULL) != 0)
        abort();
    buf_free(&reply);
    return r;
}

static void document(const struct config_reply *r, struct buf *out)
{
    buf_init(out);
    if (config_reply_json(r, out) != 0)
        abort();
}

/* Sends the document |text| of the configuration |c| back. Returns what config_draft_edit or Set say. */
static int edit(const struct config *c, const struct config_reply *before, const char *text, size_t len,
                struct config_msg_set *out)
{
    struct err e = {0};
    struct buf request;
    struct config_draft *d = config_draft_new();
    if (!d)
        abort();
    *out = (struct config_msg_set){0};
    int rc = config_draft_edit(d, before, text, len, "edited.json", &e);
    check_error(rc, &e);
    if (rc == 0) {
        buf_init(&request);
        if (config_draft_request(d, false, &request) != 0)
            abort();
        rc = config_msg_apply_set(request.data, request.len, c, &extra, out, &e);
        check_error(rc, &e);
        buf_free(&request);
    }
    config_draft_free(d);
    return rc;
}

/* Sent back as it is, a document changes nothing. */
static void check_unchanged(const struct config *c)
{
    struct config_reply *r = get(c);
    struct config_msg_set set;
    struct buf text;
    document(r, &text);
    if (edit(c, r, text.data, text.len, &set) != 0 || set.n_changed || config_diff(c, set.candidate, NULL, 0))
        abort();
    config_unref(set.candidate);
    config_reply_free(r);
    buf_free(&text);
}

/* The new configuration differs from the old one exactly in the fields that Set names. */
static void check_changed(const struct config *c, const struct config_reply *before,
                          const struct config_msg_set *set)
{
    struct config_reply *after = get(set->candidate);
    if (config_diff(c, set->candidate, NULL, 0) && !set->n_changed)
        abort();
    if (config_reply_differs(before, after) && !set->n_changed)
        abort();
    config_reply_free(after);
    check_unchanged(set->candidate);
}

/* The configuration that the request changes the one in force to; NULL when it is refused. */
static struct config *changed_by(const uint8_t *request, size_t len)
{
    struct config_msg_set set;
    return config_msg_apply_set(request, len, in_force(), &extra, &set, NULL) == 0 ? set.candidate : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = take_u16(&data, &size);
    if (n > size)
        n = size;
    struct config *c = changed_by(data, n);
    if (!c)
        return 0;
    data += n;
    size -= n;
    struct config_reply *before = get(c);
    struct config_msg_set set;
    struct buf text, edited;
    document(before, &text);
    size_t at = take_u16(&data, &size) % (text.len + 1);
    size_t out = take_u16(&data, &size) % (text.len - at + 1);
    buf_init(&edited);
    buf_bytes(&edited, text.data, at);
    buf_bytes(&edited, data, size);
    buf_bytes(&edited, text.data + at + out, text.len - at - out);
    /* The reader gets exactly these bytes: a sanitizer sees one that is read past them. */
    char *exact = malloc(edited.len ? edited.len : 1);
    if (!exact)
        abort();
    if (edited.len)
        memcpy(exact, edited.data, edited.len);
    if (edit(c, before, exact, edited.len, &set) == 0) {
        check_changed(c, before, &set);
        config_unref(set.candidate);
    }
    free(exact);
    buf_free(&edited);
    buf_free(&text);
    config_reply_free(before);
    config_unref(c);
    return 0;
}
