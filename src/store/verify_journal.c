/* Checking the journal of a directory that was not stopped cleanly: what its next start would make of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/journal_files.h"
#include "store/journal_format.h"
#include "store/verify_internal.h"

struct wal_block {
    uint64_t seq;
    uint64_t checkpoint_seq;
    uint64_t position;
    uint32_t entry_count;
    uint32_t shard;
    uint32_t file;
};

/* What the journal says of a log that makes DATA of it void. */
struct life {
    struct odk_uuid id;
    char *folder;
    bool deleted;
    int64_t start; /* from TRIM; -1: none */
    int64_t clean; /* from CLEAN: DATA below it is void */
};

struct journal_look {
    struct odk_dir *dir;
    struct odk_verify *verify;
    struct dir_proof *proof;
    char **files; /* names */
    uint32_t file_count;
    struct wal_block *blocks;
    uint32_t block_count;
    uint32_t block_capacity;
    struct life *lives;
    size_t life_count;
};

static void on_wal(void *context, const char *name, bool is_directory)
{
    struct journal_look *look = context;
    unsigned shard, index;
    char suffix[8] = { 0 };
    if (is_directory || sscanf(name, "%u-%8u.%7s", &shard, &index, suffix) != 3 || strcmp(suffix, "wal") != 0)
        return;
    look->files = xrealloc(look->files, (look->file_count + 1) * sizeof(*look->files));
    look->files[look->file_count++] = xstrndup(name, strlen(name));
}

static void tell(struct journal_look *look, enum odk_finding_kind kind, uint32_t file, uint64_t position)
{
    verify_tell(look->verify,
                &(struct odk_finding){ kind, JOURNAL_FOLDER, look->files[file], -1, (int64_t)position, -1 });
}

static bool wal_open(struct journal_look *look, uint32_t file, struct look_file *ret)
{
    char path[LAYOUT_PATH_MAX];
    if (layout_path(path, "%s/" JOURNAL_FOLDER "/%s", look->dir->path, look->files[file]) &&
        look_open(look->dir->io, path, UINT64_MAX, ret) == ODK_OK)
        return true;
    tell(look, ODK_FINDING_JOURNAL_UNREADABLE, file, 0);
    return false;
}

/* All valid blocks of this incarnation in a file. */
static void wal_scan(struct journal_look *look, uint32_t file)
{
    struct look_file wal;
    if (!wal_open(look, file, &wal))
        return;
    const struct odk_bytes bytes = look_bytes(&wal);
    uint32_t shard = (uint32_t)strtoul(look->files[file], NULL, 10);
    for (uint64_t pos = 0; bytes.len - pos >= JOURNAL_BLOCK_ALIGN;) {
        struct journal_block block;
        uint64_t step = JOURNAL_BLOCK_ALIGN;
        if (journal_block_peek(bytes.data + pos, &block) && block.incarnation == look->dir->incarnation &&
            block.shard == shard && journal_block_bytes(block.payload_len) <= bytes.len - pos &&
            journal_block_valid(bytes.data + pos, bytes.len - pos)) {
            if (look->block_count == look->block_capacity) {
                look->block_capacity = look->block_capacity ? look->block_capacity * 2 : 256;
                look->blocks = xrealloc(look->blocks, look->block_capacity * sizeof(*look->blocks));
            }
            look->blocks[look->block_count++] = (struct wal_block){ block.seq, block.checkpoint_seq, pos,
                                                                    block.entry_count, shard, file };
            step = journal_block_bytes(block.payload_len);
        }
        pos += step;
    }
    if (wal.map.broken)
        tell(look, ODK_FINDING_JOURNAL_UNREADABLE, file, 0);
    look->verify->bytes += bytes.len;
    if (look->verify->progress)
        look->verify->progress(look->verify->context, bytes.len);
    look_close(look->dir->io, &wal);
}

static int block_compare(const void *a, const void *b)
{
    const struct wal_block *x = a, *y = b;
    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Keeps the blocks that would be redone, of each shard a row without a gap. */
static void rows_keep(struct journal_look *look)
{
    uint32_t kept = 0;
    for (uint32_t begin = 0, end; begin < look->block_count; begin = end) {
        uint64_t checkpoint = 0;
        for (end = begin; end < look->block_count && look->blocks[end].shard == look->blocks[begin].shard; end++)
            checkpoint = MAX(checkpoint, look->blocks[end].checkpoint_seq);
        uint64_t next = checkpoint + 1;
        for (uint32_t i = begin; i < end; i++) {
            const struct wal_block block = look->blocks[i];
            if (block.seq < next || block.entry_count == 0)
                continue;
            if (block.seq > next) {
                tell(look, ODK_FINDING_JOURNAL_GAP, block.file, block.position);
                break;
            }
            look->blocks[kept++] = block;
            next++;
        }
    }
    look->block_count = kept;
}

/* The logs that a block names, by number. */
struct block_name {
    struct odk_uuid id;
    struct odk_str folder;
};

struct block_names {
    struct block_name *names;
    uint32_t count;
};

/* NULL: nothing is known. */
static struct life *life_find(const struct journal_look *look, const struct block_name *name)
{
    for (size_t i = 0; i < look->life_count; i++)
        if (odk_uuid_eq(look->lives[i].id, name->id) && odk_str_eq(odk_str_from(look->lives[i].folder), name->folder))
            return &look->lives[i];
    return NULL;
}

static void life_note(struct journal_look *look, const struct block_name *name, const struct journal_entry *entry)
{
    struct life *life = life_find(look, name);
    if (!life) {
        look->lives = xrealloc(look->lives, (look->life_count + 1) * sizeof(*look->lives));
        life = &look->lives[look->life_count++];
        *life = (struct life){ .id = name->id, .folder = xstrndup(name->folder.data, name->folder.len), .start = -1 };
    }
    life->deleted |= entry->type == JOURNAL_DELETE;
    if (entry->type == JOURNAL_TRIM)
        life->start = MAX(life->start, entry->offset);
    if (entry->type == JOURNAL_CLEAN)
        life->clean = MAX(life->clean, entry->offset);
}

static void pending_note(struct journal_look *look, const struct block_name *name, const struct journal_entry *entry)
{
    struct dir_proof *proof = look->proof;
    const struct life *life = life_find(look, name);
    if (life && (life->deleted || entry->offset < life->clean))
        return;
    for (size_t i = proof->pending_count; i-- > 0;) {
        struct pending *pending = &proof->pendings[i];
        if (pending->base != entry->segment_base || !odk_str_eq(odk_str_from(pending->folder), name->folder))
            continue;
        pending->position = MIN(pending->position, entry->position);
        return;
    }
    if (proof->pending_count == proof->pending_capacity) {
        proof->pending_capacity = proof->pending_capacity ? proof->pending_capacity * 2 : 64;
        proof->pendings = xrealloc(proof->pendings, proof->pending_capacity * sizeof(*proof->pendings));
    }
    proof->pendings[proof->pending_count++] =
        (struct pending){ .folder = xstrndup(name->folder.data, name->folder.len),
                          .base = entry->segment_base,
                          .position = entry->position,
                          .trimmed = life && life->start > entry->segment_base };
}

/* False when the entry cannot be. voids: only what makes DATA void is looked at; else only DATA. */
static bool entry_note(struct journal_look *look, struct block_names *names, const struct journal_entry *entry, bool voids)
{
    if (entry->type == JOURNAL_NAME) {
        const size_t id = sizeof(struct odk_uuid);
        if (entry->bytes.len < id + 1 || entry->log != names->count)
            return false;
        names->names = xrealloc(names->names, (names->count + 1) * sizeof(*names->names));
        struct block_name *name = &names->names[names->count++];
        memcpy(name->id.b, entry->bytes.data, id);
        name->folder = (struct odk_str){ (const char *)entry->bytes.data + id, entry->bytes.len - id };
        return layout_name_ok(name->folder);
    }
    if (entry->log >= names->count)
        return false;
    if (voids && entry->type != JOURNAL_DATA)
        life_note(look, &names->names[entry->log], entry);
    if (!voids && entry->type == JOURNAL_DATA)
        pending_note(look, &names->names[entry->log], entry);
    return true;
}

static void block_read(struct journal_look *look, const struct wal_block *block, const struct look_file *wal, bool voids)
{
    struct journal_block head;
    const uint8_t *data = wal->map.data + block->position;
    if (!journal_block_peek(data, &head))
        return;
    struct journal_reader reader = { .at = data + JOURNAL_HEADER_BYTES,
                                     .end = data + JOURNAL_HEADER_BYTES + head.payload_len };
    struct journal_entry entry;
    struct block_names names = { 0 };
    bool good = true;
    while (good && journal_entry_next(&reader, &entry))
        good = entry_note(look, &names, &entry, voids);
    if ((!good || reader.bad) && voids) /* once is enough */
        tell(look, ODK_FINDING_JOURNAL_ENTRY, block->file, block->position);
    free(names.names);
}

static void blocks_read(struct journal_look *look, bool voids)
{
    struct look_file wal = { 0 };
    uint32_t open = UINT32_MAX;
    for (uint32_t i = 0; i < look->block_count; i++) {
        const struct wal_block *block = &look->blocks[i];
        if (block->file != open) {
            look_close(look->dir->io, &wal);
            open = UINT32_MAX;
            if (!wal_open(look, block->file, &wal))
                continue;
            open = block->file;
        }
        if (block->position < look_bytes(&wal).len)
            block_read(look, block, &wal, voids);
    }
    look_close(look->dir->io, &wal);
}

/* A segment that ends before the first entry for it has lost something that was checkpointed. */
static void shorts_tell(struct journal_look *look)
{
    for (size_t i = 0; i < look->proof->pending_count; i++) {
        const struct pending *pending = &look->proof->pendings[i];
        char folder[LAYOUT_PATH_MAX], path[LAYOUT_PATH_MAX], file[64];
        uint64_t size = 0;
        if (!layout_path(folder, "%s/%s", look->dir->path, pending->folder) ||
            !layout_segment(path, folder, pending->base, FORMAT_LOG_SUFFIX))
            continue;
        (void)snprintf(file, sizeof(file), FORMAT_SEGMENT_NAME FORMAT_LOG_SUFFIX, (long long)pending->base);
        enum odk_err err = look_size(look->dir->io, path, &size);
        bool gone = err == ODK_ERR_NOT_FOUND && pending->trimmed;
        if (!gone && (err == ODK_OK || err == ODK_ERR_NOT_FOUND) && size < pending->position)
            verify_tell(look->verify, &(struct odk_finding){ ODK_FINDING_SEGMENT_SHORT, pending->folder, file,
                                                             pending->base, (int64_t)size, -1 });
    }
}

enum odk_err verify_journal(struct odk_dir *dir, struct odk_verify *verify, struct dir_proof *proof)
{
    struct journal_look look = { .dir = dir, .verify = verify, .proof = proof };
    char path[LAYOUT_PATH_MAX];
    if (!layout_path(path, "%s/" JOURNAL_FOLDER, dir->path))
        return ODK_ERR_INVALID;
    int32_t listed = dir->io->ops->list(dir->io, path, on_wal, &look);
    for (uint32_t i = 0; i < look.file_count; i++)
        wal_scan(&look, i);
    if (look.block_count > 1)
        qsort(look.blocks, look.block_count, sizeof(*look.blocks), block_compare);
    rows_keep(&look);
    blocks_read(&look, true);
    blocks_read(&look, false);
    shorts_tell(&look);
    for (uint32_t i = 0; i < look.file_count; i++)
        free(look.files[i]);
    for (size_t i = 0; i < look.life_count; i++)
        free(look.lives[i].folder);
    free(look.lives);
    free(look.files);
    free(look.blocks);
    return listed < 0 && listed != -ENOENT ? odk_err_from_errno(listed) : ODK_OK;
}
