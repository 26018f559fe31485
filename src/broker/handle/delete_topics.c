/* DeleteTopics: by name, or by id from version 6 on. Source: KIP-4, KIP-516. */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "wire/messages.h"

struct delete_topics {
    struct request *request;
    struct delete_topics_request in;
    struct controller_op op;
};

static size_t asked_count(const struct delete_topics *delete)
{
    return (size_t)(delete->request->version >= 6 ? delete->in.topics_count : delete->in.topic_names_count);
}

static void item_take(const struct delete_topics *delete, size_t i, struct delete_item *item)
{
    if (delete->request->version < 6) {
        item->name = delete->in.topic_names[i];
        return;
    }
    item->name = delete->in.topics[i].name;
    item->id = delete->in.topics[i].topic_id;
    if (!item->name.data == odk_uuid_is_zero(item->id)) {
        item->refused = KAFKA_INVALID_REQUEST;
        item->message = "a topic must be named either by name or by id";
    }
}

static bool items_take(struct delete_topics *delete)
{
    struct controller_op *op = &delete->op;
    size_t count = asked_count(delete);
    op->deletes = arena_new(&delete->request->arena, struct delete_item, count);
    op->count = (uint32_t)count;
    for (size_t i = 0; op->deletes && i < count; i++)
        item_take(delete, i, &op->deletes[i]);
    return op->deletes != NULL;
}

static void topic_fill(const struct delete_item *item, struct delete_topics_response_topic *out)
{
    delete_topics_response_topic_init(out);
    out->name = item->name_found[0] != '\0' ? odk_str_from(item->name_found) : item->name;
    out->topic_id = item->id;
    out->error_code = (int16_t)item->error;
    if (item->message)
        out->error_message = odk_str_from(item->message);
}

static void delete_topics_on_done(struct controller_op *op, struct broker *at)
{
    (void)at;
    struct request *request = container_of(op, struct delete_topics, op)->request;
    struct delete_topics_response reply;
    delete_topics_response_init(&reply);
    reply.responses = arena_new(&request->arena, struct delete_topics_response_topic, op->count);
    if (!reply.responses) {
        request_too_large(request);
        return;
    }
    for (uint32_t i = 0; i < op->count; i++)
        topic_fill(&op->deletes[i], &reply.responses[reply.responses_count++]);
    request_reply(request, delete_topics_response_encode(&reply, request_reply_begin(request), request->version));
}

/* Everything in the request is refused for the same reason. */
static void refuse_all(struct delete_topics *delete, enum kafka_error error, const char *message)
{
    for (uint32_t i = 0; i < delete->op.count; i++) {
        delete->op.deletes[i].error = error;
        delete->op.deletes[i].message = message;
    }
    delete_topics_on_done(&delete->op, delete->request->broker);
}

void handle_delete_topics(struct request *request)
{
    struct delete_topics *delete = arena_new(&request->arena, struct delete_topics, 1);
    if (!delete) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         delete_topics_request_decode(&delete->in, &request->body, &request->arena, request->version)))
        return;
    delete->request = request;
    delete->op = (struct controller_op){ .kind = CONTROLLER_DELETE, .done = delete_topics_on_done };
    if (!items_take(delete))
        request_too_large(request);
    else if (!request->broker->env.config->delete_topic_enable)
        refuse_all(delete, request->version < 3 ? KAFKA_INVALID_REQUEST : KAFKA_TOPIC_DELETION_DISABLED,
                   "delete.topic.enable is false");
    else if (delete->op.count > TOPICS_PER_CHANGE_MAX)
        refuse_all(delete, KAFKA_POLICY_VIOLATION, "too many topics in one request");
    else
        controller_submit(request->broker, &delete->op);
}
