/*
 * Goal: message sets of formats 0 and 1 come apart as an independent client put them together, and are put together as it
 * does; damage is named and costs no more than its bound. Method: vectors of kafka-python, spoiled one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <odradek/messages.h>
#include <zlib.h>

#include "base/units.h"
#include "golden_messages.h"
#include "views.h"

#define T0 INT64_C(1700000000000)

static const struct odk_bytes sets[2][4] = {
    { VIEW(golden_plain_0), VIEW(golden_gzip_0), VIEW(golden_snappy_0), VIEW(golden_lz4_0) },
    { VIEW(golden_plain_1), VIEW(golden_gzip_1), VIEW(golden_snappy_1), VIEW(golden_lz4_1) },
};

static void assert_text(struct odk_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

static enum odk_err walk(struct odk_bytes set, size_t opened_max, int *ret_count)
{
    struct odk_message_iter it;
    struct odk_message message;
    odk_message_iter_init(&it, set, opened_max);
    for (*ret_count = 0; odk_message_next(&it, &message);)
        *ret_count += 1;
    return odk_message_iter_end(&it);
}

static enum odk_err err_of(struct odk_bytes set)
{
    int count;
    return walk(set, KIB(64), &count);
}

static void assert_three(struct odk_bytes set, int8_t format, enum odk_codec codec)
{
    struct odk_message_iter it;
    struct odk_message message;
    odk_message_iter_init(&it, set, KIB(64));
    for (int i = 0; i < 3; i++) {
        assert_true(odk_message_next(&it, &message));
        assert_int_equal(message.offset, i);
        assert_int_equal(message.format, format);
        assert_int_equal(message.timestamp, format == 1 ? T0 + 5 * i : -1);
        assert_false(message.append_time);
        if (i == 1)
            assert_null(message.key.data);
        else
            assert_text(message.key, i == 0 ? "key-0" : "key-2");
        if (i == 2)
            assert_null(message.value.data);
        else
            assert_text(message.value, i == 0 ? "value-0"
                                              : "value-1value-1value-1value-1value-1value-1value-1value-1value-1");
    }
    assert_false(odk_message_next(&it, &message));
    assert_int_equal(it.codec, codec);
    assert_int_equal(odk_message_iter_end(&it), ODK_OK);
}

static void what_kafka_python_packs_comes_out(void **state)
{
    (void)state;
    for (int8_t format = 0; format < 2; format++)
        for (int codec = 0; codec < 4; codec++)
            assert_three(sets[format][codec], format, (enum odk_codec)codec);
}

static void what_is_written_is_what_kafka_python_writes(void **state)
{
    (void)state;
    for (int8_t format = 0; format < 2; format++) {
        struct odk_message_iter it;
        struct odk_message message;
        uint8_t written[512];
        size_t len = 0;
        odk_message_iter_init(&it, sets[format][1], KIB(64));
        while (odk_message_next(&it, &message)) {
            assert_in_range(len + odk_message_bytes(&message), 1, sizeof(written));
            odk_message_write(&message, written + len);
            len += odk_message_bytes(&message);
        }
        assert_int_equal(odk_message_iter_end(&it), ODK_OK);
        assert_int_equal(len, sets[format][0].len);
        assert_memory_equal(written, sets[format][0].data, len);
    }
}

static void append_time_is_kept_in_format_1_alone(void **state)
{
    (void)state;
    for (int8_t format = 0; format < 2; format++) {
        struct odk_message message = { .offset = 7, .timestamp = T0, .format = format, .append_time = true };
        struct odk_message back;
        struct odk_message_iter it;
        uint8_t data[64];
        size_t len = odk_message_bytes(&message);
        assert_in_range(len, 26, sizeof(data));
        odk_message_write(&message, data);
        odk_message_iter_init(&it, (struct odk_bytes){ data, len }, 0);
        assert_true(odk_message_next(&it, &back));
        assert_int_equal(back.append_time, format == 1);
        assert_int_equal(back.timestamp, format == 1 ? T0 : -1);
        assert_int_equal(odk_message_iter_end(&it), ODK_OK);
    }
}

/* -- damage -------------------------------------------------------------------------------------------------------- */

static void sets_follow_one_another_and_end_at_a_message(void **state)
{
    (void)state;
    uint8_t both[sizeof(golden_gzip_1) + sizeof(golden_plain_1)];
    int count;
    memcpy(both, golden_gzip_1, sizeof(golden_gzip_1));
    memcpy(both + sizeof(golden_gzip_1), golden_plain_1, sizeof(golden_plain_1));
    assert_int_equal(walk(VIEW(both), KIB(64), &count), ODK_OK);
    assert_int_equal(count, 6);
    assert_int_equal(walk((struct odk_bytes){ both, 0 }, KIB(64), &count), ODK_OK);
    assert_int_equal(count, 0);
    for (size_t len = 1; len < sizeof(golden_gzip_1); len++) {
        uint8_t *cut = copy_of((struct odk_bytes){ golden_gzip_1, len });
        assert_int_equal(err_of((struct odk_bytes){ cut, len }), ODK_ERR_TRUNCATED);
        free(cut);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t at = 16; at < sizeof(golden_lz4_1); at++) { /* behind offset, size and CRC */
        uint8_t *spoiled = copy_of(VIEW(golden_lz4_1));
        spoiled[at] ^= 4;
        assert_int_equal(err_of((struct odk_bytes){ spoiled, sizeof(golden_lz4_1) }), ODK_ERR_CRC);
        free(spoiled);
    }
}

/* Makes the checksum of the one message true again. */
static void seal(uint8_t *data, size_t len)
{
    uint32_t crc = __builtin_bswap32((uint32_t)crc32_z(0, data + 16, len - 16));
    memcpy(data + 12, &crc, sizeof(crc));
}

static void other_formats_and_codecs_are_named(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        enum odk_err err;
    } rows[] = {
        { 16, 2, ODK_ERR_INVALID },     { 16, 0xff, ODK_ERR_INVALID },  /* format */
        { 17, 4, ODK_ERR_UNSUPPORTED }, { 17, 7, ODK_ERR_UNSUPPORTED }, /* codec */
        { 17, 2, ODK_ERR_CORRUPT },                                     /* another one's bytes */
        { 26, 0x80, ODK_ERR_CORRUPT },                                  /* length of the key */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t *spoiled = copy_of(VIEW(golden_gzip_1));
        spoiled[rows[i].at] = rows[i].value;
        seal(spoiled, sizeof(golden_gzip_1));
        assert_int_equal(err_of((struct odk_bytes){ spoiled, sizeof(golden_gzip_1) }), rows[i].err);
        free(spoiled);
    }
}

/* A compressed message of that format around a set. */
static struct odk_bytes wrap(int8_t format, struct odk_bytes inner, uint8_t *out, size_t room)
{
    uint8_t packed[8192];
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)inner.data,
                        .avail_in = (uInt)inner.len,
                        .next_out = packed,
                        .avail_out = sizeof(packed) };
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    struct odk_message message = { .format = format, .timestamp = T0, .value = { packed, stream.total_out } };
    deflateEnd(&stream);
    size_t len = odk_message_bytes(&message);
    assert_in_range(len, 1, room);
    odk_message_write(&message, out);
    out[17] = ODK_CODEC_GZIP;
    seal(out, len);
    return (struct odk_bytes){ out, len };
}

static void what_stands_inside_obeys_the_rules(void **state)
{
    (void)state;
    uint8_t room[1024];
    uint8_t cut[sizeof(golden_plain_1) - 1];
    memcpy(cut, golden_plain_1, sizeof(cut));
    assert_int_equal(err_of(wrap(1, VIEW(golden_plain_1), room, sizeof(room))), ODK_OK);
    assert_int_equal(err_of(wrap(1, VIEW(golden_gzip_1), room, sizeof(room))), ODK_ERR_INVALID);  /* twice */
    assert_int_equal(err_of(wrap(1, VIEW(golden_plain_0), room, sizeof(room))), ODK_ERR_INVALID); /* other format */
    assert_int_equal(err_of(wrap(1, (struct odk_bytes){ cut, 0 }, room, sizeof(room))), ODK_ERR_INVALID);
    assert_int_equal(err_of(wrap(1, VIEW(cut), room, sizeof(room))), ODK_ERR_CORRUPT);
}

static void a_compressed_message_has_a_value(void **state)
{
    (void)state;
    struct odk_message message = { .format = 1, .timestamp = T0 };
    uint8_t data[64];
    size_t len = odk_message_bytes(&message);
    odk_message_write(&message, data);
    data[17] = ODK_CODEC_GZIP;
    seal(data, len);
    assert_int_equal(err_of((struct odk_bytes){ data, len }), ODK_ERR_INVALID);
}

static void the_times_of_a_stamped_set_are_the_outer_one(void **state)
{
    (void)state;
    uint8_t room[1024];
    struct odk_message_iter it;
    struct odk_message message;
    struct odk_bytes set = wrap(1, VIEW(golden_plain_1), room, sizeof(room));
    room[17] |= 8;
    seal(room, set.len);
    odk_message_iter_init(&it, set, KIB(64));
    for (int i = 0; i < 3; i++) {
        assert_true(odk_message_next(&it, &message));
        assert_true(message.append_time);
        assert_int_equal(message.timestamp, T0);
    }
    assert_int_equal(odk_message_iter_end(&it), ODK_OK);
}

static void a_header_checksum_of_lz4_counts_in_format_1(void **state)
{
    (void)state;
    uint8_t *right = copy_of(VIEW(golden_lz4_0));
    uint8_t *wrong = copy_of(VIEW(golden_lz4_1));
    size_t at_0 = sizeof(golden_lz4_0), at_1 = sizeof(golden_lz4_1);
    for (size_t i = 0; i + 4 < sizeof(golden_lz4_0); i++)
        at_0 = memcmp(golden_lz4_0 + i, "\x04\x22\x4d\x18", 4) == 0 ? i : at_0;
    for (size_t i = 0; i + 4 < sizeof(golden_lz4_1); i++)
        at_1 = memcmp(golden_lz4_1 + i, "\x04\x22\x4d\x18", 4) == 0 ? i : at_1;
    wrong[at_1 + (golden_lz4_1[at_1 + 4] & 8 ? 14 : 6)] ^= 1;
    seal(wrong, sizeof(golden_lz4_1));
    assert_int_equal(err_of((struct odk_bytes){ wrong, sizeof(golden_lz4_1) }), ODK_ERR_CORRUPT);
    right[at_0 + (golden_lz4_0[at_0 + 4] & 8 ? 14 : 6)] ^= 1;
    seal(right, sizeof(golden_lz4_0));
    assert_int_equal(err_of((struct odk_bytes){ right, sizeof(golden_lz4_0) }), ODK_OK);
    free(right);
    free(wrong);
}

static void the_bound_is_for_all_that_is_opened(void **state)
{
    (void)state;
    int count;
    size_t opened = sizeof(golden_plain_1);
    uint8_t twice[2 * sizeof(golden_gzip_1)];
    memcpy(twice, golden_gzip_1, sizeof(golden_gzip_1));
    memcpy(twice + sizeof(golden_gzip_1), golden_gzip_1, sizeof(golden_gzip_1));
    assert_int_equal(walk(VIEW(twice), 2 * opened, &count), ODK_OK);
    assert_int_equal(count, 6);
    assert_int_equal(walk(VIEW(twice), 2 * opened - 1, &count), ODK_ERR_TOO_LARGE);
    assert_int_equal(count, 3);
}

static void lengths_that_no_field_can_say_are_refused(void **state)
{
    (void)state;
    static const uint8_t byte;
    struct odk_message message = { .format = 1, .value = { &byte, (size_t)INT32_MAX - 33 } };
    assert_int_equal(odk_message_bytes(&message), SIZE_MAX);
    message.value.len--;
    assert_int_equal(odk_message_bytes(&message), INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_kafka_python_packs_comes_out),
        cmocka_unit_test(what_is_written_is_what_kafka_python_writes),
        cmocka_unit_test(append_time_is_kept_in_format_1_alone),
        cmocka_unit_test(sets_follow_one_another_and_end_at_a_message),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(other_formats_and_codecs_are_named),
        cmocka_unit_test(what_stands_inside_obeys_the_rules),
        cmocka_unit_test(a_compressed_message_has_a_value),
        cmocka_unit_test(the_times_of_a_stamped_set_are_the_outer_one),
        cmocka_unit_test(a_header_checksum_of_lz4_counts_in_format_1),
        cmocka_unit_test(the_bound_is_for_all_that_is_opened),
        cmocka_unit_test(lengths_that_no_field_can_say_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
