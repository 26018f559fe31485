/*
 * Incremental fetch sessions: what a consumer asks for again and again is remembered, so that requests carry only
 * changes and replies only news. Source: KIP-227; topic ids KIP-516.
 *
 * A bounded cache per shard. A session belongs to the shard of the connection that opened it; a client that comes back
 * elsewhere is told FETCH_SESSION_ID_NOT_FOUND and starts anew, which every client can.
 *
 *   fetch_session_begin   looks at id and epoch of a request, applies its changes, says how it is to be treated
 *   fetch_session_create  a full fetch has been answered: remember it, if there is room
 *   fetch_session_find    an incremental fetch is about to be answered: is the session still what it was?
 *   fetch_session_note    one partition of it: does the client need to hear of it?
 *
 * (I1) Partitions change only in begin, create and add, and begin moves the epoch: pointers to partitions are good as
 *      long as serial and epoch are the same.
 * (I2) A session is in the hash and in the list of all sessions, or freed.
 * (I3) partition_total is the sum of the partition counts of all sessions.
 */
#pragma once
#include <odradek/bytes.h>

#include "base/hash_table.h"
#include "base/list.h"
#include "wire/messages.h"

/* All sessions of a shard together remember at most so many partitions (about 200 bytes each). */
#define FETCH_SESSION_PARTITIONS_MAX 1000000u
/* A session that was not used for so long may be evicted by any other; a younger one by a larger one, once it is itself
 * that old. */
#define FETCH_SESSION_IDLE_NS UINT64_C(120000000000)

struct fetch_session_partition {
    struct list order; /* in the session's; the ones with data go to the end, so that nobody starves */
    UT_hash_handle by_key;
    struct odk_uuid topic_id; /* zero in sessions by name */
    int64_t fetch_offset;
    int64_t high_watermark;   /* as last told; -1: tell it next time */
    int64_t log_start_offset; /* likewise */
    int32_t index;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    uint32_t name_len; /* 0 in sessions by id */
    uint32_t key_len;
    uint8_t key[]; /* index, then name or id */
};

struct fetch_session {
    struct list recent; /* in the cache's; the one unused for longest first */
    UT_hash_handle by_number;
    struct fetch_session_partition *partitions; /* by key */
    struct list order;
    uint64_t serial; /* never reused */
    uint64_t created_ns;
    uint64_t used_ns;
    uint32_t partition_count;
    int32_t id;
    int32_t epoch; /* the next request must carry it */
    bool by_id;    /* topics by id, not by name */
};

struct fetch_sessions {
    struct fetch_session *by_number;
    struct list recent;
    uint64_t serial;
    uint64_t evicted;
    uint32_t count;
    uint32_t slots;
    uint32_t partition_total;
};

enum fetch_session_use {
    FETCH_SESSION_NONE, /* no session before, none after */
    FETCH_SESSION_FULL, /* a full fetch that would like a session */
    FETCH_SESSION_PART, /* the session's partitions are asked for */
};

/* A cache of that many sessions; 0: there are never any. */
void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t slots);
void fetch_sessions_deinit(struct fetch_sessions *sessions);

/*
 * Applies request to its session, if it has one, and moves the session's epoch on.
 *
 * ret_use      how to go on
 * ret_session  the session for FETCH_SESSION_PART
 *
 * Returns KAFKA_NONE, or KAFKA_FETCH_SESSION_ID_NOT_FOUND, KAFKA_INVALID_FETCH_SESSION_EPOCH or
 * KAFKA_FETCH_SESSION_TOPIC_ID_ERROR: the whole reply then.
 */
int16_t fetch_session_begin(struct fetch_sessions *sessions, const struct fetch_request *request, int16_t version,
                            uint64_t now_ns, enum fetch_session_use *ret_use, struct fetch_session **ret_session);

/* A new, empty session for about partition_count partitions; NULL when id is taken or not positive, or there is no
 * room. id should be random. */
struct fetch_session *fetch_session_create(struct fetch_sessions *sessions, int32_t id, uint32_t partition_count,
                                           bool by_id, uint64_t now_ns);
/* Adds what was asked for one partition, or updates it. */
struct fetch_session_partition *fetch_session_add(struct fetch_sessions *sessions, struct fetch_session *session,
                                                  struct odk_str topic, struct odk_uuid topic_id,
                                                  const struct fetch_request_partition *asked);

/* NULL when it is gone. */
struct fetch_session *fetch_session_find(struct fetch_sessions *sessions, int32_t id);
/* Removes it; NULL is harmless. */
void fetch_session_drop(struct fetch_sessions *sessions, struct fetch_session *session);

static inline struct odk_str fetch_session_topic(const struct fetch_session_partition *partition)
{
    return (struct odk_str){ .data = (const char *)partition->key + sizeof(int32_t), .len = partition->name_len };
}

/* What a reply would say of a partition. */
struct fetch_session_news {
    int16_t error_code;
    bool records; /* there are some */
    bool diverging;
    int64_t high_watermark;
    int64_t log_start_offset;
};
/* Whether the reply must name the partition; remembers that it was told. */
bool fetch_session_note(struct fetch_session *session, struct fetch_session_partition *partition,
                        const struct fetch_session_news *news);

/* 1, 2, ... INT32_MAX, 1, ...; 0 and -1 mean other things. */
static inline int32_t fetch_session_epoch_next(int32_t epoch)
{
    return epoch < 0 ? -1 : epoch == INT32_MAX ? 1 : epoch + 1;
}
