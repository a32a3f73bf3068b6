/* Names of devices by their index, as the namespace of a socket knows them. */
#include <linux/inet_diag.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "inet_diag/device.h"

/* The device name in the record of a socket that is bound to |index|; "" when it has none. */
static const char *name_of(struct devices *d, uint32_t index)
{
    static struct inet_diag_msg m;
    static char name[IFNAMSIZ + 1];
    m.id.idiag_if = index;
    struct record_source s = {.data[PART_MSG] = (const uint8_t *)&m, .len[PART_MSG] = sizeof(m)};
    devices_name(d, &s);
    assert_true((s.data[PART_DEVICE] != NULL) == (s.len[PART_DEVICE] > 0));
    assert_true(s.len[PART_DEVICE] < IFNAMSIZ);
    memset(name, 0, sizeof(name));
    if (s.data[PART_DEVICE])
        memcpy(name, s.data[PART_DEVICE], s.len[PART_DEVICE]);
    return name;
}

static void test_names(void **state)
{
    (void)state;
    struct devices d = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    uint32_t lo = if_nametoindex("lo");
    assert_true(d.fd >= 0 && lo > 0);
    assert_string_equal(name_of(&d, 0), "");
    assert_string_equal(name_of(&d, lo), "lo");
    assert_string_equal(name_of(&d, 0x7fffffff), "");
    assert_string_equal(name_of(&d, UINT32_MAX), "");
    /* one that is kept in the same place, and the first again */
    assert_string_equal(name_of(&d, lo + (UINT32_C(1) << 30)), "");
    assert_string_equal(name_of(&d, lo), "lo");
    /* it is not asked for twice */
    close(d.fd);
    d.fd = -1;
    assert_string_equal(name_of(&d, lo), "lo");
    assert_string_equal(name_of(&d, lo + DEVICES_KEPT), "");
    assert_string_equal(name_of(&d, lo), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
