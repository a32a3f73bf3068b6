/* The record as the contract describes it, made without the field table: what the encoder is tested against.
 * Each field is written out once more here, by hand, from the kernel's structures. */
#ifndef XTCP_TESTS_RECORD_MODEL_H
#define XTCP_TESTS_RECORD_MODEL_H

#include "record/record.h"
#include "xtcp_flat_record/v1/xtcp_flat_record.pb-c.h"

#define MODEL_STRINGS 16
#define MODEL_TEXT    4096

/* A record and the memory that its strings lie in. */
struct record_model {
    XtcpFlatRecord__V1__XtcpFlatRecord record;
    char strings[MODEL_STRINGS][MODEL_TEXT];
    unsigned used;
};

/* Fills |m| with the record of |s| in |c|, the |counter|th of its dump. */
void record_model_make(struct record_model *m, const struct record_context *c, const struct record_source *s,
                       uint64_t counter);

#endif
