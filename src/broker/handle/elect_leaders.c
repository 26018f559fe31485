/*
 * ElectLeaders: every partition is led by the only node there is, which is also its preferred one, so no election is
 * ever needed. Source: protocol guide; KIP-183, KIP-460.
 *
 * Asked for all partitions, Kafka names only those whose leader changed or could not: none here.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

enum election { ELECTION_PREFERRED = 0, ELECTION_UNCLEAN = 1 };

/* Kafka's words, so that people find them. */
#define NOT_NEEDED   "Leader election not needed for topic partition."
#define UNKNOWN      "No such topic or partition."
#define UNKNOWN_TYPE "Unknown election type."

struct verdict {
    enum kafka_error error;
    struct odk_str message;
};

static struct verdict partition_verdict(const struct request *request, struct odk_str name, int32_t index)
{
    struct topic *topic = topics_by_name(&request->broker->topics, name);
    if (!topic || !topic_partition(topic, index))
        return (struct verdict){ KAFKA_UNKNOWN_TOPIC_OR_PARTITION, ODK_STR(UNKNOWN) };
    return (struct verdict){ KAFKA_ELECTION_NOT_NEEDED, ODK_STR(NOT_NEEDED) };
}

/* refused: the same answer for every partition; NULL: each has its own. False: the arena is used up. */
static bool topic_fill(struct request *request, const struct elect_leaders_request_topic_partition *in,
                       const struct verdict *refused, struct elect_leaders_response_topic *out)
{
    out->topic = in->topic;
    out->partition_result =
        arena_new(&request->arena, struct elect_leaders_response_partition, (size_t)in->partitions_count);
    out->partition_result_count = in->partitions_count;
    for (int32_t i = 0; out->partition_result && i < in->partitions_count; i++) {
        struct verdict verdict = refused ? *refused : partition_verdict(request, in->topic, in->partitions[i]);
        out->partition_result[i] =
            (struct elect_leaders_response_partition){ .partition_id = in->partitions[i],
                                                       .error_code = (int16_t)verdict.error,
                                                       .error_message = verdict.message };
    }
    return out->partition_result != NULL;
}

static bool reply_fill(struct request *request, const struct elect_leaders_request *in,
                       struct elect_leaders_response *reply)
{
    static const struct verdict bad_type = { KAFKA_INVALID_REQUEST, ODK_STR(UNKNOWN_TYPE) };
    bool valid = in->election_type == ELECTION_PREFERRED || in->election_type == ELECTION_UNCLEAN;
    int32_t count = MAX(in->topic_partitions_count, 0);
    /* A list without an element asks for nothing, whatever its type. */
    if (!valid && in->topic_partitions_count != 0)
        reply->error_code = (int16_t)bad_type.error;
    reply->replica_election_results = arena_new(&request->arena, struct elect_leaders_response_topic, (size_t)count);
    reply->replica_election_results_count = count;
    for (int32_t i = 0; reply->replica_election_results && i < count; i++)
        if (!topic_fill(request, &in->topic_partitions[i], valid ? NULL : &bad_type,
                        &reply->replica_election_results[i]))
            return false;
    return reply->replica_election_results != NULL;
}

void handle_elect_leaders(struct request *request)
{
    struct elect_leaders_request in;
    struct elect_leaders_response reply;
    if (!request_decoded(request, elect_leaders_request_decode(&in, &request->body, &request->arena, request->version)))
        return;
    elect_leaders_response_init(&reply);
    if (!reply_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request, elect_leaders_response_encode(&reply, request_reply_begin(request), request->version));
}
