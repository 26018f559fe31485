/* The registry of groups: where a group lives. */
#include "rig.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_live_where_java_puts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
