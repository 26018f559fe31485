/*
 * DeleteRecords: the start of a partition moves up; answered when that is durable. Source: KIP-107; Kafka's
 * Partition.deleteRecordsOnLeader for the rules.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/part_legs.h"

#define UP_TO_THE_END (-1)

struct delete_part {
    struct part part;
    int64_t offset; /* asked */
    struct delete_records_response_partition *answer;
};

struct delete_records {
    struct part_legs legs;
    struct delete_records_request in;
    struct delete_records_response reply;
};

/* -- owner -------------------------------------------------------------------------------------------------------- */

static void refuse(struct delete_part *part, int16_t error_code)
{
    part->answer->error_code = error_code;
    part->answer->low_watermark = -1;
}

static void part_on_trimmed(void *context, enum odk_err err)
{
    struct delete_part *part = context;
    if (err == ODK_ERR_CLOSED)
        refuse(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    else if (err != ODK_OK)
        refuse(part, err == ODK_ERR_RANGE ? KAFKA_OFFSET_OUT_OF_RANGE : (int16_t)kafka_error_of(err));
    part_end(&part->part);
}

static bool is_deletable(uint8_t cleanup_policy)
{
    return (cleanup_policy & TOPIC_CLEANUP_DELETE) || !(cleanup_policy & TOPIC_CLEANUP_COMPACT);
}

static void part_look(struct part *base, struct partition *partition, struct broker *at)
{
    struct delete_part *part = container_of(base, struct delete_part, part);
    int16_t error_code = part_check(partition, -1, at);
    if (error_code != KAFKA_NONE) {
        refuse(part, error_code);
        return;
    }
    int64_t start = odk_log_start_offset(partition->log), end = odk_log_end_offset(partition->log);
    int64_t offset = part->offset == UP_TO_THE_END ? end : part->offset;
    if (start < 0 || end < 0) {
        refuse(part, KAFKA_KAFKA_STORAGE_ERROR);
    } else if (!is_deletable(partition->topic->config.cleanup_policy)) {
        refuse(part, KAFKA_POLICY_VIOLATION);
    } else if (offset < 0 || offset > end) {
        refuse(part, KAFKA_OFFSET_OUT_OF_RANGE);
    } else {
        part->answer->low_watermark = MAX(start, offset);
        part_wait(base);
        odk_log_trim(partition->log, offset, part_on_trimmed, part);
    }
}

/* -- home --------------------------------------------------------------------------------------------------------- */

static void delete_reply(struct part_legs *legs)
{
    struct delete_records *delete = container_of(legs, struct delete_records, legs);
    struct request *request = legs->request;
    request_reply(request,
                  delete_records_response_encode(&delete->reply, request_reply_begin(request), request->version));
}

static void part_place(struct delete_records *delete, struct delete_part *part, struct odk_str name, int32_t index)
{
    struct topic *topic = topics_by_name(&delete->legs.request->broker->topics, name);
    struct partition *partition = topic ? topic_partition(topic, index) : NULL;
    if (!partition)
        refuse(part, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    else if (topic->internal)
        refuse(part, KAFKA_INVALID_TOPIC_EXCEPTION);
    else
        part_legs_add(&delete->legs, &part->part, topic, partition);
}

/* False: no memory. */
static bool topic_plan(struct delete_records *delete, const struct delete_records_request_topic *in,
                       struct delete_records_response_topic *out)
{
    struct arena *arena = &delete->legs.request->arena;
    struct delete_part *parts = arena_new(arena, struct delete_part, (size_t)in->partitions_count);
    out->name = in->name;
    out->partitions = arena_new(arena, struct delete_records_response_partition, (size_t)in->partitions_count);
    if (!parts || !out->partitions)
        return false;
    for (int32_t i = 0; i < in->partitions_count; i++) {
        struct delete_part *part = &parts[i];
        part->offset = in->partitions[i].offset;
        part->answer = &out->partitions[out->partitions_count++];
        delete_records_response_partition_init(part->answer);
        part->answer->partition_index = in->partitions[i].partition_index;
        part_place(delete, part, in->name, in->partitions[i].partition_index);
    }
    return true;
}

static bool plan(struct delete_records *delete, struct request *request)
{
    const struct delete_records_request *in = &delete->in;
    bool fits = part_legs_init(&delete->legs, request);
    delete_records_response_init(&delete->reply);
    delete->reply.topics = arena_new(&request->arena, struct delete_records_response_topic, (size_t)in->topics_count);
    fits = fits && delete->reply.topics;
    for (int32_t i = 0; i < in->topics_count && fits; i++)
        fits = topic_plan(delete, &in->topics[i], &delete->reply.topics[delete->reply.topics_count++]);
    return fits;
}

void handle_delete_records(struct request *request)
{
    struct delete_records *delete = arena_new(&request->arena, struct delete_records, 1);
    if (!delete) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         delete_records_request_decode(&delete->in, &request->body, &request->arena, request->version)))
        return;
    delete->legs.look = part_look;
    delete->legs.done = delete_reply;
    if (plan(delete, request))
        part_legs_go(&delete->legs);
    else
        request_too_large(request);
}
