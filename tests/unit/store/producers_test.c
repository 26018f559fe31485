/*
 * Goal: retries are recognised, gaps and old epochs refused, as Kafka does; its snapshots are read and written.
 * Method: the rules one by one, at the wrap of sequences too; files that Kafka wrote; spoilt files; the bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "golden_kafka.h"
#include "store/producers.h"
#include "views.h"

static struct odk_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct odk_batch){
        .producer_id = id,
        .producer_epoch = epoch,
        .base_sequence = sequence,
        .record_count = count,
        .last_offset_delta = count - 1,
        .max_timestamp = INT64_C(1000) + sequence,
    };
}

static enum odk_err check(const struct producers *producers, struct odk_batch batch)
{
    struct producers_verdict verdict;
    enum odk_err err = producers_check(producers, &batch, &verdict);
    if (err == ODK_OK)
        assert_false(verdict.duplicate);
    return err;
}

static void apply(struct producers *producers, struct odk_batch batch, int64_t base_offset)
{
    producers_apply(producers, &batch, base_offset);
}

static void assert_duplicate(const struct producers *producers, struct odk_batch batch, int64_t base_offset)
{
    struct producers_verdict verdict;
    assert_int_equal(producers_check(producers, &batch, &verdict), ODK_OK);
    assert_true(verdict.duplicate);
    assert_int_equal(verdict.base_offset, base_offset);
    assert_int_equal(verdict.timestamp, batch.max_timestamp);
}

static void a_log_without_producers_holds_nothing(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    assert_int_equal(check(&producers, batch_of(-1, -1, -1, 3)), ODK_OK);
    apply(&producers, batch_of(-1, -1, -1, 3), 0);
    assert_null(producers.table);
    apply(&producers, batch_of(5, 0, 0, 1), 3);
    assert_non_null(producers.table);
    producers_expire(&producers, INT64_MAX, 1);
    assert_null(producers.table);
    producers_deinit(&producers);
}

static void an_unknown_producer_may_start_anywhere(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    assert_int_equal(check(&producers, batch_of(5, 3, 77, 1)), ODK_OK);
    assert_int_equal(check(&producers, batch_of(5, 3, INT32_MAX, 2)), ODK_OK);
    producers_deinit(&producers);
}

static void what_was_sent_behind_a_refused_first_batch_waits_for_it(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    struct odk_batch first = batch_of(5, 3, 0, 2), later = batch_of(6, 3, 7, 1);
    producers_refused(&producers, &first);
    assert_int_equal(check(&producers, batch_of(5, 3, 2, 1)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, first), ODK_OK);
    apply(&producers, first, 10);
    assert_int_equal(check(&producers, batch_of(5, 3, 2, 1)), ODK_OK);
    producers_refused(&producers, &first); /* a known one stays as it is */
    assert_duplicate(&producers, first, 10);
    producers_refused(&producers, &later); /* one that the log has forgotten goes on anywhere */
    assert_int_equal(check(&producers, batch_of(6, 3, 9, 1)), ODK_OK);
    struct odk_batch plain = batch_of(-1, -1, -1, 1);
    producers_refused(&producers, &plain);
    assert_int_equal(producers_count(&producers), 1);
    producers_deinit(&producers);
}

static void sequences_follow_without_a_gap(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    apply(&producers, batch_of(5, 0, 0, 3), 100);
    assert_int_equal(check(&producers, batch_of(5, 0, 3, 1)), ODK_OK);
    assert_int_equal(check(&producers, batch_of(5, 0, 4, 1)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, batch_of(5, 0, 2, 1)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, batch_of(5, 0, 0, 2)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, batch_of(6, 0, 9, 1)), ODK_OK); /* another producer */
    producers_deinit(&producers);
}

static void the_last_five_batches_are_recognised(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    for (int32_t i = 0; i < 6; i++)
        apply(&producers, batch_of(5, 0, i * 10, 10), 1000 + i * 100);
    assert_int_equal(check(&producers, batch_of(5, 0, 0, 10)), ODK_ERR_SEQUENCE);
    for (int32_t i = 1; i < 6; i++)
        assert_duplicate(&producers, batch_of(5, 0, i * 10, 10), 1000 + i * 100);
    assert_int_equal(check(&producers, batch_of(5, 0, 10, 20)), ODK_ERR_SEQUENCE); /* other edges */
    assert_int_equal(check(&producers, batch_of(5, 0, 60, 10)), ODK_OK);
    producers_deinit(&producers);
}

static void sequences_wrap(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    apply(&producers, batch_of(5, 0, INT32_MAX - 1, 1), 10);
    apply(&producers, batch_of(5, 0, INT32_MAX, 3), 11); /* 2^31-1, 0, 1 */
    assert_int_equal(producer_last_sequence(producers_find(&producers, 5)), 1);
    assert_duplicate(&producers, batch_of(5, 0, INT32_MAX, 3), 11);
    assert_int_equal(check(&producers, batch_of(5, 0, 2, 1)), ODK_OK);
    apply(&producers, batch_of(6, 0, INT32_MAX, 1), 14);
    assert_int_equal(check(&producers, batch_of(6, 0, 0, 5)), ODK_OK);
    assert_int_equal(check(&producers, batch_of(6, 0, 1, 5)), ODK_ERR_SEQUENCE);
    producers_deinit(&producers);
}

static void epochs_fence(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    apply(&producers, batch_of(5, 3, 0, 2), 0);
    assert_int_equal(check(&producers, batch_of(5, 2, 2, 1)), ODK_ERR_PRODUCER_EPOCH);
    assert_int_equal(check(&producers, batch_of(5, 2, 0, 2)), ODK_ERR_PRODUCER_EPOCH); /* not even a duplicate */
    assert_int_equal(check(&producers, batch_of(5, 4, 2, 1)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, batch_of(5, 4, 0, 2)), ODK_OK);
    apply(&producers, batch_of(5, 4, 0, 2), 2);
    assert_duplicate(&producers, batch_of(5, 4, 0, 2), 2);
    assert_int_equal(check(&producers, batch_of(5, 3, 2, 1)), ODK_ERR_PRODUCER_EPOCH);
    assert_int_equal(check(&producers, batch_of(5, 5, 0, 2)), ODK_OK); /* the same sequences in a new life */
    apply(&producers, batch_of(5, 5, 0, 1), 4);
    assert_int_equal(check(&producers, batch_of(5, 5, 0, 2)), ODK_ERR_SEQUENCE);
    producers_deinit(&producers);
}

static void coordinators_do_not_count(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    apply(&producers, batch_of(5, 3, -1, 2), 0);
    assert_int_equal(check(&producers, batch_of(5, 3, -1, 2)), ODK_OK);
    assert_int_equal(check(&producers, batch_of(5, 2, -1, 2)), ODK_ERR_PRODUCER_EPOCH);
    assert_int_equal(producer_last_sequence(producers_find(&producers, 5)), -1);
    assert_int_equal(check(&producers, batch_of(5, 3, 0, 1)), ODK_OK);
    assert_int_equal(check(&producers, batch_of(5, 3, 2, 1)), ODK_ERR_SEQUENCE);
    producers_deinit(&producers);
}

static void stored_transactions_open_and_end(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    assert_int_equal(producers_replay(&producers, VIEW(golden_transactional)), ODK_OK);
    const struct producer *producer = producers_find(&producers, 4711);
    assert_int_equal(producer->txn_first_offset, 40);
    assert_int_equal(producer->epoch, 3);
    assert_int_equal(check(&producers, batch_of(4711, 3, 3, 1)), ODK_ERR_INVALID);
    struct odk_batch next = batch_of(4711, 3, 3, 1);
    next.attributes = ODK_BATCH_TRANSACTIONAL;
    assert_int_equal(check(&producers, next), ODK_OK);
    producers_expire(&producers, INT64_MAX, 1);
    assert_int_equal(producers_count(&producers), 1); /* not while a transaction is open */
    assert_int_equal(producers_replay(&producers, VIEW(golden_commit)), ODK_OK);
    assert_int_equal(producer->txn_first_offset, -1);
    assert_int_equal(producer->coordinator_epoch, 9);
    assert_int_equal(producer->last_timestamp, 1700000000100);
    assert_int_equal(check(&producers, batch_of(4711, 3, 3, 1)), ODK_OK); /* the marker has no sequence */
    producers_deinit(&producers);
}

static void unreadable_markers_are_noticed(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    for (size_t len = 61; len < sizeof(golden_commit); len++) {
        uint8_t *cut = copy_of(VIEW(golden_commit));
        struct odk_bytes data = { cut, len };
        assert_int_equal(producers_replay(&producers, data), ODK_ERR_CORRUPT);
        free(cut);
    }
    uint8_t *spoilt = copy_of(VIEW(golden_commit));
    spoilt[65] = 0x02; /* key of one byte, which then is no record */
    assert_int_equal(producers_replay(&producers, (struct odk_bytes){ spoilt, sizeof(golden_commit) }),
                     ODK_ERR_CORRUPT);
    free(spoilt);
    assert_null(producers.table);
}

static void silent_producers_expire(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    for (int64_t id = 0; id < 10; id++) {
        struct odk_batch batch = batch_of(id, 0, 0, 1);
        batch.max_timestamp = id * 100;
        apply(&producers, batch, id);
    }
    producers_expire(&producers, 1000, 600);
    assert_int_equal(producers_count(&producers), 5);
    assert_int_equal(producers_at(&producers, 0)->id, 5);
    assert_null(producers_find(&producers, 4));
    producers_deinit(&producers);
}

static void timestamps_from_nowhere_do_not_overflow(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    struct odk_batch ahead = batch_of(1, 0, 0, 1);
    struct odk_batch behind = batch_of(2, 0, 0, 1);
    ahead.max_timestamp = INT64_MAX;
    behind.max_timestamp = INT64_MIN;
    apply(&producers, ahead, 0);
    apply(&producers, behind, 1);
    producers_expire(&producers, 1700000000000, 86400000);
    assert_non_null(producers_find(&producers, 1));
    assert_null(producers_find(&producers, 2));
    producers_deinit(&producers);
}

static void the_longest_silent_makes_room(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    for (int64_t id = 0; id < (int64_t)PRODUCERS_MAX; id++) {
        struct odk_batch batch = batch_of(id, 0, 0, 1);
        batch.attributes = id == 0 ? ODK_BATCH_TRANSACTIONAL : 0;
        apply(&producers, batch, id);
    }
    apply(&producers, batch_of(1, 0, 1, 1), PRODUCERS_MAX); /* 1 speaks again */
    assert_int_equal(check(&producers, batch_of(900000, 0, 0, 1)), ODK_OK);
    apply(&producers, batch_of(900000, 0, 0, 1), PRODUCERS_MAX + 1);
    assert_int_equal(producers_count(&producers), PRODUCERS_MAX);
    assert_non_null(producers_find(&producers, 0)); /* in a transaction */
    assert_non_null(producers_find(&producers, 1));
    assert_null(producers_find(&producers, 2));
    assert_int_equal(check(&producers, batch_of(2, 0, 1, 1)), ODK_OK); /* and may go on */
    producers_deinit(&producers);
}

static void too_many_transactions_are_refused(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    for (int64_t id = 0; id < (int64_t)PRODUCERS_MAX; id++) {
        struct odk_batch batch = batch_of(id, 0, 0, 1);
        batch.attributes = ODK_BATCH_TRANSACTIONAL;
        apply(&producers, batch, id);
    }
    assert_int_equal(check(&producers, batch_of(900000, 0, 0, 1)), ODK_ERR_LIMIT);
    apply(&producers, batch_of(900000, 0, 0, 1), 900000); /* a log of another broker may hold it */
    assert_int_equal(producers_count(&producers), PRODUCERS_MAX);
    producers_deinit(&producers);
}

static void kafkas_snapshot_is_read_and_written(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    assert_int_equal(producers_load(&producers, VIEW(golden_snapshot)), ODK_OK);
    assert_int_equal(producers_count(&producers), 3);
    const struct producer *producer = producers_find(&producers, 4711);
    assert_int_equal(producer->epoch, 3);
    assert_int_equal(producer_last_sequence(producer), 41);
    assert_int_equal(producer->txn_first_offset, -1);
    struct odk_batch again = batch_of(4711, 3, 32, 10);
    again.max_timestamp = 1700000000000;
    assert_duplicate(&producers, again, 90);
    assert_int_equal(producers_find(&producers, 12)->txn_first_offset, 60);
    assert_int_equal(producers_find(&producers, 77)->batch_count, 0);
    assert_int_equal(check(&producers, batch_of(77, 5, 1, 1)), ODK_ERR_SEQUENCE);
    assert_int_equal(check(&producers, batch_of(77, 5, 0, 1)), ODK_OK);
    uint8_t *data;
    size_t len;
    producers_save(&producers, &data, &len);
    assert_int_equal(len, sizeof(golden_snapshot));
    assert_memory_equal(data, golden_snapshot, len);
    free(data);
    producers_deinit(&producers);
}

static void a_snapshot_keeps_the_batch_at_offset_0(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    struct producers loaded = { 0 };
    uint8_t *data;
    size_t len;
    apply(&producers, batch_of(5, 0, 0, 1), 0);
    producers_save(&producers, &data, &len);
    assert_int_equal(producers_load(&loaded, (struct odk_bytes){ data, len }), ODK_OK);
    assert_duplicate(&loaded, batch_of(5, 0, 0, 1), 0);
    free(data);
    producers_deinit(&producers);
    producers_deinit(&loaded);
}

static void a_snapshot_keeps_five_batches(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    struct producers loaded = { 0 };
    uint8_t *data;
    size_t len;
    for (int32_t i = 0; i < 7; i++) {
        apply(&producers, batch_of(5, 2, 3 * i, 3), 10 * i);
        apply(&producers, batch_of(6, 0, i, 1), 10 * i + 3);
    }
    struct odk_batch marker = batch_of(6, 0, -1, 1);
    marker.attributes = ODK_BATCH_TRANSACTIONAL | ODK_BATCH_CONTROL;
    marker.max_timestamp = 1234;
    (void)producers_apply_marker(&producers, &marker, 9);
    producers_save(&producers, &data, &len);
    assert_int_equal(len, 10 + 11 * 46); /* 6's last batch stands twice: the marker has another time */
    assert_int_equal(producers_load(&loaded, (struct odk_bytes){ data, len }), ODK_OK);
    assert_int_equal(check(&loaded, batch_of(5, 2, 3, 3)), ODK_ERR_SEQUENCE);
    for (int32_t i = 2; i < 7; i++) {
        assert_duplicate(&loaded, batch_of(5, 2, 3 * i, 3), 10 * i);
        assert_duplicate(&loaded, batch_of(6, 0, i, 1), 10 * i + 3);
    }
    assert_int_equal(check(&loaded, batch_of(5, 2, 21, 3)), ODK_OK);
    assert_int_equal(producers_find(&loaded, 6)->last_timestamp, 1234);
    assert_int_equal(producers_find(&loaded, 6)->coordinator_epoch, 9);
    free(data);
    producers_deinit(&producers);
    producers_deinit(&loaded);
}

static void an_empty_snapshot_is_empty(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    uint8_t *data;
    size_t len;
    producers_save(&producers, &data, &len);
    assert_int_equal(len, 10);
    apply(&producers, batch_of(5, 0, 0, 1), 0);
    assert_int_equal(producers_load(&producers, (struct odk_bytes){ data, len }), ODK_OK);
    assert_null(producers.table);
    free(data);
}

static enum odk_err load_spoilt(struct producers *producers, size_t pos, uint8_t value, bool sealed)
{
    uint8_t *data = copy_of(VIEW(golden_snapshot));
    data[pos] = value;
    if (sealed) {
        uint32_t crc = __builtin_bswap32(crc32c(0, data + 6, sizeof(golden_snapshot) - 6));
        memcpy(data + 2, &crc, 4);
    }
    enum odk_err err = producers_load(producers, (struct odk_bytes){ data, sizeof(golden_snapshot) });
    free(data);
    return err;
}

static void bad_snapshots_change_nothing(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    apply(&producers, batch_of(5, 0, 0, 1), 0);
    for (size_t len = 0; len < sizeof(golden_snapshot); len++) {
        uint8_t *cut = copy_of((struct odk_bytes){ golden_snapshot, len });
        assert_int_equal(producers_load(&producers, (struct odk_bytes){ cut, len }), ODK_ERR_CORRUPT);
        free(cut);
    }
    assert_int_equal(load_spoilt(&producers, 1, 2, true), ODK_ERR_VERSION);
    assert_int_equal(load_spoilt(&producers, 30, 1, false), ODK_ERR_CORRUPT);
    assert_int_equal(load_spoilt(&producers, 9, 4, true), ODK_ERR_CORRUPT);     /* count */
    assert_int_equal(load_spoilt(&producers, 6, 0x80, true), ODK_ERR_CORRUPT);  /* count */
    assert_int_equal(load_spoilt(&producers, 10, 0x80, true), ODK_ERR_CORRUPT); /* producer id */
    assert_int_equal(load_spoilt(&producers, 20, 0x80, true), ODK_ERR_CORRUPT); /* sequence */
    assert_int_equal(load_spoilt(&producers, 32, 0x80, true), ODK_ERR_CORRUPT); /* offset delta */
    assert_int_equal(load_spoilt(&producers, 32, 0x01, true), ODK_ERR_CORRUPT); /* delta above the offset */
    assert_int_equal(producers_count(&producers), 1);
    assert_non_null(producers_find(&producers, 5));
    producers_deinit(&producers);
}

static void batches_that_do_not_rise_are_corrupt(void **state)
{
    (void)state;
    struct producers producers = { 0 };
    uint8_t *data = copy_of(VIEW(golden_snapshot));
    memcpy(data + 56, data + 10, 8); /* the second has the first one's id */
    uint32_t crc = __builtin_bswap32(crc32c(0, data + 6, sizeof(golden_snapshot) - 6));
    memcpy(data + 2, &crc, 4);
    assert_int_equal(producers_load(&producers, (struct odk_bytes){ data, sizeof(golden_snapshot) }), ODK_ERR_CORRUPT);
    assert_null(producers.table);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_without_producers_holds_nothing),
        cmocka_unit_test(an_unknown_producer_may_start_anywhere),
        cmocka_unit_test(what_was_sent_behind_a_refused_first_batch_waits_for_it),
        cmocka_unit_test(sequences_follow_without_a_gap),
        cmocka_unit_test(the_last_five_batches_are_recognised),
        cmocka_unit_test(sequences_wrap),
        cmocka_unit_test(epochs_fence),
        cmocka_unit_test(coordinators_do_not_count),
        cmocka_unit_test(stored_transactions_open_and_end),
        cmocka_unit_test(unreadable_markers_are_noticed),
        cmocka_unit_test(silent_producers_expire),
        cmocka_unit_test(timestamps_from_nowhere_do_not_overflow),
        cmocka_unit_test(the_longest_silent_makes_room),
        cmocka_unit_test(too_many_transactions_are_refused),
        cmocka_unit_test(kafkas_snapshot_is_read_and_written),
        cmocka_unit_test(a_snapshot_keeps_the_batch_at_offset_0),
        cmocka_unit_test(a_snapshot_keeps_five_batches),
        cmocka_unit_test(an_empty_snapshot_is_empty),
        cmocka_unit_test(bad_snapshots_change_nothing),
        cmocka_unit_test(batches_that_do_not_rise_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
