/*
 * All clients of one run: producers, consumers and one admin, on a machine of their own that survives every crash of
 * the broker. Each is an actor with one connection; all share what the answers have taught (broker_model.h).
 *
 *   broker_fleet.c     the actors' common part, answers of Metadata
 *   broker_producer.c  batches, retries, idempotence         broker_consumer.c  fetches, sessions, reading back
 *   broker_admin.c     topics come, grow and go, settings change, ListOffsets
 *   broker_member.c    members of classic groups              broker_modern.c    of the newer ones
 *   broker_alone.c     commits without membership             broker_offsets.c   what all three share
 */
#pragma once
#include "base/prng.h"
#include "broker_groups.h"
#include "broker_kclient.h"
#include "broker_model.h"
#include "sim_world.h"

struct offset_commit_response;
struct offset_fetch_response;

#define FLEET_ACTORS_MAX 16u
#define FLEET_SESSION_MS 8000 /* of members of the newer protocol */
#define LONG_NAMES       3u /* "l-0" ..: made by asking for them, live for ever */
#define SHORT_NAMES      2u /* "s-0" ..: created, deleted, created again; spoken of by id only */

enum fleet_key {
    KEY_PRODUCE = 0,
    KEY_FETCH = 1,
    KEY_LIST_OFFSETS = 2,
    KEY_METADATA = 3,
    KEY_OFFSET_COMMIT = 8,
    KEY_OFFSET_FETCH = 9,
    KEY_FIND_COORDINATOR = 10,
    KEY_JOIN_GROUP = 11,
    KEY_HEARTBEAT = 12,
    KEY_LEAVE_GROUP = 13,
    KEY_SYNC_GROUP = 14,
    KEY_LIST_GROUPS = 16,
    KEY_CREATE_TOPICS = 19,
    KEY_DELETE_TOPICS = 20,
    KEY_DELETE_RECORDS = 21,
    KEY_INIT_PRODUCER_ID = 22,
    KEY_DESCRIBE_CONFIGS = 32,
    KEY_CREATE_PARTITIONS = 37,
    KEY_DELETE_GROUPS = 42,
    KEY_ALTER_CONFIGS = 44, /* the incremental ones */
    KEY_CONSUMER_HEARTBEAT = 68,
};

enum fleet_error {
    ERROR_UNKNOWN = -1,
    ERROR_OUT_OF_RANGE = 1,
    ERROR_UNKNOWN_TOPIC = 3,
    ERROR_LEADER_NOT_AVAILABLE = 5,
    ERROR_TIMED_OUT = 7,
    ERROR_LOADING = 14,
    ERROR_NO_COORDINATOR = 15,
    ERROR_OTHER_COORDINATOR = 16,
    ERROR_GENERATION = 22,
    ERROR_MEMBER = 25,
    ERROR_REBALANCE = 27,
    ERROR_TOPIC_EXISTS = 36,
    ERROR_PARTITIONS = 37,
    ERROR_SEQUENCE = 45,
    ERROR_STORAGE = 56,
    ERROR_NO_GROUP = 69,
    ERROR_NO_SESSION = 70,
    ERROR_MEMBER_ID = 79,
    ERROR_FENCED_INSTANCE = 82,
    ERROR_UNKNOWN_ID = 100,
    ERROR_FENCED_EPOCH = 110,
    ERROR_STALE_EPOCH = 113,
};

/* What all seeds together reached. */
struct fleet_tally {
    uint64_t batches, acked, retried, refused, fetches, read_batches, lookups, created, deleted, connections, verified;
    uint64_t grown, cut, altered, settings_seen;
    uint64_t commits, offsets_seen, joins, syncs, heartbeats, groups_deleted;
};

struct actor;

struct actor_kind {
    /* The connection is ready. */
    void (*step)(struct actor *actor, uint64_t now_ns);
    void (*answered)(void *actor, const struct kcall *call, const void *body);
    void (*lost)(void *actor, const struct kcall *call);
    /* Something begun is not finished. */
    bool (*busy)(struct actor *actor);
    /* NULL, or reads back what its kind can. */
    void (*verify)(struct actor *actor);
    void (*free)(struct actor *actor);
};

struct fleet {
    struct sim_world *world;
    struct odk_io *io;
    struct violation *violation;
    struct fleet_tally *tally;
    struct model model;
    struct groups_model groups;
    struct prng rng;
    struct kclient_mood mood;
    bool talks;                    /* what clients send and hear goes to stderr */
    bool may_fail;                 /* the seed's faults may make storage fail */
    bool excused;                  /* they may in this life */
    const struct actor *acting;    /* whose turn it is */
    bool fat;                      /* many large batches */
    bool has_groups;               /* some actors are members of groups */
    uint64_t work_left;            /* requests that actors may still begin on their own */
    bool create_lost[SHORT_NAMES]; /* a creation of that name was not answered with its id */
    struct actor *actors[FLEET_ACTORS_MAX];
    uint32_t actor_count;
};

/* Actors embed this first. */
struct actor {
    struct fleet *fleet;
    const struct actor_kind *kind;
    struct kclient client;
    struct prng rng;
    uint64_t next_ns; /* of its next own decision */
    bool asking;      /* its one control request is in the air */
};

/* model.violation and the world are set by the caller's arguments; draws how many actors of each kind there are. */
void fleet_init(struct fleet *fleet, struct sim_world *world, uint64_t seed, struct violation *violation,
                struct fleet_tally *tally);
void fleet_deinit(struct fleet *fleet);
/* One turn of the clients' machine. */
void fleet_turn(struct fleet *fleet);
/* Nothing is in the air and nothing is left to be done. */
bool fleet_idle(const struct fleet *fleet);
/* Some request waits for its answer. */
bool fleet_waits(const struct fleet *fleet);
/* Reads everything back from the start, by every consumer; over when fleet_idle. */
void fleet_verify(struct fleet *fleet);

/* -- for the actors ----------------------------------------------------------------------------------------------- */

void actor_init(struct actor *actor, struct fleet *fleet, const struct actor_kind *kind);
void actor_deinit(struct actor *actor);
struct actor *producer_new(struct fleet *fleet);
struct actor *consumer_new(struct fleet *fleet);
struct actor *admin_new(struct fleet *fleet);
struct actor *member_new(struct fleet *fleet);
struct actor *modern_new(struct fleet *fleet);
struct actor *alone_new(struct fleet *fleet);

/* One line about what a client did or heard, for a person with one failing seed. */
void fleet_say(const struct fleet *fleet, const char *format, ...) PRINTF(2, 3);
/* An error that only trouble with the disk explains. False, and a violation, when there was none. */
bool fleet_excuses(struct fleet *fleet, int16_t error, const char *what, const struct model_topic *topic);
/* An answer says that the topic is not there. False, and a violation, when it must be. */
bool fleet_excuses_absence(struct fleet *fleet, const struct model_topic *topic, const char *what);
/* An error that a coordinator may answer with: while it loads, or when the disk has trouble. False, and a violation, else.
 */
bool fleet_excuses_coordinator(struct fleet *fleet, int16_t error, const char *what);
/* Asks for a topic by name, creating it; the answer goes to metadata_answered. */
void metadata_ask(struct actor *actor, const char *name, uint64_t now_ns);
void metadata_ask_all(struct actor *actor, uint64_t now_ns);
void metadata_answered(struct actor *actor, const struct kcall *call, const void *body);
/* A name of a topic, from the drawn number. */
void fleet_long_name(char dst[32], uint64_t number);
/* A drawn topic that is live; NULL: none. */
struct model_topic *fleet_live_topic(struct fleet *fleet, struct prng *rng, bool short_lived);

/* -- for the actors of groups --------------------------------------------------------------------------------------- */

/* Some client has seen the partition. */
bool fleet_slot_exists(const struct fleet *fleet, uint32_t slot);

/* Whose commit it is; member_id "": nobody's. */
struct commit_as {
    int32_t generation; /* or epoch */
    struct odk_str member_id;
    struct odk_str instance_id;
    int16_t version_least;
};

/* One OffsetCommit in the air. */
struct commit_load {
    struct group_model *group;
    int32_t generation; /* that a later one must end; -1: none */
    bool slots[GROUP_SLOTS];
    uint32_t places[GROUP_SLOTS];
    int16_t error; /* of the answer: the last one that was not 0 */
};

/* False: there is nothing to be committed. */
bool commit_send(struct actor *actor, struct commit_load *load, const struct commit_as *as, uint64_t now_ns);
void commit_answered(struct actor *actor, struct commit_load *load, const struct offset_commit_response *reply,
                     int16_t version);
/* Asks for every offset of the group; asking is set until the answer is there. */
void offsets_ask(struct actor *actor, struct group_model *group, const struct commit_as *as, uint64_t now_ns);
/* Returns the error of the group, or of a partition. */
int16_t offsets_answered(struct actor *actor, const struct kcall *call, const struct offset_fetch_response *reply);
