/*
 * The end of a log.
 *
 *   JOURNAL  DELETE goes into the journal
 *   COMMIT   it is durable; jobs of the log come to their end
 *   RENAME   its folder gets the name NAME.ID-delete; the caller is told
 *   ROOT     that name is made durable, then the journal may forget the deletion
 *   EMPTY    files are removed, a few per turn, then the folder
 *
 * A folder found under such a name at start-up begins at EMPTY. A log that never reached the disk or the journal has
 * nothing to delete.
 */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "store/format.h"
#include "store/log.h"

#define FILES_PER_RUN 16u

enum removal_state { REMOVAL_JOURNAL, REMOVAL_COMMIT, REMOVAL_RENAME, REMOVAL_ROOT, REMOVAL_EMPTY };

struct removal {
    struct list link;
    enum removal_state state;
    struct odk_store *store;
    struct odk_log *log; /* NULL from EMPTY on */
    char *name;          /* of the log */
    char *folder;        /* the new name */
    uint64_t seq;
    struct timer dirty;
    struct odk_io_op sync;
    int32_t root;
    bool busy;
    char **files;
    uint32_t file_count;
    bool listed;
    void (*done)(void *context, enum odk_err err);
    void *context;
};

static void dirty_on_time(struct timer *timer, uint64_t now_ns)
{
    (void)timer;
    (void)now_ns;
    UNREACHABLE();
}

static void removal_free(struct removal *removal)
{
    list_remove(&removal->link);
    for (uint32_t i = 0; i < removal->file_count; i++)
        free(removal->files[i]);
    free(removal->files);
    free(removal->name);
    free(removal->folder);
    free(removal);
}

static struct removal *removal_new(struct odk_store *store, enum removal_state state)
{
    struct removal *removal = xcalloc(1, sizeof(*removal));
    removal->store = store;
    removal->state = state;
    removal->root = -1;
    removal->dirty.fire = dirty_on_time;
    list_push_back(&store->removals, &removal->link);
    return removal;
}

void removal_adopt(struct odk_store *store)
{
    if (store->shard != 0)
        return;
    for (struct boot_folder *folder = store->boot->doomed; folder;) {
        struct boot_folder *next = folder->next;
        struct removal *removal = removal_new(store, REMOVAL_EMPTY);
        removal->folder = folder->name;
        free(folder);
        folder = next;
    }
    store->boot->doomed = NULL;
}

bool removal_pending(const struct odk_store *store, const char *name)
{
    list_each(node, &store->removals) {
        const struct removal *removal = list_entry(node, struct removal, link);
        if (removal->state <= REMOVAL_RENAME && strcmp(removal->name, name) == 0)
            return true;
    }
    return false;
}

void odk_log_delete(struct odk_log *log, void (*done)(void *context, enum odk_err err), void *context)
{
    struct odk_store *store = log->store;
    ASSERT(!log->deleted);
    struct removal *removal = removal_new(store, REMOVAL_JOURNAL);
    removal->log = log;
    removal->name = xstrndup(log->name, log->name_len);
    char folder[LAYOUT_NAME_MAX + 1];
    layout_doomed_print((struct odk_str){ .data = log->name, .len = log->name_len }, log->id, folder);
    removal->folder = xstrndup(folder, strlen(folder));
    removal->done = done;
    removal->context = context;
    log_hold(log);
    log->deleted = true;
    timer_cancel(&store->quiet, &log->quiet);
    list_remove(&log->link);
    list_push_back(&store->gone, &log->link);
    store->log_count--;
    if (log->moved)
        log->moved(log->moved_context);
    log->moved = NULL;
}

/* -- steps: true when the state has changed ------------------------------------------------------------------------ */

static bool step_journal(struct removal *removal)
{
    struct odk_store *store = removal->store;
    struct odk_log *log = removal->log;
    if (store->err != ODK_OK)
        return false;
    if (!journal_room(&store->journal, log->name_len, 0))
        return false;
    struct journal_name name = log_journal_name(log);
    struct journal_entry entry = { .type = JOURNAL_DELETE };
    removal->seq = journal_add(&store->journal, &name, &entry);
    timer_arm(&store->dirty, &removal->dirty, removal->seq);
    removal->state = REMOVAL_COMMIT;
    return false; /* the next step comes with the commit */
}

static bool step_rename(struct removal *removal)
{
    struct odk_store *store = removal->store;
    struct odk_log *log = removal->log;
    char from[LAYOUT_PATH_MAX], to[LAYOUT_PATH_MAX];
    if (log->body) { /* what waits for a spill that will not come */
        log_wait_on_spilled(log);
        checkpoint_on_spilled(log);
    }
    if (log->body && (log->body->spilling || log->body->checkpointing))
        return false;
    if (!log_folder(log, from) || !layout_path(to, "%s/%s", store->dir, removal->folder))
        return false;
    int32_t result = store->io->ops->rename(store->io, from, to);
    enum odk_err err = result < 0 && result != -ENOENT ? odk_err_from_errno(result) : ODK_OK;
    if (err != ODK_OK)
        DIAG_ERROR(store->diag, "%s: cannot be renamed: %s; it goes at the next start", from, strerror(-result));
    timer_cancel(&store->dirty, &log->dirty);
    removal->state = err == ODK_OK ? REMOVAL_ROOT : REMOVAL_EMPTY;
    removal->listed = err != ODK_OK; /* nothing to empty */
    if (err != ODK_OK)
        store_keep(store, &removal->dirty);
    store->root_dirty_no++;
    removal->log = NULL;
    if (removal->done)
        removal->done(removal->context, ODK_OK);
    log_unhold(log);
    return true;
}

static void root_on_synced(struct odk_io_op *op, int32_t result)
{
    struct removal *removal = container_of(op, struct removal, sync);
    struct odk_store *store = removal->store;
    (void)store->io->ops->close(store->io, removal->root);
    removal->root = -1;
    removal->busy = false;
    removal->state = REMOVAL_EMPTY;
    if (result < 0) {
        DIAG_ERROR(store->diag, "%s: cannot be synced: %s", store->dir, strerror(-result));
        store_keep(store, &removal->dirty); /* the next start repeats the deletion */
        return;
    }
    timer_cancel(&store->dirty, &removal->dirty);
    checkpoint_advance(store);
}

static bool step_root(struct removal *removal)
{
    struct odk_store *store = removal->store;
    if (removal->busy)
        return false;
    removal->root = store->io->ops->open(store->io, store->dir, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (removal->root < 0)
        return false; /* no handle: the next turn */
    removal->busy = true;
    removal->sync.done = root_on_synced;
    store->io->ops->sync(store->io, &removal->sync, removal->root);
    return false;
}

static void files_on_entry(void *context, const char *name, bool is_directory)
{
    struct removal *removal = context;
    if (is_directory)
        return;
    removal->files = xrealloc(removal->files, (removal->file_count + 1) * sizeof(char *));
    removal->files[removal->file_count++] = xstrndup(name, strlen(name));
}

/* True when there is nothing more to do for now; it may be gone. */
static bool step_empty(struct removal *removal)
{
    struct odk_store *store = removal->store;
    char path[LAYOUT_PATH_MAX];
    if (!removal->listed) {
        removal->listed = true;
        if (layout_path(path, "%s/%s", store->dir, removal->folder))
            (void)store->io->ops->list(store->io, path, files_on_entry, removal); /* what stays goes at the next start */
    }
    for (uint32_t i = 0; i < FILES_PER_RUN && removal->file_count > 0; i++) {
        char *name = removal->files[--removal->file_count];
        if (layout_path(path, "%s/%s/%s", store->dir, removal->folder, name))
            (void)store->io->ops->unlink(store->io, path);
        free(name);
    }
    if (removal->file_count > 0)
        return false;
    if (layout_path(path, "%s/%s", store->dir, removal->folder))
        (void)store->io->ops->unlink(store->io, path);
    removal_free(removal);
    return true;
}

void removal_committed(struct odk_store *store, uint64_t seq)
{
    if (store->err != ODK_OK)
        return; /* its caller has been told otherwise; the next start finishes what the journal holds */
    list_each(node, &store->removals) {
        struct removal *removal = list_entry(node, struct removal, link);
        if (removal->state != REMOVAL_COMMIT || removal->seq > seq)
            continue;
        removal->state = REMOVAL_RENAME;
        removal->log->doomed = true;
        list_remove(&removal->log->spill);
    }
}

bool removal_run(struct odk_store *store)
{
    bool again = false;
    list_each(node, &store->removals) {
        struct removal *removal = list_entry(node, struct removal, link);
        switch (removal->state) {
        case REMOVAL_JOURNAL: again |= step_journal(removal); break;
        case REMOVAL_COMMIT: break;
        case REMOVAL_RENAME:
            if (step_rename(removal))
                return true; /* the callback may have changed the list */
            break;
        case REMOVAL_ROOT: again |= step_root(removal); break;
        case REMOVAL_EMPTY: again |= !step_empty(removal); break;
        }
    }
    journal_kick(&store->journal);
    return again;
}

void removal_abandon(struct odk_store *store)
{
    list_each(node, &store->removals) {
        struct removal *removal = list_entry(node, struct removal, link);
        if (removal->root >= 0)
            (void)store->io->ops->close(store->io, removal->root);
        removal_free(removal);
    }
}

void removal_abort(struct odk_store *store, enum odk_err err)
{
    list_each(node, &store->removals) {
        struct removal *removal = list_entry(node, struct removal, link);
        void (*done)(void *context, enum odk_err err) = removal->done;
        if (removal->state > REMOVAL_COMMIT)
            continue;
        removal->done = NULL;
        if (done)
            done(removal->context, err);
    }
}

bool removal_is_settled(const struct odk_store *store)
{
    list_each(node, &store->removals) {
        if (list_entry(node, struct removal, link)->state != REMOVAL_EMPTY)
            return false;
    }
    return true;
}
