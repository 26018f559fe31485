/* Topics from birth to death: CreateTopics, Metadata, DeleteTopics, producer ids, and what a restart brings back. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"

/* -- creating ------------------------------------------------------------------------------------------------------ */

struct wish {
    const char *name;
    int32_t partitions;
    int16_t replication;
    const char *key, *value; /* a setting, or NULL */
    bool null_value;
};

static struct create_topics_response_topic create(struct harness *harness, int16_t version, const struct wish *wish,
                                                  bool validate_only)
{
    struct create_topics_request_config config = { .name = odk_str_from(wish->key ? wish->key : "") };
    if (wish->value && !wish->null_value)
        config.value = odk_str_from(wish->value);
    struct create_topics_request_topic topic = { .name = odk_str_from(wish->name),
                                                 .num_partitions = wish->partitions,
                                                 .replication_factor = wish->replication,
                                                 .configs = &config,
                                                 .configs_count = wish->key ? 1 : 0 };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1, .validate_only = validate_only };
    struct create_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CREATE_TOPICS, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0];
}

static void wishes_get_their_answers(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        int16_t error;
    } rows[] = {
        { { "good", 3, 1 }, KAFKA_NONE },
        { { "good", 1, 1 }, KAFKA_TOPIC_ALREADY_EXISTS },
        { { "", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "..", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "a b", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "caf\xc3\xa9", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "a/b", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "__consumer_offsets", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "__consumer.offsets", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { METADATA_TOPIC_NAME, 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "x.y", 1, 1 }, KAFKA_NONE },
        { { "x_y", 1, 1 }, KAFKA_INVALID_TOPIC_EXCEPTION },
        { { "zero", 0, 1 }, KAFKA_INVALID_PARTITIONS },
        { { "minus", -2, 1 }, KAFKA_INVALID_PARTITIONS },
        { { "huge", 1000000, 1 }, KAFKA_INVALID_PARTITIONS },
        { { "rf0", 1, 0 }, KAFKA_INVALID_REPLICATION_FACTOR },
        { { "rf3", 1, 3 }, KAFKA_NONE },
        { { "key", 1, 1, "no.such.key", "1" }, KAFKA_INVALID_CONFIG },
        { { "value", 1, 1, "retention.ms", "x" }, KAFKA_INVALID_CONFIG },
        { { "null", 1, 1, "retention.ms", NULL, true }, KAFKA_INVALID_CONFIG },
        { { "set", 1, 1, "retention.ms", "5" }, KAFKA_NONE },
    };
    struct harness *harness = harness_new(2, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        struct create_topics_response_topic topic = create(harness, 7, &rows[i].wish, false);
        if (topic.error_code != rows[i].error)
            print_error("%s: %d\n", rows[i].wish.name, topic.error_code);
        assert_int_equal(topic.error_code, rows[i].error);
        assert_int_equal(topic.error_message.data != NULL, rows[i].error != KAFKA_NONE);
        assert_int_equal(odk_uuid_is_zero(topic.topic_id), rows[i].error != KAFKA_NONE);
        assert_int_equal(topic.replication_factor, rows[i].error == KAFKA_NONE ? 1 : -1);
        assert_int_equal(topic.configs_count, rows[i].error == KAFKA_NONE ? TOPIC_CONFIG_COUNT : 0);
    }
    assert_non_null(strstr(harness->lines, "topic rf3: replication factor 3 taken as 1"));
    for (uint32_t shard = 0; shard < 2; shard++)
        assert_int_equal(harness->shards[shard].broker->topics.topic_count, 4);
    assert_int_equal(harness_topic(harness, 1, "set")->config.retention_ms, 5);
    harness_free(harness);
}

static void every_version_creates_and_only_the_newest_tells_more(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, "num.partitions=3\n");
    for (int16_t version = 0; version <= 7; version++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "t%d", version);
        struct wish wish = { name, version >= 4 ? -1 : 3, version >= 4 ? -1 : 1, "segment.bytes", "2000000" };
        struct create_topics_response_topic topic = create(harness, version, &wish, false);
        assert_int_equal(topic.error_code, KAFKA_NONE);
        assert_int_equal(harness_topic(harness, 0, name)->partition_count, 3);
        if (version >= 5) {
            assert_int_equal(topic.num_partitions, 3);
            assert_int_equal(topic.configs[TOPIC_CONFIG_segment_bytes].config_source, 1);
            assert_int_equal(topic.configs[TOPIC_CONFIG_retention_ms].config_source, 5);
            assert_true(odk_str_eq(topic.configs[TOPIC_CONFIG_segment_bytes].value, ODK_STR("2000000")));
        }
        harness_forget(harness);
    }
    harness_free(harness);
}

static void replication_is_refused_when_it_is_not_clamped(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, "replication.factor.clamp=false\nmax.partitions=10\n");
    assert_int_equal(create(harness, 7, &(struct wish){ "a", 1, 3 }, false).error_code,
                     KAFKA_INVALID_REPLICATION_FACTOR);
    assert_int_equal(create(harness, 7, &(struct wish){ "a", 8, 1 }, false).error_code, KAFKA_NONE);
    assert_int_equal(create(harness, 7, &(struct wish){ "b", 3, 1 }, false).error_code, KAFKA_INVALID_PARTITIONS);
    assert_int_equal(create(harness, 7, &(struct wish){ "b", 2, 1 }, false).error_code, KAFKA_NONE);
    harness_free(harness);
}

static void validation_changes_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct create_topics_response_topic topic = create(harness, 7, &(struct wish){ "t", 2, 1 }, true);
    assert_int_equal(topic.error_code, KAFKA_NONE);
    assert_int_equal(topic.num_partitions, 2);
    assert_true(odk_uuid_is_zero(topic.topic_id));
    assert_int_equal(create(harness, 7, &(struct wish){ "t", 0, 1 }, true).error_code, KAFKA_INVALID_PARTITIONS);
    assert_null(harness_topic(harness, 0, "t"));
    harness_free(harness);
}

static int16_t create_assigned(struct harness *harness, const char *name, int32_t partitions, int32_t first,
                               int32_t node)
{
    struct create_topics_request_assignment assignments[2] = {
        { .partition_index = first, .broker_ids = &node, .broker_ids_count = 1 },
        { .partition_index = 1, .broker_ids = &node, .broker_ids_count = 1 },
    };
    struct create_topics_request_topic topic = { .name = odk_str_from(name),
                                                 .num_partitions = partitions,
                                                 .replication_factor = -1,
                                                 .assignments = assignments,
                                                 .assignments_count = 2 };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1 };
    struct create_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CREATE_TOPICS, 5, &request, &response), REQUEST_REPLY);
    return response.topics[0].error_code;
}

static void assignments_may_only_name_this_node(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    assert_int_equal(create_assigned(harness, "a", -1, 0, 1), KAFKA_NONE);
    assert_int_equal(harness_topic(harness, 0, "a")->partition_count, 2);
    assert_int_equal(create_assigned(harness, "b", -1, 0, 2), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(create_assigned(harness, "c", -1, 5, 1), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(create_assigned(harness, "d", 2, 0, 1), KAFKA_INVALID_REQUEST);
    harness_free(harness);
}

static void one_request_may_contradict_itself(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    static const struct {
        const char *name;
        int16_t error;
    } rows[] = { { "twice", KAFKA_INVALID_REQUEST },
                 { "twice", KAFKA_INVALID_REQUEST },
                 { "a.b", KAFKA_NONE },
                 { "a_b", KAFKA_INVALID_TOPIC_EXCEPTION } };
    struct create_topics_request_topic topics[countof(rows)];
    for (size_t i = 0; i < countof(rows); i++)
        topics[i] = (struct create_topics_request_topic){ .name = odk_str_from(rows[i].name),
                                                          .num_partitions = 1,
                                                          .replication_factor = 1 };
    struct create_topics_request request = { .topics = topics, .topics_count = countof(rows) };
    struct create_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CREATE_TOPICS, 5, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics_count, countof(rows));
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(response.topics[i].error_code, rows[i].error);
    harness_free(harness);
}

/* -- Metadata ------------------------------------------------------------------------------------------------------ */

static struct metadata_response metadata(struct harness *harness, int16_t version, const char *name, bool create_it)
{
    struct metadata_request_topic topic = { 0 };
    struct metadata_request request;
    metadata_request_init(&request);
    request.allow_auto_topic_creation = create_it;
    request.topics_count = name ? 1 : version == 0 ? 0 : -1;
    request.topics = &topic;
    if (name)
        topic.name = odk_str_from(name);
    struct metadata_response response;
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_METADATA, version, &request, &response),
                     REQUEST_REPLY);
    return response;
}

static void metadata_tells_node_topics_and_partitions(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "node.id=4\nbroker.rack=r1\n");
    char cluster[UUID_TEXT_LEN + 1];
    uuid_print(harness->shards[0].broker->env.identity.cluster_id, cluster);
    make_topic(harness, "a", 3, NULL);
    make_topic(harness, "b", 1, NULL);
    for (int16_t version = 0; version <= 13; version++) {
        struct metadata_response all = metadata(harness, version, NULL, true);
        assert_int_equal(all.brokers_count, 1);
        assert_int_equal(all.brokers[0].node_id, 4);
        assert_int_equal(all.brokers[0].port, 9092);
        assert_true(odk_str_eq(all.brokers[0].host, ODK_STR("127.0.0.1")));
        assert_int_equal(all.topics_count, 2);
        if (version >= 1)
            assert_int_equal(all.controller_id, 4);
        if (version >= 2)
            assert_true(odk_str_eq(all.cluster_id, odk_str_from(cluster)));
        if (version >= 8)
            assert_int_equal(all.topics[0].topic_authorized_operations, INT32_MIN);
        struct metadata_response one = metadata(harness, version, "a", true);
        assert_int_equal(one.topics_count, 1);
        assert_int_equal(one.topics[0].error_code, KAFKA_NONE);
        assert_int_equal(one.topics[0].partitions_count, 3);
        assert_int_equal(one.topics[0].partitions[2].partition_index, 2);
        assert_int_equal(one.topics[0].partitions[2].leader_id, 4);
        assert_int_equal(one.topics[0].partitions[2].replica_nodes_count, 1);
        assert_int_equal(one.topics[0].partitions[2].isr_nodes[0], 4);
        if (version >= 10)
            assert_true(odk_uuid_eq(one.topics[0].topic_id, harness_topic(harness, 0, "a")->id));
        harness_forget(harness);
    }
    harness_free(harness);
}

static void metadata_tells_what_may_be_done_to_whom_asks(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "a", 1, NULL);
    for (int16_t version = 8; version <= 13; version++) {
        struct metadata_request_topic topics[] = { { .name = ODK_STR("a") }, { .name = ODK_STR("missing") } };
        struct metadata_request request = { .topics = topics,
                                            .topics_count = 2,
                                            .include_cluster_authorized_operations = true,
                                            .include_topic_authorized_operations = true };
        struct metadata_response got;
        assert_int_equal(harness_call(harness, 0, WIRE_KEY_METADATA, version, &request, &got), REQUEST_REPLY);
        assert_int_equal(got.cluster_authorized_operations, version <= 10 ? 8096 : INT32_MIN);
        for (int i = 0; i < 2; i++)
            assert_int_equal(got.topics[i].topic_authorized_operations, 3576); /* as Kafka without an authorizer */
        harness_forget(harness);
    }
    harness_free(harness);
}

static void metadata_creates_when_both_sides_want_it(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "num.partitions=2\n");
    assert_int_equal(metadata(harness, 4, "no", false).topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    struct metadata_response made = metadata(harness, 4, "yes", true);
    assert_int_equal(made.topics[0].error_code, KAFKA_NONE);
    assert_int_equal(made.topics[0].partitions_count, 2);
    assert_non_null(harness_topic(harness, 0, "yes"));
    assert_int_equal(metadata(harness, 0, "old", true).topics[0].error_code, KAFKA_NONE);
    assert_int_equal(metadata(harness, 9, "a b", true).topics[0].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(metadata(harness, 9, "__consumer_offsets", true).topics[0].error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    harness_free(harness);
    harness = harness_new(1, "auto.create.topics.enable=false\n");
    assert_int_equal(metadata(harness, 9, "no", true).topics[0].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    harness_free(harness);
}

static void metadata_finds_by_id(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    struct metadata_request_topic topics[] = { { .topic_id = harness_topic(harness, 0, "t")->id },
                                               { .topic_id = { .b = { 1, 2, 3 } } },
                                               /* Java's consumers: an empty name along with the id */
                                               { .topic_id = harness_topic(harness, 0, "t")->id, .name = ODK_STR("") },
                                               { .topic_id = { .b = { 1, 2, 3 } }, .name = ODK_STR("") } };
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    request.topics = topics;
    request.topics_count = countof(topics);
    request.allow_auto_topic_creation = true;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_METADATA, 12, &request, &response), REQUEST_REPLY);
    for (uint32_t i = 0; i < countof(topics); i += 2) {
        assert_true(odk_str_eq(response.topics[i].name, ODK_STR("t")));
        assert_int_equal(response.topics[i + 1].error_code, KAFKA_UNKNOWN_TOPIC_ID);
        assert_null(response.topics[i + 1].name.data);
    }
    harness_free(harness);
}

static void advertised_listeners_come_before_the_reached_address(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, "advertised.listeners=OTHER://o:1,PLAINTEXT://kafka.example:29092\n");
    struct metadata_response response = metadata(harness, 9, NULL, false);
    assert_true(odk_str_eq(response.brokers[0].host, ODK_STR("kafka.example")));
    assert_int_equal(response.brokers[0].port, 29092);
    harness_free(harness);
}

/* -- deleting ------------------------------------------------------------------------------------------------------ */

static int16_t delete_by_name(struct harness *harness, int16_t version, const char *name)
{
    struct odk_str names = odk_str_from(name);
    struct delete_topics_request_topic topic = { .name = names };
    struct delete_topics_request request = {
        .topics = &topic, .topics_count = 1, .topic_names = &names, .topic_names_count = 1, .timeout_ms = 1000
    };
    struct delete_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_TOPICS, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.responses_count, 1);
    assert_true(odk_str_eq(response.responses[0].name, names));
    return response.responses[0].error_code;
}

static void deleted_topics_are_gone_and_their_names_are_free(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    for (int16_t version = 0; version <= 6; version++) {
        make_topic(harness, "t", 4, NULL);
        struct odk_uuid id = harness_topic(harness, 1, "t")->id;
        struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 0, .count = 2 });
        assert_int_equal(produce(harness, 9, "t", 1, batch).base_offset, 0);
        assert_int_equal(delete_by_name(harness, version, "t"), KAFKA_NONE);
        for (uint32_t shard = 0; shard < 2; shard++) {
            assert_null(harness_topic(harness, shard, "t"));
            assert_null(topics_by_id(&harness->shards[shard].broker->topics, id));
            assert_int_equal(harness->shards[shard].broker->topics.partition_count, 0);
        }
        assert_int_equal(delete_by_name(harness, version, "t"), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    }
    harness_free(harness);
}

static void deletion_by_id_answers_with_the_name(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    struct odk_uuid id = harness_topic(harness, 0, "t")->id;
    struct delete_topics_request_topic topics[] = { { .topic_id = id },
                                                    { .topic_id = { .b = { 9 } } },
                                                    { .name = ODK_STR("t") },
                                                    { .name = ODK_STR("t"), .topic_id = id } };
    struct delete_topics_request request = { .topics = topics, .topics_count = countof(topics) };
    struct delete_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_TOPICS, 6, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
    assert_true(odk_str_eq(response.responses[0].name, ODK_STR("t")));
    assert_int_equal(response.responses[1].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    assert_null(response.responses[1].name.data);
    assert_int_equal(response.responses[2].error_code, KAFKA_INVALID_REQUEST); /* named twice */
    assert_int_equal(response.responses[3].error_code, KAFKA_INVALID_REQUEST); /* name and id */
    harness_free(harness);
}

static void deletion_can_be_forbidden(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, "delete.topic.enable=false\n");
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(delete_by_name(harness, 2, "t"), KAFKA_INVALID_REQUEST);
    assert_int_equal(delete_by_name(harness, 5, "t"), KAFKA_TOPIC_DELETION_DISABLED);
    assert_non_null(harness_topic(harness, 0, "t"));
    harness_free(harness);
}

/* -- restarts ------------------------------------------------------------------------------------------------------ */

static void topics_survive_stops_and_crashes(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "kept", 5, "retention.ms=77;cleanup.policy=compact,delete");
    make_topic(harness, "gone", 2, NULL);
    struct odk_uuid id = harness_topic(harness, 0, "kept")->id;
    assert_int_equal(delete_by_name(harness, 5, "gone"), KAFKA_NONE);
    make_topic(harness, "gone", 3, NULL);
    struct odk_uuid second = harness_topic(harness, 0, "gone")->id;
    for (int round = 0; round < 4; round++) {
        if (round % 2)
            harness_restart(harness);
        else
            harness_crash(harness);
        for (uint32_t shard = 0; shard < 2; shard++) {
            struct topic *topic = harness_topic(harness, shard, "kept");
            assert_non_null(topic);
            assert_true(odk_uuid_eq(topic->id, id));
            assert_int_equal(topic->partition_count, 5);
            assert_int_equal(topic->config.retention_ms, 77);
            assert_string_equal(topic->config.set[TOPIC_CONFIG_cleanup_policy], "compact,delete");
            assert_int_equal(harness->shards[shard].broker->topics.topic_count, 2);
            assert_true(odk_uuid_eq(harness_topic(harness, shard, "gone")->id, second));
        }
    }
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 0 });
    assert_int_equal(produce(harness, 9, "gone", 2, batch).base_offset, 0);
    harness_free(harness);
}

static void a_long_history_is_shortened(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "kept", 2, "retention.ms=77");
    struct odk_uuid id = harness_topic(harness, 0, "kept")->id;
    for (int i = 0; i < 2100; i++) {
        make_topic(harness, "t", 1, NULL);
        assert_int_equal(delete_by_name(harness, 5, "t"), KAFKA_NONE);
        harness_forget(harness);
    }
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 0, .count = 3 });
    assert_int_equal(produce(harness, 9, "kept", 1, batch).base_offset, 0);
    for (int round = 0; round < 3; round++) {
        harness->lines_len = 0;
        harness->lines[0] = '\0';
        harness_crash(harness);
        assert_int_equal(strstr(harness->lines, "shortened to") != NULL, round == 0);
        assert_int_equal(harness->shards[0].broker->topics.topic_count, 1);
        assert_true(odk_uuid_eq(harness_topic(harness, 0, "kept")->id, id));
        assert_int_equal(harness_topic(harness, 0, "kept")->config.retention_ms, 77);
    }
    batch = make_batch(&(struct batch_options){ .timestamp = 0 });
    assert_int_equal(produce(harness, 9, "kept", 1, batch).base_offset, 3);
    harness_free(harness);
}

static void another_number_of_reactors_finds_the_same_topics(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    static const uint32_t shard_counts[] = { 2, 1, 1, 2 };
    int64_t expected = 0;
    make_topic(harness, "t", 6, NULL);
    for (size_t round = 0; round < countof(shard_counts); round++) {
        harness_reshard(harness, shard_counts[round]);
        for (int32_t i = 0; i < 6; i++) {
            struct odk_bytes batch = make_batch(&(struct batch_options){ .count = 3 });
            assert_int_equal(produce(harness, 9, "t", i, batch).base_offset, expected);
        }
        expected += 3;
    }
    harness_free(harness);
}

/* -- producer ids -------------------------------------------------------------------------------------------------- */

static struct init_producer_id_response init_producer_id(struct harness *harness, uint32_t shard, int16_t version,
                                                         const char *transactional_id)
{
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    init_producer_id_request_init(&request);
    if (transactional_id)
        request.transactional_id = odk_str_from(transactional_id);
    assert_int_equal(harness_call(harness, shard, WIRE_KEY_INIT_PRODUCER_ID, version, &request, &response),
                     REQUEST_REPLY);
    return response;
}

static void producer_ids_never_repeat(void **state)
{
    (void)state;
    enum { ROUNDS = 4, EACH = 1200 };
    struct harness *harness = harness_new(2, NULL);
    static uint8_t seen[ROUNDS * EACH * 20];
    memset(seen, 0, sizeof(seen));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            struct init_producer_id_response got = init_producer_id(harness, (uint32_t)i % 2, (int16_t)(i % 6), NULL);
            assert_int_equal(got.error_code, KAFKA_NONE);
            assert_int_equal(got.producer_epoch, 0);
            assert_in_range(got.producer_id, 0, sizeof(seen) - 1);
            assert_int_equal(seen[got.producer_id]++, 0);
        }
        harness_forget(harness);
        if (round % 2)
            harness_restart(harness);
        else
            harness_crash(harness);
    }
    harness_free(harness);
}

static void transactional_ids_are_refused(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct init_producer_id_response answer = init_producer_id(harness, 0, 4, "tx");
    assert_int_equal(answer.error_code, KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(answer.producer_id, -1);
    assert_int_equal(init_producer_id(harness, 0, 4, "").error_code, KAFKA_INVALID_REQUEST);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes_get_their_answers),
        cmocka_unit_test(every_version_creates_and_only_the_newest_tells_more),
        cmocka_unit_test(replication_is_refused_when_it_is_not_clamped),
        cmocka_unit_test(validation_changes_nothing),
        cmocka_unit_test(assignments_may_only_name_this_node),
        cmocka_unit_test(one_request_may_contradict_itself),
        cmocka_unit_test(metadata_tells_node_topics_and_partitions),
        cmocka_unit_test(metadata_tells_what_may_be_done_to_whom_asks),
        cmocka_unit_test(metadata_creates_when_both_sides_want_it),
        cmocka_unit_test(metadata_finds_by_id),
        cmocka_unit_test(advertised_listeners_come_before_the_reached_address),
        cmocka_unit_test(deleted_topics_are_gone_and_their_names_are_free),
        cmocka_unit_test(deletion_by_id_answers_with_the_name),
        cmocka_unit_test(deletion_can_be_forbidden),
        cmocka_unit_test(topics_survive_stops_and_crashes),
        cmocka_unit_test(a_long_history_is_shortened),
        cmocka_unit_test(another_number_of_reactors_finds_the_same_topics),
        cmocka_unit_test(producer_ids_never_repeat),
        cmocka_unit_test(transactional_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
