#include "coordinator/classic.h"

#include <stdlib.h>

#include "wire/messages.h"

/* -- life --------------------------------------------------------------------------------------------------------- */

struct classic *classic_take(struct group *group)
{
    if (group->classic)
        return group->classic;
    struct classic *classic = xcalloc(1, sizeof(*classic));
    classic->group = group;
    classic->state_since_ms = *group->groups->env.wall_ms;
    classic->round.fire = classic_round_fire;
    classic->sync.fire = classic_sync_fire;
    group->classic = classic;
    return classic;
}

void classic_free(struct classic *classic, enum kafka_error error)
{
    if (!classic)
        return;
    struct timers *timers = classic_groups(classic)->env.timers;
    struct classic_member *member, *next_member;
    HASH_ITER(by_id, classic->members, member, next_member)
    {
        classic_end_join(member, error, member->id);
        classic_end_sync(member, error);
        classic_member_remove(member);
    }
    struct classic_pending *pending, *next_pending;
    HASH_ITER(by_id, classic->pendings, pending, next_pending)
    classic_pending_remove(pending);
    ASSERT(!classic->candidates && classic->kept_bytes == 0);            /* C1 */
    ASSERT(classic->assigned_bytes == 0 && classic->pending_bytes == 0);
    ASSERT(classic->joining_count == 0 && classic->sync_due_count == 0); /* C2, C3 */
    timer_cancel(timers, &classic->round);
    timer_cancel(timers, &classic->sync);
    classic_topics_clear(classic);
    free(classic->protocol_type.data);
    free(classic->protocol.data);
    free(classic->durable);
    free(classic);
}

void classic_drop_if_unused(struct group *group)
{
    struct classic *classic = group->classic;
    if (classic->durable || classic->members || classic->pendings || classic->state != CLASSIC_EMPTY)
        return;
    classic_free(classic, KAFKA_NONE);
    group->classic = NULL;
}

/* value may be the text itself. */
void classic_text_set(struct classic_text *text, struct odk_str value)
{
    char *copy = value.data ? xstrndup(value.data, value.len) : NULL;
    free(text->data);
    *text = (struct classic_text){ .data = copy, .len = value.len };
}

void classic_state_set(struct classic *classic, enum classic_state state)
{
    classic->state = state;
    classic->state_since_ms = *classic_groups(classic)->env.wall_ms;
}

/* Names of protocols are kept twice: by members and as candidates. Names of topics are part of what members say. */
size_t classic_bytes(const struct classic *classic)
{
    size_t members = classic_members_count(classic) * (sizeof(struct classic_member) + 3 * GROUP_ALLOC_BYTES);
    size_t names = HASH_CNT(by_name, classic->candidates) * (sizeof(struct classic_candidate) + GROUP_ALLOC_BYTES);
    size_t topics = HASH_CNT(by_name, classic->topics) * (sizeof(struct classic_topic) + GROUP_ALLOC_BYTES);
    return sizeof(*classic) + GROUP_ALLOC_BYTES + members + 3 * classic->kept_bytes + names + topics +
           classic->assigned_bytes + classic->pending_bytes + classic->durable_len;
}

/* -- questions ---------------------------------------------------------------------------------------------------- */

bool classic_is_consumer(const struct classic *classic)
{
    return odk_str_eq(classic_text(&classic->protocol_type), ODK_STR("consumer"));
}

const char *classic_state(const struct group *group)
{
    switch (group->classic->state) {
    case CLASSIC_EMPTY: return "Empty";
    case CLASSIC_PREPARING: return "PreparingRebalance";
    case CLASSIC_COMPLETING: return "CompletingRebalance";
    case CLASSIC_STABLE: return "Stable";
    }
    UNREACHABLE();
}

bool classic_empty(const struct group *group)
{
    return group->classic->state == CLASSIC_EMPTY;
}

uint32_t classic_member_count(const struct group *group)
{
    return classic_members_count(group->classic);
}

struct odk_str classic_protocol_type(const struct group *group)
{
    const struct classic *classic = group->classic;
    return classic->protocol_type.data ? classic_text(&classic->protocol_type) : ODK_STR("");
}

bool classic_offsets_expire(const struct group *group, int64_t *ret_since_ms)
{
    const struct classic *classic = group->classic;
    *ret_since_ms = -1;
    if (!classic->protocol_type.data) /* offsets of a consumer that assigns itself */
        return true;
    if (classic->state == CLASSIC_EMPTY)
        *ret_since_ms = classic->state_since_ms;
    return classic->state == CLASSIC_EMPTY || (classic->state == CLASSIC_STABLE && classic->topics_known);
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

void classic_heartbeat(struct group *group, struct group_call *call)
{
    const struct heartbeat_request *in = call->in;
    const struct classic *classic = group->classic;
    enum kafka_error error = classic_member_check(classic, in->member_id, in->group_instance_id);
    if (error == KAFKA_NONE && in->generation_id != classic->generation)
        error = KAFKA_ILLEGAL_GENERATION;
    if (error == KAFKA_NONE) {
        classic_member_touch(classic_member_find(classic, in->member_id));
        error = classic->state == CLASSIC_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
    }
    groups_refuse(group->groups, call, error);
}

static enum kafka_error commit_check(const struct classic *classic, struct odk_str member_id,
                                     struct odk_str instance_id, int32_t generation)
{
    if (generation < 0 && classic->state == CLASSIC_EMPTY)
        return KAFKA_NONE;
    if (generation < 0 && member_id.len == 0 && !instance_id.data)
        return KAFKA_UNKNOWN_MEMBER_ID;
    enum kafka_error error = classic_member_check(classic, member_id, instance_id);
    if (error != KAFKA_NONE)
        return error;
    if (generation != classic->generation)
        return KAFKA_ILLEGAL_GENERATION;
    return classic->state == CLASSIC_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

enum kafka_error classic_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                      struct odk_str instance_id, int32_t generation)
{
    (void)call;
    struct classic *classic = group->classic;
    if (!classic)
        return generation < 0 ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
    enum kafka_error error = commit_check(classic, member_id, instance_id, generation);
    struct classic_member *member = error == KAFKA_NONE ? classic_member_find(classic, member_id) : NULL;
    if (member)
        classic_member_touch(member);
    return error;
}

static bool describe_member(const struct classic_member *member, struct group_call *call,
                            struct describe_groups_response_member *row)
{
    bool stable = member->classic->state == CLASSIC_STABLE;
    struct odk_bytes metadata = stable ? classic_member_metadata(member) : (struct odk_bytes){ 0 };
    struct odk_bytes assignment = { member->assignment, member->assignment_len };
    row->member_id = call_text(call, member->id);
    row->group_instance_id = call_text(call, member->instance_id);
    row->client_id = call_text(call, member->client_id);
    row->client_host = call_text(call, member->client_host);
    row->member_metadata = call_bytes(call, metadata);
    row->member_assignment = call_bytes(call, assignment);
    return row->member_id.data && (!member->instance_id.data || row->group_instance_id.data) &&
           (!metadata.data || row->member_metadata.data) && (!assignment.data || row->member_assignment.data);
}

void classic_describe(const struct group *group, struct group_call *call)
{
    const struct classic *classic = group->classic;
    struct describe_groups_response_group *out = call->out;
    out->group_state = odk_str_from(classic_state(group));
    out->protocol_type = call_text(call, classic_protocol_type(group));
    if (classic->state == CLASSIC_STABLE)
        out->protocol_data = call_text(call, classic_text(&classic->protocol));
    out->members = arena_new(call->arena, struct describe_groups_response_member, classic_members_count(classic));
    bool good = out->members != NULL;
    for (const struct classic_member *member = classic->members; member && good; member = member->by_id.next)
        good = describe_member(member, call, &out->members[out->members_count++]);
    if (!good)
        group_call_refuse(call, KAFKA_UNKNOWN_SERVER_ERROR);
}

/* Its client has hung up. It keeps its place, and what its session has left of time begins anew. */
bool classic_cancel(struct group *group, struct group_call *call)
{
    for (struct classic_member *member = group->classic->members; member; member = member->by_id.next) {
        if (member->joining != call && member->syncing != call)
            continue;
        if (member->joining == call)
            classic_end_join(member, KAFKA_REBALANCE_IN_PROGRESS, member->id);
        else
            classic_end_sync(member, KAFKA_REBALANCE_IN_PROGRESS);
        classic_member_touch(member);
        return true;
    }
    return false;
}
