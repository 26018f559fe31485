#include <odradek/batch.h>

#include <stdlib.h>

#include "base/base.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "store/batch_layout.h"
#include "store/compress.h"

/* -- header ------------------------------------------------------------------------------------------------------- */

static void header_read(struct rd *r, struct odk_batch *batch)
{
    batch->base_offset = rd_i64(r);
    batch->length = rd_i32(r);
    batch->leader_epoch = rd_i32(r);
    batch->magic = rd_i8(r);
    batch->crc = rd_u32(r);
    batch->attributes = rd_i16(r);
    batch->last_offset_delta = rd_i32(r);
    batch->base_timestamp = rd_i64(r);
    batch->max_timestamp = rd_i64(r);
    batch->producer_id = rd_i64(r);
    batch->producer_epoch = rd_i16(r);
    batch->base_sequence = rd_i32(r);
    batch->record_count = rd_i32(r);
}

enum odk_err odk_batch_decode(const void *data, size_t len, struct odk_batch *ret)
{
    if (len < ODK_BATCH_HEADER_BYTES)
        return ODK_ERR_TRUNCATED;
    struct rd r = rd_init(data, ODK_BATCH_HEADER_BYTES);
    struct odk_batch batch;
    header_read(&r, &batch);
    ASSERT(!r.bad);
    if (batch.magic != BATCH_MAGIC || batch.length < BATCH_LENGTH_MIN)
        return ODK_ERR_INVALID;
    *ret = batch;
    return ODK_OK;
}

static uint32_t batch_crc(const uint8_t *data, size_t len)
{
    ASSERT(len >= ODK_BATCH_HEADER_BYTES);
    return crc32c(0, data + BATCH_POS_ATTRIBUTES, len - BATCH_POS_ATTRIBUTES);
}

static void put_i64(uint8_t *at, int64_t value)
{
    struct wr w = wr_init(at, sizeof(value));
    wr_i64(&w, value);
}

static void put_i32(uint8_t *at, int32_t value)
{
    struct wr w = wr_init(at, sizeof(value));
    wr_i32(&w, value);
}

void odk_batch_patch(uint8_t *data, int64_t base_offset, int32_t leader_epoch)
{
    put_i64(data + BATCH_POS_BASE_OFFSET, base_offset);
    put_i32(data + BATCH_POS_LEADER_EPOCH, leader_epoch);
}

void odk_batch_stamp(uint8_t *data, size_t len, int64_t append_time_ms)
{
    data[BATCH_POS_ATTRIBUTES + 1] |= ODK_BATCH_LOG_APPEND_TIME;
    put_i64(data + BATCH_POS_MAX_TIMESTAMP, append_time_ms);
    put_i32(data + BATCH_POS_CRC, (int32_t)batch_crc(data, len));
}

/* -- packing ------------------------------------------------------------------------------------------------------ */

size_t odk_batch_pack_bound(enum odk_codec codec, size_t records_len)
{
    return ODK_BATCH_HEADER_BYTES + compress_bound(codec, records_len);
}

/* The CRC is not known yet. */
static void header_write(struct wr *w, const struct odk_batch *batch)
{
    wr_i64(w, batch->base_offset);
    wr_i32(w, batch->length);
    wr_i32(w, batch->leader_epoch);
    wr_i8(w, batch->magic);
    wr_i32(w, 0);
    wr_i16(w, batch->attributes);
    wr_i32(w, batch->last_offset_delta);
    wr_i64(w, batch->base_timestamp);
    wr_i64(w, batch->max_timestamp);
    wr_i64(w, batch->producer_id);
    wr_i16(w, batch->producer_epoch);
    wr_i32(w, batch->base_sequence);
    wr_i32(w, batch->record_count);
}

enum odk_err odk_batch_pack(const struct odk_batch *header, struct odk_bytes records, enum odk_codec codec, int level,
                            uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    size_t len;
    dst_max = MIN(dst_max, (size_t)INT32_MAX);
    if (dst_max < ODK_BATCH_HEADER_BYTES)
        return ODK_ERR_TOO_LARGE;
    enum odk_err err = compress_records(codec, level, records, dst + ODK_BATCH_HEADER_BYTES,
                                        dst_max - ODK_BATCH_HEADER_BYTES, &len);
    if (err != ODK_OK)
        return err;
    len += ODK_BATCH_HEADER_BYTES;
    struct odk_batch batch = *header;
    batch.length = (int32_t)(len - ODK_BATCH_LENGTH_END);
    batch.attributes = (int16_t)((header->attributes & ~ODK_BATCH_CODEC_MASK) | (int16_t)codec);
    struct wr w = wr_init(dst, ODK_BATCH_HEADER_BYTES);
    header_write(&w, &batch);
    ASSERT(!w.bad && w.pos == ODK_BATCH_HEADER_BYTES);
    put_i32(dst + BATCH_POS_CRC, (int32_t)batch_crc(dst, len));
    *ret_len = len;
    return ODK_OK;
}

/* -- checks ------------------------------------------------------------------------------------------------------- */

enum odk_err odk_batch_check_crc(struct odk_bytes data)
{
    struct odk_batch batch;
    enum odk_err err = odk_batch_decode(data.data, data.len, &batch);
    if (err != ODK_OK)
        return err;
    if (data.len < odk_batch_bytes(&batch))
        return ODK_ERR_TRUNCATED;
    return batch_crc(data.data, odk_batch_bytes(&batch)) == batch.crc ? ODK_OK : ODK_ERR_CRC;
}

/* What a client may not claim about its batch; NULL when all is well. */
static const char *header_complaint(const struct odk_batch *batch)
{
    if (batch->base_offset != 0)
        return "base offset is not 0";
    if (batch->record_count < 1)
        return "no records";
    if (batch->last_offset_delta != batch->record_count - 1)
        return "record count and last offset delta disagree";
    if (batch->attributes & ODK_BATCH_CONTROL)
        return "control batches are the broker's";
    if (batch->attributes & ODK_BATCH_DELETE_HORIZON)
        return "delete horizons are the broker's";
    if ((batch->attributes & ODK_BATCH_CODEC_MASK) >= ODK_CODEC_COUNT)
        return "unknown compression codec";
    if (batch->producer_id >= 0 && batch->base_sequence < 0)
        return "producer id without a sequence";
    if (batch->producer_id >= 0 && batch->producer_epoch < 0)
        return "producer id without an epoch";
    if (batch->producer_id < 0 && (batch->attributes & ODK_BATCH_TRANSACTIONAL))
        return "transactional without a producer id";
    return NULL;
}

static enum odk_err complain(const char **ret_why, const char *why)
{
    if (ret_why)
        *ret_why = why;
    return ODK_ERR_INVALID;
}

enum odk_err odk_batch_verify(struct odk_bytes data, struct odk_batch *ret, const char **ret_why)
{
    struct odk_batch batch;
    enum odk_err err = odk_batch_decode(data.data, data.len, &batch);
    if (err == ODK_ERR_INVALID)
        return complain(ret_why, "not a record batch of format 2");
    if (err != ODK_OK)
        return err;
    if (data.len < odk_batch_bytes(&batch))
        return ODK_ERR_TRUNCATED;
    if (data.len > odk_batch_bytes(&batch))
        return complain(ret_why, "more than one batch");
    if (batch_crc(data.data, data.len) != batch.crc)
        return ODK_ERR_CRC;
    const char *why = header_complaint(&batch);
    if (why)
        return complain(ret_why, why);
    *ret = batch;
    return ODK_OK;
}

/* -- records ------------------------------------------------------------------------------------------------------ */

/* Rules without which the records cannot be numbered. */
static bool header_numbers_ok(const struct odk_batch *batch)
{
    int64_t last_offset;
    if (batch->base_offset < 0 || batch->last_offset_delta < 0)
        return false;
    if (__builtin_add_overflow(batch->base_offset, (int64_t)batch->last_offset_delta, &last_offset))
        return false;
    return batch->record_count >= 0 && batch->record_count - 1 <= batch->last_offset_delta;
}

static enum odk_err iter_open(struct odk_record_iter *it, struct odk_bytes data, size_t bytes_max)
{
    enum odk_err err = odk_batch_decode(data.data, data.len, &it->batch);
    if (err != ODK_OK)
        return err;
    size_t len = odk_batch_bytes(&it->batch);
    if (data.len < len)
        return ODK_ERR_TRUNCATED;
    if (!header_numbers_ok(&it->batch))
        return ODK_ERR_CORRUPT;
    struct odk_bytes records = { data.data + ODK_BATCH_HEADER_BYTES, len - ODK_BATCH_HEADER_BYTES };
    enum odk_codec codec = (enum odk_codec)(it->batch.attributes & ODK_BATCH_CODEC_MASK);
    if (codec != ODK_CODEC_NONE && records.len > 0) {
        err = decompress(codec, records, bytes_max, &it->owned, &records.len);
        if (err != ODK_OK)
            return err;
        records.data = it->owned;
    }
    it->at = records.data;
    it->end = records.data + records.len;
    it->left = it->batch.record_count;
    return ODK_OK;
}

enum odk_err odk_record_iter_init(struct odk_record_iter *it, struct odk_bytes batch, size_t bytes_max)
{
    *it = (struct odk_record_iter){ .last_delta = -1 };
    it->err = iter_open(it, batch, bytes_max);
    return it->err;
}

/* -1 is null; bad for anything below. */
static struct odk_bytes read_nullable(struct rd *r)
{
    int32_t len = rd_varint(r);
    if (len == -1)
        return (struct odk_bytes){ 0 };
    if (len < 0)
        r->bad = true;
    return rd_bytes(r, (size_t)len);
}

static void skip_header(struct rd *r)
{
    struct odk_bytes key = read_nullable(r);
    if (!key.data)
        r->bad = true; /* a header's key is never null */
    (void)read_nullable(r);
}

static int32_t read_headers(struct rd *r, struct odk_bytes *ret_headers)
{
    const uint8_t *start = r->at;
    int32_t count = rd_varint(r);
    if (count < 0 || (size_t)count > rd_left(r) / RECORD_HEADER_BYTES_MIN)
        r->bad = true;
    for (int32_t i = 0; i < count && !r->bad; i++)
        skip_header(r);
    *ret_headers = (struct odk_bytes){ start, (size_t)(r->at - start) };
    return count;
}

/* The body of one record, its length already taken; ret_delta is the offset delta. */
static void read_record(struct rd *r, const struct odk_batch *batch, struct odk_record *record, int32_t *ret_delta)
{
    (void)rd_i8(r); /* attributes: none are defined */
    int64_t timestamp_delta = rd_varlong(r);
    int32_t offset_delta = rd_varint(r);
    record->key = read_nullable(r);
    record->value = read_nullable(r);
    record->header_count = read_headers(r, &record->headers);
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)offset_delta);
    /* Wraps as the writer's subtraction did, so any pair of timestamps comes back. */
    record->timestamp = (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)timestamp_delta);
    if (batch->attributes & ODK_BATCH_LOG_APPEND_TIME)
        record->timestamp = batch->max_timestamp;
    *ret_delta = offset_delta;
}

static enum odk_err iter_step(struct odk_record_iter *it, struct odk_record *ret)
{
    struct rd r = rd_init(it->at, (size_t)(it->end - it->at));
    int32_t len = rd_varint(&r);
    if (r.bad || len < 0)
        return ODK_ERR_CORRUPT;
    struct odk_bytes body = rd_bytes(&r, (size_t)len);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    struct rd record_rd = rd_init(body.data, body.len);
    struct odk_record record;
    int32_t delta;
    read_record(&record_rd, &it->batch, &record, &delta);
    if (record_rd.bad || rd_left(&record_rd) > 0)
        return ODK_ERR_CORRUPT;
    if (delta <= it->last_delta || delta > it->batch.last_offset_delta)
        return ODK_ERR_CORRUPT;
    it->last_delta = delta;
    it->at = r.at;
    *ret = record;
    return ODK_OK;
}

bool odk_record_next(struct odk_record_iter *it, struct odk_record *ret)
{
    if (it->err != ODK_OK)
        return false;
    if (it->left == 0) {
        if (it->at != it->end)
            it->err = ODK_ERR_CORRUPT; /* bytes behind the last announced record */
        return false;
    }
    it->err = iter_step(it, ret);
    if (it->err != ODK_OK)
        return false;
    it->left--;
    return true;
}

enum odk_err odk_record_iter_end(struct odk_record_iter *it)
{
    free(it->owned);
    it->owned = NULL;
    it->left = 0;
    it->at = it->end = NULL;
    return it->err;
}
