#include "client/show/address.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/show/cell.h"
#include "lib/utf8.h"

void address_device(const char *name, uint32_t index, char out[ADDRESS_DEVICE_MAX])
{
    size_t n = name ? strnlen(name, ADDRESS_DEVICE_MAX) : 0;
    if (n == ADDRESS_DEVICE_MAX)
        n = utf8_cut(name, ADDRESS_DEVICE_MAX - 1);
    out[0] = '\0';
    if (n)
        snprintf(out, ADDRESS_DEVICE_MAX, "%.*s", (int)n, name);
    else if (index)
        snprintf(out, ADDRESS_DEVICE_MAX, "if%" PRIu32, index);
}

struct address_scope address_scope(const record_message *r)
{
    bool told = record_was_sent(r, &record_fields[FIELD_v6only]); /* of IPv6, in LISTEN and CLOSE */
    struct address_scope scope = {.dual_stack = told && !r->v6only};
    address_device(r->socket_interface_name, r->inet_diag_msg_socket_interface, scope.device);
    return scope;
}

/* The address without its port. */
static void put_host(uint32_t family, const uint8_t *address, size_t n, bool dual_stack,
                     char out[INET6_ADDRSTRLEN + 2])
{
    static const uint8_t any[16];
    char text[INET6_ADDRSTRLEN] = "?";
    size_t need = family == AF_INET ? 4 : family == AF_INET6 ? 16 : SIZE_MAX;
    bool known = n >= need && n <= 16 && address;
    if (known)
        inet_ntop((int)family, address, text, sizeof(text));
    if (known && family == AF_INET6 && dual_stack && memcmp(address, any, sizeof(any)) == 0)
        snprintf(out, INET6_ADDRSTRLEN + 2, "*");
    else
        snprintf(out, INET6_ADDRSTRLEN + 2, family == AF_INET6 ? "[%s]" : "%s", text);
}

void address_text(uint32_t family, const uint8_t *address, size_t n, uint32_t port,
                  const struct address_scope *scope, char out[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN + 2], port_text[8] = "*";
    put_host(family, address, n, scope && scope->dual_stack, host);
    if (port)
        snprintf(port_text, sizeof(port_text), "%u", port & 0xffff);
    bool bound = scope && *scope->device;
    snprintf(out, ADDRESS_TEXT_MAX, "%s%s%s:%s", host, bound ? "%" : "", bound ? scope->device : "",
             port_text);
}
