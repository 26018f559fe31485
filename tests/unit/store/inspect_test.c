/*
 * A data directory from outside.
 *
 * Goal: what is seen through <odradek/inspect.h> is what the store wrote, in its own directories (running, stopped, killed)
 * and in Kafka's, and what cannot be is named.
 */
#include "drive.h"
#include "golden_kafka.h"
#include "inspect_kit.h"

#define SEGMENT_BYTES 12000
#define BATCHES       130

static void written(struct drive *d)
{
    drive_init(d);
    d->options.quiet_ms = 1;
    drive_start(d);
    struct odk_log *log = drive_log(d, "t-0", 1, SEGMENT_BYTES);
    for (int32_t i = 0; i < BATCHES; i++)
        assert_int_equal(drive_put(d, log, 1, 500, (uint64_t)i), i); /* at time 1000 + i */
}

static void check_content(struct look *look, int64_t end)
{
    struct odk_part_end found;
    struct odk_batch_at batch;
    int64_t offset, timestamp;
    odk_part_find_end(look->part, &found);
    assert_int_equal(found.err, ODK_OK);
    assert_int_equal(found.offset, end);
    assert_int_equal(found.max_timestamp, 1000 + end - 1);
    for (int64_t i = 0; i < end; i++) {
        struct odk_reader *reader = odk_reader_new(look->part);
        odk_reader_seek(reader, i);
        assert_int_equal(odk_reader_next(reader, &batch), ODK_OK);
        assert_int_equal(batch.header.base_offset, i);
        assert_int_equal(odk_batch_check_crc(batch.bytes), ODK_OK);
        odk_reader_free(reader);
        assert_int_equal(odk_part_find_time(look->part, 1000 + i, &offset, &timestamp), ODK_OK);
        assert_int_equal(offset, i);
        assert_int_equal(timestamp, 1000 + i);
    }
    assert_int_equal(odk_part_find_time(look->part, 1000 + end, &offset, &timestamp), ODK_ERR_NOT_FOUND);
    assert_int_equal(odk_part_find_time(look->part, INT64_MIN, &offset, &timestamp), ODK_OK);
    assert_int_equal(offset, 0);
}

static void stopped_directory_shows_everything(void **state)
{
    (void)state;
    struct drive d;
    struct look look;
    struct odk_part_segment_info info;
    const struct odk_part_segment *segments;
    written(&d);
    drive_stop(&d);
    look_into(&look, d.dir, "t-0");
    assert_int_equal(odk_dir_info(look.dir)->kind, ODK_DIR_ODRADEK);
    assert_int_equal(odk_dir_info(look.dir)->owner, ODK_OWNER_NONE);
    assert_true(odk_dir_info(look.dir)->clean);
    assert_true(odk_uuid_eq(odk_part_topic_id(look.part), drive_id(1)));
    size_t count = odk_part_segments(look.part, &segments);
    assert_true(count > 5);
    for (size_t i = 0; i < count; i++) {
        odk_part_look(look.part, i, &info);
        assert_int_equal(info.err, ODK_OK);
        assert_int_equal(info.next, i + 1 < count ? segments[i + 1].base : BATCHES);
        assert_int_equal(info.first_timestamp, 1000 + info.base);
        assert_int_equal(info.max_timestamp, 1000 + info.next - 1);
        if (i + 1 < count) /* the active one has too little to be indexed */
            assert_int_equal(info.offset_index, ODK_INDEX_PROVEN);
        assert_int_equal(info.active, i + 1 == count);
    }
    check_content(&look, BATCHES);
    look_away(&look);
    drive_deinit(&d);
}

static void running_owner_is_seen_and_not_disturbed(void **state)
{
    (void)state;
    struct drive d;
    struct look look;
    written(&d);
    drive_settle(&d);
    for (int i = 0; i < 20; i++)
        drive_turn(&d, 5); /* quiet: everything is spilled */
    look_into(&look, d.dir, "t-0");
    assert_int_equal(odk_dir_info(look.dir)->owner, ODK_OWNER_RUNNING);
    assert_true(odk_dir_info(look.dir)->journal);
    check_content(&look, BATCHES);
    look_away(&look);
    assert_int_equal(drive_put(&d, drive_log(&d, "u-0", 2, 0), 1, 10, 1), 0);
    drive_crash(&d);
    look_into(&look, d.dir, "t-0");
    assert_int_equal(odk_dir_info(look.dir)->owner, ODK_OWNER_NONE);
    assert_false(odk_dir_info(look.dir)->clean);
    check_content(&look, BATCHES);
    look_away(&look);
    drive_start(&d); /* nobody holds the lock */
    drive_stop(&d);
    drive_deinit(&d);
}

static void indexes_are_not_needed(void **state)
{
    (void)state;
    struct drive d;
    struct look look;
    char command[640];
    written(&d);
    drive_stop(&d);
    (void)snprintf(command, sizeof(command), "rm %s/t-0/*index %s/t-0/*indexsum", d.dir, d.dir);
    assert_int_equal(system(command), 0);
    look_into(&look, d.dir, "t-0");
    check_content(&look, BATCHES);
    look_away(&look);
    drive_deinit(&d);
}

static void names_are_sorted_and_found(void **state)
{
    (void)state;
    static const char *const folders[] = { "b-10", "b-2", "a-b-0", "a-0", "x", "b-01", "c-3-delete", "b-0" };
    static const char *const expected[] = { "a-0", "a-b-0", "b-0", "b-2", "b-10" };
    struct look look;
    char dir[256];
    size_t first;
    place_make(dir);
    for (size_t i = 0; i < countof(folders); i++)
        place_folder(dir, folders[i]);
    look_into(&look, dir, NULL);
    assert_int_equal(odk_dir_info(look.dir)->kind, ODK_DIR_PLAIN);
    assert_int_equal(odk_dir_count(look.dir), countof(expected));
    for (size_t i = 0; i < countof(expected); i++)
        assert_string_equal(odk_dir_at(look.dir, i)->folder, expected[i]);
    assert_int_equal(odk_dir_find(look.dir, ODK_STR("b"), &first), 3);
    assert_int_equal(first, 2);
    assert_int_equal(odk_dir_find(look.dir, ODK_STR("bb"), &first), 0);
    look_away(&look);
    place_remove(dir);
}

static void foreign_directory_is_read(void **state)
{
    (void)state;
    struct look look;
    struct odk_part_end end;
    struct odk_part_segment_info info;
    char dir[256];
    int64_t offset, timestamp;
    place_make(dir);
    place_file(dir, "meta.properties", (struct odk_bytes){ 0 });
    place_folder(dir, "k-3");
    place_file(dir, "k-3/00000000000000001000.log", VIEW(golden_segment_log));
    place_file(dir, "k-3/00000000000000001000.index", VIEW(golden_segment_index));
    place_file(dir, "k-3/00000000000000001000.timeindex", VIEW(golden_segment_timeindex));
    static const char starts[] = "0\n2\nj 3 1\nk 3 1002\n";
    place_file(dir, "log-start-offset-checkpoint", (struct odk_bytes){ (const uint8_t *)starts, sizeof(starts) - 1 });
    look_into(&look, dir, "k-3");
    assert_int_equal(odk_dir_info(look.dir)->kind, ODK_DIR_KAFKA);
    assert_int_equal(odk_part_start(look.part), 1002);
    odk_part_find_end(look.part, &end);
    assert_int_equal(end.err, ODK_OK);
    odk_part_look(look.part, 0, &info);
    assert_int_equal(info.offset_index, ODK_INDEX_UNPROVEN);
    assert_int_equal(info.next, end.offset);
    assert_int_equal(odk_part_find_time(look.part, end.max_timestamp, &offset, &timestamp), ODK_OK);
    assert_int_equal(timestamp, end.max_timestamp);
    assert_true(offset >= 1002 && offset < end.offset);
    look_away(&look);
    place_remove(dir);
}

/* One folder whose only segment holds these bytes. */
static void expect_stop(struct odk_bytes log, bool kafka, bool another, enum odk_err expected, uint64_t position)
{
    struct look look;
    struct odk_batch_at batch;
    char dir[256];
    int64_t segment;
    uint64_t at;
    place_make(dir);
    if (kafka)
        place_file(dir, "meta.properties", (struct odk_bytes){ 0 });
    place_folder(dir, "k-0");
    place_file(dir, "k-0/00000000000000000000.log", log);
    if (another)
        place_file(dir, "k-0/00000000000000000900.log", (struct odk_bytes){ 0 });
    look_into(&look, dir, "k-0");
    struct odk_reader *reader = odk_reader_new(look.part);
    enum odk_err err;
    while ((err = odk_reader_next(reader, &batch)) == ODK_OK)
        ;
    assert_int_equal(err, expected);
    assert_int_equal(odk_reader_next(reader, &batch), expected);
    assert_non_null(odk_reader_why(reader, &segment, &at));
    if (expected != ODK_ERR_NOT_FOUND)
        assert_int_equal(at, position);
    odk_reader_free(reader);
    look_away(&look);
    place_remove(dir);
}

static void damage_stops_a_reader_where_it_is(void **state)
{
    (void)state;
    uint8_t *two = xcalloc(1, 2 * sizeof(golden_plain));
    memcpy(two, golden_plain, sizeof(golden_plain));
    memcpy(two + sizeof(golden_plain), golden_plain, sizeof(golden_plain));
    struct odk_bytes all = { two, 2 * sizeof(golden_plain) };
    expect_stop(all, false, false, ODK_ERR_CORRUPT, sizeof(golden_plain)); /* offsets do not rise */
    odk_batch_patch(two + sizeof(golden_plain), 3, 0);
    expect_stop(all, false, false, ODK_ERR_NOT_FOUND, 0);
    struct odk_bytes cut = { two, all.len - 1 };
    expect_stop(cut, false, false, ODK_ERR_TRUNCATED, sizeof(golden_plain));
    expect_stop(cut, false, true, ODK_ERR_CORRUPT, sizeof(golden_plain));
    cut.len = sizeof(golden_plain) + 20;
    expect_stop(cut, false, false, ODK_ERR_TRUNCATED, sizeof(golden_plain));
    two[16] = 1;
    expect_stop(all, false, false, ODK_ERR_UNSUPPORTED, 0);
    two[16] = 3;
    expect_stop(all, true, false, ODK_ERR_CORRUPT, 0);
    memset(two, 0, all.len);
    expect_stop(all, true, false, ODK_ERR_CORRUPT, 0);
    free(two);
}

static void what_is_no_data_directory_is_named(void **state)
{
    (void)state;
    struct look look;
    char dir[256];
    place_make(dir);
    assert_int_equal(look_open_dir(&look, dir), ODK_ERR_NOT_FOUND);
    look_away(&look);
    static const char newer[] = "odradek-state 2\n";
    place_file(dir, "odradek.state", (struct odk_bytes){ (const uint8_t *)newer, sizeof(newer) - 1 });
    assert_int_equal(look_open_dir(&look, dir), ODK_ERR_VERSION);
    look_away(&look);
    place_file(dir, "odradek.state", (struct odk_bytes){ (const uint8_t *)"odradek-state 1\nx", 17 });
    assert_int_equal(look_open_dir(&look, dir), ODK_ERR_CORRUPT);
    look_away(&look);
    place_remove(dir);
    assert_int_equal(look_open_dir(&look, dir), ODK_ERR_NOT_FOUND);
    look_away(&look);
}

struct producers_seen {
    uint32_t count;
    struct odk_part_producer last;
};

static void on_producer(void *context, const struct odk_part_producer *producer)
{
    struct producers_seen *seen = context;
    seen->count++;
    seen->last = *producer;
}

static void producers_come_from_snapshot_and_batches(void **state)
{
    (void)state;
    struct look look;
    struct producers_seen seen = { 0 };
    char dir[256];
    place_make(dir);
    place_folder(dir, "k-0");
    place_file(dir, "k-0/00000000000000000000.log", VIEW(golden_idempotent));
    look_into(&look, dir, "k-0");
    assert_int_equal(odk_part_producers(look.part, on_producer, &seen), ODK_OK);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.last_offset, 2);
    assert_int_equal(seen.last.txn_first_offset, -1);
    look_away(&look);
    place_file(dir, "k-0/00000000000000000003.snapshot", VIEW(golden_snapshot));
    look_into(&look, dir, "k-0");
    seen.count = 0;
    assert_int_equal(odk_part_producers(look.part, on_producer, &seen), ODK_OK);
    assert_true(seen.count > 1); /* the snapshot's */
    look_away(&look);
    place_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_directory_shows_everything),
        cmocka_unit_test(running_owner_is_seen_and_not_disturbed),
        cmocka_unit_test(indexes_are_not_needed),
        cmocka_unit_test(names_are_sorted_and_found),
        cmocka_unit_test(foreign_directory_is_read),
        cmocka_unit_test(damage_stops_a_reader_where_it_is),
        cmocka_unit_test(what_is_no_data_directory_is_named),
        cmocka_unit_test(producers_come_from_snapshot_and_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
