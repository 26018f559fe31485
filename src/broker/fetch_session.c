#include "broker/fetch_session.h"

#include <stdlib.h>

#include "wire/errors.h"

/* First Fetch version that names topics by id. */
#define VERSION_TOPIC_IDS 13
#define EPOCH_OPEN        0
#define EPOCH_CLOSE       (-1)
#define NAME_BYTES_MAX    249u

void fetch_sessions_init(struct fetch_sessions *sessions, uint32_t slots)
{
    *sessions = (struct fetch_sessions){ .slots = slots };
    list_init(&sessions->recent);
}

void fetch_sessions_deinit(struct fetch_sessions *sessions)
{
    list_each(node, &sessions->recent) fetch_session_drop(sessions, list_entry(node, struct fetch_session, recent));
    ASSERT(sessions->count == 0);
    ASSERT(sessions->partition_total == 0); /* I3 */
}

struct fetch_session *fetch_session_find(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *session = NULL;
    HASH_FIND(by_number, sessions->by_number, &id, sizeof(id), session);
    return session;
}

static void partition_drop(struct fetch_sessions *sessions, struct fetch_session *session,
                           struct fetch_session_partition *partition)
{
    HASH_DELETE(by_key, session->partitions, partition);
    list_remove(&partition->order);
    session->partition_count--;
    sessions->partition_total--;
    free(partition);
}

void fetch_session_drop(struct fetch_sessions *sessions, struct fetch_session *session)
{
    if (!session)
        return;
    list_each(node, &session->order)
        partition_drop(sessions, session, list_entry(node, struct fetch_session_partition, order));
    HASH_DELETE(by_number, sessions->by_number, session);
    list_remove(&session->recent);
    sessions->count--;
    free(session);
}

/* Who must go for a newcomer of that size; NULL: nobody. */
static struct fetch_session *victim(const struct fetch_sessions *sessions, uint32_t partition_count, uint64_t now_ns)
{
    if (list_empty(&sessions->recent))
        return NULL;
    struct fetch_session *idle = list_entry(sessions->recent.next, struct fetch_session, recent);
    if (now_ns - idle->used_ns > FETCH_SESSION_IDLE_NS)
        return idle;
    struct fetch_session *smallest = NULL;
    list_each(node, &sessions->recent)
    {
        struct fetch_session *session = list_entry(node, struct fetch_session, recent);
        bool old = now_ns - session->created_ns > FETCH_SESSION_IDLE_NS;
        if (old && (!smallest || session->partition_count < smallest->partition_count))
            smallest = session;
    }
    return smallest && smallest->partition_count < partition_count ? smallest : NULL;
}

static bool room_make(struct fetch_sessions *sessions, uint32_t partition_count, uint64_t now_ns)
{
    if (sessions->slots == 0 || partition_count > FETCH_SESSION_PARTITIONS_MAX)
        return false;
    while (sessions->count >= sessions->slots ||
           sessions->partition_total > FETCH_SESSION_PARTITIONS_MAX - partition_count) {
        struct fetch_session *gone = victim(sessions, partition_count, now_ns);
        if (!gone)
            return false;
        fetch_session_drop(sessions, gone);
        sessions->evicted++;
    }
    return true;
}

struct fetch_session *fetch_session_create(struct fetch_sessions *sessions, int32_t id, uint32_t partition_count,
                                           bool by_id, uint64_t now_ns)
{
    if (id <= 0 || fetch_session_find(sessions, id) || !room_make(sessions, partition_count, now_ns))
        return NULL;
    struct fetch_session *session = xcalloc(1, sizeof(*session));
    session->id = id;
    session->epoch = fetch_session_epoch_next(EPOCH_OPEN);
    session->serial = ++sessions->serial;
    session->created_ns = now_ns;
    session->used_ns = now_ns;
    session->by_id = by_id;
    list_init(&session->order);
    list_push_back(&sessions->recent, &session->recent);
    HASH_ADD(by_number, sessions->by_number, id, sizeof(session->id), session);
    sessions->count++;
    return session;
}

struct key {
    uint32_t len;
    uint8_t bytes[sizeof(int32_t) + NAME_BYTES_MAX];
};

/* False when the name is longer than any topic's: such a partition is not remembered. */
static bool key_make(const struct fetch_session *session, struct odk_str topic, struct odk_uuid topic_id, int32_t index,
                     struct key *ret)
{
    const void *name = session->by_id ? (const void *)topic_id.b : (const void *)topic.data;
    size_t len = session->by_id ? sizeof(topic_id.b) : topic.len;
    if (len > NAME_BYTES_MAX)
        return false;
    memcpy(ret->bytes, &index, sizeof(index));
    if (len > 0)
        memcpy(ret->bytes + sizeof(index), name, len);
    ret->len = (uint32_t)(sizeof(index) + len);
    return true;
}

static struct fetch_session_partition *partition_find(struct fetch_session *session, const struct key *key)
{
    struct fetch_session_partition *partition = NULL;
    HASH_FIND(by_key, session->partitions, key->bytes, key->len, partition);
    return partition;
}

static struct fetch_session_partition *partition_new(struct fetch_sessions *sessions, struct fetch_session *session,
                                                     const struct key *key, struct odk_uuid topic_id)
{
    struct fetch_session_partition *partition = xcalloc(1, sizeof(*partition) + key->len);
    memcpy(partition->key, key->bytes, key->len);
    partition->key_len = key->len;
    partition->high_watermark = -1;
    partition->log_start_offset = -1;
    if (session->by_id)
        partition->topic_id = topic_id;
    else
        partition->name_len = key->len - (uint32_t)sizeof(int32_t);
    HASH_ADD_KEYPTR(by_key, session->partitions, partition->key, partition->key_len, partition);
    list_push_back(&session->order, &partition->order);
    session->partition_count++;
    sessions->partition_total++;
    return partition;
}

struct fetch_session_partition *fetch_session_add(struct fetch_sessions *sessions, struct fetch_session *session,
                                                  struct odk_str topic, struct odk_uuid topic_id,
                                                  const struct fetch_request_partition *asked)
{
    struct key key;
    if (!key_make(session, topic, topic_id, asked->partition, &key))
        return NULL;
    struct fetch_session_partition *partition = partition_find(session, &key);
    if (!partition && sessions->partition_total >= FETCH_SESSION_PARTITIONS_MAX)
        return NULL;
    if (!partition)
        partition = partition_new(sessions, session, &key, topic_id);
    partition->index = asked->partition;
    partition->fetch_offset = asked->fetch_offset;
    partition->leader_epoch = asked->current_leader_epoch;
    partition->last_fetched_epoch = asked->last_fetched_epoch;
    partition->max_bytes = asked->partition_max_bytes;
    return partition;
}

/* False when the session cannot take all of it. */
static bool changes_apply(struct fetch_sessions *sessions, struct fetch_session *session,
                          const struct fetch_request *request)
{
    for (int32_t t = 0; t < request->topics_count; t++) {
        const struct fetch_request_topic *topic = &request->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++)
            if (!fetch_session_add(sessions, session, topic->topic, topic->topic_id, &topic->partitions[p]))
                return false;
    }
    for (int32_t t = 0; t < request->forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topic *topic = &request->forgotten_topics_data[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct key key;
            bool good = key_make(session, topic->topic, topic->topic_id, topic->partitions[p], &key);
            struct fetch_session_partition *gone = good ? partition_find(session, &key) : NULL;
            if (gone)
                partition_drop(sessions, session, gone);
        }
    }
    return true;
}

static int16_t session_check(const struct fetch_session *session, const struct fetch_request *request, int16_t version)
{
    if (!session)
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != request->session_epoch)
        return KAFKA_INVALID_FETCH_SESSION_EPOCH;
    if (session->by_id != (version >= VERSION_TOPIC_IDS))
        return KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    return KAFKA_NONE;
}

int16_t fetch_session_begin(struct fetch_sessions *sessions, const struct fetch_request *request, int16_t version,
                            uint64_t now_ns, enum fetch_session_use *ret_use, struct fetch_session **ret_session)
{
    struct fetch_session *session = fetch_session_find(sessions, request->session_id);
    if (request->session_epoch == EPOCH_OPEN || request->session_epoch == EPOCH_CLOSE) {
        fetch_session_drop(sessions, session);
        *ret_use = request->session_epoch == EPOCH_OPEN ? FETCH_SESSION_FULL : FETCH_SESSION_NONE;
        return KAFKA_NONE;
    }
    int16_t error = session_check(session, request, version);
    if (error != KAFKA_NONE)
        return error;
    if (!changes_apply(sessions, session, request)) {
        fetch_session_drop(sessions, session); /* the client starts anew and will get no session then */
        return KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    }
    *ret_use = FETCH_SESSION_NONE;
    if (session->partition_count == 0) {
        fetch_session_drop(sessions, session);
        return KAFKA_NONE;
    }
    session->epoch = fetch_session_epoch_next(session->epoch);
    session->used_ns = now_ns;
    list_remove(&session->recent);
    list_push_back(&sessions->recent, &session->recent);
    *ret_use = FETCH_SESSION_PART;
    *ret_session = session;
    return KAFKA_NONE;
}

bool fetch_session_note(struct fetch_session *session, struct fetch_session_partition *partition,
                        const struct fetch_session_news *news)
{
    bool tell = news->records || news->diverging || news->error_code != KAFKA_NONE ||
                partition->high_watermark != news->high_watermark ||
                partition->log_start_offset != news->log_start_offset;
    /* An error is told each time, and what was before it again when it is over. */
    partition->high_watermark = news->error_code == KAFKA_NONE ? news->high_watermark : -1;
    partition->log_start_offset = news->log_start_offset;
    if (news->records) {
        list_remove(&partition->order);
        list_push_back(&session->order, &partition->order);
    }
    return tell;
}
