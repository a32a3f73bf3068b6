/* One socket as the kernel described it: pointers to where the parser found each part, nothing copied. */
#ifndef XTCP_RECORD_SOURCE_H
#define XTCP_RECORD_SOURCE_H

#include <stdint.h>

/* The parts of an inet_diag answer that a record is made of. All but the first and the last are attributes of
 * <linux/inet_diag.h>. */
enum record_part {
    PART_MSG,       /* struct inet_diag_msg, always there */
    PART_MEMINFO,   /* struct inet_diag_meminfo */
    PART_INFO,      /* struct tcp_info, as long as the kernel made it */
    PART_VEGAS,     /* struct tcpvegas_info */
    PART_CONG,      /* name, with or without its NUL */
    PART_TOS,       /* u8 */
    PART_TCLASS,    /* u8 */
    PART_SKMEMINFO, /* u32[SK_MEMINFO_VARS] */
    PART_SHUTDOWN,  /* u8 */
    PART_DCTCP,     /* struct tcp_dctcp_info */
    PART_BBR,       /* struct tcp_bbr_info */
    PART_CLASS_ID,  /* u32 */
    PART_CGROUP_ID, /* u64 */
    PART_SOCKOPT,   /* struct inet_diag_sockopt, two bytes of bits */
    PART_V6ONLY,    /* u8, of IPv6 sockets in LISTEN and CLOSE only */
    PART_MARK,      /* u32, with CAP_NET_ADMIN only */
    PART_DEVICE,    /* name, without its NUL: the device idiag_if in its namespace, asked for separately */
    PART_COUNT,
};

/* The attribute of <linux/inet_diag.h> for each part; 0 for a part that is none. */
extern const uint8_t record_part_attributes[PART_COUNT];

struct record_source {
    const uint8_t *data[PART_COUNT]; /* NULL: the kernel did not send it. No alignment is promised */
    uint16_t len[PART_COUNT];        /* bytes at data; 0 when NULL */
    uint32_t attributes; /* 1 << INET_DIAG_X of each attribute that was sent, and was well-formed */
};

#endif
