/*
 * Moving a log's start.
 *
 * The new start holds at once; the journal makes it durable; a checkpoint writes it beside the segments, so that the
 * journal may forget it. Segments wholly below a durable start are removed, oldest first, when nothing is in flight for
 * the log and a snapshot of its producers stands behind them: the state that those batches made must not be lost. A few go
 * in each turn, so that ten thousand stop nobody.
 */
#include "store/log.h"

#include <stdlib.h>

#include "store/format.h"
#include "store/store.h"

#define SEGMENTS_PER_RUN 8u /* of all logs together */

struct trim {
    struct list link; /* in store.trims */
    struct odk_log *log;
    int64_t offset;
    uint64_t seq; /* 0: not in the journal yet */
    bool durable;
    bool told;
    void (*done)(void *context, enum odk_err err);
    void *context;
};

static struct trim *trim_add(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err), void *context)
{
    struct trim *trim = xcalloc(1, sizeof(*trim));
    trim->log = log;
    trim->offset = offset;
    trim->done = done;
    trim->context = context;
    log_hold(log);
    list_push_back(&log->store->trims, &trim->link);
    return trim;
}

void odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err), void *context)
{
    enum odk_err err = log->deleted ? ODK_ERR_CLOSED : ODK_OK;
    if (err == ODK_OK && !log_use(log))
        err = log->err;
    if (err == ODK_OK && (log->store->err != ODK_OK || log->err == ODK_ERR_OFFLINE))
        err = ODK_ERR_OFFLINE; /* the journal keeps nothing new of an offline log */
    if (err == ODK_OK && (offset < 0 || offset > log->body->end_offset))
        err = ODK_ERR_RANGE;
    if (err != ODK_OK) {
        if (done)
            done(context, err);
        return;
    }
    struct log_body *body = log->body;
    struct trim *trim = trim_add(log, offset, done, context);
    trim->durable = offset <= body->start_offset && !body->start_changed; /* nothing moves */
    body->start_offset = MAX(body->start_offset, offset);
}

void log_trim_resume(struct odk_log *log)
{
    const struct log_body *body = log->body;
    if (body->count < 2 || body->segments[1]->base > body->start_offset)
        return;
    struct trim *trim = trim_add(log, body->start_offset, NULL, NULL);
    trim->durable = true;
}

static void trim_tell(struct trim *trim, enum odk_err err)
{
    if (trim->told)
        return;
    trim->told = true;
    if (trim->done)
        trim->done(trim->context, err);
}

static void trim_free(struct trim *trim)
{
    struct odk_log *log = trim->log;
    list_remove(&trim->link);
    free(trim);
    log_unhold(log);
}

static void trim_journal(struct trim *trim)
{
    struct odk_log *log = trim->log;
    struct odk_store *store = log->store;
    if (!journal_room(&store->journal, log->name_len, 0))
        return;
    struct journal_name name = log_journal_name(log);
    struct journal_entry entry = { .type = JOURNAL_TRIM, .offset = trim->offset };
    trim->seq = journal_add(&store->journal, &name, &entry);
    log->body->start_changed = true;
    if (log->body->trim_seq == 0)
        log->body->trim_seq = trim->seq;
    if (!timer_armed(&log->dirty))
        log_dirty_update(log);
}

/* -- segments ------------------------------------------------------------------------------------------------------ */

static bool segment_is_settled(const struct segment *segment)
{
    return segment->sealed && !segment->dirty && segment->tail.filed == segment->tail.end &&
           segment->synced == segment->tail.end;
}

static bool first_may_go(const struct log_body *body)
{
    if (body->count < 2 || body->segments[1]->base > body->start_offset || body->spilling || body->checkpointing ||
        body->cleaning)
        return false;
    if (producers_count(&body->producers) > 0 && body->snapshot_offset < body->segments[1]->base)
        return false;
    return segment_is_settled(body->segments[0]);
}

static void first_remove(struct odk_log *log)
{
    struct odk_store *store = log->store;
    struct log_body *body = log->body;
    struct segment *first = body->segments[0];
    (void)log_segment_unlink(log, first, true); /* one that stays is removed at the next start */
    segment_free(first, &store->files, &store->pool);
    body->count--;
    memmove(body->segments, body->segments + 1, body->count * sizeof(struct segment *));
    body->first_batch_offset = body->segments[0]->base;
}

/* Removes up to *left segments, which it counts down. True when nothing is left to remove for this trim. */
static bool trim_remove(struct trim *trim, uint32_t *left)
{
    struct odk_log *log = trim->log;
    for (; *left > 0 && first_may_go(log->body); (*left)--)
        first_remove(log);
    return log->body->count < 2 || log->body->segments[1]->base > log->body->start_offset;
}

bool log_trim_run(struct odk_store *store)
{
    uint32_t left = SEGMENTS_PER_RUN;
    list_each(node, &store->trims) {
        struct trim *trim = list_entry(node, struct trim, link);
        bool refused = trim->log->err == ODK_ERR_OFFLINE && trim->seq == 0 && !trim->durable;
        if (trim->log->deleted || store->err != ODK_OK || refused) {
            trim_tell(trim, trim->log->deleted ? ODK_ERR_CLOSED : ODK_ERR_OFFLINE);
            trim_free(trim);
            return true; /* the callback may have changed the list */
        }
        if (trim->seq == 0 && !trim->durable) {
            trim_journal(trim);
        } else if (trim->durable && !trim->told) {
            trim_tell(trim, ODK_OK);
            return true;
        } else if (trim->durable && left > 0 && trim_remove(trim, &left)) {
            trim_free(trim);
        }
    }
    journal_kick(&store->journal);
    return left == 0;
}

void log_trim_committed(struct odk_store *store, uint64_t seq)
{
    list_each(node, &store->trims) {
        struct trim *trim = list_entry(node, struct trim, link);
        if (trim->seq != 0 && trim->seq <= seq && !trim->durable) {
            trim->durable = true;
            trim_tell(trim, ODK_OK);
        }
    }
}

void log_trim_abandon(struct odk_store *store)
{
    list_each(node, &store->trims) {
        struct trim *trim = list_entry(node, struct trim, link);
        list_remove(&trim->link);
        free(trim);
    }
}
