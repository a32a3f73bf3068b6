#include "server/services/services.h"

#define RECORDS    "/xtcp_flat_record.v1.XTCPFlatRecordService/"
#define CONFIG     "/xtcp_config.v1.ConfigService/"
#define FOCUS      "/xtcp_focus.v1.FocusService/"
#define NAMESPACES "/xtcp_namespace.v1.NamespaceService/"
#define OUTPUTS    "/xtcp_output.v1.OutputService/"

/* PollFlatRecords is for readers although it makes the daemon poll: requests that come while a poll runs
 * share the next one, so all readers together cost one poll after the other at most, and no more than
 * max_cpu_percent when that is set; and they change nothing that others rely on. */
static const struct rpc_method methods[] = {
    {RECORDS "FlatRecords", RPC_SERVER_STREAM, NULL, &svc_flat_records, RPC_ROLE_READ},
    {RECORDS "PollFlatRecords", RPC_BIDI, NULL, &svc_poll_flat_records, RPC_ROLE_READ},
    {CONFIG "Get", RPC_UNARY, svc_config_get, NULL, RPC_ROLE_READ},
    {CONFIG "Set", RPC_UNARY, svc_config_set, NULL, RPC_ROLE_CONTROL},
    {CONFIG "SetPollFrequency", RPC_UNARY, svc_config_set_poll_frequency, NULL, RPC_ROLE_CONTROL},
    {CONFIG "TriggerPoll", RPC_UNARY, svc_config_trigger_poll, NULL, RPC_ROLE_CONTROL},
    {CONFIG "TriggerPollBurst", RPC_UNARY, svc_config_trigger_poll_burst, NULL, RPC_ROLE_CONTROL},
    {CONFIG "CancelBurst", RPC_UNARY, svc_config_cancel_burst, NULL, RPC_ROLE_CONTROL},
    {CONFIG "SetS3Upload", RPC_UNARY, svc_config_set_s3_upload, NULL, RPC_ROLE_CONTROL},
    {NAMESPACES "List", RPC_UNARY, svc_namespace_list, NULL, RPC_ROLE_READ},
    {NAMESPACES "Watch", RPC_SERVER_STREAM, NULL, &svc_namespace_watch, RPC_ROLE_READ},
    {OUTPUTS "List", RPC_UNARY, svc_output_list, NULL, RPC_ROLE_READ},
    {OUTPUTS "Watch", RPC_SERVER_STREAM, NULL, &svc_output_watch, RPC_ROLE_READ},
    {OUTPUTS "Pause", RPC_UNARY, svc_output_pause, NULL, RPC_ROLE_CONTROL},
    {OUTPUTS "Resume", RPC_UNARY, svc_output_resume, NULL, RPC_ROLE_CONTROL},
    {OUTPUTS "Flush", RPC_UNARY, svc_output_flush, NULL, RPC_ROLE_CONTROL},
    {OUTPUTS "Test", RPC_SERVER_STREAM, NULL, &svc_output_test, RPC_ROLE_CONTROL},
    {FOCUS "Watch", RPC_BIDI, NULL, &svc_focus_watch, RPC_ROLE_READ},
    {"/xtcp_status.v1.StatusService/Get", RPC_UNARY, svc_status_get, NULL, RPC_ROLE_READ},
    {"/grpc.health.v1.Health/Check", RPC_UNARY, svc_health_check, NULL, RPC_ROLE_HEALTH},
    {"/grpc.health.v1.Health/Watch", RPC_SERVER_STREAM, NULL, &svc_health_watch, RPC_ROLE_HEALTH},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", RPC_BIDI, NULL, &svc_reflection,
     RPC_ROLE_READ},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", RPC_BIDI, NULL, &svc_reflection,
     RPC_ROLE_READ},
};

const struct rpc_method *services_methods(size_t *n)
{
    *n = sizeof(methods) / sizeof(methods[0]);
    return methods;
}
