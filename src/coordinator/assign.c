#include "coordinator/assign.h"

#include <stdlib.h>

/* A round over all topics brings equal subscriptions to rest; others settle in a few. The bound is for those that would
 * take long to gain little. */
#define BALANCE_ROUNDS_MAX 16u

static const struct odk_str names[GROUP_ASSIGNOR_COUNT] = {
    [GROUP_ASSIGNOR_UNIFORM] = { "uniform", 7 },
    [GROUP_ASSIGNOR_RANGE] = { "range", 5 },
};

struct odk_str group_assignor_name(enum group_assignor assignor)
{
    return names[assignor];
}

bool group_assignor_parse(struct odk_str name, enum group_assignor *ret)
{
    for (unsigned i = 0; i < GROUP_ASSIGNOR_COUNT; i++)
        if (odk_str_eq(names[i], name)) {
            *ret = (enum group_assignor)i;
            return true;
        }
    return false;
}

#define scratch_new(arena, type, count) ((type *)scratch_alloc((arena), (count), sizeof(type)))

static void *scratch_alloc(struct arena *scratch, size_t count, size_t size)
{
    void *memory = arena_alloc(scratch, count, size);
    ASSERT(memory != NULL);
    return memory;
}

/* -- who subscribes to what --------------------------------------------------------------------------------------- */

struct subscribers {
    uint32_t *starts;  /* topic_count + 1: where a topic's run begins in members */
    uint32_t *members; /* ascending within a run */
};

static void subscribers_of(const struct assign *assign, struct arena *scratch, struct subscribers *ret)
{
    ret->starts = scratch_new(scratch, uint32_t, (size_t)assign->topic_count + 2);
    /* Counted two places ahead and filled one place ahead, so that in the end starts[t] is where t begins. */
    for (uint32_t m = 0; m < assign->member_count; m++)
        for (uint32_t i = 0; i < assign->members[m].topic_count; i++)
            ret->starts[assign->members[m].topics[i] + 2]++;
    for (uint32_t t = 2; t <= assign->topic_count; t++)
        ret->starts[t] += ret->starts[t - 1];
    uint32_t total =
        assign->topic_count > 0 ? ret->starts[assign->topic_count] + ret->starts[assign->topic_count + 1] : 0;
    ret->members = scratch_new(scratch, uint32_t, total);
    for (uint32_t m = 0; m < assign->member_count; m++)
        for (uint32_t i = 0; i < assign->members[m].topic_count; i++)
            ret->members[ret->starts[assign->members[m].topics[i] + 1]++] = m;
}

static uint32_t subscriber_count(const struct subscribers *subscribers, uint32_t topic)
{
    return subscribers->starts[topic + 1] - subscribers->starts[topic];
}

/* -- range -------------------------------------------------------------------------------------------------------- */

static void range(const struct assign *assign, const struct subscribers *subscribers)
{
    for (uint32_t t = 0; t < assign->topic_count; t++) {
        const struct assign_topic *topic = &assign->topics[t];
        const uint32_t *members = subscribers->members + subscribers->starts[t];
        uint32_t count = subscriber_count(subscribers, t);
        uint32_t next = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t share = topic->partition_count / count + (i < topic->partition_count % count);
            for (uint32_t end = next + share; next < end; next++)
                assign->owners[topic->first + next] = (int32_t)members[i];
        }
        for (; next < topic->partition_count; next++)
            assign->owners[topic->first + next] = ASSIGN_NOBODY;
    }
}

/* -- uniform ------------------------------------------------------------------------------------------------------ */

/* A binary heap of members by load; ties go to the lower index. Loads change while members are in it: see move_all. */
struct heap {
    uint32_t *members;
    const uint32_t *loads;
    uint32_t count;
    bool most_first;
};

static bool before(const struct heap *heap, uint32_t a, uint32_t b)
{
    if (heap->loads[a] != heap->loads[b])
        return (heap->loads[a] > heap->loads[b]) == heap->most_first;
    return a < b;
}

static void heap_sink(struct heap *heap, uint32_t at)
{
    uint32_t moving = heap->members[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap, heap->members[child + 1], heap->members[child]))
            child++;
        if (!before(heap, heap->members[child], moving))
            break;
        heap->members[at] = heap->members[child];
        at = child;
    }
    heap->members[at] = moving;
}

static void heap_build(struct heap *heap)
{
    for (uint32_t i = heap->count / 2; i > 0; i--)
        heap_sink(heap, i - 1);
}

static void heap_drop_first(struct heap *heap)
{
    heap->members[0] = heap->members[--heap->count];
    if (heap->count > 0)
        heap_sink(heap, 0);
}

struct uniform {
    const struct assign *assign;
    struct subscribers subscribers;
    uint32_t *loads; /* partitions of each member, of all topics */
    uint32_t *order; /* topics, hardest first */
    /* Of the topic at hand: */
    struct heap least;      /* its subscribers */
    struct heap most;       /* those of them that own a partition of it */
    uint32_t *owned;        /* its partitions, by owner */
    uint32_t *owned_ends;   /* by member: where its run in owned ends */
    uint32_t *owned_counts; /* by member: what is left of its run; all zero between topics */
};

/* What somebody owns without subscribing to it is nobody's from here on. Counts loads. */
static void keep_subscribed(struct uniform *u, struct arena *scratch)
{
    const struct assign *assign = u->assign;
    bool *subscribed = scratch_new(scratch, bool, assign->member_count);
    for (uint32_t t = 0; t < assign->topic_count; t++) {
        const struct assign_topic *topic = &assign->topics[t];
        const uint32_t *members = u->subscribers.members + u->subscribers.starts[t];
        uint32_t count = subscriber_count(&u->subscribers, t);
        for (uint32_t i = 0; i < count; i++)
            subscribed[members[i]] = true;
        for (uint32_t p = topic->first; p < topic->first + topic->partition_count; p++) {
            int32_t owner = assign->owners[p];
            if (owner != ASSIGN_NOBODY && subscribed[owner])
                u->loads[owner]++;
            else
                assign->owners[p] = ASSIGN_NOBODY;
        }
        for (uint32_t i = 0; i < count; i++)
            subscribed[members[i]] = false;
    }
}

static bool all_subscribe_alike(const struct uniform *u)
{
    for (uint32_t t = 0; t < u->assign->topic_count; t++) {
        uint32_t count = subscriber_count(&u->subscribers, t);
        if (count != 0 && count != u->assign->member_count)
            return false;
    }
    return u->assign->member_count > 0;
}

/* Where all subscribe alike, the loads of the end are known, and so is what must move; going topic by topic could move
 * more. Who has more than the equal share keeps one of the surplus, as far as there is a surplus. */
static void release_surplus(struct uniform *u, struct arena *scratch)
{
    const struct assign *assign = u->assign;
    uint32_t *allowed = scratch_new(scratch, uint32_t, assign->member_count);
    uint32_t total = 0;
    for (uint32_t t = 0; t < assign->topic_count; t++)
        total += subscriber_count(&u->subscribers, t) > 0 ? assign->topics[t].partition_count : 0;
    uint32_t share = total / assign->member_count, surplus = total % assign->member_count;
    for (uint32_t m = 0; m < assign->member_count; m++) {
        bool more = u->loads[m] > share && surplus > 0;
        allowed[m] = share + more;
        surplus -= more;
    }
    for (uint32_t t = assign->topic_count; t > 0; t--)
        for (uint32_t i = assign->topics[t - 1].partition_count; i > 0; i--) {
            int32_t *owner = &assign->owners[assign->topics[t - 1].first + i - 1];
            if (*owner == ASSIGN_NOBODY || u->loads[*owner] <= allowed[*owner])
                continue;
            u->loads[*owner]--;
            *owner = ASSIGN_NOBODY;
        }
}

/* Topics whose subscribers will have most of it come first, and then those that have fewer to choose from. */
static int harder_first(const void *a, const void *b, void *context)
{
    const struct uniform *u = context;
    uint32_t ta = *(const uint32_t *)a, tb = *(const uint32_t *)b;
    uint64_t sa = subscriber_count(&u->subscribers, ta), sb = subscriber_count(&u->subscribers, tb);
    uint64_t load_a = u->assign->topics[ta].partition_count * sb, load_b = u->assign->topics[tb].partition_count * sa;
    if (load_a != load_b)
        return load_a > load_b ? -1 : 1;
    if (sa != sb)
        return sa < sb ? -1 : 1;
    return ta < tb ? -1 : ta > tb;
}

static void heap_fill(struct heap *heap, const uint32_t *members, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        heap->members[i] = members[i];
    heap->count = count;
    heap_build(heap);
}

static void take(struct uniform *u, uint32_t partition)
{
    uint32_t member = u->least.members[0];
    u->assign->owners[partition] = (int32_t)member;
    u->loads[member]++;
    heap_sink(&u->least, 0);
}

/* Each partition that nobody owns goes to the least loaded subscriber. */
static void hand_out(struct uniform *u, uint32_t t)
{
    const struct assign_topic *topic = &u->assign->topics[t];
    uint32_t end = topic->first + topic->partition_count;
    uint32_t p = topic->first;
    while (p < end && u->assign->owners[p] != ASSIGN_NOBODY)
        p++;
    if (p == end || subscriber_count(&u->subscribers, t) == 0)
        return;
    heap_fill(&u->least, u->subscribers.members + u->subscribers.starts[t], subscriber_count(&u->subscribers, t));
    for (; p < end; p++)
        if (u->assign->owners[p] == ASSIGN_NOBODY)
            take(u, p);
}

static bool uneven(const struct uniform *u, uint32_t t)
{
    const uint32_t *members = u->subscribers.members + u->subscribers.starts[t];
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < subscriber_count(&u->subscribers, t); i++) {
        least = MIN(least, u->loads[members[i]]);
        most = MAX(most, u->loads[members[i]]);
    }
    return most > least && most - least > 1;
}

/* Fills owned and most. */
static void group_by_owner(struct uniform *u, uint32_t t)
{
    const struct assign_topic *topic = &u->assign->topics[t];
    const int32_t *owners = u->assign->owners + topic->first;
    const uint32_t *members = u->subscribers.members + u->subscribers.starts[t];
    for (uint32_t p = 0; p < topic->partition_count; p++)
        u->owned_counts[owners[p]]++;
    uint32_t end = 0;
    u->most.count = 0;
    for (uint32_t i = 0; i < subscriber_count(&u->subscribers, t); i++) {
        u->owned_ends[members[i]] = end;
        end += u->owned_counts[members[i]];
        if (u->owned_counts[members[i]] > 0)
            u->most.members[u->most.count++] = members[i];
    }
    for (uint32_t p = 0; p < topic->partition_count; p++)
        u->owned[u->owned_ends[owners[p]]++] = topic->first + p;
    heap_build(&u->most);
}

/*
 * Moves partitions from those that have most to those that have least, until no move helps.
 *
 * A member may be in both heaps, and the load of one that gives or takes changes in the other heap too, where it then
 * stands deeper than it should. This hides nothing that matters: a giver is the most loaded one, so after it gave, no
 * giver has more than one above it, ever again; should it turn out to be the least loaded, no move would help. The same
 * holds for takers, the other way round.
 */
static uint32_t move_all(struct uniform *u)
{
    uint32_t moved = 0;
    while (u->most.count > 0) {
        uint32_t giver = u->most.members[0];
        if (u->loads[giver] < u->loads[u->least.members[0]] + 2)
            break;
        u->loads[giver]--;
        take(u, u->owned[--u->owned_ends[giver]]);
        moved++;
        if (--u->owned_counts[giver] == 0)
            heap_drop_first(&u->most);
        else
            heap_sink(&u->most, 0);
    }
    return moved;
}

static uint32_t balance_topic(struct uniform *u, uint32_t t)
{
    uint32_t count = subscriber_count(&u->subscribers, t);
    const uint32_t *members = u->subscribers.members + u->subscribers.starts[t];
    if (!uneven(u, t))
        return 0;
    group_by_owner(u, t);
    heap_fill(&u->least, members, count);
    uint32_t moved = move_all(u);
    for (uint32_t i = 0; i < count; i++)
        u->owned_counts[members[i]] = 0;
    return moved;
}

static void uniform_init(struct uniform *u, struct arena *scratch)
{
    uint32_t member_count = u->assign->member_count;
    uint32_t partitions_max = 0;
    for (uint32_t t = 0; t < u->assign->topic_count; t++)
        partitions_max = MAX(partitions_max, u->assign->topics[t].partition_count);
    u->loads = scratch_new(scratch, uint32_t, member_count);
    u->order = scratch_new(scratch, uint32_t, u->assign->topic_count);
    u->least = (struct heap){ scratch_new(scratch, uint32_t, member_count), u->loads, 0, false };
    u->most = (struct heap){ scratch_new(scratch, uint32_t, member_count), u->loads, 0, true };
    u->owned = scratch_new(scratch, uint32_t, partitions_max);
    u->owned_ends = scratch_new(scratch, uint32_t, member_count);
    u->owned_counts = scratch_new(scratch, uint32_t, member_count);
    for (uint32_t t = 0; t < u->assign->topic_count; t++)
        u->order[t] = t;
    qsort_r(u->order, u->assign->topic_count, sizeof(*u->order), harder_first, u);
}

static void uniform(const struct assign *assign, const struct subscribers *subscribers, struct arena *scratch)
{
    struct uniform u = { .assign = assign, .subscribers = *subscribers };
    uniform_init(&u, scratch);
    keep_subscribed(&u, scratch);
    if (all_subscribe_alike(&u))
        release_surplus(&u, scratch);
    for (uint32_t t = 0; t < assign->topic_count; t++)
        hand_out(&u, u.order[t]);
    for (uint32_t round = 0; round < BALANCE_ROUNDS_MAX; round++) {
        uint32_t moved = 0;
        for (uint32_t t = 0; t < assign->topic_count; t++)
            moved += balance_topic(&u, u.order[t]);
        if (moved == 0)
            break;
    }
}

void assign_compute(const struct assign *assign, enum group_assignor assignor, struct arena *scratch)
{
    struct subscribers subscribers;
    subscribers_of(assign, scratch, &subscribers);
    switch (assignor) {
    case GROUP_ASSIGNOR_UNIFORM: uniform(assign, &subscribers, scratch); break;
    case GROUP_ASSIGNOR_RANGE: range(assign, &subscribers); break;
    case GROUP_ASSIGNOR_COUNT: UNREACHABLE();
    }
}
