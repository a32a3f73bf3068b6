/* Notices changes of files, whether they are written in place, replaced by a rename, deleted and made again,
 * or links and folders on the way to them change, as with files that Kubernetes mounts. Changes are told once
 * the files have not changed for a moment. Where the kernel cannot tell of them (lib/linux/path_watch.h), the
 * files are looked at by time. One thread at a time. */
#ifndef XTCP_SERVER_LIVE_FILE_WATCH_H
#define XTCP_SERVER_LIVE_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

#define FILE_WATCH_MAX 40

/* Interval between looks at files whose changes the kernel does not tell. */
#define FILE_WATCH_INTERVAL_NS (2 * NS_PER_S)

struct file_watch;

/* Returns 0 and one that watches nothing in |out|, or -errno. */
int file_watch_new(struct file_watch **out);

/* Watches |paths| from now on, FILE_WATCH_MAX at most; empty ones stand for none. The state of a path now counts
 * as known, unless it stood at the same place before. While |on| is false nothing is told, and no resource of
 * the kernel is used; changes made meanwhile are told when |on| is true again. Returns 0, or a code for
 * path_watch_reason when changes will be noticed by time. */
int file_watch_set(struct file_watch *w, const char *const *paths, size_t n, bool on);

/* The state of all paths now counts as known: the caller is about to read the files anyway. */
void file_watch_known(struct file_watch *w);

/* For epoll: readable when file_watch_read has something to do. Stays the watch's. */
int file_watch_fd(const struct file_watch *w);

/* Takes the events of the kernel. Returns the paths that have changed, as bits: 1 << index. */
uint64_t file_watch_read(struct file_watch *w);

/* NULL is allowed. */
void file_watch_free(struct file_watch *w);

#endif
