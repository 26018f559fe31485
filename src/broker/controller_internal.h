/* The inside of the controller: state that controller.c (queue, log, apply), controller_decide.c (rules) and
 * controller_replay.c (start) share. */
#pragma once
#include <odradek/log.h>

#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "broker/metadata_records.h"

/* One shard's part of applying an op. */
struct controller_leg {
    struct task task;
    struct controller *controller;
    struct controller_op *op;
};

/* Waits until every shard has removed the folders of one deleted topic; then a record says so. */
struct purge_leg {
    struct task task;
    struct purge *purge;
    struct broker *at;
    enum odk_err err;
};

struct purge {
    struct list node; /* controller->purges */
    struct controller *controller;
    struct controller_op op;
    struct odk_uuid id;
    enum odk_err err;
    uint32_t left;
    struct purge_leg legs[];
};

struct controller {
    struct broker *broker;
    struct odk_log *log;
    struct list queue;
    struct list purges;
    struct controller_op *current; /* in the log or being applied; C1 */
    struct odk_append append;
    uint8_t *batch;
    struct controller_leg *legs; /* one per shard */
    uint32_t legs_left;
    int64_t producer_ids_end;
    struct replay *replay; /* while starting */
    bool stepping;         /* controller_next is on the stack */
};

/* Checks every item of op against the registry; fills the outputs and ret_records (allocated, the caller frees), whose
 * text points into op. ret_count 0: there is nothing to be written. */
void controller_decide(struct controller *controller, struct controller_op *op, struct metadata_record **ret_records,
                       uint32_t *ret_count);
/* Marks everything that was decided as failed. */
void controller_undecide(struct controller_op *op, enum odk_err err);

/* Spreads op to all shards, then finishes it. */
void controller_apply(struct controller *controller, struct controller_op *op);

/* Takes ops from the queue as long as there is none in the log. */
void controller_next(struct controller *controller);

/* One batch of all records, so that what one request did comes back whole or not at all. ret_batch is the caller's. */
ODK_MUST_USE enum odk_err controller_batch_build(const struct metadata_record *records, uint32_t count, int64_t wall_ms,
                                                 uint8_t **ret_batch, size_t *ret_len);

/* Fills a TOPIC record whose text points into the arguments; its settings are allocated. */
void metadata_record_of_topic(struct metadata_record *ret, struct odk_str name, struct odk_uuid id,
                              int32_t partition_count, const struct topic_config *config);
void metadata_records_free(struct metadata_record *records, uint32_t count);

/* Writes records (allocated, taken over; at least one) as the new beginning of the log; done also after a failure,
 * which leaves the log as it is. */
void controller_snapshot(struct controller *controller, struct metadata_record *records, uint32_t count,
                         void (*done)(void *context), void *context);

void controller_replay_free(struct replay *replay);
