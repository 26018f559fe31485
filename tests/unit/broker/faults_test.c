/*
 * What clients see when the engine refuses: odk_log_append and odk_log_open are wrapped at link time and fail on order,
 * at once inside the call, as the real ones do when a log is offline.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

/* The wrapper has no context of its own: one test at a time sets these. */
static enum odk_err append_fault; /* ODK_OK: appends work */
static enum odk_err open_fault;
static const char *open_fault_name; /* the folder that cannot be opened */

void __real_odk_log_append(struct odk_log *log, struct odk_append *append);
void __wrap_odk_log_append(struct odk_log *log, struct odk_append *append);
enum odk_err __real_odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log);
enum odk_err __wrap_odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log);

void __wrap_odk_log_append(struct odk_log *log, struct odk_append *append)
{
    if (append_fault == ODK_OK)
        __real_odk_log_append(log, append);
    else
        append->done(append, append_fault);
}

enum odk_err __wrap_odk_log_open(struct odk_store *store, const struct odk_log_spec *spec, struct odk_log **ret_log)
{
    if (open_fault != ODK_OK && odk_str_eq(spec->name, odk_str_from(open_fault_name)))
        return open_fault;
    return __real_odk_log_open(store, spec, ret_log);
}

static int16_t produce_one(struct harness *harness, int32_t partition)
{
    struct odk_bytes batch = make_batch(&(struct batch_options){ .timestamp = 0 });
    return produce(harness, 9, "t", partition, batch).error_code;
}

static void refused_appends_get_kafkas_errors(void **state)
{
    (void)state;
    static const struct {
        enum odk_err err;
        int16_t error;
    } rows[] = {
        { ODK_ERR_FULL, KAFKA_KAFKA_STORAGE_ERROR },
        { ODK_ERR_OFFLINE, KAFKA_KAFKA_STORAGE_ERROR },
        { ODK_ERR_IO, KAFKA_KAFKA_STORAGE_ERROR },
        { ODK_ERR_CLOSED, KAFKA_UNKNOWN_TOPIC_OR_PARTITION },
        { ODK_ERR_TOO_LARGE, KAFKA_RECORD_LIST_TOO_LARGE },
        { ODK_ERR_SEQUENCE, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER },
        { ODK_ERR_PRODUCER_EPOCH, KAFKA_INVALID_PRODUCER_EPOCH },
    };
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 8, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        append_fault = rows[i].err;
        for (int32_t partition = 0; partition < 8; partition++)
            assert_int_equal(produce_one(harness, partition), rows[i].error);
        append_fault = ODK_OK;
    }
    assert_int_equal(produce_one(harness, 0), KAFKA_NONE);
    harness_free(harness);
}

static struct create_topics_response_topic create(struct harness *harness, const char *name)
{
    struct create_topics_request_topic topic = { .name = odk_str_from(name),
                                                 .num_partitions = 1,
                                                 .replication_factor = 1 };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1 };
    struct create_topics_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_CREATE_TOPICS, 7, &request, &response), REQUEST_REPLY);
    return response.topics[0];
}

static void a_topic_that_is_not_durable_is_not_there(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    append_fault = ODK_ERR_FULL;
    assert_int_equal(create(harness, "t").error_code, KAFKA_KAFKA_STORAGE_ERROR);
    append_fault = ODK_OK;
    assert_null(harness_topic(harness, 0, "t"));
    assert_null(harness_topic(harness, 1, "t"));
    assert_int_equal(create(harness, "t").error_code, KAFKA_NONE);
    harness_crash(harness);
    assert_non_null(harness_topic(harness, 1, "t"));
    harness_free(harness);
}

static int16_t alter(struct harness *harness, const char *value)
{
    struct incremental_alter_configs_request_config config = { ODK_STR("retention.ms"), 0, odk_str_from(value) };
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = 2, .resource_name = ODK_STR("t"), .configs = &config, .configs_count = 1
    };
    struct incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    struct incremental_alter_configs_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response),
                     REQUEST_REPLY);
    return response.responses[0].error_code;
}

static int16_t grow(struct harness *harness, int32_t count)
{
    struct create_partitions_request_topic topic = { .name = ODK_STR("t"), .count = count, .assignments_count = -1 };
    struct create_partitions_request request = { .topics = &topic, .topics_count = 1 };
    struct create_partitions_response response;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_CREATE_PARTITIONS, 3, &request, &response), REQUEST_REPLY);
    return response.results[0].error_code;
}

static void a_change_that_is_not_durable_is_none(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 3, "retention.ms=1");
    append_fault = ODK_ERR_FULL;
    assert_int_equal(alter(harness, "2"), KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(alter(harness, "1"), KAFKA_NONE); /* nothing to be written */
    assert_int_equal(grow(harness, 5), KAFKA_KAFKA_STORAGE_ERROR);
    append_fault = ODK_OK;
    for (uint32_t shard = 0; shard < 2; shard++) {
        assert_int_equal(harness_topic(harness, shard, "t")->config.retention_ms, 1);
        assert_int_equal(harness_topic(harness, shard, "t")->partition_count, 3);
    }
    assert_int_equal(alter(harness, "2"), KAFKA_NONE);
    assert_int_equal(grow(harness, 5), KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(harness_topic(harness, 1, "t")->config.retention_ms, 2);
    assert_int_equal(harness_topic(harness, 1, "t")->partition_count, 5);
    harness_free(harness);
}

static void many_refused_changes_end_one_by_one(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct create_topics_request_topic topic = { .name = ODK_STR("t"), .num_partitions = 1, .replication_factor = 1 };
    struct create_topics_request request = { .topics = &topic, .topics_count = 1 };
    struct call *calls[500];
    append_fault = ODK_ERR_OFFLINE;
    for (size_t i = 0; i < countof(calls); i++)
        calls[i] = call_begin(harness, (uint32_t)i % 2, WIRE_KEY_CREATE_TOPICS, 7, &request);
    for (size_t i = 0; i < countof(calls); i++) {
        struct create_topics_response response;
        assert_int_equal(call_end(calls[i], &response), REQUEST_REPLY);
        assert_int_equal(response.topics[0].error_code, KAFKA_KAFKA_STORAGE_ERROR);
    }
    append_fault = ODK_OK;
    harness_free(harness);
}

static void producer_ids_wait_for_better_times(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    init_producer_id_request_init(&request);
    append_fault = ODK_ERR_FULL;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INIT_PRODUCER_ID, 4, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(response.producer_id, -1);
    append_fault = ODK_OK;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_INIT_PRODUCER_ID, 4, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_NONE);
    harness_free(harness);
}

static void one_partition_that_cannot_be_opened_leaves_the_others(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    make_topic(harness, "t", 3, NULL);
    open_fault = ODK_ERR_CORRUPT;
    open_fault_name = "t-1";
    harness_restart(harness);
    assert_int_equal(produce_one(harness, 0), KAFKA_NONE);
    assert_int_equal(produce_one(harness, 1), KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(produce_one(harness, 2), KAFKA_NONE);
    assert_non_null(strstr(harness->lines, "partition t-1 cannot be opened"));
    open_fault = ODK_OK;
    harness_restart(harness);
    assert_int_equal(produce_one(harness, 1), KAFKA_NONE);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_appends_get_kafkas_errors),
        cmocka_unit_test(a_topic_that_is_not_durable_is_not_there),
        cmocka_unit_test(a_change_that_is_not_durable_is_none),
        cmocka_unit_test(many_refused_changes_end_one_by_one),
        cmocka_unit_test(producer_ids_wait_for_better_times),
        cmocka_unit_test(one_partition_that_cannot_be_opened_leaves_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
