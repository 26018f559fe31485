/* The tail's memory: what is held is contiguous and byte for byte right, whatever is filed, evicted, pinned and cut. */
#include "drive.h"

#include "store/tail.h"

static uint8_t byte_at(uint64_t pos)
{
    return (uint8_t)(pos * 31 + (pos >> 12) * 7);
}

static void put(struct tail *tail, struct tail_pool *pool, uint64_t len)
{
    uint8_t *bytes = xcalloc(1, len + 1);
    bool load = tail_wants_load(tail);
    assert_true(tail_reserve(tail, pool, len));
    if (load) {
        uint8_t block[TAIL_BLOCK_BYTES];
        uint64_t from = align_down(tail->end, TAIL_BLOCK_BYTES);
        for (uint64_t i = 0; i < tail->end - from; i++)
            block[i] = byte_at(from + i);
        tail_load(tail, block, tail->end - from);
    }
    for (uint64_t i = 0; i < len; i++)
        bytes[i] = byte_at(tail->end + i);
    tail_append(tail, bytes, len);
    free(bytes);
}

static void check(const struct tail *tail)
{
    if (tail->count == 0)
        return;
    struct iovec iov[64];
    for (uint64_t pos = tail->begin; pos < tail->end;) {
        uint64_t len;
        uint32_t count = tail_views(tail, pos, tail->end, iov, countof(iov), &len);
        assert_true(len > 0);
        for (uint32_t i = 0; i < count; i++) {
            for (size_t k = 0; k < iov[i].iov_len; k++, pos++)
                assert_int_equal(((uint8_t *)iov[i].iov_base)[k], byte_at(pos));
        }
    }
}

static void holds_what_was_appended(void **state)
{
    (void)state;
    struct tail_pool pool;
    struct tail tail;
    tail_pool_init(&pool, 4 << 20);
    tail_init(&tail, 5000);
    put(&tail, &pool, 10);
    put(&tail, &pool, 100000);
    assert_int_equal(tail.begin, 4096);
    check(&tail);
    uint8_t some[9000];
    tail_copy(&tail, 20000, some, sizeof(some));
    for (size_t i = 0; i < sizeof(some); i++)
        assert_int_equal(some[i], byte_at(20000 + i));
    tail_deinit(&tail, &pool);
    assert_int_equal(pool.used_bytes, 0);
    tail_pool_deinit(&pool);
}

static void only_filed_chunks_go(void **state)
{
    (void)state;
    struct tail_pool pool;
    struct tail a, b;
    tail_pool_init(&pool, 1 << 20); /* one slab */
    tail_init(&a, 0);
    tail_init(&b, 0);
    put(&a, &pool, 40 * CHUNK_BYTES);
    put(&b, &pool, 24 * CHUNK_BYTES);
    assert_false(tail_reserve(&b, &pool, 1)); /* nothing is filed */
    tail_set_filed(&a, &pool, 3 * CHUNK_BYTES + 5);
    put(&b, &pool, 3 * CHUNK_BYTES);
    assert_false(tail_reserve(&b, &pool, CHUNK_BYTES));
    assert_int_equal(a.begin, 3 * CHUNK_BYTES);
    check(&a);
    check(&b);
    tail_deinit(&a, &pool);
    tail_deinit(&b, &pool);
    assert_int_equal(pool.used_bytes, 0);
    assert_int_equal(pool.cached_bytes, 0);
    tail_pool_deinit(&pool);
}

static void pinned_chunks_outlive_their_tail(void **state)
{
    (void)state;
    struct tail_pool pool;
    struct tail tail;
    struct iovec iov[8];
    uint64_t len;
    uint32_t count;
    tail_pool_init(&pool, 1 << 20);
    tail_init(&tail, 0);
    put(&tail, &pool, 4 * CHUNK_BYTES);
    uint32_t views = tail_views(&tail, CHUNK_BYTES, 3 * CHUNK_BYTES, iov, countof(iov), &len);
    struct chunk *first = tail_pin(&tail, CHUNK_BYTES, 3 * CHUNK_BYTES, &count);
    assert_int_equal(count, 2);
    tail_set_filed(&tail, &pool, tail.end);
    tail_deinit(&tail, &pool);
    assert_int_equal(pool.used_bytes, 2 * CHUNK_BYTES);
    uint64_t pos = CHUNK_BYTES;
    for (uint32_t i = 0; i < views; i++) {
        for (size_t k = 0; k < iov[i].iov_len; k++, pos++)
            assert_int_equal(((uint8_t *)iov[i].iov_base)[k], byte_at(pos));
    }
    tail_unpin(&pool, first, count);
    assert_int_equal(pool.used_bytes, 0);
    tail_pool_deinit(&pool);
}

static void random_life_keeps_the_bytes(void **state)
{
    (void)state;
    struct prng prng = { .state = 42 };
    struct tail_pool pool;
    struct tail tails[6];
    tail_pool_init(&pool, 2 << 20);
    for (size_t i = 0; i < countof(tails); i++)
        tail_init(&tails[i], prng_below(&prng, 100000));
    for (int step = 0; step < 20000; step++) {
        struct tail *t = &tails[prng_below(&prng, countof(tails))];
        pool.now_ns = (uint64_t)step;
        switch (prng_below(&prng, 8)) {
        case 0:
            tail_set_filed(t, &pool, t->filed + prng_below(&prng, t->end - t->filed + 1));
            break;
        case 1:
            tail_set_filed(t, &pool, t->end);
            break;
        case 2:
            if (t->end > t->filed)
                tail_cut(t, &pool, t->filed + prng_below(&prng, t->end - t->filed));
            break;
        case 3:
            if (prng_below(&prng, 50) == 0)
                tail_pool_age(&pool, (uint64_t)step / 2);
            break;
        case 4:
            check(t);
            break;
        default: {
            uint64_t len = 1 + prng_below(&prng, 30000);
            if (!tail_pool_tight(&pool, len + 2 * CHUNK_BYTES))
                put(t, &pool, len);
            else
                for (size_t i = 0; i < countof(tails); i++)
                    tail_set_filed(&tails[i], &pool, tails[i].end);
        }
        }
    }
    for (size_t i = 0; i < countof(tails); i++) {
        check(&tails[i]);
        tail_deinit(&tails[i], &pool);
    }
    assert_int_equal(pool.used_bytes, 0);
    assert_int_equal(pool.cached_bytes, 0);
    tail_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_appended),
        cmocka_unit_test(only_filed_chunks_go),
        cmocka_unit_test(pinned_chunks_outlive_their_tail),
        cmocka_unit_test(random_life_keeps_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
