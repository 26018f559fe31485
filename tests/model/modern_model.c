/*
 * Twin of a consumer group: who holds which partition, by what the members were told and what they said themselves.
 *
 * A member holds what an answer gave to it, whether the answer arrived or not, until a request of its own says that it
 * stopped, or the group has removed it. The twin knows nothing of epochs, targets or states. It demands:
 *
 *   - no partition is held by two members, ever
 *   - nobody is removed before a timeout of its own is over
 *   - when all is quiet: everything that is subscribed to is owned, by somebody who subscribes; the clients own what
 * the group says; with equal subscriptions loads differ by one at most; and the group says that it is stable
 *   - the groups read from the log are those that wrote it; every call is answered once (the rig looks at both)
 *
 * Members lose requests and answers, send twice, revoke late or never, crash, leave, change subscriptions, come back
 * under new ids; topics come, grow and go; the coordinator starts again from its log or from a snapshot of it.
 *
 * Built with MODEL_PLANTED it is linked against a coordinator that sometimes believes that a member has revoked what it
 * has not; then the first demand must be found broken.
 */
#include "../unit/coordinator/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/tp_set.h"
#include "model.h"

#define CLIENTS          7u
#define MEMBERS          64u /* ids in one run; when they are used up nobody new comes */
#define TOPICS           8u
#define PARTITIONS       4u
#define STEPS            700u
#define SESSION_MS       45000
#define REVOKE_MS        20000
#define QUIET_ROUNDS_MAX 60u

/* Sets of partitions: a bit for each, four to a topic. */
typedef uint32_t set;

struct topic {
    struct odk_uuid id;
    uint32_t partition_count; /* 0: there is none, not yet or no longer */
    bool gone;
};

/* One id of a member, as the twin sees it. */
struct member {
    char id[16];
    set held;          /* told to own, and not yet said to have stopped */
    set told;          /* the newest assignment sent to it, whether it arrived or not */
    int64_t beat_ms;   /* its newest request that the group took */
    int64_t revoke_ms; /* since when it has had something to give up; -1: nothing */
    bool known;        /* the group has it */
};

/* What runs on somebody's machine. A static one keeps its place, and so its instance id. */
struct client {
    bool up, is_static;
    bool stubborn;   /* never revokes */
    uint32_t member; /* which id it uses */
    uint32_t before; /* static: which id used its instance id before; MEMBERS: none */
    int32_t epoch;
    set owned, assigned;
    set said;       /* what it owns, as the group has heard it */
    uint32_t delay; /* heartbeats until it has revoked */
    uint32_t names; /* a bit for each topic */
    bool pattern;   /* subscribes to all topics by a regular expression, too */
    bool say_all;   /* the next request says everything */
};

struct model {
    struct rig rig;
    struct prng *prng;
    struct topic topics[TOPICS];
    struct member members[MEMBERS + 1]; /* the last one is nobody */
    uint32_t member_count;
    struct client clients[CLIENTS];
    bool lossy;
    bool uniform; /* the only assignor */
};

static struct model m;

/* What the runs have met: a model that never gets there shows nothing. */
enum { SEEN_SESSION, SEEN_REVOKE, SEEN_REPLACED, SEEN_UNRELEASED, SEEN_FENCED, SEEN_AWAY, SEEN_RESTART, SEEN_COUNT };
static uint32_t seen[SEEN_COUNT];

static void broken(const char *what)
{
#ifdef MODEL_PLANTED
    printf("found: %s\n", what);
    fflush(stdout);
    _Exit(0);
#else
    fail_msg("%s", what);
#endif
}

static bool chance(uint32_t percent)
{
    return prng_chance(m.prng, percent * 10000);
}

#ifdef MODEL_PLANTED
bool __wrap_tp_touch(const struct tp_set *a, const struct tp_set *b);
bool __real_tp_touch(const struct tp_set *a, const struct tp_set *b);

bool __wrap_tp_touch(const struct tp_set *a, const struct tp_set *b)
{
    return __real_tp_touch(a, b) && !prng_chance(m.prng, 50000);
}
#endif

/* -- topics ------------------------------------------------------------------------------------------------------- */

static const char *topic_name(uint32_t t)
{
    static char names[TOPICS][4];
    snprintf(names[t], sizeof(names[t]), "t%u", t);
    return names[t];
}

static set topic_set(uint32_t t)
{
    return ((1u << m.topics[t].partition_count) - 1) << (t * PARTITIONS);
}

static void topic_change(void)
{
    uint32_t t = (uint32_t)prng_below(m.prng, TOPICS);
    struct topic *topic = &m.topics[t];
    if (topic->gone)
        return;
    if (topic->partition_count > 0 && chance(25)) {
        topic->partition_count = 0;
        topic->gone = true;
        rig_topic_delete(&m.rig, topic_name(t));
        return;
    }
    topic->partition_count = (uint32_t)prng_between(m.prng, topic->partition_count + (topic->partition_count < 4), 4);
    topic->id = rig_topic(&m.rig, topic_name(t), (int32_t)topic->partition_count)->id;
}

static uint32_t topic_of(struct odk_uuid id)
{
    for (uint32_t t = 0; t < TOPICS; t++)
        if (odk_uuid_eq(m.topics[t].id, id))
            return t;
    fail_msg("an assignment of a topic that never was");
    return 0;
}

/* -- the twin ----------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    return (int64_t)(m.rig.now_ns / 1000000);
}

/* Who joins has thrown away what it was told before. */
static void twin_request(struct member *member, const struct consumer_group_heartbeat_request *in, set owned)
{
    member->beat_ms = now_ms();
    if (in->member_epoch == 0)
        member->held = member->told = 0;
    else if (in->topic_partitions_count >= 0)
        member->held = member->told | (member->held & owned);
}

static void twin_told(struct member *member, set assignment)
{
    for (uint32_t i = 0; i < m.member_count; i++)
        if (&m.members[i] != member && m.members[i].known && m.members[i].held & assignment)
            broken("a partition is given to one member while another holds it");
    member->told = assignment;
    member->held |= assignment;
}

static void twin_progress(struct member *member)
{
    bool revoking = (member->held & ~member->told) != 0;
    if (!revoking)
        member->revoke_ms = -1;
    else if (member->revoke_ms < 0)
        member->revoke_ms = now_ms();
}

static bool in_group(const struct consumer_group_describe_response_group *group, const char *id, set *ret_assigned)
{
    for (int32_t i = 0; i < group->members_count; i++) {
        const struct consumer_group_describe_response_member *row = &group->members[i];
        if (!odk_str_eq(row->member_id, odk_str_from(id)))
            continue;
        *ret_assigned = 0;
        for (int32_t j = 0; j < row->assignment.topic_partitions_count; j++)
            for (int32_t k = 0; k < row->assignment.topic_partitions[j].partitions_count; k++)
                *ret_assigned |= 1u << (topic_of(row->assignment.topic_partitions[j].topic_id) * PARTITIONS +
                                        (uint32_t)row->assignment.topic_partitions[j].partitions[k]);
        return true;
    }
    return false;
}

/* Who has been removed by a timeout meanwhile? */
static void twin_look(void)
{
    struct odk_str id = ODK_STR("g");
    struct rig_call *call = rig_call(&m.rig, GROUP_CALL_CONSUMER_DESCRIBE, 1, &id);
    for (uint32_t i = 0; i < m.member_count; i++) {
        struct member *member = &m.members[i];
        set assigned;
        if (!member->known || in_group(&call->out.consumer_describe, member->id, &assigned))
            continue;
        bool session = now_ms() - member->beat_ms >= SESSION_MS;
        bool revoke = member->revoke_ms >= 0 && now_ms() - member->revoke_ms >= REVOKE_MS;
        if (!session && !revoke)
            broken("a member is removed before its time");
        seen[session ? SEEN_SESSION : SEEN_REVOKE]++;
        member->known = false;
        member->held = member->told = 0;
    }
    rig_call_free(call);
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static void write_owned(struct arena *arena, set owned, struct consumer_group_heartbeat_request *in)
{
    in->topic_partitions = arena_new(arena, struct consumer_group_heartbeat_request_topic_partition, TOPICS);
    in->topic_partitions_count = 0;
    for (uint32_t t = 0; t < TOPICS; t++) {
        if (!(owned >> (t * PARTITIONS) & 15))
            continue;
        struct consumer_group_heartbeat_request_topic_partition *row =
            &in->topic_partitions[in->topic_partitions_count++];
        row->topic_id = m.topics[t].id;
        row->partitions = arena_new(arena, int32_t, PARTITIONS);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            if (owned & 1u << (t * PARTITIONS + p))
                row->partitions[row->partitions_count++] = (int32_t)p;
    }
}

static void write_names(struct arena *arena, const struct client *client, struct consumer_group_heartbeat_request *in)
{
    in->subscribed_topic_names = arena_new(arena, struct odk_str, TOPICS);
    in->subscribed_topic_names_count = 0;
    for (uint32_t t = 0; t < TOPICS; t++)
        if (client->names & 1u << t)
            in->subscribed_topic_names[in->subscribed_topic_names_count++] = odk_str_from(topic_name(t));
    in->subscribed_topic_regex = client->pattern ? ODK_STR("t.*") : ODK_STR("");
}

static void write_ids(const struct client *client, struct consumer_group_heartbeat_request *in)
{
    static char instance[8];
    consumer_group_heartbeat_request_init(in);
    in->group_id = ODK_STR("g");
    in->member_id = odk_str_from(m.members[client->member].id);
    snprintf(instance, sizeof(instance), "i%u", (uint32_t)(client - m.clients));
    if (client->is_static)
        in->instance_id = odk_str_from(instance);
}

struct answer {
    int16_t error;
    int32_t epoch;
    bool assigned;
    set assignment;
};

static set read_assignment(const struct consumer_group_heartbeat_response_assignment *assignment)
{
    set result = 0;
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++)
        for (int32_t j = 0; j < assignment->topic_partitions[i].partitions_count; j++)
            result |= 1u << (topic_of(assignment->topic_partitions[i].topic_id) * PARTITIONS +
                             (uint32_t)assignment->topic_partitions[i].partitions[j]);
    return result;
}

static struct answer ask(const struct consumer_group_heartbeat_request *in)
{
    struct rig_call *call = rig_call(&m.rig, GROUP_CALL_CONSUMER_HEARTBEAT, 1, in);
    const struct consumer_group_heartbeat_response *out = &call->out.consumer_heartbeat;
    assert_true(call->answered);
    struct answer answer = { .error = out->error_code,
                             .epoch = out->member_epoch,
                             .assigned = out->assignment != NULL };
    if (out->assignment)
        answer.assignment = read_assignment(out->assignment);
    rig_call_free(call);
    return answer;
}

/* The group takes a heartbeat: what the twin makes of it. */
static struct answer exchange(struct client *client, const struct consumer_group_heartbeat_request *in)
{
    struct member *member = &m.members[client->member];
    struct answer answer = ask(in);
    if (answer.error != KAFKA_NONE)
        return answer;
    if (!member->known && client->before < MEMBERS && m.members[client->before].known) {
        member->held = member->told = m.members[client->before].told;
        m.members[client->before].known = false;
        seen[SEEN_REPLACED]++;
    }
    client->before = MEMBERS;
    member->known = true;
    twin_request(member, in, client->owned);
    if (answer.assigned && in->topic_partitions_count >= 0)
        member->held &= client->owned; /* what it had been told and has not taken, it will not take any more */
    if (answer.assigned)
        twin_told(member, answer.assignment);
    twin_progress(member);
    return answer;
}

/* -- clients ------------------------------------------------------------------------------------------------------ */

static uint32_t member_new(void)
{
    struct member *member = &m.members[m.member_count];
    *member = (struct member){ .revoke_ms = -1 };
    snprintf(member->id, sizeof(member->id), "m%u", m.member_count);
    return m.member_count++;
}

static void client_start(struct client *client)
{
    if (m.member_count == MEMBERS)
        return;
    struct client next = { .up = true, .say_all = true, .is_static = client->is_static, .before = MEMBERS };
    if (client->is_static)
        next.before = m.members[client->member].known ? client->member : client->before;
    next.member = member_new();
    next.names = client->is_static && client->names ? client->names : (uint32_t)prng_below(m.prng, 1u << TOPICS);
    next.pattern = chance(20);
    next.stubborn = chance(5);
    *client = next;
}

static void client_fenced(struct client *client)
{
    client->owned = client->assigned = client->said = 0;
    client->epoch = 0;
    client->say_all = true;
}

static void client_take(struct client *client, const struct answer *answer, bool said)
{
    switch (answer->error) {
    case KAFKA_NONE: break;
    case KAFKA_FENCED_MEMBER_EPOCH:
        seen[SEEN_FENCED]++;
        client_fenced(client);
        return;
    case KAFKA_UNKNOWN_MEMBER_ID: client_fenced(client); return;
    case KAFKA_UNRELEASED_INSTANCE_ID: seen[SEEN_UNRELEASED]++; return;
    case KAFKA_FENCED_INSTANCE_ID: client->up = false; return;
    default: fail_msg("error %d", answer->error);
    }
    client->epoch = answer->epoch;
    client->say_all = false;
    client->said = said ? client->owned : client->said;
    if (!answer->assigned)
        return;
    client->assigned = answer->assignment;
    client->delay = (uint32_t)prng_below(m.prng, 4);
}

/* Gives up first, then takes. */
static void client_work(struct client *client)
{
    set surplus = client->owned & ~client->assigned;
    if (surplus && (client->stubborn || client->delay-- > 0))
        return;
    client->owned = client->assigned;
}

static void client_beat(struct client *client)
{
    struct arena arena = { 0 };
    struct consumer_group_heartbeat_request in;
    client_work(client);
    write_ids(client, &in);
    in.member_epoch = client->epoch;
    bool all = client->say_all || (m.lossy && chance(10)), says = all || client->owned != client->said;
    if (says)
        write_owned(&arena, client->owned, &in);
    if (all) {
        write_names(&arena, client, &in);
        in.rebalance_timeout_ms = REVOKE_MS;
        if (chance(50))
            in.server_assignor = m.uniform || chance(50) ? ODK_STR("uniform") : ODK_STR("range");
    }
    client->say_all |= m.lossy && chance(8); /* the answer will not arrive, or the request gets lost */
    bool lost = client->say_all && !all;
    if (lost && chance(50)) {
        arena_deinit(&arena);
        return;
    }
    struct answer answer = exchange(client, &in);
    bool again = m.lossy && chance(8);
    if (again)
        answer = exchange(client, &in);
    if (!lost)
        client_take(client, &answer, says);
    client->say_all |= lost || again;
    arena_deinit(&arena);
}

static void client_leave(struct client *client)
{
    struct consumer_group_heartbeat_request in;
    struct member *member = &m.members[client->member];
    bool away = client->is_static && chance(70);
    client->up = false;
    write_ids(client, &in);
    in.member_epoch = away ? -2 : -1;
    if (m.lossy && chance(20))
        return;
    struct answer answer = ask(&in);
    if (answer.error != KAFKA_NONE)
        return;
    member->beat_ms = now_ms();
    member->held = member->told;
    member->revoke_ms = -1;
    seen[SEEN_AWAY] += away;
    if (away)
        return;
    member->known = false;
    member->held = member->told = 0;
}

static void client_step(struct client *client)
{
    if (!client->up) {
        if (chance(20))
            client_start(client);
    } else if (chance(1)) {
        client->up = false; /* without a word */
    } else if (chance(3)) {
        client_leave(client);
    } else {
        if (chance(3)) {
            client->names = (uint32_t)prng_below(m.prng, 1u << TOPICS);
            client->pattern = chance(20);
            client->say_all = true;
        }
        client_beat(client);
    }
}

/* -- quiet -------------------------------------------------------------------------------------------------------- */

static set subscribed(const struct client *client)
{
    set result = 0;
    for (uint32_t t = 0; t < TOPICS; t++)
        if (client->pattern || client->names & 1u << t)
            result |= topic_set(t);
    return result;
}

static bool settled(void)
{
    struct odk_str id = ODK_STR("g");
    struct rig_call *call = rig_call(&m.rig, GROUP_CALL_CONSUMER_DESCRIBE, 1, &id);
    const struct consumer_group_describe_response_group *group = &call->out.consumer_describe;
    bool good = odk_str_eq(group->group_state, ODK_STR("Stable"));
    int32_t up = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        set assigned = 0;
        if (!m.clients[i].up)
            continue;
        up++;
        good = good && in_group(group, m.members[m.clients[i].member].id, &assigned) &&
               assigned == m.clients[i].owned && m.clients[i].owned == m.clients[i].said;
    }
    good = up == 0 || (good && group->members_count == up);
    rig_call_free(call);
    return good;
}

static void check_whole(void)
{
    set wanted = 0, owned = 0;
    uint32_t least = UINT32_MAX, most = 0;
    bool alike = true;
    const struct client *first = NULL;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        const struct client *client = &m.clients[i];
        if (!client->up)
            continue;
        first = first ? first : client;
        alike = alike && subscribed(client) == subscribed(first);
        if (client->owned & owned)
            broken("two clients own a partition");
        if (client->owned & ~subscribed(client))
            broken("a client owns what it does not subscribe to");
        wanted |= subscribed(client);
        owned |= client->owned;
        least = MIN(least, (uint32_t)__builtin_popcount(client->owned));
        most = MAX(most, (uint32_t)__builtin_popcount(client->owned));
    }
    if (owned != wanted)
        broken("a partition is left out");
    if (alike && m.uniform && first && most - least > 1)
        broken("equal subscriptions, unequal loads");
}

static void quiet(void)
{
    m.lossy = false;
    for (uint32_t i = 0; i < CLIENTS; i++)
        m.clients[i].stubborn = false;
    for (uint32_t round = 0; round < QUIET_ROUNDS_MAX; round++) {
        for (uint32_t i = 0; i < CLIENTS; i++)
            if (m.clients[i].up)
                client_beat(&m.clients[i]);
        rig_advance(&m.rig, 3000);
        twin_look();
    }
    if (!settled())
        broken("it does not come to rest");
    check_whole();
}

/* -- runs --------------------------------------------------------------------------------------------------------- */

static void step(void)
{
    uint64_t op = prng_below(m.prng, 1000);
    if (op < 950)
        client_step(&m.clients[prng_below(m.prng, CLIENTS)]);
    else if (op < 985)
        topic_change();
    else if (op < 995)
        rig_restart(&m.rig), seen[SEEN_RESTART]++;
    else
        rig_compact(&m.rig);
    rig_advance(&m.rig, (int64_t)prng_below(m.prng, 2000));
    twin_look();
}

static void run(struct prng *prng)
{
    memset(&m, 0, sizeof(m));
    m.prng = prng;
    m.lossy = true;
    rig_init(&m.rig);
    m.rig.settings.assignment_interval_ms = (int32_t)(prng_below(prng, 3) * 1500);
    m.uniform = chance(70);
    m.rig.config.assignors[GROUP_ASSIGNOR_RANGE] = !m.uniform;
    for (uint32_t i = 0; i < CLIENTS; i++)
        m.clients[i] = (struct client){ .is_static = i < 3 && chance(50), .member = MEMBERS, .before = MEMBERS };
    for (uint32_t i = 0; i < STEPS; i++)
        step();
    quiet();
    if (!rig_replays(&m.rig))
        broken("the log says something else");
    rig_deinit(&m.rig);
}

static int seed_count;
static char **seeds;

static void all_seeds(void **state)
{
    (void)state;
    (void)model_main(seed_count, seeds, run);
    for (uint32_t i = 0; i < SEEN_COUNT && seed_count == 1; i++)
        if (seen[i] == 0)
            fail_msg("no run met case %u", i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_seeds) };
    seed_count = argc;
    seeds = argv;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
#ifdef MODEL_PLANTED
    printf("the planted fault was not found\n");
    return 1;
#endif
    return failed;
}
