/*
 * ListOffsets: which offset belongs to a time or to a named place. A search by time may wait for the device. Source:
 * protocol guide; KIP-79, KIP-320, KIP-734. Version 0, gone from Kafka 4, is kept for old programs; see decision 0010.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/part_legs.h"

enum place {
    PLACE_LATEST = -1,
    PLACE_EARLIEST = -2,
    PLACE_MAX_TIMESTAMP = -3,
    PLACE_EARLIEST_LOCAL = -4,
    PLACE_LATEST_TIERED = -5,
    PLACE_EARLIEST_PENDING_UPLOAD = -6,
};

struct list_part {
    struct part part;
    struct odk_find_time find;
    struct odk_log *log;
    int64_t start; /* of the log */
    int64_t list[2];
    bool end_for_none; /* a time behind all records means the end: version 0 asks what was written before it */
    const struct list_offsets_request_partition *asked;
    struct list_offsets_response_partition *answer;
};

struct list_offsets {
    struct part_legs legs;
    struct request *request;
    struct list_offsets_request in;
    struct list_offsets_response reply;
    struct list_part *parts;
    uint32_t *seen; /* open hash table: part index + 1, 0 = free */
    uint32_t seen_mask;
    uint32_t part_count;
};

/* -- home -----------------------------------------------------------------------------------------------------------
 */

static int16_t place_first_version(int64_t timestamp)
{
    switch (timestamp) {
    case PLACE_LATEST:
    case PLACE_EARLIEST: return 0;
    case PLACE_MAX_TIMESTAMP: return 7;
    case PLACE_EARLIEST_LOCAL: return 8;
    case PLACE_LATEST_TIERED: return 9;
    case PLACE_EARLIEST_PENDING_UPLOAD: return 11;
    default: return timestamp >= 0 ? 0 : INT16_MAX;
    }
}

static bool memory_take(struct list_offsets *list)
{
    struct arena *arena = &list->request->arena;
    const struct list_offsets_request *in = &list->in;
    for (int32_t t = 0; t < in->topics_count; t++)
        list->part_count += (uint32_t)in->topics[t].partitions_count;
    uint32_t slots = 4;
    while (slots < 2 * list->part_count)
        slots *= 2;
    list->seen_mask = slots - 1;
    list->seen = arena_new(arena, uint32_t, slots);
    list->parts = arena_new(arena, struct list_part, list->part_count);
    list->reply.topics = arena_new(arena, struct list_offsets_response_topic, (size_t)in->topics_count);
    return list->seen && list->parts && list->reply.topics && part_legs_init(&list->legs, list->request);
}

/* The part before this one that asks for the same partition, or NULL; remembers this one. */
static struct list_part *duplicate_of(struct list_offsets *list, struct list_part *part, const struct topic *topic)
{
    uint32_t hash = (uint32_t)part->asked->partition_index * 0x9E3779B1u;
    for (size_t i = 0; i < sizeof(topic->id.b); i++)
        hash = (hash ^ topic->id.b[i]) * 0x01000193u;
    for (uint32_t slot = hash & list->seen_mask;; slot = (slot + 1) & list->seen_mask) {
        if (list->seen[slot] == 0) {
            list->seen[slot] = (uint32_t)(part - list->parts) + 1;
            return NULL;
        }
        struct list_part *other = &list->parts[list->seen[slot] - 1];
        if (other->asked->partition_index == part->asked->partition_index &&
            odk_uuid_eq(other->part.topic_id, topic->id))
            return other;
    }
}

static void part_place(struct list_offsets *list, struct list_part *part, struct odk_str name)
{
    struct topic *topic = topics_by_name(&list->request->broker->topics, name);
    struct partition *partition = topic ? topic_partition(topic, part->asked->partition_index) : NULL;
    if (!partition) {
        part->answer->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    part->part.topic_id = topic->id;
    struct list_part *other = duplicate_of(list, part, topic);
    if (other) {
        other->answer->error_code = KAFKA_INVALID_REQUEST;
        part->answer->error_code = KAFKA_INVALID_REQUEST;
        return;
    }
    if (list->request->version < place_first_version(part->asked->timestamp)) {
        part->answer->error_code = KAFKA_UNSUPPORTED_VERSION;
        return;
    }
    part_legs_add(&list->legs, &part->part, topic, partition);
}

static bool plan(struct list_offsets *list)
{
    struct list_part *part = list->parts;
    for (int32_t t = 0; t < list->in.topics_count; t++) {
        const struct list_offsets_request_topic *topic = &list->in.topics[t];
        struct list_offsets_response_topic *out = &list->reply.topics[list->reply.topics_count++];
        size_t count = (size_t)topic->partitions_count;
        out->name = topic->name;
        out->partitions = arena_new(&list->request->arena, struct list_offsets_response_partition, count);
        out->partitions_count = topic->partitions_count;
        if (!out->partitions)
            return false;
        for (int32_t p = 0; p < topic->partitions_count; p++, part++) {
            part->asked = &topic->partitions[p];
            part->answer = &out->partitions[p];
            part->end_for_none = list->request->version == 0;
            list_offsets_response_partition_init(part->answer);
            part->answer->partition_index = part->asked->partition_index;
            part_place(list, part, topic->name);
        }
    }
    return true;
}

/* Version 0 answers with a list, newest first: the one offset that the later versions name, then the start of the log. */
static void offsets_as_list(struct list_part *part)
{
    struct list_offsets_response_partition *answer = part->answer;
    int32_t count = answer->error_code == KAFKA_NONE && answer->offset >= 0 ? 1 : 0;
    part->list[0] = answer->offset;
    if (count > 0 && part->start < answer->offset)
        part->list[count++] = part->start;
    answer->old_style_offsets = part->list;
    answer->old_style_offsets_count = MAX(MIN(count, part->asked->max_num_offsets), 0);
}

static void list_reply(struct part_legs *legs)
{
    struct list_offsets *list = container_of(legs, struct list_offsets, legs);
    struct request *request = list->request;
    for (uint32_t i = 0; request->version == 0 && i < list->part_count; i++)
        offsets_as_list(&list->parts[i]);
    request_reply(request, list_offsets_response_encode(&list->reply, request_reply_begin(request), request->version));
}

static void part_look(struct part *base, struct partition *partition, struct broker *at);

void handle_list_offsets(struct request *request)
{
    struct list_offsets *list = arena_new(&request->arena, struct list_offsets, 1);
    if (!list) {
        request_too_large(request);
        return;
    }
    list->request = request;
    if (!request_decoded(request,
                         list_offsets_request_decode(&list->in, &request->body, &request->arena, request->version)))
        return;
    if (!memory_take(list) || !plan(list)) {
        request_too_large(request);
        return;
    }
    list->legs.look = part_look;
    list->legs.done = list_reply;
    part_legs_go(&list->legs);
}

/* -- owner ----------------------------------------------------------------------------------------------------------
 */

static void answer_set(struct list_part *part, int64_t offset, int64_t timestamp, int32_t epoch)
{
    part->answer->offset = offset;
    part->answer->timestamp = timestamp;
    part->answer->leader_epoch = epoch;
}

static void find_account(struct list_part *part, enum odk_err err)
{
    if (err == ODK_ERR_CLOSED)
        part->answer->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else if (err != ODK_OK)
        part->answer->error_code = (int16_t)kafka_error_of(err);
    else if (part->find.ret_offset >= 0)
        answer_set(part, part->find.ret_offset, part->find.ret_timestamp,
                   odk_log_epoch_of(part->log, part->find.ret_offset));
    else if (part->end_for_none)
        answer_set(part, odk_log_end_offset(part->log), -1, -1);
}

static void part_on_found(struct odk_find_time *find, enum odk_err err)
{
    struct list_part *part = container_of(find, struct list_part, find);
    find_account(part, err);
    part_end(&part->part);
}

static void part_find(struct list_part *part)
{
    part->find.timestamp = MAX(part->asked->timestamp, 0);
    part->find.max = part->asked->timestamp == PLACE_MAX_TIMESTAMP;
    part->find.done = part_on_found;
    enum odk_err err = odk_log_find_time(part->log, &part->find);
    if (err == ODK_ERR_PENDING)
        part_wait(&part->part);
    else
        find_account(part, err);
}

static void part_look(struct part *base, struct partition *partition, struct broker *at)
{
    struct list_part *part = container_of(base, struct list_part, part);
    if (part->answer->error_code != KAFKA_NONE)
        return; /* its duplicate was found later */
    part->answer->error_code = part_check(partition, part->asked->current_leader_epoch, at);
    if (part->answer->error_code != KAFKA_NONE)
        return;
    struct odk_log *log = partition->log;
    part->log = log;
    if (odk_log_end_offset(log) < 0 || odk_log_start_offset(log) < 0) {
        part->answer->error_code = KAFKA_KAFKA_STORAGE_ERROR;
        return;
    }
    part->start = odk_log_start_offset(log);
    switch (part->asked->timestamp) {
    case PLACE_LATEST: /* nothing is ever open: the last stable offset is the end */
        answer_set(part, odk_log_end_offset(log), -1, odk_log_epoch(log));
        break;
    case PLACE_EARLIEST:
    case PLACE_EARLIEST_LOCAL:
        answer_set(part, odk_log_start_offset(log), -1, odk_log_epoch_of(log, odk_log_start_offset(log)));
        break;
    case PLACE_LATEST_TIERED:
    case PLACE_EARLIEST_PENDING_UPLOAD: break; /* no other tier: there is no such offset */
    default: part_find(part); break;
    }
}
