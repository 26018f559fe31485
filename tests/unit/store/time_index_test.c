/*
 * Goal: a search by time starts at the right offset, and no bad file passes the check.
 * Method: the index that Kafka built for a segment, rebuilt here by its rule; edges; spoilt files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "golden_kafka.h"
#include "store/time_index.h"
#include "views.h"

#define GOLDEN_BASE     1000
#define GOLDEN_INTERVAL 100

static void same_batches_give_kafkas_bytes(void **state)
{
    (void)state;
    struct time_index index = { 0 };
    size_t since = 0;
    for (size_t pos = 0; pos < sizeof(golden_segment_log);) {
        struct odk_batch batch;
        assert_int_equal(odk_batch_decode(golden_segment_log + pos, sizeof(golden_segment_log) - pos, &batch), ODK_OK);
        time_index_observe(&index, batch.max_timestamp, (uint32_t)(odk_batch_last_offset(&batch) - GOLDEN_BASE));
        if (since > GOLDEN_INTERVAL) {
            time_index_append_max(&index);
            since = 0;
        }
        pos += odk_batch_bytes(&batch);
        since += odk_batch_bytes(&batch);
    }
    time_index_append_max(&index); /* the segment is closed */
    struct odk_bytes bytes = time_index_bytes(&index, 0);
    assert_int_equal(bytes.len, sizeof(golden_segment_timeindex));
    assert_memory_equal(bytes.data, golden_segment_timeindex, bytes.len);
    assert_int_equal(time_index_check(bytes, 19), ODK_OK);
    time_index_deinit(&index);
}

static void only_younger_batches_make_entries(void **state)
{
    (void)state;
    struct time_index index = { 0 };
    time_index_append_max(&index);
    assert_int_equal(index.count, 0);
    time_index_observe(&index, -1, 3); /* no timestamp */
    time_index_append_max(&index);
    assert_int_equal(index.count, 0);
    time_index_observe(&index, 0, 4);
    time_index_append_max(&index);
    time_index_append_max(&index);
    assert_int_equal(index.count, 1);
    time_index_observe(&index, 50, 5);
    time_index_observe(&index, 50, 6);
    time_index_observe(&index, 40, 7);
    time_index_append_max(&index);
    struct time_entry last;
    assert_true(time_index_last(time_index_bytes(&index, 0), &last));
    assert_int_equal(index.count, 2);
    assert_int_equal(last.timestamp, 50);
    assert_int_equal(last.rel_offset, 5);
    time_index_deinit(&index);
}

static void floor_takes_the_last_entry_not_younger(void **state)
{
    (void)state;
    struct odk_bytes index = VIEW(golden_segment_timeindex);
    struct time_entry entry;
    assert_false(time_index_floor((struct odk_bytes){ 0 }, INT64_MAX, &entry));
    assert_false(time_index_floor(index, 1699999999999, &entry));
    assert_true(time_index_floor(index, INT64_MAX, &entry));
    assert_int_equal(entry.timestamp, 1700000000060);
    assert_int_equal(entry.rel_offset, 19);
    assert_true(time_index_floor(index, 1700000000059, &entry));
    assert_int_equal(entry.timestamp, 1700000000050);
    assert_true(time_index_floor(index, 1700000000050, &entry));
    assert_int_equal(entry.timestamp, 1700000000050);
}

static void truncation_forgets_the_youngest_too(void **state)
{
    (void)state;
    struct time_index index = { 0 };
    time_index_load(&index, VIEW(golden_segment_timeindex));
    assert_true(index.has_max);
    assert_int_equal(index.max.timestamp, 1700000000060);
    time_index_truncate(&index, 19);
    assert_int_equal(index.count, 4);
    assert_int_equal(index.max.timestamp, 1700000000050);
    time_index_truncate(&index, 0);
    assert_int_equal(index.count, 0);
    assert_false(index.has_max);
    time_index_deinit(&index);
}

static enum odk_err check_spoilt(size_t pos, uint8_t value)
{
    uint8_t bytes[sizeof(golden_segment_timeindex)];
    memcpy(bytes, golden_segment_timeindex, sizeof(bytes));
    bytes[pos] = value;
    return time_index_check(VIEW(bytes), 19);
}

static void bad_files_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(time_index_check((struct odk_bytes){ 0 }, 0), ODK_OK);
    assert_int_equal(time_index_check((struct odk_bytes){ golden_segment_timeindex, 59 }, 19), ODK_ERR_CORRUPT);
    assert_int_equal(time_index_check(VIEW(golden_segment_timeindex), 18), ODK_ERR_CORRUPT);
    assert_int_equal(check_spoilt(0, 0x80), ODK_ERR_CORRUPT);  /* negative timestamp */
    assert_int_equal(check_spoilt(0, 0x01), ODK_ERR_CORRUPT);  /* first one younger than the second */
    assert_int_equal(check_spoilt(8, 0x80), ODK_ERR_CORRUPT);  /* negative offset */
    assert_int_equal(check_spoilt(23, 0x00), ODK_ERR_CORRUPT); /* second offset below the first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_batches_give_kafkas_bytes),
        cmocka_unit_test(only_younger_batches_make_entries),
        cmocka_unit_test(floor_takes_the_last_entry_not_younger),
        cmocka_unit_test(truncation_forgets_the_youngest_too),
        cmocka_unit_test(bad_files_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
