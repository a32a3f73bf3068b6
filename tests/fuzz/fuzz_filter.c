/* Any bytes as an expression: what parses has a canonical text that is the same filter, and the code for the
 * kernel passes the audit, lets through whatever the filter does, and no more when it says so. */
#undef NDEBUG /* assert() counts in every build */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "record/record.h"
#include "tests/unit/filter_model.h"

#define SOCKETS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct model_socket sockets[SOCKETS];
static const struct record_context context = {.netns = "webshop", .hostname = "host", .label = "a b"};

static void make_sockets(void)
{
    static bool made;
    struct model_random r = {.state = 17};
    for (size_t i = 0; !made && i < SOCKETS; i++)
        model_socket(&r, &sockets[i]);
    made = true;
}

static bool same_sockets(const struct filter *a, const struct filter *b)
{
    for (size_t i = 0; i < SOCKETS; i++) {
        if (filter_match(a, &sockets[i].source, &context, NULL) !=
            filter_match(b, &sockets[i].source, &context, NULL))
            return false;
    }
    return true;
}

static void check_text(const struct filter *f)
{
    struct filter *again;
    struct filter_error e;
    if (strlen(filter_text(f)) > FILTER_TEXT_MAX) /* names may be longer than what was written */
        return;
    assert(filter_parse(filter_text(f), &again, &e) == 0);
    assert(strcmp(filter_text(again), filter_text(f)) == 0);
    assert(filter_groups(again) == filter_groups(f));
    assert(same_sockets(f, again));
    filter_unref(again);
}

static void check_kernel(const struct filter *f)
{
    static struct filter_kernel k;
    filter_kernel(&f, 1, &k);
    assert(k.len == 0 || model_audit(k.code, k.len));
    for (size_t i = 0; i < SOCKETS; i++) {
        bool ours = filter_match(f, &sockets[i].source, &context, NULL);
        bool theirs =
            model_request(k.states, k.sport, k.dport, &sockets[i]) && model_run(k.code, k.len, &sockets[i]);
        assert(theirs || !ours);
        assert(ours || !theirs || !k.exact);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct filter *f;
    struct filter_error e;
    char *text = malloc(size + 1); /* exactly so long: a sanitizer sees a read past the end */
    if (!text)
        return 0;
    make_sockets();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (filter_parse(text, &f, &e)) {
        assert(!f && e.err.code < 0 && e.column >= 1 && e.column <= size + 1 && *e.err.text);
    } else {
        check_text(f);
        check_kernel(f);
        filter_unref(f);
    }
    free(text);
    return 0;
}
