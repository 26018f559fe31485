/* Views of arrays, and a batch whose bytes a test may spoil. */
#pragma once
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <odradek/batch.h>

#include "base/crc32c.h"

#define VIEW(array) ((struct odk_bytes){ .data = (array), .len = sizeof(array) })

/* An exact heap copy, so that a sanitizer sees one byte too many. The caller frees. */
static inline uint8_t *copy_of(struct odk_bytes bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    assert(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return copy;
}

/* Makes the CRC true again. */
static inline void seal_batch(uint8_t *data, size_t len)
{
    uint32_t crc = crc32c(0, data + 21, len - 21);
    data[17] = (uint8_t)(crc >> 24);
    data[18] = (uint8_t)(crc >> 16);
    data[19] = (uint8_t)(crc >> 8);
    data[20] = (uint8_t)crc;
}
