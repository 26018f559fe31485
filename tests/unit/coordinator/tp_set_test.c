/*
 * Goal: sets of partitions obey set algebra. Method: bit sets over a small world as a twin, random pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/prng.h"
#include "coordinator/texts.h"
#include "coordinator/tp_set.h"

#define TOPICS     3u
#define PARTITIONS 8u
#define ALL        (TOPICS * PARTITIONS)

static struct tp tp_of(uint32_t i, int32_t epoch)
{
    struct tp tp = { .partition = (int32_t)(i % PARTITIONS), .epoch = epoch };
    tp.topic.b[15] = (uint8_t)(3 * (i / PARTITIONS) + 1);
    return tp;
}

static struct tp_set set_of(uint32_t bits, int32_t epoch, struct arena *arena)
{
    struct tp_set set = { .at = tp_room(arena, ALL) };
    for (uint32_t i = 0; i < ALL; i++)
        if (bits & 1u << i)
            set.at[set.count++] = tp_of(i, epoch);
    return set;
}

static void is_set(const struct tp_set *set, uint32_t bits)
{
    uint32_t got = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (i > 0)
            assert_true(tp_compare(&set->at[i - 1], &set->at[i]) < 0);
        for (uint32_t j = 0; j < ALL; j++) {
            struct tp tp = tp_of(j, 0);
            got |= tp_compare(&tp, &set->at[i]) == 0 ? 1u << j : 0;
        }
    }
    assert_int_equal(got, bits);
}

static void check_pair(uint32_t a_bits, uint32_t b_bits, struct arena *arena)
{
    struct tp_set a = set_of(a_bits, 1, arena), b = set_of(b_bits, 2, arena);
    struct tp_set both = tp_both(&a, &b, arena), without = tp_without(&a, &b, arena), either = tp_union(&a, &b, arena);
    is_set(&both, a_bits & b_bits);
    is_set(&without, a_bits & ~b_bits);
    is_set(&either, a_bits | b_bits);
    for (uint32_t i = 0; i < both.count; i++)
        assert_int_equal(both.at[i].epoch, 1);
    for (uint32_t i = 0; i < either.count; i++)
        assert_int_equal(either.at[i].epoch, tp_find(&a, either.at[i].topic, either.at[i].partition) ? 1 : 2);
    assert_int_equal(tp_touch(&a, &b), (a_bits & b_bits) != 0);
    assert_int_equal(tp_within(&a, &b), (a_bits & ~b_bits) == 0);
    assert_int_equal(tp_equal(&a, &b), a_bits == b_bits);
    for (uint32_t i = 0; i < ALL; i++)
        assert_int_equal(tp_find(&a, tp_of(i, 0).topic, tp_of(i, 0).partition) != NULL, (a_bits & 1u << i) != 0);
}

static void operations_are_those_of_sets(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct prng prng = { 5 };
    check_pair(0, 0, &arena);
    for (int i = 0; i < 3000; i++) {
        uint32_t a = (uint32_t)prng_next(&prng) & ((1u << ALL) - 1), b = (uint32_t)prng_next(&prng) & ((1u << ALL) - 1);
        check_pair(a & (uint32_t)prng_next(&prng), b, &arena);
        check_pair(a, a | b, &arena);
        check_pair(a, 0, &arena);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void any_order_becomes_a_set(void **state)
{
    (void)state;
    struct prng prng = { 6 };
    for (int i = 0; i < 1000; i++) {
        struct tp array[40];
        uint32_t count = (uint32_t)prng_below(&prng, countof(array) + 1), bits = 0;
        for (uint32_t j = 0; j < count; j++) {
            uint32_t which = (uint32_t)prng_below(&prng, ALL);
            bits |= 1u << which;
            array[j] = tp_of(which, 0);
        }
        struct tp_set set = tp_sorted(array, count);
        is_set(&set, bits);
    }
}

static void runs_are_topics(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct tp_set set = set_of(0x010203, 7, &arena);
    int32_t count;
    struct tp_run *runs = tp_runs(&set, &arena, &count);
    assert_int_equal(count, 3);
    assert_int_equal(runs[0].count, 2);
    assert_int_equal(runs[0].partitions[1], 1);
    assert_int_equal(runs[1].partitions[0], 1);
    assert_int_equal(runs[2].partitions[0], 0);
    assert_int_equal(runs[2].epochs[0], 7);
    arena.limit = arena.total + 16;
    assert_null(tp_runs(&set, &arena, &count));
    assert_int_equal(count, 0);
    arena_deinit(&arena);
    struct tp_set copy = tp_keep(&(struct tp_set){ 0 });
    assert_null(copy.at);
}

static void texts_become_a_set(void **state)
{
    (void)state;
    struct odk_str texts[] = { ODK_STR("b"), ODK_STR("a"), ODK_STR(""), ODK_STR("b"), ODK_STR("ab") };
    uint32_t count = texts_sort(texts, countof(texts));
    assert_int_equal(count, 4);
    assert_true(odk_str_eq(texts[0], ODK_STR("")) && odk_str_eq(texts[2], ODK_STR("ab")));
    assert_true(texts_has(texts, count, ODK_STR("ab")));
    assert_false(texts_has(texts, count, ODK_STR("abc")));
    assert_false(texts_has(texts, 0, ODK_STR("a")));
    struct odk_str *copy = texts_copy(texts, count);
    assert_true(texts_equal(texts, count, copy, count));
    assert_false(texts_equal(texts, count, copy, count - 1));
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_those_of_sets),
        cmocka_unit_test(any_order_becomes_a_set),
        cmocka_unit_test(runs_are_topics),
        cmocka_unit_test(texts_become_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
