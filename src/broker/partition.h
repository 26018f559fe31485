/*
 * What a produced batch must fulfil before a partition takes it, as far as its header tells. Pure: looks at the batch, the
 * topic's settings and the time, and changes nothing. What has to be opened goes on in broker/intake.h.
 */
#pragma once
#include <odradek/batch.h>

#include "broker/topics.h"
#include "wire/errors.h"

struct batch_rules {
    const struct topic_config *config;
    int64_t wall_ms;
    int16_t version; /* of Produce */
};

/* Why a batch was refused. */
struct batch_refusal {
    enum kafka_error error;
    const char *message; /* static */
};

/* Versions of Produce from which on it knows batches of format 2 and nothing else, zstd, and record errors. */
#define PRODUCE_VERSION_BATCHES       3
#define PRODUCE_VERSION_ZSTD          7
#define PRODUCE_VERSION_RECORD_ERRORS 8

/*
 * Checks the bytes that came for one partition: they must be one good batch. Source: KIP-98 and the errors that Kafka
 * answers with.
 *
 * ret_batch  its header, when it is accepted
 *
 * Cost: one CRC pass.
 */
struct batch_refusal partition_check_batch(const struct batch_rules *rules, struct odk_bytes data,
                                           struct odk_batch *ret_batch);

/* KAFKA_NONE, or what is wrong with the timestamp of one record. */
struct batch_refusal partition_check_timestamp(const struct batch_rules *rules, int64_t timestamp);
