#include "store/store.h"

#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/clean.h"
#include "store/log.h"

#define JOURNAL_BYTES_DEFAULT      GIB(1)
#define JOURNAL_FILE_BYTES_DEFAULT MIB(64)
#define TAIL_BYTES_DEFAULT         MIB(256)
#define FILES_DEFAULT              1024u
#define SPILL_BYTES_DEFAULT        (1u << 20)
#define QUIET_MS_DEFAULT           1000u
#define CHECKPOINT_MS_DEFAULT      30000u
#define CACHE_AGE_MS               60000
#define AGE_EVERY_MS               1000
#define FULL_RETRY_MS              500
#define FULL_TRIES_AT_CLOSE        4u

static void store_on_committed(void *context, uint64_t seq)
{
    struct odk_store *store = context;
    log_append_committed(store, seq);
    log_trim_committed(store, seq);
    removal_committed(store, seq);
}

static void store_on_failed(void *context, enum odk_err err)
{
    store_fail(context, err);
}

void store_quiet_on_time(struct timer *timer, uint64_t now_ns)
{
    struct odk_log *log = container_of(timer, struct odk_log, quiet);
    struct log_body *body = log->body;
    if (!body || log->deleted)
        return;
    uint64_t due_ns = deadline_after_ms(body->last_append_ns, log->store->quiet_ms);
    if (due_ns > now_ns)
        timer_arm(&log->store->quiet, timer, due_ns);
    else
        spill_request(log, true);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static void lists_init(struct odk_store *store)
{
    list_init(&store->logs);
    list_init(&store->gone);
    list_init(&store->touched);
    list_init(&store->spill_wait);
    list_init(&store->spills);
    list_init(&store->checkpoints);
    list_init(&store->unindexed);
    list_init(&store->removals);
    list_init(&store->waits);
    list_init(&store->trims);
    list_init(&store->cleans);
    store->queue_last = &store->queue_first;
    store->staged_last = &store->staged_first;
}

static enum odk_err store_journal_open(struct odk_store *store, uint64_t file_bytes)
{
    struct journal_options options = {
        .io = store->io,
        .diag = store->diag,
        .dir = store->dir,
        .shard = store->shard,
        .incarnation = store->boot->state.incarnation,
        .file_bytes = file_bytes,
        .bytes_max = store->journal_bytes_max,
        .direct = store->boot->direct,
        .committed = store_on_committed,
        .failed = store_on_failed,
        .context = store,
    };
    return journal_open(&store->journal, &options);
}

enum odk_err odk_store_open(const struct odk_store_options *options, struct odk_store **ret_store)
{
    struct odk_store *store = xcalloc(1, sizeof(*store));
    store->boot = options->boot;
    store->io = options->io;
    store->diag = options->diag;
    store->dir = options->boot->dir;
    store->shard = options->shard;
    store->journal_bytes_max = options->journal_bytes_max ? options->journal_bytes_max : JOURNAL_BYTES_DEFAULT;
    store->spill_bytes = options->spill_bytes ? options->spill_bytes : SPILL_BYTES_DEFAULT;
    store->quiet_ms = options->quiet_ms ? options->quiet_ms : QUIET_MS_DEFAULT;
    store->checkpoint_ms = options->checkpoint_ms ? options->checkpoint_ms : CHECKPOINT_MS_DEFAULT;
    store->files_max = options->files_max ? options->files_max : FILES_DEFAULT;
    store->kept_seq = UINT64_MAX;
    lists_init(store);
    tail_pool_init(&store->pool, options->tail_bytes_max ? options->tail_bytes_max : TAIL_BYTES_DEFAULT);
    files_init(&store->files, store->io, store->files_max);
    uint64_t file_bytes = options->journal_file_bytes ? options->journal_file_bytes : JOURNAL_FILE_BYTES_DEFAULT;
    enum odk_err err = store_journal_open(store, file_bytes);
    if (err != ODK_OK) {
        odk_store_free(store);
        return err;
    }
    removal_adopt(store);
    *ret_store = store;
    return ODK_OK;
}

void odk_store_free(struct odk_store *store)
{
    if (!store)
        return;
    clean_abandon(store);
    spill_abandon(store);
    checkpoint_abandon(store);
    removal_abandon(store);
    log_wait_abandon(store);
    log_trim_abandon(store);
    list_splice(&store->logs, &store->gone);
    list_each(node, &store->logs) {
        log_free(list_entry(node, struct odk_log, link));
    }
    files_deinit(&store->files);
    tail_pool_deinit(&store->pool);
    journal_close(&store->journal);
    timers_deinit(&store->dirty);
    timers_deinit(&store->quiet);
    free(store);
}

void store_set_full(struct odk_store *store)
{
    store->full_tries++;
    store->full_until_ns = deadline_after_ms(store->io->ops->mono_ns(store->io), FULL_RETRY_MS);
}

void store_clear_full(struct odk_store *store)
{
    store->full_tries = 0;
    store->full_until_ns = 0;
}

void store_keep(struct odk_store *store, struct timer *dirty)
{
    store->kept_seq = MIN(store->kept_seq, dirty->deadline_ns);
    timer_cancel(&store->dirty, dirty);
}

void store_fail(struct odk_store *store, enum odk_err err)
{
    if (store->err != ODK_OK)
        return;
    store->err = err;
    journal_stop(&store->journal, err);
    DIAG_ERROR(store->diag, "%s: the journal of shard %u has failed: its logs accept nothing until a restart",
               store->dir, store->shard);
    log_append_abort(store, ODK_ERR_OFFLINE);
    removal_abort(store, ODK_ERR_OFFLINE);
    list_each(node, &store->logs) {
        struct odk_log *log = list_entry(node, struct odk_log, link);
        if (log->moved)
            log->moved(log->moved_context);
    }
}

/* -- closing ------------------------------------------------------------------------------------------------------- */

/* True when nothing more can be brought into the files. */
static bool close_is_stuck(const struct odk_store *store)
{
    return store->err != ODK_OK || store->full_tries >= FULL_TRIES_AT_CLOSE;
}

/* Nothing is in flight and, unless the journal has failed, nothing is waiting. */
static bool store_is_settled(struct odk_store *store)
{
    if (store->spill_count > 0 || store->checkpoint_count > 0 || store->journal.in_flight || store->journal.files.busy ||
        log_wait_in_flight(store) || clean_in_flight(store))
        return false;
    if (close_is_stuck(store))
        return true;
    return journal_idle(&store->journal) && !store->staged_first && !store->queue_first &&
           list_empty(&store->spill_wait) && list_empty(&store->cleans) && removal_is_settled(store);
}

/* What this store leaves for the marker. */
static void store_leave(struct odk_store *store)
{
    struct boot_part *part = xcalloc(1, sizeof(*part));
    list_each(node, &store->logs) {
        struct odk_log *log = list_entry(node, struct odk_log, link);
        struct known_log known;
        log_describe(log, &known);
        if (log->err == ODK_OK && (known.has_state || log->body))
            known_add(&part->logs, &known, odk_str_from(log->name));
        else if (log->known)
            known_add_floor(&part->logs, log->known);
    }
    boot_leave(store->boot, part);
}

static void close_finish(struct odk_store *store)
{
    enum odk_err err = store->err;
    if (err == ODK_OK && store->dirty.count > 0)
        err = ODK_ERR_FULL; /* what is left stays in the journal */
    if (err == ODK_OK && store->kept_seq != UINT64_MAX)
        err = ODK_ERR_IO;
    if (err == ODK_OK)
        store_leave(store);
    store->closed = true;
    store->close_done(store->close_context, err);
}


static void close_step(struct odk_store *store)
{
    if (store->closed || !store_is_settled(store))
        return;
    if (store->dirty.count > 0 && !close_is_stuck(store))
        return;
    close_finish(store);
}

void odk_store_close(struct odk_store *store, void (*done)(void *context, enum odk_err err), void *context)
{
    ASSERT(!store->closing);
    store->closing = true;
    store->close_done = done;
    store->close_context = context;
}

/* -- housekeeping -------------------------------------------------------------------------------------------------- */

static void store_age(struct odk_store *store, uint64_t now_ns)
{
    store->pool.now_ns = now_ns;
    if (now_ns < store->aged_ns + AGE_EVERY_MS * NS_PER_MS)
        return;
    store->aged_ns = now_ns;
    uint64_t age_ns = CACHE_AGE_MS * NS_PER_MS;
    tail_pool_age(&store->pool, now_ns > age_ns ? now_ns - age_ns : 0);
}

/* The journal is full of what an offline log needs, which only a restart can redo. */
static void kept_check(struct odk_store *store)
{
    if (store->err != ODK_OK || !store->journal.waits || !journal_files_capped(&store->journal.files) ||
        store->kept_seq > store->journal.checkpoint_seq + 1)
        return;
    DIAG_ERROR(store->diag, "%s: the journal of shard %u has no room left beside what offline logs need", store->dir,
               store->shard);
    store_fail(store, ODK_ERR_OFFLINE);
}

uint64_t odk_store_tick(struct odk_store *store, uint64_t now_ns)
{
    if (store->closed)
        return UINT64_MAX;
    store_age(store, now_ns);
    timers_fire(&store->quiet, now_ns);
    log_append_drain(store);
    journal_kick(&store->journal);
    kept_check(store);
    if (tail_pool_tight(&store->pool, store->pool.bytes_max / 8) || store->queue_first)
        spill_relieve(store);
    spill_run(store, now_ns);
    checkpoint_run(store, now_ns);
    bool again = log_trim_run(store);
    again |= removal_run(store);
    again |= clean_run(store);
    again |= log_wait_turn_run(store);
    if (store->closing) {
        close_step(store);
        if (store->closed)
            return UINT64_MAX;
    }
    uint64_t next_ns = MIN(timers_next_ns(&store->quiet), journal_next_ns(&store->journal));
    next_ns = MIN(next_ns, checkpoint_next_ns(store));
    if (store->full_until_ns != 0)
        next_ns = MIN(next_ns, store->full_until_ns);
    if (!list_empty(&store->pool.slabs))
        next_ns = MIN(next_ns, store->aged_ns + CACHE_AGE_MS * NS_PER_MS);
    return again ? now_ns : next_ns;
}

void odk_store_stats(const struct odk_store *store, struct odk_store_stats *ret)
{
    *ret = (struct odk_store_stats){
        .appended_bytes = store->appended_bytes,
        .journal_bytes = store->journal.written_bytes,
        .spilled_bytes = store->spilled_bytes,
        .journal_writes = store->journal.write_count,
        .segment_syncs = store->sync_count,
        .journal_used_bytes = journal_files_held(&store->journal.files, store->journal.checkpoint_seq),
        .tail_used_bytes = store->pool.used_bytes,
        .files_open = store->files.handle_count,
        .maps_open = store->files.map_count,
        .logs = store->log_count,
        .logs_open = store->open_count,
        .offline = store->err != ODK_OK,
    };
}

const char *odk_store_dir(const struct odk_store *store)
{
    return store->dir;
}

enum odk_err odk_store_space(const struct odk_store *store, uint64_t *ret_free, uint64_t *ret_total)
{
    int32_t result = store->io->ops->space(store->io, store->dir, ret_free, ret_total);
    return result < 0 ? odk_err_from_errno(result) : ODK_OK;
}
