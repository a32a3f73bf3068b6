/* Hand-overs that ThreadSanitizer cannot see, since they happen inside gRPC, which is not built with it:
 * writes of one thread before tsan_release(p) are visible to another one that has returned from
 * tsan_acquire(p). Nothing in other builds. */
#ifndef XTCP_LIB_TSAN_H
#define XTCP_LIB_TSAN_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define XTCP_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define XTCP_TSAN 1
#endif

#if defined(XTCP_TSAN)
/* A function whose own accesses to memory are not checked. */
#define TSAN_IGNORED __attribute__((no_sanitize("thread")))
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define tsan_acquire(p) __tsan_acquire(p)
#define tsan_release(p) __tsan_release(p)
#else
#define TSAN_IGNORED
#define tsan_acquire(p) ((void)(p))
#define tsan_release(p) ((void)(p))
#endif

#endif
