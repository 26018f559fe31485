/*
 * Goal: patterns match as RE2 would match whole names; what RE2 refuses is refused; no pattern takes long. Method:
 * tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/limits.h"
#include "base/prng.h"
#include "coordinator/topic_regex.h"

static struct topic_regex *make(const char *pattern)
{
    char why[TOPIC_REGEX_WHY_BYTES] = "";
    struct topic_regex *regex = topic_regex_new(odk_str_from(pattern), why);
    if (!regex && why[0] == '\0')
        fail_msg("\"%s\" is refused without a reason", pattern);
    return regex;
}

static enum topic_regex_verdict match(const struct topic_regex *regex, struct odk_str name)
{
    uint64_t steps = UINT64_MAX;
    return topic_regex_match(regex, name, &steps);
}

static void whole_names_match(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        { "t", "t", true },
        { "t", "tt", false },
        { "t", "at", false },
        { "t|tt", "tt", true },
        { "^t$", "t", true },
        { "a.b", "a.b", true },
        { "a.b", "axb", true },
        { "a\\.b", "axb", false },
        { "foo.*", "foo", true },
        { "(orders|payments)-[a-z]+", "payments-eu", true },
        { "(?:orders|payments)-\\d{2,3}", "orders-12", true },
        { "(?:orders|payments)-\\d{2,3}", "orders-1", false },
        { "(?i)ORDERS", "orders", true },
        { "(?i:O)rders", "orders", true },
        { "(?P<name>o)rders", "orders", true },
        { "(?<name>o)rders", "orders", true },
        { "[[:alpha:]]+", "orders", true },
        { "[]a]+", "a", true },
        { "[^_].*", "__consumer_offsets", false },
        { "\\Qa.b\\E.*", "a.bc", true },
        { "\\Qa.b\\E.*", "axbc", false },
        { "\\Aa+?\\z", "aa", true },
        { "a{2}", "aa", true },
        { "a{", "a{", true },
        { "\\x61", "a", true },
        { "\\pL+", "abc", true },
        { "\\bfoo\\b", "foo", true },
        { ".*a.*b.*c.*", "xxaxxbxxcxx", true },
        { "", "", true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct topic_regex *regex = make(cases[i].pattern);
        if (!regex)
            fail_msg("\"%s\" is refused", cases[i].pattern);
        enum topic_regex_verdict verdict = match(regex, odk_str_from(cases[i].name));
        if (verdict != (cases[i].matches ? TOPIC_REGEX_YES : TOPIC_REGEX_NO))
            fail_msg("\"%s\" and \"%s\": %d", cases[i].pattern, cases[i].name, (int)verdict);
        topic_regex_free(regex);
    }
}

static void what_re2_does_not_know_is_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "a(",        "a)",     "[a",      "*a",     "a**",       "a*+",     "a++",     "a?+",    "a{2}+",  "a{1001}",
        "a{1,1001}", "a{2,1}", "(?=a)a",  "(?!a)b", "(?<=a)b",   "(?<!a)b", "(?>a)",   "(a)\\1", "(?P=n)", "(?P>n)",
        "(?R)",      "(?1)",   "(?|a|b)", "(?#x)a", "(?(1)a|b)", "(*FAIL)", "(*UTF)a", "\\K",    "\\G",    "\\Ra",
        "\\Xa",      "\\hx",   "\\g1",    "\\k<n>", "\\Za",      "a\\",     "\\C",     "[\\K]",  "(?x)a",  "(?J)a",
        "\xff",      "(?C1)a", "\\N",     "\\o{1}", "(?'n'a)",   "\\u0061", "(?^i)a",
    };
    for (size_t i = 0; i < countof(patterns); i++) {
        struct topic_regex *regex = make(patterns[i]);
        if (regex)
            fail_msg("\"%s\" is taken", patterns[i]);
    }
}

/* Far beyond what a client can send in a sensible pattern, and still an answer. */
static void costly_patterns_end(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(.?){200}[xb]",
        "((a?){20}){9}[xb]",
        "(a*)*[xb]",
        "((((((a*)*)*)*)*)*)*[xb]",
        "(|a|aa|aaa|aaaa)*[xb]",
        "(.*)(.*)(.*)(.*)(.*)(.*)(.*)[xb]",
        "(a{0,1000}){0,10}b",
    };
    char name[TOPIC_NAME_BYTES_MAX + 1];
    memset(name, 'a', TOPIC_NAME_BYTES_MAX);
    name[TOPIC_NAME_BYTES_MAX] = '\0';
    for (size_t i = 0; i < countof(patterns); i++) {
        struct topic_regex *regex = make(patterns[i]);
        if (!regex)
            continue;
        for (int j = 0; j < 20; j++)
            assert_true(match(regex, odk_str_from(name)) != TOPIC_REGEX_YES);
        topic_regex_free(regex);
    }
    char *deep = calloc(1, 3000);
    memset(deep, '(', 1000);
    deep[1000] = 'a';
    memset(deep + 1001, ')', 1000);
    assert_null(make(deep));
    free(deep);
}

static void many_names_side_by_side_match(void **state)
{
    (void)state;
    static char pattern[GROUP_REGEX_BYTES_MAX];
    size_t used = 0;
    for (int i = 0; i < 300; i++)
        used += (size_t)snprintf(pattern + used, sizeof(pattern) - used, "%stopic-%d", i ? "|" : "", i);
    struct topic_regex *regex = make(pattern);
    assert_non_null(regex);
    assert_int_equal(match(regex, ODK_STR("topic-299")), TOPIC_REGEX_YES);
    assert_int_equal(match(regex, ODK_STR("topic-300")), TOPIC_REGEX_NO);
    topic_regex_free(regex);
}

static void steps_are_bounded(void **state)
{
    (void)state;
    char name[TOPIC_NAME_BYTES_MAX + 1];
    memset(name, 'a', TOPIC_NAME_BYTES_MAX);
    name[TOPIC_NAME_BYTES_MAX] = '\0';
    static const char *const costly[] = { "(.*a.*){20}", "(?:a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a|a)*" };
    for (size_t i = 0; i < countof(costly); i++) {
        struct topic_regex *regex = make(costly[i]);
        uint64_t steps = UINT64_MAX;
        assert_int_equal(topic_regex_match(regex, odk_str_from(name), &steps), TOPIC_REGEX_TOO_COSTLY);
        assert_true(UINT64_MAX - steps <= GROUP_REGEX_STEPS_MAX);
        topic_regex_free(regex);
    }
    struct topic_regex *regex = make("a.*");
    uint64_t steps = 1000;
    assert_int_equal(topic_regex_match(regex, ODK_STR("abc"), &steps), TOPIC_REGEX_YES);
    assert_in_range(steps, 980, 998);
    steps = 1;
    assert_int_equal(topic_regex_match(regex, ODK_STR("abc"), &steps), TOPIC_REGEX_TOO_COSTLY);
    assert_int_equal(steps, 0);
    topic_regex_free(regex);
}

/* No crash, and the same verdict twice. */
static void any_text_is_a_pattern_or_refused(void **state)
{
    (void)state;
    static const char pieces[][8] = { "a",     "(",   ")",   "[", "]",  "*",   "+",        "?",
                                      "{2,3}", "\\",  "\\d", "|", ".*", "(?:", "(?i)",     "[^b",
                                      "\\Q",   "\\E", "-",   "^", "$",  "\n",  "\xc3\xa9", "{" };
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct prng prng = { seed };
        char pattern[128] = "";
        for (uint64_t n = prng_between(&prng, 1, 14); n > 0; n--)
            strncat(pattern, pieces[prng_below(&prng, countof(pieces))], sizeof(pattern) - strlen(pattern) - 1);
        struct topic_regex *regex = make(pattern);
        if (!regex)
            continue;
        enum topic_regex_verdict first = match(regex, ODK_STR("aaba-12"));
        assert_int_equal(match(regex, ODK_STR("aaba-12")), first);
        topic_regex_free(regex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_names_match),
        cmocka_unit_test(what_re2_does_not_know_is_refused),
        cmocka_unit_test(costly_patterns_end),
        cmocka_unit_test(many_names_side_by_side_match),
        cmocka_unit_test(steps_are_bounded),
        cmocka_unit_test(any_text_is_a_pattern_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
