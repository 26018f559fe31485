/* Start-up after damage: what is torn is dropped, what was durable and is gone is an error that alters nothing. */
#include "drive.h"

static void path_of(const struct drive *d, const char *name, char *dst, size_t len)
{
    (void)snprintf(dst, len, "%s/%s", d->dir, name);
}

/* Flips one bit of a file. */
static void flip(const struct drive *d, const char *name, long pos)
{
    char path[512];
    path_of(d, name, path, sizeof(path));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, pos, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_true(byte != EOF);
    assert_int_equal(fseek(file, pos, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 4, file), byte ^ 4);
    assert_int_equal(fclose(file), 0);
}

static void cut(const struct drive *d, const char *name, long size)
{
    char path[512];
    path_of(d, name, path, sizeof(path));
    assert_int_equal(truncate(path, size), 0);
}

static long size_of(const struct drive *d, const char *name)
{
    char path[512];
    path_of(d, name, path, sizeof(path));
    FILE *file = fopen(path, "rb");
    if (!file)
        return -1;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    (void)fclose(file);
    return size;
}

static struct odk_log *start_with(struct drive *d, int32_t batches)
{
    drive_init(d);
    drive_start(d);
    struct odk_log *log = drive_log(d, "t-0", 1, 0);
    for (int32_t i = 0; i < batches; i++)
        (void)drive_put(d, log, 1, 500, (uint64_t)i);
    return log;
}

#define WAL "journal/0-00000000.wal"
#define SEGMENT "t-0/00000000000000000000.log"

static void torn_last_block_is_dropped(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 5);
    drive_crash(&d);
    flip(&d, WAL, 4 * 4096 + 300);
    drive_start(&d);
    assert_int_equal(odk_log_end_offset(drive_log(&d, "t-0", 1, 0)), 4);
    drive_stop(&d);
    drive_deinit(&d);
}

static void damage_before_the_last_block_stops_the_start(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 5);
    drive_crash(&d);
    flip(&d, WAL, 2 * 4096 + 300);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT);
        assert_int_equal(size_of(&d, SEGMENT), -1);
    }
    flip(&d, WAL, 2 * 4096 + 300); /* nothing was altered: the repaired journal is whole */
    drive_start(&d);
    assert_int_equal(odk_log_end_offset(drive_log(&d, "t-0", 1, 0)), 5);
    drive_stop(&d);
    drive_deinit(&d);
}

static void missing_state_beside_a_journal_stops_the_start(void **state)
{
    (void)state;
    struct drive d;
    char path[512];
    (void)start_with(&d, 2);
    drive_crash(&d);
    path_of(&d, "odradek.state", path, sizeof(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT);
    drive_deinit(&d);
}

static void damaged_state_stops_the_start(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 2);
    drive_stop(&d);
    flip(&d, "odradek.state", 40);
    assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT);
    drive_deinit(&d);
}

static void segment_shorter_than_its_checkpoint_stops_the_start(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    d.options.quiet_ms = 1;
    d.options.checkpoint_ms = 1;
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "t-0", 1, 0);
    for (int32_t i = 0; i < 20; i++)
        (void)drive_put(&d, log, 1, 500, (uint64_t)i);
    struct odk_store_stats stats;
    do {
        drive_turn(&d, 2);
        odk_store_stats(d.store, &stats);
    } while (stats.journal_used_bytes > 0);
    (void)drive_put(&d, log, 1, 500, 1); /* this block says that the others are no longer needed */
    drive_crash(&d);
    cut(&d, SEGMENT, 3000);
    assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT);
    assert_int_equal(size_of(&d, SEGMENT), 3000);
    drive_deinit(&d);
}

static void damaged_segment_is_served_up_to_the_damage(void **state)
{
    (void)state;
    struct drive d;
    struct drive_read r;
    (void)start_with(&d, 10);
    drive_stop(&d);
    drive_start(&d); /* a new life voids the journal, which would repair it */
    drive_stop(&d);
    flip(&d, SEGMENT, 9 * (long)(size_of(&d, SEGMENT) / 10) + 200); /* behind the last index entry */
    char path[512];
    path_of(&d, ".odradek_cleanshutdown", path, sizeof(path));
    assert_int_equal(unlink(path), 0); /* so that the end is looked for */
    path_of(&d, ".odradek_known", path, sizeof(path));
    assert_int_equal(unlink(path), 0); /* and nobody says where it was */
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "t-0", 1, 0);
    assert_int_equal(odk_log_end_offset(log), 9);
    assert_int_equal(odk_log_state(log), ODK_ERR_CORRUPT);
    assert_int_equal(drive_get(&d, log, &r, 0, 1 << 20), ODK_OK);
    assert_int_equal(r.read.next_offset, 9);
    odk_log_read_release(log, &r.read);
    assert_true(size_of(&d, SEGMENT) > 0);
    drive_crash(&d);
    drive_deinit(&d);
}

static void second_process_is_kept_out(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 1);
    struct odk_boot_options options = { .dir = d.dir, .io = d.io, .node_id = 1 };
    struct odk_boot *other;
    assert_int_equal(odk_boot_open(&options, &other), ODK_ERR_BUSY);
    drive_stop(&d);
    drive_deinit(&d);
}

static void folder_of_another_id_is_refused(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 3);
    drive_stop(&d);
    drive_start(&d);
    struct odk_log_spec spec = { .name = ODK_STR("t-0"), .id = drive_id(9) };
    struct odk_log *log;
    assert_int_equal(odk_log_open(d.store, &spec, &log), ODK_ERR_EXISTS);
    drive_crash(&d);
    drive_deinit(&d);
}

/* A broker finishes an old topic's deletion before it opens the one that has its name by now. */
static void folder_of_another_id_is_not_taken_after_a_crash(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 3);
    drive_crash(&d);
    drive_start(&d);
    struct odk_log_spec older = { .name = ODK_STR("t-0"), .id = drive_id(9) };
    struct odk_log *log;
    assert_int_equal(odk_log_open(d.store, &older, &log), ODK_ERR_EXISTS);
    assert_int_equal(odk_log_end_offset(drive_log(&d, "t-0", 1, 0)), 3);
    drive_stop(&d);
    drive_deinit(&d);
}

static void lost_folder_is_noticed(void **state)
{
    (void)state;
    struct drive d;
    char from[512], to[512];
    (void)start_with(&d, 3);
    drive_stop(&d);
    path_of(&d, "t-0", from, sizeof(from));
    path_of(&d, "elsewhere", to, sizeof(to));
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT);
    drive_deinit(&d);
}

/* A log that is less than at a clean stop is refused, however many starts later, until it is whole. */
static void refused_at_every_start(struct drive *d, const char *name)
{
    for (int i = 0; i < 4; i++) {
        drive_start(d);
        if (i > 0) { /* at first nobody looks */
            struct odk_log *log = drive_log(d, name, 1, 0);
            uint64_t error_count = d->error_count;
            struct drive_read r;
            assert_int_equal(drive_get(d, log, &r, 0, 1 << 20), ODK_ERR_CORRUPT);
            assert_int_equal(odk_log_state(log), ODK_ERR_CORRUPT);
            assert_int_equal(odk_log_end_offset(log), -1);
            assert_true(d->error_count > error_count);
        }
        if (i == 1)
            drive_stop(d);
        else
            drive_crash(d);
    }
}

static void log_shorter_than_at_a_clean_stop_is_refused_for_good(void **state)
{
    (void)state;
    struct drive d;
    (void)start_with(&d, 10);
    drive_stop(&d);
    long size = size_of(&d, SEGMENT);
    cut(&d, SEGMENT, size / 2); /* between two batches */
    refused_at_every_start(&d, "t-0");
    assert_int_equal(size_of(&d, SEGMENT), size / 2);
    drive_deinit(&d);
}

static void missing_segment_is_refused_for_good(void **state)
{
    (void)state;
    struct drive d;
    char path[512];
    drive_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "t-0", 1, 1200);
    for (int32_t i = 0; i < 6; i++)
        (void)drive_put(&d, log, 1, 500, (uint64_t)i);
    drive_stop(&d);
    path_of(&d, "t-0/00000000000000000002.log", path, sizeof(path));
    assert_int_equal(unlink(path), 0);
    refused_at_every_start(&d, "t-0");
    drive_deinit(&d);
}

/* What was trimmed and still there at the stop is removed in the next life: nothing is missing then. */
static void segments_trimmed_before_a_clean_stop_may_go_after_it(void **state)
{
    (void)state;
    struct drive d;
    drive_init(&d);
    drive_start(&d);
    struct odk_log *log = drive_log(&d, "t-0", 1, 1200);
    for (int32_t i = 0; i < 100; i++)
        (void)drive_put(&d, log, 1, 500, (uint64_t)i);
    struct drive_result trimmed = { 0 };
    odk_log_trim(log, 99, drive_on_result, &trimmed);
    DRIVE_UNTIL(&d, trimmed.ready);
    drive_stop(&d);
    assert_true(size_of(&d, "t-0/00000000000000000096.log") > 0); /* a stop does not wait for removals */
    drive_start(&d);
    log = drive_log(&d, "t-0", 1, 1200);
    assert_int_equal(drive_put(&d, log, 1, 500, 100), 100);
    DRIVE_UNTIL(&d, size_of(&d, "t-0/00000000000000000096.log") < 0);
    drive_crash(&d);
    drive_start(&d);
    log = drive_log(&d, "t-0", 1, 1200);
    assert_int_equal(odk_log_end_offset(log), 101);
    assert_int_equal(odk_log_state(log), ODK_OK);
    drive_stop(&d);
    drive_deinit(&d);
}

/* Small batches of many logs by turns, between them one that is larger than all the memory. */
static void redo_needs_little_memory_and_few_files(void **state)
{
    (void)state;
    enum { LOGS = 7, ROUNDS = 60 };
    static const char *const names[LOGS] = { "a-0", "b-0", "c-0", "d-0", "e-0", "f-0", "g-0" };
    struct drive d;
    struct odk_log *logs[LOGS];
    drive_init(&d);
    drive_start(&d);
    for (uint8_t i = 0; i < LOGS; i++)
        logs[i] = drive_log(&d, names[i], (uint8_t)(i + 1), 20000);
    for (uint64_t n = 0; n < (uint64_t)LOGS * ROUNDS; n++)
        (void)drive_put(&d, logs[n % LOGS], 1, n % 97 == 5 ? 15000 : 50 + n % 400, n);
    drive_crash(&d);
    d.redo_bytes_max = 10000;
    d.redo_files_max = 2;
    drive_start(&d);
    for (uint8_t i = 0; i < LOGS; i++) {
        size_t len;
        logs[i] = drive_log(&d, names[i], (uint8_t)(i + 1), 20000);
        uint8_t *all = drive_read_all(&d, logs[i], 0, 1 << 20, &len);
        assert_int_equal(drive_check(all, len, 0), ROUNDS);
        free(all);
    }
    drive_stop(&d);
    drive_deinit(&d);
}

static void batch_in_many_pieces_is_read_whole(void **state)
{
    (void)state;
    struct drive d;
    struct drive_read r;
    drive_init(&d);
    drive_start(&d);
    struct odk_log *a = drive_log(&d, "a-0", 1, 0), *b = drive_log(&d, "b-0", 2, 0);
    for (int i = 0; i < 200; i++) { /* alternately, so that chunks are no neighbours */
        (void)drive_put(&d, a, 1, 16000, (uint64_t)i);
        (void)drive_put(&d, b, 1, 16000, (uint64_t)i);
    }
    int64_t large = drive_put(&d, a, 1, 3000000, 7);
    assert_int_equal(drive_get(&d, a, &r, large, 1), ODK_OK);
    assert_true(r.read.bytes > 3000000);
    assert_int_equal(r.read.next_offset, large + 1);
    odk_log_read_release(a, &r.read);
    size_t len;
    uint8_t *all = drive_read_all(&d, a, 0, 1 << 22, &len);
    assert_int_equal(drive_check(all, len, 0), large + 1);
    free(all);
    drive_crash(&d);
    drive_start(&d);
    a = drive_log(&d, "a-0", 1, 0);
    all = drive_read_all(&d, a, 0, 1 << 22, &len);
    assert_int_equal(drive_check(all, len, 0), large + 1);
    free(all);
    drive_stop(&d);
    drive_deinit(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_last_block_is_dropped),
        cmocka_unit_test(damage_before_the_last_block_stops_the_start),
        cmocka_unit_test(missing_state_beside_a_journal_stops_the_start),
        cmocka_unit_test(damaged_state_stops_the_start),
        cmocka_unit_test(segment_shorter_than_its_checkpoint_stops_the_start),
        cmocka_unit_test(damaged_segment_is_served_up_to_the_damage),
        cmocka_unit_test(second_process_is_kept_out),
        cmocka_unit_test(folder_of_another_id_is_refused),
        cmocka_unit_test(folder_of_another_id_is_not_taken_after_a_crash),
        cmocka_unit_test(lost_folder_is_noticed),
        cmocka_unit_test(log_shorter_than_at_a_clean_stop_is_refused_for_good),
        cmocka_unit_test(missing_segment_is_refused_for_good),
        cmocka_unit_test(segments_trimmed_before_a_clean_stop_may_go_after_it),
        cmocka_unit_test(redo_needs_little_memory_and_few_files),
        cmocka_unit_test(batch_in_many_pieces_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
