/* Groups of ConsumerGroupHeartbeat: none yet. Every request of theirs is refused, so no group ever has a modern part. */
#include "coordinator/groups_internal.h"

void modern_heartbeat(struct group *group, struct group_call *call)
{
    group_call_refuse(call, KAFKA_UNSUPPORTED_VERSION);
    groups_answer(group->groups, call);
}

enum odk_err modern_replay(struct groups *groups, int16_t kind, struct odk_bytes key_rest, struct odk_bytes value)
{
    (void)groups;
    (void)kind;
    (void)key_rest;
    (void)value;
    return ODK_ERR_VERSION;
}

void modern_join(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void modern_sync(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void modern_classic_heartbeat(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void modern_leave(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

enum kafka_error modern_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                     struct odk_str instance_id, int32_t epoch)
{
    (void)group;
    (void)call;
    (void)member_id;
    (void)instance_id;
    (void)epoch;
    UNREACHABLE();
}

enum kafka_error modern_fetch_check(struct group *group, struct odk_str member_id, int32_t epoch)
{
    (void)group;
    (void)member_id;
    (void)epoch;
    UNREACHABLE();
}

const char *modern_state(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

bool modern_empty(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

bool modern_subscribed(const struct group *group, struct odk_str topic)
{
    (void)group;
    (void)topic;
    UNREACHABLE();
}

void modern_describe(const struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

uint32_t modern_member_count(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

void modern_loaded(struct group *group)
{
    (void)group;
    UNREACHABLE();
}

void modern_snapshot(const struct group *group,
                     void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    (void)group;
    (void)record;
    (void)context;
    UNREACHABLE();
}

void modern_remove(struct group *group)
{
    (void)group;
    UNREACHABLE();
}

void modern_free(struct modern *modern, enum kafka_error error)
{
    (void)modern;
    (void)error;
    ASSERT(modern == NULL);
}

bool modern_cancel(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    return false;
}

void modern_topic_changed(struct group *group, const struct group_topic *topic, bool gone)
{
    (void)group;
    (void)topic;
    (void)gone;
    UNREACHABLE();
}
