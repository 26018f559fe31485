/*
 * Inside a log. <odradek/log.h> says what it promises; README.md has the crash table.
 *
 * A log that nobody has used is a struct odk_log and a name. Its first use loads a body: segments, producers, epochs.
 *
 *   start_offset <= end_offset (durable, visible) <= next_offset (staged)
 *
 * (L1) Journal entries of a log with seq >= its oldest needed seq are kept: its node in the store's dirty heap says which.
 *      A log without a node has all its bytes in synced files.
 * (L2) Positions in the row of all segments ("log positions") only rise; marks map them to journal seqs, never too high.
 * (L3) Segments below the last two may only be settled: filed, synced, indexes written.
 */
#pragma once
#include <odradek/log.h>

#include "base/list.h"
#include "base/timer.h"
#include "store/epochs.h"
#include "store/index_sum.h"
#include "store/journal.h"
#include "store/known.h"
#include "store/layout.h"
#include "store/producers.h"
#include "store/segment.h"

#define LOG_MARKS 16u
#define LOG_POSITION_FIRST (UINT64_C(1) << 40) /* compaction may make what lies below longer: positions need room */

/* Bytes from that log position on are in journal blocks with at least that seq. */
struct seq_mark {
    uint64_t position;
    uint64_t seq;
};

struct log_snapshot {
    uint8_t *data;
    size_t len;
    int64_t offset; /* the state before the batch at offset */
};

struct log_body {
    int64_t start_offset;
    int64_t end_offset;
    int64_t next_offset;
    uint64_t durable_end; /* log position */
    uint64_t exact_to;    /* the file must hold everything up to this log position */
    struct segment **segments;
    uint32_t count;
    uint32_t capacity;
    struct producers producers;
    struct epochs epochs;
    struct seq_mark marks[LOG_MARKS];
    uint32_t mark_count;
    uint64_t trim_seq; /* of the newest TRIM that no file carries yet; 0: none */
    uint64_t dirty_since_ns;
    uint64_t last_append_ns;
    int64_t last_append_time_ms;
    struct log_snapshot snapshot; /* to be written once its offset is durable; data NULL: none */
    int64_t snapshot_offset;      /* of the newest one on disk; -1: none */
    int64_t older_snapshot_offset;
    int64_t first_batch_offset;   /* in the first segment on disk */
    int64_t first_dirty;          /* compaction has not seen what lies from here on */
    int64_t clean_wanted;         /* a pass up to there waits for a checkpoint; 0: none does */
    bool producers_changed;       /* since the newest snapshot */
    bool epochs_changed;
    bool start_changed;
    bool folder_made;
    bool folder_dirty;  /* names in it are not durable yet */
    bool spilling;
    bool checkpointing;
    bool cleaning;
    bool compacted;   /* at some time: it may be smaller than it was known to be */
    bool uncleanable; /* until a restart */
};

struct odk_log {
    struct odk_store *store;
    struct log_body *body;   /* NULL until the first use */
    struct known_log *known; /* NULL: nothing known at start-up, or the body was loaded and found whole */
    char *name;
    uint32_t name_len;
    uint32_t journal_number;
    uint64_t journal_seq;
    struct odk_uuid id;
    struct odk_log_config config;
    void (*moved)(void *context);
    void *moved_context;
    enum odk_err err;      /* why appends are refused */
    uint32_t holds;        /* appends staged or queued, reads pending or pinned, jobs: while any, the struct stays */
    struct list link;      /* in store.logs */
    struct list touched;   /* moved by the commit being reported */
    struct list spill;     /* waiting for a spill */
    struct list unindexed; /* has rebuilt indexes of sealed segments: waiting for a checkpoint */
    struct timer dirty;    /* heap by oldest needed seq (not by time) */
    struct timer quiet;
    bool deleted; /* for its users */
    bool doomed;  /* DELETE is durable: its bytes need not reach a file any more */
    bool moves; /* the observer is to be called */
};

_Static_assert(sizeof(struct odk_log) <= 512, "100,000 of them must fit");

/* -- log.c --------------------------------------------------------------------------------------------------------- */

/* Loads the body if need be. False when the log cannot be used: log->err says why. */
bool log_use(struct odk_log *log);
/* Appends are refused from now on; reads of what is durable go on. */
void log_fail(struct odk_log *log, enum odk_err err);
/* A write or sync of its files has failed: no retry. Its journal entries are kept for the next start. */
void log_go_offline(struct odk_log *log);
void log_body_free(struct odk_log *log);
void log_free(struct odk_log *log);
void log_hold(struct odk_log *log);
/* Frees a deleted log when nothing holds it any more. */
void log_unhold(struct odk_log *log);
bool log_folder(const struct odk_log *log, char dst[LAYOUT_PATH_MAX]);
bool log_segment_path(const struct odk_log *log, const struct segment *segment, const char *suffix,
                      char dst[LAYOUT_PATH_MAX]);
/* Unlinks the files of a segment, the .log last, so that what is left after a crash is never an index alone; without it if
 * not log_too. False: one stays. */
bool log_segment_unlink(const struct odk_log *log, const struct segment *segment, bool log_too);
struct segment *log_segment_add(struct log_body *body, int64_t base, uint64_t size);
static inline struct segment *log_active(const struct log_body *body)
{
    return body->segments[body->count - 1];
}
/* The segment that holds offset: the last one with base <= offset. */
uint32_t log_segment_of(const struct log_body *body, int64_t offset);
/* Offset behind the last record of a segment. */
int64_t log_segment_end(const struct log_body *body, uint32_t idx);
/* Maps at least len bytes of the segment's file. */
MUST_USE enum odk_err log_map_data(struct odk_log *log, struct segment *segment, uint64_t len);
struct journal_name log_journal_name(struct odk_log *log);
/* What the clean-shutdown marker shall say. */
void log_describe(struct odk_log *log, struct known_log *ret);

/* -- log_load.c ---------------------------------------------------------------------------------------------------- */

MUST_USE enum odk_err log_load(struct odk_log *log);
/* ODK_ERR_EXISTS: the folder says that it belongs to another id. */
MUST_USE enum odk_err log_check_owner(struct odk_log *log);

/* -- log_index.c --------------------------------------------------------------------------------------------------- */

/* What the index files of a segment are proven to hold. ODK_ERR_CORRUPT: nothing. */
MUST_USE enum odk_err log_index_filed(struct odk_log *log, struct segment *segment, struct index_sum *ret);
/* Views of a segment's indexes, from memory or mapped files; rebuilds those of a sealed one that are not proven whole. */
MUST_USE enum odk_err log_index_views(struct odk_log *log, struct segment *segment, struct odk_bytes *ret_offsets,
                                      struct odk_bytes *ret_times);
/* Makes the indexes again, in memory, from the batches. */
MUST_USE enum odk_err log_index_rebuild(struct odk_log *log, struct segment *segment);
/* Walks the batches of [pos, segment->size) and adds them to the indexes in memory and, if epochs is not NULL, to the
 * epochs. ODK_ERR_CORRUPT: the row of batches ends before the segment does; ret_pos says where. */
MUST_USE enum odk_err log_index_extend(struct odk_log *log, struct segment *segment, uint64_t pos,
                                       struct epochs *epochs, uint64_t *ret_pos);

/* -- log_append.c -------------------------------------------------------------------------------------------------- */

/* Tries what is queued. */
void log_append_drain(struct odk_store *store);
/* The journal has committed all blocks up to seq. */
void log_append_committed(struct odk_store *store, uint64_t seq);
/* Ends everything staged and queued with err. */
void log_append_abort(struct odk_store *store, enum odk_err err);

/* Seals the active segment; a new, empty one follows it. */
void log_roll(struct odk_log *log);
/* What the producers are now becomes a snapshot, written when its offset is durable. */
void log_snapshot_take(struct log_body *body);

/* -- log_trim.c ---------------------------------------------------------------------------------------------------- */

/* A slice of work: journal entries of trims, segments wholly below the start. True while there is more to do at once. */
bool log_trim_run(struct odk_store *store);
/* Removes what an earlier life trimmed and did not remove. */
void log_trim_resume(struct odk_log *log);
void log_trim_committed(struct odk_store *store, uint64_t seq);
void log_trim_abandon(struct odk_store *store);

/* -- log_marks.c --------------------------------------------------------------------------------------------------- */

void log_marks_add(struct log_body *body, uint64_t position, uint64_t seq);
/* Forgets what lies below position. */
void log_marks_advance(struct log_body *body, uint64_t position);
/* Puts the log at its place in the store's dirty heap, or takes it out. */
void log_dirty_update(struct odk_log *log);
/* The log of a node of that heap, NULL when it is a deletion's. */
struct odk_log *log_of_dirty(struct timer *timer);
/* Log position below which everything is safe without the journal. */
uint64_t log_synced_position(const struct log_body *body);

/* -- log_read.c ---------------------------------------------------------------------------------------------------- */

/* len bytes at pos of a segment, below its size, wherever they are. ODK_ERR_PENDING: mapped, but not in memory; the
 * range to bring in is then in ret_absent. */
struct absent {
    const uint8_t *data;
    size_t len;
    struct file_map *map;
};
MUST_USE enum odk_err log_peek(struct odk_log *log, struct segment *segment, uint64_t pos, void *dst, size_t len,
                               bool may_block, struct absent *ret_absent);

/* -- log_wait.c ---------------------------------------------------------------------------------------------------- */

typedef void log_resume(struct odk_log *log, void *object, enum odk_err err);
/* Brings the absent range in, or with NULL waits for a spill of the log; then calls resume, from the io's run(). */
void log_wait(struct odk_log *log, const struct absent *absent, log_resume *resume, void *object);
/* A spill of this log has ended: what waited for it goes on. */
void log_wait_on_spilled(struct odk_log *log);
/* The same, from the store's next tick. */
void log_wait_turn(struct odk_log *log, log_resume *resume, void *object);
/* Begins a turn for searches and resumes those that waited for it. True: some wait again. */
bool log_wait_turn_run(struct odk_store *store);
/* True if the io brings something into memory for somebody. */
bool log_wait_in_flight(struct odk_store *store);
void log_wait_abandon(struct odk_store *store);
