/*
 * Producers across restarts.
 *
 * Goal: a client that had five requests in flight when the broker stopped, in whatever way, retries all five and is told
 * the original offsets; one further back is out of sequence.
 */
#include "drive.h"

#define PRODUCER 4711
#define BATCHES  8
#define RECORDS  3

static enum odk_err put_idempotent(struct drive *d, struct odk_log *log, int32_t no, struct odk_append *ret)
{
    struct odk_record_new records[RECORDS] = { { .timestamp = 1000 + no }, { .timestamp = 1000 + no },
                                               { .timestamp = 1000 + no } };
    struct odk_batch_new batch = { .producer_id = PRODUCER, .producer_epoch = 1, .base_sequence = no * RECORDS,
                                   .records = records, .record_count = RECORDS };
    struct drive_append a = { .append.done = drive_on_append };
    uint8_t *data;
    assert_int_equal(odk_batch_build(&batch, &data, &a.append.len), ODK_OK);
    a.append.batch = data;
    odk_log_append(log, &a.append);
    DRIVE_UNTIL(d, a.ready);
    free(data);
    *ret = a.append;
    return a.err;
}

/* Batches with others between them. */
static void fill(struct drive *d, struct odk_log *log, int64_t *offsets)
{
    for (int32_t i = 0; i < BATCHES; i++) {
        struct odk_append append;
        assert_int_equal(put_idempotent(d, log, i, &append), ODK_OK);
        assert_false(append.duplicate);
        offsets[i] = append.base_offset;
        (void)drive_put(d, log, 1, 400, (uint64_t)i);
    }
}

static void check_retries(struct drive *d, int32_t segment_bytes, const int64_t *offsets)
{
    struct odk_log *log = drive_log(d, "t-0", 1, segment_bytes);
    struct odk_append append;
    assert_int_equal(put_idempotent(d, log, BATCHES - 6, &append), ODK_ERR_SEQUENCE);
    for (int32_t i = BATCHES - 5; i < BATCHES; i++) {
        assert_int_equal(put_idempotent(d, log, i, &append), ODK_OK);
        assert_true(append.duplicate);
        assert_int_equal(append.base_offset, offsets[i]);
    }
}

static void after(bool clean, bool checkpointed, int32_t segment_bytes)
{
    struct drive d;
    int64_t offsets[BATCHES];
    drive_init(&d);
    d.options.checkpoint_ms = checkpointed ? 1 : 3600 * 1000;
    drive_start(&d);
    fill(&d, drive_log(&d, "t-0", 1, segment_bytes), offsets);
    for (int i = 0; i < 100 && checkpointed; i++)
        drive_turn(&d, 1);
    for (int life = 0; life < 2; life++) {
        if (clean)
            drive_stop(&d);
        else
            drive_crash(&d);
        drive_start(&d);
        check_retries(&d, segment_bytes, offsets);
    }
    struct odk_log *log = drive_log(&d, "u-0", 2, segment_bytes);
    assert_int_equal(odk_log_end_offset(log), 0);
    drive_stop(&d);
    drive_deinit(&d);
}

static void after_a_clean_stop(void **state)
{
    (void)state;
    after(true, false, 1 << 20);
}

static void after_a_crash(void **state)
{
    (void)state;
    after(false, false, 1 << 20);
}

static void after_a_crash_behind_a_checkpoint(void **state)
{
    (void)state;
    after(false, true, 1 << 20);
}

/* Every segment holds one or two batches, so that the five lie in several. */
static void after_rolls(void **state)
{
    (void)state;
    after(true, false, 700);
    after(false, false, 700);
    after(false, true, 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_clean_stop),
        cmocka_unit_test(after_a_crash),
        cmocka_unit_test(after_a_crash_behind_a_checkpoint),
        cmocka_unit_test(after_rolls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
