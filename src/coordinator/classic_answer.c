#include "coordinator/classic.h"

#include "wire/messages.h"

/* From here on a leader can be told that the assignment stands. Before, one who comes back is told that the leader is
 * who led before, so that it does not divide again (KIP-345, 814). */
#define JOIN_VERSION_SKIP_ASSIGNMENT 9

/* -- JoinGroup ---------------------------------------------------------------------------------------------------- */

/* Who is in the group, with what: for the leader, who divides. */
static bool members_fill(const struct classic *classic, struct group_call *call, struct join_group_response *out)
{
    out->members = arena_new(call->arena, struct join_group_response_member, classic_members_count(classic));
    if (!out->members)
        return false;
    for (const struct classic_member *member = classic->members; member; member = member->by_id.next) {
        struct join_group_response_member *row = &out->members[out->members_count++];
        struct odk_bytes metadata = classic_member_metadata(member);
        row->member_id = call_text(call, member->id);
        row->group_instance_id = call_text(call, member->instance_id);
        row->metadata = call_bytes(call, metadata);
        if (!row->member_id.data || (member->instance_id.data && !row->group_instance_id.data) ||
            (metadata.data && !row->metadata.data))
            return false;
    }
    return true;
}

static bool round_fill(const struct classic *classic, struct group_call *call, struct join_group_response *out)
{
    out->generation_id = classic->generation;
    out->protocol_type = call_text(call, classic_text(&classic->protocol_type));
    out->protocol_name = call_text(call, classic_text(&classic->protocol));
    out->leader = classic->leader ? call_text(call, classic->leader->id) : ODK_STR("");
    bool typed = !classic->protocol_type.data || out->protocol_type.data;
    bool named = !classic->protocol.data || out->protocol_name.data;
    return typed && named && out->leader.data;
}

void classic_refuse_join(struct classic *classic, struct group_call *call, enum kafka_error error,
                         struct odk_str member_id)
{
    struct join_group_response *out = call->out;
    struct odk_str copy = call_text(call, member_id);
    group_call_refuse(call, error);
    out->member_id = copy;
    groups_answer(classic_groups(classic), call);
}

void classic_answer_join(struct classic_member *member, struct group_call *call)
{
    struct classic *classic = member->classic;
    struct join_group_response *out = call->out;
    out->member_id = call_text(call, member->id);
    bool good = out->member_id.data && round_fill(classic, call, out);
    if (good && classic->leader == member)
        good = members_fill(classic, call, out);
    if (good)
        groups_answer(classic_groups(classic), call);
    else
        classic_refuse_join(classic, call, KAFKA_UNKNOWN_SERVER_ERROR, member->id);
}

void classic_answer_replaced(struct classic_member *member, struct group_call *call, struct odk_str leader_before)
{
    struct classic *classic = member->classic;
    struct join_group_response *out = call->out;
    bool leads = classic->leader == member;
    if (call->version >= JOIN_VERSION_SKIP_ASSIGNMENT) {
        out->skip_assignment = leads;
        classic_answer_join(member, call);
        return;
    }
    out->member_id = call_text(call, member->id);
    bool good = out->member_id.data && round_fill(classic, call, out);
    out->leader = leader_before;
    if (!good)
        group_call_refuse(call, KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(classic_groups(classic), call);
}

void classic_end_join(struct classic_member *member, enum kafka_error error, struct odk_str member_id)
{
    struct group_call *call = member->joining;
    if (!call)
        return;
    member->joining = NULL;
    member->classic->joining_count--;
    classic_refuse_join(member->classic, call, error, member_id);
}

/* -- SyncGroup ---------------------------------------------------------------------------------------------------- */

void classic_answer_sync(struct classic_member *member, struct group_call *call)
{
    struct classic *classic = member->classic;
    struct sync_group_response *out = call->out;
    struct odk_bytes assignment = { member->assignment, member->assignment_len };
    out->protocol_type = call_text(call, classic_text(&classic->protocol_type));
    out->protocol_name = call_text(call, classic_text(&classic->protocol));
    out->assignment = call_bytes(call, assignment);
    if (assignment.data && !out->assignment.data)
        group_call_refuse(call, KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(classic_groups(classic), call);
}

void classic_end_sync(struct classic_member *member, enum kafka_error error)
{
    struct group_call *call = member->syncing;
    if (!call)
        return;
    member->syncing = NULL;
    groups_refuse(classic_groups(member->classic), call, error);
}
