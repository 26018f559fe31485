/* The metadata log's records: their bytes, which older programs have written, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "broker/errors.h"
#include "broker/metadata_records.h"

#define ID "ABCDEFGHIJKLMNOP"

static struct metadata_setting settings[] = { { ODK_STR("retention.ms"), ODK_STR("5") },
                                              { ODK_STR("cleanup.policy"), ODK_STR("") } };

/* Bytes of every kind. They must never change: data directories hold them. */
static const struct {
    struct metadata_record record;
    const char *bytes;
    size_t len;
} golden[] = {
#define BYTES(text) (text), sizeof(text) - 1
    { { .kind = METADATA_TOPIC, .name = ODK_STR("t"), .partition_count = 3, .settings = settings, .setting_count = 2 },
      BYTES("\1\0" ID "\0\1t"
            "\0\0\0\3"
            "\0\2"
            "\0\14retention.ms"
            "\0\1"
            "5"
            "\0\16cleanup.policy"
            "\0\0") },
    { { .kind = METADATA_TOPIC_DELETED }, BYTES("\2\0" ID) },
    { { .kind = METADATA_TOPIC_PURGED }, BYTES("\3\0" ID) },
    { { .kind = METADATA_PRODUCER_IDS, .producer_ids_end = 3000 }, BYTES("\4\0\0\0\0\0\0\0\13\270") },
    { { .kind = METADATA_TOPIC_CONFIG, .settings = settings, .setting_count = 1 },
      BYTES("\5\0" ID "\0\1"
            "\0\14retention.ms"
            "\0\1"
            "5") },
    { { .kind = METADATA_BROKER_CONFIG, .name = ODK_STR("1"), .settings = settings, .setting_count = 1 },
      BYTES("\6\0"
            "\0\1"
            "1"
            "\0\1"
            "\0\14retention.ms"
            "\0\1"
            "5") },
    { { .kind = METADATA_GROUP_CONFIG, .name = ODK_STR("g") }, BYTES("\7\0\0\1g\0\0") },
    { { .kind = METADATA_TOPIC_PARTITIONS, .partition_count = 5 }, BYTES("\10\0" ID "\0\0\0\5") },
#undef BYTES
};

static size_t write_record(size_t i, uint8_t *dst, size_t capacity)
{
    struct metadata_record record = golden[i].record;
    memcpy(record.id.b, ID, sizeof(record.id.b));
    struct wr w = wr_init(dst, capacity);
    metadata_record_write(&w, &record);
    return w.pos;
}

static void bytes_are_as_they_always_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(golden); i++) {
        uint8_t bytes[128];
        assert_int_equal(write_record(i, NULL, 0), golden[i].len);
        assert_int_equal(write_record(i, bytes, sizeof(bytes)), golden[i].len);
        assert_memory_equal(bytes, golden[i].bytes, golden[i].len);
    }
}

static struct odk_bytes bytes_of(size_t i)
{
    return (struct odk_bytes){ .data = (const uint8_t *)golden[i].bytes, .len = golden[i].len };
}

static void records_come_back_as_they_were(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct metadata_record record;
    assert_int_equal(metadata_record_read(bytes_of(0), &arena, &record), ODK_OK);
    assert_int_equal(record.kind, METADATA_TOPIC);
    assert_memory_equal(record.id.b, ID, sizeof(record.id.b));
    assert_true(odk_str_eq(record.name, ODK_STR("t")));
    assert_int_equal(record.partition_count, 3);
    assert_int_equal(record.setting_count, 2);
    assert_true(odk_str_eq(record.settings[0].value, ODK_STR("5")));
    assert_true(odk_str_eq(record.settings[1].key, ODK_STR("cleanup.policy")));
    assert_int_equal(metadata_record_read(bytes_of(3), &arena, &record), ODK_OK);
    assert_int_equal(record.producer_ids_end, 3000);
    assert_int_equal(metadata_record_read(bytes_of(5), &arena, &record), ODK_OK);
    assert_true(odk_str_eq(record.name, ODK_STR("1")));
    assert_int_equal(record.setting_count, 1);
    assert_true(odk_str_eq(record.settings[0].key, ODK_STR("retention.ms")));
    assert_int_equal(metadata_record_read(bytes_of(7), &arena, &record), ODK_OK);
    assert_int_equal(record.partition_count, 5);
    arena_deinit(&arena);
}

static void damage_is_told_from_a_newer_format(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct metadata_record record;
    for (size_t i = 0; i < countof(golden); i++) {
        struct odk_bytes bytes = bytes_of(i);
        for (bytes.len = 0; bytes.len < golden[i].len; bytes.len++)
            assert_int_equal(metadata_record_read(bytes, &arena, &record), ODK_ERR_CORRUPT);
    }
    assert_int_equal(metadata_record_read((struct odk_bytes){ (const uint8_t *)"\11\0", 2 }, &arena, &record),
                     ODK_ERR_VERSION);
    assert_int_equal(metadata_record_read((struct odk_bytes){ (const uint8_t *)"\1\1", 2 }, &arena, &record),
                     ODK_ERR_VERSION);
    assert_int_equal(
        metadata_record_read((struct odk_bytes){ (const uint8_t *)"\4\0\0\0\0\0\0\0\13\270x", 11 }, &arena, &record),
        ODK_ERR_CORRUPT);
    arena_deinit(&arena);
}

static void any_bytes_are_survived(void **state)
{
    (void)state;
    struct prng prng = { .state = 3 };
    struct arena arena = { 0 };
    for (int round = 0; round < 50000; round++) {
        uint8_t bytes[96];
        struct metadata_record record;
        size_t i = (size_t)prng_below(&prng, countof(golden));
        memcpy(bytes, golden[i].bytes, golden[i].len);
        for (int change = 0; change < 3; change++)
            bytes[prng_below(&prng, golden[i].len)] = (uint8_t)prng_next(&prng);
        enum odk_err err =
            metadata_record_read((struct odk_bytes){ .data = bytes, .len = golden[i].len }, &arena, &record);
        assert_true(err == ODK_OK || err == ODK_ERR_CORRUPT || err == ODK_ERR_VERSION);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void every_error_has_a_code_that_clients_know(void **state)
{
    (void)state;
    for (int err = 0; err < ODK_ERR_COUNT; err++) {
        if (err == ODK_ERR_PENDING)
            continue;
        enum kafka_error error = kafka_error_of((enum odk_err)err);
        assert_int_equal(error == KAFKA_NONE, err == ODK_OK);
        assert_in_range(error + 1, 0, KAFKA_ERROR_LAST + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_as_they_always_were),
        cmocka_unit_test(records_come_back_as_they_were),
        cmocka_unit_test(damage_is_told_from_a_newer_format),
        cmocka_unit_test(any_bytes_are_survived),
        cmocka_unit_test(every_error_has_a_code_that_clients_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
