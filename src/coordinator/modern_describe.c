/* ConsumerGroupDescribe. */
#include "coordinator/modern.h"

enum member_type { MEMBER_CLASSIC = 0, MEMBER_CONSUMER = 1 };

/* Null stays null. */
static bool copy_text(struct group_call *call, struct odk_str text, struct odk_str *ret)
{
    *ret = call_text(call, text);
    return !text.data || ret->data;
}

static bool describe_set(const struct modern *modern, struct group_call *call, const struct tp_set *set,
                         struct consumer_group_describe_response_assignment *ret)
{
    const struct groups_env *env = &modern_groups(modern)->env;
    int32_t count;
    struct tp_run *runs = tp_runs(set, call->arena, &count);
    ret->topic_partitions =
        arena_new(call->arena, struct consumer_group_describe_response_topic_partitions, (size_t)count);
    if (!runs || !ret->topic_partitions)
        return false;
    for (int32_t i = 0; i < count; i++) {
        struct group_topic topic;
        if (!env->topic_by_id(env->context, runs[i].topic, &topic))
            continue; /* it has been deleted: it has no name any longer */
        struct consumer_group_describe_response_topic_partitions *to =
            &ret->topic_partitions[ret->topic_partitions_count++];
        to->topic_id = runs[i].topic;
        to->partitions = runs[i].partitions;
        to->partitions_count = runs[i].count;
        if (!copy_text(call, topic.name, &to->topic_name))
            return false;
    }
    return true;
}

static bool describe_names(struct group_call *call, const struct consumer_group_member_metadata_value *told,
                           struct consumer_group_describe_response_member *ret)
{
    int32_t count = told->subscribed_topic_names_count;
    ret->subscribed_topic_names = arena_new(call->arena, struct odk_str, (size_t)count);
    if (!ret->subscribed_topic_names)
        return false;
    ret->subscribed_topic_names_count = count;
    for (int32_t i = 0; i < count; i++)
        if (!copy_text(call, told->subscribed_topic_names[i], &ret->subscribed_topic_names[i]))
            return false;
    return true;
}

static bool describe_member(const struct modern_member *member, struct group_call *call,
                            struct consumer_group_describe_response_member *ret)
{
    const struct consumer_group_member_metadata_value *told = member->told;
    consumer_group_describe_response_member_init(ret);
    ret->member_epoch = member->epoch;
    ret->member_type = modern_member_is_classic(member) ? MEMBER_CLASSIC : MEMBER_CONSUMER;
    return copy_text(call, modern_member_id(member), &ret->member_id) &&
           copy_text(call, told->instance_id, &ret->instance_id) && copy_text(call, told->rack_id, &ret->rack_id) &&
           copy_text(call, told->client_id, &ret->client_id) && copy_text(call, told->client_host, &ret->client_host) &&
           copy_text(call, told->subscribed_topic_regex, &ret->subscribed_topic_regex) &&
           describe_names(call, told, ret) && describe_set(member->modern, call, &member->assigned, &ret->assignment) &&
           describe_set(member->modern, call, &member->target, &ret->target_assignment);
}

static bool describe(const struct group *group, struct group_call *call)
{
    const struct modern *modern = group->modern;
    struct consumer_group_describe_response_group *out = call->out;
    out->group_state = odk_str_from(modern_state(group));
    out->group_epoch = modern->epoch;
    out->assignment_epoch = modern->target_epoch;
    out->assignor_name = group_assignor_name(modern_assignor(modern));
    out->members =
        arena_new(call->arena, struct consumer_group_describe_response_member, HASH_CNT(by_id, modern->members));
    if (!out->members || !copy_text(call, group_id(group), &out->group_id))
        return false;
    for (const struct modern_member *member = modern->members; member; member = member->by_id.next)
        if (!describe_member(member, call, &out->members[out->members_count++]))
            return false;
    return true;
}

void modern_describe(const struct group *group, struct group_call *call)
{
    if (!describe(group, call))
        group_call_refuse(call, KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(group->groups, call);
}
