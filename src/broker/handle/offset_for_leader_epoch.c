/* OffsetForLeaderEpoch: where an epoch ends, so that a reader finds out what was cut off. Source: KIP-101, KIP-320. */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/part_legs.h"

struct epoch_part {
    struct part part;
    const struct offset_for_leader_epoch_request_partition *asked;
    struct offset_for_leader_epoch_response_partition *answer;
};

struct epochs_asked {
    struct part_legs legs;
    struct offset_for_leader_epoch_request in;
    struct offset_for_leader_epoch_response reply;
};

static void part_look(struct part *base, struct partition *partition, struct broker *at)
{
    struct epoch_part *part = container_of(base, struct epoch_part, part);
    struct offset_for_leader_epoch_response_partition *answer = part->answer;
    int32_t wanted = part->asked->leader_epoch;
    answer->error_code = part_check(partition, part->asked->current_leader_epoch, at);
    if (answer->error_code != KAFKA_NONE)
        return;
    int64_t end = odk_log_end_offset(partition->log);
    if (end < 0) {
        answer->error_code = KAFKA_KAFKA_STORAGE_ERROR;
    } else if (wanted >= 0) {
        odk_log_epoch_end(partition->log, wanted, &answer->leader_epoch, &answer->end_offset);
    }
}

static void epochs_reply(struct part_legs *legs)
{
    struct epochs_asked *epochs = container_of(legs, struct epochs_asked, legs);
    struct request *request = legs->request;
    request_reply(request, offset_for_leader_epoch_response_encode(&epochs->reply, request_reply_begin(request),
                                                                   request->version));
}

/* False: no memory. */
static bool topic_plan(struct epochs_asked *epochs, const struct offset_for_leader_epoch_request_topic *in,
                       struct offset_for_leader_epoch_response_topic *out)
{
    struct arena *arena = &epochs->legs.request->arena;
    struct topic *topic = topics_by_name(&epochs->legs.request->broker->topics, in->topic);
    size_t count = (size_t)in->partitions_count;
    struct epoch_part *parts = arena_new(arena, struct epoch_part, count);
    out->topic = in->topic;
    out->partitions = arena_new(arena, struct offset_for_leader_epoch_response_partition, count);
    if (!parts || !out->partitions)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct epoch_part *part = &parts[i];
        part->asked = &in->partitions[i];
        part->answer = &out->partitions[out->partitions_count++];
        offset_for_leader_epoch_response_partition_init(part->answer);
        part->answer->partition = part->asked->partition;
        struct partition *partition = topic ? topic_partition(topic, part->asked->partition) : NULL;
        if (partition)
            part_legs_add(&epochs->legs, &part->part, topic, partition);
        else
            part->answer->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return true;
}

static bool plan(struct epochs_asked *epochs, struct request *request)
{
    const struct offset_for_leader_epoch_request *in = &epochs->in;
    bool fits = part_legs_init(&epochs->legs, request);
    offset_for_leader_epoch_response_init(&epochs->reply);
    epochs->reply.topics =
        arena_new(&request->arena, struct offset_for_leader_epoch_response_topic, (size_t)in->topics_count);
    fits = fits && epochs->reply.topics;
    for (int32_t i = 0; i < in->topics_count && fits; i++)
        fits = topic_plan(epochs, &in->topics[i], &epochs->reply.topics[epochs->reply.topics_count++]);
    return fits;
}

void handle_offset_for_leader_epoch(struct request *request)
{
    struct epochs_asked *epochs = arena_new(&request->arena, struct epochs_asked, 1);
    if (!epochs) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, offset_for_leader_epoch_request_decode(&epochs->in, &request->body, &request->arena,
                                                                         request->version)))
        return;
    epochs->legs.look = part_look;
    epochs->legs.done = epochs_reply;
    if (plan(epochs, request))
        part_legs_go(&epochs->legs);
    else
        request_too_large(request);
}
