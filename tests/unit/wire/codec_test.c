/*
 * Goal: the generated codec and the oracle agree on every message in every version.
 *
 * Method: random messages from the field tables, both ways round; every truncation; and a canary that shows that a
 * wrong table would be noticed. WIRE_TEST_ROUNDS and WIRE_TEST_SEED in the environment change amount and seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oracle/oracle.h"
#include "wire/frame.h"
#include "wire/messages.h"

#define BYTES_MAX (256u * 1024)

struct fixture {
    struct arena arena;
    struct prng prng;
    uint8_t *oracle_bytes, *bytes, *again;
};

static unsigned long long setting(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->prng.state = setting("WIRE_TEST_SEED", 20260101);
    print_message("seed %llu\n", (unsigned long long)f->prng.state);
    f->oracle_bytes = malloc(BYTES_MAX);
    f->bytes = malloc(BYTES_MAX);
    f->again = malloc(BYTES_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_deinit(&f->arena);
    free(f->oracle_bytes);
    free(f->bytes);
    free(f->again);
    free(f);
    return 0;
}

static void *body_new(struct fixture *f, const struct wire_message *message)
{
    return arena_alloc(&f->arena, 1, message->body->size);
}

/* Encodes with the generated code, flattens the chain. */
static size_t generated_encode(struct fixture *f, const struct wire_message *message, int16_t version, const void *body,
                               uint8_t *dst)
{
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    size_t len = 0;
    out_init(&out, &f->arena);
    assert_true(message->encode(body, &out, version));
    size_t announced = out_bytes(&out);
    assert_true(out_iov(&out, &parts, &count));
    for (uint32_t i = 0; i < count; i++) {
        memcpy(dst + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    assert_int_equal(len, announced);
    return len;
}

/* Returns the length; fails the test when a field that version does not carry has a value. */
static size_t oracle_bytes_of(const struct wire_message *message, int16_t version, const void *body, uint8_t *dst)
{
    struct wr w = wr_init(dst, BYTES_MAX);
    uint32_t strays;
    assert_true(oracle_encode(body, message, version, &w, &strays));
    assert_int_equal(strays, 0);
    return w.pos;
}

static void check_same(const struct wire_message *message, int16_t version, const uint8_t *a, size_t a_len,
                       const uint8_t *b, size_t b_len)
{
    if (a_len != b_len || memcmp(a, b, a_len) != 0)
        fail_msg("%s version %d: %zu and %zu bytes that differ", message->name, version, a_len, b_len);
}

static void check_random(struct fixture *f, const struct wire_message *message, int16_t version)
{
    void *body = body_new(f, message);
    oracle_random(body, message, version, &f->prng, &f->arena);
    size_t len = oracle_bytes_of(message, version, body, f->oracle_bytes);
    size_t generated_len = generated_encode(f, message, version, body, f->bytes);
    check_same(message, version, f->oracle_bytes, len, f->bytes, generated_len);

    void *by_oracle = body_new(f, message);
    struct rd r = rd_init(f->bytes, len);
    assert_true(oracle_decode(by_oracle, message, version, &r, &f->arena));
    assert_int_equal(rd_left(&r), 0);
    check_same(message, version, f->bytes, len, f->again, oracle_bytes_of(message, version, by_oracle, f->again));

    void *by_generated = body_new(f, message);
    r = rd_init(f->bytes, len);
    if (!message->decode(by_generated, &r, &f->arena, version))
        fail_msg("%s version %d: what was encoded is refused", message->name, version);
    assert_int_equal(rd_left(&r), 0);
    check_same(message, version, f->bytes, len, f->again, oracle_bytes_of(message, version, by_generated, f->again));
    check_same(message, version, f->bytes, len, f->again,
               generated_encode(f, message, version, by_generated, f->again));
}

static void every_message_agrees_with_the_oracle(void **state)
{
    struct fixture *f = *state;
    unsigned long long rounds = setting("WIRE_TEST_ROUNDS", 30);
    for (uint32_t i = 0; i < wire_message_count; i++) {
        const struct wire_message *message = &wire_messages[i];
        for (int16_t v = message->versions.first; v <= message->versions.last; v++) {
            for (unsigned long long round = 0; round < rounds; round++) {
                check_random(f, message, v);
                arena_reset(&f->arena);
            }
        }
    }
}

static void every_truncation_is_refused(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < wire_message_count; i++) {
        const struct wire_message *message = &wire_messages[i];
        for (int16_t v = message->versions.first; v <= message->versions.last; v++) {
            void *body = body_new(f, message);
            oracle_random(body, message, v, &f->prng, &f->arena);
            size_t len = generated_encode(f, message, v, body, f->bytes);
            for (size_t cut = 0; cut < len; cut += len < 4000 ? 1 : 7) {
                /* A copy of the exact size, so that a read beyond the end is seen by the address sanitizer. */
                uint8_t *exact = malloc(cut ? cut : 1);
                memcpy(exact, f->bytes, cut);
                struct rd r = rd_init(exact, cut);
                if (message->decode(body, &r, &f->arena, v))
                    fail_msg("%s version %d: %zu of %zu bytes are taken", message->name, v, cut, len);
                free(exact);
            }
            arena_reset(&f->arena);
        }
    }
}

/* Each of these is one mistake that a schema or a generator could hold. */
static bool differs_with(struct fixture *f, const struct wire_message *message, int16_t version,
                         void (*spoil)(struct wire_field *fields, uint32_t count))
{
    struct wire_struct body = *message->body;
    struct wire_field fields[16];
    struct wire_message spoiled = *message;
    assert_true(body.field_count <= 16);
    memcpy(fields, body.fields, body.field_count * sizeof(fields[0]));
    spoil(fields, body.field_count);
    body.fields = fields;
    spoiled.body = &body;
    for (int round = 0; round < 50; round++) {
        uint32_t strays;
        void *m = body_new(f, message);
        oracle_random(m, message, version, &f->prng, &f->arena);
        struct wr w = wr_init(f->oracle_bytes, BYTES_MAX);
        assert_true(oracle_encode(m, &spoiled, version, &w, &strays));
        size_t len = generated_encode(f, message, version, m, f->bytes);
        if (w.pos != len || memcmp(f->oracle_bytes, f->bytes, len) != 0)
            return true;
    }
    return false;
}

static void spoil_nothing(struct wire_field *fields, uint32_t count)
{
    (void)fields;
    (void)count;
}

static void spoil_version(struct wire_field *fields, uint32_t count)
{
    fields[count - 1].versions.first++;
}

static void spoil_null(struct wire_field *fields, uint32_t count)
{
    fields[count - 1].null = (struct wire_range){ 1, 0 };
}

static void spoil_order(struct wire_field *fields, uint32_t count)
{
    (void)count;
    struct wire_field first = fields[0];
    fields[0] = fields[2];
    fields[2] = first;
}

static void the_oracle_notices_a_wrong_table(void **state)
{
    struct fixture *f = *state;
    const struct wire_message *heartbeat = wire_api_find(WIRE_KEY_HEARTBEAT)->request;
    assert_false(differs_with(f, heartbeat, 3, spoil_nothing));
    assert_true(differs_with(f, heartbeat, 3, spoil_version));
    assert_true(differs_with(f, heartbeat, 4, spoil_null));
    assert_true(differs_with(f, heartbeat, 0, spoil_order));
}

static void tables_hang_together(void **state)
{
    (void)state;
    for (int16_t key = 0; key < wire_key_limit; key++) {
        const struct wire_api *api = wire_api_find(key);
        if (!api)
            continue;
        assert_int_equal(api->request->key, key);
        assert_int_equal(api->response->key, key);
        assert_int_equal(api->request->versions.first, api->response->versions.first);
        assert_int_equal(api->request->versions.last, api->response->versions.last);
        assert_int_equal(api->request->flexible_from, api->response->flexible_from);
        assert_true(api->advertised.last <= api->request->versions.last);
    }
    assert_null(wire_api_find(-1));
    assert_null(wire_api_find(4));
    assert_null(wire_api_find(INT16_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_hang_together),
        cmocka_unit_test_setup_teardown(every_message_agrees_with_the_oracle, setup, teardown),
        cmocka_unit_test_setup_teardown(every_truncation_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oracle_notices_a_wrong_table, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
