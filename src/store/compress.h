/*
 * Codecs of the records part of a batch and of compressed messages: gzip, snappy (Java's xerial framing and raw), LZ4
 * frames, zstd.
 *
 * What is decompressed is hostile until proven otherwise. Rules that hold for every codec:
 *   (I1) memory grows with the bytes that have come out, never with a size that the input declares;
 *   (I2) output stops at bytes_max: one byte more is ODK_ERR_TOO_LARGE, whatever the ratio;
 *   (I3) the input is exactly one stream: one gzip member, one frame; bytes behind it are damage;
 *   (I4) no dictionaries and no skippable frames, which no Kafka client sends.
 *
 * What is compressed has the shape that Kafka's brokers give it: xerial framing with blocks of 32 KiB, independent LZ4
 * blocks of 64 KiB, so that every client that reads from Kafka can read it.
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

/* The same for the value of a compressed message of that format (0 or 1): no zstd, and in format 0 any header checksum of
 * an LZ4 frame will do. */
MUST_USE enum odk_err decompress_message(enum odk_codec codec, int8_t format, struct odk_bytes src, size_t bytes_max,
                                         uint8_t **ret_data, size_t *ret_len);

/* Bytes that compress never goes beyond for so much input. */
size_t compress_bound(enum odk_codec codec, size_t len);

/*
 * Compresses src to the front of dst.
 *
 * codec  any; ODK_CODEC_NONE copies
 * level  of gzip (-1..9), lz4 (1..17; 9 is the fast one, as in Kafka) and zstd; beyond a library's range: its nearest
 *
 * ODK_ERR_TOO_LARGE  more than dst_max would come out
 * ODK_ERR_MEMORY
 *
 * Cost: the codec's; its own state is allocated for the call.
 */
MUST_USE enum odk_err compress_records(enum odk_codec codec, int level, struct odk_bytes src, uint8_t *dst,
                                       size_t dst_max, size_t *ret_len);

/* One codec each, as compress_records. */
MUST_USE enum odk_err gzip_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len);
MUST_USE enum odk_err snappy_compress_xerial(struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len);
MUST_USE enum odk_err lz4_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len);
MUST_USE enum odk_err zstd_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len);
size_t gzip_bound(size_t len);
size_t snappy_bound_xerial(size_t len);
size_t lz4_bound(size_t len);
size_t zstd_bound(size_t len);
