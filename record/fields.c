#include "record/fields.h"

#include <string.h>

const char *const record_unit_names[UNIT_COUNT] = {
    [UNIT_NONE] = "",
    [UNIT_NS] = "ns",
    [UNIT_US] = "us",
    [UNIT_MS] = "ms",
    [UNIT_BYTES] = "bytes",
    [UNIT_SEGMENTS] = "segments",
    [UNIT_BYTES_PER_S] = "bytes/s",
    [UNIT_MBIT_PER_S] = "Mbit/s",
};

const uint8_t record_part_attributes[PART_COUNT] = {
    [PART_MEMINFO] = INET_DIAG_MEMINFO,
    [PART_INFO] = INET_DIAG_INFO,
    [PART_VEGAS] = INET_DIAG_VEGASINFO,
    [PART_CONG] = INET_DIAG_CONG,
    [PART_TOS] = INET_DIAG_TOS,
    [PART_TCLASS] = INET_DIAG_TCLASS,
    [PART_SKMEMINFO] = INET_DIAG_SKMEMINFO,
    [PART_SHUTDOWN] = INET_DIAG_SHUTDOWN,
    [PART_DCTCP] = INET_DIAG_DCTCPINFO,
    [PART_BBR] = INET_DIAG_BBRINFO,
    [PART_CLASS_ID] = INET_DIAG_CLASS_ID,
    [PART_CGROUP_ID] = INET_DIAG_CGROUP_ID,
    [PART_SOCKOPT] = INET_DIAG_SOCKOPT,
    [PART_V6ONLY] = INET_DIAG_SKV6ONLY,
    [PART_MARK] = INET_DIAG_MARK,
};

const struct record_section record_sections[SECTION_COUNT] = {
#define SECTION(id, from_, group_, title_)                                                                   \
    [SECTION_##id] = {.title = (title_), .from = (from_), .group = (group_)},
#define RECORD_FIELD(...)
#include "record/fields.def"
};

/* The properties that each field takes from its section. */
enum {
#define SECTION(id, from, group, title) from_of_##id = (from), group_of_##id = (group),
#define RECORD_FIELD(...)
#include "record/fields.def"
};

const struct record_field record_fields[FIELD_COUNT] = {
#define RECORD_FIELD(number_, name_, type_, section_, offset_, width_, convert_, unit_, print_, doc_)        \
    {                                                                                                        \
        .name = #name_,                                                                                      \
        .doc = (doc_),                                                                                       \
        .number = (number_),                                                                                 \
        .offset = (offset_),                                                                                 \
        .width = (width_),                                                                                   \
        .name_len = sizeof(#name_) - 1,                                                                      \
        .type = TYPE_##type_,                                                                                \
        .section = SECTION_##section_,                                                                       \
        .from = from_of_##section_,                                                                          \
        .group = group_of_##section_,                                                                        \
        .convert = CONVERT_##convert_,                                                                       \
        .unit = UNIT_##unit_,                                                                                \
        .print = PRINT_##print_,                                                                             \
    },
#include "record/fields.def"
};

const struct record_field *record_field_by_name(const char *name, size_t n)
{
    for (const struct record_field *f = record_fields; f < record_fields + FIELD_COUNT; f++) {
        if (f->name_len == n && memcmp(f->name, name, n) == 0)
            return f;
    }
    return NULL;
}
