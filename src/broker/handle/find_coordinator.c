/*
 * FindCoordinator: one node coordinates everything, and this answers who it is. Before it says so of a group, the topic of
 * the groups is made, so that a client that comes next finds it. What else it coordinates is offered API by API: there are
 * no transactions and no share groups. librdkafka also takes this API as the sign that a broker knows LZ4.
 * Source: protocol guide; KIP-699, KIP-932.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/group_host.h"

enum { TYPE_GROUP = 0, TYPE_TRANSACTION = 1, TYPE_SHARE = 2 };

#define VERSION_KEYS  4 /* many keys in one request */
#define VERSION_SHARE 6

struct find_coordinator {
    struct request *request;
    struct find_coordinator_request in;
    struct group_topic_waiter waiter;
};

static enum kafka_error type_error(const struct find_coordinator *find)
{
    int8_t type = find->in.key_type;
    bool known = type >= TYPE_GROUP && (type < TYPE_SHARE || (type == TYPE_SHARE && find->request->version >= VERSION_SHARE));
    return known ? KAFKA_NONE : KAFKA_INVALID_REQUEST;
}

static void coordinator_fill(struct request *request, struct odk_str key, enum kafka_error error,
                             struct find_coordinator_response_coordinator *ret)
{
    find_coordinator_response_coordinator_init(ret);
    ret->key = key;
    ret->error_code = (int16_t)error;
    ret->node_id = -1;
    ret->port = -1;
    ret->host = ODK_STR("");
    if (error == KAFKA_NONE) {
        ret->node_id = broker_node_id(request->broker);
        broker_advertised(request, &ret->host, &ret->port);
    }
}

static void answer(struct find_coordinator *find, enum kafka_error error)
{
    struct request *request = find->request;
    struct find_coordinator_response reply;
    find_coordinator_response_init(&reply);
    if (request->version < VERSION_KEYS) {
        struct find_coordinator_response_coordinator only;
        coordinator_fill(request, find->in.key, error, &only);
        reply.error_code = only.error_code;
        reply.node_id = only.node_id;
        reply.host = only.host;
        reply.port = only.port;
    }
    int32_t count = MAX(find->in.coordinator_keys_count, 0);
    reply.coordinators = arena_new(&request->arena, struct find_coordinator_response_coordinator, (size_t)count);
    if (!reply.coordinators) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; i < count; i++)
        coordinator_fill(request, find->in.coordinator_keys[i], error, &reply.coordinators[i]);
    reply.coordinators_count = count;
    request_reply(request, find_coordinator_response_encode(&reply, request_reply_begin(request), request->version));
}

static void find_coordinator_on_topic(struct group_topic_waiter *waiter, enum kafka_error error)
{
    answer(container_of(waiter, struct find_coordinator, waiter), error);
}

void handle_find_coordinator(struct request *request)
{
    struct find_coordinator *find = arena_new(&request->arena, struct find_coordinator, 1);
    if (!find) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(
            request, find_coordinator_request_decode(&find->in, &request->body, &request->arena, request->version)))
        return;
    find->request = request;
    enum kafka_error error = type_error(find);
    bool asks = request->version < VERSION_KEYS || find->in.coordinator_keys_count > 0;
    if (error != KAFKA_NONE || find->in.key_type != TYPE_GROUP || !asks) {
        answer(find, error);
        return;
    }
    find->waiter.ready = find_coordinator_on_topic;
    group_host_need_topic(request->broker->groups, &find->waiter);
}
