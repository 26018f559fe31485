/*
 * Goal: what a consumer group writes is what Kafka reads, and nothing in a log stops the program. Method: records
 * looked at through the codec; damaged, shuffled and shortened logs are read, and the groups that come of them must
 * still work.
 */
#include "beat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/group_records.h"

static struct rd value_of(const struct rig_record *record)
{
    assert_non_null(record);
    assert_non_null(record->value);
    struct rd r = rd_init(record->value, record->value_len);
    assert_int_equal(rd_i16(&r), 0); /* version */
    return r;
}

static void key_is(const struct rig_record *record, const char *group, const char *own)
{
    struct rd r = rd_init(record->key, record->key_len);
    (void)rd_i16(&r);
    int16_t len = rd_i16(&r);
    assert_int_equal(len, strlen(group));
    assert_memory_equal(rd_take(&r, (size_t)len), group, (size_t)len);
    if (own) {
        len = rd_i16(&r);
        assert_int_equal(len, strlen(own));
        assert_memory_equal(rd_take(&r, (size_t)len), own, (size_t)len);
    }
    assert_int_equal(rd_left(&r), 0);
}

static void records_say_what_kafka_expects(void **state)
{
    (void)state;
    struct rig rig;
    struct arena arena = { 0 };
    rig_init(&rig);
    rig_topic(&rig, "t", 2);
    (void)BEAT(&rig, .member = "a", .instance = "i", .rack = "r", .names = "t", .owned = "", .timeout_ms = 7000,
               .assignor = "range");
    (void)BEAT(&rig, .member = "b", .names = "", .regex = "t.*", .owned = "", .timeout_ms = 8000);
    (void)BEAT(&rig, .member = "a", .instance = "i", .epoch = 1, .owned = "t:0,1");

    struct consumer_group_metadata_value group;
    struct rd r = value_of(rig_last(&rig, GROUP_RECORD_CONSUMER));
    assert_true(consumer_group_metadata_value_decode(&group, &r, &arena, 0));
    assert_int_equal(group.epoch, 2);
    assert_true(group.metadata_hash != 0);
    key_is(rig_last(&rig, GROUP_RECORD_CONSUMER), "g", NULL);

    struct consumer_group_member_metadata_value told;
    r = value_of(rig_last(&rig, GROUP_RECORD_MEMBER));
    assert_true(consumer_group_member_metadata_value_decode(&told, &r, &arena, 0));
    assert_true(odk_str_eq(told.subscribed_topic_regex, ODK_STR("t.*")));
    assert_null(told.instance_id.data);
    assert_int_equal(told.rebalance_timeout_ms, 8000);
    assert_true(odk_str_eq(told.client_host, ODK_STR("/127.0.0.1")));
    assert_null(told.classic_member_metadata);
    key_is(rig_last(&rig, GROUP_RECORD_MEMBER), "g", "b");

    struct consumer_group_target_assignment_metadata_value target;
    r = value_of(rig_last(&rig, GROUP_RECORD_TARGET));
    assert_true(consumer_group_target_assignment_metadata_value_decode(&target, &r, &arena, 0));
    assert_int_equal(target.assignment_epoch, 2);
    assert_int_equal(target.assignment_timestamp, rig.wall_ms);

    struct consumer_group_target_assignment_member_value part;
    r = value_of(rig_last(&rig, GROUP_RECORD_TARGET_MEMBER));
    assert_true(consumer_group_target_assignment_member_value_decode(&part, &r, &arena, 0));
    assert_int_equal(part.topic_partitions_count, 1);
    assert_int_equal(part.topic_partitions[0].partitions_count, 1);

    struct consumer_group_current_member_assignment_value current;
    r = value_of(rig_last(&rig, GROUP_RECORD_CURRENT));
    assert_true(consumer_group_current_member_assignment_value_decode(&current, &r, &arena, 0));
    assert_int_equal(current.member_epoch, 1);
    assert_int_equal(current.previous_member_epoch, 1);
    assert_int_equal(current.state, 1); /* UNREVOKED_PARTITIONS */
    assert_int_equal(current.assigned_partitions[0].assignment_epochs[0], 1);
    assert_int_equal(current.partitions_pending_revocation_count, 1);
    key_is(rig_last(&rig, GROUP_RECORD_CURRENT), "g", "a");

    struct consumer_group_regular_expression_value regex;
    r = value_of(rig_last(&rig, GROUP_RECORD_REGEX));
    assert_true(consumer_group_regular_expression_value_decode(&regex, &r, &arena, 0));
    assert_int_equal(regex.topics_count, 1);
    key_is(rig_last(&rig, GROUP_RECORD_REGEX), "g", "t.*");
    arena_deinit(&arena);
    rig_deinit(&rig);
}

/* The newest record of each key. */
static bool newest(const struct rig_log *log, size_t at)
{
    for (size_t i = at + 1; i < log->count; i++)
        if (log->records[i].key_len == log->records[at].key_len &&
            memcmp(log->records[i].key, log->records[at].key, log->records[at].key_len) == 0)
            return false;
    return true;
}

static void a_deleted_group_leaves_only_tombstones(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 2);
    (void)JOIN(&rig, "a", "t");
    (void)BEAT(&rig, .member = "b", .names = "", .regex = "t.*", .owned = "", .timeout_ms = 8000);
    struct odk_str id = ODK_STR("g");
    struct rig_call *call = rig_call(&rig, GROUP_CALL_DELETE, 2, &id);
    assert_int_equal(call->out.delete_group.error_code, KAFKA_NON_EMPTY_GROUP);
    rig_call_free(call);
    (void)LEAVE(&rig, "a");
    (void)LEAVE(&rig, "b");
    call = rig_call(&rig, GROUP_CALL_DELETE, 2, &id);
    assert_int_equal(call->out.delete_group.error_code, KAFKA_NONE);
    rig_call_free(call);
    for (size_t i = 0; i < rig.log.count; i++)
        if (newest(&rig.log, i))
            assert_null(rig.log.records[i].value);
    struct groups_stats stats;
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 0);
    rig_restart(&rig);
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 0);
    rig_deinit(&rig);
}

/* -- damaged logs ------------------------------------------------------------------------------------------------- */

/* A busy group: both kinds of subscriptions, one static member that is away, one that revokes. */
static void make_log(struct rig *rig)
{
    rig_init(rig);
    rig_topic(rig, "t", 5);
    rig_topic(rig, "u", 3);
    (void)JOIN(rig, "a", "t,u");
    (void)BEAT(rig, .member = "b", .names = "u", .regex = "t.*", .owned = "", .timeout_ms = 8000);
    (void)OWNS(rig, "a", 1, "t:0,1,2,3,4 u:0,1,2");
    (void)OWNS(rig, "a", 1, "");
    (void)BEAT(rig, .member = "b", .epoch = 2);
    (void)BEAT(rig, .member = "s", .instance = "i", .names = "t", .owned = "", .timeout_ms = 8000);
    (void)OWNS(rig, "a", 2, "t:0,1,2,3 u:0");
    (void)BEAT(rig, .member = "s", .instance = "i", .epoch = -2);
    (void)JOIN(rig, "c", "t");
    (void)LEAVE(rig, "c");
}

static enum odk_err replay_one(struct rig *rig, const uint8_t *key, size_t key_len, const uint8_t *value,
                               size_t value_len)
{
    return groups_replay(rig->groups, (struct odk_bytes){ key, key_len }, (struct odk_bytes){ value, value_len });
}

/* Groups that have read nothing yet. */
static void empty_start(struct rig *rig)
{
    groups_free(rig->groups);
    rig->groups = rig_groups(rig);
}

/* All that a shortened log may have left of a group: nothing that makes one. */
static void a_target_without_its_group_is_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    struct groups_stats stats;
    rig_init(&rig);
    (void)BEAT(&rig, .member = "a", .names = "t", .owned = "", .timeout_ms = 7000);
    const struct rig_record *target = rig_last(&rig, GROUP_RECORD_TARGET);
    empty_start(&rig);
    assert_int_equal(replay_one(&rig, target->key, target->key_len, target->value, target->value_len), ODK_OK);
    groups_loaded(rig.groups);
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 0);
    rig_deinit(&rig);
}

static void damage_is_named(void **state)
{
    (void)state;
    struct rig rig;
    make_log(&rig);
    empty_start(&rig);
    for (size_t i = 0; i < rig.log.count; i++) {
        const struct rig_record *record = &rig.log.records[i];
        if (!record->value)
            continue;
        for (size_t len = 0; len < record->value_len; len++)
            assert_int_equal(replay_one(&rig, record->key, record->key_len, record->value, len), ODK_ERR_CORRUPT);
        uint8_t *longer = calloc(1, record->value_len + 1);
        memcpy(longer, record->value, record->value_len);
        assert_int_equal(replay_one(&rig, record->key, record->key_len, longer, record->value_len + 1),
                         ODK_ERR_CORRUPT);
        longer[1] = 1;
        assert_int_equal(replay_one(&rig, record->key, record->key_len, longer, record->value_len), ODK_ERR_VERSION);
        free(longer);
        for (size_t len = 0; len < record->key_len; len++)
            assert_int_equal(replay_one(&rig, record->key, len, record->value, record->value_len), ODK_ERR_CORRUPT);
    }
    /* Kinds that are not ours are passed over. */
    assert_int_equal(replay_one(&rig, (const uint8_t *)"\0\4x", 3, (const uint8_t *)"y", 1), ODK_OK);
    assert_int_equal(replay_one(&rig, (const uint8_t *)"\0\x0bx", 3, (const uint8_t *)"y", 1), ODK_OK);
    groups_loaded(rig.groups);
    rig_deinit(&rig);
}

static void use(struct rig *rig, struct prng *prng)
{
    static const char *const members[] = { "a", "b", "c", "s", "d" };
    for (int i = 0; i < 30; i++) {
        const char *member = members[prng_below(prng, countof(members))];
        switch (prng_below(prng, 6)) {
        case 0: (void)JOIN(rig, member, "t,u"); break;
        case 1: (void)LEAVE(rig, member); break;
        case 2: (void)OWNS(rig, member, (int32_t)prng_below(prng, 8), ""); break;
        case 3: (void)BEAT(rig, .member = member, .names = "", .regex = "u", .owned = "", .timeout_ms = 5000); break;
        case 4: rig_advance(rig, 7000); break;
        case 5: (void)describe_text(rig, "g"); break;
        }
    }
    assert_true(rig_replays(rig));
}

static void no_log_stops_the_program(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rig rig;
        struct prng prng = { seed };
        make_log(&rig);
        empty_start(&rig);
        struct rig_log log = rig.log;
        rig.log = (struct rig_log){ 0 };
        for (size_t n = 0; n < log.count * 2; n++) {
            /* Mostly in order, some left out, some twice and late; one in thirty damaged. */
            size_t i = prng_chance(&prng, 700000) ? n % log.count : prng_below(&prng, log.count);
            struct rig_record *record = &log.records[i];
            if (prng_chance(&prng, 100000))
                continue;
            if (record->value && record->value_len > 2 && prng_chance(&prng, 30000))
                record->value[prng_between(&prng, 2, record->value_len - 1)] ^= (uint8_t)(1u << prng_below(&prng, 8));
            if (replay_one(&rig, record->key, record->key_len, record->value, record->value_len) == ODK_OK)
                rig_log_add(&rig.log, (struct odk_bytes){ record->key, record->key_len },
                            (struct odk_bytes){ record->value, record->value_len });
        }
        groups_loaded(rig.groups);
        use(&rig, &prng);
        rig_log_clear(&log);
        rig_deinit(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_say_what_kafka_expects),
        cmocka_unit_test(a_deleted_group_leaves_only_tombstones),
        cmocka_unit_test(a_target_without_its_group_is_forgotten),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(no_log_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
