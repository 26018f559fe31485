/*
 * A fetch on its way through the shards: one leg per shard that owns some of its partitions.
 *
 *   home shard                       owner shard
 *   fetch_legs_read   -- task go -->  looks at its partitions, reads, waits for reads that need the device
 *        all home     <-- task go --
 *   fetch_legs_park   -- task go -->  gives pins back, adds a waiter to every partition, keeps the task
 *   (a partition moves)  <-- task go --  waiters removed
 *   fetch_legs_recall -- task stop -> removes the waiters;  both tasks go home
 *   fetch_legs_unpin  -- task go -->  gives pins back      (when the reply has left)
 *
 * Everything lives in the request's arena, made at home before the first leg goes; owners only fill it in. The one
 * exception to "made before": the home shard's own leg takes memory for reads as it needs it.
 *
 * (L1) A task that is away is not touched at home, and what the owner writes is not read there.
 * (L2) away counts the tasks that are not home. Nothing is freed while it is above zero.
 * (L3) A parked leg holds no pins; a leg that is home has no waiters.
 * (L4) home is called exactly once for every read and park that did not end at once.
 */
#pragma once
#include "base/arena.h"
#include "broker/broker.h"
#include "broker/fetch_session.h"
#include "broker/purgatory.h"
#include "broker/topics.h"

/* Reads with data in one reply, over all shards: bounds memory and the parts of a frame. */
#define FETCH_READS_MAX 1024u
/* Reads that a leg to another shard has with it at first; when that is not enough it gets what it needs in a second
 * turn. Few, because an idle consumer of thousands of partitions parks with them. */
#define FETCH_LEG_READS 4u

enum fetch_part_state {
    FETCH_PART_NEW,     /* to be looked at by the owner */
    FETCH_PART_STARVED, /* has data; there was no memory for the read */
    FETCH_PART_READING, /* data is being brought into memory */
    FETCH_PART_DONE,
};

/* One partition of a fetch. */
struct fetch_part {
    struct fetch_watch watch; /* the owner's */
    struct fetch_leg *leg;    /* NULL: decided at home, no owner */
    struct fetch_part *next;  /* in the leg, in the order of the request */
    struct fetch_session_partition *remembered;
    /* what is asked */
    struct odk_uuid topic_id;
    struct odk_str topic; /* as the client names it; empty when it uses ids */
    int64_t offset;
    int32_t index;
    int32_t max_bytes;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    /* what was found */
    enum fetch_part_state state;
    int16_t error_code;
    bool more;     /* there is more data than was read */
    bool withheld; /* the reply has no room for what was read */
    bool diverging;
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
    int64_t high_watermark; /* -1 with an error */
    int64_t log_start_offset;
    struct odk_log *log;   /* of the read; the owner's */
    struct odk_read *read; /* holds pins, perhaps of no bytes; NULL: not read */
};

struct fetch_slot;

struct fetch_leg {
    struct task go;
    struct task stop;
    struct fetch_legs *legs;
    struct broker *at; /* the owner's, while it works there */
    struct fetch_part *first;
    struct fetch_part *last;
    struct fetch_slot *free; /* memory for reads */
    uint32_t shard;
    uint32_t pending;    /* reads that wait for the device */
    uint32_t starved;    /* partitions in FETCH_PART_STARVED */
    uint32_t bytes_left; /* of the fetch's bound; each leg starts with the whole of it */
    bool fresh;          /* no turn yet since the start or since it was parked */
    bool walking;
    bool got_any; /* data for some partition: later ones obey the bounds (KIP-74) */
    bool pinned;
    bool watching; /* the owner's: waiters are out */
    bool home;     /* home's: the task go is here */
};

struct fetch_legs {
    struct broker *broker; /* home */
    struct arena *arena;
    struct arena kept;          /* the request's arena, while pins are given back after its end */
    struct fetch_leg *by_shard; /* one for each shard; those without partitions stay home */
    struct fetch_part *parts;
    uint32_t part_count;
    uint32_t reads; /* slots handed out */
    uint32_t bytes_max;
    uint32_t away; /* L2 */
    bool parked;
    bool recalled;
    bool woken;                                /* a partition of the home shard has moved */
    void (*woke)(struct fetch_legs *legs);     /* once per parking: call fetch_legs_recall soon, not inside */
    void (*all_home)(struct fetch_legs *legs); /* L4 */
};

/* parts filled in up to "what is asked", their legs not yet. False: no memory. */
MUST_USE bool fetch_legs_init(struct fetch_legs *legs, struct broker *home, struct arena *arena, uint32_t part_count);
/* Gives a part to the leg of that shard. */
void fetch_legs_assign(struct fetch_legs *legs, struct fetch_part *part, uint32_t shard);

enum fetch_trip {
    FETCH_TRIP_HOME, /* all legs are home already; all_home is not called */
    FETCH_TRIP_AWAY, /* all_home comes */
    FETCH_TRIP_FULL, /* no memory for another turn; nothing was started */
};
/* Looks at all partitions that are new or starved. */
enum fetch_trip fetch_legs_read(struct fetch_legs *legs);
/* True if partitions have data that was not read for want of memory, and another turn would help. */
bool fetch_legs_starved(const struct fetch_legs *legs);
/* Forgets what was found and waits for a partition to move. Ends by itself only when one moves on another shard; the
 * caller ends it with fetch_legs_recall else. Never home at once. */
void fetch_legs_park(struct fetch_legs *legs);
/* Ends the parking; all_home follows, perhaps inside. Harmless when not parked. */
void fetch_legs_recall(struct fetch_legs *legs);
/* Gives all pins back, in the end of the request. Takes over the arena that legs itself is in; legs must not be touched
 * afterwards. */
void fetch_legs_unpin(struct fetch_legs *legs);
