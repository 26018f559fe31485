/*
 * What becomes of topics, as far as groups are concerned: offsets of a topic that is gone are forgotten, groups of the
 * newer protocol follow their subscriptions.
 *
 * Only what uses the topic is looked at (name_index.h). Very many offsets are forgotten in steps: until a step has come to
 * them they wait in the retired entry of their topic, and nobody sees them, since an event of a group first forgets what
 * the group has there, and a new topic of the name waits for nothing.
 */
#include "base/limits.h"
#include "coordinator/groups_internal.h"

/* -- offsets ------------------------------------------------------------------------------------------------------ */

static struct group *group_of(const struct offsets_topic *topic)
{
    return container_of(topic->of, struct group, offsets);
}

/* Forgets offsets of one group, as many as *left says; takes them off it. True: the topic is gone from the group. */
static bool topic_forget(struct offsets_topic *topic, uint32_t *left)
{
    struct group *group = group_of(topic);
    int32_t at = offsets_topic_next(topic, 0);
    for (; at >= 0 && *left > 0; --*left) {
        int32_t after = offsets_topic_next(topic, at + 1);
        group_offset_set(group, offsets_topic_name(topic), at, NULL); /* the last one takes the topic along */
        at = after;
    }
    groups_flush_if_large(group->groups);
    return at < 0;
}

static void topic_forget_all(struct offsets_topic *topic)
{
    uint32_t left = UINT32_MAX;
    bool last = topic_forget(topic, &left);
    ASSERT(last);
}

/* The entry is gone when this returns true; so are groups that had nothing but these offsets. */
static bool entry_forget(struct name_entry *entry, uint32_t *left)
{
    bool last = false;
    while (!last && *left > 0) {
        struct offsets_topic *topic = list_entry(entry->users.next, struct offsets_topic, same_name);
        struct group *group = group_of(topic);
        last = entry->users.next->next == &entry->users;
        bool whole = topic_forget(topic, left);
        group_weigh(group);
        if (!whole)
            return false;
        groups_tidy(group);
    }
    return last;
}

static void forget_some(struct groups *groups, uint32_t *left)
{
    struct list *retired = &groups->offset_topics.retired;
    while (!list_empty(retired) && *left > 0)
        (void)entry_forget(list_entry(retired->next, struct name_entry, retired), left);
    if (!list_empty(retired) && !timer_armed(&groups->forgetting))
        timer_arm(groups->env.timers, &groups->forgetting, groups_deadline(groups, GROUP_FORGET_PAUSE_MS));
}

void groups_forgetting_fire(struct timer *timer, uint64_t now_ns)
{
    struct groups *groups = container_of(timer, struct groups, forgetting);
    uint32_t left = GROUP_FORGET_STEP;
    (void)now_ns;
    forget_some(groups, &left);
    groups_flush(groups);
}

void group_forget_retired(struct group *group)
{
    list_each(node, &group->groups->offset_topics.retired) {
        struct name_entry *entry = list_entry(node, struct name_entry, retired);
        struct offsets_topic *topic = offsets_topic_find(&group->offsets, name_entry_text(entry));
        if (topic && topic->name == entry)
            topic_forget_all(topic);
    }
}

/* A topic is gone: this event forgets what is left of the turn's step. */
static void topic_retire(struct groups *groups, struct odk_str name)
{
    struct name_entry *entry = name_index_find(&groups->offset_topics, name);
    if (!entry)
        return;
    name_index_retire(&groups->offset_topics, entry);
    if (groups->forget_turn_ns != *groups->env.now_ns) {
        groups->forget_turn_ns = *groups->env.now_ns;
        groups->forget_left = GROUP_FORGET_STEP;
    }
    forget_some(groups, &groups->forget_left);
}

/* A topic comes: offsets of an older one of its name must be out of the log before it can have any. */
static void retired_finish(struct groups *groups, struct odk_str name)
{
    list_each(node, &groups->offset_topics.retired) {
        struct name_entry *entry = list_entry(node, struct name_entry, retired);
        uint32_t left = UINT32_MAX;
        while (odk_str_eq(name_entry_text(entry), name) && !entry_forget(entry, &left))
            left = UINT32_MAX;
    }
}

void group_lost_topics_forget(struct group *group)
{
    const struct groups_env *env = &group->groups->env;
    struct offsets_topic *topic, *next;
    HASH_ITER(by_name, group->offsets.by_name, topic, next)
    {
        struct group_topic known;
        if (!env->topic_by_name(env->context, offsets_topic_name(topic), &known))
            topic_forget_all(topic);
    }
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

void groups_topic_changed(struct groups *groups, const struct group_topic *topic, bool gone)
{
    if (gone)
        topic_retire(groups, topic->name);
    else
        retired_finish(groups, topic->name);
    modern_topics_changed(groups, topic, gone);
    groups_flush(groups);
}
