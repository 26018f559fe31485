/* What a heartbeat must fulfil, whatever group it is for, and sentences for those that do not. */
#include "coordinator/modern.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"

void modern_refuse(struct group *group, struct group_call *call, enum kafka_error error, const char *format, ...)
{
    struct consumer_group_heartbeat_response *out = call->out;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    ASSERT(len >= 0);
    char *text = arena_alloc(call->arena, (size_t)len + 1, 1);
    if (text) {
        va_start(args, format);
        (void)vsnprintf(text, (size_t)len + 1, format, args);
        va_end(args);
    }
    group_call_refuse(call, error);
    out->error_message = (struct odk_str){ .data = text, .len = text ? (size_t)len : 0 };
    groups_answer(group->groups, call);
}

#define REFUSE_INVALID(...) (modern_refuse(group, call, KAFKA_INVALID_REQUEST, __VA_ARGS__), false)

static bool ids_check(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    bool id_needed = call->version >= 1 || in->member_epoch > 0 || in->member_epoch == MODERN_EPOCH_LEAVE;
    if (in->member_id.len == 0 && id_needed)
        return REFUSE_INVALID("the member id is missing");
    if (in->instance_id.data && in->instance_id.len == 0)
        return REFUSE_INVALID("the instance id is empty: it must be null or a text");
    if (in->rack_id.data && in->rack_id.len == 0)
        return REFUSE_INVALID("the rack id is empty: it must be null or a text");
    if (in->member_id.len > GROUP_TEXT_BYTES_MAX || in->instance_id.len > GROUP_TEXT_BYTES_MAX ||
        in->rack_id.len > GROUP_TEXT_BYTES_MAX)
        return REFUSE_INVALID("the ids of member, instance and rack may have %u bytes at most", GROUP_TEXT_BYTES_MAX);
    return true;
}

static bool epoch_check(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    if (in->member_epoch < MODERN_EPOCH_AWAY)
        return REFUSE_INVALID("there is no member epoch below -2");
    if (in->member_epoch == MODERN_EPOCH_AWAY && !in->instance_id.data)
        return REFUSE_INVALID("only a member with an instance id can leave for a while (epoch -2)");
    if (in->member_epoch == MODERN_EPOCH_AWAY && in->member_id.len == 0)
        return REFUSE_INVALID("the member id is missing");
    if (in->member_epoch != MODERN_EPOCH_JOIN)
        return true;
    if (in->rebalance_timeout_ms <= 0)
        return REFUSE_INVALID("a member that joins must say its rebalance timeout");
    if (in->topic_partitions_count != 0)
        return REFUSE_INVALID("a member that joins owns nothing: its list of partitions must be there and empty");
    if (in->subscribed_topic_names_count < 0 && !in->subscribed_topic_regex.data)
        return REFUSE_INVALID("a member that joins must subscribe: by names, even none, or by a regular expression");
    return true;
}

static bool subscription_check(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    size_t bytes = 0;
    for (int32_t i = 0; i < in->subscribed_topic_names_count; i++)
        bytes += in->subscribed_topic_names[i].len + sizeof(int16_t);
    if (bytes > GROUP_TOLD_BYTES_MAX)
        return REFUSE_INVALID("the names of a subscription may have %u bytes in all", (unsigned)GROUP_TOLD_BYTES_MAX);
    if (in->subscribed_topic_regex.len > GROUP_REGEX_BYTES_MAX)
        return REFUSE_INVALID("the regular expression of a subscription may have %u bytes", GROUP_REGEX_BYTES_MAX);
    if (in->rebalance_timeout_ms < -1)
        return REFUSE_INVALID("the rebalance timeout is negative");
    return true;
}

static bool assignor_check(struct group *group, struct group_call *call)
{
    const struct consumer_group_heartbeat_request *in = call->in;
    const bool *offered = group->groups->env.config->assignors;
    enum group_assignor assignor;
    if (!in->server_assignor.data || (group_assignor_parse(in->server_assignor, &assignor) && offered[assignor]))
        return true;
    char names[64] = "";
    size_t used = 0;
    for (unsigned a = 0; a < GROUP_ASSIGNOR_COUNT; a++)
        if (offered[a])
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%.*s", used > 0 ? ", " : "",
                                     ODK_STR_FMT(group_assignor_name((enum group_assignor)a)));
    modern_refuse(group, call, KAFKA_UNSUPPORTED_ASSIGNOR, "the assignors offered here are: %s; not %.*s", names,
                  ODK_STR_FMT(text_cut(in->server_assignor)));
    return false;
}

bool modern_beat_check(struct group *group, struct group_call *call)
{
    return ids_check(group, call) && epoch_check(group, call) && subscription_check(group, call) &&
           assignor_check(group, call);
}

bool modern_epoch_check(struct modern_member *member, struct group_call *call, const struct tp_set *owned)
{
    struct group *group = member->modern->group;
    int32_t said = ((const struct consumer_group_heartbeat_request *)call->in)->member_epoch;
    bool reply_lost = said == member->previous_epoch && owned && tp_within(owned, &member->assigned);
    if (said == MODERN_EPOCH_JOIN || said == member->epoch || (said < member->epoch && reply_lost))
        return true;
    modern_refuse(group, call, KAFKA_FENCED_MEMBER_EPOCH,
                  "the member says epoch %d, the group knows it at %d: it must give up everything and join again", said,
                  member->epoch);
    return false;
}
