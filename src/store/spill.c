/*
 * From tails into files.
 *
 * Whole blocks go as DIRECT writes of many chunks; the partial last block goes as a buffered write of its exact length,
 * when somebody needs the file to be exact (quiet, roll, checkpoint, close, a read that cannot use the tail). Older
 * segments first. One spill per log, a few per store.
 *
 * What a failure means: no space -> the store refuses appends and tries again later; anything else -> the log goes
 * offline, its bytes stay in the journal for the next start.
 */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/format.h"
#include "store/log.h"
#include "store/put.h"

#define SPILLS_MAX       64u
#define SPILL_VIEWS      64u
#define RELIEF_CANDIDATES 256u

struct spill {
    struct list link;
    struct odk_log *log;
    struct segment *segment;
    uint64_t to; /* position the write in flight reaches */
    struct put put;
    struct odk_io_write write;
    struct iovec iov[SPILL_VIEWS];
};

static void spill_step(struct spill *spill);

/* -- start and end ------------------------------------------------------------------------------------------------- */

void spill_request(struct odk_log *log, bool exact)
{
    struct log_body *body = log->body;
    if (exact)
        body->exact_to = body->durable_end;
    if (!body->spilling && !list_linked(&log->spill) && log->err != ODK_ERR_OFFLINE && !log->doomed)
        list_push_back(&log->store->spill_wait, &log->spill);
}

static void spill_end(struct spill *spill)
{
    struct odk_log *log = spill->log;
    struct odk_store *store = log->store;
    list_remove(&spill->link);
    store->spill_count--;
    log->body->spilling = false;
    free(spill);
    log_wait_on_spilled(log);
    checkpoint_on_spilled(log);
    log_append_drain(store);
    log_unhold(log);
}

/* Ends it, to be tried again. A log that is being deleted is not: it may be freed before its turn comes. */
static void spill_postpone(struct spill *spill)
{
    struct odk_log *log = spill->log;
    if (!log->doomed)
        list_push_back(&log->store->spill_wait, &log->spill);
    spill_end(spill);
}

static void spill_fail(struct spill *spill, const char *what, enum odk_err err)
{
    struct odk_log *log = spill->log;
    struct odk_store *store = log->store;
    if (err == ODK_ERR_FULL || err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY) {
        if (store->full_until_ns == 0)
            DIAG_WARN(store->diag, "%s/%s: %s: %s; appends are refused until there is room again", store->dir,
                      log->name, what, odk_err_text(err));
        store_set_full(store);
        spill_postpone(spill);
        return;
    }
    DIAG_ERROR(store->diag, "%s/%s: %s: %s; the log accepts nothing until a restart", store->dir, log->name, what,
               odk_err_text(err));
    log_go_offline(log);
    spill_end(spill);
}

static void write_on_done(struct odk_io_write *write, int64_t result)
{
    struct spill *spill = container_of(write, struct spill, write);
    struct segment *segment = spill->segment;
    struct odk_store *store = spill->log->store;
    if (result < 0) {
        spill_fail(spill, "segment cannot be written", odk_err_from_errno((int32_t)result));
        return;
    }
    store_clear_full(store);
    store->spilled_bytes += (uint64_t)result;
    segment->dirty = true;
    tail_set_filed(&segment->tail, &store->pool, MAX(segment->tail.filed, spill->to));
    spill_step(spill);
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static void folder_on_put(struct put *put, enum odk_err err)
{
    struct spill *spill = container_of(put, struct spill, put);
    if (err != ODK_OK) {
        spill_fail(spill, FORMAT_PARTITION_METADATA_NAME " cannot be written", err);
        return;
    }
    spill->log->body->folder_made = true;
    spill_step(spill);
}

/* Makes the log's folder; goes on in folder_on_put. */
static void folder_make(struct spill *spill)
{
    struct odk_log *log = spill->log;
    struct odk_store *store = log->store;
    char folder[LAYOUT_PATH_MAX], text[LAYOUT_METADATA_MAX];
    if (!log_folder(log, folder)) {
        spill_fail(spill, "folder name too long", ODK_ERR_INVALID);
        return;
    }
    int32_t made = store->io->ops->mkdir(store->io, folder);
    enum odk_err owned = made == -EEXIST ? log_check_owner(log) : odk_err_from_errno(made);
    if (owned != ODK_OK) {
        spill_fail(spill, "folder cannot be made", owned);
        return;
    }
    store->root_dirty_no++;
    log->body->folder_dirty = true;
    spill->put.done = folder_on_put;
    size_t len = layout_metadata_print(log->id, text);
    enum odk_err err = put_start(&spill->put, store->io, PUT_REPLACE, folder, FORMAT_PARTITION_METADATA_NAME, text,
                                 len, 0);
    if (err != ODK_OK)
        spill_fail(spill, FORMAT_PARTITION_METADATA_NAME " cannot be written", err);
}

static enum odk_err handle_open(struct spill *spill, int32_t *handle, uint32_t flags)
{
    struct odk_log *log = spill->log;
    struct odk_store *store = log->store;
    char path[LAYOUT_PATH_MAX];
    if (*handle >= 0)
        return ODK_OK;
    if (!log_segment_path(log, spill->segment, FORMAT_LOG_SUFFIX, path))
        return ODK_ERR_INVALID;
    int32_t opened = store->io->ops->open(store->io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE | flags);
    if (opened < 0)
        return odk_err_from_errno(opened);
    *handle = opened;
    store->files.handle_count++;
    if (!spill->segment->on_disk) {
        spill->segment->on_disk = true;
        log->body->folder_dirty = true;
    }
    return ODK_OK;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* [from, to) of the tail through one of the segment's handles. */
static void write_start(struct spill *spill, uint64_t from, uint64_t to, uint32_t flags)
{
    struct odk_store *store = spill->log->store;
    struct segment *segment = spill->segment;
    int32_t *handle = flags & ODK_IO_DIRECT ? &segment->direct : &segment->plain;
    enum odk_err err = handle_open(spill, handle, flags);
    if (err != ODK_OK) {
        spill_fail(spill, "segment cannot be opened", err);
        return;
    }
    uint64_t len;
    uint32_t count = tail_views(&segment->tail, from, to, spill->iov, SPILL_VIEWS, &len);
    spill->to = from + len;
    spill->write.done = write_on_done;
    odk_io_write(store->io, &spill->write, *handle, spill->iov, count, from);
}

/* The oldest segment with durable bytes that are not filed; NULL when there is none. */
static struct segment *next_segment(const struct log_body *body)
{
    struct segment *found = NULL;
    for (uint32_t i = body->count; i-- > 0;) {
        struct segment *segment = body->segments[i];
        if (segment_unfiled(segment) > 0)
            found = segment;
        else if (segment->size > 0 && i + 1 < body->count)
            break;
    }
    return found;
}

/* The next write, or the end. */
static void spill_step(struct spill *spill)
{
    struct odk_log *log = spill->log;
    struct odk_store *store = log->store;
    struct log_body *body = log->body;
    struct segment *segment = next_segment(body);
    spill->segment = segment;
    if (!segment || log->err == ODK_ERR_OFFLINE) {
        spill_end(spill);
        return;
    }
    if (!body->folder_made) {
        if (removal_pending(store, log->name)) /* an older log of that name is still being renamed away */
            spill_postpone(spill);
        else
            folder_make(spill);
        return;
    }
    uint64_t filed = segment->tail.filed;
    uint64_t from = align_down(filed, TAIL_BLOCK_BYTES);
    uint64_t blocks_end = align_down(segment->size, TAIL_BLOCK_BYTES);
    bool final = segment->sealed && segment->size == segment->tail.end;
    bool exact = final || body->exact_to > segment->begin + filed;
    if (blocks_end > filed && (exact || blocks_end - from >= store->spill_bytes)) {
        write_start(spill, from, blocks_end, store->boot->direct ? ODK_IO_DIRECT : 0);
        return;
    }
    if (exact && segment->size > filed) {
        write_start(spill, filed, segment->size, 0);
        return;
    }
    spill_end(spill);
}

void spill_run(struct odk_store *store, uint64_t now_ns)
{
    if (store->full_until_ns != 0 && now_ns < store->full_until_ns)
        return;
    if (store->full_until_ns != 0 && list_empty(&store->spill_wait))
        store->full_until_ns = 0;
    uint32_t tries = SPILLS_MAX; /* one that is postponed waits again at once */
    while (tries-- > 0 && store->spill_count < SPILLS_MAX && !list_empty(&store->spill_wait)) {
        struct odk_log *log = list_entry(list_pop_front(&store->spill_wait), struct odk_log, spill);
        struct spill *spill = xcalloc(1, sizeof(*spill));
        spill->log = log;
        log_hold(log);
        log->body->spilling = true;
        list_push_back(&store->spills, &spill->link);
        store->spill_count++;
        spill_step(spill);
        if (store->full_until_ns > now_ns)
            break;
    }
}

void spill_abandon(struct odk_store *store)
{
    list_each(node, &store->spills) {
        struct spill *spill = list_entry(node, struct spill, link);
        put_abandon(&spill->put);
        list_remove(&spill->link);
        free(spill);
    }
}

/* -- relief -------------------------------------------------------------------------------------------------------- */

static uint64_t log_unfiled(const struct odk_log *log)
{
    const struct segment *active = log_active(log->body);
    uint64_t unfiled = segment_unfiled(active);
    if (log->body->count > 1)
        unfiled += segment_unfiled(log->body->segments[log->body->count - 2]);
    return unfiled;
}

/* The largest of the first candidates in the dirty heap. */
void spill_relieve(struct odk_store *store)
{
    struct odk_log *largest = NULL;
    uint64_t most = 0;
    uint32_t count = MIN(store->dirty.count, RELIEF_CANDIDATES);
    for (uint32_t i = 1; i <= count; i++) {
        struct odk_log *log = log_of_dirty(store->dirty.heap[i]);
        if (!log || log->body->spilling || list_linked(&log->spill))
            continue;
        uint64_t unfiled = log_unfiled(log);
        if (unfiled > most) {
            most = unfiled;
            largest = log;
        }
    }
    if (largest && store->spill_count + 1 < SPILLS_MAX)
        spill_request(largest, true);
}
