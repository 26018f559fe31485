/*
 * What one log remembers of the producers that write to it, so that a retry is recognised and a gap is refused.
 *
 * Per producer: its epoch, the last 5 batches of that epoch, its last timestamp, the first offset of its open
 * transaction. Sequences count records and wrap from 2^31-1 to 0.
 *
 * check() judges a batch, apply() takes it in; apply must follow check before the next check. Both happen when a batch
 * is staged, before it is durable: a retry that overtakes the disk must meet its original. When the journal fails, the
 * log goes offline, so nothing that was applied in vain is ever answered from.
 *
 *   (I1) a producer's batches are of its current epoch, oldest first.
 *   (I2) sorted is ordered by id; by_use holds the same producers, the longest silent first.
 *   (I3) count <= PRODUCERS_MAX.
 *
 * Bound: a client gets a fresh id at every start and ids live a day, so a log that short-lived clients write to
 * collects them. At PRODUCERS_MAX the longest silent one without an open transaction makes room; it may go on writing,
 * as an expired one may, and loses only the recognition of a retry of a batch that is thousands of producers old.
 * 10,000 cost 1.8 MB.
 *
 * Zero is the empty state and holds no memory.
 *
 * Source: KIP-98, KIP-360, KIP-890.
 */
#pragma once
#include <stdbool.h>

#include <odradek/batch.h>

#include "base/base.h"
#include "base/list.h"

#define PRODUCERS_MAX    10000u
#define PRODUCER_BATCHES 5u /* a client has at most 5 requests in flight, so no retry reaches further back */

struct producer_batch {
    int32_t last_sequence; /* -1: written by a coordinator, which does not count */
    int32_t offset_delta;  /* last offset - first offset */
    int64_t last_offset;
    int64_t timestamp; /* the batch's max timestamp */
};

struct producer {
    int64_t id;
    int64_t last_timestamp;
    int64_t txn_first_offset; /* -1: no open transaction */
    int32_t coordinator_epoch;
    int16_t epoch;
    uint16_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES];
    struct list use;
};

struct producers_table {
    struct producer **sorted;
    uint32_t count;
    uint32_t capacity;
    struct list by_use;
};

struct producers {
    struct producers_table *table; /* NULL while there is none */
};

void producers_deinit(struct producers *producers);

struct producers_verdict {
    bool duplicate;
    int64_t base_offset; /* the original's; -1 unless duplicate */
    int64_t timestamp;   /* the original's max timestamp; -1 unless duplicate */
};

/*
 * Judges a batch that a client or coordinator wants to append. Changes nothing.
 *
 *   no producer id                        -> new
 *   unknown id                            -> new, whatever its sequence: the log may have forgotten it
 *   older epoch                           -> ODK_ERR_PRODUCER_EPOCH
 *   same epoch, one of the last 5 batches -> duplicate
 *   same epoch, next sequence             -> new
 *   newer epoch, sequence 0               -> new
 *   otherwise                             -> ODK_ERR_SEQUENCE
 *
 * Markers and batches without a sequence (a coordinator's) are only judged by epoch.
 *
 * ODK_ERR_SEQUENCE
 * ODK_ERR_PRODUCER_EPOCH
 * ODK_ERR_INVALID  not transactional, while the producer has an open transaction here
 * ODK_ERR_LIMIT    PRODUCERS_MAX are known and all have an open transaction
 *
 * Cost: O(log producers).
 */
MUST_USE enum odk_err producers_check(const struct producers *producers, const struct odk_batch *batch,
                                      struct producers_verdict *ret);

/*
 * A batch that was judged good is refused for lack of space. When it is the first of its producer (sequence 0), the producer
 * is known from now on, so that what it has sent behind it is out of order and does not come before it: clients keep
 * several batches in the air. In memory only: after a crash they send all of them again.
 */
void producers_refused(struct producers *producers, const struct odk_batch *batch);

/* Takes in a data batch that begins at base_offset (the header's own is not looked at). Without a producer id nothing
 * happens. Does not judge: what the log holds is true. */
void producers_apply(struct producers *producers, const struct odk_batch *batch, int64_t base_offset);

/* Takes in the marker that ends a transaction. Returns the first offset of the transaction, -1 when none was open. */
int64_t producers_apply_marker(struct producers *producers, const struct odk_batch *batch, int32_t coordinator_epoch);

/*
 * Takes in one stored batch of any kind, whole: for recovery. Its CRC has been checked.
 *
 * ODK_ERR_CORRUPT  offsets that cannot be, or a control batch whose marker cannot be read
 */
MUST_USE enum odk_err producers_replay(struct producers *producers, struct odk_bytes batch);

/* Forgets producers without an open transaction that have been silent for expire_ms. O(n). */
void producers_expire(struct producers *producers, int64_t now_ms, int64_t expire_ms);

/* Producers in order of their ids; idx < count. */
uint32_t producers_count(const struct producers *producers);
const struct producer *producers_at(const struct producers *producers, uint32_t idx);

/* NULL when unknown. O(log n). */
const struct producer *producers_find(const struct producers *producers, int64_t id);

/* Its newest sequence, -1 when it has none. */
int32_t producer_last_sequence(const struct producer *producer);

/*
 * The content of a .snapshot file, Kafka's version 1: i16 version, u32 CRC-32C of what follows, i32 count, then per
 * producer i64 id, i16 epoch, i32 last sequence, i64 last offset, i32 offset delta, i64 timestamp, i32 coordinator
 * epoch, i64 first offset of the open transaction. Ordered by use, so that a restart does not change who makes room.
 *
 * Kafka writes one entry per producer, with its last batch. A client has up to 5 requests in flight, and after a restart
 * it retries all that were not answered: so there is one entry per batch here, a producer's oldest first. Where Kafka
 * reads that, the last entry of an id is the one that counts, and it says what Kafka's would. When a marker came after
 * the last batch, that batch stands twice: with its own timestamp, then with the marker's.
 *
 * ret_data is the caller's (free).
 */
void producers_save(const struct producers *producers, uint8_t **ret_data, size_t *ret_len);

/*
 * Replaces the content by a snapshot's, Kafka's or ours. Untouched on failure. Of more than PRODUCERS_MAX the last ones stay.
 *
 * ODK_ERR_VERSION  another format version
 * ODK_ERR_CORRUPT  anything else: take an older snapshot, or replay the log
 */
MUST_USE enum odk_err producers_load(struct producers *producers, struct odk_bytes snapshot);
