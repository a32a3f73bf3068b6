#include "rpc/server/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"
#include "lib/log.h"
#include "lib/tsan.h"
#include "rpc/server/tls_pem.h"

enum { CERT, KEY, CLIENT_CA, FILES };

static const char *const options[FILES] = {
    [CERT] = "tls_cert_file", [KEY] = "tls_key_file", [CLIENT_CA] = "tls_client_ca_file"};

/* The contents of all files at one time. */
struct material {
    char *pem[FILES]; /* NULL for a file that is not configured */
};

struct rpc_tls {
    _Atomic unsigned refs;
    pthread_mutex_t lock; /* guards all below; a leaf */
    char *paths[FILES];
    struct file_stamp stamps[FILES];
    struct material material;
    uint64_t generation;         /* of the material */
    struct file_attempt attempt; /* to read the files as they are now */
};

/* The certificates that one port has been given. */
struct port {
    struct rpc_tls *tls;
    uint64_t generation;
};

static void material_clear(struct material *m)
{
    for (size_t i = 0; i < FILES; i++) {
        file_forget(m->pem[i]);
        m->pem[i] = NULL;
    }
}

static void take_stamps(const struct rpc_tls *t, struct file_stamp out[FILES])
{
    for (size_t i = 0; i < FILES; i++)
        out[i] = file_stamp(t->paths[i]);
}

/* ---- Reading ---- */

/* Whether the contents of the files can be used. */
static int check(const struct rpc_tls *t, const struct material *m, struct err *e)
{
    struct tls_pem_file files[FILES];
    for (size_t i = 0; i < FILES; i++)
        files[i] = (struct tls_pem_file){.option = options[i], .path = t->paths[i], .text = m->pem[i]};
    return tls_pem_check(&files[CERT], &files[KEY], &files[CLIENT_CA], e);
}

/* Reads all files and checks that they fit together. */
static int load(const struct rpc_tls *t, struct material *out, struct err *e)
{
    int rc = 0;
    *out = (struct material){0};
    for (size_t i = 0; i < FILES && rc == 0; i++) {
        rc = t->paths[i] ? file_read(t->paths[i], FILE_SECRET_MAX, &out->pem[i], NULL, NULL, e) : 0;
        if (rc)
            err_prefix(e, "%s", options[i]);
    }
    if (rc == 0)
        rc = check(t, out, e);
    if (rc)
        material_clear(out);
    return rc;
}

/* ---- Life ---- */

int rpc_tls_new(const struct rpc_tls_files *files, struct rpc_tls **out, struct err *e)
{
    const char *const paths[FILES] = {
        [CERT] = files->cert, [KEY] = files->key, [CLIENT_CA] = *files->client_ca ? files->client_ca : NULL};
    struct rpc_tls *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    t->refs = 1;
    pthread_mutex_init(&t->lock, NULL);
    t->generation = 1;
    int rc = 0;
    for (size_t i = 0; i < FILES && rc == 0; i++) {
        t->paths[i] = paths[i] ? strdup(paths[i]) : NULL;
        if (paths[i] && !t->paths[i])
            rc = err_set(e, -ENOMEM, "out of memory");
    }
    take_stamps(t, t->stamps);
    if (rc == 0)
        rc = load(t, &t->material, e);
    if (rc) {
        rpc_tls_unref(t);
        return rc;
    }
    *out = t;
    return 0;
}

struct rpc_tls *rpc_tls_ref(struct rpc_tls *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void rpc_tls_unref(struct rpc_tls *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    material_clear(&t->material);
    for (size_t i = 0; i < FILES; i++)
        free(t->paths[i]);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void rpc_tls_exchange(struct rpc_tls *t, struct rpc_tls *fresh)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < FILES; i++) {
        char *path = t->paths[i];
        t->paths[i] = fresh->paths[i];
        fresh->paths[i] = path;
    }
    struct material material = t->material;
    t->material = fresh->material;
    fresh->material = material;
    memcpy(t->stamps, fresh->stamps, sizeof(t->stamps));
    memset(fresh->stamps, 0, sizeof(fresh->stamps));
    t->attempt = (struct file_attempt){0};
    t->generation++;
    pthread_mutex_unlock(&t->lock);
}

bool rpc_tls_same_files(struct rpc_tls *t, const struct rpc_tls_files *files)
{
    const char *const wanted[FILES] = {
        [CERT] = files->cert, [KEY] = files->key, [CLIENT_CA] = files->client_ca};
    bool same = true;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < FILES; i++)
        same = same && strcmp(t->paths[i] ? t->paths[i] : "", wanted[i]) == 0;
    pthread_mutex_unlock(&t->lock);
    return same;
}

static bool same_material(const struct material *a, const struct material *b)
{
    bool same = true;
    for (size_t i = 0; i < FILES; i++)
        same = same && strcmp(a->pem[i] ? a->pem[i] : "", b->pem[i] ? b->pem[i] : "") == 0;
    return same;
}

/* Reads the files if they have changed, if the last error with them may have passed, or |anyway|. The lock is
 * held. */
static void refresh(struct rpc_tls *t, bool anyway)
{
    struct file_stamp now[FILES];
    struct material fresh;
    struct err e = {0};
    bool same = true;
    take_stamps(t, now);
    for (size_t i = 0; i < FILES; i++)
        same = same && file_stamp_same(&now[i], &t->stamps[i]);
    if (same && !anyway && !file_attempt_due(&t->attempt))
        return;
    memcpy(t->stamps, now, sizeof(now));
    int rc = load(t, &fresh, &e);
    bool other = file_attempt_note(&t->attempt, rc);
    if (rc && (!same || anyway || other))
        log_error("tls", "%s; the certificate from before is still in use", e.text);
    if (rc)
        return;
    if (same && !other && same_material(&fresh, &t->material)) {
        material_clear(&fresh);
        return;
    }
    material_clear(&t->material);
    t->material = fresh;
    t->generation++;
    log_info("tls", "certificate read again: %s", t->paths[CERT]);
}

void rpc_tls_refresh(struct rpc_tls *t, bool anyway)
{
    pthread_mutex_lock(&t->lock);
    refresh(t, anyway);
    pthread_mutex_unlock(&t->lock);
}

/* ---- For gRPC ---- */

/* Asked before each handshake, and once when the port is added. */
static grpc_ssl_certificate_config_reload_status fetch(void *arg, grpc_ssl_server_certificate_config **out)
{
    struct port *p = arg;
    tsan_acquire(p);
    struct rpc_tls *t = p->tls;
    grpc_ssl_certificate_config_reload_status status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    pthread_mutex_lock(&t->lock);
    refresh(t, false);
    if (p->generation != t->generation) {
        const grpc_ssl_pem_key_cert_pair pair = {.private_key = t->material.pem[KEY],
                                                 .cert_chain = t->material.pem[CERT]};
        /* gRPC insists on roots here, also where clients show nothing that could be checked against them. */
        const char *roots = t->material.pem[CLIENT_CA] ? t->material.pem[CLIENT_CA] : t->material.pem[CERT];
        *out = grpc_ssl_server_certificate_config_create(roots, &pair, 1);
        p->generation = t->generation;
        status = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

grpc_server_credentials *rpc_tls_credentials(struct rpc_tls *t, bool ask_clients, void **state)
{
    struct port *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->tls = rpc_tls_ref(t);
    *state = p;
    tsan_release(p);
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            ask_clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                        : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            fetch, p));
}

void rpc_tls_release(void *state)
{
    struct port *p = state;
    if (p)
        rpc_tls_unref(p->tls);
    free(p);
}
