/*
 * Goal: DeleteRecords moves starts up, for good once it has answered; mistakes have Kafka's errors.
 * Method: whole brokers over the real store; starts as ListOffsets and Fetch show them.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

static struct delete_records_response_partition delete_as(struct harness *harness, int16_t version, const char *topic,
                                                          int32_t partition, int64_t offset)
{
    struct delete_records_request_partition wanted = { .partition_index = partition, .offset = offset };
    struct delete_records_request_topic in = { .name = odk_str_from(topic),
                                               .partitions = &wanted,
                                               .partitions_count = 1 };
    struct delete_records_request request = { .topics = &in, .topics_count = 1, .timeout_ms = 1000 };
    struct delete_records_response response;
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_DELETE_RECORDS, version, &request,
                                  &response),
                     REQUEST_REPLY);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    assert_int_equal(response.topics[0].partitions[0].partition_index, partition);
    return response.topics[0].partitions[0];
}

static void fill(struct harness *harness, const char *topic, int32_t partition, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(
            produce(harness, 9, topic, partition, make_batch(&(struct batch_options){ .timestamp = 5 })).error_code,
            KAFKA_NONE);
}

static int64_t start_of(struct harness *harness, const char *topic, int32_t partition)
{
    struct list_offsets_request_partition wanted;
    struct list_offsets_request_topic in = { .name = odk_str_from(topic),
                                             .partitions = &wanted,
                                             .partitions_count = 1 };
    struct list_offsets_request request;
    struct list_offsets_response response;
    list_offsets_request_partition_init(&wanted);
    wanted.partition_index = partition;
    wanted.timestamp = -2;
    list_offsets_request_init(&request);
    request.topics = &in;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_OFFSETS, 5, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_NONE);
    return response.topics[0].partitions[0].offset;
}

static int16_t fetch_at(struct harness *harness, const char *topic, int32_t partition, int64_t offset)
{
    struct fetch_request_partition wanted;
    struct fetch_request_topic in = { .topic = odk_str_from(topic), .partitions = &wanted, .partitions_count = 1 };
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_partition_init(&wanted);
    wanted.partition = partition;
    wanted.fetch_offset = offset;
    wanted.partition_max_bytes = 1 << 20;
    fetch_request_init(&request);
    request.replica_id = -1;
    request.max_bytes = 1 << 20;
    request.session_epoch = -1;
    request.topics = &in;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FETCH, 11, &request, &response), REQUEST_REPLY);
    return response.responses[0].partitions[0].error_code;
}

static void starts_move_up_for_good(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 4, NULL);
    for (int32_t i = 0; i < 4; i++)
        fill(harness, "t", i, 10);
    for (int32_t i = 0; i < 4; i++) {
        struct delete_records_response_partition got = delete_as(harness, (int16_t)(i % 3), "t", i, 3 + i);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.low_watermark, 3 + i);
        assert_int_equal(fetch_at(harness, "t", i, 2 + i), KAFKA_OFFSET_OUT_OF_RANGE);
        assert_int_equal(fetch_at(harness, "t", i, 3 + i), KAFKA_NONE);
    }
    harness_crash(harness);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(start_of(harness, "t", i), 3 + i);
    assert_int_equal(delete_as(harness, 2, "t", 0, 1).low_watermark, 3); /* nothing moves back */
    assert_int_equal(delete_as(harness, 2, "t", 0, -1).low_watermark, 10);
    assert_int_equal(delete_as(harness, 2, "t", 0, 10).low_watermark, 10);
    harness_restart(harness);
    assert_int_equal(start_of(harness, "t", 0), 10);
    fill(harness, "t", 0, 1);
    assert_int_equal(fetch_at(harness, "t", 0, 10), KAFKA_NONE);
    harness_reshard(harness, 1);
    for (int32_t i = 1; i < 4; i++)
        assert_int_equal(start_of(harness, "t", i), 3 + i);
    harness_free(harness);
}

static void an_empty_partition_has_nothing_to_delete(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(delete_as(harness, 2, "t", 0, -1).low_watermark, 0);
    assert_int_equal(delete_as(harness, 2, "t", 0, 0).low_watermark, 0);
    assert_int_equal(delete_as(harness, 2, "t", 0, 1).error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    harness_free(harness);
}

static void mistakes_have_kafkas_errors(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        int32_t partition;
        int64_t offset;
        int16_t error;
    } rows[] = {
        { "nope", 0, 1, KAFKA_UNKNOWN_TOPIC_OR_PARTITION },    { "t", 2, 1, KAFKA_UNKNOWN_TOPIC_OR_PARTITION },
        { "t", -1, 1, KAFKA_UNKNOWN_TOPIC_OR_PARTITION },      { "t", 0, 6, KAFKA_OFFSET_OUT_OF_RANGE },
        { "t", 0, -2, KAFKA_OFFSET_OUT_OF_RANGE },             { "t", 0, INT64_MAX, KAFKA_OFFSET_OUT_OF_RANGE },
        { "compacted", 0, 1, KAFKA_POLICY_VIOLATION },         { "both", 0, 1, KAFKA_NONE },
        { "__consumer_offsets", 0, 0, KAFKA_INVALID_TOPIC_EXCEPTION },
    };
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 2, NULL);
    make_group_topic(harness);
    make_topic(harness, "compacted", 1, "cleanup.policy=compact");
    make_topic(harness, "both", 1, "cleanup.policy=compact,delete");
    fill(harness, "t", 0, 5);
    fill(harness, "both", 0, 5);
    fill(harness, "compacted", 0, 5);
    for (size_t i = 0; i < countof(rows); i++) {
        struct delete_records_response_partition got =
            delete_as(harness, 2, rows[i].topic, rows[i].partition, rows[i].offset);
        if (got.error_code != rows[i].error)
            print_error("%s %d: %d\n", rows[i].topic, rows[i].partition, got.error_code);
        assert_int_equal(got.error_code, rows[i].error);
        assert_int_equal(got.low_watermark, rows[i].error == KAFKA_NONE ? rows[i].offset : -1);
    }
    assert_int_equal(start_of(harness, "t", 0), 0);
    harness_free(harness);
}

static void one_request_has_many_partitions(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct delete_records_request_partition wanted[12];
    make_topic(harness, "a", 12, NULL);
    make_topic(harness, "b", 12, NULL);
    for (int32_t i = 0; i < 12; i++) {
        fill(harness, "a", i, i);
        fill(harness, "b", i, 2);
        wanted[i] = (struct delete_records_request_partition){ .partition_index = i, .offset = -1 };
    }
    struct delete_records_request_topic topics[] = {
        { .name = ODK_STR("a"), .partitions = wanted, .partitions_count = 12 },
        { .name = ODK_STR("b"), .partitions = wanted, .partitions_count = 12 },
        { .name = ODK_STR("none"), .partitions = wanted, .partitions_count = 2 },
    };
    struct delete_records_request request = { .topics = topics, .topics_count = 3 };
    struct delete_records_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_DELETE_RECORDS, 2, &request, &response), REQUEST_REPLY);
    for (int32_t i = 0; i < 12; i++) {
        assert_int_equal(response.topics[0].partitions[i].low_watermark, i);
        assert_int_equal(response.topics[1].partitions[i].low_watermark, 2);
    }
    assert_int_equal(response.topics[2].partitions[1].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    harness_crash(harness);
    for (int32_t i = 0; i < 12; i++)
        assert_int_equal(start_of(harness, "a", i), i);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_move_up_for_good),
        cmocka_unit_test(an_empty_partition_has_nothing_to_delete),
        cmocka_unit_test(mistakes_have_kafkas_errors),
        cmocka_unit_test(one_request_has_many_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
