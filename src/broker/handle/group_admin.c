/*
 * What tools ask about groups: DescribeGroups, ConsumerGroupDescribe, DeleteGroups of many groups at once, and ListGroups
 * of all. The answers of all owners are put together here. Source: protocol guide; KIP-229, KIP-430, KIP-518, KIP-848.
 */
#include <xxhash.h>

#include "base/limits.h"
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/group_trip.h"
#include "broker/operations.h"
#include "wire/messages.h"

/* -- DescribeGroups ------------------------------------------------------------------------------------------------- */

struct describe_groups {
    struct group_trip trip;
    struct describe_groups_request in;
    struct describe_groups_response out;
};

static void describe_groups_home(struct group_trip *trip)
{
    struct describe_groups *own = container_of(trip, struct describe_groups, trip);
    struct request *request = trip->request;
    for (int32_t i = 0; own->in.include_authorized_operations && i < own->out.groups_count; i++) {
        if (own->out.groups[i].error_code == KAFKA_NONE)
            own->out.groups[i].authorized_operations = OPERATIONS_OF_GROUPS;
    }
    request_reply(request, describe_groups_response_encode(&own->out, request_reply_begin(request), request->version));
}

static bool describe_groups_plan(struct describe_groups *own, struct request *request)
{
    int32_t count = own->in.groups_count;
    own->out.groups = arena_new(&request->arena, struct describe_groups_response_group, (size_t)count);
    own->out.groups_count = count;
    bool fits = own->out.groups && group_trip_init(&own->trip, request, describe_groups_home);
    for (int32_t i = 0; fits && i < count; i++) {
        describe_groups_response_group_init(&own->out.groups[i]);
        fits = group_trip_add(&own->trip, GROUP_CALL_DESCRIBE, own->in.groups[i], &own->in.groups[i],
                              &own->out.groups[i]);
    }
    return fits;
}

void handle_describe_groups(struct request *request)
{
    struct describe_groups *own = arena_new(&request->arena, struct describe_groups, 1);
    if (!own) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         describe_groups_request_decode(&own->in, &request->body, &request->arena, request->version)))
        return;
    describe_groups_response_init(&own->out);
    if (describe_groups_plan(own, request))
        group_trip_go(&own->trip);
    else
        request_too_large(request);
}

/* -- ConsumerGroupDescribe ------------------------------------------------------------------------------------------ */

struct consumer_group_describe {
    struct group_trip trip;
    struct consumer_group_describe_request in;
    struct consumer_group_describe_response out;
};

static void consumer_group_describe_home(struct group_trip *trip)
{
    struct consumer_group_describe *own = container_of(trip, struct consumer_group_describe, trip);
    struct request *request = trip->request;
    for (int32_t i = 0; own->in.include_authorized_operations && i < own->out.groups_count; i++) {
        if (own->out.groups[i].error_code == KAFKA_NONE)
            own->out.groups[i].authorized_operations = OPERATIONS_OF_GROUPS;
    }
    request_reply(request,
                  consumer_group_describe_response_encode(&own->out, request_reply_begin(request), request->version));
}

static bool consumer_group_describe_plan(struct consumer_group_describe *own, struct request *request)
{
    int32_t count = own->in.group_ids_count;
    own->out.groups = arena_new(&request->arena, struct consumer_group_describe_response_group, (size_t)count);
    own->out.groups_count = count;
    bool fits = own->out.groups && group_trip_init(&own->trip, request, consumer_group_describe_home);
    for (int32_t i = 0; fits && i < count; i++) {
        consumer_group_describe_response_group_init(&own->out.groups[i]);
        fits = group_trip_add(&own->trip, GROUP_CALL_CONSUMER_DESCRIBE, own->in.group_ids[i], &own->in.group_ids[i],
                              &own->out.groups[i]);
    }
    return fits;
}

void handle_consumer_group_describe(struct request *request)
{
    struct consumer_group_describe *own = arena_new(&request->arena, struct consumer_group_describe, 1);
    if (!own) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request, consumer_group_describe_request_decode(&own->in, &request->body, &request->arena,
                                                                         request->version)))
        return;
    consumer_group_describe_response_init(&own->out);
    if (consumer_group_describe_plan(own, request))
        group_trip_go(&own->trip);
    else
        request_too_large(request);
}

/* -- DeleteGroups --------------------------------------------------------------------------------------------------- */

struct delete_groups {
    struct group_trip trip;
    struct delete_groups_request in;
    struct delete_groups_response out;
};

static void delete_groups_home(struct group_trip *trip)
{
    const struct delete_groups *own = container_of(trip, struct delete_groups, trip);
    struct request *request = trip->request;
    request_reply(request, delete_groups_response_encode(&own->out, request_reply_begin(request), request->version));
}

/* Names that were met, as their place + 1, in an open hash table; 0 is free. */
struct names_seen {
    const struct odk_str *names;
    uint32_t *slots;
    uint32_t mask;
    uint64_t seed; /* nobody can choose names that collide */
};

static bool names_seen_init(struct names_seen *seen, struct request *request, const struct odk_str *names,
                            uint32_t count)
{
    const struct broker_env *env = &request->broker->env;
    uint32_t slots = 4;
    while (slots < 2 * count)
        slots *= 2;
    *seen = (struct names_seen){ .names = names,
                                 .slots = arena_new(&request->arena, uint32_t, slots),
                                 .mask = slots - 1 };
    env->random(env->context, &seen->seed, sizeof(seen->seed));
    return seen->slots != NULL;
}

/* Remembers the name at place; false when there was one like it. */
static bool names_seen_add(struct names_seen *seen, uint32_t place)
{
    struct odk_str name = seen->names[place];
    uint32_t slot = (uint32_t)XXH3_64bits_withSeed(name.data, name.len, seen->seed) & seen->mask;
    for (; seen->slots[slot] != 0; slot = (slot + 1) & seen->mask) {
        if (odk_str_eq(seen->names[seen->slots[slot] - 1], name))
            return false;
    }
    seen->slots[slot] = place + 1;
    return true;
}

/* A group that is named twice has one result, as with Kafka. */
static bool delete_groups_plan(struct delete_groups *own, struct request *request)
{
    int32_t count = own->in.groups_names_count;
    struct names_seen seen;
    own->out.results = arena_new(&request->arena, struct delete_groups_response_group, (size_t)count);
    bool fits = own->out.results && group_trip_init(&own->trip, request, delete_groups_home) &&
                names_seen_init(&seen, request, own->in.groups_names, (uint32_t)count);
    for (int32_t i = 0; fits && i < count; i++) {
        if (!names_seen_add(&seen, (uint32_t)i))
            continue;
        struct delete_groups_response_group *result = &own->out.results[own->out.results_count++];
        delete_groups_response_group_init(result);
        fits = group_trip_add(&own->trip, GROUP_CALL_DELETE, own->in.groups_names[i], &own->in.groups_names[i], result);
    }
    return fits;
}

void handle_delete_groups(struct request *request)
{
    struct delete_groups *own = arena_new(&request->arena, struct delete_groups, 1);
    if (!own) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         delete_groups_request_decode(&own->in, &request->body, &request->arena, request->version)))
        return;
    delete_groups_response_init(&own->out);
    if (delete_groups_plan(own, request))
        group_trip_go(&own->trip);
    else
        request_too_large(request);
}

/* -- ListGroups ----------------------------------------------------------------------------------------------------- */

struct list_groups {
    struct group_trip trip;
    struct list_groups_request in;
    struct list_groups_response *parts; /* one for each partition */
    int32_t part_count;
};

/* The error of the whole answer. Kafka leaves out what it does not coordinate, and cannot answer while it loads. */
static int16_t parts_error(const struct list_groups *own, int32_t *ret_group_count)
{
    *ret_group_count = 0;
    for (int32_t i = 0; i < own->part_count; i++) {
        if (own->parts[i].error_code != KAFKA_NONE && own->parts[i].error_code != KAFKA_NOT_COORDINATOR)
            return own->parts[i].error_code;
        *ret_group_count += own->parts[i].groups_count;
    }
    return KAFKA_NONE;
}

static void list_groups_home(struct group_trip *trip)
{
    const struct list_groups *own = container_of(trip, struct list_groups, trip);
    struct request *request = trip->request;
    struct list_groups_response reply;
    int32_t count;
    list_groups_response_init(&reply);
    reply.error_code = parts_error(own, &count);
    count = reply.error_code == KAFKA_NONE ? count : 0;
    reply.groups = arena_new(&request->arena, struct list_groups_response_group, (size_t)count);
    if (!reply.groups) {
        request_too_large(request);
        return;
    }
    for (int32_t i = 0; reply.groups_count < count; i++) {
        const struct list_groups_response *part = &own->parts[i];
        for (int32_t group = 0; group < part->groups_count; group++)
            reply.groups[reply.groups_count++] = part->groups[group];
    }
    request_reply(request, list_groups_response_encode(&reply, request_reply_begin(request), request->version));
}

static void list_groups_refuse(struct request *request)
{
    struct list_groups_response reply;
    list_groups_response_init(&reply);
    reply.error_code = KAFKA_INVALID_REQUEST;
    request_reply(request, list_groups_response_encode(&reply, request_reply_begin(request), request->version));
}

/* Nobody has asked for a group yet when there is no topic for them: then there are none. */
static bool list_groups_plan(struct list_groups *own, struct request *request)
{
    const struct topic *topic = topics_by_name(&request->broker->topics, ODK_STR(GROUP_TOPIC_NAME));
    own->part_count = topic ? topic->partition_count : 0;
    own->parts = arena_new(&request->arena, struct list_groups_response, (size_t)own->part_count);
    bool fits = own->parts && group_trip_init(&own->trip, request, list_groups_home);
    for (int32_t i = 0; fits && i < own->part_count; i++) {
        list_groups_response_init(&own->parts[i]);
        fits = group_trip_add_partition(&own->trip, GROUP_CALL_LIST, i, &own->in, &own->parts[i]);
    }
    return fits;
}

void handle_list_groups(struct request *request)
{
    struct list_groups *own = arena_new(&request->arena, struct list_groups, 1);
    if (!own) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         list_groups_request_decode(&own->in, &request->body, &request->arena, request->version)))
        return;
    if (own->in.states_filter_count > GROUP_LIST_FILTERS_MAX || own->in.types_filter_count > GROUP_LIST_FILTERS_MAX)
        list_groups_refuse(request);
    else if (list_groups_plan(own, request))
        group_trip_go(&own->trip);
    else
        request_too_large(request);
}
