#include "rpc/codec/config/msg_config_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/codec/config/msg_config_internal.h"
#include "rpc/codec/config/msg_config_path.h"
#include "rpc/codec/json/msg_json.h"

#define KEYS_MAX 128 /* different paths that there are, at most */

struct config_draft {
    XtcpConfig__V1__XtcpConfig *config; /* the fields that are set; made by hand or by msg_json_read */
    const char *assigned[KEYS_MAX];     /* paths, constants */
    size_t n_assigned;
    const char *reset[KEYS_MAX];
    size_t n_reset;
    const char *zero[KEYS_MAX]; /* those of |reset| that were assigned a zero */
    size_t n_zero;
};

struct config_draft *config_draft_new(void)
{
    struct config_draft *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->config = (XtcpConfig__V1__XtcpConfig *)config_message_new(&xtcp_config__v1__xtcp_config__descriptor);
    if (!d->config) {
        free(d);
        return NULL;
    }
    return d;
}

void config_draft_free(struct config_draft *d)
{
    if (!d)
        return;
    protobuf_c_message_free_unpacked(&d->config->base, NULL);
    free(d);
}

XtcpConfig__V1__XtcpConfig *config_draft_message(struct config_draft *d)
{
    return d->config;
}

static bool has(const char *const *list, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == path)
            return true;
    return false;
}

/* Notes |path|, a constant of the tables, once. */
static void add(const char **list, size_t *n, const char *path)
{
    if (*n < KEYS_MAX && !has(list, *n, path))
        list[(*n)++] = path;
}

int config_draft_assign(struct config_draft *d, const char *key, const char *value, struct err *e)
{
    bool zero;
    const char *path = config_path_of(key, e);
    if (!path)
        return ERR_UNKNOWN;
    if (has(d->assigned, d->n_assigned, path) || has(d->reset, d->n_reset, path))
        return err_set(e, ERR_DUPLICATE, "%s: given twice", path);
    add(d->assigned, &d->n_assigned, path);
    int rc = config_path_set(&d->config->base, path, value, &zero, e);
    if (rc == 0 && zero) {
        add(d->reset, &d->n_reset, path);
        add(d->zero, &d->n_zero, path);
    }
    return rc;
}

int config_draft_reset(struct config_draft *d, const char *key, struct err *e)
{
    const char *path = config_path_of(key, e);
    if (!path)
        return ERR_UNKNOWN;
    add(d->reset, &d->n_reset, path);
    return 0;
}

/* Whether the field at |path| shows an option that does not decide who reaches the daemon. */
static bool is_safe_to_reset(const char *path)
{
    static const char *const kept[] = {"options.listeners.", "options.access."};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (strncmp(path, kept[i], strlen(kept[i])) == 0)
            return false;
    const struct config_field *row = config_field_find(path);
    return !row || (config_field_option(row) && row->kind != CONFIG_FIELD_PORT);
}

int config_draft_reset_all(struct config_draft *d, struct err *e)
{
    const char *name;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (name = config_key_name(i)); i++)
        if (is_safe_to_reset(name))
            rc = config_draft_reset(d, name, e);
    return rc;
}

int config_draft_edit(struct config_draft *d, const struct config_reply *before, const char *text, size_t len,
                      const char *name, struct err *e)
{
    ProtobufCMessage *edited;
    const ProtobufCMessage *old = &before->message->config->base;
    int rc = config_json_read(text, len, name, &edited, e);
    if (rc < 0)
        return rc;
    protobuf_c_message_free_unpacked(&d->config->base, NULL);
    d->config = (XtcpConfig__V1__XtcpConfig *)edited;
    d->config->generation = before->message->config->generation;
    const char *path;
    for (size_t i = 0; (path = config_key_name(i)); i++)
        if (config_path_absent(edited, path) && !config_path_absent(old, path))
            add(d->reset, &d->n_reset, path);
    return 0;
}

int config_draft_request(const struct config_draft *d, bool dry_run, struct buf *request)
{
    XtcpConfig__V1__SetRequest m = XTCP_CONFIG__V1__SET_REQUEST__INIT;
    m.config = d->config;
    m.dry_run = dry_run;
    m.reset = (char **)(uintptr_t)d->reset; /* packing does not write to it */
    m.n_reset = d->n_reset;
    return config_msg_pack(&m.base, request);
}

bool config_draft_has_zeros(const struct config_draft *d)
{
    return d->n_zero > 0;
}

int config_draft_check(const struct config_draft *d, const struct config_reply *after, struct err *e)
{
    const ProtobufCMessage *config = &after->message->config->base;
    for (size_t i = 0; i < d->n_zero; i++) {
        if (config_path_absent(config, d->zero[i]))
            continue;
        char storage[128], wanted[32];
        struct buf is, want;
        buf_init_fixed(&is, storage, sizeof(storage));
        buf_init_fixed(&want, wanted, sizeof(wanted));
        config_path_print(config, d->zero[i], &is);
        config_path_print(&d->config->base, d->zero[i], &want);
        return err_set(e, ERR_RANGE,
                       "%s: cannot be set to \"%s\", which is the same as not set; without it, it is \"%s\"",
                       d->zero[i], buf_cstr(&want), buf_cstr(&is));
    }
    return 0;
}

int config_reply_diff(const struct config_reply *a, const struct config_reply *b,
                      void (*tell)(void *context, const char *name, const char *before, const char *after),
                      void *context)
{
    struct buf x, y;
    const char *path;
    buf_init(&x);
    buf_init(&y);
    for (size_t i = 0; (path = config_key_name(i)); i++) {
        buf_reset(&x);
        buf_reset(&y);
        config_path_print(&a->message->config->base, path, &x);
        config_path_print(&b->message->config->base, path, &y);
        if (x.failed || y.failed)
            break;
        if (strcmp(buf_cstr(&x), buf_cstr(&y)) != 0)
            tell(context, path, buf_cstr(&x), buf_cstr(&y));
    }
    int rc = x.failed || y.failed ? -ENOMEM : 0;
    buf_free(&x);
    buf_free(&y);
    return rc;
}

static void note_difference(void *context, const char *name, const char *before, const char *after)
{
    (void)name, (void)before, (void)after;
    *(bool *)context = true;
}

bool config_reply_differs(const struct config_reply *a, const struct config_reply *b)
{
    bool differs = false;
    return config_reply_diff(a, b, note_difference, &differs) != 0 || differs;
}
