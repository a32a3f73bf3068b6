/* Builds netlink messages byte by byte, right and wrong ones, for the tests of collectors/. */
#ifndef XTCP_TESTS_COLLECTORS_MESSAGE_H
#define XTCP_TESTS_COLLECTORS_MESSAGE_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define TEST_SEQ    77u
#define TEST_PORTID 4242u

struct message {
    uint8_t bytes[8192];
    size_t len;
    size_t begin; /* of the message that is being written */
};

static inline void put(struct message *m, const void *data, size_t n)
{
    if (n)
        memcpy(m->bytes + m->len, data, n);
    m->len += n;
}

static inline void put_align(struct message *m)
{
    while (m->len % NLMSG_ALIGNTO)
        m->bytes[m->len++] = 0;
}

static inline void put_length(struct message *m, uint32_t len)
{
    memcpy(m->bytes + m->begin, &len, sizeof(len));
}

static inline void put_header(struct message *m, uint16_t type, uint16_t flags)
{
    struct nlmsghdr h = {
        .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = TEST_SEQ, .nlmsg_pid = TEST_PORTID};
    put_align(m);
    m->begin = m->len;
    put(m, &h, sizeof(h));
    put_length(m, sizeof(h));
}

/* Ends the message: its length becomes what was put. */
static inline void put_end(struct message *m)
{
    put_length(m, (uint32_t)(m->len - m->begin));
}

static inline void put_attr(struct message *m, uint16_t type, const void *data, size_t n)
{
    struct rtattr a = {.rta_len = (uint16_t)(sizeof(a) + n), .rta_type = type};
    put_align(m);
    put(m, &a, sizeof(a));
    put(m, data, n);
}

/* The begin of a socket's message; attributes may follow. */
static inline void put_socket(struct message *m, uint16_t type, uint8_t family, uint64_t cookie)
{
    struct inet_diag_msg d = {.idiag_family = family, .idiag_state = 1};
    d.id.idiag_cookie[0] = (uint32_t)cookie;
    d.id.idiag_cookie[1] = (uint32_t)(cookie >> 32);
    put_header(m, type, NLM_F_MULTI);
    put(m, &d, sizeof(d));
    put_end(m);
}

/* NLMSG_DONE, NLMSG_ERROR. */
static inline void put_code(struct message *m, uint16_t type, int32_t code)
{
    put_header(m, type, NLM_F_MULTI);
    put(m, &code, sizeof(code));
    if (type == NLMSG_ERROR)
        put(m, &(struct nlmsghdr){.nlmsg_len = sizeof(struct nlmsghdr)}, sizeof(struct nlmsghdr));
    put_end(m);
}

#endif
