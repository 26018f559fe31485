/* The face that a newer group shows to the registry. */
#include "coordinator/modern.h"

const char *modern_state(const struct group *group)
{
    const struct modern *modern = group->modern;
    if (!modern->members)
        return "Empty";
    if (modern->epoch > modern->target_epoch)
        return "Assigning";
    for (const struct modern_member *member = modern->members; member; member = member->by_id.next)
        if (member->state != MODERN_STABLE || member->epoch != modern->target_epoch)
            return "Reconciling";
    return "Stable";
}

bool modern_empty(const struct group *group)
{
    return group->modern->members == NULL;
}

uint32_t modern_member_count(const struct group *group)
{
    return HASH_CNT(by_id, group->modern->members);
}

bool modern_cancel(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    return false; /* no call waits here */
}

void modern_tidy(struct group *group)
{
    if (!group->modern || group->modern->epoch > 0 || group->modern->members)
        return;
    modern_free(group->modern, KAFKA_NONE);
    group->modern = NULL;
}

/* -- start -------------------------------------------------------------------------------------------------------- */

static bool owns_all(const struct modern_member *member, const struct tp_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (modern_owner(member->modern, set->at[i].topic, set->at[i].partition) != member)
            return false;
    return true;
}

/* A log that is not ours may leave something of a member that is gone, or let two own the same; there is no way on from
 * there but to join again. True if anybody was dropped. */
static bool drop_broken(struct modern *modern)
{
    bool any = false;
    struct modern_member *member, *next;
    HASH_ITER(by_id, modern->members, member, next)
    {
        if (member->told && owns_all(member, &member->assigned) && owns_all(member, &member->revoking))
            continue;
        modern_drop_member(member);
        any = true;
    }
    return any;
}

static void timers_begin(struct modern_member *member)
{
    struct groups *groups = modern_groups(member->modern);
    modern_touch(member);
    if (member->state == MODERN_UNREVOKED && !modern_member_is_classic(member))
        timer_arm(groups->env.timers, &member->progress, groups_deadline(groups, member->told->rebalance_timeout_ms));
}

void modern_loaded(struct group *group)
{
    struct modern *modern = group->modern;
    if (drop_broken(modern))
        modern_bump(modern);
    modern_topics_loaded(modern);
    modern_retarget(modern);
    for (struct modern_member *member = modern->members; member; member = member->by_id.next)
        timers_begin(member);
    modern_tidy(group);
}

/* -- offsets ------------------------------------------------------------------------------------------------------ */

enum kafka_error modern_fetch_check(struct group *group, struct odk_str member_id, int32_t epoch)
{
    if (member_id.len == 0 && epoch < 0)
        return KAFKA_NONE;
    const struct modern_member *member = modern_member_find(group->modern, member_id);
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (epoch == member->epoch)
        return KAFKA_NONE;
    return modern_member_is_classic(member) ? KAFKA_ILLEGAL_GENERATION : KAFKA_STALE_MEMBER_EPOCH;
}

/* Since when does the member own this partition? False: it does not. */
static bool owned_since(const struct modern_member *member, struct odk_uuid topic, int32_t partition,
                        int32_t *ret_epoch)
{
    const struct tp *tp = tp_find(&member->assigned, topic, partition);
    if (!tp)
        tp = tp_find(&member->revoking, topic, partition);
    if (!tp)
        return false;
    *ret_epoch = tp->epoch;
    return true;
}

/* A member that has not heard of its newest epoch yet may commit what was its own already in the epoch that it says. */
static bool all_owned_since(const struct modern_member *member, const struct offset_commit_request *in, int16_t version,
                            int32_t epoch)
{
    const struct groups_env *env = &modern_groups(member->modern)->env;
    for (int32_t i = 0; i < in->topics_count; i++) {
        struct group_topic topic = { .id = in->topics[i].topic_id };
        if (version < 10 && !env->topic_by_name(env->context, in->topics[i].name, &topic))
            return false;
        for (int32_t j = 0; j < in->topics[i].partitions_count; j++) {
            int32_t since;
            if (!owned_since(member, topic.id, in->topics[i].partitions[j].partition_index, &since) || since > epoch)
                return false;
        }
    }
    return true;
}

enum kafka_error modern_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                     struct odk_str instance_id, int32_t epoch)
{
    (void)instance_id;
    if (epoch < 0 && modern_empty(group))
        return KAFKA_NONE;
    const struct modern_member *member = modern_member_find(group->modern, member_id);
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (modern_member_is_classic(member))
        return epoch == member->epoch ? KAFKA_NONE : KAFKA_ILLEGAL_GENERATION;
    if (call->kind == GROUP_CALL_COMMIT && call->version < 9)
        return KAFKA_UNSUPPORTED_VERSION;
    if (epoch == member->epoch)
        return KAFKA_NONE;
    if (epoch > member->epoch || call->kind != GROUP_CALL_COMMIT ||
        !all_owned_since(member, call->in, call->version, epoch))
        return KAFKA_STALE_MEMBER_EPOCH;
    return KAFKA_NONE;
}
