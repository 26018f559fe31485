/*
 * A classic group whose members all come at once: how long until every one has its assignment, and how long a full
 * group takes for one member more. The members behave as clients do: join, the leader assigns, sync, beat, join again
 * when the coordinator says so. Source: KIP-394, KIP-345.
 */
#include "bench/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

#define JOIN_VERSION      9
#define SYNC_VERSION      5
#define BEAT_VERSION      4
#define SESSION_MS        30000
#define BEAT_NS           (20 * UINT64_C(1000000))
#define SETTLE_NS_MAX     (120 * UINT64_C(1000000000))
#define MEMBER_ID_BYTES   256u
#define SUBSCRIPTION_SIZE 512u
#define PROTOCOL          ODK_STR("range")
#define PROTOCOL_TYPE     ODK_STR("consumer")

enum member_state { MEMBER_JOINING, MEMBER_SYNCING, MEMBER_SYNCED };

struct party;

struct member {
    struct party *party;
    struct talk *talk;
    char id[MEMBER_ID_BYTES];
    size_t id_len;
    int32_t generation;
    enum member_state state;
    bool beating; /* a heartbeat is out */
    uint64_t beat_ns;
};

struct party {
    const struct groups_options *options;
    struct odk_str group;
    char group_text[GROUP_NAME_BYTES];
    struct member *members;
    uint32_t count;
    uint32_t joins; /* JoinGroup requests, those without member id not counted */
    uint8_t subscription[SUBSCRIPTION_SIZE];
    size_t subscription_len;
};

static void member_join(struct member *member);

static struct odk_str member_id(const struct member *member)
{
    return (struct odk_str){ .data = member->id, .len = member->id_len };
}

static void member_send(struct member *member, int16_t key, int16_t version, const void *request,
                        void (*answer)(void *context, const void *response, uint64_t took_ns))
{
    struct talk_call call = { .key = key, .version = version, .request = request, .answer = answer, .context = member };
    talk_send(member->talk, &call);
}

/* ConsumerProtocolSubscription, version 0: one topic, no user data. */
static void subscription_write(struct party *party)
{
    struct wr w = wr_init(party->subscription, sizeof(party->subscription));
    size_t len = strlen(party->options->topic);
    wr_i16(&w, 0);
    wr_i32(&w, 1);
    wr_i16(&w, (int16_t)len);
    wr_raw(&w, party->options->topic, len);
    wr_i32(&w, -1);
    party->subscription_len = w.pos;
}

/* -- sync ---------------------------------------------------------------------------------------------------------- */

/* ConsumerProtocolAssignment, version 0: every count-th partition from first on. */
static struct odk_bytes assignment_write(const struct party *party, uint32_t first, uint32_t count)
{
    size_t topic_len = strlen(party->options->topic);
    size_t capacity = 64 + topic_len + 4 * (size_t)party->options->partitions;
    uint8_t *data = xcalloc(1, capacity);
    struct wr w = wr_init(data, capacity);
    uint32_t mine = 0;
    for (uint32_t p = first; p < party->options->partitions; p += count)
        mine++;
    wr_i16(&w, 0);
    wr_i32(&w, 1);
    wr_i16(&w, (int16_t)topic_len);
    wr_raw(&w, party->options->topic, topic_len);
    wr_i32(&w, (int32_t)mine);
    for (uint32_t p = first; p < party->options->partitions; p += count)
        wr_i32(&w, (int32_t)p);
    wr_i32(&w, -1);
    return (struct odk_bytes){ .data = data, .len = w.pos };
}

static void sync_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct member *member = context;
    const struct sync_group_response *got = response;
    (void)took_ns;
    if (got->error_code == KAFKA_NONE) {
        member->state = MEMBER_SYNCED;
        member->beat_ns = talk_now_ns() + BEAT_NS;
    } else if (got->error_code == KAFKA_REBALANCE_IN_PROGRESS || group_is_loading(got->error_code)) {
        member_join(member);
    } else {
        talk_fatal("SyncGroup: error %d", got->error_code);
    }
}

/* The leader hands in an assignment for everybody that it was told of. */
static void member_sync(struct member *member, const struct join_group_response *joined)
{
    struct sync_group_request request;
    uint32_t count = (uint32_t)joined->members_count;
    sync_group_request_init(&request);
    request.group_id = member->party->group;
    request.generation_id = member->generation;
    request.member_id = member_id(member);
    request.protocol_type = PROTOCOL_TYPE;
    request.protocol_name = PROTOCOL;
    request.assignments = xcalloc(MAX(count, 1u), sizeof(*request.assignments));
    for (uint32_t i = 0; i < count; i++)
        request.assignments[i] = (struct sync_group_request_assignment){
            .member_id = joined->members[i].member_id, .assignment = assignment_write(member->party, i, count)
        };
    request.assignments_count = (int32_t)count;
    member->state = MEMBER_SYNCING;
    member_send(member, WIRE_KEY_SYNC_GROUP, SYNC_VERSION, &request, sync_on_answer);
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)request.assignments[i].assignment.data);
    free(request.assignments);
}

/* -- join ---------------------------------------------------------------------------------------------------------- */

static void join_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct member *member = context;
    const struct join_group_response *got = response;
    (void)took_ns;
    if (got->error_code == KAFKA_NONE || got->error_code == KAFKA_MEMBER_ID_REQUIRED) {
        if (got->member_id.len > MEMBER_ID_BYTES)
            talk_fatal("a member id of %zu bytes", got->member_id.len);
        member->id_len = got->member_id.len;
        memcpy(member->id, got->member_id.data, member->id_len);
    }
    if (got->error_code == KAFKA_NONE) {
        member->generation = got->generation_id;
        member_sync(member, got);
    } else if (got->error_code == KAFKA_MEMBER_ID_REQUIRED || got->error_code == KAFKA_REBALANCE_IN_PROGRESS ||
               group_is_loading(got->error_code)) {
        member_join(member);
    } else {
        talk_fatal("JoinGroup: error %d", got->error_code);
    }
}

static void member_join(struct member *member)
{
    struct party *party = member->party;
    struct join_group_request_protocol protocol = {
        .name = PROTOCOL, .metadata = { .data = party->subscription, .len = party->subscription_len }
    };
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = party->group;
    request.session_timeout_ms = SESSION_MS;
    request.rebalance_timeout_ms = SESSION_MS;
    request.member_id = member_id(member);
    request.protocol_type = PROTOCOL_TYPE;
    request.protocols = &protocol;
    request.protocols_count = 1;
    party->joins += member->id_len > 0;
    member->state = MEMBER_JOINING;
    member_send(member, WIRE_KEY_JOIN_GROUP, JOIN_VERSION, &request, join_on_answer);
}

/* -- beat ---------------------------------------------------------------------------------------------------------- */

static void beat_on_answer(void *context, const void *response, uint64_t took_ns)
{
    struct member *member = context;
    const struct heartbeat_response *got = response;
    (void)took_ns;
    member->beating = false;
    member->beat_ns = talk_now_ns() + BEAT_NS;
    if (got->error_code == KAFKA_REBALANCE_IN_PROGRESS || got->error_code == KAFKA_ILLEGAL_GENERATION)
        member_join(member);
    else if (got->error_code != KAFKA_NONE)
        talk_fatal("Heartbeat: error %d", got->error_code);
}

static void member_beat(struct member *member)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = member->party->group;
    request.generation_id = member->generation;
    request.member_id = member_id(member);
    member->beating = true;
    member_send(member, WIRE_KEY_HEARTBEAT, BEAT_VERSION, &request, beat_on_answer);
}

/* -- the measurement ----------------------------------------------------------------------------------------------- */

static bool party_is_settled(const struct party *party)
{
    for (uint32_t i = 0; i < party->count; i++)
        if (party->members[i].state != MEMBER_SYNCED || party->members[i].beating ||
            party->members[i].generation != party->members[0].generation)
            return false;
    return true;
}

/* Returns how long it took until all had the assignment of one generation. */
static uint64_t party_settle(struct party *party, uint64_t begin_ns)
{
    while (!party_is_settled(party)) {
        uint64_t now = talk_now_ns();
        if (now - begin_ns > SETTLE_NS_MAX)
            talk_fatal("the group is not settled after two minutes");
        for (uint32_t i = 0; i < party->count; i++) {
            struct member *member = &party->members[i];
            if (member->state == MEMBER_SYNCED && !member->beating && now >= member->beat_ns)
                member_beat(member);
        }
        talk_turn(party->options->loop, 1);
    }
    return talk_now_ns() - begin_ns;
}

static void party_add(struct party *party, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &party->members[party->count++];
        *member = (struct member){ .party = party, .talk = talk_open(party->options->loop) };
    }
}

void groups_join(const struct groups_options *options)
{
    struct party party = { .options = options, .members = xcalloc(options->members + 1, sizeof(struct member)) };
    party.group = group_name(options, 0, party.group_text);
    subscription_write(&party);
    party_add(&party, options->members);
    group_ready(party.members[0].talk, party.group);
    uint64_t begin_ns = talk_now_ns();
    for (uint32_t i = 0; i < party.count; i++)
        member_join(&party.members[i]);
    double join_ms = ms_of(party_settle(&party, begin_ns));
    uint32_t joins = party.joins;

    party_add(&party, 1);
    begin_ns = talk_now_ns();
    member_join(&party.members[options->members]);
    double more_ms = ms_of(party_settle(&party, begin_ns));
    /* A coordinator waits once more when somebody came while it waited, and all but the first did. */
    uint32_t waits = options->delay_ms ? (uint32_t)(join_ms / options->delay_ms) : 0;
    printf("{\"members\":%u,\"settled_ms\":%.1f,\"waits_of_the_delay\":%u,\"beyond_the_delay_ms\":%.1f,\"joins\":%u,"
           "\"one_more_ms\":%.1f,\"generation\":%d}\n",
           options->members, join_ms, waits, join_ms - (double)waits * options->delay_ms, joins, more_ms,
           party.members[0].generation);
    free(party.members);
}
