#include "store_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATCHED_BYTES = 16 }; /* base offset, length, leader epoch: the broker's, outside the CRC but for the length */

void verdict_fail(struct verdict *verdict, const char *format, ...)
{
    if (verdict->failed)
        return;
    verdict->failed = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(verdict->text, sizeof(verdict->text), format, args);
    va_end(args);
}

void model_deinit(struct model_log *log)
{
    for (uint32_t i = 0; i < log->count; i++)
        free(log->batches[i].bytes);
    free(log->batches);
    *log = (struct model_log){ 0 };
}

static int64_t batch_id(const uint8_t *bytes, size_t len)
{
    struct odk_batch header;
    enum odk_err err = odk_batch_decode(bytes, len, &header);
    ASSERT(err == ODK_OK);
    return header.base_timestamp;
}

void model_append(struct model_log *log, const uint8_t *bytes, size_t len)
{
    if (log->count == log->cap) {
        log->cap = MAX(64u, log->cap * 2);
        log->batches = xrealloc(log->batches, log->cap * sizeof(struct model_batch));
    }
    uint8_t *copy = xcalloc(1, len);
    memcpy(copy, bytes, len);
    log->batches[log->count++] = (struct model_batch){ .id = batch_id(bytes, len), .bytes = copy, .len = len };
}

static struct model_batch *find(const struct model_log *log, int64_t id)
{
    uint32_t low = 0;
    uint32_t high = log->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->batches[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < log->count && log->batches[low].id == id ? &log->batches[low] : NULL;
}

/* Neighbours that are known must lie on the right side. */
static void check_order(const struct model_log *log, struct verdict *verdict, const struct model_batch *batch)
{
    uint32_t idx = (uint32_t)(batch - log->batches);
    for (uint32_t i = idx; i-- > 0;) {
        if (!log->batches[i].known)
            continue;
        if (log->batches[i].next_offset > batch->base_offset)
            verdict_fail(verdict, "batch %" PRId64 " at %" PRId64 " before its predecessor's end %" PRId64, batch->id,
                         batch->base_offset, log->batches[i].next_offset);
        break;
    }
    for (uint32_t i = idx + 1; i < log->count; i++) {
        if (!log->batches[i].known)
            continue;
        if (log->batches[i].base_offset < batch->next_offset)
            verdict_fail(verdict, "batch %" PRId64 " at %" PRId64 " behind its successor", batch->id,
                         batch->base_offset);
        break;
    }
}

/* The records of a batch: each is the last known of its key, unless a later one is. */
static void note_keys(int64_t lasts[MODEL_KEYS], const uint8_t *bytes, size_t len)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_record_iter_init(&it, (struct odk_bytes){ .data = bytes, .len = len }, len);
    while (err == ODK_OK && odk_record_next(&it, &record)) {
        if (record.key.len == 1 && record.key.data[0] >= '0' && record.key.data[0] < '0' + MODEL_KEYS)
            lasts[record.key.data[0] - '0'] = MAX(lasts[record.key.data[0] - '0'], record.offset + 1);
    }
    err = odk_record_iter_end(&it);
    ASSERT(err == ODK_OK);
}

static bool same(struct odk_bytes a, struct odk_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Every record of the compacted batch was one of the original's. */
static void learn_compacted(struct model_log *log, struct verdict *verdict, struct model_batch *batch,
                            const uint8_t *bytes, size_t len)
{
    struct odk_record_iter it, original;
    struct odk_record record, old = { .offset = -1 };
    if (odk_batch_check_crc((struct odk_bytes){ .data = bytes, .len = len }) != ODK_OK)
        verdict_fail(verdict, "batch %" PRId64 " is damaged", batch->id);
    enum odk_err err = odk_record_iter_init(&it, (struct odk_bytes){ .data = bytes, .len = len }, len);
    enum odk_err old_err =
        odk_record_iter_init(&original, (struct odk_bytes){ .data = batch->bytes, .len = batch->len }, batch->len);
    int64_t move = it.batch.base_offset - original.batch.base_offset;
    while (err == ODK_OK && old_err == ODK_OK && odk_record_next(&it, &record)) {
        while (odk_record_next(&original, &old) && old.offset + move < record.offset)
            continue;
        if (old.offset + move != record.offset || !same(old.key, record.key) || !same(old.value, record.value) ||
            old.timestamp != record.timestamp)
            verdict_fail(verdict, "record %" PRId64 " of batch %" PRId64 " is not what was appended", record.offset,
                         batch->id);
    }
    if (batch->known && (it.batch.base_offset != batch->base_offset || odk_batch_next_offset(&it.batch) != batch->next_offset))
        verdict_fail(verdict, "batch %" PRId64 " has moved", batch->id);
    if (!batch->known) {
        batch->known = true;
        batch->base_offset = it.batch.base_offset;
        batch->next_offset = odk_batch_next_offset(&it.batch);
        check_order(log, verdict, batch);
    }
    err = odk_record_iter_end(&it);
    old_err = odk_record_iter_end(&original);
    if (err != ODK_OK || old_err != ODK_OK)
        verdict_fail(verdict, "batch %" PRId64 " cannot be opened", batch->id);
    note_keys(log->key_last, bytes, len);
}

/* bytes are what the store says the batch is now. */
static void learn(struct model_log *log, struct verdict *verdict, struct model_batch *batch, const uint8_t *bytes,
                  size_t len)
{
    struct odk_batch header;
    if (odk_batch_decode(bytes, len, &header) == ODK_OK && odk_batch_last_offset(&header) < log->clean_max) {
        learn_compacted(log, verdict, batch, bytes, len);
        return;
    }
    if (odk_batch_decode(bytes, len, &header) != ODK_OK || len != batch->len) {
        verdict_fail(verdict, "batch %" PRId64 " has another length", batch->id);
        return;
    }
    size_t skip = batch->known ? 0 : PATCHED_BYTES;
    if (memcmp(bytes + skip, batch->bytes + skip, len - skip) != 0) {
        verdict_fail(verdict, "batch %" PRId64 " (offset %" PRId64 ") differs from what was %s", batch->id,
                     header.base_offset, batch->acked ? "acknowledged" : batch->known ? "shown before" : "appended");
        return;
    }
    if (batch->known)
        return;
    memcpy(batch->bytes, bytes, len);
    batch->known = true;
    batch->base_offset = header.base_offset;
    batch->next_offset = odk_batch_next_offset(&header);
    check_order(log, verdict, batch);
    note_keys(log->key_last, bytes, len);
}

void model_look(struct model_log *log)
{
    memset(log->key_seen_last, 0, sizeof(log->key_seen_last));
}

void model_ack(struct model_log *log, struct verdict *verdict, const uint8_t *bytes, size_t len, int64_t base_offset)
{
    struct model_batch *batch = find(log, batch_id(bytes, len));
    ASSERT(batch != NULL);
    learn(log, verdict, batch, bytes, len);
    batch->acked = true;
    log->shown_end = MAX(log->shown_end, batch->next_offset); /* acknowledged is visible */
    if (batch->base_offset != base_offset)
        verdict_fail(verdict, "batch %" PRId64 " acknowledged at %" PRId64 " but patched to %" PRId64, batch->id,
                     base_offset, batch->base_offset);
}

void model_show_end(struct model_log *log, struct verdict *verdict, int64_t end)
{
    if (end < log->shown_end)
        verdict_fail(verdict, "end offset went back from %" PRId64 " to %" PRId64, log->shown_end, end);
    log->shown_end = MAX(log->shown_end, end);
}

int64_t model_read(struct model_log *log, struct verdict *verdict, int64_t offset, const uint8_t *bytes, size_t len)
{
    bool first = true;
    while (len > 0 && !verdict->failed) {
        struct odk_batch header;
        if (odk_batch_decode(bytes, len, &header) != ODK_OK || odk_batch_bytes(&header) > len) {
            verdict_fail(verdict, "read at %" PRId64 ": no whole batch in the last %zu bytes", offset, len);
            return offset;
        }
        bool in_place = first ? header.base_offset <= offset && offset < odk_batch_next_offset(&header)
                              : header.base_offset == offset;
        if (offset < log->clean_max && header.base_offset <= log->clean_max)
            in_place = first ? offset < odk_batch_next_offset(&header) : header.base_offset >= offset;
        if (!in_place) {
            verdict_fail(verdict, "read at %" PRId64 " got a batch at %" PRId64, offset, header.base_offset);
            return offset;
        }
        bool hollow = header.record_count == 0 && odk_batch_last_offset(&header) < log->clean_max;
        struct model_batch *batch = hollow ? NULL : find(log, header.base_timestamp);
        if (batch == NULL && !hollow) {
            verdict_fail(verdict, "read at %" PRId64 ": nobody appended that batch", offset);
            return offset;
        }
        if (batch) {
            learn(log, verdict, batch, bytes, odk_batch_bytes(&header));
            note_keys(log->key_seen_last, bytes, odk_batch_bytes(&header));
        }
        offset = odk_batch_next_offset(&header);
        bytes += odk_batch_bytes(&header);
        len -= odk_batch_bytes(&header);
        first = false;
    }
    log->shown_end = MAX(log->shown_end, offset);
    return offset;
}

static bool kept(const struct model_batch *batch, int64_t start, int64_t end)
{
    return batch->known && batch->next_offset > start && batch->base_offset < end;
}

void model_settle(struct model_log *log, struct verdict *verdict, int64_t start, int64_t end)
{
    if (end < log->shown_end)
        verdict_fail(verdict, "the log ends at %" PRId64 ", but %" PRId64 " was shown", end, log->shown_end);
    if (start < log->start_min || start > log->start_max)
        verdict_fail(verdict, "the log starts at %" PRId64 ", not within [%" PRId64 ", %" PRId64 "]", start,
                     log->start_min, log->start_max);
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        struct model_batch *batch = &log->batches[i];
        if (batch->known && batch->base_offset >= end)
            verdict_fail(verdict, "batch %" PRId64 " at %" PRId64 " was %s, but the log ends at %" PRId64, batch->id,
                         batch->base_offset, batch->acked ? "acknowledged" : "shown", end);
        if (kept(batch, start, end))
            log->batches[count++] = *batch;
        else
            free(batch->bytes);
    }
    log->count = count;
    /* Gapless reads met every offset; so a known batch is missing only if another stood in its place. */
    int64_t at = start;
    for (uint32_t i = 0; i < count; i++) {
        if (log->batches[i].base_offset > at && at >= log->clean_max)
            verdict_fail(verdict, "offsets [%" PRId64 ", %" PRId64 ") were read but belong to nothing known", at,
                         log->batches[i].base_offset);
        at = log->batches[i].next_offset;
    }
    if (at != end && end > start && end > log->clean_max)
        verdict_fail(verdict, "the log ends at %" PRId64 ", its batches at %" PRId64, end, at);
    for (int key = 0; key < MODEL_KEYS; key++) {
        if (log->key_last[key] > start && log->key_seen_last[key] < log->key_last[key])
            verdict_fail(verdict, "key %d: its last record, %" PRId64 ", is not there", key, log->key_last[key] - 1);
    }
    log->start_min = start;
    log->start_max = start;
}
