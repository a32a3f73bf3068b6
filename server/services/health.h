/* The health of the daemon as grpc.health.v1 tells it: one status for the server and all its services, since
 * they start to be useful together, with the first finished poll. */
#ifndef XTCP_SERVER_SERVICES_HEALTH_H
#define XTCP_SERVER_SERVICES_HEALTH_H

#include "lib/err.h"
#include "model/health.h"

struct health;

/* |services|: |n| full names, constants; "" (the server as a whole) is always known. Starts with NOT_SERVING. */
struct health *health_new(const char *const *services, size_t n);
void health_free(struct health *h);

/* The status of |service|; HEALTH_SERVICE_UNKNOWN for a name that is none. Any thread. */
enum health_status health_get(struct health *h, const char *service);

/* Changes the status and tells all watchers. Any thread. */
void health_set(struct health *h, enum health_status status);

/* Calls |fn| with the present status of |service| now, and with each new one, until health_unwatch; a service
 * that does not exist stays SERVICE_UNKNOWN. Called with the health's lock held. Returns 0 or -ENOMEM. Any
 * thread. */
typedef void health_watcher(void *arg, enum health_status status);
int health_watch(struct health *h, const char *service, health_watcher *fn, void *arg);
void health_unwatch(struct health *h, void *arg);

#endif
