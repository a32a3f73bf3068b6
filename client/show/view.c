#include "client/show/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "lib/ascii.h"
#include "lib/nearest.h"
#include "record/mask.h"

#define KEYS_MAX 16 /* sort keys of one poll */

/* A part of a list, without the blanks around it. */
struct name {
    const char *text;
    size_t n;
};

/* The next part of the list at |*at|, which moves behind it. False at the end. */
static bool next_name(const char **at, struct name *out)
{
    if (!*at)
        return false;
    const char *comma = strchr(*at, ',');
    const char *end = comma ? comma : *at + strlen(*at);
    out->text = *at + strspn(*at, " ");
    *at = comma ? comma + 1 : NULL;
    while (end > out->text && end[-1] == ' ')
        end--;
    out->n = out->text < end ? (size_t)(end - out->text) : 0;
    return true;
}

bool view_is_name(const char *known, const char *typed, size_t n)
{
    if (strlen(known) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (ascii_fold_name(known[i]) != ascii_fold_name(typed[i]))
            return false;
    return true;
}

static bool is_name(const char *known, const struct name *name)
{
    return view_is_name(known, name->text, name->n);
}

static const struct socket_table_column *own_column(const struct name *name)
{
    for (size_t i = 0; i < n_socket_table_columns; i++)
        if (is_name(socket_table_columns[i].name, name) || is_name(socket_table_columns[i].look.title, name))
            return &socket_table_columns[i];
    return NULL;
}

static int unknown_column(const char *option, const struct name *name, struct err *e)
{
    char typed[VIEW_TITLE_MAX];
    struct nearest nearest = {.typed = typed};
    size_t n = name->n < sizeof(typed) - 1 ? name->n : sizeof(typed) - 1;
    memcpy(typed, name->text, n);
    typed[n] = '\0';
    if (!n)
        return err_set(e, ERR_USAGE, "--%s: a name is missing", option);
    for (size_t i = 0; i < n_socket_table_columns; i++)
        nearest_offer(&nearest, socket_table_columns[i].name);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *alias;
        for (size_t k = 0; (alias = filter_field_alias(&record_fields[i], k)); k++)
            nearest_offer(&nearest, alias);
        nearest_offer(&nearest, record_fields[i].name);
    }
    if (nearest.name)
        return err_set(e, ERR_USAGE, "--%s: there is no column %s; did you mean %s?", option, typed,
                       nearest.name);
    return err_set(e, ERR_USAGE, "--%s: there is no column %s; see xtcp2client(1)", option, typed);
}

static void set_title(struct view_column *c, const struct name *name)
{
    size_t n = name->n < sizeof(c->title) - 1 ? name->n : sizeof(c->title) - 1;
    for (size_t i = 0; i < n; i++)
        c->title[i] = ascii_upper(name->text[i]);
    c->title[n] = '\0';
}

static void add_field(struct view *v, const struct record_field *f)
{
    bool *has = &v->has_field[record_field_index(f)];
    if (!*has)
        v->fields[v->n_fields++] = f;
    *has = true;
}

static int choose_column(struct view *v, const struct name *name, struct err *e)
{
    const struct socket_table_column *own = own_column(name);
    const struct record_field *field =
        own ? &record_fields[own->fields[0]] : filter_field(name->text, name->n);
    if (!field)
        return unknown_column("columns", name, e);
    if (v->n_columns == VIEW_COLUMNS_MAX)
        return err_set(e, ERR_USAGE, "--columns: more than %d of them", VIEW_COLUMNS_MAX);
    struct view_column *c = &v->columns[v->n_columns++];
    *c = (struct view_column){.own = own, .field = field};
    set_title(c, name);
    for (size_t i = 0; own && i < own->n_fields; i++)
        add_field(v, &record_fields[own->fields[i]]);
    if (!own)
        add_field(v, field);
    return 0;
}

static int choose_columns(struct view *v, const char *list, struct err *e)
{
    struct name name;
    int rc = 0;
    v->chosen = true;
    while (rc == 0 && next_name(&list, &name))
        rc = choose_column(v, &name, e);
    return rc;
}

static void all_columns(struct view *v)
{
    for (size_t i = 0; i < n_socket_table_columns; i++) {
        const struct socket_table_column *own = &socket_table_columns[i];
        if (!own->wide || v->format == OUTPUT_WIDE)
            v->columns[v->n_columns++] =
                (struct view_column){.own = own, .field = &record_fields[own->fields[0]]};
    }
    for (size_t i = 0; i < FIELD_COUNT; i++)
        add_field(v, &record_fields[i]);
}

/* Takes the direction off |name|: "-rtt", "rtt:desc", "rtt:asc". */
static bool take_direction(struct name *name)
{
    static const struct {
        const char *text;
        bool descending;
    } endings[] = {{":desc", true}, {":asc", false}};
    if (name->n && (*name->text == '-' || *name->text == '+')) {
        bool descending = *name->text == '-';
        name->text++;
        name->n--;
        return descending;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(endings[i].text);
        if (name->n > n && memcmp(name->text + name->n - n, endings[i].text, n) == 0) {
            name->n -= n;
            return endings[i].descending;
        }
    }
    return false;
}

static int add_keys(struct view *v, struct name *name, struct err *e)
{
    bool descending = take_direction(name);
    const struct socket_table_column *own = own_column(name);
    const struct record_field *field = own ? NULL : filter_field(name->text, name->n);
    bool ranked = own && (own->rank || own->measured);
    size_t n = own && !ranked ? own->n_fields : 1;
    if (!own && !field)
        return unknown_column("sort-by", name, e);
    if (v->n_keys + n > KEYS_MAX)
        return err_set(e, ERR_USAGE, "--sort-by: too many of them");
    for (size_t i = 0; i < n; i++)
        v->keys[v->n_keys++] = (struct view_key){.field = own ? &record_fields[own->fields[i]] : field,
                                                 .own = ranked ? own : NULL,
                                                 .descending = descending};
    return 0;
}

static int choose_order(struct view *v, const char *list, struct err *e)
{
    struct name name;
    int rc = 0;
    while (rc == 0 && next_name(&list, &name))
        rc = add_keys(v, &name, e);
    return rc;
}

int view_new(const struct options *o, struct view **out, struct err *e)
{
    struct view *v = calloc(1, sizeof(*v));
    *out = NULL;
    if (!v || !(v->columns = calloc(VIEW_COLUMNS_MAX, sizeof(*v->columns))) ||
        !(v->keys = calloc(KEYS_MAX, sizeof(*v->keys)))) {
        view_free(v);
        return err_set(e, -ENOMEM, "out of memory");
    }
    v->format = o->output;
    v->numeric = o->numeric;
    v->header = !o->no_header;
    v->time = o->time;
    int rc = 0;
    if (o->columns)
        rc = choose_columns(v, o->columns, e);
    else
        all_columns(v);
    if (rc == 0 && o->sort_by)
        rc = choose_order(v, o->sort_by, e);
    if (rc < 0) {
        view_free(v);
        return rc;
    }
    *out = v;
    return 0;
}

void view_free(struct view *v)
{
    if (!v)
        return;
    free(v->columns);
    free(v->keys);
    free(v);
}

bool view_measures(const struct view *v)
{
    bool table = v->format == OUTPUT_TABLE || v->format == OUTPUT_WIDE;
    for (size_t i = 0; table && i < v->n_columns; i++)
        if (v->columns[i].own && v->columns[i].own->measured)
            return true;
    for (size_t i = 0; i < v->n_keys; i++)
        if (v->keys[i].own && v->keys[i].own->measured)
            return true;
    return false;
}

size_t view_mask(const struct view *v, const struct record_field *out[FIELD_COUNT])
{
    /* The fields that tell polls apart, and those that the text of an address depends on. */
    static const int16_t always[] = {FIELD_timestamp_ns, FIELD_poll_id, FIELD_inet_diag_msg_family};
    /* Fields that a table shows beside an address. */
    static const int16_t with_address[] = {FIELD_inet_diag_msg_socket_interface, FIELD_v6only,
                                           FIELD_socket_interface_name};
    /* Fields by which rates are measured. */
    static const int16_t with_rates[] = {FIELD_netns_inode, FIELD_netns_cookie,
                                         FIELD_inet_diag_msg_socket_cookie, FIELD_tcp_info_bytes_acked};
    /* The fields that say whether a socket has such numbers. */
    static const int16_t with_info[] = {FIELD_inet_diag_msg_state, FIELD_tcp_info_state};
    struct record_mask whole = {0};
    bool wanted[FIELD_COUNT] = {false};
    size_t n = 0;
    if (!v->chosen)
        return 0;
    for (size_t i = 0; i < v->n_fields; i++)
        wanted[record_field_index(v->fields[i])] = true;
    for (size_t i = 0; i < v->n_keys; i++) {
        const struct socket_table_column *own = v->keys[i].own;
        wanted[record_field_index(v->keys[i].field)] = true;
        for (size_t k = 0; own && k < own->n_fields; k++)
            wanted[own->fields[k]] = true;
    }
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        wanted[always[i]] = true;
    bool table = v->format == OUTPUT_TABLE || v->format == OUTPUT_WIDE;
    bool address =
        wanted[FIELD_inet_diag_msg_socket_source] || wanted[FIELD_inet_diag_msg_socket_destination];
    for (size_t i = 0; table && address && i < sizeof(with_address) / sizeof(with_address[0]); i++)
        wanted[with_address[i]] = true;
    for (size_t i = 0; view_measures(v) && i < sizeof(with_rates) / sizeof(with_rates[0]); i++)
        wanted[with_rates[i]] = true;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (wanted[i] && record_fields[i].from == PART_INFO)
            wanted[with_info[0]] = wanted[with_info[1]] = true;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (wanted[i])
            record_mask_add_whole(&whole, &record_fields[i]);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (record_mask_has(&whole, record_fields[i].number))
            out[n++] = &record_fields[i];
    return n;
}
