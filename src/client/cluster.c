#include "client/cluster.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_VERSION_MAX      12
#define METADATA_VERSION_ALL_NULL 1 /* null asks for all topics from here on, an empty list before */

struct cluster {
    struct client_options options;
    struct client *first;
    struct client **clients; /* by node; NULL: not connected. A lone node's is first */
    const struct metadata_response_broker *nodes;
    size_t node_count;
    char why[600];
};

const char *cluster_why(const struct cluster *cluster)
{
    return cluster->why;
}

struct client *cluster_first(struct cluster *cluster)
{
    return cluster->first;
}

size_t cluster_node_count(const struct cluster *cluster)
{
    return cluster->node_count;
}

const struct metadata_response_broker *cluster_node(const struct cluster *cluster, size_t idx)
{
    ASSERT(idx < cluster->node_count);
    return &cluster->nodes[idx];
}

const struct metadata_response_broker *cluster_node_find(const struct cluster *cluster, int32_t node_id)
{
    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->nodes[i].node_id == node_id)
            return &cluster->nodes[i];
    return NULL;
}

enum exit_code cluster_note(struct cluster *cluster, const struct client *client, enum exit_code code)
{
    if (code != EXIT_CODE_OK)
        (void)snprintf(cluster->why, sizeof(cluster->why), "%s", client_why(client));
    return code;
}

enum exit_code cluster_fail(struct cluster *cluster, enum exit_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(cluster->why, sizeof(cluster->why), format, args);
    va_end(args);
    return code;
}

int64_t cluster_deadline(struct cluster *cluster)
{
    return client_mono_ms(cluster->first) + cluster->options.timeout_ms;
}

enum exit_code cluster_reach(struct cluster *cluster, int32_t node_id, struct client **ret_client)
{
    const struct metadata_response_broker *node = cluster_node_find(cluster, node_id);
    struct client_options options = cluster->options;
    char address[300];
    if (!node)
        return cluster_fail(cluster, EXIT_CODE_FAILURE, "node %d is not part of the cluster; try again", node_id);
    struct client **client = &cluster->clients[node - cluster->nodes];
    if (!*client) {
        bool numeric6 = memchr(node->host.data, ':', node->host.len) != NULL;
        (void)snprintf(address, sizeof(address), numeric6 ? "[%.*s]:%d" : "%.*s:%d", ODK_STR_FMT(node->host),
                       node->port);
        options.brokers = address;
        enum exit_code code = client_open(&options, client);
        if (code != EXIT_CODE_OK) {
            (void)cluster_note(cluster, *client, code);
            client_close(*client);
            *client = NULL;
            return code;
        }
    }
    *ret_client = *client;
    return EXIT_CODE_OK;
}

static int topic_order(const void *left, const void *right)
{
    const struct metadata_response_topic *a = left;
    const struct metadata_response_topic *b = right;
    return odk_str_order(a->name, b->name);
}

static int partition_order(const void *left, const void *right)
{
    const struct metadata_response_partition *a = left;
    const struct metadata_response_partition *b = right;
    return (a->partition_index > b->partition_index) - (a->partition_index < b->partition_index);
}

static void topics_sort(struct metadata_response *metadata)
{
    if (metadata->topics_count > 0)
        qsort(metadata->topics, (size_t)metadata->topics_count, sizeof(*metadata->topics), topic_order);
    for (int32_t i = 0; i < metadata->topics_count; i++) {
        struct metadata_response_topic *topic = &metadata->topics[i];
        if (topic->partitions_count > 0)
            qsort(topic->partitions, (size_t)topic->partitions_count, sizeof(*topic->partitions), partition_order);
    }
}

enum exit_code cluster_topics(struct cluster *cluster, const struct odk_str *names, size_t count,
                              struct metadata_response *ret)
{
    struct client *client = cluster->first;
    struct metadata_request request;
    struct client_call call = { WIRE_KEY_METADATA, -1, &request, ret };
    call.version = client_version(client, call.key, METADATA_VERSION_MAX);
    metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    request.topics_count = !names && call.version >= METADATA_VERSION_ALL_NULL ? -1 : (int32_t)count;
    request.topics = client_new(client, struct metadata_request_topic, count);
    for (size_t i = 0; i < count; i++)
        request.topics[i].name = names[i];
    enum exit_code code = client_call(client, &call);
    if (code == EXIT_CODE_OK)
        topics_sort(ret);
    return cluster_note(cluster, client, code);
}

static enum exit_code nodes_learn(struct cluster *cluster)
{
    struct metadata_response metadata;
    static const struct odk_str none;
    enum exit_code code = cluster_topics(cluster, &none, 0, &metadata);
    if (code != EXIT_CODE_OK)
        return code;
    cluster->nodes = metadata.brokers;
    cluster->node_count = (size_t)MAX(metadata.brokers_count, 0);
    cluster->clients = xcalloc(cluster->node_count, sizeof(struct client *));
    if (cluster->node_count == 1)
        cluster->clients[0] = cluster->first;
    return EXIT_CODE_OK;
}

enum exit_code cluster_open(const struct client_options *options, struct cluster **ret_cluster)
{
    struct cluster *cluster = xcalloc(1, sizeof(*cluster));
    *ret_cluster = cluster;
    cluster->options = *options;
    enum exit_code code = client_open(options, &cluster->first);
    return code == EXIT_CODE_OK ? nodes_learn(cluster) : cluster_note(cluster, cluster->first, code);
}

void cluster_close(struct cluster *cluster)
{
    if (!cluster)
        return;
    for (size_t i = 0; i < cluster->node_count; i++)
        if (cluster->clients[i] != cluster->first)
            client_close(cluster->clients[i]);
    client_close(cluster->first);
    free(cluster->clients);
    free(cluster);
}
