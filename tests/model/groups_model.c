/*
 * Classic groups against a naive twin: a few clients that mostly behave, some timers, restarts from the recorded log,
 * the log shortened now and then. The twin says what every call must be answered with, and when; besides that:
 *
 *   within one life of the groups generations only rise, and a part of the work has one owner in each generation;
 *   every call is answered once (the rig looks at that), and none is left at the end;
 *   groups that are read from the log hold what the living ones would write, byte for byte;
 *   committed offsets are those of the twin, and numbers only grow until they are deleted or expire;
 *   clients that behave end up in a stable group that has given out every part.
 *
 *   groups_model [SEED]              the fixed seeds, or this one
 *   groups_model --canary NAME       one thing goes wrong between groups and world, and must be found:
 *                                    record (one is lost), timer (one is late), owner (two assignments are swapped),
 *                                    generation (a stale commit is let through)
 */
#include <string.h>

#include "../unit/coordinator/kit.h"
#include "base/units.h"
#include "groups_twin.h"
#include "model.h"

#define CLIENTS     5
#define OPS         3000u
#define OUTSTANDING 8
#define GENERATIONS 4096

enum canary { CANARY_NONE, CANARY_RECORD, CANARY_TIMER, CANARY_OWNER, CANARY_GENERATION };

struct client {
    int group;
    const char *instance; /* "": dynamic */
    char id[TWIN_ID];
    int32_t generation;
    bool leads;
    int told; /* who is in the group, as the leader was told */
    char ids[TWIN_MEMBERS][TWIN_ID];
    char protocols[3];
    char metadata;
    int64_t session_ms;
    int waits; /* calls */
};

struct model {
    struct rig rig;
    struct twin twin;
    struct prng *prng;
    struct client clients[TWIN_GROUPS * CLIENTS];
    struct twin_call *calls;
    int64_t next_offset;
    int64_t join_count;
    int32_t rebalance_ms; /* of all: shorter and longer than sessions, which are from 6 to 12 s */
    int32_t last_generation[TWIN_GROUPS];
    /* By generation and token, whose part that is. */
    char owners[TWIN_GROUPS][GENERATIONS][TWIN_MEMBERS][TWIN_ID];
    bool topic_there[2];
};

static struct model model;
static enum canary canary;
static const char *const group_names[TWIN_GROUPS] = { "g", "h" };
static const char *const topic_names[2] = { "t", "u" };

/* -- violations --------------------------------------------------------------------------------------------------- */

#define CHECK(condition) ((condition) ? (void)0 : violation(__LINE__, #condition))

static _Noreturn void violation(int line, const char *text)
{
    printf("groups_model.c:%d: does not hold: %s\n", line, text);
    fflush(stdout);
    if (canary != CANARY_NONE)
        exit(0); /* found, as it must be */
    abort();
}

static bool canary_strikes(enum canary which)
{
    return canary == which && prng_chance(model.prng, 100000);
}

static struct client *random_client(void)
{
    return &model.clients[prng_below(model.prng, TWIN_GROUPS * CLIENTS)];
}

static const char *name_of(const struct client *client)
{
    return group_names[client->group];
}

static const char *instance_of(const struct client *client)
{
    return client->instance[0] ? client->instance : NULL;
}

/* -- answers ------------------------------------------------------------------------------------------------------ */

static void copy_id(char *dst, struct odk_str id)
{
    snprintf(dst, TWIN_ID, "%.*s", ODK_STR_FMT(id));
}

static void joined(struct client *client, const struct twin_call *call)
{
    const struct join_group_response *out = &call->rig->out.join;
    char id[TWIN_ID];
    copy_id(id, out->member_id);
    CHECK(out->generation_id == call->generation);
    CHECK(out->protocol_name.len > 0 && out->protocol_name.data[0] == call->protocol);
    CHECK(out->members_count == call->told);
    CHECK(out->skip_assignment == call->skip);
    CHECK(call->told == 0 || odk_str_eq(out->leader, out->member_id));
    CHECK(call->generation >= model.last_generation[client->group]);
    model.last_generation[client->group] = call->generation;
    twin_learn(&model.twin, client->group, call, id);
    strcpy(client->id, id);
    client->generation = call->generation;
    client->leads = call->told > 0 && !call->skip;
    client->told = out->members_count;
    for (int i = 0; i < client->told; i++)
        copy_id(client->ids[i], out->members[i].member_id);
    twin_learn_all(&model.twin, client->group, (const char(*)[TWIN_ID])client->ids, client->told);
    client->told = client->leads ? client->told : 0;
}

static void join_answered(struct client *client, const struct twin_call *call)
{
    const struct join_group_response *out = &call->rig->out.join;
    CHECK(out->error_code == call->error);
    if (call->error == KAFKA_NONE) {
        joined(client, call);
    } else if (call->error == KAFKA_MEMBER_ID_REQUIRED) {
        copy_id(client->id, out->member_id);
        twin_learn_pending(&model.twin, client->group, client->id, client->session_ms);
    } else if (call->error != KAFKA_NOT_COORDINATOR && call->error != KAFKA_REBALANCE_IN_PROGRESS) {
        client->id[0] = 0;
    }
}

static void assigned(const struct client *client, const struct twin_call *call)
{
    struct odk_bytes got = call->rig->out.sync.assignment;
    CHECK(got.len == strlen(call->assignment));
    CHECK(got.len == 0 || memcmp(got.data, call->assignment, got.len) == 0);
    if (got.len == 0)
        return;
    CHECK(call->asked_generation < GENERATIONS);
    char *owner = model.owners[client->group][call->asked_generation][got.data[0] - 'A'];
    if (!owner[0])
        strcpy(owner, call->asked_id);
    /* A static member that came back is the same owner under another id. */
    CHECK(strcmp(owner, call->asked_id) == 0 || client->instance[0]);
}

static void sync_answered(struct client *client, const struct twin_call *call)
{
    const struct sync_group_response *out = &call->rig->out.sync;
    CHECK(out->error_code == call->error);
    if (call->error == KAFKA_NONE)
        assigned(client, call);
    else if (call->error == KAFKA_UNKNOWN_MEMBER_ID || call->error == KAFKA_FENCED_INSTANCE_ID)
        client->id[0] = 0;
}

static void swap_owners(void)
{
    struct twin_call *first = NULL;
    for (struct twin_call *call = model.calls; call; call = call->next) {
        if (call->is_join || !call->due || call->error != KAFKA_NONE)
            continue;
        if (first) {
            struct odk_bytes other = first->rig->out.sync.assignment;
            first->rig->out.sync.assignment = call->rig->out.sync.assignment;
            call->rig->out.sync.assignment = other;
        }
        first = call;
    }
}

/* A group that went away begins again from generation 1. */
static void forget_the_gone(void)
{
    for (int i = 0; i < TWIN_GROUPS; i++) {
        if (model.twin.groups[i].there)
            continue;
        model.last_generation[i] = 0;
        memset(model.owners[i], 0, sizeof(model.owners[i]));
    }
}

/* Answers are there when the twin says so, and say what the twin says. */
static void look_at_answers(void)
{
    forget_the_gone();
    if (canary_strikes(CANARY_OWNER))
        swap_owners();
    for (struct twin_call **at = &model.calls; *at;) {
        struct twin_call *call = *at;
        struct client *client = &model.clients[call->client];
        CHECK(call->rig->answered == call->due);
        if (!call->due) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        client->waits--;
        if (call->is_join)
            join_answered(client, call);
        else
            sync_answered(client, call);
        rig_call_free(call->rig);
        free(call);
    }
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static struct twin_call *call_new(const struct client *client, bool is_join)
{
    struct twin_call *call = xcalloc(1, sizeof(*call));
    call->client = (int)(client - model.clients);
    call->is_join = is_join;
    call->asked_generation = client->generation;
    strcpy(call->asked_id, client->id);
    return call;
}

static void call_sent(struct client *client, struct twin_call *call, struct rig_call *rig)
{
    call->rig = rig;
    client->waits++;
    struct twin_call **end = &model.calls;
    while (*end)
        end = &(*end)->next;
    *end = call;
    look_at_answers();
}

static void send_join(struct client *client, int16_t version)
{
    static const struct odk_str names[2] = { { "range", 5 }, { "sticky", 6 } };
    /* No two members have the same: their sessions would end in an order that is not told. */
    client->session_ms = 6000 + ++model.join_count % 6000;
    struct twin_join join = { .version = version,
                              .id = client->id,
                              .instance = client->instance,
                              .metadata = client->metadata,
                              .session_ms = client->session_ms,
                              .rebalance_ms = model.rebalance_ms };
    strcpy(join.protocols, client->protocols);
    struct kit_join kit;
    kit_join_init(&kit, version, name_of(client), client->id, instance_of(client), "");
    kit.request.session_timeout_ms = (int32_t)client->session_ms;
    kit.request.rebalance_timeout_ms = model.rebalance_ms;
    kit.request.protocols_count = (int32_t)strlen(client->protocols);
    for (int i = 0; i < kit.request.protocols_count; i++) {
        kit.protocols[i].name = names[client->protocols[i] == 's'];
        kit.protocols[i].metadata = kit_subscription(topic_names[client->metadata == 'u']);
    }
    struct twin_call *call = call_new(client, true);
    twin_join(&model.twin, client->group, &join, call);
    call_sent(client, call, kit_join_send(&model.rig, &kit));
}

static void send_sync(struct client *client)
{
    struct sync_group_request_assignment rows[TWIN_MEMBERS];
    char tokens[TWIN_MEMBERS][8] = { { 0 } };
    for (int i = 0; i < client->told; i++) {
        tokens[i][0] = (char)('A' + i);
        rows[i].member_id = odk_str_from(client->ids[i]);
        rows[i].assignment = (struct odk_bytes){ (const uint8_t *)tokens[i], 1 };
    }
    struct sync_group_request request = { .group_id = odk_str_from(name_of(client)),
                                          .generation_id = client->generation,
                                          .member_id = odk_str_from(client->id),
                                          .assignments = rows,
                                          .assignments_count = client->told };
    if (client->instance[0])
        request.group_instance_id = odk_str_from(client->instance);
    struct twin_call *call = call_new(client, false);
    twin_sync(&model.twin, client->group, client->id, client->instance, client->generation,
              (const char(*)[TWIN_ID])client->ids, (const char(*)[8])tokens, client->told, call);
    call_sent(client, call, rig_call(&model.rig, GROUP_CALL_SYNC, 5, &request));
}

/* The client gives up what it was when it is told that it is not. */
static int16_t heartbeat(struct client *client)
{
    int16_t want = twin_heartbeat(&model.twin, client->group, client->id, client->instance, client->generation);
    int16_t error = kit_heartbeat(&model.rig, name_of(client), client->id, instance_of(client), client->generation);
    CHECK(error == want);
    if (error == KAFKA_UNKNOWN_MEMBER_ID || error == KAFKA_FENCED_INSTANCE_ID)
        client->id[0] = 0;
    return error;
}

static void leave(struct client *client, const char *id)
{
    int16_t want = twin_leave(&model.twin, client->group, id, client->instance);
    CHECK(kit_leave(&model.rig, name_of(client), id, instance_of(client)) == want);
    look_at_answers();
}

static void commit(struct client *client)
{
    int partition = (int)prng_below(model.prng, TWIN_PARTITIONS);
    int topic = partition == 2;
    if (!model.topic_there[topic])
        return;
    int32_t generation = prng_chance(model.prng, 100000) ? -1 : client->generation;
    int64_t offset = model.next_offset++;
    int16_t want = twin_commit(&model.twin, client->group, client->id, "", generation, partition, offset);
    if (canary_strikes(CANARY_GENERATION))
        generation = model.twin.groups[client->group].generation;
    CHECK(kit_commit(&model.rig, 9, name_of(client), client->id, generation, topic_names[topic], partition % 2,
                     offset) == want);
}

static void delete_group(const struct client *client)
{
    int16_t want = twin_delete(&model.twin, client->group);
    CHECK(kit_delete_group(&model.rig, name_of(client)) == want);
    forget_the_gone();
}

static void topic_flip(int topic)
{
    if (model.topic_there[topic]) {
        rig_topic_delete(&model.rig, topic_names[topic]);
        twin_topic_deleted(&model.twin, topic);
    } else {
        rig_topic(&model.rig, topic_names[topic], 2);
    }
    model.topic_there[topic] = !model.topic_there[topic];
}

static void cancel_one(void)
{
    struct twin_call *call = model.calls;
    for (uint64_t i = prng_below(model.prng, OUTSTANDING); call && i > 0; i--)
        call = call->next;
    if (!call)
        return;
    twin_cancel(&model.twin, call);
    groups_cancel(model.rig.groups, &call->rig->call);
    look_at_answers();
}

/* -- time and restarts -------------------------------------------------------------------------------------------- */

static void lose_a_record(void)
{
    struct rig_log *log = &model.rig.log;
    if (!canary_strikes(CANARY_RECORD) || log->count == 0)
        return;
    struct rig_record *record = &log->records[--log->count];
    free(record->key);
    free(record->value);
}

static void restart(void)
{
    twin_restart(&model.twin);
    if (prng_chance(model.prng, 300000)) {
        CHECK(rig_replays(&model.rig));
        rig_compact(&model.rig);
    }
    rig_restart(&model.rig);
    memset(model.owners, 0, sizeof(model.owners));
    memset(model.last_generation, 0, sizeof(model.last_generation));
    look_at_answers();
}

/* Timer after timer. Where the order of two is not told, a restart sets all of them anew. */
static void advance(int64_t ms)
{
    int64_t end_ms = model.twin.now_ms + ms;
    for (;;) {
        bool tie;
        int64_t next_ms = twin_next(&model.twin, &tie);
        if (next_ms > end_ms)
            break;
        if (tie) {
            restart();
            continue;
        }
        int64_t late_ms = canary_strikes(CANARY_TIMER) && next_ms > model.twin.now_ms;
        rig_advance(&model.rig, next_ms - model.twin.now_ms - late_ms);
        model.twin.now_ms = next_ms;
        twin_fire(&model.twin);
        look_at_answers();
    }
    rig_advance(&model.rig, end_ms - model.twin.now_ms);
    model.twin.now_ms = end_ms;
}

/* -- all of it ---------------------------------------------------------------------------------------------------- */

static void compare(void)
{
    lose_a_record();
    for (int i = 0; i < TWIN_GROUPS; i++) {
        const struct twin_group *g = &model.twin.groups[i];
        CHECK(strcmp(kit_state(&model.rig, group_names[i]), twin_state_name(g)) == 0);
        CHECK(kit_member_count(&model.rig, group_names[i]) == g->count);
        for (int j = 0; j < TWIN_PARTITIONS; j++)
            CHECK(kit_fetch(&model.rig, group_names[i], topic_names[j == 2], j % 2) == g->offsets[j]);
    }
    CHECK(rig_replays(&model.rig));
}

static void randomize(struct client *client)
{
    static const char *const choices[] = { "rs", "sr", "r" };
    strcpy(client->protocols, choices[prng_below(model.prng, countof(choices))]);
    client->metadata = prng_chance(model.prng, 500000) ? 't' : 'u';
}

/* What a client does when it does what it should. */
static void behave(struct client *client)
{
    if (client->waits > 0)
        return;
    if (!client->id[0] || client->generation < 0) {
        send_join(client, 9);
        return;
    }
    int16_t error = heartbeat(client);
    if (error == KAFKA_NONE)
        send_sync(client);
    else if (error != KAFKA_UNKNOWN_MEMBER_ID)
        send_join(client, 9);
    else
        client->generation = -1;
}

/* The oldest that says what the client has to say: at once in, or with an instance id. */
static int16_t old_version(const struct client *client)
{
    return client->instance[0] ? 5 : 3;
}

static void misbehave(struct client *client)
{
    char stale[TWIN_ID];
    switch (prng_below(model.prng, 8)) {
    case 0: randomize(client); break;
    case 1: send_join(client, prng_chance(model.prng, 500000) ? old_version(client) : 9); break;
    case 2: send_sync(client); break;
    case 3: leave(client, client->id); break;
    case 4: leave(client, client->instance[0] ? "" : "nobody"); break;
    case 5: client->generation += (int32_t)prng_below(model.prng, 3) - 1; break;
    case 6: /* another process with the same instance id, or one that has forgotten who it is */
        strcpy(stale, client->id);
        client->id[0] = 0;
        if (client->waits < OUTSTANDING)
            send_join(client, old_version(client));
        if (prng_chance(model.prng, 300000))
            strcpy(client->id, stale);
        break;
    case 7: (void)heartbeat(client); break;
    }
}

static void step(void)
{
    struct client *client = random_client();
    uint64_t op = prng_below(model.prng, 1000);
    if (op < 450)
        behave(client);
    else if (op < 530 && client->waits < OUTSTANDING)
        misbehave(client);
    else if (op < 700)
        commit(client);
    else if (op < 980)
        advance((int64_t)prng_below(model.prng, prng_chance(model.prng, 100000) ? 30000 : 1500));
    else if (op < 985)
        cancel_one();
    else if (op < 988)
        delete_group(client);
    else if (op < 990)
        topic_flip((int)prng_below(model.prng, 2));
    else if (op < 993)
        restart();
    else
        compare();
}

/* Everybody does what he should: the groups come to rest, and each member has a part of his own. */
static void settle(void)
{
    for (int round = 0; round < 800; round++) {
        for (int i = 0; i < TWIN_GROUPS * CLIENTS; i++)
            behave(&model.clients[i]);
        advance(500);
    }
    for (int i = 0; i < TWIN_GROUPS; i++) {
        const struct twin_group *g = &model.twin.groups[i];
        CHECK(g->state == TWIN_STABLE);
        CHECK(g->count == CLIENTS);
        for (int j = 0; j < g->count; j++)
            for (int k = 0; k < j; k++)
                CHECK(g->members[j].assignment[0] && g->members[j].assignment[0] != g->members[k].assignment[0]);
    }
}

static void start(struct prng *prng)
{
    static const char *const instances[CLIENTS] = { "", "", "", "i3", "i4" };
    memset(&model, 0, sizeof(model));
    rig_init(&model.rig);
    model.prng = prng;
    model.rig.prng.state = prng_next(prng);
    struct groups_config *config = &model.rig.config;
    config->initial_rebalance_delay_ms = (int32_t)prng_between(prng, 1, 3000);
    config->offsets_retention_ms = 60000;
    config->retention_check_interval_ms = 25013;
    if (prng_chance(prng, 250000))
        config->size_max = CLIENTS - 1;
    model.rebalance_ms = (int32_t)prng_between(prng, 2000, 20000);
    model.twin = (struct twin){ .now_ms = (int64_t)(model.rig.now_ns / NS_PER_MS),
                                .delay_ms = config->initial_rebalance_delay_ms,
                                .retention_ms = config->offsets_retention_ms,
                                .check_ms = config->retention_check_interval_ms,
                                .size_max = config->size_max };
    twin_init(&model.twin);
    rig_restart(&model.rig); /* with these settings */
    for (int i = 0; i < TWIN_GROUPS * CLIENTS; i++) {
        struct client *client = &model.clients[i];
        *client = (struct client){ .group = i / CLIENTS, .instance = instances[i % CLIENTS], .generation = -1 };
        randomize(client);
    }
    topic_flip(0);
    topic_flip(1);
}

static void run(struct prng *prng)
{
    start(prng);
    for (uint32_t i = 0; i < OPS; i++)
        step();
    compare();
    if (model.rig.config.size_max > CLIENTS)
        settle();
    compare();
    restart();
    compare();
    CHECK(model.rig.waiting == 0);
    CHECK(model.calls == NULL);
    rig_deinit(&model.rig);
}

static enum canary canary_named(const char *name)
{
    static const char *const names[] = { "", "record", "timer", "owner", "generation" };
    for (size_t i = 1; i < countof(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum canary)i;
    printf("no canary is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--canary") == 0) {
        canary = canary_named(argv[2]);
        (void)model_main(1, argv, run);
        printf("the canary %s was not found\n", argv[2]);
        return 1;
    }
    return model_main(argc, argv, run);
}
