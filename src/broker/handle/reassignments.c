/*
 * AlterPartitionReassignments and ListPartitionReassignments: where one node holds every replica, the only assignment
 * is the one there is, and nothing is ever on the move. Source: protocol guide; KIP-455, KIP-860.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

struct verdict {
    enum kafka_error error;
    struct odk_str message;
};

#define VERDICT(code, text) ((struct verdict){ (code), ODK_STR(text) })

/* What is wrong with a target; KAFKA_NONE when it is this node, once. */
static struct verdict replicas_verdict(const struct request *request, const int32_t *replicas, int32_t count)
{
    if (count == 0)
        return VERDICT(KAFKA_INVALID_REPLICA_ASSIGNMENT,
                       "The manual partition assignment includes an empty replica list.");
    for (int32_t i = 0; i < count; i++)
        if (replicas[i] != broker_node_id(request->broker))
            return VERDICT(KAFKA_INVALID_REPLICA_ASSIGNMENT,
                           "The manual partition assignment includes a broker that is not registered: this server is "
                           "the only one.");
    if (count > 1)
        return VERDICT(KAFKA_INVALID_REPLICA_ASSIGNMENT,
                       "The manual partition assignment includes this broker more than once.");
    return (struct verdict){ 0 };
}

static struct verdict partition_verdict(const struct request *request, struct odk_str name,
                                        const struct alter_partition_reassignments_request_partition *in)
{
    struct topic *topic = topics_by_name(&request->broker->topics, name);
    if (!topic || !topic_partition(topic, in->partition_index))
        return VERDICT(KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find this partition.");
    if (in->replicas_count < 0)
        return VERDICT(KAFKA_NO_REASSIGNMENT_IN_PROGRESS, "No partition reassignment is in progress.");
    return replicas_verdict(request, in->replicas, in->replicas_count);
}

/* False: the arena is used up. */
static bool topic_fill(struct request *request, const struct alter_partition_reassignments_request_topic *in,
                       struct alter_partition_reassignments_response_topic *out)
{
    out->name = in->name;
    out->partitions = arena_new(&request->arena, struct alter_partition_reassignments_response_partition,
                                (size_t)in->partitions_count);
    out->partitions_count = in->partitions_count;
    for (int32_t i = 0; out->partitions && i < in->partitions_count; i++) {
        struct verdict verdict = partition_verdict(request, in->name, &in->partitions[i]);
        out->partitions[i] = (struct alter_partition_reassignments_response_partition){
            .partition_index = in->partitions[i].partition_index,
            .error_code = (int16_t)verdict.error,
            .error_message = verdict.message,
        };
    }
    return out->partitions != NULL;
}

void handle_alter_partition_reassignments(struct request *request)
{
    struct alter_partition_reassignments_request in;
    struct alter_partition_reassignments_response reply;
    if (!request_decoded(request, alter_partition_reassignments_request_decode(&in, &request->body, &request->arena,
                                                                               request->version)))
        return;
    alter_partition_reassignments_response_init(&reply);
    reply.allow_replication_factor_change = in.allow_replication_factor_change;
    reply.responses = arena_new(&request->arena, struct alter_partition_reassignments_response_topic,
                                (size_t)in.topics_count);
    reply.responses_count = in.topics_count;
    bool good = reply.responses != NULL;
    for (int32_t i = 0; good && i < in.topics_count; i++)
        good = topic_fill(request, &in.topics[i], &reply.responses[i]);
    if (!good) {
        request_too_large(request);
        return;
    }
    request_reply(request, alter_partition_reassignments_response_encode(&reply, request_reply_begin(request),
                                                                         request->version));
}

void handle_list_partition_reassignments(struct request *request)
{
    struct list_partition_reassignments_request in;
    struct list_partition_reassignments_response reply;
    if (!request_decoded(request, list_partition_reassignments_request_decode(&in, &request->body, &request->arena,
                                                                              request->version)))
        return;
    list_partition_reassignments_response_init(&reply);
    request_reply(request, list_partition_reassignments_response_encode(&reply, request_reply_begin(request),
                                                                        request->version));
}
