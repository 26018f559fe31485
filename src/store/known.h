/*
 * The logs a data directory is known to hold when a process starts: the folders found, with the state that the
 * clean-shutdown marker gives them. Sorted by name; written during start-up only, afterwards shared by all stores.
 *
 * A marker proves the state of its logs for one start, which renames it to .odradek_known. What it says stays true as a
 * floor: until the log is deleted, its end never lies lower, nor is it smaller unless it was trimmed. So damage is still
 * found when the log is first used some lives later, and a log that was refused once is refused until it is whole.
 *
 * DIR/.odradek_cleanshutdown and DIR/.odradek_known, replaced crash-safely, big-endian:
 *
 *   magic u32 "ODKC" | version u16 | zero u16 | incarnation u64 | count u32 | zero u32 | entries | XXH3-64 of all before
 *   entry: name length u16 | flags u16 | id (16) | log start i64 | end offset i64 | active base i64 | active size u64 |
 *          total size u64 | name
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/io.h>

#include "base/base.h"

enum known_flag {
    KNOWN_PRODUCERS = 1 << 0, /* it has producers: a snapshot stands at its end offset */
    KNOWN_FLOOR = 1 << 1,     /* a floor only: the log was not used, or refused, in the life that wrote the marker */
};

struct known_log {
    char *name; /* in the set's memory */
    struct odk_uuid id;
    int64_t start_offset;
    int64_t end_offset;
    int64_t active_base;
    uint64_t active_size;
    uint64_t total_size;
    uint16_t flags;
    bool has_folder;
    bool has_state; /* from a marker: everything above is true */
    bool has_floor; /* everything above was true once; the id says of which log */
    bool taken;     /* a store has opened it: it says what becomes of it */
};

struct known {
    struct known_log *logs;
    uint32_t count;
    uint32_t capacity;
};

void known_deinit(struct known *known);
/* Adds a copy; sorted again by known_sort. */
void known_add(struct known *known, const struct known_log *log, struct odk_str name);
void known_sort(struct known *known);
/* Adds what log was known to hold as a floor, if anything was known. */
void known_add_floor(struct known *known, const struct known_log *log);
/* NULL when there is none. Only after known_sort. */
struct known_log *known_find(const struct known *known, struct odk_str name);

/* ODK_ERR_NOT_FOUND when there is none, or it is not of this incarnation, or not whole: then nothing is proven. */
MUST_USE enum odk_err known_load_marker(struct known *known, struct odk_io *io, const char *dir, uint64_t incarnation);
/* The floors that an earlier marker left; the same errors. */
MUST_USE enum odk_err known_load_floors(struct known *known, struct odk_io *io, const char *dir);
/* Writes the marker, durably. */
MUST_USE enum odk_err known_save_marker(const struct known *known, struct odk_io *io, const char *dir,
                                        uint64_t incarnation);
/* Writes the floors anew, durably: some of them no longer hold. */
MUST_USE enum odk_err known_save_floors(const struct known *known, struct odk_io *io, const char *dir);
