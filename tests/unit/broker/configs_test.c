/*
 * Goal: AlterConfigs and IncrementalAlterConfigs change what they say, for topics, the broker and groups, on all shards,
 * at once and after every kind of restart; and answer mistakes with Kafka's errors.
 * Method: whole brokers over the real store; answers as a client decodes them, effects as other requests show them.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { TOPIC = 2, BROKER = 4, LOGGER = 8, METRICS = 16, GROUP = 32 };
enum { SET, DELETE, APPEND, SUBTRACT };

/* -- asking ------------------------------------------------------------------------------------------------------- */

struct answer {
    int16_t error;
    char message[300];
};

static struct answer answer_of(int16_t error, struct odk_str message)
{
    struct answer answer = { .error = error };
    (void)snprintf(answer.message, sizeof(answer.message), "%.*s", ODK_STR_FMT(message));
    assert_int_equal(error != KAFKA_NONE, message.data != NULL);
    return answer;
}

/* value NULL: null. */
static struct answer alter_as(struct harness *harness, int16_t version, int8_t type, const char *name, const char *key,
                              int8_t operation, const char *value, bool validate_only)
{
    struct incremental_alter_configs_request_config config = { .name = odk_str_from(key),
                                                               .config_operation = operation };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = type, .resource_name = odk_str_from(name), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource,
                                                         .resources_count = 1,
                                                         .validate_only = validate_only };
    struct incremental_alter_configs_response response;
    if (value)
        config.value = odk_str_from(value);
    assert_int_equal(harness_call(harness, harness->shard_count - 1, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, version,
                                  &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].resource_type, type);
    assert_true(odk_str_eq(response.responses[0].resource_name, odk_str_from(name)));
    return answer_of(response.responses[0].error_code, response.responses[0].error_message);
}

static struct answer alter(struct harness *harness, int8_t type, const char *name, const char *key, int8_t operation,
                           const char *value)
{
    return alter_as(harness, 1, type, name, key, operation, value, false);
}

static void set(struct harness *harness, int8_t type, const char *name, const char *key, const char *value)
{
    struct answer answer = alter(harness, type, name, key, SET, value);
    if (answer.error != KAFKA_NONE)
        print_error("%s %s: %s\n", name, key, answer.message);
    assert_int_equal(answer.error, KAFKA_NONE);
}

struct shown {
    char value[200];
    int8_t source;
    char synonyms[400]; /* "key=value@source ..." */
};

/* What DescribeConfigs of a shard shows; source 0: nothing. */
static struct shown describe(struct harness *harness, uint32_t shard, int8_t type, const char *name, const char *key)
{
    struct odk_str keys = odk_str_from(key);
    struct describe_configs_request_resource resource = { .resource_type = type,
                                                          .resource_name = odk_str_from(name),
                                                          .configuration_keys = &keys,
                                                          .configuration_keys_count = 1 };
    struct describe_configs_request request;
    struct describe_configs_response response;
    struct shown shown = { 0 };
    size_t used = 0;
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    request.include_synonyms = true;
    assert_int_equal(harness_call(harness, shard, WIRE_KEY_DESCRIBE_CONFIGS, 4, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.results[0].error_code, KAFKA_NONE);
    if (response.results[0].configs_count == 0)
        return shown;
    const struct describe_configs_response_config *config = &response.results[0].configs[0];
    (void)snprintf(shown.value, sizeof(shown.value), "%.*s", ODK_STR_FMT(config->value));
    shown.source = config->config_source;
    for (int32_t i = 0; i < config->synonyms_count; i++)
        used += (size_t)snprintf(shown.synonyms + used, sizeof(shown.synonyms) - used, "%s%.*s=%.*s@%d", i ? " " : "",
                                 ODK_STR_FMT(config->synonyms[i].name), ODK_STR_FMT(config->synonyms[i].value),
                                 config->synonyms[i].source);
    harness_forget(harness);
    return shown;
}

/* The same on every shard. */
static void expect(struct harness *harness, int8_t type, const char *name, const char *key, const char *value,
                   int8_t source)
{
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct shown shown = describe(harness, shard, type, name, key);
        assert_string_equal(shown.value, value);
        assert_int_equal(shown.source, source);
    }
}

/* -- topics ------------------------------------------------------------------------------------------------------- */

static struct produce_response_partition produce_one(struct harness *harness, int32_t partition, size_t value_bytes)
{
    return produce(harness, 9, "t", partition,
                   make_batch(&(struct batch_options){ .timestamp = 5, .value_bytes = value_bytes }));
}

static void topic_settings_change_at_once_everywhere(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 4, "retention.ms=1");
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(produce_one(harness, i, 4000).error_code, KAFKA_NONE);
    set(harness, TOPIC, "t", "max.message.bytes", "2000");
    expect(harness, TOPIC, "t", "max.message.bytes", "2000", 1);
    expect(harness, TOPIC, "t", "retention.ms", "1", 1);
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(produce_one(harness, i, 4000).error_code, KAFKA_MESSAGE_TOO_LARGE);
    assert_int_equal(alter(harness, TOPIC, "t", "max.message.bytes", DELETE, NULL).error, KAFKA_NONE);
    expect(harness, TOPIC, "t", "max.message.bytes", "1048588", 5);
    assert_int_equal(alter(harness, TOPIC, "t", "retention.ms", DELETE, NULL).error, KAFKA_NONE);
    assert_int_equal(alter(harness, TOPIC, "t", "retention.ms", DELETE, NULL).error, KAFKA_NONE);
    expect(harness, TOPIC, "t", "retention.ms", "604800000", 5);
    harness_free(harness);
}

static void the_log_is_told(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 2, NULL);
    assert_int_equal(produce_one(harness, 1, 0).log_append_time_ms, -1);
    set(harness, TOPIC, "t", "message.timestamp.type", "LogAppendTime");
    assert_int_not_equal(produce_one(harness, 1, 0).log_append_time_ms, -1);
    set(harness, BROKER, "1", "log.message.timestamp.type", "CreateTime");
    assert_int_not_equal(produce_one(harness, 1, 0).log_append_time_ms, -1);
    assert_int_equal(alter(harness, TOPIC, "t", "message.timestamp.type", DELETE, NULL).error, KAFKA_NONE);
    assert_int_equal(produce_one(harness, 1, 0).log_append_time_ms, -1);
    set(harness, BROKER, "1", "log.message.timestamp.type", "LogAppendTime");
    assert_int_not_equal(produce_one(harness, 1, 0).log_append_time_ms, -1);
    harness_free(harness);
}

static void lists_grow_and_shrink(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(alter(harness, TOPIC, "t", "cleanup.policy", APPEND, "compact").error, KAFKA_NONE);
    assert_string_equal(harness_topic(harness, 0, "t")->config.set[TOPIC_CONFIG_cleanup_policy], "delete,compact");
    assert_int_equal(alter(harness, TOPIC, "t", "cleanup.policy", APPEND, "compact,delete").error, KAFKA_NONE);
    assert_string_equal(harness_topic(harness, 0, "t")->config.set[TOPIC_CONFIG_cleanup_policy], "delete,compact");
    assert_int_equal(alter(harness, TOPIC, "t", "cleanup.policy", SUBTRACT, " delete ,x").error, KAFKA_NONE);
    assert_string_equal(harness_topic(harness, 0, "t")->config.set[TOPIC_CONFIG_cleanup_policy], "compact");
    assert_int_equal(alter(harness, TOPIC, "t", "cleanup.policy", APPEND, "shred").error, KAFKA_INVALID_CONFIG);
    assert_int_equal(alter(harness, TOPIC, "t", "cleanup.policy", SUBTRACT, "compact").error, KAFKA_NONE);
    assert_int_equal(harness_topic(harness, 0, "t")->config.cleanup_policy, 0);
    char text[CONFIG_VALUE_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(alter(harness, TOPIC, "t", "leader.replication.throttled.replicas", SET, text).error, KAFKA_NONE);
    assert_int_equal(alter(harness, TOPIC, "t", "leader.replication.throttled.replicas", APPEND, "y").error,
                     KAFKA_INVALID_CONFIG);
    assert_int_equal(alter(harness, TOPIC, "t", "leader.replication.throttled.replicas", SUBTRACT, text).error,
                     KAFKA_NONE);
    struct answer answer = alter(harness, TOPIC, "t", "retention.ms", APPEND, "1");
    assert_int_equal(answer.error, KAFKA_INVALID_CONFIG);
    assert_string_equal(answer.message, "Can't APPEND to key retention.ms because its type is not LIST.");
    harness_free(harness);
}

static struct answer replace(struct harness *harness, int16_t version, int8_t type, const char *name,
                             const char *settings, bool validate_only)
{
    struct alter_configs_request_config configs[8];
    struct alter_configs_request_resource resource = {
        .resource_type = type, .resource_name = odk_str_from(name), .configs = configs
    };
    struct alter_configs_request request = { .resources = &resource,
                                             .resources_count = 1,
                                             .validate_only = validate_only };
    struct alter_configs_response response;
    for (const char *at = settings; *at != '\0';) {
        size_t key = strcspn(at, "="), value = strcspn(at + key + 1, ";");
        configs[resource.configs_count++] = (struct alter_configs_request_config){
            .name = { .data = at, .len = key }, .value = { .data = at + key + 1, .len = value }
        };
        at += key + 1 + value + (at[key + 1 + value] == ';');
    }
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_ALTER_CONFIGS, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.responses_count, 1);
    return answer_of(response.responses[0].error_code, response.responses[0].error_message);
}

static void the_older_request_replaces_everything(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, "retention.ms=1;flush.ms=2");
    for (int16_t version = 0; version <= 2; version++) {
        assert_int_equal(replace(harness, version, TOPIC, "t", "flush.ms=3;segment.bytes=1000", false).error,
                         KAFKA_NONE);
        expect(harness, TOPIC, "t", "retention.ms", "604800000", 5);
        expect(harness, TOPIC, "t", "flush.ms", "3", 1);
        expect(harness, TOPIC, "t", "segment.bytes", "1000", 1);
        assert_int_equal(replace(harness, version, TOPIC, "t", "retention.ms=7", true).error, KAFKA_NONE);
        expect(harness, TOPIC, "t", "flush.ms", "3", 1);
        assert_int_equal(replace(harness, version, TOPIC, "t", "retention.ms=x", false).error, KAFKA_INVALID_CONFIG);
        expect(harness, TOPIC, "t", "flush.ms", "3", 1);
        assert_int_equal(replace(harness, version, TOPIC, "t", "retention.ms=8", false).error, KAFKA_NONE);
        expect(harness, TOPIC, "t", "retention.ms", "8", 1);
        expect(harness, TOPIC, "t", "flush.ms", "9223372036854775807", 5);
    }
    assert_int_equal(replace(harness, 2, BROKER, "", "log.retention.ms=5;log.segment.bytes=99", false).error,
                     KAFKA_NONE);
    assert_int_equal(replace(harness, 2, BROKER, "", "log.retention.ms=6", false).error, KAFKA_NONE);
    expect(harness, BROKER, "", "log.retention.ms", "6", 3);
    expect(harness, BROKER, "", "log.segment.bytes", "", 0);
    assert_int_equal(replace(harness, 2, LOGGER, "1", "a=1", false).error, KAFKA_INVALID_REQUEST);
    harness_free(harness);
}

/* -- mistakes ----------------------------------------------------------------------------------------------------- */

static void changes_of_the_broker_have_kafkas_rules(void **state)
{
    (void)state;
    static const struct {
        int8_t type;
        const char *name, *key;
        int8_t operation;
        const char *value;
        int16_t error;
        const char *message;
    } rows[] = {
        { BROKER, "", "sasl.enabled.mechanisms", SET, "PLAIN", KAFKA_INVALID_REQUEST,
          "Cannot update these configs at default cluster level, broker id must be specified: "
          "[sasl.enabled.mechanisms]" },
        { BROKER, "", "sasl.enabled.mechanisms", DELETE, NULL, KAFKA_NONE, NULL },
        { BROKER, "1", "ssl.keystore.location", SET, "/x", KAFKA_INVALID_REQUEST,
          "These security configs can be dynamically updated only per-listener using the listener prefix: "
          "[ssl.keystore.location]" },
        { BROKER, "", "compression.gzip.level", SET, "0", KAFKA_INVALID_REQUEST,
          "compression.gzip.level: 0 is not allowed; it must be -1 or a whole number from 1 to 9" },
        { BROKER, "", "max.connections.per.ip.overrides", SET, "a", KAFKA_INVALID_REQUEST,
          "max.connections.per.ip.overrides: must be ADDRESS:COUNT, separated by commas" },
        { BROKER, "", "log.retention.ms", SET, "0", KAFKA_INVALID_REQUEST,
          "log.retention.ms must be unlimited (-1) or, greater than or equal to 1" },
        { BROKER, "1", "group.consumer.assignment.interval.ms", SET, "20000", KAFKA_INVALID_REQUEST,
          "group.consumer.assignment.interval.ms is outside its .min. and .max." },
    };
    struct harness *harness = harness_new(1, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(alter(harness, TOPIC, "t", "compression.gzip.level", SET, "0").error, KAFKA_INVALID_CONFIG);
    for (size_t i = 0; i < countof(rows); i++) {
        struct answer answer =
            alter(harness, rows[i].type, rows[i].name, rows[i].key, rows[i].operation, rows[i].value);
        assert_int_equal(answer.error, rows[i].error);
        assert_string_equal(answer.message, rows[i].message ? rows[i].message : "");
    }
    harness_free(harness);
}

static void mistakes_have_kafkas_errors(void **state)
{
    (void)state;
    static const struct {
        int8_t type;
        const char *name, *key;
        int8_t operation;
        const char *value;
        int16_t error;
        const char *message; /* NULL: any */
    } rows[] = {
        { TOPIC, "nope", "retention.ms", SET, "1", KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
          "The topic 'nope' does not exist." },
        { TOPIC, "", "retention.ms", SET, "1", KAFKA_INVALID_REQUEST, "Default topic resources are not allowed." },
        { TOPIC, "a b", "retention.ms", SET, "1", KAFKA_INVALID_TOPIC_EXCEPTION, NULL },
        { TOPIC, "t", "no.such.key", SET, "1", KAFKA_INVALID_CONFIG, "Unknown topic config name: no.such.key" },
        { TOPIC, "t", "no.such.key", DELETE, NULL, KAFKA_NONE, NULL },
        { TOPIC, "t", "retention.ms", SET, "x", KAFKA_INVALID_CONFIG, NULL },
        { TOPIC, "t", "retention.ms", SET, "-2", KAFKA_INVALID_CONFIG, NULL },
        { TOPIC, "t", "retention.ms", SET, NULL, KAFKA_INVALID_REQUEST, "Null value not supported for : retention.ms" },
        { TOPIC, "t", "retention.ms", 4, "1", KAFKA_INVALID_REQUEST, NULL },
        { TOPIC, "t", "retention.ms", -1, "1", KAFKA_INVALID_REQUEST, NULL },
        { TOPIC, "t", "max.compaction.lag.ms", SET, "4", KAFKA_INVALID_CONFIG,
          "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)" },
        { BROKER, "2", "log.retention.ms", SET, "1", KAFKA_INVALID_REQUEST, NULL },
        { BROKER, "x", "log.retention.ms", SET, "1", KAFKA_INVALID_REQUEST, NULL },
        { BROKER, "1", "log.retention.ms", SET, "x", KAFKA_INVALID_REQUEST, NULL },
        { BROKER, "1", "num.partitions", SET, "5", KAFKA_INVALID_REQUEST,
          "Cannot update these configs dynamically: [num.partitions]" },
        { BROKER, "1", "sasl.kerberos.min.time.before.relogin", SET, "58000", KAFKA_NONE, NULL },
        { BROKER, "1", "num.partitions", DELETE, NULL, KAFKA_NONE, NULL },
        { BROKER, "", "listeners", SET, "PLAINTEXT://:1", KAFKA_INVALID_REQUEST, NULL },
        { BROKER, "1", "no.such.key", SET, "5", KAFKA_INVALID_CONFIG, "Unknown broker config name: no.such.key" },
        { BROKER, "1", "log.retention.ms", SUBTRACT, "5", KAFKA_INVALID_CONFIG, NULL },
        { GROUP, "", "consumer.session.timeout.ms", SET, "50000", KAFKA_INVALID_REQUEST,
          "Default group resources are not allowed." },
        { GROUP, "g", "consumer.session.timeout.ms", SET, "1", KAFKA_INVALID_CONFIG,
          "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive." },
        { GROUP, "g", "no.such.key", SET, "1", KAFKA_INVALID_CONFIG, "Unknown group config name: no.such.key" },
        { GROUP, "g", "no.such\nkey", SET, "1", KAFKA_INVALID_CONFIG, "Unknown group config name: no.such\\x0akey" },
        { LOGGER, "1", "kafka", SET, "DEBUG", KAFKA_INVALID_CONFIG, "Logger kafka does not exist!" },
        { LOGGER, "1", "kafka", APPEND, "DEBUG", KAFKA_INVALID_REQUEST, NULL },
        { LOGGER, "2", "kafka", SET, "DEBUG", KAFKA_INVALID_REQUEST, NULL },
        { METRICS, "m", "interval.ms", SET, "100", KAFKA_INVALID_REQUEST, "client metrics are not collected here" },
        { 0, "m", "a", SET, "1", KAFKA_INVALID_REQUEST, "Unknown resource type 0" },
        { 3, "m", "a", SET, "1", KAFKA_INVALID_REQUEST, "Unknown resource type 3" },
        { -1, "m", "a", SET, "1", KAFKA_INVALID_REQUEST, "Unknown resource type -1" },
    };
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, "min.compaction.lag.ms=5");
    for (size_t i = 0; i < countof(rows); i++) {
        for (int16_t version = 0; version <= 1; version++) {
            struct answer answer = alter_as(harness, version, rows[i].type, rows[i].name, rows[i].key,
                                            rows[i].operation, rows[i].value, i % 2);
            if (answer.error != rows[i].error)
                print_error("%s %s: %d %s\n", rows[i].name, rows[i].key, answer.error, answer.message);
            assert_int_equal(answer.error, rows[i].error);
            if (rows[i].message)
                assert_string_equal(answer.message, rows[i].message);
        }
    }
    for (uint32_t id = 0; id < TOPIC_CONFIG_COUNT; id++) {
        if (id != TOPIC_CONFIG_min_compaction_lag_ms)
            assert_null(harness_topic(harness, 1, "t")->config.set[id]);
    }
    assert_null(harness->shards[1].broker->group_configs.by_id);
    harness_free(harness);
}

static void one_request_changes_each_resource_once_and_each_key_once(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "a", 1, NULL);
    make_topic(harness, "b", 1, NULL);
    make_topic(harness, "c", 1, NULL);
    struct incremental_alter_configs_request_config good[] = { { ODK_STR("retention.ms"), SET, ODK_STR("1") },
                                                               { ODK_STR("flush.ms"), SET, ODK_STR("2") } };
    struct incremental_alter_configs_request_config half[] = { { ODK_STR("retention.ms"), SET, ODK_STR("1") },
                                                               { ODK_STR("flush.ms"), SET, ODK_STR("x") } };
    struct incremental_alter_configs_request_config twice[] = { { ODK_STR("flush.ms"), SET, ODK_STR("2") },
                                                                { ODK_STR("flush.ms"), SET, ODK_STR("3") } };
    struct incremental_alter_configs_request_resource resources[] = {
        { .resource_type = TOPIC, .resource_name = ODK_STR("a"), .configs = good, .configs_count = 2 },
        { .resource_type = TOPIC, .resource_name = ODK_STR("b"), .configs = good, .configs_count = 2 },
        { .resource_type = TOPIC, .resource_name = ODK_STR("b"), .configs = good, .configs_count = 2 },
        { .resource_type = TOPIC, .resource_name = ODK_STR("c"), .configs = half, .configs_count = 2 },
        { .resource_type = GROUP, .resource_name = ODK_STR("a"), .configs = twice, .configs_count = 2 },
        { .resource_type = LOGGER, .resource_name = ODK_STR("1"), .configs = twice, .configs_count = 0 },
    };
    static const int16_t errors[] = { KAFKA_NONE,           KAFKA_INVALID_REQUEST, KAFKA_INVALID_REQUEST,
                                      KAFKA_INVALID_CONFIG, KAFKA_INVALID_CONFIG,  KAFKA_NONE };
    struct incremental_alter_configs_request request = { .resources = resources, .resources_count = countof(resources) };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses_count, countof(resources));
    for (size_t i = 0; i < countof(resources); i++)
        assert_int_equal(response.responses[i].error_code, errors[i]);
    expect(harness, TOPIC, "a", "flush.ms", "2", 1);
    expect(harness, TOPIC, "b", "flush.ms", "9223372036854775807", 5);
    expect(harness, TOPIC, "c", "retention.ms", "604800000", 5);
    resources[0].configs = twice;
    request.resources_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_INVALID_REQUEST);
    harness_free(harness);
}

static void validation_changes_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, NULL);
    assert_int_equal(alter_as(harness, 1, TOPIC, "t", "retention.ms", SET, "1", true).error, KAFKA_NONE);
    assert_int_equal(alter_as(harness, 1, BROKER, "1", "log.retention.ms", SET, "1", true).error, KAFKA_NONE);
    assert_int_equal(alter_as(harness, 1, GROUP, "g", "consumer.session.timeout.ms", SET, "50000", true).error,
                     KAFKA_NONE);
    expect(harness, TOPIC, "t", "retention.ms", "604800000", 5);
    expect(harness, GROUP, "g", "consumer.session.timeout.ms", "45000", 5);
    harness_free(harness);
}

/* -- the broker --------------------------------------------------------------------------------------------------- */

static void broker_settings_have_two_layers_and_flow_to_topics(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "log.retention.hours=1\n");
    make_topic(harness, "own", 1, "retention.ms=77");
    make_topic(harness, "t", 2, NULL);
    expect(harness, TOPIC, "t", "retention.ms", "3600000", 4);
    set(harness, BROKER, "", "log.retention.ms", "5000");
    expect(harness, TOPIC, "t", "retention.ms", "5000", 3);
    expect(harness, TOPIC, "own", "retention.ms", "77", 1);
    set(harness, BROKER, "1", "log.retention.ms", "6000");
    expect(harness, TOPIC, "t", "retention.ms", "6000", 2);
    expect(harness, BROKER, "", "log.retention.ms", "5000", 3);
    expect(harness, BROKER, "1", "log.retention.ms", "6000", 2);
    assert_string_equal(describe(harness, 1, BROKER, "1", "log.retention.ms").synonyms,
                        "log.retention.ms=6000@2 log.retention.ms=5000@3");
    assert_string_equal(describe(harness, 1, TOPIC, "own", "retention.ms").synonyms,
                        "retention.ms=77@1 log.retention.ms=6000@2 log.retention.ms=5000@3 log.retention.hours=1@4 "
                        "log.retention.hours=168@5");
    make_topic(harness, "young", 1, NULL);
    expect(harness, TOPIC, "young", "retention.ms", "6000", 2);
    for (int round = 0; round < 2; round++) {
        harness_crash(harness);
        expect(harness, TOPIC, "young", "retention.ms", "6000", 2);
        expect(harness, TOPIC, "own", "retention.ms", "77", 1);
        expect(harness, BROKER, "", "log.retention.ms", "5000", 3);
    }
    assert_int_equal(alter(harness, BROKER, "1", "log.retention.ms", DELETE, NULL).error, KAFKA_NONE);
    expect(harness, TOPIC, "young", "retention.ms", "5000", 3);
    assert_int_equal(alter(harness, BROKER, "", "log.retention.ms", DELETE, NULL).error, KAFKA_NONE);
    expect(harness, TOPIC, "young", "retention.ms", "3600000", 4);
    expect(harness, BROKER, "", "log.retention.ms", "", 0);
    harness_restart(harness);
    expect(harness, TOPIC, "young", "retention.ms", "3600000", 4);
    harness_free(harness);
}

/* As Kafka 4.3.1 answers, but for the last: it says nothing of log.retention.hours there. */
static void defaults_of_weaker_keys_are_no_synonyms(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 1, NULL);
    make_topic(harness, "own", 1, "retention.ms=77");
    assert_string_equal(describe(harness, 1, TOPIC, "t", "retention.ms").synonyms, "");
    assert_string_equal(describe(harness, 1, TOPIC, "t", "segment.ms").synonyms, "");
    assert_string_equal(describe(harness, 1, TOPIC, "t", "flush.ms").synonyms, "");
    assert_string_equal(describe(harness, 1, TOPIC, "own", "retention.ms").synonyms, "retention.ms=77@1");
    assert_string_equal(describe(harness, 1, TOPIC, "t", "retention.bytes").synonyms, "log.retention.bytes=-1@5");
    expect(harness, TOPIC, "t", "retention.ms", "604800000", 5);
    set(harness, BROKER, "", "log.roll.ms", "77000000");
    assert_string_equal(describe(harness, 1, TOPIC, "t", "segment.ms").synonyms,
                        "log.roll.ms=77000000@3 log.roll.hours=168@5");
    harness_free(harness);
    harness = harness_new(2, "log.retention.hours=1\n");
    make_topic(harness, "t", 1, NULL);
    assert_string_equal(describe(harness, 1, TOPIC, "t", "retention.ms").synonyms,
                        "log.retention.hours=1@4 log.retention.hours=168@5");
    harness_free(harness);
}

static void the_node_keeps_its_number(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "broker.id=7\n");
    set(harness, BROKER, "7", "log.retention.ms", "5000");
    set(harness, BROKER, "7", "log.retention.ms", "5001");
    for (uint32_t shard = 0; shard < 2; shard++)
        assert_int_equal(harness->shards[shard].broker->env.config->node_id, 7);
    assert_int_equal(alter(harness, BROKER, "1", "log.retention.ms", SET, "1").error, KAFKA_INVALID_REQUEST);
    harness_free(harness);
}

/* -- groups ------------------------------------------------------------------------------------------------------- */

static void expect_group(struct harness *harness, const char *group, int32_t session, int32_t heartbeat)
{
    for (uint32_t shard = 0; shard < harness->shard_count; shard++) {
        struct group_settings settings;
        group_configs_settings(harness->shards[shard].broker, odk_str_from(group), &settings);
        assert_int_equal(settings.session_timeout_ms, session);
        assert_int_equal(settings.heartbeat_interval_ms, heartbeat);
    }
}

static void groups_have_settings_of_their_own(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    expect_group(harness, "g", 45000, 5000);
    set(harness, GROUP, "g", "consumer.session.timeout.ms", "50000");
    set(harness, GROUP, "g", "consumer.heartbeat.interval.ms", "6000");
    set(harness, GROUP, "other", "share.auto.offset.reset", "earliest");
    expect_group(harness, "g", 50000, 6000);
    expect_group(harness, "other", 45000, 5000);
    expect(harness, GROUP, "g", "consumer.session.timeout.ms", "50000", 8);
    assert_string_equal(describe(harness, 1, GROUP, "g", "consumer.session.timeout.ms").synonyms,
                        "consumer.session.timeout.ms=50000@8 group.consumer.session.timeout.ms=45000@5");
    harness_crash(harness);
    expect_group(harness, "g", 50000, 6000);
    expect(harness, GROUP, "other", "share.auto.offset.reset", "earliest", 8);
    assert_int_equal(alter(harness, GROUP, "g", "consumer.session.timeout.ms", DELETE, NULL).error, KAFKA_NONE);
    expect_group(harness, "g", 45000, 6000);
    assert_int_equal(alter(harness, GROUP, "g", "consumer.heartbeat.interval.ms", DELETE, NULL).error, KAFKA_NONE);
    harness_reshard(harness, 1);
    expect_group(harness, "g", 45000, 5000);
    assert_null(group_configs_find(&harness->shards[0].broker->group_configs, ODK_STR("g")));
    assert_non_null(group_configs_find(&harness->shards[0].broker->group_configs, ODK_STR("other")));
    harness_free(harness);
}

static void stored_values_stay_inside_bounds_that_have_moved(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    set(harness, GROUP, "g", "consumer.session.timeout.ms", "60000");
    struct config_why why;
    assert_int_equal(broker_config_set(&harness->config, ODK_STR("group.consumer.max.session.timeout.ms"),
                                       ODK_STR("55000"), CONFIG_FROM_FILE, &harness->diag, &why),
                     ODK_OK);
    harness_restart(harness);
    expect_group(harness, "g", 55000, 5000);
    harness_free(harness);
}

/* -- restarts ----------------------------------------------------------------------------------------------------- */

static void a_long_history_is_shortened_and_means_the_same(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 2, NULL);
    set(harness, TOPIC, "t", "flush.ms", "5");
    set(harness, BROKER, "", "log.segment.bytes", "1000000");
    set(harness, BROKER, "1", "log.retention.ms", "5000");
    set(harness, GROUP, "gone", "consumer.session.timeout.ms", "50000");
    assert_int_equal(replace(harness, 2, GROUP, "gone", "", false).error, KAFKA_NONE);
    for (int i = 0; i < 4200; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", 45000 + i);
        set(harness, GROUP, "g", "consumer.session.timeout.ms", value);
        harness_forget(harness);
    }
    for (int round = 0; round < 3; round++) {
        harness->lines_len = 0;
        harness->lines[0] = '\0';
        harness_crash(harness);
        assert_int_equal(strstr(harness->lines, "shortened to") != NULL, round == 0);
        expect_group(harness, "g", 49199, 5000);
        expect_group(harness, "gone", 45000, 5000);
        expect(harness, TOPIC, "t", "flush.ms", "5", 1);
        expect(harness, TOPIC, "t", "segment.bytes", "1000000", 3);
        expect(harness, TOPIC, "t", "retention.ms", "5000", 2);
    }
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_settings_change_at_once_everywhere),
        cmocka_unit_test(the_log_is_told),
        cmocka_unit_test(lists_grow_and_shrink),
        cmocka_unit_test(the_older_request_replaces_everything),
        cmocka_unit_test(changes_of_the_broker_have_kafkas_rules),
        cmocka_unit_test(mistakes_have_kafkas_errors),
        cmocka_unit_test(one_request_changes_each_resource_once_and_each_key_once),
        cmocka_unit_test(validation_changes_nothing),
        cmocka_unit_test(broker_settings_have_two_layers_and_flow_to_topics),
        cmocka_unit_test(defaults_of_weaker_keys_are_no_synonyms),
        cmocka_unit_test(the_node_keeps_its_number),
        cmocka_unit_test(groups_have_settings_of_their_own),
        cmocka_unit_test(stored_values_stay_inside_bounds_that_have_moved),
        cmocka_unit_test(a_long_history_is_shortened_and_means_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
