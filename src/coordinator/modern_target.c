/* The target of a newer group: from subscriptions, topics and the target before, by an assignor. */
#include "coordinator/modern.h"

#include <stdlib.h>

#include "base/units.h"
#include "coordinator/texts.h"

/* -- the question ------------------------------------------------------------------------------------------------- */

struct division {
    struct modern *modern;
    struct arena *scratch;
    struct group_topic *topics; /* that exist and are subscribed to, by id */
    uint32_t topic_count;
    struct modern_member **members; /* static ones first, by instance id; then by member id */
    uint32_t member_count;
    struct assign assign;
    uint32_t partition_count;
};

#define scratch_new(d, type, count) ((type *)scratch_alloc((d)->scratch, (count), sizeof(type)))

static void *scratch_alloc(struct arena *scratch, size_t count, size_t size)
{
    void *memory = arena_alloc(scratch, count, size);
    ASSERT(memory != NULL);
    return memory;
}

static int by_topic_id(const void *a, const void *b)
{
    const struct group_topic *x = a, *y = b;
    return memcmp(x->id.b, y->id.b, sizeof(x->id.b));
}

static int by_liking_of_range(const void *a, const void *b)
{
    const struct modern_member *x = *(const struct modern_member *const *)a;
    const struct modern_member *y = *(const struct modern_member *const *)b;
    struct odk_str x_instance = x->told->instance_id, y_instance = y->told->instance_id;
    if (x_instance.len > 0 && y_instance.len > 0)
        return texts_compare(&x_instance, &y_instance);
    if (x_instance.len > 0 || y_instance.len > 0)
        return x_instance.len > 0 ? -1 : 1;
    struct odk_str x_id = modern_member_id(x), y_id = modern_member_id(y);
    return texts_compare(&x_id, &y_id);
}

/* Fills topics, and in each name of the group the index of its topic, or UINT32_MAX. */
static void find_topics(struct division *d)
{
    const struct groups_env *env = &modern_groups(d->modern)->env;
    struct modern_name *name, *next;
    d->topics = scratch_new(d, struct group_topic, HASH_CNT(by_name, d->modern->names));
    HASH_ITER(by_name, d->modern->names, name, next)
    {
        struct odk_str text = name_entry_text(name->name);
        name->topic_idx = UINT32_MAX;
        if (env->topic_by_name(env->context, text, &d->topics[d->topic_count]))
            d->topics[d->topic_count++].name = text;
    }
    qsort(d->topics, d->topic_count, sizeof(*d->topics), by_topic_id);
    struct assign_topic *topics = scratch_new(d, struct assign_topic, d->topic_count);
    for (uint32_t t = 0; t < d->topic_count; t++) {
        struct odk_str text = d->topics[t].name;
        HASH_FIND(by_name, d->modern->names, text.data, text.len, name);
        name->topic_idx = t;
        topics[t] = (struct assign_topic){ d->partition_count, (uint32_t)d->topics[t].partition_count };
        d->partition_count += topics[t].partition_count;
    }
    d->assign.topics = topics;
    d->assign.topic_count = d->topic_count;
}

/* Adds the topics of these names to a list of indexes. */
static uint32_t add_names(struct division *d, const struct odk_str *names, uint32_t count, uint32_t *list,
                          uint32_t used)
{
    for (uint32_t i = 0; i < count; i++) {
        struct modern_name *name;
        HASH_FIND(by_name, d->modern->names, names[i].data, names[i].len, name);
        if (name->topic_idx != UINT32_MAX)
            list[used++] = name->topic_idx;
    }
    return used;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static struct assign_member subscription_of(struct division *d, const struct modern_member *member)
{
    const struct consumer_group_member_metadata_value *told = member->told;
    const struct modern_regex *regex = modern_regex_find(d->modern, told->subscribed_topic_regex);
    uint32_t named = (uint32_t)told->subscribed_topic_names_count;
    uint32_t matched = regex ? regex->match.count : 0;
    uint32_t *list = scratch_new(d, uint32_t, (size_t)named + matched);
    uint32_t used = add_names(d, told->subscribed_topic_names, named, list, 0);
    if (regex)
        used = add_names(d, regex->match.topics, matched, list, used);
    if (named == 0 || matched == 0)
        return (struct assign_member){ list, used };
    qsort(list, used, sizeof(*list), by_number);
    uint32_t once = MIN(used, 1u);
    for (uint32_t i = 1; i < used; i++)
        if (list[i] != list[once - 1])
            list[once++] = list[i];
    return (struct assign_member){ list, once };
}

static void find_members(struct division *d)
{
    d->members = scratch_new(d, struct modern_member *, HASH_CNT(by_id, d->modern->members));
    for (struct modern_member *member = d->modern->members; member; member = member->by_id.next)
        d->members[d->member_count++] = member;
    qsort(d->members, d->member_count, sizeof(struct modern_member *), by_liking_of_range);
    struct assign_member *members = scratch_new(d, struct assign_member, d->member_count);
    for (uint32_t m = 0; m < d->member_count; m++) {
        bool as_before = m > 0 && modern_told_same_topics(d->members[m - 1]->told, d->members[m]->told);
        members[m] = as_before ? members[m - 1] : subscription_of(d, d->members[m]);
    }
    d->assign.members = members;
    d->assign.member_count = d->member_count;
}

/* From the target before. What no longer exists is left out. */
static void find_owners(struct division *d)
{
    int32_t *owners = scratch_new(d, int32_t, d->partition_count);
    for (uint32_t p = 0; p < d->partition_count; p++)
        owners[p] = ASSIGN_NOBODY;
    for (uint32_t m = 0; m < d->member_count; m++) {
        const struct tp_set *target = &d->members[m]->target;
        for (uint32_t begin = 0, end; begin < target->count; begin = end) {
            end = tp_run_end(target, begin);
            struct group_topic key = { .id = target->at[begin].topic };
            const struct group_topic *topic = bsearch(&key, d->topics, d->topic_count, sizeof(key), by_topic_id);
            for (uint32_t i = begin; topic && i < end; i++)
                if (target->at[i].partition < topic->partition_count)
                    owners[d->assign.topics[topic - d->topics].first + (uint32_t)target->at[i].partition] = (int32_t)m;
        }
    }
    d->assign.owners = owners;
}

/* -- the answer --------------------------------------------------------------------------------------------------- */

static void record_targets(struct division *d)
{
    struct tp_set *targets = scratch_new(d, struct tp_set, d->member_count);
    struct tp *room = tp_room(d->scratch, d->partition_count);
    for (uint32_t p = 0; p < d->partition_count; p++)
        if (d->assign.owners[p] != ASSIGN_NOBODY)
            targets[d->assign.owners[p]].count++;
    for (uint32_t m = 0; m < d->member_count; m++) {
        targets[m].at = room;
        room += targets[m].count;
        targets[m].count = 0;
    }
    for (uint32_t t = 0; t < d->topic_count; t++)
        for (int32_t p = 0; p < d->topics[t].partition_count; p++) {
            int32_t owner = d->assign.owners[d->assign.topics[t].first + (uint32_t)p];
            if (owner == ASSIGN_NOBODY)
                continue;
            struct tp_set *target = &targets[owner];
            target->at[target->count++] = (struct tp){ .topic = d->topics[t].id, .partition = p };
        }
    for (uint32_t m = 0; m < d->member_count; m++)
        if (!tp_equal(&targets[m], &d->members[m]->target))
            modern_put_target(d->members[m], &targets[m]);
}

static void divide(struct modern *modern)
{
    struct division d = { .modern = modern, .scratch = modern_scratch(modern) };
    find_topics(&d);
    find_members(&d);
    find_owners(&d);
    assign_compute(&d.assign, modern_assignor(modern), d.scratch);
    record_targets(&d);
    modern_put_target_epoch(modern, modern->epoch);
    modern->target_ns = *modern_groups(modern)->env.now_ns;
    group_weigh(modern->group);
}

/* -- when --------------------------------------------------------------------------------------------------------- */

enum group_assignor modern_assignor(const struct modern *modern)
{
    enum group_assignor liked = modern_groups(modern)->env.config->assignor_default;
    for (unsigned a = 0; a < GROUP_ASSIGNOR_COUNT; a++)
        if (modern->assignor_votes[a] > modern->assignor_votes[liked])
            liked = (enum group_assignor)a;
    return liked;
}

void modern_retarget(struct modern *modern)
{
    struct groups *groups = modern_groups(modern);
    bool wanted = modern->epoch > modern->target_epoch && HASH_CNT(by_id, modern->members) > 0;
    struct group_settings settings;
    groups->env.settings(groups->env.context, group_id(modern->group), &settings);
    uint64_t due_ns = modern->target_ns + (uint64_t)settings.assignment_interval_ms * NS_PER_MS;
    bool due = modern->target_ns == 0 || *groups->env.now_ns >= due_ns;
    if (!wanted || due)
        timer_cancel(groups->env.timers, &modern->target_due);
    else if (!timer_armed(&modern->target_due))
        timer_arm(groups->env.timers, &modern->target_due, due_ns);
    if (wanted && due)
        divide(modern);
}

void modern_target_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct modern *modern = container_of(timer, struct modern, target_due);
    struct groups *groups = modern_groups(modern);
    modern_retarget(modern);
    groups_flush(groups);
}

void modern_bump(struct modern *modern)
{
    modern_put_epoch(modern, modern->epoch + 1, modern_hash(modern));
    modern_retarget(modern);
}
