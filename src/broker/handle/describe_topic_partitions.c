/*
 * DescribeTopicPartitions: topics and their partitions in the order of names, page by page. Source: protocol guide;
 * KIP-966.
 *
 * A page ends at the limit of partitions; the cursor says where the next one starts. Topics asked for by name come in
 * the order of names, too, each once.
 */
#include <stdlib.h>

#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/operations.h"


struct page {
    struct request *request;
    struct describe_topic_partitions_request in;
    struct describe_topic_partitions_response reply;
    int32_t *self;       /* this node's id: all replicas there are */
    struct odk_str from; /* the cursor */
    int32_t from_index;
    int32_t room; /* partitions that still fit */
};

static int str_order(struct odk_str a, struct odk_str b)
{
    size_t len = MIN(a.len, b.len);
    int order = len ? memcmp(a.data, b.data, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int name_order(const void *a, const void *b)
{
    const struct describe_topic_partitions_request_topic *left = a;
    const struct describe_topic_partitions_request_topic *right = b;
    return str_order(left->name, right->name);
}

static void partition_fill(struct page *page, int32_t index, struct describe_topic_partitions_response_partition *ret)
{
    describe_topic_partitions_response_partition_init(ret);
    ret->partition_index = index;
    ret->leader_id = *page->self;
    ret->leader_epoch = broker_leader_epoch(page->request->broker);
    ret->replica_nodes = page->self;
    ret->replica_nodes_count = 1;
    ret->isr_nodes = page->self;
    ret->isr_nodes_count = 1;
    ret->eligible_leader_replicas_count = 0;
    ret->last_known_elr_count = 0;
}

/* False: the arena is used up. */
static bool cursor_set(struct page *page, struct odk_str name, int32_t index)
{
    page->reply.next_cursor =
        arena_new(&page->request->arena, struct describe_topic_partitions_response_next_cursor, 1);
    if (!page->reply.next_cursor)
        return false;
    page->reply.next_cursor->topic_name = name;
    page->reply.next_cursor->partition_index = index;
    return true;
}

static bool topic_fill(struct page *page, struct topic *topic, struct describe_topic_partitions_response_topic *ret)
{
    int32_t first = odk_str_eq(topic_name(topic), page->from) ? page->from_index : 0;
    int32_t count = MIN(MAX(topic->partition_count - first, 0), page->room);
    ret->name = topic_name(topic);
    ret->topic_id = topic->id;
    ret->is_internal = topic->internal;
    ret->topic_authorized_operations = OPERATIONS_OF_TOPICS;
    ret->partitions =
        arena_new(&page->request->arena, struct describe_topic_partitions_response_partition, (size_t)count);
    ret->partitions_count = count;
    for (int32_t i = 0; ret->partitions && i < count; i++)
        partition_fill(page, first + i, &ret->partitions[i]);
    page->room -= count;
    if (first + count < topic->partition_count)
        return ret->partitions && cursor_set(page, topic_name(topic), first + count);
    return ret->partitions != NULL;
}

static struct describe_topic_partitions_response_topic *entry_add(struct page *page)
{
    struct describe_topic_partitions_response_topic *entry = &page->reply.topics[page->reply.topics_count++];
    describe_topic_partitions_response_topic_init(entry);
    return entry;
}

static bool named_fill(struct page *page)
{
    struct describe_topic_partitions_request_topic *names = page->in.topics;
    size_t count = (size_t)page->in.topics_count;
    page->reply.topics = arena_new(&page->request->arena, struct describe_topic_partitions_response_topic, count);
    if (!page->reply.topics)
        return false;
    qsort(names, count, sizeof(*names), name_order);
    for (size_t i = 0; i < count && !page->reply.next_cursor; i++) {
        struct topic *topic = topics_by_name(&page->request->broker->topics, names[i].name);
        bool again = i > 0 && odk_str_eq(names[i - 1].name, names[i].name);
        if (again || str_order(names[i].name, page->from) < 0)
            continue;
        if (page->room == 0)
            return cursor_set(page, names[i].name, 0);
        struct describe_topic_partitions_response_topic *entry = entry_add(page);
        if (topic && !topic_fill(page, topic, entry))
            return false;
        if (topic)
            continue;
        bool valid = topic_name_check(names[i].name) == NULL;
        entry->name = names[i].name;
        entry->error_code = valid ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_INVALID_TOPIC_EXCEPTION;
    }
    return true;
}

static int topic_order(const void *a, const void *b)
{
    struct topic *const *left = a;
    struct topic *const *right = b;
    return str_order(topic_name(*left), topic_name(*right));
}

static bool all_fill(struct page *page)
{
    struct arena *arena = &page->request->arena;
    struct topics *topics = &page->request->broker->topics;
    size_t count = topics->topic_count;
    struct topic **sorted = arena_new(arena, struct topic *, count);
    /* Every topic has a partition on the page but the first, whose last ones may have been on the page before. */
    page->reply.topics =
        arena_new(arena, struct describe_topic_partitions_response_topic, MIN(count, (size_t)page->room + 1));
    if (!sorted || !page->reply.topics)
        return false;
    size_t used = 0;
    struct topic *topic, *next;
    HASH_ITER(by_name, topics->by_name, topic, next)
    if (str_order(topic_name(topic), page->from) >= 0)
        sorted[used++] = topic;
    qsort(sorted, used, sizeof(*sorted), topic_order);
    for (size_t i = 0; i < used && !page->reply.next_cursor; i++) {
        if (page->room == 0)
            return cursor_set(page, topic_name(sorted[i]), 0);
        if (!topic_fill(page, sorted[i], entry_add(page)))
            return false;
    }
    return true;
}

static bool page_init(struct page *page)
{
    const struct broker_config *config = page->request->broker->env.config;
    int32_t limit = MIN(page->in.response_partition_limit, config->max_request_partition_size_limit);
    page->room = MAX(limit, 1);
    page->self = arena_new(&page->request->arena, int32_t, 1);
    if (!page->self)
        return false;
    *page->self = broker_node_id(page->request->broker);
    if (page->in.cursor) {
        page->from = page->in.cursor->topic_name;
        page->from_index = MAX(page->in.cursor->partition_index, 0);
    }
    describe_topic_partitions_response_init(&page->reply);
    return true;
}

void handle_describe_topic_partitions(struct request *request)
{
    struct page page = { .request = request };
    if (!request_decoded(request, describe_topic_partitions_request_decode(&page.in, &request->body, &request->arena,
                                                                           request->version)))
        return;
    if (!page_init(&page) || !(page.in.topics_count > 0 ? named_fill(&page) : all_fill(&page))) {
        request_too_large(request);
        return;
    }
    request_reply(request, describe_topic_partitions_response_encode(&page.reply, request_reply_begin(request),
                                                                     request->version));
}
