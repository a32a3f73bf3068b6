/* JSON of structs that are lists of their fields (model/fields.h), for reports.
 *
 * REPORT_JSON(status_poll, STATUS_POLL_FIELDS) makes
 *
 *     static void put_status_poll(struct json *j, const struct status_poll *s)
 *
 * which puts all fields into the object that has been begun. Structs within it come before it. */
#ifndef XTCP_CLIENT_SHOW_REPORT_FIELDS_H
#define XTCP_CLIENT_SHOW_REPORT_FIELDS_H

#include <math.h>

#include "client/show/report_json.h"
#include "model/fields.h"

#define REPORT_JSON(type, fields)                                                                            \
    static void put_##type(struct json *j, const struct type *s)                                             \
    {                                                                                                        \
        fields(REPORT_PUT, )                                                                                 \
    }

#define REPORT_PUT(M, KIND, ...)            REPORT_PUT_##KIND(__VA_ARGS__)
#define REPORT_PUT_U64(name)                json_u64(j, #name, s->name);
#define REPORT_PUT_U32(name)                json_u32(j, #name, s->name);
#define REPORT_PUT_I32(name)                json_i32(j, #name, s->name);
#define REPORT_PUT_BOOL(name)               json_bool(j, #name, s->name);
#define REPORT_PUT_TIME(name)               json_time(j, #name, s->name);
#define REPORT_PUT_ENUM(name, prefix, text) json_enum(j, #name, prefix, text(s->name), s->name);
#define REPORT_PUT_TEXT(name)               json_string(j, #name, s->name);
#define REPORT_PUT_TEXTS(name)              json_strings(j, #name, s->name, s->n_##name);
#define REPORT_PUT_DOUBLE(name, known)      json_double(j, #name, j->canonical || known(s) ? s->name : NAN);

/* A whole object, of the struct |from|; |key| NULL: an element of an array. */
#define REPORT_PUT_OBJECT(j, key, type, from)                                                                \
    do {                                                                                                     \
        json_object(j, key);                                                                                 \
        put_##type(j, from);                                                                                 \
        json_object_end(j);                                                                                  \
    } while (0)
#define REPORT_PUT_LIST(name, type, max)                                                                     \
    if (json_wants_array(j, s->n_##name)) {                                                                  \
        json_array(j, #name);                                                                                \
        for (size_t i = 0; i < s->n_##name; i++) {                                                           \
            REPORT_PUT_OBJECT(j, NULL, type, &s->name[i]);                                                   \
        }                                                                                                    \
        json_array_end(j);                                                                                   \
    }
#define REPORT_PUT_ONE(name, type)                                                                           \
    if (s->name) {                                                                                           \
        REPORT_PUT_OBJECT(j, #name, type, s->name);                                                          \
    }
#define REPORT_PUT_PART(name, type, unless_0)                                                                \
    if (s->name.unless_0) {                                                                                  \
        REPORT_PUT_OBJECT(j, #name, type, &s->name);                                                         \
    }

#endif
