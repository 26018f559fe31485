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

/* delta: of the record's timestamp to the batch's; wraps, so that any pair survives, and readers wrap back. */
static void write_body(struct wr *w, const struct odk_record_new *record, uint64_t delta, int32_t idx)
{
    wr_i8(w, 0); /* attributes */
    wr_varlong(w, (int64_t)delta);
    wr_varint(w, idx);
    write_nullable(w, record->key);
    write_nullable(w, record->value);
    wr_varint(w, 0); /* headers */
}

static void write_record(struct wr *w, const struct odk_record_new *record, int64_t base_timestamp, int32_t idx)
{
    uint64_t delta = (uint64_t)record->timestamp - (uint64_t)base_timestamp;
    struct wr measure = wr_init(NULL, 0);
    write_body(&measure, record, delta, idx);
    wr_varint(w, (int32_t)measure.pos);
    write_body(w, record, delta, idx);
}

static void write_records(struct wr *w, const struct odk_batch_new *batch)
{
    for (int32_t i = 0; i < batch->record_count; i++)
        write_record(w, &batch->records[i], batch->records[0].timestamp, i);
}

static int64_t timestamp_max(const struct odk_batch_new *batch)
{
    int64_t max = batch->records[0].timestamp;
    for (int32_t i = 1; i < batch->record_count; i++)
        max = MAX(max, batch->records[i].timestamp);
    return max;
}

/* Everything behind the CRC field up to the records. */
static void write_header_rest(struct wr *w, const struct odk_batch_new *batch, int64_t base_timestamp,
                              int64_t max_timestamp)
{
    bool has_producer = batch->producer_id >= 0;
    wr_i16(w, batch->attributes);
    wr_i32(w, batch->record_count - 1);
    wr_i64(w, base_timestamp);
    wr_i64(w, max_timestamp);
    wr_i64(w, has_producer ? batch->producer_id : -1);
    wr_i16(w, has_producer ? batch->producer_epoch : -1);
    wr_i32(w, has_producer ? batch->base_sequence : -1);
    wr_i32(w, batch->record_count);
}

/* Everything up to the attributes; what follows is there. */
static void write_header_front(uint8_t *data, size_t len, const struct odk_batch_new *batch)
{
    struct wr head = wr_init(data, BATCH_POS_ATTRIBUTES);
    wr_i64(&head, batch->base_offset);
    wr_i32(&head, (int32_t)(len - ODK_BATCH_LENGTH_END));
    wr_i32(&head, batch->leader_epoch);
    wr_i8(&head, BATCH_MAGIC);
    wr_i32(&head, (int32_t)crc32c(0, data + BATCH_POS_ATTRIBUTES, len - BATCH_POS_ATTRIBUTES));
    ASSERT(head.pos == BATCH_POS_ATTRIBUTES);
}

static void write_batch(uint8_t *data, size_t len, const struct odk_batch_new *batch)
{
    struct wr tail = wr_init(data + BATCH_POS_ATTRIBUTES, len - BATCH_POS_ATTRIBUTES);
    write_header_rest(&tail, batch, batch->records[0].timestamp, timestamp_max(batch));
    write_records(&tail, batch);
    ASSERT(!tail.bad);
    ASSERT(tail.pos == tail.len);
    write_header_front(data, len, batch);
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

/* -- one by one ---------------------------------------------------------------------------------------------------- */

#define BUILDER_BYTES_MIN 1024u

void odk_batch_builder_begin(struct odk_batch_builder *builder)
{
    builder->len = 0;
    builder->record_count = 0;
}

static enum odk_err builder_reserve(struct odk_batch_builder *builder, size_t need)
{
    size_t capacity = MAX(builder->capacity, (size_t)BUILDER_BYTES_MIN);
    if (need - ODK_BATCH_LENGTH_END > INT32_MAX)
        return ODK_ERR_TOO_LARGE;
    while (capacity < need)
        capacity *= 2;
    if (capacity == builder->capacity)
        return ODK_OK;
    uint8_t *data = realloc(builder->data, capacity);
    if (!data)
        return ODK_ERR_MEMORY;
    builder->data = data;
    builder->capacity = capacity;
    return ODK_OK;
}

enum odk_err odk_batch_builder_add(struct odk_batch_builder *builder, const struct odk_record_new *record)
{
    bool first = builder->record_count == 0;
    size_t len = first ? ODK_BATCH_HEADER_BYTES : builder->len;
    int64_t base_timestamp = first ? record->timestamp : builder->base_timestamp;
    if (record->key.len > INT32_MAX || record->value.len > INT32_MAX || builder->record_count == INT32_MAX)
        return ODK_ERR_TOO_LARGE;
    struct wr measure = wr_init(NULL, 0);
    write_record(&measure, record, base_timestamp, builder->record_count);
    enum odk_err err = builder_reserve(builder, len + measure.pos);
    if (err != ODK_OK)
        return err;
    struct wr w = wr_init(builder->data + len, measure.pos);
    write_record(&w, record, base_timestamp, builder->record_count);
    ASSERT(!w.bad);
    builder->base_timestamp = base_timestamp;
    builder->max_timestamp = first ? record->timestamp : MAX(builder->max_timestamp, record->timestamp);
    builder->len = len + measure.pos;
    builder->record_count++;
    return ODK_OK;
}

void odk_batch_builder_end(struct odk_batch_builder *builder)
{
    ASSERT(builder->record_count > 0);
    struct odk_batch_new batch = { .producer_id = -1, .record_count = builder->record_count };
    struct wr rest =
        wr_init(builder->data + BATCH_POS_ATTRIBUTES, ODK_BATCH_HEADER_BYTES - BATCH_POS_ATTRIBUTES);
    write_header_rest(&rest, &batch, builder->base_timestamp, builder->max_timestamp);
    ASSERT(!rest.bad && rest.pos == rest.len);
    write_header_front(builder->data, builder->len, &batch);
}

void odk_batch_builder_deinit(struct odk_batch_builder *builder)
{
    free(builder->data);
    *builder = (struct odk_batch_builder){ 0 };
}
