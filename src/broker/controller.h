/*
 * The controller: the one place, on shard 0, where topics come, change and go, settings are altered, and producer ids are
 * given out.
 *
 *   any shard: controller_submit(op) -> inbox of shard 0 -> queue -> decide -> metadata log -> apply on every shard
 *              -> back to the shard that asked: op->done
 *
 * (C1) One op at a time: what is decided sees everything decided before.
 * (C2) Nothing is applied before its record is durable; nothing is answered before every shard has applied it.
 * (C3) All shards apply in the order of the metadata log.
 *
 * An op and everything it points to belongs to the controller from submit to done; during "apply" all shards read it.
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/err.h>

#include "base/list.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "wire/errors.h"

struct controller;
struct metadata_setting;
struct purge;

enum controller_kind {
    CONTROLLER_CREATE,
    CONTROLLER_DELETE,
    CONTROLLER_GROW,  /* topics get more partitions */
    CONTROLLER_ALTER, /* settings of topics, of the broker, of groups */
    CONTROLLER_PRODUCER_IDS,
    CONTROLLER_PURGED, /* the controller's own: the folders of a deleted topic are gone */
    CONTROLLER_SWEEP,  /* at the start: removes folders of topics whose deletion was not finished */
};

struct create_setting {
    struct odk_str key;
    struct odk_str value; /* data NULL: null, which is refused */
};

/* One topic to be created. */
struct create_item {
    struct odk_str name;
    int32_t partition_count; /* -1: the default; afterwards what it has got */
    int16_t replication;     /* likewise */
    const struct create_setting *settings;
    uint32_t setting_count;
    enum kafka_error refused; /* set by who asks, when it is wrong in itself (with message); else KAFKA_NONE */
    bool internal;            /* a topic of the program itself, whose name nobody else may use */
    /* out */
    enum kafka_error error;
    const char *message; /* static, or in why; NULL when there is none */
    struct odk_uuid id;
    struct config_why why;
    struct topic_config config; /* good when error is KAFKA_NONE; to be freed by who asked */
};

/* One topic to be deleted: by name, or by id when name.data is NULL. */
struct delete_item {
    struct odk_str name;
    struct odk_uuid id;
    enum kafka_error refused;
    enum kafka_error error;
    const char *message;
    char name_found[TOPIC_NAME_BYTES_MAX + 1]; /* out: of the topic that was deleted */
    int32_t partition_count;                   /* SWEEP */
    struct purge *purge;                       /* the controller's */
};

/* One topic that gets more partitions. */
struct grow_item {
    struct odk_str name;
    int32_t partition_count;      /* afterwards, in all */
    int32_t assignment_count;     /* partitions that are assigned by hand; -1: none is */
    const char *assignment_wrong; /* NULL: each names this node alone */
    enum kafka_error refused;
    enum kafka_error error;
    const char *message; /* static, or in why */
    struct config_why why;
    struct odk_uuid id; /* out */
};

/* The protocol's numbers. */
enum alter_how { ALTER_SET = 0, ALTER_DELETE = 1, ALTER_APPEND = 2, ALTER_SUBTRACT = 3 };

struct alter_change {
    struct odk_str key;
    struct odk_str value;
    int8_t how; /* enum alter_how, if it is one */
};

/* One resource whose settings are altered: all of its changes, or none. */
struct alter_item {
    enum config_resource type; /* TOPIC, BROKER or GROUP */
    struct odk_str name;
    bool replace; /* what is not among the changes goes back to its default */
    const struct alter_change *changes;
    uint32_t change_count;
    enum kafka_error refused;
    enum kafka_error error;
    const char *message; /* static, or in why */
    struct config_why why;
    /* out, when it is to be applied */
    bool changed;
    struct odk_uuid id;                /* of a topic */
    struct metadata_setting *settings; /* all that are set then; to be freed by who asked (alter_item_deinit) */
    uint32_t setting_count;
};

struct controller_op {
    struct task task; /* there and back */
    struct list node; /* the controller's queue */
    enum controller_kind kind;
    uint32_t shard;                                            /* who asks */
    void (*done)(struct controller_op *op, struct broker *at); /* on that shard */
    enum odk_err err; /* out: the metadata log refused; items are marked as well */

    struct create_item *creates;
    struct delete_item *deletes;
    struct grow_item *grows;
    struct alter_item *alters;
    uint32_t count; /* of creates, deletes, grows or alters */
    bool validate_only;
    int64_t first_id; /* out: PRODUCER_IDS: the block is [first_id, first_id + PRODUCER_ID_BLOCK) */
    struct odk_uuid purged_id;
};

/* From any shard; op is zeroed but for kind, done and its inputs. */
void controller_submit(struct broker *broker, struct controller_op *op);

void alter_item_deinit(struct alter_item *item);

/* Shard 0. */
struct controller *controller_new(struct broker *broker);
void controller_free(struct controller *controller);
/* The first offset of the metadata log that is not durable yet. */
int64_t controller_log_end(struct controller *controller);
/* broker_start. */
void controller_start(struct controller *controller, void (*done)(void *context, enum odk_err err), void *context);
