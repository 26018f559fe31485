/*
 * Producers. One keeps a few batches per partition in the air, resends what failed or was lost in order, and gives up
 * only where a real one does: the topic is gone, or it is not idempotent and does not care.
 */
#include "broker_fleet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "wire/messages.h"

#define QUEUE_MAX   5u /* as many as a broker must remember for one idempotent producer */
#define STREAMS_MAX 4u
#define ITEMS_MAX   3u

struct waiting {
    struct model_batch *batch;
    bool flying;
};

/* What goes to one partition. */
struct stream {
    struct model_part *part; /* NULL: none */
    uint32_t life;           /* rises when the partition is given up: late answers are no longer its own */
    uint32_t number;         /* of the model */
    uint32_t conn_serial;    /* plain producers: of the connection that number belongs to */
    int32_t next_sequence;
    struct waiting queue[QUEUE_MAX]; /* in order */
    uint32_t count;
    bool rewind; /* something failed: send nothing until nothing flies, then from the front */
};

struct producer {
    struct actor actor;
    bool idempotent;
    int16_t acks;
    uint32_t calls_max;
    int64_t producer_id; /* -1: to be asked for */
    int16_t producer_epoch;
    struct stream streams[STREAMS_MAX];
};

/* Which batches one request carries. */
struct load {
    struct item {
        struct stream *stream;
        uint32_t life;
        struct model_batch *batch;
    } items[ITEMS_MAX];
    uint32_t count;
};

static struct producer *producer_of(struct actor *actor)
{
    return container_of(actor, struct producer, actor);
}

/* -- streams --------------------------------------------------------------------------------------------------------
 */

static uint32_t stream_flying(const struct stream *stream)
{
    uint32_t flying = 0;
    for (uint32_t i = 0; i < stream->count; i++)
        flying += stream->queue[i].flying;
    return flying;
}

static void stream_remove(struct stream *stream, uint32_t at)
{
    stream->count--;
    memmove(stream->queue + at, stream->queue + at + 1, (stream->count - at) * sizeof(stream->queue[0]));
}

/* -1: it is not waited for any more. */
static int stream_find(const struct item *item)
{
    const struct stream *stream = item->stream;
    if (stream->life != item->life)
        return -1;
    for (uint32_t i = 0; i < stream->count; i++) {
        if (stream->queue[i].batch == item->batch)
            return (int)i;
    }
    return -1;
}

static void stream_leave(struct stream *stream)
{
    stream->part = NULL;
    stream->count = 0;
    stream->rewind = false;
    stream->life++;
}

/* A producer id is for all partitions: when one of them must be given up in the middle, all begin anew. */
static void producer_restart(struct producer *producer)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        stream_leave(&producer->streams[i]);
    producer->producer_id = -1;
}

static void stream_give_up(struct producer *producer, struct stream *stream)
{
    if (producer->idempotent)
        producer_restart(producer);
    else
        stream_leave(stream);
}

/* -- answers --------------------------------------------------------------------------------------------------------
 */

static void item_acked(struct producer *producer, const struct item *item, int64_t base)
{
    struct fleet *fleet = producer->actor.fleet;
    int at = stream_find(item);
    fleet->tally->acked++;
    fleet_say(fleet, "batch %" PRIu64 " acknowledged at %" PRId64, item->batch->id, base);
    if (item->batch->part->topic->state == TOPIC_LIVE)
        model_acked(&fleet->model, item->batch, base);
    if (at >= 0)
        stream_remove(item->stream, (uint32_t)at);
}

/* A gap in the sequence is right only behind a batch that has not been taken. */
static void item_out_of_sequence(struct producer *producer, const struct item *item, int at)
{
    struct fleet *fleet = producer->actor.fleet;
    if (!producer->idempotent || at == 0)
        violation_set(fleet->violation,
                      "%s-%d: batch %" PRIu64 " with sequence %d of producer %" PRId64
                      " is out of order although all before it are acknowledged",
                      item->batch->part->topic->name, item->batch->part->index, item->batch->id, item->batch->sequence,
                      item->batch->producer_id);
}

static void item_refused(struct producer *producer, const struct item *item, int16_t error)
{
    struct fleet *fleet = producer->actor.fleet;
    const struct model_topic *topic = item->batch->part->topic;
    int at = stream_find(item);
    fleet->tally->refused++;
    fleet_say(fleet, "batch %" PRIu64 " refused: %d", item->batch->id, error);
    if (error == ERROR_UNKNOWN_TOPIC || error == ERROR_UNKNOWN_ID) {
        if (fleet_excuses_absence(fleet, topic, "Produce") && at >= 0)
            stream_give_up(producer, item->stream);
        return;
    }
    if (at < 0)
        return; /* an answer to an earlier life of the stream: the batch's fate is open */
    if (error == ERROR_SEQUENCE) {
        item_out_of_sequence(producer, item, at);
        if (stream_find(item) < 0)
            return;
    } else if (topic->state == TOPIC_LIVE) {
        (void)fleet_excuses(fleet, error, "Produce", topic);
    }
    item->stream->queue[at].flying = false;
    item->stream->rewind = true;
    if (topic->state != TOPIC_LIVE)
        stream_give_up(producer, item->stream);
}

static const struct produce_response_partition *answer_for(const struct produce_response *reply,
                                                           const struct kcall *call, const struct model_part *part)
{
    for (int32_t t = 0; t < reply->responses_count; t++) {
        const struct produce_response_topic *topic = &reply->responses[t];
        bool same = call->version >= 13 ? odk_uuid_eq(topic->topic_id, part->topic->id)
                                        : odk_str_eq(topic->name, odk_str_from(part->topic->name));
        for (int32_t p = 0; same && p < topic->partition_responses_count; p++) {
            if (topic->partition_responses[p].index == part->index)
                return &topic->partition_responses[p];
        }
    }
    return NULL;
}

static void produce_answered(struct producer *producer, const struct kcall *call, const struct produce_response *reply)
{
    struct load *load = call->context;
    for (uint32_t i = 0; i < load->count; i++) {
        const struct item *item = &load->items[i];
        const struct produce_response_partition *answer = answer_for(reply, call, item->batch->part);
        if (answer == NULL)
            violation_set(producer->actor.fleet->violation, "Produce: no answer for %s-%d",
                          item->batch->part->topic->name, item->batch->part->index);
        else if (answer->error_code == 0)
            item_acked(producer, item, answer->base_offset);
        else
            item_refused(producer, item, answer->error_code);
    }
    free(load);
}

static void id_answered(struct producer *producer, const struct init_producer_id_response *reply)
{
    struct fleet *fleet = producer->actor.fleet;
    producer->actor.asking = false;
    if (reply->error_code == ERROR_LOADING)
        return;
    if (reply->error_code != 0) {
        (void)fleet_excuses(fleet, reply->error_code, "InitProducerId", NULL);
        return;
    }
    for (uint64_t i = 0; i < fleet->model.batch_count; i++) {
        if (fleet->model.batches[i]->producer_id == reply->producer_id)
            violation_set(fleet->violation, "producer id %" PRId64 " is given out twice", reply->producer_id);
    }
    producer->producer_id = reply->producer_id;
    producer->producer_epoch = reply->producer_epoch;
}

static void producer_answered(void *owner, const struct kcall *call, const void *body)
{
    struct producer *producer = producer_of(owner);
    if (call->key == KEY_PRODUCE)
        produce_answered(producer, call, body);
    else if (call->key == KEY_INIT_PRODUCER_ID)
        id_answered(producer, body);
    else
        metadata_answered(&producer->actor, call, body);
}

static void producer_lost(void *owner, const struct kcall *call)
{
    struct producer *producer = producer_of(owner);
    if (call->key != KEY_PRODUCE) {
        producer->actor.asking = false;
        return;
    }
    struct load *load = call->context;
    for (uint32_t i = 0; i < load->count; i++) {
        const struct item *item = &load->items[i];
        int at = stream_find(item);
        if (at < 0)
            continue;
        item->stream->queue[at].flying = false;
        if (!producer->idempotent && prng_chance(&producer->actor.rng, 200000))
            stream_remove(item->stream, (uint32_t)at); /* it does not care */
    }
    free(load);
}

/* -- sending --------------------------------------------------------------------------------------------------------
 */

static void batch_make(struct producer *producer, struct stream *stream)
{
    struct fleet *fleet = producer->actor.fleet;
    struct model_batch_spec spec = { .part = stream->part,
                                     .stream = producer->idempotent ? stream->number : MODEL_NO_STREAM,
                                     .producer_id = producer->idempotent ? producer->producer_id : -1,
                                     .producer_epoch = producer->idempotent ? producer->producer_epoch : -1,
                                     .sequence = producer->idempotent ? stream->next_sequence : -1,
                                     .fat = fleet->fat };
    struct model_batch *batch = model_batch_new(&fleet->model, &producer->actor.rng, &spec);
    stream->next_sequence += batch->record_count;
    stream->queue[stream->count++] = (struct waiting){ .batch = batch };
    fleet->work_left--;
    fleet->tally->batches++;
}

/* Plain batches: one stream per connection and partition. */
static void batch_note_send(struct producer *producer, struct stream *stream, struct model_batch *batch)
{
    struct fleet *fleet = producer->actor.fleet;
    if (!producer->idempotent && batch->sends == 0) {
        if (stream->conn_serial != producer->actor.client.serial) {
            stream->number = model_stream_new(&fleet->model);
            stream->conn_serial = producer->actor.client.serial;
        }
        batch->stream = stream->number;
    }
    fleet->tally->retried += batch->sends > 0;
    batch->sends++;
    fleet_say(fleet, "batch %" PRIu64 " of producer %" PRId64 " sequence %d+%d to %s-%d, time %u", batch->id,
              batch->producer_id, batch->sequence, batch->record_count, batch->part->topic->name, batch->part->index,
              batch->sends);
}

/* The next batch of the stream that may leave; NULL: none. */
static struct waiting *stream_next(struct producer *producer, struct stream *stream)
{
    if (stream->part == NULL)
        return NULL;
    if (stream->rewind && stream_flying(stream) > 0)
        return NULL;
    stream->rewind = false;
    for (uint32_t i = 0; i < stream->count; i++) {
        if (!stream->queue[i].flying)
            return &stream->queue[i];
    }
    bool more =
        stream->count < QUEUE_MAX && producer->actor.fleet->work_left > 0 && prng_chance(&producer->actor.rng, 600000);
    if (!more)
        return NULL;
    batch_make(producer, stream);
    return &stream->queue[stream->count - 1];
}

static struct load *load_new(struct producer *producer, bool *ret_by_id)
{
    struct load *load = xcalloc(1, sizeof(*load));
    uint64_t first = prng_below(&producer->actor.rng, STREAMS_MAX);
    uint64_t most = prng_between(&producer->actor.rng, 1, ITEMS_MAX);
    for (uint64_t i = 0; i < STREAMS_MAX && load->count < most; i++) {
        struct stream *stream = &producer->streams[(first + i) % STREAMS_MAX];
        struct waiting *waiting = stream_next(producer, stream);
        if (waiting == NULL)
            continue;
        waiting->flying = true;
        batch_note_send(producer, stream, waiting->batch);
        *ret_by_id |= stream->part->topic->short_lived;
        load->items[load->count++] = (struct item){ .stream = stream, .life = stream->life, .batch = waiting->batch };
    }
    return load;
}

static void load_send(struct producer *producer, struct load *load, bool by_id, uint64_t now_ns)
{
    struct produce_request ask;
    struct produce_request_topic topics[ITEMS_MAX];
    struct produce_request_partition parts[ITEMS_MAX];
    struct iovec views[ITEMS_MAX];
    int16_t version = kclient_version(&producer->actor.client, KEY_PRODUCE, by_id ? 13 : 3, INT16_MAX);
    produce_request_init(&ask);
    ask.acks = producer->acks;
    ask.timeout_ms = 30000;
    ask.topic_data = topics;
    ask.topic_data_count = (int32_t)load->count;
    for (uint32_t i = 0; i < load->count; i++) {
        const struct model_batch *batch = load->items[i].batch;
        views[i] = (struct iovec){ .iov_base = batch->bytes, .iov_len = batch->len };
        produce_request_topic_init(&topics[i]);
        produce_request_partition_init(&parts[i]);
        topics[i].name = odk_str_from(batch->part->topic->name);
        topics[i].topic_id = batch->part->topic->id;
        topics[i].partition_data = &parts[i];
        topics[i].partition_data_count = 1;
        parts[i].index = batch->part->index;
        parts[i].records = (struct wire_records){ .parts = &views[i], .part_count = 1, .len = batch->len };
    }
    enum kclient_expect expect = producer->acks == 0 ? KCLIENT_NO_ANSWER : KCLIENT_ANSWER;
    kclient_send(&producer->actor.client, KEY_PRODUCE, version, &ask, expect, load, now_ns);
    if (expect == KCLIENT_ANSWER)
        return;
    for (uint32_t i = 0; i < load->count; i++) {
        int at = stream_find(&load->items[i]);
        stream_remove(load->items[i].stream, (uint32_t)at);
    }
    free(load);
}

static void produce(struct producer *producer, uint64_t now_ns)
{
    bool by_id = false;
    if (producer->actor.client.call_count >= producer->calls_max)
        return;
    struct load *load = load_new(producer, &by_id);
    if (load->count > 0)
        load_send(producer, load, by_id, now_ns);
    else
        free(load);
}

static void id_ask(struct producer *producer, uint64_t now_ns)
{
    struct init_producer_id_request ask;
    init_producer_id_request_init(&ask);
    ask.transaction_timeout_ms = 60000;
    int16_t version = kclient_version(&producer->actor.client, KEY_INIT_PRODUCER_ID, 0, INT16_MAX);
    producer->actor.asking = true;
    kclient_send(&producer->actor.client, KEY_INIT_PRODUCER_ID, version, &ask, KCLIENT_ANSWER, NULL, now_ns);
}

static bool part_taken(const struct producer *producer, const struct model_part *part)
{
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (producer->streams[i].part == part)
            return true;
    }
    return false;
}

/* Gives a stream without a partition one. May ask for a topic first. */
static void stream_settle(struct producer *producer, struct stream *stream, uint64_t now_ns)
{
    struct actor *actor = &producer->actor;
    struct fleet *fleet = actor->fleet;
    char name[32];
    struct model_topic *topic = prng_chance(&actor->rng, 250000) ? fleet_live_topic(fleet, &actor->rng, true) : NULL;
    fleet_long_name(name, prng_next(&actor->rng));
    if (topic == NULL)
        topic = model_topic_named(&fleet->model, name);
    if (topic == NULL) {
        metadata_ask(actor, name, now_ns);
        return;
    }
    struct model_part *part = &topic->parts[prng_below(&actor->rng, (uint64_t)topic->part_count)];
    if (part_taken(producer, part))
        return;
    stream->part = part;
    stream->next_sequence = 0;
    stream->conn_serial = 0;
    stream->number = model_stream_new(&fleet->model);
}

static void producer_step(struct actor *actor, uint64_t now_ns)
{
    struct producer *producer = producer_of(actor);
    if (actor->asking || now_ns < actor->next_ns)
        return;
    bool quiet = prng_chance(&actor->rng, 30000);
    actor->next_ns = now_ns + prng_below(&actor->rng, quiet ? 3 * NS_PER_S : 20 * NS_PER_MS);
    if (producer->idempotent && producer->producer_id < 0) {
        id_ask(producer, now_ns);
        return;
    }
    struct stream *stream = &producer->streams[prng_below(&actor->rng, STREAMS_MAX)];
    if (stream->part == NULL && actor->fleet->work_left > 0)
        stream_settle(producer, stream, now_ns);
    if (!actor->asking)
        produce(producer, now_ns);
}

static bool producer_busy(struct actor *actor)
{
    const struct producer *producer = producer_of(actor);
    for (uint32_t i = 0; i < STREAMS_MAX; i++) {
        if (producer->streams[i].count > 0)
            return true;
    }
    return false;
}

static void producer_free(struct actor *actor)
{
    list_each(node, &actor->client.calls)
    {
        const struct kcall *call = list_entry(node, struct kcall, in_client);
        if (call->key == KEY_PRODUCE)
            free(call->context);
    }
    actor_deinit(actor);
    free(producer_of(actor));
}

static const struct actor_kind producer_kind = { .step = producer_step,
                                                 .answered = producer_answered,
                                                 .lost = producer_lost,
                                                 .busy = producer_busy,
                                                 .free = producer_free };

struct actor *producer_new(struct fleet *fleet)
{
    struct producer *producer = xcalloc(1, sizeof(*producer));
    actor_init(&producer->actor, fleet, &producer_kind);
    struct prng *rng = &producer->actor.rng;
    producer->idempotent = prng_chance(rng, 600000);
    producer->acks = producer->idempotent ? -1 : (int16_t)((int16_t)prng_below(rng, 3) - 1);
    producer->calls_max = (uint32_t)prng_between(rng, 1, 5);
    producer->producer_id = -1;
    return &producer->actor;
}
