/*
 * Where a decompressor puts its output: a buffer that doubles up to a bound.
 *
 * (I1) len <= capacity <= bytes_max + 1. The one byte above the bound tells "full" from "too much".
 */
#pragma once
#include <odradek/batch.h>

#include "base/base.h"

struct sink {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t bytes_max;
};

/* Makes at least one free byte at data + len. ODK_ERR_TOO_LARGE once more than bytes_max is used, ODK_ERR_MEMORY. */
MUST_USE enum odk_err sink_reserve(struct sink *sink);

static inline size_t sink_room(const struct sink *sink)
{
    return sink->capacity - sink->len;
}

/* One codec each. src is not empty. Results as decompress. */
MUST_USE enum odk_err gzip_decompress(struct odk_bytes src, struct sink *sink);
MUST_USE enum odk_err snappy_decompress(struct odk_bytes src, struct sink *sink);
MUST_USE enum odk_err lz4_decompress(struct odk_bytes src, struct sink *sink);
MUST_USE enum odk_err lz4_decompress_any_sum(struct odk_bytes src, struct sink *sink);
MUST_USE enum odk_err zstd_decompress(struct odk_bytes src, struct sink *sink);
