/*
 * AlterConfigs and IncrementalAlterConfigs: the controller decides, this file translates. Source: KIP-133, KIP-226,
 * KIP-339, KIP-412 (loggers), KIP-714 (client metrics), KIP-1142; Kafka's ConfigAdminManager for errors.
 */
#include <stdio.h>
#include <xxhash.h>

#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "wire/messages.h"

struct alter {
    struct request *request;
    bool incremental;
    union {
        struct alter_configs_request full;
        struct incremental_alter_configs_request incremental;
    } in;
    struct controller_op op;
};

static void refuse(struct alter_item *item, enum kafka_error error, const char *message)
{
    item->refused = error;
    item->error = error;
    item->message = message;
}

/* -- in ----------------------------------------------------------------------------------------------------------- */

/* False: no memory. */
static bool item_take(struct request *request, struct alter_item *item, int8_t type, struct odk_str name,
                      struct alter_change **ret_changes, int32_t count)
{
    *ret_changes = arena_new(&request->arena, struct alter_change, (size_t)MAX(count, 0));
    item->type = (enum config_resource)type;
    item->name = name;
    item->changes = *ret_changes;
    item->change_count = (uint32_t)MAX(count, 0);
    return *ret_changes != NULL;
}

static bool full_take(struct alter *alter, uint32_t i, struct alter_item *item)
{
    const struct alter_configs_request_resource *resource = &alter->in.full.resources[i];
    struct alter_change *changes;
    if (!item_take(alter->request, item, resource->resource_type, resource->resource_name, &changes,
                   resource->configs_count))
        return false;
    item->replace = true;
    for (uint32_t c = 0; c < item->change_count; c++)
        changes[c] = (struct alter_change){ .key = resource->configs[c].name, .value = resource->configs[c].value };
    return true;
}

static bool incremental_take(struct alter *alter, uint32_t i, struct alter_item *item)
{
    const struct incremental_alter_configs_request_resource *resource = &alter->in.incremental.resources[i];
    struct alter_change *changes;
    if (!item_take(alter->request, item, resource->resource_type, resource->resource_name, &changes,
                   resource->configs_count))
        return false;
    for (uint32_t c = 0; c < item->change_count; c++)
        changes[c] = (struct alter_change){ .key = resource->configs[c].name,
                                            .value = resource->configs[c].value,
                                            .how = resource->configs[c].config_operation };
    return true;
}

static void refuse_print(struct alter_item *item, enum kafka_error error, const char *before, struct odk_str text,
                         const char *after)
{
    char shown[256];
    (void)snprintf(item->why.text, sizeof(item->why.text), "%s%s%s", before, diag_escape(shown, sizeof(shown), text),
                   after);
    refuse(item, error, item->why.text);
}

/* There are no loggers whose level could be changed; a request that changes none is good. */
static void logger_check(const struct alter *alter, struct alter_item *item)
{
    char id[16];
    int len = snprintf(id, sizeof(id), "%d", broker_node_id(alter->request->broker));
    if (!odk_str_eq(item->name, (struct odk_str){ .data = id, .len = (size_t)len })) {
        refuse_print(item, KAFKA_INVALID_REQUEST, "Unexpected node id: ", item->name, "");
        return;
    }
    for (uint32_t i = 0; i < item->change_count; i++) {
        const struct alter_change *change = &item->changes[i];
        if (change->how != ALTER_SET && change->how != ALTER_DELETE)
            refuse(item, KAFKA_INVALID_REQUEST, "levels of loggers can only be set and deleted");
        else if (change->how == ALTER_SET && !change->value.data)
            refuse_print(item, KAFKA_INVALID_REQUEST, "Null value not supported for : ", change->key, "");
        else
            refuse_print(item, KAFKA_INVALID_CONFIG, "Logger ", change->key, " does not exist!");
        return;
    }
}

/* Refuses what the controller has no rules for. */
static void type_check(const struct alter *alter, struct alter_item *item)
{
    int type = (int)item->type;
    if (type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_BROKER || type == CONFIG_RESOURCE_GROUP)
        return;
    if (type == CONFIG_RESOURCE_CLIENT_METRICS) {
        refuse(item, KAFKA_INVALID_REQUEST, "client metrics are not collected here");
    } else if (type == CONFIG_RESOURCE_BROKER_LOGGER && alter->incremental) {
        logger_check(alter, item);
    } else {
        (void)snprintf(item->why.text, sizeof(item->why.text), "Unknown resource type %d", type);
        refuse(item, KAFKA_INVALID_REQUEST, item->why.text);
    }
}

/* False: no memory. */
static bool duplicates_refuse(struct alter *alter)
{
    struct controller_op *op = &alter->op;
    uint64_t *hashes = arena_new(&alter->request->arena, uint64_t, op->count);
    for (uint32_t i = 0; hashes && i < op->count; i++) {
        struct alter_item *item = &op->alters[i];
        hashes[i] = XXH3_64bits_withSeed(item->name.data, item->name.len, (uint64_t)item->type);
        for (uint32_t o = 0; o < i; o++) {
            struct alter_item *other = &op->alters[o];
            if (hashes[i] != hashes[o] || item->type != other->type || !odk_str_eq(item->name, other->name))
                continue;
            refuse(item, KAFKA_INVALID_REQUEST, "Each resource must appear at most once.");
            refuse(other, KAFKA_INVALID_REQUEST, "Each resource must appear at most once.");
        }
    }
    return hashes != NULL;
}

/* -- out ---------------------------------------------------------------------------------------------------------- */

static struct odk_str message_of(const struct alter_item *item)
{
    return item->message ? odk_str_from(item->message) : (struct odk_str){ 0 };
}

static void full_reply(struct alter *alter)
{
    struct request *request = alter->request;
    struct alter_configs_response reply;
    alter_configs_response_init(&reply);
    reply.responses = arena_new(&request->arena, struct alter_configs_response_resource, alter->op.count);
    for (uint32_t i = 0; reply.responses && i < alter->op.count; i++) {
        const struct alter_item *item = &alter->op.alters[i];
        reply.responses[reply.responses_count++] =
            (struct alter_configs_response_resource){ .error_code = (int16_t)item->error,
                                                      .error_message = message_of(item),
                                                      .resource_type = (int8_t)item->type,
                                                      .resource_name = item->name };
    }
    if (reply.responses)
        request_reply(request, alter_configs_response_encode(&reply, request_reply_begin(request), request->version));
    else
        request_too_large(request);
}

static void incremental_reply(struct alter *alter)
{
    struct request *request = alter->request;
    struct incremental_alter_configs_response reply;
    incremental_alter_configs_response_init(&reply);
    reply.responses = arena_new(&request->arena, struct incremental_alter_configs_response_resource, alter->op.count);
    for (uint32_t i = 0; reply.responses && i < alter->op.count; i++) {
        const struct alter_item *item = &alter->op.alters[i];
        reply.responses[reply.responses_count++] =
            (struct incremental_alter_configs_response_resource){ .error_code = (int16_t)item->error,
                                                                  .error_message = message_of(item),
                                                                  .resource_type = (int8_t)item->type,
                                                                  .resource_name = item->name };
    }
    if (reply.responses)
        request_reply(request, incremental_alter_configs_response_encode(&reply, request_reply_begin(request),
                                                                         request->version));
    else
        request_too_large(request);
}

static void alter_on_done(struct controller_op *op, struct broker *at)
{
    (void)at;
    struct alter *alter = container_of(op, struct alter, op);
    for (uint32_t i = 0; i < op->count; i++)
        alter_item_deinit(&op->alters[i]);
    if (alter->incremental)
        incremental_reply(alter);
    else
        full_reply(alter);
}

/* -- both --------------------------------------------------------------------------------------------------------- */

/* Reads all resources. False: no memory. */
static bool items_take(struct alter *alter, uint32_t count)
{
    struct controller_op *op = &alter->op;
    op->alters = arena_new(&alter->request->arena, struct alter_item, count);
    if (!op->alters)
        return false;
    op->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct alter_item *item = &op->alters[i];
        if (!(alter->incremental ? incremental_take(alter, i, item) : full_take(alter, i, item)))
            return false;
        if (count > TOPICS_PER_CHANGE_MAX)
            refuse(item, KAFKA_POLICY_VIOLATION, "too many resources in one request");
    }
    return count > TOPICS_PER_CHANGE_MAX || duplicates_refuse(alter);
}

static void alter_run(struct alter *alter, int32_t count, bool validate_only)
{
    struct controller_op *op = &alter->op;
    *op = (struct controller_op){ .kind = CONTROLLER_ALTER, .done = alter_on_done, .validate_only = validate_only };
    if (!items_take(alter, (uint32_t)count)) {
        request_too_large(alter->request);
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        struct alter_item *item = &op->alters[i];
        if (item->refused == KAFKA_NONE)
            type_check(alter, item);
    }
    controller_submit(alter->request->broker, op);
}

static struct alter *alter_new(struct request *request, bool incremental)
{
    struct alter *alter = arena_new(&request->arena, struct alter, 1);
    if (!alter) {
        request_too_large(request);
        return NULL;
    }
    alter->request = request;
    alter->incremental = incremental;
    return alter;
}

void handle_alter_configs(struct request *request)
{
    struct alter *alter = alter_new(request, false);
    if (alter && request_decoded(request, alter_configs_request_decode(&alter->in.full, &request->body, &request->arena,
                                                                       request->version)))
        alter_run(alter, alter->in.full.resources_count, alter->in.full.validate_only);
}

void handle_incremental_alter_configs(struct request *request)
{
    struct alter *alter = alter_new(request, true);
    if (alter && request_decoded(request,
                                 incremental_alter_configs_request_decode(&alter->in.incremental, &request->body,
                                                                          &request->arena, request->version)))
        alter_run(alter, alter->in.incremental.resources_count, alter->in.incremental.validate_only);
}
