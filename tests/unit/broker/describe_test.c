/*
 * Goal: DescribeTopicPartitions pages without gap or repetition, DescribeCluster tells this node, DescribeConfigs tells
 * every value with the place it came from.
 * Method: a broker over an engine in memory; answers as a client decodes them.
 */
#include "harness.h"

#include <stdio.h>

static int setup(void **state)
{
    *state = harness_new(1, "log.retention.ms=5000\nadvertised.listeners=PLAINTEXT://broker.example:19092\n"
                            "ssl.keystore.password=secret\n");
    make_topic(*state, "b", 3, "retention.bytes=77");
    make_topic(*state, "a", 2, NULL);
    make_topic(*state, "c", 4, NULL);
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

/* -- DescribeTopicPartitions ----------------------------------------------------------------------------------------
 */

static struct describe_topic_partitions_response page_get(struct harness *harness,
                                                          const struct describe_topic_partitions_request *request)
{
    struct describe_topic_partitions_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DESCRIBE_TOPIC_PARTITIONS, 0, request, &response),
                     REQUEST_REPLY);
    return response;
}

static void pages_have_no_gap(void **state)
{
    struct harness *harness = *state;
    for (int32_t limit = 1; limit <= 12; limit++) {
        struct describe_topic_partitions_request request;
        struct describe_topic_partitions_request_cursor cursor = { 0 };
        char seen[64] = "";
        size_t used = 0;
        describe_topic_partitions_request_init(&request);
        request.response_partition_limit = limit;
        for (int pages = 0; pages < 20; pages++) {
            struct describe_topic_partitions_response page = page_get(harness, &request);
            int32_t count = 0;
            for (int32_t t = 0; t < page.topics_count; t++)
                for (int32_t p = 0; p < page.topics[t].partitions_count; p++, count++) {
                    assert_int_equal(page.topics[t].error_code, KAFKA_NONE);
                    assert_int_equal(page.topics[t].partitions[p].leader_id, harness->config.node_id);
                    assert_int_equal(page.topics[t].partitions[p].isr_nodes_count, 1);
                    used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%c%d", page.topics[t].name.data[0],
                                             page.topics[t].partitions[p].partition_index);
                }
            assert_true(count <= limit);
            if (!page.next_cursor)
                break;
            cursor.topic_name = page.next_cursor->topic_name;
            cursor.partition_index = page.next_cursor->partition_index;
            request.cursor = &cursor;
        }
        assert_string_equal(seen, "a0a1b0b1b2c0c1c2c3");
    }
}

static void a_page_is_no_longer_than_the_broker_allows(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, "max.request.partition.size.limit=3");
    struct describe_topic_partitions_request request;
    make_topic(harness, "a", 9, NULL);
    describe_topic_partitions_request_init(&request);
    struct describe_topic_partitions_response page = page_get(harness, &request);
    assert_int_equal(page.topics_count, 1);
    assert_int_equal(page.topics[0].partitions_count, 3);
    assert_non_null(page.next_cursor);
    harness_free(harness);
}

/* A cursor of a client's own making: the first topic has nothing to show, and does not count. */
static void a_page_may_begin_behind_the_last_partition(void **state)
{
    struct harness *harness = *state;
    struct describe_topic_partitions_request request;
    struct describe_topic_partitions_request_cursor cursor = { .topic_name = ODK_STR("a"), .partition_index = INT32_MAX };
    describe_topic_partitions_request_init(&request);
    request.response_partition_limit = 1;
    request.cursor = &cursor;
    struct describe_topic_partitions_response page = page_get(harness, &request);
    assert_int_equal(page.topics_count, 2);
    assert_true(odk_str_eq(page.topics[0].name, ODK_STR("a")));
    assert_int_equal(page.topics[0].partitions_count, 0);
    assert_true(odk_str_eq(page.topics[1].name, ODK_STR("b")));
    assert_int_equal(page.topics[1].partitions_count, 1);
}

static void named_topics_come_sorted_and_once(void **state)
{
    struct harness *harness = *state;
    struct describe_topic_partitions_request_topic names[] = {
        { ODK_STR("c") }, { ODK_STR("nope") }, { ODK_STR("b") }, { ODK_STR("c") }, { ODK_STR("b@d") }
    };
    struct describe_topic_partitions_request request;
    describe_topic_partitions_request_init(&request);
    request.topics = names;
    request.topics_count = (int32_t)countof(names);
    struct describe_topic_partitions_response page = page_get(harness, &request);
    assert_int_equal(page.topics_count, 4);
    assert_true(odk_str_eq(page.topics[0].name, ODK_STR("b")));
    assert_int_equal(page.topics[0].partitions_count, 3);
    assert_true(odk_uuid_eq(page.topics[0].topic_id, harness_topic(harness, 0, "b")->id));
    assert_int_equal(page.topics[1].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(page.topics[2].partitions_count, 4);
    assert_int_equal(page.topics[3].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(page.next_cursor);
}

/* -- DescribeCluster ------------------------------------------------------------------------------------------------
 */

static struct describe_cluster_response cluster_get(struct harness *harness, int16_t version, int8_t type,
                                                    bool operations)
{
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    describe_cluster_request_init(&request);
    request.endpoint_type = type;
    request.include_cluster_authorized_operations = operations;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DESCRIBE_CLUSTER, version, &request, &response), REQUEST_REPLY);
    return response;
}

static void the_cluster_is_this_node(void **state)
{
    struct harness *harness = *state;
    for (int16_t version = 0; version <= 2; version++) {
        struct describe_cluster_response got = cluster_get(harness, version, 1, version == 1);
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.cluster_id.len, 22);
        assert_int_equal(got.controller_id, harness->config.node_id);
        assert_int_equal(got.brokers_count, 1);
        assert_int_equal(got.brokers[0].broker_id, harness->config.node_id);
        assert_true(odk_str_eq(got.brokers[0].host, ODK_STR("broker.example")));
        assert_int_equal(got.brokers[0].port, 19092);
        assert_int_equal(got.cluster_authorized_operations, version == 1 ? 8096 : INT32_MIN);
    }
    assert_int_equal(cluster_get(harness, 1, 2, false).error_code, KAFKA_MISMATCHED_ENDPOINT_TYPE);
    assert_int_equal(cluster_get(harness, 2, 3, false).error_code, KAFKA_UNSUPPORTED_ENDPOINT_TYPE);
}

static struct find_coordinator_response coordinator_get(struct harness *harness, int16_t version, int8_t type,
                                                        const char *key)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    struct odk_str keys[2] = { odk_str_from(key), ODK_STR("other") };
    find_coordinator_request_init(&request);
    request.key = keys[0];
    request.key_type = type;
    request.coordinator_keys = keys;
    request.coordinator_keys_count = 2;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FIND_COORDINATOR, version, &request, &response), REQUEST_REPLY);
    return response;
}

static void this_node_coordinates_everything(void **state)
{
    struct harness *harness = *state;
    for (int16_t version = 0; version < 4; version++) {
        struct find_coordinator_response got = coordinator_get(harness, version, 0, "group");
        assert_int_equal(got.error_code, KAFKA_NONE);
        assert_int_equal(got.node_id, harness->config.node_id);
        assert_true(odk_str_eq(got.host, ODK_STR("broker.example")));
        assert_int_equal(got.port, 19092);
    }
    for (int16_t version = 4; version <= 6; version++) {
        struct find_coordinator_response got = coordinator_get(harness, version, 1, "txn");
        assert_int_equal(got.coordinators_count, 2);
        assert_true(odk_str_eq(got.coordinators[1].key, ODK_STR("other")));
        assert_int_equal(got.coordinators[1].node_id, harness->config.node_id);
    }
    assert_int_equal(coordinator_get(harness, 2, 3, "x").error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(coordinator_get(harness, 2, 3, "x").node_id, -1);
    assert_int_equal(coordinator_get(harness, 2, 2, "x").error_code, KAFKA_INVALID_REQUEST); /* shares are of version 6 */
    assert_int_equal(coordinator_get(harness, 2, 0, "").error_code, KAFKA_NONE); /* tools delete it, as of old */
}

/* -- DescribeConfigs ------------------------------------------------------------------------------------------------
 */

static struct describe_configs_response_resource configs_get(struct harness *harness, int16_t version, int8_t type,
                                                             const char *name, const char *key)
{
    struct odk_str keys[] = { key ? odk_str_from(key) : (struct odk_str){ 0 } };
    struct describe_configs_request_resource resource = { .resource_type = type,
                                                          .resource_name = odk_str_from(name),
                                                          .configuration_keys = keys,
                                                          .configuration_keys_count = key ? 1 : -1 };
    struct describe_configs_request request;
    struct describe_configs_response response;
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    request.include_synonyms = version >= 1;
    request.include_documentation = version >= 3;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DESCRIBE_CONFIGS, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.results_count, 1);
    assert_int_equal(response.results[0].resource_type, type);
    return response.results[0];
}

static struct describe_configs_response_config config_get(struct harness *harness, int16_t version, int8_t type,
                                                          const char *name, const char *key)
{
    struct describe_configs_response_resource got = configs_get(harness, version, type, name, key);
    assert_int_equal(got.error_code, KAFKA_NONE);
    assert_int_equal(got.configs_count, 1);
    assert_true(odk_str_eq(got.configs[0].name, odk_str_from(key)));
    return got.configs[0];
}

static void topic_values_name_their_source(void **state)
{
    struct harness *harness = *state;
    struct describe_configs_response_config got = config_get(harness, 4, 2, "b", "retention.bytes");
    assert_true(odk_str_eq(got.value, ODK_STR("77")));
    assert_int_equal(got.config_source, 1);
    assert_false(got.read_only);
    assert_int_equal(got.config_type, 5);
    assert_true(got.documentation.len > 0);
    assert_int_equal(got.synonyms_count, 2);
    assert_int_equal(got.synonyms[0].source, 1);
    assert_int_equal(got.synonyms[1].source, 5);
    assert_true(odk_str_eq(got.synonyms[1].name, ODK_STR("log.retention.bytes")));
    assert_true(odk_str_eq(got.synonyms[1].value, ODK_STR("-1")));

    got = config_get(harness, 4, 2, "b", "retention.ms");
    assert_true(odk_str_eq(got.value, ODK_STR("5000")));
    assert_int_equal(got.config_source, 4);
    assert_int_equal(got.synonyms[0].source, 4);
    assert_true(odk_str_eq(got.synonyms[0].name, ODK_STR("log.retention.ms")));

    got = config_get(harness, 4, 2, "b", "cleanup.policy");
    assert_true(odk_str_eq(got.value, ODK_STR("delete")));
    assert_int_equal(got.config_source, 5);
    assert_int_equal(got.config_type, 7);
}

static void all_values_come_in_all_versions(void **state)
{
    struct harness *harness = *state;
    for (int16_t version = 0; version <= 4; version++) {
        assert_int_equal(configs_get(harness, version, 2, "a", NULL).configs_count, TOPIC_CONFIG_COUNT);
        assert_int_equal(configs_get(harness, version, 4, "1", NULL).configs_count, BROKER_CONFIG_COUNT);
        harness_forget(harness);
    }
    assert_false(config_get(harness, 0, 2, "b", "retention.bytes").is_default);
    assert_true(config_get(harness, 0, 2, "a", "retention.bytes").is_default);
    assert_int_equal(configs_get(harness, 4, 2, "a", "no.such.key").configs_count, 0);
}

static void broker_values_name_their_source(void **state)
{
    struct harness *harness = *state;
    struct describe_configs_response_config got = config_get(harness, 4, 4, "1", "log.retention.ms");
    assert_true(odk_str_eq(got.value, ODK_STR("5000")));
    assert_int_equal(got.config_source, 4);
    assert_false(got.read_only);
    got = config_get(harness, 4, 4, "1", "fetch.max.bytes");
    assert_true(got.read_only);
    assert_int_equal(got.config_source, 5);
    assert_int_equal(got.config_type, 3);
    assert_int_equal(configs_get(harness, 4, 4, "", NULL).configs_count, 0);
}

static void groups_have_the_brokers_values(void **state)
{
    struct harness *harness = *state;
    struct describe_configs_response_config got = config_get(harness, 4, 32, "any", "consumer.session.timeout.ms");
    assert_true(odk_str_eq(got.value, ODK_STR("45000")));
    assert_int_equal(got.config_source, 5);
    assert_int_equal(got.synonyms_count, 1);
    assert_true(odk_str_eq(got.synonyms[0].name, ODK_STR("group.consumer.session.timeout.ms")));
    assert_int_equal(configs_get(harness, 4, 32, "any", NULL).configs_count, GROUP_CONFIG_COUNT);
    assert_int_equal(configs_get(harness, 4, 32, "", NULL).error_code, KAFKA_INVALID_REQUEST);
}

static void there_are_no_loggers_and_no_client_metrics(void **state)
{
    struct harness *harness = *state;
    assert_int_equal(configs_get(harness, 4, 8, "1", NULL).error_code, KAFKA_NONE);
    assert_int_equal(configs_get(harness, 4, 8, "1", NULL).configs_count, 0);
    assert_int_equal(configs_get(harness, 4, 8, "2", NULL).error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(configs_get(harness, 4, 8, "", NULL).error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(configs_get(harness, 4, 16, "any", NULL).configs_count, 0);
    assert_int_equal(configs_get(harness, 4, 16, "", NULL).error_code, KAFKA_INVALID_REQUEST);
}

static void secrets_stay_here(void **state)
{
    struct harness *harness = *state;
    struct describe_configs_response_config got = config_get(harness, 4, 4, "1", "ssl.keystore.password");
    assert_true(got.is_sensitive);
    assert_null(got.value.data);
    for (int32_t i = 0; i < got.synonyms_count; i++)
        assert_null(got.synonyms[i].value.data);
}

static void mistakes_have_kafkas_codes(void **state)
{
    struct harness *harness = *state;
    assert_int_equal(configs_get(harness, 4, 2, "nope", NULL).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(configs_get(harness, 4, 2, "b@d", NULL).error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(configs_get(harness, 4, 4, "99", NULL).error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(configs_get(harness, 4, 77, "x", NULL).error_code, KAFKA_INVALID_REQUEST);
}

#define CASE(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(pages_have_no_gap),
        cmocka_unit_test(a_page_is_no_longer_than_the_broker_allows),
        CASE(a_page_may_begin_behind_the_last_partition),
        CASE(named_topics_come_sorted_and_once),
        CASE(the_cluster_is_this_node),
        CASE(this_node_coordinates_everything),
        CASE(topic_values_name_their_source),
        CASE(all_values_come_in_all_versions),
        CASE(broker_values_name_their_source),
        CASE(groups_have_the_brokers_values),
        CASE(there_are_no_loggers_and_no_client_metrics),
        CASE(secrets_stay_here),
        CASE(mistakes_have_kafkas_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
