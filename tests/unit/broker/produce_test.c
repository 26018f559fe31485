/* Produce: every way in which a batch is taken or refused, as the client sees it. */
#include "base/limits.h"
#include "harness.h"

#include <odradek/messages.h>
#include <stdlib.h>
#include <string.h>

#include "unit/store/golden_kafka.h"
#include "unit/store/golden_messages.h"

#define NOW INT64_C(1700000000000)

static struct odk_bytes good_batch(void)
{
    return make_batch(&(struct batch_options){ .timestamp = NOW });
}

static void batches_get_consecutive_offsets_in_every_version(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 2, NULL);
    int64_t expected = 0;
    for (int16_t version = 3; version <= 13; version++) {
        struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = NOW, .count = 3 });
        struct produce_response_partition answer = produce(harness, version, "t", 1, batch);
        assert_int_equal(answer.error_code, KAFKA_NONE);
        assert_int_equal(answer.index, 1);
        assert_int_equal(answer.base_offset, expected);
        assert_int_equal(answer.log_append_time_ms, -1);
        if (version >= 5)
            assert_int_equal(answer.log_start_offset, 0);
        expected += 3;
    }
    struct partition *partition = topic_partition(harness_topic(harness, 0, "t"), 1);
    assert_int_equal(odk_log_end_offset(partition->log), expected);
    harness_free(harness);
}

/* -- refusals ------------------------------------------------------------------------------------------------------ */

static void check_refused(struct harness *harness, int16_t version, const char *topic, int32_t partition,
                          struct odk_bytes batch, enum kafka_error error)
{
    struct produce_response_partition answer = produce(harness, version, topic, partition, batch);
    assert_int_equal(answer.error_code, error);
    assert_int_equal(answer.base_offset, -1);
    if (version >= 8)
        assert_non_null(answer.error_message.data);
}

static struct odk_bytes with_byte(struct odk_bytes batch, size_t pos, uint8_t value)
{
    ((uint8_t *)(uintptr_t)batch.data)[pos] = value;
    return batch;
}

static struct odk_bytes with_attributes(int16_t attributes)
{
    struct odk_bytes batch = good_batch();
    batch_set_attributes(batch, attributes);
    return batch;
}

static struct odk_bytes twice(struct odk_bytes batch)
{
    uint8_t *data = xcalloc(2, batch.len);
    memcpy(data, batch.data, batch.len);
    memcpy(data + batch.len, batch.data, batch.len);
    free((void *)(uintptr_t)batch.data);
    return (struct odk_bytes){ .data = data, .len = 2 * batch.len };
}

static struct odk_bytes cut(struct odk_bytes batch, size_t bytes)
{
    batch.len -= bytes;
    return batch;
}

static void bad_batches_get_their_errors(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    check_refused(harness, 9, "t", 0, (struct odk_bytes){ 0 }, KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, twice(good_batch()), KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, with_byte(good_batch(), 16, 1), KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, with_byte(good_batch(), 16, 0), KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, with_byte(good_batch(), 7, 1), KAFKA_INVALID_RECORD); /* base offset */
    check_refused(harness, 9, "t", 0, with_byte(good_batch(), 65, 99), KAFKA_CORRUPT_MESSAGE);
    check_refused(harness, 9, "t", 0, cut(good_batch(), 1), KAFKA_CORRUPT_MESSAGE);
    check_refused(harness, 9, "t", 0, cut(good_batch(), 30), KAFKA_CORRUPT_MESSAGE);
    check_refused(harness, 9, "t", 0, with_attributes(ODK_BATCH_CONTROL), KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, with_attributes(7), KAFKA_INVALID_RECORD);
    check_refused(harness, 9, "t", 0, with_attributes(ODK_BATCH_TRANSACTIONAL), KAFKA_INVALID_RECORD); /* of whom? */
    struct odk_bytes transactional = make_batch(&(struct batch_options){ .timestamp = NOW, .idempotent = true });
    batch_set_attributes(transactional, ODK_BATCH_TRANSACTIONAL);
    check_refused(harness, 9, "t", 0, transactional, KAFKA_INVALID_TXN_STATE);
    check_refused(harness, 9, "t", 0, with_attributes(ODK_BATCH_LOG_APPEND_TIME), KAFKA_INVALID_TIMESTAMP);
    check_refused(harness, 6, "t", 0, with_attributes(ODK_CODEC_ZSTD), KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    struct batch_options no_sequence = { .timestamp = NOW, .idempotent = true, .producer_id = 5, .base_sequence = -1 };
    check_refused(harness, 9, "t", 0, make_batch(&no_sequence), KAFKA_INVALID_RECORD);
    assert_int_equal(odk_log_end_offset(topic_partition(harness_topic(harness, 0, "t"), 0)->log), 0);
    harness_free(harness);
}

static void unknown_places_get_their_errors(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    check_refused(harness, 9, "nowhere", 0, good_batch(), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    check_refused(harness, 13, "nowhere", 0, good_batch(), KAFKA_UNKNOWN_TOPIC_ID);
    check_refused(harness, 9, "t", 1, good_batch(), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    check_refused(harness, 13, "t", -1, good_batch(), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    check_refused(harness, 9, "__consumer_offsets", 0, good_batch(), KAFKA_INVALID_TOPIC_EXCEPTION);
    check_refused(harness, 9, METADATA_TOPIC_NAME, 0, good_batch(), KAFKA_INVALID_TOPIC_EXCEPTION);
    harness_free(harness);
}

static void sizes_are_bounded_by_topic_and_segment(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "small", 1, "max.message.bytes=100");
    make_topic(harness, "segment", 1, "segment.bytes=1000");
    struct batch_options big = { .timestamp = NOW, .value_bytes = 2000 };
    check_refused(harness, 9, "small", 0, make_batch(&big), KAFKA_MESSAGE_TOO_LARGE);
    check_refused(harness, 9, "segment", 0, make_batch(&big), KAFKA_RECORD_LIST_TOO_LARGE);
    assert_int_equal(produce(harness, 9, "small", 0, good_batch()).error_code, KAFKA_NONE);
    harness_free(harness);
}

static void timestamps_are_held_against_the_clock(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, "message.timestamp.before.max.ms=1000;message.timestamp.after.max.ms=500");
    static const struct {
        int64_t timestamp;
        int16_t error;
    } rows[] = {
        { NOW, KAFKA_NONE },
        { NOW - 1000, KAFKA_NONE },
        { NOW - 1001, KAFKA_INVALID_TIMESTAMP },
        { NOW + 500, KAFKA_NONE },
        { NOW + 501, KAFKA_INVALID_TIMESTAMP },
        { -1, KAFKA_NONE },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = rows[i].timestamp });
        assert_int_equal(produce(harness, 9, "t", 0, batch).error_code, rows[i].error);
    }
    harness_free(harness);
}

static void log_append_time_is_stamped_and_told(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, "message.timestamp.type=LogAppendTime");
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 1 });
    struct produce_response_partition answer = produce(harness, 9, "t", 0, batch);
    assert_int_equal(answer.error_code, KAFKA_NONE);
    assert_true(answer.log_append_time_ms > INT64_C(1600000000000));
    harness_free(harness);
}

static void compacted_topics_want_keys_and_say_which_record_has_none(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, "cleanup.policy=compact");
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = NOW, .count = 2, .no_key = true });
    struct produce_response_partition answer = produce(harness, 8, "t", 0, batch);
    assert_int_equal(answer.error_code, KAFKA_INVALID_RECORD);
    assert_int_equal(answer.record_errors_count, 2);
    assert_int_equal(answer.record_errors[0].batch_index, 0);
    assert_int_equal(answer.record_errors[1].batch_index, 1);
    struct odk_bytes many = make_batch(&(struct batch_options){ .timestamp = NOW, .count = 20000, .no_key = true });
    assert_int_equal(produce(harness, 8, "t", 0, many).record_errors_count, RECORD_ERRORS_MAX);
    assert_int_equal(produce(harness, 8, "t", 0, good_batch()).error_code, KAFKA_NONE);
    harness_free(harness);
}

static void every_record_is_held_against_before_max(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, "message.timestamp.before.max.ms=1000;cleanup.policy=compact");
    const struct odk_record_new records[] = {
        { .timestamp = NOW, .key = { (const uint8_t *)"k", 1 } },
        { .timestamp = NOW - 1001, .key = { (const uint8_t *)"k", 1 } },
        { .timestamp = NOW },
        { .timestamp = NOW - 2000 },
    };
    struct odk_batch_new new = { .producer_id = -1, .records = records, .record_count = 4 };
    struct odk_bytes batch;
    uint8_t *data;
    assert_int_equal(odk_batch_build(&new, &data, &batch.len), ODK_OK);
    batch.data = data;
    struct produce_response_partition answer = produce(harness, 8, "t", 0, batch);
    assert_int_equal(answer.error_code, KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(answer.record_errors_count, 3);
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(answer.record_errors[i].batch_index, i + 1);
    assert_false(odk_str_eq(answer.record_errors[0].batch_index_error_message,
                            answer.record_errors[1].batch_index_error_message)); /* a key is missing there */
    harness_free(harness);
}

/* -- opened batches ------------------------------------------------------------------------------------------------ */

static struct odk_bytes copy(const void *data, size_t len)
{
    uint8_t *copied = xcalloc(len, 1);
    memcpy(copied, data, len);
    return (struct odk_bytes){ copied, len };
}
#define COPY(array) copy(array, sizeof(array))

struct stored {
    struct odk_batch header;
    struct odk_read read;
    uint8_t bytes[4096];
};

/* The one batch that holds offset, read back from the log. */
static void read_back(struct harness *harness, const char *topic, int64_t offset, struct stored *ret)
{
    struct odk_log *log = topic_partition(harness_topic(harness, 0, topic), 0)->log;
    size_t len = 0;
    ret->read = (struct odk_read){ .offset = offset, .bytes_max = 1, .at_least_one = true };
    assert_int_equal(odk_log_read(log, &ret->read), ODK_OK);
    assert_in_range(ret->read.bytes, ODK_BATCH_HEADER_BYTES, sizeof(ret->bytes));
    for (uint32_t i = 0; i < ret->read.part_count; i++) {
        memcpy(ret->bytes + len, ret->read.parts[i].iov_base, ret->read.parts[i].iov_len);
        len += ret->read.parts[i].iov_len;
    }
    odk_log_read_release(log, &ret->read);
    assert_int_equal(odk_batch_check_crc((struct odk_bytes){ ret->bytes, len }), ODK_OK);
    assert_int_equal(odk_batch_decode(ret->bytes, len, &ret->header), ODK_OK);
}

/* Three records, keys key-0, none, key-2, the last one a tombstone; at these times. */
static void assert_three(const struct stored *stored, int64_t base, int64_t first_time, int64_t last_time)
{
    struct odk_record_iter it;
    struct odk_record record;
    assert_int_equal(odk_record_iter_init(&it, (struct odk_bytes){ stored->bytes, stored->read.bytes }, MIB(1)), ODK_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(odk_record_next(&it, &record));
        assert_int_equal(record.offset, base + i);
        assert_true((record.key.data == NULL) == (i == 1));
        assert_true((record.value.data == NULL) == (i == 2));
        if (i != 1)
            assert_int_equal(record.timestamp, i == 0 ? first_time : last_time);
    }
    assert_false(odk_record_next(&it, &record));
    assert_int_equal(odk_record_iter_end(&it), ODK_OK);
}

static void message_sets_are_stored_as_batches(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    for (int i = 0; i < 8; i++) {
        struct odk_bytes sets[] = { COPY(golden_plain_0), COPY(golden_gzip_0), COPY(golden_snappy_0), COPY(golden_lz4_0),
                                    COPY(golden_plain_1), COPY(golden_gzip_1), COPY(golden_snappy_1), COPY(golden_lz4_1) };
        struct stored stored;
        struct produce_response_partition answer = produce(harness, (int16_t)(i % 3), "t", 0, sets[i]);
        assert_int_equal(answer.error_code, KAFKA_NONE);
        assert_int_equal(answer.base_offset, 3 * i);
        read_back(harness, "t", 3 * i, &stored);
        assert_int_equal(stored.header.attributes, i % 4);
        assert_int_equal(stored.header.producer_id, -1);
        assert_three(&stored, 3 * i, i < 4 ? -1 : NOW, i < 4 ? -1 : NOW + 10);
        for (int other = 0; other < 8; other++)
            if (other != i)
                free((void *)(uintptr_t)sets[other].data);
    }
    harness_free(harness);
}

static void bad_message_sets_get_their_errors(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    make_topic(harness, "compact", 1, "cleanup.policy=compact");
    make_topic(harness, "small", 1, "max.message.bytes=150");
    make_topic(harness, "late", 1, "message.timestamp.after.max.ms=9");
    struct odk_message stamped = { .format = 1, .timestamp = NOW, .append_time = true };
    uint8_t data[64];
    odk_message_write(&stamped, data);
    check_refused(harness, 2, "t", 0, copy(data, odk_message_bytes(&stamped)), KAFKA_INVALID_TIMESTAMP);
    check_refused(harness, 2, "t", 0, cut(COPY(golden_plain_1), 1), KAFKA_CORRUPT_MESSAGE);
    check_refused(harness, 2, "t", 0, with_byte(COPY(golden_gzip_1), 50, 1), KAFKA_CORRUPT_MESSAGE);
    check_refused(harness, 3, "t", 0, COPY(golden_plain_1), KAFKA_INVALID_RECORD);
    check_refused(harness, 2, "t", 0, copy("", 0), KAFKA_INVALID_RECORD);
    check_refused(harness, 2, "compact", 0, COPY(golden_gzip_1), KAFKA_INVALID_RECORD);
    check_refused(harness, 2, "small", 0, COPY(golden_plain_1), KAFKA_MESSAGE_TOO_LARGE);
    check_refused(harness, 2, "late", 0, COPY(golden_plain_1), KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(produce(harness, 0, "late", 0, COPY(golden_plain_0)).error_code, KAFKA_NONE); /* no times */
    assert_int_equal(produce(harness, 2, "small", 0, COPY(golden_gzip_1)).error_code, KAFKA_NONE);
    assert_int_equal(produce(harness, 2, "t", 0, COPY(golden_zstd)).error_code, KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    assert_int_equal(produce(harness, 2, "t", 0, COPY(golden_gzip)).error_code, KAFKA_NONE);
    harness_free(harness);
}

static void a_topic_may_want_its_own_codec(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        enum odk_codec codec;
    } rows[] = {
        { "compression.type=uncompressed", ODK_CODEC_NONE },
        { "compression.type=gzip;compression.gzip.level=9", ODK_CODEC_GZIP },
        { "compression.type=snappy", ODK_CODEC_SNAPPY },
        { "compression.type=lz4;compression.lz4.level=12", ODK_CODEC_LZ4 },
        { "compression.type=zstd;compression.zstd.level=-5", ODK_CODEC_ZSTD },
    };
    struct harness *harness = harness_new(1, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        char name[] = { 't', (char)('0' + i), 0 };
        make_topic(harness, name, 1, rows[i].settings);
        for (int sent = 0; sent < 6; sent++) {
            struct odk_bytes batches[] = { COPY(golden_plain), COPY(golden_gzip), COPY(golden_snappy),
                                           COPY(golden_lz4),   COPY(golden_zstd), COPY(golden_lz4_0) };
            struct stored stored;
            bool same = sent == (int)rows[i].codec;
            struct odk_bytes before = copy(batches[sent].data, batches[sent].len);
            struct produce_response_partition answer = produce(harness, sent == 5 ? 1 : 9, name, 0, batches[sent]);
            assert_int_equal(answer.error_code, KAFKA_NONE);
            assert_int_equal(answer.base_offset, 3 * sent);
            read_back(harness, name, 3 * sent, &stored);
            assert_int_equal(stored.header.attributes, (int)rows[i].codec);
            assert_three(&stored, 3 * sent, sent == 5 ? -1 : NOW, sent == 5 ? -1 : NOW - 10);
            if (same) /* not opened: the same bytes */
                assert_memory_equal(stored.bytes + 21, before.data + 21, before.len - 21);
            free((void *)(uintptr_t)before.data);
            for (int other = 0; other < 6; other++)
                if (other != sent)
                    free((void *)(uintptr_t)batches[other].data);
        }
    }
    harness_free(harness);
}

static void append_time_and_codec_go_together(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct stored stored;
    make_topic(harness, "t", 1, "compression.type=zstd;message.timestamp.type=LogAppendTime");
    struct produce_response_partition answer = produce(harness, 2, "t", 0, COPY(golden_snappy_1));
    assert_int_equal(answer.error_code, KAFKA_NONE);
    read_back(harness, "t", 0, &stored);
    assert_int_equal(stored.header.attributes, ODK_CODEC_ZSTD | ODK_BATCH_LOG_APPEND_TIME);
    assert_int_equal(stored.header.max_timestamp, answer.log_append_time_ms);
    assert_three(&stored, 0, answer.log_append_time_ms, answer.log_append_time_ms);
    harness_free(harness);
}

/* A batch of format 2, or a message of format 1, that has one value of that many zeros, compressed. */
static struct odk_bytes bomb(enum odk_codec codec, size_t bytes)
{
    struct odk_bytes plain = make_batch(&(struct batch_options){ .timestamp = NOW, .value_bytes = bytes });
    struct odk_bytes records = { plain.data + ODK_BATCH_HEADER_BYTES, plain.len - ODK_BATCH_HEADER_BYTES };
    struct odk_batch header;
    size_t bound = odk_batch_pack_bound(codec, records.len), len;
    uint8_t *data = xcalloc(bound, 1);
    assert_int_equal(odk_batch_decode(plain.data, plain.len, &header), ODK_OK);
    assert_int_equal(odk_batch_pack(&header, records, codec, 1, data, bound, &len), ODK_OK);
    free((void *)(uintptr_t)plain.data);
    return (struct odk_bytes){ data, len };
}

static void a_bomb_is_refused_where_it_must_be_opened(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "plain", 1, NULL);
    make_topic(harness, "compact", 1, "cleanup.policy=compact;max.message.bytes=8388608");
    make_topic(harness, "other", 1, "compression.type=uncompressed;max.message.bytes=8388608");
    make_topic(harness, "wide", 1, "cleanup.policy=compact;max.message.bytes=20971520");
    for (enum odk_codec codec = ODK_CODEC_GZIP; codec <= ODK_CODEC_ZSTD; codec++) {
        size_t over = PRODUCE_OPENED_BYTES_MIN + 1;
        check_refused(harness, 9, "compact", 0, bomb(codec, over), KAFKA_MESSAGE_TOO_LARGE);
        check_refused(harness, 9, "other", 0, bomb(codec, over), KAFKA_MESSAGE_TOO_LARGE);
        check_refused(harness, 9, "other", 0, bomb(codec, MIB(9)), KAFKA_MESSAGE_TOO_LARGE); /* made anew, it is too large */
        assert_int_equal(produce(harness, 9, "compact", 0, bomb(codec, MIB(9))).error_code, KAFKA_NONE);
        assert_int_equal(produce(harness, 9, "wide", 0, bomb(codec, over)).error_code, KAFKA_NONE);
        if (codec != ODK_CODEC_SNAPPY) /* which never gets that small */
            assert_int_equal(produce(harness, 9, "plain", 0, bomb(codec, over)).error_code, KAFKA_NONE);
    }
    harness_free(harness);
}

static void expect_found(struct harness *harness, const char *topic, int64_t timestamp, int64_t offset, int64_t found)
{
    struct odk_find_time find = { .timestamp = timestamp, .max = timestamp < 0 };
    struct odk_log *log = topic_partition(harness_topic(harness, 0, topic), 0)->log;
    harness_turn(harness);                                   /* searches of one turn wait for one another */
    assert_int_equal(odk_log_find_time(log, &find), ODK_OK); /* all of it is in memory */
    assert_int_equal(find.ret_offset, offset);
    assert_int_equal(find.ret_timestamp, found);
}

static void times_are_found_inside_compressed_batches_and_behind_bombs(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(produce(harness, 9, "t", 0, COPY(golden_zstd)).error_code, KAFKA_NONE);
    assert_int_equal(produce(harness, 1, "t", 0, COPY(golden_lz4_0)).error_code, KAFKA_NONE);
    expect_found(harness, "t", NOW - 20, 0, NOW);
    expect_found(harness, "t", NOW + 1, 1, NOW + 5); /* the third is at NOW - 10 */
    expect_found(harness, "t", NOW + 6, -1, -1);
    expect_found(harness, "t", -3, 1, NOW + 5);
    assert_int_equal(produce(harness, 2, "t", 0, COPY(golden_lz4_1)).error_code, KAFKA_NONE);
    expect_found(harness, "t", NOW + 6, 8, NOW + 10);
    struct odk_bytes late[2];
    for (int i = 0; i < 2; i++)
        late[i] = make_batch(&(struct batch_options){ .timestamp = NOW + 100 * (i + 1), .count = 2 });
    ((uint8_t *)(uintptr_t)late[0].data)[ODK_BATCH_HEADER_BYTES] = 2; /* its first record cannot be read */
    batch_set_attributes(late[0], 0);
    assert_int_equal(produce(harness, 9, "t", 0, late[0]).error_code, KAFKA_NONE);
    assert_int_equal(produce(harness, 9, "t", 0, late[1]).error_code, KAFKA_NONE);
    expect_found(harness, "t", NOW + 50, 9, NOW + 100);
    expect_found(harness, "t", NOW + 150, 11, NOW + 200);
    expect_found(harness, "t", -3, 11, NOW + 200);
    make_topic(harness, "lies", 1, NULL);
    for (int i = 0; i < 9; i++) { /* the header says younger than any record is; 16 MiB each */
        struct odk_bytes lie = bomb(ODK_CODEC_GZIP, MIB(16));
        ((uint8_t *)(uintptr_t)lie.data)[42] ^= 0x40; /* of the largest timestamp, some ms */
        batch_set_attributes(lie, ODK_CODEC_GZIP);
        assert_int_equal(produce(harness, 9, "lies", 0, lie).error_code, KAFKA_NONE);
    }
    expect_found(harness, "lies", NOW + 10, 4, NOW + 0x40); /* after four in vain the fifth is believed */
    make_topic(harness, "bomb", 1, NULL);
    struct odk_bytes large = bomb(ODK_CODEC_GZIP, BATCH_OPENED_BYTES_MAX + 1);
    assert_int_equal(produce(harness, 9, "bomb", 0, large).error_code, KAFKA_NONE);
    assert_int_equal(produce(harness, 9, "bomb", 0, make_batch(&(struct batch_options){ .timestamp = NOW + 1 })).error_code,
                     KAFKA_NONE);
    expect_found(harness, "bomb", NOW, 0, NOW);
    expect_found(harness, "bomb", NOW + 1, 1, NOW + 1);
    harness_free(harness);
}

static uint32_t finds_done;

static void find_on_done(struct odk_find_time *find, enum odk_err err)
{
    assert_int_equal(err, ODK_OK);
    assert_int_equal(find->ret_offset, 0);
    finds_done++;
}

/* Six batches of 9 MiB: two searches in each turn. */
static void searches_share_the_turns(void **state)
{
    (void)state;
    enum { PARTS = 6 };
    struct harness *harness = harness_new(1, NULL);
    struct odk_find_time finds[PARTS] = { 0 };
    uint32_t pending = 0;
    make_topic(harness, "t", PARTS, NULL);
    for (int32_t i = 0; i < PARTS; i++)
        assert_int_equal(produce(harness, 9, "t", i, bomb(ODK_CODEC_GZIP, MIB(9))).error_code, KAFKA_NONE);
    finds_done = 0;
    for (int32_t i = 0; i < PARTS; i++) {
        finds[i] = (struct odk_find_time){ .timestamp = NOW, .done = find_on_done };
        enum odk_err err = odk_log_find_time(topic_partition(harness_topic(harness, 0, "t"), i)->log, &finds[i]);
        pending += err == ODK_ERR_PENDING;
        if (err != ODK_ERR_PENDING)
            assert_int_equal(err, ODK_OK);
    }
    assert_int_equal(pending, 4);
    harness_turn(harness);
    assert_int_equal(finds_done, 2);
    harness_turn(harness);
    assert_int_equal(finds_done, 4);
    harness_free(harness);
}

/* 16 batches, opened, half of them in vain: a turn for each, in which others are served; in the end all are answered. */
static void opened_batches_are_checked_a_turn_each(void **state)
{
    (void)state;
    enum { PARTS = 16 };
    struct harness *harness = harness_new(2, NULL);
    struct produce_response response;
    struct produce_request_partition asked[PARTS] = { 0 };
    struct iovec parts[PARTS];
    make_topic(harness, "t", PARTS, "compression.type=zstd");
    for (int32_t i = 0; i < PARTS; i++) {
        struct odk_bytes batch = bomb(ODK_CODEC_LZ4, i < PARTS / 2 ? MIB(1) : PRODUCE_OPENED_BYTES_MIN + 1);
        parts[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)batch.data, .iov_len = batch.len };
        asked[i].index = i;
        asked[i].records = (struct wire_records){ .parts = &parts[i], .part_count = 1, .len = batch.len };
    }
    struct produce_request_topic data = { .name = ODK_STR("t"), .partition_data = asked, .partition_data_count = PARTS };
    struct produce_request request = { .acks = 1, .topic_data = &data, .topic_data_count = 1 };
    struct call *call = call_begin(harness, 1, WIRE_KEY_PRODUCE, 9, &request);
    for (int turn = 0; turn < PARTS - 1; turn++) {
        assert_true(call->request.holds);
        harness_turn(harness);
    }
    assert_false(call->request.holds);
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    for (int32_t i = 0; i < PARTS; i++) {
        bool bad = i >= PARTS / 2;
        assert_int_equal(response.responses[0].partition_responses[i].error_code,
                         bad ? KAFKA_MESSAGE_TOO_LARGE : KAFKA_NONE);
        assert_int_equal(response.responses[0].partition_responses[i].index, i);
        assert_int_equal(response.responses[0].partition_responses[i].base_offset, bad ? -1 : 0);
        free(parts[i].iov_base);
    }
    harness_free(harness);
}

static void records_that_cannot_be_read_are_refused_where_they_are_opened(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    make_topic(harness, "gzip", 1, "compression.type=gzip");
    for (int opened = 0; opened < 2; opened++) {
        struct odk_bytes batch = with_byte(COPY(golden_plain), 61, 2); /* the first record's length */
        batch_set_attributes(batch, 0);
        assert_int_equal(produce(harness, 9, opened ? "gzip" : "t", 0, batch).error_code,
                         opened ? KAFKA_INVALID_RECORD : KAFKA_NONE);
    }
    harness_free(harness);
}

/* -- idempotent producers ------------------------------------------------------------------------------------------ */

static struct produce_response_partition produce_sequence(struct harness *harness, int16_t epoch, int32_t sequence)
{
    struct batch_options options = { .timestamp = NOW,
                                     .count = 2,
                                     .idempotent = true,
                                     .producer_id = 7,
                                     .producer_epoch = epoch,
                                     .base_sequence = sequence };
    return produce(harness, 9, "t", 0, make_batch(&options));
}

static void repeated_batches_get_their_first_offset(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(produce_sequence(harness, 0, 0).base_offset, 0);
    assert_int_equal(produce_sequence(harness, 0, 2).base_offset, 2);
    struct produce_response_partition again = produce_sequence(harness, 0, 0);
    assert_int_equal(again.error_code, KAFKA_NONE);
    assert_int_equal(again.base_offset, 0);
    assert_int_equal(produce_sequence(harness, 0, 9).error_code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(produce_sequence(harness, 1, 0).base_offset, 4);
    assert_int_equal(produce_sequence(harness, 0, 4).error_code, KAFKA_INVALID_PRODUCER_EPOCH);
    harness_crash(harness);
    again = produce_sequence(harness, 1, 0);
    assert_int_equal(again.error_code, KAFKA_NONE);
    assert_int_equal(again.base_offset, 4);
    harness_free(harness);
}

/* -- acks ---------------------------------------------------------------------------------------------------------- */

static enum request_end produce_acks(struct harness *harness, int16_t acks, const char *topic,
                                     struct produce_response *response)
{
    struct odk_bytes batch = good_batch();
    struct iovec part = { .iov_base = (void *)(uintptr_t)batch.data, .iov_len = batch.len };
    struct produce_request_partition asked = { .records = { .parts = &part, .part_count = 1, .len = batch.len } };
    struct produce_request_topic data = { .name = odk_str_from(topic),
                                          .partition_data = &asked,
                                          .partition_data_count = 1 };
    struct produce_request request = { .acks = acks, .topic_data = &data, .topic_data_count = 1 };
    enum request_end end = harness_call(harness, 0, WIRE_KEY_PRODUCE, 9, &request, response);
    free((void *)(uintptr_t)batch.data);
    return end;
}

static void acks_decide_who_is_answered(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct produce_response response;
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(produce_acks(harness, 0, "t", &response), REQUEST_NO_REPLY);
    assert_int_equal(produce_acks(harness, 0, "nowhere", &response), REQUEST_CLOSE);
    assert_int_equal(produce_acks(harness, 1, "t", &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].partition_responses[0].base_offset, 1);
    assert_int_equal(produce_acks(harness, 2, "t", &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].partition_responses[0].error_code, KAFKA_INVALID_REQUIRED_ACKS);
    harness_free(harness);
}

/* -- several partitions and shards --------------------------------------------------------------------------------- */

#define MANY 40

static void one_request_reaches_partitions_on_all_shards(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct produce_request_partition asked[MANY];
    struct odk_bytes batches[MANY];
    struct iovec parts[MANY];
    uint32_t owned[2] = { 0 };
    make_topic(harness, "t", MANY - 1, NULL);
    for (int32_t i = 0; i < MANY; i++) {
        batches[i] = good_batch();
        parts[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)batches[i].data, .iov_len = batches[i].len };
        asked[i] = (struct produce_request_partition){
            .index = i, .records = { .parts = &parts[i], .part_count = 1, .len = batches[i].len }
        };
    }
    struct produce_request_topic data = { .name = ODK_STR("t"), .partition_data = asked, .partition_data_count = MANY };
    struct produce_request request = { .acks = -1, .topic_data = &data, .topic_data_count = 1 };
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct produce_response response;
        assert_int_equal(harness_call(harness, shard, WIRE_KEY_PRODUCE, 9, &request, &response), REQUEST_REPLY);
        for (int32_t i = 0; i < MANY; i++) {
            const struct produce_response_partition *answer = &response.responses[0].partition_responses[i];
            assert_int_equal(answer->index, i);
            assert_int_equal(answer->error_code, i < MANY - 1 ? KAFKA_NONE : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
            assert_int_equal(answer->base_offset, i < MANY - 1 ? (int64_t)shard : -1);
        }
    }
    struct topic *topic = harness_topic(harness, 0, "t");
    for (int32_t i = 0; i < MANY - 1; i++) {
        owned[topic->partitions[i]->shard]++;
        assert_int_equal(topic->partitions[i]->log != NULL, topic->partitions[i]->shard == 0);
    }
    assert_true(owned[0] > 0 && owned[1] > 0);
    for (int32_t i = 0; i < MANY; i++)
        free((void *)(uintptr_t)batches[i].data);
    harness_free(harness);
}

static void requests_in_flight_keep_their_order(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 8, NULL);
    struct call *calls[32];
    struct odk_bytes batch = good_batch();
    struct iovec part = { .iov_base = (void *)(uintptr_t)batch.data, .iov_len = batch.len };
    struct produce_request_partition asked = { .records = { .parts = &part, .part_count = 1, .len = batch.len } };
    struct produce_request_topic data = { .name = ODK_STR("t"), .partition_data = &asked, .partition_data_count = 1 };
    struct produce_request request = { .acks = 1, .topic_data = &data, .topic_data_count = 1 };
    for (uint32_t i = 0; i < countof(calls); i++) {
        asked.index = (int32_t)(i % 8);
        calls[i] = call_begin(harness, 1, WIRE_KEY_PRODUCE, 9, &request);
    }
    for (uint32_t i = 0; i < countof(calls); i++) {
        struct produce_response response;
        assert_int_equal(call_end(calls[i], &response), REQUEST_REPLY);
        assert_int_equal(response.responses[0].partition_responses[0].base_offset, i / 8);
    }
    free((void *)(uintptr_t)batch.data);
    harness_free(harness);
}

static void acknowledged_batches_survive_a_crash(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 4, NULL);
    for (int i = 0; i < 40; i++)
        assert_int_equal(produce(harness, 9, "t", i % 4, good_batch()).error_code, KAFKA_NONE);
    harness_crash(harness);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(produce(harness, 9, "t", i, good_batch()).base_offset, 10);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_get_consecutive_offsets_in_every_version),
        cmocka_unit_test(bad_batches_get_their_errors),
        cmocka_unit_test(unknown_places_get_their_errors),
        cmocka_unit_test(sizes_are_bounded_by_topic_and_segment),
        cmocka_unit_test(timestamps_are_held_against_the_clock),
        cmocka_unit_test(log_append_time_is_stamped_and_told),
        cmocka_unit_test(compacted_topics_want_keys_and_say_which_record_has_none),
        cmocka_unit_test(every_record_is_held_against_before_max),
        cmocka_unit_test(message_sets_are_stored_as_batches),
        cmocka_unit_test(bad_message_sets_get_their_errors),
        cmocka_unit_test(a_topic_may_want_its_own_codec),
        cmocka_unit_test(append_time_and_codec_go_together),
        cmocka_unit_test(a_bomb_is_refused_where_it_must_be_opened),
        cmocka_unit_test(times_are_found_inside_compressed_batches_and_behind_bombs),
        cmocka_unit_test(searches_share_the_turns),
        cmocka_unit_test(opened_batches_are_checked_a_turn_each),
        cmocka_unit_test(records_that_cannot_be_read_are_refused_where_they_are_opened),
        cmocka_unit_test(repeated_batches_get_their_first_offset),
        cmocka_unit_test(acks_decide_who_is_answered),
        cmocka_unit_test(one_request_reaches_partitions_on_all_shards),
        cmocka_unit_test(requests_in_flight_keep_their_order),
        cmocka_unit_test(acknowledged_batches_survive_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
