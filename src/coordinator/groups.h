/*
 * All consumer groups of one partition of __consumer_offsets: the state machine, without disk, network, clock or thread.
 *
 *   event (call, timer, change of topics) -> decide -> records + answers + timers
 *
 * (G1) What a restart must know is written by groups_apply and nothing else: an event records a fact (env.record) and
 *      applies the same fact in the same turn; a start applies the facts of the log, in their order.
 * (G2) An answer is sent by the host when every record up to it is durable. So an event may build on facts that are not
 *      durable yet, and a client never sees one of them.
 * (G3) When an append fails the host throws the whole object away and loads a new one from the log.
 * (G4) Every call is answered exactly once (env.answer), at once or later; only JoinGroup and SyncGroup wait.
 * (G5) Every event ends with env.flush: the records since the last one are one batch. An event with very many tombstones
 *      has several.
 *
 * Memory of an answer comes from the call's arena; it must not point into the groups' own memory, which may be gone
 * when the answer is encoded. What a call asks with stays alive until its answer.
 *
 * Source: KIP-62, 134, 211, 229, 345, 394, 496, 709, 800, 814 (classic), 848 (consumer); Kafka's CoordinatorRuntime for
 * the form.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>
#include <odradek/diag.h>
#include <odradek/err.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/list.h"
#include "base/timer.h"
#include "coordinator/assign.h"
#include "wire/errors.h"

struct groups;

/* -- what asks ---------------------------------------------------------------------------------------------------- */

/* in and out are the wire structs named here; out comes initialised (its _init function has run). */
enum group_call_kind {
    GROUP_CALL_JOIN,               /* join_group_request -> join_group_response */
    GROUP_CALL_SYNC,               /* sync_group_request -> sync_group_response */
    GROUP_CALL_HEARTBEAT,          /* heartbeat_request -> heartbeat_response */
    GROUP_CALL_LEAVE,              /* leave_group_request -> leave_group_response */
    GROUP_CALL_COMMIT,             /* offset_commit_request -> offset_commit_response */
    GROUP_CALL_FETCH,              /* offset_fetch_request_group -> offset_fetch_response_group (all versions) */
    GROUP_CALL_OFFSET_DELETE,      /* offset_delete_request -> offset_delete_response */
    GROUP_CALL_DESCRIBE,           /* struct odk_str (group id) -> describe_groups_response_group */
    GROUP_CALL_LIST,               /* list_groups_request -> list_groups_response: the groups of this partition */
    GROUP_CALL_DELETE,             /* struct odk_str (group id) -> delete_groups_response_group */
    GROUP_CALL_CONSUMER_HEARTBEAT, /* consumer_group_heartbeat_request -> consumer_group_heartbeat_response */
    GROUP_CALL_CONSUMER_DESCRIBE,  /* struct odk_str (group id) -> consumer_group_describe_response_group */
    GROUP_CALL_KIND_COUNT,
};

/*
 * One question on its way. The host embeds it.
 *
 * When the arena is used up, the answer is UNKNOWN_SERVER_ERROR. Where an answer has no place for it (COMMIT), it is one
 * that cannot be encoded: topics_count is -1, and the connection ends.
 */
struct group_call {
    struct list node; /* whose turn it is: the groups' while the call waits there, else the host's */
    enum group_call_kind kind;
    int16_t version;            /* of the API */
    struct odk_str client_id;   /* as the request header says it; may be null */
    struct odk_str client_host; /* "/127.0.0.1", as Kafka prints it */
    struct arena *arena;        /* for the answer; limited: see below */
    const void *in;
    void *out;
};

/* Fills out so that it says error, for the whole call and for each part of it: also for a host that cannot take the call
 * to its groups. */
void group_call_refuse(struct group_call *call, enum kafka_error error);

/* -- what the groups are told of the world --------------------------------------------------------------------- */

struct group_topic {
    struct odk_uuid id;
    struct odk_str name;
    int32_t partition_count;
};

/* Effective settings of one group: the broker's, or the group's own. */
struct group_settings {
    int32_t session_timeout_ms; /* of the newer protocol */
    int32_t heartbeat_interval_ms;
    int32_t assignment_interval_ms; /* least time between two targets */
};

struct groups_config {
    int32_t session_timeout_ms_min; /* classic: group.min.session.timeout.ms and its sisters */
    int32_t session_timeout_ms_max;
    int32_t initial_rebalance_delay_ms;
    int32_t size_max;
    int32_t modern_size_max;
    bool assignors[GROUP_ASSIGNOR_COUNT]; /* offered */
    enum group_assignor assignor_default; /* the first of group.consumer.assignors */
    int32_t offset_metadata_bytes_max;
    int64_t offsets_retention_ms;
    int64_t retention_check_interval_ms;
    bool classic_enabled, consumer_enabled; /* group.coordinator.rebalance.protocols */
    bool upgrade, downgrade;                /* group.consumer.migration.policy */
};

/* Memory of groups that share a bound, as far as clients decide on it: an estimate, taken anew for a group at the end of
 * each event that may have let it grow. At max, nothing new is let in; what is there goes on. */
struct group_memory {
    uint64_t used, max; /* bytes */
};

/* What groups that share it have left to do in this turn. */
struct group_turn {
    uint64_t now_ns; /* which turn it is */
    uint32_t pattern_steps;
};

/* What surrounds the groups. Views that are handed to visit or returned are good within the event. */
struct groups_env {
    void *context;
    /* A fact, to be appended. value.data NULL: a tombstone. Both are copied. */
    void (*record)(void *context, struct odk_bytes key, struct odk_bytes value);
    /* The event is over (G5). */
    void (*flush)(void *context);
    /* call->out is filled. The groups forget the call. */
    void (*answer)(void *context, struct group_call *call);

    bool (*topic_by_name)(void *context, struct odk_str name, struct group_topic *ret);
    bool (*topic_by_id)(void *context, struct odk_uuid id, struct group_topic *ret);
    /* All topics in the order of their coming, from the one behind after on (data NULL: from the first), until visit returns
     * false; ret_ended: it never did. False: there is no topic after. */
    bool (*topics_from)(void *context, struct odk_str after,
                        bool (*visit)(void *visitor, const struct group_topic *topic), void *visitor, bool *ret_ended);
    void (*settings)(void *context, struct odk_str group_id, struct group_settings *ret);
    void (*random)(void *context, void *dst, size_t len);

    /* The time of this turn; the host keeps it current. */
    const uint64_t *now_ns;
    const int64_t *wall_ms;
    struct timers *timers;
    const struct groups_config *config;
    struct group_memory *memory;
    struct group_turn *turn;
    const struct odk_diag *diag;
};

/* -- life --------------------------------------------------------------------------------------------------------- */

/* env is copied; what it points to outlives the groups. */
struct groups *groups_new(const struct groups_env *env);
/* Forgets everything, cancels all timers. Calls that wait are answered first with NOT_COORDINATOR. */
void groups_free(struct groups *groups);

/*
 * One record of the log, at a start: value.data NULL is a tombstone. offset is the record's.
 *
 * ODK_ERR_CORRUPT  not what the schema says. ODK_ERR_VERSION: a value of a version that is not known. Kinds of keys that
 * are not known are passed over, as Kafka does.
 */
ODK_MUST_USE enum odk_err groups_replay(struct groups *groups, struct odk_bytes key, struct odk_bytes value);
/* The same for a record of a transaction: an offset counts from the call of groups_replay_end on that says so. Records of
 * other kinds count at once, as in Kafka: no transaction writes them. */
ODK_MUST_USE enum odk_err groups_replay_of(struct groups *groups, int64_t producer_id, struct odk_bytes key,
                                           struct odk_bytes value);
/* The end marker of a producer's transaction. Errors as groups_replay. */
ODK_MUST_USE enum odk_err groups_replay_end(struct groups *groups, int64_t producer_id, bool committed);
/* After the last record: timers of sessions and of expiry begin; rebalances that a crash cut off go on; offsets of topics
 * that are not there any more are forgotten; offsets of transactions that the log does not end are left out, with a line. */
void groups_loaded(struct groups *groups);

/* Records everything that is true now (to shorten the log): the same calls of env.record that a log without history
 * would hold; no flush. The host may interrupt by nothing; cost: all state. */
void groups_snapshot(const struct groups *groups, void (*record)(void *context, struct odk_bytes key, struct odk_bytes value),
                     void *context);
/* How many records groups_snapshot would write. */
uint64_t groups_fact_count(const struct groups *groups);

/* -- events ------------------------------------------------------------------------------------------------------- */

/* Takes a call from here to env.answer, which may come inside. */
void groups_call(struct groups *groups, struct group_call *call);
/* Ends the waiting of a call that has not been answered: it is answered now (REBALANCE_IN_PROGRESS). The member stays until its
 * session ends. */
void groups_cancel(struct groups *groups, struct group_call *call);

/* A topic has come into being, has more partitions, or is gone (gone: its offsets are forgotten, too). env.topic_* say so
 * already. */
void groups_topic_changed(struct groups *groups, const struct group_topic *topic, bool gone);

/* -- numbers ------------------------------------------------------------------------------------------------------ */

struct groups_stats {
    uint32_t groups, classic, consumer, members;
    uint64_t offsets;
};
void groups_stats(const struct groups *groups, struct groups_stats *ret);

/* Which partition of __consumer_offsets a group is in: |Java's String.hashCode| modulo count, over UTF-16. Group ids
 * that are not UTF-8 hash as if each bad byte were U+FFFD. */
int32_t groups_partition_of(struct odk_str group_id, int32_t partition_count);
