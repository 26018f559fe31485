/* Goal: a chain of parts is the bytes that were written, in order, whatever the chunks; failure sticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "wire/put.h"

/* Random writes and links against a flat copy. */
static void chain_equals_what_was_written(void **state)
{
    (void)state;
    static uint8_t source[20000], flat[400000], seen[400000];
    struct prng prng = { .state = 11 };
    struct arena arena = { 0 };
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)prng_next(&prng);
    for (int round = 0; round < 200; round++) {
        struct out out;
        size_t len = 0, at = 0;
        out_init(&out, &arena);
        for (int i = 0; i < 40; i++) {
            size_t from = prng_below(&prng, 10000);
            size_t n = prng_below(&prng, prng_below(&prng, 5) == 0 ? 10000 : 60);
            struct iovec parts[2] = { { source + from, n / 3 }, { source + from + n / 3, n - n / 3 } };
            if (prng_below(&prng, 3) == 0)
                out_records(&out, parts, 2, n);
            else
                out_raw(&out, source + from, n);
            memcpy(flat + len, source + from, n);
            len += n;
            assert_int_equal(out_bytes(&out), len);
        }
        const struct iovec *parts;
        uint32_t count;
        assert_true(out_iov(&out, &parts, &count));
        for (uint32_t i = 0; i < count; i++) {
            assert_true(parts[i].iov_len > 0);
            memcpy(seen + at, parts[i].iov_base, parts[i].iov_len);
            at += parts[i].iov_len;
        }
        assert_int_equal(at, len);
        assert_memory_equal(seen, flat, len);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void frame_length_counts_linked_bytes(void **state)
{
    (void)state;
    uint8_t linked[1000] = { 0 };
    struct iovec part = { linked, sizeof(linked) };
    struct arena arena = { 0 };
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    out_init(&out, &arena);
    out_begin_frame(&out);
    out_i32(&out, 7);
    out_records(&out, &part, 1, sizeof(linked));
    out_i8(&out, 1);
    assert_true(out_end_frame(&out));
    assert_true(out_iov(&out, &parts, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(parts[0].iov_base, "\x00\x00\x03\xed\x00\x00\x00\x07", 8);
    assert_ptr_equal(parts[1].iov_base, linked);
    arena_deinit(&arena);
}

static void an_empty_arena_makes_it_bad(void **state)
{
    (void)state;
    struct arena arena = { .limit = 1024 };
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    out_init(&out, &arena);
    out_begin_frame(&out);
    for (int i = 0; i < 1000; i++)
        out_i64(&out, i);
    assert_true(out.bad);
    assert_false(out_end_frame(&out));
    assert_false(out_iov(&out, &parts, &count));
    arena_deinit(&arena);
}

static void lengths_that_do_not_fit_make_it_bad(void **state)
{
    (void)state;
    static char text[32768];
    struct arena arena = { 0 };
    struct out out;
    out_init(&out, &arena);
    put_str(&out, (struct odk_str){ text, 32767 }, false, false);
    assert_false(out.bad);
    put_str(&out, (struct odk_str){ text, 32768 }, false, false);
    assert_true(out.bad);
    out_init(&out, &arena);
    put_count(&out, -1, true, true);
    assert_false(out.bad);
    put_count(&out, -1, true, false);
    assert_true(out.bad);
    arena_deinit(&arena);
}

static void measuring_counts_and_keeps_nothing(void **state)
{
    (void)state;
    struct out out = out_measure();
    struct iovec part = { NULL, 0 };
    out_i16(&out, 1);
    out_uvarint(&out, 300);
    out_raw(&out, "abc", 3);
    out_records(&out, &part, 1, 0);
    assert_int_equal(out_bytes(&out), 7);
    assert_false(out.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_equals_what_was_written),      cmocka_unit_test(frame_length_counts_linked_bytes),
        cmocka_unit_test(an_empty_arena_makes_it_bad),        cmocka_unit_test(lengths_that_do_not_fit_make_it_bad),
        cmocka_unit_test(measuring_counts_and_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
