/*
 * AlterReplicaLogDirs: everything lives in one directory. Moving there is done already; elsewhere there is nothing.
 * The path is compared as DescribeLogDirs tells it. Source: protocol guide; KIP-113.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"

static enum kafka_error partition_check(const struct request *request, struct odk_str path, struct odk_str name,
                                        int32_t index)
{
    if (!odk_str_eq(path, odk_str_from(odk_store_dir(request->broker->store))))
        return KAFKA_LOG_DIR_NOT_FOUND;
    struct topic *topic = topics_by_name(&request->broker->topics, name);
    return topic && topic_partition(topic, index) ? KAFKA_NONE : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

/* False: the arena is used up. */
static bool topic_fill(struct request *request, struct odk_str path,
                       const struct alter_replica_log_dirs_request_topic *in,
                       struct alter_replica_log_dirs_response_topic *out)
{
    out->topic_name = in->name;
    out->partitions =
        arena_new(&request->arena, struct alter_replica_log_dirs_response_partition, (size_t)in->partitions_count);
    if (!out->partitions)
        return false;
    for (; out->partitions_count < in->partitions_count; out->partitions_count++) {
        int32_t index = in->partitions[out->partitions_count];
        out->partitions[out->partitions_count] = (struct alter_replica_log_dirs_response_partition){
            .partition_index = index, .error_code = (int16_t)partition_check(request, path, in->name, index)
        };
    }
    return true;
}

/* One answer per partition and directory, in the order of the request. */
static bool reply_fill(struct request *request, const struct alter_replica_log_dirs_request *in,
                       struct alter_replica_log_dirs_response *reply)
{
    size_t count = 0;
    for (int32_t d = 0; d < in->dirs_count; d++)
        count += (size_t)in->dirs[d].topics_count;
    reply->results = arena_new(&request->arena, struct alter_replica_log_dirs_response_topic, count);
    if (!reply->results)
        return false;
    for (int32_t d = 0; d < in->dirs_count; d++)
        for (int32_t t = 0; t < in->dirs[d].topics_count; t++)
            if (!topic_fill(request, in->dirs[d].path, &in->dirs[d].topics[t],
                            &reply->results[reply->results_count++]))
                return false;
    return true;
}

void handle_alter_replica_log_dirs(struct request *request)
{
    struct alter_replica_log_dirs_request in;
    struct alter_replica_log_dirs_response reply;
    if (!request_decoded(request, alter_replica_log_dirs_request_decode(&in, &request->body, &request->arena,
                                                                        request->version)))
        return;
    alter_replica_log_dirs_response_init(&reply);
    if (!reply_fill(request, &in, &reply)) {
        request_too_large(request);
        return;
    }
    request_reply(request,
                  alter_replica_log_dirs_response_encode(&reply, request_reply_begin(request), request->version));
}
