/*
 * What nobody has used for long: offsets, and groups that are empty and have none. Kafka's conditions (KIP-211, 496).
 *
 * A round looks at every group once, some in one event, so that many groups do not hold up requests.
 */
#include "base/limits.h"
#include "coordinator/groups_internal.h"

static bool fact_expired(const struct groups *groups, const struct offset_fact *fact, int64_t since_ms)
{
    int64_t now_ms = *groups->env.wall_ms, age_ms;
    if (fact->expire_ms != -1)
        return now_ms >= fact->expire_ms;
    if (__builtin_sub_overflow(now_ms, since_ms != -1 ? since_ms : fact->commit_ms, &age_ms))
        return false;
    return age_ms >= groups->env.config->offsets_retention_ms;
}

/* Returns how many facts it has looked at. */
static uint64_t topic_expire(struct group *group, struct offsets_topic *topic, int64_t since_ms)
{
    uint64_t seen = 0;
    int32_t after;
    for (int32_t at = offsets_topic_next(topic, 0); at >= 0; at = after, seen++) {
        after = offsets_topic_next(topic, at + 1);
        if (fact_expired(group->groups, offsets_topic_fact(topic, at), since_ms))
            group_offset_set(group, offsets_topic_name(topic), at, NULL);
    }
    groups_flush_if_large(group->groups);
    return seen;
}

static uint64_t group_expire(struct group *group)
{
    uint64_t seen = 1;
    int64_t since_ms = -1;
    if (!group->classic || classic_offsets_expire(group, &since_ms)) {
        struct offsets_topic *topic, *next;
        HASH_ITER(by_name, group->offsets.by_name, topic, next)
        {
            if (!group_subscribed(group, offsets_topic_name(topic)))
                seen += topic_expire(group, topic, since_ms);
        }
    }
    if (group->offsets.count == 0 && group_empty(group))
        group_end(group);
    group_weigh(group);
    groups_tidy(group);
    return seen;
}

void groups_expiry_fire(struct timer *timer, uint64_t now_ns)
{
    struct groups *groups = container_of(timer, struct groups, expiry);
    uint64_t seen = 0;
    if (groups->sweep_left == 0)
        groups->sweep_left = HASH_CNT(by_id, groups->by_id);
    while (groups->sweep_left > 0 && !list_empty(&groups->sweep) && seen < GROUP_EXPIRY_STEP) {
        struct list *first = groups->sweep.next;
        list_remove(first);
        list_push_back(&groups->sweep, first);
        groups->sweep_left--;
        seen += group_expire(list_entry(first, struct group, sweep));
    }
    if (list_empty(&groups->sweep))
        groups->sweep_left = 0;
    int64_t pause_ms = groups->sweep_left > 0 ? GROUP_EXPIRY_PAUSE_MS : groups->env.config->retention_check_interval_ms;
    timer_arm(groups->env.timers, timer, deadline_after_ms(now_ns, pause_ms));
    groups_flush(groups);
}
