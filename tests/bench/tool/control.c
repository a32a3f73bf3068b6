/* The job control: triggers polls and asks how they went, over one connection that stays. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "rpc/client/client.h"
#include "rpc/codec/msg_status.h"
#include "tests/bench/tool/tool.h"

#define TRIGGER "/xtcp_config.v1.ConfigService/TriggerPoll"
#define STATUS  "/xtcp_status.v1.StatusService/Get"

#define CALL_TIMEOUT_NS (60 * NS_PER_S)

static void call(struct rpc_channel *c, const char *method, struct rpc_bytes *reply)
{
    const struct rpc_call_options options = {.timeout_ns = CALL_TIMEOUT_NS, .wait_for_ready = true};
    struct rpc_status status = {0};
    if (rpc_unary(c, method, NULL, 0, &options, reply, &status))
        die_text(method, status.text);
}

/* Says: POLLS NAMESPACES SUBSCRIBERS, and of the last poll: SOCKETS FAILED DURATION_NS. */
static void say_status(struct rpc_channel *c)
{
    struct rpc_bytes reply = {0};
    struct status_msg status;
    void *memory;
    struct err e = {0};
    call(c, STATUS, &reply);
    if (status_msg_decode(reply.data, reply.len, &status, &memory, &e))
        die_text(STATUS, e.text);
    const struct status_poll none = {0}, *last = status.last_poll ? status.last_poll : &none;
    say("%llu %u %zu %llu %u %llu", (unsigned long long)status.polls, status.namespaces, status.n_subscribers,
        (unsigned long long)last->sockets, last->namespaces_failed, (unsigned long long)last->duration_ns);
    status_msg_free(memory);
    rpc_bytes_free(&reply);
}

/* Says: ready. The line "trigger" triggers a poll and says: ok. "status": see above. */
int job_control(int argc, char **argv)
{
    (void)argc;
    struct rpc_channel *c;
    struct err e = {0};
    sigset_t all;
    char line[32];
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    rpc_client_init();
    if (rpc_channel_new(argv[0], NULL, &c, &e))
        die_text(argv[0], e.text);
    say("ready");
    while (next_line(line, sizeof(line))) {
        if (!strcmp(line, "trigger")) {
            call(c, TRIGGER, NULL);
            say("ok");
        } else if (!strcmp(line, "status")) {
            say_status(c);
        } else {
            die_text(line, "expected trigger or status");
        }
    }
    rpc_channel_free(c);
    rpc_client_fini();
    return 0;
}
