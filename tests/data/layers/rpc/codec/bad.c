#include <grpc/grpc.h>
#include <jansson.h>
