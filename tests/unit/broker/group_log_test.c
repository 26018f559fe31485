/*
 * The log of groups in others' hands: settings that would take it away, transactions of a log that came from elsewhere,
 * patterns that match it.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "base/units.h"
#include "broker/group_host.h"

#define ONE_PARTITION "offsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n"

static struct harness *with_topic(const char *settings)
{
    struct harness *harness = harness_new(2, settings);
    make_topic(harness, "t", 8, NULL);
    make_group_topic(harness);
    return harness;
}

static struct odk_log *group_log(struct harness *harness)
{
    uint32_t shard = topic_partition(harness_topic(harness, 0, GROUP_TOPIC_NAME), 0)->shard;
    return topic_partition(harness_topic(harness, shard, GROUP_TOPIC_NAME), 0)->log;
}

static int16_t commit(struct harness *harness, int32_t partition, int64_t offset)
{
    struct offset_commit_request_partition part = { .partition_index = partition,
                                                    .committed_offset = offset,
                                                    .committed_leader_epoch = -1,
                                                    .committed_metadata = ODK_STR("") };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = &part, .partitions_count = 1 };
    struct offset_commit_request request;
    struct offset_commit_response response;
    offset_commit_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_COMMIT, 8, &request, &response), REQUEST_REPLY);
    int16_t error = response.topics[0].partitions[0].error_code;
    harness_forget(harness);
    return error;
}

/* The committed offset; turns until the groups are loaded. */
static int64_t fetch(struct harness *harness, int32_t partition)
{
    struct offset_fetch_request_topic topic = { .name = ODK_STR("t"),
                                                .partition_indexes = &partition,
                                                .partition_indexes_count = 1 };
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    for (int tries = 0; tries < 10000; tries++) {
        assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_FETCH, 5, &request, &response), REQUEST_REPLY);
        int64_t offset = response.topics_count ? response.topics[0].partitions[0].committed_offset : -1;
        int16_t error = response.error_code;
        harness_forget(harness);
        if (error != KAFKA_COORDINATOR_LOAD_IN_PROGRESS) {
            assert_int_equal(error, KAFKA_NONE);
            return offset;
        }
        harness_turn(harness);
    }
    fail();
    return -1;
}

/* -- settings that would take the log away -------------------------------------------------------------------------- */

static int16_t alter(struct harness *harness, const char *key, const char *value)
{
    struct incremental_alter_configs_request_config config = { odk_str_from(key), 0, odk_str_from(value) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = 2, .resource_name = ODK_STR(GROUP_TOPIC_NAME), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    int16_t error = response.responses[0].error_code;
    harness_forget(harness);
    return error;
}

static int16_t delete_up_to(struct harness *harness, int64_t offset)
{
    struct delete_records_request_partition wanted = { .offset = offset };
    struct delete_records_request_topic in = { ODK_STR(GROUP_TOPIC_NAME), &wanted, 1 };
    struct delete_records_request request = { .topics = &in, .topics_count = 1, .timeout_ms = 1000 };
    struct delete_records_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_RECORDS, 2, &request, &response), REQUEST_REPLY);
    int16_t error = response.topics[0].partitions[0].error_code;
    harness_forget(harness);
    return error;
}

static void many_turns(struct harness *harness)
{
    for (int i = 0; i < 60; i++) { /* retention looks every millisecond */
        struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
        harness_turn(harness);
    }
}

/* What Kafka lets clients set may be set, and takes nothing away that was committed: only the groups themselves cut their
 * log, when they have said again what is true. */
static void no_setting_moves_the_start_of_the_log(void **state)
{
    (void)state;
    static const char *const settings[][2] = { { "cleanup.policy", "delete" },
                                               { "retention.ms", "1" },
                                               { "retention.bytes", "1" },
                                               { "segment.ms", "1" },
                                               { "max.message.bytes", "1" } };
    struct harness *harness = with_topic(ONE_PARTITION "log.retention.check.interval.ms=1\nlog.retention.ms=1\n");
    for (int32_t i = 0; i < 8; i++)
        assert_int_equal(commit(harness, i, 10 + i), KAFKA_NONE);
    for (size_t i = 0; i < countof(settings); i++)
        assert_int_equal(alter(harness, settings[i][0], settings[i][1]), KAFKA_NONE);
    for (int32_t i = 0; i < 8; i += 2)
        assert_int_equal(commit(harness, i, 20 + i), KAFKA_NONE);
    harness->wall_ms += 10000; /* old enough, and no step of the clock that would be doubted */
    many_turns(harness);
    assert_int_equal(odk_log_start_offset(group_log(harness)), 0);
    assert_int_equal(delete_up_to(harness, -1), KAFKA_INVALID_TOPIC_EXCEPTION);
    for (int turn = 0; turn < 2; turn++) {
        for (int32_t i = 0; i < 8; i++)
            assert_int_equal(fetch(harness, i), (i % 2 ? 10 : 20) + i);
        harness_crash(harness);
        many_turns(harness);
        assert_int_equal(odk_log_start_offset(group_log(harness)), 0);
    }
    harness_free(harness);
}

/* -- a log with transactions ----------------------------------------------------------------------------------------- */

/* What the batch at an offset shall be: this program writes none of a transaction yet, so the file is edited. */
struct edit {
    int64_t producer_id;
    int16_t attributes;
};

static struct edit edits[32]; /* by offset; each batch has one record */
static int64_t edit_count;

static void on_appended(struct odk_append *append, enum odk_err err)
{
    assert_int_equal(err, ODK_OK);
    append->len = 0;
}

static void append_batch(struct harness *harness, int64_t producer_id, int16_t attributes, struct odk_bytes key,
                         struct odk_bytes value)
{
    struct odk_record_new record = { .timestamp = 1, .key = key, .value = value };
    struct odk_batch_new batch = {
        .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = &record, .record_count = 1
    };
    struct odk_append append = { .done = on_appended };
    assert_int_equal(odk_batch_build(&batch, &append.batch, &append.len), ODK_OK);
    uint8_t *bytes = append.batch;
    odk_log_append(group_log(harness), &append);
    while (append.len > 0)
        harness_turn(harness);
    free(bytes);
    assert_in_range(append.base_offset, edit_count, countof(edits) - 1);
    edit_count = append.base_offset + 1;
    edits[append.base_offset] = (struct edit){ producer_id, attributes };
}

static void edit_segment(const struct harness *harness, void *context)
{
    static uint8_t bytes[65536];
    char path[256];
    (void)context;
    (void)snprintf(path, sizeof(path), "%s/" GROUP_TOPIC_NAME "-0/%020d.log", harness->dir, 0);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    for (size_t at = 0; at < len;) {
        struct odk_batch batch;
        assert_int_equal(odk_batch_decode(bytes + at, len - at, &batch), ODK_OK);
        const struct edit *edit = batch.base_offset < edit_count ? &edits[batch.base_offset] : NULL;
        for (int i = 0; edit && edit->attributes && i < 8; i++)
            bytes[at + 43 + (size_t)i] = (uint8_t)((uint64_t)edit->producer_id >> (56 - 8 * i));
        if (edit && edit->attributes)
            batch_set_attributes((struct odk_bytes){ bytes + at, odk_batch_bytes(&batch) }, edit->attributes);
        at += odk_batch_bytes(&batch);
    }
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* A start from the log as it was meant. */
static void restart_edited(struct harness *harness)
{
    harness_edit(harness, edit_segment, NULL);
    memset(edits, 0, sizeof(edits));
    edit_count = 0;
}

/* An offset of group g; value -1: a tombstone. */
static void write_offset(struct harness *harness, int64_t producer_id, int32_t partition, int64_t value)
{
    uint8_t key[] = { 0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, (uint8_t)partition };
    uint8_t bytes[] = { 0, 3, 0, 0, 0, 0, 0, 0, 0, (uint8_t)value, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
    append_batch(harness, producer_id, producer_id >= 0 ? ODK_BATCH_TRANSACTIONAL : 0,
                 (struct odk_bytes){ key, sizeof(key) },
                 value >= 0 ? (struct odk_bytes){ bytes, sizeof(bytes) } : (struct odk_bytes){ 0 });
}

static void write_marker(struct harness *harness, int64_t producer_id, bool committed)
{
    uint8_t key[] = { 0, 0, 0, committed }, value[] = { 0, 0, 0, 0, 0, 0 };
    append_batch(harness, producer_id, ODK_BATCH_TRANSACTIONAL | ODK_BATCH_CONTROL,
                 (struct odk_bytes){ key, sizeof(key) }, (struct odk_bytes){ value, sizeof(value) });
}

#define A 100
#define B 200

static void only_what_was_committed_counts(void **state)
{
    (void)state;
    struct harness *harness = with_topic(ONE_PARTITION);
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    assert_int_equal(commit(harness, 1, 6), KAFKA_NONE);
    write_offset(harness, A, 0, 50);
    write_offset(harness, B, 1, 60);
    write_offset(harness, A, 2, 70);
    write_marker(harness, B, false);
    write_marker(harness, A, true);
    write_offset(harness, A, 3, 80); /* the producer's next one has no end */
    write_marker(harness, 300, true); /* of nobody */
    restart_edited(harness);
    assert_int_equal(fetch(harness, 0), 50);
    assert_int_equal(fetch(harness, 1), 6);
    assert_int_equal(fetch(harness, 2), 70);
    assert_int_equal(fetch(harness, 3), -1);
    assert_non_null(strstr(harness->lines, "1 offsets of transactions are left out"));
    assert_int_equal(commit(harness, 3, 9), KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(fetch(harness, 3), 9);
    harness_free(harness);
}

/* What stands later in the log counts, whenever the transaction was committed. */
static void later_offsets_are_not_taken_back(void **state)
{
    (void)state;
    struct harness *harness = with_topic(ONE_PARTITION);
    for (int32_t i = 0; i < 5; i++)
        write_offset(harness, A, i, 10 + i);
    write_offset(harness, -1, 0, 20);          /* nobody's transaction */
    write_offset(harness, B, 1, 21);           /* another one, committed earlier */
    write_offset(harness, B, 2, 22);           /* and its producer's next one, which is aborted */
    write_offset(harness, -1, 3, -1);          /* deleted meanwhile */
    write_offset(harness, A, 4, 34);           /* said twice */
    write_marker(harness, B, true);
    write_offset(harness, B, 2, 42);
    write_marker(harness, B, false);
    write_marker(harness, A, true);
    restart_edited(harness);
    assert_int_equal(fetch(harness, 0), 20);
    assert_int_equal(fetch(harness, 1), 21);
    assert_int_equal(fetch(harness, 2), 22);
    assert_int_equal(fetch(harness, 3), -1);
    assert_int_equal(fetch(harness, 4), 34);
    harness_free(harness);
}

static void a_marker_that_cannot_be_read_takes_the_partition_out_of_service(void **state)
{
    (void)state;
    struct harness *harness = with_topic(ONE_PARTITION);
    uint8_t key[] = { 0, 0, 0 };
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    append_batch(harness, A, ODK_BATCH_TRANSACTIONAL | ODK_BATCH_CONTROL, (struct odk_bytes){ key, sizeof(key) },
                 (struct odk_bytes){ 0 });
    restart_edited(harness);
    for (int i = 0; i < 100; i++)
        harness_turn(harness);
    assert_int_equal(commit(harness, 0, 6), KAFKA_NOT_COORDINATOR);
    assert_non_null(strstr(harness->lines, "cannot be read at offset 1: stored data is damaged"));
    harness_free(harness);
}

/* -- loading ----------------------------------------------------------------------------------------------------------- */

/* How many questions are answered with "loading" after a start. */
static int load_turns(const char *settings)
{
    char all[256];
    (void)snprintf(all, sizeof(all), "%s%s", ONE_PARTITION, settings);
    struct harness *harness = with_topic(all);
    for (int32_t i = 0; i < 200; i++)
        assert_int_equal(commit(harness, i % 8, i), KAFKA_NONE);
    harness_restart(harness);
    int turns = 0;
    while (commit(harness, 0, 1) == KAFKA_COORDINATOR_LOAD_IN_PROGRESS) {
        assert_in_range(turns++, 0, 1000);
        harness_turn(harness);
    }
    harness_free(harness);
    return turns;
}

static void the_load_buffer_says_how_much_is_read_in_a_turn(void **state)
{
    (void)state;
    int usual = load_turns(""), small = load_turns("offsets.load.buffer.size=1\n");
    assert_in_range(small, usual + 10, 1000); /* one batch in a turn; a call has some turns */
}

/* -- events that are larger than a batch ------------------------------------------------------------------------------- */

static uint32_t batches_from(struct harness *harness, int64_t offset)
{
    uint32_t count = 0;
    struct odk_log *log = group_log(harness);
    while (offset < odk_log_end_offset(log)) {
        struct odk_read read = { .offset = offset, .bytes_max = 1, .at_least_one = true };
        assert_int_equal(odk_log_read(log, &read), ODK_OK);
        offset = read.next_offset;
        odk_log_read_release(log, &read);
        count++;
    }
    return count;
}

/* They become several batches, and are answered when the last one is durable. */
static void an_event_may_take_several_batches(void **state)
{
    (void)state;
    struct harness *harness = with_topic(ONE_PARTITION "offsets.topic.segment.bytes=1024\n");
    make_topic(harness, "wide", 100, NULL);
    struct offset_commit_request_partition parts[100];
    for (int32_t i = 0; i < 100; i++)
        parts[i] = (struct offset_commit_request_partition){ .partition_index = i,
                                                             .committed_offset = 7 + i,
                                                             .committed_leader_epoch = -1,
                                                             .committed_metadata = ODK_STR("") };
    struct offset_commit_request_topic topic = { .name = ODK_STR("wide"), .partitions = parts, .partitions_count = 100 };
    struct offset_commit_request request;
    struct offset_commit_response response;
    offset_commit_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_COMMIT, 8, &request, &response), REQUEST_REPLY);
    for (int32_t i = 0; i < 100; i++)
        assert_int_equal(response.topics[0].partitions[i].error_code, KAFKA_NONE);
    assert_true(odk_log_end_offset(group_log(harness)) >= 100);
    assert_in_range(batches_from(harness, odk_log_start_offset(group_log(harness))), 5, 100);
    harness_crash(harness);
    (void)fetch(harness, 0); /* waits for the groups */
    int32_t all[100];
    for (int32_t i = 0; i < 100; i++)
        all[i] = i;
    struct offset_fetch_request_topic asked = { .name = ODK_STR("wide"),
                                                .partition_indexes = all,
                                                .partition_indexes_count = 100 };
    struct offset_fetch_request fetch_request;
    struct offset_fetch_response fetched;
    offset_fetch_request_init(&fetch_request);
    fetch_request.group_id = ODK_STR("g");
    fetch_request.topics = &asked;
    fetch_request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_FETCH, 5, &fetch_request, &fetched), REQUEST_REPLY);
    for (int32_t i = 0; i < 100; i++)
        assert_int_equal(fetched.topics[0].partitions[i].committed_offset,
                         7 + fetched.topics[0].partitions[i].partition_index);
    harness_free(harness);
}

/* -- settings of a group --------------------------------------------------------------------------------------------- */

static struct consumer_group_heartbeat_response beat(struct harness *harness, const char *member, int32_t epoch)
{
    struct consumer_group_heartbeat_request request;
    struct consumer_group_heartbeat_response response;
    struct odk_str topic = ODK_STR("t");
    consumer_group_heartbeat_request_init(&request);
    request.group_id = ODK_STR("g");
    request.member_id = odk_str_from(member);
    request.member_epoch = epoch;
    request.rebalance_timeout_ms = epoch == 0 ? 1000 : -1;
    request.subscribed_topic_names = &topic;
    request.subscribed_topic_names_count = epoch == 0 ? 1 : -1;
    request.topic_partitions_count = epoch == 0 ? 0 : -1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CONSUMER_GROUP_HEARTBEAT, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
    return response;
}

/* A second member comes right after the first: with an interval, the target waits. */
static int32_t epoch_of_the_second(const char *interval)
{
    struct harness *harness = with_topic(ONE_PARTITION);
    struct incremental_alter_configs_request_config config = { ODK_STR("consumer.assignment.interval.ms"), 0,
                                                               odk_str_from(interval) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = 32, .resource_name = ODK_STR("g"), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
    assert_int_equal(beat(harness, "a", 0).member_epoch, 1);
    int32_t epoch = beat(harness, "b", 0).member_epoch;
    harness_free(harness);
    return epoch;
}

static void a_group_has_its_own_assignment_interval(void **state)
{
    (void)state;
    assert_int_equal(epoch_of_the_second("0"), 2);
    assert_int_equal(epoch_of_the_second("15000"), 1);
}

/* -- patterns --------------------------------------------------------------------------------------------------------- */

/* As in Kafka: a pattern is asked of every topic. */
static void patterns_match_internal_topics(void **state)
{
    (void)state;
    struct harness *harness = with_topic(ONE_PARTITION);
    struct consumer_group_heartbeat_request request;
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_request_init(&request);
    request.group_id = ODK_STR("g");
    request.member_id = ODK_STR("m");
    request.rebalance_timeout_ms = 1000;
    request.subscribed_topic_regex = ODK_STR(".*");
    request.topic_partitions_count = 0;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CONSUMER_GROUP_HEARTBEAT, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_non_null(response.assignment);
    assert_int_equal(response.assignment->topic_partitions_count, 2);
    struct odk_uuid internal = harness_topic(harness, 0, GROUP_TOPIC_NAME)->id;
    bool found = false;
    for (int i = 0; i < 2; i++)
        found |= odk_uuid_eq(response.assignment->topic_partitions[i].topic_id, internal);
    assert_true(found);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_setting_moves_the_start_of_the_log),
        cmocka_unit_test(only_what_was_committed_counts),
        cmocka_unit_test(later_offsets_are_not_taken_back),
        cmocka_unit_test(a_marker_that_cannot_be_read_takes_the_partition_out_of_service),
        cmocka_unit_test(the_load_buffer_says_how_much_is_read_in_a_turn),
        cmocka_unit_test(an_event_may_take_several_batches),
        cmocka_unit_test(a_group_has_its_own_assignment_interval),
        cmocka_unit_test(patterns_match_internal_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
