#include "client/offsets.h"

#include <stdlib.h>

#define VERSION_MAX 9
#define NO_LEADER   (-1)

int log_offset_order(const void *left, const void *right)
{
    const struct log_offset *a = left;
    const struct log_offset *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static struct log_offset *entry_find(struct log_offset *list, size_t count, struct odk_str topic, int32_t partition)
{
    struct log_offset key = { .topic = topic, .partition = partition };
    return bsearch(&key, list, count, sizeof(*list), log_offset_order);
}

/* -- leaders --------------------------------------------------------------------------------------------------------
 */

static void leaders_take(const struct metadata_response *metadata, struct log_offset *list, size_t count,
                         int32_t *leaders)
{
    for (int32_t t = 0; t < metadata->topics_count; t++) {
        const struct metadata_response_topic *topic = &metadata->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct log_offset *entry = entry_find(list, count, topic->name, topic->partitions[p].partition_index);
            if (entry)
                leaders[entry - list] = topic->partitions[p].leader_id;
        }
    }
}

static enum exit_code leaders_find(struct cluster *cluster, struct log_offset *list, size_t count, int32_t *leaders)
{
    struct metadata_response metadata;
    size_t topic_count = 0;
    if (cluster_node_count(cluster) == 1) {
        for (size_t i = 0; i < count; i++)
            leaders[i] = cluster_node(cluster, 0)->node_id;
        return EXIT_CODE_OK;
    }
    struct odk_str *topics = client_new(cluster_first(cluster), struct odk_str, count);
    for (size_t i = 0; i < count; i++) {
        leaders[i] = NO_LEADER;
        if (i == 0 || !odk_str_eq(list[i].topic, list[i - 1].topic))
            topics[topic_count++] = list[i].topic;
    }
    enum exit_code code = cluster_topics(cluster, topics, topic_count, &metadata);
    if (code == EXIT_CODE_OK)
        leaders_take(&metadata, list, count, leaders);
    return code;
}

/* -- one leader -----------------------------------------------------------------------------------------------------
 */

struct question {
    struct log_offset *list;
    size_t count;
    const int32_t *leaders;
    int64_t which;
};

/* False: nothing to ask of this leader. */
static bool request_build(struct client *client, const struct question *q, int32_t leader,
                          struct list_offsets_request *ret)
{
    struct list_offsets_request_partition *partitions =
        client_new(client, struct list_offsets_request_partition, q->count);
    struct list_offsets_request_topic *topic = NULL;
    list_offsets_request_init(ret);
    ret->replica_id = -1;
    ret->topics = client_new(client, struct list_offsets_request_topic, q->count);
    for (size_t i = 0; i < q->count; i++) {
        if (q->leaders[i] != leader)
            continue;
        if (!topic || !odk_str_eq(topic->name, q->list[i].topic)) {
            topic = &ret->topics[ret->topics_count++];
            topic->name = q->list[i].topic;
            topic->partitions = &partitions[i]; /* one for each entry from here on: enough */
        }
        struct list_offsets_request_partition *partition = &topic->partitions[topic->partitions_count++];
        list_offsets_request_partition_init(partition);
        partition->partition_index = q->list[i].partition;
        partition->timestamp = q->which;
    }
    return ret->topics_count > 0;
}

static void response_take(const struct question *q, const struct list_offsets_response *response)
{
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct list_offsets_response_topic *topic = &response->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            const struct list_offsets_response_partition *partition = &topic->partitions[p];
            struct log_offset *entry = entry_find(q->list, q->count, topic->name, partition->partition_index);
            if (!entry)
                continue;
            entry->error = partition->error_code;
            entry->offset = partition->error_code == KAFKA_NONE ? partition->offset : -1;
        }
    }
}

static enum exit_code leader_ask(struct cluster *cluster, const struct question *q, int32_t leader)
{
    struct list_offsets_request request;
    struct list_offsets_response response;
    struct client_call call = { WIRE_KEY_LIST_OFFSETS, -1, &request, &response };
    struct client *client;
    if (!request_build(cluster_first(cluster), q, leader, &request))
        return EXIT_CODE_OK;
    enum exit_code code = cluster_reach(cluster, leader, &client);
    if (code != EXIT_CODE_OK)
        return code;
    call.version = client_version(client, call.key, VERSION_MAX);
    code = client_call(client, &call);
    if (code == EXIT_CODE_OK)
        response_take(q, &response);
    return cluster_note(cluster, client, code);
}

enum exit_code offsets_find(struct cluster *cluster, struct log_offset *list, size_t count, int64_t which)
{
    int32_t *leaders = client_new(cluster_first(cluster), int32_t, count);
    struct question question = { .list = list, .count = count, .leaders = leaders, .which = which };
    enum exit_code code = leaders_find(cluster, list, count, leaders);
    for (size_t i = 0; i < count; i++) {
        ASSERT(i == 0 || log_offset_order(&list[i - 1], &list[i]) < 0);
        list[i].offset = -1;
        list[i].error = KAFKA_LEADER_NOT_AVAILABLE; /* until one answers */
    }
    for (size_t i = 0; i < cluster_node_count(cluster) && code == EXIT_CODE_OK; i++)
        code = leader_ask(cluster, &question, cluster_node(cluster, i)->node_id);
    return code;
}
