/*
 * The registry of topics, one replica per shard. Only the controller decides; replicas change through topics_apply_*,
 * which run on every shard in the same order.
 *
 * Pointers into the registry are good within one callback only: a parked request keeps names, ids and indexes, never
 * pointers. A partition's log is set on its owner shard alone. A partition does not move while its topic exists.
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/log.h>

#include "base/hash_table.h"
#include "base/list.h"
#include "broker/config.h"

/* The metadata log: its folder, and the topic part of it, which no topic can have. */
#define METADATA_LOG_NAME   "__odradek_metadata-0"
#define METADATA_TOPIC_NAME "__odradek_metadata"

struct broker;
struct metadata_setting;
struct topic;

struct partition {
    struct topic *topic;
    struct odk_log *log; /* owner only; NULL there when it could not be opened, see fault */
    struct list retained; /* owner only: among those that retention looks at */
    struct list compacted; /* owner only: among those that compaction looks at */
    struct list waiters; /* owner only: struct fetch_watch, woken when the end moves or the partition goes */
    int32_t index;
    uint32_t shard;     /* owner: XXH3 of "topic-partition" modulo shard count, fixed within one run */
    enum odk_err fault; /* owner only: why log is NULL */
};

/* Partitions that came into being together. They stay where they are: logs and waiting requests point to them. */
struct partition_block {
    struct partition_block *next;
    struct partition partitions[];
};

struct topic {
    char *name;
    char *plain; /* name with '_' for '.' */
    struct odk_uuid id;
    int32_t partition_count;
    struct partition **partitions;  /* by index */
    struct partition_block *blocks; /* their memory */
    struct topic_config config;
    bool internal;
    UT_hash_handle by_name;
    UT_hash_handle by_plain; /* no two topics share it: see topic_names_collide */
    UT_hash_handle by_id;
};

struct topics {
    struct topic *by_name;
    struct topic *by_plain;
    struct topic *by_id;
    uint32_t topic_count;
    uint32_t partition_count;
};

struct topic *topics_by_name(const struct topics *topics, struct odk_str name);
struct topic *topics_by_id(const struct topics *topics, struct odk_uuid id);
/* The topic whose name is the same or collides with it; NULL when there is none. name is one that a topic may have. */
struct topic *topics_colliding(const struct topics *topics, struct odk_str name);
/* NULL when the index is outside. */
struct partition *topic_partition(struct topic *topic, int32_t index);
/* A topic as a view of its name. */
struct odk_str topic_name(const struct topic *topic);

/* NULL when name may be a topic's, else a static sentence why not: 1-249 of [A-Za-z0-9._-], not "." or "..". */
const char *topic_name_check(struct odk_str name);
/* Names that only the program itself may create: Kafka's internal topics and our metadata log. */
bool topic_name_is_internal(struct odk_str name);
/* Those, and names that collide with them: such a topic would keep the internal one from coming into being. */
bool topic_name_is_reserved(struct odk_str name);
/* True if both names would make one metric name: they differ in '.' against '_' only. */
bool topic_names_collide(struct odk_str a, struct odk_str b);
/* The next topic in the order of names (bytewise), after the given one; data NULL: the first. NULL at the end.
 * O(topics) */
struct topic *topics_after(const struct topics *topics, struct odk_str after, bool inclusive);

/* What is to be known of a topic that comes into being. */
struct topic_new {
    struct odk_str name;
    struct odk_uuid id;
    int32_t partition_count;
    bool internal;
    const struct topic_config *config;
};

/* Adds the topic to this shard's registry and opens the logs of the partitions that this shard owns. A log that cannot
 * be opened leaves its partition with a fault; the rest of the topic works. */
void topics_apply_created(struct broker *broker, const struct topic_new *topic);

/* Removes the topic; wakes the waiters of the owned partitions, deletes their logs. deleted (may be NULL) is called
 * once, when all deletions of this shard are durable, perhaps inside the call. */
void topics_apply_deleted(struct broker *broker, struct odk_uuid id, void (*deleted)(void *context, enum odk_err err),
                          void *context);

/* Removes what is left of a topic that is not in the registry: its folders on this shard. Of topic, config and internal
 * are not used. */
void topics_apply_swept(struct broker *broker, const struct topic_new *topic,
                        void (*deleted)(void *context, enum odk_err err), void *context);

/* The topic has partition_count partitions from now on, more than before; those of this shard get their logs. */
void topics_apply_grown(struct broker *broker, struct odk_uuid id, int32_t partition_count);

/* The topic sets these settings and no others from now on; its logs are told. A value that is not allowed any more is
 * left out, with a line. */
void topics_apply_configured(struct broker *broker, struct odk_uuid id, const struct metadata_setting *settings,
                             uint32_t count);

/* The broker's settings have changed: what topics do not set themselves follows. */
void topics_refresh(struct broker *broker);

/* Frees the memory of all topics, of those on their way out as well; logs belong to the store, which must be closed or
 * abandoned. */
void topics_deinit(struct broker *broker);

/* The owner of a partition. */
uint32_t partition_shard(struct odk_str topic, int32_t index, uint32_t shard_count);
/* Wakes everybody who waits on the partition. Owner only. */
void partition_wake(struct partition *partition);
