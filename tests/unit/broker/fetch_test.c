/*
 * Goal: a fetch answers what Kafka's answers, waits without polling, ends exactly once, and leaves no pin and no watch
 * behind, whichever shards its partitions live on.
 * Method: brokers over an engine in memory (fake_log.h) whose reads can be held; every test ends with a count of what
 * is still pinned or watched.
 */
#include "harness.h"

#include <odradek/messages.h>
#include <stdlib.h>
#include <string.h>

#include "fake_log.h"

#define VERSION_NAMES 12
#define VERSION_IDS   18
#define EPOCH         5 /* the fake engine's */
#define SOON_MS       15
#define LONG_MS       60000
#define SHARDS        2u

/* -- building requests ----------------------------------------------------------------------------------------------
 */

struct asking {
    struct fetch_request request;
    struct fetch_request_topic topics[4];
    struct fetch_request_partition partitions[256];
    struct fetch_request_forgotten_topic forgotten;
    int32_t forgotten_partition;
    int32_t used;
};

static void ask_init(struct asking *ask, int32_t max_wait_ms, int32_t min_bytes)
{
    memset(ask, 0, sizeof(*ask));
    fetch_request_init(&ask->request);
    ask->request.max_wait_ms = max_wait_ms;
    ask->request.min_bytes = min_bytes;
    ask->request.topics = ask->topics;
}

static void ask_topic(struct harness *harness, struct asking *ask, const char *name)
{
    struct topic *topic = harness_topic(harness, 0, name);
    struct fetch_request_topic *asked = &ask->topics[ask->request.topics_count++];
    asked->topic = odk_str_from(name);
    asked->partitions = &ask->partitions[ask->used];
    if (topic)
        asked->topic_id = topic->id;
}

static struct fetch_request_partition *ask_partition(struct asking *ask, int32_t index, int64_t offset)
{
    struct fetch_request_partition *partition = &ask->partitions[ask->used++];
    fetch_request_partition_init(partition);
    partition->partition = index;
    partition->fetch_offset = offset;
    partition->partition_max_bytes = 1 << 20;
    ask->topics[ask->request.topics_count - 1].partitions_count++;
    return partition;
}

static struct fetch_response ask_now(struct harness *harness, uint32_t shard, int16_t version, const struct asking *ask)
{
    struct fetch_response response;
    assert_int_equal(harness_call(harness, shard, WIRE_KEY_FETCH, version, &ask->request, &response), REQUEST_REPLY);
    return response;
}

/* One partition, at once. */
static struct fetch_response_partition fetch_one(struct harness *harness, int16_t version, const char *topic,
                                                 int32_t index, int64_t offset)
{
    struct asking ask;
    ask_init(&ask, 0, 1);
    ask_topic(harness, &ask, topic);
    ask_partition(&ask, index, offset);
    struct fetch_response response = ask_now(harness, 0, version, &ask);
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, 1);
    return response.responses[0].partitions[0];
}

static struct odk_bytes batch_of(size_t value_bytes)
{
    return make_batch(&(struct batch_options){ .timestamp = 1700000000000, .value_bytes = value_bytes });
}

static void put(struct harness *harness, const char *topic, int32_t index, size_t value_bytes)
{
    assert_int_equal(produce(harness, 9, topic, index, batch_of(value_bytes)).error_code, KAFKA_NONE);
}

/* A partition of the topic that lives on that shard. */
static int32_t index_on(struct harness *harness, const char *name, uint32_t shard)
{
    struct topic *topic = harness_topic(harness, 0, name);
    for (int32_t i = 0; i < topic->partition_count; i++)
        if (topic->partitions[i]->shard == shard)
            return i;
    fail_msg("no partition of %s on shard %u", name, shard);
    return -1;
}

static int64_t end_of(struct harness *harness, const char *name, int32_t index)
{
    uint32_t shard = harness_topic(harness, 0, name)->partitions[index]->shard;
    return odk_log_end_offset(harness_topic(harness, shard, name)->partitions[index]->log);
}

static void nothing_left(struct harness *harness)
{
    for (int turn = 0; turn < 4; turn++)
        harness_turn(harness);
    for (uint32_t s = 0; s < harness->shard_count; s++) {
        assert_int_equal(fake_pins(harness->shards[s].store), 0);
        assert_int_equal(harness->shards[s].timers.count, 2);
        assert_true(timer_armed(&harness->shards[s].broker->retention.timer)); /* the two that always are */
        assert_true(timer_armed(&harness->shards[s].broker->compaction.timer));
        struct topic *topic, *next;
        HASH_ITER(by_name, harness->shards[s].broker->topics.by_name, topic, next)
        for (int32_t i = 0; i < topic->partition_count; i++)
            if (topic->partitions[i]->shard == s)
                assert_true(list_empty(&topic->partitions[i]->waiters));
    }
    harness_forget(harness);
}

static int two_shards(void **state)
{
    *state = harness_new(SHARDS, NULL);
    make_topic(*state, "t", 16, NULL);
    return 0;
}

static int one_shard(void **state)
{
    *state = harness_new(1, NULL);
    make_topic(*state, "t", 16, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct harness *harness = *state;
    nothing_left(harness);
    harness_free(harness);
    return 0;
}

/* -- answers --------------------------------------------------------------------------------------------------------
 */

static void what_was_produced_comes_back(void **state)
{
    struct harness *harness = *state;
    struct odk_bytes want = batch_of(100);
    size_t len = want.len;
    put(harness, "t", 3, 100);
    put(harness, "t", 3, 100);
    for (int16_t version = 4; version <= VERSION_IDS; version++) {
        struct fetch_response_partition got = fetch_one(harness, version, "t", 3, 0);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.high_watermark, 2);
        assert_int_equal(got.last_stable_offset, 2);
        assert_int_equal(got.log_start_offset, version >= 5 ? 0 : -1);
        assert_int_equal(got.preferred_read_replica, -1);
        assert_int_equal(got.aborted_transactions_count, -1);
        struct odk_bytes view = wire_records_view(&got.records);
        assert_int_equal(view.len, 2 * len);
        assert_memory_equal(view.data + 21, want.data + 21, len - 21);
        assert_int_equal(view.data[7], 0);
        assert_int_equal(view.data[len + 7], 1);
    }
    struct fetch_response_partition got = fetch_one(harness, VERSION_IDS, "t", 3, 1);
    assert_int_equal(wire_records_view(&got.records).len, len);
    got = fetch_one(harness, VERSION_IDS, "t", 3, 2);
    assert_int_equal(got.error_code, KAFKA_NONE);
    assert_false(got.records.null);
    assert_int_equal(got.records.len, 0);
    free((void *)(uintptr_t)want.data);
}

/* The offsets in the answer, in the format of the version. */
static void assert_messages(struct fetch_response_partition got, int16_t version, int64_t from, int64_t to)
{
    struct odk_bytes set = wire_records_view(&got.records);
    struct odk_message_iter it;
    struct odk_message message;
    assert_int_equal(got.error_code, KAFKA_NONE);
    odk_message_iter_init(&it, set, 0);
    for (int64_t offset = from; offset < to; offset++) {
        assert_true(odk_message_next(&it, &message));
        assert_int_equal(message.offset, offset);
        assert_int_equal(message.format, version >= 2);
    }
    assert_false(odk_message_next(&it, &message));
    assert_int_equal(odk_message_iter_end(&it), ODK_OK);
}

static void old_versions_get_messages(void **state)
{
    struct harness *harness = *state;
    for (int32_t index = 0; index < 4; index++)
        for (int i = 0; i < 3; i++)
            assert_int_equal(produce(harness, 9, "t", index,
                                     make_batch(&(struct batch_options){ .timestamp = 1700000000000, .count = 2 }))
                                 .error_code,
                             KAFKA_NONE);
    for (int16_t version = 0; version < 4; version++) {
        for (int32_t index = 0; index < 4; index++) {
            assert_messages(fetch_one(harness, version, "t", index, 0), version, 0, 6);
            assert_messages(fetch_one(harness, version, "t", index, 3), version, 3, 6);
            struct fetch_response_partition end = fetch_one(harness, version, "t", index, 6);
            assert_int_equal(end.records.len, 0);
            assert_int_equal(end.high_watermark, 6);
        }
        assert_int_equal(fetch_one(harness, version, "t", 0, 7).error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    }
}

static void zstd_topics_want_a_version_that_knows_it(void **state)
{
    struct harness *harness = *state;
    make_topic(harness, "z", 1, "compression.type=zstd");
    put(harness, "z", 0, 10);
    assert_messages(fetch_one(harness, 3, "z", 0, 0), 3, 0, 1); /* these get everything uncompressed */
    for (int16_t version = 4; version < 10; version++)
        assert_int_equal(fetch_one(harness, version, "z", 0, 0).error_code, KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(fetch_one(harness, 10, "z", 0, 0).error_code, KAFKA_NONE);
}

static void committed_readers_get_an_empty_list_of_aborts(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    ask_init(&ask, 0, 1);
    ask.request.isolation_level = 1;
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 0, 0);
    struct fetch_response response = ask_now(harness, 0, VERSION_NAMES, &ask);
    assert_int_equal(response.responses[0].partitions[0].aborted_transactions_count, 0);
}

static void mistakes_have_kafkas_codes(void **state)
{
    struct harness *harness = *state;
    put(harness, "t", 0, 10);
    struct fetch_response_partition got = fetch_one(harness, VERSION_NAMES, "t", 0, 2);
    assert_int_equal(got.error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(got.high_watermark, -1);
    assert_int_equal(got.log_start_offset, -1);
    assert_int_equal(fetch_one(harness, VERSION_NAMES, "t", 0, -1).error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(fetch_one(harness, VERSION_NAMES, "t", 99, 0).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(fetch_one(harness, VERSION_NAMES, "nope", 0, 0).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(fetch_one(harness, VERSION_IDS, "nope", 0, 0).error_code, KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(fetch_one(harness, VERSION_IDS, "t", 99, 0).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static void epochs_are_checked(void **state)
{
    struct harness *harness = *state;
    static const struct {
        int32_t epoch;
        int16_t error;
    } cases[] = { { -1, KAFKA_NONE },
                  { EPOCH, KAFKA_NONE },
                  { EPOCH - 1, KAFKA_FENCED_LEADER_EPOCH },
                  { EPOCH + 1, KAFKA_UNKNOWN_LEADER_EPOCH } };
    put(harness, "t", 0, 10);
    for (size_t i = 0; i < countof(cases); i++) {
        struct asking ask;
        ask_init(&ask, 0, 1);
        ask_topic(harness, &ask, "t");
        ask_partition(&ask, 0, 0)->current_leader_epoch = cases[i].epoch;
        struct fetch_response response = ask_now(harness, 0, VERSION_NAMES, &ask);
        assert_int_equal(response.responses[0].partitions[0].error_code, cases[i].error);
    }
}

static void a_reader_of_another_history_is_told(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    put(harness, "t", 0, 10);
    ask_init(&ask, LONG_MS, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 0, 1)->last_fetched_epoch = 3; /* which ended at 0 here */
    struct fetch_response response = ask_now(harness, 0, VERSION_IDS, &ask);
    struct fetch_response_partition *got = &response.responses[0].partitions[0];
    assert_int_equal(got->error_code, KAFKA_NONE);
    assert_non_null(got->diverging_epoch);
    assert_int_equal(got->diverging_epoch->epoch, 3);
    assert_int_equal(got->diverging_epoch->end_offset, 0);
    assert_int_equal(got->records.len, 0);
}

static void replicas_are_refused(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct fetch_request_replica_state replica = { .replica_id = 2 };
    ask_init(&ask, LONG_MS, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 0, 0);
    ask.request.replica_id = 2;
    struct fetch_response response = ask_now(harness, 0, VERSION_NAMES, &ask);
    assert_int_equal(response.responses[0].partitions[0].error_code, KAFKA_NOT_LEADER_OR_FOLLOWER);
    ask.request.replica_id = -1;
    ask.request.replica_state = &replica;
    response = ask_now(harness, 0, VERSION_IDS, &ask);
    assert_int_equal(response.responses[0].partitions[0].error_code, KAFKA_NOT_LEADER_OR_FOLLOWER);
}

static void a_failed_read_spoils_only_its_partition(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    int32_t here = index_on(harness, "t", 0);
    put(harness, "t", here, 10);
    fake_fail_next_read(harness->shards[0].store, ODK_ERR_IO);
    assert_int_equal(fetch_one(harness, VERSION_NAMES, "t", here, 0).error_code, KAFKA_KAFKA_STORAGE_ERROR);
    fake_fail_next_read(harness->shards[0].store, ODK_ERR_RANGE);
    assert_int_equal(fetch_one(harness, VERSION_NAMES, "t", here, 0).error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    ask_init(&ask, LONG_MS, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, here, 0);
    fake_hold(harness->shards[0].store);
    fake_fail_next_read(harness->shards[0].store, ODK_ERR_IO);
    struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_NAMES, &ask.request);
    fake_go(harness->shards[0].store);
    struct fetch_response response;
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].partitions[0].error_code, KAFKA_KAFKA_STORAGE_ERROR);
}

/* -- sizes ----------------------------------------------------------------------------------------------------------
 */

static void the_first_batch_comes_whole(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    int32_t here = index_on(harness, "t", 0);
    put(harness, "t", here, 5000);
    put(harness, "t", here, 10);
    ask_init(&ask, LONG_MS, 1);
    ask.request.max_bytes = 100;
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, here, 0)->partition_max_bytes = 100;
    struct fetch_response response = ask_now(harness, 0, VERSION_IDS, &ask);
    struct odk_bytes view = wire_records_view(&response.responses[0].partitions[0].records);
    assert_in_range(view.len, 5000, 5200);
}

/* Two partitions with data and room for one: the first in the request's order has it, whatever the shards. */
static void the_sum_keeps_to_the_bound(void **state)
{
    struct harness *harness = *state;
    for (int order = 0; order < 2; order++) {
        struct asking ask;
        int32_t first = index_on(harness, "t", order == 0 ? 0 : harness->shard_count - 1);
        int32_t second = index_on(harness, "t", order == 0 ? harness->shard_count - 1 : 0);
        if (first == second)
            second = first + 1;
        put(harness, "t", first, 800);
        put(harness, "t", second, 800);
        ask_init(&ask, LONG_MS, 1);
        ask.request.max_bytes = 1000;
        ask_topic(harness, &ask, "t");
        ask_partition(&ask, first, 0)->partition_max_bytes = 1000;
        ask_partition(&ask, second, 0)->partition_max_bytes = 1000;
        struct fetch_response response = ask_now(harness, 0, VERSION_IDS, &ask);
        struct fetch_response_partition *got = response.responses[0].partitions;
        assert_int_equal(response.responses[0].partitions_count, 2);
        assert_in_range(got[0].records.len, 800, 1000);
        assert_int_equal(got[1].records.len, 0);
        assert_int_equal(got[1].error_code, KAFKA_NONE);
        assert_true(got[1].high_watermark > 0);
    }
}

/* More partitions with data than a leg has memory for at first. */
static void many_partitions_come_in_one_reply(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    make_topic(harness, "wide", 200, NULL);
    ask_init(&ask, LONG_MS, 1);
    ask_topic(harness, &ask, "wide");
    for (int32_t i = 0; i < 200; i++) {
        put(harness, "wide", i, 20);
        ask_partition(&ask, i, 0);
    }
    struct fetch_response response = ask_now(harness, 0, VERSION_IDS, &ask);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, 200);
    for (int32_t i = 0; i < 200; i++) {
        assert_int_equal(response.responses[0].partitions[i].partition_index, i);
        assert_true(response.responses[0].partitions[i].records.len > 0);
    }
}

static void a_cut_read_does_not_wait(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    int32_t here = index_on(harness, "t", 0);
    for (int i = 0; i < 5; i++)
        put(harness, "t", here, 50);
    fake_parts_max(harness->shards[0].store, 2);
    ask_init(&ask, LONG_MS, 1 << 20);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, here, 0);
    struct fetch_response response = ask_now(harness, 0, VERSION_IDS, &ask);
    assert_true(response.responses[0].partitions[0].records.len > 0);
}

/* -- waiting --------------------------------------------------------------------------------------------------------
 */

static struct call *park(struct harness *harness, struct asking *ask, const char *topic, int32_t index,
                         int32_t max_wait_ms)
{
    ask_init(ask, max_wait_ms, 1);
    ask_topic(harness, ask, topic);
    ask_partition(ask, index, 0);
    struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask->request);
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_false(call->ended);
    return call;
}

static void an_append_wakes_on_every_shard(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        int32_t index = index_on(harness, "t", shard);
        struct call *call = park(harness, &ask, "t", index, LONG_MS);
        uint32_t reads = fake_reads(harness->shards[shard].store);
        for (int turn = 0; turn < 50; turn++)
            harness_turn(harness);
        assert_int_equal(fake_reads(harness->shards[shard].store), reads); /* nothing polls */
        put(harness, "t", index, 10);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        assert_true(response.responses[0].partitions[0].records.len > 0);
        nothing_left(harness);
    }
}

static void one_of_many_wakes_all_legs(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct fetch_response response;
    ask_init(&ask, LONG_MS, 1);
    ask_topic(harness, &ask, "t");
    for (int32_t i = 0; i < 16; i++)
        ask_partition(&ask, i, 0);
    struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask.request);
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_false(call->ended);
    put(harness, "t", index_on(harness, "t", harness->shard_count - 1), 10);
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].partitions_count, 16);
}

static void the_deadline_ends_the_waiting(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    struct fetch_response response;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        ask_init(&ask, SOON_MS, 1);
        ask_topic(harness, &ask, "t");
        ask_partition(&ask, index_on(harness, "t", shard), 0);
        harness_turn(harness); /* the broker's time is that of its last turn */
        uint64_t before_ns = harness->shards[0].io->ops->mono_ns(harness->shards[0].io);
        struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask.request);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        uint64_t after_ns = harness->shards[0].io->ops->mono_ns(harness->shards[0].io);
        assert_true(after_ns - before_ns >= (SOON_MS - 1) * UINT64_C(1000000));
        assert_int_equal(response.responses[0].partitions[0].error_code, KAFKA_NONE);
        assert_int_equal(response.responses[0].partitions[0].records.len, 0);
    }
}

static void a_cancel_ends_the_waiting(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        struct call *call = park(harness, &ask, "t", index_on(harness, "t", shard), LONG_MS);
        broker_cancel(harness->shards[0].broker, &call->request);
        broker_cancel(harness->shards[0].broker, &call->request);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        nothing_left(harness);
    }
}

static void a_cancel_waits_for_reads_that_are_out(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        struct odk_store *store = harness->shards[shard].store;
        int32_t index = index_on(harness, "t", shard);
        put(harness, "t", index, 10);
        ask_init(&ask, LONG_MS, 1);
        ask_topic(harness, &ask, "t");
        ask_partition(&ask, index, 0);
        fake_hold(store);
        struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask.request);
        for (int turn = 0; turn < 5; turn++)
            harness_turn(harness);
        assert_int_equal(fake_held(store), 1);
        broker_cancel(harness->shards[0].broker, &call->request);
        for (int turn = 0; turn < 5; turn++)
            harness_turn(harness);
        assert_false(call->ended);
        fake_go(store);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        nothing_left(harness);
    }
}

/* Pins live until the reply has left, not longer. */
static void pins_last_until_the_release(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        int32_t index = index_on(harness, "t", shard);
        put(harness, "t", index, 10);
        ask_init(&ask, LONG_MS, 1);
        ask_topic(harness, &ask, "t");
        ask_partition(&ask, index, 0);
        struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask.request);
        while (!call->ended)
            harness_turn(harness);
        for (int turn = 0; turn < 5; turn++)
            harness_turn(harness);
        assert_int_equal(fake_pins(harness->shards[shard].store), 1);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        nothing_left(harness);
    }
}

static void min_bytes_counts_over_appends(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        int32_t index = index_on(harness, "t", shard);
        ask_init(&ask, LONG_MS, 1000);
        ask_topic(harness, &ask, "t");
        for (int32_t i = 0; i < 16; i++)
            ask_partition(&ask, i, end_of(harness, "t", i));
        struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_IDS, &ask.request);
        for (int i = 0; i < 4; i++) {
            put(harness, "t", index, 150);
            for (int turn = 0; turn < 10; turn++)
                harness_turn(harness);
            assert_false(call->ended);
            assert_int_equal(fake_pins(harness->shards[shard].store), 0); /* a parked fetch pins nothing */
        }
        put(harness, "t", index, 150);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        assert_true(response.responses[0].partitions[index].records.len >= 1000);
        nothing_left(harness);
    }
}

static void a_deleted_topic_wakes(void **state)
{
    struct harness *harness = *state;
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct asking ask;
        struct fetch_response response;
        make_topic(harness, "gone", 16, NULL);
        struct call *call = park(harness, &ask, "gone", index_on(harness, "gone", shard), LONG_MS);
        struct odk_str name = ODK_STR("gone");
        struct delete_topics_request request = { .topic_names = &name, .topic_names_count = 1, .timeout_ms = 1000 };
        struct delete_topics_response deleted;
        assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_TOPICS, 4, &request, &deleted), REQUEST_REPLY);
        assert_int_equal(deleted.responses[0].error_code, KAFKA_NONE);
        assert_int_equal(call_end(call, &response), REQUEST_REPLY);
        assert_int_equal(response.responses[0].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_ID);
        nothing_left(harness);
    }
}

/* Held reads, appends, cancels and deadlines in any order: always one end, nothing left. */
static void any_order_ends_once(void **state)
{
    struct harness *harness = *state;
    struct prng prng = { .state = 7 };
    for (int round = 0; round < 300; round++) {
        struct asking asks[4];
        struct call *calls[4];
        struct fetch_response response;
        for (int i = 0; i < 4; i++) {
            ask_init(&asks[i], (int32_t)prng_below(&prng, 3), (int32_t)prng_below(&prng, 2000));
            ask_topic(harness, &asks[i], "t");
            for (int32_t p = 0; p < 16; p++)
                if (prng_chance(&prng, 500000))
                    ask_partition(&asks[i], p, prng_chance(&prng, 500000) ? 0 : round / 40);
            calls[i] = call_begin(harness, (uint32_t)prng_below(&prng, harness->shard_count), WIRE_KEY_FETCH,
                                  VERSION_IDS, &asks[i].request);
        }
        for (int step = 0; step < 12; step++) {
            struct harness_shard *shard = &harness->shards[prng_below(&prng, harness->shard_count)];
            struct call *call = calls[prng_below(&prng, 4)];
            switch (prng_below(&prng, 5)) {
            case 0: fake_hold(shard->store); break;
            case 1: fake_go(shard->store); break;
            case 2: broker_cancel(call->request.broker, &call->request); break;
            default: harness_turn(harness); break;
            }
        }
        for (uint32_t s = 0; s < harness->shard_count; s++)
            fake_go(harness->shards[s].store);
        put(harness, "t", (int32_t)prng_below(&prng, 16), prng_below(&prng, 500));
        for (int i = 0; i < 4; i++)
            assert_int_equal(call_end(calls[i], &response), REQUEST_REPLY);
        nothing_left(harness);
    }
}

/* -- sessions -------------------------------------------------------------------------------------------------------
 */

static struct fetch_response session_ask(struct harness *harness, struct asking *ask, int16_t version, int32_t id,
                                         int32_t epoch)
{
    ask->request.session_id = id;
    ask->request.session_epoch = epoch;
    return ask_now(harness, 0, version, ask);
}

static void sessions_tell_only_news(void **state)
{
    struct harness *harness = *state;
    static const int16_t versions[] = { 7, VERSION_NAMES, 13, VERSION_IDS };
    for (size_t v = 0; v < countof(versions); v++) {
        struct asking full, empty;
        put(harness, "t", 1, 10);
        ask_init(&full, 0, 1);
        ask_topic(harness, &full, "t");
        struct fetch_response_partition at = fetch_one(harness, VERSION_IDS, "t", 1, 0);
        ask_partition(&full, 1, at.high_watermark);
        ask_partition(&full, 2, 0);
        struct fetch_response response = session_ask(harness, &full, versions[v], 0, 0);
        int32_t id = response.session_id;
        assert_true(id > 0);
        assert_int_equal(response.responses[0].partitions_count, 2);

        ask_init(&empty, 0, 1);
        response = session_ask(harness, &empty, versions[v], id, 1);
        assert_int_equal(response.error_code, KAFKA_NONE);
        assert_int_equal(response.session_id, id);
        assert_int_equal(response.responses_count, 0);

        put(harness, "t", 1, 10);
        response = session_ask(harness, &empty, versions[v], id, 2);
        assert_int_equal(response.responses_count, 1);
        assert_int_equal(response.responses[0].partitions_count, 1);
        assert_int_equal(response.responses[0].partitions[0].partition_index, 1);
        assert_true(response.responses[0].partitions[0].records.len > 0);

        assert_int_equal(session_ask(harness, &empty, versions[v], id, 2).error_code,
                         KAFKA_INVALID_FETCH_SESSION_EPOCH);
        assert_int_equal(session_ask(harness, &empty, versions[v], id + 1, 3).error_code,
                         KAFKA_FETCH_SESSION_ID_NOT_FOUND);
        response = session_ask(harness, &empty, versions[v], id, -1); /* closes it */
        assert_int_equal(response.error_code, KAFKA_NONE);
        assert_int_equal(response.session_id, 0);
        assert_int_equal(session_ask(harness, &empty, versions[v], id, 3).error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    }
}

static void a_session_keeps_to_names_or_ids(void **state)
{
    struct harness *harness = *state;
    struct asking ask;
    ask_init(&ask, 0, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 1, 0);
    int32_t id = session_ask(harness, &ask, VERSION_NAMES, 0, 0).session_id;
    assert_int_equal(session_ask(harness, &ask, VERSION_IDS, id, 1).error_code, KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
}

static void forgotten_partitions_are_gone(void **state)
{
    struct harness *harness = *state;
    struct asking ask, forget;
    ask_init(&ask, 0, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 1, 0);
    ask_partition(&ask, 2, 0);
    int32_t id = session_ask(harness, &ask, VERSION_IDS, 0, 0).session_id;
    put(harness, "t", 1, 10);
    put(harness, "t", 2, 10);
    ask_init(&forget, 0, 1);
    forget.forgotten_partition = 1;
    forget.forgotten = (struct fetch_request_forgotten_topic){ .topic_id = ask.topics[0].topic_id,
                                                               .partitions = &forget.forgotten_partition,
                                                               .partitions_count = 1 };
    forget.request.forgotten_topics_data = &forget.forgotten;
    forget.request.forgotten_topics_data_count = 1;
    struct fetch_response response = session_ask(harness, &forget, VERSION_IDS, id, 1);
    assert_int_equal(response.responses[0].partitions_count, 1);
    assert_int_equal(response.responses[0].partitions[0].partition_index, 2);
    forget.forgotten_partition = 2;
    response = session_ask(harness, &forget, VERSION_IDS, id, 2); /* the last one: the session ends */
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.session_id, 0);
}

static void a_session_waits_and_wakes(void **state)
{
    struct harness *harness = *state;
    struct asking ask, next;
    struct fetch_response response;
    ask_init(&ask, 0, 1);
    ask_topic(harness, &ask, "t");
    for (int32_t i = 0; i < 16; i++)
        ask_partition(&ask, i, 0);
    int32_t id = session_ask(harness, &ask, VERSION_NAMES, 0, 0).session_id;
    ask_init(&next, LONG_MS, 1);
    next.request.session_id = id;
    next.request.session_epoch = 1;
    struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_NAMES, &next.request);
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_false(call->ended);
    int32_t index = index_on(harness, "t", harness->shard_count - 1);
    put(harness, "t", index, 10);
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, 1);
    assert_int_equal(response.responses[0].partitions[0].partition_index, index);
}

/* The session is closed by another connection while its fetch is parked. */
static void a_session_may_end_under_a_parked_fetch(void **state)
{
    struct harness *harness = *state;
    struct asking ask, next, close;
    struct fetch_response response;
    ask_init(&ask, 0, 1);
    ask_topic(harness, &ask, "t");
    ask_partition(&ask, 1, 0);
    int32_t id = session_ask(harness, &ask, VERSION_NAMES, 0, 0).session_id;
    ask_init(&next, LONG_MS, 1);
    next.request.session_id = id;
    next.request.session_epoch = 1;
    struct call *call = call_begin(harness, 0, WIRE_KEY_FETCH, VERSION_NAMES, &next.request);
    ask_init(&close, 0, 1);
    (void)session_ask(harness, &close, VERSION_NAMES, id, -1);
    put(harness, "t", 1, 10);
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.responses[0].partitions_count, 1);
    assert_true(response.responses[0].partitions[0].records.len > 0);
}

#define CASE(claim)                                                                                                    \
    { #claim " (one shard)", claim, one_shard, teardown, NULL },                                                       \
    {                                                                                                                  \
#claim " (two shards)", claim, two_shards, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_produced_comes_back),
        CASE(old_versions_get_messages),
        CASE(zstd_topics_want_a_version_that_knows_it),
        CASE(committed_readers_get_an_empty_list_of_aborts),
        CASE(mistakes_have_kafkas_codes),
        CASE(epochs_are_checked),
        CASE(a_reader_of_another_history_is_told),
        CASE(replicas_are_refused),
        CASE(a_failed_read_spoils_only_its_partition),
        CASE(the_first_batch_comes_whole),
        CASE(the_sum_keeps_to_the_bound),
        CASE(many_partitions_come_in_one_reply),
        CASE(a_cut_read_does_not_wait),
        CASE(an_append_wakes_on_every_shard),
        CASE(one_of_many_wakes_all_legs),
        CASE(the_deadline_ends_the_waiting),
        CASE(a_cancel_ends_the_waiting),
        CASE(a_cancel_waits_for_reads_that_are_out),
        CASE(pins_last_until_the_release),
        CASE(min_bytes_counts_over_appends),
        CASE(a_deleted_topic_wakes),
        CASE(any_order_ends_once),
        CASE(sessions_tell_only_news),
        CASE(a_session_keeps_to_names_or_ids),
        CASE(forgotten_partitions_are_gone),
        CASE(a_session_waits_and_wakes),
        CASE(a_session_may_end_under_a_parked_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
