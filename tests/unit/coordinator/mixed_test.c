/*
 * Goal: whatever members of both protocols do to one group, each call is answered once, the log says the same as
 * memory, and nothing stops the program. Method: random calls of some members with the epochs they were last told, or
 * others; the group goes over and back all the time.
 */
#include "beat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/consumer_blob.h"
#include "kit.h"

#define MEMBERS 6u
#define STEPS   300u
#define SEEDS   150u

struct actor {
    char id[160];
    char instance[4]; /* "": none */
    int32_t epoch;
    char owned[4096]; /* of the newer protocol */
    struct rig_call *waiting;
};

static struct rig rig;
static struct prng prng;
static struct actor actors[MEMBERS];
static struct arena arena;
static uint32_t went_over, went_back;

static bool chance(uint32_t percent)
{
    return prng_chance(&prng, percent * 10000);
}

static const char *instance_of(const struct actor *actor)
{
    return actor->instance[0] ? actor->instance : NULL;
}

/* Some partitions of t, those that exist and others. */
static struct odk_bytes some_partitions(void)
{
    struct tp_set set = { .at = tp_room(&arena, 8) };
    for (int32_t p = 0; p < 6; p++)
        if (chance(50))
            set.at[set.count++] = (struct tp){ .topic = rig.topics[0].topic.id, .partition = p };
    return assignment_write(rig.groups, &set, 1, &arena);
}

static void joined(struct actor *actor)
{
    const struct join_group_response *out = &actor->waiting->out.join;
    if (out->member_id.len > 0)
        snprintf(actor->id, sizeof(actor->id), "%.*s", ODK_STR_FMT(out->member_id));
    actor->epoch = out->error_code == KAFKA_NONE ? out->generation_id : actor->epoch;
    if (out->error_code == KAFKA_UNKNOWN_MEMBER_ID || out->error_code == KAFKA_FENCED_INSTANCE_ID)
        actor->id[0] = '\0';
    rig_call_free(actor->waiting);
    actor->waiting = NULL;
}

static void join(struct actor *actor)
{
    struct odk_str topic = ODK_STR("t");
    struct consumer_protocol_subscription subscription;
    struct out out;
    const struct iovec *parts = NULL;
    uint32_t count;
    consumer_protocol_subscription_init(&subscription);
    subscription.topics = &topic;
    subscription.topics_count = chance(90);
    out_init(&out, &arena);
    out_i16(&out, 1);
    assert_true(consumer_protocol_subscription_encode(&subscription, &out, 1) && out_iov(&out, &parts, &count));
    struct odk_bytes metadata = { parts[0].iov_base, chance(97) ? parts[0].iov_len : 1 };
    struct join_group_request_protocol protocols[] = { { ODK_STR("range"), metadata },
                                                       { ODK_STR("cooperative-sticky"), metadata } };
    uint32_t first = (uint32_t)chance(10);
    struct join_group_request in = { .group_id = ODK_STR("g"),
                                     .session_timeout_ms = 10000,
                                     .rebalance_timeout_ms = 15000,
                                     .member_id = odk_str_from(actor->id),
                                     .protocol_type = chance(98) ? ODK_STR("consumer") : ODK_STR("connect"),
                                     .protocols = protocols + first,
                                     .protocols_count = (int32_t)prng_between(&prng, 1, 2 - first) };
    if (actor->instance[0])
        in.group_instance_id = odk_str_from(actor->instance);
    actor->waiting = rig_call(&rig, GROUP_CALL_JOIN, chance(80) ? 5 : 0, &in);
}

static void sync(struct actor *actor)
{
    struct sync_group_request_assignment rows[MEMBERS];
    struct sync_group_request in = { .group_id = ODK_STR("g"),
                                     .generation_id = actor->epoch,
                                     .member_id = odk_str_from(actor->id),
                                     .assignments = rows };
    for (uint32_t i = 0; i < MEMBERS; i++)
        rows[in.assignments_count++] =
            (struct sync_group_request_assignment){ odk_str_from(actors[i].id), some_partitions() };
    if (actor->instance[0])
        in.group_instance_id = odk_str_from(actor->instance);
    rig_call_free(rig_call(&rig, GROUP_CALL_SYNC, 3, &in));
}

static void beat(struct actor *actor)
{
    bool joins = actor->epoch <= 0 || actor->id[0] == '\0' || chance(15);
    if (actor->id[0] == '\0')
        snprintf(actor->id, sizeof(actor->id), "m%" PRIu64, prng_below(&prng, 20));
    struct beat_out out = joins ? BEAT(&rig, .member = actor->id, .instance = instance_of(actor), .names = "t,u",
                                       .owned = "", .timeout_ms = 15000)
                                : BEAT(&rig, .member = actor->id, .instance = instance_of(actor), .epoch = actor->epoch,
                                       .owned = chance(70) ? actor->owned : NULL);
    if (out.error == KAFKA_NONE)
        actor->epoch = out.epoch;
    else if (out.error == KAFKA_UNKNOWN_MEMBER_ID || out.error == KAFKA_FENCED_MEMBER_EPOCH)
        actor->epoch = 0;
    if (out.assigned)
        snprintf(actor->owned, sizeof(actor->owned), "%s", out.assignment);
}

static void step(struct actor *actor)
{
    if (actor->waiting && !actor->waiting->answered) {
        if (chance(10))
            groups_cancel(rig.groups, &actor->waiting->call);
        return;
    }
    if (actor->waiting)
        joined(actor);
    switch (prng_below(&prng, 12)) {
    case 0:
    case 1: join(actor); break;
    case 2:
    case 3: sync(actor); break;
    case 4: (void)kit_heartbeat(&rig, "g", actor->id, instance_of(actor), actor->epoch); break;
    case 5: (void)kit_leave(&rig, "g", chance(50) ? actor->id : "", instance_of(actor)); break;
    case 6:
        (void)BEAT(&rig, .member = actor->id[0] ? actor->id : "x", .instance = instance_of(actor),
                   .epoch = actor->instance[0] && chance(50) ? -2 : -1);
        break;
    case 7: (void)kit_commit(&rig, 9, "g", actor->id, actor->epoch, "t", 0, 1); break;
    case 8: (void)describe_text(&rig, "g"); break;
    default: beat(actor); break;
    }
}

/* Calls that wait do not outlive the groups. */
static void restart(void)
{
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (actors[i].waiting && !actors[i].waiting->answered)
            groups_cancel(rig.groups, &actors[i].waiting->call);
    rig_restart(&rig);
}

static void run(uint64_t seed)
{
    prng = (struct prng){ seed };
    rig_init(&rig);
    rig_topic(&rig, "t", 5);
    memset(actors, 0, sizeof(actors));
    for (uint32_t i = 0; i < 2; i++)
        snprintf(actors[i].instance, sizeof(actors[i].instance), "i%u", i);
    rig.settings.assignment_interval_ms = chance(30) ? 2000 : 0;
    bool modern = false;
    for (uint32_t i = 0; i < STEPS; i++) {
        step(&actors[prng_below(&prng, MEMBERS)]);
        rig_advance(&rig, (int64_t)prng_below(&prng, 1500));
        if (chance(2))
            rig_topic(&rig, chance(50) ? "t" : "u", (int32_t)prng_between(&prng, 5, 8));
        if (chance(1))
            restart();
        struct groups_stats stats;
        groups_stats(rig.groups, &stats);
        went_over += stats.consumer && !modern;
        went_back += stats.classic && modern;
        modern = stats.consumer > 0;
        if (i % 10 == 0)
            assert_true(rig_replays(&rig));
        arena_reset(&arena);
    }
    restart();
    for (uint32_t i = 0; i < MEMBERS; i++)
        if (actors[i].waiting)
            rig_call_free(actors[i].waiting);
    assert_int_equal(rig.waiting, 0);
    rig_deinit(&rig);
}

static void members_of_both_do_what_they_like(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; seed <= (one ? strtoull(one, NULL, 10) : SEEDS); seed++) {
        print_message("seed %" PRIu64 "\n", seed);
        run(seed);
    }
    arena_deinit(&arena);
    assert_true(one || (went_over > SEEDS && went_back > SEEDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(members_of_both_do_what_they_like) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
