/* Certificates for tests of TLS, made with OpenSSL. Files are in the folder of peer_path. */
#ifndef XTCP_TESTS_NET_CERTIFICATE_H
#define XTCP_TESTS_NET_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* A certificate for |sans| ("IP:127.0.0.1,DNS:a.test"), signed by |signer|; without one (NULL) an authority, signed
 * by itself. It has expired or is valid for an hour. */
struct identity certificate_issue(const struct identity *signer, const char *name, const char *sans,
                                  bool expired);
void certificate_free(struct identity *id);

/* Writes the PEM file |name|. Returns its path, which the caller frees. */
char *certificate_write(const struct identity *id, const char *name);
/* The key, with |passphrase| or without one (NULL). */
char *certificate_write_key(const struct identity *id, const char *name, const char *passphrase);

#endif
