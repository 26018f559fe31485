/*
 * Goal: what one node without security, quotas or transactions answers to the admin requests about them: exactly
 * Kafka's errors, one per item, in every version.
 * Method: a broker of two shards, asked on the one that is not the controller; answers as a client decodes them.
 */
#include "harness.h"

#include "broker/feature_levels.h"

#define HERE 1 /* the shard that is asked */

static int setup(void **state)
{
    *state = harness_new(2, "advertised.listeners=PLAINTEXT://broker.example:19092\n");
    make_topic(*state, "a", 3, NULL);
    make_topic(*state, "b", 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void ask(struct harness *harness, int16_t key, int16_t version, const void *request, void *response)
{
    assert_int_equal(harness_call(harness, HERE, key, version, request, response), REQUEST_REPLY);
}

static void expect_text(struct odk_str got, const char *want)
{
    assert_non_null(got.data);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

/* -- ElectLeaders -------------------------------------------------------------------------------------------------- */

static void no_election_is_needed(void **state)
{
    int32_t of_a[] = { 2, 3 }, of_none[] = { 0 };
    struct elect_leaders_request_topic_partition topics[] = {
        { .topic = ODK_STR("a"), .partitions = of_a, .partitions_count = 2 },
        { .topic = ODK_STR("none"), .partitions = of_none, .partitions_count = 1 },
    };
    struct elect_leaders_request request;
    elect_leaders_request_init(&request);
    request.topic_partitions = topics;
    request.topic_partitions_count = 2;
    for (int16_t version = 0; version <= 2; version++) {
        struct elect_leaders_response got;
        request.election_type = version > 0;
        ask(*state, WIRE_KEY_ELECT_LEADERS, version, &request, &got);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.replica_election_results_count, 2);
        assert_int_equal(got.replica_election_results[0].partition_result_count, 2);
        assert_int_equal(got.replica_election_results[0].partition_result[0].partition_id, 2);
        assert_int_equal(got.replica_election_results[0].partition_result[0].error_code, KAFKA_ELECTION_NOT_NEEDED);
        assert_int_equal(got.replica_election_results[0].partition_result[1].error_code,
                         KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        expect_text(got.replica_election_results[1].topic, "none");
        assert_int_equal(got.replica_election_results[1].partition_result[0].error_code,
                         KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    }
}

static void election_of_all_names_only_what_changed(void **state)
{
    struct elect_leaders_request request;
    struct elect_leaders_response got;
    elect_leaders_request_init(&request);
    request.topic_partitions_count = -1;
    ask(*state, WIRE_KEY_ELECT_LEADERS, 2, &request, &got);
    assert_int_equal(got.error_code, KAFKA_NONE);
    assert_int_equal(got.replica_election_results_count, 0);
    request.election_type = 2;
    ask(*state, WIRE_KEY_ELECT_LEADERS, 2, &request, &got);
    assert_int_equal(got.error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(got.replica_election_results_count, 0);
    request.topic_partitions_count = 0;
    ask(*state, WIRE_KEY_ELECT_LEADERS, 2, &request, &got);
    assert_int_equal(got.error_code, KAFKA_NONE);
}

static void an_unknown_election_type_is_refused_for_each(void **state)
{
    int32_t of_a[] = { 0, 1 };
    struct elect_leaders_request_topic_partition topic = { .topic = ODK_STR("a"),
                                                           .partitions = of_a,
                                                           .partitions_count = 2 };
    struct elect_leaders_request request;
    struct elect_leaders_response got;
    elect_leaders_request_init(&request);
    request.election_type = -1;
    request.topic_partitions = &topic;
    request.topic_partitions_count = 1;
    ask(*state, WIRE_KEY_ELECT_LEADERS, 1, &request, &got);
    assert_int_equal(got.error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(got.replica_election_results[0].partition_result_count, 2);
    assert_int_equal(got.replica_election_results[0].partition_result[1].error_code, KAFKA_INVALID_REQUEST);
}

/* -- reassignments ------------------------------------------------------------------------------------------------- */

/* replicas: NULL with count -1 cancels. */
static int16_t reassign(struct harness *harness, const char *topic, int32_t index, int32_t *replicas, int32_t count)
{
    struct alter_partition_reassignments_request_partition partition = { .partition_index = index,
                                                                         .replicas = replicas,
                                                                         .replicas_count = count };
    struct alter_partition_reassignments_request_topic in = { .name = odk_str_from(topic),
                                                              .partitions = &partition,
                                                              .partitions_count = 1 };
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response got;
    alter_partition_reassignments_request_init(&request);
    request.topics = &in;
    request.topics_count = 1;
    for (int16_t version = 0; version <= 1; version++) {
        request.allow_replication_factor_change = version == 0;
        ask(harness, WIRE_KEY_ALTER_PARTITION_REASSIGNMENTS, version, &request, &got);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.allow_replication_factor_change, version == 0);
        assert_int_equal(got.responses_count, 1);
        assert_int_equal(got.responses[0].partitions_count, 1);
        assert_int_equal(got.responses[0].partitions[0].partition_index, index);
        bool failed = got.responses[0].partitions[0].error_code != KAFKA_NONE;
        assert_int_equal(got.responses[0].partitions[0].error_message.data != NULL, failed);
    }
    return got.responses[0].partitions[0].error_code;
}

static void the_only_assignment_is_the_present_one(void **state)
{
    struct harness *harness = *state;
    int32_t self[] = { harness->config.node_id }, other[] = { harness->config.node_id, 7 };
    int32_t twice[] = { harness->config.node_id, harness->config.node_id };
    assert_int_equal(reassign(harness, "a", 2, self, 1), KAFKA_NONE);
    assert_int_equal(reassign(harness, "a", 2, other, 2), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(harness, "a", 2, twice, 2), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(harness, "a", 2, self, 0), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(reassign(harness, "a", 2, NULL, -1), KAFKA_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(reassign(harness, "a", 3, self, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign(harness, "none", 0, NULL, -1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static void nothing_is_on_the_move(void **state)
{
    struct list_partition_reassignments_request request;
    struct list_partition_reassignments_response got;
    list_partition_reassignments_request_init(&request);
    ask(*state, WIRE_KEY_LIST_PARTITION_REASSIGNMENTS, 0, &request, &got);
    assert_int_equal(got.error_code, KAFKA_NONE);
    assert_int_equal(got.topics_count, 0);
}

/* -- access rules -------------------------------------------------------------------------------------------------- */

static void security_is_disabled(void **state)
{
    struct describe_acls_request describe;
    struct create_acls_request create;
    struct delete_acls_request delete;
    struct create_acls_request_creation creations[2] = { { .resource_name = ODK_STR("x"),
                                                           .resource_pattern_type = 3,
                                                           .principal = ODK_STR("User:p"),
                                                           .host = ODK_STR("*") } };
    struct delete_acls_request_filter filters[3] = { { .pattern_type_filter = 3 },
                                                     { .pattern_type_filter = 3 },
                                                     { .pattern_type_filter = 3 } };
    creations[1] = creations[0];
    describe_acls_request_init(&describe);
    create_acls_request_init(&create);
    delete_acls_request_init(&delete);
    create.creations = creations;
    create.creations_count = 2;
    delete.filters = filters;
    delete.filters_count = 3;
    for (int16_t version = 0; version <= 3; version++) {
        struct describe_acls_response described;
        struct create_acls_response created;
        struct delete_acls_response deleted;
        ask(*state, WIRE_KEY_DESCRIBE_ACLS, version, &describe, &described);
        assert_int_equal(described.error_code, KAFKA_SECURITY_DISABLED);
        expect_text(described.error_message, "No Authorizer is configured on the broker");
        assert_int_equal(described.resources_count, 0);
        ask(*state, WIRE_KEY_CREATE_ACLS, version, &create, &created);
        assert_int_equal(created.results_count, 2);
        assert_int_equal(created.results[1].error_code, KAFKA_SECURITY_DISABLED);
        expect_text(created.results[1].error_message, "No Authorizer is configured.");
        ask(*state, WIRE_KEY_DELETE_ACLS, version, &delete, &deleted);
        assert_int_equal(deleted.filter_results_count, 3);
        assert_int_equal(deleted.filter_results[2].error_code, KAFKA_SECURITY_DISABLED);
        assert_int_equal(deleted.filter_results[2].matching_acls_count, 0);
    }
}

static void delegation_tokens_are_off(void **state)
{
    struct create_delegation_token_request create;
    create_delegation_token_request_init(&create);
    for (int16_t version = 0; version <= 3; version++) {
        struct create_delegation_token_response got;
        create.owner_principal_type = create.owner_principal_name = (struct odk_str){ 0 };
        if (version == 3) {
            create.owner_principal_type = ODK_STR("User");
            create.owner_principal_name = ODK_STR("alice");
        }
        ask(*state, WIRE_KEY_CREATE_DELEGATION_TOKEN, version, &create, &got);
        assert_int_equal(got.error_code, KAFKA_DELEGATION_TOKEN_AUTH_DISABLED);
        expect_text(got.principal_name, version == 3 ? "alice" : "ANONYMOUS");
        assert_int_equal(got.expiry_timestamp_ms, -1);
        assert_int_equal(got.hmac.len, 0);
    }
    for (int16_t version = 0; version <= 2; version++) {
        struct renew_delegation_token_request renew;
        struct renew_delegation_token_response renewed;
        struct expire_delegation_token_request expire;
        struct expire_delegation_token_response expired;
        renew_delegation_token_request_init(&renew);
        expire_delegation_token_request_init(&expire);
        ask(*state, WIRE_KEY_RENEW_DELEGATION_TOKEN, version, &renew, &renewed);
        assert_int_equal(renewed.error_code, KAFKA_DELEGATION_TOKEN_AUTH_DISABLED);
        assert_int_equal(renewed.expiry_timestamp_ms, -1);
        ask(*state, WIRE_KEY_EXPIRE_DELEGATION_TOKEN, version, &expire, &expired);
        assert_int_equal(expired.error_code, KAFKA_DELEGATION_TOKEN_AUTH_DISABLED);
    }
    for (int16_t version = 0; version <= 3; version++) {
        struct describe_delegation_token_request describe;
        struct describe_delegation_token_response described;
        describe_delegation_token_request_init(&describe);
        describe.owners_count = version % 2 ? -1 : 0;
        ask(*state, WIRE_KEY_DESCRIBE_DELEGATION_TOKEN, version, &describe, &described);
        assert_int_equal(described.error_code, KAFKA_DELEGATION_TOKEN_AUTH_DISABLED);
        assert_int_equal(described.tokens_count, 0);
    }
}

/* -- quotas -------------------------------------------------------------------------------------------------------- */

static int16_t quotas_describe(struct harness *harness, struct describe_client_quotas_request_component *components,
                               int32_t count)
{
    struct describe_client_quotas_request request;
    struct describe_client_quotas_response got;
    describe_client_quotas_request_init(&request);
    request.components = components;
    request.components_count = count;
    for (int16_t version = 0; version <= 1; version++) {
        ask(harness, WIRE_KEY_DESCRIBE_CLIENT_QUOTAS, version, &request, &got);
        assert_int_equal(got.entries_count, got.error_code == KAFKA_NONE ? 0 : -1);
        assert_int_equal(got.error_message.data != NULL, got.error_code != KAFKA_NONE);
    }
    return got.error_code;
}

static void quota_filters_are_checked_and_find_nothing(void **state)
{
    struct {
        struct describe_client_quotas_request_component components[2];
        int32_t count;
        int16_t error;
    } rows[] = {
        { .count = 0, .error = KAFKA_NONE },
        { { { ODK_STR("user"), 0, ODK_STR("x") }, { ODK_STR("client-id"), 1, { 0 } } }, 2, KAFKA_NONE },
        { { { ODK_STR("ip"), 2, { 0 } } }, 1, KAFKA_NONE },
        { { { ODK_STR(""), 0, ODK_STR("x") } }, 1, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("planet"), 0, ODK_STR("x") } }, 1, KAFKA_UNSUPPORTED_VERSION },
        { { { ODK_STR("user"), 0, ODK_STR("x") }, { ODK_STR("user"), 2, { 0 } } }, 2, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("user"), 0, ODK_STR("x") }, { ODK_STR("ip"), 2, { 0 } } }, 2, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("user"), 3, { 0 } } }, 1, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("user"), -1, { 0 } } }, 1, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("user"), 0, { 0 } } }, 1, KAFKA_INVALID_REQUEST },
        { { { ODK_STR("user"), 1, ODK_STR("x") } }, 1, KAFKA_INVALID_REQUEST },
    };
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(quotas_describe(*state, rows[i].components, rows[i].count), rows[i].error);
}

static int16_t quota_alter(struct harness *harness, const char *type, const char *other, bool remove)
{
    struct alter_client_quotas_request_entity entity[] = { { odk_str_from(type), { 0 } },
                                                           { odk_str_from(other), ODK_STR("x") } };
    struct alter_client_quotas_request_op ops[] = { { ODK_STR("producer_byte_rate"), 0, true },
                                                    { ODK_STR("request_percentage"), 5, remove } };
    struct alter_client_quotas_request_entry entry = {
        .entity = entity, .entity_count = (*type != '\0') + (*other != '\0'), .ops = ops, .ops_count = 2
    };
    struct alter_client_quotas_request request;
    struct alter_client_quotas_response got;
    alter_client_quotas_request_init(&request);
    request.entries = &entry;
    request.entries_count = 1;
    for (int16_t version = 0; version <= 1; version++) {
        request.validate_only = version == 1;
        ask(harness, WIRE_KEY_ALTER_CLIENT_QUOTAS, version, &request, &got);
        assert_int_equal(got.entries_count, 1);
        assert_int_equal(got.entries[0].entity_count, entry.entity_count);
        for (int32_t i = 0; i < entry.entity_count; i++) {
            assert_true(odk_str_eq(got.entries[0].entity[i].entity_type, entity[i].entity_type));
            assert_int_equal(got.entries[0].entity[i].entity_name.data != NULL, i == 1);
        }
    }
    return got.entries[0].error_code;
}

static void quotas_can_be_taken_away_but_not_set(void **state)
{
    assert_int_equal(quota_alter(*state, "user", "client-id", true), KAFKA_NONE);
    assert_int_equal(quota_alter(*state, "user", "client-id", false), KAFKA_UNSUPPORTED_VERSION);
    assert_int_equal(quota_alter(*state, "ip", "", false), KAFKA_UNSUPPORTED_VERSION);
    assert_int_equal(quota_alter(*state, "ip", "user", false), KAFKA_INVALID_REQUEST);
    assert_int_equal(quota_alter(*state, "user", "user", true), KAFKA_INVALID_REQUEST);
    assert_int_equal(quota_alter(*state, "planet", "", true), KAFKA_INVALID_REQUEST);
    assert_int_equal(quota_alter(*state, "", "", true), KAFKA_INVALID_REQUEST);
}

/* -- users --------------------------------------------------------------------------------------------------------- */

static void there_are_no_users(void **state)
{
    struct describe_user_scram_credentials_request_user users[] = { { ODK_STR("eve") },
                                                                    { ODK_STR("ann") },
                                                                    { ODK_STR("bob") },
                                                                    { ODK_STR("ann") } };
    struct describe_user_scram_credentials_request request;
    struct describe_user_scram_credentials_response got;
    describe_user_scram_credentials_request_init(&request);
    for (int32_t count = -1; count <= 0; count++) {
        request.users_count = count;
        ask(*state, WIRE_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS, 0, &request, &got);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.results_count, 0);
    }
    request.users = users;
    request.users_count = 4;
    ask(*state, WIRE_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS, 0, &request, &got);
    assert_int_equal(got.results_count, 3);
    expect_text(got.results[0].user, "ann");
    assert_int_equal(got.results[0].error_code, KAFKA_DUPLICATE_RESOURCE);
    expect_text(got.results[2].user, "eve");
    assert_int_equal(got.results[2].error_code, KAFKA_RESOURCE_NOT_FOUND);
    expect_text(got.results[2].error_message, "Attempt to describe a user credential that does not exist");
}

static void users_cannot_be_changed(void **state)
{
    struct alter_user_scram_credentials_request_deletion deletions[] = { { ODK_STR("ann"), 1 }, { ODK_STR("eve"), 2 } };
    struct alter_user_scram_credentials_request_upsertion upsertions[] = {
        { .name = ODK_STR("bob"), .mechanism = 1, .iterations = 4096 },
        { .name = ODK_STR("ann"), .mechanism = 1, .iterations = 4096 },
    };
    struct alter_user_scram_credentials_request request;
    struct alter_user_scram_credentials_response got;
    alter_user_scram_credentials_request_init(&request);
    request.deletions = deletions;
    request.deletions_count = 2;
    request.upsertions = upsertions;
    request.upsertions_count = 2;
    ask(*state, WIRE_KEY_ALTER_USER_SCRAM_CREDENTIALS, 0, &request, &got);
    assert_int_equal(got.results_count, 3);
    expect_text(got.results[0].user, "ann");
    assert_int_equal(got.results[0].error_code, KAFKA_RESOURCE_NOT_FOUND);
    expect_text(got.results[1].user, "bob");
    assert_int_equal(got.results[1].error_code, KAFKA_UNSUPPORTED_VERSION);
    expect_text(got.results[1].error_message, "This server has no SCRAM credentials.");
    assert_int_equal(got.results[2].error_code, KAFKA_RESOURCE_NOT_FOUND);
}

/* -- features ------------------------------------------------------------------------------------------------------ */

static struct update_features_response feature_update(struct harness *harness, int16_t version, const char *name,
                                                      int16_t level, int8_t type)
{
    struct update_features_request_feature_update update = { .feature = odk_str_from(name),
                                                             .max_version_level = level,
                                                             .upgrade_type = type };
    struct update_features_request request;
    struct update_features_response got;
    update_features_request_init(&request);
    request.feature_updates = &update;
    request.feature_updates_count = 1;
    ask(harness, WIRE_KEY_UPDATE_FEATURES, version, &request, &got);
    return got;
}

static void features_stay_at_their_level(void **state)
{
    uint32_t count;
    const struct feature *rows = feature_rows(&count);
    assert_true(count >= 1);
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(feature_find(odk_str_from(rows[i].name)), &rows[i]);
        assert_true(rows[i].first <= rows[i].level && rows[i].level <= rows[i].last);
        for (int16_t version = 0; version <= 2; version++) {
            struct update_features_response got = feature_update(*state, version, rows[i].name, rows[i].level, 1);
            assert_int_equal(got.error_code, KAFKA_NONE);
            assert_int_equal(got.results_count, version <= 1);
            if (version <= 1)
                expect_text(got.results[0].feature, rows[i].name);
        }
    }
}

static void other_levels_are_refused(void **state)
{
    static const struct {
        const char *name;
        int16_t level;
        int8_t type;
        const char *why;
    } rows[] = {
        { "metadata.version", 26, 1, "does not know this level" }, { "metadata.version", 24, 1, "upgrade type" },
        { "metadata.version", 24, 2, "one level" },                { "metadata.version", 24, 3, "one level" },
        { "metadata.version", 25, 4, "given upgrade type" },       { "metadata.version", 25, 0, "given upgrade type" },
        { "metadata.version", -1, 1, "less than 0" },              { "metadata.version", 6, 3, "does not know" },
        { "eternal.youth", 1, 1, "support this feature" },         { "eternal.youth", 0, 1, "support this feature" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        for (int16_t version = 1; version <= 2; version++) {
            struct update_features_response got =
                feature_update(*state, version, rows[i].name, rows[i].level, rows[i].type);
            assert_int_equal(got.error_code, KAFKA_INVALID_UPDATE_VERSION);
            assert_non_null(memmem(got.error_message.data, got.error_message.len, rows[i].why, strlen(rows[i].why)));
            assert_non_null(memmem(got.error_message.data, got.error_message.len, rows[i].name, strlen(rows[i].name)));
        }
    }
}

static void a_long_feature_name_is_cut_in_the_message(void **state)
{
    char name[2000];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct update_features_response got = feature_update(*state, 2, name, 1, 1);
    assert_int_equal(got.error_code, KAFKA_INVALID_UPDATE_VERSION);
    assert_true(got.error_message.len < 384);
}

/* -- quorum -------------------------------------------------------------------------------------------------------- */

static struct describe_quorum_response quorum_get(struct harness *harness, int16_t version, const char *topic,
                                                  int32_t index, int32_t topics)
{
    struct describe_quorum_request_partition partition = { .partition_index = index };
    struct describe_quorum_request_topic in[2] = {
        { .topic_name = odk_str_from(topic), .partitions = &partition, .partitions_count = 1 },
        { .topic_name = ODK_STR("a"), .partitions = &partition, .partitions_count = 1 },
    };
    struct describe_quorum_request request;
    struct describe_quorum_response got;
    describe_quorum_request_init(&request);
    request.topics = in;
    request.topics_count = topics;
    ask(harness, WIRE_KEY_DESCRIBE_QUORUM, version, &request, &got);
    assert_int_equal(got.error_code, KAFKA_NONE);
    assert_int_equal(got.topics_count, topics);
    return got;
}

static void this_node_is_the_only_voter(void **state)
{
    struct harness *harness = *state;
    int64_t end = 0;
    for (int16_t version = 0; version <= 2; version++) {
        struct describe_quorum_response got = quorum_get(harness, version, "__cluster_metadata", 0, 1);
        struct describe_quorum_response_partition *partition = &got.topics[0].partitions[0];
        expect_text(got.topics[0].topic_name, "__cluster_metadata");
        assert_int_equal(partition->error_code, KAFKA_NONE);
        assert_int_equal(partition->leader_id, harness->config.node_id);
        assert_int_equal(partition->leader_epoch, harness->shards[0].broker->env.identity.leader_epoch);
        assert_int_equal(partition->current_voters_count, 1);
        assert_int_equal(partition->observers_count, 0);
        assert_int_equal(partition->current_voters[0].replica_id, harness->config.node_id);
        assert_int_equal(partition->current_voters[0].log_end_offset, partition->high_watermark);
        assert_int_equal(partition->current_voters[0].last_caught_up_timestamp,
                         version >= 1 ? harness->wall_ms : -1);
        assert_true(partition->high_watermark >= 2); /* two topics */
        end = partition->high_watermark;
        assert_int_equal(got.nodes_count, version >= 2);
        if (version < 2)
            continue;
        assert_true(odk_uuid_eq(partition->current_voters[0].replica_directory_id,
                                harness->shards[0].broker->env.identity.directory_id));
        assert_false(odk_uuid_is_zero(partition->current_voters[0].replica_directory_id));
        assert_int_equal(got.nodes[0].node_id, harness->config.node_id);
        expect_text(got.nodes[0].listeners[0].name, "PLAINTEXT");
        expect_text(got.nodes[0].listeners[0].host, "broker.example");
        assert_int_equal(got.nodes[0].listeners[0].port, 19092);
    }
    make_topic(harness, "c", 1, NULL);
    struct describe_quorum_response later = quorum_get(harness, 2, "__cluster_metadata", 0, 1);
    assert_int_equal(later.topics[0].partitions[0].high_watermark, end + 1);
}

static void other_quorums_are_unknown(void **state)
{
    assert_int_equal(quorum_get(*state, 2, "__cluster_metadata", 1, 1).topics[0].partitions[0].error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(quorum_get(*state, 0, "a", 0, 1).topics[0].partitions[0].error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    struct describe_quorum_response two = quorum_get(*state, 1, "__cluster_metadata", 0, 2);
    assert_int_equal(two.topics[0].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(two.topics[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(quorum_get(*state, 1, "", 0, 0).topics_count, 0);
}

/* -- directories --------------------------------------------------------------------------------------------------- */

static void there_is_one_directory(void **state)
{
    struct harness *harness = *state;
    int32_t partitions[] = { 0, 9 };
    struct alter_replica_log_dirs_request_topic topics[] = {
        { .name = ODK_STR("a"), .partitions = partitions, .partitions_count = 2 },
        { .name = ODK_STR("none"), .partitions = partitions, .partitions_count = 1 },
    };
    struct alter_replica_log_dirs_request_dir dirs[] = {
        { .path = odk_str_from(harness->dir), .topics = topics, .topics_count = 2 },
        { .path = ODK_STR("/nowhere"), .topics = topics, .topics_count = 1 },
    };
    struct alter_replica_log_dirs_request request;
    alter_replica_log_dirs_request_init(&request);
    request.dirs = dirs;
    request.dirs_count = 2;
    for (int16_t version = 0; version <= 2; version++) {
        struct alter_replica_log_dirs_response got;
        ask(harness, WIRE_KEY_ALTER_REPLICA_LOG_DIRS, version, &request, &got);
        assert_int_equal(got.results_count, 3);
        assert_int_equal(got.results[0].partitions_count, 2);
        assert_int_equal(got.results[0].partitions[0].error_code, KAFKA_NONE);
        assert_int_equal(got.results[0].partitions[1].partition_index, 9);
        assert_int_equal(got.results[0].partitions[1].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(got.results[1].partitions[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(got.results[2].partitions[0].error_code, KAFKA_LOG_DIR_NOT_FOUND);
    }
}

/* -- transactions -------------------------------------------------------------------------------------------------- */

static void there_are_no_transactions(void **state)
{
    struct odk_str states[] = { ODK_STR("Ongoing"), ODK_STR("Nonsense"), ODK_STR("Dead"), ODK_STR("ongoing") };
    struct list_transactions_request list;
    list_transactions_request_init(&list);
    list.state_filters = states;
    list.state_filters_count = 4;
    for (int16_t version = 0; version <= 2; version++) {
        struct list_transactions_response got;
        ask(*state, WIRE_KEY_LIST_TRANSACTIONS, version, &list, &got);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.transaction_states_count, 0);
        assert_int_equal(got.unknown_state_filters_count, 2);
        expect_text(got.unknown_state_filters[0], "Nonsense");
        expect_text(got.unknown_state_filters[1], "ongoing");
    }
    struct odk_str ids[] = { ODK_STR("t"), ODK_STR("") };
    struct describe_transactions_request describe;
    struct describe_transactions_response described;
    describe_transactions_request_init(&describe);
    describe.transactional_ids = ids;
    describe.transactional_ids_count = 2;
    ask(*state, WIRE_KEY_DESCRIBE_TRANSACTIONS, 0, &describe, &described);
    assert_int_equal(described.transaction_states_count, 2);
    expect_text(described.transaction_states[0].transactional_id, "t");
    assert_int_equal(described.transaction_states[0].error_code, KAFKA_TRANSACTIONAL_ID_NOT_FOUND);
    assert_int_equal(described.transaction_states[1].error_code, KAFKA_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_election_is_needed),
        cmocka_unit_test(election_of_all_names_only_what_changed),
        cmocka_unit_test(an_unknown_election_type_is_refused_for_each),
        cmocka_unit_test(the_only_assignment_is_the_present_one),
        cmocka_unit_test(nothing_is_on_the_move),
        cmocka_unit_test(security_is_disabled),
        cmocka_unit_test(delegation_tokens_are_off),
        cmocka_unit_test(quota_filters_are_checked_and_find_nothing),
        cmocka_unit_test(quotas_can_be_taken_away_but_not_set),
        cmocka_unit_test(there_are_no_users),
        cmocka_unit_test(users_cannot_be_changed),
        cmocka_unit_test(features_stay_at_their_level),
        cmocka_unit_test(other_levels_are_refused),
        cmocka_unit_test(a_long_feature_name_is_cut_in_the_message),
        cmocka_unit_test(this_node_is_the_only_voter),
        cmocka_unit_test(other_quorums_are_unknown),
        cmocka_unit_test(there_is_one_directory),
        cmocka_unit_test(there_are_no_transactions),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
