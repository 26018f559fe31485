/*
 * Goal: ListOffsets names the places and times that Kafka's does, with its errors, on every shard, also when the search
 * has to wait for the device.
 * Method: brokers over an engine in memory (fake_log.h) whose searches can be held.
 */
#include "harness.h"

#include <string.h>

#include "fake_log.h"

#define VERSION 11
#define EPOCH   5 /* the fake engine's */
#define T0      INT64_C(1700000000000)

struct asking {
    struct list_offsets_request request;
    struct list_offsets_request_topic topics[2];
    struct list_offsets_request_partition partitions[32];
    int32_t used;
};

static void ask_init(struct asking *ask)
{
    memset(ask, 0, sizeof(*ask));
    list_offsets_request_init(&ask->request);
    ask->request.replica_id = -1;
    ask->request.topics = ask->topics;
}

static void ask_topic(struct asking *ask, const char *name)
{
    struct list_offsets_request_topic *topic = &ask->topics[ask->request.topics_count++];
    topic->name = odk_str_from(name);
    topic->partitions = &ask->partitions[ask->used];
}

static struct list_offsets_request_partition *ask_partition(struct asking *ask, int32_t index, int64_t timestamp)
{
    struct list_offsets_request_partition *partition = &ask->partitions[ask->used++];
    list_offsets_request_partition_init(partition);
    partition->partition_index = index;
    partition->timestamp = timestamp;
    ask->topics[ask->request.topics_count - 1].partitions_count++;
    return partition;
}

static struct list_offsets_response_partition list_one(struct harness *harness, int16_t version, const char *topic,
                                                       int32_t index, int64_t timestamp)
{
    struct asking ask;
    struct list_offsets_response response;
    ask_init(&ask);
    ask_topic(&ask, topic);
    ask_partition(&ask, index, timestamp);
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_OFFSETS, version, &ask.request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    return response.topics[0].partitions[0];
}

static void expect(struct list_offsets_response_partition got, int16_t error, int64_t offset, int64_t timestamp,
                   int32_t epoch)
{
    assert_int_equal(got.error_code, error);
    assert_int_equal(got.offset, offset);
    assert_int_equal(got.timestamp, timestamp);
    assert_int_equal(got.leader_epoch, epoch);
}

/* Ten records in five batches, 10 ms apart; the youngest is the fourth. */
static void fill(struct harness *harness, int32_t index)
{
    static const int64_t after_ms[] = { 0, 10, 20, 50, 40 };
    for (size_t i = 0; i < countof(after_ms); i++) {
        struct odk_bytes batch =
            make_batch(&(struct batch_options){ .timestamp = T0 - 1000 + after_ms[i], .count = 2 });
        assert_int_equal(produce(harness, 9, "t", index, batch).error_code, KAFKA_NONE);
    }
}

static int setup(void **state)
{
    *state = harness_new(2, NULL);
    make_topic(*state, "t", 8, NULL);
    for (int32_t i = 0; i < 4; i++)
        fill(*state, i);
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void places_are_named(void **state)
{
    struct harness *harness = *state;
    for (int32_t i = 0; i < 4; i++) {
        uint32_t shard = harness_topic(harness, 0, "t")->partitions[i]->shard;
        fake_set_start(harness_topic(harness, shard, "t")->partitions[i]->log, 2);
        expect(list_one(harness, VERSION, "t", i, -1), KAFKA_NONE, 10, -1, EPOCH);
        expect(list_one(harness, VERSION, "t", i, -2), KAFKA_NONE, 2, -1, EPOCH);
        expect(list_one(harness, VERSION, "t", i, -3), KAFKA_NONE, 6, T0 - 950, EPOCH);
        expect(list_one(harness, VERSION, "t", i, -4), KAFKA_NONE, 2, -1, EPOCH);
        expect(list_one(harness, VERSION, "t", i, -5), KAFKA_NONE, -1, -1, -1);
        expect(list_one(harness, VERSION, "t", i, -6), KAFKA_NONE, -1, -1, -1);
    }
    expect(list_one(harness, VERSION, "t", 5, -1), KAFKA_NONE, 0, -1, EPOCH); /* empty */
    expect(list_one(harness, VERSION, "t", 5, -2), KAFKA_NONE, 0, -1, -1);
    expect(list_one(harness, VERSION, "t", 5, -3), KAFKA_NONE, -1, -1, -1);
    expect(list_one(harness, 1, "t", 0, -1), KAFKA_NONE, 10, -1, -1); /* no epochs in version 1 */
}

static void times_are_found(void **state)
{
    struct harness *harness = *state;
    for (int16_t version = 1; version <= VERSION; version++) {
        int32_t epoch = version >= 4 ? EPOCH : -1;
        expect(list_one(harness, version, "t", 1, 0), KAFKA_NONE, 0, T0 - 1000, epoch);
        expect(list_one(harness, version, "t", 1, T0 - 999), KAFKA_NONE, 2, T0 - 990, epoch);
        expect(list_one(harness, version, "t", 1, T0), KAFKA_NONE, -1, -1, -1);
    }
}

static void expect_list(struct list_offsets_response_partition got, int16_t error, int32_t count, int64_t offset)
{
    assert_int_equal(got.error_code, error);
    assert_int_equal(got.old_style_offsets_count, count);
    if (count >= 1)
        assert_int_equal(got.old_style_offsets[0], offset);
    if (count >= 2)
        assert_int_equal(got.old_style_offsets[1], 0); /* the start of the log */
}

static void version_0_answers_with_a_list(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct list_offsets_response response;
    expect_list(list_one(harness, 0, "t", 1, -1), KAFKA_NONE, 1, 10);
    expect_list(list_one(harness, 0, "t", 1, -2), KAFKA_NONE, 1, 0);
    expect_list(list_one(harness, 0, "t", 1, T0 - 999), KAFKA_NONE, 1, 2);
    expect_list(list_one(harness, 0, "t", 1, T0), KAFKA_NONE, 1, 10);
    expect_list(list_one(harness, 0, "t", 5, T0), KAFKA_NONE, 1, 0);
    expect_list(list_one(harness, 0, "t", 1, -3), KAFKA_UNSUPPORTED_VERSION, 0, 0);
    expect_list(list_one(harness, 0, "t", 8, -1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION, 0, 0);
    ask_init(&ask);
    ask_topic(&ask, "t");
    ask_partition(&ask, 0, -1)->max_num_offsets = 0;
    ask_partition(&ask, 1, -1)->max_num_offsets = INT32_MAX;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_LIST_OFFSETS, 0, &ask.request, &response), REQUEST_REPLY);
    expect_list(response.topics[0].partitions[0], KAFKA_NONE, 0, 0);
    expect_list(response.topics[0].partitions[1], KAFKA_NONE, 2, 10);
}

static void places_need_their_version(void **state)
{
    struct harness *harness = *state;
    static const struct {
        int64_t timestamp;
        int16_t first;
    } places[] = { { -3, 7 }, { -4, 8 }, { -5, 9 }, { -6, 11 } };
    for (size_t i = 0; i < countof(places); i++) {
        int16_t before = (int16_t)(places[i].first - 1);
        expect(list_one(harness, before, "t", 0, places[i].timestamp), KAFKA_UNSUPPORTED_VERSION, -1, -1, -1);
        assert_int_equal(list_one(harness, places[i].first, "t", 0, places[i].timestamp).error_code, KAFKA_NONE);
    }
    expect(list_one(harness, VERSION, "t", 0, -7), KAFKA_UNSUPPORTED_VERSION, -1, -1, -1);
}

static void mistakes_have_kafkas_codes(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct list_offsets_response response;
    expect(list_one(harness, VERSION, "nope", 0, -1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1);
    expect(list_one(harness, VERSION, "t", 8, -1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1);
    ask_init(&ask);
    ask_topic(&ask, "t");
    ask_partition(&ask, 0, -1)->current_leader_epoch = EPOCH - 1;
    ask_partition(&ask, 1, -1)->current_leader_epoch = EPOCH + 1;
    ask_partition(&ask, 2, -1)->current_leader_epoch = EPOCH;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_LIST_OFFSETS, VERSION, &ask.request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_FENCED_LEADER_EPOCH);
    assert_int_equal(response.topics[0].partitions[1].error_code, KAFKA_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(response.topics[0].partitions[2].error_code, KAFKA_NONE);
}

static void duplicates_are_refused(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct list_offsets_response response;
    ask_init(&ask);
    ask_topic(&ask, "t");
    ask_partition(&ask, 0, -1);
    ask_partition(&ask, 1, -1);
    ask_topic(&ask, "t");
    ask_partition(&ask, 0, -2);
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_OFFSETS, VERSION, &ask.request, &response), REQUEST_REPLY);
    expect(response.topics[0].partitions[0], KAFKA_INVALID_REQUEST, -1, -1, -1);
    expect(response.topics[0].partitions[1], KAFKA_NONE, 10, -1, EPOCH);
    expect(response.topics[1].partitions[0], KAFKA_INVALID_REQUEST, -1, -1, -1);
}

static void searches_may_wait(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct list_offsets_response response;
    ask_init(&ask);
    ask_topic(&ask, "t");
    for (int32_t i = 0; i < 8; i++)
        ask_partition(&ask, i, i % 2 ? T0 - 999 : -1);
    fake_hold(harness->shards[0].store);
    fake_hold(harness->shards[1].store);
    struct call *call = call_begin(harness, 0, WIRE_KEY_LIST_OFFSETS, VERSION, &ask.request);
    for (uint32_t s = 0; s < 2; s++) {
        for (int turn = 0; turn < 5; turn++)
            harness_turn(harness);
        assert_false(call->ended);
        fake_go(harness->shards[s].store);
    }
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[1].offset, 2);
    assert_int_equal(response.topics[0].partitions[2].offset, 10);
    assert_int_equal(response.topics[0].partitions[3].offset, 2);
    assert_int_equal(response.topics[0].partitions[7].offset, -1);
}

#define CASE(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(places_are_named),
        CASE(times_are_found),
        CASE(version_0_answers_with_a_list),
        CASE(places_need_their_version),
        CASE(mistakes_have_kafkas_codes),
        CASE(duplicates_are_refused),
        CASE(searches_may_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
