/*
 * Goal: every form of a range means what the help says; nonsense is refused.
 * Method: tables of text and meaning; a fixed "now".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/range.h"

#define NOW_MS  INT64_C(1700000000000)
#define HOUR_MS INT64_C(3600000)

struct good {
    const char *text;
    struct range_edge from;
    bool bounded;
    struct range_edge to;
};

static const struct good goods[] = {
    { "start", { RANGE_START, 0 }, false, { 0 } },
    { "oldest", { RANGE_START, 0 }, false, { 0 } },
    { "end", { RANGE_END, 0 }, false, { 0 } },
    { "7", { RANGE_OFFSET, 7 }, false, { 0 } },
    { "7:", { RANGE_OFFSET, 7 }, false, { 0 } },
    { "+7", { RANGE_AFTER_START, 7 }, false, { 0 } },
    { "-7", { RANGE_BEFORE_END, 7 }, false, { 0 } },
    { "3:9", { RANGE_OFFSET, 3 }, true, { RANGE_OFFSET, 9 } },
    { ":9", { RANGE_START, 0 }, true, { RANGE_OFFSET, 9 } },
    { ":end", { RANGE_START, 0 }, true, { RANGE_END, 0 } },
    { "-10:-5", { RANGE_BEFORE_END, 10 }, true, { RANGE_BEFORE_END, 5 } },
    { "@1600000000000", { RANGE_TIME, INT64_C(1600000000000) }, false, { 0 } },
    { "@1600000000", { RANGE_TIME, INT64_C(1600000000000) }, false, { 0 } },
    { "@1600000000:1600000060", { RANGE_TIME, INT64_C(1600000000000) }, true, { RANGE_TIME, INT64_C(1600000060000) } },
    { "@-48h:-24h", { RANGE_TIME, NOW_MS - 48 * HOUR_MS }, true, { RANGE_TIME, NOW_MS - 24 * HOUR_MS } },
    { "@-1h", { RANGE_TIME, NOW_MS - HOUR_MS }, false, { 0 } },
    { "@-1h:", { RANGE_TIME, NOW_MS - HOUR_MS }, false, { 0 } },
    { "@-2h:30m", { RANGE_TIME, NOW_MS - 2 * HOUR_MS }, true, { RANGE_TIME, NOW_MS - 2 * HOUR_MS + HOUR_MS / 2 } },
    { "@-1h:end", { RANGE_TIME, NOW_MS - HOUR_MS }, true, { RANGE_END, 0 } },
    { "@:1600000000", { RANGE_START, 0 }, true, { RANGE_TIME, INT64_C(1600000000000) } },
    { "@1970-01-02", { RANGE_TIME, 86400000 }, false, { 0 } },
    { "@2000-02-29T12:30:01Z", { RANGE_TIME, INT64_C(951827401000) }, false, { 0 } },
    { "@2000-02-29T12:30:01.25Z:1s",
      { RANGE_TIME, INT64_C(951827401250) },
      true,
      { RANGE_TIME, INT64_C(951827402250) } },
    { "@2026-11-22:2026-11-23", { RANGE_TIME, INT64_C(1795305600000) }, true, { RANGE_TIME, INT64_C(1795392000000) } },
};

static void every_form_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(goods); i++) {
        struct range range;
        const char *why = NULL;
        if (!range_parse(goods[i].text, NOW_MS, &range, &why))
            fail_msg("%s: %s", goods[i].text, why);
        assert_int_equal(range.from.kind, goods[i].from.kind);
        assert_int_equal(range.from.value, goods[i].from.value);
        assert_int_equal(range.bounded, goods[i].bounded);
        if (range.bounded) {
            assert_int_equal(range.to.kind, goods[i].to.kind);
            assert_int_equal(range.to.value, goods[i].to.value);
        }
    }
}

static void nonsense_is_refused(void **state)
{
    static const char *const texts[] = { "",
                                         ":",
                                         "x",
                                         "1x",
                                         "1:x",
                                         "x:1",
                                         "@",
                                         "@:",
                                         "@30m",
                                         "@123",
                                         "@x",
                                         "@1600000000:x",
                                         "@2026-13-01",
                                         "@2026-11-22T25:00:00Z",
                                         "@2026-11-22T10:00:00",
                                         "--1",
                                         "99999999999999999999",
                                         "@-1h:5m:3m" };
    (void)state;
    for (size_t i = 0; i < countof(texts); i++) {
        struct range range = { .bounded = true };
        const char *why = NULL;
        if (range_parse(texts[i], NOW_MS, &range, &why))
            fail_msg("'%s' was taken", texts[i]);
        assert_non_null(why);
        assert_true(range.bounded); /* untouched */
    }
}

static void edges_stay_inside_the_log(void **state)
{
    (void)state;
    struct range_edge edge = { RANGE_START, 0 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 10);
    edge = (struct range_edge){ RANGE_END, 0 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 20);
    edge = (struct range_edge){ RANGE_OFFSET, 3 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 10);
    edge = (struct range_edge){ RANGE_OFFSET, 99 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 20);
    edge = (struct range_edge){ RANGE_AFTER_START, INT64_MAX };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 20);
    edge = (struct range_edge){ RANGE_BEFORE_END, 4 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 16);
    edge = (struct range_edge){ RANGE_BEFORE_END, 40 };
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 10);
    edge = (struct range_edge){ RANGE_TIME, 1 };
    assert_int_equal(range_resolve(&edge, 10, 20, 12), 12);
    assert_int_equal(range_resolve(&edge, 10, 20, -1), 20); /* nothing that young: the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_understood),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(edges_stay_inside_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
