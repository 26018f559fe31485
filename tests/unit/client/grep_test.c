/*
 * Goal: a pattern is found anywhere in bytes of any kind, and no pattern takes unbounded time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/grep.h"

static enum grep_verdict verdict_of(const char *pattern, const void *data, size_t len)
{
    char why[GREP_WHY_BYTES] = "";
    struct grep *grep = grep_new(pattern, why);
    assert_non_null(grep);
    enum grep_verdict verdict = grep_match(grep, (struct odk_bytes){ data, len });
    grep_free(grep);
    return verdict;
}

static void finds_patterns_anywhere(void **state)
{
    (void)state;
    assert_int_equal(verdict_of("b+c", "aabbbcc", 7), GREP_YES);
    assert_int_equal(verdict_of("^b", "aabbbcc", 7), GREP_NO);
    assert_int_equal(verdict_of("\\d{4}-\\d\\d", "on 2026-11-30", 13), GREP_YES);
    assert_int_equal(verdict_of("\\xff\\x00z", "a\xff\0z", 4), GREP_YES);
    assert_int_equal(verdict_of("(?i)ERROR|fatal", "an error", 8), GREP_YES);
    assert_int_equal(verdict_of("x", "", 0), GREP_NO);
    assert_int_equal(verdict_of("^$", NULL, 0), GREP_YES);
}

static void what_is_no_pattern_is_explained(void **state)
{
    (void)state;
    static const char *const bad[] = { "(", "[a", "a{2,1}", "*" };
    for (size_t i = 0; i < countof(bad); i++) {
        char why[GREP_WHY_BYTES] = "";
        assert_null(grep_new(bad[i], why));
        assert_true(strlen(why) > 10);
    }
}

/* Every begin is tried, and each goes to the end: quadratic, a hundred times the bound. */
static void steps_are_bounded(void **state)
{
    (void)state;
    const size_t len = 1u << 20;
    char *text = xcalloc(1, len);
    memset(text, 'a', len);
    assert_int_equal(verdict_of("a*a*a*[bc]", text, len), GREP_TOO_COSTLY);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_patterns_anywhere),
        cmocka_unit_test(what_is_no_pattern_is_explained),
        cmocka_unit_test(steps_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
