/*
 * Brokers in a box: one or two shards over the real store and the blocking io backend, in one thread and one temporary
 * folder. Requests go in as frames and come out as decoded responses, so tests see what a client sees.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "broker/broker_internal.h"
#include "broker/request.h"
#include "wire/messages.h"

#define HARNESS_SHARDS_MAX  2u
#define HARNESS_LINES_BYTES 65536u

struct harness_shard {
    struct harness *harness;
    struct odk_io *io;
    struct odk_store *store;
    struct broker *broker;
    struct timers timers;
    struct task *inbox;
    struct task **inbox_end;
};

struct harness {
    char dir[128];
    uint32_t shard_count;
    struct harness_shard shards[HARNESS_SHARDS_MAX];
    struct odk_boot *boot;
    struct broker_config config;
    struct odk_diag diag;
    char lines[HARNESS_LINES_BYTES]; /* everything that was said to the operator */
    size_t lines_len;
    int64_t wall_ms;
    uint64_t random;
    struct arena arena; /* decoded responses; emptied by harness_forget */
    struct request_peer peer;
};

/* A request in flight. */
struct call {
    struct harness *harness;
    struct request request;
    uint8_t *frame;
    uint32_t shard;
    int16_t key, version;
    bool ended;
    enum request_end end;
};

/* settings: "key=value\n..." over the defaults; may be NULL. */
struct harness *harness_new(uint32_t shard_count, const char *settings);
/* Closes and removes everything. */
void harness_free(struct harness *harness);
/* Stops the brokers as after a clean stop, and starts them again on the same folder. */
void harness_restart(struct harness *harness);
/* The same without closing anything properly. */
void harness_crash(struct harness *harness);

/* As harness_restart, with the files in edit's hands in between. */
void harness_edit(struct harness *harness, void (*edit)(const struct harness *harness, void *context), void *context);

/* Restarts with another number of shards. */
void harness_reshard(struct harness *harness, uint32_t shard_count);

/* Turns all loops once. */
void harness_turn(struct harness *harness);

/* Sends a request to a shard and waits for its end. REQUEST_REPLY: response (of the API's type) is filled; it points
 * into the harness' arena. */
enum request_end harness_call(struct harness *harness, uint32_t shard, int16_t key, int16_t version,
                              const void *request, void *response);
/* The same in two steps, to have several in flight. */
struct call *call_begin(struct harness *harness, uint32_t shard, int16_t key, int16_t version, const void *request);
enum request_end call_end(struct call *call, void *response);
/* A frame (without length prefix) as raw bytes; ret_reply: response frame behind its length prefix, malloc'd. */
enum request_end harness_raw(struct harness *harness, const void *frame, size_t len, uint8_t **ret_reply,
                             size_t *ret_len);

void harness_forget(struct harness *harness);

/* -- shortcuts ---------------------------------------------------------------------------------------------------- */

/* Creates a topic with settings "key=value,..." (may be NULL) and expects success. */
void make_topic(struct harness *harness, const char *name, int32_t partitions, const char *settings);
/* Lets __consumer_offsets come into being. */
void make_group_topic(struct harness *harness);
struct topic *harness_topic(struct harness *harness, uint32_t shard, const char *name);

/* One batch with count records "v0", "v1" ... at timestamp; keys "k". The caller frees. */
struct batch_options {
    int64_t timestamp;
    int32_t count; /* 0: 1 */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    bool idempotent;
    bool no_key;
    size_t value_bytes; /* 0: short */
};
struct odk_bytes make_batch(const struct batch_options *options);
/* Sets the attributes of a batch and its checksum. */
void batch_set_attributes(struct odk_bytes batch, int16_t attributes);

/* One partition's answer of a Produce at version, acks -1; records is freed. */
struct produce_response_partition produce(struct harness *harness, int16_t version, const char *topic,
                                          int32_t partition, struct odk_bytes records);
