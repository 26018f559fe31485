#include "coordinator/classic.h"

void classic_join(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void classic_sync(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void classic_heartbeat(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

void classic_leave(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

enum kafka_error classic_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                      struct odk_str instance_id, int32_t generation)
{
    (void)group;
    (void)call;
    (void)member_id;
    (void)instance_id;
    (void)generation;
    UNREACHABLE();
}

const char *classic_state(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

bool classic_empty(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

struct odk_str classic_protocol_type(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

bool classic_subscribed(const struct group *group, struct odk_str topic)
{
    (void)group;
    (void)topic;
    UNREACHABLE();
}

void classic_describe(const struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    UNREACHABLE();
}

uint32_t classic_member_count(const struct group *group)
{
    (void)group;
    UNREACHABLE();
}

enum odk_err classic_replay(struct group *group, struct odk_bytes value)
{
    (void)group;
    (void)value;
    UNREACHABLE();
}

void classic_loaded(struct group *group)
{
    (void)group;
    UNREACHABLE();
}

void classic_snapshot(const struct group *group,
                      void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    (void)group;
    (void)record;
    (void)context;
    UNREACHABLE();
}

void classic_remove(struct group *group)
{
    (void)group;
    UNREACHABLE();
}

void classic_free(struct classic *classic, enum kafka_error error)
{
    (void)classic;
    (void)error;
    ASSERT(classic == NULL);
}

bool classic_cancel(struct group *group, struct group_call *call)
{
    (void)group;
    (void)call;
    return false;
}

bool classic_offsets_expire(const struct group *group, int64_t *ret_since_ms)
{
    (void)group;
    (void)ret_since_ms;
    UNREACHABLE();
}
