#include "client/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/xxh3.h"

#define REGISTER_BITS 14u

struct sketch *sketch_new(void)
{
    return xcalloc(1, sizeof(struct sketch));
}

static void register_note(struct sketch *sketch, uint64_t hash)
{
    uint64_t rest = hash << REGISTER_BITS;
    uint8_t rank = rest == 0 ? 64 - REGISTER_BITS + 1 : (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *at = &sketch->registers[hash >> (64 - REGISTER_BITS)];
    *at = MAX(*at, rank);
}

void sketch_add(struct sketch *sketch, struct odk_bytes key)
{
    uint64_t hash = xxh3(key.data, key.len, 0);
    struct sketch_key *least = &sketch->keys[0];
    sketch->total++;
    register_note(sketch, hash);
    for (size_t i = 0; i < sketch->key_count; i++) {
        struct sketch_key *known = &sketch->keys[i];
        if (known->hash == hash && known->len == key.len) {
            known->count++;
            return;
        }
        if (known->count < least->count)
            least = known;
    }
    if (sketch->key_count < SKETCH_KEYS) {
        least = &sketch->keys[sketch->key_count++];
        least->count = 0;
    }
    least->over = least->count;
    least->count++;
    least->hash = hash;
    least->len = (uint32_t)key.len;
    if (key.len > 0)
        memcpy(least->bytes, key.data, MIN(key.len, SKETCH_KEY_BYTES));
}

uint64_t sketch_distinct(const struct sketch *sketch)
{
    const double m = SKETCH_REGISTERS;
    double sum = 0;
    uint32_t empty = 0;
    for (size_t i = 0; i < SKETCH_REGISTERS; i++) {
        sum += ldexp(1.0, -sketch->registers[i]);
        empty += sketch->registers[i] == 0;
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && empty > 0)
        estimate = m * log(m / empty);
    return (uint64_t)(estimate + 0.5);
}

static int key_order(const void *left, const void *right)
{
    const struct sketch_key *a = left, *b = right;
    return (a->count < b->count) - (a->count > b->count);
}

void sketch_sort(struct sketch *sketch)
{
    if (sketch->key_count > 1)
        qsort(sketch->keys, sketch->key_count, sizeof(*sketch->keys), key_order);
}
