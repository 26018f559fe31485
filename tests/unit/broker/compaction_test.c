/*
 * Goal: topics whose cleanup.policy says compact keep the last record of each key and let others go, and no other topic
 * loses a record; the settings decide when.
 * Method: whole brokers over the real store that search every millisecond; the log as a reader sees it.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

#define NOW_MS INT64_C(1700000000000)
#define EAGER  "log.cleaner.backoff.ms=1\n"
#define TURNS  1500 /* of a millisecond: what is to come comes sooner, what is not has had time enough */
#define SMALL  "segment.bytes=300;"

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

static void fill(struct harness *harness, const char *topic, int32_t count, int64_t timestamp)
{
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(
            produce(harness, 9, topic, 0, make_batch(&(struct batch_options){ .timestamp = timestamp })).error_code,
            KAFKA_NONE);
}

static void millisecond(struct harness *harness)
{
    struct timespec pause = { .tv_nsec = 1000000 };
    (void)nanosleep(&pause, NULL);
    harness_turn(harness);
}

/* Records that a reader finds; ret_first: the first one's offset. */
static int32_t records_of(struct harness *harness, const char *topic, int64_t *ret_first)
{
    struct odk_log *log = log_of(harness, topic);
    int32_t count = 0;
    for (int64_t at = odk_log_start_offset(log); at < odk_log_end_offset(log);) {
        struct odk_read read = { .offset = at, .bytes_max = 1, .at_least_one = true };
        assert_int_equal(odk_log_read(log, &read), ODK_OK);
        uint8_t bytes[4096];
        size_t len = 0;
        for (uint32_t i = 0; i < read.part_count; i++) {
            assert_true(len + read.parts[i].iov_len <= sizeof(bytes));
            memcpy(bytes + len, read.parts[i].iov_base, read.parts[i].iov_len);
            len += read.parts[i].iov_len;
        }
        struct odk_record_iter it;
        struct odk_record record;
        assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ bytes, len }, 1 << 20), ODK_OK);
        while (odk_record_next(&it, &record))
            if (count++ == 0)
                *ret_first = record.offset;
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
        at = read.next_offset;
        odk_log_read_release(log, &read);
    }
    return count;
}

/* Waits until that many records are left, or long enough. */
static int32_t records_in_the_end(struct harness *harness, const char *topic, int32_t wanted)
{
    int64_t first;
    int32_t count = records_of(harness, topic, &first);
    for (int i = 0; i < TURNS && count != wanted; i++) {
        for (int turns = 0; turns < 10; turns++)
            millisecond(harness);
        count = records_of(harness, topic, &first);
    }
    return count;
}

/* Batches of about 75 bytes, all with the same key: four make a segment. */
static void the_last_of_each_key_stays(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, EAGER);
    make_topic(harness, "t", 1, SMALL "cleanup.policy=compact");
    fill(harness, "t", 41, NOW_MS);
    struct odk_segment_info active;
    assert_int_equal(odk_log_segment(log_of(harness, "t"), 41, &active), ODK_OK);
    int32_t left = (int32_t)(41 - active.base_offset) + 1; /* what the active segment has, and the last one below it */
    int64_t first;
    assert_int_equal(records_in_the_end(harness, "t", left), left);
    (void)records_of(harness, "t", &first);
    assert_int_equal(first, active.base_offset - 1);
    harness_crash(harness);
    assert_int_equal(records_of(harness, "t", &first), left);
    assert_int_equal(odk_log_end_offset(log_of(harness, "t")), 41);
    fill(harness, "t", 1, NOW_MS);
    assert_int_equal(odk_log_end_offset(log_of(harness, "t")), 42);
    harness_restart(harness);
    assert_true(records_of(harness, "t", &first) <= left + 1);
    harness_free(harness);
}

static void other_topics_lose_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    int64_t first;
    make_topic(harness, "deleted", 1, SMALL "cleanup.policy=delete;retention.ms=-1");
    make_topic(harness, "lagging", 1, SMALL "cleanup.policy=compact;min.compaction.lag.ms=3600000");
    make_topic(harness, "clean", 1, SMALL "cleanup.policy=compact;min.cleanable.dirty.ratio=1.0");
    make_topic(harness, "both", 1, SMALL "cleanup.policy=compact,delete;retention.ms=-1");
    const char *const names[] = { "deleted", "lagging", "clean", "both" };
    for (size_t i = 0; i < countof(names); i++)
        fill(harness, names[i], 20, NOW_MS);
    assert_true(records_in_the_end(harness, "both", 5) < 10); /* so there was time for the others */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(records_of(harness, names[i], &first), 20);
    harness_free(harness);
}

static void a_record_that_waited_long_enough_is_compacted(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    make_topic(harness, "t", 1, SMALL "cleanup.policy=compact;min.cleanable.dirty.ratio=1.0;max.compaction.lag.ms=1000");
    fill(harness, "t", 20, NOW_MS - 5000);
    int32_t left = records_in_the_end(harness, "t", 5);
    assert_true(left <= 5);
    harness_free(harness);
}

static void a_clock_that_steps_is_not_believed(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER);
    int64_t first;
    make_topic(harness, "t", 1, SMALL "cleanup.policy=compact");
    harness->wall_ms += 1000000000;
    millisecond(harness);
    fill(harness, "t", 20, NOW_MS);
    for (int i = 0; i < 1500; i++)
        millisecond(harness);
    assert_int_equal(records_of(harness, "t", &first), 20);
    harness_free(harness);
}

static void it_can_be_switched_off(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, EAGER "log.cleaner.enable=false\n");
    int64_t first;
    make_topic(harness, "t", 1, SMALL "cleanup.policy=compact");
    fill(harness, "t", 20, NOW_MS);
    for (int i = 0; i < 300; i++)
        millisecond(harness);
    assert_int_equal(records_of(harness, "t", &first), 20);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_of_each_key_stays),
        cmocka_unit_test(other_topics_lose_nothing),
        cmocka_unit_test(a_record_that_waited_long_enough_is_compacted),
        cmocka_unit_test(a_clock_that_steps_is_not_believed),
        cmocka_unit_test(it_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
