/* ListConfigResources: names of what has settings. Source: KIP-1000, KIP-1142. */
#include <stdio.h>

#include "broker/api.h"
#include "broker/broker_internal.h"

/* Asked for before version 1, which knows nothing else. */
static const int8_t types_of_version_0[] = { CONFIG_RESOURCE_CLIENT_METRICS };
static const int8_t types_all[] = { CONFIG_RESOURCE_GROUP, CONFIG_RESOURCE_CLIENT_METRICS,
                                    CONFIG_RESOURCE_BROKER_LOGGER, CONFIG_RESOURCE_BROKER, CONFIG_RESOURCE_TOPIC };

struct list_resources {
    struct request *request;
    struct list_config_resources_request in;
    struct list_config_resources_response reply;
};

static bool has(const int8_t *types, size_t count, int8_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}

static void resource_add(struct list_resources *list, enum config_resource type, struct odk_str name)
{
    list->reply.config_resources[list->reply.config_resources_count++] =
        (struct list_config_resources_response_config_resource){ .resource_name = name, .resource_type = (int8_t)type };
}

/* There are no client metrics. */
static void type_add(struct list_resources *list, int8_t type, struct odk_str node_id)
{
    const struct broker *broker = list->request->broker;
    if (type == CONFIG_RESOURCE_BROKER || type == CONFIG_RESOURCE_BROKER_LOGGER)
        resource_add(list, (enum config_resource)type, node_id);
    for (const struct topic *topic = broker->topics.by_name; topic && type == CONFIG_RESOURCE_TOPIC;
         topic = topic->by_name.next)
        resource_add(list, CONFIG_RESOURCE_TOPIC, topic_name(topic));
    for (const struct group_configs_entry *entry = broker->group_configs.by_id; entry && type == CONFIG_RESOURCE_GROUP;
         entry = entry->hh.next)
        resource_add(list, CONFIG_RESOURCE_GROUP,
                     (struct odk_str){ .data = entry->group_id, .len = entry->hh.keylen });
}

/* False: no memory. */
static bool resources_add(struct list_resources *list, const int8_t *asked, size_t asked_count)
{
    struct request *request = list->request;
    const struct broker *broker = request->broker;
    size_t count = (size_t)broker->topics.topic_count + HASH_COUNT(broker->group_configs.by_id) + 2;
    char *id = arena_new(&request->arena, char, 16);
    list->reply.config_resources =
        arena_new(&request->arena, struct list_config_resources_response_config_resource, count);
    if (!id || !list->reply.config_resources)
        return false;
    int len = snprintf(id, 16, "%d", broker_node_id(broker));
    for (size_t i = 0; i < countof(types_all); i++) {
        if (has(asked, asked_count, types_all[i]))
            type_add(list, types_all[i], (struct odk_str){ .data = id, .len = (size_t)len });
    }
    return true;
}

void handle_list_config_resources(struct request *request)
{
    struct list_resources list = { .request = request };
    if (!request_decoded(request, list_config_resources_request_decode(&list.in, &request->body, &request->arena,
                                                                       request->version)))
        return;
    const int8_t *offered = request->version == 0 ? types_of_version_0 : types_all;
    size_t offered_count = request->version == 0 ? countof(types_of_version_0) : countof(types_all);
    bool all = list.in.resource_types_count <= 0;
    const int8_t *asked = all ? offered : list.in.resource_types;
    size_t asked_count = all ? offered_count : (size_t)list.in.resource_types_count;
    list_config_resources_response_init(&list.reply);
    for (size_t i = 0; i < asked_count; i++) {
        if (!has(offered, offered_count, asked[i]))
            list.reply.error_code = KAFKA_UNSUPPORTED_VERSION;
    }
    if (list.reply.error_code == KAFKA_NONE && !resources_add(&list, asked, asked_count)) {
        request_too_large(request);
        return;
    }
    request_reply(request,
                  list_config_resources_response_encode(&list.reply, request_reply_begin(request), request->version));
}
