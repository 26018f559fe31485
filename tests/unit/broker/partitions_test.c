/*
 * Goal: CreatePartitions makes topics grow on all shards, at once and for good; what waits on older partitions goes on
 * waiting; mistakes have Kafka's errors and messages.
 * Method: whole brokers over the real store; answers as a client decodes them.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct answer {
    int16_t error;
    char message[300];
};

struct wish {
    const char *name;
    int32_t count;
    int32_t assignments; /* -1: null */
    int32_t node;
    bool validate_only;
};

static struct answer grow_as(struct harness *harness, int16_t version, const struct wish *wish)
{
    struct create_partitions_request_assignment assignments[8];
    int32_t node = wish->node;
    for (size_t i = 0; i < countof(assignments); i++)
        assignments[i] =
            (struct create_partitions_request_assignment){ .broker_ids = &node, .broker_ids_count = node >= 0 };
    struct create_partitions_request_topic topic = { .name = odk_str_from(wish->name),
                                                     .count = wish->count,
                                                     .assignments = assignments,
                                                     .assignments_count = wish->assignments };
    struct create_partitions_request request = {
        .topics = &topic, .topics_count = 1, .timeout_ms = 1000, .validate_only = wish->validate_only
    };
    struct create_partitions_response response;
    struct answer answer = { 0 };
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_CREATE_PARTITIONS, version, &request,
                                  &response),
                     REQUEST_REPLY);
    assert_int_equal(response.results_count, 1);
    assert_true(odk_str_eq(response.results[0].name, odk_str_from(wish->name)));
    answer.error = response.results[0].error_code;
    assert_int_equal(response.results[0].error_message.data != NULL, answer.error != KAFKA_NONE);
    (void)snprintf(answer.message, sizeof(answer.message), "%.*s", ODK_STR_FMT(response.results[0].error_message));
    return answer;
}

static void grow(struct harness *harness, const char *name, int32_t count)
{
    assert_int_equal(grow_as(harness, 3, &(struct wish){ .name = name, .count = count, .assignments = -1 }).error,
                     KAFKA_NONE);
}

static int64_t produce_to(struct harness *harness, const char *name, int32_t partition)
{
    struct produce_response_partition got =
        produce(harness, 9, name, partition, make_batch(&(struct batch_options){ .timestamp = 5, .count = 2 }));
    assert_int_equal(got.error_code, KAFKA_NONE);
    return got.base_offset;
}

static void expect_partitions(struct harness *harness, const char *name, int32_t count, uint32_t in_all)
{
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        assert_int_equal(harness_topic(harness, shard, name)->partition_count, count);
        assert_int_equal(harness->shards[shard].broker->topics.partition_count, in_all);
        assert_null(topic_partition(harness_topic(harness, shard, name), count));
    }
}

static void topics_grow_on_all_shards_and_stay_grown(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 2, "retention.ms=7");
    make_topic(harness, "other", 1, NULL);
    assert_int_equal(produce_to(harness, "t", 1), 0);
    for (int16_t version = 0; version <= 3; version++) {
        struct wish wish = { .name = "t", .count = 3 + version, .assignments = -1 };
        assert_int_equal(grow_as(harness, version, &wish).error, KAFKA_NONE);
        expect_partitions(harness, "t", wish.count, (uint32_t)wish.count + 1);
    }
    assert_int_equal(produce_to(harness, "t", 1), 2);
    assert_int_equal(produce_to(harness, "t", 5), 0);
    harness_crash(harness);
    expect_partitions(harness, "t", 6, 7);
    assert_int_equal(produce_to(harness, "t", 5), 2);
    grow(harness, "t", 40);
    harness_restart(harness);
    expect_partitions(harness, "t", 40, 41);
    harness_reshard(harness, 1);
    expect_partitions(harness, "t", 40, 41);
    assert_int_equal(produce_to(harness, "t", 1), 4);
    assert_int_equal(produce_to(harness, "t", 5), 4);
    assert_int_equal(produce_to(harness, "t", 39), 0);
    assert_int_equal(harness_topic(harness, 0, "t")->config.retention_ms, 7);
    harness_free(harness);
}

static void grown_topics_are_deleted_whole(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    for (int round = 0; round < 3; round++) {
        make_topic(harness, "t", 1, NULL);
        grow(harness, "t", 9);
        for (int32_t i = 0; i < 9; i++)
            assert_int_equal(produce_to(harness, "t", i), 0);
        struct odk_str name = ODK_STR("t");
        struct delete_topics_request request = { .topic_names = &name, .topic_names_count = 1 };
        struct delete_topics_response response;
        assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_TOPICS, 3, &request, &response), REQUEST_REPLY);
        assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
        if (round == 1)
            harness_crash(harness);
        assert_null(harness_topic(harness, 1, "t"));
    }
    harness_free(harness);
}

/* A fetch parked on partition 0 of t; the answer comes when there is a record. */
static struct call *fetch_begin(struct harness *harness)
{
    static struct fetch_request_partition partition;
    static struct fetch_request_topic topic;
    static struct fetch_request request;
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = 1 << 20;
    topic = (struct fetch_request_topic){ .topic = ODK_STR("t"), .partitions = &partition, .partitions_count = 1 };
    fetch_request_init(&request);
    request.replica_id = -1;
    request.max_wait_ms = 60000;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    return call_begin(harness, 1, WIRE_KEY_FETCH, 11, &request);
}

static void who_waits_goes_on_waiting(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, NULL);
    struct call *call = fetch_begin(harness);
    for (int i = 0; i < 5; i++)
        harness_turn(harness);
    for (int32_t count = 2; count < 200; count += 20)
        grow(harness, "t", count);
    assert_false(call->ended);
    assert_int_equal(produce_to(harness, "t", 0), 0);
    struct fetch_response response;
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].partitions[0].high_watermark, 2);
    harness_free(harness);
}

static void mistakes_have_kafkas_errors(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        int16_t error;
        const char *message; /* NULL: any */
    } rows[] = {
        { { "nope", 4, -1 }, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, NULL },
        { { "t", 3, -1 }, KAFKA_INVALID_PARTITIONS, "Topic already has 3 partition(s)." },
        { { "t", 2, -1 },
          KAFKA_INVALID_PARTITIONS,
          "The topic t currently has 3 partition(s); 2 would not be an increase." },
        { { "t", -1, -1 }, KAFKA_INVALID_PARTITIONS, NULL },
        { { "t", INT32_MIN, -1 }, KAFKA_INVALID_PARTITIONS, NULL },
        { { "t", INT32_MAX, 2, 1 }, KAFKA_INVALID_REPLICA_ASSIGNMENT, NULL },
        { { "t", 100001, -1 }, KAFKA_INVALID_PARTITIONS, NULL },
        { { "t", 50, -1 }, KAFKA_INVALID_PARTITIONS, NULL },
        { { "t", 5, 1, 1 },
          KAFKA_INVALID_REPLICA_ASSIGNMENT,
          "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified." },
        { { "t", 5, 0, 1 }, KAFKA_INVALID_REPLICA_ASSIGNMENT, NULL },
        { { "t", 5, 2, 2 }, KAFKA_INVALID_REPLICA_ASSIGNMENT, NULL },
        { { "t", 5, 2, -1 },
          KAFKA_INVALID_REPLICA_ASSIGNMENT,
          "The manual partition assignment includes an empty replica list." },
        { { "t", 5, 2, 1, true }, KAFKA_NONE, NULL },
        { { "t", 5, -1, 0, true }, KAFKA_NONE, NULL },
        { { "t", 2, -1, 0, true }, KAFKA_INVALID_PARTITIONS, NULL },
    };
    struct harness *harness = harness_new(2, "max.partitions=20\n");
    make_topic(harness, "t", 3, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        struct answer answer = grow_as(harness, 3, &rows[i].wish);
        if (answer.error != rows[i].error)
            print_error("%s %d: %d %s\n", rows[i].wish.name, rows[i].wish.count, answer.error, answer.message);
        assert_int_equal(answer.error, rows[i].error);
        if (rows[i].message)
            assert_string_equal(answer.message, rows[i].message);
        expect_partitions(harness, "t", 3, 3);
    }
    assert_int_equal(grow_as(harness, 3, &(struct wish){ "t", 5, 2, 1 }).error, KAFKA_NONE);
    expect_partitions(harness, "t", 5, 5);
    harness_free(harness);
}

static void the_topic_of_the_groups_does_not_grow(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "offsets.topic.num.partitions=3\n");
    make_group_topic(harness);
    assert_int_equal(grow_as(harness, 3, &(struct wish){ "__consumer_offsets", 5, -1 }).error,
                     KAFKA_INVALID_TOPIC_EXCEPTION);
    expect_partitions(harness, "__consumer_offsets", 3, 3);
    harness_free(harness);
}

static void one_request_may_contradict_itself(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "max.partitions=20\n");
    make_topic(harness, "a", 1, NULL);
    make_topic(harness, "b", 1, NULL);
    make_topic(harness, "c", 1, NULL);
    struct create_partitions_request_topic topics[] = {
        { .name = ODK_STR("a"), .count = 2, .assignments_count = -1 },
        { .name = ODK_STR("b"), .count = 15, .assignments_count = -1 },
        { .name = ODK_STR("a"), .count = 3, .assignments_count = -1 },
        { .name = ODK_STR("c"), .count = 5, .assignments_count = -1 },
        { .name = ODK_STR("c2"), .count = 5, .assignments_count = -1 },
    };
    static const int16_t errors[] = { KAFKA_INVALID_REQUEST, KAFKA_NONE, KAFKA_INVALID_REQUEST,
                                      KAFKA_INVALID_PARTITIONS, KAFKA_UNKNOWN_TOPIC_OR_PARTITION };
    struct create_partitions_request request = { .topics = topics, .topics_count = countof(topics) };
    struct create_partitions_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_CREATE_PARTITIONS, 3, &request, &response), REQUEST_REPLY);
    for (size_t i = 0; i < countof(topics); i++)
        assert_int_equal(response.results[i].error_code, errors[i]);
    expect_partitions(harness, "b", 15, 17);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_grow_on_all_shards_and_stay_grown),
        cmocka_unit_test(grown_topics_are_deleted_whole),
        cmocka_unit_test(who_waits_goes_on_waiting),
        cmocka_unit_test(mistakes_have_kafkas_errors),
        cmocka_unit_test(the_topic_of_the_groups_does_not_grow),
        cmocka_unit_test(one_request_may_contradict_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
