/*
 * The journal of one store: staging, one write in flight, group commit.
 *
 * Entries are staged into the block being filled. While a block is being written the next one fills; when the write
 * completes the next goes out at once. journal_kick starts a write when none is in flight: the owner calls it once per
 * turn, so that everything one turn brought travels together.
 *
 *   add ... add -> kick -> write -> committed(seq) ; add ... add (meanwhile) -> write -> committed(seq + 1) ...
 *
 * (J1) Blocks become durable in the order of their seqs; committed(seq) means all blocks <= seq are durable.
 * (J2) A failed write is final: nothing of that block or behind it is ever reported durable. The exception is a lack of
 *      space, which leaves the block waiting: it is written again, whole, to the same place.
 * (J3) Every completed block is noted in noted_seq with the checkpoint seq it carries: see journal_files.h F2.
 */
#pragma once
#include <odradek/bytes.h>

#include "store/journal_files.h"
#include "store/journal_format.h"

struct journal_buffer {
    uint8_t *mem;
    uint64_t capacity;
    uint32_t used; /* payload bytes */
    uint32_t entries;
    uint32_t names;
    bool large; /* mem belongs to this block only */
};

/* Who an entry is about. seq and number are the journal's. */
struct journal_name {
    struct odk_str name;
    struct odk_uuid id;
    uint64_t *seq; /* the block that number is valid in */
    uint32_t *number;
};

struct journal {
    struct odk_io *io;
    const struct odk_diag *diag;
    struct journal_files files;
    uint64_t incarnation;
    uint32_t shard;
    uint32_t block_bytes_max;
    struct journal_buffer buffers[2];
    uint8_t *note;
    uint32_t filling; /* index of the buffer that fills */
    uint64_t next_seq;
    uint64_t committed_seq;
    uint64_t checkpoint_seq;
    uint64_t noted_seq;
    uint64_t flying_checkpoint_seq;
    uint64_t flying_bytes;
    uint64_t stalled_until_ns; /* no space for the block in flight; 0: not stalled */
    struct iovec iov;
    struct odk_io_write write;
    bool in_flight;
    bool flying_note;
    bool waits; /* a block is staged and has no place */
    enum odk_err err;
    uint64_t write_count;
    uint64_t written_bytes;
    void (*committed)(void *context, uint64_t seq);
    void (*failed)(void *context, enum odk_err err);
    void *context;
};

struct journal_options {
    struct odk_io *io;
    const struct odk_diag *diag;
    const char *dir;
    uint32_t shard;
    uint64_t incarnation;
    uint64_t file_bytes;
    uint64_t bytes_max;
    bool direct;
    void (*committed)(void *context, uint64_t seq);
    void (*failed)(void *context, enum odk_err err);
    void *context;
};

MUST_USE enum odk_err journal_open(struct journal *journal, const struct journal_options *options);
void journal_close(struct journal *journal);

/* True when an entry with len bytes can be added now; prepares memory for it. */
bool journal_room(struct journal *journal, size_t name_len, size_t len);
/* Adds an entry, and the log's name when this block has not got it yet. There must be room. Returns the block's seq. */
uint64_t journal_add(struct journal *journal, const struct journal_name *name, const struct journal_entry *entry);
/* Starts what can be started. */
void journal_kick(struct journal *journal);
/* Nothing further is written: the owner has given up. */
void journal_stop(struct journal *journal, enum odk_err err);
/* All blocks with seq <= seq are no longer needed. */
void journal_set_checkpoint(struct journal *journal, uint64_t seq);
/* True when nothing is staged and nothing is in flight. */
bool journal_idle(const struct journal *journal);
/* True while staged blocks cannot be written for lack of space on the disk. */
bool journal_full(const struct journal *journal);
/* When to call journal_kick again although nothing happened; UINT64_MAX: not. */
uint64_t journal_next_ns(const struct journal *journal);
