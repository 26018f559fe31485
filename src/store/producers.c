#include "store/producers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "store/producers_table.h"

/* -- table -------------------------------------------------------------------------------------------------------- */

/* Index of the first producer whose id is at or above the given one. */
static uint32_t lower_bound(const struct producers_table *table, int64_t id)
{
    uint32_t lo = 0;
    uint32_t hi = table->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (table->sorted[mid]->id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct producer *find(const struct producers *producers, int64_t id)
{
    const struct producers_table *table = producers->table;
    if (!table)
        return NULL;
    uint32_t idx = lower_bound(table, id);
    if (idx == table->count || table->sorted[idx]->id != id)
        return NULL;
    return table->sorted[idx];
}

static void table_free(struct producers_table *table)
{
    free(table->sorted);
    free(table);
}

static void forget(struct producers *producers, struct producer *producer)
{
    struct producers_table *table = producers->table;
    uint32_t idx = lower_bound(table, producer->id);
    ASSERT(table->sorted[idx] == producer); /* I2 */
    table->count--;
    memmove(&table->sorted[idx], &table->sorted[idx + 1], (table->count - idx) * sizeof(*table->sorted));
    list_remove(&producer->use);
    free(producer);
    if (table->count > 0)
        return;
    table_free(table);
    producers->table = NULL;
}

/* The longest silent producer without an open transaction; NULL when all have one. */
static struct producer *spare(const struct producers_table *table)
{
    list_each(node, &table->by_use)
    {
        struct producer *producer = list_entry(node, struct producer, use);
        if (producer->txn_first_offset < 0)
            return producer;
    }
    return NULL;
}

static void make_room(struct producers *producers)
{
    struct producers_table *table = producers->table;
    if (!table || table->count < PRODUCERS_MAX)
        return;
    struct producer *victim = spare(table);
    /* Only a log written under another bound can have so many transactions open at once; the oldest one goes. */
    if (!victim)
        victim = list_entry(table->by_use.next, struct producer, use);
    forget(producers, victim);
}

static void table_reserve(struct producers *producers)
{
    if (!producers->table) {
        producers->table = xcalloc(1, sizeof(*producers->table));
        list_init(&producers->table->by_use);
    }
    struct producers_table *table = producers->table;
    if (table->count < table->capacity)
        return;
    table->capacity = MAX(table->capacity * 2, 1u);
    table->sorted = xrealloc(table->sorted, table->capacity * sizeof(struct producer *));
}

static struct producer *add(struct producers *producers, int64_t id)
{
    make_room(producers);
    table_reserve(producers);
    struct producers_table *table = producers->table;
    struct producer *producer = xcalloc(1, sizeof(*producer));
    producer->id = id;
    producer->epoch = -1;
    producer->coordinator_epoch = -1;
    producer->last_timestamp = -1;
    producer->txn_first_offset = -1;
    uint32_t idx = lower_bound(table, id);
    memmove(&table->sorted[idx + 1], &table->sorted[idx], (table->count - idx) * sizeof(*table->sorted));
    table->sorted[idx] = producer;
    table->count++;
    list_push_back(&table->by_use, &producer->use);
    ASSERT(table->count <= PRODUCERS_MAX); /* I3 */
    return producer;
}

/* The producer of that id, now the one used last. */
static struct producer *use(struct producers *producers, int64_t id)
{
    struct producer *producer = find(producers, id);
    if (!producer)
        return add(producers, id);
    list_remove(&producer->use);
    list_push_back(&producers->table->by_use, &producer->use);
    return producer;
}

void producers_put(struct producers *producers, const struct producer *content)
{
    struct producer *producer = add(producers, content->id);
    struct list use = producer->use;
    *producer = *content;
    producer->use = use;
}

void producers_deinit(struct producers *producers)
{
    struct producers_table *table = producers->table;
    if (!table)
        return;
    for (uint32_t i = 0; i < table->count; i++)
        free(table->sorted[i]);
    table_free(table);
    producers->table = NULL;
}

uint32_t producers_count(const struct producers *producers)
{
    return producers->table ? producers->table->count : 0;
}

const struct producer *producers_at(const struct producers *producers, uint32_t idx)
{
    ASSERT(idx < producers_count(producers));
    return producers->table->sorted[idx];
}

const struct producer *producers_find(const struct producers *producers, int64_t id)
{
    return find(producers, id);
}

/* -- sequences ---------------------------------------------------------------------------------------------------- */

/* Sequences live in [0, 2^31-1] and wrap. */
static int32_t sequence_add(int32_t sequence, int32_t delta)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)delta) & INT32_MAX);
}

static int32_t sequence_sub(int32_t sequence, int32_t delta)
{
    return (int32_t)(((uint32_t)sequence - (uint32_t)delta) & INT32_MAX);
}

static int32_t last_sequence_of(const struct odk_batch *batch)
{
    return batch->base_sequence < 0 ? -1 : sequence_add(batch->base_sequence, batch->last_offset_delta);
}

static const struct producer_batch *last_batch(const struct producer *producer)
{
    return producer->batch_count > 0 ? &producer->batches[producer->batch_count - 1] : NULL;
}

int32_t producer_last_sequence(const struct producer *producer)
{
    const struct producer_batch *last = last_batch(producer);
    return last ? last->last_sequence : -1;
}

static const struct producer_batch *find_duplicate(const struct producer *producer, const struct odk_batch *batch)
{
    int32_t last_sequence = last_sequence_of(batch);
    for (uint32_t i = 0; i < producer->batch_count; i++) {
        const struct producer_batch *known = &producer->batches[i];
        if (known->last_sequence != last_sequence)
            continue;
        if (sequence_sub(known->last_sequence, known->offset_delta) == batch->base_sequence)
            return known;
    }
    return NULL;
}

/* The sequence that the producer's next batch must begin with. */
static int32_t next_sequence(const struct producer *producer, int16_t epoch)
{
    int32_t last = producer_last_sequence(producer);
    if (epoch != producer->epoch || last < 0)
        return 0;
    return sequence_add(last, 1);
}

static enum odk_err check_sequence(const struct producer *producer, const struct odk_batch *batch,
                                   struct producers_verdict *verdict)
{
    const struct producer_batch *known =
        batch->producer_epoch == producer->epoch ? find_duplicate(producer, batch) : NULL;
    if (known) {
        verdict->duplicate = true;
        verdict->base_offset = known->last_offset - known->offset_delta;
        verdict->timestamp = known->timestamp;
        return ODK_OK;
    }
    if (batch->base_sequence != next_sequence(producer, batch->producer_epoch))
        return ODK_ERR_SEQUENCE;
    return ODK_OK;
}

static enum odk_err check_known(const struct producer *producer, const struct odk_batch *batch,
                                struct producers_verdict *verdict)
{
    if (batch->producer_epoch < producer->epoch)
        return ODK_ERR_PRODUCER_EPOCH;
    if (batch->attributes & ODK_BATCH_CONTROL)
        return ODK_OK;
    enum odk_err err = batch->base_sequence < 0 ? ODK_OK : check_sequence(producer, batch, verdict);
    if (err != ODK_OK || verdict->duplicate)
        return err;
    bool transactional = batch->attributes & ODK_BATCH_TRANSACTIONAL;
    return producer->txn_first_offset >= 0 && !transactional ? ODK_ERR_INVALID : ODK_OK;
}

static bool has_room(const struct producers *producers)
{
    return producers_count(producers) < PRODUCERS_MAX || spare(producers->table);
}

enum odk_err producers_check(const struct producers *producers, const struct odk_batch *batch,
                             struct producers_verdict *ret)
{
    struct producers_verdict verdict = { .duplicate = false, .base_offset = -1, .timestamp = -1 };
    enum odk_err err = ODK_OK;
    if (batch->producer_id >= 0) {
        const struct producer *producer = find(producers, batch->producer_id);
        if (producer)
            err = check_known(producer, batch, &verdict);
        else if (!has_room(producers))
            err = ODK_ERR_LIMIT;
    }
    if (err == ODK_OK)
        *ret = verdict;
    return err;
}

/* -- taking in ---------------------------------------------------------------------------------------------------- */

static void enter_epoch(struct producer *producer, int16_t epoch)
{
    if (producer->epoch == epoch)
        return;
    producer->epoch = epoch;
    producer->batch_count = 0; /* I1 */
}

static void push_batch(struct producer *producer, struct producer_batch batch)
{
    if (producer->batch_count == PRODUCER_BATCHES) {
        producer->batch_count--;
        memmove(&producer->batches[0], &producer->batches[1], producer->batch_count * sizeof(producer->batches[0]));
    }
    producer->batches[producer->batch_count++] = batch;
}

void producers_refused(struct producers *producers, const struct odk_batch *batch)
{
    bool first = batch->producer_id >= 0 && batch->base_sequence == 0 && !find(producers, batch->producer_id);
    if (!first || producers_count(producers) >= PRODUCERS_MAX) /* others are not forgotten for it */
        return;
    struct producer *producer = use(producers, batch->producer_id);
    enter_epoch(producer, batch->producer_epoch);
    producer->last_timestamp = batch->max_timestamp;
}

void producers_apply(struct producers *producers, const struct odk_batch *batch, int64_t base_offset)
{
    ASSERT(!(batch->attributes & ODK_BATCH_CONTROL));
    if (batch->producer_id < 0)
        return;
    struct producer *producer = use(producers, batch->producer_id);
    enter_epoch(producer, batch->producer_epoch);
    push_batch(producer, (struct producer_batch){
                             .last_sequence = last_sequence_of(batch),
                             .offset_delta = batch->last_offset_delta,
                             .last_offset = base_offset + batch->last_offset_delta,
                             .timestamp = batch->max_timestamp,
                         });
    producer->last_timestamp = batch->max_timestamp;
    if (batch->attributes & ODK_BATCH_TRANSACTIONAL && producer->txn_first_offset < 0)
        producer->txn_first_offset = base_offset;
}

int64_t producers_apply_marker(struct producers *producers, const struct odk_batch *batch, int32_t coordinator_epoch)
{
    ASSERT(batch->attributes & ODK_BATCH_CONTROL);
    ASSERT(batch->producer_id >= 0);
    struct producer *producer = use(producers, batch->producer_id);
    int64_t txn_first_offset = producer->txn_first_offset;
    enter_epoch(producer, batch->producer_epoch);
    producer->coordinator_epoch = coordinator_epoch;
    producer->last_timestamp = batch->max_timestamp;
    producer->txn_first_offset = -1;
    return txn_first_offset;
}

#define MARKER_ABORT  0
#define MARKER_COMMIT 1

/* Other control records (a cluster's own) end no transaction. */
static enum odk_err replay_marker(struct producers *producers, const struct odk_batch *batch,
                                  const struct odk_record *record)
{
    struct rd key = rd_init(record->key.data, record->key.len);
    (void)rd_i16(&key); /* version: the type stands at the same place in all */
    int16_t type = rd_i16(&key);
    if (key.bad)
        return ODK_ERR_CORRUPT;
    if (type != MARKER_ABORT && type != MARKER_COMMIT)
        return ODK_OK;
    struct rd value = rd_init(record->value.data, record->value.len);
    (void)rd_i16(&value);
    int32_t coordinator_epoch = rd_i32(&value);
    if (value.bad)
        return ODK_ERR_CORRUPT;
    (void)producers_apply_marker(producers, batch, coordinator_epoch);
    return ODK_OK;
}

/* Control batches hold one small record, or none after compaction. */
#define MARKER_BYTES_MAX 1024u

static enum odk_err replay_control(struct producers *producers, struct odk_bytes data)
{
    struct odk_record_iter it;
    struct odk_record record;
    if (odk_record_iter_init(&it, data, MARKER_BYTES_MAX) != ODK_OK)
        return ODK_ERR_CORRUPT;
    enum odk_err err = ODK_OK;
    if (odk_record_next(&it, &record))
        err = replay_marker(producers, &it.batch, &record);
    enum odk_err end_err = odk_record_iter_end(&it);
    return err == ODK_OK && end_err != ODK_OK ? ODK_ERR_CORRUPT : err;
}

enum odk_err producers_replay(struct producers *producers, struct odk_bytes data)
{
    struct odk_batch batch;
    if (odk_batch_decode(data.data, data.len, &batch) != ODK_OK)
        return ODK_ERR_CORRUPT;
    if (batch.producer_id < 0)
        return ODK_OK;
    if (batch.base_offset < 0 || batch.last_offset_delta < 0 || batch.base_offset > INT64_MAX - INT32_MAX)
        return ODK_ERR_CORRUPT;
    if (batch.attributes & ODK_BATCH_CONTROL)
        return replay_control(producers, data);
    producers_apply(producers, &batch, batch.base_offset);
    return ODK_OK;
}

/* -- expiry ------------------------------------------------------------------------------------------------------- */

/* False when the difference does not fit: a timestamp from far ahead. */
static bool silent_for(const struct producer *producer, int64_t now_ms, int64_t ms)
{
    int64_t silence_ms;
    if (__builtin_sub_overflow(now_ms, producer->last_timestamp, &silence_ms))
        return now_ms > producer->last_timestamp;
    return silence_ms >= ms;
}

void producers_expire(struct producers *producers, int64_t now_ms, int64_t expire_ms)
{
    for (uint32_t i = producers_count(producers); i > 0; i--) {
        struct producer *producer = producers->table->sorted[i - 1];
        if (producer->txn_first_offset < 0 && silent_for(producer, now_ms, expire_ms))
            forget(producers, producer);
    }
}
