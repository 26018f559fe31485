/*
 * Goal: every setting of the broker that says it has an effect has one, at the start and, if it may change while the
 * broker runs, from the change on and back.
 * Method: a table with a row for each such key. Most rows look at a whole broker through its requests or its files: no
 * effect with the default, the effect when the key is set, no effect when it is taken away. The others name the test that
 * shows it, which is looked up. A key that misses in the table fails.
 */
#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "broker/group_host_internal.h"

#define HOUR_MS  INT64_C(3600000)
#define BATCHES  5
#define JITTERED 20 /* partitions, of which each begins another segment with a chance of one half */

static struct odk_str topic_next(struct harness *harness, int32_t partitions)
{
    static char name[32];
    static uint32_t count;
    (void)snprintf(name, sizeof(name), "t%u", count++);
    make_topic(harness, name, partitions, NULL);
    return odk_str_from(name);
}

static struct produce_response_partition put(struct harness *harness, struct odk_str topic, int32_t partition,
                                             const struct batch_options *options)
{
    return produce(harness, 9, topic.data, partition, make_batch(options));
}

static struct produce_response_partition put_new(struct harness *harness, const struct batch_options *options)
{
    return put(harness, topic_next(harness, 1), 0, options);
}

/* -- produce and fetch ---------------------------------------------------------------------------------------------- */

static bool is_too_large(struct harness *harness)
{
    return put_new(harness, &(struct batch_options){ .value_bytes = 4000 }).error_code == KAFKA_MESSAGE_TOO_LARGE;
}

static bool wants_keys(struct harness *harness)
{
    return put_new(harness, &(struct batch_options){ .no_key = true }).error_code == KAFKA_INVALID_RECORD;
}

static bool stamps(struct harness *harness)
{
    return put_new(harness, &(struct batch_options){ .timestamp = 5 }).log_append_time_ms >= 0;
}

static bool refuses_time(struct harness *harness, int64_t from_now_ms)
{
    return put_new(harness, &(struct batch_options){ .timestamp = harness->wall_ms + from_now_ms }).error_code ==
           KAFKA_INVALID_TIMESTAMP;
}

static bool refuses_the_past(struct harness *harness)
{
    return refuses_time(harness, -2000);
}

static bool refuses_the_future(struct harness *harness)
{
    return refuses_time(harness, 2000);
}

/* All that a fetch of a topic gives; ret_bytes: of records, of which the first ones go to head. */
static struct fetch_response fetch(struct harness *harness, struct odk_str topic, uint8_t head[64], size_t *ret_bytes)
{
    struct fetch_request_partition partition;
    struct fetch_request_topic from = { .topic = topic, .partitions = &partition, .partitions_count = 1 };
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = INT32_MAX;
    fetch_request_init(&request);
    request.topics = &from;
    request.topics_count = 1;
    request.session_epoch = 0;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FETCH, 11, &request, &response), REQUEST_REPLY);
    *ret_bytes = 0;
    for (int32_t t = 0; t < response.responses_count; t++) {
        const struct wire_records *records = &response.responses[t].partitions[0].records;
        for (uint32_t i = 0; i < records->part_count; i++) {
            size_t room = 64 - MIN(*ret_bytes, (size_t)64);
            memcpy(head + 64 - room, records->parts[i].iov_base, MIN(room, records->parts[i].iov_len));
            *ret_bytes += records->parts[i].iov_len;
        }
    }
    return response;
}

static bool compresses(struct harness *harness)
{
    uint8_t head[64] = { 0 };
    size_t bytes;
    struct odk_str topic = topic_next(harness, 1);
    (void)put(harness, topic, 0, &(struct batch_options){ .value_bytes = 4000 });
    (void)fetch(harness, topic, head, &bytes);
    assert_true(bytes > 64);
    return (head[22] & 7) == ODK_CODEC_GZIP; /* the low byte of the attributes */
}

static bool fetches_little(struct harness *harness)
{
    uint8_t head[64];
    size_t bytes;
    struct odk_str topic = topic_next(harness, 1);
    for (int i = 0; i < 2; i++)
        (void)put(harness, topic, 0, &(struct batch_options){ .value_bytes = 2000 });
    (void)fetch(harness, topic, head, &bytes);
    assert_true(bytes > 2000);
    return bytes < 4000;
}

static bool has_no_sessions(struct harness *harness)
{
    uint8_t head[64];
    size_t bytes;
    return fetch(harness, topic_next(harness, 1), head, &bytes).session_id == 0;
}

/* -- files ---------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Files of a partition with that ending, and how large they are together. */
static int files_of(struct harness *harness, struct odk_str topic, int32_t partition, const char *ending,
                    size_t *ret_bytes)
{
    char folder[300], path[600];
    int count = 0;
    (void)snprintf(folder, sizeof(folder), "%s/%.*s-%d", harness->dir, ODK_STR_FMT(topic), partition);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    *ret_bytes = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat stat_of;
        if (!ends_with(entry->d_name, ending))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        assert_int_equal(stat(path, &stat_of), 0);
        *ret_bytes += (size_t)stat_of.st_size;
        count++;
    }
    assert_int_equal(closedir(dir), 0);
    return count;
}

/* A partition with batches of a thousand bytes, so far apart, as it is on disk after a stop. */
static void put_many(struct harness *harness, struct odk_str topic, int32_t partition, int64_t apart_ms)
{
    for (int i = 0; i < BATCHES; i++) {
        struct batch_options options = { .timestamp = harness->wall_ms + (i - BATCHES) * apart_ms, .value_bytes = 1000 };
        assert_int_equal(put(harness, topic, partition, &options).error_code, KAFKA_NONE);
    }
}

static bool has_segments(struct harness *harness)
{
    size_t bytes;
    struct odk_str topic = topic_next(harness, 1);
    put_many(harness, topic, 0, 0);
    harness_restart(harness);
    return files_of(harness, topic, 0, ".log", &bytes) > 1;
}

static bool has_a_dense_index(struct harness *harness)
{
    size_t bytes;
    struct odk_str topic = topic_next(harness, 1);
    put_many(harness, topic, 0, 0);
    harness_restart(harness);
    assert_int_equal(files_of(harness, topic, 0, ".index", &bytes), 1);
    return bytes >= (BATCHES - 1) * 8; /* an entry for each batch but the first */
}

static bool rolls_within(struct harness *harness, int64_t apart_ms, int32_t partitions)
{
    size_t bytes;
    struct odk_str topic = topic_next(harness, partitions);
    for (int32_t i = 0; i < partitions; i++)
        put_many(harness, topic, i, apart_ms);
    harness_restart(harness);
    for (int32_t i = 0; i < partitions; i++) {
        if (files_of(harness, topic, i, ".log", &bytes) > 1)
            return true;
    }
    return false;
}

static bool rolls_after_two_hours(struct harness *harness)
{
    return rolls_within(harness, 2 * HOUR_MS, 1);
}

/* All batches are within the time, and within half of it. */
static bool rolls_early(struct harness *harness)
{
    return rolls_within(harness, HOUR_MS / 2 / BATCHES, JITTERED);
}

/* -- topics and the node -------------------------------------------------------------------------------------------- */

static struct metadata_response metadata(struct harness *harness, const char *topic)
{
    struct metadata_request_topic wanted = { .name = odk_str_from(topic) };
    struct metadata_request request = { .topics = &wanted, .topics_count = 1, .allow_auto_topic_creation = true };
    struct metadata_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_METADATA, 9, &request, &response), REQUEST_REPLY);
    return response;
}

static bool creates_nothing(struct harness *harness)
{
    (void)metadata(harness, "asked-for");
    return !harness_topic(harness, 0, "asked-for");
}

static bool has_a_rack(struct harness *harness)
{
    struct odk_str rack = metadata(harness, "x").brokers[0].rack;
    return rack.data && odk_str_eq(rack, ODK_STR("r1"));
}

/* The answer to a topic that names neither partitions nor replicas. */
static int16_t create_error(struct harness *harness, const char *name)
{
    struct create_topics_request_topic topic = { .name = odk_str_from(name),
                                                 .num_partitions = -1,
                                                 .replication_factor = -1 };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1, .timeout_ms = 1000 };
    struct create_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_CREATE_TOPICS, 7, &request, &response), REQUEST_REPLY);
    return response.topics[0].error_code;
}

static bool wants_replicas(struct harness *harness)
{
    return create_error(harness, "r") == KAFKA_INVALID_REPLICATION_FACTOR;
}

static bool has_three_partitions(struct harness *harness)
{
    assert_int_equal(create_error(harness, "p"), KAFKA_NONE);
    return harness_topic(harness, 0, "p")->partition_count == 3;
}

static bool has_three_group_partitions(struct harness *harness)
{
    make_group_topic(harness);
    return harness_topic(harness, 0, "__consumer_offsets")->partition_count == 3;
}

static bool has_small_group_segments(struct harness *harness)
{
    make_group_topic(harness);
    return harness_topic(harness, 0, "__consumer_offsets")->config.segment_bytes == 2000000;
}

static bool has_no_group_topic(struct harness *harness)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = ODK_STR("group");
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FIND_COORDINATOR, 2, &request, &response), REQUEST_REPLY);
    return response.error_code != KAFKA_NONE;
}

/* -- what the coordinator is told; its own tests show what that means ------------------------------------------------ */

#define TOLD(name, expression)                                                                                         \
    static bool name(struct harness *harness)                                                                          \
    {                                                                                                                  \
        const struct groups_config *told = &harness->shards[0].broker->groups->config;                                 \
        return expression;                                                                                             \
    }
TOLD(told_session_min, told->session_timeout_ms_min == 7000)
TOLD(told_session_max, told->session_timeout_ms_max == 70000)
TOLD(told_rebalance_delay, told->initial_rebalance_delay_ms == 7)
TOLD(told_size, told->size_max == 7)
TOLD(told_modern_size, told->modern_size_max == 7)
TOLD(told_assignors, told->assignors[GROUP_ASSIGNOR_RANGE] && !told->assignors[GROUP_ASSIGNOR_UNIFORM])
TOLD(told_metadata, told->offset_metadata_bytes_max == 7)
TOLD(told_retention, told->offsets_retention_ms == 7 * 60000)
TOLD(told_retention_check, told->retention_check_interval_ms == 7)
TOLD(told_protocols, !told->consumer_enabled && told->classic_enabled)
TOLD(told_migration, !told->upgrade && !told->downgrade)

static bool settles(struct harness *harness, int32_t session_timeout_ms, int32_t heartbeat_interval_ms)
{
    struct group_settings settings;
    group_configs_settings(harness->shards[0].broker, ODK_STR("g"), &settings);
    return settings.session_timeout_ms == session_timeout_ms && settings.heartbeat_interval_ms == heartbeat_interval_ms;
}

static bool told_assignment_interval(struct harness *harness)
{
    struct group_settings settings;
    group_configs_settings(harness->shards[0].broker, ODK_STR("g"), &settings);
    return settings.assignment_interval_ms == 7;
}

static bool told_session(struct harness *harness)
{
    return settles(harness, 46000, 5000);
}

static bool told_heartbeat(struct harness *harness)
{
    return settles(harness, 45000, 6000);
}

/* The error of a group's setting. */
static int16_t group_error(struct harness *harness, const char *key, const char *value)
{
    struct incremental_alter_configs_request_config config = { odk_str_from(key), 0, odk_str_from(value) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = 32, .resource_name = ODK_STR("g"), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource,
                                                         .resources_count = 1,
                                                         .validate_only = true };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    return response.responses[0].error_code;
}

static bool bounds_session(struct harness *harness)
{
    return group_error(harness, "consumer.session.timeout.ms", "55000") == KAFKA_INVALID_CONFIG;
}

static bool bounds_heartbeat(struct harness *harness)
{
    return group_error(harness, "consumer.heartbeat.interval.ms", "10000") == KAFKA_INVALID_CONFIG;
}

static bool bounds_interval(struct harness *harness)
{
    return group_error(harness, "consumer.assignment.interval.ms", "1500") == KAFKA_INVALID_CONFIG;
}

/* -- the table ------------------------------------------------------------------------------------------------------ */

static const struct row {
    const char *key, *value;
    bool (*seen)(struct harness *harness); /* whether the effect is there */
    const char *also;                      /* set in any case, for the effect to be seen */
    const char *elsewhere;                 /* FILE:FUNCTION under tests/, instead of all this */
    const char *open;                      /* why nothing shows it, instead of all this */
} rows[] = {
#define HERE(key, value, seen)         { key, value, seen, "", NULL, NULL }
#define WITH(key, value, seen, also)   { key, value, seen, also "\n", NULL, NULL }
#define ELSEWHERE(key, where)          { key, NULL, NULL, "", where, NULL }
#define OPEN(key, why)                 { key, NULL, NULL, "", NULL, why }
    ELSEWHERE("advertised.listeners", "unit/broker/topics_test.c:advertised_listeners_come_before_the_reached_address"),
    HERE("auto.create.topics.enable", "false", creates_nothing),
    ELSEWHERE("broker.id", "unit/server/options_test.py:test_old_names_count"),
    HERE("broker.rack", "r1", has_a_rack),
    ELSEWHERE("compression.gzip.level", "unit/broker/produce_test.c:a_topic_may_want_its_own_codec"),
    ELSEWHERE("compression.lz4.level", "unit/broker/produce_test.c:a_topic_may_want_its_own_codec"),
    HERE("compression.type", "gzip", compresses),
    ELSEWHERE("compression.zstd.level", "unit/broker/produce_test.c:a_topic_may_want_its_own_codec"),
    ELSEWHERE("connections.max.idle.ms", "unit/server/options_test.py:test_idle_connections_are_closed"),
    ELSEWHERE("controller.listener.names", "unit/server/options_test.py:test_other_mistakes_say_what_to_do"),
    WITH("default.replication.factor", "3", wants_replicas, "replication.factor.clamp=false"),
    ELSEWHERE("delete.topic.enable", "unit/broker/topics_test.c:deletion_can_be_forbidden"),
    HERE("fetch.max.bytes", "1024", fetches_little),
    ELSEWHERE("frame.timeout.ms", "unit/server/options_test.py:test_unfinished_frames_are_cut_off"),
    HERE("group.consumer.assignment.interval.ms", "7", told_assignment_interval),
    HERE("group.consumer.assignors", "range", told_assignors),
    HERE("group.consumer.heartbeat.interval.ms", "6000", told_heartbeat),
    HERE("group.consumer.max.assignment.interval.ms", "1200", bounds_interval),
    HERE("group.consumer.max.heartbeat.interval.ms", "9000", bounds_heartbeat),
    HERE("group.consumer.max.session.timeout.ms", "50000", bounds_session),
    HERE("group.consumer.max.size", "7", told_modern_size),
    HERE("group.consumer.migration.policy", "disabled", told_migration),
    WITH("group.consumer.min.assignment.interval.ms", "1600", bounds_interval,
         "group.consumer.assignment.interval.ms=2000"),
    WITH("group.consumer.min.heartbeat.interval.ms", "11000", bounds_heartbeat,
         "group.consumer.heartbeat.interval.ms=12000"),
    WITH("group.consumer.min.session.timeout.ms", "56000", bounds_session, "group.consumer.session.timeout.ms=60000"),
    HERE("group.consumer.session.timeout.ms", "46000", told_session),
    HERE("group.coordinator.rebalance.protocols", "classic", told_protocols),
    HERE("group.initial.rebalance.delay.ms", "7", told_rebalance_delay),
    HERE("group.max.session.timeout.ms", "70000", told_session_max),
    HERE("group.max.size", "7", told_size),
    OPEN("group.memory.bytes", "the coordinator's tests give it their own"),
    HERE("group.min.session.timeout.ms", "7000", told_session_min),
    ELSEWHERE("io.backend", "unit/server/options_test.py:test_the_file_chooses_it"),
    OPEN("journal.bytes.max", "the store's tests give it their own"),
    ELSEWHERE("listener.security.protocol.map", "unit/server/options_test.py:test_other_mistakes_say_what_to_do"),
    ELSEWHERE("listeners", "unit/server/options_test.py:test_one_line_for_all_that_has_no_effect"),
    OPEN("log.cleaner.backoff.ms", "see the tests of compaction"),
    OPEN("log.cleaner.dedupe.buffer.size", "see the tests of compaction"),
    OPEN("log.cleaner.delete.retention.ms", "see the tests of compaction"),
    OPEN("log.cleaner.enable", "see the tests of compaction"),
    OPEN("log.cleaner.max.compaction.lag.ms", "see the tests of compaction"),
    OPEN("log.cleaner.min.cleanable.ratio", "see the tests of compaction"),
    OPEN("log.cleaner.min.compaction.lag.ms", "see the tests of compaction"),
    HERE("log.cleanup.policy", "compact", wants_keys),
    ELSEWHERE("log.dir", "unit/server/options_test.py:test_the_older_name_of_the_folder"),
    ELSEWHERE("log.dirs", "unit/server/options_test.py:test_one_line_for_all_that_has_no_effect"),
    HERE("log.index.interval.bytes", "1", has_a_dense_index),
    WITH("log.index.size.max.bytes", "16", has_segments, "log.index.interval.bytes=1"),
    HERE("log.message.timestamp.after.max.ms", "1000", refuses_the_future),
    HERE("log.message.timestamp.before.max.ms", "1000", refuses_the_past),
    HERE("log.message.timestamp.type", "LogAppendTime", stamps),
    ELSEWHERE("log.retention.bytes", "unit/broker/retention_test.c:the_brokers_settings_count_from_the_next_check_on"),
    ELSEWHERE("log.retention.check.interval.ms", "unit/broker/retention_test.c:the_brokers_settings_count_from_the_next_check_on"),
    ELSEWHERE("log.retention.hours", "unit/broker/config_test.c:retention_prefers_ms_to_minutes_to_hours"),
    ELSEWHERE("log.retention.minutes", "unit/broker/config_test.c:retention_prefers_ms_to_minutes_to_hours"),
    ELSEWHERE("log.retention.ms", "unit/broker/retention_test.c:the_brokers_settings_count_from_the_next_check_on"),
    HERE("log.roll.hours", "1", rolls_after_two_hours),
    WITH("log.roll.jitter.hours", "1", rolls_early, "log.roll.hours=1"),
    WITH("log.roll.jitter.ms", "3600000", rolls_early, "log.roll.hours=1"),
    HERE("log.roll.ms", "3600000", rolls_after_two_hours),
    HERE("log.segment.bytes", "3000", has_segments),
    ELSEWHERE("max.connection.creation.rate", "unit/server/conn_test.c:connections_beyond_the_rate_wait"),
    ELSEWHERE("max.connections", "unit/server/conn_test.c:limits_of_connections_change_while_they_are_open"),
    ELSEWHERE("max.connections.per.ip", "unit/server/conn_test.c:one_address_has_limits_of_its_own"),
    ELSEWHERE("max.connections.per.ip.overrides", "e2e/test_config_cli.py:limits_of_connections"),
    HERE("max.incremental.fetch.session.cache.slots", "0", has_no_sessions),
    ELSEWHERE("max.partitions", "unit/broker/partitions_test.c:mistakes_have_kafkas_errors"),
    ELSEWHERE("max.request.partition.size.limit", "unit/broker/describe_test.c:a_page_is_no_longer_than_the_broker_allows"),
    HERE("message.max.bytes", "2000", is_too_large),
    ELSEWHERE("node.id", "unit/broker/topics_test.c:metadata_tells_node_topics_and_partitions"),
    HERE("num.partitions", "3", has_three_partitions),
    ELSEWHERE("num.reactors", "unit/server/options_test.py:test_reactors_are_threads"),
    HERE("offset.metadata.max.bytes", "7", told_metadata),
    ELSEWHERE("offsets.load.buffer.size", "unit/broker/group_log_test.c:the_load_buffer_says_how_much_is_read_in_a_turn"),
    HERE("offsets.retention.check.interval.ms", "7", told_retention_check),
    HERE("offsets.retention.minutes", "7", told_retention),
    HERE("offsets.topic.num.partitions", "3", has_three_group_partitions),
    WITH("offsets.topic.replication.factor", "3", has_no_group_topic, "replication.factor.clamp=false"),
    HERE("offsets.topic.segment.bytes", "2000000", has_small_group_segments),
    OPEN("open.files.max", "the store's tests give it their own"),
    ELSEWHERE("replication.factor.clamp", "unit/broker/topics_test.c:replication_is_refused_when_it_is_not_clamped"),
    OPEN("request.memory.bytes", "the tests of connections give it their own"),
    ELSEWHERE("socket.request.max.bytes", "unit/server/options_test.py:test_frames_that_are_too_large_end_the_connection"),
    OPEN("tail.memory.bytes", "the store's tests give it their own"),
};

static struct harness *harness_with(const struct row *row, bool set)
{
    char text[300];
    (void)snprintf(text, sizeof(text), "%s%s%s%s\n", row->also, set ? row->key : "", set ? "=" : "",
                   set ? row->value : "");
    return harness_new(1, text);
}

/* value NULL: takes it away. */
static void alter(struct harness *harness, const struct row *row, const char *value)
{
    struct incremental_alter_configs_request_config config = { odk_str_from(row->key), value ? 0 : 1,
                                                               value ? odk_str_from(value) : (struct odk_str){ 0 } };
    struct incremental_alter_configs_request_resource resource = { .resource_type = 4,
                                                                   .configs = &config,
                                                                   .configs_count = 1 };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    resource.resource_name = ODK_STR("");
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
}

static int expect(bool good, const struct row *row, const char *what)
{
    if (!good)
        print_error("%s: %s\n", row->key, what);
    return good ? 0 : 1;
}

static int seen_at_the_start(const struct row *row)
{
    struct harness *without = harness_with(row, false), *with = harness_with(row, true);
    int wrong = expect(!row->seen(without), row, "the effect is there with the default") +
                expect(row->seen(with), row, "no effect at the start");
    harness_free(without);
    harness_free(with);
    return wrong;
}

static int seen_after_a_change(const struct row *row)
{
    struct harness *harness = harness_with(row, false);
    alter(harness, row, row->value);
    int wrong = expect(row->seen(harness), row, "no effect after a change");
    alter(harness, row, NULL);
    wrong += expect(!row->seen(harness), row, "an effect after the value was taken away");
    harness_free(harness);
    return wrong;
}

static void settings_have_their_effect(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        enum broker_config_id id = broker_config_find(odk_str_from(rows[i].key));
        assert_true(id < BROKER_CONFIG_COUNT);
        if (!rows[i].seen)
            continue;
        wrong += seen_at_the_start(&rows[i]);
        if (broker_config_rows[id].effect & CONFIG_DYNAMIC)
            wrong += seen_after_a_change(&rows[i]);
    }
    assert_int_equal(wrong, 0);
}

static void the_table_has_every_setting_with_an_effect(void **state)
{
    (void)state;
    int wrong = 0;
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        bool shown = false, open = false, acts = !(broker_config_rows[id].effect & CONFIG_INERT);
        for (size_t i = 0; i < countof(rows); i++) {
            bool same = strcmp(rows[i].key, broker_config_rows[id].key) == 0;
            shown |= same && !rows[i].open;
            open |= same && rows[i].open;
        }
        bool wanted = acts ? shown || open : !shown;
        wrong += !wanted;
        if (!wanted)
            print_error("%s: %s\n", broker_config_rows[id].key, acts ? "has no row" : "has a row, and no effect");
    }
    assert_int_equal(wrong, 0);
}

/* The text of FILE:FUNCTION's file has the function and the key. */
static bool test_is_there(const struct row *row)
{
    static char text[1 << 18];
    char path[400];
    const char *colon = strchr(row->elsewhere, ':');
    (void)snprintf(path, sizeof(path), TESTS_DIR "/%.*s", (int)(colon - row->elsewhere), row->elsewhere);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    char member[100];
    (void)snprintf(member, sizeof(member), "%s", row->key);
    for (char *at = member; *at != '\0'; at++)
        *at = *at == '.' ? '_' : *at;
    return strstr(text, colon + 1) && (strstr(text, row->key) || strstr(text, member));
}

static void tests_elsewhere_are_there(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(!!rows[i].seen + !!rows[i].elsewhere + !!rows[i].open, 1);
        if (rows[i].elsewhere)
            wrong += expect(test_is_there(&rows[i]), &rows[i], "there is no such test, or it does not name the key");
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_their_effect),
        cmocka_unit_test(the_table_has_every_setting_with_an_effect),
        cmocka_unit_test(tests_elsewhere_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
