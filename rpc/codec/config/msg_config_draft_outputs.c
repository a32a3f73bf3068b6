/* Changes of the list of outputs. The others in it are sent back as they came, secrets hidden: the daemon puts in those that
 * it has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/output_list.h"
#include "config/value.h"
#include "rpc/codec/config/msg_config_draft.h"
#include "rpc/codec/config/msg_config_internal.h"

#define PATH "options.outputs"

/* ---- The outputs that there are ---- */

static ProtobufCMessage *copy_of(const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = malloc(len ? len : 1);
    if (!bytes)
        return NULL;
    protobuf_c_message_pack(m, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, len, bytes);
    free(bytes);
    return copy;
}

/* Appends a copy of |m| to |list|. */
static int append_copy(const struct config_place *list, const ProtobufCMessage *m)
{
    ProtobufCMessage *copy = copy_of(m);
    if (!copy)
        return -ENOMEM;
    int rc = config_place_append(list, copy);
    if (rc)
        protobuf_c_message_free_unpacked(copy, NULL);
    return rc;
}

/* Puts the outputs of |before| into |d|, but for that called |without| (NULL: all), for the generation of |before| alone.
 * |*left_out| is whether there was one of that name. Returns 0 or -ENOMEM. */
static int take_over(struct config_draft *d, const struct config_reply *before, const char *without,
                     bool *left_out)
{
    XtcpConfig__V1__XtcpConfig *config = config_draft_message(d);
    const XtcpConfig__V1__DaemonOptions *options = before->message->config->options;
    const XtcpConfig__V1__Outputs *old = options ? options->outputs : NULL;
    struct config_place p = config_place_make(&config->base, PATH);
    struct config_place list = p.f ? config_place_make_list(&p) : p;
    int rc = list.f ? 0 : -ENOMEM;
    *left_out = false;
    config->generation = before->message->config->generation;
    for (size_t i = 0; old && i < old->n_output && rc == 0; i++) {
        if (without && strcmp(old->output[i]->name, without) == 0)
            *left_out = true;
        else
            rc = append_copy(&list, &old->output[i]->base);
    }
    return rc;
}

/* ---- A new one ---- */

/* Sets |key| of |c|: what every output has by the name of its row, anything else is an option of the destination. */
static int set_value(struct output_config *c, const char *key, const char *value, struct err *e)
{
    const struct config_option *row = output_option_find(key);
    const struct config_option *pairs = output_option_find("options");
    if (!row || row == pairs)
        return value_add_pair(pairs, output_field(pairs, c), key, value, e);
    int rc = value_type(row)->set(row, output_field(row, c), value, e);
    if (rc)
        err_prefix(e, "%s", key);
    return rc;
}

static int set_pair(struct output_config *c, const char *pair, struct err *e)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return err_set(e, ERR_TYPE, "%s: expected KEY=VALUE", pair);
    char *key = strndup(pair, (size_t)(equals - pair));
    if (!key)
        return err_set(e, -ENOMEM, "out of memory");
    int rc = set_value(c, key, equals + 1, e);
    free(key);
    return rc;
}

/* Makes the one output of |list| of the |n| |pairs|. */
static int make_output(struct config_outputs *list, const char *const *pairs, size_t n, struct err *e)
{
    struct output_config *c = outputs_add(list);
    int rc = c ? 0 : err_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = set_pair(c, pairs[i], e);
    return rc;
}

int config_draft_add_output(struct config_draft *d, const struct config_reply *before,
                            const char *const *pairs, size_t n, struct err *e)
{
    struct config_outputs fresh = {0};
    bool left_out;
    int rc = make_output(&fresh, pairs, n, e);
    if (rc == 0) {
        struct config_place p = {0};
        rc = take_over(d, before, NULL, &left_out);
        if (rc == 0)
            p = config_place_find(&config_draft_message(d)->base, PATH);
        if (rc == 0)
            rc = config_put_outputs(&p, &fresh, true);
        if (rc)
            err_set(e, rc, "out of memory");
    }
    outputs_clear(&fresh);
    return rc;
}

int config_draft_remove_output(struct config_draft *d, const struct config_reply *before, const char *name,
                               struct err *e)
{
    bool left_out;
    int rc = take_over(d, before, name, &left_out);
    if (rc)
        return err_set(e, rc, "out of memory");
    if (left_out)
        return 0;
    if (strcmp(name, OUTPUT_DEFAULT) == 0)
        return err_set(
            e, ERR_UNKNOWN,
            "the output %s is not in the list outputs: the option dest makes it; set dest=null: removes it",
            name);
    char quoted[CONFIG_QUOTE_MAX];
    return err_set(e, ERR_UNKNOWN, "there is no output \"%s\" in the list outputs",
                   config_quote(name, quoted));
}
