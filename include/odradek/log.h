/*
 * One partition log: append, read, find. See odradek/store.h for how logs come to be.
 *
 * Offsets count records, positions count bytes in a segment. Visible = durable: the end offset that readers see moves
 * only when the journal write that holds the batches has completed.
 */
#pragma once
#include <odradek/batch.h>
#include <odradek/store.h>

/* -- append ------------------------------------------------------------------------------------------------------- */

/* One batch on its way. The caller embeds it, keeps it and the batch's bytes alive until done. */
struct odk_append {
    uint8_t *batch;  /* one verified batch (odk_batch_verify); patched in place */
    size_t len;
    bool urgent;     /* makes room, as a deletion does: taken while segments find none, as long as the journal has some */
    void (*done)(struct odk_append *append, enum odk_err err);
    /* results, valid in done when err is ODK_OK */
    int64_t base_offset;
    int64_t append_time_ms; /* -1 unless the log stamps append time */
    int64_t log_start_offset;
    bool duplicate;         /* an idempotent producer's retry; base_offset is the original's, nothing was written */
    /* private */
    struct odk_log *log;
    struct odk_append *next;
    struct odk_batch header;
    uint64_t seq;
    uint64_t end_pos;
};

/*
 * Appends one batch: checks the producer's sequence, assigns offsets and leader epoch, stages it in the tail and in the
 * journal's next write. Order of calls = order of offsets. done runs once the batch is durable, or at once (inside the
 * call) when it is refused or is a duplicate of something durable.
 *
 * ODK_ERR_SEQUENCE        idempotent producer: a gap or a step back
 * ODK_ERR_PRODUCER_EPOCH  its epoch is older than the known one
 * ODK_ERR_TOO_LARGE       larger than segment_bytes
 * ODK_ERR_FULL            no space; appends work again when there is
 * ODK_ERR_OFFLINE         after a storage failure
 * ODK_ERR_CLOSED          deleted or closing
 *
 * Cost: two copies of the batch (tail and journal), no allocation, no system call. Source: KIP-98 (sequences), group
 * commit with one journal write in flight.
 */
void odk_log_append(struct odk_log *log, struct odk_append *append);

/* -- state --------------------------------------------------------------------------------------------------------- */

int64_t odk_log_start_offset(struct odk_log *log);
/* First offset that is not durable yet: the high watermark. May read the end of the active segment once; when that
 * fails the log cannot be used, odk_log_state says why, and start, end and size are 0. */
int64_t odk_log_end_offset(struct odk_log *log);
/* True if it is known without any input that the log holds no record: a new one, or one that was left empty. */
bool odk_log_known_empty(struct odk_log *log);
/* Bytes from the segment that holds the start on, the tail included. */
uint64_t odk_log_size(struct odk_log *log);
/* ODK_OK, or why appends are refused. */
enum odk_err odk_log_state(struct odk_log *log);
void odk_log_configure(struct odk_log *log, const struct odk_log_config *config);

/* Leader epoch of the record at offset, -1 when unknown. */
int32_t odk_log_epoch_of(struct odk_log *log, int64_t offset);
/* Where an epoch ends: ret_epoch the largest known epoch <= epoch, ret_end_offset the start of the next one or the end
 * of the log; (-1, -1) when epoch is above odk_log_epoch, which is known before it has a record. Source: KIP-101,
 * OffsetForLeaderEpoch. */
void odk_log_epoch_end(struct odk_log *log, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset);
/* The epoch that new batches get. */
int32_t odk_log_epoch(struct odk_log *log);

/* Called (on the store's thread) whenever the end offset has moved, or the log was deleted or went offline. One observer
 * per log. */
void odk_log_observe(struct odk_log *log, void (*moved)(void *context), void *context);

/* -- read ---------------------------------------------------------------------------------------------------------- */

#define ODK_READ_PARTS_MAX 80u

/* One read: whole batches, back to back, as pinned memory. The caller embeds it. */
struct odk_read {
    int64_t offset;        /* in: the first batch returned contains it */
    uint32_t bytes_max;    /* in */
    bool at_least_one;     /* in: return the first batch whole even when it is larger than bytes_max */
    void (*done)(struct odk_read *read, enum odk_err err);
    struct iovec parts[ODK_READ_PARTS_MAX]; /* out */
    uint32_t part_count;
    uint32_t bytes;
    int64_t next_offset;   /* out: behind the last batch returned; offset itself when none */
    uint64_t priv[20];
};

/*
 * Reads from offset on, up to the durable end. Returns ODK_OK with parts filled (possibly none: offset is the end, or
 * the first batch does not fit and at_least_one is false), or ODK_ERR_PENDING: data is being brought into memory, done
 * follows. On success the parts stay valid until odk_log_read_release, from any thread's point of view.
 *
 * ODK_ERR_RANGE    offset < start or > end
 * ODK_ERR_IO       the device could not deliver that range
 * ODK_ERR_CORRUPT  the bytes there are not a batch
 * ODK_ERR_CLOSED   deleted meanwhile
 *
 * Cost: one index search and a walk over at most index_interval_bytes of headers.
 */
ODK_MUST_USE enum odk_err odk_log_read(struct odk_log *log, struct odk_read *read);
/* Unpins; on the store's thread. Harmless on a read that returned an error or nothing, even when log has been deleted. */
void odk_log_read_release(struct odk_log *log, struct odk_read *read);

/* Looks for a record by time. */
struct odk_find_time {
    int64_t timestamp; /* in: the smallest offset whose timestamp is >= this; INT64_MAX - 1 never matches */
    bool max;          /* in: instead, the record with the largest timestamp */
    void (*done)(struct odk_find_time *find, enum odk_err err);
    int64_t ret_offset;    /* out: -1 when there is none */
    int64_t ret_timestamp; /* out: -1 when there is none */
    uint64_t priv[24];
};
/* Like odk_log_read: ODK_OK at once or ODK_ERR_PENDING. Compressed batches are opened to find the exact record; one
 * that cannot be, or has more than 64 MiB inside, counts as one record: its first, at its largest timestamp. */
ODK_MUST_USE enum odk_err odk_log_find_time(struct odk_log *log, struct odk_find_time *find);

/* -- segments ------------------------------------------------------------------------------------------------------ */

/* One segment, for whoever decides how long it is kept. */
struct odk_segment_info {
    int64_t base_offset;
    int64_t end_offset;    /* behind its last record */
    uint64_t bytes;
    uint64_t bytes_behind; /* of all later segments */
    int64_t max_timestamp; /* the largest of its records; -1: none has one */
    int64_t first_timestamp; /* of a record near its begin, within index_interval_bytes; -1: not known */
    bool active;           /* appends go there */
};

/* Tells about the segment that holds offset, of what is durable. ODK_ERR_RANGE: offset < start or > end; else what the
 * use of the log, or of the segment's time index, says. Cost: a search; the index files are mapped and may be rebuilt. */
ODK_MUST_USE enum odk_err odk_log_segment(struct odk_log *log, int64_t offset, struct odk_segment_info *ret);
/* When the file of the segment that holds offset was last written, by the wall clock of then; now, when it is not in a
 * file yet; -1 when that cannot be told. Cost: one system call. */
int64_t odk_log_segment_written_ms(struct odk_log *log, int64_t offset);
/* Ends the active segment: later appends go into a new one. ODK_ERR_BUSY: it is empty, or an append is on its way. */
ODK_MUST_USE enum odk_err odk_log_roll(struct odk_log *log);
/* True if the log has been used since the start: calls about it read no files to get to know it. */
bool odk_log_is_loaded(const struct odk_log *log);

/* -- compaction ---------------------------------------------------------------------------------------------------- */

/* One pass of compaction. The caller embeds it and keeps it until done. */
struct odk_clean {
    int64_t up_to;               /* in: segments below are compacted; the base of one, at most of the active one */
    int64_t now_ms;              /* in: the wall clock */
    int64_t delete_retention_ms; /* in: how long marks of deleted keys stay from now on */
    uint64_t map_bytes_max;      /* in: memory for keys; what finds no room is left for the next pass */
    void (*done)(struct odk_clean *clean, enum odk_err err);
    uint64_t bytes_read, bytes_written; /* out */
};

/*
 * Removes the records below up_to that a later one of the same key, also below it, has superseded, and those without a
 * key; old marks of deleted keys as well. Offsets do not change; reads and appends go on meanwhile. Runs in slices of
 * odk_store_tick, one pass per store at a time; a crash leaves each segment as it was or as it was to be.
 *
 * ODK_ERR_BUSY     nothing new to compact; or what is new is not synced yet, which is hastened; or another pass is under
 *                  way; done does not run
 * ODK_ERR_OFFLINE, ODK_ERR_CLOSED, ODK_ERR_MEMORY
 *
 * done: ODK_OK; ODK_ERR_FULL, ODK_ERR_LIMIT, ODK_ERR_MEMORY: may be tried again; else not in this life
 *
 * Cost: reads the new part twice and the rest once, writes what stays; memory: map_bytes_max, two windows of 1 MiB or one
 * batch, and one opened batch.
 */
ODK_MUST_USE enum odk_err odk_log_clean(struct odk_log *log, struct odk_clean *clean);
/* The first offset that no pass has seen; -1 when the log cannot be compacted (now). */
int64_t odk_log_dirty_offset(struct odk_log *log);

/* Moves the start: everything below offset is gone for readers at once; segments wholly below are removed in the
 * background. ODK_ERR_RANGE above the end. done (may be NULL) runs when durable. */
void odk_log_trim(struct odk_log *log, int64_t offset, void (*done)(void *context, enum odk_err err), void *context);

/* -- idempotent producers ------------------------------------------------------------------------------------------ */

struct odk_producer_info {
    int64_t producer_id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_timestamp;
};
/* Visits every producer the log knows. */
void odk_log_producers(struct odk_log *log, void (*visit)(void *context, const struct odk_producer_info *info),
                       void *context);
