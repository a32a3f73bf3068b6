#include "outputs/sink/net_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/file.h"

/* The contents of one record: SSL_write passes these on at a time. */
#define RECORD_MAX 16384

struct net_tls {
    int fd;
    SSL *ssl;
    char *name; /* that the certificate of the peer must have */
    bool more;  /* of the call of net_tls_write that is under way */
    bool ended; /* the peer has closed the connection */
    int error;  /* of a system call of the operation that is under way: -errno; 0: none */
    uint64_t sent;
};

/* ---- The socket, as OpenSSL sees it: its own one would raise SIGPIPE ---- */

static int bio_write(BIO *bio, const char *data, size_t len, size_t *n)
{
    struct net_tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(t->fd, data, len, MSG_NOSIGNAL | (t->more ? MSG_MORE : 0));
    if (sent >= 0) {
        t->sent += (uint64_t)sent;
        *n = (size_t)sent;
        return 1;
    }
    if (errno == EAGAIN || errno == EINTR)
        BIO_set_retry_write(bio);
    else
        t->error = -errno;
    return 0;
}

static int bio_read(BIO *bio, char *data, size_t max, size_t *n)
{
    struct net_tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = read(t->fd, data, max);
    if (got > 0) {
        *n = (size_t)got;
        return 1;
    }
    if (got == 0)
        t->ended = true;
    else if (errno == EAGAIN || errno == EINTR)
        BIO_set_retry_read(bio);
    else
        t->error = -errno;
    return 0;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is kept here */
}

static BIO_METHOD *bio_method; /* made once, for all connections; NULL: no memory */

static void make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (m && BIO_meth_set_write_ex(m, bio_write) && BIO_meth_set_read_ex(m, bio_read) &&
        BIO_meth_set_ctrl(m, bio_control))
        bio_method = m;
    else
        BIO_meth_free(m);
}

/* Returns 0 or -ENOMEM. */
static int attach_socket(struct net_tls *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return 0;
}

/* ---- Files ---- */

/* There is nobody to ask for a passphrase: an empty one. */
#define NO_PASSPHRASE NULL, (void *)(uintptr_t) ""

/* |path| is to blame. |what| is wrong, and OpenSSL may know why. */
static int blame_file(const char *path, const char *what, struct err *e)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    int rc = err_set(e, ERR_MALFORMED, "%s: %s%s%s%s", path, what, reason ? " (" : "", reason ? reason : "",
                     reason ? ")" : "");
    ERR_clear_error();
    return rc;
}

/* The next certificate of |pem|; NULL: there is none. */
static X509 *next_certificate(BIO *pem)
{
    return PEM_read_bio_X509(pem, NULL, NO_PASSPHRASE);
}

/* Whether OpenSSL's last error is the end of a PEM file. */
static bool at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* Gives each certificate of |pem| to |take|, which tells whether it went well, with its number. Returns 0, or a
 * code with |e|. */
static int each_certificate(SSL_CTX *context, BIO *pem, const char *path,
                            bool (*take)(SSL_CTX *context, X509 *certificate, size_t number), struct err *e)
{
    size_t n = 0;
    for (X509 *c = next_certificate(pem); c; c = next_certificate(pem)) {
        bool taken = take(context, c, n++);
        X509_free(c);
        if (!taken)
            return blame_file(path, "has a certificate that cannot be used", e);
    }
    if (n == 0 && at_end())
        return blame_file(path, "holds no certificate", e);
    return at_end() ? 0 : blame_file(path, "has a damaged certificate", e);
}

static bool take_authority(SSL_CTX *context, X509 *certificate, size_t number)
{
    (void)number;
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
}

static bool take_own(SSL_CTX *context, X509 *certificate, size_t number)
{
    return number == 0 ? SSL_CTX_use_certificate(context, certificate) == 1
                       : SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

static int read_authorities(SSL_CTX *context, BIO *pem, const char *path, struct err *e)
{
    /* One that is signed by another is an authority as well: the file says whom to trust. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    return each_certificate(context, pem, path, take_authority, e);
}

static int read_certificate(SSL_CTX *context, BIO *pem, const char *path, struct err *e)
{
    return each_certificate(context, pem, path, take_own, e);
}

static int read_key(SSL_CTX *context, BIO *pem, const char *path, struct err *e)
{
    int rc = 0;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NO_PASSPHRASE);
    if (!key)
        rc = blame_file(path, "holds no private key without a passphrase", e);
    else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        rc = blame_file(path, "is not the key of the certificate", e);
    EVP_PKEY_free(key);
    return rc;
}

/* Reads the PEM file |path|, and gives it to |take|. */
static int with_file(SSL_CTX *context, const char *path,
                     int (*take)(SSL_CTX *context, BIO *pem, const char *path, struct err *e), struct err *e)
{
    char *text;
    int rc = file_read(path, FILE_SECRET_MAX, &text, NULL, NULL, e);
    if (rc)
        return rc;
    BIO *pem = BIO_new_mem_buf(text, -1);
    rc = pem ? take(context, pem, path, e) : err_set(e, -ENOMEM, "%s: out of memory", path);
    BIO_free(pem);
    file_forget(text);
    ERR_clear_error(); /* the end of a PEM file is an error to OpenSSL */
    return rc;
}

int net_tls_check(const struct output_tls *files, bool used, struct err *e)
{
    bool named = *files->ca_file || *files->cert_file || *files->key_file || *files->server_name;
    if (named && !used)
        return err_set(e, ERR_PRECONDITION, "options that begin with tls_ need tls=true");
    if (!*files->cert_file != !*files->key_file)
        return err_set(e, ERR_PRECONDITION, "tls_cert_file and tls_key_file need each other");
    return 0;
}

static int read_files(SSL_CTX *context, const struct output_tls *files, struct err *e)
{
    int rc = 0;
    if (*files->ca_file)
        rc = with_file(context, files->ca_file, read_authorities, e);
    else if (SSL_CTX_set_default_verify_paths(context) != 1)
        rc = err_set(e, ERR_UNAVAILABLE, "TLS: the system's authorities cannot be read");
    if (rc == 0 && *files->cert_file)
        rc = with_file(context, files->cert_file, read_certificate, e);
    if (rc == 0 && *files->cert_file)
        rc = with_file(context, files->key_file, read_key, e);
    return rc;
}

/* ---- Life ---- */

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    return context;
}

static bool is_address(const char *name)
{
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Asks for the peer called |t->name|, and accepts no other. Returns whether that went well. */
static bool expect_peer(struct net_tls *t)
{
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(t->ssl, t->name) != 1) /* a name or an address */
        return false;
    return is_address(t->name) ||
           SSL_set_tlsext_host_name(t->ssl, t->name) == 1; /* RFC 6066, 3: no addresses */
}

/* The parts of |t| that need |context|, which is read already. */
static int set_up(struct net_tls *t, SSL_CTX *context, const char *name, struct err *e)
{
    t->name = strndup(name, strcspn(name, "%")); /* a zone is no part of a certificate */
    t->ssl = SSL_new(context);
    if (!t->name || !t->ssl || attach_socket(t))
        return err_set(e, -ENOMEM, "TLS: out of memory");
    if (!expect_peer(t))
        return err_set(e, ERR_MALFORMED, "TLS: \"%s\" can be no name of a peer", t->name);
    SSL_set_connect_state(t->ssl);
    return 0;
}

int net_tls_new(const struct output_tls *files, const char *host, int fd, struct net_tls **out, struct err *e)
{
    ERR_clear_error();
    struct net_tls *t = calloc(1, sizeof(*t));
    SSL_CTX *context = new_context();
    int rc = t && context ? 0 : err_set(e, -ENOMEM, "TLS: out of memory");
    if (rc == 0) {
        t->fd = fd;
        rc = read_files(context, files, e);
    }
    if (rc == 0)
        rc = set_up(t, context, *files->server_name ? files->server_name : host, e);
    SSL_CTX_free(context); /* the connection keeps it */
    ERR_clear_error();
    if (rc)
        net_tls_free(t);
    else
        *out = t;
    return rc;
}

void net_tls_free(struct net_tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t->name);
    free(t);
}

void net_tls_bye(struct net_tls *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* ---- Bytes ---- */

/* What OpenSSL says is wrong, and why the certificate of the peer was not accepted. */
static int blame_tls(const struct net_tls *t, struct err *e)
{
    long verdict = SSL_get_verify_result(t->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return err_set(e, ERR_UNAUTHENTICATED, "TLS: the certificate of the peer is not for %s", t->name);
    if (verdict != X509_V_OK)
        return err_set(e, ERR_UNAUTHENTICATED, "TLS: the certificate of the peer is not accepted: %s",
                       X509_verify_cert_error_string(verdict));
    return err_set(e, ERR_UNAVAILABLE, "TLS: %s", reason ? reason : "failed");
}

/* An operation begins: it has no errors yet. */
static void begin(struct net_tls *t)
{
    ERR_clear_error();
    t->error = 0;
}

/* The result of an operation that returned |ok|. */
static int finish(struct net_tls *t, int ok, struct err *e)
{
    if (ok == 1)
        return 0;
    int kind = SSL_get_error(t->ssl, ok);
    if (kind == SSL_ERROR_WANT_READ)
        return POLLIN;
    if (kind == SSL_ERROR_WANT_WRITE)
        return POLLOUT;
    int rc;
    if (t->error)
        rc = err_set(e, t->error, "%s", err_name(t->error));
    else if (t->ended || kind == SSL_ERROR_ZERO_RETURN)
        rc = err_set(e, ERR_GONE, "closed by the peer");
    else
        rc = blame_tls(t, e);
    ERR_clear_error();
    return rc;
}

int net_tls_handshake(struct net_tls *t, struct err *e)
{
    begin(t);
    return finish(t, SSL_do_handshake(t->ssl), e);
}

int net_tls_write(struct net_tls *t, const void *data, size_t len, bool more, size_t *n, struct err *e)
{
    begin(t);
    t->more = more || len > RECORD_MAX;
    return finish(t, SSL_write_ex(t->ssl, data, len < RECORD_MAX ? len : RECORD_MAX, n), e);
}

/* SSL_read_ex, since the program has an SSL_read of its own for the connections of gRPC (rpc/server/hook.c). */
int net_tls_read(struct net_tls *t, void *data, size_t max, size_t *n, struct err *e)
{
    begin(t);
    return finish(t, SSL_read_ex(t->ssl, data, max, n), e);
}

uint64_t net_tls_sent(const struct net_tls *t)
{
    return t->sent;
}
