/*
 * Goal: positions are found as Kafka's index means them, and no bad file passes the check.
 * Method: the index that Kafka built for a segment, rebuilt here by its rule; edges; spoilt files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "golden_kafka.h"
#include "store/offset_index.h"
#include "views.h"

#define GOLDEN_BASE     1000
#define GOLDEN_INTERVAL 100

static void same_batches_give_kafkas_bytes(void **state)
{
    (void)state;
    struct offset_index index = { 0 };
    size_t since = 0;
    for (size_t pos = 0; pos < sizeof(golden_segment_log);) {
        struct odk_batch batch;
        assert_int_equal(odk_batch_decode(golden_segment_log + pos, sizeof(golden_segment_log) - pos, &batch), ODK_OK);
        if (since > GOLDEN_INTERVAL) {
            offset_index_append(&index, (uint32_t)(odk_batch_last_offset(&batch) - GOLDEN_BASE), (uint32_t)pos);
            since = 0;
        }
        pos += odk_batch_bytes(&batch);
        since += odk_batch_bytes(&batch);
    }
    struct odk_bytes bytes = offset_index_bytes(&index, 0);
    assert_int_equal(bytes.len, sizeof(golden_segment_index));
    assert_memory_equal(bytes.data, golden_segment_index, bytes.len);
    assert_int_equal(offset_index_check(bytes, sizeof(golden_segment_log)), ODK_OK);
    offset_index_deinit(&index);
}

/* Starting from the floor's position, the batch that contains an offset is always ahead. */
static void floor_never_overshoots(void **state)
{
    (void)state;
    struct odk_bytes index = VIEW(golden_segment_index);
    for (uint32_t rel = 0; rel < 20; rel++) {
        struct offset_entry entry = { 0 };
        (void)offset_index_floor(index, rel, &entry);
        struct odk_batch batch;
        assert_int_equal(odk_batch_decode(golden_segment_log + entry.pos, 61, &batch), ODK_OK);
        assert_true(batch.base_offset <= GOLDEN_BASE + rel);
    }
}

static void floor_takes_the_last_entry_not_above(void **state)
{
    (void)state;
    struct offset_index index = { 0 };
    struct offset_entry entry;
    assert_false(offset_index_floor(offset_index_bytes(&index, 0), INT32_MAX, &entry));
    offset_index_append(&index, 5, 100);
    offset_index_append(&index, 9, 300);
    offset_index_append(&index, INT32_MAX, INT32_MAX);
    struct odk_bytes bytes = offset_index_bytes(&index, 0);
    assert_false(offset_index_floor(bytes, 4, &entry));
    assert_true(offset_index_floor(bytes, 5, &entry));
    assert_int_equal(entry.pos, 100);
    assert_true(offset_index_floor(bytes, 8, &entry));
    assert_int_equal(entry.pos, 100);
    assert_true(offset_index_floor(bytes, UINT32_MAX, &entry));
    assert_int_equal(entry.pos, INT32_MAX);
    assert_false(offset_index_floor_pos(bytes, 99, &entry));
    assert_true(offset_index_floor_pos(bytes, 299, &entry));
    assert_int_equal(entry.rel_offset, 5);
    assert_true(offset_index_floor_pos(bytes, 300, &entry));
    assert_int_equal(entry.rel_offset, 9);
    offset_index_deinit(&index);
}

static void truncation_drops_entries_at_or_above(void **state)
{
    (void)state;
    struct offset_index index = { 0 };
    for (uint32_t i = 1; i <= 10; i++)
        offset_index_append(&index, i * 10, i * 100);
    offset_index_truncate(&index, 101);
    assert_int_equal(index.count, 10);
    offset_index_truncate(&index, 50);
    assert_int_equal(index.count, 4);
    offset_index_append(&index, 50, 500);
    offset_index_truncate(&index, 0);
    assert_int_equal(index.count, 0);
    offset_index_deinit(&index);
}

static void loaded_bytes_come_out_again_from_any_entry(void **state)
{
    (void)state;
    struct offset_index index = { 0 };
    offset_index_append(&index, 1, 1);
    offset_index_load(&index, VIEW(golden_segment_index));
    struct odk_bytes rest = offset_index_bytes(&index, 1);
    assert_int_equal(rest.len, sizeof(golden_segment_index) - 8);
    assert_memory_equal(rest.data, golden_segment_index + 8, rest.len);
    assert_int_equal(offset_index_bytes(&index, index.count).len, 0);
    offset_index_load(&index, (struct odk_bytes){ 0 });
    assert_int_equal(index.count, 0);
    offset_index_deinit(&index);
}

static enum odk_err check_spoilt(size_t pos, uint8_t value)
{
    uint8_t bytes[sizeof(golden_segment_index)];
    memcpy(bytes, golden_segment_index, sizeof(bytes));
    bytes[pos] = value;
    return offset_index_check(VIEW(bytes), sizeof(golden_segment_log));
}

static void bad_files_are_noticed(void **state)
{
    (void)state;
    static const uint8_t trailing_zeros[16] = { 0, 0, 0, 1, 0, 0, 0, 1 };
    assert_int_equal(offset_index_check((struct odk_bytes){ 0 }, 0), ODK_OK);
    assert_int_equal(offset_index_check((struct odk_bytes){ golden_segment_index, 31 }, 10000), ODK_ERR_CORRUPT);
    assert_int_equal(offset_index_check(VIEW(golden_segment_index), 100), ODK_ERR_CORRUPT); /* beyond the log */
    assert_int_equal(offset_index_check(VIEW(trailing_zeros), 10000), ODK_ERR_CORRUPT);
    assert_int_equal(check_spoilt(0, 0x80), ODK_ERR_CORRUPT);  /* negative offset */
    assert_int_equal(check_spoilt(4, 0x80), ODK_ERR_CORRUPT);  /* negative position */
    assert_int_equal(check_spoilt(11, 0x01), ODK_ERR_CORRUPT); /* second offset below the first */
    assert_int_equal(check_spoilt(14, 0x00), ODK_ERR_CORRUPT); /* second position below the first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_batches_give_kafkas_bytes),
        cmocka_unit_test(floor_never_overshoots),
        cmocka_unit_test(floor_takes_the_last_entry_not_above),
        cmocka_unit_test(truncation_drops_entries_at_or_above),
        cmocka_unit_test(loaded_bytes_come_out_again_from_any_entry),
        cmocka_unit_test(bad_files_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
