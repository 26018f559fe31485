/* Checking a partition: its batches, and its indexes against them. */
#include <odradek/verify.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/offset_index.h"
#include "store/time_index.h"
#include "store/verify_internal.h"

#define PROGRESS_BYTES MIB(8)
#define PASSES_MAX     4 /* over a partition that a running server may be changing */
#define PASS_WAIT_MS   250

static const struct {
    const char *name;
    bool damage;
    const char *text;
} kinds[ODK_FINDING_COUNT] = {
#define X(name, damage, text) { #name, damage, text },
    ODK_FINDING_TABLE(X)
#undef X
};

const char *odk_finding_name(enum odk_finding_kind kind)
{
    return kinds[kind].name;
}

const char *odk_finding_text(enum odk_finding_kind kind)
{
    return kinds[kind].text;
}

bool odk_finding_is_damage(enum odk_finding_kind kind)
{
    return kinds[kind].damage;
}

void verify_tell(struct odk_verify *verify, const struct odk_finding *finding)
{
    if (kinds[finding->kind].damage)
        verify->damage_count++;
    else
        verify->notice_count++;
    verify->finding(verify->context, finding);
}

/* -- findings of a pass -------------------------------------------------------------------------------------------- */

void check_found(struct check *check, enum odk_finding_kind kind, const char *file, int64_t segment, int64_t position,
                 int64_t offset)
{
    for (size_t i = 0; i < check->count; i++)
        if (check->findings[i].kind == kind && strcmp(check->findings[i].file, file) == 0)
            return;
    check->findings = xrealloc(check->findings, (check->count + 1) * sizeof(*check->findings));
    check->findings[check->count++] = (struct odk_finding){ .kind = kind,
                                                            .folder = check->folder,
                                                            .file = xstrndup(file, strlen(file)),
                                                            .segment = segment,
                                                            .position = position,
                                                            .offset = offset };
    check->damage_count += kinds[kind].damage;
}

void check_segment_found(struct check *check, enum odk_finding_kind kind, int64_t base, const char *suffix,
                         int64_t position, int64_t offset)
{
    char file[64];
    (void)snprintf(file, sizeof(file), FORMAT_SEGMENT_NAME "%s", (long long)base, suffix);
    check_found(check, kind, file, base, position, offset);
}

bool check_is_live(const struct check *check)
{
    return check->part->dir->info.owner != ODK_OWNER_NONE;
}

uint64_t check_pending(const struct check *check, int64_t base)
{
    const struct dir_proof *proof = check->part->dir->proof;
    for (size_t i = 0; proof && i < proof->pending_count; i++)
        if (proof->pendings[i].base == base && strcmp(proof->pendings[i].folder, check->folder) == 0)
            return proof->pendings[i].position;
    return UINT64_MAX;
}

static void progress(struct check *check, uint64_t bytes)
{
    check->bytes += bytes;
    check->untold_bytes += bytes;
    if (check->untold_bytes < PROGRESS_BYTES)
        return;
    if (check->verify->progress)
        check->verify->progress(check->verify->context, check->untold_bytes);
    check->untold_bytes = 0;
}

/* -- indexes against batches --------------------------------------------------------------------------------------- */

/* Where the walk over a segment stands in its indexes. */
struct index_walk {
    struct look_index index;
    size_t offset_at; /* entries that were met */
    size_t time_at;
    int64_t max_before; /* largest timestamp of the batches so far */
    bool unproven;      /* after a crash old indexes are no damage: they are made again */
};

static void index_found(struct check *check, const struct index_walk *walk, enum odk_finding_kind kind, int64_t base,
                        const char *suffix, int64_t position)
{
    check_segment_found(check, walk->unproven ? ODK_FINDING_INDEX_UNPROVEN : kind, base, suffix, position, -1);
}

static void index_walk_begin(struct check *check, const struct odk_part_segment *segment, struct index_walk *walk)
{
    const struct odk_dir_info *info = &check->part->dir->info;
    *walk = (struct index_walk){ .max_before = -1 };
    look_index_open(check->part, segment->base, segment->bytes, &walk->index);
    const struct look_index *index = &walk->index;
    bool ours = info->kind == ODK_DIR_ODRADEK;
    walk->unproven = ours && !info->clean && index->offsets_state != ODK_INDEX_PROVEN;
    if (index->offsets_state == ODK_INDEX_BROKEN)
        index_found(check, walk, ODK_FINDING_INDEX_BROKEN, segment->base, FORMAT_OFFSET_INDEX_SUFFIX, -1);
    if (index->times_state == ODK_INDEX_BROKEN)
        index_found(check, walk, ODK_FINDING_INDEX_BROKEN, segment->base, FORMAT_TIME_INDEX_SUFFIX, -1);
    bool filled = index->offsets_file.map.len > 0 || index->times_file.map.len > 0;
    if (ours && info->clean && filled && index->offsets_state == ODK_INDEX_UNPROVEN)
        check_segment_found(check, ODK_FINDING_INDEX_BROKEN, segment->base, FORMAT_INDEX_SUM_SUFFIX, -1, -1);
}

static void index_walk_batch(struct check *check, struct index_walk *walk, const struct odk_batch_at *batch)
{
    const struct look_index *index = &walk->index;
    int64_t last = odk_batch_last_offset(&batch->header) - batch->segment;
    for (; walk->offset_at < index->offsets.len / FORMAT_OFFSET_ENTRY_BYTES; walk->offset_at++) {
        struct offset_entry entry = offset_index_at(index->offsets, walk->offset_at);
        if (entry.pos > batch->position)
            break;
        if (entry.pos != batch->position || (int64_t)entry.rel_offset != last)
            index_found(check, walk, ODK_FINDING_INDEX_ENTRY, batch->segment, FORMAT_OFFSET_INDEX_SUFFIX,
                        (int64_t)(walk->offset_at * FORMAT_OFFSET_ENTRY_BYTES));
    }
    int64_t max = MAX(walk->max_before, batch->header.max_timestamp);
    for (; walk->time_at < index->times.len / FORMAT_TIME_ENTRY_BYTES; walk->time_at++) {
        struct time_entry entry = time_index_at(index->times, walk->time_at);
        if ((int64_t)entry.rel_offset > last)
            break;
        if (entry.timestamp < walk->max_before || entry.timestamp > max)
            index_found(check, walk, ODK_FINDING_TIME_ENTRY, batch->segment, FORMAT_TIME_INDEX_SUFFIX,
                        (int64_t)(walk->time_at * FORMAT_TIME_ENTRY_BYTES));
    }
    walk->max_before = max;
}

/* whole: the walk has come to the segment's end. */
static void index_walk_end(struct check *check, const struct odk_part_segment *segment, struct index_walk *walk,
                           bool whole, bool closed)
{
    const struct look_index *index = &walk->index;
    struct time_entry last;
    if (whole && walk->offset_at < index->offsets.len / FORMAT_OFFSET_ENTRY_BYTES)
        index_found(check, walk, ODK_FINDING_INDEX_ENTRY, segment->base, FORMAT_OFFSET_INDEX_SUFFIX,
                    (int64_t)(walk->offset_at * FORMAT_OFFSET_ENTRY_BYTES));
    if (whole && walk->time_at < index->times.len / FORMAT_TIME_ENTRY_BYTES)
        index_found(check, walk, ODK_FINDING_TIME_ENTRY, segment->base, FORMAT_TIME_INDEX_SUFFIX,
                    (int64_t)(walk->time_at * FORMAT_TIME_ENTRY_BYTES));
    bool trusted = index->whole || check->part->dir->info.kind != ODK_DIR_ODRADEK;
    if (whole && closed && trusted && time_index_last(index->times, &last) && last.timestamp < walk->max_before)
        index_found(check, walk, ODK_FINDING_TIME_INDEX_SHORT, segment->base, FORMAT_TIME_INDEX_SUFFIX, -1);
    look_index_close(check->part->dir->io, &walk->index);
}

/* -- batches ------------------------------------------------------------------------------------------------------- */

static enum odk_err records_check(const struct odk_batch_at *batch)
{
    struct odk_record_iter it;
    struct odk_record record;
    if (odk_record_iter_init(&it, batch->bytes, ODK_INSPECT_RECORDS_BYTES_MAX) == ODK_OK)
        while (odk_record_next(&it, &record))
            ;
    return odk_record_iter_end(&it);
}

static void epoch_check(struct check *check, const struct odk_batch_at *batch)
{
    int32_t epoch = batch->header.leader_epoch;
    int64_t position = (int64_t)batch->position;
    if (epoch >= 0 && epoch < check->leader_epoch)
        check_segment_found(check, ODK_FINDING_EPOCH_FALLS, batch->segment, FORMAT_LOG_SUFFIX, position,
                            batch->header.base_offset);
    check->leader_epoch = epoch >= 0 ? epoch : check->leader_epoch;
    if (!check->epochs_known || check->epochs_told || epoch < 0 || epoch > epochs_latest(&check->epochs))
        return;
    int32_t said = epochs_of(&check->epochs, batch->header.base_offset);
    check->epochs_told = said >= 0 && said != epoch;
    if (check->epochs_told)
        check_found(check, ODK_FINDING_EPOCHS_DIFFER, FORMAT_EPOCHS_NAME, batch->segment, -1, batch->header.base_offset);
}

/* A first pass of compaction that a crash has cut off is known to the journal only. */
static enum odk_finding_kind gap_kind(const struct check *check)
{
    const struct odk_dir_info *info = &check->part->dir->info;
    return info->kind == ODK_DIR_ODRADEK && !info->journal ? ODK_FINDING_OFFSET_GAP : ODK_FINDING_OFFSET_GAP_FOREIGN;
}

static void batch_check(struct check *check, const struct odk_batch_at *batch)
{
    int64_t position = (int64_t)batch->position, base = batch->header.base_offset;
    bool redone = batch->position >= check_pending(check, batch->segment);
    check->batches++;
    if (odk_batch_check_crc(batch->bytes) != ODK_OK)
        check_segment_found(check, redone ? ODK_FINDING_TO_BE_REDONE : ODK_FINDING_BATCH_CRC, batch->segment,
                            FORMAT_LOG_SUFFIX, position, base);
    else if (check->verify->records && records_check(batch) != ODK_OK)
        check_segment_found(check, ODK_FINDING_BATCH_RECORDS, batch->segment, FORMAT_LOG_SUFFIX, position, base);
    if (check->next_offset >= 0 && base != check->next_offset && check->compacted < 0)
        check_segment_found(check, gap_kind(check), batch->segment, FORMAT_LOG_SUFFIX, position, check->next_offset);
    check->next_offset = odk_batch_next_offset(&batch->header);
    epoch_check(check, batch);
}

/* What a reader that has stopped has met. */
static void stop_found(struct check *check, const struct odk_reader *reader, enum odk_err err)
{
    int64_t base;
    uint64_t position;
    (void)odk_reader_why(reader, &base, &position);
    enum odk_finding_kind kind = ODK_FINDING_BATCH_HEADER;
    if (err == ODK_ERR_IO)
        kind = ODK_FINDING_SEGMENT_UNREADABLE;
    else if (err == ODK_ERR_UNSUPPORTED)
        kind = ODK_FINDING_OLD_FORMAT;
    else if (err == ODK_ERR_TRUNCATED)
        kind = check_is_live(check) ? ODK_FINDING_UNFINISHED : ODK_FINDING_BATCH_CUT;
    if (err != ODK_ERR_IO && position >= check_pending(check, base))
        kind = ODK_FINDING_TO_BE_REDONE;
    check_segment_found(check, kind, base, FORMAT_LOG_SUFFIX, (int64_t)position, check->next_offset);
}

static void segment_check(struct check *check, struct odk_reader *reader, size_t idx)
{
    const struct odk_part *part = check->part;
    const struct odk_part_segment *segment = &part->segments[idx];
    bool closed = idx + 1 < part->count;
    struct index_walk walk;
    struct odk_batch_at batch;
    enum odk_err err = ODK_OK;
    if (segment->bytes == 0 && closed)
        check_segment_found(check, ODK_FINDING_SEGMENT_EMPTY, segment->base, FORMAT_LOG_SUFFIX, 0, -1);
    if (check->next_offset >= 0 && segment->base > check->next_offset && part->dir->info.kind == ODK_DIR_ODRADEK &&
        !check->exchanging && check->compacted < 0) /* compaction may have taken the end of the one before */
        check_segment_found(check, ODK_FINDING_OFFSET_GAP, segment->base, FORMAT_LOG_SUFFIX, 0, check->next_offset);
    check->next_offset = part->dir->info.kind == ODK_DIR_ODRADEK ? segment->base : MAX(check->next_offset, segment->base);
    index_walk_begin(check, segment, &walk);
    reader_place(reader, idx, 0);
    while (err == ODK_OK && reader->position < segment->bytes) {
        err = odk_reader_next(reader, &batch);
        if (err == ODK_OK) {
            batch_check(check, &batch);
            index_walk_batch(check, &walk, &batch);
            progress(check, batch.bytes.len);
        }
    }
    if (err != ODK_OK) {
        stop_found(check, reader, err);
        check->next_offset = -1;
    }
    index_walk_end(check, segment, &walk, err == ODK_OK, closed);
}

static void epochs_open(struct check *check)
{
    char path[LAYOUT_PATH_MAX];
    struct look_file file;
    if (!layout_path(path, "%s/" FORMAT_EPOCHS_NAME, check->part->folder) ||
        look_open(check->part->dir->io, path, MIB(16), &file) != ODK_OK)
        return;
    check->epochs_known = epochs_parse(&check->epochs, look_bytes(&file)) == ODK_OK;
    look_close(check->part->dir->io, &file);
    if (!check->epochs_known)
        check_found(check, ODK_FINDING_EPOCHS_BROKEN, FORMAT_EPOCHS_NAME, -1, -1, -1);
}

/* -- passes -------------------------------------------------------------------------------------------------------- */

static void check_free(struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        free((void *)(uintptr_t)check->findings[i].file);
    free(check->findings);
    epochs_deinit(&check->epochs);
    odk_part_close(check->part);
}

static enum odk_err check_run(struct odk_dir *dir, const char *folder, struct odk_verify *verify, struct check *check)
{
    struct odk_dir quiet = *dir;
    *check = (struct check){ .verify = verify, .folder = folder, .next_offset = -1, .leader_epoch = -1,
                              .compacted = -1 };
    quiet.diag = NULL; /* what is wrong is a finding */
    enum odk_err err = odk_part_open(&quiet, folder, &check->part);
    if (err != ODK_OK)
        return err;
    check->part->dir = dir;
    epochs_open(check);
    check_compaction(check);
    struct odk_reader *reader = odk_reader_new(check->part);
    for (size_t i = 0; i < check->part->count; i++)
        segment_check(check, reader, i);
    odk_reader_free(reader);
    check_small_files(check);
    return ODK_OK;
}

static void moment_wait(struct odk_io *io)
{
    uint64_t until_ns = deadline_after_ms(io->ops->mono_ns(io), PASS_WAIT_MS);
    while (io->ops->mono_ns(io) < until_ns)
        io->ops->run(io, until_ns);
}

enum odk_err odk_part_verify(struct odk_dir *dir, const char *folder, struct odk_verify *verify)
{
    struct check check;
    enum odk_err err = check_run(dir, folder, verify, &check);
    for (int pass = 1; pass < PASSES_MAX && dir->info.owner != ODK_OWNER_NONE; pass++) {
        if (err == ODK_OK && check.damage_count == 0)
            break;
        moment_wait(dir->io);
        check_free(&check);
        err = check_run(dir, folder, verify, &check);
    }
    if (err == ODK_ERR_CORRUPT) /* the only file that opening must understand */
        verify_tell(verify, &(struct odk_finding){ ODK_FINDING_START_BROKEN, folder, LAYOUT_START_NAME, -1, -1, -1 });
    for (size_t i = 0; i < check.count; i++)
        verify_tell(verify, &check.findings[i]);
    verify->bytes += check.bytes;
    verify->batches += check.batches;
    if (verify->progress && check.untold_bytes > 0)
        verify->progress(verify->context, check.untold_bytes);
    check_free(&check);
    return err == ODK_ERR_CORRUPT ? ODK_OK : err;
}
