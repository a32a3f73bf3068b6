/* The PEM files of a TLS listener: they are taken, or an error names the option and has nothing of a key in
 * it. The input is the three files (certificate, key, CA of clients) separated by NULs, in which a byte from
 * 0x80 on stands for a piece of PEM that is made here, so that no key has to be kept in a corpus. Nearly all
 * of its time is OpenSSL's, which takes a millisecond for a key. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/log.h"
#include "rpc/server/tls_pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CERT, KEY, CA, FILES };

static struct tls_pem_file files[FILES] = {
    {.option = "tls_cert_file", .path = "/etc/cert.pem"},
    {.option = "tls_key_file", .path = "/etc/key.pem"},
    {.option = "tls_client_ca_file", .path = "/etc/ca.pem"},
};

enum { CERT_PEM, KEY_PEM, OTHER_CERT, OTHER_KEY, LOCKED_KEY, CERT_BODY, KEY_BODY, MADE };

static char *pieces[] = {
    [MADE] = (char *)(uintptr_t) "-----BEGIN CERTIFICATE-----\n",
    (char *)(uintptr_t) "-----END CERTIFICATE-----\n",
    (char *)(uintptr_t) "-----BEGIN PRIVATE KEY-----\n",
    (char *)(uintptr_t) "-----END PRIVATE KEY-----\n",
    (char *)(uintptr_t) "-----BEGIN EC PRIVATE KEY-----\n",
    (char *)(uintptr_t) "-----BEGIN TRUSTED CERTIFICATE-----\n",
    (char *)(uintptr_t) "-----BEGIN ",
    (char *)(uintptr_t) "-----\n",
};

#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *c = X509_new();
    X509_NAME *name = X509_NAME_new();
    expect(c && name);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fuzz", -1, -1, 0);
    X509_set_version(c, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    ASN1_TIME_set_string(X509_getm_notBefore(c), "20200101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(c), "99991231235959Z");
    X509_set_subject_name(c, name);
    X509_set_issuer_name(c, name);
    X509_set_pubkey(c, key);
    expect(X509_sign(c, key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return c;
}

/* The |n| bytes at |at|, with a NUL behind them: strndup would look for one there. */
static char *copy_of(const char *at, size_t n)
{
    char *text = malloc(n + 1);
    expect(text);
    memcpy(text, at, n);
    text[n] = '\0';
    return text;
}

/* The contents of |bio|, which is freed. */
static char *text_of(BIO *bio)
{
    char *at;
    long n = BIO_get_mem_data(bio, &at);
    expect(n > 0);
    char *text = copy_of(at, (size_t)n);
    BIO_free(bio);
    return text;
}

/* The text between the lines of BEGIN and END. */
static char *body_of(const char *pem)
{
    const char *from = strchr(pem, '\n') + 1;
    char *text = strndup(from, (size_t)(strstr(from, "-----END") - from));
    expect(text);
    return text;
}

/* |key| with a passphrase, which takes as little work to try as there can be. */
static char *lock(EVP_PKEY *key)
{
    enum { ROUNDS = 1 };
    PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
    X509_SIG *locked = PKCS8_encrypt(-1, EVP_aes_128_cbc(), "x", 1, NULL, 0, ROUNDS, plain);
    BIO *bio = BIO_new(BIO_s_mem());
    expect(locked && PEM_write_bio_PKCS8(bio, locked) == 1);
    X509_SIG_free(locked);
    PKCS8_PRIV_KEY_INFO_free(plain);
    return text_of(bio);
}

static void make_pair(char **cert_pem, char **key_pem, char **locked)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    expect(key);
    X509 *certificate = make_certificate(key);
    BIO *bio = BIO_new(BIO_s_mem());
    expect(PEM_write_bio_X509(bio, certificate) == 1);
    *cert_pem = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    expect(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    *key_pem = text_of(bio);
    if (locked) {
        *locked = lock(key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void begin(void)
{
    make_pair(&pieces[CERT_PEM], &pieces[KEY_PEM], &pieces[LOCKED_KEY]);
    make_pair(&pieces[OTHER_CERT], &pieces[OTHER_KEY], NULL);
    pieces[CERT_BODY] = body_of(pieces[CERT_PEM]);
    pieces[KEY_BODY] = body_of(pieces[KEY_PEM]);
    fclose(stdin); /* nobody is to be asked for a passphrase */
    log_set_fd(-1);
}

/* The next file of the input; NULL when there is nothing in it. */
static char *next_file(const uint8_t **data, size_t *size)
{
    struct buf text;
    buf_init(&text);
    size_t n = 0;
    for (; n < *size && (*data)[n]; n++) {
        if ((*data)[n] >= 0x80)
            buf_str(&text, pieces[(*data)[n] % PIECES]);
        else
            buf_char(&text, (char)(*data)[n]);
    }
    *data += n;
    *size -= n;
    if (*size) {
        ++*data;
        --*size;
    }
    /* Exactly as long as it is: a sanitizer sees a read past its end. */
    char *exact = text.len ? copy_of(text.data, text.len) : NULL;
    buf_free(&text);
    return exact;
}

/* No line of a key, nor half of one, is in |text|. */
static void check_secret(const char *text)
{
    enum { PART = 24 };
    static const int keys[] = {KEY_PEM, OTHER_KEY, LOCKED_KEY};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *key = strchr(pieces[keys[i]], '\n') + 1;
        for (; strlen(key) > PART && *key != '-'; key++) {
            char part[PART + 1];
            memcpy(part, key, PART);
            part[PART] = '\0';
            expect(!strstr(text, part));
        }
    }
}

static void check_error(int rc, const struct err *e)
{
    bool named = false;
    expect(rc < 0 && e->code == rc && *e->text);
    for (size_t i = 0; i < FILES; i++) {
        size_t n = strlen(files[i].option);
        named = named || (strncmp(e->text, files[i].option, n) == 0 && strstr(e->text, files[i].path));
    }
    expect(named);
    for (const char *p = e->text; *p; p++)
        expect((unsigned char)*p >= 0x20 && *p != 0x7f);
    check_secret(e->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    char *texts[FILES];
    if (!pieces[CERT_PEM])
        begin();
    for (size_t i = 0; i < FILES; i++)
        texts[i] = next_file(&data, &size);
    files[CERT].text = texts[CERT] ? texts[CERT] : "";
    files[KEY].text = texts[KEY] ? texts[KEY] : "";
    files[CA].text = texts[CA];
    int rc = tls_pem_check(&files[CERT], &files[KEY], &files[CA], &e);
    if (rc != 0)
        check_error(rc, &e);
    for (size_t i = 0; i < FILES; i++)
        free(texts[i]);
    return 0;
}
