/*
 * Members of classic groups: join, take part in the rounds, lead some of them, commit what they own, leave or just go.
 *
 *   OUT -- JoinGroup (waits for the round) --> JOINED -- SyncGroup (waits for the leader) --> IN -- Heartbeat, commits
 *    ^ unknown member ---------------------------+ ------------------------------------------+ rebalance: join again
 *
 * A leader deals the slots out and writes one mark into all assignments, by which two leaders can be told apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/units.h"
#include "broker_fleet.h"
#include "wire/messages.h"

#define MEMBERS_MAX      8u
#define SESSION_MS       8000
#define REBALANCE_MS     15000
#define ASSIGNMENT_BYTES 12u /* mark u64, slots u32 */
#define PROTOCOL         "range"

enum member_state { MEMBER_OUT, MEMBER_JOINED, MEMBER_IN };

struct member {
    struct actor actor;
    struct group_model *group;
    enum member_state state;
    char id[96]; /* "": none yet */
    char instance[16];
    bool is_static;
    int32_t generation;
    bool leads;
    char others[MEMBERS_MAX][96]; /* of the round that it leads */
    uint32_t other_count;
    uint64_t mark;
    bool slots[GROUP_SLOTS];
    struct commit_load load;
    uint64_t heartbeat_ns;
};

static struct member *member_of(struct actor *actor)
{
    return container_of(actor, struct member, actor);
}

static struct odk_str instance_of(const struct member *member)
{
    return member->is_static ? odk_str_from(member->instance) : (struct odk_str){ 0 };
}

/* Versions that carry the instance's name, when there is one. */
static int16_t version_of(struct member *member, int16_t key, int16_t least_static)
{
    return kclient_version(&member->actor.client, key, member->is_static ? least_static : 0, INT16_MAX);
}

static void text_keep(char *dst, size_t len, struct odk_str text)
{
    (void)snprintf(dst, len, "%.*s", ODK_STR_FMT(text));
}

static void member_forget(struct member *member)
{
    member->state = MEMBER_OUT;
    member->id[0] = '\0';
    memset(member->slots, 0, sizeof(member->slots));
}

static void member_send(struct member *member, int16_t key, int16_t version, const void *request, uint64_t now_ns)
{
    member->actor.asking = true;
    kclient_send(&member->actor.client, key, version, request, KCLIENT_ANSWER, NULL, now_ns);
}

/* -- JoinGroup ------------------------------------------------------------------------------------------------------ */

/* What the consumer protocol says, version 0: the topics that live for ever. */
static size_t subscription_write(uint8_t *dst, size_t len)
{
    struct wr w = wr_init(dst, len);
    wr_i16(&w, 0);
    wr_i32(&w, (int32_t)GROUP_TOPICS);
    for (uint32_t i = 0; i < GROUP_TOPICS; i++) {
        char name[32];
        fleet_long_name(name, i);
        wr_i16(&w, (int16_t)strlen(name));
        wr_raw(&w, name, strlen(name));
    }
    wr_i32(&w, -1);
    ASSERT(!w.bad);
    return w.pos;
}

static void join(struct member *member, uint64_t now_ns)
{
    uint8_t metadata[128];
    struct join_group_request_protocol protocol = { .name = ODK_STR(PROTOCOL) };
    struct join_group_request request;
    protocol.metadata = (struct odk_bytes){ metadata, subscription_write(metadata, sizeof(metadata)) };
    join_group_request_init(&request);
    request.group_id = odk_str_from(member->group->id);
    request.session_timeout_ms = SESSION_MS;
    request.rebalance_timeout_ms = REBALANCE_MS;
    request.member_id = odk_str_from(member->id);
    request.group_instance_id = instance_of(member);
    request.protocol_type = ODK_STR("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    memset(member->slots, 0, sizeof(member->slots));
    member_send(member, KEY_JOIN_GROUP, version_of(member, KEY_JOIN_GROUP, 5), &request, now_ns);
}

static void joined(struct member *member, const struct join_group_response *reply)
{
    struct fleet *fleet = member->actor.fleet;
    switch (reply->error_code) {
    case 0: break;
    case ERROR_MEMBER_ID: text_keep(member->id, sizeof(member->id), reply->member_id); return;
    case ERROR_MEMBER:
    case ERROR_FENCED_INSTANCE: member_forget(member); return;
    case ERROR_REBALANCE: return;
    default: (void)fleet_excuses_coordinator(fleet, reply->error_code, "JoinGroup"); return;
    }
    fleet->tally->joins++;
    text_keep(member->id, sizeof(member->id), reply->member_id);
    member->generation = reply->generation_id;
    member->leads = odk_str_eq(reply->leader, reply->member_id) && !reply->skip_assignment;
    member->state = MEMBER_JOINED;
    member->other_count = 0;
    for (int32_t i = 0; member->leads && i < reply->members_count && member->other_count < MEMBERS_MAX; i++)
        text_keep(member->others[member->other_count++], sizeof(member->others[0]), reply->members[i].member_id);
    if (member->leads && member->other_count == 0 && !member->is_static) /* static: an old version cannot say "skip" */
        violation_set(fleet->violation, "group %s: the leader of generation %d is told no members", member->group->id,
                      member->generation);
}

/* -- SyncGroup ------------------------------------------------------------------------------------------------------ */

static void assignment_write(const struct member *member, uint32_t number, uint8_t dst[ASSIGNMENT_BYTES])
{
    struct wr w = wr_init(dst, ASSIGNMENT_BYTES);
    uint32_t slots = 0;
    for (uint32_t slot = number; slot < GROUP_SLOTS; slot += member->other_count)
        slots |= 1u << slot;
    wr_i64(&w, (int64_t)member->mark);
    wr_i32(&w, (int32_t)slots);
    ASSERT(!w.bad);
}

static void sync_group(struct member *member, uint64_t now_ns)
{
    uint8_t bytes[MEMBERS_MAX][ASSIGNMENT_BYTES];
    struct sync_group_request_assignment assignments[MEMBERS_MAX];
    struct sync_group_request request;
    sync_group_request_init(&request);
    member->mark = prng_next(&member->actor.rng);
    for (uint32_t i = 0; member->leads && i < member->other_count; i++) {
        assignment_write(member, i, bytes[i]);
        assignments[i] = (struct sync_group_request_assignment){ .member_id = odk_str_from(member->others[i]),
                                                                 .assignment = { bytes[i], ASSIGNMENT_BYTES } };
        request.assignments_count++;
    }
    request.assignments = assignments;
    request.group_id = odk_str_from(member->group->id);
    request.generation_id = member->generation;
    request.member_id = odk_str_from(member->id);
    request.group_instance_id = instance_of(member);
    request.protocol_type = ODK_STR("consumer");
    request.protocol_name = ODK_STR(PROTOCOL);
    member_send(member, KEY_SYNC_GROUP, version_of(member, KEY_SYNC_GROUP, 3), &request, now_ns);
}

/* What any answer of the group may say of the member. True: it goes on. */
static bool fate(struct member *member, int16_t error, const char *what)
{
    switch (error) {
    case 0: return true;
    case ERROR_MEMBER:
    case ERROR_FENCED_INSTANCE: member_forget(member); return false;
    case ERROR_GENERATION:
    case ERROR_REBALANCE: member->state = MEMBER_OUT; return false;
    default: (void)fleet_excuses_coordinator(member->actor.fleet, error, what); return false;
    }
}

static void synced(struct member *member, const struct sync_group_response *reply)
{
    struct fleet *fleet = member->actor.fleet;
    if (!fate(member, reply->error_code, "SyncGroup"))
        return;
    member->state = MEMBER_IN;
    fleet->tally->syncs++;
    if (reply->assignment.len == 0) /* it came to a round whose leader did not know of it */
        return;
    struct rd r = rd_init(reply->assignment.data, reply->assignment.len);
    uint64_t mark = (uint64_t)rd_i64(&r);
    uint32_t slots = (uint32_t)rd_i32(&r);
    if (r.bad || rd_left(&r) > 0) {
        violation_set(fleet->violation, "group %s: an assignment of %zu bytes", member->group->id, reply->assignment.len);
        return;
    }
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        member->slots[slot] = slots & (1u << slot);
    group_round_told(&fleet->groups, member->group, member->generation, mark, member->slots, member);
}

/* -- in the group --------------------------------------------------------------------------------------------------- */

static void heartbeat(struct member *member, uint64_t now_ns)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = odk_str_from(member->group->id);
    request.generation_id = member->generation;
    request.member_id = odk_str_from(member->id);
    request.group_instance_id = instance_of(member);
    member->heartbeat_ns = now_ns + prng_between(&member->actor.rng, 100, 3000) * NS_PER_MS;
    member_send(member, KEY_HEARTBEAT, version_of(member, KEY_HEARTBEAT, 3), &request, now_ns);
}

static void commit(struct member *member, uint64_t now_ns)
{
    struct actor *actor = &member->actor;
    int32_t generation = member->generation;
    if (generation > 1 && prng_chance(&actor->rng, 100000))
        generation--; /* as one that was held up in a round that is over */
    struct commit_as as = { .generation = generation,
                            .member_id = odk_str_from(member->id),
                            .instance_id = instance_of(member),
                            .version_least = member->is_static ? 7 : 1 };
    member->load = (struct commit_load){ .group = member->group, .generation = generation };
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        member->load.slots[slot] =
            member->slots[slot] && fleet_slot_exists(actor->fleet, slot) && prng_chance(&actor->rng, 600000);
    actor->asking = commit_send(actor, &member->load, &as, now_ns);
}

static void leave(struct member *member, uint64_t now_ns)
{
    struct leave_group_request request;
    struct leave_group_request_member who = { .member_id = odk_str_from(member->id),
                                              .group_instance_id = instance_of(member) };
    leave_group_request_init(&request);
    request.group_id = odk_str_from(member->group->id);
    request.member_id = odk_str_from(member->id);
    request.members = &who;
    request.members_count = 1;
    member_send(member, KEY_LEAVE_GROUP, version_of(member, KEY_LEAVE_GROUP, 3), &request, now_ns);
    member_forget(member); /* whatever comes of it */
}

static void left(struct member *member, const struct leave_group_response *reply)
{
    int16_t error = reply->error_code;
    if (error == 0 && reply->members_count == 1)
        error = reply->members[0].error_code;
    if (error != 0 && error != ERROR_MEMBER && error != ERROR_FENCED_INSTANCE)
        (void)fleet_excuses_coordinator(member->actor.fleet, error, "LeaveGroup");
}

static void in_step(struct member *member, uint64_t now_ns)
{
    static const struct commit_as nobody = { .generation = -1, .member_id = { .data = "", .len = 0 } };
    struct actor *actor = &member->actor;
    uint64_t dice = prng_below(&actor->rng, 100);
    if (now_ns >= member->heartbeat_ns)
        heartbeat(member, now_ns);
    else if (dice < 55)
        commit(member, now_ns);
    else if (dice < 75)
        offsets_ask(actor, member->group, &nobody, now_ns);
    else if (dice < 80)
        join(member, now_ns); /* as after a change of its subscription */
    else if (dice < 84)
        leave(member, now_ns);
    else if (dice < 87)
        member_forget(member); /* another process takes over; the server finds out when the session ends */
    else
        heartbeat(member, now_ns);
}

/* -- the actor ------------------------------------------------------------------------------------------------------ */

static void member_answered(void *owner, const struct kcall *call, const void *body)
{
    struct member *member = member_of(owner);
    member->actor.asking = false;
    if (call->key == KEY_JOIN_GROUP) {
        joined(member, body);
    } else if (call->key == KEY_SYNC_GROUP) {
        synced(member, body);
    } else if (call->key == KEY_HEARTBEAT) {
        (void)fate(member, ((const struct heartbeat_response *)body)->error_code, "Heartbeat");
    } else if (call->key == KEY_LEAVE_GROUP) {
        left(member, body);
    } else if (call->key == KEY_OFFSET_COMMIT) {
        commit_answered(&member->actor, &member->load, body, call->version);
        if (member->load.error == ERROR_MEMBER || member->load.error == ERROR_FENCED_INSTANCE)
            member_forget(member);
        else if (member->load.error == ERROR_REBALANCE ||
                 (member->load.error == ERROR_GENERATION && member->load.generation == member->generation))
            member->state = MEMBER_OUT;
    } else {
        (void)offsets_answered(&member->actor, call, body);
    }
}

static void member_lost(void *owner, const struct kcall *call)
{
    struct member *member = member_of(owner);
    member->actor.asking = false;
    if (call->key == KEY_JOIN_GROUP || call->key == KEY_SYNC_GROUP)
        member->state = MEMBER_OUT;
}

static void member_step(struct actor *actor, uint64_t now_ns)
{
    struct member *member = member_of(actor);
    if (actor->asking || now_ns < actor->next_ns || actor->fleet->work_left == 0)
        return;
    actor->next_ns = now_ns + prng_below(&actor->rng, 200 * NS_PER_MS);
    actor->fleet->work_left--;
    switch (member->state) {
    case MEMBER_OUT: join(member, now_ns); break;
    case MEMBER_JOINED: sync_group(member, now_ns); break;
    case MEMBER_IN: in_step(member, now_ns); break;
    }
}

static bool member_busy(struct actor *actor)
{
    (void)actor;
    return false;
}

static void member_free(struct actor *actor)
{
    actor_deinit(actor);
    free(member_of(actor));
}

static const struct actor_kind member_kind = {
    .step = member_step, .answered = member_answered, .lost = member_lost, .busy = member_busy, .free = member_free
};

struct actor *member_new(struct fleet *fleet)
{
    struct member *member = xcalloc(1, sizeof(*member));
    actor_init(&member->actor, fleet, &member_kind);
    member->group = &fleet->groups.groups[prng_below(&member->actor.rng, GROUPS_CLASSIC)];
    member->is_static = prng_chance(&member->actor.rng, 300000);
    (void)snprintf(member->instance, sizeof(member->instance), "i-%u", fleet->actor_count);
    return &member->actor;
}
