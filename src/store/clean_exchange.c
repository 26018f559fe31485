/*
 * The second half of a pass (clean.c): a group's new file takes the place of its segments.
 */
#include "store/clean_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "store/format.h"

/* -- the folder ---------------------------------------------------------------------------------------------------- */

static void folder_on_synced(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    clean_file_close(c, &c->folder);
    if (result < 0)
        (void)clean_fail(c, "the folder cannot be synced", odk_err_from_errno(result));
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
        return clean_fail(c, "the folder's path is too long", ODK_ERR_INVALID);
    c->folder = io->ops->open(io, folder, ODK_IO_READ | ODK_IO_DIRECTORY);
    enum odk_err err = odk_err_from_errno(MIN(c->folder, 0));
    if (err == ODK_ERR_LIMIT || err == ODK_ERR_MEMORY)
        return false; /* the next turn */
    if (err != ODK_OK)
        return clean_fail(c, "the folder cannot be opened", err);
    c->busy = true;
    c->op.done = folder_on_synced;
    io->ops->sync(io, &c->op, c->folder);
    return false;
}

/* -- exchanging ---------------------------------------------------------------------------------------------------- */

/* The log's checkpoints are done with what this pass exchanges. C3 */
static bool log_rests(const struct clean *c)
{
    const struct log_body *body = c->log->body;
    return !body->checkpointing && !body->spilling && !body->epochs_changed;
}

bool clean_step_names(struct clean *c)
{
    return (c->synced || log_rests(c)) && folder_sync(c);
}

bool clean_step_journal(struct clean *c)
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

bool clean_step_commit(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    char from[LAYOUT_PATH_MAX], to[LAYOUT_PATH_MAX];
    if (c->out_file >= 0) {
        c->fresh->swap_end = c->group_end;
        if (!clean_path(c, from) || !log_segment_path(c->log, c->fresh, FORMAT_LOG_SUFFIX, to))
            return clean_fail(c, "the path is too long", ODK_ERR_INVALID);
        int32_t result = io->ops->rename(io, from, to);
        if (result < 0)
            return clean_fail(c, "a new segment cannot be renamed", odk_err_from_errno(result));
        clean_file_close(c, &c->out_file);
    }
    return folder_sync(c);
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
    uint32_t first = clean_segment_idx(body, c->group_base);
    struct segment **gone = xcalloc(c->group_count, sizeof(struct segment *));
    memcpy(gone, body->segments + first, c->group_count * sizeof(struct segment *));
    row_exchange(body, first, c->group_count, c->fresh);
    c->in_row = true;
    bool tidy = true;
    for (uint32_t i = 0; i < c->group_count; i++) {
        tidy &= log_segment_unlink(c->log, gone[i], i > 0);
        segment_free(gone[i], &store->files, &store->pool);
    }
    free(gone);
    if (!list_linked(&log->unindexed))
        list_push_back(&store->unindexed, &log->unindexed);
    c->group_count = 0;
    return tidy;
}

bool clean_step_switch(struct clean *c)
{
    if (c->group_count > 0) {
        if (!log_rests(c))
            return false;
        if (!group_switch(c))
            return clean_fail(c, "an old segment cannot be removed", ODK_ERR_IO);
    }
    return folder_sync(c);
}

bool clean_step_settle(struct clean *c)
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
            return clean_fail(c, "a new segment cannot be renamed", odk_err_from_errno(result));
        }
    }
    if (!folder_sync(c))
        return false;
    c->fresh = NULL;
    c->in_row = false;
    c->journal_seq = 0;
    return true;
}
