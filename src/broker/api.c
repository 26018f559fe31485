#include "broker/api.h"

#include <stddef.h>

#include "base/base.h"
#include "wire/messages.h"

/*
 * What works, in the order of keys: X(wire name, first version, last version that have a handler). A client is offered
 * these, cut to what the schema advertises.
 */
#define API_TABLE(X)                                                                                                   \
    X(produce, 0, 13)                                                                                                  \
    X(fetch, 0, 18)                                                                                                    \
    X(list_offsets, 0, 11)                                                                                             \
    X(metadata, 0, 13)                                                                                                 \
    X(offset_commit, 1, 10)                                                                                            \
    X(offset_fetch, 1, 10)                                                                                             \
    X(find_coordinator, 0, 6)                                                                                          \
    X(join_group, 0, 9)                                                                                                \
    X(heartbeat, 0, 4)                                                                                                 \
    X(leave_group, 0, 5)                                                                                               \
    X(sync_group, 0, 5)                                                                                                \
    X(describe_groups, 0, 6)                                                                                           \
    X(list_groups, 0, 5)                                                                                               \
    X(api_versions, 0, 5)                                                                                              \
    X(create_topics, 0, 7)                                                                                             \
    X(delete_topics, 0, 6)                                                                                             \
    X(delete_records, 0, 2)                                                                                            \
    X(init_producer_id, 0, 5)                                                                                          \
    X(offset_for_leader_epoch, 0, 4)                                                                                   \
    X(describe_acls, 0, 3)                                                                                             \
    X(create_acls, 0, 3)                                                                                               \
    X(delete_acls, 0, 3)                                                                                               \
    X(describe_configs, 0, 4)                                                                                          \
    X(alter_configs, 0, 2)                                                                                             \
    X(alter_replica_log_dirs, 0, 2)                                                                                    \
    X(describe_log_dirs, 0, 5)                                                                                         \
    X(create_partitions, 0, 3)                                                                                         \
    X(create_delegation_token, 0, 3)                                                                                   \
    X(renew_delegation_token, 0, 2)                                                                                    \
    X(expire_delegation_token, 0, 2)                                                                                   \
    X(describe_delegation_token, 0, 3)                                                                                 \
    X(delete_groups, 0, 3)                                                                                             \
    X(elect_leaders, 0, 2)                                                                                             \
    X(incremental_alter_configs, 0, 1)                                                                                 \
    X(alter_partition_reassignments, 0, 1)                                                                             \
    X(list_partition_reassignments, 0, 0)                                                                              \
    X(offset_delete, 0, 0)                                                                                             \
    X(describe_client_quotas, 0, 1)                                                                                    \
    X(alter_client_quotas, 0, 1)                                                                                       \
    X(describe_user_scram_credentials, 0, 0)                                                                           \
    X(alter_user_scram_credentials, 0, 0)                                                                              \
    X(describe_quorum, 0, 2)                                                                                           \
    X(update_features, 0, 2)                                                                                           \
    X(describe_cluster, 0, 2)                                                                                          \
    X(describe_producers, 0, 0)                                                                                        \
    X(describe_transactions, 0, 0)                                                                                     \
    X(list_transactions, 0, 2)                                                                                         \
    X(consumer_group_heartbeat, 0, 1)                                                                                  \
    X(consumer_group_describe, 0, 1)                                                                                   \
    X(list_config_resources, 0, 1)                                                                                     \
    X(describe_topic_partitions, 0, 0)

/* The schema's facts under names that API_TABLE can paste. */
#define X(name, key, first, last, flexible, advertised_first, advertised_last)                                         \
    enum { SCHEMA_KEY_##name = key, SCHEMA_FIRST_##name = advertised_first, SCHEMA_LAST_##name = advertised_last };
WIRE_APIS(X)
#undef X

#define X(name, from, to)                                                                                              \
    _Static_assert((from) >= SCHEMA_FIRST_##name && (to) <= SCHEMA_LAST_##name, "offered but not in the schema");
API_TABLE(X)
#undef X

#define X(name, from, to) { .handle = handle_##name, .key = SCHEMA_KEY_##name, .first = from, .last = to },
static const struct api rows[] = { API_TABLE(X) };
#undef X

const struct api *api_rows(uint32_t *ret_count)
{
    *ret_count = countof(rows);
    return rows;
}

const struct api *api_find(int16_t key)
{
    for (size_t i = 0; i < countof(rows); i++) {
        if (rows[i].key == key)
            return &rows[i];
    }
    return NULL;
}
