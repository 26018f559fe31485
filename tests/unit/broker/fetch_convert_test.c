/*
 * Goal: a Fetch of before batches gets the messages that it asked for, however the batches lie in memory, within its
 * bounds. Method: reads put together by hand, of batches that Kafka and we built; the answer is taken apart again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <odradek/messages.h>

#include "base/limits.h"
#include "base/units.h"
#include "broker/fetch_convert.h"
#include "unit/store/golden_kafka.h"
#include "unit/store/views.h"

#define T0 INT64_C(1700000000000)

static void *xalloc(size_t len)
{
    void *memory = calloc(1, len);
    assert_non_null(memory);
    return memory;
}

/* count records of value_bytes at base. */
static struct odk_bytes batch_at(int64_t base, int32_t count, size_t value_bytes)
{
    struct odk_record_new *records = xalloc((size_t)count * sizeof(*records));
    uint8_t *value = xalloc(value_bytes + 1), *data;
    size_t len;
    for (int32_t i = 0; i < count; i++)
        records[i] = (struct odk_record_new){ .timestamp = T0 + i, .value = { value, value_bytes } };
    struct odk_batch_new new = { .base_offset = base, .producer_id = -1, .records = records, .record_count = count };
    assert_int_equal(odk_batch_build(&new, &data, &len), ODK_OK);
    free(records);
    free(value);
    return (struct odk_bytes){ data, len };
}

/* A read of two batches, 0-2 and 3-5, from offset, in pieces of that many bytes. */
struct pieces {
    struct odk_read read;
    uint8_t *data;
};

static struct pieces pieces_of(const struct odk_bytes *batches, size_t count, int64_t offset, size_t piece)
{
    struct pieces pieces = { .read = { .offset = offset } };
    for (size_t i = 0; i < count; i++) {
        pieces.data = realloc(pieces.data, pieces.read.bytes + batches[i].len);
        memcpy(pieces.data + pieces.read.bytes, batches[i].data, batches[i].len);
        pieces.read.bytes += (uint32_t)batches[i].len;
    }
    for (size_t at = 0; at < pieces.read.bytes; at += piece) {
        assert_in_range(pieces.read.part_count, 0, ODK_READ_PARTS_MAX - 1);
        pieces.read.parts[pieces.read.part_count++] =
            (struct iovec){ pieces.data + at, MIN(piece, pieces.read.bytes - at) };
    }
    return pieces;
}

/* The answer in one piece; the caller frees. */
static struct odk_bytes joined(const struct fetch_converted *converted)
{
    uint8_t *data = xalloc(converted->bytes + 1);
    size_t len = 0;
    for (uint32_t i = 0; i < converted->part_count; i++) {
        memcpy(data + len, converted->parts[i].iov_base, converted->parts[i].iov_len);
        len += converted->parts[i].iov_len;
    }
    assert_int_equal(len, converted->bytes);
    return (struct odk_bytes){ data, len };
}

static void assert_offsets(const struct fetch_converted *converted, int64_t from, int64_t to, int8_t format)
{
    struct odk_bytes set = joined(converted);
    struct odk_message_iter it;
    struct odk_message message;
    assert_int_equal(converted->error, KAFKA_NONE);
    odk_message_iter_init(&it, set, 0); /* nothing is compressed */
    for (int64_t offset = from; offset < to; offset++) {
        assert_true(odk_message_next(&it, &message));
        assert_int_equal(message.offset, offset);
        assert_int_equal(message.format, format);
    }
    assert_false(odk_message_next(&it, &message));
    assert_int_equal(odk_message_iter_end(&it), ODK_OK);
    free((void *)(uintptr_t)set.data);
}

static struct odk_bytes second_of(struct odk_bytes batch)
{
    uint8_t *copy = copy_of(batch);
    odk_batch_patch(copy, 3, 0);
    return (struct odk_bytes){ copy, batch.len };
}

static void batches_in_any_pieces_become_messages(void **state)
{
    (void)state;
    struct odk_bytes batches[] = { VIEW(golden_zstd), second_of(VIEW(golden_snappy)) };
    for (size_t piece = 5; piece < 300; piece++) {
        for (int64_t offset = 0; offset < 6; offset += 2) {
            struct arena arena = { .limit = REQUEST_ARENA_BYTES_MAX };
            struct pieces pieces = pieces_of(batches, 2, offset, piece);
            struct fetch_convert convert;
            struct fetch_converted got;
            fetch_convert_init(&convert, &arena, (int16_t)(piece % 4), INT32_MAX);
            fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
            assert_offsets(&got, offset, 6, piece % 4 >= FETCH_VERSION_FORMAT_1);
            arena_deinit(&arena);
            free(pieces.data);
        }
    }
    free((void *)(uintptr_t)batches[1].data);
}

static void keys_values_and_times_stay(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct odk_bytes batch = VIEW(golden_gzip);
    struct pieces pieces = pieces_of(&batch, 1, 0, 1000);
    struct fetch_convert convert;
    struct fetch_converted got;
    struct odk_message_iter it;
    struct odk_message message;
    fetch_convert_init(&convert, &arena, 3, INT32_MAX);
    fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
    struct odk_bytes set = joined(&got);
    odk_message_iter_init(&it, set, 0);
    assert_true(odk_message_next(&it, &message));
    assert_int_equal(message.timestamp, T0);
    assert_int_equal(message.key.len, 5);
    assert_memory_equal(message.key.data, "key-0", 5);
    assert_memory_equal(message.value.data, "value-0", 7);
    assert_true(odk_message_next(&it, &message));
    assert_null(message.key.data);
    assert_int_equal(message.timestamp, T0 + 5);
    assert_true(odk_message_next(&it, &message));
    assert_null(message.value.data);
    assert_int_equal(message.timestamp, T0 - 10);
    assert_int_equal(odk_message_iter_end(&it), ODK_OK);
    free((void *)(uintptr_t)set.data);
    free(pieces.data);
    arena_deinit(&arena);
}

static void control_batches_are_left_out(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct odk_bytes batches[] = { VIEW(golden_commit), second_of(VIEW(golden_plain)) };
    struct pieces pieces = pieces_of(batches, 2, 0, 1000);
    struct fetch_convert convert;
    struct fetch_converted got;
    fetch_convert_init(&convert, &arena, 1, INT32_MAX);
    fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
    assert_offsets(&got, 3, 6, 0);
    free((void *)(uintptr_t)batches[1].data);
    free(pieces.data);
    arena_deinit(&arena);
}

static void an_answer_ends_within_its_bounds_inside_a_batch(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct odk_bytes batch = batch_at(0, 100, 1000);
    struct pieces pieces = pieces_of(&batch, 1, 0, 1 << 20);
    for (uint32_t bytes_max = 0; bytes_max < 20000; bytes_max += 700) {
        struct fetch_convert convert;
        struct fetch_converted got;
        fetch_convert_init(&convert, &arena, 2, INT32_MAX);
        fetch_convert(&convert, &pieces.read, bytes_max, &got);
        assert_offsets(&got, 0, MAX(1, bytes_max / 1034), 1); /* 34 bytes around a value; the first one always */
        fetch_convert_init(&convert, &arena, 2, bytes_max + 1);
        fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
        assert_offsets(&got, 0, MAX(1, (bytes_max + 1) / 1034), 1);
    }
    free(pieces.data);
    free((void *)(uintptr_t)batch.data);
    arena_deinit(&arena);
}

static void what_is_used_up_leaves_the_rest_empty(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct odk_bytes batch = batch_at(0, 10, 1000);
    struct pieces pieces = pieces_of(&batch, 1, 0, 1 << 20);
    struct fetch_convert convert;
    struct fetch_converted got;
    fetch_convert_init(&convert, &arena, 2, 5000);
    fetch_convert(&convert, &pieces.read, 5000, &got);
    assert_offsets(&got, 0, 4, 1);
    fetch_convert(&convert, &pieces.read, 5000, &got);
    assert_offsets(&got, 0, 1, 1);
    fetch_convert(&convert, &pieces.read, 5000, &got);
    assert_offsets(&got, 0, 0, 1);
    fetch_convert_init(&convert, &arena, 2, INT32_MAX);
    convert.opened_left = 1; /* one batch more, then nothing */
    fetch_convert(&convert, &pieces.read, 5000, &got);
    assert_offsets(&got, 0, 4, 1);
    fetch_convert(&convert, &pieces.read, 5000, &got);
    assert_offsets(&got, 0, 0, 1);
    free(pieces.data);
    free((void *)(uintptr_t)batch.data);
    arena_deinit(&arena);
}

static void damage_is_told_when_it_comes_first(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct odk_bytes batches[] = { VIEW(golden_lz4), second_of(VIEW(golden_gzip)) };
    for (int spoiled = 0; spoiled < 2; spoiled++) {
        struct pieces pieces = pieces_of(batches, 2, 0, 1000);
        struct fetch_convert convert;
        struct fetch_converted got;
        pieces.data[spoiled == 0 ? 70 : batches[0].len + 70] ^= 1;
        fetch_convert_init(&convert, &arena, 2, INT32_MAX);
        fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
        if (spoiled == 1)
            assert_offsets(&got, 0, 3, 1);
        else
            assert_int_equal(got.error, KAFKA_CORRUPT_MESSAGE);
        free(pieces.data);
    }
    free((void *)(uintptr_t)batches[1].data);
    arena_deinit(&arena);
}

static void what_no_memory_can_hold_is_refused(void **state)
{
    (void)state;
    struct arena arena = { .limit = KIB(512) };
    struct odk_bytes batch = batch_at(0, 1, MIB(1));
    struct pieces pieces = pieces_of(&batch, 1, 0, KIB(16)); /* in pieces: it must be put together, too */
    struct fetch_convert convert;
    struct fetch_converted got;
    fetch_convert_init(&convert, &arena, 2, INT32_MAX);
    fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
    assert_int_equal(got.error, KAFKA_MESSAGE_TOO_LARGE);
    assert_int_equal(got.bytes, 0);
    free(pieces.data);
    free((void *)(uintptr_t)batch.data);
    arena_deinit(&arena);
}

/* A batch of zeros that compress to almost nothing, of that size. */
static void a_bomb_ends_at_the_bound(void **state)
{
    (void)state;
    struct arena arena = { .limit = REQUEST_ARENA_BYTES_MAX };
    struct odk_bytes plain = batch_at(0, 1, BATCH_OPENED_BYTES_MAX + 1), packed;
    struct odk_batch header;
    uint8_t *data = xalloc(MIB(1));
    assert_int_equal(odk_batch_decode(plain.data, plain.len, &header), ODK_OK);
    struct odk_bytes records = { plain.data + ODK_BATCH_HEADER_BYTES, plain.len - ODK_BATCH_HEADER_BYTES };
    assert_int_equal(odk_batch_pack(&header, records, ODK_CODEC_ZSTD, 3, data, MIB(1), &packed.len), ODK_OK);
    packed.data = data;
    struct pieces pieces = pieces_of(&packed, 1, 0, MIB(1));
    struct fetch_convert convert;
    struct fetch_converted got;
    fetch_convert_init(&convert, &arena, 2, INT32_MAX);
    fetch_convert(&convert, &pieces.read, INT32_MAX, &got);
    assert_int_equal(got.error, KAFKA_MESSAGE_TOO_LARGE);
    assert_int_equal(convert.opened_left, 0); /* no second one in the same answer */
    free(pieces.data);
    free(data);
    free((void *)(uintptr_t)plain.data);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_in_any_pieces_become_messages),
        cmocka_unit_test(keys_values_and_times_stay),
        cmocka_unit_test(control_batches_are_left_out),
        cmocka_unit_test(an_answer_ends_within_its_bounds_inside_a_batch),
        cmocka_unit_test(what_is_used_up_leaves_the_rest_empty),
        cmocka_unit_test(damage_is_told_when_it_comes_first),
        cmocka_unit_test(what_no_memory_can_hold_is_refused),
        cmocka_unit_test(a_bomb_ends_at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
