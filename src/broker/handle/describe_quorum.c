/*
 * DescribeQuorum: the metadata log has one voter, this node, which leads it. Source: protocol guide; KIP-595, KIP-836,
 * KIP-853.
 *
 * The log is ours (docs/FORMAT.md) and goes by Kafka's name here, since tools ask for that one. Its end is known on
 * shard 0, so the request goes there and back.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"

#define QUORUM_TOPIC     ODK_STR("__cluster_metadata")
#define QUORUM_PARTITION 0

struct quorum {
    struct task task;
    struct request *request;
    struct describe_quorum_request in;
    int64_t end;
};

static bool is_asked_alone(const struct describe_quorum_request *in)
{
    return in->topics_count == 1 && odk_str_eq(in->topics[0].topic_name, QUORUM_TOPIC) &&
           in->topics[0].partitions_count == 1 && in->topics[0].partitions[0].partition_index == QUORUM_PARTITION;
}

/* Kafka answers for the metadata log alone: every partition of a request that names anything else is unknown. */
static bool unknown_fill(struct request *request, const struct describe_quorum_request_topic *in,
                         struct describe_quorum_response_topic *out)
{
    out->topic_name = in->topic_name;
    out->partitions =
        arena_new(&request->arena, struct describe_quorum_response_partition, (size_t)in->partitions_count);
    if (!out->partitions)
        return false;
    for (; out->partitions_count < in->partitions_count; out->partitions_count++)
        out->partitions[out->partitions_count] = (struct describe_quorum_response_partition){
            .partition_index = in->partitions[out->partitions_count].partition_index,
            .error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
            .error_message = ODK_STR("This server does not host this topic-partition."),
        };
    return true;
}

/* The voter is the leader itself: it has always just fetched and is always caught up. */
static bool partition_fill(const struct quorum *quorum, struct describe_quorum_response_topic *out)
{
    struct request *request = quorum->request;
    struct describe_quorum_response_partition *partition =
        arena_new(&request->arena, struct describe_quorum_response_partition, 1);
    struct describe_quorum_response_replica_state *voter =
        arena_new(&request->arena, struct describe_quorum_response_replica_state, 1);
    if (!partition || !voter)
        return false;
    const struct broker *broker = request->broker;
    *voter = (struct describe_quorum_response_replica_state){ .replica_id = broker_node_id(broker),
                                                              .replica_directory_id =
                                                                  broker->env.identity.directory_id,
                                                              .log_end_offset = quorum->end,
                                                              .last_fetch_timestamp = broker->wall_ms,
                                                              .last_caught_up_timestamp = broker->wall_ms };
    partition->leader_id = broker_node_id(broker);
    partition->leader_epoch = broker_leader_epoch(broker);
    partition->high_watermark = quorum->end;
    partition->current_voters = voter;
    partition->current_voters_count = 1;
    *out = (struct describe_quorum_response_topic){ .topic_name = QUORUM_TOPIC,
                                                    .partitions = partition,
                                                    .partitions_count = 1 };
    return true;
}

static bool node_fill(struct request *request, struct describe_quorum_response *reply)
{
    struct describe_quorum_response_node *node = arena_new(&request->arena, struct describe_quorum_response_node, 1);
    struct describe_quorum_response_listener *listener =
        arena_new(&request->arena, struct describe_quorum_response_listener, 1);
    int32_t port;
    if (!node || !listener || !broker_advertised(request, &listener->host, &port))
        return false;
    listener->name = odk_str_from(request->peer->listener);
    listener->port = (uint16_t)port;
    *node = (struct describe_quorum_response_node){ .node_id = broker_node_id(request->broker),
                                                    .listeners = listener,
                                                    .listeners_count = 1 };
    reply->nodes = node;
    reply->nodes_count = 1;
    return true;
}

static bool reply_fill(const struct quorum *quorum, struct describe_quorum_response *reply)
{
    struct request *request = quorum->request;
    const struct describe_quorum_request *in = &quorum->in;
    reply->topics = arena_new(&request->arena, struct describe_quorum_response_topic, (size_t)in->topics_count);
    reply->topics_count = in->topics_count;
    if (!reply->topics)
        return false;
    if (is_asked_alone(in))
        return partition_fill(quorum, &reply->topics[0]) && node_fill(request, reply);
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!unknown_fill(request, &in->topics[i], &reply->topics[i]))
            return false;
    return true;
}

static void quorum_on_home(struct task *task, struct broker *home)
{
    (void)home;
    struct quorum *quorum = container_of(task, struct quorum, task);
    struct request *request = quorum->request;
    struct describe_quorum_response reply;
    describe_quorum_response_init(&reply);
    if (!reply_fill(quorum, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, describe_quorum_response_encode(&reply, request_reply_begin(request), request->version));
}

static void quorum_run(struct task *task, struct broker *at)
{
    struct quorum *quorum = container_of(task, struct quorum, task);
    quorum->end = controller_log_end(at->controller);
    task->run = quorum_on_home;
    broker_post(at, quorum->request->broker->env.shard, task);
}

void handle_describe_quorum(struct request *request)
{
    struct quorum *quorum = arena_new(&request->arena, struct quorum, 1);
    if (!quorum) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, describe_quorum_request_decode(&quorum->in, &request->body, &request->arena,
                                                                 request->version)))
        return;
    quorum->request = request;
    quorum->task.run = quorum_run;
    broker_post(request->broker, 0, &quorum->task);
}
