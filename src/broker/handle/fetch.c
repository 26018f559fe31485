/*
 * Fetch: batches of many partitions, now or when there are enough. Source: protocol guide; KIP-74 (sizes), KIP-227
 * (sessions), KIP-516 (topic ids), KIP-595 (diverging epochs).
 *
 *   plan   session and registry give the list of partitions, each with its owner or its error
 *   read   all owners look and read (fetch_legs.h)
 *   judge  enough bytes, an error, nothing to wait for, or the time is over -> reply; else park
 *   park   a partition moves, the deadline, or a cancel -> read again from the start; no partial state is kept
 *   reply  batches go out from where they are; pins are given back when the reply has left. Versions 0-3 get messages,
 *          made here of the batches (fetch_convert.h)
 *
 * (F1) The request ends exactly once: in fetch_reply, or before the first read.
 * (F2) After the deadline or a cancel it never parks again.
 */
#include "base/units.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/fetch_convert.h"
#include "broker/fetch_legs.h"
#include "broker/fetch_session.h"

/* Parts of memory that the records of one reply may have: bounds what one system call is asked to send. */
#define REPLY_PARTS_MAX       16384u
#define SESSION_ID_TRIES      4
#define VERSION_SESSIONS      7
#define VERSION_TOPIC_IDS     13
#define VERSION_REPLICA_STATE 15
#define VERSION_ZSTD          10

struct fetch {
    struct fetch_legs legs;
    struct request *request;
    struct fetch_request in;
    enum fetch_session_use use;
    int32_t session_id;
    int32_t session_epoch; /* what the session's must be when the reply is made */
    uint64_t session_serial;
    uint64_t deadline_ns;
    uint32_t min_bytes;
    struct fetch_converted *converted; /* one for each part; NULL: batches go out as they are */
    bool last; /* F2 */
};

static void fetch_on_home(struct fetch_legs *legs);
static void fetch_on_move(struct fetch_legs *legs);
static void fetch_on_timer(struct timer *timer, uint64_t now_ns);
static void fetch_cancel(struct request *request);
static void fetch_release(struct request *request);
static void fetch_reply(struct fetch *fetch);

/* -- plan -----------------------------------------------------------------------------------------------------------
 */

static void part_refuse(struct fetch_part *part, int16_t error_code)
{
    part->state = FETCH_PART_DONE;
    part->error_code = error_code;
    part->high_watermark = -1;
    part->log_start_offset = -1;
}

/* Finds the owner. */
static void part_place(struct fetch *fetch, struct fetch_part *part)
{
    const struct topics *topics = &fetch->request->broker->topics;
    bool by_id = fetch->request->version >= VERSION_TOPIC_IDS;
    struct topic *topic = by_id ? topics_by_id(topics, part->topic_id) : topics_by_name(topics, part->topic);
    struct partition *partition = topic ? topic_partition(topic, part->index) : NULL;
    if (!partition) {
        part_refuse(part, by_id && !topic ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    part->topic_id = topic->id;
    int16_t version = fetch->request->version;
    if (topic->config.compression_type == TOPIC_COMPRESSION_ZSTD && version >= FETCH_VERSION_BATCHES &&
        version < VERSION_ZSTD) {
        part_refuse(part, KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
        return;
    }
    fetch_legs_assign(&fetch->legs, part, partition->shard);
}

static bool plan_from_request(struct fetch *fetch)
{
    struct request *request = fetch->request;
    const struct fetch_request *in = &fetch->in;
    bool by_id = request->version >= VERSION_TOPIC_IDS;
    uint32_t count = 0;
    for (int32_t t = 0; t < in->topics_count; t++)
        count += (uint32_t)in->topics[t].partitions_count;
    if (!fetch_legs_init(&fetch->legs, request->broker, &request->arena, count))
        return false;
    struct fetch_part *part = fetch->legs.parts;
    for (int32_t t = 0; t < in->topics_count; t++)
        for (int32_t p = 0; p < in->topics[t].partitions_count; p++, part++) {
            const struct fetch_request_partition *asked = &in->topics[t].partitions[p];
            part->topic = by_id ? (struct odk_str){ 0 } : in->topics[t].topic;
            part->topic_id = in->topics[t].topic_id;
            part->index = asked->partition;
            part->offset = asked->fetch_offset;
            part->max_bytes = asked->partition_max_bytes;
            part->leader_epoch = asked->current_leader_epoch;
            part->last_fetched_epoch = asked->last_fetched_epoch;
            part_place(fetch, part);
        }
    return true;
}

/* The session may be gone before the reply is made: its names are copied, once for a run of the same. */
static bool part_name(struct fetch *fetch, struct fetch_part *part, struct odk_str name)
{
    const struct fetch_part *before = part > fetch->legs.parts ? part - 1 : NULL;
    if (before && odk_str_eq(before->topic, name)) {
        part->topic = before->topic;
        return true;
    }
    char *copy = arena_new(&fetch->request->arena, char, name.len);
    if (!copy)
        return false;
    memcpy(copy, name.data, name.len);
    part->topic = (struct odk_str){ .data = copy, .len = name.len };
    return true;
}

static bool plan_from_session(struct fetch *fetch, struct fetch_session *session)
{
    struct request *request = fetch->request;
    if (!fetch_legs_init(&fetch->legs, request->broker, &request->arena, session->partition_count))
        return false;
    struct fetch_part *part = fetch->legs.parts;
    list_each(node, &session->order)
    {
        struct fetch_session_partition *remembered = list_entry(node, struct fetch_session_partition, order);
        if (!session->by_id && !part_name(fetch, part, fetch_session_topic(remembered)))
            return false;
        part->remembered = remembered;
        part->topic_id = remembered->topic_id;
        part->index = remembered->index;
        part->offset = remembered->fetch_offset;
        part->max_bytes = remembered->max_bytes;
        part->leader_epoch = remembered->leader_epoch;
        part->last_fetched_epoch = remembered->last_fetched_epoch;
        part_place(fetch, part++);
    }
    fetch->session_id = session->id;
    fetch->session_epoch = session->epoch;
    fetch->session_serial = session->serial;
    return true;
}

static bool is_replica(const struct fetch *fetch)
{
    const struct fetch_request *in = &fetch->in;
    if (fetch->request->version < VERSION_REPLICA_STATE)
        return in->replica_id >= 0;
    return in->replica_state && in->replica_state->replica_id >= 0;
}

/* There are no other nodes, so nobody can be a replica of anything here. */
static void replica_refuse(struct fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->legs.part_count; i++)
        part_refuse(&fetch->legs.parts[i], KAFKA_NOT_LEADER_OR_FOLLOWER);
    for (uint32_t shard = 0; shard < fetch->request->broker->env.shard_count; shard++)
        fetch->legs.by_shard[shard].first = NULL;
}

static void reply_error(struct request *request, int16_t error_code)
{
    struct fetch_response reply;
    fetch_response_init(&reply);
    reply.error_code = error_code;
    request_reply(request, fetch_response_encode(&reply, request_reply_begin(request), request->version));
}

static void limits_set(struct fetch *fetch)
{
    const struct broker_config *config = fetch->request->broker->env.config;
    int32_t bytes_max = MIN(fetch->in.max_bytes, config->fetch_max_bytes);
    fetch->legs.bytes_max = (uint32_t)MAX(bytes_max, 0);
    fetch->min_bytes = MIN((uint32_t)MAX(fetch->in.min_bytes, 0), fetch->legs.bytes_max);
    /* A parked fetch keeps its connection from being idle: not for longer than it might have been. */
    int64_t wait_ms = MIN((int64_t)fetch->in.max_wait_ms, config->connections_max_idle_ms);
    fetch->deadline_ns = deadline_after_ms(fetch->request->broker->now_ns, wait_ms);
    fetch->last = fetch->in.max_wait_ms <= 0;
    fetch->legs.all_home = fetch_on_home;
    fetch->legs.woke = fetch_on_move;
}

void handle_fetch(struct request *request)
{
    struct fetch *fetch = arena_new(&request->arena, struct fetch, 1);
    if (!fetch) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, fetch_request_decode(&fetch->in, &request->body, &request->arena, request->version)))
        return;
    fetch->request = request;
    struct fetch_session *session = NULL;
    int16_t error_code = fetch_session_begin(&request->broker->fetch_sessions, &fetch->in, request->version,
                                             request->broker->now_ns, &fetch->use, &session);
    if (error_code != KAFKA_NONE) {
        reply_error(request, error_code);
        return;
    }
    limits_set(fetch);
    if (!(session ? plan_from_session(fetch, session) : plan_from_request(fetch))) {
        request_too_large(request);
        return;
    }
    if (is_replica(fetch))
        replica_refuse(fetch);
    request->state = fetch;
    request->release = fetch_release;
    request->cancel = fetch_cancel;
    fetch_on_home(&fetch->legs);
}

/* -- read, judge, park ----------------------------------------------------------------------------------------------
 */

/* True if waiting makes no sense, or is not needed any more. */
static bool is_enough(const struct fetch *fetch)
{
    uint64_t bytes = 0;
    if (fetch->last || fetch->legs.part_count == 0 || fetch->request->broker->now_ns >= fetch->deadline_ns)
        return true;
    for (uint32_t i = 0; i < fetch->legs.part_count; i++) {
        const struct fetch_part *part = &fetch->legs.parts[i];
        bool cut = part->more || part->state == FETCH_PART_STARVED;
        if (part->error_code != KAFKA_NONE || part->diverging || cut)
            return true;
        bytes += part->read ? part->read->bytes : 0;
    }
    return bytes >= fetch->min_bytes;
}

/* True if an owner has not looked at its partitions since the start or the last parking. */
static bool is_fresh(const struct fetch *fetch)
{
    for (uint32_t shard = 0; shard < fetch->request->broker->env.shard_count; shard++)
        if (fetch->legs.by_shard[shard].first && fetch->legs.by_shard[shard].fresh)
            return true;
    return false;
}

static void fetch_park(struct fetch *fetch)
{
    struct request *request = fetch->request;
    request->deadline.fire = fetch_on_timer;
    timer_arm(request->broker->env.timers, &request->deadline, fetch->deadline_ns);
    fetch_legs_park(&fetch->legs);
}

/* Everything is at home: at the start, after reading, after parking. */
static void fetch_on_home(struct fetch_legs *legs)
{
    struct fetch *fetch = container_of(legs, struct fetch, legs);
    enum fetch_trip trip = FETCH_TRIP_HOME;
    timer_cancel(fetch->request->broker->env.timers, &fetch->request->deadline);
    while (trip == FETCH_TRIP_HOME && (is_fresh(fetch) || fetch_legs_starved(legs)))
        trip = fetch_legs_read(legs);
    if (trip == FETCH_TRIP_AWAY)
        return;
    if (trip == FETCH_TRIP_FULL && is_fresh(fetch))
        request_too_large(fetch->request);
    else if (trip == FETCH_TRIP_FULL || is_enough(fetch))
        fetch_reply(fetch);
    else
        fetch_park(fetch);
}

/* Runs from the store's callbacks: the timer brings it behind them, in the same turn of the loop. */
static void fetch_on_move(struct fetch_legs *legs)
{
    struct fetch *fetch = container_of(legs, struct fetch, legs);
    timer_arm(legs->broker->env.timers, &fetch->request->deadline, legs->broker->now_ns);
}

static void fetch_on_timer(struct timer *timer, uint64_t now_ns)
{
    struct request *request = container_of(timer, struct request, deadline);
    struct fetch *fetch = request->state;
    fetch->last |= now_ns >= fetch->deadline_ns;
    fetch_legs_recall(&fetch->legs);
}

static void fetch_cancel(struct request *request)
{
    struct fetch *fetch = request->state;
    fetch->last = true;
    fetch_legs_recall(&fetch->legs);
}

static void fetch_release(struct request *request)
{
    struct fetch *fetch = request->state;
    fetch_legs_unpin(&fetch->legs);
}

/* -- reply -------------------------------------------------------------------------------------------------------- */

struct reply {
    struct fetch_response out;
    uint32_t bytes;
    uint32_t parts;
    bool any; /* records of some partition are in */
};

static bool has_records(const struct fetch_part *part)
{
    return part->read && part->read->bytes > 0 && !part->withheld;
}

/* What this partition may send: its legs each kept to the bound, the sum may still be too much. */
static void records_take(const struct fetch *fetch, struct reply *reply, struct fetch_part *part)
{
    const struct odk_read *read = part->read;
    bool fits = reply->bytes <= fetch->legs.bytes_max && read->bytes <= fetch->legs.bytes_max - reply->bytes &&
                reply->parts + read->part_count <= REPLY_PARTS_MAX;
    part->withheld = reply->any && !fits;
    if (part->withheld)
        return;
    reply->any = reply->any || read->bytes > 0;
    reply->bytes += read->bytes;
    reply->parts += read->part_count;
}

static struct fetch_session_news part_news(const struct fetch_part *part)
{
    return (struct fetch_session_news){ .error_code = part->error_code,
                                        .records = has_records(part),
                                        .diverging = part->diverging,
                                        .high_watermark = part->high_watermark,
                                        .log_start_offset = part->log_start_offset };
}

/* Remembers a full fetch. No room is no error: the client goes on without a session. */
static int32_t session_open(struct fetch *fetch)
{
    struct broker *broker = fetch->request->broker;
    struct fetch_sessions *sessions = &broker->fetch_sessions;
    struct fetch_session *session = NULL;
    bool by_id = fetch->request->version >= VERSION_TOPIC_IDS;
    for (int i = 0; i < SESSION_ID_TRIES && !session && fetch->legs.part_count > 0; i++) {
        uint32_t id;
        broker->env.random(broker->env.context, &id, sizeof(id));
        session =
            fetch_session_create(sessions, (int32_t)(id & INT32_MAX), fetch->legs.part_count, by_id, broker->now_ns);
    }
    for (uint32_t i = 0; session && i < fetch->legs.part_count; i++) {
        const struct fetch_part *part = &fetch->legs.parts[i];
        struct fetch_session_news news = part_news(part);
        struct fetch_request_partition asked = { .partition = part->index,
                                                 .fetch_offset = part->offset,
                                                 .partition_max_bytes = part->max_bytes,
                                                 .current_leader_epoch = part->leader_epoch,
                                                 .last_fetched_epoch = part->last_fetched_epoch };
        struct fetch_session_partition *kept =
            fetch_session_add(sessions, session, part->topic, part->topic_id, &asked);
        if (!kept) {
            fetch_session_drop(sessions, session);
            return 0;
        }
        (void)fetch_session_note(session, kept, &news);
    }
    return session ? session->id : 0;
}

/* Which partitions the client has to hear of. Returns the error of the whole reply. */
static int16_t session_filter(struct fetch *fetch, bool *tell)
{
    struct fetch_session *session = fetch_session_find(&fetch->request->broker->fetch_sessions, fetch->session_id);
    bool same = session && session->serial == fetch->session_serial;
    if (same && session->epoch != fetch->session_epoch)
        return KAFKA_INVALID_FETCH_SESSION_EPOCH;
    for (uint32_t i = 0; i < fetch->legs.part_count; i++) {
        struct fetch_session_news news = part_news(&fetch->legs.parts[i]);
        /* Evicted meanwhile: everything is told, and the client hears of the end of the session next time. */
        tell[i] = !same || fetch_session_note(session, fetch->legs.parts[i].remembered, &news);
    }
    return KAFKA_NONE;
}

/* Messages instead of batches. False: no memory. */
static bool records_convert(struct fetch *fetch)
{
    struct fetch_convert convert;
    struct request *request = fetch->request;
    if (request->version >= FETCH_VERSION_BATCHES)
        return true;
    fetch->converted = arena_new(&request->arena, struct fetch_converted, fetch->legs.part_count);
    if (!fetch->converted)
        return false;
    fetch_convert_init(&convert, &request->arena, request->version, fetch->legs.bytes_max);
    for (uint32_t i = 0; i < fetch->legs.part_count; i++) {
        struct fetch_part *part = &fetch->legs.parts[i];
        struct fetch_converted *converted = &fetch->converted[i];
        if (!has_records(part))
            continue;
        fetch_convert(&convert, part->read, (uint32_t)MAX(part->max_bytes, 0), converted);
        if (converted->error != KAFKA_NONE)
            part_refuse(part, (int16_t)converted->error);
    }
    return true;
}

static struct wire_records part_records(const struct fetch *fetch, const struct fetch_part *part)
{
    if (fetch->converted) {
        const struct fetch_converted *converted = &fetch->converted[part - fetch->legs.parts];
        return (struct wire_records){ .parts = converted->parts,
                                      .part_count = converted->part_count,
                                      .len = converted->bytes };
    }
    return (struct wire_records){ .parts = part->read->parts,
                                  .part_count = part->read->part_count,
                                  .len = part->read->bytes };
}

static bool part_fill(const struct fetch *fetch, const struct fetch_part *part, struct fetch_response_partition *ret)
{
    struct request *request = fetch->request;
    fetch_response_partition_init(ret);
    ret->partition_index = part->index;
    ret->error_code = part->error_code;
    ret->high_watermark = part->high_watermark;
    ret->last_stable_offset = part->high_watermark; /* nothing is ever open: there are no transactions */
    ret->log_start_offset = part->log_start_offset;
    bool committed = fetch->in.isolation_level == 1 && part->error_code == KAFKA_NONE;
    ret->aborted_transactions_count = committed ? 0 : -1;
    if (has_records(part) && part->error_code == KAFKA_NONE)
        ret->records = part_records(fetch, part);
    if (part->diverging) {
        ret->diverging_epoch = arena_new(&request->arena, struct fetch_response_diverging_epoch, 1);
        if (!ret->diverging_epoch)
            return false;
        ret->diverging_epoch->epoch = part->diverging_epoch;
        ret->diverging_epoch->end_offset = part->diverging_end_offset;
    }
    if (part->error_code == KAFKA_FENCED_LEADER_EPOCH) {
        ret->current_leader = arena_new(&request->arena, struct fetch_response_current_leader, 1);
        if (!ret->current_leader)
            return false;
        ret->current_leader->leader_id = broker_node_id(request->broker);
        ret->current_leader->leader_epoch = broker_leader_epoch(request->broker);
    }
    return true;
}

static bool same_topic(const struct fetch_part *a, const struct fetch_part *b)
{
    return a->topic.data ? odk_str_eq(a->topic, b->topic) : odk_uuid_eq(a->topic_id, b->topic_id);
}

/* Neighbours of one topic share an entry. */
static bool topics_fill(struct fetch *fetch, const bool *tell, uint32_t count, struct fetch_response *out)
{
    struct arena *arena = &fetch->request->arena;
    struct fetch_response_partition *partitions = arena_new(arena, struct fetch_response_partition, count);
    struct fetch_response_topic *topics = arena_new(arena, struct fetch_response_topic, count);
    struct fetch_response_topic *topic = NULL;
    const struct fetch_part *before = NULL;
    if (!partitions || !topics)
        return false;
    out->responses = topics;
    for (uint32_t i = 0; i < fetch->legs.part_count; i++) {
        const struct fetch_part *part = &fetch->legs.parts[i];
        if (!tell[i])
            continue;
        if (!before || !same_topic(before, part)) {
            topic = &topics[out->responses_count++];
            topic->topic = part->topic;
            topic->topic_id = part->topic_id;
            topic->partitions = partitions;
        }
        before = part;
        topic->partitions_count++;
        if (!part_fill(fetch, part, partitions++))
            return false;
    }
    return true;
}

static int16_t session_settle(struct fetch *fetch, bool *tell, int32_t *ret_session_id)
{
    *ret_session_id = fetch->session_id;
    if (fetch->use == FETCH_SESSION_PART)
        return session_filter(fetch, tell);
    memset(tell, 1, fetch->legs.part_count);
    if (fetch->use == FETCH_SESSION_FULL && fetch->request->version >= VERSION_SESSIONS)
        *ret_session_id = session_open(fetch);
    return KAFKA_NONE;
}

static void fetch_reply(struct fetch *fetch)
{
    struct request *request = fetch->request;
    struct reply reply = { 0 };
    uint32_t count = 0;
    request->cancel = NULL;
    fetch_response_init(&reply.out);
    bool *tell = arena_new(&request->arena, bool, fetch->legs.part_count);
    if (!tell) {
        request_too_large(request);
        return;
    }
    for (uint32_t i = 0; i < fetch->legs.part_count; i++)
        if (fetch->legs.parts[i].read)
            records_take(fetch, &reply, &fetch->legs.parts[i]);
    if (!records_convert(fetch)) {
        request_too_large(request);
        return;
    }
    reply.out.error_code = session_settle(fetch, tell, &reply.out.session_id);
    for (uint32_t i = 0; i < fetch->legs.part_count; i++)
        count += tell[i];
    if (reply.out.error_code == KAFKA_NONE && !topics_fill(fetch, tell, count, &reply.out)) {
        request_too_large(request);
        return;
    }
    request_reply(request, fetch_response_encode(&reply.out, request_reply_begin(request), request->version));
}
