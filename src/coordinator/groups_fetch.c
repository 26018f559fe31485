/* OffsetFetch of one group: KIP-709 for the form; -1 and no error where nothing is committed. */
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

/* From here on members of the newer protocol say who they are, and are checked. */
#define FETCH_VERSION_MEMBER_EPOCH 9
/* From here on topics have ids and no names. */
#define FETCH_VERSION_TOPIC_IDS 10

/* fact NULL: nothing committed. */
static bool partition_fill(struct group_call *call, struct offset_fetch_response_group_topic_partition *ret,
                           int32_t partition, const struct offset_fact *fact)
{
    *ret = (struct offset_fetch_response_group_topic_partition){
        .partition_index = partition,
        .committed_offset = -1,
        .committed_leader_epoch = -1,
        .metadata = ODK_STR(""),
    };
    if (!fact)
        return true;
    ret->committed_offset = fact->offset;
    ret->committed_leader_epoch = fact->leader_epoch;
    ret->metadata = call_text(call, fact->metadata);
    return ret->metadata.data != NULL;
}

static bool topic_begin(struct group_call *call, struct offset_fetch_response_group_topic *topic, size_t count)
{
    topic->partitions = arena_new(call->arena, struct offset_fetch_response_group_topic_partition, count);
    topic->partitions_count = (int32_t)count;
    return topic->partitions != NULL;
}

/* -- what was asked for ------------------------------------------------------------------------------------------- */

/* group NULL: nothing is committed. */
static bool fetch_topic(const struct groups *groups, const struct group *group, struct group_call *call,
                        const struct offset_fetch_request_group_topic *asked,
                        struct offset_fetch_response_group_topic *topic)
{
    struct group_topic known = { .name = asked->name };
    bool by_id = call->version >= FETCH_VERSION_TOPIC_IDS;
    bool unknown = by_id && !groups->env.topic_by_id(groups->env.context, asked->topic_id, &known);
    const struct offsets_topic *facts = group && !unknown ? offsets_topic_find(&group->offsets, known.name) : NULL;
    topic->name = asked->name;
    topic->topic_id = asked->topic_id;
    if (!topic_begin(call, topic, (size_t)asked->partition_indexes_count))
        return false;
    for (int32_t i = 0; i < asked->partition_indexes_count; i++) {
        int32_t partition = asked->partition_indexes[i];
        const struct offset_fact *fact = facts ? offsets_topic_fact(facts, partition) : NULL;
        if (!partition_fill(call, &topic->partitions[i], partition, fact))
            return false;
        if (unknown)
            topic->partitions[i].error_code = KAFKA_UNKNOWN_TOPIC_ID;
    }
    return true;
}

static bool fetch_asked(const struct groups *groups, const struct group *group, struct group_call *call)
{
    const struct offset_fetch_request_group *in = call->in;
    struct offset_fetch_response_group *out = call->out;
    out->topics = arena_new(call->arena, struct offset_fetch_response_group_topic, (size_t)in->topics_count);
    if (!out->topics)
        return false;
    out->topics_count = in->topics_count;
    for (int32_t i = 0; i < in->topics_count; i++)
        if (!fetch_topic(groups, group, call, &in->topics[i], &out->topics[i]))
            return false;
    return true;
}

/* -- everything --------------------------------------------------------------------------------------------------- */

static bool fetch_all_of(struct group_call *call, const struct offsets_topic *facts,
                         struct offset_fetch_response_group_topic *topic)
{
    topic->name = call_text(call, offsets_topic_name(facts));
    if (!topic->name.data || !topic_begin(call, topic, (size_t)facts->count))
        return false;
    int32_t at = -1;
    for (int32_t i = 0; i < facts->count; i++) {
        at = offsets_topic_next(facts, at + 1);
        if (!partition_fill(call, &topic->partitions[i], at, offsets_topic_fact(facts, at)))
            return false;
    }
    return true;
}

/* A topic that is gone has no id any more, and is left out where topics go by id. */
static bool fetch_all(const struct groups *groups, const struct group *group, struct group_call *call)
{
    struct offset_fetch_response_group *out = call->out;
    size_t count = group ? HASH_CNT(by_name, group->offsets.by_name) : 0;
    out->topics = arena_new(call->arena, struct offset_fetch_response_group_topic, count);
    if (!out->topics)
        return false;
    out->topics_count = 0;
    const struct offsets_topic *facts = group ? group->offsets.by_name : NULL;
    for (; facts; facts = facts->by_name.next) {
        struct group_topic known = { 0 };
        bool there = groups->env.topic_by_name(groups->env.context, offsets_topic_name(facts), &known);
        if (!there && call->version >= FETCH_VERSION_TOPIC_IDS)
            continue;
        struct offset_fetch_response_group_topic *topic = &out->topics[out->topics_count++];
        topic->topic_id = known.id;
        if (!fetch_all_of(call, facts, topic))
            return false;
    }
    return true;
}

void groups_call_fetch(struct groups *groups, struct group_call *call)
{
    const struct offset_fetch_request_group *in = call->in;
    struct offset_fetch_response_group *out = call->out;
    struct group *group = groups_find(groups, in->group_id);
    enum kafka_error error = KAFKA_NONE;
    if (group && group->modern && call->version >= FETCH_VERSION_MEMBER_EPOCH)
        error = modern_fetch_check(group, in->member_id, in->member_epoch);
    out->group_id = in->group_id;
    bool done = error == KAFKA_NONE &&
                (in->topics_count < 0 ? fetch_all(groups, group, call) : fetch_asked(groups, group, call));
    if (!done)
        group_call_refuse(call, error != KAFKA_NONE ? error : KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(groups, call);
}
