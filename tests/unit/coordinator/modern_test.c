/*
 * Goal: groups of the newer protocol answer as KIP-848 says. Method: members by hand in a world by hand; after each
 * test the groups read from the log must be those that wrote it.
 */
#include "beat.h"

#include "base/limits.h"
#include "coordinator/group_records.h"
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_init(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    assert_true(rig_replays(rig));
    rig_restart(rig);
    assert_true(rig_replays(rig));
    rig_deinit(rig);
    free(rig);
    return 0;
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static void bad_requests_are_refused_with_a_reason(void **state)
{
    struct rig *rig = *state;
    struct {
        struct beat_in in;
        int16_t error;
    } cases[] = {
        { { .epoch = 0, .names = "t", .owned = "", .timeout_ms = 1 }, KAFKA_INVALID_REQUEST }, /* no id in version 1 */
        { { .epoch = 3, .version = -1 }, KAFKA_INVALID_REQUEST },
        { { .epoch = -1, .version = -1 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .owned = "", .timeout_ms = 1, .instance = "" }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .owned = "", .timeout_ms = 1, .rack = "" }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .owned = "" }, KAFKA_INVALID_REQUEST }, /* no rebalance timeout */
        { { .group = "", .member = "m", .names = "t", .owned = "", .timeout_ms = 1 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .timeout_ms = 1 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .owned = "", .timeout_ms = 1 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .epoch = -2 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .epoch = -3 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .owned = "", .timeout_ms = -5 }, KAFKA_INVALID_REQUEST },
        { { .member = "m", .names = "t", .owned = "", .timeout_ms = 1, .assignor = "sticky" },
          KAFKA_UNSUPPORTED_ASSIGNOR },
        { { .member = "m", .owned = "", .timeout_ms = 1, .regex = "a(" }, KAFKA_INVALID_REGULAR_EXPRESSION },
        { { .member = "m", .epoch = 1 }, KAFKA_GROUP_ID_NOT_FOUND },
        { { .member = "m", .epoch = -1 }, KAFKA_GROUP_ID_NOT_FOUND },
        { { .member = "m", .epoch = -2, .instance = "i" }, KAFKA_GROUP_ID_NOT_FOUND },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct beat_out out = beat_send(rig, &cases[i].in);
        if (out.error != cases[i].error || out.message[0] == '\0')
            fail_msg("case %zu: error %d, \"%s\"", i, out.error, out.message);
    }
    struct groups_stats stats;
    groups_stats(rig->groups, &stats);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(rig->log.count, 0);
}

static void a_join_that_owns_something_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 1);
    beat_refused(BEAT(rig, .member = "m", .names = "t", .owned = "t:0", .timeout_ms = 1), KAFKA_INVALID_REQUEST);
}

static void unsupported_assignor_says_which_are_there(void **state)
{
    struct rig *rig = *state;
    rig->config.assignors[GROUP_ASSIGNOR_UNIFORM] = false;
    struct beat_out out = BEAT(rig, .member = "m", .names = "t", .owned = "", .timeout_ms = 1, .assignor = "uniform");
    beat_refused(out, KAFKA_UNSUPPORTED_ASSIGNOR);
    assert_non_null(strstr(out.message, "range"));
    char name[32768] = { 0 }; /* a sentence with all of it would not fit the answer */
    memset(name, 'a', sizeof(name) - 1);
    out = BEAT(rig, .member = "m", .names = "t", .owned = "", .timeout_ms = 1, .assignor = name);
    beat_refused(out, KAFKA_UNSUPPORTED_ASSIGNOR);
    assert_in_range(out.message_len, 1, 2000);
    rig->config.assignors[GROUP_ASSIGNOR_UNIFORM] = true;
}

static void switched_off_is_unsupported(void **state)
{
    struct rig *rig = *state;
    rig->config.consumer_enabled = false;
    beat_refused(JOIN(rig, "m", "t"), KAFKA_UNSUPPORTED_VERSION);
}

static void version_0_gets_an_id_made(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 1);
    struct beat_out out = BEAT(rig, .version = -1, .names = "t", .owned = "", .timeout_ms = 1000);
    beat_is(out, 1, "t:0");
    assert_int_equal(strlen(out.member), 22);
    beat_is(BEAT(rig, .version = -1, .member = out.member, .epoch = 1), 1, NULL);
}

static void a_full_group_takes_only_those_it_knows(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 4);
    rig->config.modern_size_max = 1;
    beat_is(BEAT(rig, .member = "a", .instance = "i", .names = "t", .owned = "", .timeout_ms = 1000), 1, "t:0,1,2,3");
    beat_refused(JOIN(rig, "b", "t"), KAFKA_GROUP_MAX_SIZE_REACHED);
    beat_is(BEAT(rig, .member = "a", .instance = "i", .epoch = 1), 1, NULL);
    beat_is(BEAT(rig, .member = "a", .instance = "i", .epoch = -2), -2, NULL);
    beat_is(BEAT(rig, .member = "c", .instance = "i", .names = "t", .owned = "", .timeout_ms = 1000), 1, "t:0,1,2,3");
}

/* -- epochs ------------------------------------------------------------------------------------------------------- */

static void the_first_member_gets_everything(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 3);
    struct beat_out out = JOIN(rig, "a", "t");
    beat_is(out, 1, "t:0,1,2");
    assert_string_equal(out.member, "a");
    assert_int_equal(out.interval_ms, 5000);
    assert_string_equal(
        describe_text(rig, "g"),
        "Stable epoch=1 target=1 uniform\na epoch=1 type=1 names=t regex= assigned=t:0,1,2 target=t:0,1,2");
}

static void an_assignment_is_sent_when_it_is_new_or_asked_for(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1");
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL);
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, NULL);
    beat_is(BEAT(rig, .member = "a", .epoch = 1, .names = "t", .owned = "t:0", .timeout_ms = 60000), 1, "t:0,1");
}

static void a_heartbeat_without_news_writes_nothing(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    size_t count = rig->log.count;
    for (int i = 0; i < 5; i++)
        beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, NULL);
    assert_int_equal(rig->log.count, count);
}

static void wrong_epochs_are_fenced(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    beat_refused(BEAT(rig, .member = "a", .epoch = 2), KAFKA_FENCED_MEMBER_EPOCH);
    beat_refused(BEAT(rig, .member = "b", .epoch = 1), KAFKA_UNKNOWN_MEMBER_ID);
    (void)JOIN(rig, "b", "t");
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, "t:0");
    beat_is(OWNS(rig, "a", 1, "t:0"), 2, NULL);
    beat_is(OWNS(rig, "a", 2, "t:0"), 2, NULL);
    (void)JOIN(rig, "c", "t");
    (void)OWNS(rig, "a", 2, "t:0");
    beat_refused(OWNS(rig, "a", 1, "t:0"), KAFKA_FENCED_MEMBER_EPOCH);
}

static void a_lost_reply_is_made_good(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    (void)OWNS(rig, "a", 1, "t:0,1");
    (void)OWNS(rig, "a", 1, "t:0"); /* the member is at epoch 2 and does not know */
    beat_refused(BEAT(rig, .member = "a", .epoch = 1), KAFKA_FENCED_MEMBER_EPOCH);
    beat_refused(OWNS(rig, "a", 1, "t:0,1"), KAFKA_FENCED_MEMBER_EPOCH);
    beat_is(OWNS(rig, "a", 1, "t:0"), 2, "t:0");
    beat_is(OWNS(rig, "a", 1, ""), 2, "t:0");
}

static void joining_again_begins_anew(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1");
    (void)JOIN(rig, "b", "t");
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, "t:0");
    /* It has given up everything, so there is nothing left to wait for. */
    beat_is(JOIN(rig, "a", "t"), 2, "t:0");
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, "t:1");
}

/* -- reconciliation ----------------------------------------------------------------------------------------------- */

static void only_what_moves_is_revoked(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 4);
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1,2,3");
    beat_is(JOIN(rig, "b", "t"), 2, ""); /* UNRELEASED */
    assert_string_equal(describe_text(rig, "g"), "Reconciling epoch=2 target=2 uniform\n"
                                                 "a epoch=1 type=1 names=t regex= assigned=t:0,1,2,3 target=t:0,1\n"
                                                 "b epoch=2 type=1 names=t regex= assigned= target=t:2,3");
    beat_is(OWNS(rig, "a", 1, "t:0,1,2,3"), 1, "t:0,1"); /* UNREVOKED: stays at its epoch */
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL);
    beat_is(OWNS(rig, "a", 1, "t:0,1,2"), 1, NULL);         /* not all given up */
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL); /* says nothing of what it owns */
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL);
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 2, NULL);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, "t:2,3");
    assert_string_equal(describe_text(rig, "g"), "Stable epoch=2 target=2 uniform\n"
                                                 "a epoch=2 type=1 names=t regex= assigned=t:0,1 target=t:0,1\n"
                                                 "b epoch=2 type=1 names=t regex= assigned=t:2,3 target=t:2,3");
}

static void free_partitions_come_one_after_the_other(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 6);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    (void)OWNS(rig, "a", 1, "t:0,1,2,3,4,5");
    (void)OWNS(rig, "a", 1, "t:0,1,2");
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, "t:3,4,5");
    beat_is(JOIN(rig, "c", "t"), 3, "");
    beat_is(OWNS(rig, "a", 2, "t:0,1,2"), 2, "t:0,1");
    beat_is(OWNS(rig, "b", 2, "t:3,4,5"), 2, "t:3,4");
    beat_is(OWNS(rig, "a", 2, "t:0,1"), 3, NULL);
    beat_is(BEAT(rig, .member = "c", .epoch = 3), 3, "t:2");
    beat_is(BEAT(rig, .member = "c", .epoch = 3), 3, NULL);
    beat_is(OWNS(rig, "b", 2, "t:3,4"), 3, NULL);
    beat_is(BEAT(rig, .member = "c", .epoch = 3), 3, "t:2,5");
}

static void a_target_that_changes_while_revoking_is_followed(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 4);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    beat_is(OWNS(rig, "a", 1, "t:0,1,2,3"), 1, "t:0,1");
    (void)LEAVE(rig, "b"); /* a is to have all again, but must finish what it began */
    beat_is(OWNS(rig, "a", 1, "t:0,1,2,3"), 1, NULL);
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 3, "t:0,1,2,3");
}

static void who_does_not_revoke_in_time_is_fenced(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    beat_is(BEAT(rig, .member = "a", .names = "t", .owned = "", .timeout_ms = 20000), 1, "t:0,1");
    (void)JOIN(rig, "b", "t");
    beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, "t:0");
    for (int i = 0; i < 3; i++) {
        rig_advance(rig, 6000);
        beat_is(OWNS(rig, "a", 1, "t:0,1"), 1, NULL);
        beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL);
    }
    rig_advance(rig, 2000);
    beat_refused(OWNS(rig, "a", 1, "t:0,1"), KAFKA_UNKNOWN_MEMBER_ID);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 3, "t:0,1");
}

static void a_session_that_ends_frees_everything(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    rig_advance(rig, 30000);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL);
    rig_advance(rig, 14999);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL);
    rig_advance(rig, 1);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 3, "t:0,1");
    beat_refused(BEAT(rig, .member = "a", .epoch = 1), KAFKA_UNKNOWN_MEMBER_ID);
    rig_advance(rig, 45000);
    assert_string_equal(describe_text(rig, "g"), "Empty epoch=4 target=3 uniform");
}

static void leaving_frees_everything(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    beat_is(LEAVE(rig, "a"), -1, NULL);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 3, "t:0,1");
    beat_refused(LEAVE(rig, "a"), KAFKA_UNKNOWN_MEMBER_ID);
    beat_is(LEAVE(rig, "b"), -1, NULL);
    assert_string_equal(describe_text(rig, "g"), "Empty epoch=4 target=3 uniform");
    beat_is(JOIN(rig, "c", "t"), 5, "t:0,1");
}

/* -- subscriptions ------------------------------------------------------------------------------------------------ */

static void a_new_subscription_is_divided_anew(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    rig_topic(rig, "u", 2);
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1");
    beat_is(BEAT(rig, .member = "a", .epoch = 1, .names = "u"), 1, ""); /* t is to be given up */
    beat_is(OWNS(rig, "a", 1, ""), 2, "u:0,1");
    beat_is(BEAT(rig, .member = "a", .epoch = 2, .names = "u,u"), 2, NULL);
    beat_is(BEAT(rig, .member = "a", .epoch = 2, .names = ""), 2, "");
    beat_is(OWNS(rig, "a", 2, ""), 3, NULL);
}

static void a_member_without_subscription_gets_nothing(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    beat_is(JOIN(rig, "a", ""), 1, "");
    beat_is(JOIN(rig, "b", "t"), 2, "t:0,1");
    beat_is(JOIN(rig, "c", ""), 2, "");
}

static void topics_may_come_later(void **state)
{
    struct rig *rig = *state;
    beat_is(JOIN(rig, "a", "t"), 1, "");
    rig_topic(rig, "other", 3);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL);
    rig_topic(rig, "t", 1);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 2, "t:0");
    rig_topic(rig, "t", 3);
    beat_is(BEAT(rig, .member = "a", .epoch = 2), 3, "t:0,1,2");
    rig_topic_delete(rig, "t");
    beat_is(BEAT(rig, .member = "a", .epoch = 3), 3, "");
    beat_is(OWNS(rig, "a", 3, ""), 4, NULL);
}

static void a_topic_of_the_same_name_is_another_one(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1");
    rig_topic_delete(rig, "t");
    rig_topic(rig, "t", 1);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, "");
    beat_is(OWNS(rig, "a", 1, ""), 3, "t:0");
}

static void topics_that_changed_while_nobody_looked_are_seen_at_the_start(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 1);
    (void)JOIN(rig, "a", "t");
    rig->topics[0].topic.partition_count = 2;
    rig_restart(rig);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 2, "t:0,1");
    size_t count = rig->log.count;
    rig_restart(rig);
    assert_int_equal(rig->log.count, count);
}

static void subscription_marks_topics_as_in_use(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 1);
    (void)JOIN(rig, "a", "t");
    (void)BEAT(rig, .member = "b", .regex = "u.*", .names = "", .owned = "", .timeout_ms = 1000);
    rig_topic(rig, "u1", 1);
    (void)LEAVE(rig, "a");
    assert_string_equal(describe_text(rig, "g"), "Reconciling epoch=4 target=4 uniform\n"
                                                 "b epoch=2 type=1 names= regex=u.* assigned= target=u1:0");
}

/* -- assignors ---------------------------------------------------------------------------------------------------- */

static void the_assignor_that_most_ask_for_is_taken(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 3);
    rig_topic(rig, "u", 3);
    (void)BEAT(rig, .member = "a", .names = "t,u", .owned = "", .timeout_ms = 1000, .assignor = "range");
    assert_non_null(strstr(describe_text(rig, "g"), "range"));
    (void)BEAT(rig, .member = "b", .names = "t,u", .owned = "", .timeout_ms = 1000, .assignor = "uniform");
    assert_non_null(strstr(describe_text(rig, "g"), "uniform")); /* one each: the default */
    (void)BEAT(rig, .member = "c", .names = "t,u", .owned = "", .timeout_ms = 1000, .assignor = "range");
    assert_non_null(strstr(describe_text(rig, "g"), "range"));
    const char *text = describe_text(rig, "g");
    assert_true(strstr(text, "target=t:0+u:0") || strstr(text, "target=u:0+t:0"));
}

static void targets_wait_for_the_interval(void **state)
{
    struct rig *rig = *state;
    rig->settings.assignment_interval_ms = 1000;
    rig_topic(rig, "t", 3);
    beat_is(JOIN(rig, "a", "t"), 1, "t:0,1,2");
    beat_is(JOIN(rig, "b", "t"), 1, "");
    beat_is(JOIN(rig, "c", "t"), 1, "");
    assert_non_null(strstr(describe_text(rig, "g"), "Assigning epoch=3 target=1"));
    rig_advance(rig, 999);
    assert_non_null(strstr(describe_text(rig, "g"), "Assigning epoch=3 target=1"));
    rig_advance(rig, 1);
    assert_non_null(strstr(describe_text(rig, "g"), "Reconciling epoch=3 target=3"));
    beat_is(OWNS(rig, "a", 1, "t:0,1,2"), 1, "t:0");
    beat_is(OWNS(rig, "a", 1, "t:0"), 3, NULL);
    beat_is(BEAT(rig, .member = "b", .epoch = 1), 3, "t:1");
    rig_advance(rig, 1000);
    beat_is(LEAVE(rig, "b"), -1, NULL); /* the last one is old enough: at once */
    assert_non_null(strstr(describe_text(rig, "g"), "target=4"));
}

static void a_target_that_is_due_survives_a_restart(void **state)
{
    struct rig *rig = *state;
    rig->settings.assignment_interval_ms = 1000;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    (void)JOIN(rig, "b", "t");
    rig_restart(rig);
    assert_non_null(strstr(describe_text(rig, "g"), "Reconciling epoch=2 target=2"));
}

/* -- static members ----------------------------------------------------------------------------------------------- */

#define STATIC(rig, member_, instance_)                                                                                \
    BEAT(rig, .member = (member_), .instance = (instance_), .names = "t", .owned = "", .timeout_ms = 60000)

static void a_static_member_comes_back_to_its_partitions(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 4);
    (void)STATIC(rig, "a", "i");
    (void)JOIN(rig, "b", "t");
    (void)BEAT(rig, .member = "a", .instance = "i", .epoch = 1, .owned = "t:0,1,2,3");
    (void)BEAT(rig, .member = "a", .instance = "i", .epoch = 1, .owned = "t:0,1");
    (void)BEAT(rig, .member = "b", .epoch = 2);
    beat_is(BEAT(rig, .member = "a", .instance = "i", .epoch = -2), -2, NULL);
    rig_advance(rig, 20000);
    beat_is(BEAT(rig, .member = "b", .epoch = 2), 2, NULL); /* nothing moves */
    beat_is(STATIC(rig, "a2", "i"), 2, "t:0,1");
    beat_refused(BEAT(rig, .member = "a", .instance = "i", .epoch = 2), KAFKA_FENCED_INSTANCE_ID);
    beat_refused(BEAT(rig, .member = "a", .epoch = 2), KAFKA_UNKNOWN_MEMBER_ID);
    beat_refused(BEAT(rig, .member = "x", .instance = "j", .epoch = 2), KAFKA_UNKNOWN_MEMBER_ID);
    assert_non_null(strstr(describe_text(rig, "g"), "Stable epoch=2 target=2"));
}

static void an_instance_id_in_use_is_not_given_away(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)STATIC(rig, "a", "i");
    beat_refused(STATIC(rig, "b", "i"), KAFKA_UNRELEASED_INSTANCE_ID);
    beat_is(STATIC(rig, "a", "i"), 1, "t:0,1"); /* its own join again, after a reply that was lost */
    beat_refused(BEAT(rig, .member = "b", .instance = "i", .epoch = -1), KAFKA_FENCED_INSTANCE_ID);
    beat_refused(BEAT(rig, .member = "b", .instance = "j", .epoch = -1), KAFKA_UNKNOWN_MEMBER_ID);
    beat_is(BEAT(rig, .member = "a", .instance = "i", .epoch = -1), -1, NULL);
    beat_is(STATIC(rig, "b", "i"), 3, "t:0,1");
}

static void a_static_member_that_stays_away_is_forgotten(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)STATIC(rig, "a", "i");
    (void)BEAT(rig, .member = "a", .instance = "i", .epoch = -2);
    rig_advance(rig, 44999);
    assert_non_null(strstr(describe_text(rig, "g"), "a epoch=-2"));
    rig_advance(rig, 1);
    assert_string_equal(describe_text(rig, "g"), "Empty epoch=2 target=1 uniform");
}

static void an_absent_static_member_outlives_a_restart(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)STATIC(rig, "a", "i");
    (void)BEAT(rig, .member = "a", .instance = "i", .epoch = -2);
    rig_restart(rig);
    beat_is(STATIC(rig, "a", "i"), 1, "t:0,1"); /* under its old id */
    (void)BEAT(rig, .member = "a", .instance = "i", .epoch = -2);
    rig_compact(rig);
    rig_restart(rig);
    beat_is(STATIC(rig, "b", "i"), 1, "t:0,1");
}

/* -- regular expressions ------------------------------------------------------------------------------------------ */

#define REGEX(rig, member_, regex_)                                                                                    \
    BEAT(rig, .member = (member_), .regex = (regex_), .names = "", .owned = "", .timeout_ms = 60000)

static void a_regular_expression_follows_topics(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "ta", 1);
    rig_topic(rig, "other", 1);
    beat_is(REGEX(rig, "a", "t.*"), 1, "ta:0");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 1);
    rig_topic(rig, "another", 1);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL);
    rig_topic(rig, "tb", 1);
    struct beat_out out = BEAT(rig, .member = "a", .epoch = 1);
    assert_int_equal(out.epoch, 2);
    assert_non_null(strstr(out.assignment, "ta:0"));
    assert_non_null(strstr(out.assignment, "tb:0"));
    rig_topic_delete(rig, "ta");
    beat_is(BEAT(rig, .member = "a", .epoch = 2), 2, "tb:0");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 3);
}

static void a_regular_expression_that_nobody_uses_is_forgotten(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "ta", 2);
    (void)REGEX(rig, "a", "t.*");
    beat_is(REGEX(rig, "b", "t.*"), 2, "");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 1);
    beat_is(BEAT(rig, .member = "a", .epoch = 1, .regex = ""), 1, "");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 1);
    (void)BEAT(rig, .member = "b", .epoch = 2, .regex = "u.*");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 3); /* the new one, and a tombstone */
    (void)LEAVE(rig, "b");
    assert_int_equal(rig_count(rig, GROUP_RECORD_REGEX), 4);
    assert_null(rig_last(rig, GROUP_RECORD_REGEX)->value);
}

static void names_and_a_regular_expression_add_up(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "ta", 1);
    rig_topic(rig, "u", 1);
    struct beat_out out = BEAT(rig, .member = "a", .regex = "t.*", .names = "u,ta", .owned = "", .timeout_ms = 1000);
    assert_non_null(strstr(out.assignment, "ta:0"));
    assert_non_null(strstr(out.assignment, "u:0"));
}

static void topics_that_came_while_nobody_looked_are_matched_at_the_start(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "ta", 1);
    (void)REGEX(rig, "a", "t.*");
    snprintf(rig->topics[1].name, sizeof(rig->topics[1].name), "tb");
    rig->topics[1].topic =
        (struct group_topic){ .id = { { 255 } }, .name = odk_str_from(rig->topics[1].name), .partition_count = 1 };
    rig->topics[1].there = true;
    rig->topics[1].number = ++rig->topic_count;
    rig_restart(rig);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 2, "ta:0 tb:0");
}

/* Takes some 600 steps for each of these names, so that 15 of them are more than one turn has. */
#define SLOW_PATTERN ".*a.*a.*a.*c?.*[xy]"
#define SLOW_TOPICS  15

static void slow_topics(struct rig *rig, const char *last)
{
    for (int i = 0; i < SLOW_TOPICS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-%02d-%s", i, i % 5 ? "n" : last);
        rig_topic(rig, name, 1);
    }
}

static uint32_t partitions_in(const char *assignment)
{
    uint32_t count = 0;
    for (const char *at = assignment; (at = strchr(at, ':')) != NULL; at++)
        count++;
    return count;
}

/* Beats until there is nothing new for a while. */
static struct beat_out beat_on(struct rig *rig, const char *member, int32_t epoch)
{
    struct beat_out last = { 0 };
    for (int i = 0; i < 20; i++) {
        rig_advance(rig, GROUP_REGEX_PAUSE_MS);
        struct beat_out out = BEAT(rig, .member = member, .epoch = epoch);
        assert_int_equal(out.error, KAFKA_NONE);
        epoch = out.epoch;
        if (out.assigned)
            last = out;
    }
    return last;
}

static void a_slow_pattern_is_matched_over_several_turns(void **state)
{
    struct rig *rig = *state;
    slow_topics(rig, "x");
    struct beat_out out = REGEX(rig, "a", SLOW_PATTERN);
    beat_is(out, 1, ""); /* it is in, and has nothing yet */
    assert_null(rig_last(rig, GROUP_RECORD_REGEX));
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL);
    rig_restart(rig); /* begins again */
    out = beat_on(rig, "a", 1);
    assert_int_equal(out.epoch, 2);
    assert_int_equal(partitions_in(out.assignment), 3);
    assert_non_null(rig_last(rig, GROUP_RECORD_REGEX));
    rig_advance(rig, 1000);
    struct beat_out second = REGEX(rig, "b", SLOW_PATTERN); /* known already */
    assert_int_equal(second.epoch, 3);
}

static void topics_come_and_go_while_a_pattern_is_matched(void **state)
{
    struct rig *rig = *state;
    slow_topics(rig, "x");
    beat_is(REGEX(rig, "a", SLOW_PATTERN), 1, "");
    char first[64];
    snprintf(first, sizeof(first), "%s", rig->topics[0].name);
    rig_topic_delete(rig, first); /* it has been found already */
    rig_topic(rig, "aaa-late-y", 1);
    struct beat_out out = beat_on(rig, "a", 1);
    assert_int_equal(partitions_in(out.assignment), 3);
    assert_non_null(strstr(out.assignment, "aaa-late-y:0"));
    assert_null(strstr(out.assignment, first));
}

/* The walk stands at a topic that goes: it begins again. */
static void a_walk_outlives_where_it_stands(void **state)
{
    struct rig *rig = *state;
    slow_topics(rig, "x");
    beat_is(REGEX(rig, "a", SLOW_PATTERN), 1, "");
    for (int i = 1; i < SLOW_TOPICS; i++)
        if (i % 5)
            rig_topic_delete(rig, rig->topics[i].name);
    assert_int_equal(partitions_in(beat_on(rig, "a", 1).assignment), 3);
}

static void a_member_keeps_what_it_has_until_its_new_pattern_is_known(void **state)
{
    struct rig *rig = *state;
    slow_topics(rig, "x");
    rig_topic(rig, "t", 1);
    beat_is(REGEX(rig, "a", "t"), 1, "t:0");
    rig_advance(rig, 1000);
    beat_is(BEAT(rig, .member = "a", .epoch = 1, .regex = SLOW_PATTERN), 1, NULL);
    beat_is(BEAT(rig, .member = "a", .epoch = 1), 1, NULL);
    rig_advance(rig, 1000);
    struct beat_out out = BEAT(rig, .member = "a", .epoch = 1);
    beat_is(out, 1, ""); /* gives t up */
    out = BEAT(rig, .member = "a", .epoch = 1, .owned = "");
    assert_int_equal(partitions_in(out.assignment), 3);
}

#define FOLLOWERS 1500

/* Very many groups with patterns hear of a topic in steps. */
static void many_groups_hear_of_a_topic_in_steps(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "ta", 1);
    for (int i = 0; i < FOLLOWERS; i++) {
        char group[16];
        snprintf(group, sizeof(group), "g%d", i);
        assert_int_equal(BEAT(rig, .group = group, .member = "a", .regex = "t.*", .owned = "", .timeout_ms = 1000).error,
                         KAFKA_NONE);
        rig_advance(rig, 1);
    }
    size_t before = rig_count(rig, GROUP_RECORD_REGEX);
    rig_topic(rig, "tb", 1);
    assert_in_range(rig_count(rig, GROUP_RECORD_REGEX) - before, 1, FOLLOWERS - 1);
    rig_topic(rig, "tc", 1);
    assert_int_equal(BEAT(rig, .group = "g0", .member = "a", .epoch = -1).error, KAFKA_NONE);
    rig_topic_delete(rig, "tb"); /* who has not heard of it never will */
    for (int i = 0; i < 8; i++)
        rig_advance(rig, GROUP_REGEX_PAUSE_MS);
    for (int i = 1; i < FOLLOWERS; i++) {
        char group[16];
        snprintf(group, sizeof(group), "g%d", i);
        struct beat_out out = BEAT(rig, .group = group, .member = "a", .epoch = 1, .regex = "t.*", .owned = "ta:0");
        assert_int_equal(out.error, KAFKA_NONE);
        assert_non_null(strstr(out.assignment, "ta:0"));
        assert_non_null(strstr(out.assignment, "tc:0"));
        assert_null(strstr(out.assignment, "tb:0"));
    }
}

static void a_group_that_goes_while_its_pattern_is_matched_is_gone(void **state)
{
    struct rig *rig = *state;
    slow_topics(rig, "x");
    beat_is(REGEX(rig, "a", SLOW_PATTERN), 1, "");
    assert_int_equal(LEAVE(rig, "a").error, KAFKA_NONE);
    rig_advance(rig, 1000);
    assert_null(rig_last(rig, GROUP_RECORD_REGEX));
}

/* -- offsets ------------------------------------------------------------------------------------------------------ */

static void commits_of_an_epoch_before_are_taken_for_what_was_owned_then(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "t", 1, 7), KAFKA_NONE);
    (void)JOIN(rig, "b", "t");
    (void)OWNS(rig, "a", 1, "t:0,1");
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "t", 1, 8), KAFKA_NONE); /* not given up yet */
    (void)OWNS(rig, "a", 1, "t:0");
    (void)BEAT(rig, .member = "b", .epoch = 2);
    /* a is at 2 and may not know. */
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "t", 0, 9), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "t", 1, 9), KAFKA_STALE_MEMBER_EPOCH);
    assert_int_equal(kit_commit(rig, 9, "g", "a", 3, "t", 0, 9), KAFKA_STALE_MEMBER_EPOCH);
    assert_int_equal(kit_commit(rig, 9, "g", "b", 1, "t", 1, 9), KAFKA_STALE_MEMBER_EPOCH); /* its own since 2 */
    assert_int_equal(kit_commit(rig, 9, "g", "b", 2, "t", 1, 9), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "g", "", -1, "t", 0, 9), KAFKA_UNKNOWN_MEMBER_ID);
    (void)LEAVE(rig, "a");
    (void)LEAVE(rig, "b");
    assert_int_equal(kit_commit(rig, 2, "g", "", -1, "t", 0, 3), KAFKA_NONE); /* administrators, of an empty group */
    assert_int_equal(kit_fetch(rig, "g", "t", 0), 3);
}

static int16_t fetch_as(struct rig *rig, const char *member, int32_t epoch)
{
    struct offset_fetch_request_group in;
    offset_fetch_request_group_init(&in);
    in.group_id = ODK_STR("g");
    in.member_id = member ? odk_str_from(member) : (struct odk_str){ 0 };
    in.member_epoch = epoch;
    in.topics_count = -1;
    struct rig_call *call = rig_call(rig, GROUP_CALL_FETCH, 9, &in);
    int16_t error = call->out.fetch.error_code;
    rig_call_free(call);
    return error;
}

static void offsets_are_read_by_members_of_today(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 2);
    (void)JOIN(rig, "a", "t");
    assert_int_equal(fetch_as(rig, "a", 1), KAFKA_NONE);
    assert_int_equal(fetch_as(rig, NULL, -1), KAFKA_NONE);
    assert_int_equal(fetch_as(rig, "a", 2), KAFKA_STALE_MEMBER_EPOCH);
    assert_int_equal(fetch_as(rig, "a", -1), KAFKA_STALE_MEMBER_EPOCH);
    assert_int_equal(fetch_as(rig, "b", 1), KAFKA_UNKNOWN_MEMBER_ID);
}

static void offsets_of_subscribed_topics_do_not_expire(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 1);
    rig_topic(rig, "u", 1);
    rig->config.offsets_retention_ms = 60000;
    rig->config.retention_check_interval_ms = 10000;
    rig_restart(rig);
    (void)JOIN(rig, "a", "t");
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "t", 0, 7), KAFKA_NONE);
    assert_int_equal(kit_commit(rig, 9, "g", "a", 1, "u", 0, 7), KAFKA_NONE);
    for (int i = 0; i < 9; i++) {
        rig_advance(rig, 10000);
        (void)BEAT(rig, .member = "a", .epoch = 1);
    }
    assert_int_equal(kit_fetch(rig, "g", "t", 0), 7);
    assert_int_equal(kit_fetch(rig, "g", "u", 0), -1);
    (void)LEAVE(rig, "a");
    rig_advance(rig, 80000);
    assert_string_equal(describe_text(rig, "g"), "error 69"); /* nothing left of it */
}

/* -- bounds ------------------------------------------------------------------------------------------------------- */

static void answers_that_do_not_fit_are_errors(void **state)
{
    struct rig *rig = *state;
    rig_topic(rig, "t", 500);
    (void)JOIN(rig, "a", "t");
    struct odk_str id = ODK_STR("g");
    for (size_t limit = 64; limit < 64 * 1024; limit *= 2) {
        rig->arena_limit = limit;
        struct consumer_group_heartbeat_request in;
        consumer_group_heartbeat_request_init(&in);
        in.group_id = id;
        in.member_id = ODK_STR("a");
        in.rebalance_timeout_ms = 1000;
        in.subscribed_topic_names_count = 0;
        in.topic_partitions_count = 0;
        struct rig_call *call = rig_call(rig, GROUP_CALL_CONSUMER_HEARTBEAT, 1, &in);
        assert_true(call->out.consumer_heartbeat.error_code == KAFKA_NONE ||
                    call->out.consumer_heartbeat.error_code == KAFKA_UNKNOWN_SERVER_ERROR);
        rig_call_free(call);
        call = rig_call(rig, GROUP_CALL_CONSUMER_DESCRIBE, 1, &id);
        assert_true(call->out.consumer_describe.error_code == KAFKA_NONE ||
                    call->out.consumer_describe.error_code == KAFKA_UNKNOWN_SERVER_ERROR);
        rig_call_free(call);
        rig->arena_limit = 0;
        (void)BEAT(rig, .member = "a", .epoch = 0, .names = "t", .owned = "", .timeout_ms = 1000);
    }
}

static void what_members_say_is_bounded(void **state)
{
    struct rig *rig = *state;
    static char names[GROUP_TOLD_BYTES_MAX + 4096], id[GROUP_TEXT_BYTES_MAX + 2];
    memset(id, 'x', GROUP_TEXT_BYTES_MAX + 1);
    beat_refused(JOIN(rig, id, "t"), KAFKA_INVALID_REQUEST);
    id[GROUP_TEXT_BYTES_MAX] = '\0';
    beat_is(JOIN(rig, id, "t"), 1, "");
    rig->settings.assignment_interval_ms = INT32_MAX;
    size_t used = 0;
    for (int i = 0; used < GROUP_TOLD_BYTES_MAX; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%stopic-%040d", i ? "," : "", i);
    beat_refused(JOIN(rig, "b", names), KAFKA_INVALID_REQUEST);
    names[GROUP_TOLD_BYTES_MAX - 60000] = '\0';
    int taken = 0;
    for (; taken < 100; taken++) {
        char member[8];
        snprintf(member, sizeof(member), "m%d", taken);
        struct beat_out out = JOIN(rig, member, names);
        if (out.error == KAFKA_GROUP_MAX_SIZE_REACHED)
            break;
        assert_int_equal(out.error, KAFKA_NONE);
    }
    assert_in_range(taken, 20, 64);
    static char regex[GROUP_REGEX_BYTES_MAX + 2];
    memset(regex, 'r', GROUP_REGEX_BYTES_MAX + 1);
    beat_refused(REGEX(rig, "c", regex), KAFKA_INVALID_REQUEST);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(bad_requests_are_refused_with_a_reason),
        T(a_join_that_owns_something_is_refused),
        T(unsupported_assignor_says_which_are_there),
        T(switched_off_is_unsupported),
        T(version_0_gets_an_id_made),
        T(a_full_group_takes_only_those_it_knows),
        T(the_first_member_gets_everything),
        T(an_assignment_is_sent_when_it_is_new_or_asked_for),
        T(a_heartbeat_without_news_writes_nothing),
        T(wrong_epochs_are_fenced),
        T(a_lost_reply_is_made_good),
        T(joining_again_begins_anew),
        T(only_what_moves_is_revoked),
        T(free_partitions_come_one_after_the_other),
        T(a_target_that_changes_while_revoking_is_followed),
        T(who_does_not_revoke_in_time_is_fenced),
        T(a_session_that_ends_frees_everything),
        T(leaving_frees_everything),
        T(a_new_subscription_is_divided_anew),
        T(a_member_without_subscription_gets_nothing),
        T(topics_may_come_later),
        T(a_topic_of_the_same_name_is_another_one),
        T(topics_that_changed_while_nobody_looked_are_seen_at_the_start),
        T(subscription_marks_topics_as_in_use),
        T(the_assignor_that_most_ask_for_is_taken),
        T(targets_wait_for_the_interval),
        T(a_target_that_is_due_survives_a_restart),
        T(a_static_member_comes_back_to_its_partitions),
        T(an_instance_id_in_use_is_not_given_away),
        T(a_static_member_that_stays_away_is_forgotten),
        T(an_absent_static_member_outlives_a_restart),
        T(a_regular_expression_follows_topics),
        T(a_regular_expression_that_nobody_uses_is_forgotten),
        T(names_and_a_regular_expression_add_up),
        T(topics_that_came_while_nobody_looked_are_matched_at_the_start),
        T(a_slow_pattern_is_matched_over_several_turns),
        T(topics_come_and_go_while_a_pattern_is_matched),
        T(a_walk_outlives_where_it_stands),
        T(a_member_keeps_what_it_has_until_its_new_pattern_is_known),
        T(many_groups_hear_of_a_topic_in_steps),
        T(a_group_that_goes_while_its_pattern_is_matched_is_gone),
        T(commits_of_an_epoch_before_are_taken_for_what_was_owned_then),
        T(offsets_are_read_by_members_of_today),
        T(offsets_of_subscribed_topics_do_not_expire),
        T(answers_that_do_not_fit_are_errors),
        T(what_members_say_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
