/*
 * Every offered request in every version, with random content and then damaged, against a running broker: each ends
 * exactly once, and replies can be read. BROKER_TEST_ROUNDS and BROKER_TEST_SEED change amount and seed.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "broker/api.h"
#include "oracle/oracle.h"
#include "wire/frame.h"

/* Of a random Fetch; the wall clock of the harness does not pass, timers do. */
#define WAIT_MS_MAX 20

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Keeps a random request from asking for what takes long or fills the folder: longer waits, thousands of partitions. */
static void tame(int16_t key, void *body)
{
    if (key == WIRE_KEY_FETCH) {
        struct fetch_request *fetch = body;
        fetch->max_wait_ms %= WAIT_MS_MAX;
    }
    if (key == WIRE_KEY_CREATE_TOPICS) {
        struct create_topics_request *create = body;
        for (int32_t i = 0; i < create->topics_count; i++)
            create->topics[i].num_partitions %= 8;
    }
}

static size_t frame_make(uint8_t *frame, size_t capacity, const struct api *api, int16_t version, struct prng *prng)
{
    struct arena arena = { 0 };
    const struct wire_message *message = wire_apis[api->key].request;
    void *body = arena_alloc(&arena, 1, message->body->size);
    struct request_header header = {
        .key = api->key, .version = version, .correlation_id = 1, .client_id = ODK_STR("random")
    };
    struct out out;
    size_t len = 0;
    oracle_random(body, message, version, prng, &arena);
    tame(api->key, body);
    out_init(&out, &arena);
    request_begin(&out, &header);
    const struct iovec *parts;
    uint32_t count;
    if (message->encode(body, &out, version) && request_end(&out) && out_iov(&out, &parts, &count)) {
        for (uint32_t i = 0; i < count && len + parts[i].iov_len <= capacity; i++) {
            memcpy(frame + len, parts[i].iov_base, parts[i].iov_len);
            len += parts[i].iov_len;
        }
    }
    arena_deinit(&arena);
    return len;
}

static size_t damage(uint8_t *frame, size_t len, struct prng *prng)
{
    if (prng_chance(prng, 300000))
        return (size_t)prng_below(prng, len + 1);
    for (uint64_t i = prng_below(prng, 4); i > 0; i--)
        frame[prng_below(prng, len)] = (uint8_t)prng_next(prng);
    return len;
}

static void every_request_ends_once(void **state)
{
    (void)state;
    enum { CAPACITY = 1 << 18 };
    uint64_t seed = from_env("BROKER_TEST_SEED", 1);
    uint64_t rounds = from_env("BROKER_TEST_ROUNDS", 300);
    struct prng prng = { .state = seed };
    struct harness *harness = harness_new(2, "max.partitions=200\n");
    uint8_t *frame = xcalloc(CAPACITY, 1);
    uint32_t count, replies = 0, closes = 0;
    const struct api *rows = api_rows(&count);
    print_message("seed %llu\n", (unsigned long long)seed);
    make_topic(harness, "t", 3, NULL);
    for (uint64_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < count; i++) {
            int16_t first = MAX(rows[i].first, wire_apis[rows[i].key].request->versions.first);
            int16_t version = (int16_t)prng_between(&prng, (uint64_t)first, (uint64_t)rows[i].last);
            size_t len = frame_make(frame, CAPACITY, &rows[i], version, &prng);
            if (len <= FRAME_LENGTH_BYTES)
                continue;
            len -= FRAME_LENGTH_BYTES;
            if (prng_chance(&prng, 500000))
                len = damage(frame + FRAME_LENGTH_BYTES, len, &prng);
            uint8_t *reply = NULL;
            size_t reply_len;
            enum request_end end = harness_raw(harness, frame + FRAME_LENGTH_BYTES, len, &reply, &reply_len);
            replies += end == REQUEST_REPLY;
            closes += end == REQUEST_CLOSE;
            free(reply);
        }
    }
    print_message("%u replies, %u closes\n", replies, closes);
    assert_true(replies > 0 && closes > 0);
    free(frame);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_request_ends_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
