/*
 * One segment of a log: a .log file, its indexes, and the part that is still memory.
 *
 *   0        filed       size        tail.end
 *   |  file  | tail only | staged     |
 *            (durable)    (not durable yet)
 *
 * filed is tail.filed. A segment is active until it is sealed by a roll; then size is final, and when everything is filed
 * and its indexes are written it holds neither tail nor index memory.
 *
 * (S1) Only durable bytes are written to the file. Whole blocks go DIRECT; the partial last block goes as a buffered
 *      write of its exact length, when the log is quiet, at a roll, for a checkpoint and at close.
 * (S2) A handle that has written stays open until a sync of it has succeeded.
 * (S3) synced <= filed: bytes below synced survive a crash without the journal.
 */
#pragma once
#include <odradek/batch.h>

#include "store/files.h"
#include "store/offset_index.h"
#include "store/tail.h"
#include "store/time_index.h"

struct segment {
    int64_t base;
    int64_t swap_end; /* the file is BASE-SWAP_END.swap, see clean.c; 0: BASE.log */
    uint64_t begin;  /* bytes of all segments before it, counted from the first one loaded */
    uint64_t size;   /* durable bytes */
    uint64_t synced; /* bytes that are safe without the journal */
    struct tail tail;
    struct offset_index offsets; /* in memory while active or not written yet */
    struct time_index times;
    uint32_t offsets_filed;    /* entries that the .index file holds */
    uint32_t times_filed;
    uint32_t entries_summed;   /* of both, that the .indexsum file speaks of */
    uint32_t last_indexed_pos; /* bytes since the last index entry are counted from here */
    int64_t first_timestamp;   /* of the first batch; -1 while empty */
    int64_t last_offset;       /* last offset of the newest batch staged; base - 1 while empty */
    struct file_map *data;
    struct file_map *offsets_map;
    struct file_map *times_map;
    int32_t direct; /* handles, -1 when closed */
    int32_t plain;
    bool on_disk;        /* the file exists */
    bool sealed;
    bool in_memory;      /* offsets and times are complete in memory */
    bool checked;        /* the files' indexes have been looked at */
    bool dirty;          /* written since the last sync */
    bool index_dirty;    /* the index files lack entries */
};

struct segment *segment_new(int64_t base, uint64_t size);
void segment_free(struct segment *segment, struct files *files, struct tail_pool *pool);
/* Closes the handles it is written through. */
void segment_close(struct segment *segment, struct files *files);
/* Notes a batch at pos in the indexes. Call in order of positions. */
void segment_index(struct segment *segment, const struct odk_batch *batch, uint32_t pos, uint32_t interval_bytes);
/* No further batch will come. */
void segment_seal(struct segment *segment);
/* Bytes that are durable but not in the file. */
static inline uint64_t segment_unfiled(const struct segment *segment)
{
    return segment->size - segment->tail.filed;
}
