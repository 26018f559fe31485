/*
 * Goal: DescribeConfigs and AlterConfigs know every key of Apache Kafka 4.3.1, with its type, its default and its rules
 * for changes; where they do not, it is on purpose and written down here.
 * Method: the rows of kafka_configs.def against what a new broker shows and allows. A difference that is written down
 * but is none any more fails too.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum kind { BROKER = 4, TOPIC = 2, GROUP = 32 };
enum type { BOOLEAN = 1, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD };
enum change { ALWAYS, READ_ONLY, CLUSTER, PER_BROKER, LISTENER };
enum differs { DEFAULT = 1, CHANGE = 2, ONLY_HERE = 4 };

static const struct fact {
    enum kind kind;
    const char *key;
    enum type type;
    const char *fallback;
    enum change change;
} facts[] = {
#define X(kind, key, type, fallback, change) { kind, key, type, fallback, CHANGE_##change },
#define CHANGE_ALWAYS    ALWAYS
#define CHANGE_READ_ONLY READ_ONLY
#define CHANGE_CLUSTER   CLUSTER
#define CHANGE_BROKER    PER_BROKER
#define CHANGE_LISTENER  LISTENER
#include "kafka_configs.def"
#undef X
};

static const struct difference {
    enum kind kind;
    const char *key;
    int what; /* enum differs */
    const char *why;
} differences[] = {
#define FOR_THIS_SERVER "there is nothing like it in Kafka"
#define NEWER           "comes with a later Kafka; tools that know it get an answer"
#define OLDER           "gone from Kafka; old files and tools still set it"
#define INTERNAL        "Kafka hides it, as for its own tests"
#define OF_A_QUOTA      "Kafka changes it while it runs, but shows it only when it is set"
#define OF_A_PLUGIN     "Kafka leaves it to the authorizer"
    { BROKER, "controller.listener.names", DEFAULT, "Kafka must be told; here there are no controllers" },
    { BROKER, "group.coordinator.rebalance.protocols", DEFAULT, "streams groups are not served yet" },
    { BROKER, "listener.security.protocol.map", CHANGE, "sockets are set up at the start" },
    { BROKER, "listeners", CHANGE, "sockets are set up at the start" },
    { BROKER, "log.dir", DEFAULT, "data goes where one was told, not to /tmp" },
    { BROKER, "node.id", DEFAULT, "Kafka must be told; one node needs no number of its own" },
    { BROKER, "process.roles", DEFAULT, "Kafka must be told; here there are no roles" },
    { BROKER, "frame.timeout.ms", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "group.memory.bytes", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "io.backend", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "journal.bytes.max", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "max.partitions", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "num.reactors", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "open.files.max", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "replication.factor.clamp", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "request.memory.bytes", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "tail.memory.bytes", ONLY_HERE, FOR_THIS_SERVER },
    { BROKER, "allow.everyone.if.no.acl.found", ONLY_HERE, OF_A_PLUGIN },
    { BROKER, "super.users", ONLY_HERE, OF_A_PLUGIN },
    { BROKER, "follower.replication.throttled.rate", ONLY_HERE, OF_A_QUOTA },
    { BROKER, "leader.replication.throttled.rate", ONLY_HERE, OF_A_QUOTA },
    { BROKER, "replica.alter.log.dirs.io.max.bytes.per.second", ONLY_HERE, OF_A_QUOTA },
    { BROKER, "group.consumer.regex.refresh.interval.ms", ONLY_HERE, INTERNAL },
    { BROKER, "producer.id.expiration.check.interval.ms", ONLY_HERE, INTERNAL },
    { BROKER, "errors.deadletterqueue.auto.create.topics.enable", ONLY_HERE, NEWER },
    { BROKER, "errors.deadletterqueue.topic.name.prefix", ONLY_HERE, NEWER },
    { BROKER, "group.consumer.assignor.offload.enable", ONLY_HERE, NEWER },
    { BROKER, "group.share.assignor.offload.enable", ONLY_HERE, NEWER },
    { BROKER, "group.streams.acceptable.recovery.lag", ONLY_HERE, NEWER },
    { BROKER, "group.streams.assignor.offload.enable", ONLY_HERE, NEWER },
    { BROKER, "group.streams.max.warmup.replicas", ONLY_HERE, NEWER },
    { BROKER, "group.streams.min.task.offset.interval.ms", ONLY_HERE, NEWER },
    { BROKER, "group.streams.num.warmup.replicas", ONLY_HERE, NEWER },
    { BROKER, "group.streams.rack.aware.assignment.tags", ONLY_HERE, NEWER },
    { BROKER, "group.streams.task.offset.interval.ms", ONLY_HERE, NEWER },
    { BROKER, "auto.include.jmx.reporter", ONLY_HERE, OLDER },
    { BROKER, "broker.id.generation.enable", ONLY_HERE, OLDER },
    { BROKER, "controlled.shutdown.max.retries", ONLY_HERE, OLDER },
    { BROKER, "controlled.shutdown.retry.backoff.ms", ONLY_HERE, OLDER },
    { BROKER, "group.share.enable", ONLY_HERE, OLDER },
    { BROKER, "inter.broker.protocol.version", ONLY_HERE, OLDER },
    { BROKER, "leader.imbalance.per.broker.percentage", ONLY_HERE, OLDER },
    { BROKER, "log.message.downconversion.enable", ONLY_HERE, OLDER },
    { BROKER, "log.message.format.version", ONLY_HERE, OLDER },
    { BROKER, "log.message.timestamp.difference.max.ms", ONLY_HERE, OLDER },
    { BROKER, "offsets.commit.required.acks", ONLY_HERE, OLDER },
    { BROKER, "zookeeper.connect", ONLY_HERE, OLDER },
    { BROKER, "zookeeper.connection.timeout.ms", ONLY_HERE, OLDER },
    { BROKER, "zookeeper.session.timeout.ms", ONLY_HERE, OLDER },
    { TOPIC, "errors.deadletterqueue.group.enable", ONLY_HERE, NEWER },
    { TOPIC, "remote.copy.lag.bytes", ONLY_HERE, NEWER },
    { TOPIC, "remote.copy.lag.ms", ONLY_HERE, NEWER },
    { TOPIC, "message.downconversion.enable", ONLY_HERE, OLDER },
    { TOPIC, "message.format.version", ONLY_HERE, OLDER },
    { TOPIC, "message.timestamp.difference.max.ms", ONLY_HERE, OLDER },
    { GROUP, "consumer.assignor.offload.enable", ONLY_HERE, NEWER },
    { GROUP, "errors.deadletterqueue.copy.record.enable", ONLY_HERE, NEWER },
    { GROUP, "errors.deadletterqueue.topic.name", ONLY_HERE, NEWER },
    { GROUP, "share.assignor.offload.enable", ONLY_HERE, NEWER },
    { GROUP, "streams.acceptable.recovery.lag", ONLY_HERE, NEWER },
    { GROUP, "streams.assignor.name", ONLY_HERE, NEWER },
    { GROUP, "streams.assignor.offload.enable", ONLY_HERE, NEWER },
    { GROUP, "streams.num.warmup.replicas", ONLY_HERE, NEWER },
    { GROUP, "streams.rack.aware.assignment.tags", ONLY_HERE, NEWER },
    { GROUP, "streams.task.offset.interval.ms", ONLY_HERE, NEWER },
};

static const struct {
    enum kind kind;
    const char *name;
} resources[] = { { BROKER, "1" }, { TOPIC, "t" }, { GROUP, "g" } };

static int difference_of(enum kind kind, struct odk_str key)
{
    for (size_t i = 0; i < countof(differences); i++) {
        if (differences[i].kind == kind && odk_str_eq(key, odk_str_from(differences[i].key)))
            return differences[i].what;
    }
    return 0;
}

static const struct fact *fact_of(enum kind kind, struct odk_str key)
{
    for (size_t i = 0; i < countof(facts); i++) {
        if (facts[i].kind == kind && odk_str_eq(key, odk_str_from(facts[i].key)))
            return &facts[i];
    }
    return NULL;
}

/* Counts and names what is not as it should be. */
static int expect(bool good, struct odk_str key, const char *what)
{
    if (!good)
        print_error("%.*s: %s\n", ODK_STR_FMT(key), what);
    return good ? 0 : 1;
}

static void describe(struct harness *harness, enum kind kind, const char *name,
                     struct describe_configs_response *response)
{
    struct describe_configs_request_resource resource = { .resource_type = (int8_t)kind, .resource_name = odk_str_from(name) };
    struct describe_configs_request request;
    describe_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    request.include_synonyms = request.include_documentation = true;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DESCRIBE_CONFIGS, 4, &request, response), REQUEST_REPLY);
    assert_int_equal(response->results[0].error_code, KAFKA_NONE);
}

/* The default as shown: of a broker's key its own synonym with that source, else the value. */
static struct odk_str default_of(const struct describe_configs_response_config *config, enum kind kind)
{
    for (int32_t i = 0; i < config->synonyms_count && kind == BROKER; i++) {
        if (config->synonyms[i].source == CONFIG_SOURCE_DEFAULT)
            return config->synonyms[i].value;
    }
    return kind == BROKER ? (struct odk_str){ 0 } : config->value;
}

static bool is_text(struct odk_str shown, const char *expected)
{
    return expected ? shown.data && odk_str_eq(shown, odk_str_from(expected)) : !shown.data;
}

static int entry_compare(const struct describe_configs_response_config *config, enum kind kind)
{
    const struct fact *fact = fact_of(kind, config->name);
    int differs = difference_of(kind, config->name), wrong = 0;
    wrong += expect(config->documentation.len > 0, config->name, "no documentation");
    wrong += expect(!fact == (differs == ONLY_HERE), config->name, "known here, not to Kafka, and not written down");
    if (!fact)
        return wrong;
    bool same_default = is_text(default_of(config, kind), fact->fallback);
    bool same_change = config->read_only == (fact->change == READ_ONLY);
    wrong += expect((int)fact->type == config->config_type, config->name, "another type");
    wrong += expect(config->is_sensitive == (fact->type == PASSWORD), config->name, "sensitive or not");
    wrong += expect(!config->is_sensitive || !config->value.data, config->name, "a password is shown");
    wrong += expect(same_default == !(differs & DEFAULT), config->name, "another default, or a stale difference");
    wrong += expect(same_change == !(differs & CHANGE), config->name, "another read-only, or a stale difference");
    return wrong;
}

static void every_key_of_kafka_is_shown_as_kafka_shows_it(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    int wrong = 0;
    make_topic(harness, "t", 1, NULL);
    for (size_t r = 0; r < countof(resources); r++) {
        struct describe_configs_response response;
        size_t known = 0, all = 0;
        describe(harness, resources[r].kind, resources[r].name, &response);
        for (int32_t i = 0; i < response.results[0].configs_count; i++) {
            wrong += entry_compare(&response.results[0].configs[i], resources[r].kind);
            known += fact_of(resources[r].kind, response.results[0].configs[i].name) != NULL;
        }
        for (size_t i = 0; i < countof(facts); i++)
            all += facts[i].kind == resources[r].kind;
        assert_int_equal(known, all); /* none is missing: names are unique */
    }
    assert_int_equal(wrong, 0);
    harness_free(harness);
}

static void no_difference_is_stale(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(differences); i++) {
        struct odk_str key = odk_str_from(differences[i].key);
        bool here = differences[i].kind == BROKER  ? broker_config_find(key) < BROKER_CONFIG_COUNT
                    : differences[i].kind == TOPIC ? topic_config_find(key) < TOPIC_CONFIG_COUNT
                                                   : true; /* entry_compare sees it */
        assert_int_equal(expect(here, key, "is written down and not there"), 0);
        assert_true(differences[i].why[0] != '\0');
    }
}

/* -- changes -------------------------------------------------------------------------------------------------------- */

/* The error of setting the key, without doing it. */
static int16_t alter_error(struct harness *harness, enum kind kind, const char *name, const char *key,
                           const char *value)
{
    struct incremental_alter_configs_request_config config = { .name = odk_str_from(key),
                                                               .value = odk_str_from(value) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = (int8_t)kind, .resource_name = odk_str_from(name), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource,
                                                         .resources_count = 1,
                                                         .validate_only = true };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    struct odk_str said = response.responses[0].error_message;
    bool named = said.data && memmem(said.data, said.len, key, strlen(key)) != NULL;
    assert_true(response.responses[0].error_code == KAFKA_NONE || named);
    return response.responses[0].error_code;
}

static bool is_number(const struct fact *fact)
{
    return fact->type == INT || fact->type == SHORT || fact->type == LONG || fact->type == DOUBLE;
}

static void changes_follow_kafkas_rules(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    int wrong = 0;
    make_topic(harness, "t", 1, NULL);
    for (size_t i = 0; i < countof(facts); i++) {
        const struct fact *fact = &facts[i];
        struct odk_str key = odk_str_from(fact->key);
        const char *own = fact->kind == BROKER ? "1" : fact->kind == TOPIC ? "t" : "g";
        int16_t mistake = fact->kind == BROKER ? KAFKA_INVALID_REQUEST : KAFKA_INVALID_CONFIG;
        bool fixed = difference_of(fact->kind, key) & CHANGE;
        bool one = !fixed && fact->change != READ_ONLY && fact->change != LISTENER;
        const char *value = fact->fallback ? fact->fallback : is_number(fact) ? "1000" : "x";
        wrong += expect((alter_error(harness, fact->kind, own, fact->key, value) == KAFKA_NONE) == one, key,
                        "may be changed, or not, against Kafka's rule");
        if (fact->kind == BROKER)
            wrong += expect((alter_error(harness, BROKER, "", fact->key, value) == KAFKA_NONE) ==
                                (one && fact->change == CLUSTER),
                            key, "may be changed for all brokers, or not, against Kafka's rule");
        if (is_number(fact) || fact->type == BOOLEAN)
            wrong += expect(alter_error(harness, fact->kind, own, fact->key, "soon") == mistake, key,
                            "a word is taken for its value");
    }
    assert_int_equal(wrong, 0);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_kafka_is_shown_as_kafka_shows_it),
        cmocka_unit_test(no_difference_is_stale),
        cmocka_unit_test(changes_follow_kafkas_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
