/*
 * Rounds: from the first reason to join again to the generation that follows.
 *
 * The first round of a group waits for company: at least group.initial.rebalance.delay.ms, and as long again each time
 * somebody came meanwhile, all in all at most the largest rebalance timeout (KIP-134).
 */
#include "coordinator/classic.h"

/* Before a round that nobody came to is looked at again; clients may choose a rebalance timeout of zero. */
#define NOBODY_CAME_RETRY_MS 1000

/* -- deadlines ---------------------------------------------------------------------------------------------------- */

static int32_t rebalance_timeout_ms(const struct classic *classic)
{
    int32_t largest = 0;
    for (const struct classic_member *member = classic->members; member; member = member->by_id.next)
        largest = MAX(largest, member->rebalance_timeout_ms);
    return largest;
}

static void deadline_set(const struct classic *classic, struct timer *timer, int64_t ms)
{
    struct groups *groups = classic_groups(classic);
    timer_arm(groups->env.timers, timer, groups_deadline(groups, ms));
}

/* Nobody need sync any more. */
static void sync_clear(struct classic *classic)
{
    for (struct classic_member *member = classic->members; member && classic->sync_due_count > 0;
         member = member->by_id.next)
        classic_sync_done(member);
}

void classic_sync_done(struct classic_member *member)
{
    struct classic *classic = member->classic;
    if (!member->sync_due)
        return;
    member->sync_due = false;
    if (--classic->sync_due_count == 0)
        timer_cancel(classic_groups(classic)->env.timers, &classic->sync);
}

/* -- the round opens ---------------------------------------------------------------------------------------------- */

static void first_step(struct classic *classic)
{
    int64_t delay_ms = classic_groups(classic)->env.config->initial_rebalance_delay_ms;
    classic->joined_since = false;
    classic->step_ms = delay_ms;
    classic->steps_left_ms = MAX(rebalance_timeout_ms(classic) - delay_ms, 0);
    deadline_set(classic, &classic->round, delay_ms);
}

void classic_rebalance(struct classic *classic, const char *what, struct odk_str detail)
{
    ASSERT(classic->state != CLASSIC_PREPARING);
    if (classic->state == CLASSIC_COMPLETING) {
        for (struct classic_member *member = classic->members; member; member = member->by_id.next) {
            classic_member_assign(member, (struct odk_bytes){ 0 });
            if (!member->syncing)
                continue;
            classic_end_sync(member, KAFKA_REBALANCE_IN_PROGRESS);
            classic_member_touch(member);
        }
    }
    sync_clear(classic);
    classic->initial = classic->state == CLASSIC_EMPTY;
    if (classic->initial)
        first_step(classic);
    classic_state_set(classic, CLASSIC_PREPARING);
    groups_say(classic->group, what, detail);
    if (classic->initial)
        return;
    if (classic_all_joined(classic))
        classic_round_complete(classic);
    else
        deadline_set(classic, &classic->round, rebalance_timeout_ms(classic));
}

void classic_rebalance_or_check(struct classic *classic, const char *what, struct odk_str detail)
{
    if (classic->state != CLASSIC_PREPARING)
        classic_rebalance(classic, what, detail);
    else
        classic_round_check(classic);
}

/* -- the round ends ----------------------------------------------------------------------------------------------- */

bool classic_all_joined(const struct classic *classic)
{
    return classic->joining_count == classic_members_count(classic) && !classic->pendings;
}

void classic_round_check(struct classic *classic)
{
    if (classic->state == CLASSIC_PREPARING && !classic->initial && classic_all_joined(classic))
        classic_round_complete(classic);
}

/* Dynamic members that have not come are out; static ones keep their place. */
static void laggards_remove(struct classic *classic)
{
    struct classic_member *member, *next;
    HASH_ITER(by_id, classic->members, member, next)
    {
        if (!member->joining && !member->instance_id.data)
            classic_member_remove(member);
    }
}

/* The leader stays if it has come. False: nobody has. */
static bool leader_elect(struct classic *classic)
{
    struct classic_member *member = classic->leader;
    if (member && member->joining)
        return true;
    for (member = classic->members; member && !member->joining; member = member->by_id.next)
        continue;
    if (member)
        classic->leader = member;
    return member != NULL;
}

static void generation_begin(struct classic *classic)
{
    classic->generation = classic->generation == INT32_MAX ? 1 : classic->generation + 1;
    classic_text_set(&classic->protocol, classic->members ? classic_vote(classic) : (struct odk_str){ 0 });
    classic_topics_read(classic);
    classic_state_set(classic, classic->members ? CLASSIC_COMPLETING : CLASSIC_EMPTY);
}

/* Everybody who has come learns of the generation. */
static void generation_tell(struct classic *classic)
{
    struct classic_member *member, *next;
    HASH_ITER(by_id, classic->members, member, next)
    {
        struct group_call *call = member->joining;
        member->fresh = false;
        member->sync_due = true;
        classic->sync_due_count++;
        classic_member_touch(member);
        if (!call)
            continue;
        member->joining = NULL;
        classic->joining_count--;
        classic_answer_join(member, call);
    }
    deadline_set(classic, &classic->sync, rebalance_timeout_ms(classic));
}

void classic_round_complete(struct classic *classic)
{
    ASSERT(classic->state == CLASSIC_PREPARING);
    timer_cancel(classic_groups(classic)->env.timers, &classic->round);
    laggards_remove(classic);
    if (!leader_elect(classic) && classic->members) {
        /* Only static members are left, and none has come: their sessions decide. */
        deadline_set(classic, &classic->round, MAX(rebalance_timeout_ms(classic), NOBODY_CAME_RETRY_MS));
        return;
    }
    generation_begin(classic);
    if (classic->members)
        generation_tell(classic);
    else
        classic_record(classic);
}

/* -- timers ------------------------------------------------------------------------------------------------------- */

void classic_round_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct classic *classic = container_of(timer, struct classic, round);
    if (classic->initial && classic->joined_since && classic->steps_left_ms > 0) {
        int64_t delay_ms = classic_groups(classic)->env.config->initial_rebalance_delay_ms;
        int64_t left_ms = classic->steps_left_ms;
        classic->joined_since = false;
        classic->steps_left_ms = MAX(left_ms - classic->step_ms, 0);
        classic->step_ms = MIN(delay_ms, left_ms);
        deadline_set(classic, timer, classic->step_ms);
    } else {
        classic_round_complete(classic);
    }
    groups_flush(classic_groups(classic));
}

void classic_sync_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct classic *classic = container_of(timer, struct classic, sync);
    struct classic_member *member, *next;
    ASSERT(classic->sync_due_count > 0);
    ASSERT(classic->state == CLASSIC_COMPLETING || classic->state == CLASSIC_STABLE);
    HASH_ITER(by_id, classic->members, member, next)
    {
        if (member->sync_due)
            classic_member_remove(member);
    }
    classic_rebalance(classic, "rebalance: members did not ask for their assignment in time", ODK_STR(""));
    groups_flush(classic_groups(classic));
}

/* A waiting call stands for heartbeats; but not for ever where the client has no id yet to send heartbeats with. */
void classic_session_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct classic_member *member = container_of(timer, struct classic_member, session);
    struct classic *classic = member->classic;
    if (!member->fresh && (member->joining || member->syncing))
        return;
    struct groups *groups = classic_groups(classic);
    classic_member_remove(member);
    if (classic->state == CLASSIC_STABLE || classic->state == CLASSIC_COMPLETING)
        classic_rebalance(classic, "rebalance: the session of a member has ended", ODK_STR(""));
    else if (classic_all_joined(classic))
        classic_round_complete(classic);
    groups_flush(groups);
}

void classic_pending_fire(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct classic_pending *pending = container_of(timer, struct classic_pending, session);
    struct classic *classic = pending->classic;
    classic_pending_remove(pending);
    if (classic->state == CLASSIC_PREPARING && classic_all_joined(classic))
        classic_round_complete(classic);
    groups_flush(classic_groups(classic));
}
