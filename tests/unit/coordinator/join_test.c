/* JoinGroup: who comes in, and how rounds open and end. A group's first round does not wait unless a test says so. */
#include "kit.h"

#include <string.h>

static void answers(struct rig_call *call, int16_t error)
{
    assert_true(call->answered);
    assert_int_equal(call->out.join.error_code, error);
    rig_call_free(call);
}

/* -- refusals ----------------------------------------------------------------------------------------------------- */

static void bad_requests_have_their_errors(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    answers(kit_join(&rig, 9, "", "", NULL, "x"), KAFKA_INVALID_GROUP_ID);
    answers(kit_join(&rig, 9, "g", "somebody", NULL, "x"), KAFKA_UNKNOWN_MEMBER_ID);
    for (int side = 0; side < 2; side++) {
        kit_join_init(&join, 9, "g", "", NULL, "x");
        join.request.session_timeout_ms = side ? 1800001 : 5999;
        answers(kit_join_send(&rig, &join), KAFKA_INVALID_SESSION_TIMEOUT);
    }
    kit_join_init(&join, 9, "g", "", NULL, "x");
    join.request.protocols_count = 0;
    answers(kit_join_send(&rig, &join), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    kit_join_init(&join, 9, "g", "", NULL, "x");
    join.request.protocol_type = ODK_STR("");
    answers(kit_join_send(&rig, &join), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_string_equal(kit_state(&rig, "g"), "Dead"); /* nothing came of it */
    (void)kit_alone(&rig, "h", NULL, "x");
    answers(kit_join(&rig, 9, "h", "somebody", NULL, "x"), KAFKA_UNKNOWN_MEMBER_ID);
    answers(kit_join(&rig, 9, "h", "somebody", "instance", "x"), KAFKA_UNKNOWN_MEMBER_ID);
    rig_deinit(&rig);
}

static void protocols_must_have_one_in_common(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    (void)kit_alone(&rig, "g", NULL, "x");
    kit_join_init(&join, 9, "g", "", NULL, "x");
    join.protocols[0].name = ODK_STR("other");
    answers(kit_join_send(&rig, &join), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    kit_join_init(&join, 9, "g", "", NULL, "x");
    join.request.protocol_type = ODK_STR("connect");
    answers(kit_join_send(&rig, &join), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    kit_join_init(&join, 9, "g", "", NULL, "x");
    join.protocols[1].name = ODK_STR("other");
    join.request.protocols_count = 2;
    answers(kit_join_send(&rig, &join), KAFKA_MEMBER_ID_REQUIRED);
    rig_deinit(&rig);
}

/* -- ids ---------------------------------------------------------------------------------------------------------- */

static void new_members_are_given_their_id_first(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member given = kit_given_id(&rig, "g");
    assert_memory_equal(given.id, "client-", 7);
    assert_int_equal(strlen(given.id), 7 + 36);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    struct rig_call *join = kit_join(&rig, 9, "g", given.id, NULL, "x");
    assert_false(join->answered);
    rig_advance(&rig, 0);
    assert_true(join->answered);
    assert_int_equal(join->out.join.generation_id, 1);
    assert_text(join->out.join.member_id, given.id);
    assert_text(join->out.join.leader, given.id);
    assert_text(join->out.join.protocol_type, "consumer");
    assert_text(join->out.join.protocol_name, "range");
    assert_int_equal(join->out.join.members_count, 1);
    assert_text(join->out.join.members[0].member_id, given.id);
    assert_memory_equal(join->out.join.members[0].metadata.data, "x", 1);
    rig_call_free(join);
    rig_deinit(&rig);
}

static void old_versions_come_in_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    for (int16_t version = 0; version < 4; version++) {
        char group[] = { 'g', (char)('0' + version), 0 };
        struct rig_call *join = kit_join(&rig, version, group, "", NULL, "x");
        rig_advance(&rig, 0);
        assert_int_equal(kit_joined(join).generation, 1);
    }
    rig_deinit(&rig);
}

static void ids_that_do_not_come_back_are_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member given = kit_given_id(&rig, "g");
    rig_advance(&rig, 9999);
    struct kit_member other = kit_given_id(&rig, "g");
    rig_advance(&rig, 1);
    answers(kit_join(&rig, 9, "g", given.id, NULL, "x"), KAFKA_UNKNOWN_MEMBER_ID);
    struct rig_call *join = kit_join(&rig, 9, "g", other.id, NULL, "x");
    rig_advance(&rig, 0);
    (void)kit_joined(join);
    rig_deinit(&rig);
}

/* An id that was given out holds a round open until it comes back or is forgotten. */
static void a_round_waits_for_ids_given_out(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    (void)kit_given_id(&rig, "g");
    struct rig_call *join = kit_join(&rig, 9, "g", a.id, NULL, "x"); /* the leader: a new round */
    rig_advance(&rig, 9999);
    assert_false(join->answered);
    rig_advance(&rig, 1);
    assert_int_equal(kit_joined(join).generation, 2);
    rig_deinit(&rig);
}

/* -- rounds ------------------------------------------------------------------------------------------------------- */

static void the_first_round_waits_for_company(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.config.initial_rebalance_delay_ms = 3000;
    struct rig_call *a = kit_join(&rig, 3, "g", "", NULL, "a");
    rig_advance(&rig, 2999);
    struct rig_call *b = kit_join(&rig, 3, "g", "", NULL, "b");
    rig_advance(&rig, 1);
    assert_false(a->answered); /* somebody came: three seconds more */
    rig_advance(&rig, 2999);
    assert_false(a->answered);
    rig_advance(&rig, 1);
    assert_true(a->answered && b->answered);
    assert_int_equal(a->out.join.members_count, 2); /* the first is the leader */
    assert_int_equal(b->out.join.members_count, 0);
    struct kit_member leader = kit_joined(a);
    assert_text(b->out.join.leader, leader.id);
    assert_int_equal(kit_joined(b).generation, leader.generation);
    rig_deinit(&rig);
}

static void the_first_round_ends_at_the_rebalance_timeout(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call *calls[9];
    rig_init(&rig);
    rig.config.initial_rebalance_delay_ms = 3000;
    for (int i = 0; i < 9; i++) {
        struct kit_join join;
        kit_join_init(&join, 3, "g", "", NULL, "x");
        join.request.rebalance_timeout_ms = 10000;
        calls[i] = kit_join_send(&rig, &join);
        assert_false(calls[0]->answered);
        rig_advance(&rig, i < 8 ? 1200 : 10000 - 8 * 1200 - 1);
    }
    assert_false(calls[0]->answered);
    rig_advance(&rig, 1);
    for (int i = 0; i < 9; i++)
        (void)kit_joined(calls[i]);
    rig_deinit(&rig);
}

static void laggards_are_left_behind_at_the_largest_timeout(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    kit_join_init(&join, 3, "g", "", NULL, "a");
    join.request.session_timeout_ms = 100000;
    struct rig_call *a = kit_join_send(&rig, &join);
    kit_join_init(&join, 3, "g", "", NULL, "b");
    join.request.rebalance_timeout_ms = 90000;
    join.request.session_timeout_ms = 100000;
    struct rig_call *b = kit_join_send(&rig, &join);
    rig_advance(&rig, 0);
    struct kit_member ma = kit_joined(a), mb = kit_joined(b);
    a = kit_join(&rig, 3, "g", ma.id, NULL, "changed");
    rig_advance(&rig, 89999);
    assert_false(a->answered);
    assert_int_equal(kit_heartbeat(&rig, "g", mb.id, NULL, 1), KAFKA_REBALANCE_IN_PROGRESS);
    rig_advance(&rig, 1);
    assert_int_equal(kit_joined(a).generation, 2);
    assert_int_equal(kit_heartbeat(&rig, "g", mb.id, NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(kit_member_count(&rig, "g"), 1);
    rig_deinit(&rig);
}

/* Two members, the first of them the leader; stable. */
static void two(struct rig *rig, const char *instance_id, struct kit_member *a, struct kit_member *b)
{
    struct rig_call *first = kit_join(rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join(rig, instance_id ? 5 : 3, "g", "", instance_id, "b");
    rig_advance(rig, 0);
    *a = kit_joined(first);
    *b = kit_joined(second);
    struct rig_call *waits = kit_sync(rig, "g", b->id, b->generation, NULL);
    assert_false(waits->answered);
    struct rig_call *leads = kit_sync(rig, "g", a->id, a->generation, (const char *[]){ b->id, "B", a->id, "A", NULL });
    assert_true(waits->answered && leads->answered);
    assert_memory_equal(waits->out.sync.assignment.data, "B", 1);
    assert_memory_equal(leads->out.sync.assignment.data, "A", 1);
    rig_call_free(waits);
    rig_call_free(leads);
    assert_string_equal(kit_state(rig, "g"), "Stable");
}

static void a_follower_that_says_the_same_again_is_told_again(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    two(&rig, NULL, &a, &b);
    assert_int_equal(kit_joined(kit_join(&rig, 9, "g", b.id, NULL, "b")).generation, 1);
    assert_string_equal(kit_state(&rig, "g"), "Stable");
    rig_deinit(&rig);
}

static void changed_metadata_and_the_leader_open_a_round(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    for (int who = 0; who < 2; who++) {
        rig_init(&rig);
        two(&rig, NULL, &a, &b);
        struct rig_call *call = kit_join(&rig, 9, "g", who ? a.id : b.id, NULL, who ? "a" : "new");
        assert_false(call->answered);
        assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
        struct rig_call *other = kit_join(&rig, 9, "g", who ? b.id : a.id, NULL, "same");
        assert_true(call->answered && other->answered);
        assert_text(call->out.join.leader, a.id); /* who led goes on leading */
        assert_int_equal(kit_joined(call).generation, 2);
        assert_int_equal(kit_joined(other).generation, 2);
        rig_deinit(&rig);
    }
}

static void in_completing_the_same_is_told_again_and_changes_open_a_round(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct rig_call *first = kit_join(&rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join(&rig, 3, "g", "", NULL, "b");
    rig_advance(&rig, 0);
    struct kit_member a = kit_joined(first), b = kit_joined(second);
    assert_string_equal(kit_state(&rig, "g"), "CompletingRebalance");
    struct rig_call *again = kit_join(&rig, 9, "g", a.id, NULL, "a");
    assert_int_equal(again->out.join.members_count, 2);
    assert_int_equal(kit_joined(again).generation, 1);
    struct rig_call *sync = kit_sync(&rig, "g", b.id, 1, NULL);
    again = kit_join(&rig, 9, "g", a.id, NULL, "changed");
    assert_true(sync->answered);
    assert_int_equal(sync->out.sync.error_code, KAFKA_REBALANCE_IN_PROGRESS);
    assert_false(again->answered);
    rig_call_free(sync);
    rig_call_free(again);
    rig_deinit(&rig);
}

static void the_protocol_is_what_most_like_best(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call *calls[3];
    static const char *const order[3][3] = { { "range", "sticky", "mine" },
                                             { "sticky", "range", "" },
                                             { "sticky", "range", "" } };
    rig_init(&rig);
    for (int i = 0; i < 3; i++) {
        struct kit_join join;
        kit_join_init(&join, 3, "g", "", NULL, "x");
        join.request.protocols_count = 2 + (i == 0);
        for (int j = 0; j < join.request.protocols_count; j++)
            join.protocols[j].name = odk_str_from(order[i][j]);
        calls[i] = kit_join_send(&rig, &join);
    }
    rig_advance(&rig, 0);
    for (int i = 0; i < 3; i++) {
        assert_text(calls[i]->out.join.protocol_name, "sticky");
        rig_call_free(calls[i]);
    }
    rig_deinit(&rig);
}

static void the_leaders_place_is_taken_when_it_does_not_come(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    two(&rig, NULL, &a, &b);
    struct rig_call *join = kit_join(&rig, 9, "g", b.id, NULL, "new");
    rig_advance(&rig, 10000); /* the session of a ends */
    assert_text(join->out.join.leader, b.id);
    assert_int_equal(join->out.join.members_count, 1);
    assert_int_equal(kit_joined(join).generation, 2);
    rig_deinit(&rig);
}

/* -- size --------------------------------------------------------------------------------------------------------- */

static void a_group_has_a_largest_size(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    rig.config.size_max = 2;
    two(&rig, NULL, &a, &b);
    struct rig_call *third = kit_join(&rig, 3, "g", "", NULL, "x");
    assert_text(third->out.join.member_id, "");
    answers(third, KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(kit_heartbeat(&rig, "g", b.id, NULL, 1), KAFKA_NONE);
    /* In an open round the last to come are out. */
    rig.config.size_max = 1;
    struct rig_call *first = kit_join(&rig, 3, "g", a.id, NULL, "a");
    answers(kit_join(&rig, 3, "g", b.id, NULL, "b"), KAFKA_GROUP_MAX_SIZE_REACHED);
    rig_advance(&rig, 60000);
    assert_int_equal(kit_joined(first).generation, 2);
    assert_int_equal(kit_member_count(&rig, "g"), 1);
    rig_deinit(&rig);
}

static void our_own_bounds_hold(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    static char large[5 << 20];
    memset(large, 'x', sizeof(large) - 1);
    rig_init(&rig);
    kit_join_init(&join, 3, "g", "", NULL, large);
    answers(kit_join_send(&rig, &join), KAFKA_GROUP_MAX_SIZE_REACHED);
    large[2000] = 0;
    answers(kit_join(&rig, 3, large, "", NULL, "x"), KAFKA_INVALID_GROUP_ID);
    answers(kit_join(&rig, 5, "g", "", large, "x"), KAFKA_INVALID_REQUEST);
    kit_join_init(&join, 3, "g", "", NULL, "x");
    join.protocols[0].name = odk_str_from(large);
    answers(kit_join_send(&rig, &join), KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    kit_join_init(&join, 3, "g", "", NULL, "x");
    join.client_id = large; /* is cut */
    struct rig_call *call = kit_join_send(&rig, &join);
    rig_advance(&rig, 0);
    assert_int_equal(call->out.join.member_id.len, 1024 + 37);
    assert_true(call->answered);
    rig_call_free(call);
    rig_deinit(&rig);
}

/* -- sessions ----------------------------------------------------------------------------------------------------- */

static void a_new_member_may_wait_five_minutes(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    struct kit_member a = kit_alone(&rig, "g", NULL, "x");
    kit_join_init(&join, 3, "g", "", NULL, "x");
    join.request.rebalance_timeout_ms = 1000000;
    struct rig_call *call = kit_join_send(&rig, &join);
    for (int i = 0; i < 33; i++) { /* a lives, but does not join */
        assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_REBALANCE_IN_PROGRESS);
        assert_false(call->answered);
        rig_advance(&rig, 9000);
    }
    (void)kit_heartbeat(&rig, "g", a.id, NULL, 1);
    rig_advance(&rig, 2999);
    assert_false(call->answered);
    rig_advance(&rig, 1);
    answers(call, KAFKA_UNKNOWN_MEMBER_ID);
    rig_deinit(&rig);
}

/* Who waits for others sends no heartbeats, and need not. */
static void a_call_that_waits_stands_for_heartbeats(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    two(&rig, NULL, &a, &b);
    struct rig_call *join = kit_join(&rig, 9, "g", b.id, NULL, "new");
    for (int i = 0; i < 6; i++) {
        assert_false(join->answered);
        assert_int_equal(kit_heartbeat(&rig, "g", a.id, NULL, 1), KAFKA_REBALANCE_IN_PROGRESS);
        rig_advance(&rig, 9999);
    }
    rig_advance(&rig, 6);
    assert_int_equal(kit_joined(join).generation, 2);
    rig_deinit(&rig);
}

static void a_second_call_of_a_member_ends_the_first(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    two(&rig, NULL, &a, &b);
    struct rig_call *first = kit_join(&rig, 9, "g", b.id, NULL, "new");
    struct rig_call *second = kit_join(&rig, 9, "g", b.id, NULL, "new");
    answers(first, KAFKA_REBALANCE_IN_PROGRESS);
    assert_false(second->answered);
    answers(kit_join(&rig, 9, "g", a.id, NULL, "a"), KAFKA_NONE);
    answers(second, KAFKA_NONE);
    rig_deinit(&rig);
}

static void a_call_can_be_cancelled(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, b;
    rig_init(&rig);
    two(&rig, NULL, &a, &b);
    struct rig_call *join = kit_join(&rig, 9, "g", b.id, NULL, "new");
    groups_cancel(rig.groups, &join->call);
    answers(join, KAFKA_REBALANCE_IN_PROGRESS);
    assert_int_equal(kit_member_count(&rig, "g"), 2);
    rig_advance(&rig, 10000); /* nobody of them is heard of */
    assert_int_equal(kit_member_count(&rig, "g"), 0);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    rig_deinit(&rig);
}

static void reasons_are_said_and_escaped(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    kit_join_init(&join, 9, "g", "", "static", "x");
    join.request.reason = ODK_STR("line\nbreak");
    rig_call_free(kit_join_send(&rig, &join));
    assert_non_null(strstr(rig.line, "line\\x0abreak"));
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_have_their_errors),
        cmocka_unit_test(protocols_must_have_one_in_common),
        cmocka_unit_test(new_members_are_given_their_id_first),
        cmocka_unit_test(old_versions_come_in_at_once),
        cmocka_unit_test(ids_that_do_not_come_back_are_forgotten),
        cmocka_unit_test(a_round_waits_for_ids_given_out),
        cmocka_unit_test(the_first_round_waits_for_company),
        cmocka_unit_test(the_first_round_ends_at_the_rebalance_timeout),
        cmocka_unit_test(laggards_are_left_behind_at_the_largest_timeout),
        cmocka_unit_test(a_follower_that_says_the_same_again_is_told_again),
        cmocka_unit_test(changed_metadata_and_the_leader_open_a_round),
        cmocka_unit_test(in_completing_the_same_is_told_again_and_changes_open_a_round),
        cmocka_unit_test(the_protocol_is_what_most_like_best),
        cmocka_unit_test(the_leaders_place_is_taken_when_it_does_not_come),
        cmocka_unit_test(a_group_has_a_largest_size),
        cmocka_unit_test(our_own_bounds_hold),
        cmocka_unit_test(a_new_member_may_wait_five_minutes),
        cmocka_unit_test(a_call_that_waits_stands_for_heartbeats),
        cmocka_unit_test(a_second_call_of_a_member_ends_the_first),
        cmocka_unit_test(a_call_can_be_cancelled),
        cmocka_unit_test(reasons_are_said_and_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
