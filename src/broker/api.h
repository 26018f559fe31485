/*
 * How a request finds its handler. The table in api.c is the list of what works: dispatch and ApiVersions both read it.
 *
 * A handler looks like this:
 *
 *     void handle_list_offsets(struct request *request)
 *     {
 *         struct list_offsets_request in;
 *         if (!request_decoded(request, list_offsets_request_decode(&in, &request->body, &request->arena,
 *                                                                  request->version)))
 *             return;
 *         ...
 *         struct list_offsets_response reply = { ... };      all memory from request->arena
 *         request_reply(request, list_offsets_response_encode(&reply, request_reply_begin(request), request->version));
 *     }
 *
 * or it parks: sets request->state and request->cancel, and replies later on the same shard.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct request;

struct api {
    void (*handle)(struct request *request);
    int16_t key;
    int16_t first, last; /* versions offered to clients */
};

/* NULL when the key is unknown or has no handler. */
const struct api *api_find(int16_t key);
/* Rows in the order of keys, for ApiVersions. */
const struct api *api_rows(uint32_t *ret_count);

void handle_produce(struct request *request);
void handle_fetch(struct request *request);
void handle_list_offsets(struct request *request);
void handle_metadata(struct request *request);
void handle_api_versions(struct request *request);
void handle_create_topics(struct request *request);
void handle_delete_topics(struct request *request);
void handle_init_producer_id(struct request *request);
void handle_describe_configs(struct request *request);
void handle_find_coordinator(struct request *request);
void handle_describe_cluster(struct request *request);
void handle_describe_topic_partitions(struct request *request);
void handle_offset_commit(struct request *request);
void handle_offset_fetch(struct request *request);
void handle_offset_delete(struct request *request);
void handle_join_group(struct request *request);
void handle_sync_group(struct request *request);
void handle_heartbeat(struct request *request);
void handle_leave_group(struct request *request);
void handle_describe_groups(struct request *request);
void handle_list_groups(struct request *request);
void handle_delete_groups(struct request *request);
void handle_consumer_group_heartbeat(struct request *request);
void handle_consumer_group_describe(struct request *request);
void handle_describe_acls(struct request *request);
void handle_create_acls(struct request *request);
void handle_delete_acls(struct request *request);
void handle_alter_replica_log_dirs(struct request *request);
void handle_create_delegation_token(struct request *request);
void handle_renew_delegation_token(struct request *request);
void handle_expire_delegation_token(struct request *request);
void handle_describe_delegation_token(struct request *request);
void handle_elect_leaders(struct request *request);
void handle_alter_partition_reassignments(struct request *request);
void handle_list_partition_reassignments(struct request *request);
void handle_describe_client_quotas(struct request *request);
void handle_alter_client_quotas(struct request *request);
void handle_describe_user_scram_credentials(struct request *request);
void handle_alter_user_scram_credentials(struct request *request);
void handle_describe_quorum(struct request *request);
void handle_update_features(struct request *request);
void handle_describe_transactions(struct request *request);
void handle_list_transactions(struct request *request);
void handle_delete_records(struct request *request);
void handle_offset_for_leader_epoch(struct request *request);
void handle_describe_log_dirs(struct request *request);
void handle_describe_producers(struct request *request);
void handle_list_config_resources(struct request *request);
void handle_alter_configs(struct request *request);
void handle_incremental_alter_configs(struct request *request);
void handle_create_partitions(struct request *request);

/* A version of ApiVersions that is not spoken: answered in version 0 with UNSUPPORTED_VERSION. */
void api_versions_unsupported(struct request *request);
