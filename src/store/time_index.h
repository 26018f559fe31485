/*
 * Timestamp -> offset inside one segment; sparse, derived from the segment and rebuildable from it.
 *
 * Entries are Kafka's, 12 bytes, big-endian: i64 timestamp, i32 offset - segment base. An entry says: the largest
 * timestamp of all batches up to here is this one, and the batch that has it ends at that offset. So no record before
 * the floor entry's offset is younger than the entry, and a search for a timestamp starts there.
 *
 *   (I1) timestamps rise strictly, offsets never fall.
 *   (I2) no entry has a timestamp below 0: "no timestamp" is not indexed.
 *
 * As with offset_index.h, lookups are pure functions over the bytes, wherever they are. Zero is the empty index.
 */
#pragma once
#include <stdbool.h>

#include <odradek/bytes.h>

#include "base/base.h"

struct time_entry {
    int64_t timestamp;   /* milliseconds since 1970 */
    uint32_t rel_offset; /* last offset of the batch that has it - base of the segment; at most INT32_MAX */
};

/* -- any index: bytes of whole entries ----------------------------------------------------------------------------- */

/* The entry of that number, which must be there. */
struct time_entry time_index_at(struct odk_bytes index, size_t idx);

/* The last entry with timestamp <= the one asked for; false when there is none (start at the segment's base). O(log n).
 */
bool time_index_floor(struct odk_bytes index, int64_t timestamp, struct time_entry *ret);

/* The last entry: the largest timestamp of a closed segment. False when empty. */
bool time_index_last(struct odk_bytes index, struct time_entry *ret);

/*
 * Checks a file's bytes before they are used: whole entries, I1, I2, offsets at most rel_offset_max.
 *
 * ODK_ERR_CORRUPT  rebuild it from the log
 *
 * Cost: O(n).
 */
MUST_USE enum odk_err time_index_check(struct odk_bytes index, uint32_t rel_offset_max);

/* -- the index of an active segment -------------------------------------------------------------------------------- */

struct time_index {
    uint8_t *data;
    uint32_t count;    /* entries */
    uint32_t capacity; /* entries */
    bool has_max;
    struct time_entry max; /* the youngest batch so far, indexed or not; valid when has_max */
};

void time_index_deinit(struct time_index *index);

/* To be called for every batch: its max timestamp and its last offset. Remembers the youngest, the first of equals. */
void time_index_observe(struct time_index *index, int64_t max_timestamp, uint32_t rel_offset);

/* Adds the youngest batch so far, unless the last entry is as young: whenever the offset index gets an entry, and when
 * the segment is closed. */
void time_index_append_max(struct time_index *index);

/* Forgets entries with rel_offset at or above the given one, and the youngest batch unless an entry kept it: observe
 * the batches behind the last entry again. */
void time_index_truncate(struct time_index *index, uint32_t rel_offset);

/* Replaces the content by a copy of bytes that time_index_check found good; the youngest is then the last entry's. */
void time_index_load(struct time_index *index, struct odk_bytes bytes);

/* The bytes from entry first on, as the file holds them at first * 12; valid until the next change. */
struct odk_bytes time_index_bytes(const struct time_index *index, uint32_t first);
