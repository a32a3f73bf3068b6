/* The field table at run time: the contents of fields.def as data. Constant; any thread. */
#ifndef XTCP_RECORD_FIELDS_H
#define XTCP_RECORD_FIELDS_H

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdint.h>

#include "model/groups.h"
#include "record/record.h"
#include "record/source.h"

/* Type in the .proto. */
enum record_type { TYPE_U32, TYPE_U64, TYPE_I64, TYPE_STRING, TYPE_BYTES, TYPE_ENUM };

/* The source of a section's values when it is no part of the kernel's answer (enum record_part, from 0). */
enum record_from {
    FROM_CONTEXT = -1, /* struct record_context: the same for a whole dump */
    FROM_COUNTER = -2, /* record_encode's |counter| */
    FROM_NOTHING = -3, /* not set by this daemon; readers show what others have set */
    FROM_ANSWER = -4,  /* struct record_source: which parts the kernel's answer had */
};

#define GROUP_NONE (-1) /* of no group: always encoded */

/* The conversion of the bytes at a field's place to its value. */
enum record_convert {
    CONVERT_INT,         /* unsigned integer in host order, of the field's width */
    CONVERT_PORT,        /* 16 bits in network order */
    CONVERT_LOW_NIBBLE,  /* bits 0 to 3 of a byte */
    CONVERT_HIGH_NIBBLE, /* bits 4 to 7 */
    CONVERT_BIT_0,       /* bit 0 */
    CONVERT_BITS_1_2,    /* bits 1 and 2 */
    CONVERT_ADDRESS,     /* 4 bytes for AF_INET, else 16 */
    CONVERT_NAME,        /* the part as text, up to its NUL */
    CONVERT_ALGORITHM,   /* number of that text, see record_algorithms */
    CONVERT_TEXT,        /* struct record_context: const char * */
    CONVERT_VERSION,     /* RECORD_SCHEMA_VERSION */
    CONVERT_COUNTER,
    CONVERT_ATTRIBUTES, /* record_attributes */
    CONVERT_INFO_LEN,   /* length of PART_INFO */
    CONVERT_NOTHING,
};

enum record_unit {
    UNIT_NONE,
    UNIT_NS,
    UNIT_US,
    UNIT_MS,
    UNIT_BYTES,
    UNIT_SEGMENTS,
    UNIT_BYTES_PER_S,
    UNIT_MBIT_PER_S,
    UNIT_COUNT,
};

/* "", "ns", "us", "ms", "bytes", "segments", "bytes/s", "Mbit/s". */
extern const char *const record_unit_names[UNIT_COUNT];

/* The form of a value for people. */
enum record_print {
    PRINT_NUMBER,
    PRINT_TEXT,
    PRINT_ADDRESS, /* from here to PRINT_EVENT: as text in jsonl and csv too (record/text.h) */
    PRINT_STATE,
    PRINT_CA_STATE,
    PRINT_ALGORITHM,
    PRINT_EVENT,
    PRINT_FAMILY, /* from here on: in tables and descriptions only, elsewhere a number */
    PRINT_TIMER,
    PRINT_TIME,
    PRINT_HEX,
};

enum record_section_id {
#define SECTION(id, from, group, title) SECTION_##id,
#define RECORD_FIELD(number, name, type, section, ...)
#include "record/fields.def"
    SECTION_COUNT,
};

/* Index of a field in record_fields[]: FIELD_tcp_info_rtt, … */
enum record_field_id {
#define RECORD_FIELD(number, name, ...) FIELD_##name,
#include "record/fields.def"
    FIELD_COUNT,
};

struct record_section {
    const char *title;
    int8_t from;  /* enum record_part, or enum record_from */
    int8_t group; /* enum group, or GROUP_NONE */
};

struct record_field {
    const char *name; /* as in the .proto */
    const char *doc;  /* one line */
    uint16_t number;
    uint16_t offset;  /* of the value in the part, or in struct record_context, in bytes */
    uint8_t width;    /* in bytes */
    uint8_t name_len; /* strlen(name) */
    uint8_t type;     /* enum record_type */
    uint8_t section;  /* enum record_section_id */
    int8_t from;      /* of its section */
    int8_t group;     /* of its section */
    uint8_t convert;  /* enum record_convert */
    uint8_t unit;     /* enum record_unit */
    uint8_t print;    /* enum record_print */
};

extern const struct record_section record_sections[SECTION_COUNT];

/* All fields of XtcpFlatRecord, by ascending number. */
extern const struct record_field record_fields[FIELD_COUNT];

/* The field called |name| (|n| bytes, no NUL needed), or NULL. */
const struct record_field *record_field_by_name(const char *name, size_t n);

/* Its index in record_fields[]. */
static inline unsigned record_field_index(const struct record_field *f)
{
    return (unsigned)(f - record_fields);
}

#endif
