/* Tables of settings, their parser, .properties texts, environment names, listeners. */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#include "broker/config.h"
#include "broker/properties.h"

static const struct odk_diag silent = { 0 };

static enum odk_err set(struct broker_config *config, const char *key, const char *value, enum config_origin origin,
                        struct config_why *why)
{
    return broker_config_set(config, odk_str_from(key), odk_str_from(value), origin, &silent, why);
}

static void rows_are_sorted_and_their_defaults_parse(void **state)
{
    (void)state;
    struct broker_config broker;
    struct topic_config topic;
    struct group_config group;
    for (uint32_t i = 1; i < BROKER_CONFIG_COUNT; i++)
        assert_true(strcmp(broker_config_rows[i - 1].key, broker_config_rows[i].key) < 0);
    for (uint32_t i = 1; i < TOPIC_CONFIG_COUNT; i++)
        assert_true(strcmp(topic_config_rows[i - 1].key, topic_config_rows[i].key) < 0);
    broker_config_init(&broker); /* asserts that each default parses */
    topic_config_init(&topic, &broker);
    config_own_init(&group_config_table, &group, &broker);
    for (uint32_t i = 1; i < GROUP_CONFIG_COUNT; i++)
        assert_true(strcmp(group_config_rows[i - 1].key, group_config_rows[i].key) < 0);
    for (uint32_t i = 0; i < BROKER_CONFIG_COUNT; i++)
        assert_int_equal(broker_config_find(odk_str_from(broker_config_rows[i].key)), i);
    assert_int_equal(topic_config_find(ODK_STR("no.such.key")), TOPIC_CONFIG_COUNT);
}

static void topic_defaults_are_the_same_with_and_without_the_broker(void **state)
{
    (void)state;
    struct broker_config broker;
    struct topic_config topic;
    broker_config_init(&broker);
    topic_config_init(&topic, &broker);
    for (uint32_t i = 0; i < TOPIC_CONFIG_COUNT; i++) {
        char text[CONFIG_TEXT_BYTES];
        struct odk_str shown = config_print(&topic_config_rows[i], &topic, text);
        if (!odk_str_eq(shown, odk_str_from(topic_config_rows[i].fallback)))
            print_error("%s: %.*s\n", topic_config_rows[i].key, ODK_STR_FMT(shown));
        assert_true(odk_str_eq(shown, odk_str_from(topic_config_rows[i].fallback)));
    }
}

static void bad_values_are_refused_with_key_value_and_range(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "num.partitions", "0" },
        { "num.partitions", "many" },
        { "num.partitions", "1 2" },
        { "num.partitions", "4294967297" },
        { "log.retention.ms", "-2" },
        { "auto.create.topics.enable", "yes" },
        { "compression.type", "brotli" },
        { "log.cleanup.policy", "shred" },
        { "log.cleaner.min.cleanable.ratio", "2" },
        { "num.partitions", "" },
        { "log.cleaner.min.cleanable.ratio", "nan" },
    };
    struct broker_config config;
    struct config_why why;
    broker_config_init(&config);
    for (size_t i = 0; i < countof(bad); i++) {
        assert_int_equal(set(&config, bad[i][0], bad[i][1], CONFIG_FROM_FILE, &why), ODK_ERR_INVALID);
        assert_non_null(strstr(why.text, bad[i][0]));
        assert_non_null(strstr(why.text, bad[i][1]));
    }
    assert_int_equal(set(&config, "num.partitions", "0", CONFIG_FROM_FILE, &why), ODK_ERR_INVALID);
    assert_string_equal(why.text,
                        "num.partitions: \"0\" is not allowed; it must be a whole number from 1 to 2147483647");
    assert_int_equal(config.num_partitions, 1);
    broker_config_deinit(&config);
}

static void stronger_origins_win_in_any_order(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    broker_config_init(&config);
    assert_int_equal(set(&config, "num.partitions", "3", CONFIG_FROM_ENV, &why), ODK_OK);
    assert_int_equal(set(&config, "num.partitions", "2", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(config.num_partitions, 3);
    assert_int_equal(set(&config, "num.partitions", "4", CONFIG_FROM_FLAG, &why), ODK_OK);
    assert_int_equal(config.num_partitions, 4);
    assert_int_equal(config.origin[BROKER_CONFIG_num_partitions], CONFIG_FROM_FLAG);
    broker_config_deinit(&config);
}

static void retention_prefers_ms_to_minutes_to_hours(void **state)
{
    (void)state;
    struct broker_config broker;
    struct topic_config topic;
    struct config_why why;
    broker_config_init(&broker);
    topic_config_init(&topic, &broker);
    assert_int_equal(topic.retention_ms, INT64_C(604800000));
    assert_int_equal(set(&broker, "log.retention.hours", "2", CONFIG_FROM_FILE, &why), ODK_OK);
    topic_config_init(&topic, &broker);
    assert_int_equal(topic.retention_ms, 7200000);
    assert_int_equal(set(&broker, "log.retention.minutes", "5", CONFIG_FROM_FILE, &why), ODK_OK);
    topic_config_init(&topic, &broker);
    assert_int_equal(topic.retention_ms, 300000);
    assert_int_equal(set(&broker, "log.retention.ms", "-1", CONFIG_FROM_FILE, &why), ODK_OK);
    topic_config_init(&topic, &broker);
    assert_int_equal(topic.retention_ms, -1);
    struct config_place places[CONFIG_PLACES_MAX];
    assert_int_equal(config_places(topic_config_rows[TOPIC_CONFIG_retention_ms].synonyms, &broker, places), 4);
    assert_int_equal(places[0].id, BROKER_CONFIG_log_retention_ms);
    assert_int_equal(places[0].source, CONFIG_SOURCE_START);
    assert_int_equal(places[2].id, BROKER_CONFIG_log_retention_hours);
    assert_int_equal(places[3].source, CONFIG_SOURCE_DEFAULT);
    broker_config_deinit(&broker);
}

static void lists_of_choices_are_shown_in_the_order_they_were_set(void **state)
{
    (void)state;
    static const struct {
        const char *set, *shown;
    } rows[] = { { "compact , delete", "compact,delete" },
                 { "delete,compact", "delete,compact" },
                 { "delete,delete", "delete" },
                 { "", "" } };
    struct broker_config broker;
    broker_config_init(&broker);
    for (size_t i = 0; i < countof(rows); i++) {
        struct topic_config topic;
        struct config_why why;
        char text[CONFIG_TEXT_BYTES];
        topic_config_init(&topic, &broker);
        assert_int_equal(topic_config_set(&topic, ODK_STR("cleanup.policy"), odk_str_from(rows[i].set), &why), ODK_OK);
        struct odk_str shown = config_print(&topic_config_rows[TOPIC_CONFIG_cleanup_policy], &topic, text);
        assert_true(odk_str_eq(shown, odk_str_from(rows[i].shown)));
        topic_config_deinit(&topic);
    }
    broker_config_deinit(&broker);
}

static void topic_values_stand_over_the_brokers_and_can_be_taken_back(void **state)
{
    (void)state;
    struct broker_config broker;
    struct topic_config topic, copy;
    struct config_why why;
    broker_config_init(&broker);
    topic_config_init(&topic, &broker);
    assert_int_equal(topic_config_set(&topic, ODK_STR("cleanup.policy"), ODK_STR(" compact , delete "), &why), ODK_OK);
    assert_int_equal(topic_config_set(&topic, ODK_STR("max.message.bytes"), ODK_STR("100"), &why), ODK_OK);
    assert_int_equal(topic.cleanup_policy, TOPIC_CLEANUP_COMPACT | TOPIC_CLEANUP_DELETE);
    topic_config_copy(&copy, &topic);
    topic_config_deinit(&topic);
    assert_int_equal(copy.max_message_bytes, 100);
    assert_string_equal(copy.set[TOPIC_CONFIG_max_message_bytes], "100");
    topic_config_unset(&copy, TOPIC_CONFIG_max_message_bytes, &broker);
    assert_int_equal(copy.max_message_bytes, 1048588);
    assert_int_equal(topic_config_set(&copy, ODK_STR("no.key"), ODK_STR("1"), &why), ODK_ERR_NOT_FOUND);
    assert_int_equal(topic_config_set(&copy, ODK_STR("retention.ms"), ODK_STR("x"), &why), ODK_ERR_INVALID);
    topic_config_deinit(&copy);
    broker_config_deinit(&broker);
}

/* The value of log.retention.ms for topics that set nothing. */
static int64_t retention_of(const struct broker_config *broker)
{
    struct topic_config topic;
    topic_config_init(&topic, broker);
    return topic.retention_ms;
}

static void changes_at_run_time_stand_over_the_start_in_two_layers(void **state)
{
    (void)state;
    struct broker_config start, broker;
    struct config_why why;
    enum broker_config_id id = BROKER_CONFIG_log_retention_ms;
    broker_config_init(&start);
    assert_int_equal(set(&start, "log.retention.hours", "1", CONFIG_FROM_FLAG, &why), ODK_OK);
    broker_config_share(&broker, &start);
    assert_int_equal(retention_of(&broker), 3600000);
    assert_int_equal(broker_config_change(&broker, CONFIG_ALL_BROKERS, id, ODK_STR("7"), &why), ODK_OK);
    assert_int_equal(retention_of(&broker), 7);
    assert_int_equal(broker_config_change(&broker, CONFIG_THIS_BROKER, id, ODK_STR("8"), &why), ODK_OK);
    assert_int_equal(broker_config_change(&broker, CONFIG_ALL_BROKERS, id, ODK_STR("9"), &why), ODK_OK);
    assert_int_equal(retention_of(&broker), 8);
    assert_int_equal(broker_config_change(&broker, CONFIG_THIS_BROKER, id, ODK_STR("x"), &why), ODK_ERR_INVALID);
    assert_int_equal(retention_of(&broker), 8);
    assert_string_equal(broker_config_given(&broker, id), "8");
    assert_int_equal(broker_config_change(&broker, CONFIG_THIS_BROKER, id, (struct odk_str){ 0 }, &why), ODK_OK);
    assert_int_equal(retention_of(&broker), 9);
    assert_int_equal(broker_config_change(&broker, CONFIG_ALL_BROKERS, id, (struct odk_str){ 0 }, &why), ODK_OK);
    assert_int_equal(retention_of(&broker), 3600000);
    assert_null(broker_config_given(&broker, id));
    assert_int_equal(retention_of(&start), 3600000);
    broker_config_unshare(&broker);
    broker_config_deinit(&start);
}

static enum odk_err group_check(const struct broker_config *broker, const char *key, const char *value,
                                struct config_why *why)
{
    struct group_config group;
    config_own_init(&group_config_table, &group, broker);
    enum odk_err err = config_own_set(&group_config_table, &group, odk_str_from(key), odk_str_from(value), why);
    if (err == ODK_OK)
        err = group_config_check(&group, broker, why);
    config_own_deinit(&group_config_table, &group);
    return err;
}

static void group_values_stay_inside_the_brokers_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        enum odk_err err;
    } rows[] = {
        { "consumer.session.timeout.ms", "45000", ODK_OK },
        { "consumer.session.timeout.ms", "44999", ODK_ERR_INVALID },
        { "consumer.session.timeout.ms", "60001", ODK_ERR_INVALID },
        { "consumer.heartbeat.interval.ms", "15000", ODK_OK },
        { "consumer.heartbeat.interval.ms", "4999", ODK_ERR_INVALID },
        { "share.delivery.count.limit", "11", ODK_ERR_INVALID },
        { "share.isolation.level", "read_committed", ODK_OK },
        { "share.isolation.level", "serializable", ODK_ERR_INVALID },
        { "share.auto.offset.reset", "earliest", ODK_OK },
        { "share.auto.offset.reset", "by_duration:PT1H", ODK_OK },
        { "share.auto.offset.reset", "by_duration:P", ODK_ERR_INVALID },
        { "share.auto.offset.reset", "never", ODK_ERR_INVALID },
        { "streams.num.standby.replicas", "3", ODK_ERR_INVALID },
        { "streams.task.offset.interval.ms", "15000", ODK_OK },
        { "streams.task.offset.interval.ms", "14999", ODK_ERR_INVALID },
        { "errors.deadletterqueue.topic.name", "__x", ODK_ERR_INVALID },
        { "no.such.key", "1", ODK_ERR_NOT_FOUND },
    };
    struct broker_config broker;
    struct config_why why;
    broker_config_init(&broker);
    for (size_t i = 0; i < countof(rows); i++) {
        if (group_check(&broker, rows[i].key, rows[i].value, &why) != rows[i].err)
            print_error("%s=%s\n", rows[i].key, rows[i].value);
        assert_int_equal(group_check(&broker, rows[i].key, rows[i].value, &why), rows[i].err);
    }
    assert_int_equal(set(&broker, "group.consumer.max.heartbeat.interval.ms", "50000", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(group_check(&broker, "consumer.heartbeat.interval.ms", "45000", &why), ODK_ERR_INVALID);
    assert_string_equal(why.text, "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms");
    broker_config_deinit(&broker);
}

static void node_id_takes_the_old_name(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    broker_config_init(&config);
    assert_int_equal(config.node_id, 1);
    assert_int_equal(set(&config, "broker.id", "7", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(config.node_id, 7);
    assert_int_equal(set(&config, "node.id", "9", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(set(&config, "broker.id", "8", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(config.node_id, 9);
    broker_config_deinit(&config);
}

/* -- .properties -------------------------------------------------------------------------------------------------- */

/* All pairs as "key|value|line\n". */
static void check_properties(const char *text, size_t len, const char *expected, uint32_t bad_line)
{
    char seen[1024];
    size_t pos = 0;
    struct property property;
    struct properties properties = properties_init((struct odk_str){ .data = text, .len = len });
    seen[0] = '\0';
    while (properties_next(&properties, &property))
        pos += (size_t)snprintf(seen + pos, sizeof(seen) - pos, "%.*s|%.*s|%u\n", ODK_STR_FMT(property.key),
                                ODK_STR_FMT(property.value), property.line);
    assert_string_equal(seen, expected);
    assert_int_equal(properties.bad_line, bad_line);
    properties_deinit(&properties);
}

#define CHECK_PROPERTIES(text, expected, bad_line) check_properties(text, sizeof(text) - 1, expected, bad_line)

static void properties_are_read_as_java_reads_them(void **state)
{
    (void)state;
    CHECK_PROPERTIES("", "", 0);
    CHECK_PROPERTIES("\n\r\n  # c\n! d\n", "", 0);
    CHECK_PROPERTIES("a=1\nb : 2\nc 3\n  d\t=\f4  ", "a|1|1\nb|2|2\nc|3|3\nd|4  |4\n", 0);
    CHECK_PROPERTIES("a=1\r\nb=2\rc=3", "a|1|1\nb|2|2\nc|3|3\n", 0);
    CHECK_PROPERTIES("a=b=c:d", "a|b=c:d|1\n", 0);
    CHECK_PROPERTIES("key", "key||1\n", 0);
    CHECK_PROPERTIES("=v", "|v|1\n", 0);
    CHECK_PROPERTIES("a=x,\\\n   y,\\\r\n\tz\nb=1", "a|x,y,z|1\nb|1|4\n", 0);
    CHECK_PROPERTIES("a=x\\\\\nb=1", "a|x\\|1\nb|1|2\n", 0);
    CHECK_PROPERTIES("a\\ b\\=c=1", "a b=c|1|1\n", 0);
    CHECK_PROPERTIES("a=\\t\\u0041\\u00e9\\q", "a|\tA\xc3\xa9q|1\n", 0);
    CHECK_PROPERTIES("a=1\nb=\\u00g0\nc=2", "a|1|1\n", 2);
    CHECK_PROPERTIES("a=x\\", "a|x|1\n", 0);
    CHECK_PROPERTIES("a=x\\\n# not a comment", "a|x# not a comment|1\n", 0);
}

static void properties_survive_any_bytes(void **state)
{
    (void)state;
    static const char alphabet[] = "a=: \\u0\n\r#!\t";
    uint64_t random = 7;
    for (int round = 0; round < 20000; round++) {
        char text[40];
        size_t len = (size_t)round % sizeof(text);
        for (size_t i = 0; i < len; i++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            text[i] = alphabet[(random >> 33) % (sizeof(alphabet) - 1)];
        }
        struct property property;
        struct properties properties = properties_init((struct odk_str){ .data = text, .len = len });
        size_t total = 0;
        while (properties_next(&properties, &property))
            total += property.key.len + property.value.len;
        assert_true(total <= len);
        properties_deinit(&properties);
    }
}

struct said {
    char text[4096];
    uint32_t lines;
};

static void said_write(void *context, enum odk_diag_level level, const char *line)
{
    struct said *said = context;
    (void)level;
    (void)snprintf(said->text, sizeof(said->text), "%s", line);
    said->lines++;
}

static void what_has_no_effect_is_said_in_one_line(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    struct said said = { 0 };
    const struct odk_diag sink = { .context = &said, .write = said_write };
    broker_config_init(&config);
    broker_config_say_inert(&config, &sink);
    assert_int_equal(said.lines, 0);
    assert_int_equal(broker_config_load(&config,
                                        ODK_STR("num.io.threads=8\nnum.io.threads=9\nnum.partitions=2\n"
                                                "zookeeper.set.acl=true\nlistener.name.in.ssl.keystore.type=PEM\n"),
                                        CONFIG_FROM_FILE, &sink, &why),
                     ODK_OK);
    assert_int_equal(said.lines, 0);
    broker_config_say_inert(&config, &sink);
    assert_int_equal(said.lines, 1);
    assert_string_equal(said.text, "accepted, no effect: num.io.threads, zookeeper.set.acl, "
                                   "listener.name.in.ssl.keystore.type");
    assert_int_equal(set(&config, "num.oi.threads", "8", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_int_equal(broker_config_load(&config, ODK_STR("num.oi.threads=1"), CONFIG_FROM_FILE, &sink, &why), ODK_OK);
    assert_int_equal(said.lines, 2);
    assert_string_equal(said.text, "num.oi.threads: unknown setting, ignored");
    broker_config_deinit(&config);
}

static void a_long_line_ends_with_how_much_is_missing(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    struct said said = { 0 };
    const struct odk_diag sink = { .context = &said, .write = said_write };
    uint32_t given = 0, named = 1, more = 0;
    broker_config_init(&config);
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        const struct config_row *row = &broker_config_rows[id];
        if (!(row->effect & CONFIG_INERT) || !row->fallback)
            continue;
        assert_int_equal(set(&config, row->key, row->fallback, CONFIG_FROM_FILE, &why), ODK_OK);
        given++;
    }
    broker_config_say_inert(&config, &sink);
    assert_int_equal(said.lines, 1);
    assert_true(strlen(said.text) < 1000);
    for (const char *at = said.text; (at = strstr(at, ", ")) != NULL; at++)
        named++;
    assert_int_equal(sscanf(strstr(said.text, " and "), " and %u more", &more), 1);
    assert_int_equal(named - 1 + more, given); /* the comma of "accepted, no effect" */
    broker_config_deinit(&config);
}

static void doubles_are_shown_as_java_shows_them(void **state)
{
    (void)state;
    static const char *const shown[][2] = {
        { "0.5", "0.5" },       { "1", "1.0" },          { "0", "0.0" },         { "0.0001", "1.0E-4" },
        { "0.001", "0.001" },   { "9999999", "9999999.0" }, { "1e7", "1.0E7" },  { "12345678.5", "1.23456785E7" },
        { "123.25", "123.25" }, { "1.7976931348623157E308", "1.7976931348623157E308" },
    };
    struct broker_config config;
    struct config_why why;
    broker_config_init(&config);
    for (size_t i = 0; i < countof(shown); i++) {
        char text[CONFIG_TEXT_BYTES];
        assert_int_equal(set(&config, "log.cleaner.io.max.bytes.per.second", shown[i][0], CONFIG_FROM_FILE, &why),
                         ODK_OK);
        struct odk_str is =
            config_print(&broker_config_rows[BROKER_CONFIG_log_cleaner_io_max_bytes_per_second], &config, text);
        if (!odk_str_eq(is, odk_str_from(shown[i][1])))
            print_error("%s: %.*s\n", shown[i][0], ODK_STR_FMT(is));
        assert_true(odk_str_eq(is, odk_str_from(shown[i][1])));
    }
    assert_int_equal(set(&config, "log.cleaner.io.max.bytes.per.second", "1e999", CONFIG_FROM_FILE, &why),
                     ODK_ERR_INVALID);
    broker_config_deinit(&config);
}

static void a_bad_line_of_a_file_is_named(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    broker_config_init(&config);
    assert_int_equal(
        broker_config_load(&config, ODK_STR("# x\nnum.partitions=4\n\nnode.id=abc\n"), CONFIG_FROM_FILE, &silent, &why),
        ODK_ERR_INVALID);
    assert_memory_equal(why.text, "line 4: node.id", 15);
    assert_int_equal(config.num_partitions, 4);
    broker_config_deinit(&config);
}

/* -- environment, listeners ---------------------------------------------------------------------------------------- */

static void environment_names_map_to_keys(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        { "KAFKA_LOG_RETENTION_HOURS", "log.retention.hours" },
        { "KAFKA_CFG_NODE_ID", "node.id" },
        { "KAFKA_A__B___C", "a_b-c" },
        { "KAFKA_LISTENERS", "listeners" },
    };
    char key[64];
    for (size_t i = 0; i < countof(names); i++) {
        assert_true(config_key_of_env(names[i][0], key, sizeof(key)));
        assert_string_equal(key, names[i][1]);
    }
    assert_false(config_key_of_env("KAFKA_HEAP_OPTS", key, sizeof(key)));
    assert_false(config_key_of_env("KAFKA_JMX_PORT", key, sizeof(key)));
    assert_false(config_key_of_env("KAFKA_LOG4J_ROOT_LOGLEVEL", key, sizeof(key)));
    assert_false(config_key_of_env("PATH", key, sizeof(key)));
    assert_false(config_key_of_env("KAFKA_", key, sizeof(key)));
    assert_false(config_key_of_env("KAFKA_LOG_RETENTION_HOURS", key, 5));
}

static void listeners_are_split(void **state)
{
    (void)state;
    struct config_listener list[LISTENERS_MAX];
    struct config_why why;
    uint32_t count = 9;
    assert_int_equal(config_listeners_parse("PLAINTEXT://:9092, B://[::1]:0,C://host.x:65535", list, &count, &why),
                     ODK_OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].host, "");
    assert_int_equal(list[0].port, 9092);
    assert_string_equal(list[1].name, "B");
    assert_string_equal(list[1].host, "::1");
    assert_string_equal(list[2].host, "host.x");
    static const char *const bad[] = { "x",           "://h:1",    "A://h",    "A://h:",
                                       "A://h:65536", "A://::1:9", "A://h:-1", "A://h:1x" };
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(config_listeners_parse(bad[i], list, &count, &why), ODK_ERR_INVALID);
}

static enum odk_err check(const char *text, struct config_why *why)
{
    struct broker_config config;
    broker_config_init(&config);
    assert_int_equal(broker_config_load(&config, odk_str_from(text), CONFIG_FROM_FILE, &silent, why), ODK_OK);
    enum odk_err err = broker_config_check(&config, true, &silent, why);
    broker_config_deinit(&config);
    return err;
}

static void only_what_is_served_may_be_listened_to(void **state)
{
    (void)state;
    struct config_why why;
    assert_int_equal(check("", &why), ODK_OK);
    assert_int_equal(check("listeners=IN://:1,CTL://:2\ncontroller.listener.names=CTL\n"
                           "listener.security.protocol.map=IN:PLAINTEXT,CTL:SSL",
                           &why),
                     ODK_OK);
    assert_int_equal(check("listeners=SSL://:1", &why), ODK_ERR_UNSUPPORTED);
    assert_int_equal(check("listeners=IN://:1", &why), ODK_ERR_UNSUPPORTED);
    assert_int_equal(check("listeners=CTL://:2\ncontroller.listener.names=CTL", &why), ODK_ERR_INVALID);
    assert_int_equal(check("advertised.listeners=nonsense", &why), ODK_ERR_INVALID);
    assert_int_equal(check("log.retention.minutes=0", &why), ODK_ERR_INVALID);
    assert_int_equal(check("compression.gzip.level=0", &why), ODK_ERR_INVALID);
    assert_int_equal(check("max.connections.per.ip.overrides=10.0.0.1:5,::1:7", &why), ODK_OK);
    assert_int_equal(check("max.connections.per.ip.overrides=10.0.0.1", &why), ODK_ERR_INVALID);
    assert_int_equal(check("max.connections.per.ip.overrides=10.0.0.1:4000000000", &why), ODK_ERR_INVALID);
    assert_int_equal(check("group.consumer.assignment.interval.ms=20000", &why), ODK_ERR_INVALID);
}

static void advertised_address_is_found_by_listener(void **state)
{
    (void)state;
    struct broker_config config;
    struct config_why why;
    struct config_listener found;
    broker_config_init(&config);
    assert_false(broker_config_advertised(&config, "PLAINTEXT", &found));
    assert_int_equal(set(&config, "advertised.listeners", "IN://a:1,OUT://b:2", CONFIG_FROM_FILE, &why), ODK_OK);
    assert_true(broker_config_advertised(&config, "OUT", &found));
    assert_string_equal(found.host, "b");
    assert_false(broker_config_advertised(&config, "ELSE", &found));
    broker_config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_their_defaults_parse),
        cmocka_unit_test(topic_defaults_are_the_same_with_and_without_the_broker),
        cmocka_unit_test(bad_values_are_refused_with_key_value_and_range),
        cmocka_unit_test(stronger_origins_win_in_any_order),
        cmocka_unit_test(retention_prefers_ms_to_minutes_to_hours),
        cmocka_unit_test(lists_of_choices_are_shown_in_the_order_they_were_set),
        cmocka_unit_test(topic_values_stand_over_the_brokers_and_can_be_taken_back),
        cmocka_unit_test(changes_at_run_time_stand_over_the_start_in_two_layers),
        cmocka_unit_test(group_values_stay_inside_the_brokers_bounds),
        cmocka_unit_test(node_id_takes_the_old_name),
        cmocka_unit_test(properties_are_read_as_java_reads_them),
        cmocka_unit_test(properties_survive_any_bytes),
        cmocka_unit_test(what_has_no_effect_is_said_in_one_line),
        cmocka_unit_test(a_long_line_ends_with_how_much_is_missing),
        cmocka_unit_test(doubles_are_shown_as_java_shows_them),
        cmocka_unit_test(a_bad_line_of_a_file_is_named),
        cmocka_unit_test(environment_names_map_to_keys),
        cmocka_unit_test(listeners_are_split),
        cmocka_unit_test(only_what_is_served_may_be_listened_to),
        cmocka_unit_test(advertised_address_is_found_by_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
