#include "groups_twin.h"

#include <string.h>

#include "base/base.h"
#include "wire/errors.h"

#define NEW_MEMBER_MS   300000
#define NOBODY_RETRY_MS 1000

static void group_forget(struct twin_group *g)
{
    int64_t offsets[TWIN_PARTITIONS], committed_ms[TWIN_PARTITIONS];
    memcpy(offsets, g->offsets, sizeof(offsets));
    memcpy(committed_ms, g->committed_ms, sizeof(committed_ms));
    *g = (struct twin_group){ .round_at = NEVER, .sync_at = NEVER };
    memcpy(g->offsets, offsets, sizeof(offsets));
    memcpy(g->committed_ms, committed_ms, sizeof(committed_ms));
}

void twin_init(struct twin *twin)
{
    for (int i = 0; i < TWIN_GROUPS; i++) {
        group_forget(&twin->groups[i]);
        for (int j = 0; j < TWIN_PARTITIONS; j++)
            twin->groups[i].offsets[j] = -1;
    }
    twin->expiry_at = twin->now_ms + twin->check_ms;
}

/* -- looking up --------------------------------------------------------------------------------------------------- */

static struct twin_member *by_id(struct twin_group *g, const char *id)
{
    for (int i = 0; i < g->count; i++)
        if (id[0] && strcmp(g->members[i].id, id) == 0)
            return &g->members[i];
    return NULL;
}

static struct twin_member *by_instance(struct twin_group *g, const char *instance)
{
    for (int i = 0; i < g->count; i++)
        if (instance[0] && strcmp(g->members[i].instance, instance) == 0)
            return &g->members[i];
    return NULL;
}

static struct twin_member *by_serial(struct twin_group *g, int serial)
{
    for (int i = 0; i < g->count; i++)
        if (g->members[i].serial == serial)
            return &g->members[i];
    return NULL;
}

static int pending_of(const struct twin_group *g, const char *id)
{
    for (int i = 0; i < g->pending_count; i++)
        if (strcmp(g->pendings[i].id, id) == 0)
            return i;
    return -1;
}

static void pending_drop(struct twin_group *g, int at)
{
    g->pendings[at] = g->pendings[--g->pending_count];
}

static int waiting(const struct twin_group *g)
{
    int count = 0;
    for (int i = 0; i < g->count; i++)
        count += g->members[i].joining != NULL;
    return count;
}

static bool all_joined(const struct twin_group *g)
{
    return waiting(g) == g->count && g->pending_count == 0;
}

static int64_t longest(const struct twin_group *g)
{
    int64_t ms = 0;
    for (int i = 0; i < g->count; i++)
        ms = MAX(ms, g->members[i].rebalance_ms);
    return ms;
}

static bool all_speak(const struct twin_group *g, char protocol)
{
    for (int i = 0; i < g->count; i++)
        if (!strchr(g->members[i].protocols, protocol))
            return false;
    return true;
}

static char favourite(const struct twin_group *g, const struct twin_member *m)
{
    for (const char *p = m->protocols; *p; p++)
        if (all_speak(g, *p))
            return *p;
    UNREACHABLE();
}

/* Equal votes: the first member's order decides. */
static char vote(const struct twin_group *g)
{
    char best = 0;
    int best_votes = 0;
    for (const char *p = g->members[0].protocols; *p; p++) {
        int votes = 0;
        for (int i = 0; i < g->count; i++)
            votes += all_speak(g, *p) && favourite(g, &g->members[i]) == *p;
        if (votes > best_votes) {
            best = *p;
            best_votes = votes;
        }
    }
    return best;
}

static bool supports(const struct twin_group *g, const char *protocols)
{
    if (g->state == TWIN_EMPTY)
        return protocols[0] != 0;
    for (const char *p = protocols; *p; p++)
        if (all_speak(g, *p))
            return true;
    return false;
}

static int16_t member_error(struct twin_group *g, const char *id, const char *instance)
{
    struct twin_member *holder = by_instance(g, instance);
    if (instance[0] && !holder)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (instance[0] && holder != by_id(g, id))
        return KAFKA_FENCED_INSTANCE_ID;
    return by_id(g, id) ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
}

/* -- answers ------------------------------------------------------------------------------------------------------ */

static void due(struct twin_call *call, int16_t error)
{
    ASSERT(!call->due);
    call->due = true;
    call->error = error;
}

static void due_join(const struct twin_group *g, const struct twin_member *m, struct twin_call *call)
{
    due(call, KAFKA_NONE);
    call->serial = m->serial;
    call->generation = g->generation;
    call->protocol = g->protocol;
    call->told = g->leader == m->serial ? g->count : 0;
}

static void due_sync(const struct twin_member *m, struct twin_call *call)
{
    due(call, KAFKA_NONE);
    strcpy(call->assignment, m->assignment);
}

static void end_waiting(struct twin_member *m, int16_t error)
{
    if (m->joining)
        due(m->joining, error);
    if (m->syncing)
        due(m->syncing, error);
    m->joining = m->syncing = NULL;
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

static void touch(struct twin *twin, struct twin_member *m)
{
    m->ends_at = twin->now_ms + m->session_ms;
}

static void member_remove(struct twin_group *g, struct twin_member *m)
{
    end_waiting(m, KAFKA_UNKNOWN_MEMBER_ID);
    bool led = g->leader == m->serial;
    size_t at = (size_t)(m - g->members);
    memmove(m, m + 1, sizeof(*m) * ((size_t)g->count - at - 1));
    g->count--;
    if (led)
        g->leader = g->count > 0 ? g->members[0].serial : 0;
}

static void sync_clear(struct twin_group *g)
{
    for (int i = 0; i < g->count; i++)
        g->members[i].sync_due = false;
    g->sync_at = NEVER;
}

static void sync_done(struct twin_group *g, struct twin_member *m)
{
    bool any = false;
    m->sync_due = false;
    for (int i = 0; i < g->count; i++)
        any |= g->members[i].sync_due;
    if (!any)
        g->sync_at = NEVER;
}

static void state_set(struct twin *twin, struct twin_group *g, enum twin_state state)
{
    g->state = state;
    g->since_ms = twin->now_ms;
}

static void topics_read(struct twin_group *g)
{
    g->topics_known = g->typed;
    g->subscribed[0] = g->subscribed[1] = false;
    for (int i = 0; i < g->count; i++)
        g->subscribed[g->members[i].metadata == 'u'] = true;
}

/* Members come back with the one protocol that was chosen. */
static void save(struct twin_group *g)
{
    struct twin_saved *saved = &g->saved;
    *saved = (struct twin_saved){ .there = true,
                                  .generation = g->generation,
                                  .since_ms = g->since_ms,
                                  .protocol = g->protocol,
                                  .leader = g->leader,
                                  .count = g->count };
    memcpy(saved->members, g->members, sizeof(saved->members));
    for (int i = 0; i < g->count; i++) {
        struct twin_member *m = &saved->members[i];
        m->joining = m->syncing = NULL;
        m->fresh = m->sync_due = false;
        m->protocols[0] = g->protocol;
        m->protocols[1] = 0;
    }
}

/* -- rounds ------------------------------------------------------------------------------------------------------- */

static void complete(struct twin *twin, struct twin_group *g)
{
    g->round_at = NEVER;
    for (int i = g->count - 1; i >= 0; i--)
        if (!g->members[i].joining && !g->members[i].instance[0])
            member_remove(g, &g->members[i]);
    struct twin_member *leader = by_serial(g, g->leader);
    for (int i = 0; i < g->count && !(leader && leader->joining); i++)
        leader = &g->members[i];
    if (g->count > 0 && !(leader && leader->joining)) {
        g->round_at = twin->now_ms + MAX(longest(g), NOBODY_RETRY_MS);
        return;
    }
    g->leader = g->count > 0 ? leader->serial : 0;
    g->generation++;
    g->protocol = g->count > 0 ? vote(g) : 0;
    topics_read(g);
    state_set(twin, g, g->count > 0 ? TWIN_COMPLETING : TWIN_EMPTY);
    for (int i = 0; i < g->count; i++) {
        struct twin_member *m = &g->members[i];
        struct twin_call *call = m->joining;
        m->joining = NULL;
        m->fresh = false;
        m->sync_due = true;
        touch(twin, m);
        if (call)
            due_join(g, m, call);
    }
    if (g->count > 0)
        g->sync_at = twin->now_ms + longest(g);
    else
        save(g);
}

static void rebalance(struct twin *twin, struct twin_group *g)
{
    if (g->state == TWIN_COMPLETING)
        for (int i = 0; i < g->count; i++) {
            struct twin_member *m = &g->members[i];
            m->assignment[0] = 0;
            if (!m->syncing)
                continue;
            due(m->syncing, KAFKA_REBALANCE_IN_PROGRESS);
            m->syncing = NULL;
            touch(twin, m);
        }
    sync_clear(g);
    g->initial = g->state == TWIN_EMPTY;
    state_set(twin, g, TWIN_PREPARING);
    if (g->initial) {
        g->joined_since = false;
        g->step_ms = twin->delay_ms;
        g->left_ms = MAX(longest(g) - twin->delay_ms, 0);
        g->round_at = twin->now_ms + twin->delay_ms;
    } else if (all_joined(g)) {
        complete(twin, g);
    } else {
        g->round_at = twin->now_ms + longest(g);
    }
}

static void rebalance_or_check(struct twin *twin, struct twin_group *g)
{
    if (g->state != TWIN_PREPARING)
        rebalance(twin, g);
    else if (!g->initial && all_joined(g))
        complete(twin, g);
}

/* -- JoinGroup ---------------------------------------------------------------------------------------------------- */

static void member_update(struct twin_member *m, const struct twin_join *join)
{
    strcpy(m->protocols, join->protocols);
    m->metadata = join->metadata;
    m->session_ms = join->session_ms;
    m->rebalance_ms = join->rebalance_ms;
}

static void wait_in(struct twin_member *m, struct twin_call *call)
{
    if (m->joining)
        due(m->joining, KAFKA_REBALANCE_IN_PROGRESS);
    m->joining = call;
    call->serial = m->serial;
}

static void enter(struct twin *twin, struct twin_group *g, const char *id, const struct twin_join *join,
                  struct twin_call *call)
{
    ASSERT(g->count < TWIN_MEMBERS);
    struct twin_member *m = &g->members[g->count++];
    *m = (struct twin_member){ .serial = ++twin->serial, .fresh = true };
    strcpy(m->id, id);
    strcpy(m->instance, join->instance);
    member_update(m, join);
    g->typed = true;
    if (!g->leader)
        g->leader = m->serial;
    if (g->state == TWIN_PREPARING && g->initial)
        g->joined_since = true;
    wait_in(m, call);
    m->ends_at = twin->now_ms + NEW_MEMBER_MS;
    rebalance_or_check(twin, g);
}

/* The new one stands behind all others, as everybody who comes in. */
static void take_over(struct twin *twin, struct twin_group *g, struct twin_member *old, const struct twin_join *join,
                      struct twin_call *call)
{
    struct twin_member m = *old;
    bool led = g->leader == old->serial;
    end_waiting(old, KAFKA_FENCED_INSTANCE_ID);
    sync_done(g, old);
    member_remove(g, old);
    m.serial = ++twin->serial;
    m.id[0] = 0;
    m.joining = m.syncing = NULL;
    m.fresh = m.sync_due = false;
    member_update(&m, join);
    touch(twin, &m);
    g->members[g->count++] = m;
    if (led)
        g->leader = m.serial;
    struct twin_member *back = &g->members[g->count - 1];
    if (g->state == TWIN_STABLE && vote(g) == g->protocol) {
        save(g);
        due_join(g, back, call);
        call->skip = join->version >= 9 && led;
        call->told = call->skip ? g->count : 0;
        return;
    }
    wait_in(back, call);
    rebalance_or_check(twin, g);
}

static void join_new(struct twin *twin, struct twin_group *g, const struct twin_join *join, struct twin_call *call)
{
    struct twin_member *old = by_instance(g, join->instance);
    if (old)
        take_over(twin, g, old, join, call);
    else if (!join->instance[0] && join->version >= 4)
        due(call, KAFKA_MEMBER_ID_REQUIRED); /* see twin_learn_pending */
    else
        enter(twin, g, "", join, call);
}

static void join_again(struct twin *twin, struct twin_group *g, struct twin_member *m, const struct twin_join *join,
                       struct twin_call *call)
{
    bool same = strcmp(m->protocols, join->protocols) == 0 && m->metadata == join->metadata;
    bool told = (g->state == TWIN_COMPLETING && same) || (g->state == TWIN_STABLE && same && g->leader != m->serial);
    if (told) {
        due_join(g, m, call);
        return;
    }
    member_update(m, join);
    wait_in(m, call);
    rebalance_or_check(twin, g);
}

static bool room(struct twin *twin, struct twin_group *g, const struct twin_member *m)
{
    if (g->state == TWIN_EMPTY)
        return true;
    if (g->state == TWIN_PREPARING)
        return (m && m->joining) || waiting(g) < twin->size_max;
    return m || g->count < twin->size_max;
}

static void join_there(struct twin *twin, struct twin_group *g, const struct twin_join *join, struct twin_call *call)
{
    struct twin_member *m = by_id(g, join->id);
    int pending = join->id[0] ? pending_of(g, join->id) : -1;
    if (!room(twin, g, m)) {
        if (m) {
            sync_done(g, m);
            member_remove(g, m);
        }
        if (pending >= 0)
            pending_drop(g, pending);
        due(call, KAFKA_GROUP_MAX_SIZE_REACHED);
    } else if (!supports(g, join->protocols)) {
        due(call, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    } else if (!join->id[0]) {
        join_new(twin, g, join, call);
    } else if (pending >= 0 && !join->instance[0]) {
        pending_drop(g, pending);
        enter(twin, g, join->id, join, call);
    } else if (member_error(g, join->id, join->instance) != KAFKA_NONE) {
        due(call, member_error(g, join->id, join->instance));
    } else {
        join_again(twin, g, m, join, call);
    }
}

static void drop_if_unused(struct twin_group *g)
{
    if (g->there && !g->saved.there && g->count == 0 && g->pending_count == 0 && g->state == TWIN_EMPTY)
        group_forget(g);
}

void twin_join(struct twin *twin, int group, const struct twin_join *join, struct twin_call *call)
{
    struct twin_group *g = &twin->groups[group];
    if (!g->there) {
        g->there = true;
        state_set(twin, g, TWIN_EMPTY);
    }
    join_there(twin, g, join, call);
    if (call->error != KAFKA_MEMBER_ID_REQUIRED)
        drop_if_unused(g);
}

void twin_learn_pending(struct twin *twin, int group, const char *id, int64_t session_ms)
{
    struct twin_group *g = &twin->groups[group];
    ASSERT(g->pending_count < TWIN_PENDINGS);
    struct twin_pending *pending = &g->pendings[g->pending_count++];
    strcpy(pending->id, id);
    pending->ends_at = twin->now_ms + session_ms;
}

static void learn(struct twin_group *g, int serial, const char *id)
{
    struct twin_member *m = by_serial(g, serial);
    if (m)
        strcpy(m->id, id);
    for (int i = 0; i < g->saved.count; i++)
        if (g->saved.members[i].serial == serial)
            strcpy(g->saved.members[i].id, id);
}

void twin_learn(struct twin *twin, int group, const struct twin_call *call, const char *id)
{
    learn(&twin->groups[group], call->serial, id);
}

void twin_learn_all(struct twin *twin, int group, const char (*ids)[TWIN_ID], int count)
{
    struct twin_group *g = &twin->groups[group];
    for (int i = 0; i < count && count == g->count; i++)
        learn(g, g->members[i].serial, ids[i]);
}

/* -- the other requests ------------------------------------------------------------------------------------------- */

void twin_sync(struct twin *twin, int group, const char *id, const char *instance, int32_t generation,
               const char (*ids)[TWIN_ID], const char (*tokens)[8], int count, struct twin_call *call)
{
    struct twin_group *g = &twin->groups[group];
    int16_t error = g->there && g->state != TWIN_EMPTY ? member_error(g, id, instance) : KAFKA_UNKNOWN_MEMBER_ID;
    if (error == KAFKA_NONE && generation != g->generation)
        error = KAFKA_ILLEGAL_GENERATION;
    if (error == KAFKA_NONE && g->state == TWIN_PREPARING)
        error = KAFKA_REBALANCE_IN_PROGRESS;
    if (error != KAFKA_NONE) {
        due(call, error);
        return;
    }
    struct twin_member *m = by_id(g, id);
    sync_done(g, m);
    if (g->state == TWIN_STABLE) {
        due_sync(m, call);
        return;
    }
    if (m->syncing)
        due(m->syncing, KAFKA_REBALANCE_IN_PROGRESS);
    m->syncing = call;
    if (g->leader != m->serial)
        return;
    state_set(twin, g, TWIN_STABLE);
    for (int i = 0; i < g->count; i++) {
        struct twin_member *to = &g->members[i];
        to->assignment[0] = 0;
        for (int j = 0; j < count; j++)
            if (strcmp(ids[j], to->id) == 0)
                strcpy(to->assignment, tokens[j]);
        if (!to->syncing)
            continue;
        due_sync(to, to->syncing);
        to->syncing = NULL;
        touch(twin, to);
    }
    save(g);
}

int16_t twin_heartbeat(struct twin *twin, int group, const char *id, const char *instance, int32_t generation)
{
    struct twin_group *g = &twin->groups[group];
    int16_t error = g->there ? member_error(g, id, instance) : KAFKA_UNKNOWN_MEMBER_ID;
    if (error != KAFKA_NONE)
        return error;
    if (generation != g->generation)
        return KAFKA_ILLEGAL_GENERATION;
    touch(twin, by_id(g, id));
    return g->state == TWIN_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

static void gone(struct twin *twin, struct twin_group *g)
{
    if (g->state == TWIN_STABLE || g->state == TWIN_COMPLETING)
        rebalance(twin, g);
    else if (g->state == TWIN_PREPARING && !g->initial && all_joined(g))
        complete(twin, g);
}

int16_t twin_leave(struct twin *twin, int group, const char *id, const char *instance)
{
    struct twin_group *g = &twin->groups[group];
    if (!g->there)
        return KAFKA_UNKNOWN_MEMBER_ID;
    int pending = id[0] ? pending_of(g, id) : -1;
    struct twin_member *m = id[0] ? by_id(g, id) : by_instance(g, instance);
    int16_t error = pending >= 0 ? KAFKA_NONE : id[0] ? member_error(g, id, instance) : KAFKA_NONE;
    if (pending < 0 && !m && error == KAFKA_NONE)
        error = KAFKA_UNKNOWN_MEMBER_ID;
    if (error != KAFKA_NONE)
        return error;
    if (pending >= 0) {
        pending_drop(g, pending);
    } else {
        sync_done(g, m);
        member_remove(g, m);
    }
    gone(twin, g);
    return KAFKA_NONE;
}

static bool has_offsets(const struct twin_group *g)
{
    for (int i = 0; i < TWIN_PARTITIONS; i++)
        if (g->offsets[i] >= 0)
            return true;
    return false;
}

static int16_t commit_error(struct twin_group *g, const char *id, const char *instance, int32_t generation)
{
    if (!g->there && !has_offsets(g))
        return generation < 0 ? KAFKA_NONE : KAFKA_GROUP_ID_NOT_FOUND;
    if (!g->there)
        return generation < 0 ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
    if (generation < 0 && g->state == TWIN_EMPTY)
        return KAFKA_NONE;
    int16_t error = member_error(g, id, instance);
    if (error != KAFKA_NONE)
        return error;
    if (generation != g->generation)
        return KAFKA_ILLEGAL_GENERATION;
    return g->state == TWIN_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

int16_t twin_commit(struct twin *twin, int group, const char *id, const char *instance, int32_t generation,
                    int partition, int64_t offset)
{
    struct twin_group *g = &twin->groups[group];
    int16_t error = commit_error(g, id, instance, generation);
    if (error != KAFKA_NONE)
        return error;
    if (g->there && by_id(g, id))
        touch(twin, by_id(g, id));
    g->offsets[partition] = offset;
    g->committed_ms[partition] = twin->now_ms;
    return KAFKA_NONE;
}

int16_t twin_delete(struct twin *twin, int group)
{
    struct twin_group *g = &twin->groups[group];
    if (!g->there && !has_offsets(g))
        return KAFKA_GROUP_ID_NOT_FOUND;
    if (g->there && g->state != TWIN_EMPTY)
        return KAFKA_NON_EMPTY_GROUP;
    group_forget(g);
    for (int i = 0; i < TWIN_PARTITIONS; i++)
        g->offsets[i] = -1;
    (void)twin;
    return KAFKA_NONE;
}

void twin_cancel(struct twin *twin, struct twin_call *call)
{
    for (int i = 0; i < TWIN_GROUPS; i++) {
        struct twin_group *g = &twin->groups[i];
        for (int j = 0; j < g->count; j++) {
            struct twin_member *m = &g->members[j];
            if (m->joining != call && m->syncing != call)
                continue;
            due(call, KAFKA_REBALANCE_IN_PROGRESS);
            if (m->joining == call)
                m->joining = NULL;
            else
                m->syncing = NULL;
            touch(twin, m);
            return;
        }
    }
    UNREACHABLE();
}

void twin_topic_deleted(struct twin *twin, int topic)
{
    for (int i = 0; i < TWIN_GROUPS; i++) {
        struct twin_group *g = &twin->groups[i];
        for (int j = 0; j < TWIN_PARTITIONS; j++)
            if ((j == 2) == (topic == 1))
                g->offsets[j] = -1;
    }
}

void twin_restart(struct twin *twin)
{
    for (int i = 0; i < TWIN_GROUPS; i++) {
        struct twin_group *g = &twin->groups[i];
        const struct twin_saved saved = g->saved;
        for (int j = 0; j < g->count; j++)
            end_waiting(&g->members[j], KAFKA_NOT_COORDINATOR);
        group_forget(g);
        g->saved = saved;
        if (!saved.there)
            continue;
        g->there = true;
        g->typed = true;
        g->state = saved.count > 0 ? TWIN_STABLE : TWIN_EMPTY;
        g->since_ms = saved.since_ms;
        g->generation = saved.generation;
        g->protocol = saved.protocol;
        g->leader = saved.leader;
        g->count = saved.count;
        memcpy(g->members, saved.members, sizeof(g->members));
        for (int j = 0; j < g->count; j++)
            touch(twin, &g->members[j]);
        topics_read(g);
        if (g->count > twin->size_max)
            rebalance(twin, g);
    }
    twin->expiry_at = twin->now_ms + twin->check_ms;
}

/* -- time --------------------------------------------------------------------------------------------------------- */

static void moment(int64_t at, int64_t *first, int *count)
{
    if (at == NEVER || at > *first)
        return;
    *count = at == *first ? *count + 1 : 1;
    *first = at;
}

static int64_t group_next(const struct twin_group *g, int *ret_count)
{
    int64_t first = NEVER;
    moment(g->round_at, &first, ret_count);
    moment(g->sync_at, &first, ret_count);
    for (int j = 0; j < g->pending_count; j++)
        moment(g->pendings[j].ends_at, &first, ret_count);
    for (int j = 0; j < g->count; j++)
        moment(g->members[j].ends_at, &first, ret_count);
    return first;
}

int64_t twin_next(const struct twin *twin, bool *ret_tie)
{
    int64_t first = twin->expiry_at;
    *ret_tie = false;
    for (int i = 0; i < TWIN_GROUPS; i++) {
        int count = 0;
        int64_t at = group_next(&twin->groups[i], &count);
        bool tie = count > 1 || at == twin->expiry_at;
        if (at < first)
            *ret_tie = tie;
        else if (at == first)
            *ret_tie |= tie;
        first = MIN(first, at);
    }
    return first;
}

static void round_fire(struct twin *twin, struct twin_group *g)
{
    if (!g->initial || !g->joined_since || g->left_ms == 0) {
        complete(twin, g);
        return;
    }
    int64_t left = g->left_ms;
    g->joined_since = false;
    g->left_ms = MAX(left - g->step_ms, 0);
    g->step_ms = MIN(twin->delay_ms, left);
    g->round_at = twin->now_ms + g->step_ms;
}

static void session_fire(struct twin *twin, struct twin_group *g, struct twin_member *m)
{
    m->ends_at = NEVER;
    if (!m->fresh && (m->joining || m->syncing))
        return;
    sync_done(g, m);
    member_remove(g, m);
    if (g->state == TWIN_PREPARING && all_joined(g))
        complete(twin, g); /* also the first round */
    else
        gone(twin, g);
}

static void group_expire(struct twin *twin, struct twin_group *g)
{
    bool may = !g->there || !g->typed || g->state == TWIN_EMPTY || (g->state == TWIN_STABLE && g->topics_known);
    for (int i = 0; i < TWIN_PARTITIONS && may; i++) {
        bool subscribed = g->there && g->typed && g->subscribed[i == 2];
        int64_t since = g->there && g->typed && g->state == TWIN_EMPTY ? g->since_ms : g->committed_ms[i];
        if (g->offsets[i] >= 0 && !subscribed && twin->now_ms - since >= twin->retention_ms)
            g->offsets[i] = -1;
    }
    if (g->there && g->state == TWIN_EMPTY && !has_offsets(g))
        group_forget(g);
}

static void sync_fire(struct twin *twin, struct twin_group *g)
{
    for (int i = g->count - 1; i >= 0; i--)
        if (g->members[i].sync_due)
            member_remove(g, &g->members[i]);
    rebalance(twin, g);
}

static void group_fire(struct twin *twin, struct twin_group *g)
{
    int64_t now = twin->now_ms;
    if (g->round_at == now) {
        round_fire(twin, g);
        return;
    }
    if (g->sync_at == now) {
        sync_fire(twin, g);
        return;
    }
    for (int j = 0; j < g->pending_count; j++)
        if (g->pendings[j].ends_at == now) {
            pending_drop(g, j);
            if (g->state == TWIN_PREPARING && all_joined(g))
                complete(twin, g);
            return;
        }
    for (int j = 0; j < g->count; j++)
        if (g->members[j].ends_at == now) {
            session_fire(twin, g, &g->members[j]);
            return;
        }
}

void twin_fire(struct twin *twin)
{
    if (twin->expiry_at == twin->now_ms) {
        twin->expiry_at += twin->check_ms;
        for (int i = 0; i < TWIN_GROUPS; i++)
            group_expire(twin, &twin->groups[i]);
    }
    for (int i = 0; i < TWIN_GROUPS; i++)
        group_fire(twin, &twin->groups[i]);
}
