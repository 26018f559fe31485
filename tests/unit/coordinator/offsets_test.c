/* OffsetCommit, OffsetFetch and OffsetDelete; what becomes of offsets when nobody wants them any more. */
#include <stdio.h>

#include "base/limits.h"
#include "kit.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

/* -- OffsetCommit ------------------------------------------------------------------------------------------------- */

static void a_commit_is_kept_and_recorded(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 3);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 2, 77), KAFKA_NONE);
    assert_int_equal(kit_fetch(&rig, "g", "t", 2), 77);
    /* kind 1; group, topic, partition */
    const struct rig_record *record = rig_last(&rig, 1);
    assert_int_equal(record->key_len, 12);
    assert_memory_equal(record->key, "\0\1\0\1g\0\1t\0\0\0\2", 12);
    /* version 3; offset, leader epoch, metadata, time */
    assert_int_equal(record->value_len, 28);
    assert_memory_equal(record->value, "\0\3\0\0\0\0\0\0\0\115\0\0\0\3\0\4note\0\0\1\213\317\345\150\0", 28);
    assert_true(rig_replays(&rig));
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 2, 78), KAFKA_NONE);
    rig_restart(&rig);
    assert_int_equal(kit_fetch(&rig, "g", "t", 2), 78);
    rig_deinit(&rig);
}

static void what_does_not_exist_cannot_be_committed(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 3);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 3, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", -1, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "u", 0, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(kit_commit(&rig, 9, "g", "x", 5, "u", 0, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(rig.log.count, 0);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    rig_deinit(&rig);
}

static struct rig_call *commit_by_id(struct rig *rig, struct odk_uuid id, int32_t partition)
{
    struct offset_commit_request_partition rows[2] = { { .partition_index = partition, .committed_offset = 9 },
                                                       { .partition_index = 100, .committed_offset = 9 } };
    struct offset_commit_request_topic topic = { .topic_id = id, .partitions = rows, .partitions_count = 2 };
    rows[0].commit_timestamp = rows[1].commit_timestamp = -1;
    const struct offset_commit_request request = { .group_id = ODK_STR("g"),
                                                   .generation_id_or_member_epoch = -1,
                                                   .retention_time_ms = -1,
                                                   .topics = &topic,
                                                   .topics_count = 1 };
    return rig_call(rig, GROUP_CALL_COMMIT, 10, &request);
}

static void version_10_names_topics_by_id(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct odk_uuid id = rig_topic(&rig, "t", 3)->id;
    struct rig_call *call = commit_by_id(&rig, id, 1);
    assert_true(odk_uuid_eq(call->out.commit.topics[0].topic_id, id));
    assert_int_equal(call->out.commit.topics[0].partitions[0].error_code, KAFKA_NONE);
    assert_int_equal(call->out.commit.topics[0].partitions[1].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    rig_call_free(call);
    assert_int_equal(kit_fetch(&rig, "g", "t", 1), 9);
    id.b[0] ^= 1;
    call = commit_by_id(&rig, id, 1);
    assert_int_equal(call->out.commit.topics[0].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(call->out.commit.topics[0].partitions[1].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    rig_call_free(call);
    rig_deinit(&rig);
}

static void members_commit_in_their_generation(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    assert_int_equal(kit_commit(&rig, 9, "g", "x", 0, "t", 0, 1), KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(kit_commit(&rig, 8, "g", "x", 0, "t", 0, 1), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(kit_commit(&rig, 8, "g", "x", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", "x", 0, "t", 0, 1), KAFKA_UNKNOWN_MEMBER_ID); /* there is one now */
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 2), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 0, "t", 0, 3), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, -1, "t", 0, 3), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(kit_commit(&rig, 9, "g", "x", 1, "t", 0, 3), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 0, 3), KAFKA_UNKNOWN_MEMBER_ID);
    struct rig_call *join = kit_join(&rig, 3, "g", "", NULL, "y");
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 4), KAFKA_NONE); /* before it joins again */
    struct rig_call *again = kit_join(&rig, 3, "g", a.id, NULL, "x");
    rig_call_free(join);
    (void)kit_joined(again);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 2, "t", 0, 5), KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), 4);
    rig_deinit(&rig);
}

/* Unknown partitions keep their error beside the group's. */
static void errors_are_for_each_partition(void **state)
{
    (void)state;
    struct rig rig;
    static char note[5001];
    memset(note, 'n', sizeof(note) - 1);
    rig_init(&rig);
    rig_topic(&rig, "t", 2);
    struct offset_commit_request_partition rows[3] = {
        { .partition_index = 0, .committed_offset = 5, .committed_metadata = odk_str_from(note) },
        { .partition_index = 1, .committed_offset = 6 },
        { .partition_index = 2, .committed_offset = 7 },
    };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = rows, .partitions_count = 3 };
    struct offset_commit_request request = {
        .group_id = ODK_STR("g"), .retention_time_ms = -1, .topics = &topic, .topics_count = 1
    };
    for (int32_t generation = -1; generation <= 0; generation++) {
        request.generation_id_or_member_epoch = generation;
        request.member_id = generation < 0 ? ODK_STR("") : ODK_STR("x");
        struct rig_call *call = rig_call(&rig, GROUP_CALL_COMMIT, 9, &request);
        const struct offset_commit_response_partition *answers = call->out.commit.topics[0].partitions;
        assert_int_equal(answers[0].error_code,
                         generation < 0 ? KAFKA_OFFSET_METADATA_TOO_LARGE : KAFKA_UNKNOWN_MEMBER_ID);
        assert_int_equal(answers[1].error_code, generation < 0 ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID);
        assert_int_equal(answers[2].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        rig_call_free(call);
    }
    note[4096] = 0;
    request.generation_id_or_member_epoch = -1;
    request.member_id = ODK_STR("");
    rows[0].committed_metadata = odk_str_from(note);
    struct rig_call *call = rig_call(&rig, GROUP_CALL_COMMIT, 9, &request);
    assert_int_equal(call->out.commit.topics[0].partitions[0].error_code, KAFKA_NONE);
    rig_call_free(call);
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

/* Versions 1 to 4 could say how long, and 1 when. */
static void old_versions_bring_their_own_times(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    struct offset_commit_request_partition row = { .committed_offset = 5, .commit_timestamp = 12345 };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = &row, .partitions_count = 1 };
    struct offset_commit_request request = { .group_id = ODK_STR("old"),
                                             .generation_id_or_member_epoch = -1,
                                             .retention_time_ms = -1,
                                             .topics = &topic,
                                             .topics_count = 1 };
    rig_call_free(rig_call(&rig, GROUP_CALL_COMMIT, 1, &request));
    assert_memory_equal(rig_last(&rig, 1)->value + rig_last(&rig, 1)->value_len - 8, "\0\0\0\0\0\0\060\071", 8);
    request.retention_time_ms = 5000000;
    request.group_id = ODK_STR("short");
    rig_call_free(rig_call(&rig, GROUP_CALL_COMMIT, 2, &request));
    assert_int_equal(rig_last(&rig, 1)->value[1], 1); /* the last version of the record that has it */
    assert_true(rig_replays(&rig));
    rig_restart(&rig);
    rig_advance(&rig, 4800000);
    assert_int_equal(kit_fetch(&rig, "short", "t", 0), 5);
    assert_int_equal(kit_fetch(&rig, "old", "t", 0), -1); /* 1970 */
    rig_advance(&rig, 600000);
    assert_int_equal(kit_fetch(&rig, "short", "t", 0), -1);
    request.retention_time_ms = INT64_MAX;
    rig_call_free(rig_call(&rig, GROUP_CALL_COMMIT, 2, &request));
    rig_advance(&rig, 600000);
    assert_int_equal(kit_fetch(&rig, "short", "t", 0), 5);
    rig_deinit(&rig);
}

static void a_commit_has_a_largest_size(void **state)
{
    (void)state;
    struct rig rig;
    static struct offset_commit_request_partition rows[200000];
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = rows, .partitions_count = 200000 };
    struct offset_commit_request request = { .group_id = ODK_STR("g"),
                                             .generation_id_or_member_epoch = -1,
                                             .retention_time_ms = -1,
                                             .topics = &topic,
                                             .topics_count = 1 };
    rig_init(&rig);
    rig_topic(&rig, "t", 100000);
    for (int32_t i = 0; i < 200000; i++)
        rows[i].partition_index = i % 100000;
    struct rig_call *call = rig_call(&rig, GROUP_CALL_COMMIT, 7, &request);
    assert_int_equal(call->out.commit.topics[0].partitions[7].error_code, KAFKA_INVALID_COMMIT_OFFSET_SIZE);
    rig_call_free(call);
    topic.partitions_count = 100000;
    call = rig_call(&rig, GROUP_CALL_COMMIT, 7, &request);
    assert_int_equal(call->out.commit.topics[0].partitions[7].error_code, KAFKA_NONE);
    rig_call_free(call);
    assert_int_equal(rig.log.count, 100000);
    rig_deinit(&rig);
}

/* -- OffsetFetch -------------------------------------------------------------------------------------------------- */

static void nothing_committed_is_no_error(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    assert_int_equal(kit_fetch(&rig, "nobody", "t", 0), -1);
    assert_int_equal(kit_fetch(&rig, "nobody", "no topic", 0), -1);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_fetch(&rig, "g", "t", 99), -1);
    assert_int_equal(kit_fetch(&rig, "g", "t", -7), -1);
    struct offset_fetch_request_group request = { .group_id = ODK_STR("nobody"), .topics_count = -1 };
    struct rig_call *call = rig_call(&rig, GROUP_CALL_FETCH, 8, &request);
    assert_int_equal(call->out.fetch.topics_count, 0);
    assert_int_equal(call->out.fetch.error_code, KAFKA_NONE);
    rig_call_free(call);
    rig_deinit(&rig);
}

static void all_offsets_can_be_fetched(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 100);
    rig_topic(&rig, "u", 1);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 64, 164), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 3, 103), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "u", 0, 0), KAFKA_NONE);
    struct offset_fetch_request_group request = { .group_id = ODK_STR("g"), .topics_count = -1 };
    for (int16_t version = 8; version <= 10; version++) {
        struct rig_call *call = rig_call(&rig, GROUP_CALL_FETCH, version, &request);
        assert_int_equal(call->out.fetch.topics_count, 2);
        const struct offset_fetch_response_group_topic *topic = &call->out.fetch.topics[0];
        assert_text(topic->name, "t");
        assert_false(odk_uuid_is_zero(topic->topic_id));
        assert_int_equal(topic->partitions_count, 2);
        assert_int_equal(topic->partitions[0].partition_index, 3);
        assert_int_equal(topic->partitions[0].committed_offset, 103);
        assert_int_equal(topic->partitions[0].committed_leader_epoch, 3);
        assert_text(topic->partitions[0].metadata, "note");
        assert_int_equal(topic->partitions[1].committed_offset, 164);
        assert_text(call->out.fetch.topics[1].name, "u");
        rig_call_free(call);
    }
    rig_deinit(&rig);
}

static void version_10_fetches_by_id(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    int32_t partition = 1;
    struct offset_fetch_request_group_topic topics[2] = {
        { .topic_id = rig_topic(&rig, "t", 2)->id, .partition_indexes = &partition, .partition_indexes_count = 1 },
        { .topic_id = { { 9 } }, .partition_indexes = &partition, .partition_indexes_count = 1 },
    };
    struct offset_fetch_request_group request = { .group_id = ODK_STR("g"), .topics = topics, .topics_count = 2 };
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 1, 42), KAFKA_NONE);
    struct rig_call *call = rig_call(&rig, GROUP_CALL_FETCH, 10, &request);
    assert_int_equal(call->out.fetch.topics[0].partitions[0].committed_offset, 42);
    assert_int_equal(call->out.fetch.topics[0].partitions[0].error_code, KAFKA_NONE);
    assert_int_equal(call->out.fetch.topics[1].partitions[0].committed_offset, -1);
    assert_int_equal(call->out.fetch.topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    rig_call_free(call);
    rig_deinit(&rig);
}

/* -- OffsetDelete ------------------------------------------------------------------------------------------------- */

static int16_t offset_delete(struct rig *rig, const char *group, const char *name, int32_t partition)
{
    struct offset_delete_request_partition row = { .partition_index = partition };
    struct offset_delete_request_topic topic = { .name = odk_str_from(name),
                                                 .partitions = &row,
                                                 .partitions_count = 1 };
    const struct offset_delete_request request = { .group_id = odk_str_from(group),
                                                   .topics = &topic,
                                                   .topics_count = 1 };
    struct rig_call *call = rig_call(rig, GROUP_CALL_OFFSET_DELETE, 0, &request);
    assert_true(call->answered);
    const struct offset_delete_response *out = &call->out.offset_delete;
    int16_t error = out->error_code != KAFKA_NONE ? out->error_code : out->topics[0].partitions[0].error_code;
    rig_call_free(call);
    return error;
}

static void offsets_of_nobody_can_be_deleted(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 2);
    assert_int_equal(offset_delete(&rig, "", "t", 0), KAFKA_INVALID_GROUP_ID);
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 1, 1), KAFKA_NONE);
    assert_int_equal(offset_delete(&rig, "g", "t", 7), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_NONE);
    assert_null(rig_last(&rig, 1)->value);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), -1);
    assert_int_equal(kit_fetch(&rig, "g", "t", 1), 1);
    size_t before = rig.log.count;
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_NONE); /* nothing there, nothing written */
    assert_int_equal(rig.log.count, before);
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

static struct kit_member subscriber(struct rig *rig, const char *protocol_type, const char *topic)
{
    struct kit_join join;
    kit_join_init(&join, 3, "g", "", NULL, "x");
    join.request.protocol_type = odk_str_from(protocol_type);
    join.protocols[0].metadata = kit_subscription(topic);
    struct rig_call *call = kit_join_send(rig, &join);
    rig_advance(rig, 0);
    struct kit_member member = kit_joined(call);
    struct sync_group_request sync = { .group_id = ODK_STR("g"),
                                       .generation_id = member.generation,
                                       .member_id = odk_str_from(member.id) };
    rig_call_free(rig_call(rig, GROUP_CALL_SYNC, 4, &sync));
    assert_string_equal(kit_state(rig, "g"), "Stable");
    return member;
}

static void subscribed_topics_keep_their_offsets(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    rig_topic(&rig, "u", 1);
    struct kit_member a = subscriber(&rig, "consumer", "t");
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "u", 0, 1), KAFKA_NONE);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
        assert_int_equal(offset_delete(&rig, "g", "u", 0), KAFKA_NONE);
        rig_restart(&rig); /* the subscription is read again */
    }
    assert_int_equal(kit_leave(&rig, "g", a.id, NULL), KAFKA_NONE);
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_NONE);
    rig_deinit(&rig);
}

static void closed_books_keep_all_their_offsets(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    (void)subscriber(&rig, "connect", "t");
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_NON_EMPTY_GROUP);
    rig_deinit(&rig);
    /* A consumer whose metadata cannot be read may subscribe to anything. */
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    (void)kit_alone(&rig, "g", NULL, "nonsense");
    assert_int_equal(offset_delete(&rig, "g", "t", 0), KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
    rig_deinit(&rig);
}

/* -- expiry ------------------------------------------------------------------------------------------------------- */

static void offsets_of_nobody_expire_after_their_commit(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 2);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 0, 1), KAFKA_NONE);
    rig_advance(&rig, DAY_MS);
    assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", 1, 2), KAFKA_NONE);
    rig_advance(&rig, 6 * DAY_MS - 1);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), 1);
    rig_advance(&rig, 600001);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), -1);
    assert_int_equal(kit_fetch(&rig, "g", "t", 1), 2);
    rig_advance(&rig, DAY_MS);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

static void offsets_of_a_group_expire_after_it_got_empty(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    struct kit_member a = subscriber(&rig, "consumer", "t");
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 1), KAFKA_NONE);
    for (int i = 0; i < 10 * 24 * 3600; i += 9) { /* lives for ten days */
        rig_advance(&rig, 9000);
        assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
    }
    assert_int_equal(kit_leave(&rig, "g", a.id, NULL), KAFKA_NONE);
    rig_advance(&rig, 6 * DAY_MS);
    rig_restart(&rig); /* the time stands in the record */
    rig_advance(&rig, DAY_MS - 1);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), 1);
    rig_advance(&rig, 600001);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), -1);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    assert_null(rig_last(&rig, 2)->value); /* the group went with them */
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

static void offsets_of_topics_given_up_expire_while_the_group_lives(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    rig_topic(&rig, "u", 1);
    struct kit_member a = subscriber(&rig, "consumer", "t");
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "u", 0, 1), KAFKA_NONE);
    for (int i = 0; i < 8 * 24 * 3600; i += 9) {
        rig_advance(&rig, 9000);
        assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
    }
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), 1);
    assert_int_equal(kit_fetch(&rig, "g", "u", 0), -1);
    rig_deinit(&rig);
}

static void an_empty_group_without_offsets_goes(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    assert_int_equal(kit_leave(&rig, "g", a.id, NULL), KAFKA_NONE);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    rig_advance(&rig, 600000);
    assert_string_equal(kit_state(&rig, "g"), "Dead");
    assert_null(rig_last(&rig, 2)->value);
    rig_deinit(&rig);
}

/* More than one event looks at: the round goes on after a pause. */
static void many_groups_expire_in_steps(void **state)
{
    (void)state;
    struct rig rig;
    struct groups_stats stats;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    for (int i = 0; i < 12000; i++) {
        char id[8] = { (char)('a' + i % 20), (char)('a' + i / 20 % 20), (char)('a' + i / 400 % 20),
                       (char)('a' + i / 8000) };
        assert_int_equal(kit_commit(&rig, 9, id, "", -1, "t", 0, 1), KAFKA_NONE);
    }
    rig_advance(&rig, 7 * DAY_MS - 5); /* the round that begins before it is time has found nothing */
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 12000);
    rig_advance(&rig, 600000);
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(stats.offsets, 0);
    assert_int_equal(rig_count(&rig, 1), 24000);
    rig_deinit(&rig);
}

static void a_deleted_topic_takes_its_offsets_along(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 70000);
    rig_topic(&rig, "u", 1);
    for (int32_t i = 0; i < 70000; i += 7)
        assert_int_equal(kit_commit(&rig, 9, "g", "", -1, "t", i, i), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "h", "", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "h", "", -1, "u", 0, 1), KAFKA_NONE);
    rig_topic_delete(&rig, "t");
    rig_topic(&rig, "t", 1);
    assert_int_equal(kit_fetch(&rig, "g", "t", 0), -1);
    assert_int_equal(kit_fetch(&rig, "h", "t", 0), -1);
    assert_int_equal(kit_fetch(&rig, "h", "u", 0), 1);
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

#define FORGET_GROUPS 1000

static void many_groups_commit(struct rig *rig)
{
    rig_topic(rig, "t", 2);
    rig_topic(rig, "u", 1);
    for (int i = 0; i < FORGET_GROUPS; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(kit_commit(rig, 9, id, "", -1, "t", 0, 1), KAFKA_NONE);
        assert_int_equal(kit_commit(rig, 9, id, "", -1, "t", 1, 1), KAFKA_NONE);
    }
    assert_int_equal(kit_commit(rig, 9, "0", "", -1, "u", 0, 1), KAFKA_NONE);
}

/* Offsets of a topic that is gone are forgotten in steps, but nobody sees one of them meanwhile. */
static void offsets_of_a_deleted_topic_are_forgotten_in_steps(void **state)
{
    (void)state;
    struct rig rig;
    struct groups_stats stats;
    rig_init(&rig);
    many_groups_commit(&rig);
    size_t before = rig.log.count;
    rig_topic_delete(&rig, "t");
    assert_in_range(rig.log.count - before, 1, GROUP_FORGET_STEP);
    assert_int_equal(kit_fetch(&rig, "999", "t", 0), -1);
    assert_int_equal(kit_delete_group(&rig, "998"), KAFKA_GROUP_ID_NOT_FOUND);
    assert_true(rig_replays(&rig));
    for (int turn = 0; turn < 2 * FORGET_GROUPS / (int)GROUP_FORGET_STEP; turn++) {
        before = rig.log.count;
        rig_advance(&rig, GROUP_FORGET_PAUSE_MS);
        assert_in_range(rig.log.count - before, 1, GROUP_FORGET_STEP);
    }
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.offsets, 1);
    assert_int_equal(stats.groups, 1);
    assert_int_equal(kit_fetch(&rig, "0", "u", 0), 1);
    assert_true(rig_replays(&rig));
    rig_deinit(&rig);
}

/* The log must not say anything of the old topic's offsets behind what it says of the new one's, nor in its stead. */
static void a_new_topic_of_the_name_has_no_offsets(void **state)
{
    (void)state;
    struct rig rig;
    struct groups_stats stats;
    rig_init(&rig);
    many_groups_commit(&rig);
    rig_topic_delete(&rig, "t");
    rig_topic(&rig, "t", 2);
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.offsets, 1);
    assert_int_equal(kit_commit(&rig, 9, "999", "", -1, "t", 1, 7), KAFKA_NONE);
    rig_advance(&rig, 1000);
    rig_restart(&rig);
    assert_int_equal(kit_fetch(&rig, "999", "t", 1), 7);
    assert_int_equal(kit_fetch(&rig, "999", "t", 0), -1);
    rig_topic_delete(&rig, "t");
    rig_topic_delete(&rig, "u");
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 0);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_kept_and_recorded),
        cmocka_unit_test(what_does_not_exist_cannot_be_committed),
        cmocka_unit_test(version_10_names_topics_by_id),
        cmocka_unit_test(members_commit_in_their_generation),
        cmocka_unit_test(errors_are_for_each_partition),
        cmocka_unit_test(old_versions_bring_their_own_times),
        cmocka_unit_test(a_commit_has_a_largest_size),
        cmocka_unit_test(nothing_committed_is_no_error),
        cmocka_unit_test(all_offsets_can_be_fetched),
        cmocka_unit_test(version_10_fetches_by_id),
        cmocka_unit_test(offsets_of_nobody_can_be_deleted),
        cmocka_unit_test(subscribed_topics_keep_their_offsets),
        cmocka_unit_test(closed_books_keep_all_their_offsets),
        cmocka_unit_test(offsets_of_nobody_expire_after_their_commit),
        cmocka_unit_test(offsets_of_a_group_expire_after_it_got_empty),
        cmocka_unit_test(offsets_of_topics_given_up_expire_while_the_group_lives),
        cmocka_unit_test(an_empty_group_without_offsets_goes),
        cmocka_unit_test(many_groups_expire_in_steps),
        cmocka_unit_test(a_deleted_topic_takes_its_offsets_along),
        cmocka_unit_test(offsets_of_a_deleted_topic_are_forgotten_in_steps),
        cmocka_unit_test(a_new_topic_of_the_name_has_no_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
