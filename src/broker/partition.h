/*
 * What a produced batch must fulfil before a partition takes it. Pure: looks at the batch, the topic's settings and the
 * time, and changes nothing.
 */
#pragma once
#include <odradek/batch.h>

#include "broker/topics.h"
#include "wire/errors.h"

struct batch_rules {
    const struct topic_config *config;
    int64_t wall_ms;
    bool zstd_known; /* the client's version of Produce knows zstd: 7 and later */
};

/* Why a batch was refused. */
struct batch_refusal {
    enum kafka_error error;
    const char *message; /* static */
    int32_t record;      /* the first bad record; -1: the batch as a whole */
};

/*
 * Checks the bytes that came for one partition: they must be one good batch. Source: KIP-98 and the errors that Kafka
 * answers with.
 *
 * Cost: one CRC pass; for compacted topics also a walk over the records, which decompresses them.
 */
struct batch_refusal partition_check_batch(const struct batch_rules *rules, struct odk_bytes data);

/*
 * The records of a batch that was refused with a bad record which are bad for the same reason: their positions, in order,
 * at most `max`. Returns how many; 0 when they cannot all be read.
 */
int32_t partition_bad_records(struct odk_bytes data, int32_t *ret_positions, int32_t max);
