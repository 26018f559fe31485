/*
 * DescribeProducers: the idempotent producers that partitions remember. Source: KIP-664.
 *
 * Memory is taken at home only, so owners are asked until there was room for all of theirs; usually twice.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/part_legs.h"

/* Producers that may come between two turns without making a third one necessary. */
#define PRODUCERS_SPARE 8u

struct producers_part {
    struct part part;
    uint32_t capacity; /* of answer->active_producers */
    uint32_t found;    /* as many as there are */
    struct describe_producers_response_partition *answer;
};

struct describe_producers {
    struct part_legs legs;
    struct describe_producers_request in;
    struct describe_producers_response reply;
    struct producers_part *parts;
    uint32_t part_count;
};

/* -- owner -------------------------------------------------------------------------------------------------------- */

static void producer_take(void *context, const struct odk_producer_info *info)
{
    struct producers_part *part = context;
    if (part->found++ >= part->capacity)
        return;
    struct describe_producers_response_active_producer *out =
        &part->answer->active_producers[part->answer->active_producers_count++];
    describe_producers_response_active_producer_init(out);
    out->producer_id = info->producer_id;
    out->producer_epoch = info->epoch;
    out->last_sequence = info->last_sequence;
    out->last_timestamp = info->last_timestamp;
    out->coordinator_epoch = -1; /* no transaction was ever seen */
}

static void part_look(struct part *base, struct partition *partition, struct broker *at)
{
    struct producers_part *part = container_of(base, struct producers_part, part);
    part->found = 0;
    part->answer->active_producers_count = 0;
    part->answer->error_code = part_check(partition, -1, at);
    if (part->answer->error_code != KAFKA_NONE)
        return;
    odk_log_producers(partition->log, producer_take, part);
    if (odk_log_end_offset(partition->log) < 0)
        part->answer->error_code = KAFKA_KAFKA_STORAGE_ERROR;
}

/* -- home --------------------------------------------------------------------------------------------------------- */

enum room { ROOM_ENOUGH, ROOM_MADE, ROOM_REFUSED };

/* Makes room for what was found and did not fit. */
static enum room room_make(struct describe_producers *describe)
{
    enum room room = ROOM_ENOUGH;
    for (uint32_t i = 0; i < describe->part_count; i++) {
        struct producers_part *part = &describe->parts[i];
        if (part->found <= part->capacity)
            continue;
        part->capacity = part->found + PRODUCERS_SPARE;
        part->answer->active_producers =
            arena_new(&describe->legs.request->arena, struct describe_producers_response_active_producer, part->capacity);
        if (!part->answer->active_producers)
            return ROOM_REFUSED;
        room = ROOM_MADE;
    }
    return room;
}

static void legs_on_done(struct part_legs *legs)
{
    struct describe_producers *describe = container_of(legs, struct describe_producers, legs);
    struct request *request = legs->request;
    enum room room = room_make(describe);
    if (room == ROOM_MADE)
        part_legs_go(legs);
    else if (room == ROOM_REFUSED)
        request_too_large(request);
    else
        request_reply(request, describe_producers_response_encode(&describe->reply, request_reply_begin(request),
                                                                  request->version));
}

static void part_refuse(struct producers_part *part, const char *why)
{
    part->answer->error_code = why ? KAFKA_INVALID_TOPIC_EXCEPTION : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (why)
        part->answer->error_message = odk_str_from(why);
}

/* False: no memory. */
static bool topic_plan(struct describe_producers *describe, const struct describe_producers_request_topic *in,
                       struct describe_producers_response_topic *out)
{
    struct request *request = describe->legs.request;
    struct topic *topic = topics_by_name(&request->broker->topics, in->name);
    const char *why = topic ? NULL : topic_name_check(in->name);
    size_t count = (size_t)in->partition_indexes_count;
    out->name = in->name;
    out->partitions = arena_new(&request->arena, struct describe_producers_response_partition, count);
    for (size_t i = 0; out->partitions && i < count; i++) {
        struct producers_part *part = &describe->parts[describe->part_count++];
        int32_t index = in->partition_indexes[i];
        part->answer = &out->partitions[out->partitions_count++];
        describe_producers_response_partition_init(part->answer);
        part->answer->partition_index = index;
        struct partition *partition = topic ? topic_partition(topic, index) : NULL;
        if (partition)
            part_legs_add(&describe->legs, &part->part, topic, partition);
        else
            part_refuse(part, why);
    }
    return out->partitions != NULL;
}

static bool plan(struct describe_producers *describe, struct request *request)
{
    const struct describe_producers_request *in = &describe->in;
    size_t count = 0;
    for (int32_t i = 0; i < in->topics_count; i++)
        count += (size_t)in->topics[i].partition_indexes_count;
    bool fits = part_legs_init(&describe->legs, request);
    describe->parts = arena_new(&request->arena, struct producers_part, count);
    describe_producers_response_init(&describe->reply);
    describe->reply.topics =
        arena_new(&request->arena, struct describe_producers_response_topic, (size_t)in->topics_count);
    fits = fits && describe->parts && describe->reply.topics;
    for (int32_t i = 0; i < in->topics_count && fits; i++)
        fits = topic_plan(describe, &in->topics[i], &describe->reply.topics[describe->reply.topics_count++]);
    return fits;
}

void handle_describe_producers(struct request *request)
{
    struct describe_producers *describe = arena_new(&request->arena, struct describe_producers, 1);
    if (!describe) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, describe_producers_request_decode(&describe->in, &request->body, &request->arena,
                                                                    request->version)))
        return;
    describe->legs.look = part_look;
    describe->legs.done = legs_on_done;
    if (plan(describe, request))
        part_legs_go(&describe->legs);
    else
        request_too_large(request);
}
