/*
 * Goal: moments and durations are read as Kafka's tools and ISO 8601 mean them; everything else is refused.
 * Method: tables of text and meaning; dates against values of date(1), durations against java.time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/moment.h"

#define DAY_MS INT64_C(86400000)

struct meaning {
    const char *text;
    int64_t ms;
};

typedef bool parser(const char *text, int64_t *ret);

static void all_mean(const struct meaning *meanings, size_t count, parser *parse)
{
    for (size_t i = 0; i < count; i++) {
        int64_t ms = -1;
        if (!parse(meanings[i].text, &ms) || ms != meanings[i].ms)
            fail_msg("'%s' is %lld, not %lld", meanings[i].text, (long long)ms, (long long)meanings[i].ms);
    }
}

static void all_refused(const char *const *texts, size_t count, parser *parse)
{
    for (size_t i = 0; i < count; i++) {
        int64_t ms = 4711;
        if (parse(texts[i], &ms))
            fail_msg("'%s' was taken", texts[i]);
    }
}

static void moments_are_read(void **state)
{
    static const struct meaning meanings[] = {
        { "1970-01-01", 0 },
        { "2026-11-22", INT64_C(1795305600000) },
        { "2026-11-22T10:00", INT64_C(1795341600000) },
        { "2026-11-22T10:00:00", INT64_C(1795341600000) },
        { "2026-11-22T10:00:00Z", INT64_C(1795341600000) },
        { "2026-11-22T10:00:00.000", INT64_C(1795341600000) },
        { "2026-11-22T10:00:00.123456Z", INT64_C(1795341600123) },
        { "2026-11-22T10:00:00.5", INT64_C(1795341600500) },
        { "2026-11-22T12:00:00+02:00", INT64_C(1795341600000) },
        { "2026-11-22T12:00:00.000+0200", INT64_C(1795341600000) },
        { "2026-11-22T12:00+02", INT64_C(1795341600000) },
        { "2026-11-22T04:30:00-05:30", INT64_C(1795341600000) },
        { "2000-02-29", INT64_C(951782400000) },
        { "2024-02-29", INT64_C(1709164800000) },
        { "2023-12-31T23:59:59.999", INT64_C(1704067199999) },
        { "1969-12-31T23:59:59", -1000 },
        { "1600-02-29", INT64_C(-11670998400000) },
    };
    (void)state;
    all_mean(meanings, countof(meanings), moment_parse);
}

static void other_texts_are_no_moments(void **state)
{
    static const char *const texts[] = { "",
                                         "2026",
                                         "2026-11",
                                         "2026-13-01",
                                         "2026-00-01",
                                         "2026-11-31",
                                         "2026-02-29",
                                         "1900-02-29",
                                         "2026-11-00",
                                         "2026-11-22T",
                                         "2026-11-22T10",
                                         "2026-11-22T24:00:00",
                                         "2026-11-22T10:60:00",
                                         "2026-11-22T10:00:61",
                                         "2026-11-22T10:00:00.",
                                         "2026-11-22T10:00:00.x",
                                         "2026-11-22T10:00:00z",
                                         "2026-11-22T10:00:00+",
                                         "2026-11-22T10:00:00+2",
                                         "2026-11-22T10:00:00+02:",
                                         "2026-11-22T10:00:00+02:60",
                                         "2026-11-22T10:00:00+19:00",
                                         "2026-11-22T10:00:00Zx",
                                         "2026-11-22 10:00:00",
                                         " 2026-11-22",
                                         "2026-11-22 ",
                                         "+2026-11-22",
                                         "1795341600000" };
    (void)state;
    all_refused(texts, countof(texts), moment_parse);
}

static void durations_are_read(void **state)
{
    static const struct meaning meanings[] = {
        { "PT0S", 0 },
        { "P1D", DAY_MS },
        { "P7D", 7 * DAY_MS },
        { "P2W", 14 * DAY_MS },
        { "PT1H", 3600000 },
        { "PT1H30M", 5400000 },
        { "P1DT12H", DAY_MS + 43200000 },
        { "PT90M", 5400000 },
        { "PT0.5S", 500 },
        { "PT0,25S", 250 },
        { "PT1.2345S", 1234 },
        { "pt20m", 1200000 },
        { "-PT1H", -3600000 },
        { "+PT1H", 3600000 },
        { "PT-6H3M", -21600000 + 180000 },
        { "-PT-6H+3M", 21600000 - 180000 },
        { "PT-0.5S", -500 },
        { "P1W1DT1H1M1S", 8 * DAY_MS + 3661000 },
    };
    (void)state;
    all_mean(meanings, countof(meanings), moment_duration);
}

static void other_texts_are_no_durations(void **state)
{
    static const char *const texts[] = { "",
                                         "P",
                                         "PT",
                                         "P1",
                                         "PT1",
                                         "1H",
                                         "T1H",
                                         "P1H",
                                         "PT1D",
                                         "P1Y",
                                         "P1M",
                                         "PT1H1",
                                         "PT1S1",
                                         "PT1M1H",
                                         "P1D1D",
                                         "PT1.5H",
                                         "P1DT",
                                         "P 1D",
                                         "PT1H ",
                                         "--PT1H",
                                         "PTS",
                                         "PT.5S",
                                         "P1DT1HT1M",
                                         "PT9999999999999999H",
                                         "P999999999999999W",
                                         "PT999999999999999H" };
    (void)state;
    all_refused(texts, countof(texts), moment_duration);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(other_texts_are_no_moments),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(other_texts_are_no_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
