/*
 * One group of the classic protocol (KIP-62): members join rounds; each round has a leader who divides the work.
 *
 *   EMPTY -> PREPARING -> COMPLETING -> STABLE
 *     ^          |  ^---------+-----------+        a member comes, goes or changes: everybody joins again
 *     +----------+                                 nobody is left
 *
 *   PREPARING   members join; ends when all have, or at a deadline
 *   COMPLETING  the generation is counted up; members ask for their part (SyncGroup); ends with the leader's assignment
 *
 * (C1) candidates holds for each protocol name how many members speak it; all members have one in common.
 * (C2) joining_count is the number of members with a call in joining; only PREPARING has any.
 * (C3) sync_due_count is the number of members with sync_due: they have been told of the generation and must still ask.
 * (C4) leader is a member, and NULL only without members, or in a group read from a log that names none.
 * (C5) durable is the value of the group's last record, byte for byte; NULL: the log knows nothing of the group.
 *
 * Memory: a member and its texts are one block, its protocols another. Everything goes with classic_free.
 *
 * Source: Kafka's ClassicGroup and the classicGroup* half of GroupMetadataManager; KIP-62, 134, 345, 389, 394, 559,
 * 814.
 */
#pragma once
#include "base/hash_table.h"
#include "coordinator/groups_internal.h"

enum classic_state { CLASSIC_EMPTY, CLASSIC_PREPARING, CLASSIC_COMPLETING, CLASSIC_STABLE };

struct classic_protocol {
    struct odk_str name;
    struct odk_bytes metadata;
};

struct classic_member {
    struct classic *classic;
    struct odk_str id;
    struct odk_str instance_id; /* data NULL: a dynamic member */
    struct odk_str client_id, client_host;
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct classic_protocol *protocols; /* in the order of the member's liking; no name twice */
    uint32_t protocol_count;
    size_t kept_bytes; /* texts, names and metadata */
    uint8_t *assignment;
    size_t assignment_len;
    struct group_call *joining, *syncing; /* calls that wait */
    struct timer session;
    bool fresh;    /* its first join has not ended: its client cannot send heartbeats yet */
    bool sync_due; /* C3 */
    UT_hash_handle by_id, by_instance;
    char text[];
};

/* An id that was given out with MEMBER_ID_REQUIRED and has not come back yet. */
struct classic_pending {
    struct classic *classic;
    struct timer session;
    UT_hash_handle by_id;
    char id[];
};

/* A protocol name and how many members speak it. */
struct classic_candidate {
    uint32_t member_count;
    uint32_t votes; /* while one is held */
    UT_hash_handle by_name;
    char name[];
};

struct classic_topic {
    UT_hash_handle by_name;
    char name[];
};

struct classic_text {
    char *data; /* NULL: none */
    size_t len;
};

struct classic {
    struct group *group;
    enum classic_state state;
    int64_t state_since_ms; /* -1 = not known: read from an old record */
    int32_t generation;
    struct classic_text protocol_type, protocol;
    struct classic_member *members;   /* by id, in the order of joining */
    struct classic_member *instances; /* the static ones, by instance id */
    struct classic_member *leader;
    struct classic_pending *pendings;
    struct classic_candidate *candidates;
    size_t kept_bytes;     /* sum over members */
    size_t assigned_bytes; /* assignments of members */
    size_t pending_bytes;  /* memory of pendings */
    uint32_t joining_count, sync_due_count;

    struct timer round; /* end of PREPARING */
    bool initial;       /* PREPARING out of EMPTY: waits for company, in steps */
    bool joined_since;  /* somebody has come since the step began */
    int64_t step_ms, steps_left_ms;
    struct timer sync; /* until when sync_due may stand */

    struct classic_topic *topics; /* that the members of this generation subscribe to */
    bool topics_known;
    uint8_t *durable;
    size_t durable_len;
};

static inline uint32_t classic_members_count(const struct classic *classic)
{
    return HASH_CNT(by_id, classic->members);
}

static inline struct odk_str classic_text(const struct classic_text *text)
{
    return (struct odk_str){ .data = text->data, .len = text->len };
}

static inline struct groups *classic_groups(const struct classic *classic)
{
    return classic->group->groups;
}

/* "consumer": the groups whose metadata the coordinator can read. */
bool classic_is_consumer(const struct classic *classic);

/* -- life (classic.c) ---------------------------------------------------------------------------------------------- */

/* Makes group->classic, empty, unless it is there. */
struct classic *classic_take(struct group *group);
/* Nobody came in, and the log knows nothing of it: it was never there. */
void classic_drop_if_unused(struct group *group);
void classic_text_set(struct classic_text *text, struct odk_str value);
void classic_state_set(struct classic *classic, enum classic_state state);

/* -- members (classic_members.c) ----------------------------------------------------------------------------------- */

/* What a member says of itself; texts and protocols are copied. */
struct classic_member_spec {
    struct odk_str id, instance_id, client_id, client_host;
    int32_t rebalance_timeout_ms, session_timeout_ms;
    const struct classic_protocol *protocols;
    uint32_t protocol_count;
};

/* What a member takes of GROUP_BYTES_MAX. */
size_t classic_spec_bytes(const struct classic_member_spec *spec);
struct classic_member *classic_member_find(const struct classic *classic, struct odk_str id);
struct classic_member *classic_member_find_instance(const struct classic *classic, struct odk_str instance_id);
/* Adds a member. Neither its id nor its instance id may be there. The first one sets the group's protocol type. */
struct classic_member *classic_member_add(struct classic *classic, const struct classic_member_spec *spec,
                                          struct odk_str protocol_type);
/* Removes a member; answers who still waits with UNKNOWN_MEMBER_ID. */
void classic_member_remove(struct classic_member *member);
/* Takes over protocols and timeouts. */
void classic_member_update(struct classic_member *member, const struct classic_member_spec *spec);
/* A static member comes back under a new id: whoever waits under the old one gets FENCED_INSTANCE_ID. The old pointer
 * is dead afterwards. */
struct classic_member *classic_member_replace(struct classic_member *old, struct odk_str new_id);
void classic_member_assign(struct classic_member *member, struct odk_bytes assignment);
/* Metadata for the group's protocol; data NULL when the member does not speak it. */
struct odk_bytes classic_member_metadata(const struct classic_member *member);
/* Is it a member, and the one that holds its instance id? */
enum kafka_error classic_member_check(const struct classic *classic, struct odk_str id, struct odk_str instance_id);
/* The session begins anew. */
void classic_member_touch(struct classic_member *member);
void classic_member_touch_ms(struct classic_member *member, int64_t timeout_ms);

/* Could a member with these enter? */
bool classic_supports(const struct classic *classic, struct odk_str protocol_type,
                      const struct classic_protocol *protocols, uint32_t count);
/* How many of these names nobody in the group speaks yet. */
uint32_t classic_candidates_new(const struct classic *classic, const struct classic_protocol *protocols,
                                uint32_t count);
/* The common protocol that most members like best; there must be members. The text is the group's own. */
struct odk_str classic_vote(const struct classic *classic);

struct classic_pending *classic_pending_find(const struct classic *classic, struct odk_str id);
void classic_pending_add(struct classic *classic, struct odk_str id, int32_t session_timeout_ms);
void classic_pending_remove(struct classic_pending *pending);

/* -- rounds (classic_round.c) -------------------------------------------------------------------------------------- */

/* Everybody must join again. what and detail are for the diagnostic line; detail may be a client's text. */
void classic_rebalance(struct classic *classic, const char *what, struct odk_str detail);
/* The same, but when the round is open already: ends it if everybody has come. */
void classic_rebalance_or_check(struct classic *classic, const char *what, struct odk_str detail);
/* Ends an open round if everybody has come. The first round of a group ends at its own time. */
void classic_round_check(struct classic *classic);
/* Ends the open round: who has not come is left behind, who has learns the new generation. */
void classic_round_complete(struct classic *classic);
bool classic_all_joined(const struct classic *classic);
/* The deadline of the open round. */
void classic_round_fire(struct timer *timer, uint64_t now_ns);
void classic_sync_fire(struct timer *timer, uint64_t now_ns);
/* A session has ended. */
void classic_session_fire(struct timer *timer, uint64_t now_ns);
void classic_pending_fire(struct timer *timer, uint64_t now_ns);
/* Takes sync_due back. */
void classic_sync_done(struct classic_member *member);

/* -- answers (classic_answer.c) ------------------------------------------------------------------------------------ */

/* The round as it stands, to a call of this member; the leader gets the members. */
void classic_answer_join(struct classic_member *member, struct group_call *call);
/* The same to a static member that has come back without a new round. leader_before lives as long as the call. */
void classic_answer_replaced(struct classic_member *member, struct group_call *call, struct odk_str leader_before);
/* The member's assignment. */
void classic_answer_sync(struct classic_member *member, struct group_call *call);
void classic_refuse_join(struct classic *classic, struct group_call *call, enum kafka_error error,
                         struct odk_str member_id);
/* Ends the waiting of a member; harmless when it does not wait. */
void classic_end_join(struct classic_member *member, enum kafka_error error, struct odk_str member_id);
void classic_end_sync(struct classic_member *member, enum kafka_error error);

/* -- the log (classic_log.c) --------------------------------------------------------------------------------------- */

/* Records the group with its members and their assignments. */
void classic_record(struct classic *classic);

/* -- subscriptions (classic_topics.c) ------------------------------------------------------------------------------ */

/* Reads the metadata of all members for the group's protocol. */
void classic_topics_read(struct classic *classic);
void classic_topics_clear(struct classic *classic);

/* -- to and from the newer protocol (KIP-848) ---------------------------------------------------------------------- */

/*
 * A group that was of the newer protocol goes on as a classic one: take it with classic_take, give it its generation
 * and its members (classic_member_add, classic_member_assign), then call this. It is Stable, recorded, and sessions
 * run. Who wants a new round calls classic_rebalance. The way back: read members here, then classic_remove and
 * classic_free with REBALANCE_IN_PROGRESS.
 */
void classic_restored(struct classic *classic);
