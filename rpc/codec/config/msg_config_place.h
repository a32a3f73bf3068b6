/* Places of fields in messages: the one walker over descriptors by which a configuration is told, set and printed. For
 * the kinds of fields that package xtcp_config.v1 has. Included by rpc/codec/config/ and its tests only; any thread. */
#ifndef XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_PLACE_H
#define XTCP_RPC_CODEC_CONFIG_MSG_CONFIG_PLACE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A field in the message that has it. */
struct config_place {
    ProtobufCMessage *parent;
    const ProtobufCFieldDescriptor *f; /* NULL: there is no such place */
    void *at;                          /* the value in |parent| */
};

enum config_place_kind {
    CONFIG_PLACE_NUMBER, /* uint32 or uint64 */
    CONFIG_PLACE_BOOL,
    CONFIG_PLACE_TEXT,
    CONFIG_PLACE_DURATION,
    CONFIG_PLACE_LIST,    /* of strings */
    CONFIG_PLACE_WRAPPED, /* a list of strings, alone in a message: an empty one differs from an absent one */
    CONFIG_PLACE_GROUPS,  /* EnabledDeserializers: a map from names to bools */
    CONFIG_PLACE_OUTPUTS, /* Outputs: a list of messages */
    CONFIG_PLACE_OTHER,
};

enum config_place_kind config_place_kind(const struct config_place *p);

/* A message of |type|, for protobuf_c_message_free_unpacked(m, NULL); NULL when out of memory. The functions below
 * that set something keep it such that the message owns everything it points to. */
ProtobufCMessage *config_message_new(const ProtobufCMessageDescriptor *type);

/* The field |f| of |m|. */
struct config_place config_place_in(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* The field at |path| ("options.log.level") of |root|. |f| is NULL when a message on the way is absent, or when there
 * is no such field. */
struct config_place config_place_find(const ProtobufCMessage *root, const char *path);

/* The same; messages on the way that are absent are made. |f| is NULL when out of memory, too. */
struct config_place config_place_make(ProtobufCMessage *root, const char *path);

/* The repeated field that holds the items of a LIST, WRAPPED or GROUPS; |f| is NULL when the message around it is
 * absent. */
struct config_place config_place_list(const struct config_place *p);

/* How many items a repeated field has. */
size_t *config_place_count(const struct config_place *list);

/* Whether the field is zero, false, empty or, as a message, absent. */
bool config_place_absent(const struct config_place *p);

/* A NUMBER or BOOL. A value that is set fits in the field. */
uint64_t config_place_number(const struct config_place *p);
void config_place_set_number(const struct config_place *p, uint64_t v);

/* Set a TEXT, a TEXT that is a URL, a DURATION (in ns) that was not set before. Return 0 or -ENOMEM. */
int config_place_set_text(const struct config_place *p, const char *text);
int config_place_set_url(const struct config_place *p, const char *url); /* without its secrets */
int config_place_set_duration(const struct config_place *p, int64_t ns);

/* Makes the message around an absent WRAPPED or GROUPS, and gives the repeated field of any list as config_place_list
 * does; |f| is NULL when out of memory. */
struct config_place config_place_make_list(const struct config_place *p);

/* Append the |n| bytes at |item|, or the entry of a group of that name, to a repeated field. Return 0 or -ENOMEM. */
int config_place_add_text(const struct config_place *list, const char *item, size_t n);
int config_place_append(const struct config_place *list,
                        void *item); /* a string or message; the message's from now on */
int config_place_add_group(const struct config_place *list, const char *item, size_t n, bool on);

#endif
