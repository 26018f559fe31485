/*
 * Goal: every scenario of a reset gives the offset that Kafka's tool gives, inside the log and with the right note; its
 * CSV is read and written back; damaged files are refused with the line. Method: tables; all of a small log's offsets
 * against a formula; random bytes as files, from a fixed seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/prng.h"
#include "client/plan.h"

struct solved {
    enum plan_kind kind;
    int64_t value, current, asked;
    int64_t target;
    enum plan_note note;
};

#define START 10
#define END   20

static void scenarios_give_offsets(void **state)
{
    static const struct solved all[] = {
        { PLAN_TO_EARLIEST, 0, 15, 0, START, PLAN_PLAIN },
        { PLAN_TO_LATEST, 0, 15, 0, END, PLAN_PLAIN },
        { PLAN_TO_CURRENT, 0, 15, 0, 15, PLAN_PLAIN },
        { PLAN_TO_CURRENT, 0, 3, 0, 3, PLAN_PLAIN }, /* written down as it is */
        { PLAN_TO_CURRENT, 0, -1, 0, END, PLAN_UNCOMMITTED },
        { PLAN_TO_OFFSET, 12, -1, 0, 12, PLAN_PLAIN },
        { PLAN_TO_OFFSET, 0, -1, 0, START, PLAN_RAISED },
        { PLAN_TO_OFFSET, INT64_MAX, 15, 0, END, PLAN_LOWERED },
        { PLAN_SHIFT_BY, -2, 15, 0, 13, PLAN_PLAIN },
        { PLAN_SHIFT_BY, -6, 15, 0, START, PLAN_RAISED },
        { PLAN_SHIFT_BY, 6, 15, 0, END, PLAN_LOWERED },
        { PLAN_SHIFT_BY, INT64_MAX, 15, 0, END, PLAN_LOWERED },
        { PLAN_SHIFT_BY, -INT64_MAX, 15, 0, START, PLAN_RAISED },
        { PLAN_SHIFT_BY, 0, 3, 0, START, PLAN_RAISED },
        { PLAN_TO_MOMENT, 1, 15, 17, 17, PLAN_PLAIN },
        { PLAN_TO_MOMENT, 1, 15, -1, END, PLAN_TOO_YOUNG },
        { PLAN_FROM_FILE, 0, 15, 11, 11, PLAN_PLAIN },
        { PLAN_FROM_FILE, 0, 15, 21, END, PLAN_LOWERED },
        { PLAN_FROM_FILE, 0, 15, 9, START, PLAN_RAISED },
    };
    (void)state;
    for (size_t i = 0; i < countof(all); i++) {
        struct plan_scenario scenario = { all[i].kind, all[i].value };
        struct plan_row row = { .current = all[i].current, .start = START, .end = END, .asked = all[i].asked };
        assert_true(plan_solve(&scenario, &row));
        if (row.target != all[i].target || row.note != all[i].note)
            fail_msg("case %zu: %lld, note %d", i, (long long)row.target, row.note);
    }
}

static void a_shift_needs_something_committed(void **state)
{
    struct plan_scenario scenario = { PLAN_SHIFT_BY, 1 };
    struct plan_row row = { .current = -1, .start = START, .end = END };
    (void)state;
    assert_false(plan_solve(&scenario, &row));
}

static void every_offset_ends_in_the_log(void **state)
{
    (void)state;
    for (int64_t wanted = 0; wanted < 40; wanted++) {
        struct plan_scenario scenario = { PLAN_TO_OFFSET, wanted };
        struct plan_row row = { .current = 12, .start = START, .end = END };
        int64_t change;
        assert_true(plan_solve(&scenario, &row));
        assert_int_equal(row.target, wanted < START ? START : wanted > END ? END : wanted);
        assert_int_equal(row.note == PLAN_PLAIN, wanted >= START && wanted <= END);
        assert_true(plan_change(&row, &change));
        assert_int_equal(12 + change, row.target);
    }
    struct plan_row fresh = { .current = -1, .target = 3 };
    int64_t change;
    assert_false(plan_change(&fresh, &change));
}

static bool read_csv(const char *text, struct arena *arena, struct plan_row **rows, size_t *count, char *why)
{
    return plan_csv_read(odk_str_from(text), ODK_STR("g"), arena, rows, count, why, 400);
}

static void both_shapes_of_files_are_read(void **state)
{
    struct arena arena = { 0 };
    struct plan_row *rows;
    size_t count;
    char why[400] = "";
    (void)state;
    assert_true(read_csv("b,1,7\na,2,0\r\n\na,0,9223372036854775807", &arena, &rows, &count, why));
    assert_int_equal(count, 3);
    assert_true(odk_str_eq(rows[0].topic, ODK_STR("a")) && rows[0].partition == 0 && rows[0].asked == INT64_MAX);
    assert_true(odk_str_eq(rows[1].topic, ODK_STR("a")) && rows[1].partition == 2 && rows[1].asked == 0);
    assert_true(odk_str_eq(rows[2].topic, ODK_STR("b")) && rows[2].partition == 1 && rows[2].asked == 7);
    assert_true(read_csv("g,a,1,7\nother,a,2,8\n\"g\",\"a\",3,9\n\"g\"\"\",a,4,9\n", &arena, &rows, &count, why));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].partition, 1);
    assert_int_equal(rows[1].partition, 3);
    assert_true(odk_str_eq(rows[1].topic, ODK_STR("a")));
    assert_true(read_csv("", &arena, &rows, &count, why));
    assert_int_equal(count, 0);
    arena_deinit(&arena);
}

static void damaged_files_are_refused_with_the_line(void **state)
{
    static const char *const texts[] = { "a,1,7\na,1",        "a,1,7\na,x,7",          "a,1,7\na,1,-7",
                                         "a,1,7\n,1,7",       "a,1,7\ng,a,1,7,9",      "a,1,7\n\"a,1,7",
                                         "a,1,7\n\"a\"x,2,7", "a,1,7\na,2147483648,1", "a,1,7\na,2,9223372036854775808",
                                         "a,1,7\na,2,",       "a,1,7\na, 2,7",         "a,1,7\n\"" };
    struct arena arena = { 0 };
    struct plan_row *rows;
    size_t count;
    char why[400];
    (void)state;
    for (size_t i = 0; i < countof(texts); i++) {
        if (read_csv(texts[i], &arena, &rows, &count, why))
            fail_msg("'%s' was taken", texts[i]);
        assert_non_null(strstr(why, "line 2"));
    }
    assert_false(read_csv("a,1,7\nb,1,7\na,1,8", &arena, &rows, &count, why));
    assert_string_equal(why, "partition 1 of topic a is there twice");
    arena_deinit(&arena);
}

static void what_is_written_is_read_back(void **state)
{
    static const struct plan_row plan[] = { { .topic = { "a", 1 }, .partition = 0, .target = 5 },
                                            { .topic = { "a", 1 }, .partition = 1, .target = INT64_MAX },
                                            { .topic = { "b,\"c\"", 5 }, .partition = 0, .target = 0 } };
    struct arena arena = { 0 };
    struct plan_row *rows;
    size_t count, len;
    char why[400] = "", *text;
    FILE *to = open_memstream(&text, &len);
    (void)state;
    for (size_t i = 0; i < countof(plan); i++)
        plan_csv_write(to, &plan[i]);
    (void)fclose(to);
    assert_string_equal(text, "a,0,5\na,1,9223372036854775807\n\"b,\"\"c\"\"\",0,0\n");
    assert_true(read_csv(text, &arena, &rows, &count, why));
    assert_int_equal(count, countof(plan));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(plan_row_order(&rows[i], &plan[i]), 0);
        assert_int_equal(rows[i].asked, plan[i].target);
    }
    free(text);
    arena_deinit(&arena);
}

/* Whatever the bytes, the reader stays inside them (the sanitizers watch) and gives sane rows or a sentence. */
static void random_files_do_no_harm(void **state)
{
    static const char letters[] = "ag,\"\"019\n\r-";
    struct prng prng = { .state = 20261122 };
    size_t taken = 0;
    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct arena arena = { 0 };
        struct plan_row *rows;
        size_t count, len = prng_below(&prng, 40);
        char why[400] = "";
        char *text = malloc(len ? len : 1); /* exactly as long: an overrun is seen */
        for (size_t i = 0; i < len; i++)
            text[i] = letters[prng_below(&prng, sizeof(letters) - 1)];
        if (plan_csv_read((struct odk_str){ text, len }, ODK_STR("g"), &arena, &rows, &count, why, sizeof(why))) {
            taken++;
            for (size_t i = 0; i < count; i++)
                assert_true(rows[i].topic.len > 0 && rows[i].partition >= 0 && rows[i].asked >= 0);
        } else {
            assert_true(why[0] != '\0');
        }
        free(text);
        arena_deinit(&arena);
    }
    assert_in_range(taken, 100, 19900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenarios_give_offsets),
        cmocka_unit_test(a_shift_needs_something_committed),
        cmocka_unit_test(every_offset_ends_in_the_log),
        cmocka_unit_test(both_shapes_of_files_are_read),
        cmocka_unit_test(damaged_files_are_refused_with_the_line),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(random_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
