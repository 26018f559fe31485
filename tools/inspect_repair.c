/*
 * odradek inspect repair: what verify finds, as a plan, and on request the plan done.
 *
 *   indexes that are wrong      moved aside: they are made again from the batches
 *   snapshots, epochs, metadata that cannot be read     moved aside: an older one, the batches, or nothing takes their place
 *   a batch that is damaged or not whole      the segment is cut in front of it, later segments are moved aside; with them
 *                                             go the records, so this needs --lose-records
 *
 *   a log that holds less than at a clean stop      the stop's word is moved aside, so that it is served as it is; the same
 *
 * Nothing is deleted: what is moved, and the bytes that are cut off, are in a folder beside the data directory. While the
 * plan is done the directory's lock is held.
 */
#include <odradek/verify.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inspect.h"

#define PATH_BYTES  4200u
#define COPY_BYTES  (1u << 20)

enum action_kind { ACTION_MOVE, ACTION_CUT };

struct action {
    enum action_kind kind;
    char folder[256]; /* "" for the directory's own files */
    char file[256];
    int64_t position; /* of a cut */
    enum odk_finding_kind reason;
};

struct repair {
    struct inspect inspect;
    bool execute;
    bool lose_records;
    const char *aside;
    char aside_path[PATH_BYTES];
    struct odk_verify verify;
    struct action *actions;
    size_t count;
    size_t left;    /* findings of damage that no action helps with */
    bool loses;
    struct rows rows;
};

static const struct rows_column columns[] = {
    { "ACTION", "action", ROWS_TEXT, 6 },      { "FOLDER", "folder", ROWS_TEXT, 16 },
    { "FILE", "file", ROWS_TEXT, 34 },         { "POSITION", "position", ROWS_INT, 10 },
    { "LOSES-RECORDS", "loses_records", ROWS_BOOL, 13 }, { "REASON", "reason", ROWS_TEXT, 20 },
};

/* -- the plan ------------------------------------------------------------------------------------------------------ */

static bool is_cut(enum odk_finding_kind kind)
{
    return kind == ODK_FINDING_BATCH_HEADER || kind == ODK_FINDING_BATCH_CUT || kind == ODK_FINDING_BATCH_CRC;
}

static void action_add(struct repair *repair, enum action_kind kind, const char *folder, const char *file,
                       int64_t position, enum odk_finding_kind reason)
{
    for (size_t i = 0; i < repair->count; i++) {
        struct action *known = &repair->actions[i];
        if (strcmp(known->folder, folder) != 0 || strcmp(known->file, file) != 0)
            continue;
        if (known->kind == ACTION_CUT && kind == ACTION_CUT)
            known->position = MIN(known->position, position);
        return;
    }
    repair->actions = xrealloc(repair->actions, (repair->count + 1) * sizeof(*repair->actions));
    struct action *action = &repair->actions[repair->count++];
    *action = (struct action){ .kind = kind, .position = position, .reason = reason };
    (void)snprintf(action->folder, sizeof(action->folder), "%s", folder);
    (void)snprintf(action->file, sizeof(action->file), "%s", file);
}

static bool file_there(const struct repair *repair, const char *folder, const char *file)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", repair->inspect.data_dir, folder, file);
    int32_t handle = repair->inspect.io->ops->open(repair->inspect.io, path, ODK_IO_READ);
    if (handle >= 0)
        (void)repair->inspect.io->ops->close(repair->inspect.io, handle);
    return handle >= 0;
}

/* The indexes of a segment, those that there are. */
static void indexes_move(struct repair *repair, const char *folder, int64_t base, enum odk_finding_kind reason)
{
    static const char *const suffixes[] = { "index", "timeindex", "txnindex", "indexsum" };
    char file[64];
    for (size_t i = 0; i < countof(suffixes); i++) {
        (void)snprintf(file, sizeof(file), "%020lld.%s", (long long)base, suffixes[i]);
        if (file_there(repair, folder, file))
            action_add(repair, ACTION_MOVE, folder, file, -1, reason);
    }
}

struct behind {
    struct repair *repair;
    const struct odk_finding *finding;
};

/* Segments and snapshots that lie behind the damage. */
static void on_behind(void *context, const char *name, bool is_directory)
{
    const struct behind *behind = context;
    const struct odk_finding *finding = behind->finding;
    char *end = NULL;
    long long number = strtoll(name, &end, 10);
    if (is_directory || end != name + 20)
        return;
    bool snapshot = strcmp(end, ".snapshot") == 0 && finding->offset >= 0 && number > finding->offset;
    bool segment = number > finding->segment && strcmp(end, ".snapshot") != 0;
    if (snapshot || segment)
        action_add(behind->repair, ACTION_MOVE, finding->folder, name, -1, finding->kind);
}

static void on_wal(void *context, const char *name, bool is_directory)
{
    const struct behind *behind = context;
    if (!is_directory)
        action_add(behind->repair, ACTION_MOVE, "journal", name, -1, behind->finding->kind);
}

/* A clean stop's word on what the log holds no longer holds; without it the next start would ask the journal, which speaks
 * of what is cut off. Everything the journal holds is in the segments: the stop was clean. */
static void proofs_move(struct repair *repair, const struct odk_finding *finding)
{
    static const char *const proofs[] = { ".odradek_cleanshutdown", ".odradek_known", ".kafka_cleanshutdown" };
    char journal[PATH_BYTES];
    struct behind behind = { repair, finding };
    for (size_t i = 0; i < countof(proofs); i++)
        if (file_there(repair, "", proofs[i]))
            action_add(repair, ACTION_MOVE, "", proofs[i], -1, finding->kind);
    (void)snprintf(journal, sizeof(journal), "%s/journal", repair->inspect.data_dir);
    if (odk_dir_info(repair->inspect.dir)->kind == ODK_DIR_ODRADEK)
        (void)repair->inspect.io->ops->list(repair->inspect.io, journal, on_wal, &behind);
}

static void cut_plan(struct repair *repair, const struct odk_finding *finding)
{
    char folder[PATH_BYTES];
    struct behind behind = { repair, finding };
    (void)snprintf(folder, sizeof(folder), "%s/%s", repair->inspect.data_dir, finding->folder);
    (void)repair->inspect.io->ops->list(repair->inspect.io, folder, on_behind, &behind);
    indexes_move(repair, finding->folder, finding->segment, finding->kind);
    action_add(repair, ACTION_CUT, finding->folder, finding->file, finding->position, finding->kind);
    proofs_move(repair, finding);
    repair->loses = true;
}

static void on_finding(void *context, const struct odk_finding *finding)
{
    struct repair *repair = context;
    if (!odk_finding_is_damage(finding->kind))
        return;
    switch ((int)finding->kind) {
    case ODK_FINDING_BATCH_HEADER:
    case ODK_FINDING_BATCH_CUT:
    case ODK_FINDING_BATCH_CRC: cut_plan(repair, finding); break;
    case ODK_FINDING_LESS_THAN_KNOWN: /* then what there is is taken for all there was */
        proofs_move(repair, finding);
        repair->loses = true;
        break;
    case ODK_FINDING_INDEX_BROKEN:
    case ODK_FINDING_INDEX_ENTRY:
    case ODK_FINDING_TIME_ENTRY:
    case ODK_FINDING_TIME_INDEX_SHORT:
        indexes_move(repair, finding->folder, finding->segment, finding->kind);
        break;
    case ODK_FINDING_SNAPSHOT_BROKEN:
    case ODK_FINDING_EPOCHS_BROKEN:
    case ODK_FINDING_EPOCHS_DIFFER:
    case ODK_FINDING_METADATA_BROKEN:
    case ODK_FINDING_START_BROKEN:
        action_add(repair, ACTION_MOVE, finding->folder, finding->file, -1, finding->kind);
        break;
    default:
        repair->left++;
        (void)cli_fail(EXIT_CODE_CORRUPT, "%s/%s: %s: no repair is known; restore it from elsewhere", finding->folder,
                       finding->file, odk_finding_text(finding->kind));
    }
}

static int plan_make(struct repair *repair)
{
    struct odk_dir *dir = repair->inspect.dir;
    repair->verify.finding = on_finding;
    repair->verify.context = repair;
    enum odk_err err = odk_dir_verify(dir, &repair->verify);
    for (size_t i = 0; i < odk_dir_count(dir) && err == ODK_OK; i++)
        err = odk_part_verify(dir, odk_dir_at(dir, i)->folder, &repair->verify);
    return err == ODK_OK ? EXIT_CODE_OK : cli_fail(inspect_code(err), "%s", odk_err_text(err));
}

static void plan_print(struct repair *repair)
{
    inspect_rows(&repair->inspect, &repair->rows, columns, countof(columns));
    for (size_t i = 0; i < repair->count; i++) {
        const struct action *action = &repair->actions[i];
        rows_text(&repair->rows, action->kind == ACTION_CUT ? "cut" : "move");
        rows_text(&repair->rows, action->folder);
        rows_text(&repair->rows, action->file);
        rows_int(&repair->rows, action->position);
        rows_int(&repair->rows, is_cut(action->reason) && (action->kind == ACTION_CUT || strstr(action->file, ".log")));
        rows_text(&repair->rows, odk_finding_name(action->reason));
    }
}

/* -- doing it ------------------------------------------------------------------------------------------------------ */

static int failed(const char *what, const char *path, int64_t error)
{
    return cli_fail(EXIT_CODE_FAILURE, "%s: cannot be %s: %s", path, what, strerror((int)-error));
}

/* Makes a folder; one that is there already is right where again says so. */
static int folder_make(const struct repair *repair, const char *path, bool again)
{
    int32_t made = repair->inspect.io->ops->mkdir(repair->inspect.io, path);
    return made == 0 || (again && made == -EEXIST) ? EXIT_CODE_OK : failed("made", path, made);
}

static int folder_sync(const struct repair *repair, const char *path)
{
    struct odk_io *io = repair->inspect.io;
    int32_t handle = io->ops->open(io, path, ODK_IO_READ | ODK_IO_DIRECTORY);
    if (handle < 0)
        return failed("opened", path, handle);
    enum odk_err err = odk_io_sync_now(io, handle);
    (void)io->ops->close(io, handle);
    return err == ODK_OK ? EXIT_CODE_OK : cli_fail(EXIT_CODE_FAILURE, "%s: cannot be synced", path);
}

/* Copies from position to the end, durably. */
static int tail_copy(const struct repair *repair, int32_t from, const char *from_path, const char *to_path,
                     uint64_t position, uint64_t size)
{
    struct odk_io *io = repair->inspect.io;
    int32_t to = io->ops->open(io, to_path, ODK_IO_WRITE | ODK_IO_CREATE | ODK_IO_EXCLUSIVE);
    if (to < 0)
        return failed("made", to_path, to);
    uint8_t *bytes = xcalloc(1, COPY_BYTES);
    enum odk_err err = ODK_OK;
    for (uint64_t at = position; at < size && err == ODK_OK;) {
        size_t len = (size_t)MIN(COPY_BYTES, size - at);
        err = odk_io_read_all(io, from, bytes, len, at);
        if (err == ODK_OK)
            err = odk_io_write_all(io, to, bytes, len, at - position);
        at += len;
    }
    if (err == ODK_OK)
        err = odk_io_sync_now(io, to);
    free(bytes);
    (void)io->ops->close(io, to);
    return err == ODK_OK ? EXIT_CODE_OK
                         : cli_fail(EXIT_CODE_FAILURE, "%s: cannot be copied to %s: %s", from_path, to_path, odk_err_text(err));
}

static int cut_do(const struct repair *repair, const struct action *action, const char *path, const char *aside)
{
    struct odk_io *io = repair->inspect.io;
    char kept[PATH_BYTES + 64];
    int32_t file = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE);
    if (file < 0)
        return failed("opened", path, file);
    int64_t size = io->ops->size(io, file);
    (void)snprintf(kept, sizeof(kept), "%s.from-%lld", aside, (long long)action->position);
    int code = size < 0 ? failed("measured", path, size)
                        : tail_copy(repair, file, path, kept, (uint64_t)action->position, (uint64_t)size);
    if (code == EXIT_CODE_OK) {
        int32_t cut = io->ops->truncate(io, file, (uint64_t)action->position);
        if (cut < 0)
            code = failed("cut", path, cut);
        else if (odk_io_sync_now(io, file) != ODK_OK)
            code = cli_fail(EXIT_CODE_FAILURE, "%s: cannot be synced", path);
    }
    (void)io->ops->close(io, file);
    return code;
}

static int action_do(const struct repair *repair, const struct action *action)
{
    char path[PATH_BYTES + 600], aside[PATH_BYTES], folder[PATH_BYTES], home[PATH_BYTES];
    (void)snprintf(home, sizeof(home), "%s/%s", repair->inspect.data_dir, action->folder);
    (void)snprintf(path, sizeof(path), "%s/%s", home, action->file);
    int len = snprintf(folder, sizeof(folder), "%.3500s/%s", repair->aside_path, action->folder[0] ? action->folder : ".");
    int more = snprintf(aside, sizeof(aside), "%.3800s/%s", folder, action->file);
    if (len < 0 || more < 0)
        return cli_fail(EXIT_CODE_FAILURE, "%s: the path is too long", path);
    int code = action->folder[0] ? folder_make(repair, folder, true) : EXIT_CODE_OK;
    if (code != EXIT_CODE_OK)
        return code;
    if (action->kind == ACTION_CUT)
        return cut_do(repair, action, path, aside);
    int32_t moved = repair->inspect.io->ops->rename(repair->inspect.io, path, aside);
    if (moved < 0)
        return failed("moved aside", path, moved);
    code = folder_sync(repair, folder);
    return code == EXIT_CODE_OK ? folder_sync(repair, home) : code;
}

/* The handle that holds the directory's lock; below 0: explained. */
static int32_t lock_take(const struct repair *repair)
{
    struct odk_io *io = repair->inspect.io;
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof(path), "%s/.lock", repair->inspect.data_dir);
    int32_t handle = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    int32_t locked = handle < 0 ? handle : io->ops->lock(io, handle);
    if (locked >= 0)
        return handle;
    if (handle >= 0)
        (void)io->ops->close(io, handle);
    (void)cli_fail(EXIT_CODE_REFUSED, "%s: %s", path, strerror(-locked));
    return -1;
}

static int refuse(const struct repair *repair)
{
    const struct odk_dir_info *info = odk_dir_info(repair->inspect.dir);
    const char *dir = repair->inspect.data_dir;
    if (info->owner == ODK_OWNER_RUNNING)
        return cli_fail(EXIT_CODE_REFUSED, "a server is running on %s: stop it first", dir);
    if (info->owner == ODK_OWNER_UNKNOWN)
        return cli_fail(EXIT_CODE_REFUSED, "nothing says that Kafka was stopped on %s: stop it cleanly first", dir);
    if (info->journal)
        return cli_fail(EXIT_CODE_REFUSED,
                        "%s was not stopped cleanly: its journal may hold what seems lost; start and stop the server "
                        "first",
                        dir);
    return EXIT_CODE_OK;
}

static int plan_do(struct repair *repair)
{
    char now[32];
    struct tm tm;
    time_t seconds = (time_t)(client_wall_ms() / 1000);
    if (repair->loses && !repair->lose_records)
        return cli_fail(EXIT_CODE_REFUSED, "this loses the records behind the damage; they are kept aside, but no longer "
                                           "served; agree with --lose-records");
    if (!gmtime_r(&seconds, &tm) || strftime(now, sizeof(now), "%Y%m%dT%H%M%SZ", &tm) == 0)
        return cli_fail(EXIT_CODE_FAILURE, "there is no time");
    size_t len = strlen(repair->inspect.data_dir);
    while (len > 1 && repair->inspect.data_dir[len - 1] == '/')
        len--;
    if (repair->aside)
        (void)snprintf(repair->aside_path, sizeof(repair->aside_path), "%s", repair->aside);
    else
        (void)snprintf(repair->aside_path, sizeof(repair->aside_path), "%.*s.aside-%s", (int)MIN(len, 4000),
                       repair->inspect.data_dir, now);
    int code = folder_make(repair, repair->aside_path, false);
    for (size_t i = 0; i < repair->count && code == EXIT_CODE_OK; i++)
        code = action_do(repair, &repair->actions[i]);
    if (code == EXIT_CODE_OK)
        code = folder_sync(repair, repair->aside_path);
    (void)fprintf(stderr, "%s: what was moved and cut off is in %s\n", code == EXIT_CODE_OK ? "done" : "not finished",
                  repair->aside_path);
    return code;
}

static int repair_run(struct repair *repair)
{
    int32_t lock = -1;
    int code = inspect_open(&repair->inspect);
    if (code == EXIT_CODE_OK)
        code = refuse(repair);
    if (code == EXIT_CODE_OK && repair->execute && (lock = lock_take(repair)) < 0)
        code = EXIT_CODE_REFUSED;
    if (code == EXIT_CODE_OK)
        code = plan_make(repair);
    if (code == EXIT_CODE_OK) {
        plan_print(repair);
        if (repair->execute && repair->count > 0)
            code = plan_do(repair);
        else if (repair->count > 0)
            (void)fprintf(stderr, "nothing was altered; to do it: --execute%s\n", repair->loses ? " --lose-records" : "");
        else if (repair->left == 0)
            (void)fprintf(stderr, "nothing to repair\n");
    }
    if (lock >= 0)
        (void)repair->inspect.io->ops->close(repair->inspect.io, lock);
    return code == EXIT_CODE_OK && repair->left > 0 ? EXIT_CODE_CORRUPT : code;
}

int inspect_repair(int argc, char **argv)
{
    struct repair repair = { .inspect = inspect_defaults() };
    const struct args_option options[] = {
        { "execute", 'x', ARGS_FLAG, NULL, "do it; without, the plan is shown", &repair.execute },
        { "lose-records", 0, ARGS_FLAG, NULL, "agree to lose the records behind damage", &repair.lose_records },
        { "aside", 0, ARGS_TEXT, "DIR", "where to, on the same file system (default DATA-DIR.aside-TIME)", &repair.aside },
        INSPECT_DIR_ROW(repair.inspect),
        INSPECT_JSON_ROW(repair.inspect),
        INSPECT_HEADER_ROW(repair.inspect),
    };
    struct args_spec spec = {
        "inspect repair",
        "Plans a repair of what verify finds, and does it on request. Nothing is deleted.",
        "",
        options,
        countof(options),
        0,
        0,
        "Refused while a server owns the directory, and when it was not stopped cleanly.\n\n"
        "examples:\n"
        "  odradek inspect repair\n"
        "  odradek inspect repair --execute --lose-records",
    };
    struct args_operands none;
    int code = args_parse(&spec, argc, argv, &none);
    if (code == ARGS_GO_ON)
        code = repair_run(&repair);
    free(repair.actions);
    inspect_close(&repair.inspect);
    return code;
}
