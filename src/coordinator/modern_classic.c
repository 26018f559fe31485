/*
 * Members that speak the classic protocol, in a group of the newer one (KIP-848, online migration): JoinGroup is a
 * heartbeat that says everything, the generation is the member's epoch, and the error REBALANCE_IN_PROGRESS makes it
 * join again whenever there is something to give up or to get. No call waits, and nobody is leader.
 */
#include "coordinator/modern.h"

#include "base/limits.h"
#include "coordinator/consumer_blob.h"
#include "coordinator/modern_migrate.h"
#include "coordinator/texts.h"

/* From here on a dynamic member is given its id first and comes back with it (KIP-394). */
#define JOIN_VERSION_MEMBER_ID_REQUIRED 4
/* Before, the session timeout stands for it. */
#define JOIN_VERSION_REBALANCE_TIMEOUT 1

static const struct consumer_group_member_metadata_value_supported_protocol *
first_protocol(const struct modern_member *member)
{
    return &member->told->classic_member_metadata->supported_protocols[0];
}

/* Something has to be done for which the member must join again: it has so long. */
static void progress_arm(struct modern_member *member)
{
    struct groups *groups = modern_groups(member->modern);
    if (!timer_armed(&member->progress))
        timer_arm(groups->env.timers, &member->progress, groups_deadline(groups, member->told->rebalance_timeout_ms));
}

static void progress_cancel(struct modern_member *member)
{
    timer_cancel(modern_groups(member->modern)->env.timers, &member->progress);
}

/* -- JoinGroup ---------------------------------------------------------------------------------------------------- */

struct join {
    struct group *group;
    struct group_call *call;
    const struct join_group_request *in;
    struct odk_str member_id;
    struct modern_member *member;   /* NULL: new */
    struct modern_member *replaced; /* the static member whose place it takes */
    struct consumer_protocol_subscription subscription;
    struct consumer_group_member_metadata_value_classic_member_metadata classic;
    struct consumer_group_member_metadata_value told;
};

static struct arena *scratch_of(const struct join *join)
{
    return &join->group->groups->scratch;
}

/* Of protocols with the same name the first counts. */
static enum kafka_error read_protocols(struct join *join)
{
    const struct join_group_request *in = join->in;
    if (in->protocols_count <= 0 || in->protocols_count > GROUP_PROTOCOLS_MAX ||
        !odk_str_eq(in->protocol_type, ODK_STR("consumer")))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    struct consumer_group_member_metadata_value_supported_protocol *list = arena_new(
        scratch_of(join), struct consumer_group_member_metadata_value_supported_protocol, (size_t)in->protocols_count);
    ASSERT(list != NULL);
    int32_t used = 0;
    for (int32_t i = 0; i < in->protocols_count; i++) {
        bool twice = false;
        for (int32_t j = 0; j < used; j++)
            twice |= odk_str_eq(list[j].name, in->protocols[i].name);
        if (in->protocols[i].name.len > GROUP_TEXT_BYTES_MAX)
            return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (!twice)
            list[used++] =
                (struct consumer_group_member_metadata_value_supported_protocol){ in->protocols[i].name,
                                                                                  in->protocols[i].metadata };
    }
    join->classic.session_timeout_ms = in->session_timeout_ms;
    join->classic.supported_protocols = list;
    join->classic.supported_protocols_count = used;
    int16_t version;
    return subscription_read_any(list, used, scratch_of(join), &join->subscription, &version)
               ? KAFKA_NONE
               : KAFKA_INCONSISTENT_GROUP_PROTOCOL;
}

/* Is there a protocol that all members of the classic protocol would have in common with it? */
static bool supported(const struct join *join)
{
    const struct modern_member *self = join->member ? join->member : join->replaced;
    for (int32_t i = 0; i < join->classic.supported_protocols_count; i++)
        if (modern_all_speak(join->group->modern, join->classic.supported_protocols[i].name, self))
            return true;
    return false;
}

static enum kafka_error name_member(struct join *join)
{
    struct odk_str prefix =
        join->in->group_instance_id.data ? join->in->group_instance_id : modern_client_text(join->call->client_id);
    join->member_id = call_member_id(join->group->groups, join->call, prefix);
    return join->member_id.data ? KAFKA_NONE : KAFKA_UNKNOWN_SERVER_ERROR;
}

static enum kafka_error find_static(struct join *join)
{
    const struct join_group_request *in = join->in;
    struct modern_member *holder = modern_member_find_instance(join->group->modern, in->group_instance_id);
    if (in->group_instance_id.len > GROUP_TEXT_BYTES_MAX)
        return KAFKA_INVALID_REQUEST;
    if (in->member_id.len == 0) {
        join->replaced = holder;
        return name_member(join);
    }
    if (!holder)
        return KAFKA_UNKNOWN_MEMBER_ID;
    join->member = holder;
    return odk_str_eq(modern_member_id(holder), in->member_id) ? KAFKA_NONE : KAFKA_FENCED_INSTANCE_ID;
}

static enum kafka_error find_dynamic(struct join *join)
{
    const struct join_group_request *in = join->in;
    join->member = modern_member_find(join->group->modern, in->member_id);
    if (in->member_id.len > 0)
        return join->member || in->member_id.len <= GROUP_TEXT_BYTES_MAX + 1 + GROUP_UUID_TEXT_LEN
                   ? KAFKA_NONE
                   : KAFKA_UNKNOWN_MEMBER_ID;
    enum kafka_error error = name_member(join);
    if (error == KAFKA_NONE && join->call->version >= JOIN_VERSION_MEMBER_ID_REQUIRED)
        return KAFKA_MEMBER_ID_REQUIRED;
    return error;
}

static void read_told(struct join *join)
{
    const struct join_group_request *in = join->in;
    const struct modern_member *before = join->member ? join->member : join->replaced;
    struct consumer_group_member_metadata_value *told = &join->told;
    consumer_group_member_metadata_value_init(told);
    if (before)
        *told = *before->told;
    if (in->group_instance_id.len > 0)
        told->instance_id = in->group_instance_id;
    told->rack_id = join->subscription.rack_id;
    told->client_id = modern_client_text(join->call->client_id);
    told->client_host = modern_client_text(join->call->client_host);
    told->rebalance_timeout_ms = join->call->version < JOIN_VERSION_REBALANCE_TIMEOUT || in->rebalance_timeout_ms < 0
                                     ? in->session_timeout_ms
                                     : in->rebalance_timeout_ms;
    told->subscribed_topic_names = join->subscription.topics;
    told->subscribed_topic_names_count =
        (int32_t)texts_sort(join->subscription.topics, (uint32_t)join->subscription.topics_count);
    told->subscribed_topic_regex = (struct odk_str){ 0 };
    told->classic_member_metadata = &join->classic;
}

static enum kafka_error find_room(const struct join *join)
{
    const struct modern *modern = join->group->modern;
    const struct modern_member *before = join->member ? join->member : join->replaced;
    int32_t members_max = MIN(join->group->groups->env.config->modern_size_max, (int32_t)GROUP_MEMBERS_MAX);
    size_t own = modern_told_bytes(&join->told), old = before ? modern_told_bytes(before->told) : 0;
    bool full = !before && (int64_t)HASH_CNT(by_id, modern->members) >= members_max;
    bool large = own > GROUP_TOLD_BYTES_MAX || modern->told_bytes + own - old > GROUP_TOLD_ALL_BYTES_MAX;
    bool no_memory = own > old && groups_full(join->group->groups);
    return full || large || no_memory ? KAFKA_GROUP_MAX_SIZE_REACHED : KAFKA_NONE;
}

static void answer_join(const struct join *join, const struct modern_member *member)
{
    struct join_group_response *out = join->call->out;
    out->generation_id = member->epoch;
    out->protocol_type = ODK_STR("consumer");
    out->protocol_name = call_text(join->call, first_protocol(member)->name);
    out->leader = ODK_STR("");
    out->member_id = join->member_id;
    if (!out->protocol_name.data)
        group_call_refuse(join->call, KAFKA_UNKNOWN_SERVER_ERROR);
}

static void join_all(struct join *join)
{
    struct modern *modern = join->group->modern;
    struct tp_set owned = subscription_owned(join->group->groups, &join->subscription, scratch_of(join));
    bool resubscribed;
    if (join->replaced) {
        join->member = modern_replace(join->replaced, join->member_id);
        read_told(join); /* what it showed is gone */
    }
    struct modern_member *member = modern_say(modern, join->member_id, &join->told, NULL, &resubscribed);
    (void)modern_reconcile(member, &owned, resubscribed);
    modern_touch(member);
    progress_cancel(member);
    progress_arm(member); /* until it syncs */
    answer_join(join, member);
    (void)modern_downgrade(join->group, resubscribed ? MODERN_DOWNGRADE_REBALANCE : MODERN_DOWNGRADE_QUIET);
    groups_answer(join->group->groups, join->call);
}

void modern_join(struct group *group, struct group_call *call)
{
    struct join join = { .group = group, .call = call, .in = call->in };
    join.member_id = join.in->member_id;
    enum kafka_error error = join.in->group_instance_id.data ? find_static(&join) : find_dynamic(&join);
    if (error == KAFKA_NONE || error == KAFKA_MEMBER_ID_REQUIRED) {
        enum kafka_error protocols = read_protocols(&join);
        error = protocols != KAFKA_NONE ? protocols : !supported(&join) ? KAFKA_INCONSISTENT_GROUP_PROTOCOL : error;
    }
    if (error == KAFKA_NONE) {
        read_told(&join);
        error = find_room(&join);
    }
    if (error == KAFKA_NONE) {
        join_all(&join);
        return;
    }
    group_call_refuse(call, error);
    if (error == KAFKA_MEMBER_ID_REQUIRED)
        ((struct join_group_response *)call->out)->member_id = join.member_id;
    groups_answer(group->groups, call);
}

/* -- SyncGroup, Heartbeat ----------------------------------------------------------------------------------------- */

/* A member of the classic protocol under these ids, at this epoch. */
static enum kafka_error find_classic(const struct group *group, struct odk_str id, struct odk_str instance_id,
                                     int32_t generation, struct modern_member **ret)
{
    struct modern_member *member = instance_id.data ? modern_member_find_instance(group->modern, instance_id)
                                                    : modern_member_find(group->modern, id);
    if (!member)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (!odk_str_eq(modern_member_id(member), id))
        return KAFKA_FENCED_INSTANCE_ID;
    if (!modern_member_is_classic(member))
        return KAFKA_UNKNOWN_MEMBER_ID;
    *ret = member;
    return generation == member->epoch ? KAFKA_NONE : KAFKA_ILLEGAL_GENERATION;
}

static enum kafka_error sync_check(const struct group *group, const struct sync_group_request *in,
                                   struct modern_member **ret)
{
    enum kafka_error error = find_classic(group, in->member_id, in->group_instance_id, in->generation_id, ret);
    if (error != KAFKA_NONE)
        return error;
    struct modern_member *member = *ret;
    if ((in->protocol_type.data && !odk_str_eq(in->protocol_type, ODK_STR("consumer"))) ||
        (in->protocol_name.data && !odk_str_eq(in->protocol_name, first_protocol(member)->name)))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    /* One that revokes has joined already: it takes what it keeps, and joins again when the rest is given up. */
    return member->epoch < group->modern->target_epoch && member->state != MODERN_UNREVOKED
               ? KAFKA_REBALANCE_IN_PROGRESS
               : KAFKA_NONE;
}

void modern_sync(struct group *group, struct group_call *call)
{
    const struct sync_group_request *in = call->in;
    struct sync_group_response *out = call->out;
    struct modern_member *member = NULL;
    struct consumer_protocol_subscription subscription;
    int16_t version = 0;
    enum kafka_error error = sync_check(group, in, &member);
    if (error == KAFKA_REBALANCE_IN_PROGRESS)
        progress_arm(member);
    if (error == KAFKA_NONE) {
        const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
            member->told->classic_member_metadata;
        bool good = subscription_read_any(classic->supported_protocols, classic->supported_protocols_count,
                                          &group->groups->scratch, &subscription, &version);
        ASSERT(good); /* it was read when the member joined */
        out->assignment = assignment_write(group->groups, &member->assigned, version, call->arena);
        out->protocol_type = ODK_STR("consumer");
        out->protocol_name = call_text(call, first_protocol(member)->name);
        error = out->assignment.data && out->protocol_name.data ? KAFKA_NONE : KAFKA_UNKNOWN_SERVER_ERROR;
        progress_cancel(member);
        modern_touch(member);
    }
    if (error != KAFKA_NONE)
        group_call_refuse(call, error);
    groups_answer(group->groups, call);
}

/* Does somebody still own a part of its target? */
static bool waits_for_others(const struct modern_member *member)
{
    for (uint32_t i = 0; i < member->target.count; i++) {
        const struct tp *tp = &member->target.at[i];
        const struct modern_member *owner = modern_owner(member->modern, tp->topic, tp->partition);
        if (owner && owner != member)
            return true;
    }
    return false;
}

void modern_classic_heartbeat(struct group *group, struct group_call *call)
{
    const struct heartbeat_request *in = call->in;
    struct modern_member *member = NULL;
    enum kafka_error error = find_classic(group, in->member_id, in->group_instance_id, in->generation_id, &member);
    if (error == KAFKA_NONE) {
        modern_touch(member);
        bool behind = member->epoch < group->modern->target_epoch || member->state == MODERN_UNREVOKED ||
                      (member->state == MODERN_UNRELEASED && !waits_for_others(member));
        if (behind)
            progress_arm(member);
        error = behind ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
    }
    groups_refuse(group->groups, call, error);
}

/* -- LeaveGroup --------------------------------------------------------------------------------------------------- */

/* Members of both protocols: administrators remove them so, too. */
struct leaving {
    struct group *group;
    struct modern_member **members;
    uint32_t count;
};

static enum kafka_error leave_one(struct leaving *leaving, struct odk_str id, struct odk_str instance_id)
{
    const struct modern *modern = leaving->group->modern;
    struct modern_member *member =
        instance_id.data ? modern_member_find_instance(modern, instance_id) : modern_member_find(modern, id);
    if (!member || member->leaving)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (instance_id.data && id.len > 0 && !odk_str_eq(id, modern_member_id(member)))
        return KAFKA_FENCED_INSTANCE_ID;
    member->leaving = true;
    leaving->members[leaving->count++] = member;
    return KAFKA_NONE;
}

static void leave_many(struct leaving *leaving, struct group_call *call)
{
    const struct leave_group_request *in = call->in;
    struct leave_group_response *out = call->out;
    out->members = arena_new(call->arena, struct leave_group_response_member, (size_t)in->members_count);
    if (!out->members) {
        out->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        return;
    }
    out->members_count = in->members_count;
    for (int32_t i = 0; i < in->members_count; i++) {
        out->members[i].member_id = in->members[i].member_id;
        out->members[i].group_instance_id = in->members[i].group_instance_id;
        out->members[i].error_code =
            (int16_t)leave_one(leaving, in->members[i].member_id, in->members[i].group_instance_id);
    }
}

void modern_leave(struct group *group, struct group_call *call)
{
    const struct leave_group_request *in = call->in;
    struct leave_group_response *out = call->out;
    struct leaving leaving = { .group = group };
    leaving.members = arena_new(&group->groups->scratch, struct modern_member *, (size_t)MAX(in->members_count, 1));
    ASSERT(leaving.members != NULL);
    if (call->version < LEAVE_VERSION_MEMBERS)
        out->error_code = (int16_t)leave_one(&leaving, in->member_id, (struct odk_str){ 0 });
    else
        leave_many(&leaving, call);
    modern_fence(group, leaving.members, leaving.count);
    groups_answer(group->groups, call);
}
