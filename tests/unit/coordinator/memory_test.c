/* The bound on memory of all groups: clients that want to fill it, and clients that were there before. */
#include "beat.h"
#include "kit.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/limits.h"
#include "base/units.h"

#define MAX_BYTES ((uint64_t)MIB(2))
/* What one event may take beyond the bound: one member, one commit. */
#define SLACK_BYTES ((uint64_t)KIB(64))

static void name_of(char dst[64], const char *prefix, int number)
{
    (void)snprintf(dst, 64, "%s-%d", prefix, number);
}

static void no_more_than_max(const struct rig *rig)
{
    assert_in_range(rig->memory.used, MAX_BYTES, MAX_BYTES + SLACK_BYTES);
}

/* -- existing ones go on ------------------------------------------------------------------------------------------- */

struct settled {
    struct kit_member classic;
    struct kit_member fixed;
};

static void settle(struct rig *rig, struct settled *settled)
{
    rig_topic(rig, "t", 64);
    settled->classic = kit_alone(rig, "classic", NULL, "x");
    settled->fixed = kit_alone(rig, "static", "i", "x");
    assert_int_equal(JOIN(rig, "m", "t").error, KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "old", "", -1, "t", 0, 1), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "classic", settled->classic.id, settled->classic.generation, "t", 0, 1),
                     KAFKA_NONE);
}

static void full_for_new_ones(struct rig *rig)
{
    struct rig_call *call = kit_join(rig, 3, "new", "", NULL, "x");
    assert_int_equal(call->out.join.error_code, KAFKA_POLICY_VIOLATION);
    rig_call_free(call);
    call = kit_join(rig, 3, "static", "", "another", "x");
    assert_int_equal(call->out.join.error_code, KAFKA_GROUP_MAX_SIZE_REACHED);
    rig_call_free(call);
    beat_refused(BEAT(rig, .group = "new", .member = "m", .names = "t", .owned = "", .timeout_ms = 1000),
                 KAFKA_POLICY_VIOLATION);
    beat_refused(JOIN(rig, "n", "t"), KAFKA_GROUP_MAX_SIZE_REACHED);
    beat_refused(BEAT(rig, .member = "m", .epoch = 1, .regex = ".*"), KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(kit_commit(rig, 9, "new", "", -1, "t", 0, 1), KAFKA_POLICY_VIOLATION);
    assert_int_equal(kit_commit(rig, 9, "old", "", -1, "t", 63, 1), KAFKA_INVALID_COMMIT_OFFSET_SIZE);
    assert_string_not_equal(rig->line, "");
}

static void old_ones_go_on(struct rig *rig, const struct settled *settled)
{
    const struct kit_member *classic = &settled->classic;
    assert_int_equal(kit_heartbeat(rig, "classic", classic->id, NULL, classic->generation), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "classic", classic->id, classic->generation, "t", 0, 2), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "old", "", -1, "t", 0, 3), KAFKA_NONE);
    assert_int_equal(kit_fetch(rig, "old", "t", 0), 3);
    beat_is(BEAT(rig, .member = "m", .epoch = 1), 1, NULL);
    struct kit_member back = kit_joined(kit_join(rig, 5, "static", "", "i", "x")); /* takes its place again */
    assert_int_equal(kit_heartbeat(rig, "static", back.id, "i", back.generation), KAFKA_NONE);
    struct rig_call *again = kit_join(rig, 5, "classic", classic->id, NULL, "x");
    struct kit_member next = kit_joined(again);
    const char *assignment[] = { next.id, "x", NULL };
    struct rig_call *sync = kit_sync(rig, "classic", next.id, next.generation, assignment);
    assert_int_equal(sync->out.sync.error_code, KAFKA_NONE);
    rig_call_free(sync);
    assert_string_equal(kit_state(rig, "classic"), "Stable");
}

/* -- hostile clients ------------------------------------------------------------------------------------------------ */

static bool fill_groups(struct rig *rig, int number)
{
    char id[64];
    name_of(id, "group", number);
    return kit_commit(rig, 9, id, "", -1, "t", number % 64, 1) == KAFKA_NONE;
}

static bool fill_offsets(struct rig *rig, int number)
{
    struct rig_topic *topic = &rig->topics[1 + number % 8];
    return kit_commit(rig, 9, "old", "", -1, topic->name, number / 8, 1) == KAFKA_NONE;
}

/* Ids that are given out and never come back. */
static bool fill_pendings(struct rig *rig, int number)
{
    char client[1001] = "";
    struct kit_join join;
    (void)number;
    memset(client, 'c', sizeof(client) - 1);
    kit_join_init(&join, 9, "p", "", NULL, "x");
    join.client_id = client;
    struct rig_call *call = kit_join_send(rig, &join);
    int16_t error = call->out.join.error_code;
    assert_true(call->answered);
    rig_call_free(call);
    return error == KAFKA_MEMBER_ID_REQUIRED;
}

static bool fill_members(struct rig *rig, int number)
{
    char id[64];
    name_of(id, "member", number);
    return BEAT(rig, .group = "h", .member = id, .names = "t", .owned = "", .timeout_ms = 1000).error == KAFKA_NONE;
}

static bool fill_names(struct rig *rig, int number)
{
    char id[64], names[1024] = "";
    name_of(id, "member", number);
    for (int i = 0; i < 50; i++)
        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%sn-%d-%d", i > 0 ? "," : "", number, i);
    return BEAT(rig, .group = "h", .member = id, .names = names, .owned = "", .timeout_ms = 1000).error == KAFKA_NONE;
}

/* One small request each, and all that can be owned comes with it. */
static bool fill_owned(struct rig *rig, int number)
{
    char id[64];
    name_of(id, "group", number);
    return BEAT(rig, .group = id, .member = "m", .regex = ".*", .owned = "", .timeout_ms = 1000).error == KAFKA_NONE;
}

static void fill(bool (*one)(struct rig *, int))
{
    struct rig rig;
    struct settled settled;
    rig_init(&rig);
    rig.memory.max = MAX_BYTES;
    rig.settings.assignment_interval_ms = 1000;
    settle(&rig, &settled);
    for (int i = 0; i < 8; i++) {
        char name[64];
        name_of(name, "u", i);
        rig_topic(&rig, name, one == fill_offsets ? 10000 : 50);
    }
    int number = 0;
    while (one(&rig, number))
        assert_in_range(number++, 0, 60000);
    no_more_than_max(&rig);
    full_for_new_ones(&rig);
    old_ones_go_on(&rig, &settled);
    no_more_than_max(&rig);
    uint64_t used = rig.memory.used;
    rig_restart(&rig); /* what the log says is never too much; ids given out are not in it */
    assert_in_range(rig.memory.used, one == fill_pendings ? 0 : used - SLACK_BYTES, used + SLACK_BYTES);
    rig_deinit(&rig);
}

static void hostile_clients_do_not_get_more(void **state)
{
    (void)state;
    bool (*const fills[])(struct rig *, int) = { fill_groups, fill_offsets, fill_pendings,
                                                 fill_members, fill_names,  fill_owned };
    for (size_t i = 0; i < countof(fills); i++)
        fill(fills[i]);
}

/* -- room comes back ------------------------------------------------------------------------------------------------ */

static void who_leaves_makes_room(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig.memory.max = MAX_BYTES;
    rig_topic(&rig, "t", 64);
    int number = 0;
    while (fill_groups(&rig, number))
        number++;
    assert_int_equal(kit_delete_group(&rig, "group-0"), KAFKA_NONE);
    assert_int_equal(kit_delete_group(&rig, "group-1"), KAFKA_NONE);
    assert_true(fill_groups(&rig, 0));
    rig_topic_delete(&rig, "t");
    rig_advance(&rig, 1000);
    assert_int_equal(rig.memory.used, 0);
    rig_deinit(&rig);
}

/* -- the estimate ---------------------------------------------------------------------------------------------------- */

/* What malloc has given out since; 0 where it does not say (sanitizers). */
static size_t heap_since(size_t before)
{
    size_t now = mallinfo2().uordblks;
    return now > before ? now - before : 0;
}

static void the_estimate_is_near_the_truth(void **state)
{
    (void)state;
    bool (*const fills[])(struct rig *, int) = { fill_groups, fill_offsets, fill_pendings, fill_members, fill_names };
    for (size_t i = 0; i < countof(fills); i++) {
        struct rig rig;
        struct settled settled;
        rig_init(&rig);
        rig.settings.assignment_interval_ms = 1000;
        settle(&rig, &settled);
        for (int t = 0; t < 8; t++)
            rig_topic(&rig, (char[]){ 'u', '-', (char)('0' + t), '\0' }, 500);
        rig_log_clear(&rig.log);
        size_t before = mallinfo2().uordblks;
        uint64_t used = rig.memory.used;
        for (int number = 0; number < 2000; number++) {
            assert_true(fills[i](&rig, number));
            rig_log_clear(&rig.log);
        }
        size_t heap = heap_since(before);
        used = rig.memory.used - used;
        if (heap > 0)
            assert_in_range(used, heap * 2 / 3, heap * 2);
        rig_deinit(&rig);
    }
}

/* -- patterns -------------------------------------------------------------------------------------------------------- */

static void a_group_has_only_so_many_patterns(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    rig_topic(&rig, "t", 1);
    for (unsigned i = 0; i <= GROUP_PATTERNS_MAX; i++) {
        char member[64], regex[64];
        name_of(member, "m", (int)i);
        name_of(regex, "t|", (int)i);
        struct beat_out out = BEAT(&rig, .member = member, .regex = regex, .owned = "", .timeout_ms = 1000);
        assert_int_equal(out.error, i < GROUP_PATTERNS_MAX ? KAFKA_NONE : KAFKA_GROUP_MAX_SIZE_REACHED);
    }
    struct beat_out known = BEAT(&rig, .member = "another", .regex = "t|-1", .owned = "", .timeout_ms = 1000);
    assert_int_equal(known.error, KAFKA_NONE);
    for (int i = 0; i < 2; i++) {
        char member[64];
        name_of(member, "m", i);
        assert_int_equal(LEAVE(&rig, member).error, KAFKA_NONE);
    }
    known = BEAT(&rig, .member = "third", .regex = "t|-64", .owned = "", .timeout_ms = 1000);
    assert_int_equal(known.error, KAFKA_NONE);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_clients_do_not_get_more),
        cmocka_unit_test(who_leaves_makes_room),
        cmocka_unit_test(the_estimate_is_near_the_truth),
        cmocka_unit_test(a_group_has_only_so_many_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
