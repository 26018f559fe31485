/* Registered ranges against a naive list, and the vectors of a send against plain copying. Seeds are printed. */
#include "world.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/prng.h"
#include "io/outgoing.h"
#include "io/regions.h"

#define SLOTS  20u
#define PLACES 64u

static const void *place(uint64_t i)
{
    return (const void *)(uintptr_t)(0x100000 + i * 0x1000);
}

static void ranges_are_found_as_in_a_naive_list(void **state)
{
    (void)state;
    struct prng p = { .state = (uint64_t)time(NULL) };
    print_message("seed %llu\n", (unsigned long long)p.state);
    struct regions regions = { 0 };
    int32_t slot_at[PLACES]; /* of the range [place, place + 0x800) */
    memset(slot_at, 0xff, sizeof(slot_at));
    uint32_t used = 0;
    for (int step = 0; step < 20000; step++) {
        uint64_t i = prng_below(&p, PLACES);
        if (slot_at[i] >= 0) {
            assert_int_equal(regions_find(&regions, place(i), 0x800), slot_at[i]);
            assert_int_equal(regions_find(&regions, (const char *)place(i) + 0x7ff, 1), slot_at[i]);
            assert_int_equal(regions_find(&regions, (const char *)place(i) + 0x7ff, 2), -1);
            assert_int_equal(regions_remove(&regions, place(i)), slot_at[i]);
            slot_at[i] = -1;
            used--;
        } else {
            assert_int_equal(regions_find(&regions, place(i), 1), -1);
            assert_int_equal(regions_remove(&regions, place(i)), -1);
            slot_at[i] = regions_add(&regions, place(i), 0x800, SLOTS);
            assert_int_equal(slot_at[i] >= 0, used < SLOTS);
            used += slot_at[i] >= 0;
            assert_true(slot_at[i] < (int32_t)SLOTS);
            for (uint32_t j = 0; j < PLACES; j++)
                assert_true(j == i || slot_at[j] < 0 || slot_at[j] != slot_at[i]);
        }
    }
    regions_deinit(&regions);
}

/* Takes a random part of what is offered, as a socket does. */
static size_t offered_take(struct prng *p, const struct msghdr *msg, uint8_t *dst)
{
    size_t offered = 0;
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        offered += msg->msg_iov[i].iov_len;
    size_t limit = (size_t)prng_between(p, offered > 0, offered);
    size_t taken = 0;
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        size_t part = MIN(msg->msg_iov[i].iov_len, limit - taken);
        memcpy(dst + taken, msg->msg_iov[i].iov_base, part);
        taken += part;
    }
    return taken;
}

static void every_byte_goes_out_once_in_order(void **state)
{
    (void)state;
    struct prng p = { .state = (uint64_t)time(NULL) };
    print_message("seed %llu\n", (unsigned long long)p.state);
    static uint8_t src[4096];
    static uint8_t dst[4096];
    for (int round = 0; round < 2000; round++) {
        pattern_fill(src, sizeof(src), (uint64_t)round);
        struct iovec iov[24];
        uint32_t count = (uint32_t)prng_below(&p, countof(iov) + 1);
        size_t used = 0;
        for (uint32_t i = 0; i < count; i++) {
            iov[i] = (struct iovec){ src + used, prng_below(&p, 3) ? (size_t)prng_below(&p, 150) : 0 };
            used += iov[i].iov_len;
        }
        struct outgoing out = { .iov = iov, .count = count };
        size_t got = 0;
        int32_t result = 0;
        bool over = false;
        while (!over) {
            struct msghdr msg;
            outgoing_next(&out, &msg);
            size_t part = offered_take(&p, &msg, dst + got);
            got += part;
            over = outgoing_advance(&out, (int32_t)part, &result);
        }
        assert_int_equal(result, used);
        assert_int_equal(got, used);
        assert_memory_equal(dst, src, used);
    }
}

static void errors_and_standstill_end_a_send(void **state)
{
    (void)state;
    char byte[2] = "x";
    struct iovec iov = { byte, 2 };
    struct outgoing out = { .iov = &iov, .count = 1 };
    int32_t result = 0;
    assert_true(outgoing_advance(&out, -ECONNRESET, &result));
    assert_int_equal(result, -ECONNRESET);
    assert_true(outgoing_advance(&out, 0, &result));
    assert_int_equal(result, -EIO);
    assert_false(outgoing_advance(&out, 1, &result));
    assert_true(outgoing_advance(&out, 1, &result));
    assert_int_equal(result, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_found_as_in_a_naive_list),
        cmocka_unit_test(every_byte_goes_out_once_in_order),
        cmocka_unit_test(errors_and_standstill_end_a_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
