/*
 * What is committed, worked out from the records of one partition of __consumer_offsets, in their order.
 *
 * A commit in a transaction counts once its marker has come; what has none yet is left out. Records of other kinds and
 * versions are passed over.
 */
#pragma once
#include <odradek/batch.h>

#include "base/base.h"
#include "base/hash_table.h"

struct committed {
    struct odk_str group; /* views into key */
    struct odk_str topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch; /* -1: unknown */
    int64_t committed_ms;
    UT_hash_handle hh;
    uint32_t key_len;
    char key[]; /* group length, group, topic, partition */
};

/* In a transaction that has not ended. */
struct committed_pending {
    struct committed_pending *next;
    int64_t producer_id;
    bool forget; /* a tombstone */
    struct committed *commit;
};

struct committed_state {
    struct committed *table;
    struct committed_pending *first; /* oldest first */
    struct committed_pending **last;
    uint64_t bad_records; /* that could not be understood */
};

/* A zeroed state is empty. */
void committed_deinit(struct committed_state *state);
/* Takes in a record of a batch. */
void committed_apply(struct committed_state *state, const struct odk_batch *batch, const struct odk_record *record);
/* What is committed, by group, topic and partition; the array is the caller's (free), what it points to the state's. */
struct committed **committed_sorted(const struct committed_state *state, size_t *ret_count);
