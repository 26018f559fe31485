/*
 * Produced data on its way to a partition: taken as it is where it can be, opened where it must be.
 *
 * Opened are: message sets of formats 0 and 1 (made into a batch), batches for compacted topics (keys), batches for topics
 * with another codec (compressed anew) or with message.timestamp.before.max.ms, and batches whose largest timestamp is
 * refused (to say which records are at fault). Everything else is stored unopened, byte for byte.
 *
 * Opening is bounded by intake_opened_max; what is made anew by max.message.bytes, in the request's arena.
 */
#pragma once
#include "base/arena.h"
#include "broker/partition.h"

struct odk_batch_builder;

/* One record that is at fault. */
struct intake_bad {
    int32_t position;
    const char *message; /* static */
};

struct intake {
    struct batch_rules rules;
    struct arena *arena;
    struct odk_batch_builder *builder; /* memory to build in, kept between calls while it is small */
    int32_t bad_max;                   /* records that may be named */
    /* out */
    struct odk_bytes batch; /* what is to be stored: the data itself or in the arena */
    size_t opened_bytes;    /* how much was opened: the work that was done */
    struct batch_refusal refusal;
    struct intake_bad *bad; /* in the arena; NULL: none are named */
    int32_t bad_count;
};

/* Takes what came for one partition. KAFKA_NONE: batch is to be stored. Cost: one CRC pass; a codec's where opened. */
enum kafka_error intake_take(struct intake *intake, struct odk_bytes data);

/* Decompressed bytes that a batch for this topic may have when it must be opened. */
size_t intake_opened_max(const struct topic_config *config);
