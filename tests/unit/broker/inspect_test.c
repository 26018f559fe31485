/*
 * Goal: what tools ask about partitions and settings is true: DescribeLogDirs, DescribeProducers, OffsetForLeaderEpoch,
 * ListConfigResources.
 * Method: whole brokers over the real store; answers as a client decodes them.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/base.h"

/* -- DescribeLogDirs ----------------------------------------------------------------------------------------------- */

static struct describe_log_dirs_response dirs_get(struct harness *harness, int16_t version,
                                                  struct describe_log_dirs_request_topic *topics, int32_t count)
{
    struct describe_log_dirs_request request = { .topics = topics, .topics_count = count };
    struct describe_log_dirs_response response;
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_DESCRIBE_LOG_DIRS, version, &request,
                                  &response),
                     REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.results_count, 1);
    assert_int_equal(response.results[0].error_code, KAFKA_NONE);
    assert_true(odk_str_eq(response.results[0].log_dir, odk_str_from(harness->dir)));
    return response;
}

/* -1: not told. */
static int64_t size_of(const struct describe_log_dirs_response *response, const char *topic, int32_t partition)
{
    const struct describe_log_dirs_response_log_dir *dir = &response->results[0];
    for (int32_t t = 0; t < dir->topics_count; t++) {
        for (int32_t p = 0; p < dir->topics[t].partitions_count; p++) {
            assert_int_equal(dir->topics[t].partitions[p].offset_lag, 0);
            assert_false(dir->topics[t].partitions[p].is_future_key);
            if (odk_str_eq(dir->topics[t].name, odk_str_from(topic)) &&
                dir->topics[t].partitions[p].partition_index == partition)
                return dir->topics[t].partitions[p].partition_size;
        }
    }
    return -1;
}

static int64_t fill(struct harness *harness, const char *topic, int32_t partition, size_t value_bytes)
{
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 5, .value_bytes = value_bytes });
    int64_t bytes = (int64_t)batch.len;
    assert_int_equal(produce(harness, 9, topic, partition, batch).error_code, KAFKA_NONE);
    return bytes;
}

static void sizes_are_those_of_the_partitions(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "a", 5, NULL);
    make_topic(harness, "b", 1, NULL);
    int64_t bytes = fill(harness, "a", 3, 5000) + fill(harness, "a", 3, 70);
    int64_t more = fill(harness, "b", 0, 100);
    struct statvfs volume;
    assert_int_equal(statvfs(harness->dir, &volume), 0);
    for (int16_t version = 0; version <= 5; version++) {
        if (version == 3)
            harness_crash(harness);
        struct describe_log_dirs_response all = dirs_get(harness, version, NULL, -1);
        assert_int_equal(all.results[0].topics_count, 2);
        assert_int_equal(size_of(&all, "a", 3), bytes);
        assert_int_equal(size_of(&all, "a", 4), 0);
        assert_int_equal(size_of(&all, "b", 0), more);
        if (version < 4)
            continue;
        assert_int_equal(all.results[0].total_bytes, volume.f_blocks * volume.f_frsize);
        assert_in_range(all.results[0].usable_bytes, 1, all.results[0].total_bytes);
    }
    harness_free(harness);
}

static void many_partitions_take_several_turns(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "a", 1000, NULL);
    int64_t bytes = fill(harness, "a", 999, 100);
    struct describe_log_dirs_request request = { .topics_count = -1 };
    struct call *call = call_begin(harness, 0, WIRE_KEY_DESCRIBE_LOG_DIRS, 4, &request);
    for (int turn = 0; turn < 3; turn++) {
        assert_false(call->ended);
        harness_turn(harness);
    }
    struct describe_log_dirs_response response;
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.results[0].topics[0].partitions_count, 1000);
    assert_int_equal(size_of(&response, "a", 999), bytes);
    harness_free(harness);
}

/* Asked in every turn of a deletion. A shard that has no part of a topic forgets its name at once. */
static void topics_may_go_while_they_are_looked_at(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct odk_str names[] = { ODK_STR("a"), ODK_STR("b"), ODK_STR("c"), ODK_STR("d"), ODK_STR("e"), ODK_STR("f") };
    for (size_t i = 0; i < countof(names); i++)
        make_topic(harness, names[i].data, 1, NULL);
    struct delete_topics_request go = { .topic_names = names, .topic_names_count = countof(names) };
    struct delete_topics_response gone;
    struct describe_log_dirs_request request = { .topics_count = -1 };
    struct call *calls[32], *delete = call_begin(harness, 1, WIRE_KEY_DELETE_TOPICS, 3, &go);
    for (size_t i = 0; i < countof(calls); i++) {
        calls[i] = call_begin(harness, (uint32_t)i % 2, WIRE_KEY_DESCRIBE_LOG_DIRS, 4, &request);
        if (i % 2 == 1)
            harness_turn(harness);
    }
    assert_int_equal(call_end(delete, &gone), REQUEST_REPLY);
    assert_int_equal(gone.responses[0].error_code, KAFKA_NONE);
    int32_t seen = 0;
    for (size_t i = 0; i < countof(calls); i++) {
        struct describe_log_dirs_response response;
        assert_int_equal(call_end(calls[i], &response), REQUEST_REPLY);
        for (int32_t t = 0; t < response.results[0].topics_count; t++, seen++)
            assert_in_range(response.results[0].topics[t].name.data[0], 'a', 'f');
    }
    assert_in_range(seen, countof(names), countof(names) * countof(calls) - 1);
    harness_free(harness);
}

static void only_what_is_asked_and_there_is_told(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "a", 5, NULL);
    make_topic(harness, "b", 2, NULL);
    int32_t indexes[] = { 4, 1, 9, -1 };
    struct describe_log_dirs_request_topic topics[] = {
        { .topic = ODK_STR("a"), .partitions = indexes, .partitions_count = 4 },
        { .topic = ODK_STR("none"), .partitions = indexes, .partitions_count = 4 },
        { .topic = ODK_STR("b"), .partitions = &indexes[2], .partitions_count = 2 },
    };
    struct describe_log_dirs_response some = dirs_get(harness, 4, topics, 3);
    assert_int_equal(some.results[0].topics_count, 1);
    assert_int_equal(some.results[0].topics[0].partitions_count, 2);
    assert_int_equal(size_of(&some, "a", 4), 0);
    assert_int_equal(size_of(&some, "a", 1), 0);
    assert_int_equal(dirs_get(harness, 4, topics, 0).results[0].topics_count, 0);
    harness_free(harness);
}

/* -- DescribeProducers --------------------------------------------------------------------------------------------- */

static struct describe_producers_response_partition producers_get(struct harness *harness, const char *topic,
                                                                  int32_t partition)
{
    struct describe_producers_request_topic in = { .name = odk_str_from(topic),
                                                   .partition_indexes = &partition,
                                                   .partition_indexes_count = 1 };
    struct describe_producers_request request = { .topics = &in, .topics_count = 1 };
    struct describe_producers_response response;
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_DESCRIBE_PRODUCERS, 0, &request,
                                  &response),
                     REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].partition_index, partition);
    return response.topics[0].partitions[0];
}

static void producers_are_told(void **state)
{
    (void)state;
    enum { PRODUCERS = 40 };
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 3, NULL);
    for (int64_t id = 0; id < PRODUCERS; id++) {
        struct batch_options options = { .timestamp = 1000 + id,
                                         .count = 3,
                                         .producer_id = id,
                                         .producer_epoch = (int16_t)(id % 3),
                                         .idempotent = true };
        assert_int_equal(produce(harness, 9, "t", 1, make_batch(&options)).error_code, KAFKA_NONE);
    }
    for (int round = 0; round < 2; round++) {
        struct describe_producers_response_partition got = producers_get(harness, "t", 1);
        uint64_t seen = 0;
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.active_producers_count, PRODUCERS);
        for (int32_t i = 0; i < got.active_producers_count; i++) {
            const struct describe_producers_response_active_producer *one = &got.active_producers[i];
            seen |= UINT64_C(1) << one->producer_id;
            assert_int_equal(one->producer_epoch, one->producer_id % 3);
            assert_int_equal(one->last_sequence, 2);
            assert_int_equal(one->last_timestamp, 1000 + one->producer_id);
            assert_int_equal(one->coordinator_epoch, -1);
            assert_int_equal(one->current_txn_start_offset, -1);
        }
        assert_int_equal(seen, (UINT64_C(1) << PRODUCERS) - 1);
        assert_int_equal(producers_get(harness, "t", 0).active_producers_count, 0);
        harness_crash(harness);
    }
    assert_int_equal(producers_get(harness, "t", 3).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(producers_get(harness, "nope", 0).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(producers_get(harness, "a b", 0).error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_non_null(producers_get(harness, "a b", 0).error_message.data);
    harness_free(harness);
}

/* -- OffsetForLeaderEpoch ------------------------------------------------------------------------------------------ */

static struct offset_for_leader_epoch_response_partition epoch_get(struct harness *harness, int16_t version,
                                                                   const char *topic, int32_t current, int32_t epoch)
{
    struct offset_for_leader_epoch_request_partition wanted = { .current_leader_epoch = current,
                                                                .leader_epoch = epoch };
    struct offset_for_leader_epoch_request_topic in = { .topic = odk_str_from(topic),
                                                        .partitions = &wanted,
                                                        .partitions_count = 1 };
    struct offset_for_leader_epoch_request request;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_request_init(&request);
    request.topics = &in;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_OFFSET_FOR_LEADER_EPOCH, version,
                                  &request, &response),
                     REQUEST_REPLY);
    return response.topics[0].partitions[0];
}

static void expect_epoch(struct harness *harness, int32_t asked, int32_t epoch, int64_t end_offset)
{
    for (int16_t version = 0; version <= 4; version++) {
        struct offset_for_leader_epoch_response_partition got = epoch_get(harness, version, "t", -1, asked);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.end_offset, end_offset);
        if (version >= 1)
            assert_int_equal(got.leader_epoch, epoch);
    }
}

static void epochs_end_where_the_next_begins(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, NULL);
    int32_t first = harness->shards[0].broker->env.identity.leader_epoch;
    expect_epoch(harness, first, first, 0);
    for (int i = 0; i < 3; i++)
        (void)fill(harness, "t", 0, 10);
    expect_epoch(harness, first, first, 3);
    harness_crash(harness);
    expect_epoch(harness, first, first, 3);
    expect_epoch(harness, first + 1, first + 1, 3); /* no record yet, but it has begun */
    (void)fill(harness, "t", 0, 10);
    expect_epoch(harness, first, first, 3);
    expect_epoch(harness, first + 1, first + 1, 4);
    expect_epoch(harness, first + 2, -1, -1);
    expect_epoch(harness, -1, -1, -1);
    assert_int_equal(epoch_get(harness, 4, "t", first, first).error_code, KAFKA_FENCED_LEADER_EPOCH);
    assert_int_equal(epoch_get(harness, 4, "t", first + 2, first).error_code, KAFKA_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(epoch_get(harness, 4, "t", first + 1, first).end_offset, 3);
    assert_int_equal(epoch_get(harness, 4, "nope", -1, first).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(epoch_get(harness, 4, "nope", -1, first).end_offset, -1);
    harness_free(harness);
}

/* -- ListConfigResources ------------------------------------------------------------------------------------------- */

/* "type:name ..." in the order of the answer. */
static void expect_resources(struct harness *harness, int16_t version, const int8_t *types, int32_t count,
                             const char *expected)
{
    int8_t copy[8];
    struct list_config_resources_request request = { .resource_types = copy, .resource_types_count = count };
    struct list_config_resources_response response;
    char seen[300] = "";
    size_t used = 0;
    memcpy(copy, types, (size_t)count);
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_LIST_CONFIG_RESOURCES, version, &request,
                                  &response),
                     REQUEST_REPLY);
    if (response.error_code != KAFKA_NONE) {
        assert_null(expected);
        assert_int_equal(response.error_code, KAFKA_UNSUPPORTED_VERSION);
        return;
    }
    for (int32_t i = 0; i < response.config_resources_count; i++)
        used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%s%d:%.*s", i ? " " : "",
                                 response.config_resources[i].resource_type,
                                 ODK_STR_FMT(response.config_resources[i].resource_name));
    assert_string_equal(seen, expected);
}

static void resources_with_settings_are_listed(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "node.id=3\n");
    static const int8_t types[] = { 2, 4, 8, 16, 32 };
    static const int8_t odd[] = { 2, 7 };
    make_topic(harness, "t", 1, NULL);
    struct incremental_alter_configs_request_config config = { ODK_STR("share.isolation.level"), 0,
                                                               ODK_STR("read_committed") };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = 32, .resource_name = ODK_STR("g"), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
    expect_resources(harness, 0, types, 0, "");
    expect_resources(harness, 1, types, 0, "32:g 8:3 4:3 2:t");
    expect_resources(harness, 1, types, 5, "32:g 8:3 4:3 2:t");
    expect_resources(harness, 1, &types[4], 1, "32:g");
    expect_resources(harness, 1, &types[3], 1, "");
    expect_resources(harness, 1, odd, 2, NULL);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_partitions),
        cmocka_unit_test(many_partitions_take_several_turns),
        cmocka_unit_test(topics_may_go_while_they_are_looked_at),
        cmocka_unit_test(only_what_is_asked_and_there_is_told),
        cmocka_unit_test(producers_are_told),
        cmocka_unit_test(epochs_end_where_the_next_begins),
        cmocka_unit_test(resources_with_settings_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
