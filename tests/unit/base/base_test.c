/*
 * Goal: the words that everything is built of. Method: known values, bounds, and a naive twin for the timer heap.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/arena.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "base/diag.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/timer.h"
#include "base/units.h"
#include "base/uuid.h"
#include "base/xxh3.h"
#include "base/xxh3_wide.h"

static void crc_of_the_check_string(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xE3069283u);
}

static void the_wide_hash_equals_the_plain_one(void **state)
{
    (void)state;
    struct prng p = { .state = 7 };
    uint8_t data[5000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)prng_next(&p);
    for (size_t len = 0; len < sizeof(data); len += 1 + len / 9) {
        uint64_t plain = XXH3_64bits_withSeed(data, len, len);
        assert_true(xxh3(data, len, len) == plain);
        if (xxh3_wide_usable())
            assert_true(xxh3_wide(data, len, len) == plain);
    }
}

struct chosen {
    char key[16];
    UT_hash_handle hh;
};

#define CHOSEN_COUNT 1000

/* Keys that end in the same bucket of 4096 and fewer with uthash's own hash, which everybody knows. */
static struct chosen *chosen_keys(void)
{
    struct chosen *chosen = calloc(CHOSEN_COUNT, sizeof(*chosen));
    uint32_t number = 0;
    for (size_t i = 0; i < CHOSEN_COUNT; number++) {
        unsigned known;
        int len = snprintf(chosen[i].key, sizeof(chosen[i].key), "group-%u", number);
        HASH_JEN(chosen[i].key, len, known);
        i += (known & 0xfff) == 0;
    }
    return chosen;
}

static unsigned longest_chain(struct chosen *chosen)
{
    struct chosen *table = NULL;
    unsigned longest = 0;
    for (size_t i = 0; i < CHOSEN_COUNT; i++)
        HASH_ADD_KEYPTR(hh, table, chosen[i].key, strlen(chosen[i].key), &chosen[i]);
    for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
        longest = table->hh.tbl->buckets[i].count > longest ? table->hh.tbl->buckets[i].count : longest;
    HASH_CLEAR(hh, table);
    return longest;
}

static void chosen_keys_do_not_share_a_bucket(void **state)
{
    (void)state;
    struct chosen *chosen = chosen_keys();
    assert_in_range(longest_chain(chosen), 1, 16);
    unsigned before = hash_table_hash("group", 5);
    hash_table_seed(UINT64_C(0x0123456789abcdef));
    assert_int_not_equal(hash_table_hash("group", 5), before);
    assert_in_range(longest_chain(chosen), 1, 16);
    hash_table_seed(0);
    assert_int_equal(hash_table_hash("group", 5), before);
    free(chosen);
}

static void integers_and_varints_come_back(void **state)
{
    (void)state;
    static const int64_t values[] = { 0, 1, -1, 63, 64, -64, -65, 127, 128, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < countof(values); i++) {
        uint8_t buf[64];
        struct wr w = wr_init(buf, sizeof(buf));
        wr_varlong(&w, values[i]);
        size_t long_len = w.pos;
        wr_varint(&w, (int32_t)values[i]);
        wr_i64(&w, values[i]);
        wr_i16(&w, (int16_t)values[i]);
        assert_false(w.bad);
        struct rd r = rd_init(buf, w.pos);
        assert_true(rd_varlong(&r) == values[i]);
        assert_int_equal(r.at - buf, long_len);
        assert_true(rd_varint(&r) == (int32_t)values[i]);
        assert_true(rd_i64(&r) == values[i]);
        assert_true(rd_i16(&r) == (int16_t)values[i]);
        assert_false(r.bad);
        assert_int_equal(rd_left(&r), 0);
    }
}

static void an_overlong_varint_is_bad(void **state)
{
    (void)state;
    static const uint8_t five[] = { 0xff, 0xff, 0xff, 0xff, 0x10 }, six[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 };
    static const uint8_t top[] = { 0xff, 0xff, 0xff, 0xff, 0x0f };
    struct rd r = rd_init(five, sizeof(five));
    (void)rd_uvarint(&r);
    assert_true(r.bad);
    r = rd_init(six, sizeof(six));
    (void)rd_uvarint(&r);
    assert_true(r.bad);
    r = rd_init(top, sizeof(top));
    assert_int_equal(rd_uvarint(&r), UINT32_MAX);
    assert_false(r.bad);
}

static void a_reader_stays_bad(void **state)
{
    (void)state;
    uint8_t two[2] = { 1, 2 };
    struct rd r = rd_init(two, 2);
    assert_int_equal(rd_i32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(rd_i8(&r), 0);
    assert_int_equal(rd_left(&r), 2);
}

static void a_full_writer_counts_on(void **state)
{
    (void)state;
    uint8_t two[2] = { 0 };
    struct wr w = wr_init(two, 2);
    wr_i32(&w, 7);
    wr_i8(&w, 7);
    assert_true(w.bad);
    assert_int_equal(w.pos, 5);
    assert_int_equal(two[0] + two[1], 0);
}

static void an_arena_gives_zeroed_memory_up_to_its_limit(void **state)
{
    (void)state;
    struct arena arena = { .limit = 10000 };
    for (int round = 0; round < 3; round++) {
        size_t got = 0;
        uint8_t *memory;
        while ((memory = arena_new(&arena, uint8_t, 100))) {
            for (size_t i = 0; i < 100; i++)
                assert_int_equal(memory[i], 0);
            memset(memory, 0xff, 100);
            got++;
        }
        assert_int_equal(got, 10000 / 112);
        arena_reset(&arena);
    }
    assert_null(arena_new(&arena, uint64_t, SIZE_MAX / 4));
    arena_deinit(&arena);
}

struct alarm {
    struct timer timer;
    uint64_t wanted_ns; /* 0: not armed */
    unsigned fired;
};

static void alarm_fire(struct timer *timer, uint64_t now_ns)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    assert_true(alarm->wanted_ns != 0 && alarm->wanted_ns <= now_ns);
    alarm->wanted_ns = 0;
    alarm->fired++;
}

static void timers_agree_with_a_naive_twin(void **state)
{
    (void)state;
    enum { ALARMS = 50 };
    struct prng p = { .state = 42 };
    struct alarm alarms[ALARMS] = { 0 };
    struct timers timers = { 0 };
    uint64_t now_ns = 1;
    for (unsigned step = 0; step < 20000; step++) {
        struct alarm *alarm = &alarms[prng_below(&p, ALARMS)];
        alarm->timer.fire = alarm_fire;
        if (prng_chance(&p, 700000)) {
            alarm->wanted_ns = now_ns + prng_between(&p, 1, 1000);
            timer_arm(&timers, &alarm->timer, alarm->wanted_ns);
        } else {
            alarm->wanted_ns = 0;
            timer_cancel(&timers, &alarm->timer);
        }
        now_ns += prng_below(&p, 20);
        timers_fire(&timers, now_ns);
        uint64_t next_ns = UINT64_MAX;
        for (unsigned i = 0; i < ALARMS; i++) {
            assert_int_equal(timer_armed(&alarms[i].timer), alarms[i].wanted_ns != 0);
            if (alarms[i].wanted_ns)
                next_ns = MIN(next_ns, alarms[i].wanted_ns);
        }
        assert_true(timers_next_ns(&timers) == next_ns);
        assert_true(next_ns > now_ns);
    }
    timers_deinit(&timers);
}

static void ids_have_kafkas_text_form(void **state)
{
    (void)state;
    struct odk_uuid id = { .b = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255 } }, back;
    char text[UUID_TEXT_LEN + 1];
    uuid_print(id, text);
    assert_string_equal(text, "AAECAwQFBgcICQoLDA0O_w");
    assert_true(uuid_parse(odk_str_from(text), &back));
    assert_true(odk_uuid_eq(id, back));
    assert_false(uuid_parse(ODK_STR("AAECAwQFBgcICQoLDA0O/w"), &back));
    assert_false(uuid_parse(ODK_STR("AAECAwQFBgcICQoLDA0O_x"), &back));
    assert_false(uuid_parse(ODK_STR("AAEC"), &back));
}

static void client_text_is_made_harmless(void **state)
{
    (void)state;
    char dst[32];
    assert_string_equal(diag_escape(dst, sizeof(dst), ODK_STR("a\033[31m\n\xff")), "a\\x1b[31m\\x0a\\xff");
    char small[8];
    assert_string_equal(diag_escape(small, sizeof(small), ODK_STR("abcdefghij")), "abcd");
}

static void lines_are_limited_per_second(void **state)
{
    (void)state;
    struct diag_rate rate = { 0 };
    uint32_t suppressed, passed = 0;
    for (unsigned i = 0; i < 100; i++)
        passed += diag_rate_ok(&rate, 5, &suppressed);
    assert_int_equal(passed, DIAG_LINES_PER_WINDOW);
    assert_true(diag_rate_ok(&rate, 5 + NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 100 - DIAG_LINES_PER_WINDOW);
}

static void deadlines_saturate(void **state)
{
    (void)state;
    assert_true(deadline_after_ms(5, -1) == 5);
    assert_true(deadline_after_ms(5, 1) == 5 + NS_PER_MS);
    assert_true(deadline_after_ms(5, INT64_MAX) == UINT64_MAX - 1);
}

struct again {
    struct timer timer;
    struct timers *timers;
    unsigned fired;
};

static void again_fire(struct timer *timer, uint64_t now_ns)
{
    struct again *again = container_of(timer, struct again, timer);
    again->fired++;
    timer_arm(again->timers, timer, now_ns);
}

/* However many timers there are: one that arms itself again at once fires once in each call. */
static void a_timer_armed_while_it_fires_waits_for_the_next_call(void **state)
{
    (void)state;
    struct timers timers = { 0 };
    struct again again = { .timer.fire = again_fire, .timers = &timers };
    struct timer others[5] = { 0 };
    for (unsigned i = 0; i < 5; i++) {
        others[i].fire = again_fire; /* never due */
        timer_arm(&timers, &others[i], UINT64_MAX - 1);
    }
    timer_arm(&timers, &again.timer, 7);
    for (unsigned call = 1; call < 5; call++) {
        timers_fire(&timers, 10);
        assert_int_equal(again.fired, call);
        assert_true(timers_next_ns(&timers) == 10);
    }
    timers_deinit(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_of_the_check_string),
        cmocka_unit_test(the_wide_hash_equals_the_plain_one),
        cmocka_unit_test(chosen_keys_do_not_share_a_bucket),
        cmocka_unit_test(integers_and_varints_come_back),
        cmocka_unit_test(an_overlong_varint_is_bad),
        cmocka_unit_test(a_reader_stays_bad),
        cmocka_unit_test(a_full_writer_counts_on),
        cmocka_unit_test(an_arena_gives_zeroed_memory_up_to_its_limit),
        cmocka_unit_test(timers_agree_with_a_naive_twin),
        cmocka_unit_test(a_timer_armed_while_it_fires_waits_for_the_next_call),
        cmocka_unit_test(ids_have_kafkas_text_form),
        cmocka_unit_test(client_text_is_made_harmless),
        cmocka_unit_test(lines_are_limited_per_second),
        cmocka_unit_test(deadlines_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
