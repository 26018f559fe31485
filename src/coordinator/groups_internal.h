/*
 * What the files of src/coordinator share: the registry and what each kind of group offers to it.
 *
 *   groups*    registry, dispatch of calls, replay, snapshot, expiry, offsets; know no protocol
 *   classic*   groups of JoinGroup and SyncGroup
 *   modern*    groups of ConsumerGroupHeartbeat (KIP-848)
 *   offsets    what groups have committed; any group, and ids without one
 */
#pragma once
#include "base/arena.h"
#include "base/diag.h"
#include "base/hash_table.h"
#include "coordinator/group_records.h"
#include "coordinator/groups.h"
#include "coordinator/offsets.h"

struct classic;
struct modern;
struct pending_txn;

/* One group id. At most one of classic and modern is there; neither: only offsets, as of a consumer that assigns itself.
 * Such a group and one without anything do not outlive the event that leaves them empty, see groups_tidy. */
struct group {
    struct groups *groups;
    char *id;
    struct classic *classic;
    struct modern *modern;
    struct offsets offsets;
    size_t weight; /* what env.memory holds of this group */
    struct list sweep;
    UT_hash_handle by_id;
};

struct groups {
    struct groups_env env;
    struct group *by_id;
    struct timer expiry;
    struct list sweep;    /* all groups; the next to be looked at for expiry is the first */
    uint32_t sweep_left;  /* groups that this round of expiry has not seen yet */
    struct name_index offset_topics;     /* users: struct offsets_topic */
    struct name_index subscribed_topics; /* users: struct modern_name */
    struct list patterned;               /* struct modern with regular expressions: any topic may concern them */
    struct list news;                    /* struct topic_news: topics that not all of patterned have heard of yet */
    struct list *news_at;                /* who of patterned hears next of the first of them */
    struct list resolving;               /* struct modern_job, see modern_resolve.c */
    struct timer resolving_timer;
    struct timer forgetting;             /* offsets of retired topics, see groups_topics.c */
    uint64_t forget_turn_ns;             /* the turn in which forget_left counts */
    uint32_t forget_left;
    struct pending_txn *pending;   /* while a log is read, see groups_pending.c */
    struct name_index pending_keys; /* users: struct pending_offset */
    uint64_t pending_number;
    struct group_writer writer;
    struct arena scratch; /* of this event: groups_flush forgets it; no limit */
    struct arena reading; /* for one record or one member's metadata; whoever reads resets it */
    size_t unflushed;     /* bytes recorded since the last flush */
    struct diag_rate rate, full_rate;
    bool loading; /* between groups_new and groups_loaded: no timers, no records */
};

/* -- registry (groups.c) ------------------------------------------------------------------------------------------ */

struct odk_str group_id(const struct group *group);
/* NULL when there is none. */
struct group *groups_find(const struct groups *groups, struct odk_str id);
/* Makes an empty one when there is none. */
struct group *groups_take(struct groups *groups, struct odk_str id);
/* May a group of this id be made? Ids have a bound, and groups have one. */
enum kafka_error groups_room(struct groups *groups, struct odk_str id);
/* Drops a group that has neither members' protocol nor offsets. The pointer may be dead afterwards. */
void groups_tidy(struct group *group);
/* Ends the call: its node is in no list afterwards. */
void groups_answer(struct groups *groups, struct group_call *call);
/* Answers with error, for the whole call. */
void groups_refuse(struct groups *groups, struct group_call *call, enum kafka_error error);
/* Ends an event (G5): whoever is called from a timer calls it last. */
void groups_flush(struct groups *groups);
/* In the midst of an event that writes many tombstones, where a crash may part them. */
void groups_flush_if_large(struct groups *groups);
/* The deadline that lies ms ahead of this turn. */
uint64_t groups_deadline(const struct groups *groups, int64_t ms);
/* One line for operators about a group, rate limited. what is a sentence without the group's name. */
void groups_say(const struct group *group, const char *what, struct odk_str detail);
/* Writes a record: group_record_begin, encode into writer->key and writer->value, group_record_end. */
struct group_writer *groups_writer(struct groups *groups);
/* A copy of text in the call's arena; data NULL stays so. {NULL, 0} also when the arena is used up. */
struct odk_str call_text(struct group_call *call, struct odk_str text);
struct odk_bytes call_bytes(struct group_call *call, struct odk_bytes bytes);
/* At most GROUP_TEXT_BYTES_MAX bytes of it, without half a character at the end. */
struct odk_str text_cut(struct odk_str text);
/* "PREFIX-uuid" into the arena: the ids that groups give to members. {NULL, 0} when the arena is used up. */
#define GROUP_UUID_TEXT_LEN 36u
struct odk_str call_member_id(struct groups *groups, struct group_call *call, struct odk_str prefix);

/* The first LeaveGroup that names members in a list, and answers for each of them. */
#define LEAVE_VERSION_MEMBERS 3
/* Makes the answer to an OffsetCommit, with every partition asked for and no errors. False: no memory, and the
 * answer is as it must be then. */
bool call_commit_begin(struct group_call *call);
/* Sets the error of all partitions that have none. */
void call_commit_error(struct group_call *call, enum kafka_error error);

/* -- memory (groups_memory.c) ------------------------------------------------------------------------------------- */

/* What a small allocation takes besides its bytes, with its share of a hash table's buckets. */
#define GROUP_ALLOC_BYTES 32u

/* Takes the group's memory anew. Cost: O(1). */
void group_weigh(struct group *group);
/* The group is about to be freed. */
void group_unweigh(struct group *group);
/* Is there no room for anything new? Says so to operators. */
bool groups_full(struct groups *groups);

/* -- offsets of a group (groups_offsets.c) ------------------------------------------------------------------------- */

/* Records and applies: fact NULL forgets. */
void group_offset_set(struct group *group, struct odk_str topic, int32_t partition, const struct offset_fact *fact);
void group_offsets_forget_all(struct group *group);
void group_offsets_snapshot(const struct group *group,
                            void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context);
ODK_MUST_USE enum odk_err groups_offset_replay(struct groups *groups, int16_t kind, struct odk_bytes key_rest,
                                               struct odk_bytes value);
/* -- offsets of transactions in a log (groups_pending.c) ----------------------------------------------------------- */

/* key_rest is the key behind its int16. value is there. */
void groups_pending_add(struct groups *groups, int64_t producer_id, int16_t kind, struct odk_bytes key_rest,
                        struct odk_bytes value);
/* The offset of this key is known: pending ones with a lower number will not count. */
void groups_pending_overtake(struct groups *groups, struct odk_bytes key_rest, uint64_t number);
/* Forgets all. Returns how many there were. */
uint64_t groups_pending_clear(struct groups *groups);

/* -- what kinds of groups have in common --------------------------------------------------------------------------- */

/* "" when there is none. */
struct odk_str group_protocol_type(const struct group *group);
/* Do members subscribe to this topic, as far as the group knows? */
bool group_subscribed(const struct group *group, struct odk_str topic);
/* No member, and nobody on the way in. */
bool group_empty(const struct group *group);
/* The group ends, with a tombstone where its log has it; its offsets stay. The pointer stays good. */
void group_end(struct group *group);

/* -- what becomes of topics (groups_topics.c) ---------------------------------------------------------------------- */

/* Forgets what the group has of topics that are gone. The pointer stays good. */
void group_forget_retired(struct group *group);
/* A topic may have gone just before a crash, which took the tombstones of its offsets: the next one of that name must not
 * inherit them. */
void group_lost_topics_forget(struct group *group);
void groups_forgetting_fire(struct timer *timer, uint64_t now_ns);

/* -- calls that are answered at once (groups_*.c) ------------------------------------------------------------------ */

void groups_call_commit(struct groups *groups, struct group_call *call);
void groups_call_fetch(struct groups *groups, struct group_call *call);
void groups_call_offset_delete(struct groups *groups, struct group_call *call);
void groups_call_describe(struct groups *groups, struct group_call *call);
void groups_call_list(struct groups *groups, struct group_call *call);
void groups_call_delete(struct groups *groups, struct group_call *call);
/* Looks at some groups for what has expired; the timer goes on until it has seen all. */
void groups_expiry_fire(struct timer *timer, uint64_t now_ns);

/* -- classic groups (classic.c) ------------------------------------------------------------------------------------ */

void classic_join(struct group *group, struct group_call *call);
void classic_sync(struct group *group, struct group_call *call);
void classic_heartbeat(struct group *group, struct group_call *call);
void classic_leave(struct group *group, struct group_call *call);
/* May this member commit? member_id "" and generation -1: nobody's commit. A good one counts as a heartbeat. */
enum kafka_error classic_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                      struct odk_str instance_id, int32_t generation);
/* "Empty", "PreparingRebalance" ... */
const char *classic_state(const struct group *group);
bool classic_empty(const struct group *group);
struct odk_str classic_protocol_type(const struct group *group);
/* May offsets of this topic expire or be deleted? Not while a member of a live group subscribes to it. */
bool classic_subscribed(const struct group *group, struct odk_str topic);
/* Do offsets of topics that nobody subscribes to expire at the moment? ret_since_ms is when their retention began; -1:
 * each at its commit. */
bool classic_offsets_expire(const struct group *group, int64_t *ret_since_ms);
void classic_describe(const struct group *group, struct group_call *call);
uint32_t classic_member_count(const struct group *group);
/* Memory, about. */
size_t classic_bytes(const struct classic *classic);
/* Value of a GroupMetadata record; data NULL: the group is gone. */
ODK_MUST_USE enum odk_err classic_replay(struct group *group, struct odk_bytes value);
void classic_loaded(struct group *group);
void classic_snapshot(const struct group *group,
                      void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context);
/* The group is deleted: records its tombstone. */
void classic_remove(struct group *group);
/* Frees memory, cancels timers, answers who waits with error. */
void classic_free(struct classic *classic, enum kafka_error error);
/* The call waits here: end its waiting. False when it does not. */
bool classic_cancel(struct group *group, struct group_call *call);

/* -- modern groups (modern.c) --------------------------------------------------------------------------------------- */

void modern_heartbeat(struct group *group, struct group_call *call);
/* Classic requests of members that came over from the classic protocol (KIP-848, online migration), and LeaveGroup of
 * any member. */
void modern_join(struct group *group, struct group_call *call);
void modern_sync(struct group *group, struct group_call *call);
void modern_classic_heartbeat(struct group *group, struct group_call *call);
void modern_leave(struct group *group, struct group_call *call);
/* As classic_commit_check; epoch instead of generation. */
enum kafka_error modern_commit_check(struct group *group, const struct group_call *call, struct odk_str member_id,
                                     struct odk_str instance_id, int32_t epoch);
/* May this member read the group's offsets (OffsetFetch 9 and later)? */
enum kafka_error modern_fetch_check(struct group *group, struct odk_str member_id, int32_t epoch);
const char *modern_state(const struct group *group);
bool modern_empty(const struct group *group);
bool modern_subscribed(const struct group *group, struct odk_str topic);
void modern_describe(const struct group *group, struct group_call *call);
uint32_t modern_member_count(const struct group *group);
/* Memory, about. */
size_t modern_bytes(const struct modern *modern);
/* One record of a kind from 3 to 8, or 16; key_rest is the key behind its int16. */
ODK_MUST_USE enum odk_err modern_replay(struct groups *groups, int16_t kind, struct odk_bytes key_rest,
                                        struct odk_bytes value);
void modern_loaded(struct group *group);
void modern_snapshot(const struct group *group,
                     void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context);
void modern_remove(struct group *group);
void modern_free(struct modern *modern, enum kafka_error error);
bool modern_cancel(struct group *group, struct group_call *call);
/* Patterns are matched on. */
void groups_resolving_fire(struct timer *timer, uint64_t now_ns);
/* Forgets what groups have not heard of yet. */
void modern_news_clear(struct groups *groups);
/* Tells the groups that subscribe to the topic, or may. */
void modern_topics_changed(struct groups *groups, const struct group_topic *topic, bool gone);
