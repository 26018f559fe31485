/* Checking what is beside the batches: a partition's small files, and what a clean stop has left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "store/producers.h"
#include "store/verify_internal.h"

/* -- a partition's small files -------------------------------------------------------------------------------------- */

static void snapshots_check(struct check *check)
{
    const struct odk_part *part = check->part;
    for (size_t i = 0; i < part->snapshot_count; i++) {
        char path[LAYOUT_PATH_MAX];
        struct look_file file;
        struct producers producers = { 0 };
        int64_t at = part->snapshots[i];
        if (!layout_segment(path, part->folder, at, FORMAT_SNAPSHOT_SUFFIX) ||
            look_open(part->dir->io, path, INT32_MAX, &file) != ODK_OK)
            continue; /* removed meanwhile */
        enum odk_err err = producers_load(&producers, look_bytes(&file));
        look_close(part->dir->io, &file);
        producers_deinit(&producers);
        if (err != ODK_OK)
            check_segment_found(check, ODK_FINDING_SNAPSHOT_BROKEN, at, FORMAT_SNAPSHOT_SUFFIX, -1, -1);
        else if (check->next_offset >= 0 && at > check->next_offset && !check_is_live(check) && !part->dir->info.journal)
            check_segment_found(check, ODK_FINDING_SNAPSHOT_AHEAD, at, FORMAT_SNAPSHOT_SUFFIX, -1, at);
    }
}

static void metadata_check(struct check *check)
{
    const struct odk_part *part = check->part;
    char path[LAYOUT_PATH_MAX];
    struct look_file file;
    struct odk_uuid id;
    if (!layout_path(path, "%s/" FORMAT_PARTITION_METADATA_NAME, part->folder) ||
        look_open(part->dir->io, path, KIB(4), &file) != ODK_OK)
        return;
    struct odk_bytes text = look_bytes(&file);
    if (!layout_metadata_parse((struct odk_str){ (const char *)text.data, text.len }, &id))
        check_found(check, ODK_FINDING_METADATA_BROKEN, FORMAT_PARTITION_METADATA_NAME, -1, -1, -1);
    look_close(part->dir->io, &file);
}

static void on_swap(void *context, const char *name, bool is_directory)
{
    struct check *check = context;
    int64_t base, end;
    check->exchanging |= !is_directory && layout_swap_parse(name, &base, &end);
}

void check_compaction(struct check *check)
{
    const struct odk_part *part = check->part;
    char path[LAYOUT_PATH_MAX];
    struct look_file file;
    (void)part->dir->io->ops->list(part->dir->io, part->folder, on_swap, check);
    if (!layout_path(path, "%s/" FORMAT_CLEANER_OFFSETS_NAME, part->folder) ||
        look_open(part->dir->io, path, LAYOUT_START_MAX, &file) != ODK_OK)
        return;
    struct odk_bytes text = look_bytes(&file);
    if (!layout_start_parse((struct odk_str){ (const char *)text.data, text.len }, &check->compacted))
        check_found(check, ODK_FINDING_START_BROKEN, FORMAT_CLEANER_OFFSETS_NAME, -1, -1, -1);
    look_close(part->dir->io, &file);
}

/* Files of a segment that is not there, and files on their way in or out. */
static void on_leftover(void *context, const char *name, bool is_directory)
{
    static const char *const suffixes[] = { FORMAT_OFFSET_INDEX_SUFFIX, FORMAT_TIME_INDEX_SUFFIX,
                                            FORMAT_TXN_INDEX_SUFFIX, FORMAT_INDEX_SUM_SUFFIX };
    static const char *const passing[] = { FORMAT_TMP_SUFFIX, FORMAT_DELETED_SUFFIX, FORMAT_CLEANED_SUFFIX,
                                           FORMAT_SWAP_SUFFIX };
    struct check *check = context;
    const struct odk_part *part = check->part;
    bool left = false;
    int64_t base;
    if (is_directory)
        return;
    for (size_t i = 0; i < countof(suffixes); i++) {
        if (!layout_segment_parse(name, suffixes[i], &base))
            continue;
        left = true;
        for (size_t s = 0; s < part->count; s++)
            left &= part->segments[s].base != base;
    }
    for (size_t i = 0; i < countof(passing); i++) {
        size_t len = strlen(name), suffix = strlen(passing[i]);
        left |= len > suffix && strcmp(name + len - suffix, passing[i]) == 0;
    }
    if (left)
        check_found(check, ODK_FINDING_LEFTOVER, name, -1, -1, -1);
}

/* What the marker of a clean stop, or an earlier one, says that the log holds at least. */
static void floor_check(struct check *check)
{
    const struct odk_part *part = check->part;
    const struct dir_proof *proof = part->dir->proof;
    const struct known_log *known = proof ? known_find(&proof->known, odk_str_from(check->folder)) : NULL;
    if (!known || check->next_offset < 0 || check_is_live(check) || !odk_uuid_eq(known->id, part->topic_id))
        return;
    bool trimmed = part->start > known->start_offset || check->compacted >= 0;
    if (check->next_offset < known->end_offset || (!trimmed && part->bytes < known->total_size))
        check_found(check, ODK_FINDING_LESS_THAN_KNOWN, "", -1, -1, known->end_offset);
}

void check_small_files(struct check *check)
{
    struct odk_part *part = check->part;
    bool live = check_is_live(check);
    snapshots_check(check);
    metadata_check(check);
    floor_check(check);
    if (!live)
        (void)part->dir->io->ops->list(part->dir->io, part->folder, on_leftover, check);
    bool late = live || part->dir->info.journal; /* the end may be in the journal still */
    if (part->count > 0 && check->next_offset >= 0 && part->start > check->next_offset && !late)
        check_found(check, ODK_FINDING_START_AHEAD, LAYOUT_START_NAME, -1, -1, part->start);
}

/* -- the directory's own files ------------------------------------------------------------------------------------- */

void dir_proof_free(struct dir_proof *proof)
{
    if (!proof)
        return;
    for (size_t i = 0; i < proof->pending_count; i++)
        free(proof->pendings[i].folder);
    free(proof->pendings);
    known_deinit(&proof->known);
    free(proof);
}

static void own_found(struct odk_verify *verify, enum odk_finding_kind kind, const char *file)
{
    verify_tell(verify, &(struct odk_finding){ kind, "", file, -1, -1, -1 });
}

/* A log that the marker knows with bytes, whose folder is gone. */
static void missing_tell(struct odk_dir *dir, struct odk_verify *verify, const struct known *known)
{
    for (uint32_t i = 0; i < known->count; i++) {
        const struct known_log *log = &known->logs[i];
        struct odk_part_name name;
        size_t first;
        bool there = !look_part_name(log->name, &name) || log->total_size == 0;
        size_t count = there ? 0 : odk_dir_find(dir, name.topic, &first);
        for (size_t p = 0; p < count; p++)
            there |= odk_dir_at(dir, first + p)->partition == name.partition;
        if (!there)
            verify_tell(verify, &(struct odk_finding){ ODK_FINDING_LESS_THAN_KNOWN, log->name, "", -1, -1,
                                                       log->end_offset });
    }
}

enum odk_err odk_dir_verify(struct odk_dir *dir, struct odk_verify *verify)
{
    if (dir->info.kind != ODK_DIR_ODRADEK || dir->info.owner != ODK_OWNER_NONE)
        return ODK_OK;
    struct dir_proof *proof = xcalloc(1, sizeof(*proof));
    dir_proof_free(dir->proof);
    dir->proof = proof;
    enum odk_err err = dir->info.clean ? known_load_marker(&proof->known, dir->io, dir->path, dir->incarnation)
                                       : known_load_floors(&proof->known, dir->io, dir->path);
    if (err == ODK_ERR_NOT_FOUND && dir->info.clean)
        own_found(verify, ODK_FINDING_MARKER_BROKEN, LAYOUT_MARKER_NAME);
    else if (err != ODK_OK && err != ODK_ERR_NOT_FOUND)
        return err;
    known_sort(&proof->known);
    missing_tell(dir, verify, &proof->known);
    return dir->info.clean ? ODK_OK : verify_journal(dir, verify, proof);
}
