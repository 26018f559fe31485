/* No space for segments, while the journal still has some. */
#include "drive.h"

#include <errno.h>

#define HANDLES_MAX 256

/* Between the store and its io: writes to segments end with ENOSPC, at the next run() unless they are held back. */
static struct {
    const struct odk_io_ops *real;
    struct odk_io_ops ops;
    bool full;
    bool hold;
    bool is_segment[HANDLES_MAX];
    struct odk_io_op *refused[16];
    uint32_t refused_count;
} shortage;

static int32_t shortage_open(struct odk_io *io, const char *path, uint32_t flags)
{
    int32_t handle = shortage.real->open(io, path, flags);
    size_t len = strlen(path);
    assert_true(handle < HANDLES_MAX);
    if (handle >= 0)
        shortage.is_segment[handle] = len > 4 && strcmp(path + len - 4, ".log") == 0;
    return handle;
}

static void shortage_writev(struct odk_io *io, struct odk_io_op *op, int32_t file, const struct iovec *iov,
                            uint32_t count, uint64_t pos)
{
    if (!shortage.full || !shortage.is_segment[file]) {
        shortage.real->writev(io, op, file, iov, count, pos);
        return;
    }
    assert_true(shortage.refused_count < countof(shortage.refused));
    shortage.refused[shortage.refused_count++] = op;
}

static void shortage_run(struct odk_io *io, uint64_t until_ns)
{
    uint32_t count = shortage.hold ? 0 : shortage.refused_count;
    if (count > 0)
        shortage.refused_count = 0;
    for (uint32_t i = 0; i < count; i++)
        shortage.refused[i]->done(shortage.refused[i], -ENOSPC);
    shortage.real->run(io, count > 0 ? 0 : until_ns);
}

static void shortage_init(struct drive *d)
{
    memset(&shortage, 0, sizeof(shortage));
    drive_init(d);
    d->options.quiet_ms = 10;
    shortage.real = d->io->ops;
    shortage.ops = *d->io->ops;
    shortage.ops.open = shortage_open;
    shortage.ops.writev = shortage_writev;
    shortage.ops.run = shortage_run;
    d->io->ops = &shortage.ops;
}

static enum odk_err put(struct drive *d, struct odk_log *log, bool urgent)
{
    struct drive_append a = { .append.done = drive_on_append, .append.urgent = urgent };
    uint8_t *data;
    drive_batch(&data, &a.append.len, 1, 100, 7, 1000);
    a.append.batch = data;
    odk_log_append(log, &a.append);
    DRIVE_UNTIL(d, a.ready);
    free(data);
    return a.err;
}

static void what_makes_room_is_taken(void **state)
{
    (void)state;
    struct drive d;
    shortage_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    shortage.full = true;
    assert_int_equal(put(&d, log, false), ODK_OK);
    DRIVE_UNTIL(&d, odk_log_state(log) == ODK_ERR_FULL);
    assert_int_equal(put(&d, log, false), ODK_ERR_FULL);
    assert_int_equal(put(&d, log, true), ODK_OK);
    assert_int_equal(odk_log_end_offset(log), 2);
    struct odk_log *other = drive_log(&d, "payments-0", 2, 0);
    struct drive_result deleted = { 0 };
    odk_log_delete(log, drive_on_result, &deleted);
    DRIVE_UNTIL(&d, deleted.ready);
    shortage.full = false;
    DRIVE_UNTIL(&d, odk_log_state(other) == ODK_OK);
    assert_int_equal(put(&d, other, false), ODK_OK);
    drive_stop(&d);
    drive_deinit(&d);
}

static enum odk_err put_sequence(struct drive *d, struct odk_log *log, int32_t sequence)
{
    struct odk_record_new record = { .timestamp = 1, .value = { (const uint8_t *)"v", 1 } };
    struct odk_batch_new batch = {
        .producer_id = 9, .producer_epoch = 0, .base_sequence = sequence, .records = &record, .record_count = 1
    };
    struct drive_append a = { .append.done = drive_on_append };
    assert_int_equal(odk_batch_build(&batch, &a.append.batch, &a.append.len), ODK_OK);
    uint8_t *bytes = a.append.batch;
    odk_log_append(log, &a.append);
    DRIVE_UNTIL(d, a.ready);
    free(bytes);
    return a.err;
}

/* The first batch of a producer finds no space, and its next ones are on their way already. */
static void batches_do_not_overtake_one_that_found_no_space(void **state)
{
    (void)state;
    struct drive d;
    shortage_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    shortage.full = true;
    assert_int_equal(put(&d, log, false), ODK_OK);
    DRIVE_UNTIL(&d, odk_log_state(log) == ODK_ERR_FULL);
    assert_int_equal(put_sequence(&d, log, 0), ODK_ERR_FULL);
    shortage.full = false;
    DRIVE_UNTIL(&d, odk_log_state(log) == ODK_OK);
    assert_int_equal(put_sequence(&d, log, 1), ODK_ERR_SEQUENCE);
    assert_int_equal(put_sequence(&d, log, 0), ODK_OK);
    assert_int_equal(put_sequence(&d, log, 1), ODK_OK);
    drive_stop(&d);
    drive_deinit(&d);
}

static void a_refused_spill_of_a_deleted_log_is_not_tried_again(void **state)
{
    (void)state;
    struct drive d;
    shortage_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    struct odk_log *other = drive_log(&d, "payments-0", 2, 0);
    shortage.full = shortage.hold = true;
    assert_int_equal(put(&d, log, false), ODK_OK);
    DRIVE_UNTIL(&d, shortage.refused_count > 0);
    struct drive_result deleted = { 0 };
    odk_log_delete(log, drive_on_result, &deleted);
    for (int i = 0; i < 10; i++)
        drive_turn(&d, 10);
    assert_false(deleted.ready);
    shortage.full = shortage.hold = false;
    DRIVE_UNTIL(&d, deleted.ready);
    DRIVE_UNTIL(&d, odk_log_state(other) == ODK_OK);
    assert_int_equal(put(&d, other, false), ODK_OK);
    drive_stop(&d);
    assert_int_equal(d.error_count, 0);
    drive_deinit(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_room_is_taken),
        cmocka_unit_test(batches_do_not_overtake_one_that_found_no_space),
        cmocka_unit_test(a_refused_spill_of_a_deleted_log_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
