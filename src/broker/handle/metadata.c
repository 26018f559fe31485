/*
 * Metadata: this node, the topics, their partitions; creates what is missing when it may. Source: KIP-4, KIP-430,
 * KIP-516.
 *
 * A topic that is created on the way is created before the answer, so the client gets its partitions at once.
 */
#include "base/uuid.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "broker/operations.h"
#include "wire/messages.h"

/* Topics made on the way to one answer. Clients ask again for what is missing. Every asked name may be compared with all
 * of them. */
#define AUTO_CREATE_MAX 256u

struct metadata {
    struct request *request;
    struct metadata_request in;
    struct controller_op op; /* creation of missing topics */
    int32_t *self;           /* this node's id, as the list of replicas */
};

/* -- filling the reply -------------------------------------------------------------------------------------------- */

static bool partitions_fill(struct metadata *metadata, const struct topic *topic, struct metadata_response_topic *out)
{
    struct broker *broker = metadata->request->broker;
    out->partitions =
        arena_new(&metadata->request->arena, struct metadata_response_partition, (size_t)topic->partition_count);
    if (!out->partitions)
        return false;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        out->partitions[i] = (struct metadata_response_partition){
            .partition_index = i,
            .leader_id = broker_node_id(broker),
            .leader_epoch = broker_leader_epoch(broker),
            .replica_nodes = metadata->self,
            .replica_nodes_count = 1,
            .isr_nodes = metadata->self,
            .isr_nodes_count = 1,
        };
    }
    out->partitions_count = topic->partition_count;
    return true;
}

static bool topic_fill(struct metadata *metadata, const struct topic *topic, struct metadata_response_topic *out)
{
    metadata_response_topic_init(out);
    out->name = topic_name(topic);
    out->topic_id = topic->id;
    out->is_internal = topic->internal;
    return partitions_fill(metadata, topic, out);
}

/* What creating the topic came to, when that was tried. */
static enum kafka_error created_error(const struct metadata *metadata, struct odk_str name)
{
    for (uint32_t i = 0; i < metadata->op.count; i++) {
        if (odk_str_eq(metadata->op.creates[i].name, name))
            return metadata->op.creates[i].error;
    }
    return KAFKA_NONE;
}

/* An id decides, as with Kafka: Java's consumers send an empty name along with it. */
static bool asks_by_id(const struct metadata_request_topic *asked)
{
    return !odk_uuid_is_zero(asked->topic_id);
}

static enum kafka_error missing_error(const struct metadata *metadata, const struct metadata_request_topic *asked)
{
    if (asks_by_id(asked))
        return KAFKA_UNKNOWN_TOPIC_ID;
    if (!asked->name.data)
        return KAFKA_INVALID_REQUEST;
    if (topic_name_check(asked->name))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    enum kafka_error error = created_error(metadata, asked->name);
    return error == KAFKA_NONE || error == KAFKA_TOPIC_ALREADY_EXISTS ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : error;
}

static const struct topic *asked_find(const struct metadata *metadata, const struct metadata_request_topic *asked)
{
    const struct topics *topics = &metadata->request->broker->topics;
    if (asks_by_id(asked))
        return topics_by_id(topics, asked->topic_id);
    return asked->name.data ? topics_by_name(topics, asked->name) : NULL;
}

static bool asked_fill(struct metadata *metadata, const struct metadata_request_topic *asked,
                       struct metadata_response_topic *out)
{
    const struct topic *topic = asked_find(metadata, asked);
    if (topic)
        return topic_fill(metadata, topic, out);
    metadata_response_topic_init(out);
    out->error_code = (int16_t)missing_error(metadata, asked);
    out->name = asks_by_id(asked) ? (struct odk_str){ 0 } : asked->name;
    out->topic_id = asked->topic_id;
    return true;
}

static bool asks_for_all(const struct metadata *metadata)
{
    int32_t count = metadata->in.topics_count;
    return count < 0 || (count == 0 && metadata->request->version == 0);
}

static bool topics_fill(struct metadata *metadata, struct metadata_response *reply)
{
    const struct topics *topics = &metadata->request->broker->topics;
    bool all = asks_for_all(metadata);
    size_t count = all ? topics->topic_count : (size_t)metadata->in.topics_count;
    reply->topics = arena_new(&metadata->request->arena, struct metadata_response_topic, count);
    bool fits = reply->topics != NULL;
    if (all) {
        for (const struct topic *topic = topics->by_name; fits && topic; topic = topic->by_name.next)
            fits = topic_fill(metadata, topic, &reply->topics[reply->topics_count++]);
    } else {
        for (int32_t i = 0; fits && i < metadata->in.topics_count; i++)
            fits = asked_fill(metadata, &metadata->in.topics[i], &reply->topics[reply->topics_count++]);
    }
    return fits;
}

/* Kafka tells it of topics that do not exist, too. */
static void operations_fill(const struct metadata *metadata, struct metadata_response *reply)
{
    if (metadata->in.include_cluster_authorized_operations)
        reply->cluster_authorized_operations = OPERATIONS_OF_CLUSTERS;
    for (int32_t i = 0; metadata->in.include_topic_authorized_operations && i < reply->topics_count; i++)
        reply->topics[i].topic_authorized_operations = OPERATIONS_OF_TOPICS;
}

static void metadata_reply(struct metadata *metadata)
{
    struct request *request = metadata->request;
    struct broker *broker = request->broker;
    char cluster_id[UUID_TEXT_LEN + 1];
    uuid_print(broker->env.identity.cluster_id, cluster_id);
    struct metadata_response_broker self = { .node_id = broker_node_id(broker) };
    if (broker->env.config->broker_rack)
        self.rack = odk_str_from(broker->env.config->broker_rack);
    struct metadata_response reply;
    metadata_response_init(&reply);
    reply.brokers = &self;
    reply.brokers_count = 1;
    reply.cluster_id = odk_str_from(cluster_id);
    reply.controller_id = broker_node_id(broker);
    metadata->self = arena_new(&request->arena, int32_t, 1);
    if (!metadata->self || !broker_advertised(request, &self.host, &self.port)) {
        request_too_large(request);
        return;
    }
    *metadata->self = broker_node_id(broker);
    if (!topics_fill(metadata, &reply)) {
        request_too_large(request);
        return;
    }
    operations_fill(metadata, &reply);
    request_reply(request, metadata_response_encode(&reply, request_reply_begin(request), request->version));
}

/* -- creating what is missing ------------------------------------------------------------------------------------- */

static bool may_create(const struct metadata *metadata, const struct metadata_request_topic *asked)
{
    return asked->name.data && !asks_by_id(asked) && !topic_name_check(asked->name) && !topic_name_is_internal(asked->name) &&
           !asked_find(metadata, asked);
}

static bool asked_before(const struct metadata *metadata, struct odk_str name)
{
    for (uint32_t i = 0; i < metadata->op.count; i++) {
        if (odk_str_eq(metadata->op.creates[i].name, name))
            return true;
    }
    return false;
}

/* Gathers the missing topics into the op; false when memory is used up. */
static bool missing_gather(struct metadata *metadata)
{
    const struct metadata_request *in = &metadata->in;
    bool allowed = in->allow_auto_topic_creation && metadata->request->broker->env.config->auto_create_topics_enable;
    if (!allowed || asks_for_all(metadata))
        return true;
    size_t missing = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        missing += may_create(metadata, &in->topics[i]);
    if (missing == 0)
        return true;
    missing = MIN(missing, (size_t)AUTO_CREATE_MAX);
    metadata->op.creates = arena_new(&metadata->request->arena, struct create_item, missing);
    if (!metadata->op.creates)
        return false;
    for (int32_t i = 0; i < in->topics_count && metadata->op.count < missing; i++) {
        const struct metadata_request_topic *asked = &in->topics[i];
        if (may_create(metadata, asked) && !asked_before(metadata, asked->name))
            metadata->op.creates[metadata->op.count++] =
                (struct create_item){ .name = asked->name, .partition_count = -1, .replication = -1 };
    }
    return true;
}

static void metadata_on_created(struct controller_op *op, struct broker *at)
{
    struct metadata *metadata = container_of(op, struct metadata, op);
    for (uint32_t i = 0; i < op->count; i++) {
        struct create_item *item = &op->creates[i];
        if (item->error == KAFKA_NONE)
            DIAG_INFO(at->env.diag, "topic %.*s created because a client asked for it", ODK_STR_FMT(item->name));
        topic_config_deinit(&item->config);
    }
    metadata_reply(metadata);
}

void handle_metadata(struct request *request)
{
    struct metadata *metadata = arena_new(&request->arena, struct metadata, 1);
    if (!metadata) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         metadata_request_decode(&metadata->in, &request->body, &request->arena, request->version)))
        return;
    metadata->request = request;
    if (!missing_gather(metadata)) {
        request_too_large(request);
        return;
    }
    metadata->op.kind = CONTROLLER_CREATE;
    metadata->op.done = metadata_on_created;
    if (metadata->op.count > 0)
        controller_submit(request->broker, &metadata->op);
    else
        metadata_reply(metadata);
}
