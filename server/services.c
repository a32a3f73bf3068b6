#include "server/services.h"

#define RECORDS    "/xtcp_flat_record.v1.XTCPFlatRecordService/"
#define CONFIG     "/xtcp_config.v1.ConfigService/"
#define NAMESPACES "/xtcp_namespace.v1.NamespaceService/"

static const struct rpc_method methods[] = {
    {RECORDS "FlatRecords", RPC_SERVER_STREAM, NULL, &svc_flat_records},
    {RECORDS "PollFlatRecords", RPC_BIDI, NULL, &svc_poll_flat_records},
    {CONFIG "Get", RPC_UNARY, svc_config_get, NULL},
    {CONFIG "Set", RPC_UNARY, svc_config_set, NULL},
    {CONFIG "SetPollFrequency", RPC_UNARY, svc_config_set_poll_frequency, NULL},
    {CONFIG "TriggerPoll", RPC_UNARY, svc_config_trigger_poll, NULL},
    {CONFIG "TriggerPollBurst", RPC_UNARY, svc_config_trigger_poll_burst, NULL},
    {CONFIG "CancelBurst", RPC_UNARY, svc_config_cancel_burst, NULL},
    {CONFIG "SetS3Upload", RPC_UNARY, svc_config_set_s3_upload, NULL},
    {NAMESPACES "List", RPC_UNARY, svc_namespace_list, NULL},
    {NAMESPACES "Watch", RPC_SERVER_STREAM, NULL, &svc_namespace_watch},
    {"/xtcp_status.v1.StatusService/Get", RPC_UNARY, svc_status_get, NULL},
    {"/grpc.health.v1.Health/Check", RPC_UNARY, svc_health_check, NULL},
    {"/grpc.health.v1.Health/Watch", RPC_SERVER_STREAM, NULL, &svc_health_watch},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", RPC_BIDI, NULL, &svc_reflection},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", RPC_BIDI, NULL, &svc_reflection},
};

const struct rpc_method *services_methods(size_t *n)
{
    *n = sizeof(methods) / sizeof(methods[0]);
    return methods;
}
