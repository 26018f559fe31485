/* Static members (KIP-345, 814): an instance id keeps its place, whoever comes with it. */
#include "kit.h"

#include <string.h>

/* A dynamic leader a and the static member s of instance "i"; stable. */
static void stable(struct rig *rig, struct kit_member *a, struct kit_member *s)
{
    struct rig_call *first = kit_join(rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join(rig, 5, "g", "", "i", "s");
    rig_advance(rig, 0);
    *a = kit_joined(first);
    *s = kit_joined(second);
    struct rig_call *follower = kit_sync(rig, "g", s->id, 1, NULL);
    rig_call_free(kit_sync(rig, "g", a->id, 1, (const char *[]){ a->id, "A", s->id, "S", NULL }));
    rig_call_free(follower);
    assert_string_equal(kit_state(rig, "g"), "Stable");
}

static void ids_are_made_of_the_instance(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct kit_member s = kit_alone(&rig, "g", "instance", "x"); /* no MEMBER_ID_REQUIRED */
    assert_memory_equal(s.id, "instance-", 9);
    rig_deinit(&rig);
}

static void a_return_takes_the_place_without_a_round(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, s;
    rig_init(&rig);
    stable(&rig, &a, &s);
    size_t before = rig_count(&rig, 2);
    struct rig_call *join = kit_join(&rig, 9, "g", "", "i", "new words");
    assert_true(join->answered);
    assert_text(join->out.join.leader, a.id);
    assert_false(join->out.join.skip_assignment);
    assert_int_equal(join->out.join.members_count, 0);
    struct kit_member back = kit_joined(join);
    assert_int_equal(back.generation, 1);
    assert_string_not_equal(back.id, s.id);
    assert_string_equal(kit_state(&rig, "g"), "Stable");
    assert_int_equal(rig_count(&rig, 2), before + 1); /* who holds the place must survive a crash */
    assert_true(rig_replays(&rig));

    struct rig_call *sync = kit_sync(&rig, "g", back.id, 1, NULL);
    assert_int_equal(sync->out.sync.assignment.data[0], 'S');
    rig_call_free(sync);
    assert_int_equal(kit_heartbeat(&rig, "g", back.id, "i", 1), KAFKA_NONE);
    rig_deinit(&rig);
}

static void the_one_replaced_is_fenced_everywhere(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, s;
    rig_init(&rig);
    stable(&rig, &a, &s);
    rig_topic(&rig, "t", 1);
    (void)kit_joined(kit_join(&rig, 9, "g", "", "i", "s"));
    assert_int_equal(kit_heartbeat(&rig, "g", s.id, "i", 1), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(kit_heartbeat(&rig, "g", s.id, NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(kit_leave(&rig, "g", s.id, "i"), KAFKA_FENCED_INSTANCE_ID);
    struct rig_call *call = kit_join(&rig, 9, "g", s.id, "i", "s");
    assert_true(call->answered);
    assert_int_equal(call->out.join.error_code, KAFKA_FENCED_INSTANCE_ID);
    rig_call_free(call);
    struct sync_group_request sync = {
        .group_id = ODK_STR("g"), .generation_id = 1, .member_id = odk_str_from(s.id), .group_instance_id = ODK_STR("i")
    };
    call = rig_call(&rig, GROUP_CALL_SYNC, 5, &sync);
    assert_int_equal(call->out.sync.error_code, KAFKA_FENCED_INSTANCE_ID);
    rig_call_free(call);
    struct offset_commit_request_partition partition = { .committed_offset = 1, .commit_timestamp = -1 };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"),
                                                 .partitions = &partition,
                                                 .partitions_count = 1 };
    struct offset_commit_request commit = { .group_id = ODK_STR("g"),
                                            .generation_id_or_member_epoch = 1,
                                            .member_id = odk_str_from(s.id),
                                            .group_instance_id = ODK_STR("i"),
                                            .topics = &topic,
                                            .topics_count = 1 };
    call = rig_call(&rig, GROUP_CALL_COMMIT, 9, &commit);
    assert_int_equal(call->out.commit.topics[0].partitions[0].error_code, KAFKA_FENCED_INSTANCE_ID);
    rig_call_free(call);
    rig_deinit(&rig);
}

/* Version 9 can tell a leader to leave the assignment as it is; older ones are told that they do not lead. */
static void a_leader_that_returns_does_not_divide_again(void **state)
{
    (void)state;
    for (int16_t version = 5; version <= 9; version += 4) {
        struct rig rig;
        rig_init(&rig);
        struct kit_member s = kit_alone(&rig, "g", "i", "x");
        struct rig_call *join = kit_join(&rig, version, "g", "", "i", "x");
        assert_true(join->answered);
        assert_int_equal(join->out.join.error_code, KAFKA_NONE);
        assert_int_equal(join->out.join.skip_assignment, version == 9);
        assert_int_equal(join->out.join.members_count, version == 9);
        if (version == 9)
            assert_true(odk_str_eq(join->out.join.leader, join->out.join.member_id));
        else
            assert_text(join->out.join.leader, s.id);
        rig_call_free(join);
        rig_deinit(&rig);
    }
}

static void another_protocol_opens_a_round(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    kit_join_init(&join, 5, "g", "", "i", "x");
    join.protocols[1].name = ODK_STR("sticky");
    join.request.protocols_count = 2;
    struct rig_call *call = kit_join_send(&rig, &join);
    rig_advance(&rig, 0);
    struct kit_member s = kit_joined(call);
    rig_call_free(kit_sync(&rig, "g", s.id, 1, (const char *[]){ s.id, "S", NULL }));
    join.protocols[0].name = ODK_STR("sticky");
    join.protocols[1].name = ODK_STR("range");
    call = kit_join_send(&rig, &join);
    assert_true(call->answered); /* alone: the round is over at once */
    assert_text(call->out.join.protocol_name, "sticky");
    assert_int_equal(kit_joined(call).generation, 2);
    rig_deinit(&rig);
}

static void who_waits_under_the_old_id_is_fenced(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, s;
    rig_init(&rig);
    stable(&rig, &a, &s);
    struct rig_call *old = kit_join(&rig, 9, "g", s.id, "i", "new");
    assert_false(old->answered);
    struct rig_call *back = kit_join(&rig, 9, "g", "", "i", "new");
    assert_true(old->answered);
    assert_int_equal(old->out.join.error_code, KAFKA_FENCED_INSTANCE_ID);
    assert_text(old->out.join.member_id, s.id);
    assert_false(back->answered);
    rig_call_free(old);
    struct rig_call *leader = kit_join(&rig, 9, "g", a.id, NULL, "a");
    assert_true(back->answered && leader->answered);
    assert_int_equal(leader->out.join.members_count, 2);
    struct kit_member s2 = kit_joined(back);
    (void)kit_joined(leader);
    struct rig_call *sync = kit_sync(&rig, "g", s2.id, 2, NULL);
    assert_false(sync->answered);
    back = kit_join(&rig, 9, "g", "", "i", "new"); /* in COMPLETING: a new round, for the leader has old ids */
    assert_true(sync->answered);
    assert_int_equal(sync->out.sync.error_code, KAFKA_FENCED_INSTANCE_ID);
    assert_false(back->answered);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    rig_call_free(sync);
    rig_call_free(back);
    rig_deinit(&rig);
}

static void static_laggards_keep_their_place(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_join join;
    rig_init(&rig);
    kit_join_init(&join, 5, "g", "", "i", "s");
    join.request.session_timeout_ms = 200000;
    struct rig_call *first = kit_join(&rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join_send(&rig, &join);
    rig_advance(&rig, 0);
    struct kit_member a = kit_joined(first), s = kit_joined(second);
    struct rig_call *again = kit_join(&rig, 3, "g", a.id, NULL, "new");
    rig_advance(&rig, 59999);
    assert_false(again->answered);
    rig_advance(&rig, 1);
    assert_int_equal(again->out.join.members_count, 2);
    assert_int_equal(kit_joined(again).generation, 2);
    assert_int_equal(kit_heartbeat(&rig, "g", s.id, "i", 2), KAFKA_NONE);
    rig_deinit(&rig);
}

/* Nobody comes to a round of static members only: it stays open until their sessions end. */
static void a_round_that_nobody_comes_to_stays_open(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a;
    struct kit_join join;
    rig_init(&rig);
    kit_join_init(&join, 5, "g", "", "i", "s");
    join.request.session_timeout_ms = 300000;
    join.request.rebalance_timeout_ms = 0;
    struct rig_call *first = kit_join(&rig, 3, "g", "", NULL, "a");
    struct rig_call *second = kit_join_send(&rig, &join);
    rig_advance(&rig, 0);
    a = kit_joined(first);
    struct kit_member s = kit_joined(second);
    rig_call_free(kit_sync(&rig, "g", s.id, 1, NULL));
    assert_int_equal(kit_leave(&rig, "g", a.id, NULL), KAFKA_NONE);
    uint32_t flushes = rig.flush_count;
    rig_advance(&rig, 100000);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    assert_in_range(rig.flush_count - flushes, 1, 102); /* once a second, and not in a circle */
    rig_advance(&rig, 200000);
    assert_string_equal(kit_state(&rig, "g"), "Empty");
    rig_deinit(&rig);
}

static void administrators_remove_by_instance_id(void **state)
{
    (void)state;
    struct rig rig;
    struct kit_member a, s;
    rig_init(&rig);
    stable(&rig, &a, &s);
    assert_int_equal(kit_leave(&rig, "g", "", "nobody"), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(kit_leave(&rig, "g", "", "i"), KAFKA_NONE);
    assert_int_equal(kit_member_count(&rig, "g"), 1);
    assert_string_equal(kit_state(&rig, "g"), "PreparingRebalance");
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_made_of_the_instance),
        cmocka_unit_test(a_return_takes_the_place_without_a_round),
        cmocka_unit_test(the_one_replaced_is_fenced_everywhere),
        cmocka_unit_test(a_leader_that_returns_does_not_divide_again),
        cmocka_unit_test(another_protocol_opens_a_round),
        cmocka_unit_test(who_waits_under_the_old_id_is_fenced),
        cmocka_unit_test(static_laggards_keep_their_place),
        cmocka_unit_test(a_round_that_nobody_comes_to_stays_open),
        cmocka_unit_test(administrators_remove_by_instance_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
