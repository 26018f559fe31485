/* LeaveGroup: members go at once. By member id, or by instance id alone, as administrators remove static ones
 * (KIP-345). */
#include "coordinator/classic.h"
#include "wire/messages.h"

static enum kafka_error leave_one(struct classic *classic, struct odk_str id, struct odk_str instance_id)
{
    struct classic_pending *pending = classic_pending_find(classic, id);
    if (pending) {
        classic_pending_remove(pending);
        return KAFKA_NONE;
    }
    struct classic_member *member = NULL;
    if (id.len > 0 || !instance_id.data) {
        enum kafka_error error = classic_member_check(classic, id, instance_id);
        if (error != KAFKA_NONE)
            return error;
        member = classic_member_find(classic, id);
    } else {
        member = classic_member_find_instance(classic, instance_id);
    }
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    classic_member_remove(member);
    return KAFKA_NONE;
}

/* One member, whose error is the answer's. */
static bool leave_single(struct classic *classic, struct group_call *call)
{
    const struct leave_group_request *in = call->in;
    struct leave_group_response *out = call->out;
    out->error_code = (int16_t)leave_one(classic, in->member_id, (struct odk_str){ 0 });
    return out->error_code == KAFKA_NONE;
}

/* ret_reason becomes that of the last one who went. True if anybody did. */
static bool leave_many(struct classic *classic, struct group_call *call, struct odk_str *ret_reason)
{
    const struct leave_group_request *in = call->in;
    struct leave_group_response *out = call->out;
    bool any = false;
    out->members = arena_new(call->arena, struct leave_group_response_member, (size_t)in->members_count);
    if (!out->members) {
        out->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return false;
    }
    out->members_count = in->members_count;
    for (int32_t i = 0; i < in->members_count; i++) {
        const struct leave_group_request_member *asked = &in->members[i];
        struct leave_group_response_member *row = &out->members[i];
        row->member_id = asked->member_id;
        row->group_instance_id = asked->group_instance_id;
        row->error_code = (int16_t)leave_one(classic, asked->member_id, asked->group_instance_id);
        if (row->error_code != KAFKA_NONE)
            continue;
        any = true;
        *ret_reason = asked->reason;
    }
    return any;
}

void classic_leave(struct group *group, struct group_call *call)
{
    struct classic *classic = group->classic;
    struct odk_str reason = ODK_STR("");
    bool any = call->version < LEAVE_VERSION_MEMBERS ? leave_single(classic, call) : leave_many(classic, call, &reason);
    if (any && classic->state != CLASSIC_EMPTY)
        classic_rebalance_or_check(classic, "rebalance: members have left", reason);
    groups_answer(group->groups, call);
}
