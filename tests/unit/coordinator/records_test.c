/*
 * Records of groups: their bytes, which older and other programs have written and read, and damage.
 *
 * The golden bytes were put together by hand from Kafka's schemas (GroupMetadataValue.json, OffsetCommitValue.json).
 */
#include "kit.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(literal)                                                                                                 \
    (struct odk_bytes)                                                                                                 \
    {                                                                                                                  \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                                \
    }
#define NONE ((struct odk_bytes){ 0 })

#define OFFSET_KEY "\0\1\0\1g\0\1t\0\0\0\0"
#define GROUP_KEY  "\0\2\0\1g"
#define SECOND     "\0\0\0\0\0\0\3\350" /* 1000 */

static enum odk_err replay_one(struct rig *rig, struct odk_bytes key, struct odk_bytes value)
{
    /* Memory of its own, so that a byte too many is seen. */
    uint8_t *k = malloc(MAX(key.len, 1u)), *v = malloc(MAX(value.len, 1u));
    memcpy(k, key.data, key.len);
    if (value.len > 0)
        memcpy(v, value.data, value.len);
    enum odk_err err = groups_replay(rig->groups, (struct odk_bytes){ k, key.len },
                                     (struct odk_bytes){ value.data ? v : NULL, value.len });
    free(k);
    free(v);
    return err;
}

static void a_group_is_written_as_kafka_does(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member s = kit_alone(&rig, "g", "i", "meta");
    const struct rig_record *record = rig_last(&rig, 2);
    assert_int_equal(record->key_len, 5);
    assert_memory_equal(record->key, GROUP_KEY, 5);
    uint8_t want[256];
    size_t len = 0;
#define PUT(literal) (memcpy(want + len, (literal), sizeof(literal) - 1), len += sizeof(literal) - 1)
    PUT("\0\3\0\10consumer\0\0\0\1\0\5range\0\46");
    memcpy(want + len, s.id, 38);
    len += 38;
    PUT("\0\0\1\213\317\345\150\0\0\0\0\1\0\46");
    memcpy(want + len, s.id, 38);
    len += 38;
    PUT("\0\1i\0\6client\0\12/127.0.0.1\0\0\352\140\0\0\47\20\0\0\0\4meta\0\0\0\3all");
#undef PUT
    assert_int_equal(record->value_len, len);
    assert_memory_equal(record->value, want, len);
    assert_int_equal(kit_leave(&rig, "g", s.id, NULL), KAFKA_NONE);
    record = rig_last(&rig, 2);
    assert_int_equal(record->value_len, 32);
    assert_memory_equal(record->value, "\0\3\0\10consumer\0\0\0\2\377\377\377\377\0\0\1\213\317\345\150\0\0\0\0\0", 32);
    rig_deinit(&rig);
}

/* A member m, of client c at /h, with metadata "x" and assignment "y"; session 10 s. */
#define HEAD   "\0\10consumer\0\0\0\7\0\5range\0\1m"
#define MEMBER "\0\1m\0\1c\0\2/h"
#define TAIL   "\0\0\47\20\0\0\0\1x\0\0\0\1y"

static void groups_of_all_versions_are_read(void **state)
{
    (void)state;
    static const struct {
        struct odk_bytes value;
        int64_t since_ms; /* of the empty group that follows */
    } known[] = {
        { BYTES("\0\0" HEAD "\0\0\0\1" MEMBER TAIL), -1 },
        { BYTES("\0\1" HEAD "\0\0\0\1" MEMBER "\0\0\23\210" TAIL), -1 },
        { BYTES("\0\2" HEAD SECOND "\0\0\0\1" MEMBER "\0\0\23\210" TAIL), 1000 },
        { BYTES("\0\3" HEAD SECOND "\0\0\0\1\0\1m\377\377\0\1c\0\2/h\0\0\23\210" TAIL), 1000 },
        { BYTES("\0\4\11consumer\0\0\0\7\6range\2m" SECOND "\2\2m\0\2c\3/h\0\0\23\210\0\0\47\20\2x\2y\0\0"), 1000 },
    };
    for (size_t i = 0; i < countof(known); i++) {
        struct rig rig;
        rig_init(&rig);
        rig_log_add(&rig.log, BYTES(GROUP_KEY), known[i].value);
        rig_restart(&rig);
        struct odk_str id = ODK_STR("g");
        struct rig_call *call = rig_call(&rig, GROUP_CALL_DESCRIBE, 5, &id);
        const struct describe_groups_response_group *out = &call->out.describe;
        assert_text(out->group_state, "Stable");
        assert_text(out->protocol_data, "range");
        assert_int_equal(out->members_count, 1);
        assert_text(out->members[0].member_id, "m");
        assert_text(out->members[0].client_id, "c");
        assert_text(out->members[0].client_host, "/h");
        assert_int_equal(out->members[0].member_metadata.data[0], 'x');
        assert_int_equal(out->members[0].member_assignment.data[0], 'y');
        rig_call_free(call);
        assert_int_equal(kit_heartbeat(&rig, "g", "m", NULL, 7), KAFKA_NONE);
        assert_true(rig_replays(&rig)); /* as it was written */
        rig_advance(&rig, 9999);
        assert_string_equal(kit_state(&rig, "g"), "Stable");
        rig_advance(&rig, 1);
        assert_string_equal(kit_state(&rig, "g"), "Empty");
        rig_deinit(&rig);
    }
}

static void offsets_of_all_versions_are_read(void **state)
{
    (void)state;
    static const struct odk_bytes known[] = {
        BYTES("\0\0\0\0\0\0\0\0\0\5\0\1n" SECOND),
        BYTES("\0\1\0\0\0\0\0\0\0\5\0\1n" SECOND "\177\377\377\377\377\377\377\377"),
        BYTES("\0\2\0\0\0\0\0\0\0\5\0\1n" SECOND),
        BYTES("\0\3\0\0\0\0\0\0\0\5\0\0\0\2\0\1n" SECOND),
        BYTES("\0\4\0\0\0\0\0\0\0\5\0\0\0\2\2n" SECOND "\0"),
    };
    for (size_t i = 0; i < countof(known); i++) {
        struct rig rig;
        rig_init(&rig);
        (void)rig_topic(&rig, "t", 1);
        rig_log_add(&rig.log, i % 2 ? BYTES(OFFSET_KEY) : BYTES("\0\0\0\1g\0\1t\0\0\0\0"), known[i]);
        rig_restart(&rig);
        struct offset_fetch_request_group request = { .group_id = ODK_STR("g"), .topics_count = -1 };
        struct rig_call *call = rig_call(&rig, GROUP_CALL_FETCH, 8, &request);
        const struct offset_fetch_response_group_topic_partition *out = call->out.fetch.topics[0].partitions;
        assert_int_equal(out->committed_offset, 5);
        assert_int_equal(out->committed_leader_epoch, i < 3 ? -1 : 2);
        assert_text(out->metadata, "n");
        rig_call_free(call);
        rig_advance(&rig, 600000); /* committed in 1970; only version 1 says for how long */
        assert_int_equal(kit_fetch(&rig, "g", "t", 0), i == 1 ? 5 : -1);
        rig_deinit(&rig);
    }
}

static void tombstones_forget(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    (void)rig_topic(&rig, "t", 1);
    rig_log_add(&rig.log, BYTES(OFFSET_KEY), NONE); /* of nothing */
    rig_log_add(&rig.log, BYTES(GROUP_KEY), NONE);
    rig_log_add(&rig.log, BYTES(OFFSET_KEY), BYTES("\0\3\0\0\0\0\0\0\0\5\0\0\0\2\0\1n" SECOND));
    rig_log_add(&rig.log, BYTES(GROUP_KEY),
                BYTES("\0\3" HEAD SECOND "\0\0\0\1\0\1m\377\377\0\1c\0\2/h\0\0\23\210" TAIL));
    rig_restart(&rig);
    assert_int_equal(groups_fact_count(rig.groups), 2);
    rig_log_add(&rig.log, BYTES(GROUP_KEY), NONE);
    rig_restart(&rig);
    assert_int_equal(groups_fact_count(rig.groups), 1);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    rig_log_add(&rig.log, BYTES(OFFSET_KEY), NONE);
    rig_restart(&rig);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    rig_deinit(&rig);
}

/* A crash may take the tombstones that the end of a topic has written. */
static void offsets_of_topics_that_have_gone_are_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_log_add(&rig.log, BYTES(OFFSET_KEY), BYTES("\0\3\0\0\0\0\0\0\0\5\0\0\0\2\0\1n" SECOND));
    rig_restart(&rig);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    assert_int_equal(groups_fact_count(rig.groups), 0);
    (void)rig_topic(&rig, "t", 1);
    rig_restart(&rig); /* the tombstone was written */
    assert_int_equal(groups_fact_count(rig.groups), 0);
    rig_deinit(&rig);
}

static void the_last_record_of_a_group_counts(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    (void)kit_alone(&rig, "g", NULL, "x");
    (void)kit_alone(&rig, "h", "i", "x");
    rig_log_add(&rig.log, BYTES(GROUP_KEY),
                BYTES("\0\3" HEAD SECOND "\0\0\0\1\0\1m\377\377\0\1c\0\2/h\0\0\23\210" TAIL));
    rig_restart(&rig);
    assert_int_equal(kit_heartbeat(&rig, "g", "m", NULL, 7), KAFKA_NONE);
    assert_int_equal(kit_member_count(&rig, "g"), 1);
    size_t count = rig.log.count;
    rig_compact(&rig);
    assert_true(rig.log.count < count);
    assert_true(rig_replays(&rig));
    rig_restart(&rig);
    assert_int_equal(kit_heartbeat(&rig, "g", "m", NULL, 7), KAFKA_NONE);
    rig_deinit(&rig);
}

static void other_kinds_are_passed_over(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_log_add(&rig.log, BYTES("\0\13anything"), BYTES("at all"));
    rig_log_add(&rig.log, BYTES("\0\144"), NONE);
    rig_restart(&rig);
    assert_int_equal(groups_fact_count(rig.groups), 0);
    rig_deinit(&rig);
}

/* Damage is an error, never a crash; and versions to come are told apart from it. */
static void damage_is_seen(void **state)
{
    (void)state;
    static const struct {
        struct odk_bytes key, value;
    } good[] = {
        { BYTES(OFFSET_KEY), BYTES("\0\3\0\0\0\0\0\0\0\5\0\0\0\2\0\1n" SECOND) },
        { BYTES(GROUP_KEY), BYTES("\0\3" HEAD SECOND "\0\0\0\1\0\1m\377\377\0\1c\0\2/h\0\0\23\210" TAIL) },
    };
    struct rig rig;
    rig_init(&rig);
    groups_free(rig.groups);
    rig.groups = rig_groups(&rig);
    for (size_t i = 0; i < countof(good); i++) {
        for (size_t len = 0; len < good[i].value.len; len++)
            assert_int_equal(replay_one(&rig, good[i].key, (struct odk_bytes){ good[i].value.data, len }),
                             ODK_ERR_CORRUPT);
        for (size_t len = 0; len < good[i].key.len; len++)
            assert_int_equal(replay_one(&rig, (struct odk_bytes){ good[i].key.data, len }, good[i].value),
                             ODK_ERR_CORRUPT);
        assert_int_equal(replay_one(&rig, good[i].key, BYTES("\0\5 anything")), ODK_ERR_VERSION);
        assert_int_equal(replay_one(&rig, good[i].key, BYTES("\377\377 anything")), ODK_ERR_VERSION);
        assert_int_equal(replay_one(&rig, good[i].key, good[i].value), ODK_OK);
    }
    struct odk_bytes too_long = BYTES("\0\3\0\0\0\0\0\0\0\5\0\0\0\2\0\1n" SECOND "x");
    assert_int_equal(replay_one(&rig, BYTES(OFFSET_KEY), too_long), ODK_ERR_CORRUPT);
    assert_int_equal(replay_one(&rig, BYTES("\0\1\0\1g\0\1t\377\377\377\377"), good[0].value), ODK_ERR_CORRUPT);
    assert_int_equal(replay_one(&rig, BYTES("\0\1\0\1g\0\1t\177\377\377\377"), good[0].value), ODK_ERR_CORRUPT);
    /* Two members of one name; members without a protocol. */
    assert_int_equal(replay_one(&rig, BYTES(GROUP_KEY), BYTES("\0\0" HEAD "\0\0\0\2" MEMBER TAIL MEMBER TAIL)),
                     ODK_ERR_CORRUPT);
    assert_int_equal(
        replay_one(&rig, BYTES(GROUP_KEY), BYTES("\0\0\0\10consumer\0\0\0\7\377\377\0\1m\0\0\0\1" MEMBER TAIL)),
        ODK_ERR_CORRUPT);
    rig_deinit(&rig);
}

/* A limit that was lowered since: everybody must join again, and the last ones are out. */
static void a_group_larger_than_allowed_rebalances(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct rig_call *first = kit_join(&rig, 3, "g", "", NULL, "a"), *second = kit_join(&rig, 3, "g", "", NULL, "b");
    rig_advance(&rig, 0);
    struct kit_member a = kit_joined(first);
    (void)kit_joined(second);
    rig_call_free(kit_sync(&rig, "g", a.id, 1, NULL));
    rig_restart(&rig);
    assert_string_equal(kit_state(&rig, "g"), "Stable");
    rig.config.size_max = 1;
    rig_restart(&rig);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_written_as_kafka_does),
        cmocka_unit_test(groups_of_all_versions_are_read),
        cmocka_unit_test(offsets_of_all_versions_are_read),
        cmocka_unit_test(tombstones_forget),
        cmocka_unit_test(offsets_of_topics_that_have_gone_are_forgotten),
        cmocka_unit_test(the_last_record_of_a_group_counts),
        cmocka_unit_test(other_kinds_are_passed_over),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(a_group_larger_than_allowed_rebalances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
