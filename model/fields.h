/* Structs as lists of their fields, for messages: the list is the one place that has all of them.
 *
 * From a list are made
 *
 * - the struct, here;
 * - its encoding and decoding (rpc/codec/msg_fields.h);
 * - its JSON, where a report of the client shows it (client/show/report_fields.h).
 *
 * A list is a macro over another one, F, with a row for each field, in the order in which JSON has them. |M| is passed
 * on to F.
 *
 *     #define STATUS_POLL_FIELDS(F, M)
 *         F(M, U64, poll_id)                   also U32, I32, BOOL
 *         F(M, TIME, timestamp_ns)             wall clock in ns, 0: none; the name ends in _ns
 *         F(M, DOUBLE, cpu_percent, status_cost_measured)
 *                                              which is known when that function of the struct says so
 *         F(M, ENUM, trigger, "POLL_TRIGGER_", poll_trigger_name)
 *                                              uint32_t, whose names a function tells; in the contract they have that
 *                                              prefix and are in capitals
 *         F(M, TEXT, hint)                     const char *
 *         F(M, TEXTS, names)                   an array of texts |names|, and how many |n_names|
 *         F(M, LIST, errors, poll_error, 100)  the same of struct poll_error; at most 100 are sent
 *         F(M, ONE, last_poll, status_poll)    a pointer to a struct status_poll; NULL: none
 *         F(M, PART, burst, status_burst, left)
 *                                              a struct status_burst in this one; none when its member |left| is 0
 *
 *     struct status_poll {
 *         STATUS_POLL_FIELDS(FIELDS_MEMBER, )
 *     };
 */
#ifndef XTCP_MODEL_FIELDS_H
#define XTCP_MODEL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_MEMBER(M, KIND, ...) FIELDS_MEMBER_##KIND(__VA_ARGS__)

#define FIELDS_MEMBER_U64(name)                uint64_t name;
#define FIELDS_MEMBER_U32(name)                uint32_t name;
#define FIELDS_MEMBER_I32(name)                int32_t name;
#define FIELDS_MEMBER_BOOL(name)               bool name;
#define FIELDS_MEMBER_TIME(name)               int64_t name;
#define FIELDS_MEMBER_DOUBLE(name, known)      double name;
#define FIELDS_MEMBER_ENUM(name, prefix, text) uint32_t name;
#define FIELDS_MEMBER_TEXT(name)               const char *name;
#define FIELDS_MEMBER_TEXTS(name)                                                                            \
    const char *const *name;                                                                                 \
    size_t n_##name;
#define FIELDS_MEMBER_LIST(name, type, max)                                                                  \
    const struct type *name;                                                                                 \
    size_t n_##name;
#define FIELDS_MEMBER_ONE(name, type)            const struct type *name;
#define FIELDS_MEMBER_PART(name, type, unless_0) struct type name;

#endif
