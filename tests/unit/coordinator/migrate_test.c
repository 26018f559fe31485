/*
 * Goal: a group changes its protocol under its members, and back, without anybody losing more than must move (KIP-848,
 * online migration). Method: members of both protocols by hand; after each test the groups read from the log must be
 * those that wrote it.
 */
#include "beat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/consumer_blob.h"
#include "coordinator/group_records.h"
#include "coordinator/groups_internal.h"
#include "kit.h"

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_init(rig);
    rig_topic(rig, "t", 4);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig->waiting, 0);
    assert_true(rig_replays(rig));
    rig_restart(rig);
    assert_true(rig_replays(rig));
    rig_deinit(rig);
    free(rig);
    return 0;
}

/* -- classic members ---------------------------------------------------------------------------------------------- */

static struct odk_bytes blob(struct out *out, struct arena *arena)
{
    const struct iovec *parts;
    uint32_t count;
    assert_true(out_iov(out, &parts, &count));
    assert_int_equal(count, 1);
    (void)arena;
    return (struct odk_bytes){ parts[0].iov_base, parts[0].iov_len };
}

/* Subscribes to t and says which partitions of it it owns: "0,1". */
static struct odk_bytes subscription(struct arena *arena, const char *owned)
{
    struct odk_str topic = ODK_STR("t");
    struct consumer_protocol_subscription_owned_partition row = { .topic = topic };
    struct consumer_protocol_subscription s;
    consumer_protocol_subscription_init(&s);
    s.topics = &topic;
    s.topics_count = 1;
    row.partitions = arena_new(arena, int32_t, strlen(owned) + 1);
    for (const char *at = owned; *at; at += *at == ',')
        row.partitions[row.partitions_count++] = (int32_t)strtol(at, (char **)(void *)&at, 10);
    s.owned_partitions = &row;
    s.owned_partitions_count = row.partitions_count > 0;
    struct out out;
    out_init(&out, arena);
    out_i16(&out, 1);
    assert_true(consumer_protocol_subscription_encode(&s, &out, 1));
    return blob(&out, arena);
}

/* The partitions of t in an assignment: "0,1". */
static void partitions_print(struct odk_bytes bytes, char *dst, size_t len)
{
    struct arena arena = { 0 };
    struct consumer_protocol_assignment a;
    struct rd r = rd_init(bytes.data, bytes.len);
    size_t used = 0;
    dst[0] = '\0';
    assert_int_equal(rd_i16(&r), 1);
    assert_true(consumer_protocol_assignment_decode(&a, &r, &arena, 1));
    for (int32_t i = 0; i < a.assigned_partitions_count; i++)
        for (int32_t j = 0; j < a.assigned_partitions[i].partitions_count; j++)
            used += (size_t)snprintf(dst + used, len - used, "%s%d", used ? "," : "",
                                     a.assigned_partitions[i].partitions[j]);
    arena_deinit(&arena);
}

static struct rig_call *join_start(struct rig *rig, const char *member, const char *instance, const char *owned)
{
    struct arena arena = { 0 };
    struct join_group_request_protocol protocol = { ODK_STR("cooperative-sticky"), subscription(&arena, owned) };
    struct join_group_request in = { .group_id = ODK_STR("g"),
                                     .session_timeout_ms = 30000,
                                     .rebalance_timeout_ms = 60000,
                                     .member_id = odk_str_from(member),
                                     .protocol_type = ODK_STR("consumer"),
                                     .protocols = &protocol,
                                     .protocols_count = 1 };
    if (instance)
        in.group_instance_id = odk_str_from(instance);
    struct rig_call *call = rig_call(rig, GROUP_CALL_JOIN, 5, &in);
    arena_deinit(&arena);
    return call;
}

struct joined {
    int16_t error;
    int32_t generation;
    char member[128];
    char leader[128];
};

static struct joined join_end(struct rig_call *call)
{
    struct joined joined = { .error = call->out.join.error_code, .generation = call->out.join.generation_id };
    assert_true(call->answered);
    snprintf(joined.member, sizeof(joined.member), "%.*s", ODK_STR_FMT(call->out.join.member_id));
    snprintf(joined.leader, sizeof(joined.leader), "%.*s", ODK_STR_FMT(call->out.join.leader));
    rig_call_free(call);
    return joined;
}

static struct joined join(struct rig *rig, const char *member, const char *instance, const char *owned)
{
    return join_end(join_start(rig, member, instance, owned));
}

/* A leader's assignment: partitions of t for each of two members; NULL for none. */
static struct odk_bytes assignment(struct rig *rig, struct arena *arena, const char *partitions)
{
    struct tp_set set = { .at = tp_room(arena, strlen(partitions) + 1) };
    for (const char *at = partitions; *at; at += *at == ',') {
        set.at[set.count] = (struct tp){ .topic = rig->topics[0].topic.id };
        set.at[set.count++].partition = (int32_t)strtol(at, (char **)(void *)&at, 10);
    }
    return assignment_write(rig->groups, &set, 1, arena);
}

struct share {
    const char *member, *partitions;
};

static int16_t sync_as(struct rig *rig, const char *member, const char *instance, int32_t generation,
                       const struct share *shares, int32_t share_count, char *ret, size_t len)
{
    struct arena arena = { 0 };
    struct sync_group_request_assignment rows[4];
    for (int32_t i = 0; i < share_count; i++)
        rows[i] = (struct sync_group_request_assignment){ odk_str_from(shares[i].member),
                                                          assignment(rig, &arena, shares[i].partitions) };
    struct sync_group_request in = { .group_id = ODK_STR("g"),
                                     .generation_id = generation,
                                     .member_id = odk_str_from(member),
                                     .assignments = rows,
                                     .assignments_count = share_count };
    if (instance)
        in.group_instance_id = odk_str_from(instance);
    struct rig_call *call = rig_call(rig, GROUP_CALL_SYNC, 3, &in);
    assert_true(call->answered);
    int16_t error = call->out.sync.error_code;
    if (error == KAFKA_NONE && ret)
        partitions_print(call->out.sync.assignment, ret, len);
    rig_call_free(call);
    arena_deinit(&arena);
    return error;
}

static int16_t heartbeat(struct rig *rig, const char *member, int32_t generation)
{
    return kit_heartbeat(rig, "g", member, NULL, generation);
}

static int16_t leave(struct rig *rig, const char *member, const char *instance)
{
    return kit_leave(rig, "g", member, instance);
}

#define synced_is(rig_, member_, generation_, partitions_)                                                             \
    do {                                                                                                               \
        char synced_text[64];                                                                                          \
        assert_int_equal(sync_as(rig_, member_, NULL, generation_, NULL, 0, synced_text, sizeof(synced_text)),         \
                         KAFKA_NONE);                                                                                  \
        assert_string_equal(synced_text, partitions_);                                                                 \
    } while (0)

/* A classic group of one member that owns all of t, in generation 1. */
static struct joined classic_group(struct rig *rig, const char *instance)
{
    struct joined first = instance ? (struct joined){ 0 } : join(rig, "", NULL, "");
    if (!instance)
        assert_int_equal(first.error, KAFKA_MEMBER_ID_REQUIRED);
    struct rig_call *call = join_start(rig, first.member, instance, "");
    rig_advance(rig, 1);
    struct joined joined = join_end(call);
    assert_int_equal(joined.error, KAFKA_NONE);
    assert_int_equal(joined.generation, 1);
    struct share all = { joined.member, "0,1,2,3" };
    assert_int_equal(sync_as(rig, joined.member, instance, 1, &all, 1, NULL, 0), KAFKA_NONE);
    return joined;
}

static const char *state_of(struct rig *rig)
{
    static char buffer[64];
    struct odk_str id = ODK_STR("g");
    struct rig_call *call = rig_call(rig, GROUP_CALL_DESCRIBE, 6, &id);
    snprintf(buffer, sizeof(buffer), "%d %.*s", call->out.describe.error_code,
             ODK_STR_FMT(call->out.describe.group_state));
    rig_call_free(call);
    return buffer;
}

/* -- there -------------------------------------------------------------------------------------------------------- */

static void a_consumer_joins_a_classic_group(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    uint32_t flushes = rig->flush_count;
    beat_is(JOIN(rig, "m", "t"), 2, ""); /* what it shall get is still owned */
    assert_int_equal(rig->flush_count, flushes + 1);
    assert_null(rig_last(rig, GROUP_RECORD_CLASSIC)->value);
    assert_string_equal(state_of(rig), "69 Dead");
    /* The classic member is told to join again, and keeps what it keeps. */
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_REBALANCE_IN_PROGRESS);
    struct joined again = join(rig, c.member, NULL, "0,1,2,3");
    assert_int_equal(again.error, KAFKA_NONE);
    assert_int_equal(again.generation, 1);
    assert_string_equal(again.leader, "");
    synced_is(rig, c.member, 1, "0,1");
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_REBALANCE_IN_PROGRESS);
    again = join(rig, c.member, NULL, "0,1");
    assert_int_equal(again.generation, 2);
    synced_is(rig, c.member, 2, "0,1");
    assert_int_equal(heartbeat(rig, c.member, 2), KAFKA_NONE);
    beat_is(BEAT(rig, .member = "m", .epoch = 2), 2, "t:2,3");
    assert_non_null(strstr(describe_text(rig, "g"), "type=0 names=t regex= assigned=t:0,1 target=t:0,1"));
}

static void a_classic_member_waits_for_others_without_joining_again(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    beat_is(JOIN(rig, "m", "t"), 2, "");
    (void)join(rig, c.member, NULL, "0,1,2,3");
    (void)join(rig, c.member, NULL, "0,1");
    beat_is(BEAT(rig, .member = "m", .epoch = 2), 2, "t:2,3");
    struct joined d = join(rig, "d", NULL, "");
    assert_int_equal(d.generation, 3);
    synced_is(rig, "d", 3, "");
    assert_int_equal(heartbeat(rig, "d", 3), KAFKA_NONE); /* nothing to fetch yet */
    beat_is(OWNS(rig, "m", 2, "t:2,3"), 2, "t:2");
    beat_is(OWNS(rig, "m", 2, "t:2"), 3, NULL);
    assert_int_equal(heartbeat(rig, "d", 3), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(join(rig, "d", NULL, "").generation, 3);
    synced_is(rig, "d", 3, "3");
    assert_int_equal(heartbeat(rig, "d", 3), KAFKA_NONE);
    assert_int_equal(heartbeat(rig, c.member, 2), KAFKA_REBALANCE_IN_PROGRESS); /* a new epoch */
}

static void joins_that_wait_are_ended_when_the_group_goes_over(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    struct joined d = join(rig, "", NULL, "");
    struct rig_call *waiting = join_start(rig, d.member, NULL, "");
    assert_false(waiting->answered);
    (void)JOIN(rig, "m", "t");
    assert_int_equal(join_end(waiting).error, KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(join(rig, d.member, NULL, "").error, KAFKA_NONE);
}

static void what_cannot_go_over_stays(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    size_t count = rig->log.count;
    rig->config.upgrade = false;
    beat_refused(JOIN(rig, "m", "t"), KAFKA_GROUP_ID_NOT_FOUND);
    rig->config.upgrade = true;
    rig->config.modern_size_max = 0;
    beat_refused(JOIN(rig, "m", "t"), KAFKA_GROUP_ID_NOT_FOUND);
    rig->config.modern_size_max = 1;
    beat_refused(JOIN(rig, "m", "t"), KAFKA_GROUP_MAX_SIZE_REACHED);
    rig->config.modern_size_max = 10;
    beat_refused(BEAT(rig, .member = "m", .epoch = 1), KAFKA_GROUP_ID_NOT_FOUND);
    beat_refused(LEAVE(rig, "m"), KAFKA_GROUP_ID_NOT_FOUND);
    beat_refused(BEAT(rig, .member = "m", .regex = "(", .owned = "", .timeout_ms = 1),
                 KAFKA_INVALID_REGULAR_EXPRESSION);
    assert_int_equal(rig->log.count, count);
    assert_string_equal(state_of(rig), "0 Stable");
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_NONE);
}

static void metadata_that_cannot_be_read_stays(void **state)
{
    struct rig *rig = *state;
    struct join_group_request_protocol protocol = { ODK_STR("range"), { (const uint8_t *)"x", 1 } };
    struct join_group_request in = { .group_id = ODK_STR("g"),
                                     .session_timeout_ms = 30000,
                                     .rebalance_timeout_ms = 60000,
                                     .member_id = ODK_STR(""),
                                     .protocol_type = ODK_STR("consumer"),
                                     .protocols = &protocol,
                                     .protocols_count = 1 };
    struct rig_call *call = rig_call(rig, GROUP_CALL_JOIN, 3, &in);
    rig_advance(rig, 1);
    assert_int_equal(join_end(call).error, KAFKA_NONE);
    beat_refused(JOIN(rig, "m", "t"), KAFKA_GROUP_ID_NOT_FOUND);
    assert_string_equal(state_of(rig), "0 CompletingRebalance");
}

static struct rig_call *join_with(struct rig *rig, const char *instance, struct join_group_request_protocol *protocols,
                                  int32_t count)
{
    struct join_group_request in = { .group_id = ODK_STR("g"),
                                     .session_timeout_ms = 30000,
                                     .rebalance_timeout_ms = 60000,
                                     .group_instance_id = odk_str_from(instance),
                                     .protocol_type = ODK_STR("consumer"),
                                     .protocols = protocols,
                                     .protocols_count = count };
    return rig_call(rig, GROUP_CALL_JOIN, 5, &in);
}

/* The first protocol of a member is not always the one that the group has chosen. */
static void what_counts_is_said_for_the_chosen_protocol(void **state)
{
    struct rig *rig = *state;
    struct arena arena = { 0 };
    struct odk_bytes t = subscription(&arena, "");
    rig->config.initial_rebalance_delay_ms = 1000; /* all three come to one round */
    struct join_group_request_protocol two[] = { { ODK_STR("own"), kit_subscription("u") }, { ODK_STR("common"), t } };
    struct join_group_request_protocol bad[] = { { ODK_STR("own"), { (const uint8_t *)"x", 1 } },
                                                 { ODK_STR("common"), t } };
    struct rig_call *a = join_with(rig, "a", two, 2), *b = join_with(rig, "b", bad, 2);
    struct rig_call *c = join_with(rig, "c", &two[1], 1);
    rig_advance(rig, 3000);
    struct joined joined[] = { join_end(a), join_end(b), join_end(c) };
    for (int i = 0; i < 3; i++)
        assert_int_equal(joined[i].error, KAFKA_NONE);
    struct share all = { joined[0].member, "0,1,2,3" };
    assert_int_equal(sync_as(rig, joined[0].member, "a", joined[0].generation, &all, 1, NULL, 0), KAFKA_NONE);
    assert_int_equal(JOIN(rig, "m", "t").error, KAFKA_NONE);
    const char *text = describe_text(rig, "g");
    assert_null(strstr(text, "names=u"));
    for (int i = 0; i < 3; i++) {
        const char *member = strstr(text, joined[i].member);
        assert_non_null(member);
        assert_non_null(strstr(member, "type=0 names=t"));
    }
    rig_restart(rig); /* whose first protocol cannot be read is a member still */
    assert_non_null(strstr(describe_text(rig, "g"), joined[1].member));
    struct joined again = join_end(join_with(rig, "b", bad, 2));
    assert_int_equal(again.error, KAFKA_NONE);
    arena_deinit(&arena);
}

static void an_empty_classic_group_begins_anew(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    assert_int_equal(leave(rig, c.member, NULL), KAFKA_NONE);
    beat_is(JOIN(rig, "m", "t"), 1, "t:0,1,2,3");
}

static void a_static_member_goes_over_by_itself(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, "i");
    rig->config.modern_size_max = 1; /* it takes its own place */
    beat_is(BEAT(rig, .member = "m", .instance = "i", .names = "t", .owned = "", .timeout_ms = 60000), 1, "t:0,1,2,3");
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_UNKNOWN_MEMBER_ID);
    assert_non_null(strstr(describe_text(rig, "g"), "Stable epoch=1 target=1 uniform\nm epoch=1 type=1"));
}

static void who_was_given_the_same_partition_twice_shares(void **state)
{
    struct rig *rig = *state;
    struct joined a = join(rig, "", NULL, ""), b = join(rig, "", NULL, "");
    struct rig_call *first = join_start(rig, a.member, NULL, ""), *second = join_start(rig, b.member, NULL, "");
    rig_advance(rig, 1);
    a = join_end(first);
    b = join_end(second);
    struct share shares[] = { { a.member, "0,1,2,3,9" }, { b.member, "0,1" } };
    const char *leader = a.leader;
    assert_int_equal(sync_as(rig, leader, NULL, 1, shares, 2, NULL, 0), KAFKA_NONE);
    (void)JOIN(rig, "m", "t");
    const char *text = describe_text(rig, "g");
    assert_non_null(strstr(text, "assigned=t:0,1,2,3 "));
    assert_int_equal(leave(rig, "m", NULL), KAFKA_NONE);
}

/* -- members of both ---------------------------------------------------------------------------------------------- */

static void requests_of_the_wrong_protocol_are_refused(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    assert_int_equal(heartbeat(rig, "m", 2), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat(rig, "nobody", 2), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(heartbeat(rig, c.member, 7), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(sync_as(rig, c.member, NULL, 7, NULL, 0, NULL, 0), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(sync_as(rig, c.member, NULL, 1, NULL, 0, NULL, 0), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(sync_as(rig, c.member, "i", 1, NULL, 0, NULL, 0), KAFKA_UNKNOWN_MEMBER_ID);
    struct sync_group_request in = { .group_id = ODK_STR("g"),
                                     .generation_id = 1,
                                     .member_id = odk_str_from(c.member),
                                     .protocol_type = ODK_STR("consumer"),
                                     .protocol_name = ODK_STR("range") };
    struct rig_call *call = rig_call(rig, GROUP_CALL_SYNC, 5, &in);
    assert_int_equal(call->out.sync.error_code, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    rig_call_free(call);
}

static void a_classic_member_without_common_protocol_is_refused(void **state)
{
    struct rig *rig = *state;
    (void)classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    struct arena arena = { 0 };
    struct join_group_request_protocol protocol = { ODK_STR("range"), subscription(&arena, "") };
    struct join_group_request in = { .group_id = ODK_STR("g"),
                                     .session_timeout_ms = 30000,
                                     .rebalance_timeout_ms = 60000,
                                     .member_id = ODK_STR(""),
                                     .protocol_type = ODK_STR("consumer"),
                                     .protocols = &protocol,
                                     .protocols_count = 1 };
    assert_int_equal(join_end(rig_call(rig, GROUP_CALL_JOIN, 3, &in)).error, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    in.protocol_type = ODK_STR("connect");
    protocol.name = ODK_STR("cooperative-sticky");
    assert_int_equal(join_end(rig_call(rig, GROUP_CALL_JOIN, 3, &in)).error, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    arena_deinit(&arena);
}

static void a_classic_member_that_does_not_join_again_is_fenced(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_REBALANCE_IN_PROGRESS);
        rig_advance(rig, 10000);
        beat_is(BEAT(rig, .member = "m", .epoch = i < 5 ? 2 : 2), i < 5 ? 2 : 3, i < 5 ? NULL : "t:0,1,2,3");
    }
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_UNKNOWN_MEMBER_ID);
}

static void a_classic_session_has_its_own_timeout(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    rig_advance(rig, 29999);
    assert_non_null(strstr(describe_text(rig, "g"), c.member));
    rig_advance(rig, 1);
    assert_null(strstr(describe_text(rig, "g"), c.member));
}

static void commits_are_checked_by_protocol(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    struct {
        const char *member;
        int32_t epoch;
        int16_t version, error;
    } cases[] = {
        { "m", 2, 9, KAFKA_NONE },
        { "m", 2, 8, KAFKA_UNSUPPORTED_VERSION },
        { "m", 3, 9, KAFKA_STALE_MEMBER_EPOCH },
        { "m", 1, 9, KAFKA_STALE_MEMBER_EPOCH }, /* not its own */
        { "", -1, 9, KAFKA_UNKNOWN_MEMBER_ID },
        { "x", 2, 9, KAFKA_UNKNOWN_MEMBER_ID },
        { c.member, 1, 5, KAFKA_NONE },
        { c.member, 2, 5, KAFKA_ILLEGAL_GENERATION },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        int16_t error = kit_commit(rig, cases[i].version, "g", cases[i].member, cases[i].epoch, "t", 0, 5);
        if (error != cases[i].error)
            fail_msg("case %zu: %d", i, error);
    }
}

/* -- and back ----------------------------------------------------------------------------------------------------- */

static void the_last_consumer_leaves_a_classic_group(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    (void)join(rig, c.member, NULL, "0,1,2,3");
    (void)join(rig, c.member, NULL, "0,1");
    uint32_t flushes = rig->flush_count;
    beat_is(LEAVE(rig, "m"), -1, NULL);
    assert_int_equal(rig->flush_count, flushes + 1);
    assert_string_equal(state_of(rig), "0 PreparingRebalance");
    assert_null(rig_last(rig, GROUP_RECORD_CONSUMER)->value);
    assert_non_null(rig_last(rig, GROUP_RECORD_CLASSIC)->value);
    assert_int_equal(heartbeat(rig, c.member, 2), KAFKA_REBALANCE_IN_PROGRESS);
    struct joined again = join(rig, c.member, NULL, "0,1");
    assert_int_equal(again.error, KAFKA_NONE);
    assert_int_equal(again.generation, 3);
    assert_string_equal(again.leader, c.member);
}

static void the_last_consumer_that_times_out_leaves_a_classic_group(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    (void)join(rig, c.member, NULL, "0,1,2,3");
    synced_is(rig, c.member, 1, "0,1");
    rig_advance(rig, 25000);
    (void)heartbeat(rig, c.member, 1);
    rig_advance(rig, 20000);
    assert_string_equal(state_of(rig), "0 PreparingRebalance");
}

static void no_way_back_where_it_is_switched_off(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    rig->config.downgrade = false;
    beat_is(LEAVE(rig, "m"), -1, NULL);
    assert_string_equal(state_of(rig), "69 Dead");
    assert_int_equal(heartbeat(rig, c.member, 1), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(join(rig, c.member, NULL, "0,1,2,3").generation, 3);
    synced_is(rig, c.member, 3, "0,1,2,3");
    rig->config.downgrade = true;
}

static void a_static_member_goes_back_without_a_new_round(void **state)
{
    struct rig *rig = *state;
    (void)classic_group(rig, "i");
    beat_is(BEAT(rig, .member = "m", .instance = "i", .names = "t", .owned = "", .timeout_ms = 60000), 1, "t:0,1,2,3");
    struct joined back = join(rig, "", "i", "");
    assert_int_equal(back.error, KAFKA_NONE);
    assert_int_equal(back.generation, 1);
    assert_string_equal(state_of(rig), "0 Stable");
    char text[64];
    assert_int_equal(sync_as(rig, back.member, "i", 1, NULL, 0, text, sizeof(text)), KAFKA_NONE);
    assert_string_equal(text, "0,1,2,3");
    assert_int_equal(heartbeat(rig, back.member, 1), KAFKA_NONE);
    beat_refused(BEAT(rig, .member = "m", .instance = "i", .epoch = 1), KAFKA_GROUP_ID_NOT_FOUND);
}

static void administrators_remove_members_of_both(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)BEAT(rig, .member = "m", .instance = "i", .names = "t", .owned = "", .timeout_ms = 60000);
    (void)JOIN(rig, "n", "t");
    assert_int_equal(leave(rig, "x", NULL), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(rig, "x", "i"), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(leave(rig, "", "j"), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(rig, "", "i"), KAFKA_NONE);
    assert_int_equal(leave(rig, c.member, NULL), KAFKA_NONE);
    assert_int_equal(leave(rig, "n", NULL), KAFKA_NONE);
    assert_string_equal(describe_text(rig, "g"), "Empty epoch=6 target=5 uniform");
    /* Named twice: the second one is gone already. */
    (void)JOIN(rig, "n", "t");
    struct leave_group_request_member rows[] = { { .member_id = ODK_STR("n") }, { .member_id = ODK_STR("n") } };
    struct leave_group_request in = { .group_id = ODK_STR("g"), .members = rows, .members_count = 2 };
    struct rig_call *call = rig_call(rig, GROUP_CALL_LEAVE, 5, &in);
    assert_int_equal(call->out.leave.members[0].error_code, KAFKA_NONE);
    assert_int_equal(call->out.leave.members[1].error_code, KAFKA_UNKNOWN_MEMBER_ID);
    rig_call_free(call);
    in = (struct leave_group_request){ .group_id = ODK_STR("g"), .member_id = ODK_STR("n") };
    call = rig_call(rig, GROUP_CALL_LEAVE, 1, &in);
    assert_int_equal(call->out.leave.error_code, KAFKA_UNKNOWN_MEMBER_ID);
    rig_call_free(call);
}

static void an_empty_consumer_group_becomes_a_classic_one(void **state)
{
    struct rig *rig = *state;
    (void)JOIN(rig, "m", "t");
    (void)LEAVE(rig, "m");
    (void)classic_group(rig, NULL);
    assert_string_equal(state_of(rig), "0 Stable");
    assert_null(rig_last(rig, GROUP_RECORD_CONSUMER)->value);
}

static void a_mixed_group_outlives_a_restart(void **state)
{
    struct rig *rig = *state;
    struct joined c = classic_group(rig, NULL);
    (void)JOIN(rig, "m", "t");
    (void)join(rig, c.member, NULL, "0,1,2,3");
    rig_restart(rig);
    synced_is(rig, c.member, 1, "0,1");
    rig_compact(rig);
    rig_restart(rig);
    assert_int_equal(join(rig, c.member, NULL, "0,1").generation, 2);
    beat_is(BEAT(rig, .member = "m", .epoch = 2), 2, "t:2,3");
    beat_is(LEAVE(rig, "m"), -1, NULL);
    rig_restart(rig);
    assert_string_equal(state_of(rig), "0 Stable");
}

/* -- what a crash may leave ------------------------------------------------------------------------------------------ */

/* Whatever was in the group: a consumer that comes gets all of t in the end. */
static void heals(struct rig *rig)
{
    struct beat_out out = JOIN(rig, "n", "t");
    for (int i = 0; i < 12; i++) { /* who does not come again is out after 45 s */
        assert_int_equal(out.error, KAFKA_NONE);
        int32_t epoch = out.epoch;
        rig_advance(rig, 20000);
        out = BEAT(rig, .member = "n", .epoch = epoch, .timeout_ms = 60000, .names = "t", .owned = i ? "t:0,1,2,3" : "");
    }
    assert_string_equal(out.assignment, "t:0,1,2,3");
    assert_true(rig_replays(rig));
}

/*
 * A very large event is written as several batches, and a crash may come between them: nobody has been answered then, and
 * what is left must be a group that goes on. So any part of an event, from its beginning on, can be read.
 */
static void every_beginning_of_a_change_is_a_group(void **state)
{
    struct rig *rig = *state;
    size_t cuts[4];
    (void)classic_group(rig, NULL);
    cuts[0] = rig->log.count;
    beat_is(JOIN(rig, "m", "t"), 2, ""); /* goes over */
    cuts[1] = rig->log.count;
    assert_int_equal(LEAVE(rig, "m").error, KAFKA_NONE); /* and back */
    cuts[2] = rig->log.count;
    rig_advance(rig, 120000); /* the last member is out */
    cuts[3] = rig->log.count;
    assert_true(cuts[1] > cuts[0] + 5 && cuts[2] > cuts[1] + 5 && cuts[3] > cuts[2]);
    for (size_t cut = cuts[0]; cut <= cuts[3]; cut++) {
        struct rig other;
        rig_init(&other);
        rig_topic(&other, "t", 4);
        assert_true(odk_uuid_eq(other.topics[0].topic.id, rig->topics[0].topic.id));
        for (size_t i = 0; i < cut; i++) {
            const struct rig_record *record = &rig->log.records[i];
            rig_log_add(&other.log, (struct odk_bytes){ record->key, record->key_len },
                        (struct odk_bytes){ record->value, record->value_len });
        }
        rig_restart(&other);
        heals(&other);
        rig_deinit(&other);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_consumer_joins_a_classic_group),
        T(a_classic_member_waits_for_others_without_joining_again),
        T(joins_that_wait_are_ended_when_the_group_goes_over),
        T(what_cannot_go_over_stays),
        T(metadata_that_cannot_be_read_stays),
        T(what_counts_is_said_for_the_chosen_protocol),
        T(an_empty_classic_group_begins_anew),
        T(a_static_member_goes_over_by_itself),
        T(who_was_given_the_same_partition_twice_shares),
        T(requests_of_the_wrong_protocol_are_refused),
        T(a_classic_member_without_common_protocol_is_refused),
        T(a_classic_member_that_does_not_join_again_is_fenced),
        T(a_classic_session_has_its_own_timeout),
        T(commits_are_checked_by_protocol),
        T(the_last_consumer_leaves_a_classic_group),
        T(the_last_consumer_that_times_out_leaves_a_classic_group),
        T(no_way_back_where_it_is_switched_off),
        T(a_static_member_goes_back_without_a_new_round),
        T(administrators_remove_members_of_both),
        T(an_empty_consumer_group_becomes_a_classic_one),
        T(a_mixed_group_outlives_a_restart),
        T(every_beginning_of_a_change_is_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
