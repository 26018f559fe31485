/*
 * FindCoordinator: one node coordinates everything, and this answers who it is. What it coordinates is offered API by API:
 * a client that finds no JoinGroup in ApiVersions says so itself. librdkafka also takes this API as the sign that a
 * broker knows LZ4. Source: protocol guide; KIP-699, KIP-932.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

#define COORDINATOR_TYPE_LAST 2 /* group, transaction, share */

static int16_t key_error(int8_t type, struct odk_str key)
{
    if (type < 0 || type > COORDINATOR_TYPE_LAST)
        return KAFKA_INVALID_REQUEST;
    return type == 0 && key.len == 0 ? KAFKA_INVALID_GROUP_ID : KAFKA_NONE;
}

static struct find_coordinator_response_coordinator coordinator_of(struct request *request, int8_t type,
                                                                   struct odk_str key)
{
    struct find_coordinator_response_coordinator answer;
    find_coordinator_response_coordinator_init(&answer);
    answer.key = key;
    answer.error_code = key_error(type, key);
    answer.node_id = -1;
    answer.port = -1;
    answer.host = ODK_STR("");
    if (answer.error_code == KAFKA_NONE) {
        answer.node_id = broker_node_id(request->broker);
        broker_advertised(request, &answer.host, &answer.port);
    }
    return answer;
}

void handle_find_coordinator(struct request *request)
{
    struct find_coordinator_request in;
    struct find_coordinator_response reply;
    if (!request_decoded(request,
                         find_coordinator_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    find_coordinator_response_init(&reply);
    if (request->version < 4) {
        struct find_coordinator_response_coordinator only = coordinator_of(request, in.key_type, in.key);
        reply.error_code = only.error_code;
        reply.node_id = only.node_id;
        reply.host = only.host;
        reply.port = only.port;
    }
    int32_t count = MAX(in.coordinator_keys_count, 0);
    reply.coordinators =
        arena_new(&request->arena, struct find_coordinator_response_coordinator, (size_t)count);
    if (!reply.coordinators) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; i < count; i++)
        reply.coordinators[i] = coordinator_of(request, in.key_type, in.coordinator_keys[i]);
    reply.coordinators_count = count;
    request_reply(request, find_coordinator_response_encode(&reply, request_reply_begin(request), request->version));
}
