/*
 * Offset -> position inside one segment; sparse, derived from the segment and rebuildable from it.
 *
 * Entries are Kafka's, 8 bytes, big-endian: i32 offset - segment base, i32 position. An entry names the LAST offset of
 * a batch and the position where that batch BEGINS, as Kafka writes it (its dump tool compares exactly that). So for
 * any offset the floor entry's position is at or before the batch that contains it, and a walk over headers finds it.
 *
 *   (I1) offsets and positions both rise strictly.
 *
 * The memory of an active segment and the mapped file of a closed one hold the same bytes, so every lookup is a pure
 * function over a view of them; struct offset_index only owns and grows such bytes. Zero is the empty index.
 */
#pragma once
#include <stdbool.h>

#include <odradek/bytes.h>

#include "base/base.h"

struct offset_entry {
    uint32_t rel_offset; /* last offset of the batch - base of the segment; at most INT32_MAX */
    uint32_t pos;        /* first byte of that batch; at most INT32_MAX */
};

/* -- any index: bytes of whole entries ----------------------------------------------------------------------------- */

/* The entry of that number, which must be there. */
struct offset_entry offset_index_at(struct odk_bytes index, size_t idx);

/* The last entry with rel_offset <= the one asked for; false when there is none (start at position 0). O(log n). */
bool offset_index_floor(struct odk_bytes index, uint32_t rel_offset, struct offset_entry *ret);

/* The last entry with pos <= the one asked for; false when there is none. Cuts a read at a batch's begin. O(log n). */
bool offset_index_floor_pos(struct odk_bytes index, uint32_t pos, struct offset_entry *ret);

/*
 * Checks a file's bytes before they are used: whole entries, I1, every position below log_bytes. The caller decides
 * what to do; the log itself is the truth.
 *
 * ODK_ERR_CORRUPT  rebuild it from the log
 *
 * Cost: O(n).
 */
MUST_USE enum odk_err offset_index_check(struct odk_bytes index, uint64_t log_bytes);

/* -- the index of an active segment -------------------------------------------------------------------------------- */

struct offset_index {
    uint8_t *data;
    uint32_t count;    /* entries */
    uint32_t capacity; /* entries */
};

void offset_index_deinit(struct offset_index *index);

/* Both values must be above the last entry's (I1). */
void offset_index_append(struct offset_index *index, uint32_t rel_offset, uint32_t pos);

/* Forgets entries with rel_offset at or above the given one. */
void offset_index_truncate(struct offset_index *index, uint32_t rel_offset);

/* Replaces the content by a copy of bytes that offset_index_check found good. */
void offset_index_load(struct offset_index *index, struct odk_bytes bytes);

/* The bytes from entry first on, as the file holds them at first * 8; valid until the next change. */
struct odk_bytes offset_index_bytes(const struct offset_index *index, uint32_t first);
