/* SyncGroup: the leader hands in the assignment, everybody takes his part. */
#include "base/limits.h"
#include "coordinator/classic.h"
#include "wire/messages.h"

static bool differs(struct odk_str said, const struct classic_text *is)
{
    return said.data && is->data && !odk_str_eq(said, classic_text(is));
}

static enum kafka_error sync_check(const struct classic *classic, const struct sync_group_request *in)
{
    if (classic->state == CLASSIC_EMPTY)
        return KAFKA_UNKNOWN_MEMBER_ID;
    enum kafka_error error = classic_member_check(classic, in->member_id, in->group_instance_id);
    if (error != KAFKA_NONE)
        return error;
    if (in->generation_id != classic->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (differs(in->protocol_type, &classic->protocol_type) || differs(in->protocol_name, &classic->protocol))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    return classic->state == CLASSIC_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

/* Members that the leader forgot have nothing to do; what is not a member is passed over. Returns the bytes. */
static size_t assign(struct classic *classic, const struct sync_group_request *in)
{
    size_t bytes = 0;
    for (struct classic_member *member = classic->members; member; member = member->by_id.next)
        classic_member_assign(member, (struct odk_bytes){ 0 });
    for (int32_t i = 0; i < in->assignments_count && bytes <= GROUP_BYTES_MAX; i++) {
        struct classic_member *member = classic_member_find(classic, in->assignments[i].member_id);
        if (!member)
            continue;
        bytes += in->assignments[i].assignment.len;
        classic_member_assign(member, in->assignments[i].assignment);
    }
    return bytes;
}

/* Everybody who waits gets his part, or the error. */
static void propagate(struct classic *classic, enum kafka_error error)
{
    for (struct classic_member *member = classic->members; member; member = member->by_id.next) {
        struct group_call *call = member->syncing;
        if (!call)
            continue;
        member->syncing = NULL;
        classic_member_touch(member);
        if (error == KAFKA_NONE)
            classic_answer_sync(member, call);
        else
            groups_refuse(classic_groups(classic), call, error);
    }
}

static void assignment_take(struct classic *classic, const struct sync_group_request *in)
{
    size_t before = classic->assigned_bytes, bytes = assign(classic, in);
    if (bytes > GROUP_BYTES_MAX || (bytes > before && groups_full(classic_groups(classic)))) {
        propagate(classic, KAFKA_UNKNOWN_SERVER_ERROR);
        classic_rebalance(classic, "rebalance: the assignment is larger than a group may keep", ODK_STR(""));
        return;
    }
    classic_state_set(classic, CLASSIC_STABLE);
    classic_record(classic);
    propagate(classic, KAFKA_NONE);
}

void classic_sync(struct group *group, struct group_call *call)
{
    const struct sync_group_request *in = call->in;
    struct classic *classic = group->classic;
    enum kafka_error error = sync_check(classic, in);
    if (error != KAFKA_NONE) {
        groups_refuse(group->groups, call, error);
        return;
    }
    struct classic_member *member = classic_member_find(classic, in->member_id);
    classic_sync_done(member);
    if (classic->state == CLASSIC_STABLE) {
        classic_answer_sync(member, call);
        return;
    }
    classic_end_sync(member, KAFKA_REBALANCE_IN_PROGRESS); /* an earlier call, of a connection that is gone */
    member->syncing = call;
    if (classic->leader == member)
        assignment_take(classic, in);
}
