/*
 * What one group has committed: for a topic and partition, an offset, when, and a few bytes of the client's own.
 *
 * Kept by topic, so that a request or an expiry looks a topic up once. Within a topic, facts lie in pages of
 * neighbouring partitions: a commit for a single high partition costs a page and its place in the row of pages.
 * Values change through offsets_apply only.
 */
#pragma once
#include <odradek/bytes.h>

#include "base/hash_table.h"
#include "coordinator/name_index.h"

#define OFFSETS_PAGE 16

struct offset_fact {
    int64_t offset;
    int64_t commit_ms;
    int64_t expire_ms;       /* -1: the retention of the group decides */
    struct odk_str metadata; /* never null */
    int32_t leader_epoch;    /* -1 = unknown */
};

struct offsets_page {
    uint16_t present; /* a bit for each fact */
    struct offset_fact facts[OFFSETS_PAGE];
};

struct offsets_topic {
    struct offsets_page **pages; /* of partitions [i * OFFSETS_PAGE, (i + 1) * OFFSETS_PAGE); NULL: none of them */
    int32_t page_count;
    int32_t count; /* partitions with an offset, at least 1 */
    struct offsets *of;
    struct name_entry *name; /* all groups' offsets of topics of this name */
    struct list same_name;   /* in name->users */
    UT_hash_handle by_name;
};

struct offsets {
    struct name_index *index; /* of all groups' topics with offsets; outlives this */
    struct offsets_topic *by_name;
    uint64_t count;        /* partitions with an offset */
    size_t metadata_bytes; /* sum of all metadata */
    size_t bytes;          /* memory, about */
};

static inline struct odk_str offsets_topic_name(const struct offsets_topic *topic)
{
    return name_entry_text(topic->name);
}

/* NULL when nothing is committed there. */
struct offsets_topic *offsets_topic_find(const struct offsets *offsets, struct odk_str name);
const struct offset_fact *offsets_topic_fact(const struct offsets_topic *topic, int32_t partition);
/* The first partition from partition on that has an offset; -1: none. */
int32_t offsets_topic_next(const struct offsets_topic *topic, int32_t partition);

/* fact NULL: nothing is committed any more; a topic's last fact takes the topic along. Metadata is copied. partition is
 * from 0 to PARTITIONS_PER_TOPIC_MAX - 1. */
void offsets_apply(struct offsets *offsets, struct odk_str topic, int32_t partition, const struct offset_fact *fact);
/* Frees everything. */
void offsets_clear(struct offsets *offsets);
