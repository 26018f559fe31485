/*
 * Answers of Fetch 0-3: stored batches become messages of format 0 or 1, uncompressed, in the request's arena.
 *
 * Offsets and timestamps stay; headers of records and control batches have no place in these formats and are left out. An
 * answer may end inside a batch, since messages have offsets of their own: so a large batch needs no large answer.
 *
 * Bounds: FETCH_CONVERT_BYTES_MAX and _OPENED_MAX for one answer, the arena's limit for one batch.
 */
#pragma once
#include <odradek/log.h>

#include "base/arena.h"
#include "wire/errors.h"

/* Versions of Fetch from which on it carries format 1, and batches. */
#define FETCH_VERSION_FORMAT_1 2
#define FETCH_VERSION_BATCHES  4

/* One answer in the making. */
struct fetch_convert {
    struct arena *arena;
    size_t bytes_left;  /* of the answer */
    size_t opened_left; /* may be used up within a batch */
    uint8_t *scratch;   /* a batch that lies in pieces */
    size_t scratch_len;
    int8_t format;
};

/* What one partition gets. */
struct fetch_converted {
    struct iovec *parts; /* in the arena */
    uint32_t part_count;
    uint32_t bytes;
    enum kafka_error error; /* nothing could be made of the first batch */
};

void fetch_convert_init(struct fetch_convert *convert, struct arena *arena, int16_t version, uint32_t bytes_max);

/*
 * Converts what was read, from read->offset on, up to bytes_max; the first message comes whatever its size, when it is the
 * answer's first.
 *
 * CORRUPT_MESSAGE    the first batch cannot be read
 * MESSAGE_TOO_LARGE  it is too large, decompressed or at all
 *
 * Cost: one CRC pass, the codec, one copy.
 */
void fetch_convert(struct fetch_convert *convert, const struct odk_read *read, uint32_t bytes_max,
                   struct fetch_converted *ret);
