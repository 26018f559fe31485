/*
 * One group of the newer protocol (KIP-848): members say by heartbeats what they want and own, the coordinator decides
 * who shall own what, and members follow one by one.
 *
 *   epoch          counts changes of what is to be divided: members, subscriptions, topics
 *   target         who shall own what, computed for an epoch (target_epoch); due as soon as epoch is ahead of it
 *   member.epoch   the target epoch that a member has reached
 *
 * A member goes from one target to the next in two steps, so that nobody else has to stop:
 *
 *           nothing to give up                          all of the new partitions are free
 *   STABLE ---------------------+--> (target epoch) ---------------------------------------> STABLE
 *     |                         |          |  some are still owned by others
 *     | must give up partitions |          +-----------------------------> UNRELEASED: asks again with each heartbeat
 *     +--> UNREVOKED -----------+
 *          at the old epoch, until it no longer says that it owns them
 *
 * (M1) owners[p] of a topic is the member that has p in assigned or in revoking; a partition is in at most one of all
 *      these sets of a group. It can so be given to a member only after its owner has said that it stopped, or is gone.
 * (M2) In UNREVOKED, and only there, revoking is not empty.
 * (M3) names counts for each topic name the members that name it and the regular expressions that matched it;
 *      regexes counts the members that use one.
 * (M4) instances holds for each instance id the one member that has it.
 * (M5) Facts (modern_facts.c) are the only writers of what a restart must know. The rest is timers and counts.
 *
 * Memory: what a member said of itself is one block (told), its three sets are one each; all go with modern_free.
 *
 * Source: Kafka's ConsumerGroup, CurrentAssignmentBuilder and the consumerGroup* half of GroupMetadataManager; KIP-848,
 * 1251, 1263.
 */
#pragma once
#include "base/hash_table.h"
#include "coordinator/assign.h"
#include "coordinator/groups_internal.h"
#include "coordinator/topic_regex.h"
#include "coordinator/tp_set.h"
#include "wire/messages.h"

/* Numbers of the log. */
enum modern_member_state {
    MODERN_STABLE = 0,
    MODERN_UNREVOKED = 1,
    MODERN_UNRELEASED = 2,
};

#define MODERN_EPOCH_JOIN  0
#define MODERN_EPOCH_LEAVE (-1)
#define MODERN_EPOCH_AWAY  (-2) /* a static member that will be back */

struct modern_member {
    struct modern *modern;
    struct consumer_group_member_metadata_value *told; /* NULL only while a log is read */
    int32_t epoch;
    int32_t previous_epoch;
    enum modern_member_state state;
    struct tp_set assigned; /* with the epochs in which it got them */
    struct tp_set revoking;
    struct tp_set target;
    struct timer session;
    struct timer progress; /* until when it must have revoked, rejoined or synced */
    bool leaving;          /* by the request at hand */
    UT_hash_handle by_id, by_instance;
    char id[];
};

/* A topic name that somebody subscribes to. */
struct modern_name {
    uint32_t member_count, regex_count;
    uint32_t topic_idx; /* while a target is computed */
    struct modern *modern;
    struct name_entry *name; /* of all groups that subscribe to it */
    struct list same_name;   /* in name->users */
    UT_hash_handle by_name;
};

struct modern_job;

/* What a regular expression matched, and when. */
struct modern_match {
    struct odk_str *topics; /* a set (texts.h); NULL: the log says nothing of it yet */
    uint32_t count;
    int64_t at_ms;
};

struct modern_regex {
    uint32_t member_count;
    struct modern_match match;
    struct modern_job *job;       /* NULL: all is known */
    struct topic_regex *compiled; /* NULL: not needed yet, or broken */
    bool broken;                  /* cannot be compiled or matched: what the log says stays */
    UT_hash_handle by_text;
    char text[];
};

/* A topic of which somebody owns partitions. */
struct modern_topic {
    struct odk_uuid id;
    struct modern_member **owners; /* M1 */
    uint32_t capacity;
    uint32_t owned_count;
    UT_hash_handle by_id;
};

struct modern {
    struct group *group;
    struct list patterned; /* groups->patterned; linked while there are regexes */
    int32_t epoch; /* 0: nothing is recorded yet */
    int64_t hash;  /* of the subscribed topics: see modern_hash */
    int32_t target_epoch;
    int64_t target_ms;  /* of the wall, for readers of the log */
    uint64_t target_ns; /* when the target was computed; 0: not by this process */
    struct timer target_due;
    struct modern_member *members;
    struct modern_member *instances; /* M4 */
    uint32_t classic_count;          /* members that speak the classic protocol */
    size_t told_bytes;               /* sum over members */
    uint64_t set_count;              /* partitions in all sets of members */
    uint64_t owner_slots;            /* room in all topics' owners */
    size_t match_bytes;              /* memory of regular expressions and what they match */
    uint32_t assignor_votes[GROUP_ASSIGNOR_COUNT];
    struct modern_name *names;
    struct modern_regex *regexes;
    struct modern_topic *topics;
};

static inline struct groups *modern_groups(const struct modern *modern)
{
    return modern->group->groups;
}

static inline struct arena *modern_scratch(const struct modern *modern)
{
    return &modern->group->groups->scratch;
}

static inline struct odk_str modern_member_id(const struct modern_member *member)
{
    return (struct odk_str){ .data = member->id, .len = member->by_id.keylen };
}

static inline struct odk_str modern_regex_text(const struct modern_regex *regex)
{
    return (struct odk_str){ .data = regex->text, .len = regex->by_text.keylen };
}

static inline bool modern_member_is_classic(const struct modern_member *member)
{
    return member->told->classic_member_metadata != NULL;
}

/* Forgets a group that nothing has been recorded of. */
void modern_tidy(struct group *group);

/* -- state in memory (modern_state.c) -------------------------------------------------------------------------------
 */

/* Makes group->modern, empty, unless it is there. */
struct modern *modern_take(struct group *group);
struct modern_member *modern_member_find(const struct modern *modern, struct odk_str id);
struct modern_member *modern_member_find_instance(const struct modern *modern, struct odk_str instance_id);
struct modern_regex *modern_regex_find(const struct modern *modern, struct odk_str text);
/* Who has this partition in assigned or revoking; NULL: nobody. */
struct modern_member *modern_owner(const struct modern *modern, struct odk_uuid topic, int32_t partition);
/* Does the member subscribe to this topic, by name or by what its regular expression matched? */
bool modern_member_subscribes(const struct modern_member *member, struct odk_str topic);

/* What a member has reached on its way to the target. */
struct modern_current {
    int32_t epoch, previous_epoch;
    enum modern_member_state state;
    struct tp_set assigned, revoking;
};

/* What it takes to keep what a member says. */
size_t modern_told_bytes(const struct consumer_group_member_metadata_value *told);

/* How facts change the state; NULL takes one back. Everything is copied. Called by modern_facts.c and modern_replay.c.
 */
void modern_apply_told(struct modern *modern, struct odk_str member_id,
                       const struct consumer_group_member_metadata_value *told);
void modern_apply_current(struct modern *modern, struct odk_str member_id, const struct modern_current *current);
void modern_apply_target(struct modern *modern, struct odk_str member_id, const struct tp_set *target);
void modern_apply_regex(struct modern *modern, struct odk_str text, const struct modern_match *match);
void modern_apply_epoch(struct modern *modern, int32_t epoch, int64_t hash);
void modern_apply_target_epoch(struct modern *modern, int32_t epoch, int64_t at_ms);

/* -- facts (modern_facts.c) -----------------------------------------------------------------------------------------
 */

void modern_put_epoch(struct modern *modern, int32_t epoch, int64_t hash);
/* Makes the member when there is none. */
struct modern_member *modern_put_told(struct modern *modern, struct odk_str member_id,
                                      const struct consumer_group_member_metadata_value *told);
void modern_put_current(struct modern_member *member, const struct modern_current *current);
void modern_put_target(struct modern_member *member, const struct tp_set *target);
void modern_put_target_epoch(struct modern *modern, int32_t epoch);
/* topics: a set. */
void modern_put_regex(struct modern *modern, struct odk_str text, struct odk_str *topics, uint32_t count);
void modern_drop_regex(struct modern *modern, struct modern_regex *regex);
/* The member is gone, with all that is known of it. */
void modern_drop_member(struct modern_member *member);

/* -- what is subscribed (modern_topics.c) ---------------------------------------------------------------------------
 */

/*
 * Says whether the subscribed topics are the same as before: the sum of the XXH3 of id, partition count and name of
 * each that exists; 0 for none. Kafka's is another one, so a group that moves over is divided anew once.
 */
int64_t modern_hash(const struct modern *modern);
/* Groups with patterns hear of topics that have come, as far as this turn has steps. */
void modern_news_tell(struct groups *groups);
/* The compiled pattern; NULL: it is broken. */
const struct topic_regex *modern_regex_ready(struct modern *modern, struct modern_regex *regex);
/* It keeps what it has matched, and says why. */
void modern_regex_broken(struct modern *modern, struct modern_regex *regex, const char *why);
/* Records what it matches now, if that is news. topics: a set. */
void modern_regex_resolved(struct modern *modern, struct modern_regex *regex, struct odk_str *topics, uint32_t count);
#define MODERN_TOO_COSTLY "matching names has to follow too many alternatives"
/* Takes back what the log says of regular expressions that nobody uses any longer. */
void modern_regexes_tidy(struct modern *modern);
/* Topics may have changed since the log was written. */
void modern_topics_loaded(struct modern *modern);

/* -- resolving patterns (modern_resolve.c) ---------------------------------------------------------------------------
 */

/* What is left of this turn for matching patterns (GROUP_REGEX_TURN_STEPS). */
bool modern_turn_has_steps(struct groups *groups);
void modern_turn_spend(struct groups *groups, uint64_t steps);
/* If something is left to do, it goes on in the background. */
void modern_turn_go_on(struct groups *groups);

enum modern_resolved { MODERN_RESOLVED, MODERN_RESOLVE_LATER, MODERN_RESOLVE_TOO_COSTLY };

/* The names that a pattern matches now, ascending; in scratch. LATER: that takes more than is left of this turn. */
enum modern_resolved modern_resolve_now(struct groups *groups, const struct topic_regex *regex,
                                        struct odk_str **ret_topics, uint32_t *ret_count);
/* In the background; modern_regex_resolved or modern_regex_broken follows unless the pattern goes before. */
void modern_resolve_later(struct modern *modern, struct modern_regex *regex);
void modern_resolve_cancel(struct modern_regex *regex);

/* -- target (modern_target.c) ---------------------------------------------------------------------------------------
 */

/* The assignor that most members ask for. */
enum group_assignor modern_assignor(const struct modern *modern);
/* What is to be divided, or among whom, has changed: a new epoch, and modern_retarget. */
void modern_bump(struct modern *modern);
/* When the epoch is ahead of the target, and there are members: computes the target now, or when the last one is old
 * enough. */
void modern_retarget(struct modern *modern);
void modern_target_fire(struct timer *timer, uint64_t now_ns);

/* -- members --------------------------------------------------------------------------------------------------------
 */

/*
 * One step towards the target (modern_reconcile.c). True when assigned is another one now.
 *
 * owned         what the member says that it owns; NULL: it does not say
 * resubscribed  what it subscribes to has changed
 */
bool modern_reconcile(struct modern_member *member, const struct tp_set *owned, bool resubscribed);

/* Gives a static member a new id (modern_leave.c): the old one is gone, and with it the pointer. */
struct modern_member *modern_replace(struct modern_member *old, struct odk_str new_id);
/* The members are gone (modern_leave.c): what they owned is free, the rest is divided anew. The group may be a classic
 * one afterwards. */
void modern_fence(struct group *group, struct modern_member *const *members, uint32_t count);
/* Leaves by ConsumerGroupHeartbeat. */
void modern_leave_beat(struct group *group, struct group_call *call);
/* The session begins anew (modern_leave.c). */
void modern_touch(struct modern_member *member);
void modern_session_fire(struct timer *timer, uint64_t now_ns);
void modern_progress_fire(struct timer *timer, uint64_t now_ns);

/* -- what members say ------------------------------------------------------------------------------------------------
 */

/* A client id or host as it is kept: cut, and never null. */
struct odk_str modern_client_text(struct odk_str text);
bool modern_told_equal(const struct consumer_group_member_metadata_value *a,
                       const struct consumer_group_member_metadata_value *b);
/* Do both subscribe in the same way? */
bool modern_told_same_topics(const struct consumer_group_member_metadata_value *a,
                             const struct consumer_group_member_metadata_value *b);

/*
 * A member says something of itself, and may be new: facts of that, and all that follows from them (modern_change.c).
 *
 * match  the topics that told's regular expression matches; not looked at when the group knows them; topics NULL: they
 *        are not known yet
 *
 * ret_resubscribed: it subscribes to something else than before. With a pattern whose topics are not known that is not so
 * until they are.
 */
struct modern_member *modern_say(struct modern *modern, struct odk_str member_id,
                                 const struct consumer_group_member_metadata_value *told,
                                 const struct modern_match *match, bool *ret_resubscribed);

/* -- checks (modern_check.c) -----------------------------------------------------------------------------------------
 */

/* Answers a heartbeat with an error and a sentence. */
void modern_refuse(struct group *group, struct group_call *call, enum kafka_error error, const char *format, ...)
    PRINTF(4, 5);
/* What a heartbeat must fulfil whatever group it is for. False: it has been refused. */
bool modern_beat_check(struct group *group, struct group_call *call);
/* Is the epoch the member's, or the one before, of a member that missed a reply? False: it has been refused. */
bool modern_epoch_check(struct modern_member *member, struct group_call *call, const struct tp_set *owned);
