/* The receivers of news of outputs: those who watch them (OutputService.Watch), and the callers of tests that are under
 * way. Main keeps the time of both.
 *
 * Watchers are told of all outputs at the beginning, then of changes of a state. There is a look for these once a second
 * at most, however often something changes, so what comes and goes within that time is not told. */
#ifndef XTCP_SERVER_SERVICES_OUTPUT_NEWS_H
#define XTCP_SERVER_SERVICES_OUTPUT_NEWS_H

#include <stdint.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "model/output.h"
#include "server/outputs/outputs.h"

#define OUTPUT_NEWS_LOOK_NS (1 * NS_PER_S)  /* between two looks for changes */
#define OUTPUT_NEWS_TEST_NS (10 * NS_PER_S) /* that a test may take */

struct output_news;

/* |outputs| lives longer; this becomes its listener. |wake| makes main call output_news_step soon; it is called with |arg|
 * on any thread and must not wait. NULL without memory. */
struct output_news *output_news_new(struct outputs *outputs, void (*wake)(void *arg), void *arg);

/* When the outputs have ended and nobody is told any more. NULL is allowed. */
void output_news_free(struct output_news *n);

/* Tells what is due at |now_ns| (monotonic). Returns when to call it again, if |wake| does not ask for that before;
 * INT64_MAX: not at all. Main thread. */
int64_t output_news_step(struct output_news *n, int64_t now_ns);

/* ---- Any thread. The functions that are given here are called with a lock held: they must not call anything of this
 * header or of the outputs, nor wait ---- */

/* Calls |fn| with each output now, and with each change from then on, until output_news_unwatch. |event| is valid during
 * the call. Returns 0 or -ENOMEM; |fn| has not been called then. */
typedef void output_news_fn(void *arg, const struct output_event *event);
int output_news_watch(struct output_news *n, output_news_fn *fn, void *arg);
void output_news_unwatch(struct output_news *n, void *arg);

/* Has the output |name| tested, and calls |fn| once: with the result, or after OUTPUT_NEWS_TEST_NS with one that says so;
 * perhaps before this returns. Not after output_news_forget. Returns 0; or a code with |e|, and |fn| is not called:
 * ERR_GONE when there is no such output, -ENOMEM. */
int output_news_test(struct output_news *n, const char *name, output_test_fn *fn, void *arg, struct err *e);
void output_news_forget(struct output_news *n, void *arg);

#endif
