/*
 * Goal: a batch is read, judged and built as Kafka does it, and no damaged one passes.
 * Method: bytes that Kafka's own code wrote; every prefix of them, every bit flipped; rules one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "golden_kafka.h"
#include "views.h"

#define BYTES_MAX ((size_t)1 << 20)

static void header_is_read_as_written(void **state)
{
    (void)state;
    struct odk_batch batch;
    assert_int_equal(odk_batch_decode(golden_idempotent, sizeof(golden_idempotent), &batch), ODK_OK);
    assert_int_equal(batch.base_offset, 0);
    assert_int_equal(odk_batch_bytes(&batch), sizeof(golden_idempotent));
    assert_int_equal(batch.leader_epoch, 7);
    assert_int_equal(batch.magic, 2);
    assert_int_equal(batch.attributes, 0);
    assert_int_equal(batch.last_offset_delta, 2);
    assert_int_equal(odk_batch_next_offset(&batch), 3);
    assert_int_equal(batch.base_timestamp, 1700000000000);
    assert_int_equal(batch.max_timestamp, 1700000000005);
    assert_int_equal(batch.producer_id, 4711);
    assert_int_equal(batch.producer_epoch, 3);
    assert_int_equal(batch.base_sequence, 2147483646);
    assert_int_equal(batch.record_count, 3);
}

static const struct odk_bytes batches_of_three[] = {
    VIEW(golden_plain), VIEW(golden_gzip), VIEW(golden_snappy),
    VIEW(golden_lz4),   VIEW(golden_zstd), VIEW(golden_zstd_22),
};

static void what_kafka_clients_send_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct odk_batch batch;
        assert_int_equal(odk_batch_verify(batches_of_three[i], &batch, NULL), ODK_OK);
        assert_int_equal(odk_batch_check_crc(batches_of_three[i]), ODK_OK);
    }
}

static void assert_text(struct odk_bytes bytes, const char *text)
{
    assert_non_null(bytes.data);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

static void assert_three_records(struct odk_bytes data)
{
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_record_iter_init(&it, data, BYTES_MAX), ODK_OK);
    assert_true(odk_record_next(&it, &record));
    assert_int_equal(record.offset, 0);
    assert_int_equal(record.timestamp, 1700000000000);
    assert_text(record.key, "key-0");
    assert_text(record.value, "value-0");
    assert_int_equal(record.header_count, 0);
    assert_true(odk_record_next(&it, &record));
    assert_int_equal(record.offset, 1);
    assert_int_equal(record.timestamp, 1700000000005);
    assert_null(record.key.data);
    assert_text(record.value, "value-1");
    assert_int_equal(record.header_count, 2);
    assert_text(record.headers, "\x04\x0atrace\x06"
                                "abc\x08none\x01");
    assert_true(odk_record_next(&it, &record));
    assert_int_equal(record.offset, 2);
    assert_int_equal(record.timestamp, 1699999999990);
    assert_text(record.key, "key-2");
    assert_null(record.value.data);
    assert_false(odk_record_next(&it, &record));
    assert_int_equal(odk_record_iter_end(&it), ODK_OK);
}

static void records_come_out_of_every_codec(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_three_records(batches_of_three[i]);
}

static void assert_large_record(struct odk_bytes data)
{
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_record_iter_init(&it, data, BYTES_MAX), ODK_OK);
    assert_true(odk_record_next(&it, &record));
    assert_int_equal(record.value.len, 40000);
    for (size_t i = 0; i < record.value.len; i++)
        assert_int_equal(record.value.data[i], 'a' + (i / 1000) % 26);
    assert_false(odk_record_next(&it, &record));
    assert_int_equal(odk_record_iter_end(&it), ODK_OK);
}

static void packing_changes_the_codec_and_nothing_else(void **state)
{
    (void)state;
    for (enum odk_codec codec = ODK_CODEC_NONE; codec < ODK_CODEC_COUNT; codec++) {
        struct odk_record_iter it;
        struct odk_batch before, after;
        assert_int_equal(odk_record_iter_init(&it, VIEW(golden_gzip), BYTES_MAX), ODK_OK);
        struct odk_bytes records = odk_record_iter_bytes(&it);
        size_t bound = odk_batch_pack_bound(codec, records.len), len = 0;
        uint8_t *data = malloc(bound);
        assert_int_equal(odk_batch_decode(golden_gzip, sizeof(golden_gzip), &before), ODK_OK);
        assert_int_equal(odk_batch_pack(&before, records, codec, 3, data, bound, &len), ODK_OK);
        assert_three_records((struct odk_bytes){ data, len });
        assert_int_equal(odk_batch_verify((struct odk_bytes){ data, len }, &after, NULL), ODK_OK);
        assert_int_equal(after.attributes, (int)codec);
        assert_int_equal(after.base_timestamp, before.base_timestamp);
        assert_int_equal(after.max_timestamp, before.max_timestamp);
        assert_int_equal(after.producer_id, before.producer_id);
        assert_int_equal(after.base_sequence, before.base_sequence);
        assert_int_equal(after.leader_epoch, before.leader_epoch);
        assert_int_equal(odk_batch_pack(&before, records, codec, 3, data, 60, &len), ODK_ERR_TOO_LARGE);
        free(data);
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    }
}

static void chunked_compression_is_joined(void **state)
{
    (void)state;
    assert_large_record(VIEW(golden_snappy_large));
    assert_large_record(VIEW(golden_lz4_large));
}

static void append_time_replaces_record_times(void **state)
{
    (void)state;
    uint8_t *stamped = copy_of(VIEW(golden_plain));
    odk_batch_stamp(stamped, sizeof(golden_plain), 1700000000777);
    odk_batch_patch(stamped, 100, 0);
    struct odk_bytes both[] = { VIEW(golden_append_time), { stamped, sizeof(golden_plain) } };
    for (size_t i = 0; i < 2; i++) {
        struct odk_record_iter it;
        struct odk_record record;
        assert_int_equal(odk_batch_check_crc(both[i]), ODK_OK);
        assert_int_equal(odk_record_iter_init(&it, both[i], BYTES_MAX), ODK_OK);
        for (int64_t offset = 100; odk_record_next(&it, &record); offset++) {
            assert_int_equal(record.offset, offset);
            assert_int_equal(record.timestamp, 1700000000777);
        }
        assert_int_equal(it.left, 0);
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    }
    free(stamped);
}

static void patching_keeps_the_crc(void **state)
{
    (void)state;
    uint8_t *data = copy_of(VIEW(golden_plain));
    odk_batch_patch(data, INT64_MAX - 2, 77);
    struct odk_batch batch;
    assert_int_equal(odk_batch_check_crc((struct odk_bytes){ data, sizeof(golden_plain) }), ODK_OK);
    assert_int_equal(odk_batch_decode(data, sizeof(golden_plain), &batch), ODK_OK);
    assert_int_equal(batch.base_offset, INT64_MAX - 2);
    assert_int_equal(batch.leader_epoch, 77);
    free(data);
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        for (size_t len = 0; len < batches_of_three[i].len; len++) {
            struct odk_bytes cut = { copy_of((struct odk_bytes){ batches_of_three[i].data, len }), len };
            struct odk_batch batch;
            struct odk_record_iter it;
            assert_int_equal(odk_batch_verify(cut, &batch, NULL), ODK_ERR_TRUNCATED);
            assert_int_equal(odk_batch_check_crc(cut), ODK_ERR_TRUNCATED);
            assert_int_equal(odk_record_iter_init(&it, cut, BYTES_MAX), ODK_ERR_TRUNCATED);
            assert_int_equal(odk_record_iter_end(&it), ODK_ERR_TRUNCATED);
            free((uint8_t *)(uintptr_t)cut.data);
        }
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(golden_plain); bit++) {
        uint8_t *data = copy_of(VIEW(golden_plain));
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        struct odk_batch batch;
        enum odk_err err = odk_batch_verify((struct odk_bytes){ data, sizeof(golden_plain) }, &batch, NULL);
        bool is_leader_epoch = bit / 8 >= 12 && bit / 8 < 16; /* the broker sets it, whatever it was */
        if (is_leader_epoch)
            assert_int_equal(err, ODK_OK);
        else if (bit / 8 >= 17)
            assert_int_equal(err, ODK_ERR_CRC);
        else
            assert_int_not_equal(err, ODK_OK);
        free(data);
    }
}

static void assert_refused(size_t pos, const char *bytes, size_t len)
{
    uint8_t *data = copy_of(VIEW(golden_idempotent));
    memcpy(data + pos, bytes, len);
    seal_batch(data, sizeof(golden_idempotent));
    struct odk_batch batch;
    const char *why = NULL;
    assert_int_equal(odk_batch_verify((struct odk_bytes){ data, sizeof(golden_idempotent) }, &batch, &why),
                     ODK_ERR_INVALID);
    assert_non_null(why);
    free(data);
}

static void false_claims_of_clients_are_refused(void **state)
{
    (void)state;
    assert_refused(0, "\0\0\0\0\0\0\0\1", 8);  /* base offset */
    assert_refused(16, "\1", 1);               /* magic */
    assert_refused(21, "\0\x20", 2);           /* control */
    assert_refused(21, "\0\x40", 2);           /* delete horizon */
    assert_refused(21, "\0\5", 2);             /* codec 5 */
    assert_refused(21, "\0\7", 2);             /* codec 7 */
    assert_refused(23, "\0\0\0\3", 4);         /* last offset delta */
    assert_refused(51, "\xff\xff", 2);         /* producer epoch */
    assert_refused(53, "\xff\xff\xff\xff", 4); /* sequence */
    assert_refused(57, "\0\0\0\0", 4);         /* count */
    assert_refused(57, "\x80\0\0\0", 4);
    assert_refused(57, "\x7f\xff\xff\xff", 4);
    assert_refused(23, "\xff\xff\xff\xff", 4);
}

static void two_batches_are_refused(void **state)
{
    (void)state;
    uint8_t two[sizeof(golden_plain) * 2];
    memcpy(two, golden_plain, sizeof(golden_plain));
    memcpy(two + sizeof(golden_plain), golden_plain, sizeof(golden_plain));
    struct odk_batch batch;
    assert_int_equal(odk_batch_verify(VIEW(two), &batch, NULL), ODK_ERR_INVALID);
    assert_int_equal(odk_batch_check_crc(VIEW(two)), ODK_OK); /* stored batches stand back to back */
}

/* Spoils one byte of the records and says how the walk ends. */
static enum odk_err walk_spoilt(size_t pos, uint8_t value)
{
    uint8_t *data = copy_of(VIEW(golden_plain));
    data[pos] = value;
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ data, sizeof(golden_plain) }, BYTES_MAX), ODK_OK);
    while (odk_record_next(&it, &record))
        continue;
    assert_false(odk_record_next(&it, &record));
    enum odk_err err = odk_record_iter_end(&it);
    free(data);
    return err;
}

static void damaged_records_end_the_walk(void **state)
{
    (void)state;
    assert_int_equal(walk_spoilt(61, golden_plain[61]), ODK_OK);
    assert_int_equal(walk_spoilt(61, 0xff), ODK_ERR_CORRUPT); /* length runs on */
    assert_int_equal(walk_spoilt(61, 0x00), ODK_ERR_CORRUPT); /* empty record */
    assert_int_equal(walk_spoilt(61, 0x01), ODK_ERR_CORRUPT); /* negative length */
    assert_int_equal(walk_spoilt(64, 0x06), ODK_ERR_CORRUPT); /* offset delta 3 of 0..2 */
    assert_int_equal(walk_spoilt(64, 0x02), ODK_ERR_CORRUPT); /* offset delta 1, then 1 again */
    assert_int_equal(walk_spoilt(64, 0x01), ODK_ERR_CORRUPT); /* offset delta -1 */
    assert_int_equal(walk_spoilt(65, 0x03), ODK_ERR_CORRUPT); /* key length -2 */
    assert_int_equal(walk_spoilt(65, 0x7e), ODK_ERR_CORRUPT); /* key longer than the record */
    assert_int_equal(walk_spoilt(60, 2), ODK_ERR_CORRUPT);    /* fewer records announced than are there */
    assert_int_equal(walk_spoilt(sizeof(golden_plain) - 1, 0x02), ODK_ERR_CORRUPT); /* a header that is not there */
}

/* Walks a batch of one offset that holds one record with these bytes. */
static enum odk_err walk_record(const char *body, uint8_t len)
{
    uint8_t data[61 + 40];
    memcpy(data, golden_plain, 61);
    memcpy(data + 8, "\0\0\0", 3);
    data[11] = (uint8_t)(49 + 1 + len);
    data[26] = 0; /* last offset delta */
    data[60] = 1; /* count */
    data[61] = (uint8_t)(len << 1);
    memcpy(data + 62, body, len);
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ data, 62u + len }, BYTES_MAX), ODK_OK);
    while (odk_record_next(&it, &record))
        continue;
    return odk_record_iter_end(&it);
}

/* Bytes: attributes, timestamp delta, offset delta, key length, value length, header count, ... */
static void each_rule_of_a_record_counts_alone(void **state)
{
    (void)state;
    assert_int_equal(walk_record("\0\0\0\1\1\0", 6), ODK_OK);
    assert_int_equal(walk_record("\0\0\0\1\1\2\0\1", 8), ODK_OK);
    assert_int_equal(walk_record("\0\0\2\1\1\0", 6), ODK_ERR_CORRUPT);       /* offset delta 1 */
    assert_int_equal(walk_record("\0\0\1\1\1\0", 6), ODK_ERR_CORRUPT);       /* offset delta -1 */
    assert_int_equal(walk_record("\0\0\0\1\1\0\0", 7), ODK_ERR_CORRUPT);     /* a byte too many */
    assert_int_equal(walk_record("\0\0\0\1\1", 5), ODK_ERR_CORRUPT);         /* a byte too few */
    assert_int_equal(walk_record("\0\0\0\3\1\0", 6), ODK_ERR_CORRUPT);       /* key length -2 */
    assert_int_equal(walk_record("\0\0\0\1\3\0", 6), ODK_ERR_CORRUPT);       /* value length -2 */
    assert_int_equal(walk_record("\0\0\0\1\1\1", 6), ODK_ERR_CORRUPT);       /* header count -1 */
    assert_int_equal(walk_record("\0\0\0\1\1\2\1\1", 8), ODK_ERR_CORRUPT);   /* header key null */
    assert_int_equal(walk_record("\0\0\0\1\1\2\0\3", 8), ODK_ERR_CORRUPT);   /* header value length -2 */
    assert_int_equal(walk_record("\0\0\0\1\1\x7e\0\1", 8), ODK_ERR_CORRUPT); /* more headers than bytes */
}

static void more_records_than_offsets_are_refused(void **state)
{
    (void)state;
    uint8_t *data = copy_of(VIEW(golden_plain));
    data[60] = 4;
    struct odk_record_iter it;
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ data, sizeof(golden_plain) }, BYTES_MAX),
                     ODK_ERR_CORRUPT);
    assert_int_equal(odk_record_iter_end(&it), ODK_ERR_CORRUPT);
    free(data);
}

static void decompression_stops_at_the_bound(void **state)
{
    (void)state;
    struct odk_bytes large[] = { VIEW(golden_snappy_large), VIEW(golden_lz4_large) };
    for (size_t i = 0; i < 2; i++) {
        struct odk_record_iter it;
        assert_int_equal(odk_record_iter_init(&it, large[i], 40000), ODK_ERR_TOO_LARGE);
        assert_int_equal(odk_record_iter_end(&it), ODK_ERR_TOO_LARGE);
        assert_int_equal(odk_record_iter_init(&it, large[i], 40020), ODK_OK);
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    }
}

static void emptied_batches_have_no_records(void **state)
{
    (void)state;
    uint8_t empty[61];
    memcpy(empty, golden_plain, sizeof(empty));
    memcpy(empty + 8, "\0\0\0\x31", 4);
    memcpy(empty + 57, "\0\0\0\0", 4);
    struct odk_record_iter it;
    struct odk_record record;
    for (uint8_t codec = 0; codec < ODK_CODEC_COUNT; codec++) {
        empty[22] = codec;
        assert_int_equal(odk_record_iter_init(&it, VIEW(empty), BYTES_MAX), ODK_OK);
        assert_false(odk_record_next(&it, &record));
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    }
}

static const struct odk_record_new bare_records[] = {
    { 1700000000000, { (const uint8_t *)"key-0", 5 }, { (const uint8_t *)"value-0", 7 } },
    { 1700000000300, { NULL, 0 }, { (const uint8_t *)"", 0 } },
    { 1699999999990, { (const uint8_t *)"key-2", 5 }, { NULL, 0 } },
};

static void built_batch_equals_kafkas(void **state)
{
    (void)state;
    struct odk_batch_new wanted = {
        .base_offset = 5000000000,
        .leader_epoch = 7,
        .producer_id = 4711,
        .producer_epoch = 3,
        .base_sequence = 100,
        .records = bare_records,
        .record_count = 3,
    };
    uint8_t *data;
    size_t len;
    assert_int_equal(odk_batch_build(&wanted, &data, &len), ODK_OK);
    assert_int_equal(len, sizeof(golden_built));
    assert_memory_equal(data, golden_built, len);
    free(data);
}

static void built_batch_without_producer_is_accepted(void **state)
{
    (void)state;
    struct odk_record_new extremes[] = { { .timestamp = INT64_MIN }, { .timestamp = INT64_MAX }, { .timestamp = 0 } };
    struct odk_batch_new wanted = { .producer_id = -1, .records = extremes, .record_count = 3 };
    uint8_t *data;
    size_t len;
    struct odk_batch batch;
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_batch_build(&wanted, &data, &len), ODK_OK);
    assert_int_equal(odk_batch_verify((struct odk_bytes){ data, len }, &batch, NULL), ODK_OK);
    assert_int_equal(batch.producer_epoch, -1);
    assert_int_equal(batch.base_sequence, -1);
    assert_int_equal(batch.max_timestamp, INT64_MAX);
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ data, len }, 0), ODK_OK);
    for (size_t i = 0; odk_record_next(&it, &record); i++)
        assert_int_equal(record.timestamp, extremes[i].timestamp);
    assert_int_equal(odk_record_iter_end(&it), ODK_OK);
    free(data);
}

static void builder_makes_the_same_batch_twice(void **state)
{
    (void)state;
    const uint8_t large[3000] = { 7 };
    struct odk_record_new records[] = {
        { .timestamp = 1000, .key = { (const uint8_t *)"k", 1 }, .value = { (const uint8_t *)"v", 1 } },
        { .timestamp = 990, .value = { large, sizeof(large) } },
        { .timestamp = 1010, .key = { (const uint8_t *)"tombstone", 9 } },
    };
    struct odk_batch_new wanted = {
        .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = records, .record_count = 3
    };
    uint8_t *data;
    size_t len;
    assert_int_equal(odk_batch_build(&wanted, &data, &len), ODK_OK);
    struct odk_batch_builder builder = { 0 };
    for (int turn = 0; turn < 2; turn++) {
        odk_batch_builder_begin(&builder);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(odk_batch_builder_add(&builder, &records[i]), ODK_OK);
        odk_batch_builder_end(&builder);
        assert_int_equal(builder.len, len);
        assert_memory_equal(builder.data, data, len);
    }
    struct odk_record_new endless = { .value = { .data = large, .len = INT32_MAX } };
    assert_int_equal(odk_batch_builder_add(&builder, &endless), ODK_ERR_TOO_LARGE);
    assert_int_equal(builder.len, len);
    odk_batch_builder_deinit(&builder);
    free(data);
}

static void batch_above_2_gib_is_refused(void **state)
{
    (void)state;
    static const uint8_t one;
    struct odk_record_new huge[] = { { .value = { &one, (size_t)INT32_MAX + 1 } } };
    struct odk_batch_new wanted = { .producer_id = -1, .records = huge, .record_count = 1 };
    uint8_t *data;
    size_t len;
    assert_int_equal(odk_batch_build(&wanted, &data, &len), ODK_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_read_as_written),
        cmocka_unit_test(what_kafka_clients_send_is_accepted),
        cmocka_unit_test(records_come_out_of_every_codec),
        cmocka_unit_test(packing_changes_the_codec_and_nothing_else),
        cmocka_unit_test(chunked_compression_is_joined),
        cmocka_unit_test(append_time_replaces_record_times),
        cmocka_unit_test(patching_keeps_the_crc),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(false_claims_of_clients_are_refused),
        cmocka_unit_test(two_batches_are_refused),
        cmocka_unit_test(damaged_records_end_the_walk),
        cmocka_unit_test(each_rule_of_a_record_counts_alone),
        cmocka_unit_test(more_records_than_offsets_are_refused),
        cmocka_unit_test(decompression_stops_at_the_bound),
        cmocka_unit_test(emptied_batches_have_no_records),
        cmocka_unit_test(built_batch_equals_kafkas),
        cmocka_unit_test(built_batch_without_producer_is_accepted),
        cmocka_unit_test(builder_makes_the_same_batch_twice),
        cmocka_unit_test(batch_above_2_gib_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
