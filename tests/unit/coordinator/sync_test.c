/* SyncGroup, Heartbeat and LeaveGroup: what members do between two rounds. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

static void answers(struct rig_call *call, int16_t error)
{
    assert_true(call->answered);
    assert_int_equal(call->out.sync.error_code, error);
    rig_call_free(call);
}

/* Two members in COMPLETING; a leads. */
static void completing(struct rig *rig, struct kit_member *a, struct kit_member *b)
{
    struct rig_call *first = kit_join(rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join(rig, 3, "g", "", NULL, "b");
    rig_advance(rig, 0);
    *a = kit_joined(first);
    *b = kit_joined(second);
    assert_string_equal(kit_state(rig, "g"), "CompletingRebalance");
}

/* And their assignment made. */
static void stable(struct rig *rig, struct kit_member *a, struct kit_member *b)
{
    completing(rig, a, b);
    struct rig_call *follower = kit_sync(rig, "g", b->id, 1, NULL);
    answers(kit_sync(rig, "g", a->id, 1, (const char *[]){ a->id, "A", b->id, "B", NULL }), KAFKA_NONE);
    answers(follower, KAFKA_NONE);
}

/* -- SyncGroup ---------------------------------------------------------------------------------------------------- */

static void sync_refuses_who_is_not_of_this_round(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    answers(kit_sync(&rig, "", "x", 1, NULL), KAFKA_INVALID_GROUP_ID);
    answers(kit_sync(&rig, "g", "x", 1, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    struct kit_member given = kit_given_id(&rig, "g"); /* an empty group */
    answers(kit_sync(&rig, "g", given.id, 0, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    kit_leave(&rig, "g", given.id, NULL);
    completing(&rig, &a, &b);
    answers(kit_sync(&rig, "g", "x", 1, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    answers(kit_sync(&rig, "g", a.id, 0, NULL), KAFKA_ILLEGAL_GENERATION);
    answers(kit_sync(&rig, "g", a.id, 2, NULL), KAFKA_ILLEGAL_GENERATION);
    struct rig_call *join = kit_join(&rig, 3, "g", a.id, NULL, "new");
    answers(kit_sync(&rig, "g", b.id, 1, NULL), KAFKA_REBALANCE_IN_PROGRESS);
    rig_call_free(join);
    rig_deinit(&rig);
}

static void sync_checks_the_protocol_from_version_5_on(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    struct sync_group_request request = { .group_id = ODK_STR("g"),
                                          .generation_id = 1,
                                          .member_id = odk_str_from(a.id) };
    answers(rig_call(&rig, GROUP_CALL_SYNC, 5, &request), KAFKA_NONE); /* null: not said */
    request.protocol_type = ODK_STR("connect");
    answers(rig_call(&rig, GROUP_CALL_SYNC, 5, &request), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    request.protocol_type = ODK_STR("consumer");
    request.protocol_name = ODK_STR("sticky");
    answers(rig_call(&rig, GROUP_CALL_SYNC, 5, &request), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    answers(rig_call(&rig, GROUP_CALL_SYNC, 4, &request), KAFKA_NONE);
    rig_deinit(&rig);
}

static void in_stable_the_assignment_is_told_again(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    stable(&rig, &a, &b);
    struct rig_call *sync = kit_sync(&rig, "g", b.id, 1, NULL);
    assert_true(sync->answered);
    assert_text(sync->out.sync.protocol_type, "consumer");
    assert_text(sync->out.sync.protocol_name, "range");
    assert_int_equal(sync->out.sync.assignment.len, 1);
    assert_int_equal(sync->out.sync.assignment.data[0], 'B');
    rig_call_free(sync);
    rig_deinit(&rig);
}

/* Members that the leader forgets have nothing; names it makes up are passed over; of two parts the later counts. */
static void the_leaders_assignment_need_not_be_tidy(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    completing(&rig, &a, &b);
    struct rig_call *follower = kit_sync(&rig, "g", b.id, 1, NULL);
    struct rig_call *leader =
        kit_sync(&rig, "g", a.id, 1, (const char *[]){ a.id, "first", "nobody", "x", a.id, "second", NULL });
    assert_true(leader->answered && follower->answered);
    assert_int_equal(leader->out.sync.assignment.len, 6);
    assert_int_equal(follower->out.sync.assignment.len, 0);
    answers(follower, KAFKA_NONE);
    answers(leader, KAFKA_NONE);
    assert_string_equal(kit_state(&rig, "g"), "Stable");
    rig_deinit(&rig);
}

static void an_assignment_too_large_to_keep_opens_a_round(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    static char large[5 << 20];
    memset(large, 'x', sizeof(large) - 1);
    rig_init(&rig);
    completing(&rig, &a, &b);
    struct rig_call *follower = kit_sync(&rig, "g", b.id, 1, NULL);
    answers(kit_sync(&rig, "g", a.id, 1, (const char *[]){ a.id, large, NULL }), KAFKA_UNKNOWN_SERVER_ERROR);
    answers(follower, KAFKA_UNKNOWN_SERVER_ERROR);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    rig_deinit(&rig);
}

static void a_second_sync_of_a_member_ends_the_first(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    completing(&rig, &a, &b);
    struct rig_call *first = kit_sync(&rig, "g", b.id, 1, NULL);
    struct rig_call *second = kit_sync(&rig, "g", b.id, 1, NULL);
    answers(first, KAFKA_REBALANCE_IN_PROGRESS);
    assert_false(second->answered);
    groups_cancel(rig.groups, &second->call);
    answers(second, KAFKA_REBALANCE_IN_PROGRESS);
    answers(kit_sync(&rig, "g", a.id, 1, (const char *[]){ b.id, "B", NULL }), KAFKA_NONE);
    answers(kit_sync(&rig, "g", b.id, 1, NULL), KAFKA_NONE);
    rig_deinit(&rig);
}

/* Within the rebalance timeout, or they are out: in COMPLETING and in STABLE. */
static void members_must_sync_in_time(void **state)
{
    (void)state;
    for (int leader_syncs = 0; leader_syncs < 2; leader_syncs++) {
        struct rig rig;
        struct kit_member a, b;
        rig_init(&rig);
        completing(&rig, &a, &b);
        if (leader_syncs)
            answers(kit_sync(&rig, "g", a.id, 1, (const char *[]){ a.id, "A", NULL }), KAFKA_NONE);
        for (int i = 0; i < 60; i++) {
            assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
            assert_int_equal(kit_heartbeat(&rig, "g", b.id, NULL, 1), KAFKA_NONE);
            rig_advance(&rig, i < 59 ? 1000 : 999);
        }
        assert_int_equal(kit_member_count(&rig, "g"), 2);
        rig_advance(&rig, 1);
        assert_int_equal(kit_member_count(&rig, "g"), leader_syncs);
        assert_string_equal(kit_state(&rig, "g"), leader_syncs ? "PreparingRebalance" : "Empty");
        rig_deinit(&rig);
    }
}

/* -- Heartbeat ---------------------------------------------------------------------------------------------------- */

static void heartbeats_tell_the_state(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    assert_int_equal(kit_heartbeat(&rig, "", "x", NULL, 1), KAFKA_INVALID_GROUP_ID);
    assert_int_equal(kit_heartbeat(&rig, "g", "x", NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
    struct kit_member given = kit_given_id(&rig, "g");
    assert_int_equal(kit_heartbeat(&rig, "g", given.id, NULL, 0), KAFKA_UNKNOWN_MEMBER_ID);
    kit_leave(&rig, "g", given.id, NULL);
    completing(&rig, &a, &b);
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 0), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, "instance", 1), KAFKA_UNKNOWN_MEMBER_ID);
    answers(kit_sync(&rig, "g", a.id, 1, (const char *[]){ a.id, "A", NULL }), KAFKA_NONE);
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
    struct rig_call *join = kit_join(&rig, 3, "g", b.id, NULL, "new");
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_REBALANCE_IN_PROGRESS);
    rig_call_free(join);
    rig_deinit(&rig);
}

static void heartbeats_and_commits_keep_a_session(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    rig_advance(&rig, 9999);
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_NONE);
    rig_advance(&rig, 9999);
    assert_int_equal(kit_commit(&rig, 9, "g", a.id, 1, "t", 0, 5), KAFKA_NONE);
    rig_advance(&rig, 9999);
    assert_string_equal(kit_state(&rig, "g"), "Stable");
    rig_advance(&rig, 1);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
    rig_deinit(&rig);
}

/* -- LeaveGroup --------------------------------------------------------------------------------------------------- */

static void members_leave_one_by_one_or_many_at_once(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    stable(&rig, &a, &b);
    struct rig_call *call = kit_join(&rig, 5, "g", "", "instance", "s");
    struct leave_group_request_member rows[5] = {
        { .member_id = odk_str_from(a.id) },
        { .member_id = ODK_STR("nobody") },
        { .member_id = ODK_STR("nobody"), .group_instance_id = ODK_STR("instance") },
        { .member_id = ODK_STR(""), .group_instance_id = ODK_STR("instance") },
        { .member_id = ODK_STR("") },
    };
    struct leave_group_request request = { .group_id = ODK_STR("g"), .members = rows, .members_count = 5 };
    struct rig_call *leave = rig_call(&rig, GROUP_CALL_LEAVE, 5, &request);
    static const int16_t errors[5] = { KAFKA_NONE, KAFKA_UNKNOWN_MEMBER_ID, KAFKA_FENCED_INSTANCE_ID, KAFKA_NONE,
                                       KAFKA_UNKNOWN_MEMBER_ID };
    assert_true(leave->answered && call->answered);
    assert_int_equal(call->out.join.error_code, KAFKA_UNKNOWN_MEMBER_ID); /* it waited when it was removed */
    assert_int_equal(leave->out.leave.error_code, KAFKA_NONE);
    assert_int_equal(leave->out.leave.members_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(leave->out.leave.members[i].error_code, errors[i]);
    rig_call_free(call);
    rig_call_free(leave);
    assert_int_equal(kit_member_count(&rig, "g"), 1);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    assert_int_equal(kit_leave(&rig, "g", b.id, NULL), KAFKA_NONE);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    assert_non_null(rig_last(&rig, 2)->value); /* the group is kept, without members */
    rig_deinit(&rig);
}

static void old_leaves_have_one_error(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    struct leave_group_request request = { .group_id = ODK_STR("g"), .member_id = ODK_STR("nobody") };
    for (int turn = 0; turn < 3; turn++) {
        struct rig_call *leave = rig_call(&rig, GROUP_CALL_LEAVE, (int16_t)turn, &request);
        assert_true(leave->answered);
        assert_int_equal(leave->out.leave.error_code, turn == 1 ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID);
        rig_call_free(leave);
        request.member_id = odk_str_from(a.id);
    }
    rig_deinit(&rig);
}

static void who_leaves_a_group_that_is_not_there_is_unknown(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    assert_int_equal(kit_leave(&rig, "g", "x", NULL), KAFKA_UNKNOWN_MEMBER_ID);
    struct leave_group_request request = { .group_id = ODK_STR("g"), .member_id = ODK_STR("x") };
    struct rig_call *leave = rig_call(&rig, GROUP_CALL_LEAVE, 2, &request);
    assert_int_equal(leave->out.leave.error_code, KAFKA_UNKNOWN_MEMBER_ID);
    rig_call_free(leave);
    request.group_id = ODK_STR("");
    leave = rig_call(&rig, GROUP_CALL_LEAVE, 5, &request);
    assert_int_equal(leave->out.leave.error_code, KAFKA_INVALID_GROUP_ID);
    rig_call_free(leave);
    rig_deinit(&rig);
}

static void an_id_given_out_can_be_handed_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member given = kit_given_id(&rig, "g");
    assert_int_equal(kit_leave(&rig, "g", given.id, NULL), KAFKA_NONE);
    assert_int_equal(kit_leave(&rig, "g", given.id, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sync_refuses_who_is_not_of_this_round),
        cmocka_unit_test(sync_checks_the_protocol_from_version_5_on),
        cmocka_unit_test(in_stable_the_assignment_is_told_again),
        cmocka_unit_test(the_leaders_assignment_need_not_be_tidy),
        cmocka_unit_test(an_assignment_too_large_to_keep_opens_a_round),
        cmocka_unit_test(a_second_sync_of_a_member_ends_the_first),
        cmocka_unit_test(members_must_sync_in_time),
        cmocka_unit_test(heartbeats_tell_the_state),
        cmocka_unit_test(heartbeats_and_commits_keep_a_session),
        cmocka_unit_test(members_leave_one_by_one_or_many_at_once),
        cmocka_unit_test(old_leaves_have_one_error),
        cmocka_unit_test(who_leaves_a_group_that_is_not_there_is_unknown),
        cmocka_unit_test(an_id_given_out_can_be_handed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
