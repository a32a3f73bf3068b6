#include "rpc/codec/msg_reflection.h"

#include <errno.h>
#include <grpc/health/v1/health.upbdefs.h>
#include <grpc/reflection/v1/reflection.upb.h>
#include <grpc/reflection/v1/reflection.upbdefs.h>
#include <grpc/reflection/v1alpha/reflection.upbdefs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xtcp_config/v1/xtcp_config.upbdefs.h>
#include <xtcp_flat_record/v1/xtcp_flat_record.upbdefs.h>
#include <xtcp_focus/v1/xtcp_focus.upbdefs.h>
#include <xtcp_namespace/v1/xtcp_namespace.upbdefs.h>
#include <xtcp_output/v1/xtcp_output.upbdefs.h>
#include <xtcp_status/v1/xtcp_status.upbdefs.h>

#include "rpc/codec/msg_upb.h"

#define REQUEST(name) grpc_reflection_v1_ServerReflectionRequest_##name
#define REPLY(name)   grpc_reflection_v1_ServerReflectionResponse_##name

/* google.rpc.Code, as ErrorResponse.error_code carries it. */
enum { CODE_INVALID_ARGUMENT = 3, CODE_NOT_FOUND = 5 };

const char *const reflection_services[REFLECTION_SERVICE_COUNT] = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "xtcp_config.v1.ConfigService",
    "xtcp_flat_record.v1.XTCPFlatRecordService",
    "xtcp_focus.v1.FocusService",
    "xtcp_namespace.v1.NamespaceService",
    "xtcp_output.v1.OutputService",
    "xtcp_status.v1.StatusService",
};

/* The files that are loaded; each names the files it imports. */
static _upb_DefPool_Init *const roots[] = {
    &xtcp_flat_record_v1_xtcp_flat_record_proto_upbdefinit,
    &xtcp_config_v1_xtcp_config_proto_upbdefinit,
    &xtcp_namespace_v1_xtcp_namespace_proto_upbdefinit,
    &xtcp_focus_v1_xtcp_focus_proto_upbdefinit,
    &xtcp_output_v1_xtcp_output_proto_upbdefinit,
    &xtcp_status_v1_xtcp_status_proto_upbdefinit,
    &grpc_health_v1_health_proto_upbdefinit,
    &grpc_reflection_v1_reflection_proto_upbdefinit,
    &grpc_reflection_v1alpha_reflection_proto_upbdefinit,
};

#define ROOT_COUNT (sizeof(roots) / sizeof(roots[0]))
#define FILES_MAX  32 /* all roots and the files they import; a test counts them */

struct reflection {
    upb_DefPool *pool; /* finds the file of a symbol; only read after reflection_new */
    const _upb_DefPool_Init *files[FILES_MAX];
    size_t n_files;
    char **services;
    size_t n_services;
};

/* ---- Making one ---- */

static const _upb_DefPool_Init *find_file(const struct reflection *r, const char *name, size_t len)
{
    for (size_t i = 0; i < r->n_files; i++) {
        if (strlen(r->files[i]->filename) == len && memcmp(r->files[i]->filename, name, len) == 0)
            return r->files[i];
    }
    return NULL;
}

/* Adds |file| and everything it imports. The depth is that of the imports of our own protos. */
static int add_file(struct reflection *r, const _upb_DefPool_Init *file)
{
    if (find_file(r, file->filename, strlen(file->filename)))
        return 0;
    if (r->n_files == FILES_MAX)
        return -ENOMEM;
    r->files[r->n_files++] = file;
    int rc = 0;
    for (size_t i = 0; file->deps[i] && rc == 0; i++)
        rc = add_file(r, file->deps[i]);
    return rc;
}

static int load_files(struct reflection *r)
{
    r->pool = upb_DefPool_New();
    if (!r->pool)
        return -ENOMEM;
    for (size_t i = 0; i < ROOT_COUNT; i++) {
        int rc = add_file(r, roots[i]);
        if (rc < 0 || !_upb_DefPool_LoadDefInit(r->pool, roots[i]))
            return -ENOMEM;
    }
    return 0;
}

static int add_services(struct reflection *r, const char *const *services, size_t n, struct err *e)
{
    r->services = calloc(n ? n : 1, sizeof(*r->services));
    if (!r->services)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!upb_DefPool_FindServiceByName(r->pool, services[i]))
            return err_set(e, ERR_UNKNOWN, "reflection: no proto defines the service %s", services[i]);
        r->services[i] = strdup(services[i]);
        if (!r->services[i])
            return -ENOMEM;
        r->n_services++;
    }
    return 0;
}

int reflection_new(const char *const *services, size_t n, struct reflection **out, struct err *e)
{
    *out = NULL;
    struct reflection *r = calloc(1, sizeof(*r));
    int rc = r ? load_files(r) : -ENOMEM;
    if (rc == 0)
        rc = add_services(r, services, n, e);
    if (rc < 0) {
        reflection_free(r);
        return rc == -ENOMEM ? err_set(e, rc, "reflection: out of memory") : rc;
    }
    *out = r;
    return 0;
}

void reflection_free(struct reflection *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_services; i++)
        free(r->services[i]);
    free(r->services);
    if (r->pool)
        upb_DefPool_Free(r->pool);
    free(r);
}

/* ---- Answering ---- */

/* One request that is being answered. */
struct answer {
    const struct reflection *r;
    upb_Arena *arena;
    grpc_reflection_v1_ServerReflectionResponse *reply;
};

static int answer_error(struct answer *a, int code, const char *what, upb_StringView name)
{
    grpc_reflection_v1_ErrorResponse *error = REPLY(mutable_error_response)(a->reply, a->arena);
    size_t cap = strlen(what) + name.size + 3;
    char *text = upb_Arena_Malloc(a->arena, cap);
    if (!error || !text)
        return -ENOMEM;
    struct buf b;
    buf_init_fixed(&b, text, cap);
    buf_str(&b, what);
    if (name.size > 0) {
        buf_str(&b, ": ");
        buf_bytes(&b, name.data, name.size);
    }
    grpc_reflection_v1_ErrorResponse_set_error_code(error, code);
    grpc_reflection_v1_ErrorResponse_set_error_message(error, upb_StringView_FromDataAndSize(text, b.len));
    return 0;
}

/* Adds |file| and all that it imports to |to|, each once, |seen| being a set of indices of r->files. */
static int put_file(struct answer *a, grpc_reflection_v1_FileDescriptorResponse *to,
                    const _upb_DefPool_Init *file, uint32_t *seen)
{
    size_t i = 0;
    while (a->r->files[i] != file)
        i++;
    if (*seen & (1u << i))
        return 0;
    *seen |= 1u << i;
    if (!grpc_reflection_v1_FileDescriptorResponse_add_file_descriptor_proto(to, file->descriptor, a->arena))
        return -ENOMEM;
    int rc = 0;
    for (i = 0; file->deps[i] && rc == 0; i++)
        rc = put_file(a, to, file->deps[i], seen);
    return rc;
}

static int answer_file(struct answer *a, const _upb_DefPool_Init *file)
{
    _Static_assert(FILES_MAX <= 32, "put_file's set of files has 32 bits");
    grpc_reflection_v1_FileDescriptorResponse *to =
        REPLY(mutable_file_descriptor_response)(a->reply, a->arena);
    uint32_t seen = 0;
    return to ? put_file(a, to, file, &seen) : -ENOMEM;
}

static int answer_filename(struct answer *a, upb_StringView name)
{
    const _upb_DefPool_Init *file = find_file(a->r, name.data, name.size);
    return file ? answer_file(a, file) : answer_error(a, CODE_NOT_FOUND, "no such file", name);
}

/* The file that defines the method "package.Service.Method", whose names the pool does not know as symbols. */
static const upb_FileDef *file_of_method(const upb_DefPool *pool, const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot)
        return NULL;
    const upb_ServiceDef *service = upb_DefPool_FindServiceByNameWithSize(pool, name, (size_t)(dot - name));
    if (!service || !upb_ServiceDef_FindMethodByName(service, dot + 1))
        return NULL;
    return upb_ServiceDef_File(service);
}

static const _upb_DefPool_Init *file_of_symbol(struct answer *a, const char *name)
{
    const upb_FileDef *def = upb_DefPool_FindFileContainingSymbol(a->r->pool, name);
    if (!def)
        def = file_of_method(a->r->pool, name);
    return def ? find_file(a->r, upb_FileDef_Name(def), strlen(upb_FileDef_Name(def))) : NULL;
}

static int answer_symbol(struct answer *a, upb_StringView name)
{
    char *text = msg_upb_string(a->arena, name);
    if (!text)
        return -ENOMEM;
    const _upb_DefPool_Init *file = file_of_symbol(a, text[0] == '.' ? text + 1 : text);
    return file ? answer_file(a, file) : answer_error(a, CODE_NOT_FOUND, "no such symbol", name);
}

/* proto3 has no extensions: a type has none, and one that does not exist is an error. */
static int answer_extension_numbers(struct answer *a, upb_StringView type)
{
    char *text = msg_upb_string(a->arena, type);
    if (!text)
        return -ENOMEM;
    if (!upb_DefPool_FindMessageByName(a->r->pool, text))
        return answer_error(a, CODE_NOT_FOUND, "no such message", type);
    grpc_reflection_v1_ExtensionNumberResponse *to =
        REPLY(mutable_all_extension_numbers_response)(a->reply, a->arena);
    if (!to)
        return -ENOMEM;
    grpc_reflection_v1_ExtensionNumberResponse_set_base_type_name(to, type);
    return 0;
}

static int answer_list(struct answer *a)
{
    grpc_reflection_v1_ListServiceResponse *to = REPLY(mutable_list_services_response)(a->reply, a->arena);
    if (!to)
        return -ENOMEM;
    for (size_t i = 0; i < a->r->n_services; i++) {
        grpc_reflection_v1_ServiceResponse *service =
            grpc_reflection_v1_ListServiceResponse_add_service(to, a->arena);
        if (!service)
            return -ENOMEM;
        grpc_reflection_v1_ServiceResponse_set_name(service, upb_StringView_FromString(a->r->services[i]));
    }
    return 0;
}

static int answer_request(struct answer *a, grpc_reflection_v1_ServerReflectionRequest *request)
{
    upb_StringView none = upb_StringView_FromDataAndSize(NULL, 0);
    REPLY(set_valid_host)(a->reply, REQUEST(host)(request));
    REPLY(set_original_request)(a->reply, request);
    switch (REQUEST(message_request_case)(request)) {
    case REQUEST(message_request_file_by_filename):
        return answer_filename(a, REQUEST(file_by_filename)(request));
    case REQUEST(message_request_file_containing_symbol):
        return answer_symbol(a, REQUEST(file_containing_symbol)(request));
    case REQUEST(message_request_file_containing_extension):
        return answer_error(
            a, CODE_NOT_FOUND, "no such extension",
            grpc_reflection_v1_ExtensionRequest_containing_type(REQUEST(file_containing_extension)(request)));
    case REQUEST(message_request_all_extension_numbers_of_type):
        return answer_extension_numbers(a, REQUEST(all_extension_numbers_of_type)(request));
    case REQUEST(message_request_list_services):
        return answer_list(a);
    default:
        return answer_error(a, CODE_INVALID_ARGUMENT, "the request asks for nothing", none);
    }
}

int reflection_answer(const struct reflection *r, const void *request, size_t len, struct buf *reply,
                      struct err *e)
{
    struct answer a = {.r = r, .arena = upb_Arena_New()};
    if (!a.arena)
        return err_set(e, -ENOMEM, "ServerReflectionRequest: out of memory");
    grpc_reflection_v1_ServerReflectionRequest *m = REQUEST(new)(a.arena);
    int rc = msg_upb_decode(request, len, m, &REQUEST(msginit), a.arena, "ServerReflectionRequest", e);
    if (rc < 0)
        goto out;
    a.reply = REPLY(new)(a.arena);
    rc = a.reply ? answer_request(&a, m) : -ENOMEM;
    if (rc == 0)
        rc = msg_upb_encode(a.reply, &REPLY(msginit), a.arena, reply);
    if (rc < 0)
        err_set(e, rc, "ServerReflectionResponse: out of memory");
out:
    upb_Arena_Free(a.arena);
    return rc;
}
