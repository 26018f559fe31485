/*
 * A plain fuzz driver: takes known good inputs, spoils them from a seed, and hands exact heap copies to the target, so
 * that a sanitizer sees one byte too many. Targets have libFuzzer's entry point as well.
 *
 *   x_fuzz [rounds [seed]]
 */
#pragma once
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <odradek/bytes.h>

#include "base/base.h"
#include "base/prng.h"

#define FUZZ_ROUNDS 20000u
#define FUZZ_ROOM   64u /* bytes an input may grow by */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline size_t fuzz_spoil(uint8_t *data, size_t len, struct prng *prng)
{
    static const uint8_t edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe };
    size_t at = (size_t)prng_below(prng, len + 1);
    switch (prng_below(prng, 6)) {
    case 0: return at; /* cut */
    case 1:            /* grow */
        memset(data + len, (int)prng_below(prng, 256), FUZZ_ROOM / 8);
        return len + (size_t)prng_below(prng, FUZZ_ROOM / 8);
    case 2: /* a whole number of edges */
        for (size_t i = at; i < len && i < at + 4; i++)
            data[i] = edges[prng_below(prng, sizeof(edges))];
        return len;
    case 3: /* bytes from elsewhere */
        if (len > 8 && at + 8 <= len)
            memmove(data + at, data + prng_below(prng, len - 8), 8);
        return len;
    default:
        if (at < len)
            data[at] ^= (uint8_t)(1u << prng_below(prng, 8));
        return len;
    }
}

/* fix (may be NULL) may make checksums true again, so that what lies behind them is reached. */
static inline int fuzz_main(int argc, char **argv, const struct odk_bytes *corpus, size_t corpus_count,
                            void (*fix)(uint8_t *data, size_t len))
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : FUZZ_ROUNDS;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    printf("rounds %" PRIu64 " seed %" PRIu64 "\n", rounds, seed);
    fflush(stdout);
    struct prng prng = { seed };
    for (uint64_t round = 0; round < rounds; round++) {
        struct odk_bytes base = corpus[prng_below(&prng, corpus_count)];
        uint8_t *room = xcalloc(base.len + FUZZ_ROOM, 1);
        memcpy(room, base.data, base.len);
        size_t len = base.len;
        for (uint64_t spoils = prng_below(&prng, 6); spoils > 0; spoils--)
            len = MIN(fuzz_spoil(room, len, &prng), base.len + FUZZ_ROOM / 2);
        uint8_t *exact = xcalloc(MAX(len, (size_t)1), 1);
        memcpy(exact, room, len);
        if (fix && prng_chance(&prng, 700000))
            fix(exact, len);
        (void)LLVMFuzzerTestOneInput(exact, len);
        free(exact);
        free(room);
    }
    return 0;
}
