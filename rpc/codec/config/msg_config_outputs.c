/* The list of outputs: xtcp_config.v1.Outputs and struct config_outputs. The rows of output_options say where each value is
 * in the message. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/output_list.h"
#include "config/value.h"
#include "rpc/codec/config/msg_config_internal.h"

typedef XtcpConfig__V1__Output__OptionsEntry options_entry;

/* ---- To the message ---- */

static int add_pair(const struct config_place *list, const char *pair, bool secrets)
{
    size_t n = strcspn(pair, "=");
    options_entry *entry = (options_entry *)config_message_new(list->f->descriptor);
    if (!entry)
        return -ENOMEM;
    const char *value = !secrets && output_key_is_secret(pair) ? URL_HIDDEN : pair + n + 1;
    entry->key = strndup(pair, n);
    entry->value = strdup(value);
    if (entry->key && entry->value && config_place_append(list, entry) == 0)
        return 0;
    free(entry->key);
    free(entry->value);
    free(entry);
    return -ENOMEM;
}

static int put_strings(const struct config_place *p, const struct config_strings *strings, bool pairs,
                       bool secrets)
{
    int rc = 0;
    for (size_t i = 0; i < strings->n && rc == 0; i++)
        rc = pairs ? add_pair(p, strings->items[i], secrets)
                   : config_place_add_text(p, strings->items[i], strlen(strings->items[i]));
    return rc;
}

static int put_value(ProtobufCMessage *m, const struct config_option *row, const struct output_config *c,
                     bool secrets)
{
    const void *value = (const char *)c + row->offset;
    if (!output_config_has(row, c))
        return 0;
    struct config_place p = config_place_make(m, row->wire);
    if (!p.f)
        return -ENOMEM;
    switch (row->type) {
    case CONFIG_STRING:
        return value == (const void *)&c->to && !secrets ? config_place_set_url(&p, c->to)
                                                         : config_place_set_text(&p, *(char *const *)value);
    case CONFIG_LIST:
        return put_strings(&p, value, false, secrets);
    case CONFIG_PAIRS:
        return put_strings(&p, value, true, secrets);
    case CONFIG_UINT:
        config_place_set_number(&p, *(const uint32_t *)value);
        return 0;
    case CONFIG_SIZE:
        config_place_set_number(&p, *(const uint64_t *)value);
        return 0;
    case CONFIG_DURATION:
        return config_place_set_duration(&p, *(const int64_t *)value);
    case CONFIG_ENUM:
        return config_place_set_text(&p, row->names[*(const unsigned *)value]);
    default:
        return ERR_UNSUPPORTED; /* no row has such a type */
    }
}

int config_put_outputs(const struct config_place *p, const struct config_outputs *outputs, bool secrets)
{
    struct config_place list = config_place_make_list(p);
    int rc = list.f ? 0 : -ENOMEM;
    for (size_t i = 0; i < outputs->n && rc == 0; i++) {
        ProtobufCMessage *m = config_message_new(list.f->descriptor);
        if (!m || config_place_append(&list, m)) {
            free(m);
            return -ENOMEM;
        }
        for (size_t k = 0; k < output_option_count && rc == 0; k++)
            rc = put_value(m, &output_options[k], &outputs->items[i], secrets);
    }
    return rc;
}

/* ---- From the message ---- */

static int take_strings(const struct config_option *row, void *field, const struct config_place *p,
                        struct err *e)
{
    char *const *items = *(char **const *)p->at;
    int rc = 0;
    value_clear(row, field);
    for (size_t i = 0; i < *config_place_count(p) && rc == 0; i++)
        rc = value_add(row, field, items[i], e);
    return rc;
}

static int take_pairs(const struct config_option *row, void *field, const struct config_place *p,
                      struct err *e)
{
    options_entry *const *entries = *(options_entry * *const *)p->at;
    int rc = 0;
    for (size_t i = 0; i < *config_place_count(p) && rc == 0; i++)
        rc = value_add_pair(row, field, entries[i]->key, entries[i]->value, e);
    return rc;
}

/* The value of a row in its text form. */
static int take_number(const struct config_option *row, void *field, const struct config_place *p,
                       struct err *e)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, config_place_number(p));
    return value_type(row)->set(row, field, text, e);
}

static int take_duration(const struct config_option *row, void *field, const struct config_place *p,
                         struct err *e)
{
    int rc = config_duration_ns(*(Google__Protobuf__Duration *const *)p->at, "value", field, e);
    return rc ? rc : value_type(row)->check(row, field, e);
}

static int take_value(const struct config_option *row, struct output_config *c, const struct config_place *p,
                      struct err *e)
{
    void *field = output_field(row, c);
    switch (row->type) {
    case CONFIG_LIST:
        return take_strings(row, field, p, e);
    case CONFIG_PAIRS:
        return take_pairs(row, field, p, e);
    case CONFIG_UINT:
    case CONFIG_SIZE:
        return take_number(row, field, p, e);
    case CONFIG_DURATION:
        return take_duration(row, field, p, e);
    default:
        return value_type(row)->set(row, field, *(char *const *)p->at, e);
    }
}

static int take_output(const ProtobufCMessage *m, struct output_config *c, struct err *e)
{
    for (size_t i = 0; i < output_option_count; i++) {
        const struct config_option *row = &output_options[i];
        struct config_place p = config_place_find(m, row->wire);
        if (!p.f || config_place_absent(&p))
            continue;
        int rc = take_value(row, c, &p, e);
        if (rc) {
            err_prefix(e, "%s", row->name);
            return rc;
        }
    }
    return 0;
}

int config_take_outputs(const struct config_place *p, struct config_outputs *out, struct err *e)
{
    struct config_place list = config_place_list(p);
    size_t n = list.f ? *config_place_count(&list) : 0;
    *out = (struct config_outputs){0};
    if (n > OUTPUTS_MAX)
        return err_set(e, ERR_RANGE, "%zu outputs; allowed at most %d", n, OUTPUTS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct output_config *c = outputs_add(out);
        int rc = c ? take_output((*(ProtobufCMessage * *const *)list.at)[i], c, e)
                   : err_set(e, -ENOMEM, "out of memory");
        if (rc) {
            err_prefix(e, "number %zu", i + 1);
            outputs_clear(out);
            return rc;
        }
    }
    return 0;
}

int config_apply_outputs(struct config_apply *a, const struct config_option *option,
                         const struct config_place *p)
{
    struct config_outputs fresh;
    if (config_place_absent(p))
        return 0;
    int rc = config_take_outputs(p, &fresh, a->e);
    if (rc == 0) {
        rc = outputs_unhide(&fresh, &a->in_force->outputs, a->e);
        if (rc)
            outputs_clear(&fresh);
    }
    if (rc) {
        err_prefix(a->e, "%s", option->wire);
        return rc;
    }
    outputs_clear(&a->candidate->outputs);
    a->candidate->outputs = fresh;
    return 0;
}

/* ---- Text ---- */

int config_set_outputs(const struct config_place *p, const char *text, struct err *e)
{
    struct config_outputs list = {0};
    int rc = outputs_set_text(&list, text, e);
    if (rc == 0)
        rc = config_put_outputs(p, &list, true);
    outputs_clear(&list);
    return rc;
}

void config_print_outputs(const struct config_place *p, struct buf *out)
{
    struct config_outputs list;
    if (config_take_outputs(p, &list, NULL))
        return;
    outputs_print(&list, false, out);
    outputs_clear(&list);
}
