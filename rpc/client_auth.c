#include "rpc/client_auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/file.h"

/* Reads the PEM file |path|; NULL for none. */
static int read_pem(const char *path, char **out, struct err *e)
{
    *out = NULL;
    int rc = path ? rpc_file_read(path, out, e) : 0;
    if (rc == 0 && path && !strstr(*out, "-----BEGIN "))
        rc = err_set(e, ERR_MALFORMED, "%s: is no PEM file", path);
    return rc;
}

int rpc_client_credentials(const struct rpc_channel_options *options, grpc_channel_credentials **out,
                           struct err *e)
{
    if (!options->ca && !options->cert && !options->key && !options->server_name) {
        *out = grpc_insecure_credentials_create();
        return 0;
    }
    if (!options->ca)
        return err_set(e, ERR_USAGE, "TLS needs the certificate of the daemon's CA (--cacert)");
    if (!options->cert != !options->key)
        return err_set(e, ERR_USAGE, "a certificate and its key go together (--cert, --key)");
    char *ca = NULL;
    char *cert = NULL;
    char *key = NULL;
    int rc = read_pem(options->ca, &ca, e);
    if (rc == 0)
        rc = read_pem(options->cert, &cert, e);
    if (rc == 0)
        rc = read_pem(options->key, &key, e);
    if (rc == 0) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
        *out = grpc_ssl_credentials_create(ca, cert ? &pair : NULL, NULL, NULL);
        if (!*out)
            rc = err_set(e, ERR_MALFORMED, "%s: gRPC does not take it", options->ca);
    }
    rpc_file_forget(ca);
    rpc_file_forget(cert);
    rpc_file_forget(key);
    return rc;
}

int rpc_client_authorization(const char *path, char **out, struct err *e)
{
    static const char scheme[] = "Bearer ";
    char *text = NULL;
    int rc = rpc_file_read(path, &text, e);
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
    rpc_file_forget(text);
    return rc;
}
