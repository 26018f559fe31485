#include "store/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/uuid.h"
#include "base/units.h"
#include "store/format.h"
#include "store/journal_files.h"
#include "store/layout.h"
#include "store/recover.h"

#define LOCK_TRIES         6
#define LOCK_RETRY_MS      50
#define REDO_BYTES_DEFAULT MIB(128)
#define REDO_FILES_DEFAULT 768u /* below the smallest usual limit of descriptors, 1024 */

/* -- taking the directory ------------------------------------------------------------------------------------------ */

static enum odk_err folder_sync(struct odk_boot *boot, const char *path)
{
    int32_t folder = boot->io->ops->open(boot->io, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (folder < 0)
        return FAIL(boot->diag, odk_err_from_errno(folder), "%s: cannot be opened: %s", path, strerror(-folder));
    enum odk_err err = odk_io_sync_now(boot->io, folder);
    (void)boot->io->ops->close(boot->io, folder);
    return err == ODK_OK ? ODK_OK : FAIL(boot->diag, err, "%s: cannot be synced: %s", path, odk_err_text(err));
}

static enum odk_err folder_make(struct odk_boot *boot, const char *path)
{
    int32_t made = boot->io->ops->mkdir(boot->io, path);
    if (made < 0 && made != -EEXIST)
        return FAIL(boot->diag, odk_err_from_errno(made), "%s: cannot be made: %s", path, strerror(-made));
    return ODK_OK;
}

/* A folder's own name becomes durable. Of the data directory also when an earlier start made it and got no further. */
static enum odk_err directory_settle(struct odk_boot *boot, const char *path)
{
    char parent[LAYOUT_PATH_MAX];
    if (!layout_path(parent, "%s", path))
        return ODK_ERR_INVALID;
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    return folder_sync(boot, slash ? parent : ".");
}

/* The data directory, and what is missing above it: what cannot be made there is told when the next one is made. */
static enum odk_err directory_make(struct odk_boot *boot)
{
    char path[LAYOUT_PATH_MAX];
    enum odk_err err = ODK_OK;
    if (!layout_path(path, "%s", boot->dir))
        return FAIL(boot->diag, ODK_ERR_INVALID, "data directory: name too long");
    for (char *slash = strchr(path + 1, '/'); slash && err == ODK_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (boot->io->ops->mkdir(boot->io, path) == 0)
            err = directory_settle(boot, path);
        *slash = '/';
    }
    return err == ODK_OK ? folder_make(boot, boot->dir) : err;
}

/* A killed process may hold its lock until its last operations have finished. */
static enum odk_err directory_lock(struct odk_boot *boot)
{
    struct odk_io *io = boot->io;
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" FORMAT_LOCK_NAME, boot->dir))
        return FAIL(boot->diag, ODK_ERR_INVALID, "data directory: name too long");
    boot->lock = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    if (boot->lock < 0)
        return FAIL(boot->diag, odk_err_from_errno(boot->lock), "%s: cannot be opened: %s", path,
                    strerror(-boot->lock));
    for (int i = 0; i < LOCK_TRIES; i++) {
        int32_t result = io->ops->lock(io, boot->lock);
        if (result == 0)
            return ODK_OK;
        if (result != -EWOULDBLOCK && result != -EAGAIN)
            return FAIL(boot->diag, odk_err_from_errno(result), "%s: cannot be locked: %s", path, strerror(-result));
        uint64_t until_ns = deadline_after_ms(io->ops->mono_ns(io), LOCK_RETRY_MS);
        while (io->ops->mono_ns(io) < until_ns)
            io->ops->run(io, until_ns);
    }
    return FAIL(boot->diag, ODK_ERR_BUSY, "%s: held by another process", path);
}

static bool direct_works(struct odk_boot *boot)
{
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" FORMAT_LOCK_NAME, boot->dir))
        return false;
    int32_t file = boot->io->ops->open(boot->io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_DIRECT);
    if (file >= 0)
        (void)boot->io->ops->close(boot->io, file);
    return file >= 0;
}

/* -- who it is ----------------------------------------------------------------------------------------------------- */

static void random_bytes(struct odk_boot *boot, void *dst, size_t len)
{
    boot->io->ops->random(boot->io, dst, len);
}

static struct odk_uuid uuid_new(struct odk_boot *boot)
{
    struct odk_uuid id;
    do {
        random_bytes(boot, id.b, sizeof(id.b));
        id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40); /* version 4, as Kafka's */
        id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    } while (odk_uuid_is_zero(id));
    return id;
}

static uint64_t incarnation_new(struct odk_boot *boot)
{
    uint64_t incarnation = 0;
    while (incarnation == 0)
        random_bytes(boot, &incarnation, sizeof(incarnation));
    return incarnation;
}

static enum odk_err state_load(struct odk_boot *boot, bool *ret_new)
{
    enum odk_err err = boot_state_load(boot->io, boot->diag, boot->dir, &boot->state);
    *ret_new = err == ODK_ERR_NOT_FOUND;
    if (err != ODK_ERR_NOT_FOUND)
        return err;
    bool any_journal = false;
    err = recover_has_journal(boot->io, boot->dir, &any_journal);
    if (err != ODK_OK)
        return FAIL(boot->diag, err, "%s/" JOURNAL_FOLDER ": cannot be listed: %s", boot->dir, odk_err_text(err));
    if (any_journal)
        return FAIL(boot->diag, ODK_ERR_CORRUPT, "%s/" LAYOUT_STATE_NAME ": missing, but there is a journal", boot->dir);
    boot->state = (struct boot_state){ .cluster_id = uuid_new(boot), .directory_id = uuid_new(boot) };
    return ODK_OK;
}

/* Takes the marker away, durably, before anything is written: what it says becomes a floor. */
static enum odk_err marker_retire(struct odk_boot *boot)
{
    char path[LAYOUT_PATH_MAX], known[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" LAYOUT_MARKER_NAME, boot->dir) ||
        !layout_path(known, "%s/" LAYOUT_KNOWN_NAME, boot->dir))
        return ODK_ERR_INVALID;
    int32_t result = boot->clean ? boot->io->ops->rename(boot->io, path, known)
                                 : boot->io->ops->unlink(boot->io, path);
    if (result == -ENOENT && !boot->clean)
        return ODK_OK;
    if (result < 0)
        return FAIL(boot->diag, odk_err_from_errno(result), "%s: cannot be %s: %s", path,
                    boot->clean ? "renamed" : "removed", strerror(-result));
    return folder_sync(boot, boot->dir);
}

static enum odk_err marker_take(struct odk_boot *boot)
{
    enum odk_err err = known_load_marker(&boot->known, boot->io, boot->dir, boot->state.incarnation);
    boot->clean = err == ODK_OK;
    if (err != ODK_OK && err != ODK_ERR_NOT_FOUND)
        return FAIL(boot->diag, err, "%s/" LAYOUT_MARKER_NAME ": cannot be read: %s", boot->dir, odk_err_text(err));
    err = boot->clean ? ODK_ERR_NOT_FOUND : known_load_floors(&boot->known, boot->io, boot->dir);
    if (err != ODK_OK && err != ODK_ERR_NOT_FOUND)
        return FAIL(boot->diag, err, "%s/" LAYOUT_KNOWN_NAME ": cannot be read: %s", boot->dir, odk_err_text(err));
    return marker_retire(boot);
}

/* -- what it holds ------------------------------------------------------------------------------------------------- */

struct listing {
    struct odk_boot *boot;
    struct known fresh; /* folders the marker does not know */
};

static void doomed_add(struct odk_boot *boot, const char *name)
{
    struct boot_folder *folder = xcalloc(1, sizeof(*folder));
    folder->name = xstrndup(name, strlen(name));
    folder->next = boot->doomed;
    boot->doomed = folder;
}

static void listing_on_entry(void *context, const char *name, bool is_directory)
{
    struct listing *listing = context;
    struct odk_str text = odk_str_from(name);
    const size_t suffix = sizeof(FORMAT_FOLDER_DELETE_SUFFIX) - 1;
    if (!is_directory)
        return;
    if (text.len > suffix && strcmp(name + text.len - suffix, FORMAT_FOLDER_DELETE_SUFFIX) == 0) {
        doomed_add(listing->boot, name);
        return;
    }
    if (!layout_name_ok(text))
        return;
    struct known_log *log = known_find(&listing->boot->known, text);
    if (log)
        log->has_folder = true;
    else
        known_add(&listing->fresh, &(struct known_log){ .has_folder = true }, text);
}

/* The log whose folder was renamed to that name for its deletion, if a floor is known of it. */
static struct known_log *floor_of_doomed(struct odk_boot *boot, const char *folder)
{
    const size_t behind = 1 + UUID_TEXT_LEN + sizeof(FORMAT_FOLDER_DELETE_SUFFIX) - 1;
    size_t len = strlen(folder);
    if (len <= behind)
        return NULL;
    struct known_log *log = known_find(&boot->known, (struct odk_str){ .data = folder, .len = len - behind });
    char doomed[LAYOUT_NAME_MAX + 1];
    if (!log || !log->has_floor || log->has_folder)
        return NULL;
    layout_doomed_print(odk_str_from(log->name), log->id, doomed);
    return strcmp(doomed, folder) == 0 ? log : NULL;
}

/* A deletion that the journal held was finished by the redo, though its caller may never have heard of it: nothing is
 * expected of that log any more. The renamed folder is the witness until it is emptied, and that comes later. */
static enum odk_err floors_of_deleted_drop(struct odk_boot *boot)
{
    bool any = false;
    for (const struct boot_folder *folder = boot->doomed; folder; folder = folder->next) {
        struct known_log *log = floor_of_doomed(boot, folder->name);
        if (!log)
            continue;
        log->has_floor = false;
        any = true;
    }
    if (!any)
        return ODK_OK;
    enum odk_err err = known_save_floors(&boot->known, boot->io, boot->dir);
    return err == ODK_OK ? ODK_OK
                         : FAIL(boot->diag, err, "%s/" LAYOUT_KNOWN_NAME ": cannot be written: %s", boot->dir,
                                odk_err_text(err));
}

static enum odk_err folders_list(struct odk_boot *boot)
{
    known_sort(&boot->known);
    struct listing listing = { .boot = boot };
    int32_t result = boot->io->ops->list(boot->io, boot->dir, listing_on_entry, &listing);
    for (uint32_t i = 0; i < listing.fresh.count; i++) {
        struct known_log *log = &listing.fresh.logs[i];
        known_add(&boot->known, log, odk_str_from(log->name));
    }
    known_deinit(&listing.fresh);
    if (result < 0)
        return FAIL(boot->diag, odk_err_from_errno(result), "%s: cannot be listed: %s", boot->dir, strerror(-result));
    known_sort(&boot->known);
    for (uint32_t i = 0; i < boot->known.count; i++) {
        const struct known_log *log = &boot->known.logs[i];
        if (log->has_state && !log->has_folder && log->total_size > 0)
            return FAIL(boot->diag, ODK_ERR_CORRUPT, "%s/%s: missing, although it held %llu bytes at the last stop",
                        boot->dir, log->name, (unsigned long long)log->total_size);
    }
    return floors_of_deleted_drop(boot);
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static enum odk_err boot_recover(struct odk_boot *boot, const struct odk_boot_options *options)
{
    struct recover_options recover = {
        .io = boot->io,
        .diag = boot->diag,
        .dir = boot->dir,
        .incarnation = boot->state.incarnation,
        .direct = boot->direct,
        .run_bytes_max = options->redo_bytes_max ? options->redo_bytes_max : REDO_BYTES_DEFAULT,
        .files_max = options->redo_files_max ? options->redo_files_max : REDO_FILES_DEFAULT,
    };
    return recover_run(&recover, &boot->redone_bytes);
}

/* From here on every block of an earlier life is void. */
static enum odk_err boot_begin_life(struct odk_boot *boot, bool is_new)
{
    boot->state.incarnation = incarnation_new(boot);
    if (!boot->clean && !is_new)
        boot->state.leader_epoch++;
    enum odk_err err = boot_state_save(boot->io, boot->dir, &boot->state);
    if (err != ODK_OK)
        return FAIL(boot->diag, err, "%s/" LAYOUT_STATE_NAME ": cannot be written: %s", boot->dir, odk_err_text(err));
    if (boot->clean)
        return ODK_OK;
    err = recover_drop_journal(boot->io, boot->diag, boot->dir);
    boot->clean = is_new;
    return err;
}

static enum odk_err boot_start(struct odk_boot *boot, const struct odk_boot_options *options)
{
    bool is_new;
    char journal[LAYOUT_PATH_MAX];
    if (!layout_path(journal, "%s/" JOURNAL_FOLDER, boot->dir))
        return ODK_ERR_INVALID;
    enum odk_err err = directory_make(boot);
    if (err == ODK_OK)
        err = directory_lock(boot);
    if (err == ODK_OK)
        err = state_load(boot, &is_new);
    if (err != ODK_OK)
        return err;
    boot->direct = direct_works(boot);
    if (!boot->direct)
        DIAG_INFO(boot->diag, "%s: the file system refuses O_DIRECT; files are written through the page cache",
                  boot->dir);
    boot->state.node_id = options->node_id;
    err = is_new ? directory_settle(boot, boot->dir) : marker_take(boot);
    if (err == ODK_OK && !is_new && !boot->clean)
        err = boot_recover(boot, options);
    if (err == ODK_OK)
        err = folder_make(boot, journal);
    if (err == ODK_OK)
        err = boot_begin_life(boot, is_new);
    return err == ODK_OK ? folders_list(boot) : err;
}

static void boot_free(struct odk_boot *boot)
{
    for (struct boot_part *part = atomic_load(&boot->parts); part;) {
        struct boot_part *next = part->next;
        known_deinit(&part->logs);
        free(part);
        part = next;
    }
    for (struct boot_folder *folder = boot->doomed; folder;) {
        struct boot_folder *next = folder->next;
        free(folder->name);
        free(folder);
        folder = next;
    }
    known_deinit(&boot->known);
    if (boot->lock >= 0)
        (void)boot->io->ops->close(boot->io, boot->lock);
    free(boot->dir);
    free(boot);
}

enum odk_err odk_boot_open(const struct odk_boot_options *options, struct odk_boot **ret_boot)
{
    struct odk_boot *boot = xcalloc(1, sizeof(*boot));
    boot->io = options->io;
    boot->diag = options->diag;
    boot->dir = xstrndup(options->dir, strlen(options->dir));
    boot->lock = -1;
    enum odk_err err = boot_start(boot, options);
    if (err != ODK_OK) {
        boot_free(boot);
        return err;
    }
    *ret_boot = boot;
    return ODK_OK;
}

void odk_boot_info(const struct odk_boot *boot, struct odk_boot_info *ret)
{
    *ret = (struct odk_boot_info){
        .cluster_id = boot->state.cluster_id,
        .directory_id = boot->state.directory_id,
        .leader_epoch = boot->state.leader_epoch,
        .clean = boot->clean,
        .direct = boot->direct,
        .redone_bytes = boot->redone_bytes,
    };
}

void boot_leave(struct odk_boot *boot, struct boot_part *part)
{
    part->next = atomic_load(&boot->parts);
    while (!atomic_compare_exchange_weak(&boot->parts, &part->next, part))
        continue;
}

/* Logs of this life, and those of the last one that nobody has opened. */
static enum odk_err marker_write(struct odk_boot *boot)
{
    struct known all = { 0 };
    for (const struct boot_part *part = atomic_load(&boot->parts); part; part = part->next) {
        for (uint32_t i = 0; i < part->logs.count; i++)
            known_add(&all, &part->logs.logs[i], odk_str_from(part->logs.logs[i].name));
    }
    for (uint32_t i = 0; i < boot->known.count; i++) {
        const struct known_log *log = &boot->known.logs[i];
        if (log->has_state && !log->taken)
            known_add(&all, log, odk_str_from(log->name));
        else if (log->has_floor && !log->taken && log->has_folder) /* without one, and wanted by nobody: deleted */
            known_add_floor(&all, log);
    }
    known_sort(&all);
    enum odk_err err = known_save_marker(&all, boot->io, boot->dir, boot->state.incarnation);
    if (err != ODK_OK)
        err = FAIL(boot->diag, err, "%s/" LAYOUT_MARKER_NAME ": cannot be written: %s", boot->dir, odk_err_text(err));
    known_deinit(&all);
    return err;
}

enum odk_err odk_boot_close(struct odk_boot *boot, bool clean)
{
    enum odk_err err = clean ? marker_write(boot) : ODK_OK;
    boot_free(boot);
    return err;
}
