/* CreatePartitions: topics grow. The controller decides, this file translates. Source: KIP-195. */
#include <xxhash.h>

#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "wire/messages.h"

struct create_partitions {
    struct request *request;
    struct create_partitions_request in;
    struct controller_op op;
};

/* Manual assignments can only name this node, once per partition. */
static void assignments_take(const struct request *request, const struct create_partitions_request_topic *topic,
                             struct grow_item *item)
{
    item->assignment_count = topic->assignments_count;
    for (int32_t i = 0; i < topic->assignments_count && !item->assignment_wrong; i++) {
        const struct create_partitions_request_assignment *assignment = &topic->assignments[i];
        if (assignment->broker_ids_count < 1)
            item->assignment_wrong = "The manual partition assignment includes an empty replica list.";
        else if (assignment->broker_ids_count != 1 || assignment->broker_ids[0] != broker_node_id(request->broker))
            item->assignment_wrong = "a partition must be assigned to this one node";
    }
}

static void refuse(struct grow_item *item, enum kafka_error error, const char *message)
{
    item->refused = error;
    item->message = message;
}

/* False: no memory. */
static bool duplicates_refuse(struct create_partitions *create)
{
    struct controller_op *op = &create->op;
    uint64_t *hashes = arena_new(&create->request->arena, uint64_t, op->count);
    for (uint32_t i = 0; hashes && i < op->count; i++) {
        struct grow_item *item = &op->grows[i];
        hashes[i] = XXH3_64bits(item->name.data, item->name.len);
        for (uint32_t o = 0; o < i; o++) {
            if (hashes[i] != hashes[o] || !odk_str_eq(item->name, op->grows[o].name))
                continue;
            refuse(item, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
            refuse(&op->grows[o], KAFKA_INVALID_REQUEST, "Duplicate topic name.");
        }
    }
    return hashes != NULL;
}

static bool items_take(struct create_partitions *create)
{
    const struct create_partitions_request *in = &create->in;
    struct controller_op *op = &create->op;
    op->count = (uint32_t)in->topics_count;
    op->grows = arena_new(&create->request->arena, struct grow_item, op->count);
    for (uint32_t i = 0; op->grows && i < op->count; i++) {
        struct grow_item *item = &op->grows[i];
        item->name = in->topics[i].name;
        item->partition_count = in->topics[i].count;
        assignments_take(create->request, &in->topics[i], item);
        if (op->count > TOPICS_PER_CHANGE_MAX)
            refuse(item, KAFKA_POLICY_VIOLATION, "too many topics in one request");
    }
    return op->grows && (op->count > TOPICS_PER_CHANGE_MAX || duplicates_refuse(create));
}

static void create_partitions_on_done(struct controller_op *op, struct broker *at)
{
    (void)at;
    struct request *request = container_of(op, struct create_partitions, op)->request;
    struct create_partitions_response reply;
    create_partitions_response_init(&reply);
    reply.results = arena_new(&request->arena, struct create_partitions_response_topic, op->count);
    if (!reply.results) {
        request_too_large(request);
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        const struct grow_item *item = &op->grows[i];
        struct create_partitions_response_topic *out = &reply.results[reply.results_count++];
        create_partitions_response_topic_init(out);
        out->name = item->name;
        out->error_code = (int16_t)item->error;
        if (item->message)
            out->error_message = odk_str_from(item->message);
    }
    request_reply(request, create_partitions_response_encode(&reply, request_reply_begin(request), request->version));
}

void handle_create_partitions(struct request *request)
{
    struct create_partitions *create = arena_new(&request->arena, struct create_partitions, 1);
    if (!create) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, create_partitions_request_decode(&create->in, &request->body, &request->arena,
                                                                   request->version)))
        return;
    create->request = request;
    create->op = (struct controller_op){ .kind = CONTROLLER_GROW,
                                         .done = create_partitions_on_done,
                                         .validate_only = create->in.validate_only };
    if (items_take(create))
        controller_submit(request->broker, &create->op);
    else
        request_too_large(request);
}
