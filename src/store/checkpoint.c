/*
 * From files to safety: syncs what was spilled, so that the journal may forget it. In order, for one log at a time (a few
 * in parallel):
 *
 *   SPILL     everything durable goes into the files, exactly
 *   SNAPSHOT  the producers, if they have changed
 *   SYNC      segment files, oldest first
 *   INDEX     index files of sealed segments; what is new of the active one (not synced: derived), and their sum
 *   SMALL     leader epochs, log start
 *   FOLDER    names in the log's folder
 *   ROOT      the folder's own name
 *   DONE      the log's oldest needed seq moves on, and with it the journal's checkpoint
 *
 * Nothing moves before DONE: a crash anywhere leaves the journal entries that repeat the work.
 *
 * Pace: the log with the oldest needed seq first; when it has waited for checkpoint_ms, or the journal is half full, or
 * too many handles are open, or the store closes.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/diag.h"
#include "base/units.h"
#include "store/format.h"
#include "store/log.h"
#include "store/put.h"

#define PACE_CALM   2u
#define PACE_URGENT 8u
#define PACE_CLOSE  64u /* nobody waits for commits any more */
#define CANDIDATES  128u

enum checkpoint_state {
    CHECKPOINT_SPILL,
    CHECKPOINT_SNAPSHOT,
    CHECKPOINT_SYNC,
    CHECKPOINT_OFFSETS,
    CHECKPOINT_TIMES,
    CHECKPOINT_SUM,
    CHECKPOINT_EPOCHS,
    CHECKPOINT_START,
    CHECKPOINT_FOLDER,
    CHECKPOINT_ROOT,
    CHECKPOINT_DONE,
};

struct checkpoint {
    struct list link;
    struct odk_log *log;
    enum checkpoint_state state;
    struct segment *segment;
    uint64_t goal;   /* log position that was durable when it began */
    uint64_t target; /* position in segment that the sync in flight covers */
    uint64_t trim_seq;
    uint64_t root_no;
    uint32_t entries; /* that the put in flight brings into the index file */
    int32_t folder;
    bool asked; /* for a spill */
    bool whole; /* the segment whose indexes are written was complete when that began: a roll may seal it meanwhile */
    struct odk_io_op sync;
    struct put put;
};

static void checkpoint_step(struct checkpoint *c);

/* -- start and end ------------------------------------------------------------------------------------------------- */

static void checkpoint_end(struct checkpoint *c)
{
    struct odk_log *log = c->log;
    struct odk_store *store = log->store;
    list_remove(&c->link);
    store->checkpoint_count--;
    log->body->checkpointing = false;
    free(c);
    checkpoint_advance(store);
    log_unhold(log);
}

static void checkpoint_fail(struct checkpoint *c, const char *what, enum odk_err err)
{
    struct odk_log *log = c->log;
    DIAG_ERROR(log->store->diag, "%s/%s: %s: %s; the log accepts nothing until a restart", log->store->dir, log->name,
               what, odk_err_text(err));
    log_go_offline(log);
    checkpoint_end(c);
}

/* A small file that could not be written for lack of space is written the next time. */
static bool is_want_of_space(enum odk_err err)
{
    return err == ODK_ERR_FULL || err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY;
}

static void put_failed(struct checkpoint *c, enum odk_err err)
{
    struct odk_store *store = c->log->store;
    if (!is_want_of_space(err)) {
        checkpoint_fail(c, "a file beside the segments cannot be written", err);
        return;
    }
    store_set_full(store);
    checkpoint_end(c);
}

static void next_state(struct checkpoint *c)
{
    c->state++;
    c->segment = NULL;
}

/* -- steps --------------------------------------------------------------------------------------------------------- */

/* Each returns true when it has finished at once; else an operation is in flight, or the checkpoint has ended. */

static bool step_spill(struct checkpoint *c)
{
    struct log_body *body = c->log->body;
    uint64_t filed = 0;
    for (uint32_t i = body->count; i-- > 0;) {
        const struct segment *segment = body->segments[i];
        filed = segment->begin + segment->tail.filed;
        if (i == 0 || (body->segments[i - 1]->tail.filed == body->segments[i - 1]->size &&
                       body->segments[i - 1]->size == body->segments[i - 1]->tail.end))
            break;
    }
    if (filed >= c->goal && !body->spilling)
        return true;
    if (c->asked && !body->spilling) { /* it was tried and did not succeed */
        checkpoint_end(c);
        return false;
    }
    c->asked = true;
    spill_request(c->log, true);
    return false;
}

static void put_on_done(struct put *put, enum odk_err err);

/* Starts a put into the log's folder. */
static bool put_begin(struct checkpoint *c, enum put_kind kind, const char *name, const void *data, size_t len,
                      uint64_t pos)
{
    char folder[LAYOUT_PATH_MAX];
    enum odk_err err = ODK_ERR_INVALID;
    c->put.done = put_on_done;
    if (log_folder(c->log, folder))
        err = put_start(&c->put, c->log->store->io, kind, folder, name, data, len, pos);
    if (err != ODK_OK)
        put_failed(c, err);
    return false;
}

static bool step_snapshot(struct checkpoint *c)
{
    struct log_body *body = c->log->body;
    if (!body->snapshot.data && body->producers_changed)
        log_snapshot_take(body);
    if (!body->snapshot.data || body->snapshot.offset > body->end_offset)
        return true;
    char name[64];
    (void)snprintf(name, sizeof(name), FORMAT_SEGMENT_NAME FORMAT_SNAPSHOT_SUFFIX, (long long)body->snapshot.offset);
    return put_begin(c, PUT_REPLACE, name, body->snapshot.data, body->snapshot.len, 0);
}

static void snapshot_unlink(struct odk_log *log, int64_t offset)
{
    char folder[LAYOUT_PATH_MAX], path[LAYOUT_PATH_MAX];
    if (offset < 0 || !log_folder(log, folder) || !layout_segment(path, folder, offset, FORMAT_SNAPSHOT_SUFFIX))
        return;
    (void)log->store->io->ops->unlink(log->store->io, path); /* one too many does no harm */
}

static void snapshot_on_put(struct log_body *body, struct odk_log *log)
{
    if (body->snapshot.offset != body->snapshot_offset) {
        if (body->older_snapshot_offset != body->snapshot.offset)
            snapshot_unlink(log, body->older_snapshot_offset);
        body->older_snapshot_offset = body->snapshot_offset;
    }
    body->snapshot_offset = body->snapshot.offset;
    free(body->snapshot.data);
    body->snapshot.data = NULL;
    body->folder_dirty = true;
}

static struct segment *next_dirty(const struct log_body *body)
{
    for (uint32_t i = 0; i < body->count; i++) {
        if (body->segments[i]->dirty)
            return body->segments[i];
    }
    return NULL;
}

/* Handles of a log that is written all the time stay open while there are not too many. */
static bool handles_stay(const struct odk_log *log, const struct segment *segment)
{
    const struct odk_store *store = log->store;
    return !segment->sealed && !store->closing && timer_armed(&log->quiet) && store->files.handle_count < store->files_max;
}

static void sync_on_done(struct odk_io_op *op, int32_t result)
{
    struct checkpoint *c = container_of(op, struct checkpoint, sync);
    struct segment *segment = c->segment;
    if (result < 0) {
        checkpoint_fail(c, "segment cannot be synced", odk_err_from_errno(result));
        return;
    }
    c->log->store->sync_count++;
    segment->synced = c->target;
    segment->dirty = segment->tail.filed > c->target;
    if (!segment->dirty && !c->log->body->spilling && !handles_stay(c->log, segment))
        segment_close(segment, &c->log->store->files);
    checkpoint_step(c);
}

static bool step_sync(struct checkpoint *c)
{
    struct segment *segment = next_dirty(c->log->body);
    if (!segment || segment->begin + segment->synced >= c->goal)
        return true;
    c->segment = segment;
    c->target = segment->tail.filed;
    c->sync.done = sync_on_done;
    int32_t handle = segment->plain >= 0 ? segment->plain : segment->direct;
    ASSERT(handle >= 0); /* S2 */
    c->log->store->io->ops->sync(c->log->store->io, &c->sync, handle);
    return false;
}

/* Entries of the offset index that lie below pos. */
static uint32_t offsets_below(const struct segment *segment, uint64_t pos)
{
    uint32_t count = segment->offsets.count;
    for (; count > 0; count--) {
        struct odk_bytes last = offset_index_bytes(&segment->offsets, count - 1);
        struct rd r = rd_init(last.data + 4, 4);
        if (rd_u32(&r) < pos)
            break;
    }
    return count;
}

static uint32_t times_below(const struct segment *segment, int64_t offset)
{
    uint32_t count = segment->times.count;
    for (; count > 0; count--) {
        struct odk_bytes last = time_index_bytes(&segment->times, count - 1);
        struct rd r = rd_init(last.data + 8, 4);
        if (segment->base + (int64_t)rd_u32(&r) < offset)
            break;
    }
    return count;
}

static bool segment_is_complete(const struct segment *segment)
{
    return segment->sealed && segment->synced == segment->tail.end;
}

/* The next segment whose index files lack something; sealed ones only when nothing can be added any more. */
static struct segment *next_unindexed(const struct log_body *body)
{
    for (uint32_t i = 0; i < body->count; i++) {
        struct segment *segment = body->segments[i];
        if (!segment->index_dirty || !segment->in_memory || !segment->on_disk)
            continue;
        if (segment_is_complete(segment) || i + 1 == body->count)
            return segment;
    }
    return NULL;
}

static bool index_put(struct checkpoint *c, const char *suffix, struct odk_bytes bytes, size_t from)
{
    char name[64];
    (void)snprintf(name, sizeof(name), FORMAT_SEGMENT_NAME "%s", (long long)c->segment->base, suffix);
    enum put_kind kind = from == 0 ? PUT_REPLACE_UNSYNCED : PUT_WRITE;
    return put_begin(c, kind, name, bytes.data ? bytes.data : (const uint8_t *)"", bytes.len, from);
}

static bool step_offsets(struct checkpoint *c)
{
    struct segment *segment = next_unindexed(c->log->body);
    c->segment = segment;
    if (!segment)
        return true;
    c->whole = segment_is_complete(segment);
    uint32_t from = c->whole ? 0 : segment->offsets_filed;
    c->entries = offsets_below(segment, segment->synced);
    if (c->entries <= from && !c->whole)
        return true;
    struct odk_bytes bytes = offset_index_bytes(&segment->offsets, from);
    bytes.len = (size_t)(c->entries - from) * FORMAT_OFFSET_ENTRY_BYTES;
    return index_put(c, FORMAT_OFFSET_INDEX_SUFFIX, bytes, (size_t)from * FORMAT_OFFSET_ENTRY_BYTES);
}

static bool step_times(struct checkpoint *c)
{
    struct segment *segment = c->segment;
    if (!segment)
        return true;
    uint32_t from = c->whole ? 0 : segment->times_filed;
    c->entries = times_below(segment, c->log->body->end_offset);
    if (c->entries <= from && !c->whole)
        return true;
    struct odk_bytes bytes = time_index_bytes(&segment->times, from);
    bytes.len = (size_t)(c->entries - from) * FORMAT_TIME_ENTRY_BYTES;
    return index_put(c, FORMAT_TIME_INDEX_SUFFIX, bytes, (size_t)from * FORMAT_TIME_ENTRY_BYTES);
}

/* What the two files hold now. */
static bool step_sum(struct checkpoint *c)
{
    struct segment *segment = c->segment;
    if (!segment)
        return true;
    uint32_t entries = segment->offsets_filed + segment->times_filed;
    if (entries == segment->entries_summed && !c->whole)
        return true;
    uint8_t content[INDEX_SUM_BYTES];
    struct index_sum sum = {
        .whole = c->whole,
        .log_bytes = segment->synced,
        .offsets = offset_index_bytes(&segment->offsets, 0),
        .times = time_index_bytes(&segment->times, 0),
    };
    sum.offsets.len = (size_t)segment->offsets_filed * FORMAT_OFFSET_ENTRY_BYTES;
    sum.times.len = (size_t)segment->times_filed * FORMAT_TIME_ENTRY_BYTES;
    index_sum_print(&sum, content);
    c->entries = entries;
    return index_put(c, FORMAT_INDEX_SUM_SUFFIX, (struct odk_bytes){ .data = content, .len = sizeof(content) }, 0);
}

/* A sealed segment's indexes are in their files: memory is given back. */
static void index_on_put(struct checkpoint *c)
{
    struct segment *segment = c->segment;
    segment->entries_summed = c->entries;
    if (!c->whole)
        return;
    segment->index_dirty = false;
    segment->in_memory = false;
    segment->checked = true;
    offset_index_deinit(&segment->offsets);
    time_index_deinit(&segment->times);
}

static bool step_epochs(struct checkpoint *c)
{
    struct log_body *body = c->log->body;
    if (!body->epochs_changed)
        return true;
    char *text;
    size_t len;
    body->epochs_changed = false;
    epochs_print(&body->epochs, &text, &len);
    (void)put_begin(c, PUT_REPLACE, FORMAT_EPOCHS_NAME, text, len, 0);
    free(text);
    return false;
}

static bool step_start(struct checkpoint *c)
{
    struct log_body *body = c->log->body;
    if (!body->start_changed)
        return true;
    char text[LAYOUT_START_MAX];
    body->start_changed = false;
    c->trim_seq = body->trim_seq;
    size_t len = layout_start_print((struct odk_str){ .data = c->log->name, .len = c->log->name_len },
                                    body->start_offset, text);
    return put_begin(c, PUT_REPLACE, LAYOUT_START_NAME, text, len, 0);
}

static void put_on_done(struct put *put, enum odk_err err)
{
    struct checkpoint *c = container_of(put, struct checkpoint, put);
    struct log_body *body = c->log->body;
    if (err != ODK_OK) {
        body->epochs_changed |= c->state == CHECKPOINT_EPOCHS;
        body->start_changed |= c->state == CHECKPOINT_START;
        put_failed(c, err);
        return;
    }
    switch (c->state) {
    case CHECKPOINT_SNAPSHOT:
        snapshot_on_put(body, c->log);
        c->state = CHECKPOINT_SYNC;
        break;
    case CHECKPOINT_OFFSETS:
        c->segment->offsets_filed = c->entries;
        c->state = CHECKPOINT_TIMES;
        break;
    case CHECKPOINT_TIMES:
        c->segment->times_filed = c->entries;
        c->state = CHECKPOINT_SUM;
        break;
    case CHECKPOINT_SUM:
        index_on_put(c);
        c->state = c->whole ? CHECKPOINT_OFFSETS : CHECKPOINT_EPOCHS;
        break;
    case CHECKPOINT_EPOCHS:
    case CHECKPOINT_START:
        body->folder_dirty = true;
        next_state(c);
        break;
    case CHECKPOINT_SPILL:
    case CHECKPOINT_SYNC:
    case CHECKPOINT_FOLDER:
    case CHECKPOINT_ROOT:
    case CHECKPOINT_DONE: UNREACHABLE();
    }
    checkpoint_step(c);
}

static void folder_on_synced(struct odk_io_op *op, int32_t result)
{
    struct checkpoint *c = container_of(op, struct checkpoint, sync);
    struct odk_store *store = c->log->store;
    (void)store->io->ops->close(store->io, c->folder);
    c->folder = -1;
    if (result < 0) {
        checkpoint_fail(c, "folder cannot be synced", odk_err_from_errno(result));
        return;
    }
    if (c->state == CHECKPOINT_ROOT)
        store->root_synced_no = MAX(store->root_synced_no, c->root_no);
    next_state(c);
    checkpoint_step(c);
}

static bool folder_sync(struct checkpoint *c, const char *path)
{
    struct odk_store *store = c->log->store;
    c->folder = store->io->ops->open(store->io, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (c->folder < 0) {
        enum odk_err err = odk_err_from_errno(c->folder);
        if (c->state == CHECKPOINT_FOLDER)
            c->log->body->folder_dirty = true;
        put_failed(c, err);
        return false;
    }
    c->sync.done = folder_on_synced;
    store->io->ops->sync(store->io, &c->sync, c->folder);
    return false;
}

static bool step_folder(struct checkpoint *c)
{
    char folder[LAYOUT_PATH_MAX];
    if (!c->log->body->folder_dirty || !log_folder(c->log, folder))
        return true;
    c->log->body->folder_dirty = false;
    return folder_sync(c, folder);
}

static bool step_root(struct checkpoint *c)
{
    struct odk_store *store = c->log->store;
    if (store->root_synced_no == store->root_dirty_no)
        return true;
    c->root_no = store->root_dirty_no;
    return folder_sync(c, store->dir);
}

static void checkpoint_step(struct checkpoint *c)
{
    static bool (*const steps[])(struct checkpoint *) = {
        [CHECKPOINT_SPILL] = step_spill,     [CHECKPOINT_SNAPSHOT] = step_snapshot,
        [CHECKPOINT_SYNC] = step_sync,       [CHECKPOINT_OFFSETS] = step_offsets,
        [CHECKPOINT_TIMES] = step_times,     [CHECKPOINT_SUM] = step_sum,
        [CHECKPOINT_EPOCHS] = step_epochs,   [CHECKPOINT_START] = step_start,
        [CHECKPOINT_FOLDER] = step_folder,   [CHECKPOINT_ROOT] = step_root,
    };
    struct odk_log *log = c->log;
    if (log->err == ODK_ERR_OFFLINE || log->doomed) {
        checkpoint_end(c);
        return;
    }
    while (c->state < CHECKPOINT_DONE) {
        if (!steps[c->state](c))
            return;
        if ((c->state == CHECKPOINT_OFFSETS || c->state == CHECKPOINT_TIMES) && c->segment)
            c->state++; /* of the same segment */
        else
            next_state(c);
    }
    if (log->body->trim_seq == c->trim_seq && !log->body->start_changed)
        log->body->trim_seq = 0;
    log_dirty_update(log);
    checkpoint_end(c);
}

void checkpoint_on_spilled(struct odk_log *log)
{
    if (!log->body->checkpointing)
        return;
    list_each(node, &log->store->checkpoints) {
        struct checkpoint *c = list_entry(node, struct checkpoint, link);
        if (c->log == log && c->state == CHECKPOINT_SPILL) {
            checkpoint_step(c);
            return;
        }
    }
}

/* -- which and when ------------------------------------------------------------------------------------------------ */

static bool is_pressed(const struct odk_store *store)
{
    return store->closing || store->files.handle_count > store->files_max || journal_files_capped(&store->journal.files) ||
           journal_files_held(&store->journal.files, store->journal.checkpoint_seq) > store->journal_bytes_max / 2;
}

static bool can_progress(const struct odk_log *log)
{
    const struct log_body *body = log->body;
    return !body->checkpointing && log->err != ODK_ERR_OFFLINE && !log->doomed &&
           ((body->mark_count > 0 && body->marks[0].position < body->durable_end) ||
            (body->trim_seq != 0 && body->trim_seq <= log->store->journal.committed_seq));
}

/* The log with the oldest needed seq among the first of the heap. */
static struct odk_log *oldest_log(const struct odk_store *store)
{
    struct odk_log *oldest = NULL;
    uint32_t count = MIN(store->dirty.count, CANDIDATES);
    for (uint32_t i = 1; i <= count; i++) {
        struct odk_log *log = log_of_dirty(store->dirty.heap[i]);
        if (log && can_progress(log) && (!oldest || log->dirty.deadline_ns < oldest->dirty.deadline_ns))
            oldest = log;
    }
    return oldest;
}

static void checkpoint_start(struct odk_log *log)
{
    struct checkpoint *c = xcalloc(1, sizeof(*c));
    c->log = log;
    c->goal = log->body->durable_end;
    c->folder = -1;
    c->trim_seq = UINT64_MAX;
    log_hold(log);
    log->body->checkpointing = true;
    list_push_back(&log->store->checkpoints, &c->link);
    log->store->checkpoint_count++;
    checkpoint_step(c);
}

/* Indexes that were rebuilt are written, also when nothing else of the log changes. */
static void unindexed_run(struct odk_store *store, uint32_t pace)
{
    while (store->checkpoint_count < pace && !list_empty(&store->unindexed)) {
        struct odk_log *log = list_entry(store->unindexed.next, struct odk_log, unindexed);
        if (log->body && log->body->checkpointing)
            return; /* its end brings the next turn */
        list_remove(&log->unindexed);
        if (log->body && log->err != ODK_ERR_OFFLINE && !log->deleted)
            checkpoint_start(log);
    }
}

void checkpoint_run(struct odk_store *store, uint64_t now_ns)
{
    bool pressed = is_pressed(store);
    uint32_t pace = store->closing ? PACE_CLOSE : pressed ? PACE_URGENT : PACE_CALM;
    if (store->full_until_ns > now_ns || store->err != ODK_OK)
        return;
    unindexed_run(store, pace);
    for (uint32_t tries = 0; tries < pace && store->checkpoint_count < pace; tries++) {
        struct odk_log *log = oldest_log(store);
        if (!log || (!pressed && now_ns < deadline_after_ms(log->body->dirty_since_ns, store->checkpoint_ms)))
            return;
        checkpoint_start(log);
    }
}

uint64_t checkpoint_next_ns(const struct odk_store *store)
{
    if (store->err != ODK_OK || store->checkpoint_count > 0 || store->full_until_ns != 0)
        return UINT64_MAX; /* never; or what is in flight, or the end of the shortage, brings the next turn */
    if (!list_empty(&store->unindexed))
        return 0;
    const struct odk_log *log = oldest_log(store);
    return log ? deadline_after_ms(log->body->dirty_since_ns, store->checkpoint_ms) : UINT64_MAX;
}

void checkpoint_advance(struct odk_store *store)
{
    uint64_t oldest = MIN(timers_next_ns(&store->dirty), store->kept_seq);
    uint64_t seq = store->journal.committed_seq;
    if (oldest != UINT64_MAX && oldest <= seq)
        seq = oldest - 1;
    journal_set_checkpoint(&store->journal, seq);
    journal_kick(&store->journal);
}

void checkpoint_abandon(struct odk_store *store)
{
    list_each(node, &store->checkpoints) {
        struct checkpoint *c = list_entry(node, struct checkpoint, link);
        put_abandon(&c->put);
        if (c->folder >= 0)
            (void)store->io->ops->close(store->io, c->folder);
        list_remove(&c->link);
        free(c);
    }
}
