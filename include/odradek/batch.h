/*
 * Record batch v2, the unit that producers send, segments hold and consumers get: the same bytes in all three.
 *
 *   off 0  baseOffset i64 | 8 batchLength i32 (bytes behind this field) | 12 partitionLeaderEpoch i32 | 16 magic i8
 *   17 crc u32 | 21 attributes i16 | 23 lastOffsetDelta i32 | 27 baseTimestamp i64 | 35 maxTimestamp i64
 *   43 producerId i64 | 51 producerEpoch i16 | 53 baseSequence i32 | 57 recordCount i32 | 61 records
 *
 * The CRC-32C covers byte 21 to the end, so base offset and leader epoch are set in place without a new CRC.
 * Attributes: bits 0-2 codec, 3 timestamp type (1 = log append time), 4 transactional, 5 control, 6 delete horizon.
 *
 * Source: Kafka's protocol guide, "Record Batch"; KIP-98, KIP-101.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <odradek/bytes.h>
#include <odradek/err.h>

#define ODK_BATCH_HEADER_BYTES 61u
#define ODK_BATCH_LENGTH_END 12u /* batchLength counts the bytes behind this position */

enum odk_codec { ODK_CODEC_NONE, ODK_CODEC_GZIP, ODK_CODEC_SNAPPY, ODK_CODEC_LZ4, ODK_CODEC_ZSTD, ODK_CODEC_COUNT };

enum odk_batch_attribute {
    ODK_BATCH_CODEC_MASK = 0x07,
    ODK_BATCH_LOG_APPEND_TIME = 0x08,
    ODK_BATCH_TRANSACTIONAL = 0x10,
    ODK_BATCH_CONTROL = 0x20,
    ODK_BATCH_DELETE_HORIZON = 0x40,
};

/* The header of one batch, decoded. */
struct odk_batch {
    int64_t base_offset;
    int32_t length; /* batchLength as stored; the whole batch has ODK_BATCH_LENGTH_END + length bytes */
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

/*
 * Reads the 61 header bytes. Checks only what makes the other fields meaningful.
 *
 * ODK_ERR_TRUNCATED  fewer than 61 bytes
 * ODK_ERR_INVALID    magic is not 2, or length below the header's own rest (49)
 */
ODK_MUST_USE enum odk_err odk_batch_decode(const void *data, size_t len, struct odk_batch *ret);

/* Bytes of the whole batch. */
static inline size_t odk_batch_bytes(const struct odk_batch *batch)
{
    return (size_t)batch->length + ODK_BATCH_LENGTH_END;
}

static inline int64_t odk_batch_last_offset(const struct odk_batch *batch)
{
    return batch->base_offset + batch->last_offset_delta;
}

static inline int64_t odk_batch_next_offset(const struct odk_batch *batch)
{
    return odk_batch_last_offset(batch) + 1;
}

/*
 * Checks one whole batch as a producer must send it: exactly one batch in data, magic 2, base offset 0, count >= 1 and
 * = lastOffsetDelta + 1, no control bit, no delete horizon, known codec, a sequence when there is a producer id, CRC.
 * Records are not looked into.
 *
 * ODK_ERR_TRUNCATED  data ends before the batch does
 * ODK_ERR_CRC        checksum differs
 * ODK_ERR_INVALID    any other rule; ret_why (may be NULL) gets a static sentence
 *
 * Cost: one CRC pass.
 */
ODK_MUST_USE enum odk_err odk_batch_verify(struct odk_bytes data, struct odk_batch *ret, const char **ret_why);

/* Checks length, magic and CRC of the stored batch at the front of data; bytes behind it are not looked at.
 * Errors as odk_batch_decode, and ODK_ERR_TRUNCATED when data ends before the batch does, ODK_ERR_CRC. */
ODK_MUST_USE enum odk_err odk_batch_check_crc(struct odk_bytes data);

/* Sets base offset and leader epoch in place (outside the CRC). */
void odk_batch_patch(uint8_t *data, int64_t base_offset, int32_t leader_epoch);

/* Stamps log append time: attribute bit and max timestamp, and recomputes the CRC. Cost: one CRC pass. */
void odk_batch_stamp(uint8_t *data, size_t len, int64_t append_time_ms);

/* One record inside a batch. Views point into the batch, or into the iterator's buffer when it is compressed. */
struct odk_record {
    int64_t offset;
    int64_t timestamp;
    struct odk_bytes key;   /* data NULL: no key */
    struct odk_bytes value; /* data NULL: tombstone */
    struct odk_bytes headers; /* raw: varint count, then (varint length, key, varint length or -1, value) */
    int32_t header_count;
};

/*
 * Walks the records of one batch, decompressing the whole records part first when there is a codec (gzip, snappy in
 * both framings, lz4 frames, zstd); bounded by bytes_max of decompressed data.
 *
 *   odk_record_iter_init(&it, batch bytes, bytes_max) ; while (odk_record_next(&it, &record)) ... ;
 *   err = odk_record_iter_end(&it)   -- says whether it ended because of damage; frees
 *
 * An iterator whose init failed is empty: next returns false, end repeats the error.
 *
 * ODK_ERR_TRUNCATED    the bytes end before the batch does
 * ODK_ERR_INVALID      not a batch (odk_batch_decode)
 * ODK_ERR_CORRUPT      damaged compression or records; offset deltas that do not rise or leave the batch; bytes behind
 *                      the last record
 * ODK_ERR_TOO_LARGE    more than bytes_max would come out
 * ODK_ERR_UNSUPPORTED  unknown codec
 * ODK_ERR_MEMORY
 */
struct odk_record_iter {
    struct odk_batch batch;
    const uint8_t *at;
    const uint8_t *end;
    int32_t left;
    int32_t last_delta; /* offset delta of the last record returned; they rise */
    uint8_t *owned; /* decompressed records; NULL when not compressed */
    enum odk_err err;
};
ODK_MUST_USE enum odk_err odk_record_iter_init(struct odk_record_iter *it, struct odk_bytes batch, size_t bytes_max);
bool odk_record_next(struct odk_record_iter *it, struct odk_record *ret);
ODK_MUST_USE enum odk_err odk_record_iter_end(struct odk_record_iter *it);

/* The records part as it is uncompressed; before the first odk_record_next. */
static inline struct odk_bytes odk_record_iter_bytes(const struct odk_record_iter *it)
{
    return (struct odk_bytes){ it->at, (size_t)(it->end - it->at) };
}

/* Bytes that odk_batch_pack never goes beyond for records of that size. */
size_t odk_batch_pack_bound(enum odk_codec codec, size_t records_len);

/*
 * Makes a batch of uncompressed records, compressing them; all else is as in header, codec, length and CRC excepted.
 *
 * level    of gzip, lz4 and zstd, in Kafka's numbers (compression.*.level)
 * dst_max  room at dst; odk_batch_pack_bound is always enough
 *
 * ODK_ERR_TOO_LARGE    it does not fit
 * ODK_ERR_UNSUPPORTED  unknown codec
 * ODK_ERR_MEMORY
 */
ODK_MUST_USE enum odk_err odk_batch_pack(const struct odk_batch *header, struct odk_bytes records, enum odk_codec codec,
                                         int level, uint8_t *dst, size_t dst_max, size_t *ret_len);

/* One record to be built. */
struct odk_record_new {
    int64_t timestamp;
    struct odk_bytes key;
    struct odk_bytes value;
};

/* Fields of a batch to be built; zero is a plain, uncompressed one (set producer_id to -1 for none). */
struct odk_batch_new {
    int64_t base_offset;
    int32_t leader_epoch;
    int16_t attributes; /* codec bits must be 0: built batches are not compressed */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    const struct odk_record_new *records;
    int32_t record_count; /* >= 1 */
};

/* Builds a batch with its CRC. ret_data is the caller's (free). ODK_ERR_TOO_LARGE above INT32_MAX. */
ODK_MUST_USE enum odk_err odk_batch_build(const struct odk_batch_new *batch, uint8_t **ret_data, size_t *ret_len);

/*
 * Builds one batch after the other, record by record, in memory that it keeps: a zeroed builder, or begin; add ...; end.
 * Batches have no producer, codec or base offset.
 */
struct odk_batch_builder {
    uint8_t *data; /* after end: the batch, good until the next begin */
    size_t len;    /* of the batch with the records so far */
    size_t capacity;
    int32_t record_count;
    int64_t base_timestamp;
    int64_t max_timestamp;
};

/* Forgets the records, keeps the memory. */
void odk_batch_builder_begin(struct odk_batch_builder *builder);
/* Copies record in. ODK_ERR_TOO_LARGE when the batch would be above INT32_MAX, ODK_ERR_MEMORY; nothing was added then. */
ODK_MUST_USE enum odk_err odk_batch_builder_add(struct odk_batch_builder *builder, const struct odk_record_new *record);
/* Header and CRC. There must be a record. */
void odk_batch_builder_end(struct odk_batch_builder *builder);
void odk_batch_builder_deinit(struct odk_batch_builder *builder);
