/*
 * Goal: the assignors balance, stick and leave nothing out. Method: known small cases, and properties over random
 * groups: every partition of a subscribed topic has one owner, who subscribes to it; with equal subscriptions loads
 * differ by one at most and no more partitions move than must; no single move would make an uneven pair more even; a
 * second run moves nothing.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "coordinator/assign.h"

#define MEMBERS_MAX    40u
#define TOPICS_MAX     12u
#define PARTITIONS_MAX 30u

struct world {
    struct assign_topic topics[TOPICS_MAX];
    struct assign_member members[MEMBERS_MAX];
    uint32_t subscribed[MEMBERS_MAX][TOPICS_MAX];
    int32_t owners[TOPICS_MAX * PARTITIONS_MAX];
    uint32_t topic_count, member_count, partition_count;
};

static void topic_add(struct world *w, uint32_t partition_count)
{
    w->topics[w->topic_count++] = (struct assign_topic){ w->partition_count, partition_count };
    for (uint32_t i = 0; i < partition_count; i++)
        w->owners[w->partition_count++] = ASSIGN_NOBODY;
}

/* topics: a bit for each that it subscribes to. */
static void member_add(struct world *w, uint32_t topics)
{
    uint32_t m = w->member_count++;
    w->members[m] = (struct assign_member){ .topics = w->subscribed[m] };
    for (uint32_t t = 0; t < w->topic_count; t++)
        if (topics & (1u << t))
            w->subscribed[m][w->members[m].topic_count++] = t;
}

static void compute(struct world *w, enum group_assignor assignor)
{
    struct arena scratch = { 0 };
    struct assign assign = { w->topics, w->topic_count, w->members, w->member_count, w->owners };
    assign_compute(&assign, assignor, &scratch);
    arena_deinit(&scratch);
}

static bool subscribes(const struct world *w, uint32_t member, uint32_t topic)
{
    for (uint32_t i = 0; i < w->members[member].topic_count; i++)
        if (w->members[member].topics[i] == topic)
            return true;
    return false;
}

static uint32_t load_of(const struct world *w, uint32_t member)
{
    uint32_t load = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        load += w->owners[p] == (int32_t)member;
    return load;
}

static void owners_are(const struct world *w, uint32_t topic, const char *text)
{
    char got[PARTITIONS_MAX + 1] = { 0 };
    for (uint32_t p = 0; p < w->topics[topic].partition_count; p++) {
        int32_t owner = w->owners[w->topics[topic].first + p];
        got[p] = owner == ASSIGN_NOBODY ? '-' : (char)('a' + owner);
    }
    assert_string_equal(got, text);
}

/* -- known cases -------------------------------------------------------------------------------------------------- */

static void names_are_kafkas(void **state)
{
    (void)state;
    enum group_assignor assignor;
    assert_true(group_assignor_parse(ODK_STR("range"), &assignor) && assignor == GROUP_ASSIGNOR_RANGE);
    assert_true(group_assignor_parse(ODK_STR("uniform"), &assignor) && assignor == GROUP_ASSIGNOR_UNIFORM);
    assert_false(group_assignor_parse(ODK_STR("sticky"), &assignor));
    assert_true(odk_str_eq(group_assignor_name(GROUP_ASSIGNOR_RANGE), ODK_STR("range")));
}

static void nobody_and_nothing_are_fine(void **state)
{
    (void)state;
    for (unsigned a = 0; a < GROUP_ASSIGNOR_COUNT; a++) {
        struct world w = { 0 };
        compute(&w, (enum group_assignor)a);
        topic_add(&w, 3);
        compute(&w, (enum group_assignor)a);
        owners_are(&w, 0, "---");
        member_add(&w, 0);
        w.owners[1] = 0;
        compute(&w, (enum group_assignor)a);
        owners_are(&w, 0, "---");
    }
}

static void range_cuts_each_topic_alike(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 7);
    topic_add(&w, 7);
    topic_add(&w, 2);
    for (int i = 0; i < 3; i++)
        member_add(&w, 7);
    compute(&w, GROUP_ASSIGNOR_RANGE);
    owners_are(&w, 0, "aaabbcc");
    owners_are(&w, 1, "aaabbcc");
    owners_are(&w, 2, "ab");
}

static void range_counts_subscribers_of_each_topic(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 4);
    topic_add(&w, 4);
    topic_add(&w, 4);
    member_add(&w, 1);
    member_add(&w, 3);
    member_add(&w, 2);
    compute(&w, GROUP_ASSIGNOR_RANGE);
    owners_are(&w, 0, "aabb");
    owners_are(&w, 1, "bbcc");
    owners_are(&w, 2, "----");
}

static void uniform_spreads_over_all_topics(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 3);
    topic_add(&w, 3);
    member_add(&w, 3);
    member_add(&w, 3);
    compute(&w, GROUP_ASSIGNOR_UNIFORM);
    assert_int_equal(load_of(&w, 0), 3);
    assert_int_equal(load_of(&w, 1), 3);
}

static void uniform_moves_only_what_a_new_member_gets(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 6);
    member_add(&w, 1);
    member_add(&w, 1);
    memcpy(w.owners, (int32_t[]){ 0, 0, 0, 1, 1, 1 }, 6 * sizeof(int32_t));
    member_add(&w, 1);
    compute(&w, GROUP_ASSIGNOR_UNIFORM);
    owners_are(&w, 0, "aacbbc");
}

static void uniform_lets_who_has_more_keep_the_surplus(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 4);
    for (int i = 0; i < 3; i++)
        member_add(&w, 1);
    memcpy(w.owners, (int32_t[]){ 0, 1, 1, 2 }, 4 * sizeof(int32_t));
    compute(&w, GROUP_ASSIGNOR_UNIFORM);
    owners_are(&w, 0, "abbc");
}

static void uniform_hands_on_what_is_no_longer_subscribed(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 2);
    topic_add(&w, 2);
    member_add(&w, 1);
    member_add(&w, 2);
    memcpy(w.owners, (int32_t[]){ 0, 1, 0, 1 }, 4 * sizeof(int32_t));
    compute(&w, GROUP_ASSIGNOR_UNIFORM);
    owners_are(&w, 0, "aa");
    owners_are(&w, 1, "bb");
}

/* The chain: a can give to b only, b to c only. */
static void uniform_balances_along_chains_of_subscriptions(void **state)
{
    (void)state;
    struct world w = { 0 };
    topic_add(&w, 8);
    topic_add(&w, 8);
    member_add(&w, 1);
    member_add(&w, 3);
    member_add(&w, 2);
    memset(w.owners, 0, 8 * sizeof(int32_t));
    for (int p = 8; p < 16; p++)
        w.owners[p] = 1;
    compute(&w, GROUP_ASSIGNOR_UNIFORM);
    for (uint32_t m = 0; m < 3; m++)
        assert_in_range(load_of(&w, m), 5, 6);
}

/* -- properties --------------------------------------------------------------------------------------------------- */

static void random_world(struct world *w, struct prng *prng, bool equal)
{
    *w = (struct world){ 0 };
    uint32_t topics = (uint32_t)prng_between(prng, 1, TOPICS_MAX);
    uint32_t members = (uint32_t)prng_between(prng, 1, MEMBERS_MAX);
    for (uint32_t t = 0; t < topics; t++)
        topic_add(w, (uint32_t)prng_between(prng, 1, PARTITIONS_MAX));
    uint32_t all = (uint32_t)prng_between(prng, 1, (1u << topics) - 1);
    for (uint32_t m = 0; m < members; m++)
        member_add(w, equal ? all : (uint32_t)prng_below(prng, 1u << topics));
    uint32_t owned_percent = (uint32_t)prng_below(prng, 101);
    uint32_t owner_count = (uint32_t)prng_between(prng, 1, members);
    for (uint32_t p = 0; p < w->partition_count; p++)
        if (prng_below(prng, 100) < owned_percent)
            w->owners[p] = (int32_t)prng_below(prng, owner_count);
}

static void check_whole(const struct world *w)
{
    for (uint32_t t = 0; t < w->topic_count; t++) {
        bool anybody = false;
        for (uint32_t m = 0; m < w->member_count; m++)
            anybody |= subscribes(w, m, t);
        for (uint32_t p = 0; p < w->topics[t].partition_count; p++) {
            int32_t owner = w->owners[w->topics[t].first + p];
            assert_true((owner != ASSIGN_NOBODY) == anybody);
            if (anybody)
                assert_true(subscribes(w, (uint32_t)owner, t));
        }
    }
}

/* No partition could go to another subscriber of its topic who has two less. */
static void check_at_rest(const struct world *w)
{
    uint32_t loads[MEMBERS_MAX];
    for (uint32_t m = 0; m < w->member_count; m++)
        loads[m] = load_of(w, m);
    for (uint32_t t = 0; t < w->topic_count; t++)
        for (uint32_t p = 0; p < w->topics[t].partition_count; p++) {
            int32_t owner = w->owners[w->topics[t].first + p];
            for (uint32_t m = 0; owner != ASSIGN_NOBODY && m < w->member_count; m++)
                if (subscribes(w, m, t))
                    assert_true(loads[owner] <= loads[m] + 1);
        }
}

/* What must move when all subscribe alike: what lies above the shares that the fullest may keep. */
static uint32_t moves_needed(const struct world *w)
{
    uint32_t loads[MEMBERS_MAX] = { 0 };
    uint32_t total = 0;
    for (uint32_t t = 0; t < w->topic_count; t++) {
        if (!subscribes(w, 0, t))
            continue;
        total += w->topics[t].partition_count;
        for (uint32_t p = 0; p < w->topics[t].partition_count; p++)
            if (w->owners[w->topics[t].first + p] != ASSIGN_NOBODY)
                loads[w->owners[w->topics[t].first + p]]++;
    }
    uint32_t share = total / w->member_count, larger = total % w->member_count, moves = 0;
    for (uint32_t m = 0; m < w->member_count; m++) {
        bool large = loads[m] > share && larger > 0;
        larger -= large;
        moves += loads[m] > share + large ? loads[m] - share - large : 0;
    }
    return moves;
}

static uint32_t moved(const struct world *before, const struct world *after)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < before->topic_count; t++)
        for (uint32_t p = 0; p < before->topics[t].partition_count; p++) {
            int32_t owner = before->owners[before->topics[t].first + p];
            bool kept_right = owner != ASSIGN_NOBODY && subscribes(before, (uint32_t)owner, t);
            count += kept_right && after->owners[before->topics[t].first + p] != owner;
        }
    return count;
}

static void equal_subscriptions_balance_within_one_and_move_least(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct prng prng = { seed };
        struct world w;
        random_world(&w, &prng, true);
        struct world before = w;
        compute(&w, GROUP_ASSIGNOR_UNIFORM);
        check_whole(&w);
        uint32_t least = UINT32_MAX, most = 0;
        for (uint32_t m = 0; m < w.member_count; m++) {
            least = MIN(least, load_of(&w, m));
            most = MAX(most, load_of(&w, m));
        }
        if (most - least > 1 || moved(&before, &w) != moves_needed(&before))
            fail_msg("seed %" PRIu64 ": loads %u..%u, %u moved, %u needed", seed, least, most, moved(&before, &w),
                     moves_needed(&before));
    }
}

static void other_subscriptions_come_to_rest(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct prng prng = { seed };
        struct world w;
        random_world(&w, &prng, false);
        compute(&w, GROUP_ASSIGNOR_UNIFORM);
        check_whole(&w);
        check_at_rest(&w);
        struct world again = w;
        compute(&again, GROUP_ASSIGNOR_UNIFORM);
        assert_memory_equal(again.owners, w.owners, sizeof(w.owners));
    }
}

static void range_is_whole_and_the_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct prng prng = { seed };
        struct world w;
        random_world(&w, &prng, seed % 2);
        compute(&w, GROUP_ASSIGNOR_RANGE);
        check_whole(&w);
        struct world again = w;
        compute(&again, GROUP_ASSIGNOR_RANGE);
        assert_memory_equal(again.owners, w.owners, sizeof(w.owners));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_kafkas),
        cmocka_unit_test(nobody_and_nothing_are_fine),
        cmocka_unit_test(range_cuts_each_topic_alike),
        cmocka_unit_test(range_counts_subscribers_of_each_topic),
        cmocka_unit_test(uniform_spreads_over_all_topics),
        cmocka_unit_test(uniform_moves_only_what_a_new_member_gets),
        cmocka_unit_test(uniform_lets_who_has_more_keep_the_surplus),
        cmocka_unit_test(uniform_hands_on_what_is_no_longer_subscribed),
        cmocka_unit_test(uniform_balances_along_chains_of_subscriptions),
        cmocka_unit_test(equal_subscriptions_balance_within_one_and_move_least),
        cmocka_unit_test(other_subscriptions_come_to_rest),
        cmocka_unit_test(range_is_whole_and_the_same_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
