/* The parsers and texts of nswatch: bytes in, struct out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/err.h"
#include "lib/linux/inotify_parse.h"
#include "nswatch/mountinfo.h"
#include "nswatch/nsid.h"
#include "nswatch/nswatch.h"
#include "nswatch/procscan.h"
#include "nswatch/text.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

static void escaped(const char *in, size_t n, const char *want)
{
    char *got = text_escape(in, n);
    assert_string_equal(got, want);
    free(got);
}

static void names_are_escaped(void **state)
{
    (void)state;
    escaped("", 0, "");
    escaped("blue", 4, "blue");
    escaped("a\nb", 3, "a\\x0ab");
    escaped("\x7f", 1, "\\x7f");
    escaped("\\x0a", 4, "\\x5cx0a"); /* is not "\n" */
    escaped("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
    escaped("\xe2\x82\xac\xf0\x9f\x90\x9f", 7, "\xe2\x82\xac\xf0\x9f\x90\x9f");
    escaped("\xc2\x85", 2, "\\xc2\\x85");                   /* a C1 control */
    escaped("\xc0\xaf", 2, "\\xc0\\xaf");                   /* not the shortest form */
    escaped("\xe0\x80\x80", 3, "\\xe0\\x80\\x80");          /* not the shortest form */
    escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* a surrogate */
    escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
    escaped("\xe2\x82", 2, "\\xe2\\x82");                   /* cut */
    escaped("\xf0\x9f\x90x", 4, "\\xf0\\x9f\\x90x");        /* cut by another */
    escaped("\x80", 1, "\\x80");
    escaped("a\xe2\x80\x8b", 4, "a\\xe2\\x80\\x8b"); /* a space of no width */
    escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae");   /* turns the direction of text */
}

static void copies_are_whole(void **state)
{
    (void)state;
    const struct nswatch_name names[] = {{.dir = "/a", .name = "x", .text = "/a/x"},
                                         {.dir = "/b", .name = "y", .text = "/b/y"}};
    const struct nswatch_ns ns = {.id = 7,
                                  .cookie = 8,
                                  .inode = 9,
                                  .netns = "x",
                                  .path = "/a/x",
                                  .found_at = "/a/x",
                                  .names = names,
                                  .name_count = 2,
                                  .error = {.code = -1, .text = "no"}};
    struct nswatch_ns *copy = nswatch_ns_copy(&ns);
    assert_int_equal(copy->cookie, 8);
    assert_string_equal(copy->netns, "x");
    assert_ptr_not_equal(copy->netns, ns.netns);
    assert_string_equal(copy->names[1].text, "/b/y");
    assert_ptr_not_equal(copy->names, names);
    assert_string_equal(copy->error.text, "no");
    free(copy);
    const struct nswatch_ns bare = {.netns = "", .path = "", .found_at = ""};
    copy = nswatch_ns_copy(&bare);
    assert_null(copy->names);
    free(copy);
}

/* Appends an event with |len| bytes of name to |to|; returns the place behind it. */
static uint8_t *put_event(uint8_t *to, int wd, uint32_t mask, const char *name, uint32_t len)
{
    struct inotify_event e = {.wd = wd, .mask = mask, .len = len};
    memcpy(to, &e, sizeof(e));
    memset(to + sizeof(e), 0, len);
    if (len)
        memcpy(to + sizeof(e), name, strlen(name) < len ? strlen(name) : len);
    return to + sizeof(e) + len;
}

static int parse_one(const char *name, uint32_t len)
{
    uint8_t buffer[512];
    struct inotify_item item;
    struct cursor c = cursor_over(buffer, (size_t)(put_event(buffer, 1, IN_CREATE, name, len) - buffer));
    return inotify_next(&c, &item);
}

static void inotify_events_are_read(void **state)
{
    (void)state;
    uint8_t buffer[512], *end = buffer;
    end = put_event(end, 1, IN_CREATE, "blue", 16);
    end = put_event(end, -1, IN_Q_OVERFLOW, "", 0);
    end = put_event(end, 2, IN_DELETE, "fifteen-letters", 16);
    struct cursor c = cursor_over(buffer, (size_t)(end - buffer));
    struct inotify_item item;
    assert_int_equal(inotify_next(&c, &item), 1);
    assert_string_equal(item.name, "blue");
    assert_int_equal(item.mask, IN_CREATE);
    assert_int_equal(inotify_next(&c, &item), 1);
    assert_null(item.name);
    assert_int_equal(item.wd, -1);
    assert_int_equal(inotify_next(&c, &item), 1);
    assert_string_equal(item.name, "fifteen-letters");
    assert_int_equal(item.wd, 2);
    assert_int_equal(inotify_next(&c, &item), 0);
    /* Cut anywhere but between events. */
    for (size_t n = 1; n < (size_t)(end - buffer); n++) {
        c = cursor_over(buffer, n);
        int rc;
        while ((rc = inotify_next(&c, &item)) == 1)
            ;
        assert_int_equal(rc, n == 32 || n == 48 ? 0 : ERR_TRUNCATED);
    }
}

static void impossible_inotify_names_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_one("sixteen-letters!", 16), ERR_MALFORMED); /* no end */
    assert_int_equal(parse_one("../up", 16), ERR_MALFORMED);
    assert_int_equal(parse_one("..", 16), ERR_MALFORMED);
    assert_int_equal(parse_one(".", 16), ERR_MALFORMED);
    assert_int_equal(parse_one("", 16), ERR_MALFORMED);
    assert_int_equal(parse_one("...", 16), 1);
    uint8_t buffer[sizeof(struct inotify_event)];
    put_event(buffer, 1, IN_CREATE, "", 0);
    uint32_t huge = UINT32_MAX;
    memcpy(buffer + offsetof(struct inotify_event, len), &huge, sizeof(huge));
    struct cursor c = cursor_over(buffer, sizeof(buffer));
    struct inotify_item item;
    assert_int_equal(inotify_next(&c, &item), ERR_TRUNCATED);
}

static const char mounts[] = "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
                             "23 22 0:5 / /run rw shared:5 - tmpfs tmpfs rw\n"
                             "garbage\n"
                             "24 23 0:5 /netns /run/netns rw shared:5 master:7 - tmpfs tmpfs rw\n"
                             "25 22 0:9 / /with\\040space rw master:8 propagate_from:2 - tmpfs tmpfs rw\n"
                             "26 22 0:9 / /run rw - tmpfs tmpfs rw";

static void on_mount(const char *path, unsigned id)
{
    struct mountinfo_entry e;
    assert_true(mountinfo_find(mounts, sizeof(mounts) - 1, path, &e));
    assert_int_equal(e.id, id);
}

static void mounts_are_found(void **state)
{
    (void)state;
    on_mount("/", 22);
    on_mount("/runner", 22);
    on_mount("/run", 26); /* the later one covers it */
    on_mount("/run/docker", 26);
    on_mount("/run/netns", 24);
    on_mount("/run/netns/x", 24);
    on_mount("/run/netnsx", 26);
    on_mount("/with space/x", 25);
    on_mount("/with", 22);
    struct mountinfo_entry e;
    assert_true(mountinfo_find(mounts, sizeof(mounts) - 1, "/run/netns", &e));
    assert_true(e.shared && e.slave);
    assert_true(mountinfo_find(mounts, sizeof(mounts) - 1, "/with space", &e));
    assert_true(!e.shared && e.slave);
    assert_false(mountinfo_find("", 0, "/", &e));
    assert_false(mountinfo_find(mounts, sizeof(mounts) - 1, "relative", &e));
}

static void broken_mountinfo_lines_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\n",
                                      "x 1 8:1 / / rw - ext4 a rw",
                                      "22",
                                      "22 1 8:1 / /",
                                      "22 1 8:1 / / rw",
                                      "22 1 8:1 / / rw shared:1 x",
                                      "4294967296 1 8:1 / / rw - e f g",
                                      "   "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *text = bad[i];
        size_t n = strlen(text);
        struct mountinfo_entry e;
        assert_int_equal(mountinfo_next(&text, &n, &e), ERR_MALFORMED);
        assert_int_equal(n, 0);
    }
}

static void proc_entries_are_read(void **state)
{
    (void)state;
    assert_int_equal(proc_parse_pid("1"), 1);
    assert_int_equal(proc_parse_pid("4194304"), 4194304);
    static const char *const none[] = {"", "0", "01", "self", "1a", "-1", " 1", "99999999999", "2147483648"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(proc_parse_pid(none[i]), 0);

    assert_int_equal(proc_parse_link("net:[4026531840]", 16), 4026531840);
    static const char *const bad[] = {"",
                                      "net:[]",
                                      "net:[",
                                      "net:[12",
                                      "pid:[12]",
                                      "net:[1x]",
                                      "net:[-1]",
                                      "net:[0]",
                                      "net:[99999999999999999999]",
                                      "net:[12] (deleted)"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(proc_parse_link(bad[i], strlen(bad[i])), 0);
}

static void threads_of_the_kernel_are_known(void **state)
{
    (void)state;
    assert_true(proc_parse_kernel("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0"));
    assert_true(proc_parse_kernel("7 (a) b) c) R 2 0 0 0 -1 2097152"));
    assert_false(proc_parse_kernel("1 (systemd) S 0 1 1 0 -1 4194560 1 2"));
    assert_false(proc_parse_kernel("9 ((x S 0 0 0 0 -1 2129984) S 0 1 1 0 -1 4194560 1"));
    const char *bad[] = {"",
                         ")",
                         ") S",
                         "2 (kthreadd) S 0 0 0 0 -1",
                         "2 kthreadd S 0 0 0 0 -1 2129984",
                         "1 (x) S 0 0 0 0 -1 x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(proc_parse_kernel(bad[i]));
}

/* Messages one after the other, as one datagram has them. */
struct nsid_messages {
    struct nlmsghdr head;
    char body[8];
    struct nlmsghdr next;
};

static void nsid_messages_are_read(void **state)
{
    (void)state;
    struct nsid_messages m = {
        .head = {.nlmsg_len = sizeof(m.head) + 5, .nlmsg_type = RTM_NEWNSID}, /* padded to 8 */
        .next = {.nlmsg_len = sizeof(m.next), .nlmsg_type = RTM_DELNSID},
    };
    assert_int_equal(nsid_parse(&m, 0), 0);
    assert_int_equal(nsid_parse(&m, sizeof(m)), NSID_NEW | NSID_GONE);
    assert_int_equal(nsid_parse(&m, sizeof(m) - 1), NSID_NEW); /* the second is cut */
    assert_int_equal(nsid_parse(&m, sizeof(m.head)), 0);       /* the first as well */
    m.head.nlmsg_type = RTM_NEWLINK;
    assert_int_equal(nsid_parse(&m, sizeof(m)), NSID_GONE);
    m.head.nlmsg_len = UINT32_MAX;
    assert_int_equal(nsid_parse(&m, sizeof(m)), 0);
    m.head.nlmsg_len = 0;
    assert_int_equal(nsid_parse(&m, sizeof(m)), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(copies_are_whole),
        cmocka_unit_test(threads_of_the_kernel_are_known),
        cmocka_unit_test(inotify_events_are_read),
        cmocka_unit_test(impossible_inotify_names_are_refused),
        cmocka_unit_test(mounts_are_found),
        cmocka_unit_test(broken_mountinfo_lines_are_refused),
        cmocka_unit_test(proc_entries_are_read),
        cmocka_unit_test(nsid_messages_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
