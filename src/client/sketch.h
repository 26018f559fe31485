/*
 * What can be said of a stream of keys in bounded memory: how many different ones there are, and which come most often.
 *
 * Different keys: HyperLogLog with 2^14 registers, standard error 0.8 %; small counts by how many registers are empty.
 * Frequent keys: Space-Saving. A key that makes up more than 1/SKETCH_KEYS of the stream is in the list for certain; its
 * count is at most `over` too high.
 *
 * Source: Flajolet et al. 2007; Metwally et al. 2005.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <odradek/bytes.h>

#define SKETCH_REGISTERS 16384u
#define SKETCH_KEYS      512u /* 512 keys of 256 bytes are 128 KiB */
#define SKETCH_KEY_BYTES 256u /* of a key that is remembered; longer ones are cut and told apart by their hash */

struct sketch_key {
    uint64_t hash;
    uint64_t count;
    uint64_t over; /* count is at most this much too high */
    uint32_t len;  /* of the whole key */
    uint8_t bytes[SKETCH_KEY_BYTES];
};

struct sketch {
    uint64_t total;
    size_t key_count;
    struct sketch_key keys[SKETCH_KEYS];
    uint8_t registers[SKETCH_REGISTERS];
};

/* Zeroed, the caller's (free). */
struct sketch *sketch_new(void);
/* Cost: a hash, and a look through the keys when it is not one of the frequent ones. */
void sketch_add(struct sketch *sketch, struct odk_bytes key);
/* How many different keys came, about. */
uint64_t sketch_distinct(const struct sketch *sketch);
/* Sorts the keys, the most frequent first. */
void sketch_sort(struct sketch *sketch);
