/*
 * What one group has committed: for a topic and partition, an offset, when, and a few bytes of the client's own.
 *
 * Kept by topic, so that a request or an expiry looks a topic up once. Values change through offsets_apply only.
 */
#pragma once
#include <uthash.h>

#include <odradek/bytes.h>

struct offsets_topic;

struct offsets {
    struct offsets_topic *by_name;
    uint64_t count; /* partitions with an offset */
};

/* Frees everything. */
void offsets_clear(struct offsets *offsets);
