/* How a member of a newer group follows the target: see modern.h. */
#include "coordinator/modern.h"

/* Those of a set whose topic exists and is subscribed to by the member. */
static struct tp_set subscribed_part(const struct modern_member *member, const struct tp_set *set)
{
    const struct groups_env *env = &modern_groups(member->modern)->env;
    struct tp_set part = { .at = tp_room(modern_scratch(member->modern), set->count) };
    for (uint32_t begin = 0, end; begin < set->count; begin = end) {
        struct group_topic topic;
        end = tp_run_end(set, begin);
        if (!env->topic_by_id(env->context, set->at[begin].topic, &topic) ||
            !modern_member_subscribes(member, topic.name))
            continue;
        for (uint32_t i = begin; i < end; i++)
            part.at[part.count++] = set->at[i];
    }
    return part;
}

/* Those that nobody else owns, with the epoch of the target. */
static struct tp_set free_part(const struct modern_member *member, const struct tp_set *set)
{
    struct tp_set part = { .at = tp_room(modern_scratch(member->modern), set->count) };
    for (uint32_t i = 0; i < set->count; i++) {
        const struct modern_member *owner = modern_owner(member->modern, set->at[i].topic, set->at[i].partition);
        if (owner && owner != member)
            continue;
        part.at[part.count] = set->at[i];
        part.at[part.count++].epoch = member->modern->target_epoch;
    }
    return part;
}

/* Does the member still hold some of these, as far as is known? */
static bool holds(const struct tp_set *owned, const struct tp_set *set)
{
    return set->count > 0 && (!owned || tp_touch(owned, set));
}

static bool same_epochs(const struct tp_set *a, const struct tp_set *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->at[i].epoch != b->at[i].epoch)
            return false;
    return true;
}

/* Makes next the member's state, unless it is so already. True when assigned is another one. */
static bool move_to(struct modern_member *member, struct modern_current *next)
{
    bool assigned_same = tp_equal(&member->assigned, &next->assigned);
    bool same = assigned_same && member->epoch == next->epoch && member->state == next->state &&
                tp_equal(&member->revoking, &next->revoking) && same_epochs(&member->assigned, &next->assigned);
    next->previous_epoch = member->epoch;
    if (!same)
        modern_put_current(member, next);
    return !assigned_same;
}

/* While it still holds what it must give up, it may come to have to give up more, but gets nothing. */
static bool revoke_more(struct modern_member *member)
{
    struct arena *scratch = modern_scratch(member->modern);
    struct modern_current next = { .epoch = member->epoch, .state = MODERN_UNREVOKED };
    next.assigned = subscribed_part(member, &member->assigned);
    struct tp_set given_up = tp_without(&member->assigned, &next.assigned, scratch);
    next.revoking = tp_union(&member->revoking, &given_up, scratch);
    return move_to(member, &next);
}

static bool advance(struct modern_member *member, const struct tp_set *owned)
{
    struct arena *scratch = modern_scratch(member->modern);
    struct tp_set wanted = subscribed_part(member, &member->target);
    struct tp_set kept = tp_both(&member->assigned, &wanted, scratch);
    struct tp_set given_up = tp_without(&member->assigned, &kept, scratch);
    struct modern_current next = { .epoch = member->epoch, .state = MODERN_UNREVOKED };
    if (holds(owned, &given_up)) {
        next.assigned = kept;
        next.revoking = given_up;
        return move_to(member, &next);
    }
    struct tp_set missing = tp_without(&wanted, &kept, scratch);
    struct tp_set gained = free_part(member, &missing);
    next.epoch = member->modern->target_epoch;
    next.state = gained.count == missing.count ? MODERN_STABLE : MODERN_UNRELEASED;
    next.assigned = tp_union(&kept, &gained, scratch);
    return move_to(member, &next);
}

static bool at_target(const struct modern_member *member)
{
    return member->state == MODERN_STABLE && member->epoch == member->modern->target_epoch;
}

/* A member of the newer protocol has so long to give up what it must; time does not begin anew when that grows. */
static void watch_progress(struct modern_member *member, bool was_revoking)
{
    struct groups *groups = modern_groups(member->modern);
    if (modern_member_is_classic(member))
        return;
    if (member->state != MODERN_UNREVOKED)
        timer_cancel(groups->env.timers, &member->progress);
    else if (!was_revoking)
        timer_arm(groups->env.timers, &member->progress, groups_deadline(groups, member->told->rebalance_timeout_ms));
}

bool modern_reconcile(struct modern_member *member, const struct tp_set *owned, bool resubscribed)
{
    bool changed = false;
    bool revoking = member->state == MODERN_UNREVOKED && holds(owned, &member->revoking);
    if (revoking && resubscribed)
        changed = revoke_more(member);
    else if (!revoking && (resubscribed || !at_target(member)))
        changed = advance(member, owned);
    watch_progress(member, revoking);
    return changed;
}
