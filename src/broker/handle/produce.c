/*
 * Produce: checks each batch here (intake), appends it where its partition lives, answers when all are durable.
 *
 *   this shard: decode, check      -> one task per owner shard ("leg")
 *   the owner:  append each batch; when the last one is durable or refused, the leg goes back
 *   this shard: the last leg back  -> answer
 *
 * Batches that must be opened are checked in steps, a turn of the loop for each, so that nobody waits long; until the last
 * one the request holds up the later ones of its connection, which keeps the order of appends.
 *
 * Every success is synced, whatever acks says; acks=0 gets no answer, and a closed connection when something failed.
 * timeout_ms is not looked at: there are no replicas to wait for. A leg is touched by one shard at a time.
 *
 * Source: KIP-98, KIP-467 (record errors), KIP-516 (topic ids).
 */
#include "base/limits.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/intake.h"
#include "wire/messages.h"

struct produce_leg;

/* One partition of the request. */
struct produce_item {
    struct odk_append append;
    struct produce_leg *leg;
    struct produce_item *next; /* of the leg */
    struct odk_uuid topic_id;
    int32_t index;
    enum kafka_error error;
    const char *message; /* static; NULL when there is none */
    const struct intake_bad *bad; /* records at fault; NULL: none are named */
    int32_t bad_count;
};

/* What one owner shard has to do. */
struct produce_leg {
    struct task task;
    struct produce *produce;
    struct produce_item *first;
    struct produce_item **end;
    struct broker *at; /* the owner, while there */
    uint32_t home;     /* the shard of the request */
    uint32_t left;
};

struct produce {
    struct request *request;
    struct produce_request in;
    struct produce_item *items; /* in the order of the request */
    struct produce_leg *legs;   /* one per shard; first is NULL where there is nothing to do */
    struct task step;           /* to the next turn, while there are items to check */
    int32_t topic_at;           /* what is checked next: topic, partition in it, item */
    int32_t partition_at;
    struct produce_item *item_at;
    size_t opened_bytes; /* in this turn */
    uint32_t legs_left;
    int32_t errors_left; /* records at fault that may yet be named */
};

/* -- answer ------------------------------------------------------------------------------------------------------- */

static bool record_errors_fill(struct produce *produce, const struct produce_item *item,
                               struct produce_response_partition *out)
{
    struct arena *arena = &produce->request->arena;
    if (item->message)
        out->error_message = odk_str_from(item->message);
    if (item->bad_count == 0)
        return true;
    out->record_errors = arena_new(arena, struct produce_response_record_error, (size_t)item->bad_count);
    if (!out->record_errors)
        return false;
    out->record_errors_count = item->bad_count;
    for (int32_t i = 0; i < item->bad_count; i++)
        out->record_errors[i] =
            (struct produce_response_record_error){ .batch_index = item->bad[i].position,
                                                    .batch_index_error_message = odk_str_from(item->bad[i].message) };
    return true;
}

static bool partition_fill(struct produce *produce, const struct produce_item *item,
                           struct produce_response_partition *out)
{
    produce_response_partition_init(out);
    out->index = item->index;
    out->error_code = (int16_t)item->error;
    out->base_offset = -1;
    if (item->error != KAFKA_NONE)
        return record_errors_fill(produce, item, out);
    out->base_offset = item->append.base_offset;
    out->log_append_time_ms = item->append.append_time_ms;
    out->log_start_offset = item->append.log_start_offset;
    return true;
}

static bool response_fill(struct produce *produce, struct produce_response *reply)
{
    struct arena *arena = &produce->request->arena;
    const struct produce_request *in = &produce->in;
    const struct produce_item *item = produce->items;
    reply->responses = arena_new(arena, struct produce_response_topic, (size_t)in->topic_data_count);
    bool fits = reply->responses != NULL;
    for (int32_t i = 0; fits && i < in->topic_data_count; i++) {
        const struct produce_request_topic *topic = &in->topic_data[i];
        struct produce_response_topic *out = &reply->responses[reply->responses_count++];
        produce_response_topic_init(out);
        out->name = topic->name;
        out->topic_id = topic->topic_id;
        out->partition_responses =
            arena_new(arena, struct produce_response_partition, (size_t)topic->partition_data_count);
        fits = out->partition_responses != NULL;
        for (int32_t p = 0; fits && p < topic->partition_data_count; p++)
            fits = partition_fill(produce, item++, &out->partition_responses[out->partition_responses_count++]);
    }
    return fits;
}

static bool any_failed(const struct produce *produce)
{
    const struct produce_item *item = produce->items;
    for (int32_t i = 0; i < produce->in.topic_data_count; i++) {
        for (int32_t p = 0; p < produce->in.topic_data[i].partition_data_count; p++) {
            if ((item++)->error != KAFKA_NONE)
                return true;
        }
    }
    return false;
}

static void produce_answer(struct produce *produce)
{
    struct request *request = produce->request;
    if (produce->in.acks == 0) {
        request_done(request, any_failed(produce) ? REQUEST_CLOSE : REQUEST_NO_REPLY);
        return;
    }
    struct produce_response reply;
    produce_response_init(&reply);
    if (response_fill(produce, &reply))
        request_reply(request, produce_response_encode(&reply, request_reply_begin(request), request->version));
    else
        request_too_large(request);
}

static void leg_count_down(struct produce *produce)
{
    if (--produce->legs_left == 0)
        produce_answer(produce);
}

/* -- at the owner ------------------------------------------------------------------------------------------------- */

static void leg_on_return(struct task *task, struct broker *at)
{
    (void)at;
    leg_count_down(container_of(task, struct produce_leg, task)->produce);
}

static void leg_step(struct produce_leg *leg)
{
    if (--leg->left > 0)
        return;
    leg->task.run = leg_on_return;
    broker_post(leg->at, leg->home, &leg->task);
}

static void produce_on_appended(struct odk_append *append, enum odk_err err)
{
    struct produce_item *item = container_of(append, struct produce_item, append);
    if (err != ODK_OK) {
        item->error = kafka_error_of(err);
        item->message = odk_err_text(err);
    }
    leg_step(item->leg);
}

static void item_append(struct broker *at, struct produce_item *item)
{
    struct topic *topic = topics_by_id(&at->topics, item->topic_id);
    struct partition *partition = topic ? topic_partition(topic, item->index) : NULL;
    if (partition && partition->log) {
        odk_log_append(partition->log, &item->append);
        return;
    }
    item->error = partition ? kafka_error_of(partition->fault) : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    item->message = "the partition is not available";
    leg_step(item->leg);
}

static void leg_on_arrival(struct task *task, struct broker *at)
{
    struct produce_leg *leg = container_of(task, struct produce_leg, task);
    leg->at = at;
    leg->left = 1; /* until all are handed over: an append may end inside the call */
    for (struct produce_item *item = leg->first; item; item = item->next)
        leg->left++;
    struct produce_item *next;
    for (struct produce_item *item = leg->first; item; item = next) {
        next = item->next;
        item_append(at, item);
    }
    leg_step(leg);
}

/* -- here --------------------------------------------------------------------------------------------------------- */

static void item_refuse(struct produce_item *item, enum kafka_error error, const char *message)
{
    item->error = error;
    item->message = message;
}

static void item_stage(struct produce *produce, const struct partition *partition, struct odk_bytes data,
                       struct produce_item *item)
{
    struct produce_leg *leg = &produce->legs[partition->shard];
    item->topic_id = partition->topic->id;
    item->append =
        (struct odk_append){ .batch = (uint8_t *)(uintptr_t)data.data, .len = data.len, .done = produce_on_appended };
    item->leg = leg;
    if (!leg->first)
        leg->end = &leg->first;
    *leg->end = item;
    leg->end = &item->next;
}

static void item_check(struct produce *produce, struct topic *topic, const struct wire_records *records,
                       struct produce_item *item)
{
    struct request *request = produce->request;
    struct partition *partition = topic_partition(topic, item->index);
    if (!partition) {
        item_refuse(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no such partition");
        return;
    }
    struct intake intake = {
        .rules = { .config = &topic->config, .wall_ms = request->broker->wall_ms, .version = request->version },
        .arena = &request->arena,
        .builder = &request->broker->builder,
        .bad_max = request->version >= PRODUCE_VERSION_RECORD_ERRORS ? produce->errors_left : 0,
    };
    enum kafka_error error = intake_take(&intake, wire_records_view(records));
    produce->opened_bytes += intake.opened_bytes;
    if (error == KAFKA_NONE) {
        item_stage(produce, partition, intake.batch, item);
        return;
    }
    item_refuse(item, intake.refusal.error, intake.refusal.message);
    item->bad = intake.bad;
    item->bad_count = intake.bad_count;
    produce->errors_left -= intake.bad_count;
}

/* What stands against every partition of the topic, or KAFKA_NONE. */
static enum kafka_error topic_check(const struct produce *produce, const struct produce_request_topic *asked,
                                    struct topic **ret_topic, const char **ret_message)
{
    const struct topics *topics = &produce->request->broker->topics;
    bool by_id = produce->request->version >= 13;
    struct topic *topic = by_id ? topics_by_id(topics, asked->topic_id) : topics_by_name(topics, asked->name);
    if (produce->in.acks < -1 || produce->in.acks > 1) {
        *ret_message = "acks must be -1, 0 or 1";
        return KAFKA_INVALID_REQUIRED_ACKS;
    }
    if (topic ? topic->internal : !by_id && topic_name_is_internal(asked->name)) {
        *ret_message = "clients cannot write to an internal topic";
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    }
    if (!topic) {
        *ret_message = "there is no such topic";
        return by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    }
    *ret_topic = topic;
    return KAFKA_NONE;
}

/* The partitions of one topic from partition_at on. False: enough for this turn. */
static bool topic_items_check(struct produce *produce, const struct produce_request_topic *asked)
{
    struct topic *topic = NULL;
    const char *message = NULL;
    enum kafka_error error = topic_check(produce, asked, &topic, &message);
    for (; produce->partition_at < asked->partition_data_count; produce->partition_at++, produce->item_at++) {
        struct produce_item *item = produce->item_at;
        if (produce->opened_bytes >= PRODUCE_STEP_BYTES)
            return false;
        item->index = asked->partition_data[produce->partition_at].index;
        if (error == KAFKA_NONE)
            item_check(produce, topic, &asked->partition_data[produce->partition_at].records, item);
        else
            item_refuse(item, error, message);
    }
    return true;
}

static bool items_check(struct produce *produce)
{
    produce->opened_bytes = 0;
    for (; produce->topic_at < produce->in.topic_data_count; produce->topic_at++, produce->partition_at = 0)
        if (!topic_items_check(produce, &produce->in.topic_data[produce->topic_at]))
            return false;
    return true;
}

static void legs_send(struct produce *produce)
{
    struct broker *broker = produce->request->broker;
    produce->legs_left = 1;
    for (uint32_t shard = 0; shard < broker->env.shard_count; shard++)
        produce->legs_left += produce->legs[shard].first != NULL;
    for (uint32_t shard = 0; shard < broker->env.shard_count; shard++) {
        struct produce_leg *leg = &produce->legs[shard];
        if (!leg->first)
            continue;
        leg->produce = produce;
        leg->home = broker->env.shard;
        leg->task.run = leg_on_arrival;
        broker_post(broker, shard, &leg->task);
    }
    leg_count_down(produce);
}

static void produce_on_step(struct task *task, struct broker *broker);

static void produce_step(struct produce *produce)
{
    struct request *request = produce->request;
    struct broker *broker = request->broker;
    if (!items_check(produce)) {
        request->holds = true;
        produce->step.run = produce_on_step;
        broker->env.post(broker->env.context, broker->env.shard, &produce->step);
        return;
    }
    bool held = request->holds;
    request->holds = false;
    if (held && request->went_on)
        request->went_on(request);
    legs_send(produce);
}

static void produce_on_step(struct task *task, struct broker *broker)
{
    (void)broker;
    produce_step(container_of(task, struct produce, step));
}

static bool produce_prepare(struct produce *produce)
{
    struct arena *arena = &produce->request->arena;
    size_t count = 0;
    for (int32_t i = 0; i < produce->in.topic_data_count; i++)
        count += (size_t)produce->in.topic_data[i].partition_data_count;
    produce->items = arena_new(arena, struct produce_item, count);
    produce->legs = arena_new(arena, struct produce_leg, produce->request->broker->env.shard_count);
    return produce->items && produce->legs;
}

void handle_produce(struct request *request)
{
    struct produce *produce = arena_new(&request->arena, struct produce, 1);
    if (!produce) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         produce_request_decode(&produce->in, &request->body, &request->arena, request->version)))
        return;
    produce->request = request;
    produce->errors_left = RECORD_ERRORS_MAX;
    if (!produce_prepare(produce)) {
        request_too_large(request);
        return;
    }
    produce->item_at = produce->items;
    produce_step(produce);
}
