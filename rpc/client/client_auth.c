#include "rpc/client/client_auth.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"

/* Reads the PEM file |path|; NULL for none. */
static int read_pem(const char *path, char **out, struct err *e)
{
    *out = NULL;
    int rc = path ? file_read(path, FILE_SECRET_MAX, out, NULL, NULL, e) : 0;
    if (rc == 0 && path && !strstr(*out, "-----BEGIN "))
        rc = err_set(e, ERR_MALFORMED, "%s: is no PEM file", path);
    return rc;
}

bool rpc_channel_uses_tls(const struct rpc_channel_options *o)
{
    return !o->plaintext && (o->tls || o->insecure || o->ca || o->cert || o->key || o->server_name);
}

/* Credentials that take any certificate, while the client may show its own. */
static grpc_channel_credentials *trusting_credentials(const char *cert, const char *key)
{
    grpc_tls_credentials_options *tls = grpc_tls_credentials_options_create();
    grpc_tls_certificate_verifier *anybody = grpc_tls_certificate_verifier_no_op_create();
    grpc_tls_credentials_options_set_verify_server_cert(tls, 0);
    grpc_tls_credentials_options_set_check_call_host(tls, 0);
    grpc_tls_credentials_options_set_certificate_verifier(tls, anybody);
    grpc_tls_certificate_verifier_release(anybody);
    if (cert) {
        grpc_tls_identity_pairs *pairs = grpc_tls_identity_pairs_create();
        grpc_tls_identity_pairs_add_pair(pairs, key, cert);
        grpc_tls_certificate_provider *provider = grpc_tls_certificate_provider_static_data_create("", pairs);
        grpc_tls_credentials_options_set_certificate_provider(tls, provider);
        grpc_tls_credentials_options_watch_identity_key_cert_pairs(tls);
        grpc_tls_certificate_provider_release(provider);
    }
    return grpc_tls_credentials_create(tls); /* which owns |tls| from here on */
}

static grpc_channel_credentials *tls_credentials(bool insecure, const char *ca, const char *cert,
                                                 const char *key)
{
    if (insecure)
        return trusting_credentials(cert, key);
    grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
    return grpc_ssl_credentials_create(ca, cert ? &pair : NULL, NULL, NULL);
}

int rpc_client_credentials(const struct rpc_channel_options *options, grpc_channel_credentials **out,
                           struct err *e)
{
    if (!rpc_channel_uses_tls(options)) {
        *out = grpc_insecure_credentials_create();
        return 0;
    }
    if (!options->cert != !options->key)
        return err_set(e, ERR_USAGE, "a certificate and its key go together (--cert, --key)");
    char *ca = NULL;
    char *cert = NULL;
    char *key = NULL;
    int rc = read_pem(options->insecure ? NULL : options->ca, &ca, e);
    if (rc == 0)
        rc = read_pem(options->cert, &cert, e);
    if (rc == 0)
        rc = read_pem(options->key, &key, e);
    if (rc == 0) {
        *out = tls_credentials(options->insecure, ca, cert, key);
        if (!*out)
            rc = err_set(e, ERR_MALFORMED, "%s: gRPC does not take it",
                         options->ca ? options->ca : "the certificates of the system");
    }
    file_forget(ca);
    file_forget(cert);
    file_forget(key);
    return rc;
}

int rpc_client_authorization(const char *path, char **out, struct err *e)
{
    static const char scheme[] = "Bearer ";
    char *text = NULL;
    int rc = file_read(path, FILE_SECRET_MAX, &text, NULL, NULL, e);
    if (rc)
        return rc;
    size_t n = strcspn(text, "\r\n");
    if (n == 0 || strspn(text, " \t") > 0) {
        rc = err_set(e, ERR_MALFORMED, "%s: holds no token in its first line", path);
    } else {
        *out = malloc(sizeof(scheme) + n);
        rc = *out ? 0 : err_set(e, -ENOMEM, "out of memory");
    }
    if (rc == 0)
        snprintf(*out, sizeof(scheme) + n, "%s%s", scheme, text);
    file_forget(text);
    return rc;
}
