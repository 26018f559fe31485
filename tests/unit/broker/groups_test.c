/*
 * Groups over the real store: what members and tools see, and what a restart, a crash, a long log or a damaged one leave of
 * it. The rules of groups themselves are tested in tests/unit/coordinator.
 */
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "coordinator/groups.h"

#define GROUP_TOPIC     "__consumer_offsets"
#define FEW_PARTITIONS  "offsets.topic.num.partitions=4\n"
#define NO_DELAY        "group.initial.rebalance.delay.ms=0\n"

/* -- shortcuts ---------------------------------------------------------------------------------------------------- */

static int16_t commit_from(struct harness *harness, uint32_t shard, int16_t version, const char *group, int32_t partition,
                           int64_t offset)
{
    struct offset_commit_request_partition parts[] = {
        { .partition_index = partition,
          .committed_offset = offset,
          .committed_leader_epoch = -1,
          .commit_timestamp = -1,
          .committed_metadata = ODK_STR("note") },
    };
    struct topic *known = harness_topic(harness, 0, "t");
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = parts, .partitions_count = 1 };
    struct offset_commit_request request;
    struct offset_commit_response response;
    if (known)
        topic.topic_id = known->id;
    offset_commit_request_init(&request);
    request.group_id = odk_str_from(group);
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, shard, WIRE_KEY_OFFSET_COMMIT, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    assert_int_equal(response.topics[0].partitions[0].partition_index, partition);
    return response.topics[0].partitions[0].error_code;
}

static int16_t commit(struct harness *harness, const char *group, int32_t partition, int64_t offset)
{
    int16_t error = commit_from(harness, 0, 8, group, partition, offset);
    harness_forget(harness);
    return error;
}

struct fetched {
    int16_t error; /* of the group */
    int16_t partition_error;
    int64_t offset;
};

static struct fetched fetch_old(struct harness *harness, int16_t version, const char *group, int32_t partition)
{
    struct offset_fetch_request_topic topic = { .name = ODK_STR("t"),
                                                .partition_indexes = &partition,
                                                .partition_indexes_count = 1 };
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_init(&request);
    request.group_id = odk_str_from(group);
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_FETCH, version, &request, &response), REQUEST_REPLY);
    struct fetched got = { .error = response.error_code, .offset = -1 };
    if (response.topics_count == 1) {
        got.offset = response.topics[0].partitions[0].committed_offset;
        got.partition_error = response.topics[0].partitions[0].error_code;
    }
    return got;
}

static struct fetched fetch_new(struct harness *harness, int16_t version, const char *group, int32_t partition)
{
    struct topic *known = harness_topic(harness, 0, "t");
    struct offset_fetch_request_group_topic topic = { .name = ODK_STR("t"),
                                                      .partition_indexes = &partition,
                                                      .partition_indexes_count = 1 };
    struct offset_fetch_request_group asked;
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    if (known)
        topic.topic_id = known->id;
    offset_fetch_request_group_init(&asked);
    asked.group_id = odk_str_from(group);
    asked.topics = &topic;
    asked.topics_count = 1;
    offset_fetch_request_init(&request);
    request.groups = &asked;
    request.groups_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_FETCH, version, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.groups_count, 1);
    struct fetched got = { .error = response.groups[0].error_code, .offset = -1 };
    if (response.groups[0].topics_count == 1) {
        got.offset = response.groups[0].topics[0].partitions[0].committed_offset;
        got.partition_error = response.groups[0].topics[0].partitions[0].error_code;
    }
    return got;
}

/* Turns until the groups are loaded. */
static struct fetched fetch(struct harness *harness, const char *group, int32_t partition)
{
    struct fetched got;
    int tries = 0;
    do {
        assert_true(tries++ < 10000);
        got = fetch_new(harness, 8, group, partition);
        harness_forget(harness);
        harness_turn(harness);
    } while (got.error == KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    return got;
}

static struct odk_log *group_log(struct harness *harness, const char *group)
{
    struct topic *topic = harness_topic(harness, 0, GROUP_TOPIC);
    int32_t index = groups_partition_of(odk_str_from(group), topic->partition_count);
    uint32_t shard = topic_partition(topic, index)->shard;
    return topic_partition(harness_topic(harness, shard, GROUP_TOPIC), index)->log;
}

static struct harness *with_topic(const char *settings)
{
    struct harness *harness = harness_new(2, settings);
    make_topic(harness, "t", 4, NULL);
    return harness;
}

/* -- the topic ---------------------------------------------------------------------------------------------------- */

static void first_question_makes_the_topic(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, NULL);
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    struct list_groups_request list;
    struct list_groups_response listed;
    list_groups_request_init(&list);
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_LIST_GROUPS, 4, &list, &listed), REQUEST_REPLY);
    assert_int_equal(listed.groups_count, 0);
    assert_null(harness_topic(harness, 0, GROUP_TOPIC)); /* looking changes nothing */
    find_coordinator_request_init(&request);
    request.key = ODK_STR("g");
    struct call *calls[6];
    for (uint32_t i = 0; i < countof(calls); i++) /* all at once, on both shards: one topic comes of it */
        calls[i] = call_begin(harness, i % 2, WIRE_KEY_FIND_COORDINATOR, 1, &request);
    for (uint32_t i = 0; i < countof(calls); i++) {
        assert_int_equal(call_end(calls[i], &response), REQUEST_REPLY);
        assert_int_equal(response.error_code, KAFKA_NONE);
        assert_int_equal(response.node_id, harness->config.node_id);
    }
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t shard = 0; shard < 2; shard++) {
            struct topic *topic = harness_topic(harness, shard, GROUP_TOPIC);
            assert_non_null(topic);
            assert_int_equal(topic->partition_count, 50);
            assert_true(topic->internal);
            assert_int_equal(topic->config.cleanup_policy, TOPIC_CLEANUP_COMPACT);
            assert_int_equal(topic->config.segment_bytes, 104857600);
        }
        harness_restart(harness);
    }
    harness_free(harness);
}

static void without_its_topic_there_is_no_coordinator(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2, "max.partitions=10\n");
    make_topic(harness, "t", 4, NULL);
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = ODK_STR("g");
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_FIND_COORDINATOR, 3, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(response.node_id, -1);
    assert_int_equal(commit(harness, "g", 0, 1), KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_non_null(strstr(harness->lines, GROUP_TOPIC " cannot be created: more partitions than max.partitions"));
    harness_free(harness);
}

/* -- offsets ------------------------------------------------------------------------------------------------------ */

static void offsets_are_read_back_in_every_version(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    for (int16_t version = 1; version <= 10; version++) {
        assert_int_equal(commit_from(harness, (uint32_t)version % 2, version, "g", 1, 100 + version), KAFKA_NONE);
        for (int16_t ask = 1; ask <= 10; ask++) {
            struct fetched got = ask < 8 ? fetch_old(harness, ask, "g", 1) : fetch_new(harness, ask, "g", 1);
            assert_int_equal(got.error, KAFKA_NONE);
            assert_int_equal(got.partition_error, KAFKA_NONE);
            assert_int_equal(got.offset, 100 + version);
            got = ask < 8 ? fetch_old(harness, ask, "g", 2) : fetch_new(harness, ask, "g", 2);
            assert_int_equal(got.error, KAFKA_NONE);
            assert_int_equal(got.offset, -1); /* nothing committed */
        }
        harness_forget(harness);
    }
    assert_int_equal(commit(harness, "g", 77, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    harness_free(harness);
}

static void acknowledged_offsets_survive(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    char group[16];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 20; i++) {
            (void)snprintf(group, sizeof(group), "group-%d", i);
            assert_int_equal(commit(harness, group, i % 4, 1000 * round + i), KAFKA_NONE);
        }
        if (round % 2)
            harness_restart(harness);
        else
            harness_crash(harness);
        for (int i = 0; i < 20; i++) {
            (void)snprintf(group, sizeof(group), "group-%d", i);
            assert_int_equal(fetch(harness, group, i % 4).offset, 1000 * round + i);
        }
    }
    harness_reshard(harness, 1);
    struct topic *topic = harness_topic(harness, 0, GROUP_TOPIC);
    assert_int_equal(topic->partition_count, 4);
    harness_reshard(harness, 2);
    assert_int_equal(fetch(harness, "group-7", 3).offset, 3007);
    harness_free(harness);
}

/* So many partitions with records before it that a question comes in time; the last ones are on shard 0 and 1. */
static struct harness *with_much_to_load(const char *group)
{
    struct harness *harness = with_topic(NULL);
    char other[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(other, sizeof(other), "other-%d", i);
        assert_int_equal(commit(harness, other, 0, i), KAFKA_NONE);
    }
    assert_int_equal(commit(harness, group, 0, 5), KAFKA_NONE);
    assert_true(groups_partition_of(odk_str_from(group), 50) > 40);
    return harness;
}

static void groups_that_are_being_loaded_say_so(void **state)
{
    (void)state;
    struct harness *harness = with_much_to_load("late-20");
    harness_restart(harness);
    assert_int_equal(fetch_new(harness, 8, "late-20", 0).error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(fetch_old(harness, 5, "late-20", 0).error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(fetch_old(harness, 1, "late-20", 0).partition_error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(commit(harness, "late-20", 0, 6), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    struct list_groups_request list;
    struct list_groups_response listed;
    list_groups_request_init(&list);
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_GROUPS, 4, &list, &listed), REQUEST_REPLY);
    assert_int_equal(listed.error_code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(listed.groups_count, 0);
    struct heartbeat_request request = { .group_id = ODK_STR("late-20"), .member_id = ODK_STR("m") };
    struct heartbeat_response answer;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_HEARTBEAT, 4, &request, &answer), REQUEST_REPLY);
    assert_int_equal(answer.error_code, KAFKA_NONE); /* as Kafka: no reason to give up */
    assert_int_equal(fetch(harness, "late-20", 0).offset, 5);
    harness_free(harness);
}

static void deletion_of_a_topic_forgets_its_offsets(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    make_topic(harness, "other", 1, NULL);
    assert_int_equal(commit(harness, "g", 0, 5), KAFKA_NONE);
    struct odk_str name = ODK_STR("t");
    struct delete_topics_request request = { .topic_names = &name, .topic_names_count = 1 };
    struct delete_topics_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_TOPICS, 5, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.responses[0].error_code, KAFKA_NONE);
    make_topic(harness, "t", 4, NULL);
    assert_int_equal(fetch(harness, "g", 0).offset, -1);
    harness_crash(harness);
    assert_int_equal(fetch(harness, "g", 0).offset, -1);
    harness_free(harness);
}

static void a_topic_that_goes_while_groups_are_loaded_is_forgotten(void **state)
{
    (void)state;
    struct harness *harness = with_much_to_load("late-20");
    harness_restart(harness);
    struct odk_uuid id = harness_topic(harness, 0, "t")->id;
    for (uint32_t shard = 0; shard < 2; shard++)
        topics_apply_deleted(harness->shards[shard].broker, id, NULL, NULL);
    struct topic_config config;
    topic_config_init(&config, &harness->config);
    struct topic_new again = { .name = ODK_STR("t"), .id = { .b = { 9 } }, .partition_count = 4, .config = &config };
    for (uint32_t shard = 0; shard < 2; shard++)
        topics_apply_created(harness->shards[shard].broker, &again);
    assert_int_equal(fetch_old(harness, 7, "late-20", 0).error, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(fetch(harness, "late-20", 0).offset, -1);
    harness_free(harness);
}

/* -- members ------------------------------------------------------------------------------------------------------ */

static struct call *join_begin(struct harness *harness, uint32_t shard, const char *member_id, const char *group)
{
    /* a subscription of the consumer protocol, version 0, to "t" */
    static const uint8_t metadata[] = { 0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff };
    struct join_group_request_protocol protocol = { .name = ODK_STR("range"),
                                                    .metadata = { metadata, sizeof(metadata) } };
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = odk_str_from(group);
    request.session_timeout_ms = 30000;
    request.rebalance_timeout_ms = 30000;
    request.member_id = odk_str_from(member_id);
    request.protocol_type = ODK_STR("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    return call_begin(harness, shard, WIRE_KEY_JOIN_GROUP, 3, &request); /* 3: no MEMBER_ID_REQUIRED */
}

static int16_t sync_group(struct harness *harness, const char *group, struct odk_str member, int32_t generation)
{
    struct sync_group_request_assignment assignment = { .member_id = member, .assignment = { (const uint8_t *)"a", 1 } };
    struct sync_group_request request;
    struct sync_group_response response;
    sync_group_request_init(&request);
    request.group_id = odk_str_from(group);
    request.generation_id = generation;
    request.member_id = member;
    request.assignments = &assignment;
    request.assignments_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_SYNC_GROUP, 3, &request, &response), REQUEST_REPLY);
    return response.error_code;
}

static int16_t heartbeat(struct harness *harness, const char *group, struct odk_str member, int32_t generation)
{
    struct heartbeat_request request;
    struct heartbeat_response response;
    heartbeat_request_init(&request);
    request.group_id = odk_str_from(group);
    request.generation_id = generation;
    request.member_id = member;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_HEARTBEAT, 3, &request, &response), REQUEST_REPLY);
    return response.error_code;
}

static void members_outlive_a_crash_of_the_broker(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS NO_DELAY);
    struct join_group_response joined;
    assert_int_equal(call_end(join_begin(harness, 0, "", "g"), &joined), REQUEST_REPLY);
    assert_int_equal(joined.error_code, KAFKA_NONE);
    assert_int_equal(joined.generation_id, 1);
    assert_true(odk_str_eq(joined.leader, joined.member_id));
    assert_int_equal(joined.members_count, 1);
    assert_int_equal(sync_group(harness, "g", joined.member_id, 1), KAFKA_NONE);
    assert_int_equal(heartbeat(harness, "g", joined.member_id, 1), KAFKA_NONE);
    for (int turn = 0; turn < 2; turn++) {
        harness_crash(harness);
        assert_int_equal(fetch(harness, "g", 0).error, KAFKA_NONE); /* loaded */
        assert_int_equal(heartbeat(harness, "g", joined.member_id, 1), KAFKA_NONE);
        assert_int_equal(heartbeat(harness, "g", joined.member_id, 2), KAFKA_ILLEGAL_GENERATION);
        assert_int_equal(heartbeat(harness, "g", ODK_STR("stranger"), 1), KAFKA_UNKNOWN_MEMBER_ID);
    }
    harness_free(harness);
}

static void who_waits_can_be_called_back(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS NO_DELAY);
    struct join_group_response joined, late;
    for (uint32_t shard = 0; shard < 2; shard++) {
        const char *group = shard ? "g" : "h";
        assert_int_equal(call_end(join_begin(harness, 0, "", group), &joined), REQUEST_REPLY);
        assert_int_equal(sync_group(harness, group, joined.member_id, 1), KAFKA_NONE);
        struct call *waiting = join_begin(harness, shard, "", group); /* until the first member joins again */
        for (int i = 0; i < 100; i++)
            harness_turn(harness);
        assert_false(waiting->ended);
        broker_cancel(harness->shards[shard].broker, &waiting->request);
        broker_cancel(harness->shards[shard].broker, &waiting->request); /* twice is once */
        assert_int_equal(call_end(waiting, &late), REQUEST_REPLY);
        assert_int_not_equal(late.error_code, KAFKA_NONE);
        struct call *again = join_begin(harness, shard, "", group);
        broker_cancel(harness->shards[shard].broker, &again->request); /* on its way already */
        assert_int_equal(call_end(again, &late), REQUEST_REPLY);
    }
    harness_free(harness);
}

static void a_cancelled_request_that_waits_for_the_topic_ends(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    struct join_group_response joined;
    struct call *waiting = join_begin(harness, 1, "", "g");
    assert_false(waiting->ended);
    broker_cancel(harness->shards[1].broker, &waiting->request);
    assert_int_equal(call_end(waiting, &joined), REQUEST_REPLY);
    assert_int_equal(joined.error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    harness_free(harness);
}

/* -- many groups -------------------------------------------------------------------------------------------------- */

#define MANY 200

static void many_groups_are_asked_at_once(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    static char names[MANY][16];
    static struct odk_str ids[MANY];
    static struct offset_fetch_request_group asked[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "many-%d", i);
        ids[i] = odk_str_from(names[i]);
        offset_fetch_request_group_init(&asked[i]);
        asked[i].group_id = ids[i];
        asked[i].topics_count = -1;
        assert_int_equal(commit(harness, names[i], i % 4, i), KAFKA_NONE);
    }
    struct offset_fetch_request fetch_request;
    struct offset_fetch_response fetched;
    offset_fetch_request_init(&fetch_request);
    fetch_request.groups = asked;
    fetch_request.groups_count = MANY;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_FETCH, 9, &fetch_request, &fetched), REQUEST_REPLY);
    assert_int_equal(fetched.groups_count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(odk_str_eq(fetched.groups[i].group_id, ids[i]));
        assert_int_equal(fetched.groups[i].topics_count, 1);
        assert_int_equal(fetched.groups[i].topics[0].partitions_count, 1);
        assert_int_equal(fetched.groups[i].topics[0].partitions[0].committed_offset, i);
        assert_true(odk_str_eq(fetched.groups[i].topics[0].partitions[0].metadata, ODK_STR("note")));
    }
    struct list_groups_request list;
    struct list_groups_response listed;
    list_groups_request_init(&list);
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_LIST_GROUPS, 5, &list, &listed), REQUEST_REPLY);
    assert_int_equal(listed.groups_count, MANY);
    struct describe_groups_request describe = { .groups = ids, .groups_count = MANY, .include_authorized_operations = true };
    struct describe_groups_response described;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_DESCRIBE_GROUPS, 5, &describe, &described), REQUEST_REPLY);
    assert_int_equal(described.groups_count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(odk_str_eq(described.groups[i].group_id, ids[i]));
        assert_int_equal(described.groups[i].error_code, KAFKA_NONE);
        assert_true(odk_str_eq(described.groups[i].group_state, ODK_STR("Empty")));
        assert_int_equal(described.groups[i].authorized_operations, 3400); /* as Kafka without an authorizer */
    }
    struct odk_str twice[MANY];
    memcpy(twice, ids, sizeof(twice));
    twice[MANY - 1] = ids[0]; /* named again: one result */
    struct delete_groups_request delete = { .groups_names = twice, .groups_names_count = MANY };
    struct delete_groups_response deleted;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_DELETE_GROUPS, 2, &delete, &deleted), REQUEST_REPLY);
    assert_int_equal(deleted.results_count, MANY - 1);
    for (int i = 0; i < MANY - 1; i++)
        assert_int_equal(deleted.results[i].error_code, KAFKA_NONE);
    harness_crash(harness);
    assert_int_equal(fetch(harness, names[0], 0).offset, -1);
    assert_int_equal(fetch(harness, names[MANY - 1], (MANY - 1) % 4).offset, MANY - 1);
    for (int i = 0; i < 100; i++)
        harness_turn(harness);
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_LIST_GROUPS, 5, &list, &listed), REQUEST_REPLY);
    assert_int_equal(listed.groups_count, 1);
    harness_free(harness);
}

/* Every word costs a look for every partition of __consumer_offsets. */
static void filters_of_groups_are_bounded(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    struct odk_str words[101];
    for (size_t i = 0; i < countof(words); i++)
        words[i] = ODK_STR("Stable");
    for (int32_t count = 100; count <= 101; count++) {
        struct list_groups_request by_state = { .states_filter = words, .states_filter_count = count };
        struct list_groups_request by_type = { .types_filter = words, .types_filter_count = count };
        struct list_groups_response listed;
        int16_t error = count > 100 ? KAFKA_INVALID_REQUEST : KAFKA_NONE;
        assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_GROUPS, 5, &by_state, &listed), REQUEST_REPLY);
        assert_int_equal(listed.error_code, error);
        assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_GROUPS, 5, &by_type, &listed), REQUEST_REPLY);
        assert_int_equal(listed.error_code, error);
    }
    harness_free(harness);
}

static void empty_lists_of_groups_have_empty_answers(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    struct describe_groups_request describe = { 0 };
    struct describe_groups_response described;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_DESCRIBE_GROUPS, 5, &describe, &described), REQUEST_REPLY);
    assert_int_equal(described.groups_count, 0);
    struct consumer_group_describe_request modern = { 0 };
    struct consumer_group_describe_response answered;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_CONSUMER_GROUP_DESCRIBE, 1, &modern, &answered), REQUEST_REPLY);
    assert_int_equal(answered.groups_count, 0);
    struct odk_str id = ODK_STR("nobody");
    modern = (struct consumer_group_describe_request){ .group_ids = &id, .group_ids_count = 1 };
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_CONSUMER_GROUP_DESCRIBE, 1, &modern, &answered), REQUEST_REPLY);
    assert_int_equal(answered.groups[0].error_code, KAFKA_GROUP_ID_NOT_FOUND);
    harness_free(harness);
}

/* -- the log ------------------------------------------------------------------------------------------------------ */

/* A commit of many partitions, to fill the log. */
static void commit_many(struct harness *harness, const char *group, int32_t count, int64_t offset)
{
    struct offset_commit_request_partition *parts = xcalloc((size_t)count, sizeof(*parts));
    for (int32_t i = 0; i < count; i++)
        parts[i] = (struct offset_commit_request_partition){ .partition_index = i,
                                                              .committed_offset = offset + i,
                                                              .committed_leader_epoch = -1,
                                                              .committed_metadata = ODK_STR("") };
    struct offset_commit_request_topic topic = { .name = ODK_STR("wide"), .partitions = parts, .partitions_count = count };
    struct offset_commit_request request;
    struct offset_commit_response response;
    offset_commit_request_init(&request);
    request.group_id = odk_str_from(group);
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_COMMIT, 8, &request, &response), REQUEST_REPLY);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(response.topics[0].partitions[i].error_code, KAFKA_NONE);
    free(parts);
    harness_forget(harness);
}

static void a_long_log_becomes_a_short_one(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    make_topic(harness, "wide", 1000, NULL);
    assert_int_equal(commit(harness, "g", 3, 33), KAFKA_NONE);
    for (int i = 0; i < 60; i++) /* some 80 bytes for each of 60,000 */
        commit_many(harness, "g", 1000, i);
    struct odk_log *log = group_log(harness, "g");
    for (int i = 0; i < 100 && odk_log_start_offset(log) == 0; i++)
        harness_turn(harness);
    int64_t start = odk_log_start_offset(log), end = odk_log_end_offset(log);
    assert_true(start > 30000);
    assert_true(end - start < 40000);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(fetch(harness, "g", 3).offset, 33); /* said again by every snapshot */
        harness_crash(harness);
    }
    harness_free(harness);
}

static void growth_is_counted_over_restarts(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    make_topic(harness, "wide", 1000, NULL);
    for (int i = 0; i < 8; i++) { /* never enough in one life */
        harness_crash(harness);
        (void)fetch(harness, "g", 0);
        if (odk_log_start_offset(group_log(harness, "g")) > 0)
            break;
        for (int commits = 0; commits < 4; commits++)
            commit_many(harness, "g", 1000, i);
    }
    for (int i = 0; i < 100; i++)
        harness_turn(harness);
    assert_true(odk_log_start_offset(group_log(harness, "g")) > 0);
    harness_free(harness);
}

static void append_on_done(struct odk_append *append, enum odk_err err)
{
    assert_int_equal(err, ODK_OK);
    append->len = 0;
}

/* A record that no group understands goes into the log behind their backs. */
static int64_t spoil(struct harness *harness, const char *group, struct odk_bytes key, struct odk_bytes value)
{
    struct odk_record_new record = { .timestamp = 1, .key = key, .value = value };
    struct odk_batch_new batch = {
        .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = &record, .record_count = 1
    };
    struct odk_append append = { .done = append_on_done };
    assert_int_equal(odk_batch_build(&batch, &append.batch, &append.len), ODK_OK);
    uint8_t *bytes = append.batch;
    odk_log_append(group_log(harness, group), &append);
    while (append.len > 0)
        harness_turn(harness);
    free(bytes);
    return append.base_offset;
}

static void a_damaged_log_takes_its_groups_out_of_service(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    static const uint8_t key[] = { 0, 1, 0, 200, 'x' }; /* an offset of a group whose name is cut off */
    char wanted[160];
    assert_int_equal(commit(harness, "g", 0, 5), KAFKA_NONE);
    int64_t offset = spoil(harness, "g", (struct odk_bytes){ key, sizeof(key) }, (struct odk_bytes){ 0 });
    harness_restart(harness);
    assert_int_equal(fetch(harness, "g", 0).error, KAFKA_NOT_COORDINATOR);
    assert_int_equal(commit(harness, "g", 0, 6), KAFKA_NOT_COORDINATOR);
    (void)snprintf(wanted, sizeof(wanted),
                   GROUP_TOPIC "-%d: cannot be read at offset %" PRId64 ": stored data is damaged",
                   groups_partition_of(ODK_STR("g"), 4), offset);
    assert_non_null(strstr(harness->lines, wanted));
    const char *other = "a"; /* of another partition */
    assert_int_not_equal(groups_partition_of(odk_str_from(other), 4), groups_partition_of(ODK_STR("g"), 4));
    assert_int_equal(fetch(harness, other, 0).error, KAFKA_NONE);
    struct list_groups_request list;
    struct list_groups_response listed;
    list_groups_request_init(&list);
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_LIST_GROUPS, 4, &list, &listed), REQUEST_REPLY);
    assert_int_equal(listed.error_code, KAFKA_NONE); /* as Kafka: what it does not coordinate is left out */
    harness_free(harness);
}

static void a_topic_does_not_inherit_what_a_crash_has_left(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    static const uint8_t key[] = { 0, 1, 0, 1, 'g', 0, 5, 'g', 'h', 'o', 's', 't', 0, 0, 0, 0 };
    static const uint8_t value[] = { 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };
    assert_int_equal(commit(harness, "g", 0, 5), KAFKA_NONE);
    (void)spoil(harness, "g", (struct odk_bytes){ key, sizeof(key) }, (struct odk_bytes){ value, sizeof(value) });
    harness_crash(harness);
    assert_int_equal(fetch(harness, "g", 0).offset, 5);
    make_topic(harness, "ghost", 1, NULL);
    struct offset_fetch_request_group asked;
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_group_init(&asked);
    asked.group_id = ODK_STR("g");
    asked.topics_count = -1;
    offset_fetch_request_init(&request);
    request.groups = &asked;
    request.groups_count = 1;
    assert_int_equal(harness_call(harness, 1, WIRE_KEY_OFFSET_FETCH, 8, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.groups[0].topics_count, 1);
    assert_true(odk_str_eq(response.groups[0].topics[0].name, ODK_STR("t")));
    harness_free(harness);
}

static void kinds_of_records_that_are_not_known_are_passed_over(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS);
    static const uint8_t key[] = { 0, 99, 1, 2, 3 };
    assert_int_equal(commit(harness, "g", 0, 5), KAFKA_NONE);
    (void)spoil(harness, "g", (struct odk_bytes){ key, sizeof(key) }, (struct odk_bytes){ key, 1 });
    harness_restart(harness);
    assert_int_equal(fetch(harness, "g", 0).offset, 5);
    harness_free(harness);
}

/* -- formats ------------------------------------------------------------------------------------------------------ */

struct seen {
    uint32_t commits, groups, others;
};

static void record_read(const struct odk_record *record, struct seen *seen)
{
    struct arena arena = { 0 };
    struct rd key = rd_init(record->key.data, record->key.len);
    struct rd value = rd_init(record->value.data, record->value.len);
    int16_t kind = rd_i16(&key), version = rd_i16(&value);
    if (kind == 1) {
        struct offset_commit_key key_read;
        struct offset_commit_value value_read;
        assert_true(offset_commit_key_decode(&key_read, &key, &arena, 1));
        assert_true(odk_str_eq(key_read.group, ODK_STR("g")));
        assert_true(odk_str_eq(key_read.topic, ODK_STR("t")));
        assert_int_equal(version, 3);
        assert_true(offset_commit_value_decode(&value_read, &value, &arena, 3));
        assert_int_equal(value_read.offset, 55);
        assert_int_equal(rd_left(&value), 0);
        seen->commits++;
    } else if (kind == 2) {
        struct group_metadata_value value_read;
        assert_int_equal(version, 3);
        assert_true(group_metadata_value_decode(&value_read, &value, &arena, 3));
        assert_true(odk_str_eq(value_read.protocol_type, ODK_STR("consumer")));
        assert_int_equal(rd_left(&value), 0);
        seen->groups++;
    } else {
        seen->others++;
    }
    arena_deinit(&arena);
}

/* What Burrow, kafka-dump-log and others read. */
static void records_have_kafkas_form(void **state)
{
    (void)state;
    struct harness *harness = with_topic(FEW_PARTITIONS NO_DELAY);
    struct join_group_response joined;
    assert_int_equal(call_end(join_begin(harness, 0, "", "g"), &joined), REQUEST_REPLY);
    assert_int_equal(sync_group(harness, "g", joined.member_id, 1), KAFKA_NONE);
    struct odk_str member = joined.member_id;
    struct offset_commit_request_partition part = { .committed_offset = 55,
                                                    .committed_leader_epoch = -1,
                                                    .committed_metadata = ODK_STR("") };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"), .partitions = &part, .partitions_count = 1 };
    struct offset_commit_request request;
    struct offset_commit_response response;
    offset_commit_request_init(&request);
    request.group_id = ODK_STR("g");
    request.generation_id_or_member_epoch = 1;
    request.member_id = member;
    request.topics = &topic;
    request.topics_count = 1;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_OFFSET_COMMIT, 7, &request, &response), REQUEST_REPLY);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_NONE);

    struct odk_log *log = group_log(harness, "g");
    struct odk_read read = { .offset = 0, .bytes_max = 1u << 20, .at_least_one = true };
    assert_int_equal(odk_log_read(log, &read), ODK_OK);
    assert_int_equal(read.part_count, 1);
    struct odk_bytes left = { .data = read.parts[0].iov_base, .len = read.parts[0].iov_len };
    struct seen seen = { 0 };
    while (left.len > 0) {
        struct odk_record_iter it;
        struct odk_record record;
        assert_int_equal(odk_batch_check_crc(left), ODK_OK);
        assert_int_equal(odk_record_iter_init(&it, left, 1u << 20), ODK_OK);
        size_t len = odk_batch_bytes(&it.batch);
        while (odk_record_next(&it, &record))
            record_read(&record, &seen);
        assert_int_equal(odk_record_iter_end(&it), ODK_OK);
        left.data += len;
        left.len -= len;
    }
    odk_log_read_release(log, &read);
    assert_int_equal(seen.commits, 1);
    assert_true(seen.groups >= 1);
    assert_int_equal(seen.others, 0);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_question_makes_the_topic),
        cmocka_unit_test(without_its_topic_there_is_no_coordinator),
        cmocka_unit_test(offsets_are_read_back_in_every_version),
        cmocka_unit_test(acknowledged_offsets_survive),
        cmocka_unit_test(groups_that_are_being_loaded_say_so),
        cmocka_unit_test(deletion_of_a_topic_forgets_its_offsets),
        cmocka_unit_test(a_topic_that_goes_while_groups_are_loaded_is_forgotten),
        cmocka_unit_test(members_outlive_a_crash_of_the_broker),
        cmocka_unit_test(who_waits_can_be_called_back),
        cmocka_unit_test(a_cancelled_request_that_waits_for_the_topic_ends),
        cmocka_unit_test(many_groups_are_asked_at_once),
        cmocka_unit_test(filters_of_groups_are_bounded),
        cmocka_unit_test(empty_lists_of_groups_have_empty_answers),
        cmocka_unit_test(a_long_log_becomes_a_short_one),
        cmocka_unit_test(growth_is_counted_over_restarts),
        cmocka_unit_test(a_damaged_log_takes_its_groups_out_of_service),
        cmocka_unit_test(a_topic_does_not_inherit_what_a_crash_has_left),
        cmocka_unit_test(kinds_of_records_that_are_not_known_are_passed_over),
        cmocka_unit_test(records_have_kafkas_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
