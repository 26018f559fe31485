/* DescribeCluster: who this cluster is. Source: protocol guide; KIP-700, KIP-919, KIP-1073. */
#include "base/uuid.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/operations.h"

#define ENDPOINT_BROKERS     1
#define ENDPOINT_CONTROLLERS 2
#define OPERATIONS_NOT_ASKED INT32_MIN

static void endpoint_refuse(const struct describe_cluster_request *in, struct describe_cluster_response *reply)
{
    bool known = in->endpoint_type == ENDPOINT_CONTROLLERS;
    reply->error_code = known ? KAFKA_MISMATCHED_ENDPOINT_TYPE : KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
    reply->error_message =
        known ? ODK_STR("this endpoint serves brokers, not controllers") : ODK_STR("no such endpoint type");
}

static bool cluster_fill(struct request *request, const struct describe_cluster_request *in,
                         struct describe_cluster_response *reply)
{
    struct broker *broker = request->broker;
    char *cluster_id = arena_new(&request->arena, char, UUID_TEXT_LEN + 1);
    struct describe_cluster_response_broker *self =
        arena_new(&request->arena, struct describe_cluster_response_broker, 1);
    if (!cluster_id || !self)
        return false;
    uuid_print(broker->env.identity.cluster_id, cluster_id);
    self->broker_id = broker_node_id(broker);
    broker_advertised(request, &self->host, &self->port);
    reply->cluster_id = odk_str_from(cluster_id);
    reply->controller_id = broker_node_id(broker);
    reply->brokers = self;
    reply->brokers_count = 1;
    if (in->include_cluster_authorized_operations)
        reply->cluster_authorized_operations = OPERATIONS_OF_CLUSTERS;
    return true;
}

void handle_describe_cluster(struct request *request)
{
    struct describe_cluster_request in;
    struct describe_cluster_response reply;
    if (!request_decoded(request,
                         describe_cluster_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    describe_cluster_response_init(&reply);
    reply.endpoint_type = in.endpoint_type;
    reply.cluster_authorized_operations = OPERATIONS_NOT_ASKED;
    if (in.endpoint_type != ENDPOINT_BROKERS) {
        endpoint_refuse(&in, &reply);
    } else if (!cluster_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, describe_cluster_response_encode(&reply, request_reply_begin(request), request->version));
}
