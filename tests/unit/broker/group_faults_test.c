/*
 * What becomes of groups when their log refuses a batch: odk_log_append and odk_log_state are wrapped at link time and fail
 * on order for the logs of __consumer_offsets, at once inside the call or when the test says so.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/group_host.h"

#define SETTINGS "offsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n"

/* The wrappers have no context of their own: one test at a time sets these. */
static struct odk_log *faulty;        /* the log that has a fault */
static enum odk_err append_fault;     /* ODK_OK: appends work */
static bool state_full;               /* odk_log_state says so, too */
static struct odk_append *held[16];   /* appends that a test keeps back, without a fault */
static uint32_t held_count;
static bool hold;

void __real_odk_log_append(struct odk_log *log, struct odk_append *append);
void __wrap_odk_log_append(struct odk_log *log, struct odk_append *append);
enum odk_err __real_odk_log_state(struct odk_log *log);
enum odk_err __wrap_odk_log_state(struct odk_log *log);

void __wrap_odk_log_append(struct odk_log *log, struct odk_append *append)
{
    if (log != faulty || (append_fault == ODK_OK && !hold)) {
        __real_odk_log_append(log, append);
    } else if (hold) {
        assert_true(held_count < countof(held));
        held[held_count++] = append;
    } else {
        append->done(append, append_fault);
    }
}

enum odk_err __wrap_odk_log_state(struct odk_log *log)
{
    return log == faulty && state_full ? ODK_ERR_FULL : __real_odk_log_state(log);
}

static void faults_end(void)
{
    append_fault = ODK_OK;
    state_full = false;
    hold = false;
    held_count = 0;
}

static struct harness *with_group(void)
{
    faults_end();
    struct harness *harness = harness_new(2, SETTINGS);
    make_topic(harness, "t", 4, NULL);
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = ODK_STR("g");
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_FIND_COORDINATOR, 3, &request, &response), REQUEST_REPLY);
    uint32_t shard = topic_partition(harness_topic(harness, 0, GROUP_TOPIC_NAME), 0)->shard;
    faulty = topic_partition(harness_topic(harness, shard, GROUP_TOPIC_NAME), 0)->log;
    assert_non_null(faulty);
    return harness;
}

static struct call *commit_to(struct harness *harness, const char *group, uint32_t shard, int32_t partition,
                              int64_t offset)
{
    struct offset_commit_request_partition part = { .partition_index = partition,
                                                    .committed_offset = offset,
                                                    .committed_leader_epoch = -1,
                                                    .committed_metadata = ODK_STR("") };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = &part, .partitions_count = 1 };
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = odk_str_from(group);
    request.topics = &topic;
    request.topics_count = 1;
    return call_begin(harness, shard, WIRE_KEY_OFFSET_COMMIT, 8, &request);
}

static struct call *commit_begin(struct harness *harness, uint32_t shard, int32_t partition, int64_t offset)
{
    return commit_to(harness, "g", shard, partition, offset);
}

static int16_t commit_end(struct call *call)
{
    struct offset_commit_response response;
    assert_int_equal(call_end(call, &response), REQUEST_REPLY);
    return response.topics[0].partitions[0].error_code;
}

static int16_t commit(struct harness *harness, int32_t partition, int64_t offset)
{
    return commit_end(commit_begin(harness, 0, partition, offset));
}

struct fetched {
    int16_t error;
    int64_t offset;
};

static struct fetched fetch_once(struct harness *harness, int32_t partition)
{
    struct offset_fetch_request_topic topic = { .name = ODK_STR("t"),
                                                .partition_indexes = &partition,
                                                .partition_indexes_count = 1 };
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_FETCH, 5, &request, &response), REQUEST_REPLY);
    return (struct fetched){
        .error = response.error_code,
        .offset = response.topics_count ? response.topics[0].partitions[0].committed_offset : -1,
    };
}

static struct fetched fetch(struct harness *harness, int32_t partition)
{
    struct fetched got;
    time_t begin = time(NULL);
    do {
        assert_true(time(NULL) - begin < 20);
        harness_turn(harness);
        got = fetch_once(harness, partition);
        harness_forget(harness);
    } while (got.error == KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    return got;
}

static void a_commit_that_finds_no_space_is_not_acknowledged(void **state)
{
    (void)state;
    struct harness *harness = with_group();
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    append_fault = ODK_ERR_FULL;
    assert_int_equal(commit(harness, 0, 6), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(fetch_once(harness, 0).error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(fetch(harness, 0).offset, 5); /* read again from what is durable */
    assert_non_null(strstr(harness->lines, GROUP_TOPIC_NAME "-0: the log refused a change of its groups: no space left"));
    faults_end();
    assert_int_equal(commit(harness, 0, 7), KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(fetch(harness, 0).offset, 7);
    harness_free(harness);
}

static void while_there_is_no_space_groups_live_on(void **state)
{
    (void)state;
    struct harness *harness = with_group();
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    state_full = true;
    append_fault = ODK_ERR_FULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit(harness, 0, 6), KAFKA_COORDINATOR_NOT_AVAILABLE);
        struct fetched got = fetch_once(harness, 0); /* nothing was thrown away */
        assert_int_equal(got.error, KAFKA_NONE);
        assert_int_equal(got.offset, 5);
    }
    faults_end();
    assert_int_equal(commit(harness, 0, 7), KAFKA_NONE);
    harness_free(harness);
}

static void a_failed_log_is_final(void **state)
{
    (void)state;
    static const enum odk_err rows[] = { ODK_ERR_OFFLINE, ODK_ERR_CLOSED };
    for (size_t i = 0; i < countof(rows); i++) {
        struct harness *harness = with_group();
        assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
        append_fault = rows[i];
        assert_int_equal(commit(harness, 0, 6), KAFKA_NOT_COORDINATOR);
        faults_end();
        for (int turn = 0; turn < 10; turn++)
            harness_turn(harness);
        assert_int_equal(commit(harness, 0, 7), KAFKA_NOT_COORDINATOR);
        assert_int_equal(fetch(harness, 0).error, KAFKA_NOT_COORDINATOR);
        harness_crash(harness); /* a new life reads what is durable */
        assert_int_equal(fetch(harness, 0).offset, 5);
        harness_free(harness);
    }
}

/* A record that no segment can hold is refused before anything is handed to the log. */
static void a_change_that_is_too_large_is_refused(void **state)
{
    (void)state;
    faults_end();
    struct harness *harness = harness_new(2, SETTINGS "offsets.topic.segment.bytes=2000\n");
    static char note[3000];
    memset(note, 'n', sizeof(note));
    make_topic(harness, "t", 4, NULL);
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    struct offset_commit_request_partition parts[] = {
        { .partition_index = 1, .committed_offset = 6, .committed_leader_epoch = -1, .committed_metadata = ODK_STR("") },
        { .partition_index = 2,
          .committed_offset = 6,
          .committed_leader_epoch = -1,
          .committed_metadata = { .data = note, .len = sizeof(note) } },
    };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = parts, .partitions_count = 2 };
    struct offset_commit_request request;
    struct offset_commit_response response;
    offset_commit_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_COMMIT, 8, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    assert_int_equal(response.topics[0].partitions[1].error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_int_equal(fetch_once(harness, 0).error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS); /* not at once, again and again */
    assert_int_equal(fetch(harness, 0).offset, 5);
    assert_int_equal(fetch(harness, 1).offset, -1); /* all of it or nothing */
    assert_int_equal(commit(harness, 0, 7), KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(fetch(harness, 0).offset, 7);
    harness_free(harness);
}

/* Three batches are on their way when the second is refused: the first counts, the third must not. */
static void nothing_behind_a_refused_batch_counts(void **state)
{
    (void)state;
    struct harness *harness = with_group();
    struct call *calls[4];
    hold = true;
    for (int i = 0; i < 2; i++) {
        calls[i] = commit_begin(harness, (uint32_t)i % 2, i, 10 + i);
        for (int turn = 0; turn < 5; turn++)
            harness_turn(harness); /* each gets a batch of its own */
    }
    assert_int_equal(held_count, 2);
    hold = false;
    append_fault = ODK_ERR_FULL;
    held[1]->done(held[1], ODK_ERR_FULL); /* the log says so inside the call, before the first one is durable */
    calls[2] = commit_begin(harness, 0, 2, 12);
    assert_int_equal(commit_end(calls[2]), KAFKA_COORDINATOR_NOT_AVAILABLE); /* not begun any more */
    append_fault = ODK_OK;
    for (int turn = 0; turn < 5; turn++)
        harness_turn(harness);
    assert_false(calls[0]->ended); /* the gate is still shut */
    assert_false(calls[1]->ended);
    __real_odk_log_append(faulty, held[0]);
    assert_int_equal(commit_end(calls[0]), KAFKA_NONE);
    assert_int_equal(commit_end(calls[1]), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(fetch(harness, 0).offset, 10);
    assert_int_equal(fetch(harness, 1).offset, -1);
    assert_int_equal(fetch(harness, 2).offset, -1);
    faults_end();
    assert_int_equal(commit(harness, 3, 13), KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(fetch(harness, 0).offset, 10);
    assert_int_equal(fetch(harness, 1).offset, -1);
    assert_int_equal(fetch(harness, 3).offset, 13);
    harness_free(harness);
}

/* Even an answer that wrote nothing waits for what it may rest on. */
static void answers_wait_for_what_was_recorded_before_them(void **state)
{
    (void)state;
    struct harness *harness = with_group();
    assert_int_equal(commit(harness, 0, 5), KAFKA_NONE);
    hold = true;
    struct call *committed = commit_begin(harness, 0, 0, 6);
    harness_turn(harness);
    harness_turn(harness);
    int32_t partition = 0;
    struct offset_fetch_request_topic topic = { .name = ODK_STR("t"),
                                                .partition_indexes = &partition,
                                                .partition_indexes_count = 1 };
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_init(&request);
    request.group_id = ODK_STR("g");
    request.topics = &topic;
    request.topics_count = 1;
    struct call *fetched = call_begin(harness, 1, WIRE_KEY_OFFSET_FETCH, 5, &request);
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_int_equal(held_count, 1);
    assert_false(committed->ended);
    assert_false(fetched->ended); /* it would show 6, which a crash can take back */
    hold = false;
    __real_odk_log_append(faulty, held[0]);
    assert_int_equal(commit_end(committed), KAFKA_NONE);
    assert_int_equal(call_end(fetched, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].committed_offset, 6);
    harness_free(harness);
}

/* Who waits for a rebalance loses nothing but time. */
static void waiting_members_are_sent_away_when_groups_are_lost(void **state)
{
    (void)state;
    struct harness *harness = with_group();
    struct join_group_request_protocol protocol = { .name = ODK_STR("p"), .metadata = { (const uint8_t *)"", 0 } };
    struct join_group_request request;
    struct join_group_response first, second;
    join_group_request_init(&request);
    request.group_id = ODK_STR("g");
    request.session_timeout_ms = 30000;
    request.rebalance_timeout_ms = 30000;
    request.protocol_type = ODK_STR("custom");
    request.protocols = &protocol;
    request.protocols_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_JOIN_GROUP, 3, &request, &first), REQUEST_REPLY);
    assert_int_equal(first.error_code, KAFKA_NONE);
    struct call *waiting = call_begin(harness, 1, WIRE_KEY_JOIN_GROUP, 3, &request); /* for the first to join again */
    for (int turn = 0; turn < 20; turn++)
        harness_turn(harness);
    assert_false(waiting->ended);
    append_fault = ODK_ERR_FULL; /* for another group, which lives in the same partition */
    assert_int_equal(commit_end(commit_to(harness, "h", 0, 0, 1)), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(call_end(waiting, &second), REQUEST_REPLY);
    assert_int_equal(second.error_code, KAFKA_NOT_COORDINATOR);
    faults_end();
    assert_int_equal(fetch(harness, 0).error, KAFKA_NONE);
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_JOIN_GROUP, 3, &request, &first), REQUEST_REPLY);
    assert_int_equal(first.error_code, KAFKA_NONE);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_that_finds_no_space_is_not_acknowledged),
        cmocka_unit_test(while_there_is_no_space_groups_live_on),
        cmocka_unit_test(a_failed_log_is_final),
        cmocka_unit_test(a_change_that_is_too_large_is_refused),
        cmocka_unit_test(nothing_behind_a_refused_batch_counts),
        cmocka_unit_test(answers_wait_for_what_was_recorded_before_them),
        cmocka_unit_test(waiting_members_are_sent_away_when_groups_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
