#include "rpc/server/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "lib/log.h"

/* The text of OpenSSL's last error. */
static int blame(const struct tls_pem_file *f, const char *what, struct err *e)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    int rc = err_set(e, ERR_MALFORMED, "%s: %s: %s%s%s%s", f->option, f->path, what, reason ? " (" : "",
                     reason ? reason : "", reason ? ")" : "");
    ERR_clear_error();
    return rc;
}

/* The first certificate of |f|; NULL when it has none. */
static X509 *first_certificate(const struct tls_pem_file *f)
{
    BIO *bio = BIO_new_mem_buf(f->text, -1);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return certificate;
}

static int check_key(const struct tls_pem_file *f, X509 *certificate, struct err *e)
{
    BIO *bio = BIO_new_mem_buf(f->text, -1);
    /* An empty passphrase: there is nobody to ask for one. */
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
    int rc = 0;
    if (!key)
        rc = blame(f, "holds no private key without a passphrase", e);
    else if (X509_check_private_key(certificate, key) != 1)
        rc = blame(f, "is not the key of the certificate in tls_cert_file", e);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rc;
}

static int check_server(const struct tls_pem_file *cert, const struct tls_pem_file *key, struct err *e)
{
    X509 *certificate = first_certificate(cert);
    int rc = certificate ? check_key(key, certificate, e) : blame(cert, "holds no certificate", e);
    if (rc == 0 && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        log_warn("tls", "%s: %s: has expired: clients will refuse it", cert->option, cert->path);
    X509_free(certificate);
    return rc;
}

static int check_client_ca(const struct tls_pem_file *f, struct err *e)
{
    X509 *certificate = first_certificate(f);
    int rc = certificate ? 0 : blame(f, "holds no certificate", e);
    X509_free(certificate);
    return rc;
}

int tls_pem_check(const struct tls_pem_file *cert, const struct tls_pem_file *key,
                  const struct tls_pem_file *client_ca, struct err *e)
{
    ERR_clear_error();
    int rc = check_server(cert, key, e);
    if (rc == 0 && client_ca->text)
        rc = check_client_ca(client_ca, e);
    ERR_clear_error(); /* the end of a PEM file is an error to OpenSSL */
    return rc;
}
