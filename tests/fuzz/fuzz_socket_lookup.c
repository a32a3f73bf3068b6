/* Answers to exact requests: each socket is told once at most, and only to whom has asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "inet_diag/socket_lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOCKETS   4
#define FIRST_SEQ 0xfffffffeu /* so that the numbers wrap */
#define BASE      10

struct told {
    unsigned times[SOCKETS];
    size_t n;
    size_t seen; /* what was read, so that reading is not left out */
};

static void take(void *arg, size_t index, const struct record_source *s, int code)
{
    struct told *t = arg;
    if (index < BASE || index >= BASE + SOCKETS || t->times[index - BASE]++ || (s != NULL) != (code == 0) ||
        code > 0)
        abort();
    t->n++;
    for (unsigned part = 0; s && part < PART_COUNT; part++) {
        for (unsigned i = 0; i < s->len[part]; i++)
            t->seen += s->data[part][i];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lookup_socket sockets[SOCKETS] = {{0}};
    uint8_t answered[SOCKETS] = {0};
    struct told told = {0};
    for (uint32_t i = 0; i < SOCKETS; i++)
        sockets[i].id.idiag_cookie[0] = i + 1;
    sockets[3].id.idiag_cookie[0] = sockets[3].id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    const struct lookup_asked asked = {.first_seq = FIRST_SEQ,
                                       .sockets = sockets,
                                       .n = SOCKETS,
                                       .base = BASE,
                                       .answered = answered,
                                       .fn = take,
                                       .arg = &told};
    if (lookup_take_answers(data, size, &asked) != told.n)
        abort();
    for (size_t i = 0; i < SOCKETS; i++) {
        if (answered[i] != told.times[i])
            abort();
    }
    return 0;
}
