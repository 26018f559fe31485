#include "kit.h"

#include <stdio.h>
#include <string.h>

static struct odk_str text(const char *nul_terminated)
{
    return nul_terminated ? odk_str_from(nul_terminated) : (struct odk_str){ 0 };
}

static struct odk_bytes bytes(const char *nul_terminated)
{
    return (struct odk_bytes){ (const uint8_t *)nul_terminated, strlen(nul_terminated) };
}

void kit_join_init(struct kit_join *join, int16_t version, const char *group, const char *member_id,
                   const char *instance_id, const char *what)
{
    *join = (struct kit_join){ .version = version, .client_id = "client" };
    join->protocols[0].name = ODK_STR("range");
    join->protocols[0].metadata = bytes(what);
    join->request = (struct join_group_request){
        .group_id = text(group),
        .session_timeout_ms = 10000,
        .rebalance_timeout_ms = 60000,
        .member_id = text(member_id),
        .group_instance_id = text(instance_id),
        .protocol_type = ODK_STR("consumer"),
        .protocols = join->protocols,
        .protocols_count = 1,
    };
}

struct rig_call *kit_join_send(struct rig *rig, struct kit_join *join)
{
    join->request.protocols = join->protocols;
    return rig_call_from(rig, GROUP_CALL_JOIN, join->version, &join->request, join->client_id);
}

struct rig_call *kit_join(struct rig *rig, int16_t version, const char *group, const char *member_id,
                          const char *instance_id, const char *what)
{
    struct kit_join join;
    kit_join_init(&join, version, group, member_id, instance_id, what);
    return kit_join_send(rig, &join);
}

struct rig_call *kit_sync(struct rig *rig, const char *group, const char *member_id, int32_t generation,
                          const char *const *assignments)
{
    struct sync_group_request_assignment rows[16];
    int32_t count = 0;
    for (; assignments && assignments[0]; assignments += 2) {
        assert_true(count < 16);
        rows[count].member_id = text(assignments[0]);
        rows[count++].assignment = bytes(assignments[1]);
    }
    const struct sync_group_request request = {
        .group_id = text(group),
        .generation_id = generation,
        .member_id = text(member_id),
        .protocol_type = ODK_STR("consumer"),
        .protocol_name = ODK_STR("range"),
        .assignments = rows,
        .assignments_count = count,
    };
    return rig_call(rig, GROUP_CALL_SYNC, 5, &request);
}

int16_t kit_heartbeat(struct rig *rig, const char *group, const char *member_id, const char *instance_id,
                      int32_t generation)
{
    const struct heartbeat_request request = { .group_id = text(group),
                                               .generation_id = generation,
                                               .member_id = text(member_id),
                                               .group_instance_id = text(instance_id) };
    struct rig_call *call = rig_call(rig, GROUP_CALL_HEARTBEAT, 4, &request);
    assert_true(call->answered);
    int16_t error = call->out.heartbeat.error_code;
    rig_call_free(call);
    return error;
}

int16_t kit_leave(struct rig *rig, const char *group, const char *member_id, const char *instance_id)
{
    struct leave_group_request_member member = { .member_id = text(member_id),
                                                 .group_instance_id = text(instance_id),
                                                 .reason = ODK_STR("test") };
    const struct leave_group_request request = { .group_id = text(group), .members = &member, .members_count = 1 };
    struct rig_call *call = rig_call(rig, GROUP_CALL_LEAVE, 5, &request);
    assert_true(call->answered);
    assert_int_equal(call->out.leave.error_code, KAFKA_NONE);
    assert_int_equal(call->out.leave.members_count, 1);
    assert_text(call->out.leave.members[0].member_id, member_id);
    int16_t error = call->out.leave.members[0].error_code;
    rig_call_free(call);
    return error;
}

int16_t kit_commit(struct rig *rig, int16_t version, const char *group, const char *member_id, int32_t generation,
                   const char *topic, int32_t partition, int64_t offset)
{
    struct offset_commit_request_partition row = { .partition_index = partition,
                                                   .committed_offset = offset,
                                                   .committed_leader_epoch = 3,
                                                   .commit_timestamp = -1,
                                                   .committed_metadata = ODK_STR("note") };
    struct offset_commit_request_topic rows = { .name = text(topic), .partitions = &row, .partitions_count = 1 };
    const struct offset_commit_request request = { .group_id = text(group),
                                                   .generation_id_or_member_epoch = generation,
                                                   .member_id = text(member_id),
                                                   .retention_time_ms = -1,
                                                   .topics = &rows,
                                                   .topics_count = 1 };
    struct rig_call *call = rig_call(rig, GROUP_CALL_COMMIT, version, &request);
    assert_true(call->answered);
    assert_int_equal(call->out.commit.topics_count, 1);
    assert_int_equal(call->out.commit.topics[0].partitions[0].partition_index, partition);
    int16_t error = call->out.commit.topics[0].partitions[0].error_code;
    rig_call_free(call);
    return error;
}

int64_t kit_fetch(struct rig *rig, const char *group, const char *topic, int32_t partition)
{
    struct offset_fetch_request_group_topic rows = { .name = text(topic),
                                                     .partition_indexes = &partition,
                                                     .partition_indexes_count = 1 };
    const struct offset_fetch_request_group request = {
        .group_id = text(group), .member_epoch = -1, .topics = &rows, .topics_count = 1
    };
    struct rig_call *call = rig_call(rig, GROUP_CALL_FETCH, 9, &request);
    assert_true(call->answered);
    assert_int_equal(call->out.fetch.error_code, KAFKA_NONE);
    assert_int_equal(call->out.fetch.topics_count, 1);
    assert_int_equal(call->out.fetch.topics[0].partitions[0].error_code, KAFKA_NONE);
    int64_t offset = call->out.fetch.topics[0].partitions[0].committed_offset;
    rig_call_free(call);
    return offset;
}

int16_t kit_delete_group(struct rig *rig, const char *group)
{
    struct odk_str id = text(group);
    struct rig_call *call = rig_call(rig, GROUP_CALL_DELETE, 2, &id);
    assert_true(call->answered);
    assert_text(call->out.delete_group.group_id, group);
    int16_t error = call->out.delete_group.error_code;
    rig_call_free(call);
    return error;
}

static struct rig_call *describe(struct rig *rig, const char *group)
{
    struct odk_str id = text(group);
    struct rig_call *call = rig_call(rig, GROUP_CALL_DESCRIBE, 5, &id);
    assert_true(call->answered);
    assert_int_equal(call->out.describe.error_code, KAFKA_NONE);
    return call;
}

const char *kit_state(struct rig *rig, const char *group)
{
    struct rig_call *call = describe(rig, group);
    const char *state = call->out.describe.group_state.data; /* a literal */
    rig_call_free(call);
    return state;
}

int kit_member_count(struct rig *rig, const char *group)
{
    struct rig_call *call = describe(rig, group);
    int count = call->out.describe.members_count;
    rig_call_free(call);
    return count;
}

struct kit_member kit_joined(struct rig_call *call)
{
    struct kit_member member = { .generation = call->out.join.generation_id };
    assert_true(call->answered);
    assert_int_equal(call->out.join.error_code, KAFKA_NONE);
    snprintf(member.id, sizeof(member.id), "%.*s", ODK_STR_FMT(call->out.join.member_id));
    rig_call_free(call);
    return member;
}

struct kit_member kit_given_id(struct rig *rig, const char *group)
{
    struct rig_call *call = kit_join(rig, 9, group, "", NULL, "x");
    struct kit_member member = { .generation = -1 };
    assert_true(call->answered);
    assert_int_equal(call->out.join.error_code, KAFKA_MEMBER_ID_REQUIRED);
    snprintf(member.id, sizeof(member.id), "%.*s", ODK_STR_FMT(call->out.join.member_id));
    rig_call_free(call);
    return member;
}

struct kit_member kit_alone(struct rig *rig, const char *group, const char *instance_id, const char *what)
{
    struct kit_member given = { 0 };
    if (!instance_id)
        given = kit_given_id(rig, group);
    struct rig_call *join = kit_join(rig, 9, group, given.id, instance_id, what);
    rig_advance(rig, 0);
    struct kit_member member = kit_joined(join);
    struct rig_call *sync =
        kit_sync(rig, group, member.id, member.generation, (const char *[]){ member.id, "all", NULL });
    assert_true(sync->answered);
    assert_int_equal(sync->out.sync.error_code, KAFKA_NONE);
    rig_call_free(sync);
    return member;
}

struct odk_bytes kit_subscription(const char *topic)
{
    static uint8_t subscription[128];
    size_t len = strlen(topic);
    memcpy(subscription, "\0\1\0\0\0\1\0", 7);
    subscription[7] = (uint8_t)len;
    memcpy(subscription + 8, topic, len);
    memcpy(subscription + 8 + len, "\xff\xff\xff\xff\0\0\0\0", 8); /* no user data, owns nothing */
    return (struct odk_bytes){ subscription, len + 16 };
}
