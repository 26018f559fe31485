#include <stdlib.h>

#include "coordinator/classic.h"

/* -- protocols ---------------------------------------------------------------------------------------------------- */

static struct classic_candidate *candidate_find(const struct classic *classic, struct odk_str name)
{
    struct classic_candidate *candidate = NULL;
    HASH_FIND(by_name, classic->candidates, name.len ? name.data : "", name.len, candidate);
    return candidate;
}

static void candidate_add(struct classic *classic, struct odk_str name)
{
    struct classic_candidate *candidate = candidate_find(classic, name);
    if (!candidate) {
        candidate = xcalloc(1, sizeof(*candidate) + name.len + 1);
        if (name.len > 0)
            memcpy(candidate->name, name.data, name.len);
        HASH_ADD_KEYPTR(by_name, classic->candidates, candidate->name, name.len, candidate);
    }
    candidate->member_count++;
}

static void candidate_drop(struct classic *classic, struct odk_str name)
{
    struct classic_candidate *candidate = candidate_find(classic, name);
    ASSERT(candidate && candidate->member_count > 0); /* C1 */
    if (--candidate->member_count > 0)
        return;
    HASH_DELETE(by_name, classic->candidates, candidate);
    free(candidate);
}

static bool candidate_common(const struct classic *classic, struct odk_str name)
{
    const struct classic_candidate *candidate = candidate_find(classic, name);
    return (candidate ? candidate->member_count : 0) == classic_members_count(classic);
}

static void protocols_drop(struct classic_member *member)
{
    struct classic *classic = member->classic;
    for (uint32_t i = 0; i < member->protocol_count; i++)
        candidate_drop(classic, member->protocols[i].name);
    classic->kept_bytes -= member->kept_bytes;
    free(member->protocols);
    member->protocols = NULL;
    member->protocol_count = 0;
    member->kept_bytes = 0;
}

static size_t texts_bytes(struct odk_str id, struct odk_str instance_id, struct odk_str client_id,
                          struct odk_str client_host)
{
    return id.len + instance_id.len + client_id.len + client_host.len;
}

/* Copies into one block: the array, and behind it all names and metadata. */
static void protocols_take(struct classic_member *member, const struct classic_protocol *protocols, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += protocols[i].name.len + protocols[i].metadata.len;
    struct classic_protocol *copies = xcalloc(1, count * sizeof(*copies) + bytes + 1);
    char *at = (char *)(copies + count);
    for (uint32_t i = 0; i < count; i++) {
        size_t name_len = protocols[i].name.len, metadata_len = protocols[i].metadata.len;
        if (name_len > 0)
            memcpy(at, protocols[i].name.data, name_len);
        if (metadata_len > 0)
            memcpy(at + name_len, protocols[i].metadata.data, metadata_len);
        copies[i].name = (struct odk_str){ at, name_len };
        copies[i].metadata = (struct odk_bytes){ (uint8_t *)at + name_len, metadata_len };
        at += name_len + metadata_len;
        candidate_add(member->classic, copies[i].name);
    }
    member->protocols = copies;
    member->protocol_count = count;
    member->kept_bytes = bytes + texts_bytes(member->id, member->instance_id, member->client_id, member->client_host);
    member->classic->kept_bytes += member->kept_bytes;
}

size_t classic_spec_bytes(const struct classic_member_spec *spec)
{
    size_t bytes = texts_bytes(spec->id, spec->instance_id, spec->client_id, spec->client_host);
    for (uint32_t i = 0; i < spec->protocol_count; i++)
        bytes += spec->protocols[i].name.len + spec->protocols[i].metadata.len;
    return bytes;
}

bool classic_supports(const struct classic *classic, struct odk_str protocol_type,
                      const struct classic_protocol *protocols, uint32_t count)
{
    if (classic->state == CLASSIC_EMPTY)
        return protocol_type.len > 0 && count > 0;
    if (!odk_str_eq(classic_text(&classic->protocol_type), protocol_type))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (candidate_common(classic, protocols[i].name))
            return true;
    return false;
}

uint32_t classic_candidates_new(const struct classic *classic, const struct classic_protocol *protocols, uint32_t count)
{
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < count; i++)
        fresh += candidate_find(classic, protocols[i].name) == NULL;
    return fresh;
}

/* A vote for the first of a member's protocols that all speak. */
static void member_vote(const struct classic_member *member)
{
    uint32_t all = classic_members_count(member->classic);
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        struct classic_candidate *candidate = candidate_find(member->classic, member->protocols[i].name);
        if (candidate->member_count < all)
            continue;
        candidate->votes++;
        return;
    }
    UNREACHABLE(); /* C1 */
}

struct odk_str classic_vote(const struct classic *classic)
{
    ASSERT(classic->members != NULL);
    struct classic_candidate *best = NULL;
    const struct classic_member *first = classic->members;
    for (uint32_t i = 0; i < first->protocol_count; i++)
        candidate_find(classic, first->protocols[i].name)->votes = 0;
    for (const struct classic_member *member = first; member; member = member->by_id.next)
        member_vote(member);
    for (uint32_t i = 0; i < first->protocol_count; i++) {
        struct classic_candidate *candidate = candidate_find(classic, first->protocols[i].name);
        if (!best || candidate->votes > best->votes)
            best = candidate;
    }
    ASSERT(best && best->votes > 0);
    return (struct odk_str){ .data = best->name, .len = best->by_name.keylen };
}

/* -- members ------------------------------------------------------------------------------------------------------ */

struct classic_member *classic_member_find(const struct classic *classic, struct odk_str id)
{
    struct classic_member *member = NULL;
    HASH_FIND(by_id, classic->members, id.len ? id.data : "", id.len, member);
    return member;
}

struct classic_member *classic_member_find_instance(const struct classic *classic, struct odk_str instance_id)
{
    struct classic_member *member = NULL;
    HASH_FIND(by_instance, classic->instances, instance_id.len ? instance_id.data : "", instance_id.len, member);
    return member;
}

enum kafka_error classic_member_check(const struct classic *classic, struct odk_str id, struct odk_str instance_id)
{
    const struct classic_member *member = classic_member_find(classic, id);
    if (instance_id.data) {
        const struct classic_member *holder = classic_member_find_instance(classic, instance_id);
        if (!holder)
            return KAFKA_UNKNOWN_MEMBER_ID;
        if (holder != member)
            return KAFKA_FENCED_INSTANCE_ID;
    }
    return member ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
}

static struct odk_str text_put(char **at, struct odk_str text)
{
    if (!text.data)
        return (struct odk_str){ 0 };
    struct odk_str copy = { *at, text.len };
    memcpy(*at, text.data, text.len);
    *at += text.len;
    return copy;
}

static struct classic_member *member_new(struct classic *classic, const struct classic_member_spec *spec)
{
    size_t texts = texts_bytes(spec->id, spec->instance_id, spec->client_id, spec->client_host);
    struct classic_member *member = xcalloc(1, sizeof(*member) + texts + 1);
    char *at = member->text;
    member->classic = classic;
    member->id = text_put(&at, spec->id);
    member->instance_id = text_put(&at, spec->instance_id);
    member->client_id = text_put(&at, spec->client_id);
    member->client_host = text_put(&at, spec->client_host);
    member->rebalance_timeout_ms = spec->rebalance_timeout_ms;
    member->session_timeout_ms = spec->session_timeout_ms;
    member->session.fire = classic_session_fire;
    return member;
}

/* Into the tables. */
static void member_enter(struct classic_member *member)
{
    struct classic *classic = member->classic;
    ASSERT(!classic_member_find(classic, member->id));
    HASH_ADD_KEYPTR(by_id, classic->members, member->id.data, member->id.len, member);
    if (!member->instance_id.data)
        return;
    ASSERT(!classic_member_find_instance(classic, member->instance_id));
    HASH_ADD_KEYPTR(by_instance, classic->instances, member->instance_id.data, member->instance_id.len, member);
}

/* Out of the tables; freed. Nobody waits any more. */
static void member_free(struct classic_member *member)
{
    struct classic *classic = member->classic;
    ASSERT(!member->joining && !member->syncing);
    classic_sync_done(member);
    timer_cancel(classic_groups(classic)->env.timers, &member->session);
    protocols_drop(member);
    HASH_DELETE(by_id, classic->members, member);
    if (member->instance_id.data)
        HASH_DELETE(by_instance, classic->instances, member);
    member->classic->assigned_bytes -= member->assignment_len;
    free(member->assignment);
    free(member);
}

struct classic_member *classic_member_add(struct classic *classic, const struct classic_member_spec *spec,
                                          struct odk_str protocol_type)
{
    if (!classic->members)
        classic_text_set(&classic->protocol_type, protocol_type);
    struct classic_member *member = member_new(classic, spec);
    member_enter(member);
    protocols_take(member, spec->protocols, spec->protocol_count);
    if (!classic->leader)
        classic->leader = member;
    return member;
}

void classic_member_remove(struct classic_member *member)
{
    struct classic *classic = member->classic;
    classic_end_join(member, KAFKA_UNKNOWN_MEMBER_ID, ODK_STR(""));
    classic_end_sync(member, KAFKA_UNKNOWN_MEMBER_ID);
    bool led = classic->leader == member;
    member_free(member);
    if (led)
        classic->leader = classic->members;
}

void classic_member_update(struct classic_member *member, const struct classic_member_spec *spec)
{
    protocols_drop(member);
    protocols_take(member, spec->protocols, spec->protocol_count);
    member->rebalance_timeout_ms = spec->rebalance_timeout_ms;
    member->session_timeout_ms = spec->session_timeout_ms;
}

struct classic_member *classic_member_replace(struct classic_member *old, struct odk_str new_id)
{
    struct classic *classic = old->classic;
    classic_end_join(old, KAFKA_FENCED_INSTANCE_ID, old->id);
    classic_end_sync(old, KAFKA_FENCED_INSTANCE_ID);
    struct classic_member_spec spec = {
        .id = new_id,
        .instance_id = old->instance_id,
        .client_id = old->client_id,
        .client_host = old->client_host,
        .rebalance_timeout_ms = old->rebalance_timeout_ms,
        .session_timeout_ms = old->session_timeout_ms,
    };
    struct classic_member *member = member_new(classic, &spec);
    protocols_take(member, old->protocols, old->protocol_count);
    member->assignment = old->assignment;
    member->assignment_len = old->assignment_len;
    old->assignment = NULL;
    old->assignment_len = 0;
    bool led = classic->leader == old;
    member_free(old);
    member_enter(member);
    if (led)
        classic->leader = member;
    return member;
}

void classic_member_assign(struct classic_member *member, struct odk_bytes assignment)
{
    free(member->assignment);
    member->assignment = NULL;
    member->classic->assigned_bytes += assignment.len - member->assignment_len;
    member->assignment_len = assignment.len;
    if (assignment.len == 0)
        return;
    member->assignment = xcalloc(assignment.len, 1);
    memcpy(member->assignment, assignment.data, assignment.len);
}

struct odk_bytes classic_member_metadata(const struct classic_member *member)
{
    struct odk_str protocol = classic_text(&member->classic->protocol);
    for (uint32_t i = 0; protocol.data && i < member->protocol_count; i++)
        if (odk_str_eq(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    return (struct odk_bytes){ 0 };
}

void classic_member_touch_ms(struct classic_member *member, int64_t timeout_ms)
{
    struct groups *groups = classic_groups(member->classic);
    timer_arm(groups->env.timers, &member->session, groups_deadline(groups, timeout_ms));
}

void classic_member_touch(struct classic_member *member)
{
    classic_member_touch_ms(member, member->session_timeout_ms);
}

/* -- ids that were given out -------------------------------------------------------------------------------------- */

struct classic_pending *classic_pending_find(const struct classic *classic, struct odk_str id)
{
    struct classic_pending *pending = NULL;
    HASH_FIND(by_id, classic->pendings, id.len ? id.data : "", id.len, pending);
    return pending;
}

static size_t pending_bytes(const struct classic_pending *pending)
{
    return sizeof(*pending) + pending->by_id.keylen + GROUP_ALLOC_BYTES;
}

void classic_pending_add(struct classic *classic, struct odk_str id, int32_t session_timeout_ms)
{
    struct groups *groups = classic_groups(classic);
    struct classic_pending *pending = xcalloc(1, sizeof(*pending) + id.len + 1);
    pending->classic = classic;
    pending->session.fire = classic_pending_fire;
    memcpy(pending->id, id.data, id.len);
    HASH_ADD_KEYPTR(by_id, classic->pendings, pending->id, id.len, pending);
    classic->pending_bytes += pending_bytes(pending);
    timer_arm(groups->env.timers, &pending->session, groups_deadline(groups, session_timeout_ms));
}

void classic_pending_remove(struct classic_pending *pending)
{
    struct classic *classic = pending->classic;
    timer_cancel(classic_groups(classic)->env.timers, &pending->session);
    classic->pending_bytes -= pending_bytes(pending);
    HASH_DELETE(by_id, classic->pendings, pending);
    free(pending);
}
