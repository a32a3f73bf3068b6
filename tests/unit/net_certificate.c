#include "net_certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "net_peer.h"

static void add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(c, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct identity certificate_issue(const struct identity *signer, const char *name, const char *sans,
                                  bool expired)
{
    static long serial = 1;
    struct identity id = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509 *c = id.certificate;
    assert_true(c && id.key);
    X509_NAME *subject = X509_get_subject_name(c);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0), 1);
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c), -7200);
    X509_gmtime_adj(X509_getm_notAfter(c), expired ? -3600 : 3600);
    X509_set_pubkey(c, id.key);
    X509_set_issuer_name(c, signer ? X509_get_subject_name(signer->certificate) : subject);
    if (signer)
        add_extension(c, signer->certificate, NID_subject_alt_name, sans);
    else
        add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(c, signer ? signer->key : id.key, EVP_sha256()) > 0);
    return id;
}

void certificate_free(struct identity *id)
{
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

char *certificate_write(const struct identity *id, const char *name)
{
    char *path = strdup(peer_path(name));
    FILE *f = fopen(path, "we");
    assert_true(f && PEM_write_X509(f, id->certificate) == 1);
    assert_int_equal(fclose(f), 0);
    return path;
}

char *certificate_write_key(const struct identity *id, const char *name, const char *passphrase)
{
    char *path = strdup(peer_path(name));
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, id->key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                                          (void *)(uintptr_t)passphrase),
                     1);
    assert_int_equal(fclose(f), 0);
    return path;
}
