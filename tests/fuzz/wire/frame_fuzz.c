/*
 * Damaged frames by the million, from a seed: frame_fuzz [COUNT [SEED]].
 *
 * Every request and response of every version is the start; one to four small damages each, the kind that is found in
 * the wild: flipped bits, lengths and counts at their edges, cut, doubled and spliced pieces. Runs anywhere, needs no
 * fuzzing engine; meant for builds with the address and undefined-behaviour sanitizers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/wire/frame_target.h"
#include "oracle/oracle.h"
#include "wire/frame.h"
#include "wire/messages.h"

#define SAMPLE_BYTES_MAX 65536u
#define SAMPLES_MAX      8192u

struct sample {
    const struct wire_message *message;
    int16_t version;
    bool framed; /* a whole request; else a body */
    size_t len;
    uint8_t *bytes;
};

struct fuzz {
    struct prng prng;
    struct arena arena;
    struct sample samples[SAMPLES_MAX];
    uint32_t sample_count;
    uint64_t results[TARGET_TAKEN + 1];
    uint8_t buf[2 * SAMPLE_BYTES_MAX];
};

static void sample_add(struct fuzz *f, const struct wire_message *message, int16_t version, bool framed)
{
    struct out out;
    const struct iovec *parts;
    uint32_t count;
    void *body = arena_alloc(&f->arena, 1, message->body->size);
    oracle_random(body, message, version, &f->prng, &f->arena);
    out_init(&out, &f->arena);
    struct request_header header = { .key = message->key, .version = version, .client_id = ODK_STR("fuzz") };
    if (framed)
        request_begin(&out, &header);
    ASSERT(message->encode(body, &out, version));
    if (framed)
        ASSERT(request_end(&out));
    ASSERT(out_iov(&out, &parts, &count));
    size_t len = out_bytes(&out), at = 0;
    if (len <= SAMPLE_BYTES_MAX) {
        ASSERT(f->sample_count < SAMPLES_MAX);
        struct sample *s = &f->samples[f->sample_count++];
        *s = (struct sample){ .message = message, .version = version, .framed = framed, .len = len };
        s->bytes = xcalloc(len + 1, 1);
        for (uint32_t i = 0; i < count; i++) {
            memcpy(s->bytes + at, parts[i].iov_base, parts[i].iov_len);
            at += parts[i].iov_len;
        }
    }
    arena_reset(&f->arena);
}

static void samples_make(struct fuzz *f)
{
    for (uint32_t i = 0; i < wire_message_count; i++) {
        const struct wire_message *message = &wire_messages[i];
        bool request = message->key >= 0 && wire_api_find(message->key)->request == message;
        for (int16_t v = message->versions.first; v <= message->versions.last; v++) {
            for (int round = 0; round < 3; round++)
                sample_add(f, message, v, request);
        }
    }
}

/* Values that lengths and counts go wrong with, written over what is there. */
static void damage_number(struct prng *prng, uint8_t *at, size_t left)
{
    static const uint8_t edges[][5] = { { 0xff, 0xff, 0xff, 0xff, 0x0f }, { 0x7f, 0xff, 0xff, 0xff, 0xff },
                                        { 0x80, 0x00, 0x00, 0x00, 0x00 }, { 0x00, 0x00, 0x00, 0x00, 0x00 },
                                        { 0x00, 0x0f, 0x42, 0x41, 0x00 }, { 0xff, 0xff, 0xff, 0xff, 0x7f },
                                        { 0x01, 0x00, 0x00, 0x00, 0x01 }, { 0xc1, 0x84, 0x3d, 0x00, 0x00 } };
    size_t len = prng_between(prng, 1, 5);
    memcpy(at, edges[prng_below(prng, countof(edges))], MIN(len, left));
}

static size_t damage_piece(struct fuzz *f, size_t len, size_t pos)
{
    const struct sample *other = &f->samples[prng_below(&f->prng, f->sample_count)];
    size_t from = prng_below(&f->prng, other->len + 1);
    size_t n = prng_below(&f->prng, 64);
    n = MIN(n, other->len - from);
    if (n > sizeof(f->buf) - len)
        return len;
    memmove(f->buf + pos + n, f->buf + pos, len - pos);
    memcpy(f->buf + pos, other->bytes + from, n);
    return len + n;
}

static size_t damage(struct fuzz *f, size_t len)
{
    if (len == 0)
        return 0;
    size_t pos = prng_below(&f->prng, len);
    size_t n = prng_below(&f->prng, 24);
    n = MIN(n, len - pos);
    switch (prng_below(&f->prng, 7)) {
    case 0: f->buf[pos] ^= (uint8_t)(1u << prng_below(&f->prng, 8)); return len;
    case 1: f->buf[pos] = (uint8_t)prng_next(&f->prng); return len;
    case 2: damage_number(&f->prng, f->buf + pos, len - pos); return len;
    case 3: f->buf[pos] = (uint8_t)(f->buf[pos] + prng_between(&f->prng, 0, 2) - 1); return len;
    case 4: return pos;
    case 5: memmove(f->buf + pos, f->buf + pos + n, len - pos - n); return len - n;
    default: return damage_piece(f, len, pos);
    }
}

/* Seven of eight frames get a length that fits again, so that the damage reaches the decoders. */
static void length_mend(struct fuzz *f, size_t len)
{
    if (len < FRAME_LENGTH_BYTES || prng_below(&f->prng, 8) == 0)
        return;
    struct wr w = wr_init(f->buf, FRAME_LENGTH_BYTES);
    wr_i32(&w, (int32_t)(len - FRAME_LENGTH_BYTES));
}

static void one(struct fuzz *f)
{
    const struct sample *s = &f->samples[prng_below(&f->prng, f->sample_count)];
    size_t len = s->len;
    memcpy(f->buf, s->bytes, len);
    for (uint64_t n = prng_between(&f->prng, 1, 4); n > 0; n--)
        len = damage(f, len);
    if (s->framed)
        length_mend(f, len);
    /* Of the exact size, so that the address sanitizer sees the first byte too far. */
    uint8_t *exact = malloc(len ? len : 1);
    ASSERT(exact != NULL);
    memcpy(exact, f->buf, len);
    enum target_result result =
        s->framed ? target_frame(&f->arena, exact, len) : target_body(&f->arena, s->message, s->version, exact, len);
    f->results[result]++;
    free(exact);
    arena_reset(&f->arena);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    struct fuzz *f = xcalloc(1, sizeof(*f));
    f->prng.state = seed;
    f->arena.limit = TARGET_ARENA_BYTES;
    samples_make(f);
    printf("seed %llu, %u samples\n", (unsigned long long)seed, f->sample_count);
    for (uint64_t i = 0; i < count; i++)
        one(f);
    printf("%llu inputs: %llu frames refused, %llu headers, %llu bodies, %llu taken\n", (unsigned long long)count,
           (unsigned long long)f->results[TARGET_REFUSED_FRAME], (unsigned long long)f->results[TARGET_REFUSED_HEADER],
           (unsigned long long)f->results[TARGET_REFUSED_BODY], (unsigned long long)f->results[TARGET_TAKEN]);
    bool all_seen = f->results[TARGET_REFUSED_FRAME] && f->results[TARGET_REFUSED_HEADER] &&
                    f->results[TARGET_REFUSED_BODY] && f->results[TARGET_TAKEN];
    for (uint32_t i = 0; i < f->sample_count; i++)
        free(f->samples[i].bytes);
    arena_deinit(&f->arena);
    free(f);
    return count < 10000 || all_seen ? 0 : 1;
}
