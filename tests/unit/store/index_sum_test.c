/*
 * Index files across restarts.
 *
 * Goal: what a power cut makes of the unsynced index files is noticed, searches by time stay right, what was rebuilt is
 * written, and after a clean stop nothing is rebuilt.
 */
#include "drive.h"
#include "store/index_sum.h"

#define BATCHES 40

struct lines {
    struct drive drive;
    uint32_t rebuilds;
};

static void on_line(void *context, enum odk_diag_level level, const char *line)
{
    struct lines *lines = context;
    (void)level;
    lines->rebuilds += strstr(line, "rebuilt") != NULL;
}

static void lines_init(struct lines *lines)
{
    drive_init(&lines->drive);
    lines->rebuilds = 0;
    lines->drive.diag.write = on_line;
    lines->drive.diag.context = lines;
}

struct search {
    struct odk_find_time find;
    struct drive_result result;
};

static void on_found(struct odk_find_time *find, enum odk_err err)
{
    drive_on_result(&container_of(find, struct search, find)->result, err);
}

static int64_t offset_at(struct drive *d, struct odk_log *log, int64_t timestamp)
{
    struct search search = { .find = { .timestamp = timestamp, .done = on_found } };
    enum odk_err err = odk_log_find_time(log, &search.find);
    if (err == ODK_ERR_PENDING) {
        DRIVE_UNTIL(d, search.result.ready);
        err = search.result.err;
    }
    assert_int_equal(err, ODK_OK);
    return search.find.ret_offset;
}

/* drive_put stamps batch i with 1000 + i. */
static void check_times(struct lines *lines, int32_t segment_bytes, uint32_t rebuilds)
{
    struct odk_log *log = drive_log(&lines->drive, "t-0", 1, segment_bytes);
    lines->rebuilds = 0;
    for (int64_t i = 0; i < BATCHES; i++)
        assert_int_equal(offset_at(&lines->drive, log, 1000 + i), i);
    assert_int_equal(offset_at(&lines->drive, log, 1000 + BATCHES), -1);
    assert_int_equal(lines->rebuilds, rebuilds);
}

static void fill(struct lines *lines, size_t value_len, int32_t segment_bytes)
{
    struct odk_log *log = drive_log(&lines->drive, "t-0", 1, segment_bytes);
    for (uint64_t i = 0; i < BATCHES; i++)
        (void)drive_put(&lines->drive, log, 1, value_len, i);
}

/* Runs a shell command in the log's folder. */
static void in_folder(struct lines *lines, const char *command)
{
    char text[1024];
    (void)snprintf(text, sizeof(text), "cd '%s/t-0' && %s", lines->drive.dir, command);
    assert_int_equal(system(text), 0);
}

static void restart_cleanly(struct lines *lines)
{
    drive_stop(&lines->drive);
    drive_start(&lines->drive);
}

static void nothing_is_rebuilt_after_a_clean_stop(void **state)
{
    (void)state;
    static const size_t value_lens[] = { 100, 3000, 200000 }; /* no entry at all, some, a segment per batch */
    for (size_t i = 0; i < countof(value_lens); i++) {
        struct lines lines;
        lines_init(&lines);
        drive_start(&lines.drive);
        fill(&lines, value_lens[i], 30000 + (int32_t)value_lens[i]);
        for (int life = 0; life < 2; life++) {
            restart_cleanly(&lines);
            check_times(&lines, 30000 + (int32_t)value_lens[i], 0);
        }
        drive_stop(&lines.drive);
        drive_deinit(&lines.drive);
    }
}

static void damaged_indexes_are_rebuilt_once(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "for f in *.timeindex; do : >$f; done", "for f in *.index; do : >$f; done",
        "for f in *.timeindex; do truncate -s 12 $f; done", "rm *.indexsum", "rm *.index",
        "for f in *.timeindex; do printf '\\001' | dd of=$f bs=1 seek=7 conv=notrunc status=none; done",
    };
    for (size_t i = 0; i < countof(damages); i++) {
        struct lines lines;
        lines_init(&lines);
        drive_start(&lines.drive);
        fill(&lines, 3000, 60000);
        drive_stop(&lines.drive);
        in_folder(&lines, damages[i]);
        drive_start(&lines.drive);
        check_times(&lines, 60000, 2); /* of three segments one is active, and read as it is opened */
        restart_cleanly(&lines);
        check_times(&lines, 60000, 0);
        drive_stop(&lines.drive);
        drive_deinit(&lines.drive);
    }
}

static void a_sum_proves_only_what_it_saw(void **state)
{
    (void)state;
    uint8_t offsets[] = "12345678abcdefgh", times[] = "123456789012", content[INDEX_SUM_BYTES];
    struct odk_bytes file = { .data = content, .len = sizeof(content) };
    struct index_sum sum = { .whole = true, .log_bytes = 77, .offsets = { offsets, 8 }, .times = { times, 12 } };
    struct index_sum back;
    index_sum_print(&sum, content);
    assert_int_equal(index_sum_check(file, (struct odk_bytes){ offsets, 16 }, sum.times, &back), ODK_OK);
    assert_true(back.whole);
    assert_int_equal(back.log_bytes, 77);
    assert_int_equal(back.offsets.len, 8); /* the rest came later */
    assert_int_equal(back.times.len, 12);
    assert_int_equal(index_sum_check(file, (struct odk_bytes){ offsets, 0 }, sum.times, &back), ODK_ERR_CORRUPT);
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] ^= 1;
        assert_int_equal(index_sum_check(file, sum.offsets, sum.times, &back), ODK_ERR_CORRUPT);
        content[i] ^= 1;
        assert_int_equal(index_sum_check((struct odk_bytes){ content, i }, sum.offsets, sum.times, &back),
                         ODK_ERR_CORRUPT);
    }
    times[3]++;
    assert_int_equal(index_sum_check(file, sum.offsets, sum.times, &back), ODK_ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_rebuilt_after_a_clean_stop),
        cmocka_unit_test(damaged_indexes_are_rebuilt_once),
        cmocka_unit_test(a_sum_proves_only_what_it_saw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
