#include "store/clean_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/units.h"

#define RECORDS_BYTES_MAX(compressed) MAX((size_t)MIB(16), (compressed)*64) /* what was accepted at most */
#define LEVEL_OF(codec) ((codec) == ODK_CODEC_LZ4 ? 9 : (codec) == ODK_CODEC_ZSTD ? 3 : -1) /* Kafka's defaults */
#define NO_TIMESTAMP    INT64_C(-1)
#define RECORD_GROWTH   16u /* a time difference and a length may take so much more */

void clean_scratch_deinit(struct clean_scratch *scratch)
{
    free(scratch->records);
    free(scratch->batch);
    *scratch = (struct clean_scratch){ 0 };
}

/* Batches whose records count: others are neither noted nor touched. */
static bool is_judged(const struct odk_batch *batch)
{
    return (batch->attributes & (ODK_BATCH_CONTROL | ODK_BATCH_TRANSACTIONAL)) == 0;
}

enum odk_err clean_note(struct clean_map *map, struct odk_bytes data)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_record_iter_init(&it, data, RECORDS_BYTES_MAX(data.len));
    if (err == ODK_ERR_MEMORY)
        return err;
    bool room = true;
    while (err == ODK_OK && is_judged(&it.batch) && room && odk_record_next(&it, &record)) {
        if (record.key.data)
            room = clean_map_note(map, record.key, record.offset);
    }
    enum odk_err ignored = odk_record_iter_end(&it); /* damaged from some record on: the batch stays as it is */
    (void)ignored;
    return room ? ODK_OK : ODK_ERR_LIMIT;
}

/* -- judging ------------------------------------------------------------------------------------------------------- */

struct verdict {
    int32_t kept;
    int32_t lost;
    bool mark; /* one without a value is kept */
    int64_t max_timestamp;
};

static bool record_stays(const struct clean_rules *rules, const struct odk_batch *batch, const struct odk_record *record)
{
    if (!record->key.data)
        return false;
    if (clean_map_find(rules->map, record->key) > record->offset)
        return false;
    bool past = (batch->attributes & ODK_BATCH_DELETE_HORIZON) && rules->now_ms >= batch->base_timestamp;
    return record->value.data || !past;
}

/* ODK_ERR_CORRUPT: the batch cannot be read to its end. */
static enum odk_err judge(const struct clean_rules *rules, struct odk_record_iter it, struct verdict *ret)
{
    struct odk_record record;
    *ret = (struct verdict){ .max_timestamp = NO_TIMESTAMP };
    while (odk_record_next(&it, &record)) {
        if (!record_stays(rules, &it.batch, &record)) {
            ret->lost++;
            continue;
        }
        ret->kept++;
        ret->mark |= !record.value.data;
        ret->max_timestamp = MAX(ret->max_timestamp, record.timestamp);
    }
    return it.err;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static enum odk_err reserve(uint8_t **data, size_t *capacity, size_t need)
{
    if (*capacity >= need)
        return ODK_OK;
    uint8_t *grown = realloc(*data, need);
    if (!grown)
        return ODK_ERR_MEMORY;
    *data = grown;
    *capacity = need;
    return ODK_OK;
}

/* One record as it stands, [raw, raw + len), with its time told from another moment. */
static void record_move(struct wr *w, const uint8_t *raw, size_t len, uint64_t earlier)
{
    struct rd r = rd_init(raw, len);
    (void)rd_varint(&r); /* its length */
    int8_t attributes = rd_i8(&r);
    uint64_t delta = (uint64_t)rd_varlong(&r) + earlier;
    size_t rest = rd_left(&r);
    struct wr measure = wr_init(NULL, 0);
    wr_varlong(&measure, (int64_t)delta);
    wr_varint(w, (int32_t)(1 + measure.pos + rest));
    wr_i8(w, attributes);
    wr_varlong(w, (int64_t)delta);
    wr_raw(w, r.at, rest);
}

/* The records that stay, one behind the other. it: at the first one, good to the end. */
static size_t records_keep(const struct clean_rules *rules, struct odk_record_iter it, int64_t base_timestamp,
                           struct clean_scratch *scratch)
{
    struct wr w = wr_init(scratch->records, scratch->records_capacity);
    uint64_t earlier = (uint64_t)it.batch.base_timestamp - (uint64_t)base_timestamp;
    struct odk_record record;
    const uint8_t *raw = it.at;
    while (odk_record_next(&it, &record)) {
        size_t len = (size_t)(it.at - raw);
        if (record_stays(rules, &it.batch, &record)) {
            if (earlier == 0)
                wr_raw(&w, raw, len);
            else
                record_move(&w, raw, len, earlier);
        }
        raw = it.at;
    }
    ASSERT(!w.bad);
    return w.pos;
}

static enum odk_err pack(const struct odk_batch *header, struct odk_bytes records, struct clean_scratch *scratch,
                         struct odk_bytes *ret_out)
{
    enum odk_codec codec = (enum odk_codec)(header->attributes & ODK_BATCH_CODEC_MASK);
    enum odk_err err =
        reserve(&scratch->batch, &scratch->batch_capacity, odk_batch_pack_bound(codec, records.len));
    if (err == ODK_OK)
        err = odk_batch_pack(header, records, codec, LEVEL_OF(codec), scratch->batch, scratch->batch_capacity,
                             &ret_out->len);
    ret_out->data = scratch->batch;
    return err;
}

/* Only the header, so that its offsets and its producer's sequence are not lost. */
static enum odk_err pack_empty(const struct odk_batch *batch, struct clean_scratch *scratch, struct odk_bytes *ret_out)
{
    struct odk_batch header = *batch;
    header.attributes &= (int16_t) ~(ODK_BATCH_CODEC_MASK | ODK_BATCH_DELETE_HORIZON);
    header.base_timestamp = NO_TIMESTAMP;
    header.max_timestamp = NO_TIMESTAMP;
    header.record_count = 0;
    return pack(&header, (struct odk_bytes){ .data = (const uint8_t *)"" }, scratch, ret_out);
}

static enum odk_err pack_kept(const struct clean_rules *rules, const struct odk_record_iter *it,
                              const struct verdict *verdict, struct clean_scratch *scratch, struct odk_bytes *ret_out)
{
    struct odk_batch header = it->batch;
    header.record_count = verdict->kept;
    if (!(header.attributes & ODK_BATCH_LOG_APPEND_TIME))
        header.max_timestamp = verdict->max_timestamp;
    if (verdict->mark && !(header.attributes & ODK_BATCH_DELETE_HORIZON)) {
        header.attributes |= ODK_BATCH_DELETE_HORIZON;
        if (__builtin_add_overflow(rules->now_ms, rules->delete_retention_ms, &header.base_timestamp))
            header.base_timestamp = INT64_MAX;
    }
    size_t room = odk_record_iter_bytes(it).len + (size_t)verdict->kept * RECORD_GROWTH + 1;
    enum odk_err err = reserve(&scratch->records, &scratch->records_capacity, room);
    if (err != ODK_OK)
        return err;
    struct odk_bytes records = { .data = scratch->records };
    records.len = records_keep(rules, *it, header.base_timestamp, scratch);
    return pack(&header, records, scratch, ret_out);
}

static bool is_last_of_producer(const struct clean_rules *rules, const struct odk_batch *batch)
{
    const struct producer *producer = batch->producer_id < 0 ? NULL : producers_find(rules->producers, batch->producer_id);
    return producer && producer->batch_count > 0 &&
           producer->batches[producer->batch_count - 1].last_offset == odk_batch_last_offset(batch);
}

static enum odk_err clean_open(const struct clean_rules *rules, const struct odk_record_iter *it, bool last,
                               struct clean_scratch *scratch, struct odk_bytes *ret_out)
{
    struct verdict verdict;
    if (judge(rules, *it, &verdict) != ODK_OK)
        return ODK_OK; /* as it is */
    bool stamp = verdict.mark && !(it->batch.attributes & ODK_BATCH_DELETE_HORIZON);
    if (verdict.lost == 0 && verdict.kept > 0 && !stamp)
        return ODK_OK;
    if (verdict.kept > 0)
        return pack_kept(rules, it, &verdict, scratch, ret_out);
    if (last || is_last_of_producer(rules, &it->batch))
        return it->batch.record_count == 0 ? ODK_OK : pack_empty(&it->batch, scratch, ret_out);
    ret_out->len = 0;
    return ODK_OK;
}

enum odk_err clean_batch(const struct clean_rules *rules, struct odk_bytes in, bool last, struct clean_scratch *scratch,
                         struct odk_bytes *ret_out)
{
    struct odk_batch batch;
    struct odk_record_iter it;
    *ret_out = in;
    if (odk_batch_decode(in.data, in.len, &batch) != ODK_OK || !is_judged(&batch) ||
        odk_batch_last_offset(&batch) >= rules->map_end)
        return ODK_OK;
    enum odk_err err = odk_record_iter_init(&it, in, RECORDS_BYTES_MAX(in.len));
    if (err == ODK_OK)
        err = clean_open(rules, &it, last, scratch, ret_out);
    else if (err != ODK_ERR_MEMORY)
        err = ODK_OK; /* it cannot be opened: as it is */
    enum odk_err ignored = odk_record_iter_end(&it);
    (void)ignored;
    return err;
}
