#include <odradek/batch.h>

#include <stdlib.h>

#include "base/base.h"
#include "base/crc32c.h"
#include "base/cursor.h"
#include "store/batch_layout.h"

static void write_nullable(struct wr *w, struct odk_bytes bytes)
{
    if (!bytes.data) {
        wr_varint(w, -1);
        return;
    }
    wr_varint(w, (int32_t)bytes.len);
    wr_raw(w, bytes.data, bytes.len);
}

static void write_body(struct wr *w, const struct odk_batch_new *batch, int32_t idx)
{
    const struct odk_record_new *record = &batch->records[idx];
    /* Wraps, so that any pair of timestamps survives; readers wrap back. */
    uint64_t delta = (uint64_t)record->timestamp - (uint64_t)batch->records[0].timestamp;
    wr_i8(w, 0); /* attributes */
    wr_varlong(w, (int64_t)delta);
    wr_varint(w, idx);
    write_nullable(w, record->key);
    write_nullable(w, record->value);
    wr_varint(w, 0); /* headers */
}

static void write_records(struct wr *w, const struct odk_batch_new *batch)
{
    for (int32_t i = 0; i < batch->record_count; i++) {
        struct wr measure = wr_init(NULL, 0);
        write_body(&measure, batch, i);
        wr_varint(w, (int32_t)measure.pos);
        write_body(w, batch, i);
    }
}

static int64_t timestamp_max(const struct odk_batch_new *batch)
{
    int64_t max = batch->records[0].timestamp;
    for (int32_t i = 1; i < batch->record_count; i++)
        max = MAX(max, batch->records[i].timestamp);
    return max;
}

/* Everything behind the CRC field up to the records. */
static void write_header_rest(struct wr *w, const struct odk_batch_new *batch)
{
    bool has_producer = batch->producer_id >= 0;
    wr_i16(w, batch->attributes);
    wr_i32(w, batch->record_count - 1);
    wr_i64(w, batch->records[0].timestamp);
    wr_i64(w, timestamp_max(batch));
    wr_i64(w, has_producer ? batch->producer_id : -1);
    wr_i16(w, has_producer ? batch->producer_epoch : -1);
    wr_i32(w, has_producer ? batch->base_sequence : -1);
    wr_i32(w, batch->record_count);
}

static void write_batch(uint8_t *data, size_t len, const struct odk_batch_new *batch)
{
    struct wr tail = wr_init(data + BATCH_POS_ATTRIBUTES, len - BATCH_POS_ATTRIBUTES);
    write_header_rest(&tail, batch);
    write_records(&tail, batch);
    ASSERT(!tail.bad);
    ASSERT(tail.pos == tail.len);
    struct wr head = wr_init(data, BATCH_POS_ATTRIBUTES);
    wr_i64(&head, batch->base_offset);
    wr_i32(&head, (int32_t)(len - ODK_BATCH_LENGTH_END));
    wr_i32(&head, batch->leader_epoch);
    wr_i8(&head, BATCH_MAGIC);
    wr_i32(&head, (int32_t)crc32c(0, tail.start, tail.len));
    ASSERT(head.pos == BATCH_POS_ATTRIBUTES);
}

enum odk_err odk_batch_build(const struct odk_batch_new *batch, uint8_t **ret_data, size_t *ret_len)
{
    ASSERT(batch->record_count >= 1);
    ASSERT((batch->attributes & ODK_BATCH_CODEC_MASK) == ODK_CODEC_NONE);
    for (int32_t i = 0; i < batch->record_count; i++)
        if (batch->records[i].key.len > INT32_MAX || batch->records[i].value.len > INT32_MAX)
            return ODK_ERR_TOO_LARGE;
    struct wr measure = wr_init(NULL, 0);
    write_records(&measure, batch);
    size_t len = ODK_BATCH_HEADER_BYTES + measure.pos;
    if (len - ODK_BATCH_LENGTH_END > INT32_MAX)
        return ODK_ERR_TOO_LARGE;
    uint8_t *data = malloc(len);
    if (!data)
        return ODK_ERR_MEMORY;
    write_batch(data, len, batch);
    *ret_data = data;
    *ret_len = len;
    return ODK_OK;
}
