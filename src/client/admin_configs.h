/*
 * What the command line asks about settings: of topics, of brokers, of groups.
 *
 * A call that fails as a whole returns a code other than EXIT_CODE_OK, with cluster_why. What a broker says of one
 * resource is that resource's error. Everything returned lives until cluster_close.
 *
 * Source: KIP-133, 226, 339, 1142.
 */
#pragma once
#include "client/cluster.h"

/* The protocol's numbers. */
enum admin_config_type { ADMIN_CONFIG_TOPIC = 2, ADMIN_CONFIG_BROKER = 4, ADMIN_CONFIG_GROUP = 32 };
enum admin_how { ADMIN_SET = 0, ADMIN_DELETE = 1, ADMIN_APPEND = 2, ADMIN_SUBTRACT = 3 };

/* Whose settings. A broker's are asked of that broker; with an empty name they are those for all brokers. */
struct admin_config_target {
    enum admin_config_type type;
    struct odk_str name;
};

struct admin_change {
    struct odk_str key;
    struct odk_str value; /* data NULL: none, for ADMIN_DELETE */
    enum admin_how how;
};

/* "KEY=VALUE", for ADMIN_DELETE "KEY"; views of text. False: it is something else. */
bool admin_change_parse(const char *text, enum admin_how how, struct admin_change *ret);
/* "topic", "broker", "group" for people and JSON; NULL for other numbers. */
const char *admin_config_type_name(int8_t type);
/* Where a value comes from, for people and JSON: "topic", "broker", "brokers", "start", "default", "group"; "unknown".
 */
const char *admin_config_source_name(int8_t source);
/* True if the value was given to the target itself, or (of brokers) by anybody. */
bool admin_config_is_given(enum admin_config_type type, const struct describe_configs_response_config *config);

/* ret_resources: one for each target, settings ordered by key. keys NULL: all. */
ODK_MUST_USE enum exit_code admin_configs_describe(struct cluster *cluster, const struct admin_config_target *targets,
                                                   size_t count, const struct odk_str *keys, size_t key_count,
                                                   struct describe_configs_response_resource **ret_resources);

struct admin_outcome {
    int16_t error;
    struct odk_str message; /* of the broker; may be empty */
};

/* Makes all changes of each target, or none of it. ret_outcomes: one for each target. */
ODK_MUST_USE enum exit_code admin_configs_alter(struct cluster *cluster, const struct admin_config_target *targets,
                                                size_t count, const struct admin_change *changes, size_t change_count,
                                                bool dry_run, struct admin_outcome **ret_outcomes);

/* Names of what has settings, by type, then name. type 0: topics, brokers and groups. */
ODK_MUST_USE enum exit_code admin_configs_list(struct cluster *cluster, int8_t type,
                                               struct admin_config_target **ret_targets, size_t *ret_count);
