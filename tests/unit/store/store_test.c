/* The engine as a whole over real files: append, read, restart, crash. */
#include "drive.h"

static void fill(struct drive *d, struct odk_log *log, int32_t from, int32_t to, size_t len)
{
    for (int32_t i = from; i < to; i++)
        (void)drive_put(d, log, 1 + i % 3, len, (uint64_t)i);
}

static void check_all(struct drive *d, struct odk_log *log, int64_t from, uint32_t step)
{
    size_t len;
    uint8_t *data = drive_read_all(d, log, from, step, &len);
    assert_int_equal(drive_check(data, len, from), odk_log_end_offset(log));
    free(data);
}

static void reads_what_was_appended(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    assert_int_equal(odk_log_end_offset(log), 0);
    assert_int_equal(drive_put(&d, log, 3, 100, 1), 0);
    assert_int_equal(drive_put(&d, log, 2, 100, 2), 3);
    assert_int_equal(odk_log_end_offset(log), 5);
    check_all(&d, log, 0, 1 << 20);
    check_all(&d, log, 0, 1);
    drive_stop(&d);
    drive_deinit(&d);
}

static void survives_a_crash(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    fill(&d, log, 0, 50, 700);
    int64_t end = odk_log_end_offset(log);
    drive_crash(&d);
    for (int i = 0; i < 3; i++) {
        drive_start(&d);
        struct odk_boot_info info;
        odk_boot_info(d.boot, &info);
        assert_false(info.clean);
        log = drive_log(&d, "orders-0", 1, 0);
        assert_int_equal(odk_log_end_offset(log), end);
        check_all(&d, log, 0, 10000);
        fill(&d, log, 0, 7, 300);
        end = odk_log_end_offset(log);
        check_all(&d, log, 0, 5000);
        drive_crash(&d);
    }
    drive_deinit(&d);
}

static void check_epoch_end(struct odk_log *log, int32_t epoch, int32_t want_epoch, int64_t want_end)
{
    int32_t got;
    int64_t end;
    odk_log_epoch_end(log, epoch, &got, &end);
    assert_int_equal(got, want_epoch);
    assert_int_equal(end, want_end);
}

/* A reader names the epoch that Metadata told it, also when nothing was written under it yet. */
static void the_newest_epoch_is_known_before_it_has_a_record(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "orders-0", 1, 0);
    int32_t first = odk_log_epoch(log);
    check_epoch_end(log, first, first, 0);
    check_epoch_end(log, first + 1, -1, -1);
    check_epoch_end(log, -1, -1, -1);
    fill(&d, log, 0, 7, 300);
    int64_t end = odk_log_end_offset(log);
    for (int i = 0; i < 2; i++) { /* starts that are not clean */
        drive_crash(&d);
        drive_start(&d);
        log = drive_log(&d, "orders-0", 1, 0);
    }
    int32_t newest = odk_log_epoch(log);
    assert_int_equal(newest, first + 2);
    check_epoch_end(log, first, first, end);
    check_epoch_end(log, first + 1, first, end);
    check_epoch_end(log, newest, newest, end);
    check_epoch_end(log, newest + 1, -1, -1);
    fill(&d, log, 0, 3, 300);
    check_epoch_end(log, first + 1, first, end);
    check_epoch_end(log, newest, newest, odk_log_end_offset(log));
    drive_stop(&d);
    drive_deinit(&d);
}

static void survives_a_clean_stop(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    int64_t end = 0;
    for (int i = 0; i < 4; i++) {
        drive_start(&d);
        struct odk_boot_info info;
        odk_boot_info(d.boot, &info);
        assert_true(info.clean);
        struct odk_log *log = drive_log(&d, "orders-0", 1, 20000);
        assert_int_equal(odk_log_end_offset(log), end);
        fill(&d, log, 0, 60, 1000);
        end = odk_log_end_offset(log);
        check_all(&d, log, 0, 7777);
        drive_stop(&d);
    }
    drive_deinit(&d);
}

static void journal_wraps_and_checkpoints(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    d.options.journal_file_bytes = 64 << 10;
    d.options.journal_bytes_max = 256 << 10;
    d.options.spill_bytes = 16 << 10;
    d.options.tail_bytes_max = 1 << 20;
    drive_start(&d);
    struct odk_log *logs[5];
    char name[32];
    for (uint8_t i = 0; i < countof(logs); i++) {
        (void)snprintf(name, sizeof(name), "t-%u", i);
        logs[i] = drive_log(&d, name, i + 1, 40000);
    }
    for (int32_t i = 0; i < 1000; i++)
        (void)drive_put(&d, logs[i % 5], 1 + i % 4, 100 + (size_t)(i % 13) * 150, (uint64_t)i);
    int64_t ends[5];
    for (size_t i = 0; i < countof(logs); i++) {
        check_all(&d, logs[i], 0, 30000);
        ends[i] = odk_log_end_offset(logs[i]);
    }
    drive_crash(&d);
    drive_start(&d);
    for (uint8_t i = 0; i < countof(logs); i++) {
        (void)snprintf(name, sizeof(name), "t-%u", i);
        logs[i] = drive_log(&d, name, i + 1, 40000);
        assert_int_equal(odk_log_end_offset(logs[i]), ends[i]);
        check_all(&d, logs[i], 0, 9000);
    }
    drive_stop(&d);
    assert_int_equal(d.error_count, 0);
    drive_deinit(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_appended),
        cmocka_unit_test(survives_a_crash),
        cmocka_unit_test(the_newest_epoch_is_known_before_it_has_a_record),
        cmocka_unit_test(survives_a_clean_stop),
        cmocka_unit_test(journal_wraps_and_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
