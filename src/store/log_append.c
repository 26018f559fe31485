/*
 * The way of a batch in: judged, numbered, copied into the tail and the journal's next block; then, when that block is
 * durable, shown and answered.
 *
 * Appends that find no room (journal or tail) wait in one queue per store, so the order of calls is kept.
 *
 * Where a direct path would stand: append_stage() is the only place that decides where the bytes of one batch go. A
 * large run could be written straight to the segment there, and only noted in the journal.
 */
#include "store/log.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/store.h"

static void append_end(struct odk_append *append, enum odk_err err)
{
    struct odk_log *log = append->log;
    if (err == ODK_OK)
        append->log_start_offset = log->body->start_offset;
    append->done(append, err);
    log_unhold(log);
}

/* -- rolling ------------------------------------------------------------------------------------------------------- */

/* The same each time it is asked for: nothing need be remembered. Partitions of a topic have the same id, not the same
 * name. */
static int64_t segment_jitter(const struct odk_log *log, const struct segment *segment)
{
    int64_t most = MIN(log->config.segment_jitter_ms, log->config.segment_ms);
    if (most <= 0)
        return 0;
    return (int64_t)(XXH3_64bits_withSeed(log->name, log->name_len, (uint64_t)segment->base) % (uint64_t)most);
}

static bool roll_is_due(const struct odk_log *log, const struct segment *active, const struct odk_append *append)
{
    const struct odk_log_config *config = &log->config;
    const struct odk_batch *batch = &append->header;
    uint64_t used = active->tail.end;
    if (used == 0)
        return false;
    if (used + append->len > (uint64_t)config->segment_bytes)
        return true;
    if (batch->max_timestamp >= 0 && active->first_timestamp >= 0 &&
        batch->max_timestamp - active->first_timestamp > config->segment_ms - segment_jitter(log, active))
        return true;
    uint64_t index_bytes = MAX((uint64_t)active->offsets.count * 8, (uint64_t)active->times.count * 12);
    if (index_bytes + 12 > (uint64_t)config->segment_index_bytes)
        return true;
    return log->body->next_offset + batch->last_offset_delta - active->base > INT32_MAX;
}

void log_snapshot_take(struct log_body *body)
{
    free(body->snapshot.data);
    producers_save(&body->producers, &body->snapshot.data, &body->snapshot.len);
    body->snapshot.offset = body->next_offset;
    body->producers_changed = false;
}

void log_roll(struct odk_log *log)
{
    struct log_body *body = log->body;
    segment_seal(log_active(body));
    log_snapshot_take(body);
    struct segment *segment = log_segment_add(body, body->next_offset, 0);
    segment->in_memory = true;
    segment->last_offset = body->next_offset - 1;
}

/* -- staging ------------------------------------------------------------------------------------------------------- */

/* Brings the partial last block of the file back into the tail, which continues it. */
static enum odk_err tail_resume(struct odk_log *log, struct segment *active)
{
    uint64_t from = align_down(active->tail.end, TAIL_BLOCK_BYTES);
    enum odk_err err = log_map_data(log, active, active->tail.end);
    if (err != ODK_OK)
        return err;
    tail_load(&active->tail, active->data->map.data + from, active->tail.end - from);
    return active->data->map.broken ? ODK_ERR_IO : ODK_OK;
}

/* Room in the tail. ODK_ERR_PENDING: not now. */
static enum odk_err tail_prepare(struct odk_log *log, struct segment *active, uint64_t len)
{
    bool resume = tail_wants_load(&active->tail);
    if (!tail_reserve(&active->tail, &log->store->pool, len))
        return ODK_ERR_PENDING;
    enum odk_err err = resume ? tail_resume(log, active) : ODK_OK;
    if (err != ODK_OK) {
        log_go_offline(log);
        return ODK_ERR_OFFLINE;
    }
    return ODK_OK;
}

static void staged_push(struct odk_store *store, struct odk_append *append)
{
    append->next = NULL;
    *store->staged_last = append;
    store->staged_last = &append->next;
}

static void append_stamp(struct odk_log *log, struct odk_append *append)
{
    struct log_body *body = log->body;
    struct odk_batch *batch = &append->header;
    int32_t epoch = MAX(log->store->boot->state.leader_epoch, epochs_latest(&body->epochs));
    if (log->config.log_append_time) {
        append->append_time_ms = MAX(log->store->io->ops->wall_ms(log->store->io), body->last_append_time_ms);
        body->last_append_time_ms = append->append_time_ms;
        odk_batch_stamp(append->batch, append->len, append->append_time_ms);
        batch->max_timestamp = append->append_time_ms;
        batch->attributes |= ODK_BATCH_LOG_APPEND_TIME;
    }
    batch->base_offset = body->next_offset;
    batch->leader_epoch = epoch;
    odk_batch_patch(append->batch, batch->base_offset, epoch);
    append->base_offset = batch->base_offset;
    if (epoch > epochs_latest(&body->epochs))
        body->epochs_changed |= epochs_assign(&body->epochs, epoch, batch->base_offset);
}

/* There is room: the batch gets its offset and goes into the tail and the journal. */
static void append_stage(struct odk_log *log, struct segment *active, struct odk_append *append)
{
    struct odk_store *store = log->store;
    struct log_body *body = log->body;
    append_stamp(log, append);
    uint64_t pos = active->tail.end;
    struct journal_entry entry = {
        .type = JOURNAL_DATA,
        .position = (uint32_t)pos,
        .segment_base = active->base,
        .offset = append->base_offset,
        .bytes = { .data = append->batch, .len = append->len },
    };
    struct journal_name name = log_journal_name(log);
    tail_append(&active->tail, append->batch, append->len);
    append->seq = journal_add(&store->journal, &name, &entry);
    append->end_pos = active->begin + active->tail.end;
    segment_index(active, &append->header, (uint32_t)pos, (uint32_t)log->config.index_interval_bytes);
    if (append->header.producer_id >= 0) {
        producers_apply(&body->producers, &append->header, append->base_offset);
        body->producers_changed = true;
    }
    body->next_offset = odk_batch_next_offset(&append->header);
    log_marks_add(body, active->begin + pos, append->seq);
    if (!timer_armed(&log->dirty))
        log_dirty_update(log);
    store->staged_seq = append->seq;
    staged_push(store, append);
}

/* Why not now, if so. */
static enum odk_err append_state(struct odk_log *log, const struct odk_append *append)
{
    enum odk_err err = odk_log_state(log);
    bool fits = append->urgent && !journal_full(&log->store->journal);
    return err == ODK_ERR_FULL && fits ? ODK_OK : err;
}

static enum odk_err append_judge(struct odk_log *log, struct odk_append *append, struct producers_verdict *ret)
{
    if (log->deleted || log->store->closing)
        return ODK_ERR_CLOSED;
    if (log->store->err != ODK_OK)
        return ODK_ERR_OFFLINE;
    if (!log_use(log) || log->err != ODK_OK)
        return log->err;
    enum odk_err err = odk_batch_decode(append->batch, append->len, &append->header);
    if (err != ODK_OK)
        return err;
    err = producers_check(&log->body->producers, &append->header, ret);
    if (err != ODK_OK || ret->duplicate)
        return err;
    if (append->len > (uint64_t)log->config.segment_bytes || append->len > INT32_MAX)
        return ODK_ERR_TOO_LARGE;
    return append_state(log, append);
}

/* A retry is answered as its original was, once that is durable. */
static void append_duplicate(struct odk_log *log, struct odk_append *append, const struct producers_verdict *verdict)
{
    append->duplicate = true;
    append->base_offset = verdict->base_offset;
    append->append_time_ms = log->config.log_append_time ? verdict->timestamp : -1;
    if (verdict->base_offset < log->body->end_offset) {
        append_end(append, ODK_OK);
        return;
    }
    append->seq = log->store->staged_seq;
    staged_push(log->store, append);
}

/* False: no room now, nothing was changed. */
static bool append_try(struct odk_append *append)
{
    struct odk_log *log = append->log;
    struct odk_store *store = log->store;
    struct producers_verdict verdict = { 0 };
    enum odk_err err = append_judge(log, append, &verdict);
    if (err == ODK_ERR_FULL)
        producers_refused(&log->body->producers, &append->header);
    if (err != ODK_OK) {
        append_end(append, err);
        return true;
    }
    if (verdict.duplicate) {
        append_duplicate(log, append, &verdict);
        return true;
    }
    if (!journal_room(&store->journal, log->name_len, append->len))
        return false;
    if (roll_is_due(log, log_active(log->body), append))
        log_roll(log);
    struct segment *active = log_active(log->body);
    err = tail_prepare(log, active, append->len);
    if (err == ODK_ERR_PENDING)
        return false;
    if (err != ODK_OK)
        append_end(append, err);
    else
        append_stage(log, active, append);
    return true;
}

void odk_log_append(struct odk_log *log, struct odk_append *append)
{
    struct odk_store *store = log->store;
    append->log = log;
    append->next = NULL;
    append->base_offset = -1;
    append->append_time_ms = -1;
    append->log_start_offset = -1;
    append->duplicate = false;
    log_hold(log);
    if (!store->queue_first && append_try(append))
        return;
    *store->queue_last = append;
    store->queue_last = &append->next;
}

static struct odk_append *queue_pop(struct odk_store *store)
{
    struct odk_append *append = store->queue_first;
    store->queue_first = append->next;
    if (!store->queue_first)
        store->queue_last = &store->queue_first;
    append->next = NULL;
    return append;
}

static void queue_unpop(struct odk_store *store, struct odk_append *append)
{
    append->next = store->queue_first;
    store->queue_first = append;
    if (!append->next)
        store->queue_last = &append->next;
}

void log_append_drain(struct odk_store *store)
{
    if (store->draining)
        return;
    store->draining = true;
    while (store->queue_first) {
        struct odk_append *append = queue_pop(store);
        if (!append_try(append)) {
            queue_unpop(store, append);
            break;
        }
    }
    store->draining = false;
}

/* -- durable ------------------------------------------------------------------------------------------------------- */

/* Everything up to a log position is durable. */
static void body_set_durable(struct log_body *body, uint64_t position)
{
    body->durable_end = MAX(body->durable_end, position);
    for (uint32_t i = body->count; i-- > 0;) {
        struct segment *segment = body->segments[i];
        if (position <= segment->begin)
            continue;
        uint64_t size = MIN(segment->tail.end, position - segment->begin);
        if (size == segment->size && i + 1 < body->count)
            break;
        segment->size = MAX(segment->size, size);
    }
}

static void append_commit(struct odk_store *store, struct odk_append *append)
{
    struct odk_log *log = append->log;
    struct log_body *body = log->body;
    if (append->duplicate)
        return;
    body->end_offset = odk_batch_next_offset(&append->header);
    body_set_durable(body, append->end_pos);
    store->appended_bytes += append->len;
    if (!list_linked(&log->touched)) {
        log_hold(log);
        list_push_back(&store->touched, &log->touched);
    }
}

static void log_on_moved(struct odk_log *log, uint64_t now_ns)
{
    struct odk_store *store = log->store;
    struct log_body *body = log->body;
    body->last_append_ns = now_ns;
    if (log_active(body)->begin + log_active(body)->tail.filed + store->spill_bytes <= body->durable_end ||
        (body->count > 1 && segment_unfiled(body->segments[body->count - 2]) > 0))
        spill_request(log, false);
    if (!timer_armed(&log->quiet))
        timer_arm(&store->quiet, &log->quiet, deadline_after_ms(now_ns, store->quiet_ms));
    if (log->moved)
        log->moved(log->moved_context);
}

/* Runs callbacks: order of appends first, then each log's observer once. */
static void committed_report(struct odk_store *store, struct odk_append *first)
{
    while (first) {
        struct odk_append *next = first->next;
        append_end(first, ODK_OK);
        first = next;
    }
    uint64_t now_ns = store->io->ops->mono_ns(store->io);
    for (struct list *node = list_pop_front(&store->touched); node; node = list_pop_front(&store->touched)) {
        struct odk_log *log = list_entry(node, struct odk_log, touched);
        if (!log->deleted)
            log_on_moved(log, now_ns);
        log_unhold(log);
    }
}

/* Takes the appends up to seq out of the staged ones. */
static struct odk_append *staged_cut(struct odk_store *store, uint64_t seq)
{
    struct odk_append *first = store->staged_first;
    struct odk_append **behind = &first;
    while (*behind && (*behind)->seq <= seq)
        behind = &(*behind)->next;
    store->staged_first = *behind;
    if (!store->staged_first)
        store->staged_last = &store->staged_first;
    *behind = NULL;
    return first;
}

void log_append_committed(struct odk_store *store, uint64_t seq)
{
    struct odk_append *first = staged_cut(store, seq);
    for (struct odk_append *append = first; append; append = append->next)
        append_commit(store, append);
    committed_report(store, first);
    log_append_drain(store);
}

void log_append_abort(struct odk_store *store, enum odk_err err)
{
    while (store->staged_first) {
        struct odk_append *append = store->staged_first;
        store->staged_first = append->next;
        if (!store->staged_first)
            store->staged_last = &store->staged_first;
        append_end(append, err);
    }
    while (store->queue_first)
        append_end(queue_pop(store), err);
}
