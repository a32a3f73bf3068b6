/* JSON objects of reports (namespaces, status) in the two spellings of the program: jsonl has the proto's
 * names, numbers for all integers, short names for enums, and a readable time beside each one in nanoseconds;
 * protojson is the canonical mapping of proto3, which leaves out values that are zero or empty. One owner at
 * a time. */
#ifndef XTCP_CLIENT_SHOW_REPORT_JSON_H
#define XTCP_CLIENT_SHOW_REPORT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct json {
    struct buf *out;
    bool canonical; /* protojson, else jsonl */
    bool comma;     /* the next value needs a comma before it */
};

/* Keys are proto names, or NULL for an element of an array. */
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

/* Whether an array of |n| elements is written at all: protojson leaves out empty ones. */
bool json_wants_array(const struct json *j, size_t n);

void json_string(struct json *j, const char *key, const char *value); /* NULL counts as empty */
void json_u64(struct json *j, const char *key, uint64_t value);
void json_u32(struct json *j, const char *key, uint32_t value);
void json_i32(struct json *j, const char *key, int32_t value);
void json_bool(struct json *j, const char *key, bool value);
/* null when |value| is no finite number. */
void json_double(struct json *j, const char *key, double value);

/* An enum value: |name| in jsonl, |prefix| and |name| in capitals in protojson. */
void json_enum(struct json *j, const char *key, const char *prefix, const char *name, uint32_t value);

/* Wall clock in ns; |key| ends in "_ns". jsonl gets RFC 3339 beside it, under the key without that ending. */
void json_time(struct json *j, const char *key, int64_t ns);

/* An array of strings. */
void json_strings(struct json *j, const char *key, const char *const *values, size_t n);

#endif
