/* The models that filters are compared with: sockets made up at random, and the kernel's side of inet_diag's
 * bytecode, after inet_diag_bc_audit and inet_diag_bc_run of net/ipv4/inet_diag.c. */
#ifndef XTCP_TESTS_FILTER_MODEL_H
#define XTCP_TESTS_FILTER_MODEL_H

#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/source.h"

/* A generator of numbers that gives the same ones for the same seed; not 0. */
struct model_random {
    uint64_t state;
};
uint64_t model_next(struct model_random *r);
/* From 0 to |n| - 1. */
unsigned model_below(struct model_random *r, unsigned n);

/* Bytes of a tcp_info: what Linux 6.1 sends. That of the headers may be longer. */
#define MODEL_INFO_LEN 232

struct model_socket {
    struct inet_diag_msg msg;
    struct tcp_info info;
    uint32_t skmem[9];
    uint32_t mark;
    uint64_t cgroup; /* 0: none */
    uint8_t tos;
    char cong[16];
    struct record_source source; /* of what the kernel would send of it */
};

/* Values are taken from a small world, so that comparisons hit: ports 0, 22, 80, 443, 1000 to 1003 and
 * others; addresses 10.0.0.0 to 10.0.3.3, 127.0.0.1, ::1, 2001:db8::0 to ::3 and mapped ones. */
void model_socket(struct model_random *r, struct model_socket *s);

/* An expression of comparisons that the kernel knows, and, with |ours|, of others too. */
void model_expression(struct model_random *r, bool ours, char *out, size_t size);

/* Whether the kernel accepts the code. */
bool model_audit(const uint8_t *code, size_t len);

/* Whether the socket is one that a request asks for, without its code: as inet_diag_dump_icsk of the same
 * file. */
bool model_request(uint32_t states, uint16_t sport, uint16_t dport, const struct model_socket *s);

/* Whether the socket passes it; code without bytes lets everything pass. */
bool model_run(const uint8_t *code, size_t len, const struct model_socket *s);

#endif
