/* The .snapshot file of producers.h, to and from bytes: entries of one producer stand together, oldest first. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/cursor.h"
#include "store/format.h"
#include "store/producers.h"
#include "store/producers_table.h"

#define POS_CRC      2u
#define POS_ENTRIES  6u /* the CRC covers from here to the end */
#define HEADER_BYTES 10u
#define ENTRY_BYTES  46u

static void write_entry(struct wr *w, const struct producer *producer, const struct producer_batch *batch,
                        int64_t timestamp, bool last)
{
    wr_i64(w, producer->id);
    wr_i16(w, producer->epoch);
    wr_i32(w, batch ? batch->last_sequence : -1);
    wr_i64(w, batch ? batch->last_offset : -1);
    wr_i32(w, batch ? batch->offset_delta : 0);
    wr_i64(w, timestamp);
    wr_i32(w, producer->coordinator_epoch);
    wr_i64(w, last ? producer->txn_first_offset : -1);
}

/* A marker came after the last batch: one more entry tells its time. */
static bool has_later_time(const struct producer *producer)
{
    return producer->batch_count > 0 &&
           producer->batches[producer->batch_count - 1].timestamp != producer->last_timestamp;
}

static uint32_t entries_of(const struct producer *producer)
{
    return has_later_time(producer) ? producer->batch_count + 1u : MAX(producer->batch_count, 1u);
}

static void write_producer(struct wr *w, const struct producer *producer)
{
    uint32_t count = entries_of(producer);
    for (uint32_t i = 0; i + 1 < count; i++)
        write_entry(w, producer, &producer->batches[i], producer->batches[i].timestamp, false);
    const struct producer_batch *last =
        producer->batch_count > 0 ? &producer->batches[producer->batch_count - 1] : NULL;
    write_entry(w, producer, last, producer->last_timestamp, true);
}

void producers_save(const struct producers *producers, uint8_t **ret_data, size_t *ret_len)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < producers_count(producers); i++)
        count += entries_of(producers_at(producers, i));
    size_t len = HEADER_BYTES + (size_t)count * ENTRY_BYTES;
    uint8_t *data = xcalloc(len, 1);
    struct wr entries = wr_init(data + POS_ENTRIES, len - POS_ENTRIES);
    wr_i32(&entries, (int32_t)count);
    if (count > 0)
        list_each(node, &producers->table->by_use) write_producer(&entries, list_entry(node, struct producer, use));
    ASSERT(!entries.bad);
    ASSERT(entries.pos == entries.len);
    struct wr head = wr_init(data, POS_ENTRIES);
    wr_i16(&head, FORMAT_SNAPSHOT_VERSION);
    wr_i32(&head, (int32_t)crc32c(0, entries.start, entries.len));
    *ret_data = data;
    *ret_len = len;
}

/* False when a value cannot have been written by a broker. */
static bool read_entry(struct rd *r, struct producer *ret)
{
    struct producer_batch last;
    ret->id = rd_i64(r);
    ret->epoch = rd_i16(r);
    last.last_sequence = rd_i32(r);
    last.last_offset = rd_i64(r);
    last.offset_delta = rd_i32(r);
    last.timestamp = rd_i64(r);
    ret->coordinator_epoch = rd_i32(r);
    ret->txn_first_offset = rd_i64(r);
    ret->last_timestamp = last.timestamp;
    ret->batch_count = last.last_offset >= 0 ? 1 : 0;
    ret->batches[0] = last;
    if (ret->txn_first_offset < 0)
        ret->txn_first_offset = -1;
    if (r->bad || ret->id < 0 || last.last_sequence < -1)
        return false;
    return last.offset_delta >= 0 && (ret->batch_count == 0 || last.offset_delta <= last.last_offset);
}

static bool is_same_batch(const struct producer_batch *a, const struct producer_batch *b)
{
    return a->last_offset == b->last_offset && a->offset_delta == b->offset_delta &&
           a->last_sequence == b->last_sequence;
}

/* A further entry of the producer put last. False when it cannot follow what is known. */
static bool producers_continue(const struct producers *producers, const struct producer *entry)
{
    struct producer *producer = list_entry(producers->table->by_use.prev, struct producer, use);
    if (producer->id != entry->id || producer->epoch != entry->epoch || producer->batch_count == 0 ||
        entry->batch_count == 0 || has_later_time(producer))
        return false;
    const struct producer_batch *last = &producer->batches[producer->batch_count - 1];
    const struct producer_batch *next = &entry->batches[0];
    bool follows = next->last_offset - next->offset_delta > last->last_offset;
    if (follows && producer->batch_count == PRODUCER_BATCHES)
        return false;
    if (!follows && (!is_same_batch(next, last) || next->timestamp == last->timestamp))
        return false;
    if (follows)
        producer->batches[producer->batch_count++] = *next;
    producer->last_timestamp = entry->last_timestamp;
    producer->coordinator_epoch = entry->coordinator_epoch;
    producer->txn_first_offset = entry->txn_first_offset;
    return true;
}

static enum odk_err load_all(struct producers *producers, struct odk_bytes snapshot)
{
    struct rd r = rd_init(snapshot.data, snapshot.len);
    int16_t version = rd_i16(&r);
    uint32_t crc = rd_u32(&r);
    int32_t count = rd_i32(&r);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if (version != FORMAT_SNAPSHOT_VERSION)
        return ODK_ERR_VERSION;
    if (crc32c(0, snapshot.data + POS_ENTRIES, snapshot.len - POS_ENTRIES) != crc)
        return ODK_ERR_CORRUPT;
    if (count < 0 || (size_t)count != rd_left(&r) / ENTRY_BYTES || rd_left(&r) % ENTRY_BYTES != 0)
        return ODK_ERR_CORRUPT;
    for (int32_t i = 0; i < count; i++) {
        struct producer entry = { 0 };
        if (!read_entry(&r, &entry))
            return ODK_ERR_CORRUPT;
        if (!producers_find(producers, entry.id))
            producers_put(producers, &entry);
        else if (!producers_continue(producers, &entry))
            return ODK_ERR_CORRUPT;
    }
    return ODK_OK;
}

enum odk_err producers_load(struct producers *producers, struct odk_bytes snapshot)
{
    struct producers loaded = { 0 };
    enum odk_err err = load_all(&loaded, snapshot);
    if (err != ODK_OK) {
        producers_deinit(&loaded);
        return err;
    }
    producers_deinit(producers);
    *producers = loaded;
    return ODK_OK;
}
