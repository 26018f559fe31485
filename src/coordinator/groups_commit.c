/*
 * OffsetCommit and OffsetDelete.
 *
 * Partitions that do not exist get their own error; the others share the group's verdict, and only if there are others
 * is the group asked at all, as Kafka does it.
 *
 * Source: KIP-211 (expiry), 320 (leader epoch), 345, 496 (OffsetDelete), 848; Kafka's KafkaApis and
 * OffsetMetadataManager.
 */
#include "base/limits.h"
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

/* From here on topics have ids and no names. */
#define COMMIT_VERSION_TOPIC_IDS 10
/* From here on a group that is not there has an error of its own. */
#define COMMIT_VERSION_GROUP_ID_NOT_FOUND 9
#define RETENTION_DEFAULT                 (-1)
/* What one offset takes in the log besides its texts. */
#define COMMIT_FACT_BYTES 40u

static bool topic_resolve(const struct groups *groups, const struct group_call *call,
                          const struct offset_commit_request_topic *asked, struct group_topic *ret)
{
    const struct groups_env *env = &groups->env;
    return call->version >= COMMIT_VERSION_TOPIC_IDS ? env->topic_by_id(env->context, asked->topic_id, ret)
                                                     : env->topic_by_name(env->context, asked->name, ret);
}

/* Marks what does not exist. Returns how many partitions are left. */
static uint32_t commit_unknown(const struct groups *groups, struct group_call *call)
{
    const struct offset_commit_request *in = call->in;
    struct offset_commit_response *out = call->out;
    uint32_t left = 0;
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct group_topic topic = { 0 };
        bool known = topic_resolve(groups, call, &in->topics[i], &topic);
        bool id_unknown = !known && call->version >= COMMIT_VERSION_TOPIC_IDS;
        for (int32_t j = 0; j < in->topics[i].partitions_count; j++) {
            int32_t partition = in->topics[i].partitions[j].partition_index;
            bool there = known && partition >= 0 && partition < topic.partition_count;
            if (!there)
                out->topics[i].partitions[j].error_code =
                    id_unknown ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            left += there;
        }
    }
    return left;
}

/* May this call commit? Then ret_group is the group, made if need be. */
static enum kafka_error commit_check(struct groups *groups, const struct group_call *call, struct group **ret_group)
{
    const struct offset_commit_request *in = call->in;
    int32_t generation = in->generation_id_or_member_epoch;
    struct group *group = groups_find(groups, in->group_id);
    if (!group && generation >= 0)
        return call->version >= COMMIT_VERSION_GROUP_ID_NOT_FOUND ? KAFKA_GROUP_ID_NOT_FOUND : KAFKA_ILLEGAL_GENERATION;
    enum kafka_error error = KAFKA_NONE;
    if (!group)
        error = groups_room(groups, in->group_id);
    else if (group->modern)
        error = modern_commit_check(group, call, in->member_id, in->group_instance_id, generation);
    else
        error = classic_commit_check(group, call, in->member_id, in->group_instance_id, generation);
    if (error == KAFKA_NONE)
        *ret_group = groups_take(groups, in->group_id);
    return error;
}

/* Characters as Java counts them: UTF-16 units. */
static size_t java_length(struct odk_str text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];
        units += (c & 0xc0) != 0x80;
        units += c >= 0xf0;
    }
    return units;
}

static bool metadata_too_large(const struct groups *groups, struct odk_str metadata)
{
    return metadata.len > INT16_MAX || java_length(metadata) > (size_t)groups->env.config->offset_metadata_bytes_max;
}

/* Is there room for this offset? One that takes the place of another, with no more text, needs none. */
static bool commit_room(struct group *group, struct odk_str topic, const struct offset_commit_request_partition *asked)
{
    size_t len = asked->committed_metadata.len;
    const struct offsets_topic *facts = offsets_topic_find(&group->offsets, topic);
    const struct offset_fact *before = facts ? offsets_topic_fact(facts, asked->partition_index) : NULL;
    if (before && len <= before->metadata.len)
        return true;
    return group->offsets.metadata_bytes + len <= GROUP_OFFSET_METADATA_BYTES_MAX && !groups_full(group->groups);
}

static void commit_one(struct group *group, const struct offset_commit_request *in, struct odk_str topic,
                       const struct offset_commit_request_partition *asked)
{
    int64_t now_ms = *group->groups->env.wall_ms;
    struct offset_fact fact = {
        .offset = asked->committed_offset,
        .leader_epoch = MAX(asked->committed_leader_epoch, -1),
        .metadata = asked->committed_metadata,
        .commit_ms = asked->commit_timestamp == -1 ? now_ms : asked->commit_timestamp,
        .expire_ms = -1,
    };
    if (in->retention_time_ms != RETENTION_DEFAULT &&
        __builtin_add_overflow(now_ms, in->retention_time_ms, &fact.expire_ms))
        fact.expire_ms = INT64_MAX;
    group_offset_set(group, topic, asked->partition_index, &fact);
}

static void commit_all(struct group *group, struct group_call *call)
{
    const struct offset_commit_request *in = call->in;
    struct offset_commit_response *out = call->out;
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct group_topic topic;
        if (!topic_resolve(group->groups, call, &in->topics[i], &topic))
            continue;
        for (int32_t j = 0; j < in->topics[i].partitions_count; j++) {
            const struct offset_commit_request_partition *asked = &in->topics[i].partitions[j];
            int16_t *error = &out->topics[i].partitions[j].error_code;
            if (*error != KAFKA_NONE)
                continue;
            if (metadata_too_large(group->groups, asked->committed_metadata))
                *error = KAFKA_OFFSET_METADATA_TOO_LARGE;
            else if (!commit_room(group, topic.name, asked))
                *error = KAFKA_INVALID_COMMIT_OFFSET_SIZE;
            else
                commit_one(group, in, topic.name, asked);
        }
    }
}

static size_t commit_bytes(const struct group_call *call)
{
    const struct offset_commit_request *in = call->in;
    size_t bytes = 0;
    for (int32_t i = 0; i < in->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &in->topics[i];
        size_t name = call->version >= COMMIT_VERSION_TOPIC_IDS ? TOPIC_NAME_BYTES_MAX : topic->name.len;
        for (int32_t j = 0; j < topic->partitions_count; j++)
            bytes += COMMIT_FACT_BYTES + in->group_id.len + name + topic->partitions[j].committed_metadata.len;
    }
    return bytes;
}

void groups_call_commit(struct groups *groups, struct group_call *call)
{
    if (call_commit_begin(call) && commit_unknown(groups, call) > 0) {
        struct group *group = NULL;
        enum kafka_error error = commit_bytes(call) > GROUP_COMMIT_BYTES_MAX ? KAFKA_INVALID_COMMIT_OFFSET_SIZE
                                                                             : commit_check(groups, call, &group);
        if (error != KAFKA_NONE)
            call_commit_error(call, error);
        else
            commit_all(group, call);
        if (group)
            groups_tidy(group);
    }
    groups_answer(groups, call);
}

/* -- OffsetDelete ------------------------------------------------------------------------------------------------- */

/* Makes the answer and marks what does not exist. Returns how many partitions are left; -1: no memory. */
static int64_t delete_begin(const struct groups *groups, struct group_call *call)
{
    const struct offset_delete_request *in = call->in;
    struct offset_delete_response *out = call->out;
    int64_t left = 0;
    out->topics = arena_new(call->arena, struct offset_delete_response_topic, (size_t)in->topics_count);
    out->topics_count = out->topics ? in->topics_count : 0;
    for (int32_t i = 0; i < out->topics_count; i++) {
        const struct offset_delete_request_topic *asked = &in->topics[i];
        struct offset_delete_response_topic *topic = &out->topics[i];
        struct group_topic known = { 0 };
        (void)groups->env.topic_by_name(groups->env.context, asked->name, &known);
        topic->name = asked->name;
        topic->partitions =
            arena_new(call->arena, struct offset_delete_response_partition, (size_t)asked->partitions_count);
        if (!topic->partitions)
            return -1;
        topic->partitions_count = asked->partitions_count;
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            int32_t partition = asked->partitions[j].partition_index;
            bool there = partition >= 0 && partition < known.partition_count;
            topic->partitions[j].partition_index = partition;
            topic->partitions[j].error_code = there ? KAFKA_NONE : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            left += there;
        }
    }
    return out->topics ? left : -1;
}

/* Offsets of a group that lives can only be deleted where it is known who reads what. */
static enum kafka_error delete_check(const struct group *group)
{
    if (!group)
        return KAFKA_GROUP_ID_NOT_FOUND;
    bool readable = group->modern || odk_str_eq(group_protocol_type(group), ODK_STR("consumer"));
    return group_empty(group) || readable ? KAFKA_NONE : KAFKA_NON_EMPTY_GROUP;
}

static void delete_all(struct group *group, struct offset_delete_response *out)
{
    for (int32_t i = 0; i < out->topics_count; i++) {
        struct offset_delete_response_topic *topic = &out->topics[i];
        bool subscribed = group_subscribed(group, topic->name);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct offset_delete_response_partition *partition = &topic->partitions[j];
            const struct offsets_topic *facts = offsets_topic_find(&group->offsets, topic->name);
            if (partition->error_code != KAFKA_NONE)
                continue;
            if (subscribed)
                partition->error_code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
            else if (facts && offsets_topic_fact(facts, partition->partition_index))
                group_offset_set(group, topic->name, partition->partition_index, NULL);
        }
        groups_flush_if_large(group->groups);
    }
}

void groups_call_offset_delete(struct groups *groups, struct group_call *call)
{
    const struct offset_delete_request *in = call->in;
    if (in->group_id.len == 0) {
        groups_refuse(groups, call, KAFKA_INVALID_GROUP_ID);
        return;
    }
    int64_t left = delete_begin(groups, call);
    struct group *group = groups_find(groups, in->group_id);
    enum kafka_error error = left < 0 ? KAFKA_UNKNOWN_SERVER_ERROR : left == 0 ? KAFKA_NONE : delete_check(group);
    if (error != KAFKA_NONE) {
        groups_refuse(groups, call, error);
        return;
    }
    if (left > 0) {
        delete_all(group, call->out);
        groups_tidy(group);
    }
    groups_answer(groups, call);
}
