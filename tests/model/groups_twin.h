/*
 * Naive twin of classic groups: arrays, searched from the front; nothing is counted, everything is looked up again.
 *
 * It says what each call must be answered with, and when. Ids are made by the real thing: the twin learns them from
 * answers, and until then knows members by a serial number of its own.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define TWIN_GROUPS     2
#define TWIN_MEMBERS    16
#define TWIN_PENDINGS   64
#define TWIN_PARTITIONS 3 /* t-0, t-1, u-0 */
#define TWIN_ID         64
#define NEVER           INT64_MAX

enum twin_state { TWIN_EMPTY, TWIN_PREPARING, TWIN_COMPLETING, TWIN_STABLE };

/* A JoinGroup or SyncGroup on its way, and the answer it must have once due. */
struct twin_call {
    struct rig_call *rig;
    int client;
    char asked_id[TWIN_ID]; /* as the request said it */
    int32_t asked_generation;
    bool is_join;
    bool due;
    int16_t error;
    int serial; /* the member it is of; 0: none */
    int32_t generation;
    char protocol;
    int told; /* members in the answer */
    bool skip;
    char assignment[8];
    struct twin_call *next; /* the driver's */
};

struct twin_member {
    int serial;
    char id[TWIN_ID]; /* "": not learned yet */
    char instance[8]; /* "": dynamic */
    char protocols[3];
    char metadata; /* 't' or 'u': the topic it subscribes to */
    int64_t session_ms, rebalance_ms;
    int64_t ends_at; /* of the session */
    struct twin_call *joining, *syncing;
    bool fresh, sync_due;
    char assignment[8];
};

/* What a record holds. */
struct twin_saved {
    bool there;
    int32_t generation;
    int64_t since_ms;
    char protocol;
    int leader;
    int count;
    struct twin_member members[TWIN_MEMBERS];
};

struct twin_pending {
    char id[TWIN_ID];
    int64_t ends_at;
};

struct twin_group {
    bool there;
    enum twin_state state;
    int64_t since_ms;
    int32_t generation;
    bool typed; /* somebody has been in */
    char protocol;
    int leader; /* serial */
    int count;
    struct twin_member members[TWIN_MEMBERS];
    int pending_count;
    struct twin_pending pendings[TWIN_PENDINGS];
    int64_t round_at, sync_at;
    bool initial, joined_since;
    int64_t step_ms, left_ms;
    bool topics_known;
    bool subscribed[2]; /* t, u */
    struct twin_saved saved;
    int64_t offsets[TWIN_PARTITIONS]; /* -1: none */
    int64_t committed_ms[TWIN_PARTITIONS];
};

struct twin {
    struct twin_group groups[TWIN_GROUPS];
    int64_t now_ms;
    int64_t expiry_at;
    int64_t delay_ms, retention_ms, check_ms;
    int size_max;
    int serial;
};

struct twin_join {
    int version;
    const char *id, *instance;
    char protocols[3];
    char metadata;
    int64_t session_ms, rebalance_ms;
};

void twin_init(struct twin *twin);
/* The call is due afterwards, or waits. */
void twin_join(struct twin *twin, int group, const struct twin_join *join, struct twin_call *call);
/* tokens[i] is for the member ids[i]. */
void twin_sync(struct twin *twin, int group, const char *id, const char *instance, int32_t generation,
               const char (*ids)[TWIN_ID], const char (*tokens)[8], int count, struct twin_call *call);
int16_t twin_heartbeat(struct twin *twin, int group, const char *id, const char *instance, int32_t generation);
int16_t twin_leave(struct twin *twin, int group, const char *id, const char *instance);
int16_t twin_commit(struct twin *twin, int group, const char *id, const char *instance, int32_t generation,
                    int partition, int64_t offset);
int16_t twin_delete(struct twin *twin, int group);
void twin_cancel(struct twin *twin, struct twin_call *call);
void twin_topic_deleted(struct twin *twin, int topic);
/* The member of a call that was answered has this id. */
void twin_learn(struct twin *twin, int group, const struct twin_call *call, const char *id);
/* The leader was told of these, in the order of the group. */
void twin_learn_all(struct twin *twin, int group, const char (*ids)[TWIN_ID], int count);
/* MEMBER_ID_REQUIRED came with this id. */
void twin_learn_pending(struct twin *twin, int group, const char *id, int64_t session_ms);
/* Calls that wait are due with NOT_COORDINATOR; what is left is what was recorded. */
void twin_restart(struct twin *twin);

/* The next moment at which something happens by itself; ret_tie: to one group more than one thing, in an order that is
 * not told. */
int64_t twin_next(const struct twin *twin, bool *ret_tie);
/* Does what is due at now_ms. */
void twin_fire(struct twin *twin);

static inline const char *twin_state_name(const struct twin_group *group)
{
    static const char *const names[] = { "Empty", "PreparingRebalance", "CompletingRebalance", "Stable" };
    bool offsets = false;
    for (int i = 0; i < TWIN_PARTITIONS; i++)
        offsets |= group->offsets[i] >= 0;
    return group->there ? names[group->state] : offsets ? "Empty" : "Dead";
}
