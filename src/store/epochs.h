/*
 * Leader epoch -> first offset written under it, for one log.
 *
 * A client that read under an old leader asks where that epoch ended, to learn whether what it read still exists.
 *
 *   (I1) epochs and start offsets both rise strictly; none is negative.
 *
 * Written to leader-epoch-checkpoint as Kafka does, text: "0\n", "<count>\n", then "<epoch> <start offset>\n" each.
 * Zero is the empty state and holds no memory.
 *
 * Source: KIP-101, KIP-279.
 */
#pragma once
#include <stdbool.h>

#include <odradek/bytes.h>

#include "base/base.h"

struct epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epochs {
    struct epoch_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

void epochs_deinit(struct epochs *epochs);

/* Notes that epoch begins at start_offset. Entries that contradict it (a larger or equal epoch, or a start at or behind
 * this one) go first. True when something changed, so that the file must be written again. */
bool epochs_assign(struct epochs *epochs, int32_t epoch, int64_t start_offset);

/* The newest epoch, -1 when there is none. */
int32_t epochs_latest(const struct epochs *epochs);

/* Epoch of the record at offset, -1 when it is before the first one known. O(log n). */
int32_t epochs_of(const struct epochs *epochs, int64_t offset);

/*
 * Where an epoch ends.
 *
 *   the newest one                  -> itself, log_end
 *   above the newest, or negative   -> -1, -1
 *   below the first one known       -> itself, start of the first: what it held has gone
 *   otherwise                       -> the largest known one <= epoch, start of the next one
 */
void epochs_end_of(const struct epochs *epochs, int32_t epoch, int64_t log_end, int32_t *ret_epoch,
                   int64_t *ret_end_offset);

/* The log now ends at end_offset: forgets epochs that start there or behind it. True when something changed. */
bool epochs_truncate_end(struct epochs *epochs, int64_t end_offset);

/* The log now starts at start_offset: forgets epochs that ended before, and lets the one that contains it start there.
 * True when something changed. */
bool epochs_truncate_start(struct epochs *epochs, int64_t start_offset);

/* The file's text; ret_data is the caller's (free), without a NUL. */
void epochs_print(const struct epochs *epochs, char **ret_data, size_t *ret_len);

/*
 * Replaces the content by a file's. Untouched on failure.
 *
 * ODK_ERR_VERSION  another format version
 * ODK_ERR_CORRUPT  anything else: I1 broken, a number out of range, lines missing or too many
 */
MUST_USE enum odk_err epochs_parse(struct epochs *epochs, struct odk_bytes text);
