/*
 * OffsetFetch: what groups have committed; from version 8 on for many groups at once. Older ones are asked for in the new
 * form and answered in theirs. Source: protocol guide; KIP-709, KIP-848.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/group_trip.h"
#include "wire/messages.h"

#define VERSION_GROUPS    8
#define VERSION_TOP_ERROR 2 /* before it, every partition says the error of the group */

struct offset_fetch {
    struct group_trip trip;
    struct offset_fetch_request in;
    struct offset_fetch_response_group *out; /* one for each of in.groups */
};

/* -- old versions --------------------------------------------------------------------------------------------------- */

/* The one group of an old request, as a new one names it. */
static bool group_from_old(struct request *request, struct offset_fetch_request *in)
{
    struct offset_fetch_request_group *group = arena_new(&request->arena, struct offset_fetch_request_group, 1);
    size_t count = (size_t)MAX(in->topics_count, 0);
    struct offset_fetch_request_group_topic *topics =
        arena_new(&request->arena, struct offset_fetch_request_group_topic, count);
    if (!group || !topics)
        return false;
    offset_fetch_request_group_init(group);
    for (size_t i = 0; i < count; i++)
        topics[i] = (struct offset_fetch_request_group_topic){
            .name = in->topics[i].name,
            .partition_indexes = in->topics[i].partition_indexes,
            .partition_indexes_count = in->topics[i].partition_indexes_count,
        };
    group->group_id = in->group_id;
    group->topics = topics;
    group->topics_count = in->topics_count;
    in->groups = group;
    in->groups_count = 1;
    return true;
}

static bool topic_to_old(struct request *request, const struct offset_fetch_response_group_topic *from,
                         struct offset_fetch_response_topic *to)
{
    to->name = from->name;
    to->partitions_count = from->partitions_count;
    to->partitions =
        arena_new(&request->arena, struct offset_fetch_response_partition, (size_t)from->partitions_count);
    for (int32_t i = 0; to->partitions && i < from->partitions_count; i++)
        to->partitions[i] = (struct offset_fetch_response_partition){
            .partition_index = from->partitions[i].partition_index,
            .committed_offset = from->partitions[i].committed_offset,
            .committed_leader_epoch = from->partitions[i].committed_leader_epoch,
            .metadata = from->partitions[i].metadata,
            .error_code = from->partitions[i].error_code,
        };
    return to->partitions != NULL;
}

/* Every partition that was asked for says error. */
static bool topic_of_error(struct request *request, const struct offset_fetch_request_group_topic *asked, int16_t error,
                           struct offset_fetch_response_topic *to)
{
    to->name = asked->name;
    to->partitions_count = asked->partition_indexes_count;
    to->partitions =
        arena_new(&request->arena, struct offset_fetch_response_partition, (size_t)asked->partition_indexes_count);
    for (int32_t i = 0; to->partitions && i < asked->partition_indexes_count; i++)
        to->partitions[i] = (struct offset_fetch_response_partition){ .partition_index = asked->partition_indexes[i],
                                                                       .committed_offset = -1,
                                                                       .committed_leader_epoch = -1,
                                                                       .metadata = ODK_STR(""),
                                                                       .error_code = error };
    return to->partitions != NULL;
}

static bool reply_to_old(struct offset_fetch *fetch, struct offset_fetch_response *reply)
{
    struct request *request = fetch->trip.request;
    const struct offset_fetch_request_group *asked = &fetch->in.groups[0];
    const struct offset_fetch_response_group *from = &fetch->out[0];
    bool spread = from->error_code != KAFKA_NONE && request->version < VERSION_TOP_ERROR;
    int32_t count = spread ? asked->topics_count : from->topics_count;
    bool fits = true;
    reply->error_code = from->error_code;
    reply->topics_count = count;
    reply->topics = arena_new(&request->arena, struct offset_fetch_response_topic, (size_t)count);
    for (int32_t i = 0; fits && reply->topics && i < count; i++)
        fits = spread ? topic_of_error(request, &asked->topics[i], from->error_code, &reply->topics[i])
                      : topic_to_old(request, &from->topics[i], &reply->topics[i]);
    return fits && reply->topics;
}

/* -- all ---------------------------------------------------------------------------------------------------------- */

static void offset_fetch_home(struct group_trip *trip)
{
    struct offset_fetch *fetch = container_of(trip, struct offset_fetch, trip);
    struct request *request = trip->request;
    struct offset_fetch_response reply;
    offset_fetch_response_init(&reply);
    reply.groups = fetch->out;
    reply.groups_count = fetch->in.groups_count;
    if (request->version < VERSION_GROUPS && !reply_to_old(fetch, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, offset_fetch_response_encode(&reply, request_reply_begin(request), request->version));
}

static bool offset_fetch_plan(struct offset_fetch *fetch, struct request *request)
{
    struct offset_fetch_request *in = &fetch->in;
    if (!group_trip_init(&fetch->trip, request, offset_fetch_home))
        return false;
    if (request->version < VERSION_GROUPS && !group_from_old(request, in))
        return false;
    fetch->out = arena_new(&request->arena, struct offset_fetch_response_group, (size_t)in->groups_count);
    bool fits = fetch->out != NULL;
    for (int32_t i = 0; fits && i < in->groups_count; i++) {
        offset_fetch_response_group_init(&fetch->out[i]);
        fetch->out[i].group_id = in->groups[i].group_id;
        fits = group_trip_add(&fetch->trip, GROUP_CALL_FETCH, in->groups[i].group_id, &in->groups[i], &fetch->out[i]);
    }
    return fits;
}

void handle_offset_fetch(struct request *request)
{
    struct offset_fetch *fetch = arena_new(&request->arena, struct offset_fetch, 1);
    if (!fetch) {
        request_too_large(request);
        return;
    }
    if (!request_decoded(request,
                         offset_fetch_request_decode(&fetch->in, &request->body, &request->arena, request->version)))
        return;
    if (offset_fetch_plan(fetch, request))
        group_trip_go(&fetch->trip);
    else
        request_too_large(request);
}
