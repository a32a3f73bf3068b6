/* A broker that asks for a user and a password by SASL PLAIN, and lets nobody use its topics: librdkafka's mock cluster has no
 * such thing. It listens on 127.0.0.1 and serves one connection after the other on a thread of its own. */
#ifndef XTCP_TESTS_OUTPUTS_KAFKA_BROKER_H
#define XTCP_TESTS_OUTPUTS_KAFKA_BROKER_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/thread.h"

struct kafka_broker {
    uint16_t port;
    /* Its own. */
    const char *user;
    const char *password;
    const char *refusal; /* what it tells whoever has another one */
    int listener;
    _Atomic int connection; /* -1: none */
    struct thread thread;
};

/* Starts |b|; a client that does not log in is fine, too. Its texts stay the caller's and must live until kafka_broker_end. Returns 0 or -errno. */
int kafka_broker_start(struct kafka_broker *b, const char *user, const char *password, const char *refusal);
void kafka_broker_end(struct kafka_broker *b);

#endif
