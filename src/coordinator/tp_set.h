/*
 * Sets of partitions of topics known by id: what a member shall own, owns, has to give up.
 *
 * One sorted array, so that all set operations are one walk over two arrays. Each partition may carry the epoch in
 * which its owner got it; comparisons do not look at it, results take it from the first argument.
 *
 * Results of operations lie in an arena that has no limit, and may be views of an argument; tp_keep makes a copy of its
 * own.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>

#include "base/arena.h"

struct tp {
    struct odk_uuid topic;
    int32_t partition;
    int32_t epoch; /* 0 where it means nothing */
};

struct tp_set {
    struct tp *at; /* ascending by topic, then partition; each once */
    uint32_t count;
};

int tp_compare(const void *a, const void *b);
/* Brings count entries at array into order and drops what is there twice. */
struct tp_set tp_sorted(struct tp *array, uint32_t count);
/* NULL when it is not in there. Cost: log. */
const struct tp *tp_find(const struct tp_set *set, struct odk_uuid topic, int32_t partition);
/* Where the run of the topic at set->at[begin] ends. */
uint32_t tp_run_end(const struct tp_set *set, uint32_t begin);

bool tp_equal(const struct tp_set *a, const struct tp_set *b);
bool tp_within(const struct tp_set *part, const struct tp_set *whole);
bool tp_touch(const struct tp_set *a, const struct tp_set *b);

/* a and b; a without b; a or b. */
struct tp_set tp_both(const struct tp_set *a, const struct tp_set *b, struct arena *arena);
struct tp_set tp_without(const struct tp_set *a, const struct tp_set *b, struct arena *arena);
struct tp_set tp_union(const struct tp_set *a, const struct tp_set *b, struct arena *arena);

/* Room for count entries, to be filled by the caller. */
struct tp *tp_room(struct arena *arena, size_t count);
/* A copy in the arena; one from malloc, whose owner frees .at. */
struct tp_set tp_copy(const struct tp_set *set, struct arena *arena);
struct tp_set tp_keep(const struct tp_set *set);

/* One topic of a set, as messages and records show it. */
struct tp_run {
    struct odk_uuid topic;
    int32_t *partitions;
    int32_t *epochs;
    int32_t count;
};

/* NULL when the arena is used up; ret_count is 0 then. */
struct tp_run *tp_runs(const struct tp_set *set, struct arena *arena, int32_t *ret_count);
