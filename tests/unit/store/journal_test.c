/* The journal's bytes, and its life over real files: order of commits, reuse of files, notes, large blocks. */
#include "drive.h"

#include "store/journal.h"
#include "store/journal_format.h"

static void block_round_trip(void **state)
{
    (void)state;
    uint8_t block[JOURNAL_BLOCK_ALIGN * 2] = { 0 };
    const char text[] = "some bytes of a batch";
    struct journal_entry entry = { .type = JOURNAL_DATA, .log = 3, .position = 77, .segment_base = 1000,
                                   .offset = 1005, .bytes = { (const uint8_t *)text, sizeof(text) } };
    journal_entry_encode(block + JOURNAL_HEADER_BYTES, &entry);
    struct journal_block header = { .seq = 9, .incarnation = 0xabcdef, .checkpoint_seq = 4, .entry_count = 1,
                                    .payload_len = (uint32_t)journal_entry_bytes(sizeof(text)), .shard = 2 };
    journal_block_encode(block, &header);
    struct journal_block read;
    assert_true(journal_block_peek(block, &read));
    assert_true(read.seq == header.seq);
    assert_true(read.incarnation == header.incarnation);
    assert_true(read.checkpoint_seq == header.checkpoint_seq);
    assert_int_equal(read.payload_len, header.payload_len);
    assert_int_equal(read.entry_count, header.entry_count);
    assert_int_equal(read.shard, header.shard);
    assert_true(journal_block_valid(block, sizeof(block)));
    struct journal_reader reader = { .at = block + JOURNAL_HEADER_BYTES,
                                     .end = block + JOURNAL_HEADER_BYTES + header.payload_len };
    struct journal_entry got;
    assert_true(journal_entry_next(&reader, &got));
    assert_int_equal(got.type, JOURNAL_DATA);
    assert_int_equal(got.log, 3);
    assert_int_equal(got.position, 77);
    assert_int_equal(got.segment_base, 1000);
    assert_int_equal(got.offset, 1005);
    assert_int_equal(got.bytes.len, sizeof(text));
    assert_memory_equal(got.bytes.data, text, sizeof(text));
    assert_false(journal_entry_next(&reader, &got));
    assert_false(reader.bad);
}

static void any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t block[JOURNAL_BLOCK_ALIGN] = { 0 };
    struct journal_block header = { .seq = 1, .incarnation = 5, .payload_len = 100, .entry_count = 1 };
    memset(block + JOURNAL_HEADER_BYTES, 0x61, 100);
    journal_block_encode(block, &header);
    assert_true(journal_block_valid(block, sizeof(block)));
    for (size_t bit = 0; bit < (JOURNAL_HEADER_BYTES + 100) * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(journal_block_valid(block, sizeof(block)));
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(journal_block_valid(block, JOURNAL_HEADER_BYTES + 99));
}

static void malformed_entries_end_the_walk(void **state)
{
    (void)state;
    uint8_t payload[64];
    struct journal_entry entry = { .type = JOURNAL_TRIM, .offset = 5 }, got;
    journal_entry_encode(payload, &entry);
    struct journal_reader cut = { .at = payload, .end = payload + 31 };
    assert_false(journal_entry_next(&cut, &got));
    assert_true(cut.bad);
    payload[0] = 99;
    struct journal_reader unknown = { .at = payload, .end = payload + 32 };
    assert_false(journal_entry_next(&unknown, &got));
    assert_true(unknown.bad);
}

/* -- over files ---------------------------------------------------------------------------------------------------- */

struct bench {
    struct drive d;
    struct journal journal;
    uint64_t committed;
    uint64_t name_seq;
    uint32_t name_number;
};

static void on_committed(void *context, uint64_t seq)
{
    struct bench *b = context;
    assert_int_equal(seq, b->committed + 1);
    b->committed = seq;
}

static void on_failed(void *context, enum odk_err err)
{
    (void)context;
    fail_msg("the journal failed: %s", odk_err_name(err));
}

static void bench_open(struct bench *b, uint64_t file_bytes, uint64_t bytes_max)
{
    drive_init(&b->d);
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/journal", b->d.dir);
    assert_int_equal(b->d.io->ops->mkdir(b->d.io, path), 0);
    struct journal_options options = { .io = b->d.io, .dir = b->d.dir, .incarnation = 77, .file_bytes = file_bytes,
                                       .bytes_max = bytes_max, .committed = on_committed, .failed = on_failed,
                                       .context = b };
    assert_int_equal(journal_open(&b->journal, &options), ODK_OK);
}

static void bench_close(struct bench *b)
{
    while (b->journal.in_flight || b->journal.files.busy)
        b->d.io->ops->run(b->d.io, b->d.io->ops->mono_ns(b->d.io) + 1000000);
    journal_close(&b->journal);
    drive_deinit(&b->d);
}

static uint64_t bench_add(struct bench *b, size_t len)
{
    struct journal_name name = { .name = ODK_STR("t-0"), .id = drive_id(1), .seq = &b->name_seq,
                                 .number = &b->name_number };
    uint8_t *bytes = xcalloc(1, len + 1);
    struct journal_entry entry = { .type = JOURNAL_DATA, .bytes = { .data = bytes, .len = len } };
    assert_true(journal_room(&b->journal, name.name.len, len));
    uint64_t seq = journal_add(&b->journal, &name, &entry);
    free(bytes);
    return seq;
}

static void bench_until(struct bench *b, uint64_t seq)
{
    for (int i = 0; i < 10000 && b->committed < seq; i++) {
        journal_kick(&b->journal);
        b->d.io->ops->run(b->d.io, b->d.io->ops->mono_ns(b->d.io) + 1000000);
    }
    assert_true(b->committed >= seq);
}

static void one_turn_shares_a_block(void **state)
{
    (void)state;
    struct bench b = { 0 };
    bench_open(&b, 1 << 20, 4 << 20);
    for (int i = 0; i < 10; i++)
        assert_int_equal(bench_add(&b, 100), 1);
    bench_until(&b, 1);
    assert_int_equal(b.journal.write_count, 1);
    assert_int_equal(bench_add(&b, 100), 2);
    bench_until(&b, 2);
    assert_true(journal_idle(&b.journal));
    bench_close(&b);
}

static void files_are_reused_after_a_checkpoint(void **state)
{
    (void)state;
    struct bench b = { 0 };
    bench_open(&b, 64 << 10, 192 << 10);
    for (int i = 0; i < 300; i++) {
        uint64_t seq = bench_add(&b, 9000);
        bench_until(&b, seq);
        journal_set_checkpoint(&b.journal, seq);
    }
    assert_true(b.journal.files.count <= 3);
    bench_close(&b);
}

static void full_journal_waits_for_a_checkpoint(void **state)
{
    (void)state;
    struct bench b = { 0 };
    bench_open(&b, 64 << 10, 128 << 10);
    uint64_t seq = 0;
    for (int i = 0; i < 100 && !b.journal.waits; i++) {
        seq = bench_add(&b, 9000);
        for (int turn = 0; turn < 50 && b.committed < seq; turn++) {
            journal_kick(&b.journal);
            b.d.io->ops->run(b.d.io, b.d.io->ops->mono_ns(b.d.io) + 100000);
        }
    }
    assert_true(b.committed < seq);
    assert_true(journal_files_capped(&b.journal.files));
    journal_set_checkpoint(&b.journal, b.committed);
    bench_until(&b, seq); /* a note, then the block */
    bench_close(&b);
}

static void large_entry_has_its_own_block(void **state)
{
    (void)state;
    struct bench b = { 0 };
    bench_open(&b, 256 << 10, 1 << 20);
    assert_int_equal(bench_add(&b, 10), 1);
    assert_false(journal_room(&b.journal, 3, 300000)); /* not behind something else */
    bench_until(&b, 1);
    assert_int_equal(bench_add(&b, 300000), 2);
    assert_false(journal_room(&b.journal, 3, 10));
    bench_until(&b, 2);
    assert_int_equal(bench_add(&b, 10), 3);
    bench_until(&b, 3);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_round_trip),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(malformed_entries_end_the_walk),
        cmocka_unit_test(one_turn_shares_a_block),
        cmocka_unit_test(files_are_reused_after_a_checkpoint),
        cmocka_unit_test(full_journal_waits_for_a_checkpoint),
        cmocka_unit_test(large_entry_has_its_own_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
