/*
 * Twin of the producers: every batch of the log in one array. A verdict is found by reading it from the end, as the
 * rules say it, without any of the real thing's state.
 *
 * Sequences start close to their wrap, so that it is met often.
 */
#include <string.h>

#include "model.h"
#include "store/producers.h"

#define IDS         12
#define REMEMBERED  5u
#define BATCHES_MAX 6000u
#define OPS         6000u

struct written {
    int64_t id;
    int64_t base_offset;
    int64_t timestamp;
    int32_t first_sequence;
    int32_t count;
    int16_t epoch;
    bool gone; /* the producer expired */
};

static struct written log_of[BATCHES_MAX];
static uint32_t written_count;
static int64_t log_end;
static int64_t now_ms;

static int32_t sequence_after(int32_t first, int32_t count)
{
    int64_t next = (int64_t)first + count;
    return (int32_t)(next > INT32_MAX ? next - INT32_MAX - 1 : next);
}

enum want { WANT_NEW, WANT_DUPLICATE, WANT_SEQUENCE, WANT_EPOCH };

static enum want want_of(const struct odk_batch *batch, const struct written **ret_original)
{
    uint32_t seen = 0;
    const struct written *last = NULL;
    for (uint32_t i = written_count; i > 0 && seen < REMEMBERED; i--) {
        const struct written *w = &log_of[i - 1];
        if (w->id != batch->producer_id || w->gone)
            continue;
        if (!last)
            last = w;
        if (w->epoch != last->epoch)
            break;
        seen++;
        bool same = w->epoch == batch->producer_epoch && w->first_sequence == batch->base_sequence &&
                    w->count == batch->record_count;
        if (same) {
            *ret_original = w;
            return WANT_DUPLICATE;
        }
    }
    if (!last)
        return WANT_NEW;
    if (batch->producer_epoch < last->epoch)
        return WANT_EPOCH;
    int32_t next = batch->producer_epoch > last->epoch ? 0 : sequence_after(last->first_sequence, last->count);
    return batch->base_sequence == next ? WANT_NEW : WANT_SEQUENCE;
}

static const struct written *last_of(int64_t id)
{
    for (uint32_t i = written_count; i > 0; i--)
        if (log_of[i - 1].id == id && !log_of[i - 1].gone)
            return &log_of[i - 1];
    return NULL;
}

static struct odk_batch retry_of(struct prng *prng)
{
    const struct written *w = &log_of[written_count - 1 - prng_below(prng, MIN(written_count, 60))];
    int16_t bump = prng_chance(prng, 100000) ? 1 : 0; /* what was sent before, as a new incarnation's own */
    return (struct odk_batch){ .producer_id = w->id,
                               .producer_epoch = (int16_t)(w->epoch + bump),
                               .base_sequence = w->first_sequence,
                               .record_count = w->count };
}

static struct odk_batch random_batch(struct prng *prng)
{
    if (written_count > 0 && prng_chance(prng, 300000))
        return retry_of(prng);
    int64_t id = (int64_t)prng_below(prng, IDS);
    const struct written *last = last_of(id);
    struct odk_batch batch = { .producer_id = id, .record_count = (int32_t)prng_between(prng, 1, 9) };
    batch.base_sequence = last                        ? sequence_after(last->first_sequence, last->count)
                          : prng_chance(prng, 500000) ? 0
                                                      : INT32_MAX - 30;
    batch.producer_epoch = last ? last->epoch : 0;
    if (prng_chance(prng, 50000))
        batch.producer_epoch = (int16_t)(batch.producer_epoch + (int16_t)prng_below(prng, 3) - 1);
    if (prng_chance(prng, 50000))
        batch.base_sequence = prng_chance(prng, 500000) ? 0 : (int32_t)(batch.base_sequence ^ 1);
    return batch;
}

static void write_batch(struct producers *producers, const struct odk_batch *batch)
{
    if (written_count == BATCHES_MAX)
        return;
    producers_apply(producers, batch, log_end);
    log_of[written_count++] = (struct written){
        .id = batch->producer_id,
        .base_offset = log_end,
        .timestamp = batch->max_timestamp,
        .first_sequence = batch->base_sequence,
        .count = batch->record_count,
        .epoch = batch->producer_epoch,
    };
    log_end += batch->record_count;
}

static void try_batch(struct producers *producers, struct prng *prng)
{
    struct odk_batch batch = random_batch(prng);
    batch.last_offset_delta = batch.record_count - 1;
    batch.max_timestamp = now_ms;
    const struct written *original = NULL;
    enum want want = want_of(&batch, &original);
    struct producers_verdict verdict = { 0 };
    enum odk_err err = producers_check(producers, &batch, &verdict);
    switch (want) {
    case WANT_NEW:
        ASSERT(err == ODK_OK && !verdict.duplicate);
        write_batch(producers, &batch);
        break;
    case WANT_DUPLICATE:
        ASSERT(err == ODK_OK && verdict.duplicate);
        ASSERT(verdict.base_offset == original->base_offset);
        ASSERT(verdict.timestamp == original->timestamp);
        break;
    case WANT_SEQUENCE: ASSERT(err == ODK_ERR_SEQUENCE); break;
    case WANT_EPOCH: ASSERT(err == ODK_ERR_PRODUCER_EPOCH); break;
    }
}

static void expire(struct producers *producers, struct prng *prng)
{
    int64_t expire_ms = (int64_t)prng_between(prng, 50, 400);
    producers_expire(producers, now_ms, expire_ms);
    for (int64_t id = 0; id < IDS; id++) {
        const struct written *last = last_of(id);
        bool expires = last && now_ms - last->timestamp >= expire_ms;
        ASSERT((producers_find(producers, id) != NULL) == (last && !expires));
        for (uint32_t i = 0; expires && i < written_count; i++)
            log_of[i].gone |= log_of[i].id == id;
    }
}

/* A snapshot keeps everything. */
static void restart(struct producers *producers)
{
    uint8_t *data;
    size_t len;
    producers_save(producers, &data, &len);
    struct producers loaded = { 0 };
    ASSERT(producers_load(&loaded, (struct odk_bytes){ data, len }) == ODK_OK);
    free(data);
    producers_deinit(producers);
    *producers = loaded;
}

static void run(struct prng *prng)
{
    struct producers producers = { 0 };
    written_count = 0;
    log_end = 0;
    now_ms = 1000;
    for (uint32_t i = 0; i < OPS; i++) {
        now_ms += (int64_t)prng_below(prng, 4);
        uint64_t op = prng_below(prng, 1000);
        if (op < 990)
            try_batch(&producers, prng);
        else if (op < 995)
            expire(&producers, prng);
        else
            restart(&producers);
    }
    producers_deinit(&producers);
}

int main(int argc, char **argv)
{
    return model_main(argc, argv, run);
}
