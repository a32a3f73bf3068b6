#include "server/services/health.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct watcher {
    health_watcher *fn;
    void *arg;
    bool known;
    struct watcher *next;
};

struct health {
    pthread_mutex_t lock;
    const char *const *services;
    size_t n;
    enum health_status status;
    struct watcher *watchers;
};

struct health *health_new(const char *const *services, size_t n)
{
    struct health *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    pthread_mutex_init(&h->lock, NULL);
    h->services = services;
    h->n = n;
    h->status = HEALTH_NOT_SERVING;
    return h;
}

void health_free(struct health *h)
{
    if (!h)
        return;
    while (h->watchers)
        health_unwatch(h, h->watchers->arg);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static bool known(const struct health *h, const char *service)
{
    for (size_t i = 0; i < h->n; i++) {
        if (strcmp(h->services[i], service) == 0)
            return true;
    }
    return !*service;
}

enum health_status health_get(struct health *h, const char *service)
{
    if (!known(h, service))
        return HEALTH_SERVICE_UNKNOWN;
    pthread_mutex_lock(&h->lock);
    enum health_status status = h->status;
    pthread_mutex_unlock(&h->lock);
    return status;
}

void health_set(struct health *h, enum health_status status)
{
    pthread_mutex_lock(&h->lock);
    bool changed = h->status != status;
    h->status = status;
    for (struct watcher *w = h->watchers; w && changed; w = w->next) {
        if (w->known)
            w->fn(w->arg, status);
    }
    pthread_mutex_unlock(&h->lock);
}

int health_watch(struct health *h, const char *service, health_watcher *fn, void *arg)
{
    struct watcher *w = malloc(sizeof(*w));
    if (!w)
        return -ENOMEM;
    pthread_mutex_lock(&h->lock);
    *w = (struct watcher){.fn = fn, .arg = arg, .known = known(h, service), .next = h->watchers};
    h->watchers = w;
    fn(arg, w->known ? h->status : HEALTH_SERVICE_UNKNOWN);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

void health_unwatch(struct health *h, void *arg)
{
    pthread_mutex_lock(&h->lock);
    for (struct watcher **at = &h->watchers; *at; at = &(*at)->next) {
        if ((*at)->arg == arg) {
            struct watcher *w = *at;
            *at = w->next;
            free(w);
            break;
        }
    }
    pthread_mutex_unlock(&h->lock);
}
