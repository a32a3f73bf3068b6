/* Reasons to stop: Ctrl-C, SIGTERM, SIGHUP unless the program was started with it ignored, and a reader of
 * standard output that goes away. A thread of its own waits for them, so that neither signal handlers nor
 * polling are needed. */
#ifndef XTCP_CLIENT_STOP_H
#define XTCP_CLIENT_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct stop;
struct rpc_channel;

enum stop_reason {
    STOP_NOT,
    STOP_SIGNAL, /* a second signal ends the process at once */
    STOP_READER, /* nobody reads standard output any more */
};

/* Blocks the signals above for the calling thread and all that it starts later, and ignores SIGPIPE. First of
 * all in main. */
void stop_block_signals(void);

/* Until stop_block_signals is called again, the signals do to the process what they do by default: for
 * work of main's that may take long, has nothing to clean up, and comes before stop_new. */
void stop_unblock_signals(void);

/* Starts the thread, which watches |output_fd| too (-1: does not). stop_block_signals must have been called.
 * Returns 0 or -errno. */
int stop_new(int output_fd, struct stop **out);

/* Ends the thread. */
void stop_free(struct stop *s);

/* From now on a stop interrupts the calls of |c| as well (NULL: no longer any), at once when it has come
 * already. */
void stop_attach(struct stop *s, struct rpc_channel *c);

/* From now on a stop calls |interrupt| with |context| as well, on any thread, at once when it has come already (NULL:
 * no longer anything). */
void stop_call(struct stop *s, void (*interrupt)(void *context), void *context);

/* Sets the function that is called when a second signal ends the process at once, on the thread of |s|:
 * it only writes to descriptors (NULL: none). */
void stop_last(struct stop *s, void (*last)(void));

/* The reason to stop, STOP_NOT as long as there is none. Any thread. */
enum stop_reason stop_reason(const struct stop *s);

/* A descriptor that is readable once there is a reason, for poll(2); it stays |s|'s. */
int stop_fd(const struct stop *s);

/* Waits |ns| nanoseconds; returns false when it was told to stop before. */
bool stop_sleep(struct stop *s, int64_t ns);

#endif
