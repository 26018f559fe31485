/* CreateTopics: the controller decides, this file translates. Source: KIP-4, KIP-464 (defaults), KIP-525 (configs). */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "wire/messages.h"

struct create_topics {
    struct request *request;
    struct create_topics_request in;
    struct controller_op op;
};

/* -- in ----------------------------------------------------------------------------------------------------------- */

static void refuse(struct create_item *item, enum kafka_error error, const char *message)
{
    item->refused = error;
    item->message = message;
}

/* Manual assignments can only name this node, once per partition, for partitions 0, 1, 2 ... */
static void assignments_take(const struct request *request, const struct create_topics_request_topic *topic,
                             struct create_item *item)
{
    int32_t count = topic->assignments_count;
    if (count <= 0)
        return;
    if (topic->num_partitions != -1 || topic->replication_factor != -1) {
        refuse(item, KAFKA_INVALID_REQUEST, "with assignments, the numbers of partitions and replicas must be -1");
        return;
    }
    item->partition_count = count;
    item->replication = 1;
    for (int32_t i = 0; i < count; i++) {
        const struct create_topics_request_assignment *assignment = &topic->assignments[i];
        if (assignment->partition_index != i)
            refuse(item, KAFKA_INVALID_REPLICA_ASSIGNMENT, "partitions must be assigned in order: 0, 1, 2 ...");
        else if (assignment->broker_ids_count != 1 || assignment->broker_ids[0] != broker_node_id(request->broker))
            refuse(item, KAFKA_INVALID_REPLICA_ASSIGNMENT, "a partition must be assigned to this one node");
        if (item->refused != KAFKA_NONE)
            return;
    }
}

static bool settings_take(struct request *request, const struct create_topics_request_topic *topic,
                          struct create_item *item)
{
    uint32_t count = topic->configs_count > 0 ? (uint32_t)topic->configs_count : 0;
    struct create_setting *settings = arena_new(&request->arena, struct create_setting, count);
    if (!settings)
        return false;
    for (uint32_t i = 0; i < count; i++)
        settings[i] = (struct create_setting){ .key = topic->configs[i].name, .value = topic->configs[i].value };
    item->settings = settings;
    item->setting_count = count;
    return true;
}

static bool items_take(struct create_topics *create)
{
    const struct create_topics_request *in = &create->in;
    struct controller_op *op = &create->op;
    op->creates = arena_new(&create->request->arena, struct create_item, (size_t)in->topics_count);
    op->count = (uint32_t)in->topics_count;
    if (!op->creates)
        return false;
    for (uint32_t i = 0; i < op->count; i++) {
        const struct create_topics_request_topic *topic = &in->topics[i];
        struct create_item *item = &op->creates[i];
        item->name = topic->name;
        item->partition_count = topic->num_partitions;
        item->replication = topic->replication_factor;
        assignments_take(create->request, topic, item);
        if (!settings_take(create->request, topic, item))
            return false;
    }
    return true;
}

/* -- out ---------------------------------------------------------------------------------------------------------- */

static struct odk_str text_keep(struct arena *arena, struct odk_str text)
{
    char *copy = text.data ? arena_new(arena, char, text.len) : NULL;
    if (!copy)
        return (struct odk_str){ 0 };
    memcpy(copy, text.data, text.len);
    return (struct odk_str){ .data = copy, .len = text.len };
}

static bool configs_fill(struct request *request, const struct create_item *item,
                         struct create_topics_response_topic *out)
{
    out->configs = arena_new(&request->arena, struct create_topics_response_config, TOPIC_CONFIG_COUNT);
    if (!out->configs)
        return false;
    for (uint32_t id = 0; id < TOPIC_CONFIG_COUNT; id++) {
        const struct config_row *row = &topic_config_rows[id];
        struct create_topics_response_config *config = &out->configs[out->configs_count++];
        char text[CONFIG_TEXT_BYTES];
        enum config_source source = config_source_of(row->synonyms, request->broker->env.config);
        create_topics_response_config_init(config);
        config->name = odk_str_from(row->key);
        config->value = text_keep(&request->arena, config_print(row, &item->config, text));
        config->config_source = (int8_t)(item->config.set[id] ? CONFIG_SOURCE_TOPIC : source);
    }
    return true;
}

static bool topic_fill(struct create_topics *create, const struct create_item *item,
                       struct create_topics_response_topic *out)
{
    create_topics_response_topic_init(out);
    out->name = item->name;
    out->error_code = (int16_t)item->error;
    out->error_message = odk_str_from(item->message ? item->message : "");
    if (!item->message)
        out->error_message.data = NULL;
    if (item->error != KAFKA_NONE)
        return true;
    out->topic_id = create->op.validate_only ? (struct odk_uuid){ 0 } : item->id;
    out->num_partitions = item->partition_count;
    out->replication_factor = item->replication;
    return create->request->version < 5 || configs_fill(create->request, item, out);
}

static void create_topics_on_done(struct controller_op *op, struct broker *at)
{
    (void)at;
    struct create_topics *create = container_of(op, struct create_topics, op);
    struct request *request = create->request;
    struct create_topics_response reply;
    create_topics_response_init(&reply);
    reply.topics = arena_new(&request->arena, struct create_topics_response_topic, op->count);
    bool fits = reply.topics != NULL;
    for (uint32_t i = 0; i < op->count; i++) {
        struct create_item *item = &op->creates[i];
        fits = fits && topic_fill(create, item, &reply.topics[reply.topics_count++]);
        topic_config_deinit(&item->config);
    }
    if (fits)
        request_reply(request, create_topics_response_encode(&reply, request_reply_begin(request), request->version));
    else
        request_too_large(request);
}

/* More topics than the controller takes at once: none is created. */
static void refuse_all(struct create_topics *create)
{
    struct request *request = create->request;
    struct create_topics_response reply;
    create_topics_response_init(&reply);
    reply.topics = arena_new(&request->arena, struct create_topics_response_topic, (size_t)create->in.topics_count);
    if (!reply.topics) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; i < create->in.topics_count; i++) {
        struct create_topics_response_topic *topic = &reply.topics[reply.topics_count++];
        create_topics_response_topic_init(topic);
        topic->name = create->in.topics[i].name;
        topic->error_code = KAFKA_POLICY_VIOLATION;
        topic->error_message = ODK_STR("too many topics in one request");
    }
    request_reply(request, create_topics_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_create_topics(struct request *request)
{
    struct create_topics *create = arena_new(&request->arena, struct create_topics, 1);
    if (!create) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         create_topics_request_decode(&create->in, &request->body, &request->arena, request->version)))
        return;
    create->request = request;
    create->op = (struct controller_op){ .kind = CONTROLLER_CREATE,
                                         .done = create_topics_on_done,
                                         .validate_only = create->in.validate_only };
    if (create->in.topics_count > TOPICS_PER_CHANGE_MAX)
        refuse_all(create);
    else if (!items_take(create))
        request_too_large(request);
    else
        controller_submit(request->broker, &create->op);
}
