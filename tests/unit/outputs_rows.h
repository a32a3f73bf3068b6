/* Rows that are told apart by their record_counter, and messages that are made of them. All of it asserts. */
#ifndef XTCP_TESTS_OUTPUTS_ROWS_H
#define XTCP_TESTS_OUTPUTS_ROWS_H

#include "lib_test.h"

#include "lib/buf.h"
#include "outputs/format/format.h"

/* A row. */
struct test_row {
    uint64_t id; /* not 0 */
    const char *netns;
    uint64_t netns_cookie;
    uint64_t cookie;
    size_t pad; /* makes it longer by about so many bytes; 400 at most */
};

/* Appends |row| to the serialized Envelope |envelope|. */
void rows_add(struct buf *envelope, const struct test_row *row);

/* Appends a row whose record cannot be read. */
void rows_add_unreadable(struct buf *envelope);

/* The ids of the rows in the serialized Envelope |bytes|, |max| at most. Returns their number. */
size_t rows_of_envelope(const void *bytes, size_t n, uint64_t *ids, size_t max);

/* The same of the message |bytes| in the form |f|, which is one of protobuf-list, protobuf-delimited, jsonl, protojson-envelope, msgpack,
 * csv and tsv. |*header|: a line without a record comes first. The columns of csv and tsv have record_counter as the first one.
 * What belongs around records in the form must be there. */
size_t rows_of_message(const struct format *f, const void *bytes, size_t n, uint64_t *ids, size_t max,
                       bool *header);

#endif
