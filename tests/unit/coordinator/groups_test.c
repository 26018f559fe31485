/* The registry of groups: where a group lives, and what administrators see and do. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

/* String.hashCode() of Java, without its sign; the third is Integer.MIN_VALUE there, which has no positive twin. */
static void groups_live_where_java_puts_them(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int32_t hash;
    } known[] = {
        { "", 0 },
        { "a", 97 },
        { "polygenelubricants", 0 },
        { "test-group", 627841412 },
        { "my-consumer-group", 1513705513 },
        { "caf\xc3\xa9", 3045921 },
        { "\xf0\x9f\x90\xb1", 1772436 },                /* a cat: D83D DC31 */
        { "\xff", 0xfffd },                             /* not UTF-8 */
        { "\xed\xa0\x80", 0xfffd * (31 * 31 + 31 + 1) } /* nor are surrogates */
    };
    for (size_t i = 0; i < countof(known); i++)
        for (int32_t count = 1; count <= 50; count += 7)
            assert_int_equal(groups_partition_of(odk_str_from(known[i].id), count), known[i].hash % count);
}

/* Of all states: only offsets, never joined, stable, empty. */
static void zoo(struct rig *rig)
{
    rig_topic(rig, "t", 1);
    assert_int_equal(kit_commit(rig, 9, "simple", "", -1, "t", 0, 1), KAFKA_NONE);
    (void)kit_given_id(rig, "new");
    struct kit_member a = kit_alone(rig, "stable", NULL, "x");
    a = kit_alone(rig, "empty", NULL, "x");
    assert_int_equal(kit_leave(rig, "empty", a.id, NULL), KAFKA_NONE);
}

/* -- ListGroups --------------------------------------------------------------------------------------------------- */

static const struct list_groups_response_group *listed(const struct rig_call *call, const char *id)
{
    for (int32_t i = 0; i < call->out.list.groups_count; i++)
        if (odk_str_eq(call->out.list.groups[i].group_id, odk_str_from(id)))
            return &call->out.list.groups[i];
    return NULL;
}

static int32_t list_count(struct rig *rig, const char *state, const char *type)
{
    struct odk_str states[2] = { ODK_STR("nonsense") }, types[1];
    struct list_groups_request request = { .states_filter = states, .types_filter = types };
    if (state)
        states[request.states_filter_count++] = odk_str_from(state);
    if (type)
        types[request.types_filter_count++] = odk_str_from(type);
    struct rig_call *call = rig_call(rig, GROUP_CALL_LIST, 5, &request);
    assert_true(call->answered);
    assert_int_equal(call->out.list.error_code, KAFKA_NONE);
    int32_t count = call->out.list.groups_count;
    rig_call_free(call);
    return count;
}

static void groups_are_listed_by_state_and_type(void **state)
{
    (void)state;
    struct rig rig;
    struct list_groups_request request = { 0 };
    rig_init(&rig);
    assert_int_equal(list_count(&rig, NULL, NULL), 0);
    zoo(&rig);
    struct rig_call *call = rig_call(&rig, GROUP_CALL_LIST, 5, &request);
    assert_int_equal(call->out.list.groups_count, 4);
    assert_text(listed(call, "simple")->group_state, "Empty");
    assert_text(listed(call, "simple")->protocol_type, "");
    assert_text(listed(call, "simple")->group_type, "classic");
    assert_text(listed(call, "new")->group_state, "Empty");
    assert_text(listed(call, "stable")->group_state, "Stable");
    assert_text(listed(call, "stable")->protocol_type, "consumer");
    assert_text(listed(call, "empty")->protocol_type, "consumer");
    rig_call_free(call);
    assert_int_equal(list_count(&rig, "Empty", NULL), 3);
    assert_int_equal(list_count(&rig, " eMPTY ", NULL), 3);
    assert_int_equal(list_count(&rig, "Stable", NULL), 1);
    assert_int_equal(list_count(&rig, "Dead", NULL), 0);
    assert_int_equal(list_count(&rig, "no such state", NULL), 0);
    assert_int_equal(list_count(&rig, NULL, "CLASSIC"), 4);
    assert_int_equal(list_count(&rig, NULL, "consumer"), 0);
    assert_int_equal(list_count(&rig, NULL, "no such type"), 0);
    assert_int_equal(list_count(&rig, "Stable", "classic"), 1);
    rig_deinit(&rig);
}

/* -- DescribeGroups ----------------------------------------------------------------------------------------------- */

static void groups_are_described(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    zoo(&rig);
    struct odk_str id = ODK_STR("stable");
    struct rig_call *call = rig_call(&rig, GROUP_CALL_DESCRIBE, 6, &id);
    const struct describe_groups_response_group *out = &call->out.describe;
    assert_int_equal(out->error_code, KAFKA_NONE);
    assert_text(out->group_id, "stable");
    assert_text(out->group_state, "Stable");
    assert_text(out->protocol_type, "consumer");
    assert_text(out->protocol_data, "range");
    assert_int_equal(out->members_count, 1);
    assert_text(out->members[0].client_id, "client");
    assert_text(out->members[0].client_host, "/127.0.0.1");
    assert_null(out->members[0].group_instance_id.data);
    assert_int_equal(out->members[0].member_metadata.data[0], 'x');
    assert_memory_equal(out->members[0].member_assignment.data, "all", 3);
    rig_call_free(call);
    assert_string_equal(kit_state(&rig, "simple"), "Empty");
    assert_string_equal(kit_state(&rig, "empty"), "Empty");
    rig_deinit(&rig);
}

static void groups_that_are_not_there_are_dead(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct odk_str id = ODK_STR("nobody");
    for (int16_t version = 0; version <= 6; version++) {
        struct rig_call *call = rig_call(&rig, GROUP_CALL_DESCRIBE, version, &id);
        assert_text(call->out.describe.group_id, "nobody");
        assert_text(call->out.describe.group_state, "Dead");
        assert_int_equal(call->out.describe.error_code, version < 6 ? KAFKA_NONE : KAFKA_GROUP_ID_NOT_FOUND);
        rig_call_free(call);
    }
    rig_deinit(&rig);
}

/* -- DeleteGroups ------------------------------------------------------------------------------------------------- */

static void empty_groups_can_be_deleted(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    zoo(&rig);
    assert_int_equal(kit_commit(&rig, 9, "empty", "", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_delete_group(&rig, "nobody"), KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(kit_delete_group(&rig, "stable"), KAFKA_NON_EMPTY_GROUP);
    assert_int_equal(kit_delete_group(&rig, "empty"), KAFKA_NONE);
    assert_null(rig_last(&rig, 2)->value);
    assert_null(rig_last(&rig, 1)->value);
    assert_int_equal(kit_delete_group(&rig, "empty"), KAFKA_GROUP_ID_NOT_FOUND);
    size_t before = rig.log.count;
    assert_int_equal(kit_delete_group(&rig, "new"), KAFKA_NONE); /* the log never knew of it */
    assert_int_equal(rig.log.count, before);
    assert_int_equal(kit_delete_group(&rig, "simple"), KAFKA_NONE);
    assert_int_equal(rig.log.count, before + 1);
    assert_int_equal(list_count(&rig, NULL, NULL), 1);
    assert_true(rig_replays(&rig));
    rig_restart(&rig);
    assert_int_equal(list_count(&rig, NULL, NULL), 1);
    rig_deinit(&rig);
}

/* -- life --------------------------------------------------------------------------------------------------------- */

/* The empty id is no name for members, but old clients commit under it. */
static void the_empty_id_has_offsets_only(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    assert_int_equal(kit_commit(&rig, 9, "", "", -1, "t", 0, 5), KAFKA_NONE);
    assert_int_equal(kit_fetch(&rig, "", "t", 0), 5);
    rig_restart(&rig);
    assert_int_equal(kit_fetch(&rig, "", "t", 0), 5);
    assert_int_equal(kit_delete_group(&rig, ""), KAFKA_NONE);
    rig_deinit(&rig);
}

static void ids_have_a_bound(void **state)
{
    (void)state;
    struct rig rig;
    static char id[1026];
    memset(id, 'g', sizeof(id) - 1);
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    assert_int_equal(kit_commit(&rig, 9, id, "", -1, "t", 0, 5), KAFKA_INVALID_GROUP_ID);
    id[1024] = 0;
    assert_int_equal(kit_commit(&rig, 9, id, "", -1, "t", 0, 5), KAFKA_NONE);
    rig_deinit(&rig);
}

static void the_number_of_groups_has_a_bound(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    for (int i = 0; i < 100000; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(kit_commit(&rig, 9, id, "", -1, "t", 0, 5), KAFKA_NONE);
    }
    assert_int_equal(kit_commit(&rig, 9, "more", "", -1, "t", 0, 5), KAFKA_POLICY_VIOLATION);
    struct rig_call *join = kit_join(&rig, 9, "more", "", NULL, "x");
    assert_int_equal(join->out.join.error_code, KAFKA_POLICY_VIOLATION);
    rig_call_free(join);
    assert_int_equal(kit_commit(&rig, 9, "7", "", -1, "t", 0, 6), KAFKA_NONE);
    assert_int_equal(kit_delete_group(&rig, "7"), KAFKA_NONE);
    assert_int_equal(kit_commit(&rig, 9, "more", "", -1, "t", 0, 5), KAFKA_NONE);
    rig_deinit(&rig);
}

static void who_waits_at_the_end_is_sent_away(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct rig_call *join = kit_join(&rig, 3, "g", "", NULL, "x");
    struct rig_call *one = kit_join(&rig, 3, "h", "", NULL, "x"), *two = kit_join(&rig, 3, "h", "", NULL, "x");
    groups_cancel(rig.groups, &join->call);
    rig_call_free(join);
    join = kit_join(&rig, 3, "i", "", NULL, "x");
    rig_advance(&rig, 0);
    rig_call_free(join);
    (void)kit_joined(one);
    struct rig_call *sync = kit_sync(&rig, "h", kit_joined(two).id, 1, NULL);
    join = kit_join(&rig, 3, "j", "", NULL, "x");
    assert_false(join->answered);
    assert_false(sync->answered);
    rig_deinit(&rig);
    assert_int_equal(join->out.join.error_code, KAFKA_NOT_COORDINATOR);
    assert_int_equal(sync->out.sync.error_code, KAFKA_NOT_COORDINATOR);
    rig_call_free(join);
    rig_call_free(sync);
}

static void numbers_are_counted(void **state)
{
    (void)state;
    struct rig rig;
    struct groups_stats stats;
    rig_init(&rig);
    zoo(&rig);
    groups_stats(rig.groups, &stats);
    assert_int_equal(stats.groups, 4);
    assert_int_equal(stats.classic, 4);
    assert_int_equal(stats.consumer, 0);
    assert_int_equal(stats.members, 1);
    assert_int_equal(stats.offsets, 1);
    rig_deinit(&rig);
}

/* An answer for which there is no memory is an error, and where there is no place for one, the call says so. */
static void a_small_arena_is_an_error_and_not_a_lie(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    zoo(&rig);
    struct list_groups_request list = { 0 };
    struct offset_commit_request_partition partition = { .committed_offset = 5 };
    struct offset_commit_request_topic topic = { .name = ODK_STR("t"),
                                                 .partitions = &partition,
                                                 .partitions_count = 1 };
    struct offset_commit_request commit = { .group_id = ODK_STR("simple"), .topics = &topic, .topics_count = 1 };
    commit.generation_id_or_member_epoch = -1;
    commit.retention_time_ms = -1;
    struct offset_fetch_request_group fetch = { .group_id = ODK_STR("simple"), .topics_count = -1 };
    struct odk_str id = ODK_STR("stable");
    rig.arena_limit = 1;
    struct rig_call *call = rig_call(&rig, GROUP_CALL_LIST, 5, &list);
    assert_int_equal(call->out.list.error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    rig_call_free(call);
    call = rig_call(&rig, GROUP_CALL_FETCH, 8, &fetch);
    assert_int_equal(call->out.fetch.error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    rig_call_free(call);
    call = rig_call(&rig, GROUP_CALL_DESCRIBE, 5, &id);
    assert_int_equal(call->out.describe.error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    rig_call_free(call);
    call = kit_join(&rig, 9, "g", "", NULL, "x");
    assert_int_equal(call->out.join.error_code, KAFKA_UNKNOWN_SERVER_ERROR);
    rig_call_free(call);
    call = rig_call(&rig, GROUP_CALL_COMMIT, 9, &commit);
    assert_true(call->answered);
    assert_int_equal(call->out.commit.topics_count, -1);
    rig_call_free(call);
    rig.arena_limit = 0;
    assert_int_equal(kit_fetch(&rig, "simple", "t", 0), 1); /* and nothing was committed */
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_live_where_java_puts_them),
        cmocka_unit_test(groups_are_listed_by_state_and_type),
        cmocka_unit_test(groups_are_described),
        cmocka_unit_test(groups_that_are_not_there_are_dead),
        cmocka_unit_test(empty_groups_can_be_deleted),
        cmocka_unit_test(the_empty_id_has_offsets_only),
        cmocka_unit_test(ids_have_a_bound),
        cmocka_unit_test(the_number_of_groups_has_a_bound),
        cmocka_unit_test(who_waits_at_the_end_is_sent_away),
        cmocka_unit_test(numbers_are_counted),
        cmocka_unit_test(a_small_arena_is_an_error_and_not_a_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
