#include "rpc/client/client_probe.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"

#define PATIENCE_NS (3 * NS_PER_S) /* for each step, unless connect_timeout_ns is less */

struct probe {
    const char *target; /* in words */
    const char *address;
    const struct rpc_channel_options *options;
    char host[NI_MAXHOST]; /* of |address|; "" for a unix socket */
    char port[NI_MAXSERV];
    int fd;
    SSL_CTX *context;
    SSL *tls;
    bool asked; /* the daemon has asked for a certificate of ours */
    struct buf *out;
};

/* ---- The connection ---- */

static int connect_to(const struct probe *p, int family, const void *address, socklen_t len)
{
    int64_t ns = p->options->connect_timeout_ns;
    if (!ns || ns > PATIENCE_NS)
        ns = PATIENCE_NS;
    const struct timeval patience = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / 1000 + 1};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, address, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_unix(const struct probe *p, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    return connect_to(p, AF_UNIX, &address, sizeof(address));
}

/* Host and port of "HOST:PORT", "[IPV6]:PORT", and these behind "dns:" and the like. */
static bool split_target(struct probe *p)
{
    const char *at = p->address;
    static const char *const schemes[] = {"dns:///", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(at, schemes[i], n) == 0) {
            at += n;
            break;
        }
    }
    const char *colon = strrchr(at, ':');
    if (!colon || strchr(at, '/'))
        return false;
    size_t n = (size_t)(colon - at);
    if (n > 2 && at[0] == '[' && at[n - 1] == ']') {
        at++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof(p->host) || strlen(colon + 1) >= sizeof(p->port))
        return false;
    memcpy(p->host, at, n);
    p->host[n] = 0;
    snprintf(p->port, sizeof(p->port), "%s", colon + 1);
    return true;
}

static bool open_connection(struct probe *p)
{
    if (strncmp(p->address, "unix:", 5) == 0) {
        const char *path = p->address + 5;
        p->fd = connect_unix(p, strncmp(path, "//", 2) == 0 ? path + 2 : path);
        return p->fd >= 0;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (!split_target(p) || getaddrinfo(p->host, p->port, &hints, &list) != 0)
        return false;
    for (const struct addrinfo *a = list; a && p->fd < 0; a = a->ai_next)
        p->fd = connect_to(p, a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(list);
    return p->fd >= 0;
}

/* ---- The handshake ---- */

/* The name that the daemon's certificate should have. */
static const char *expected_name(const struct probe *p)
{
    return p->options->server_name ? p->options->server_name : p->host;
}

/* Called when the daemon asks for a certificate, whether there is one or not. */
static int on_asked(SSL *tls, void *arg)
{
    struct probe *p = arg;
    (void)tls;
    p->asked = true;
    return 1;
}

static bool prepare(struct probe *p)
{
    static const unsigned char protocols[] = "\x02h2";
    const struct rpc_channel_options *o = p->options;
    const char *name = expected_name(p);
    unsigned char address[sizeof(struct in6_addr)];

    p->context = SSL_CTX_new(TLS_client_method());
    if (!p->context)
        return false;
    if (o->ca)
        SSL_CTX_load_verify_locations(p->context, o->ca, NULL);
    else
        SSL_CTX_set_default_verify_paths(p->context);
    if (o->cert && o->key) {
        SSL_CTX_use_certificate_chain_file(p->context, o->cert);
        SSL_CTX_use_PrivateKey_file(p->context, o->key, SSL_FILETYPE_PEM);
    }
    SSL_CTX_set_cert_cb(p->context, on_asked, p);
    SSL_CTX_set_verify(p->context, SSL_VERIFY_NONE, NULL); /* SSL_get_verify_result tells afterwards */
    p->tls = SSL_new(p->context);
    if (!p->tls)
        return false;
    SSL_set_alpn_protos(p->tls, protocols, sizeof(protocols) - 1);
    SSL_set_fd(p->tls, p->fd);
    X509_VERIFY_PARAM *check = SSL_get0_param(p->tls);
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(check, name);
    } else if (*name) {
        X509_VERIFY_PARAM_set1_host(check, name, 0);
        SSL_set_tlsext_host_name(p->tls, name);
    }
    return true;
}

/* ---- The words ---- */

static void put_date(struct buf *out, const ASN1_TIME *time)
{
    struct tm tm;
    char text[32];
    if (ASN1_TIME_to_tm(time, &tm) == 1 && strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm))
        buf_str(out, text);
    else
        buf_str(out, "an unknown date");
}

/* Appends the names that |certificate| is for, the first few of them. */
static void put_names(struct buf *out, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int shown = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < 4; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[INET6_ADDRSTRLEN];
        const unsigned char *data = NULL;
        int n = 0;
        if (name->type == GEN_DNS) {
            data = ASN1_STRING_get0_data(name->d.dNSName);
            n = ASN1_STRING_length(name->d.dNSName);
        } else if (name->type == GEN_IPADD) {
            n = ASN1_STRING_length(name->d.iPAddress);
            int family = n == 4 ? AF_INET : n == 16 ? AF_INET6 : AF_UNSPEC;
            data = family ? (const unsigned char *)inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress),
                                                             text, sizeof(text))
                          : NULL;
            n = data ? (int)strlen((const char *)data) : 0;
        }
        if (!data)
            continue;
        buf_str(out, shown++ ? ", " : "");
        buf_bytes(out, data, (size_t)n);
    }
    if (!shown)
        buf_str(out, "no name");
    GENERAL_NAMES_free(names);
}

static bool tell_certificate(struct probe *p)
{
    long result = SSL_get_verify_result(p->tls);
    X509 *certificate = SSL_get0_peer_certificate(p->tls);
    struct buf *out = p->out;
    if (result == X509_V_OK || !certificate)
        return false;
    buf_printf(out, "the certificate of %s ", p->target);
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        buf_str(out, "has expired on ");
        put_date(out, X509_get0_notAfter(certificate));
        buf_str(out, ": it must be renewed there (--insecure connects all the same)");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        buf_str(out, "is not valid before ");
        put_date(out, X509_get0_notBefore(certificate));
        buf_str(out, ": is the clock right?");
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        buf_str(out, "is for ");
        put_names(out, certificate);
        buf_printf(out, ", not for %s: --servername gives the name to expect", expected_name(p));
        break;
    default:
        if (p->options->ca)
            buf_printf(out, "is not signed by a CA in %s (%s): --cacert names the file with the right one",
                       p->options->ca, X509_verify_cert_error_string(result));
        else
            buf_printf(
                out,
                "is not signed by a CA that this system trusts (%s): --cacert names the file with the right one",
                X509_verify_cert_error_string(result));
        break;
    }
    return true;
}

/* The daemon has ended the handshake. */
static bool tell_refusal(struct probe *p)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    if (p->asked && !p->options->cert)
        buf_printf(p->out, "%s wants a certificate of this client: give one with --cert and --key",
                   p->target);
    else if (p->asked)
        buf_printf(p->out, "%s does not accept the certificate in %s (%s): --cert and --key name another",
                   p->target, p->options->cert, text ? text : "no reason given");
    else
        buf_printf(p->out, "%s has refused the TLS handshake (%s): see its log", p->target,
                   text ? text : "no reason given");
    return true;
}

static bool tell_plaintext(struct probe *p)
{
    buf_printf(p->out, "%s does not speak TLS: leave out the options for TLS, or add --plaintext", p->target);
    return true;
}

static bool tell_tls(struct probe *p)
{
    buf_printf(
        p->out,
        "%s speaks TLS: give --cacert FILE with the CA of its certificate, or --tls for those that this system trusts",
        p->target);
    return true;
}

/* Appends the text of the error queue about a step that failed. */
static bool tell_failure(struct probe *p)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    bool alert = ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET;
    if (!rpc_channel_uses_tls(p->options))
        return alert && tell_tls(p);
    if (alert || p->asked)
        return tell_refusal(p);
    /* Bytes that are no TLS, or none at all. */
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
         reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || reason == SSL_R_UNEXPECTED_MESSAGE))
        return tell_plaintext(p);
    return false;
}

static bool handshake(struct probe *p)
{
    char byte;
    ERR_clear_error();
    if (SSL_connect(p->tls) != 1)
        return tell_failure(p);
    if (!rpc_channel_uses_tls(p->options))
        return tell_tls(p);
    if (!p->options->insecure && tell_certificate(p))
        return true;
    /* With TLS 1.3 the client's certificate is judged after its own end of the handshake. */
    return SSL_read(p->tls, &byte, 1) <= 0 && ERR_peek_last_error() && tell_failure(p);
}

bool rpc_client_probe(const char *target, const char *address, const struct rpc_channel_options *options,
                      struct buf *out)
{
    struct probe p = {.target = target, .address = address, .options = options, .fd = -1, .out = out};
    bool told = open_connection(&p) && prepare(&p) && handshake(&p);
    SSL_free(p.tls);
    SSL_CTX_free(p.context);
    if (p.fd >= 0)
        close(p.fd);
    ERR_clear_error();
    return told;
}
