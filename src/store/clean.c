/*
 * Compaction of one log: first the keys of what is dirty go into a map, then groups of neighbouring segments, oldest
 * first, are written again without what the map says is superseded.
 *
 *   NOTE_FIRST  cleaner-offset-checkpoint exists: from now on the log may be smaller than it was
 *   MAP         keys of the dirty segments -> map
 *   COPY        a group -> BASE.log.cleaned
 *   SYNC        its data
 *   NAMES       the folder: that file, and everything that checkpoints have written
 *   JOURNAL     CLEAN: the journal's entries below the group's end are void (they are in synced files)
 *   COMMIT      renamed to BASE-END.swap; the folder is synced: from here on a start takes it for the group
 *   SWITCH      readers get the new segment; the group's other files go; the folder is synced
 *   SETTLE      renamed over BASE.log; the folder is synced                                -> COPY of the next group
 *   NOTE_LAST   cleaner-offset-checkpoint: where the dirty part begins now
 *
 * (C1) A segment is never empty: of a group that has lost everything the last batch's header stays. Reads do not show it.
 * (C2) A mark gets its horizon in the pass that removes what it deletes, and groups are swapped oldest first: where the
 *      mark may go, what it deletes has gone.
 * (C3) Only segments that are settled (filed, synced) and whose log has no checkpoint under way are exchanged.
 * (C4) While a log is cleaned none of its segments is removed, and nothing but appends changes the row of them.
 * (C5) What follows a segment that is exchanged is durable, and in the journal or in a file, when CLEAN is.
 *
 * One pass per store at a time, in slices; the files are read and written in the background.
 */
#include "store/clean.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/clean_batch.h"
#include "store/format.h"
#include "store/put.h"
#include "store/store.h"

#define BYTES_PER_RUN   (256u << 10) /* opened in one turn, at least one batch */
#define WINDOW_BYTES    (1u << 20)   /* read and written at once; more for one larger batch */

enum clean_state {
    CLEAN_NOTE_FIRST,
    CLEAN_MAP,
    CLEAN_COPY,
    CLEAN_SYNC,
    CLEAN_NAMES,
    CLEAN_JOURNAL,
    CLEAN_COMMIT,
    CLEAN_SWITCH,
    CLEAN_SETTLE,
    CLEAN_NOTE_LAST,
    CLEAN_DONE,
};

struct clean {
    struct list link; /* in store.cleans */
    struct odk_log *log;
    struct odk_clean *request; /* NULL: only a swap is to be finished */
    enum clean_state state;
    bool busy; /* an operation is in flight */
    bool synced; /* of COMMIT, SWITCH and SETTLE: the folder */
    struct odk_io_op op;
    struct odk_io_write write;
    struct iovec iov;
    struct put put;
    int32_t folder;
    int32_t in_file;
    int32_t out_file;
    /* what is read: [base of in_segment, end of the pass) */
    struct segment *in_segment;
    uint64_t in_pos; /* of the window's first byte that is not used up */
    struct buffer {
        uint8_t *data;
        size_t capacity;
        size_t from, to; /* bytes in use */
    } in, out;
    struct clean_map map;
    struct clean_rules rules;
    struct clean_scratch scratch;
    /* the group */
    uint32_t group_count; /* segments */
    int64_t group_base;
    int64_t group_end;
    uint64_t group_bytes;
    struct segment *fresh; /* what the group becomes */
    bool in_row;           /* the log has it already */
    uint64_t journal_seq;
};

/* -- paths --------------------------------------------------------------------------------------------------------- */

static bool cleaned_path(const struct clean *c, char dst[LAYOUT_PATH_MAX])
{
    char folder[LAYOUT_PATH_MAX];
    return log_folder(c->log, folder) &&
           layout_segment(dst, folder, c->group_base, FORMAT_LOG_SUFFIX FORMAT_CLEANED_SUFFIX);
}

/* -- end ----------------------------------------------------------------------------------------------------------- */

static void file_close(struct clean *c, int32_t *file)
{
    if (*file >= 0)
        (void)c->log->store->io->ops->close(c->log->store->io, *file);
    *file = -1;
}

static void clean_free(struct clean *c)
{
    struct odk_store *store = c->log->store;
    file_close(c, &c->folder);
    file_close(c, &c->in_file);
    file_close(c, &c->out_file);
    put_abandon(&c->put);
    if (c->fresh && !c->in_row)
        segment_free(c->fresh, &store->files, &store->pool);
    clean_map_deinit(&c->map);
    clean_scratch_deinit(&c->scratch);
    free(c->in.data);
    free(c->out.data);
    list_remove(&c->link);
    free(c);
}

/* It is over. The files that it leaves are none that a start would take for something. */
static void clean_end(struct clean *c, enum odk_err err)
{
    struct odk_log *log = c->log;
    struct odk_clean *request = c->request;
    char path[LAYOUT_PATH_MAX];
    if (c->out_file >= 0 && !log->deleted && cleaned_path(c, path))
        (void)log->store->io->ops->unlink(log->store->io, path);
    log->body->cleaning = false;
    clean_free(c);
    if (request)
        request->done(request, err);
    log_unhold(log);
}

/* What failed is not tried again in this life, except for want of space. The log itself is whole. Returns false. */
static bool fail(struct clean *c, const char *what, enum odk_err err)
{
    struct odk_log *log = c->log;
    bool passes = c->state < CLEAN_COMMIT && (err == ODK_ERR_FULL || err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY);
    if (!passes)
        log->body->uncleanable = true;
    DIAG_WARN(log->store->diag, "%s/%s: compaction: %s: %s; %s", log->store->dir, log->name, what, odk_err_text(err),
              passes ? "it is tried again" : "the log is not compacted until a restart");
    clean_end(c, err);
    return false;
}

/* -- small steps --------------------------------------------------------------------------------------------------- */

/* Each step returns true when it has finished at once; else an operation is in flight, or it waits, or c is gone. */

static void folder_on_synced(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    file_close(c, &c->folder);
    if (result < 0)
        (void)fail(c, "the folder cannot be synced", odk_err_from_errno(result));
    else
        c->synced = true;
}

/* True once the folder has been synced in this state. */
static bool folder_sync(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    char folder[LAYOUT_PATH_MAX];
    if (c->synced) {
        c->synced = false;
        return true;
    }
    if (!log_folder(c->log, folder))
        return fail(c, "the folder's path is too long", ODK_ERR_INVALID);
    c->folder = io->ops->open(io, folder, ODK_IO_READ | ODK_IO_DIRECTORY);
    enum odk_err err = odk_err_from_errno(MIN(c->folder, 0));
    if (err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY)
        return false; /* the next turn */
    if (err != ODK_OK)
        return fail(c, "the folder cannot be opened", err);
    c->busy = true;
    c->op.done = folder_on_synced;
    io->ops->sync(io, &c->op, c->folder);
    return false;
}

static void note_on_put(struct put *put, enum odk_err err)
{
    struct clean *c = container_of(put, struct clean, put);
    c->busy = false;
    if (err != ODK_OK) {
        (void)fail(c, FORMAT_CLEANER_OFFSETS_NAME " cannot be written", err);
        return;
    }
    c->log->body->compacted = true;
    c->state++;
}

static bool note_put(struct clean *c, int64_t offset)
{
    char folder[LAYOUT_PATH_MAX], text[LAYOUT_START_MAX];
    struct odk_log *log = c->log;
    if (!log_folder(log, folder))
        return fail(c, "the folder's path is too long", ODK_ERR_INVALID);
    size_t len = layout_start_print((struct odk_str){ .data = log->name, .len = log->name_len }, offset, text);
    c->put.done = note_on_put;
    c->busy = true;
    enum odk_err err =
        put_start(&c->put, log->store->io, PUT_REPLACE, folder, FORMAT_CLEANER_OFFSETS_NAME, text, len, 0);
    if (err != ODK_OK) {
        c->busy = false;
        return fail(c, FORMAT_CLEANER_OFFSETS_NAME " cannot be written", err);
    }
    return false;
}

static bool step_note_first(struct clean *c)
{
    return c->log->body->compacted ? true : note_put(c, c->log->body->first_dirty);
}

static bool step_note_last(struct clean *c)
{
    c->log->body->first_dirty = MAX(c->log->body->first_dirty, c->rules.map_end);
    return note_put(c, c->log->body->first_dirty);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static uint32_t segment_idx(const struct log_body *body, int64_t base)
{
    uint32_t idx = log_segment_of(body, base);
    ASSERT(body->segments[idx]->base == base); /* C4 */
    return idx;
}

static enum odk_err in_open(struct clean *c, struct segment *segment)
{
    struct odk_io *io = c->log->store->io;
    char path[LAYOUT_PATH_MAX];
    file_close(c, &c->in_file);
    if (!log_segment_path(c->log, segment, FORMAT_LOG_SUFFIX, path))
        return ODK_ERR_INVALID;
    int32_t file = io->ops->open(io, path, ODK_IO_READ);
    if (file < 0)
        return odk_err_from_errno(file);
    c->in_file = file;
    c->in_segment = segment;
    c->in_pos = 0;
    c->in.from = c->in.to = 0;
    return ODK_OK;
}

static bool buffer_reserve(struct buffer *buffer, size_t need)
{
    if (buffer->capacity >= need)
        return true;
    uint8_t *grown = realloc(buffer->data, need);
    if (!grown)
        return false;
    buffer->data = grown;
    buffer->capacity = need;
    return true;
}

static void read_on_done(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    if (result <= 0)
        (void)fail(c, "a segment cannot be read", result < 0 ? odk_err_from_errno(result) : ODK_ERR_CORRUPT);
    else
        c->in.to += (size_t)result;
}

/* Brings more of the segment into the window, which then holds need bytes or is read again. */
static bool window_fill(struct clean *c, size_t need)
{
    struct odk_io *io = c->log->store->io;
    struct buffer *in = &c->in;
    if (in->from < in->to)
        memmove(in->data, in->data + in->from, in->to - in->from);
    in->to -= in->from;
    in->from = 0;
    if (!buffer_reserve(in, MAX(need, (size_t)WINDOW_BYTES)))
        return fail(c, "no memory to read with", ODK_ERR_MEMORY);
    uint64_t pos = c->in_pos + in->to;
    uint64_t len = MIN((uint64_t)(in->capacity - in->to), c->in_segment->size - pos);
    c->busy = true;
    c->op.done = read_on_done;
    io->ops->read(io, &c->op, c->in_file, in->data + in->to, (uint32_t)len, pos);
    return false;
}

/* The next whole batch of the segment. False: an operation is in flight, or c is gone. */
static bool batch_next(struct clean *c, struct odk_batch *ret, struct odk_bytes *ret_data)
{
    struct buffer *in = &c->in;
    size_t have = in->to - in->from;
    uint64_t left = c->in_segment->size - c->in_pos;
    if (have < ODK_BATCH_HEADER_BYTES && left >= ODK_BATCH_HEADER_BYTES)
        return window_fill(c, ODK_BATCH_HEADER_BYTES);
    if (odk_batch_decode(in->data + in->from, have, ret) != ODK_OK || odk_batch_bytes(ret) > left)
        return fail(c, "a segment holds what is no batch", ODK_ERR_CORRUPT);
    if (odk_batch_bytes(ret) > have)
        return window_fill(c, odk_batch_bytes(ret));
    *ret_data = (struct odk_bytes){ .data = in->data + in->from, .len = odk_batch_bytes(ret) };
    if (odk_batch_check_crc(*ret_data) != ODK_OK || ret->last_offset_delta < 0)
        return fail(c, "a batch is damaged", ODK_ERR_CORRUPT);
    return true;
}

static void batch_used(struct clean *c, size_t len)
{
    c->in.from += len;
    c->in_pos += len;
    c->request->bytes_read += len;
}

/* -- the map ------------------------------------------------------------------------------------------------------- */

/* The pass covers segments below request->up_to. */
static bool step_map(struct clean *c)
{
    struct log_body *body = c->log->body;
    for (size_t used = 0; c->rules.map_end < c->request->up_to;) {
        struct odk_batch batch;
        struct odk_bytes data;
        struct segment *segment = body->segments[log_segment_of(body, c->rules.map_end)];
        if (c->in_segment != segment || c->in_file < 0) {
            enum odk_err err = in_open(c, segment);
            if (err != ODK_OK)
                return fail(c, "a segment cannot be opened", err);
        }
        if (c->in_pos == segment->size) { /* what is left of its offsets was lost before */
            c->rules.map_end = log_segment_end(body, log_segment_of(body, segment->base));
            continue;
        }
        if (used > BYTES_PER_RUN || !batch_next(c, &batch, &data))
            return false;
        if (odk_batch_last_offset(&batch) >= c->log->body->first_dirty) {
            enum odk_err err = clean_note(&c->map, data);
            if (err == ODK_ERR_LIMIT)
                break; /* the rest is for the next pass */
            if (err != ODK_OK)
                return fail(c, "keys cannot be noted", err);
        }
        used += data.len;
        c->rules.map_end = MAX(c->rules.map_end, odk_batch_next_offset(&batch));
        batch_used(c, data.len);
    }
    c->in_segment = NULL;
    file_close(c, &c->in_file);
    if (c->rules.map_end <= body->first_dirty)
        return fail(c, "log.cleaner.dedupe.buffer.size has no room for the keys of one batch", ODK_ERR_LIMIT);
    return true;
}

/* -- groups -------------------------------------------------------------------------------------------------------- */

static bool is_settled(const struct segment *segment)
{
    return segment->sealed && !segment->dirty && segment->tail.filed == segment->tail.end &&
           segment->synced == segment->tail.end;
}

/* The next group: neighbours from base on that make one segment. False: there is none left. */
static bool group_choose(struct clean *c, int64_t base)
{
    const struct log_body *body = c->log->body;
    const struct odk_log_config *config = &c->log->config;
    uint32_t first = log_segment_of(body, base);
    uint64_t bytes = 0;
    c->group_count = 0;
    for (uint32_t i = first; i + 1 < body->count; i++) {
        const struct segment *segment = body->segments[i];
        int64_t end = log_segment_end(body, i);
        uint64_t entries = (bytes + segment->size) / (uint64_t)MAX(config->index_interval_bytes, 1) + 2;
        bool fits = bytes + segment->size <= (uint64_t)config->segment_bytes &&
                    end - body->segments[first]->base <= INT32_MAX &&
                    entries * FORMAT_TIME_ENTRY_BYTES <= (uint64_t)config->segment_index_bytes;
        if (segment->base >= c->rules.map_end || (c->group_count > 0 && !fits))
            break;
        bytes += segment->size;
        c->group_count++;
        c->group_end = end;
    }
    c->group_base = body->segments[first]->base;
    c->group_bytes = bytes;
    return c->group_count > 0;
}

static bool group_open(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    char path[LAYOUT_PATH_MAX];
    if (!cleaned_path(c, path))
        return fail(c, "the path is too long", ODK_ERR_INVALID);
    c->out_file = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    int32_t result = c->out_file < 0 ? c->out_file : io->ops->truncate(io, c->out_file, 0);
    if (result < 0)
        return fail(c, "a new segment cannot be made", odk_err_from_errno(result));
    c->out.from = c->out.to = 0;
    c->fresh = segment_new(c->group_base, 0);
    c->fresh->in_memory = true;
    enum odk_err err = in_open(c, c->log->body->segments[segment_idx(c->log->body, c->group_base)]);
    return err == ODK_OK ? true : fail(c, "a segment cannot be opened", err);
}

/* -- copying ------------------------------------------------------------------------------------------------------- */

static void write_on_done(struct odk_io_write *write, int64_t result)
{
    struct clean *c = container_of(write, struct clean, write);
    c->busy = false;
    if (result < 0) {
        (void)fail(c, "a new segment cannot be written", odk_err_from_errno((int32_t)result));
        return;
    }
    c->request->bytes_written += (uint64_t)result;
    c->out.to = 0;
}

static bool out_flush(struct clean *c)
{
    c->iov = (struct iovec){ .iov_base = c->out.data, .iov_len = c->out.to };
    c->write.done = write_on_done;
    c->busy = true;
    odk_io_write(c->log->store->io, &c->write, c->out_file, &c->iov, 1, c->fresh->size - c->out.to);
    return false;
}

static bool out_add(struct clean *c, struct odk_bytes data)
{
    struct odk_batch batch;
    if (!buffer_reserve(&c->out, MAX((size_t)WINDOW_BYTES, c->out.to + data.len)))
        return fail(c, "no memory to write with", ODK_ERR_MEMORY);
    if (odk_batch_decode(data.data, data.len, &batch) != ODK_OK || c->fresh->size + data.len > INT32_MAX)
        return fail(c, "a segment would become too large", ODK_ERR_TOO_LARGE);
    memcpy(c->out.data + c->out.to, data.data, data.len);
    c->out.to += data.len;
    segment_index(c->fresh, &batch, (uint32_t)c->fresh->size, (uint32_t)c->log->config.index_interval_bytes);
    c->fresh->size += data.len;
    return true;
}

/* The next segment of the group. False: there is none. */
static bool in_next(struct clean *c, enum odk_err *ret_err)
{
    const struct log_body *body = c->log->body;
    uint32_t idx = segment_idx(body, c->in_segment->base) + 1;
    *ret_err = ODK_OK;
    if (idx == segment_idx(body, c->group_base) + c->group_count)
        return false;
    *ret_err = in_open(c, body->segments[idx]);
    return *ret_err == ODK_OK;
}

static bool is_last_of_group(const struct clean *c)
{
    const struct log_body *body = c->log->body;
    return c->in_segment == body->segments[segment_idx(body, c->group_base) + c->group_count - 1];
}

static bool group_end(struct clean *c)
{
    if (c->out.to > 0)
        return out_flush(c);
    struct segment *fresh = c->fresh;
    segment_seal(fresh);
    fresh->synced = fresh->size;
    tail_init(&fresh->tail, fresh->size);
    fresh->on_disk = true;
    return true;
}

static bool step_copy(struct clean *c)
{
    if (!c->fresh && !group_open(c))
        return false;
    for (size_t used = 0;;) {
        struct odk_batch batch;
        struct odk_bytes data, out;
        enum odk_err err;
        if (c->out.to >= WINDOW_BYTES / 2)
            return out_flush(c);
        if (c->in_pos == c->in_segment->size) {
            if (in_next(c, &err))
                continue;
            return err == ODK_OK ? group_end(c) : fail(c, "a segment cannot be opened", err);
        }
        if (used > BYTES_PER_RUN || !batch_next(c, &batch, &data))
            return false;
        bool last = c->fresh->size == 0 && c->in_pos + data.len == c->in_segment->size && is_last_of_group(c); /* C1 */
        err = clean_batch(&c->rules, data, last, &c->scratch, &out);
        if (err != ODK_OK)
            return fail(c, "a batch cannot be written anew", err);
        if (out.len > 0 && !out_add(c, out))
            return false;
        used += data.len;
        batch_used(c, data.len);
    }
}

static void sync_on_done(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    if (result < 0)
        (void)fail(c, "a new segment cannot be synced", odk_err_from_errno(result));
    else
        c->state++;
}

static bool step_sync(struct clean *c)
{
    c->busy = true;
    c->op.done = sync_on_done;
    c->log->store->io->ops->sync(c->log->store->io, &c->op, c->out_file);
    return false;
}

/* -- exchanging ---------------------------------------------------------------------------------------------------- */

/* The log's checkpoints are done with what this pass exchanges. C3 */
static bool log_rests(const struct clean *c)
{
    const struct log_body *body = c->log->body;
    return !body->checkpointing && !body->spilling && !body->epochs_changed;
}

static bool step_names(struct clean *c)
{
    return (c->synced || log_rests(c)) && folder_sync(c);
}

static bool step_journal(struct clean *c)
{
    struct odk_log *log = c->log;
    struct journal *journal = &log->store->journal;
    if (c->journal_seq != 0)
        return c->journal_seq <= journal->committed_seq;
    if (!journal_room(journal, log->name_len, 0))
        return false;
    struct journal_name name = log_journal_name(log);
    struct journal_entry entry = { .type = JOURNAL_CLEAN, .offset = c->group_end };
    c->journal_seq = journal_add(journal, &name, &entry);
    journal_kick(journal);
    return false;
}

static bool step_commit(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    char from[LAYOUT_PATH_MAX], to[LAYOUT_PATH_MAX];
    if (c->out_file >= 0) {
        c->fresh->swap_end = c->group_end;
        if (!cleaned_path(c, from) || !log_segment_path(c->log, c->fresh, FORMAT_LOG_SUFFIX, to))
            return fail(c, "the path is too long", ODK_ERR_INVALID);
        int32_t result = io->ops->rename(io, from, to);
        if (result < 0)
            return fail(c, "a new segment cannot be renamed", odk_err_from_errno(result));
        file_close(c, &c->out_file);
    }
    return folder_sync(c);
}

/* False: something stays. */
static bool files_unlink(struct clean *c, const struct segment *segment, bool log_too)
{
    static const char *const suffixes[] = { FORMAT_INDEX_SUM_SUFFIX, FORMAT_OFFSET_INDEX_SUFFIX,
                                            FORMAT_TIME_INDEX_SUFFIX, FORMAT_LOG_SUFFIX };
    struct odk_io *io = c->log->store->io;
    bool gone = true;
    for (size_t i = 0; i < countof(suffixes) - !log_too; i++) {
        char path[LAYOUT_PATH_MAX];
        int32_t result = -ENAMETOOLONG;
        if (log_segment_path(c->log, segment, suffixes[i], path))
            result = io->ops->unlink(io, path);
        gone &= result == 0 || result == -ENOENT;
    }
    return gone;
}

/* One segment stands for the group's. Positions of older segments move up to it. */
static void row_exchange(struct log_body *body, uint32_t first, uint32_t count, struct segment *fresh)
{
    const struct segment *next = body->segments[first + count];
    fresh->begin = next->begin - fresh->size;
    uint64_t begin = fresh->begin;
    body->segments[first] = fresh;
    for (uint32_t i = first; i-- > 0;) {
        begin -= body->segments[i]->tail.end;
        body->segments[i]->begin = begin;
    }
    memmove(body->segments + first + 1, body->segments + first + count,
            (body->count - first - count) * sizeof(struct segment *));
    body->count -= count - 1;
}

/* False: files stay that must not be there when the swap ends. */
static bool group_switch(struct clean *c)
{
    struct odk_log *log = c->log;
    struct odk_store *store = log->store;
    struct log_body *body = log->body;
    uint32_t first = segment_idx(body, c->group_base);
    struct segment **gone = xcalloc(c->group_count, sizeof(struct segment *));
    memcpy(gone, body->segments + first, c->group_count * sizeof(struct segment *));
    row_exchange(body, first, c->group_count, c->fresh);
    c->in_row = true;
    bool tidy = true;
    for (uint32_t i = 0; i < c->group_count; i++) {
        tidy &= files_unlink(c, gone[i], i > 0);
        segment_free(gone[i], &store->files, &store->pool);
    }
    free(gone);
    if (!list_linked(&log->unindexed))
        list_push_back(&store->unindexed, &log->unindexed);
    c->group_count = 0;
    return tidy;
}

static bool step_switch(struct clean *c)
{
    if (c->group_count > 0) {
        if (!log_rests(c))
            return false;
        if (!group_switch(c))
            return fail(c, "an old segment cannot be removed", ODK_ERR_IO);
    }
    return folder_sync(c);
}

static bool step_settle(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    struct segment *fresh = c->fresh;
    char from[LAYOUT_PATH_MAX], to[LAYOUT_PATH_MAX];
    if (fresh->swap_end != 0) {
        int64_t swap_end = fresh->swap_end;
        bool fits = log_segment_path(c->log, fresh, FORMAT_LOG_SUFFIX, from);
        fresh->swap_end = 0;
        fits = fits && log_segment_path(c->log, fresh, FORMAT_LOG_SUFFIX, to);
        int32_t result = fits ? io->ops->rename(io, from, to) : -ENAMETOOLONG;
        if (result < 0) {
            fresh->swap_end = swap_end;
            return fail(c, "a new segment cannot be renamed", odk_err_from_errno(result));
        }
    }
    if (!folder_sync(c))
        return false;
    c->fresh = NULL;
    c->in_row = false;
    c->journal_seq = 0;
    return true;
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

/* Why it must end now, if so. What was begun to be exchanged is finished first, if at all possible. */
static enum odk_err must_end(const struct clean *c)
{
    const struct odk_log *log = c->log;
    if (log->deleted)
        return ODK_ERR_CLOSED;
    if (log->err == ODK_ERR_OFFLINE || log->store->err != ODK_OK)
        return ODK_ERR_OFFLINE;
    return log->store->closing && c->state < CLEAN_COMMIT ? ODK_ERR_CLOSED : ODK_OK;
}

static void next_state(struct clean *c)
{
    if (c->state != CLEAN_SETTLE) {
        if (c->state == CLEAN_MAP && !group_choose(c, c->log->body->start_offset))
            c->state = CLEAN_NOTE_LAST - 1;
        c->state++;
        return;
    }
    bool more = c->request && group_choose(c, c->group_end);
    c->state = more ? CLEAN_COPY : c->request ? CLEAN_NOTE_LAST : CLEAN_DONE;
}

/* Works until something is in flight, the budget is used up, or the end. True: there is more to do at once. */
static bool clean_step(struct clean *c)
{
    static bool (*const steps[])(struct clean *) = {
        [CLEAN_NOTE_FIRST] = step_note_first, [CLEAN_MAP] = step_map,         [CLEAN_COPY] = step_copy,
        [CLEAN_SYNC] = step_sync,             [CLEAN_NAMES] = step_names,     [CLEAN_JOURNAL] = step_journal,
        [CLEAN_COMMIT] = step_commit,         [CLEAN_SWITCH] = step_switch,   [CLEAN_SETTLE] = step_settle,
        [CLEAN_NOTE_LAST] = step_note_last,
    };
    struct odk_store *store = c->log->store;
    enum odk_err err = must_end(c);
    if (err != ODK_OK) {
        clean_end(c, err);
        return false;
    }
    if (c->state == CLEAN_DONE) {
        clean_end(c, ODK_OK);
        return false;
    }
    if (steps[c->state](c)) {
        next_state(c);
        return true;
    }
    /* c may be gone; if it is there, it works again in the next turn unless it waits for something. */
    return !list_empty(&store->cleans) && list_entry(store->cleans.next, struct clean, link) == c && !c->busy &&
           (c->state == CLEAN_MAP || c->state == CLEAN_COPY);
}

bool clean_run(struct odk_store *store)
{
    bool again = false;
    list_each(node, &store->cleans) {
        struct clean *c = list_entry(node, struct clean, link);
        if (!c->busy)
            again |= clean_step(c);
    }
    return again;
}

static struct clean *clean_new(struct odk_log *log, struct odk_clean *request)
{
    struct clean *c = xcalloc(1, sizeof(*c));
    c->log = log;
    c->request = request;
    c->folder = c->in_file = c->out_file = -1;
    log->body->cleaning = true;
    log_hold(log);
    list_push_back(&log->store->cleans, &c->link);
    return c;
}

/* Where a pass may end: at the active segment; before the last one below it while that is empty, because a start must not
 * take a compacted segment for the active one (C5); and at up_to. */
static int64_t pass_end(const struct log_body *body, int64_t up_to)
{
    const struct segment *limit = log_active(body);
    if (limit->size == 0 && body->count > 1)
        limit = body->segments[body->count - 2];
    return MIN(limit->base, up_to);
}

/* True when all segments below end are settled. Else a checkpoint will settle them soon: they are waited for, with that end,
 * however fast the log grows. A shorter pass would leave a rest that is no share worth another. */
static bool pass_settled(struct odk_log *log, int64_t end)
{
    struct log_body *body = log->body;
    uint32_t i = log_segment_of(body, body->start_offset);
    while (body->segments[i]->base < end && is_settled(body->segments[i]))
        i++;
    bool settled = body->segments[i]->base >= end;
    body->clean_wanted = settled ? 0 : end;
    if (!settled && !list_linked(&log->unindexed))
        list_push_back(&log->store->unindexed, &log->unindexed);
    return settled;
}

enum odk_err odk_log_clean(struct odk_log *log, struct odk_clean *request)
{
    struct odk_store *store = log->store;
    uint64_t seed;
    if (log->deleted || store->closing)
        return ODK_ERR_CLOSED;
    if (!log_use(log) || log->err != ODK_OK || store->err != ODK_OK)
        return log->err != ODK_OK ? log->err : ODK_ERR_OFFLINE;
    struct log_body *body = log->body;
    int64_t from = MAX(body->first_dirty, body->start_offset);
    int64_t wanted = body->clean_wanted > from ? MIN(request->up_to, body->clean_wanted) : request->up_to;
    request->up_to = pass_end(body, wanted);
    if (!list_empty(&store->cleans) || body->cleaning || body->uncleanable || request->up_to <= from ||
        !pass_settled(log, request->up_to))
        return ODK_ERR_BUSY;
    struct clean_map map;
    store->io->ops->random(store->io, &seed, sizeof(seed));
    enum odk_err err = clean_map_init(&map, (uint64_t)(request->up_to - from), request->map_bytes_max, seed);
    if (err != ODK_OK)
        return err;
    request->bytes_read = request->bytes_written = 0;
    body->first_dirty = from;
    struct clean *c = clean_new(log, request);
    c->map = map;
    c->rules = (struct clean_rules){ .map = &c->map,
                                     .map_end = from,
                                     .now_ms = request->now_ms,
                                     .delete_retention_ms = request->delete_retention_ms,
                                     .producers = &body->producers };
    return ODK_OK;
}

int64_t odk_log_dirty_offset(struct odk_log *log)
{
    if (!log_use(log) || log->err != ODK_OK || log->body->uncleanable || log->body->cleaning)
        return -1;
    return MAX(log->body->first_dirty, log->body->start_offset);
}

void clean_resume(struct odk_log *log, struct segment *segment)
{
    struct clean *c = clean_new(log, NULL);
    c->state = CLEAN_SWITCH;
    c->fresh = segment;
    c->in_row = true;
    c->group_base = segment->base;
    c->group_end = segment->swap_end;
}

bool clean_in_flight(const struct odk_store *store)
{
    list_each(node, &store->cleans) {
        if (list_entry(node, struct clean, link)->busy)
            return true;
    }
    return false;
}

void clean_abandon(struct odk_store *store)
{
    list_each(node, &store->cleans) {
        clean_free(list_entry(node, struct clean, link));
    }
}
