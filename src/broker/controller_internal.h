/* The inside of the controller: what controller.c (queue, log, apply), controller_decide.c and controller_alter.c (rules),
 * controller_facts.c, controller_replay.c and controller_snapshot.c (start) share. */
#pragma once
#include <odradek/log.h>
#include "base/hash_table.h"
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
/* The same for settings: fills item and, when there is something to be written, ret, whose settings are allocated.
 * groups_planned: groups of earlier items of the request that get settings for the first time. */
bool controller_alter_decide(struct controller *controller, const struct controller_op *op, struct alter_item *item,
                             uint32_t *groups_planned, struct metadata_record *ret);
/* Which layer of the broker's settings a resource name means; false: none of this node. */
bool controller_alter_layer(const struct broker *broker, struct odk_str name, enum config_layer *ret);
/* Marks everything that was decided as failed. */
void controller_undecide(struct controller_op *op, enum odk_err err);

/* Spreads op to all shards, then finishes it. */
void controller_apply(struct controller *controller, struct controller_op *op);

/* Takes ops from the queue as long as there is none in the log. */
void controller_next(struct controller *controller);

/* One batch of all records, so that what one request did comes back whole or not at all. ret_batch is the caller's. */
ODK_MUST_USE enum odk_err controller_batch_build(const struct metadata_record *records, uint32_t count, int64_t wall_ms,
                                                 uint8_t **ret_batch, size_t *ret_len);

void metadata_records_free(struct metadata_record *records, uint32_t count);

/* -- what is true ------------------------------------------------------------------------------------------------- */

struct facts_topic {
    struct odk_uuid id;
    char *name;
    int32_t partition_count;
    struct topic_config config;
    bool deleted;
    UT_hash_handle hh; /* in the order of creation */
};

/* Settings that were given to the broker or to a group. */
struct facts_settings {
    char *key; /* the record's kind as one character, then the name */
    enum metadata_kind kind;
    struct odk_str name; /* in key */
    struct metadata_setting *settings; /* texts are allocated, keys static */
    uint32_t setting_count;
    UT_hash_handle hh;
};

/* All records so far, put together. */
struct facts {
    const struct broker *broker;
    struct facts_topic *topics;
    struct facts_settings *settings;
    int64_t producer_ids_end;
};

/* ODK_ERR_CORRUPT: the record contradicts earlier ones. Repetitions are taken as said already. */
ODK_MUST_USE enum odk_err facts_take(struct facts *facts, const struct metadata_record *record);
/* At most so many records say all of it. */
uint64_t facts_record_count(const struct facts *facts);
/* Says all of it; text points into facts. Returns how many there are. */
uint32_t facts_records(const struct facts *facts, struct metadata_record *records);
void facts_deinit(struct facts *facts);

/* -- the start ---------------------------------------------------------------------------------------------------- */

/* Fills a TOPIC record whose text points into the arguments; its settings are allocated. */
void metadata_record_of_topic(struct metadata_record *ret, struct odk_str name, struct odk_uuid id,
                              int32_t partition_count, const struct topic_config *config);

/* Writes records (allocated, taken over; at least one) as the new beginning of the log; done also after a failure,
 * which leaves the log as it is. */
void controller_snapshot(struct controller *controller, struct metadata_record *records, uint32_t count,
                         void (*done)(void *context), void *context);

void controller_replay_free(struct replay *replay);
