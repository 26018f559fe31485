/* What the files of verify share; the public face is <odradek/verify.h>. */
#pragma once
#include <odradek/verify.h>

#include "store/epochs.h"
#include "store/inspect_internal.h"
#include "store/known.h"

/* What the journal holds of one segment: everything from position on is written again by the next start. */
struct pending {
    char *folder;
    int64_t base;
    uint32_t position; /* the lowest */
    bool trimmed;      /* the log's start lies behind the segment's base: the segment may be gone */
};

/* What the directory's own files say, for its partitions. */
struct dir_proof {
    struct known known; /* from the marker, or floors */
    struct pending *pendings;
    size_t pending_count;
    size_t pending_capacity;
};

/* Findings of one pass over a partition: kept, since a running server may make a second pass necessary. */
struct check {
    struct odk_part *part;
    struct odk_verify *verify;
    const char *folder; /* name */
    struct odk_finding *findings;
    size_t count;
    uint64_t damage_count;
    uint64_t bytes;
    uint64_t batches;
    uint64_t untold_bytes; /* not yet told as progress */
    struct epochs epochs;
    bool epochs_known;
    bool epochs_told;
    int64_t next_offset;  /* expected; -1: any */
    int32_t leader_epoch; /* of the last batch */
    int64_t compacted;    /* compaction has been here, and looks at what is from there on next; -1: it has not */
    bool exchanging;      /* a compacted segment waits for the next start to take others' place */
};

/* Notes a finding, unless one of its kind is known of that file. */
void check_found(struct check *check, enum odk_finding_kind kind, const char *file, int64_t segment, int64_t position,
                 int64_t offset);
/* Of a segment's file with that suffix. */
void check_segment_found(struct check *check, enum odk_finding_kind kind, int64_t base, const char *suffix,
                         int64_t position, int64_t offset);
/* True when a server may be changing the partition's files. */
bool check_is_live(const struct check *check);
/* The lowest position of a segment that the journal repairs; UINT64_MAX: none. */
uint64_t check_pending(const struct check *check, int64_t base);

/* How far compaction has been, and whether it was cut off. */
void check_compaction(struct check *check);
/* The small files of a partition, when everything else has been read. */
void check_small_files(struct check *check);

void dir_proof_free(struct dir_proof *proof);
/* Reads the journal. */
MUST_USE enum odk_err verify_journal(struct odk_dir *dir, struct odk_verify *verify, struct dir_proof *proof);
void verify_tell(struct odk_verify *verify, const struct odk_finding *finding);
