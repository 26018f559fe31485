/*
 * The files of one journal: which there are, where the next block goes, zero-filling ahead of it.
 *
 *   DIR/journal/SHARD-INDEX.wal        opened DIRECT|DSYNC|HOT; plain DSYNC where the file system refuses O_DIRECT
 *
 *   making -> free -> active -> used -> (everything in it checkpointed and that noted in a later block) -> active ...
 *
 * A file's size is how far it has been written before, by zeros or blocks: overwriting below it costs no metadata. The
 * filler keeps the size ahead of the head while blocks are being written, 1 MiB at a time, and makes the next file in
 * good time. A head that overtakes it simply writes.
 *
 * (F1) The last 4096 bytes of a file are kept for a note, so that the way out of a full journal is never blocked.
 * (F2) A used file is written again only when all its blocks have seq <= the checkpoint seq of a block that is durable.
 * (F3) A file's name is durable before a block goes into it.
 * (F4) Zeros are never written where a block may be in flight.
 */
#pragma once
#include <odradek/diag.h>
#include <odradek/io.h>

#include "base/base.h"
#include "base/list.h"

#define JOURNAL_FOLDER     "journal"
#define JOURNAL_FILL_BYTES (1u << 20)
#define JOURNAL_FILL_VIEWS 16u

struct journal_file {
    struct list link; /* free, or used (oldest first) */
    uint32_t index;
    int32_t handle;
    uint64_t size;
    uint64_t last_seq; /* newest block in it */
};

struct journal_files {
    struct odk_io *io;
    const struct odk_diag *diag;
    char *dir; /* DIR/journal */
    uint32_t shard;
    uint64_t file_bytes;
    uint32_t files_max;
    uint32_t count;
    uint32_t next_index;
    bool direct;
    struct list free;
    struct list used;
    struct journal_file *active;
    uint64_t pos; /* of the next block in active */

    struct journal_file *filling; /* a fill is in flight for it */
    struct journal_file *making;  /* created, not yet free */
    bool fill_failed;             /* for the active file: it is not filled any further */
    uint64_t fill_len;
    void *zeros;
    struct iovec fill_iov[JOURNAL_FILL_VIEWS];
    struct odk_io_write fill;
    struct odk_io_op folder_sync;
    int32_t folder; /* handle while syncing, else -1 */
    bool busy;      /* fill or folder_sync in flight */
    bool full;      /* no space for a further file; tried again at retry_ns */
    uint64_t retry_ns;

    void (*ready)(void *context);                   /* a place may have become available */
    void (*failed)(void *context, enum odk_err err); /* no file can be made any more */
    void *context;
};

struct journal_files_options {
    struct odk_io *io;
    const struct odk_diag *diag;
    const char *dir; /* the data directory */
    uint32_t shard;
    uint64_t file_bytes;
    uint64_t bytes_max;
    bool direct;
    void (*ready)(void *context);
    void (*failed)(void *context, enum odk_err err);
    void *context;
};

/* Takes over the shard's files, all of which hold only blocks of earlier incarnations, or makes the first one.
 * Blocking. ODK_ERR_FULL, ODK_ERR_IO, ... */
MUST_USE enum odk_err journal_files_open(struct journal_files *files, const struct journal_files_options *options);
/* Closes handles and frees; nothing may be in flight unless the io is being abandoned. */
void journal_files_close(struct journal_files *files);

enum journal_place { JOURNAL_PLACED, JOURNAL_NEEDS_NOTE, JOURNAL_WAITS };

/* Finds the place of a block of len bytes: active->handle at pos. NEEDS_NOTE: write a note at pos first. WAITS: ready()
 * is called when to ask again, or a checkpoint must free a file (journal_files_capped). */
enum journal_place journal_files_place(struct journal_files *files, uint64_t len, uint64_t noted_seq,
                                       uint64_t checkpoint_seq, uint64_t now_ns);
/* True when only a checkpoint can make room: the cap is reached and no file is free. */
bool journal_files_capped(const struct journal_files *files);
/* A block of len bytes with that seq has been written at the place. */
void journal_files_wrote(struct journal_files *files, uint64_t len, uint64_t seq);
/* Starts filling ahead if it is time; called when blocks are written. */
void journal_files_fill(struct journal_files *files, uint64_t noted_seq, uint64_t now_ns);
/* Bytes of files that hold blocks with seq > checkpoint_seq. */
uint64_t journal_files_held(const struct journal_files *files, uint64_t checkpoint_seq);
/* The newest seq in the oldest file that holds anything above checkpoint_seq; 0 when only the active one does. */
uint64_t journal_files_oldest_seq(const struct journal_files *files, uint64_t checkpoint_seq);
