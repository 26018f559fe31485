/*
 * Decompression of the records part of a batch: gzip, snappy (Java's xerial framing and raw), LZ4 frames, zstd.
 *
 * The input is hostile until proven otherwise. Rules that hold for every codec:
 *   (I1) memory grows with the bytes that have come out, never with a size that the input declares;
 *   (I2) output stops at bytes_max: one byte more is ODK_ERR_TOO_LARGE, whatever the ratio;
 *   (I3) the input is exactly one stream: one gzip member, one frame; bytes behind it are damage;
 *   (I4) no dictionaries and no skippable frames, which no Kafka client sends.
 *
 * Nothing is kept between calls.
 */
#pragma once
#include <odradek/batch.h>

#include "base/base.h"

/*
 * Decompresses src into fresh memory, which is the caller's (free); never NULL on success.
 *
 * codec  not ODK_CODEC_NONE
 *
 * ODK_ERR_CORRUPT      not a stream of that codec, damaged, cut short, or with something behind it
 * ODK_ERR_TOO_LARGE    more than bytes_max would come out
 * ODK_ERR_UNSUPPORTED  no such codec
 * ODK_ERR_MEMORY
 *
 * Cost: O(output); at most twice bytes_max of memory while it runs, plus the codec's own state.
 */
MUST_USE enum odk_err decompress(enum odk_codec codec, struct odk_bytes src, size_t bytes_max, uint8_t **ret_data,
                                 size_t *ret_len);
