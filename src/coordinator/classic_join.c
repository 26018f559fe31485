/*
 * JoinGroup: who may come in, and what his coming means for the round.
 *
 *   state        somebody new       a member again
 *   EMPTY        first round opens  not known
 *   PREPARING    waits with others  waits with others
 *   COMPLETING   new round          same metadata: told again; else new round
 *   STABLE       new round          a follower with the same metadata: told again; else new round
 *
 * A static member without an id takes the place that its instance id holds; in STABLE no round follows unless the
 * choice of the protocol changes (KIP-345).
 */
#include "base/limits.h"
#include "coordinator/classic.h"
#include "wire/messages.h"

/* From here on a dynamic member is given its id first and comes back with it (KIP-394). */
#define JOIN_VERSION_MEMBER_ID_REQUIRED 4
/* Before, the session timeout stands for it. */
#define JOIN_VERSION_REBALANCE_TIMEOUT 1
/* A client that is gone while its first call waits cannot be told from one that is patient. */
#define NEW_MEMBER_JOIN_TIMEOUT_MS INT64_C(300000)

struct join {
    struct classic *classic;
    struct group_call *call;
    const struct join_group_request *in;
    struct classic_member_spec spec;
};

static void refuse(const struct join *join, enum kafka_error error, struct odk_str member_id)
{
    classic_refuse_join(join->classic, join->call, error, member_id);
}

/* -- what the request says ---------------------------------------------------------------------------------------- */

static bool named_before(const struct classic_protocol *protocols, uint32_t count, struct odk_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (odk_str_eq(protocols[i].name, name))
            return true;
    return false;
}

/* Of protocols with the same name the first counts. */
static enum kafka_error protocols_read(struct join *join)
{
    const struct join_group_request *in = join->in;
    if (in->protocols_count > GROUP_PROTOCOLS_MAX || in->protocol_type.len > GROUP_TEXT_BYTES_MAX)
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    struct classic_protocol *protocols =
        arena_new(join->call->arena, struct classic_protocol, (size_t)in->protocols_count);
    if (!protocols)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    uint32_t count = 0;
    for (int32_t i = 0; i < in->protocols_count; i++) {
        if (in->protocols[i].name.len > GROUP_TEXT_BYTES_MAX)
            return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
        if (!named_before(protocols, count, in->protocols[i].name))
            protocols[count++] = (struct classic_protocol){ in->protocols[i].name, in->protocols[i].metadata };
    }
    join->spec.protocols = protocols;
    join->spec.protocol_count = count;
    return KAFKA_NONE;
}

static enum kafka_error spec_read(struct join *join)
{
    const struct join_group_request *in = join->in;
    if (in->group_instance_id.len > GROUP_TEXT_BYTES_MAX)
        return KAFKA_INVALID_REQUEST;
    join->spec = (struct classic_member_spec){
        .id = in->member_id,
        .instance_id = in->group_instance_id,
        .client_id = text_cut(join->call->client_id),
        .client_host = text_cut(join->call->client_host),
        .session_timeout_ms = in->session_timeout_ms,
        .rebalance_timeout_ms =
            join->call->version < JOIN_VERSION_REBALANCE_TIMEOUT ? in->session_timeout_ms : in->rebalance_timeout_ms,
    };
    return protocols_read(join);
}

/* -- room --------------------------------------------------------------------------------------------------------- */

/* Kafka's rule. In an open round those count who have come: so the last ones are left out if the limit was lowered. */
static bool size_allows(const struct classic *classic, const struct classic_member *member)
{
    int64_t size_max = MIN(classic_groups(classic)->env.config->size_max, (int32_t)GROUP_MEMBERS_MAX);
    switch (classic->state) {
    case CLASSIC_EMPTY: return true;
    case CLASSIC_PREPARING: return (member && member->joining) || classic->joining_count < size_max;
    case CLASSIC_COMPLETING:
    case CLASSIC_STABLE: return member || classic_members_count(classic) < size_max;
    }
    UNREACHABLE();
}

/* Our own bounds, which Kafka does not have. */
static bool memory_allows(const struct join *join, const struct classic_member *member)
{
    const struct classic *classic = join->classic;
    size_t bytes = classic_spec_bytes(&join->spec) + GROUP_TEXT_BYTES_MAX + GROUP_UUID_TEXT_LEN;
    size_t others = classic->kept_bytes - (member ? member->kept_bytes : 0);
    if (others + bytes > GROUP_BYTES_MAX)
        return false;
    const struct classic_member *place = member;
    if (!place && join->spec.instance_id.data)
        place = classic_member_find_instance(classic, join->spec.instance_id);
    if ((!place || classic_spec_bytes(&join->spec) > place->kept_bytes) && groups_full(classic_groups(classic)))
        return false;
    bool known = member || classic_pending_find(classic, join->in->member_id);
    return known || classic_members_count(classic) + HASH_CNT(by_id, classic->pendings) < GROUP_MEMBERS_MAX;
}

static bool names_allow(const struct join *join)
{
    const struct classic *classic = join->classic;
    uint32_t fresh = classic_candidates_new(classic, join->spec.protocols, join->spec.protocol_count);
    return HASH_CNT(by_name, classic->candidates) + fresh <= GROUP_PROTOCOL_NAMES_MAX;
}

/* -- waiting ------------------------------------------------------------------------------------------------------ */

/* The call waits until the round ends. A call that waited before is of a connection that is gone. */
static void wait_for_round(const struct join *join, struct classic_member *member)
{
    classic_end_join(member, KAFKA_REBALANCE_IN_PROGRESS, member->id);
    member->joining = join->call;
    join->classic->joining_count++;
}

static void rejoin(const struct join *join, struct classic_member *member, const char *what)
{
    classic_member_update(member, &join->spec);
    wait_for_round(join, member);
    classic_rebalance_or_check(join->classic, what, join->in->reason);
}

static void enter(struct join *join, struct odk_str id)
{
    struct classic *classic = join->classic;
    join->spec.id = id;
    struct classic_member *member = classic_member_add(classic, &join->spec, join->in->protocol_type);
    member->fresh = true;
    if (classic->state == CLASSIC_PREPARING && classic->initial)
        classic->joined_since = true;
    wait_for_round(join, member);
    classic_member_touch_ms(member, NEW_MEMBER_JOIN_TIMEOUT_MS);
    classic_rebalance_or_check(classic, "rebalance: a new member", join->in->reason);
}

/* -- a static member takes its place again ------------------------------------------------------------------------ */

static void stable_take_over(const struct join *join, struct classic_member *member, struct odk_str leader_before)
{
    struct classic *classic = join->classic;
    if (!odk_str_eq(classic_text(&classic->protocol), classic_vote(classic))) {
        wait_for_round(join, member);
        classic_rebalance(classic, "rebalance: a static member came back and changes the protocol", join->in->reason);
        return;
    }
    classic_record(classic);
    classic_answer_replaced(member, join->call, leader_before);
}

static void take_over(const struct join *join, struct classic_member *old, struct odk_str new_id)
{
    struct classic *classic = join->classic;
    struct odk_str leader_before = call_text(join->call, classic->leader ? classic->leader->id : ODK_STR(""));
    if (!leader_before.data) {
        refuse(join, KAFKA_UNKNOWN_SERVER_ERROR, ODK_STR(""));
        return;
    }
    struct classic_member *member = classic_member_replace(old, new_id);
    classic_member_update(member, &join->spec);
    classic_member_touch(member);
    if (classic->state == CLASSIC_STABLE) {
        stable_take_over(join, member, leader_before);
        return;
    }
    /* In COMPLETING the leader may already divide among the old ids. */
    wait_for_round(join, member);
    classic_rebalance_or_check(classic, "rebalance: a static member came back", join->in->reason);
}

/* -- both ways in ------------------------------------------------------------------------------------------------- */

static void join_new(struct join *join)
{
    struct classic *classic = join->classic;
    const struct join_group_request *in = join->in;
    bool is_static = in->group_instance_id.data != NULL;
    struct odk_str prefix = is_static ? in->group_instance_id : join->spec.client_id;
    struct odk_str id = call_member_id(classic_groups(classic), join->call, prefix);
    struct classic_member *old = is_static ? classic_member_find_instance(classic, in->group_instance_id) : NULL;
    if (!id.data) {
        refuse(join, KAFKA_UNKNOWN_SERVER_ERROR, ODK_STR(""));
    } else if (old) {
        take_over(join, old, id);
    } else if (!is_static && join->call->version >= JOIN_VERSION_MEMBER_ID_REQUIRED) {
        classic_pending_add(classic, id, in->session_timeout_ms);
        refuse(join, KAFKA_MEMBER_ID_REQUIRED, id);
    } else {
        enter(join, id);
    }
}

static bool same_protocols(const struct classic_member *member, const struct classic_member_spec *spec)
{
    bool same = member->protocol_count == spec->protocol_count;
    for (uint32_t i = 0; same && i < spec->protocol_count; i++) {
        const struct classic_protocol *a = &member->protocols[i], *b = &spec->protocols[i];
        same = odk_str_eq(a->name, b->name) && a->metadata.len == b->metadata.len &&
               (a->metadata.len == 0 || memcmp(a->metadata.data, b->metadata.data, a->metadata.len) == 0);
    }
    return same;
}

static void join_again(struct join *join, struct classic_member *member)
{
    struct classic *classic = join->classic;
    bool same = same_protocols(member, &join->spec);
    bool leads = classic->leader == member;
    if (classic->state == CLASSIC_COMPLETING && same)
        classic_answer_join(member, join->call); /* the answer got lost */
    else if (classic->state == CLASSIC_STABLE && same && !leads)
        classic_answer_join(member, join->call);
    else if (classic->state == CLASSIC_STABLE && leads)
        rejoin(join, member, "rebalance: the leader joins again");
    else
        rejoin(join, member, "rebalance: a member joins again");
}

static void join_known(struct join *join)
{
    struct classic *classic = join->classic;
    const struct join_group_request *in = join->in;
    struct classic_pending *pending = classic_pending_find(classic, in->member_id);
    if (pending && !in->group_instance_id.data) {
        classic_pending_remove(pending);
        enter(join, in->member_id);
        return;
    }
    enum kafka_error error = classic_member_check(classic, in->member_id, in->group_instance_id);
    if (error != KAFKA_NONE)
        refuse(join, error, in->member_id);
    else
        join_again(join, classic_member_find(classic, in->member_id));
}

/* A limit has become smaller than the group: who comes too late is out. */
static void turn_away(const struct join *join, struct classic_member *member)
{
    struct classic_pending *pending = classic_pending_find(join->classic, join->in->member_id);
    if (member)
        classic_member_remove(member);
    if (pending)
        classic_pending_remove(pending);
    refuse(join, KAFKA_GROUP_MAX_SIZE_REACHED, ODK_STR(""));
}

static void join_run(struct join *join)
{
    struct classic *classic = join->classic;
    const struct classic_member_spec *spec = &join->spec;
    struct odk_str id = join->in->member_id;
    struct classic_member *member = classic_member_find(classic, id);
    if (!size_allows(classic, member))
        turn_away(join, member);
    else if (!classic_supports(classic, join->in->protocol_type, spec->protocols, spec->protocol_count) ||
             !names_allow(join))
        refuse(join, KAFKA_INCONSISTENT_GROUP_PROTOCOL, id);
    else if (!memory_allows(join, member))
        refuse(join, KAFKA_GROUP_MAX_SIZE_REACHED, ODK_STR(""));
    else if (id.len == 0)
        join_new(join);
    else
        join_known(join);
}

void classic_join(struct group *group, struct group_call *call)
{
    struct join join = { .call = call, .in = call->in };
    join.classic = classic_take(group);
    enum kafka_error error = spec_read(&join);
    if (error != KAFKA_NONE)
        refuse(&join, error, join.in->member_id);
    else
        join_run(&join);
    classic_drop_if_unused(group);
}
