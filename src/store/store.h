/* Inside a store: one reactor's logs and what they share. */
#pragma once
#include <odradek/log.h>

#include "base/list.h"
#include "base/timer.h"
#include "store/boot.h"
#include "store/files.h"
#include "store/journal.h"
#include "store/tail.h"

struct spill;
struct checkpoint;
struct removal;

struct odk_store {
    struct odk_boot *boot;
    struct odk_io *io;
    const struct odk_diag *diag;
    const char *dir; /* boot's */
    uint32_t shard;
    uint64_t journal_bytes_max;
    uint32_t spill_bytes;
    uint32_t quiet_ms;
    uint32_t checkpoint_ms;
    uint32_t files_max;

    struct journal journal;
    struct tail_pool pool;
    struct files files;

    struct list logs;
    struct list gone; /* deleted ones that something still holds */
    uint64_t log_count;
    uint64_t open_count; /* with a body */
    struct timers dirty; /* logs and deletions, keyed by the oldest journal seq they need */
    struct timers quiet; /* logs that have unfiled bytes */
    struct list touched;
    struct odk_append *queue_first; /* waiting for room, in order of calls */
    struct odk_append **queue_last;
    struct odk_append *staged_first; /* in the journal's hands, in order of seq */
    struct odk_append **staged_last;
    uint64_t staged_seq; /* of the newest one */
    bool draining;

    struct list spill_wait; /* logs */
    struct list spills;     /* in flight */
    uint32_t spill_count;
    struct list checkpoints; /* in flight */
    struct list unindexed;   /* logs with rebuilt indexes to write */
    uint32_t checkpoint_count;
    struct list removals; /* deletions and their folders */
    struct list waits; /* reads and searches */
    struct list cleans; /* passes of compaction, swaps to be finished */
    size_t searched_bytes; /* of records, by searches in this turn */
    struct list trims;
    uint64_t aged_ns;
    uint64_t full_until_ns; /* no space for segments: spills are tried again then; 0: there is */
    uint32_t full_tries;    /* in vain, one after the other */
    uint64_t root_dirty_no; /* of the newest change of names in the data directory */
    uint64_t root_synced_no;

    uint64_t kept_seq; /* oldest journal seq that only the next start can do without; UINT64_MAX: none */
    enum odk_err err;  /* the journal has failed */
    bool closing;
    bool closed;
    void (*close_done)(void *context, enum odk_err err);
    void *close_context;

    uint64_t appended_bytes;
    uint64_t spilled_bytes;
    uint64_t sync_count;
};

/* The journal is lost: every log of this store stops accepting. */
void store_fail(struct odk_store *store, enum odk_err err);
/* There was no space: spills and checkpoints pause, appends are refused. */
void store_set_full(struct odk_store *store);
void store_clear_full(struct odk_store *store);
/* Keeps the journal from a node's seq on until the next start, and takes the node out of the dirty heap. */
void store_keep(struct odk_store *store, struct timer *dirty);
/* A log's quiet timer. */
void store_quiet_on_time(struct timer *timer, uint64_t now_ns);

/* -- spill.c ------------------------------------------------------------------------------------------------------- */

/* Files the log's durable bytes: all of them when exact, else what makes whole blocks. */
void spill_request(struct odk_log *log, bool exact);
/* Starts what can be started. */
void spill_run(struct odk_store *store, uint64_t now_ns);
void spill_abandon(struct odk_store *store);
/* Files of logs with much to file, when memory is short. */
void spill_relieve(struct odk_store *store);

/* -- checkpoint.c -------------------------------------------------------------------------------------------------- */

void checkpoint_run(struct odk_store *store, uint64_t now_ns);
/* A spill of this log has ended. */
void checkpoint_on_spilled(struct odk_log *log);
void checkpoint_abandon(struct odk_store *store);
/* Tells the journal what is no longer needed. */
void checkpoint_advance(struct odk_store *store);
/* When a checkpoint is due although nothing happens. */
uint64_t checkpoint_next_ns(const struct odk_store *store);

/* -- removal.c ----------------------------------------------------------------------------------------------------- */

/* A slice of work on deletions; true while there is more to do at once. */
bool removal_run(struct odk_store *store);
void removal_adopt(struct odk_store *store);
void removal_abandon(struct odk_store *store);
void removal_committed(struct odk_store *store, uint64_t seq);
/* The journal has failed: deletions that are not durable never will be. */
void removal_abort(struct odk_store *store, enum odk_err err);
/* True when all that is left is files to remove, which the next start may do as well. */
bool removal_is_settled(const struct odk_store *store);
/* True while a folder of that name waits to be renamed away. */
bool removal_pending(const struct odk_store *store, const char *name);
