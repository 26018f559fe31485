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

#include <stdlib.h>

#include "base/diag.h"
#include "store/clean_internal.h"
#include "store/format.h"

/* -- paths --------------------------------------------------------------------------------------------------------- */

bool clean_path(const struct clean *c, char dst[LAYOUT_PATH_MAX])
{
    char folder[LAYOUT_PATH_MAX];
    return log_folder(c->log, folder) &&
           layout_segment(dst, folder, c->group_base, FORMAT_LOG_SUFFIX FORMAT_CLEANED_SUFFIX);
}

/* -- end ----------------------------------------------------------------------------------------------------------- */

void clean_file_close(struct clean *c, int32_t *file)
{
    if (*file >= 0)
        (void)c->log->store->io->ops->close(c->log->store->io, *file);
    *file = -1;
}

static void clean_free(struct clean *c)
{
    struct odk_store *store = c->log->store;
    clean_file_close(c, &c->folder);
    clean_file_close(c, &c->in_file);
    clean_file_close(c, &c->out_file);
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
    if (c->out_file >= 0 && !log->deleted && clean_path(c, path))
        (void)log->store->io->ops->unlink(log->store->io, path);
    log->body->cleaning = false;
    clean_free(c);
    if (request)
        request->done(request, err);
    log_unhold(log);
}

bool clean_fail(struct clean *c, const char *what, enum odk_err err)
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

/* -- notes --------------------------------------------------------------------------------------------------------- */

static void note_on_put(struct put *put, enum odk_err err)
{
    struct clean *c = container_of(put, struct clean, put);
    c->busy = false;
    if (err != ODK_OK) {
        (void)clean_fail(c, FORMAT_CLEANER_OFFSETS_NAME " cannot be written", err);
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
        return clean_fail(c, "the folder's path is too long", ODK_ERR_INVALID);
    size_t len = layout_start_print((struct odk_str){ .data = log->name, .len = log->name_len }, offset, text);
    c->put.done = note_on_put;
    c->busy = true;
    enum odk_err err =
        put_start(&c->put, log->store->io, PUT_REPLACE, folder, FORMAT_CLEANER_OFFSETS_NAME, text, len, 0);
    if (err != ODK_OK) {
        c->busy = false;
        return clean_fail(c, FORMAT_CLEANER_OFFSETS_NAME " cannot be written", err);
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
        if (c->state == CLEAN_MAP && !clean_group_choose(c, c->log->body->start_offset))
            c->state = CLEAN_NOTE_LAST - 1;
        c->state++;
        return;
    }
    bool more = c->request && clean_group_choose(c, c->group_end);
    c->state = more ? CLEAN_COPY : c->request ? CLEAN_NOTE_LAST : CLEAN_DONE;
}

/* Works until something is in flight, the budget is used up, or the end. True: there is more to do at once. */
static bool clean_step(struct clean *c)
{
    static bool (*const steps[])(struct clean *) = {
        [CLEAN_NOTE_FIRST] = step_note_first, [CLEAN_MAP] = clean_step_map,         [CLEAN_COPY] = clean_step_copy,
        [CLEAN_SYNC] = clean_step_sync,             [CLEAN_NAMES] = clean_step_names,     [CLEAN_JOURNAL] = clean_step_journal,
        [CLEAN_COMMIT] = clean_step_commit,         [CLEAN_SWITCH] = clean_step_switch,   [CLEAN_SETTLE] = clean_step_settle,
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

static bool is_settled(const struct segment *segment)
{
    return segment->sealed && !segment->dirty && segment->tail.filed == segment->tail.end &&
           segment->synced == segment->tail.end;
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
