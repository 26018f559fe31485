/*
 * Checking a directory.
 *
 * Goal: what the store leaves, stopped, killed or running, has no findings of damage; each kind of damage, planted, is
 * found where it is; nothing is altered by looking.
 */
#include <odradek/verify.h>

#include "drive.h"
#include "golden_kafka.h"
#include "inspect_kit.h"
#include "store/journal_format.h"

#define SEGMENT_BYTES 12000
#define BATCHES       130
#define FIRST         "t-0/00000000000000000000"

struct found {
    uint32_t counts[ODK_FINDING_COUNT];
    struct odk_finding last[ODK_FINDING_COUNT];
    uint32_t damage;
    uint64_t progress;
};

static void on_finding(void *context, const struct odk_finding *finding)
{
    struct found *found = context;
    if (getenv("DRIVE_VERBOSE"))
        (void)fprintf(stderr, "%s %s/%s %lld\n", odk_finding_name(finding->kind), finding->folder, finding->file,
                      (long long)finding->position);
    found->counts[finding->kind]++;
    found->last[finding->kind] = *finding;
    found->damage += odk_finding_is_damage(finding->kind);
    assert_true(strlen(odk_finding_text(finding->kind)) > 10);
}

static void on_progress(void *context, uint64_t bytes)
{
    ((struct found *)context)->progress += bytes;
}

static void verify_all(const char *dir, struct found *found)
{
    struct look look;
    *found = (struct found){ 0 };
    look_into(&look, dir, NULL);
    struct odk_verify verify = { .finding = on_finding, .progress = on_progress, .context = found, .records = true };
    assert_int_equal(odk_dir_verify(look.dir, &verify), ODK_OK);
    for (size_t i = 0; i < odk_dir_count(look.dir); i++)
        assert_int_equal(odk_part_verify(look.dir, odk_dir_at(look.dir, i)->folder, &verify), ODK_OK);
    assert_int_equal(verify.damage_count, found->damage);
    assert_int_equal(found->progress, verify.bytes);
    look_away(&look);
}

/* -- planting ------------------------------------------------------------------------------------------------------ */

struct file {
    char path[512];
    uint8_t *data;
    size_t len;
};

static struct file file_read(const char *dir, const char *name)
{
    struct file file = { .data = xcalloc(1, 1 << 21) };
    (void)snprintf(file.path, sizeof(file.path), "%s/%s", dir, name);
    FILE *in = fopen(file.path, "rb");
    assert_non_null(in);
    file.len = fread(file.data, 1, 1 << 21, in);
    (void)fclose(in);
    return file;
}

static void file_write(struct file *file)
{
    FILE *out = fopen(file->path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file->data, 1, file->len, out), file->len);
    assert_int_equal(fclose(out), 0);
    free(file->data);
}

/* Position of the batch of that number in a file of batches. */
static size_t batch_at(const struct file *file, int number)
{
    struct odk_batch batch;
    size_t pos = 0;
    while (number-- > 0) {
        assert_int_equal(odk_batch_decode(file->data + pos, file->len - pos, &batch), ODK_OK);
        pos += odk_batch_bytes(&batch);
    }
    return pos;
}

static void written(struct drive *d)
{
    drive_init(d);
    d->options.quiet_ms = 1;
    d->options.checkpoint_ms = 1;
    drive_start(d);
    struct odk_log *log = drive_log(d, "t-0", 1, SEGMENT_BYTES);
    for (int32_t i = 0; i < BATCHES; i++)
        assert_int_equal(drive_put(d, log, 1, 500, (uint64_t)i), i);
}

/* A directory that was stopped cleanly, with one thing changed in it. */
static void planted(void (*plant)(const char *dir), enum odk_finding_kind expected, struct found *found)
{
    struct drive d;
    written(&d);
    drive_stop(&d);
    verify_all(d.dir, found);
    assert_int_equal(found->damage, 0);
    plant(d.dir);
    verify_all(d.dir, found);
    if (found->counts[expected] != 1)
        fail_msg("%s was not found", odk_finding_name(expected));
    assert_int_equal(found->damage > 0, odk_finding_is_damage(expected));
    drive_deinit(&d);
}

#define PLANTED(name, kind, at)                           \
    static void name##_is_found(void **state)             \
    {                                                     \
        (void)state;                                      \
        struct found found;                               \
        planted(name, ODK_FINDING_##kind, &found);        \
        if ((at) >= 0)                                    \
            assert_int_equal(found.last[ODK_FINDING_##kind].position, (at)); \
    }

#define BATCH_BYTES 570 /* of one record of 500 bytes; see written */

static void magic(const char *dir)
{
    struct file file = file_read(dir, FIRST ".log");
    assert_int_equal(batch_at(&file, 1), BATCH_BYTES);
    file.data[batch_at(&file, 3) + 16] = 7;
    file_write(&file);
}
PLANTED(magic, BATCH_HEADER, 3 * BATCH_BYTES)

static void flipped_bit(const char *dir)
{
    struct file file = file_read(dir, FIRST ".log");
    file.data[batch_at(&file, 4) + 100] ^= 1;
    file_write(&file);
}
PLANTED(flipped_bit, BATCH_CRC, 4 * BATCH_BYTES)

static void bad_record(const char *dir)
{
    struct file file = file_read(dir, FIRST ".log");
    size_t pos = batch_at(&file, 2);
    file.data[pos + 61] ^= 0x10; /* the record's length */
    seal_batch(file.data + pos, BATCH_BYTES);
    file_write(&file);
}
PLANTED(bad_record, BATCH_RECORDS, 2 * BATCH_BYTES)

static void offset_moved(const char *dir)
{
    struct file file = file_read(dir, FIRST ".log");
    size_t pos = batch_at(&file, 5);
    odk_batch_patch(file.data + pos, 6, 0);
    file_write(&file);
}
PLANTED(offset_moved, OFFSET_GAP, 5 * BATCH_BYTES)

static void epoch_raised(const char *dir)
{
    struct file file = file_read(dir, FIRST ".log");
    odk_batch_patch(file.data + batch_at(&file, 5), 5, 9);
    file_write(&file);
}
PLANTED(epoch_raised, EPOCH_FALLS, 6 * BATCH_BYTES)

static void second_segment(const char *dir, const char *suffix, char *dst, size_t len)
{
    struct look look;
    const struct odk_part_segment *segments;
    look_into(&look, dir, "t-0");
    assert_true(odk_part_segments(look.part, &segments) > 3);
    (void)snprintf(dst, len, "t-0/%020lld%s", (long long)segments[1].base, suffix);
    look_away(&look);
}

static void middle_removed(const char *dir)
{
    char name[64], path[512];
    second_segment(dir, ".log", name, sizeof(name));
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}
PLANTED(middle_removed, OFFSET_GAP, 0)

static void middle_emptied(const char *dir)
{
    char name[64];
    second_segment(dir, ".log", name, sizeof(name));
    place_file(dir, name, (struct odk_bytes){ 0 });
}
PLANTED(middle_emptied, SEGMENT_EMPTY, 0)

/* The newest segment's file. */
static struct file last_read(const char *dir)
{
    struct look look;
    const struct odk_part_segment *segments;
    char name[64];
    look_into(&look, dir, "t-0");
    size_t count = odk_part_segments(look.part, &segments);
    (void)snprintf(name, sizeof(name), "t-0/%020lld.log", (long long)segments[count - 1].base);
    look_away(&look);
    return file_read(dir, name);
}

static void torn_end(const char *dir)
{
    struct file file = last_read(dir);
    file.len -= 5;
    file_write(&file);
}
PLANTED(torn_end, BATCH_CUT, -1)

static void lost_end(const char *dir)
{
    struct file file = last_read(dir);
    file.len -= BATCH_BYTES;
    file_write(&file);
}
PLANTED(lost_end, LESS_THAN_KNOWN, -1)

static void lost_folder(const char *dir)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "mv '%.200s/t-0' '%.200s/gone'", dir, dir);
    assert_int_equal(system(command), 0);
}
PLANTED(lost_folder, LESS_THAN_KNOWN, -1)

static void index_flipped(const char *dir)
{
    struct file file = file_read(dir, FIRST ".index");
    assert_true(file.len >= 8);
    file.data[3] ^= 1;
    file_write(&file);
}
PLANTED(index_flipped, INDEX_ENTRY, 0)

static void index_cut(const char *dir)
{
    struct file file = file_read(dir, FIRST ".index");
    file.len -= 3;
    file_write(&file);
}
PLANTED(index_cut, INDEX_BROKEN, -1)

static void epochs_garbled(const char *dir)
{
    place_file(dir, "t-0/leader-epoch-checkpoint", (struct odk_bytes){ (const uint8_t *)"0\n2\n0 0\n", 8 });
}
PLANTED(epochs_garbled, EPOCHS_BROKEN, -1)

static void epochs_wrong(const char *dir)
{
    place_file(dir, "t-0/leader-epoch-checkpoint", (struct odk_bytes){ (const uint8_t *)"0\n2\n0 0\n3 7\n", 12 });
}
PLANTED(epochs_wrong, EPOCHS_DIFFER, -1)

static void snapshot_garbled(const char *dir)
{
    uint8_t *copy = copy_of(VIEW(golden_snapshot));
    copy[40] ^= 1;
    place_file(dir, "t-0/00000000000000000005.snapshot", (struct odk_bytes){ copy, sizeof(golden_snapshot) });
    free(copy);
}
PLANTED(snapshot_garbled, SNAPSHOT_BROKEN, -1)

static void snapshot_ahead(const char *dir)
{
    place_file(dir, "t-0/00000000000000009999.snapshot", VIEW(golden_snapshot));
}
PLANTED(snapshot_ahead, SNAPSHOT_AHEAD, -1)

static void metadata_garbled(const char *dir)
{
    place_file(dir, "t-0/partition.metadata", (struct odk_bytes){ (const uint8_t *)"version: 0\n", 11 });
}
PLANTED(metadata_garbled, METADATA_BROKEN, -1)

static void start_garbled(const char *dir)
{
    place_file(dir, "t-0/log-start-offset-checkpoint", (struct odk_bytes){ (const uint8_t *)"0\n1\nt 0 x\n", 10 });
}
PLANTED(start_garbled, START_BROKEN, -1)

static void start_ahead(const char *dir)
{
    place_file(dir, "t-0/log-start-offset-checkpoint", (struct odk_bytes){ (const uint8_t *)"0\n1\nt 0 999\n", 12 });
}
PLANTED(start_ahead, START_AHEAD, -1)

static void marker_garbled(const char *dir)
{
    struct file file = file_read(dir, ".odradek_cleanshutdown");
    file.data[30] ^= 1;
    file_write(&file);
}
PLANTED(marker_garbled, MARKER_BROKEN, -1)

static void leftover(const char *dir)
{
    place_file(dir, "t-0/00000000000000000003.index", (struct odk_bytes){ 0 });
}
PLANTED(leftover, LEFTOVER, -1)

/* -- foreign directories ------------------------------------------------------------------------------------------- */

static void kafka_dir(char dir[256], struct odk_bytes log, struct odk_bytes index, struct odk_bytes times)
{
    place_make(dir);
    place_file(dir, "meta.properties", (struct odk_bytes){ 0 });
    place_file(dir, ".kafka_cleanshutdown", (struct odk_bytes){ 0 });
    place_folder(dir, "k-0");
    place_file(dir, "k-0/00000000000000001000.log", log);
    place_file(dir, "k-0/00000000000000001000.index", index);
    place_file(dir, "k-0/00000000000000001000.timeindex", times);
    place_file(dir, "k-0/00000000000000009000.log", (struct odk_bytes){ 0 });
}

static void expect_foreign(struct odk_bytes log, struct odk_bytes index, struct odk_bytes times,
                           enum odk_finding_kind expected)
{
    struct found found;
    char dir[256];
    kafka_dir(dir, log, index, times);
    verify_all(dir, &found);
    if (expected == ODK_FINDING_COUNT)
        assert_int_equal(found.damage, 0);
    else if (found.counts[expected] != 1)
        fail_msg("%s was not found", odk_finding_name(expected));
    place_remove(dir);
}

static void kafkas_files_are_checked(void **state)
{
    (void)state;
    struct odk_bytes log = VIEW(golden_segment_log), index = VIEW(golden_segment_index),
                     times = VIEW(golden_segment_timeindex);
    expect_foreign(log, index, times, ODK_FINDING_COUNT);
    uint8_t *copy = copy_of(index);
    copy[3] ^= 1;
    expect_foreign(log, (struct odk_bytes){ copy, index.len }, times, ODK_FINDING_INDEX_ENTRY);
    free(copy);
    copy = copy_of(times);
    copy[7] ^= 64; /* of the first timestamp */
    copy[7 + 12] ^= 64;
    for (size_t i = 2; i < times.len / 12; i++)
        copy[7 + 12 * i] ^= 64;
    struct odk_bytes changed = { copy, times.len };
    expect_foreign(log, index, changed, ODK_FINDING_TIME_ENTRY);
    free(copy);
    times.len -= 12;
    expect_foreign(log, index, times, ODK_FINDING_TIME_INDEX_SHORT);
    copy = copy_of(log);
    copy[16] = 1;
    expect_foreign((struct odk_bytes){ copy, log.len }, index, times, ODK_FINDING_OLD_FORMAT);
    free(copy);
}

static void gap_in_a_foreign_log_is_a_notice(void **state)
{
    (void)state;
    struct found found;
    char dir[256];
    uint8_t two[2 * sizeof(golden_plain)];
    memcpy(two, golden_plain, sizeof(golden_plain));
    memcpy(two + sizeof(golden_plain), golden_plain, sizeof(golden_plain));
    odk_batch_patch(two, 1000, -1);
    odk_batch_patch(two + sizeof(golden_plain), 1007, -1);
    kafka_dir(dir, (struct odk_bytes){ two, sizeof(two) }, (struct odk_bytes){ 0 }, (struct odk_bytes){ 0 });
    verify_all(dir, &found);
    assert_int_equal(found.damage, 0);
    assert_int_equal(found.counts[ODK_FINDING_OFFSET_GAP_FOREIGN], 1);
    place_remove(dir);
}

/* -- after a crash, and beside a server ---------------------------------------------------------------------------- */

#define WAL "journal/0-00000000.wal"

/* A store that never spills by itself: everything stays in the journal. */
static void unspilled(struct drive *d, int batches)
{
    drive_init(d);
    d->options.quiet_ms = 1000000;
    drive_start(d);
    struct odk_log *log = drive_log(d, "t-0", 1, 0);
    for (int32_t i = 0; i < batches; i++)
        (void)drive_put(d, log, 1, 500, (uint64_t)i);
}

static void what_the_journal_repairs_is_no_damage(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    written(&d);
    for (int i = 0; i < 40; i++)
        drive_turn(&d, 5);
    drive_crash(&d);
    verify_all(d.dir, &found);
    assert_int_equal(found.damage, 0);
    drive_deinit(&d);

    unspilled(&d, 5);
    drive_crash(&d);
    uint8_t junk[700];
    memset(junk, 0x55, sizeof(junk));
    place_folder(d.dir, "t-0");
    place_file(d.dir, FIRST ".log", (struct odk_bytes){ junk, sizeof(junk) });
    verify_all(d.dir, &found);
    assert_int_equal(found.damage, 0);
    assert_int_equal(found.counts[ODK_FINDING_TO_BE_REDONE], 1);
    drive_start(&d); /* and so it is */
    assert_int_equal(odk_log_end_offset(drive_log(&d, "t-0", 1, 0)), 5);
    drive_stop(&d);
    verify_all(d.dir, &found);
    assert_int_equal(found.damage, 0);
    assert_int_equal(found.counts[ODK_FINDING_TO_BE_REDONE], 0);
    drive_deinit(&d);
}

static void damaged_journal_is_found(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    unspilled(&d, 5);
    drive_crash(&d);
    struct file file = file_read(d.dir, WAL);
    file.data[2 * 4096 + 300] ^= 4; /* block 3 of 5 */
    file_write(&file);
    verify_all(d.dir, &found);
    assert_int_equal(found.counts[ODK_FINDING_JOURNAL_GAP], 1);
    assert_int_equal(found.last[ODK_FINDING_JOURNAL_GAP].position, 3 * 4096);
    assert_int_equal(drive_boot(&d), ODK_ERR_CORRUPT); /* the start says the same */
    drive_deinit(&d);
}

static void impossible_entry_is_found(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    struct journal_block block;
    unspilled(&d, 2);
    drive_crash(&d);
    struct file file = file_read(d.dir, WAL);
    assert_true(journal_block_peek(file.data + 4096, &block));
    file.data[4096 + JOURNAL_HEADER_BYTES] = 9; /* no such type */
    journal_block_encode(file.data + 4096, &block);
    file_write(&file);
    verify_all(d.dir, &found);
    assert_int_equal(found.counts[ODK_FINDING_JOURNAL_ENTRY], 1);
    drive_deinit(&d);
}

static void segment_shorter_than_the_journal_needs_is_found(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    written(&d);
    drive_stop(&d);
    d.options.quiet_ms = 1000000;
    drive_start(&d);
    (void)drive_put(&d, drive_log(&d, "t-0", 1, SEGMENT_BYTES), 1, 500, 1);
    drive_crash(&d);
    struct file file = last_read(d.dir);
    file.len = 100;
    file_write(&file);
    verify_all(d.dir, &found);
    assert_int_equal(found.counts[ODK_FINDING_SEGMENT_SHORT], 1);
    drive_deinit(&d);
}

static void unreadable_journal_is_found(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    char path[512];
    unspilled(&d, 2);
    drive_crash(&d);
    (void)snprintf(path, sizeof(path), "%s/journal/0-00000009.wal", d.dir);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    verify_all(d.dir, &found);
    assert_int_equal(found.counts[ODK_FINDING_JOURNAL_UNREADABLE], 1);
    drive_deinit(&d);
}

static void old_indexes_after_a_crash_are_a_notice(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    written(&d);
    for (int i = 0; i < 40; i++)
        drive_turn(&d, 5);
    drive_crash(&d);
    index_flipped(d.dir);
    verify_all(d.dir, &found);
    assert_int_equal(found.damage, 0);
    assert_int_equal(found.counts[ODK_FINDING_INDEX_UNPROVEN], 1);
    drive_deinit(&d);
}

/* What a spill has not finished: the segment ends within a batch. It is not told as damage while somebody owns it. */
static void unfinished_batch_of_a_running_server_is_a_notice(void **state)
{
    (void)state;
    struct drive d;
    struct found found;
    written(&d);
    for (int i = 0; i < 40; i++)
        drive_turn(&d, 5);
    struct file file = last_read(d.dir);
    file.len -= 5;
    file_write(&file);
    verify_all(d.dir, &found);
    assert_int_equal(found.damage, 0);
    assert_int_equal(found.counts[ODK_FINDING_UNFINISHED], 1);
    flipped_bit(d.dir); /* but damage is, in every pass */
    verify_all(d.dir, &found);
    assert_int_equal(found.counts[ODK_FINDING_BATCH_CRC], 1);
    drive_crash(&d);
    drive_deinit(&d);
}

#define TEST(name) cmocka_unit_test(name##_is_found)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(magic), TEST(flipped_bit), TEST(bad_record), TEST(offset_moved), TEST(epoch_raised), TEST(middle_removed),
        TEST(middle_emptied), TEST(torn_end), TEST(lost_end), TEST(lost_folder), TEST(index_flipped), TEST(index_cut),
        TEST(epochs_garbled), TEST(epochs_wrong), TEST(snapshot_garbled), TEST(snapshot_ahead), TEST(metadata_garbled),
        TEST(start_garbled), TEST(start_ahead), TEST(marker_garbled), TEST(leftover),
        cmocka_unit_test(kafkas_files_are_checked),
        cmocka_unit_test(gap_in_a_foreign_log_is_a_notice),
        cmocka_unit_test(what_the_journal_repairs_is_no_damage),
        cmocka_unit_test(damaged_journal_is_found),
        cmocka_unit_test(impossible_entry_is_found),
        cmocka_unit_test(segment_shorter_than_the_journal_needs_is_found),
        cmocka_unit_test(unreadable_journal_is_found),
        cmocka_unit_test(old_indexes_after_a_crash_are_a_notice),
        cmocka_unit_test(unfinished_batch_of_a_running_server_is_a_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
