#include "rpc/client/client_link.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ascii.h"
#include "lib/clock.h"
#include "lib/decimal.h"
#include "lib/file.h"
#include "rpc/client/client_auth.h"

#define HEADERS_MAX_BYTES 8000 /* of all headers of a call: gRPC's servers refuse more than 8 KiB */

/* Whether |text| is a port number. */
static bool is_port(const char *text)
{
    uint64_t port;
    return decimal_parse(text, UINT16_MAX, &port) == 0 && port >= 1;
}

/* Refuses malformed targets: gRPC itself takes any text for a name to resolve, so a typing error would mean a
 * long wait for a strange error. */
static int check_target(const char *target, struct err *e)
{
    static const char *const schemes[] = {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(target, schemes[i], n) == 0 && target[n])
            return 0;
    }
    const char *colon = strrchr(target, ':');
    bool bracketed = target[0] == '[' && colon && colon > target + 2 && colon[-1] == ']';
    bool plain = target[0] != '[' && colon && colon > target && strchr(target, ':') == colon;
    if ((bracketed || plain) && is_port(colon + 1) && !strpbrk(target, "/ "))
        return 0;
    return err_set(e, ERR_USAGE, "target \"%s\": expected HOST:PORT, [IPV6]:PORT or unix:/path", target);
}

static grpc_arg integer_arg(const char *key, int64_t value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER,
                      .key = (char *)(uintptr_t)key,
                      .value.integer = value < INT_MAX ? (int)value : INT_MAX};
}

static grpc_arg string_arg(const char *key, const char *value)
{
    return (grpc_arg){
        .type = GRPC_ARG_STRING, .key = (char *)(uintptr_t)key, .value.string = (char *)(uintptr_t)value};
}

static grpc_channel *core_channel_new(const char *target, const struct rpc_channel_options *o,
                                      grpc_channel_credentials *credentials)
{
    int64_t connect_ms = (o->connect_timeout_ns ? o->connect_timeout_ns : RPC_CONNECT_TIMEOUT_NS) / NS_PER_MS;
    int64_t message_max = o->message_max && o->message_max < INT_MAX ? (int64_t)o->message_max
                          : o->message_max                           ? INT_MAX
                                                                     : RPC_MESSAGE_MAX;
    grpc_arg args[] = {
        /* The target is a daemon, not a web site: the proxy of the environment is not meant for it. */
        integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        /* A channel is a connection of its own, also when a process has several to one target. */
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, message_max),
        /* The callers retry with a backoff of their own. */
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        /* The time of one attempt, in spite of its name: far away daemons are to be reached as well. */
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connect_ms ? connect_ms : 1),
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500),
        integer_arg(GRPC_ARG_DNS_ARES_QUERY_TIMEOUT_MS, connect_ms ? connect_ms : 1),
        integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 30000),
        integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
        {0},
        {0}, /* room for two more */
    };
    size_t n = sizeof(args) / sizeof(args[0]) - 2;
    if (o->server_name)
        args[n++] = string_arg(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, o->server_name);
    if (o->authority)
        args[n++] = string_arg(GRPC_ARG_DEFAULT_AUTHORITY, o->authority);
    grpc_channel_args channel_args = {.num_args = n, .args = args};
    return grpc_channel_create(target, credentials, &channel_args);
}

/* "Name: value" as a header. */
static int header_of(const char *text, grpc_metadata *out, struct err *e)
{
    char name[128];
    size_t n = strcspn(text, ":");
    const char *value = text + n + 1;
    if (n == 0 || n >= sizeof(name) || text[n] != ':')
        return err_set(e, ERR_USAGE, "header \"%s\": expected NAME: VALUE", text);
    for (size_t i = 0; i < n; i++)
        name[i] = ascii_lower(text[i]);
    name[n] = 0;
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (strncmp(name, "grpc-", 5) == 0)
        return err_set(e, ERR_USAGE, "header \"%s\": gRPC itself sends those that begin with grpc-", name);
    if (n > 4 && strcmp(name + n - 4, "-bin") == 0)
        return err_set(e, ERR_USAGE, "header \"%s\": binary headers are not supported", name);
    grpc_slice key = grpc_slice_from_copied_string(name);
    grpc_slice val = grpc_slice_from_copied_buffer(value, len);
    if (!grpc_header_key_is_legal(key) || !grpc_header_nonbin_value_is_legal(val)) {
        grpc_slice_unref(key);
        grpc_slice_unref(val);
        return err_set(e, ERR_USAGE,
                       "header \"%s\": may have letters, digits, - _ . in its name and ASCII in its value",
                       name);
    }
    *out = (grpc_metadata){.key = key, .value = val};
    return 0;
}

static int metadata_of(const struct rpc_channel_options *o, struct client_link *l, struct err *e)
{
    char *authorization = NULL;
    size_t bytes = 0;
    int rc = o->token_file ? rpc_client_authorization(o->token_file, &authorization, e) : 0;
    if (rc != 0)
        return rc;
    l->metadata = calloc(o->n_headers + 1, sizeof(*l->metadata));
    if (!l->metadata)
        rc = err_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < o->n_headers && rc == 0; i++) {
        rc = header_of(o->headers[i], &l->metadata[l->n_metadata], e);
        l->n_metadata += rc == 0;
        bytes += strlen(o->headers[i]) + 32; /* as HTTP/2 counts */
    }
    if (rc == 0 && bytes > HEADERS_MAX_BYTES)
        rc = err_set(e, ERR_USAGE, "the headers have %zu bytes; at most %d are allowed", bytes,
                     HEADERS_MAX_BYTES);
    if (rc == 0 && authorization)
        l->metadata[l->n_metadata++] = (grpc_metadata){.key = grpc_slice_from_static_string("authorization"),
                                                       .value = grpc_slice_from_copied_string(authorization)};
    file_forget(authorization);
    return rc;
}

int client_link_open(const char *target, const struct rpc_channel_options *options, struct client_link *out,
                     struct err *e)
{
    static const struct rpc_channel_options none;
    const struct rpc_channel_options *o = options ? options : &none;
    grpc_channel_credentials *credentials = NULL;
    *out = (struct client_link){0};
    int rc = check_target(target, e);
    if (rc == 0)
        rc = metadata_of(o, out, e);
    if (rc == 0)
        rc = rpc_client_credentials(o, &credentials, e);
    if (rc != 0) {
        client_link_close(out);
        return rc;
    }
    out->channel = core_channel_new(target, o, credentials);
    grpc_channel_credentials_release(credentials);
    return 0;
}

void client_link_close(struct client_link *l)
{
    if (l->channel)
        grpc_channel_destroy(l->channel);
    for (size_t i = 0; i < l->n_metadata; i++) {
        grpc_slice_unref(l->metadata[i].key);
        grpc_slice_unref(l->metadata[i].value);
    }
    free(l->metadata);
    *l = (struct client_link){0};
}

grpc_byte_buffer *client_buffer(const void *data, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(len ? data : "", len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

int client_bytes(grpc_byte_buffer *buffer, struct rpc_bytes *out)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return ERR_MALFORMED;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    size_t n = GRPC_SLICE_LENGTH(all);
    out->data = malloc(n ? n : 1);
    out->len = n;
    if (out->data)
        memcpy(out->data, GRPC_SLICE_START_PTR(all), n);
    grpc_slice_unref(all);
    return out->data ? 0 : -ENOMEM;
}
