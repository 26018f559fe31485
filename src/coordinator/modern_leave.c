/* How members of a newer group go: by themselves, for a while, by a timeout, or replaced. */
#include "coordinator/modern.h"

#include "coordinator/modern_migrate.h"

void modern_touch(struct modern_member *member)
{
    struct groups *groups = modern_groups(member->modern);
    struct group_settings settings;
    groups->env.settings(groups->env.context, group_id(member->modern->group), &settings);
    int32_t timeout_ms = modern_member_is_classic(member) ? member->told->classic_member_metadata->session_timeout_ms
                                                          : settings.session_timeout_ms;
    timer_arm(groups->env.timers, &member->session, groups_deadline(groups, timeout_ms));
}

struct modern_member *modern_replace(struct modern_member *old, struct odk_str new_id)
{
    struct modern *modern = old->modern;
    struct tp_set target = tp_copy(&old->target, modern_scratch(modern));
    struct modern_current current = { .state = MODERN_STABLE };
    current.assigned = tp_copy(&old->assigned, modern_scratch(modern));
    struct modern_member *member = modern_put_told(modern, new_id, old->told);
    modern_drop_member(old);
    modern_put_target(member, &target);
    modern_put_current(member, &current);
    return member;
}

void modern_fence(struct group *group, struct modern_member *const *members, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        modern_drop_member(members[i]);
    if (modern_downgrade(group, MODERN_DOWNGRADE_REBALANCE))
        return;
    modern_regexes_tidy(group->modern);
    modern_bump(group->modern);
}

static void fence_by_timer(struct modern_member *member, const char *why)
{
    struct group *group = member->modern->group;
    groups_say(group, why, modern_member_id(member));
    modern_fence(group, &member, 1);
    groups_flush(group->groups);
}

void modern_session_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    fence_by_timer(container_of(timer, struct modern_member, session), "a member is gone: its session has ended");
}

void modern_progress_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    fence_by_timer(container_of(timer, struct modern_member, progress), "a member is gone: it did not follow in time");
}

/* -- by heartbeat ------------------------------------------------------------------------------------------------- */

/* NULL: refused. */
static struct modern_member *leaver(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    struct modern_member *member = in->instance_id.data ? modern_member_find_instance(group->modern, in->instance_id)
                                                        : modern_member_find(group->modern, in->member_id);
    if (!member) {
        modern_refuse(group, call, KAFKA_UNKNOWN_MEMBER_ID, "the group has no member %.*s",
                      ODK_STR_FMT(in->instance_id.data ? in->instance_id : in->member_id));
        return NULL;
    }
    if (!odk_str_eq(modern_member_id(member), in->member_id)) {
        modern_refuse(group, call, KAFKA_FENCED_INSTANCE_ID, "the instance id %.*s belongs to member %.*s now",
                      ODK_STR_FMT(in->instance_id), ODK_STR_FMT(modern_member_id(member)));
        return NULL;
    }
    return member;
}

/* Its place is kept while its session lasts; what it had to give up it has given up. */
static void go_away(struct modern_member *member)
{
    struct groups *groups = modern_groups(member->modern);
    struct modern_current current = { .epoch = MODERN_EPOCH_AWAY,
                                      .previous_epoch = member->previous_epoch,
                                      .state = MODERN_STABLE,
                                      .assigned = member->assigned };
    modern_put_current(member, &current);
    timer_cancel(groups->env.timers, &member->progress);
    modern_touch(member);
}

void modern_leave_beat(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    struct consumer_group_heartbeat_response *out = call->out;
    if (!group->modern) {
        modern_refuse(group, call, KAFKA_GROUP_ID_NOT_FOUND, "there is no consumer group %.*s",
                      ODK_STR_FMT(group_id(group)));
        return;
    }
    struct modern_member *member = leaver(group, call);
    if (!member)
        return;
    if (in->member_epoch == MODERN_EPOCH_AWAY)
        go_away(member);
    else
        modern_fence(group, &member, 1);
    out->member_id = in->member_id;
    out->member_epoch = in->member_epoch;
    groups_answer(group->groups, call);
}
