/*
 * Consumers: long polls over drawn partitions, with fetch sessions or without; and, when asked, reading back all logs
 * from their start.
 */
#include "broker_fleet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "wire/messages.h"

#define ASSIGNED_MAX    24u
#define SESSION_VERSION 7
#define START_VERSION   5 /* from here on answers say where the log begins */

struct assigned {
    struct model_part *part;
    int64_t pos;
    int64_t said_pos;  /* what the session knows; -1: the session does not know this partition */
    int64_t end_known; /* of the fetch in the air: what was shown when it was sent */
    int64_t start_known; /* and acknowledged of its start */
    int64_t start;     /* while verifying: where the log begins; -1: not known yet */
    int64_t sent_pos;
    bool in_fetch;
    bool verified;
};

struct consumer {
    struct actor actor;
    bool by_id;
    bool sessions;
    bool verifying;
    struct assigned assigned[ASSIGNED_MAX];
    uint32_t count;
    int32_t session_id;
    int32_t session_epoch;     /* of the next request; 0 opens one */
    struct assigned forgotten; /* to be dropped from the session; part NULL: none */
    bool got_something;        /* scratch of one answer */
};

static struct consumer *consumer_of(struct actor *actor)
{
    return container_of(actor, struct consumer, actor);
}

/* -- assignment -----------------------------------------------------------------------------------------------------
 */

static void session_reset(struct consumer *consumer)
{
    consumer->session_epoch = 0;
    consumer->forgotten.part = NULL;
    for (uint32_t i = 0; i < consumer->count; i++)
        consumer->assigned[i].said_pos = -1;
}

static void assign(struct consumer *consumer, struct model_part *part, int64_t pos)
{
    if (consumer->count == ASSIGNED_MAX || (part->topic->short_lived && !consumer->by_id))
        return;
    for (uint32_t i = 0; i < consumer->count; i++) {
        if (consumer->assigned[i].part == part)
            return;
    }
    consumer->assigned[consumer->count++] = (struct assigned){ .part = part, .pos = pos, .said_pos = -1, .start = -1 };
}

static void unassign(struct consumer *consumer, uint32_t at)
{
    if (consumer->assigned[at].said_pos != -1) {
        if (consumer->forgotten.part != NULL)
            session_reset(consumer);
        else
            consumer->forgotten = consumer->assigned[at];
    }
    consumer->count--;
    memmove(consumer->assigned + at, consumer->assigned + at + 1,
            (consumer->count - at) * sizeof(consumer->assigned[0]));
}

static void assign_drawn(struct consumer *consumer)
{
    struct prng *rng = &consumer->actor.rng;
    struct model_topic *topic = fleet_live_topic(consumer->actor.fleet, rng, prng_chance(rng, 300000));
    if (topic == NULL)
        return;
    struct model_part *part = &topic->parts[prng_below(rng, (uint64_t)topic->part_count)];
    bool late = prng_chance(rng, 300000);
    assign(consumer, part, late ? (int64_t)prng_below(rng, (uint64_t)part->shown_end + 1) : 0);
}

/* -- one fetch ------------------------------------------------------------------------------------------------------
 */

static bool is_full(const struct consumer *consumer)
{
    return !consumer->sessions || consumer->verifying || consumer->session_epoch == 0;
}

/* Whether the request names the partition. */
static bool is_named(const struct consumer *consumer, const struct assigned *a)
{
    return is_full(consumer) || a->pos != a->said_pos;
}

struct fetch_room {
    struct fetch_request ask;
    struct fetch_request_topic topics[ASSIGNED_MAX];
    struct fetch_request_partition parts[ASSIGNED_MAX];
    struct fetch_request_forgotten_topic forgotten;
    int32_t forgotten_index;
};

static void part_put(struct consumer *consumer, struct fetch_room *room, struct assigned *a, int32_t bytes_max)
{
    struct fetch_request_topic *topic = &room->topics[room->ask.topics_count];
    struct fetch_request_partition *part = &room->parts[room->ask.topics_count];
    room->ask.topics_count++;
    fetch_request_topic_init(topic);
    fetch_request_partition_init(part);
    topic->topic = odk_str_from(a->part->topic->name);
    topic->topic_id = a->part->topic->id;
    topic->partitions = part;
    topic->partitions_count = 1;
    part->partition = a->part->index;
    part->fetch_offset = a->pos;
    part->partition_max_bytes = bytes_max;
    if (consumer->sessions && !consumer->verifying)
        a->said_pos = a->pos;
}

static void session_put(struct consumer *consumer, struct fetch_room *room)
{
    room->ask.session_id = consumer->session_id;
    room->ask.session_epoch = consumer->session_epoch;
    if (is_full(consumer) || consumer->forgotten.part == NULL) {
        consumer->forgotten.part = NULL;
        return;
    }
    const struct model_part *part = consumer->forgotten.part;
    room->forgotten_index = part->index;
    fetch_request_forgotten_topic_init(&room->forgotten);
    room->forgotten.topic = odk_str_from(part->topic->name);
    room->forgotten.topic_id = part->topic->id;
    room->forgotten.partitions = &room->forgotten_index;
    room->forgotten.partitions_count = 1;
    room->ask.forgotten_topics_data = &room->forgotten;
    room->ask.forgotten_topics_data_count = 1;
    consumer->forgotten.part = NULL;
}

static void limits_put(struct consumer *consumer, struct fetch_request *ask)
{
    struct prng *rng = &consumer->actor.rng;
    ask->max_wait_ms = consumer->verifying ? 0 : (int32_t)prng_below(rng, prng_chance(rng, 100000) ? 3000 : 300);
    ask->min_bytes = prng_chance(rng, 150000) ? (int32_t)prng_below(rng, 20000) : 1;
    ask->max_bytes = prng_chance(rng, 200000) ? (int32_t)prng_between(rng, 1, 3000) : 1 << 20;
    ask->isolation_level = (int8_t)prng_below(rng, 2);
    ask->session_id = 0;
    ask->session_epoch = -1;
}

static void fetch_send(struct consumer *consumer, int16_t version, uint64_t now_ns)
{
    struct fetch_room room;
    struct prng *rng = &consumer->actor.rng;
    fetch_request_init(&room.ask);
    limits_put(consumer, &room.ask);
    room.ask.topics = room.topics;
    if (consumer->sessions && !consumer->verifying)
        session_put(consumer, &room);
    int32_t bytes_max = prng_chance(rng, 300000) ? (int32_t)prng_between(rng, 1, 4000) : 1 << 18;
    for (uint32_t i = 0; i < consumer->count; i++) {
        struct assigned *a = &consumer->assigned[i];
        a->in_fetch = !(consumer->verifying && a->verified);
        a->sent_pos = a->pos;
        a->end_known = a->part->shown_end;
        a->start_known = a->part->start_acked;
        if (a->in_fetch && is_named(consumer, a))
            part_put(consumer, &room, a, bytes_max);
    }
    consumer->actor.fleet->tally->fetches++;
    kclient_send(&consumer->actor.client, KEY_FETCH, version, &room.ask, KCLIENT_ANSWER, consumer, now_ns);
}

/* -- its answer -----------------------------------------------------------------------------------------------------
 */

static struct assigned *assigned_find(struct consumer *consumer, const struct fetch_response_topic *topic,
                                      int32_t index)
{
    for (uint32_t i = 0; i < consumer->count; i++) {
        struct assigned *a = &consumer->assigned[i];
        bool same = consumer->by_id ? odk_uuid_eq(topic->topic_id, a->part->topic->id)
                                    : odk_str_eq(topic->topic, odk_str_from(a->part->topic->name));
        if (same && a->in_fetch && a->part->index == index)
            return a;
    }
    return NULL;
}

static void part_error(struct consumer *consumer, struct assigned *a, int16_t error)
{
    struct fleet *fleet = consumer->actor.fleet;
    const struct model_topic *topic = a->part->topic;
    if (topic->state != TOPIC_LIVE)
        return; /* dropped before the next fetch */
    if (error == ERROR_OUT_OF_RANGE && a->sent_pos < a->part->start_asked)
        a->pos = a->part->start_asked; /* the log begins there, or before */
    else if (error == ERROR_OUT_OF_RANGE)
        violation_set(fleet->violation, "%s-%d: offset %" PRId64 " is out of range after the end %" PRId64 " was shown",
                      topic->name, a->part->index, a->sent_pos, a->end_known);
    else if (error == ERROR_UNKNOWN_TOPIC || error == ERROR_UNKNOWN_ID)
        (void)fleet_excuses_absence(fleet, topic, "Fetch");
    else
        (void)fleet_excuses(fleet, error, "Fetch", topic);
}

static void part_check(struct consumer *consumer, const struct kcall *call, struct assigned *a,
                       const struct fetch_response_partition *answer, int64_t next)
{
    struct violation *violation = consumer->actor.fleet->violation;
    if (answer->last_stable_offset != answer->high_watermark)
        violation_set(violation, "%s-%d: last stable offset %" PRId64 ", high watermark %" PRId64, a->part->topic->name,
                      a->part->index, answer->last_stable_offset, answer->high_watermark);
    if (call->version >= 5)
        model_show_start(&consumer->actor.fleet->model, a->part, answer->log_start_offset, a->start_known);
    if (a->sent_pos < a->start_known)
        violation_set(violation, "%s-%d: delivers from %" PRId64 " on after it was acknowledged to begin at %" PRId64,
                      a->part->topic->name, a->part->index, a->sent_pos, a->start_known);
    if (next > answer->high_watermark)
        violation_set(violation, "%s-%d: delivers up to %" PRId64 " above the high watermark %" PRId64,
                      a->part->topic->name, a->part->index, next, answer->high_watermark);
}

static void part_read(struct consumer *consumer, const struct kcall *call, struct assigned *a,
                      const struct fetch_response_partition *answer)
{
    struct fleet *fleet = consumer->actor.fleet;
    struct odk_bytes bytes = wire_records_view(&answer->records);
    int64_t next = model_read(&fleet->model, a->part, a->sent_pos, bytes);
    if (next < 0)
        return;
    model_show_end(&fleet->model, a->part, answer->high_watermark, a->end_known);
    part_check(consumer, call, a, answer, next);
    consumer->got_something |= next > a->sent_pos;
    fleet->tally->read_batches += next > a->sent_pos;
    a->pos = next;
    if (consumer->verifying && a->start < 0) { /* what was read so far may not be the beginning */
        a->start = answer->log_start_offset;
        a->pos = a->sent_pos > a->start ? a->start : next;
        if (a->pos != next)
            return;
    }
    if (consumer->verifying && next == a->sent_pos && next == answer->high_watermark && !fleet->violation->found) {
        model_check_part(&fleet->model, a->part, a->start, next);
        a->verified = true;
        fleet->tally->verified++;
    }
}

static void part_answered(struct consumer *consumer, const struct kcall *call, const struct fetch_response_topic *topic,
                          const struct fetch_response_partition *answer)
{
    struct fleet *fleet = consumer->actor.fleet;
    struct assigned *a = assigned_find(consumer, topic, answer->partition_index);
    if (a == NULL) {
        violation_set(fleet->violation, "Fetch: an answer for partition %d, which was not asked for",
                      answer->partition_index);
        return;
    }
    if (answer->error_code != 0) {
        consumer->got_something = true;
        a->said_pos = -2; /* whatever the session thinks, the next fetch names it again */
        part_error(consumer, a, answer->error_code);
    } else if (a->part->topic->state == TOPIC_LIVE) {
        part_read(consumer, call, a, answer);
    }
}

/* Something was there when the fetch was sent, so something must come. */
static void check_nothing_missed(struct consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->count && !consumer->got_something; i++) {
        const struct assigned *a = &consumer->assigned[i];
        if (a->in_fetch && a->sent_pos < a->end_known && a->part->topic->state == TOPIC_LIVE)
            violation_set(consumer->actor.fleet->violation,
                          "%s-%d: a fetch from %" PRId64 " delivers nothing after the end %" PRId64 " was shown",
                          a->part->topic->name, a->part->index, a->sent_pos, a->end_known);
    }
}

static bool any_doomed(const struct consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->count; i++) {
        if (consumer->assigned[i].part->topic->state != TOPIC_LIVE)
            return true;
    }
    return false;
}

static void fetch_answered(struct consumer *consumer, const struct kcall *call, const struct fetch_response *reply)
{
    struct fleet *fleet = consumer->actor.fleet;
    consumer->got_something = any_doomed(consumer);
    if (reply->error_code == ERROR_NO_SESSION) {
        session_reset(consumer);
        consumer->session_id = 0;
        return;
    }
    if (reply->error_code != 0) {
        (void)fleet_excuses(fleet, reply->error_code, "Fetch", NULL);
        session_reset(consumer);
        return;
    }
    for (int32_t t = 0; t < reply->responses_count; t++) {
        for (int32_t p = 0; p < reply->responses[t].partitions_count && !fleet->violation->found; p++)
            part_answered(consumer, call, &reply->responses[t], &reply->responses[t].partitions[p]);
    }
    check_nothing_missed(consumer);
    if (!consumer->sessions || consumer->verifying)
        return;
    consumer->session_id = reply->session_id;
    consumer->session_epoch = reply->session_id == 0 ? 0 : consumer->session_epoch + 1;
    if (reply->session_id == 0)
        session_reset(consumer);
}

static void consumer_answered(void *owner, const struct kcall *call, const void *body)
{
    struct consumer *consumer = consumer_of(owner);
    if (call->key == KEY_FETCH)
        fetch_answered(consumer, call, body);
    else
        metadata_answered(&consumer->actor, call, body);
}

static void consumer_lost(void *owner, const struct kcall *call)
{
    struct consumer *consumer = consumer_of(owner);
    if (call->key == KEY_FETCH)
        session_reset(consumer); /* the broker may have counted it or not */
    else
        consumer->actor.asking = false;
}

/* -- decisions ------------------------------------------------------------------------------------------------------
 */

static void doomed_drop(struct consumer *consumer)
{
    for (uint32_t i = consumer->count; i-- > 0;) {
        if (consumer->assigned[i].part->topic->state != TOPIC_LIVE)
            unassign(consumer, i);
    }
}

static bool verify_left(const struct consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->count; i++) {
        if (!consumer->assigned[i].verified)
            return true;
    }
    return false;
}

static void assignment_change(struct consumer *consumer)
{
    struct prng *rng = &consumer->actor.rng;
    if (consumer->count < 6 && prng_chance(rng, consumer->count ? 60000 : 1000000))
        assign_drawn(consumer);
    if (consumer->count > 1 && prng_chance(rng, 20000))
        unassign(consumer, (uint32_t)prng_below(rng, consumer->count));
    if (consumer->count > 0 && prng_chance(rng, 30000)) {
        struct assigned *a = &consumer->assigned[prng_below(rng, consumer->count)];
        a->pos = (int64_t)prng_below(rng, (uint64_t)a->part->shown_end + 1);
    }
}

static void consumer_step(struct actor *actor, uint64_t now_ns)
{
    struct consumer *consumer = consumer_of(actor);
    struct fleet *fleet = actor->fleet;
    if (actor->client.call_count > 0 || now_ns < actor->next_ns)
        return;
    actor->next_ns = now_ns + prng_below(&actor->rng, 30 * NS_PER_MS);
    doomed_drop(consumer);
    if (consumer->verifying) {
        if (!verify_left(consumer))
            return;
    } else {
        if (fleet->work_left == 0)
            return;
        assignment_change(consumer);
        fleet->work_left--;
    }
    if (consumer->count == 0)
        return;
    int16_t least = consumer->by_id ? 13 : consumer->sessions ? SESSION_VERSION : consumer->verifying ? START_VERSION : 4;
    int16_t version = kclient_version(&actor->client, KEY_FETCH, least, consumer->by_id ? INT16_MAX : 12);
    if (version >= 0)
        fetch_send(consumer, version, now_ns);
    else
        violation_set(fleet->violation, "no common version of Fetch");
}

static void consumer_verify(struct actor *actor)
{
    struct consumer *consumer = consumer_of(actor);
    struct model *model = &actor->fleet->model;
    consumer->count = 0;
    session_reset(consumer);
    consumer->verifying = true;
    for (uint32_t i = 0; i < model->topic_count; i++) {
        struct model_topic *topic = model->topics[i];
        for (int32_t p = 0; p < topic->part_count && topic->state == TOPIC_LIVE; p++)
            assign(consumer, &topic->parts[p], 0);
    }
}

static bool consumer_busy(struct actor *actor)
{
    const struct consumer *consumer = consumer_of(actor);
    return consumer->verifying && verify_left(consumer);
}

static void consumer_free(struct actor *actor)
{
    actor_deinit(actor);
    free(consumer_of(actor));
}

static const struct actor_kind consumer_kind = { .step = consumer_step,
                                          .answered = consumer_answered,
                                          .lost = consumer_lost,
                                          .busy = consumer_busy,
                                          .verify = consumer_verify,
                                          .free = consumer_free };

struct actor *consumer_new(struct fleet *fleet)
{
    struct consumer *consumer = xcalloc(1, sizeof(*consumer));
    actor_init(&consumer->actor, fleet, &consumer_kind);
    consumer->by_id = fleet->actor_count == 0 || prng_chance(&consumer->actor.rng, 600000);
    consumer->sessions = prng_chance(&consumer->actor.rng, 600000);
    return &consumer->actor;
}
