/*
 * A world for groups, in memory: topics, a log of records, time by hand, calls that wait.
 *
 * A call's request goes through the codec, into memory that is gone after rig_call_free, and its answer must be
 * encodable in its version; so a view that outlives its owner is found by the sanitizer.
 */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/prng.h"
#include "coordinator/groups.h"
#include "wire/messages.h"

#define RIG_TOPICS 16u
#define RIG_LINE   1024u

struct rig_record {
    uint8_t *key, *value; /* value NULL: tombstone */
    size_t key_len, value_len;
};

struct rig_log {
    struct rig_record *records;
    size_t count, capacity;
};

struct rig_topic {
    struct group_topic topic;
    char name[64];
    bool there;
    uint32_t number; /* in the order of coming, from 1 on */
};

struct rig {
    struct groups *groups;
    struct groups_config config;
    struct group_settings settings;
    struct group_turn turn;
    struct group_memory memory; /* no bound unless a test sets one */
    struct odk_diag diag;
    char line[RIG_LINE]; /* the last diagnostic line */
    uint64_t now_ns;
    int64_t wall_ms;
    struct timers timers;
    struct prng prng;
    struct rig_topic topics[RIG_TOPICS];
    uint32_t topic_count; /* that have ever been made */
    struct rig_log log;
    uint32_t flush_count;
    size_t unflushed;   /* records since the last flush */
    uint32_t waiting;   /* calls without an answer */
    size_t arena_limit; /* bytes that answers of calls to come may take; 0 = no limit */
};

/* Kafka's settings, but a first round that does not wait for company. No topics. */
void rig_init(struct rig *rig);
/* Calls that wait are answered with NOT_COORDINATOR. */
void rig_deinit(struct rig *rig);
/* Groups of this world that have read nothing yet; the caller's to free, or to put into rig->groups. */
struct groups *rig_groups(struct rig *rig);
/* The groups are thrown away and read from the log again. */
void rig_restart(struct rig *rig);
/* Time goes on; timers fire when they are due. */
void rig_advance(struct rig *rig, int64_t ms);
/* Makes a topic, or lets one grow; ids come from the name and the order of making. */
const struct group_topic *rig_topic(struct rig *rig, const char *name, int32_t partition_count);
void rig_topic_delete(struct rig *rig, const char *name);

/* -- calls -------------------------------------------------------------------------------------------------------- */

struct rig_call {
    struct group_call call;
    struct rig *rig;
    struct arena arena;
    bool answered;
    union {
        struct join_group_response join;
        struct sync_group_response sync;
        struct heartbeat_response heartbeat;
        struct leave_group_response leave;
        struct offset_commit_response commit;
        struct offset_fetch_response_group fetch;
        struct offset_delete_response offset_delete;
        struct describe_groups_response_group describe;
        struct list_groups_response list;
        struct delete_groups_response_group delete_group;
        struct consumer_group_heartbeat_response consumer_heartbeat;
        struct consumer_group_describe_response_group consumer_describe;
    } out;
};

/* in: as enum group_call_kind says. The call may still wait when this returns. */
struct rig_call *rig_call(struct rig *rig, enum group_call_kind kind, int16_t version, const void *in);
/* The same for another client than "client" at "/127.0.0.1". */
struct rig_call *rig_call_from(struct rig *rig, enum group_call_kind kind, int16_t version, const void *in,
                               const char *client_id);
/* A call that waits is cancelled first. */
void rig_call_free(struct rig_call *call);

/* -- the log ------------------------------------------------------------------------------------------------------ */

void rig_log_add(struct rig_log *log, struct odk_bytes key, struct odk_bytes value);
void rig_log_clear(struct rig_log *log);
/* The newest record of this kind; NULL when there is none. */
const struct rig_record *rig_last(const struct rig *rig, int16_t kind);
/* How many records of this kind there are. */
size_t rig_count(const struct rig *rig, int16_t kind);
/* What the groups hold that were read from the log is what these hold: byte for byte, in any order. */
bool rig_replays(struct rig *rig);
/* The log becomes the snapshot of what is true. */
void rig_compact(struct rig *rig);
