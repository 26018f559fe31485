/*
 * Goal: epochs begin, end and are written as Kafka's are.
 * Method: the rules one by one; a file that Kafka wrote; spoilt files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "golden_kafka.h"
#include "store/epochs.h"
#include "views.h"

static void assert_end(const struct epochs *epochs, int32_t epoch, int32_t want_epoch, int64_t want_end)
{
    int32_t ret_epoch;
    int64_t ret_end;
    epochs_end_of(epochs, epoch, 1000, &ret_epoch, &ret_end);
    assert_int_equal(ret_epoch, want_epoch);
    assert_int_equal(ret_end, want_end);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    struct epochs epochs = { 0 };
    assert_int_equal(epochs_latest(&epochs), -1);
    assert_int_equal(epochs_of(&epochs, 0), -1);
    assert_end(&epochs, 0, -1, -1);
    assert_false(epochs_truncate_end(&epochs, 0));
    assert_false(epochs_truncate_start(&epochs, 10));
    epochs_deinit(&epochs);
}

static struct epochs two_five_nine(void)
{
    struct epochs epochs = { 0 };
    assert_true(epochs_assign(&epochs, 2, 10));
    assert_true(epochs_assign(&epochs, 5, 20));
    assert_true(epochs_assign(&epochs, 9, 30));
    return epochs;
}

static void an_epoch_ends_where_the_next_begins(void **state)
{
    (void)state;
    struct epochs epochs = two_five_nine();
    assert_end(&epochs, 9, 9, 1000);
    assert_end(&epochs, 10, -1, -1);
    assert_end(&epochs, -1, -1, -1);
    assert_end(&epochs, 8, 5, 30);
    assert_end(&epochs, 5, 5, 30);
    assert_end(&epochs, 2, 2, 20);
    assert_end(&epochs, 1, 1, 10);
    assert_int_equal(epochs_of(&epochs, 9), -1);
    assert_int_equal(epochs_of(&epochs, 10), 2);
    assert_int_equal(epochs_of(&epochs, 29), 5);
    assert_int_equal(epochs_of(&epochs, INT64_MAX), 9);
    epochs_deinit(&epochs);
}

static void a_contradiction_removes_what_it_contradicts(void **state)
{
    (void)state;
    struct epochs epochs = two_five_nine();
    assert_false(epochs_assign(&epochs, 9, 40)); /* known */
    assert_true(epochs_assign(&epochs, 10, 30)); /* nothing was written under 9 */
    assert_int_equal(epochs.count, 3);
    assert_true(epochs_assign(&epochs, 5, 50));
    assert_int_equal(epochs.count, 2);
    assert_int_equal(epochs_of(&epochs, 49), 2);
    assert_true(epochs_assign(&epochs, 7, 0));
    assert_int_equal(epochs.count, 1);
    assert_int_equal(epochs_of(&epochs, 0), 7);
    epochs_deinit(&epochs);
}

static void truncation_follows_the_log(void **state)
{
    (void)state;
    struct epochs epochs = two_five_nine();
    assert_false(epochs_truncate_end(&epochs, 31));
    assert_true(epochs_truncate_end(&epochs, 30));
    assert_int_equal(epochs_latest(&epochs), 5);
    assert_false(epochs_truncate_start(&epochs, 10));
    assert_true(epochs_truncate_start(&epochs, 15));
    assert_end(&epochs, 0, 0, 15);
    assert_int_equal(epochs_of(&epochs, 14), -1);
    assert_true(epochs_truncate_start(&epochs, 20));
    assert_int_equal(epochs.count, 1);
    assert_true(epochs_truncate_start(&epochs, 500));
    assert_int_equal(epochs.entries[0].start_offset, 500);
    assert_int_equal(epochs_latest(&epochs), 5);
    epochs_deinit(&epochs);
}

static void file_is_kafkas(void **state)
{
    (void)state;
    struct epochs epochs = { 0 };
    char *text;
    size_t len;
    assert_int_equal(epochs_parse(&epochs, VIEW(golden_epochs)), ODK_OK);
    assert_int_equal(epochs.count, 3);
    assert_int_equal(epochs_of(&epochs, 9000000000), 5);
    assert_int_equal(epochs_of(&epochs, 8999999999), 2);
    epochs_print(&epochs, &text, &len);
    assert_int_equal(len, sizeof(golden_epochs));
    assert_memory_equal(text, golden_epochs, len);
    free(text);
    epochs_deinit(&epochs);
}

static void bad_files_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0",
        "0\n",
        "0\n1\n",
        "0\n1\n5\n",
        "0\n1\n5 x\n",
        "0\n1\n5 6 7\n",
        "0\n0\n5 6\n",
        "0\n2\n5 6\n4 7\n",
        "0\n2\n5 6\n6 6\n",
        "0\n1\n-5 6\n",
        "0\n1\n5 -6\n",
        "0\n1\n2147483648 6\n",
        "0\n1\n5 9223372036854775808\n",
        "0\n9999999999\n5 6\n",
        "x\n1\n5 6\n",
        "0\n1\n5 6\njunk",
    };
    struct epochs epochs = two_five_nine();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct odk_bytes text = { (const uint8_t *)bad[i], strlen(bad[i]) };
        uint8_t *copy = copy_of(text);
        assert_int_equal(epochs_parse(&epochs, (struct odk_bytes){ copy, text.len }), ODK_ERR_CORRUPT);
        free(copy);
    }
    assert_int_equal(epochs_parse(&epochs, (struct odk_bytes){ (const uint8_t *)"1\n0\n", 4 }), ODK_ERR_VERSION);
    assert_int_equal(epochs.count, 3);
    assert_int_equal(epochs_parse(&epochs, (struct odk_bytes){ (const uint8_t *)"0\n0\n", 4 }), ODK_OK);
    assert_int_equal(epochs.count, 0);
    epochs_deinit(&epochs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(an_epoch_ends_where_the_next_begins),
        cmocka_unit_test(a_contradiction_removes_what_it_contradicts),
        cmocka_unit_test(truncation_follows_the_log),
        cmocka_unit_test(file_is_kafkas),
        cmocka_unit_test(bad_files_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
