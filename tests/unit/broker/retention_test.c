/*
 * Goal: retention.ms and retention.bytes let go what Kafka's would, whole segments from the start on, and nothing else.
 * Method: whole brokers over the real store that look every millisecond; starts as ListOffsets' owner sees them. The
 * broker's clock stands still at harness->wall_ms, files are dated by the machine's.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

#define NOW_MS  INT64_C(1700000000000)
#define HOUR_MS INT64_C(3600000)
#define EAGER   "log.retention.check.interval.ms=1\n"
#define CHECKS  60 /* turns: each has a millisecond, so many checks come about */

static void fill(struct harness *harness, const char *topic, int32_t count, int64_t timestamp)
{
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(
            produce(harness, 9, topic, 0, make_batch(&(struct batch_options){ .timestamp = timestamp })).error_code,
            KAFKA_NONE);
}

static struct odk_log *log_of(struct harness *harness, const char *topic)
{
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct odk_log *log = harness_topic(harness, shard, topic)->partitions[0]->log;
        if (log)
            return log;
    }
    fail();
    return NULL;
}

static void millisecond(struct harness *harness)
{
    struct timespec pause = { .tv_nsec = 1000000 };
    (void)nanosleep(&pause, NULL);
    harness_turn(harness);
}

/* Looks long enough for every check to have come by. */
static int64_t start_in_the_end(struct harness *harness, const char *topic)
{
    for (int i = 0; i < CHECKS; i++)
        millisecond(harness);
    return odk_log_start_offset(log_of(harness, topic));
}

static int64_t end_of(struct harness *harness, const char *topic)
{
    return odk_log_end_offset(log_of(harness, topic));
}

static void alter(struct harness *harness, const char *topic, const char *key, const char *value)
{
    struct incremental_alter_configs_request_config config = { odk_str_from(key), 0, odk_str_from(value) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = topic ? 2 : 4, .resource_name = odk_str_from(topic ? topic : ""), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
}

static int16_t delete_up_to(struct harness *harness, const char *topic, int64_t offset)
{
    struct delete_records_request_partition wanted = { .offset = offset };
    struct delete_records_request_topic in = { odk_str_from(topic), &wanted, 1 };
    struct delete_records_request request = { .topics = &in, .topics_count = 1, .timeout_ms = 1000 };
    struct delete_records_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_RECORDS, 2, &request, &response), REQUEST_REPLY);
    return response.topics[0].partitions[0].error_code;
}

/* Batches of 72 bytes: two of them fill a segment. */
#define SMALL_SEGMENTS "segment.bytes=150"

static void what_is_too_old_goes_in_whole_segments(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, EAGER);
    make_topic(harness, "t", 1, SMALL_SEGMENTS ";retention.ms=-1");
    fill(harness, "t", 5, NOW_MS - 2 * HOUR_MS);
    fill(harness, "t", 6, NOW_MS - 1000);
    alter(harness, "t", "retention.ms", "3600000");
    assert_int_equal(start_in_the_end(harness, "t"), 4); /* the fifth shares a segment with a young one */
    assert_int_equal(end_of(harness, "t"), 11);
    harness_crash(harness);
    assert_int_equal(start_in_the_end(harness, "t"), 4);
    harness_restart(harness);
    assert_int_equal(start_in_the_end(harness, "t"), 4);
    assert_int_equal(end_of(harness, "t"), 11);
    harness_free(harness);
}

static void a_log_that_is_all_too_old_goes_on_where_it_was(void **state)
{
    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        struct harness *harness = harness_new(1, EAGER);
        make_topic(harness, "t", 1, "retention.ms=1000");
        fill(harness, "t", 7, NOW_MS - HOUR_MS);
        assert_int_equal(start_in_the_end(harness, "t"), 7); /* the only segment, although it was active */
        assert_int_equal(odk_log_size(log_of(harness, "t")), 0);
        for (int i = 0; i < 2; i++) {
            if (crash)
                harness_crash(harness);
            else
                harness_restart(harness);
            assert_int_equal(odk_log_start_offset(log_of(harness, "t")), 7 + i);
            assert_int_equal(end_of(harness, "t"), 7 + i);
            struct produce_response_partition got =
                produce(harness, 9, "t", 0, make_batch(&(struct batch_options){ .timestamp = NOW_MS - HOUR_MS }));
            assert_int_equal(got.error_code, KAFKA_NONE);
            assert_int_equal(got.base_offset, 7 + i);
            assert_int_equal(start_in_the_end(harness, "t"), 8 + i);
        }
        harness_free(harness);
    }
}

static void what_is_too_much_goes(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    make_topic(harness, "t", 1, SMALL_SEGMENTS ";retention.bytes=400;retention.ms=-1");
    fill(harness, "t", 21, 5);
    struct odk_segment_info first;
    int64_t start = start_in_the_end(harness, "t");
    assert_true(start > 0 && start < 21 && start % 2 == 0);
    assert_int_equal(odk_log_segment(log_of(harness, "t"), start, &first), ODK_OK);
    assert_true(first.bytes_behind < 400);
    assert_true(first.bytes_behind + first.bytes >= 400);
    assert_true(first.bytes_behind + first.bytes == odk_log_size(log_of(harness, "t")));
    alter(harness, "t", "retention.bytes", "0"); /* takes effect at the next check */
    assert_int_equal(start_in_the_end(harness, "t"), 21);
    harness_free(harness);
}

static void what_no_setting_lets_go_stays(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER "log.retention.bytes=0\n");
    make_topic(harness, "kept", 1, SMALL_SEGMENTS ";retention.ms=-1;retention.bytes=-1");
    make_topic(harness, "compacted", 1, SMALL_SEGMENTS ";cleanup.policy=compact;retention.ms=1");
    make_topic(harness, "none", 1, SMALL_SEGMENTS ";cleanup.policy=;retention.ms=1");
    make_topic(harness, "both", 1, SMALL_SEGMENTS ";cleanup.policy=compact,delete");
    const char *const names[] = { "kept", "compacted", "none", "both" };
    for (size_t i = 0; i < countof(names); i++)
        fill(harness, names[i], 6, 5);
    for (size_t i = 0; i < countof(names); i++)
        assert_int_equal(start_in_the_end(harness, names[i]), i < 3 ? 0 : 6);
    harness_free(harness);
}

static void the_brokers_settings_count_from_the_next_check_on(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    make_topic(harness, "t", 1, SMALL_SEGMENTS);
    fill(harness, "t", 6, NOW_MS - HOUR_MS);
    assert_int_equal(start_in_the_end(harness, "t"), 0);
    alter(harness, NULL, "log.retention.ms", "1000");
    assert_int_equal(start_in_the_end(harness, "t"), 6);
    harness_free(harness);
}

static void a_date_in_the_future_keeps_nothing_for_ever(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    int64_t machine_ms = (int64_t)time(NULL) * 1000;
    harness->wall_ms = machine_ms;
    harness_restart(harness); /* a new broker: for it the clock did not step */
    make_topic(harness, "t", 1, SMALL_SEGMENTS ";retention.ms=3600000;message.timestamp.after.max.ms=9223372036854775807");
    make_topic(harness, "undated", 1, SMALL_SEGMENTS ";retention.ms=3600000");
    fill(harness, "t", 6, machine_ms + 100000 * HOUR_MS);
    fill(harness, "undated", 6, -1);
    assert_int_equal(delete_up_to(harness, "t", 1), KAFKA_NONE); /* into a segment */
    assert_int_equal(start_in_the_end(harness, "t"), 1);
    assert_int_equal(start_in_the_end(harness, "undated"), 0);
    harness->wall_ms = machine_ms + 2 * HOUR_MS;
    harness_restart(harness);
    assert_int_equal(start_in_the_end(harness, "t"), 6);
    assert_int_equal(start_in_the_end(harness, "undated"), 6);
    harness_free(harness);
}

static void a_clock_that_steps_makes_nothing_old(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    make_topic(harness, "t", 1, SMALL_SEGMENTS ";retention.ms=3600000");
    fill(harness, "t", 6, NOW_MS);
    harness->wall_ms = NOW_MS + 100 * HOUR_MS;
    assert_int_equal(start_in_the_end(harness, "t"), 0);
    assert_non_null(strstr(harness->lines, "the clock has stepped by 3"));
    alter(harness, "t", "retention.bytes", "0"); /* too much is too much, whatever the time */
    assert_int_equal(start_in_the_end(harness, "t"), 6);
    harness_free(harness);
}

static void many_segments_go_a_few_at_a_time(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    make_topic(harness, "t", 1, "segment.bytes=100;retention.ms=-1");
    fill(harness, "t", 400, NOW_MS - HOUR_MS);
    alter(harness, "t", "retention.ms", "1000");
    struct odk_log *log = log_of(harness, "t");
    int64_t start = odk_log_start_offset(log);
    for (int turns = 0; start < 400; turns++) {
        assert_true(turns < 10000);
        millisecond(harness);
        int64_t moved = odk_log_start_offset(log);
        assert_true(moved - start <= 32);
        start = moved;
    }
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_old_goes_in_whole_segments),
        cmocka_unit_test(a_log_that_is_all_too_old_goes_on_where_it_was),
        cmocka_unit_test(what_is_too_much_goes),
        cmocka_unit_test(what_no_setting_lets_go_stays),
        cmocka_unit_test(the_brokers_settings_count_from_the_next_check_on),
        cmocka_unit_test(a_date_in_the_future_keeps_nothing_for_ever),
        cmocka_unit_test(a_clock_that_steps_makes_nothing_old),
        cmocka_unit_test(many_segments_go_a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
