/*
 * A data directory of partition logs: one journal per reactor, one memory tail and a row of segment files per log.
 *
 *   journal (durable, shared)  ->  tail (memory, per log)  ->  segments (files, mapped for reading)
 *
 * Start-up has two steps. odk_boot_open locks the directory, reads its identity and the clean-shutdown marker, and after
 * a crash redoes what the journals hold into the segments and syncs it: afterwards every segment file ends exactly at
 * its log's end. Then each reactor opens its own struct odk_store over its own struct odk_io.
 *
 * Everything that belongs to one store is used from one thread. Callbacks run only from the io's run() or from
 * odk_store_tick, except where a function says otherwise.
 *
 * Errors of the disk are final where they must be: a failed journal write takes the store's logs offline for writing
 * (ODK_ERR_OFFLINE); a failed write or sync of a segment takes that log offline. Reads of what is durable go on.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/err.h>
#include <odradek/io.h>

struct odk_boot;
struct odk_store;
struct odk_log;

/* -- boot ------------------------------------------------------------------------------------------------------- */

struct odk_boot_options {
    const char *dir; /* created when missing (one level) */
    struct odk_io *io;
    const struct odk_diag *diag;
    int32_t node_id;
    uint64_t redo_bytes_max; /* after a crash: memory for bytes on their way into segments; 0: 128 MiB */
    uint32_t redo_files_max; /* after a crash: segments open at once; 0: 768 */
};

/*
 * Takes the directory and brings it to a consistent state. Blocking; time proportional to what was not checkpointed.
 *
 * ODK_ERR_BUSY     another process has it (message names the lock file)
 * ODK_ERR_ACCESS   not writable
 * ODK_ERR_VERSION  a newer format; nothing was altered
 * ODK_ERR_CORRUPT  damage that must not be papered over: a journal block before the torn tail, a segment shorter than
 *                  its checkpoint; the message names file and position; nothing was altered
 * ODK_ERR_FULL, ODK_ERR_IO
 */
ODK_MUST_USE enum odk_err odk_boot_open(const struct odk_boot_options *options, struct odk_boot **ret_boot);

struct odk_boot_info {
    struct odk_uuid cluster_id; /* made at the first start */
    struct odk_uuid directory_id;
    int32_t leader_epoch;       /* rises by one at each start that was not clean */
    bool clean;                 /* the last stop was clean, or the directory is new */
    bool direct;                /* O_DIRECT works here */
    uint64_t redone_bytes;
};
void odk_boot_info(const struct odk_boot *boot, struct odk_boot_info *ret);

/* Frees boot and releases the lock. All stores must be closed. clean: all of them closed without error, so the
 * clean-shutdown marker is written (blocking). */
ODK_MUST_USE enum odk_err odk_boot_close(struct odk_boot *boot, bool clean);

/* -- a reactor's store ------------------------------------------------------------------------------------------ */

struct odk_store_options {
    struct odk_boot *boot;
    struct odk_io *io;
    const struct odk_diag *diag;
    uint32_t shard;       /* this reactor, 0 .. shard_count-1 */
    uint32_t shard_count;
    uint64_t journal_bytes_max; /* cap of this journal; 0: 1 GiB */
    uint64_t tail_bytes_max;    /* pool of tail memory; 0: 256 MiB */
    uint32_t files_max;         /* open segment files and mappings kept; 0: 1024 */
    uint32_t journal_file_bytes; /* 0: 64 MiB; tests use small ones */
    uint32_t spill_bytes;        /* a log spills at this many unspilled bytes; 0: 1 MiB */
    uint32_t quiet_ms;           /* spill everything of a log that had no append for so long; 0: 1000 */
    uint32_t checkpoint_ms;      /* spilled data is synced at the latest after this; 0: 30000 */
};

/* Opens the store. No log is touched yet. Blocking (start-up). */
ODK_MUST_USE enum odk_err odk_store_open(const struct odk_store_options *options, struct odk_store **ret_store);

/* One slice of housekeeping: the journal's next write, spills, checkpoints, journal extension, closing of idle files.
 * Call it when its time has come, after every run(), and after appends made outside of run(): all that was appended since
 * the last turn goes into one journal write, and nothing else starts it when the journal is idle. Returns the monotonic
 * time at which it wants to be called again (UINT64_MAX: only after something happened). Never blocks. */
uint64_t odk_store_tick(struct odk_store *store, uint64_t now_ns);

/* Writes and syncs everything, completes what is in flight, then calls done once; afterwards call odk_store_free.
 * Appends meanwhile fail with ODK_ERR_CLOSED. */
void odk_store_close(struct odk_store *store, void (*done)(void *context, enum odk_err err), void *context);
/* Frees memory and handles without touching data: after close, or to abandon after a failure (simulated crash). */
void odk_store_free(struct odk_store *store);

struct odk_store_stats {
    uint64_t appended_bytes, journal_bytes, spilled_bytes; /* since the start */
    uint64_t journal_writes, segment_syncs;
    uint64_t journal_used_bytes, tail_used_bytes;
    uint64_t files_open, maps_open, logs, logs_open;
    bool offline;
};
void odk_store_stats(const struct odk_store *store, struct odk_store_stats *ret);

/* The data directory, as it was given to boot. */
const char *odk_store_dir(const struct odk_store *store);
/* Bytes of the volume that it is on: what is free for this process, and all. One system call, of the calling thread. */
ODK_MUST_USE enum odk_err odk_store_space(const struct odk_store *store, uint64_t *ret_free, uint64_t *ret_total);

/* -- logs -------------------------------------------------------------------------------------------------------- */

struct odk_log_config {
    int32_t segment_bytes;        /* roll before a segment would exceed it */
    int64_t segment_ms;           /* roll when a batch's timestamp is that far from the segment's first one */
    int64_t segment_jitter_ms;    /* each segment takes a share of this off segment_ms, its own, drawn from its name */
    int32_t index_interval_bytes; /* one index entry per so many bytes of batches */
    int32_t segment_index_bytes;
    bool log_append_time;         /* stamp batches with the append time */
};

struct odk_log_spec {
    struct odk_str name;     /* the folder: "topic-partition"; [A-Za-z0-9._-], checked */
    struct odk_uuid id;      /* incarnation: the topic's id, unique, not zero; a folder of another id: ODK_ERR_EXISTS */
    struct odk_log_config config;
};

/*
 * Opens a log that exists, or creates it. Creating is durable when a later append to it is (the journal carries it).
 * A log that exists costs no I/O until its first use.
 *
 * ODK_ERR_INVALID  name; ODK_ERR_EXISTS a folder of that name belongs to another id; ODK_ERR_CORRUPT; ODK_ERR_IO
 */
ODK_MUST_USE enum odk_err odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log);

/* Ends the log: appends in flight complete first, new ones fail with ODK_ERR_CLOSED; its folder is renamed away at
 * once and removed in the background; done (may be NULL) runs when the deletion is durable. log is invalid from here
 * on, except for reads that still hold pins. */
void odk_log_delete(struct odk_log *log, void (*done)(void *context, enum odk_err err), void *context);
