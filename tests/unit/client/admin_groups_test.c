/*
 * Goal: a classic consumer's assignment is read in every version, and anything else is called what it is: bytes.
 * Method: assignments as the generated encoder writes them and as Kafka's clients have sent them; every truncation;
 * random bytes, from a fixed seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/prng.h"
#include "client/admin_groups.h"

/* Version 1 as librdkafka writes it: topics "b" (3, 1) and "a" (0), no user data. */
static const uint8_t two_topics[] = { 0, 1, 0, 0, 0, 2,   0, 1, 'b', 0, 0, 0, 2, 0, 0,    0,    3,    0,
                                      0, 0, 1, 0, 1, 'a', 0, 0, 0,   1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

static struct admin_assignment read_copy(const uint8_t *bytes, size_t len, struct arena *arena)
{
    uint8_t *copy = malloc(len ? len : 1); /* exactly as long: an overrun is seen */
    memcpy(copy, bytes, len);
    struct admin_assignment assignment = admin_group_assignment_read((struct odk_bytes){ copy, len }, arena);
    for (size_t i = 1; i < assignment.count; i++) /* views: looked at while the bytes are there */
        assert_true(admin_group_partition_order(&assignment.partitions[i - 1], &assignment.partitions[i]) <= 0);
    free(copy);
    return assignment;
}

static void partitions_come_ordered(void **state)
{
    (void)state;
    for (uint8_t version = 0; version < 6; version++) { /* later ones may add fields behind */
        struct arena arena = { 0 };
        uint8_t bytes[sizeof(two_topics) + 3] = { 0 };
        memcpy(bytes, two_topics, sizeof(two_topics));
        bytes[1] = version;
        size_t len = version > 3 ? sizeof(bytes) : sizeof(two_topics);
        struct admin_assignment got = admin_group_assignment_read((struct odk_bytes){ bytes, len }, &arena);
        assert_false(got.opaque);
        assert_int_equal(got.count, 3);
        assert_true(odk_str_eq(got.partitions[0].topic, ODK_STR("a")) && got.partitions[0].partition == 0);
        assert_true(odk_str_eq(got.partitions[1].topic, ODK_STR("b")) && got.partitions[1].partition == 1);
        assert_true(odk_str_eq(got.partitions[2].topic, ODK_STR("b")) && got.partitions[2].partition == 3);
        arena_deinit(&arena);
    }
}

static void nothing_is_no_partitions(void **state)
{
    struct arena arena = { 0 };
    (void)state;
    struct admin_assignment got = admin_group_assignment_read((struct odk_bytes){ 0 }, &arena);
    assert_false(got.opaque);
    assert_int_equal(got.count, 0);
    arena_deinit(&arena);
}

static void other_bytes_are_bytes(void **state)
{
    static const char json[] = "{\"master\":\"http://registry-1\"}";
    struct arena arena = { 0 };
    (void)state;
    struct admin_assignment got =
        admin_group_assignment_read((struct odk_bytes){ (const uint8_t *)json, sizeof(json) - 1 }, &arena);
    assert_true(got.opaque);
    assert_int_equal(got.bytes, sizeof(json) - 1);
    for (size_t len = 1; len < sizeof(two_topics); len++) {
        got = read_copy(two_topics, len, &arena);
        assert_true(got.opaque);
        assert_int_equal(got.bytes, len);
    }
    arena_deinit(&arena);
}

static void random_bytes_do_no_harm(void **state)
{
    struct prng prng = { .state = 848 };
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct arena arena = { 0 };
        uint8_t bytes[sizeof(two_topics)];
        memcpy(bytes, two_topics, sizeof(bytes));
        for (unsigned i = 0; i < 3; i++)
            bytes[prng_below(&prng, sizeof(bytes))] = (uint8_t)prng_next(&prng);
        (void)read_copy(bytes, sizeof(bytes), &arena);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_come_ordered),
        cmocka_unit_test(nothing_is_no_partitions),
        cmocka_unit_test(other_bytes_are_bytes),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
