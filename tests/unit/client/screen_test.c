/*
 * Goal: whatever a frame holds and however small the terminal is, the terminal shows the beginning of the frame and
 * nothing of an earlier one, and never scrolls.
 * Method: a terminal of a few rows that understands the sequences in use; frames of all sizes against all sizes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/screen.h"

#define ROWS_MAX    12
#define COLUMNS_MAX 12

struct terminal {
    size_t rows, columns;
    size_t row, column;
    char cells[ROWS_MAX][COLUMNS_MAX];
};

static void line_clear(struct terminal *t, size_t row, size_t from)
{
    memset(&t->cells[row][from], ' ', t->columns - from);
}

static void sequence(struct terminal *t, const char *what)
{
    if (strcmp(what, "H") == 0) {
        t->row = t->column = 0;
    } else if (strcmp(what, "K") == 0) {
        /* A terminal that holds back the wrap stands on the last column. */
        line_clear(t, t->row, MIN(t->column, t->columns - 1));
    } else if (strcmp(what, "2J") == 0 || strcmp(what, "J") == 0) {
        size_t first = what[0] == '2' ? 0 : t->row;
        for (size_t row = first; row < t->rows; row++)
            line_clear(t, row, row == t->row && first == t->row ? t->column : 0);
    } else {
        fail_msg("sequence %s", what);
    }
}

static void terminal_eat(struct terminal *t, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char what[8] = "";
        if (text[i] == '\033') {
            size_t end = i + 2;
            assert_int_equal(text[i + 1], '[');
            while (text[end] >= '0' && text[end] <= '9')
                end++;
            memcpy(what, text + i + 2, end - i - 1);
            sequence(t, what);
            i = end;
        } else if (text[i] == '\n') {
            assert_true(t->row + 1 < t->rows); /* it would scroll */
            t->row++;
            t->column = 0;
        } else {
            assert_true(t->column < t->columns); /* it would wrap */
            t->cells[t->row][t->column++] = text[i];
        }
    }
}

/* A frame of count lines, each of letters, one letter longer than the one before. */
static char *frame_make(char letter, size_t count, size_t first_len)
{
    char *text = xcalloc(1, count * (first_len + count + 1) + 1);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(text);
        memset(text + used, letter, first_len + i);
        text[used + first_len + i] = '\n';
    }
    return text;
}

static void terminal_check(const struct terminal *t, char letter, size_t count, size_t first_len)
{
    size_t room = t->rows - 1;
    size_t shown = count <= room ? count : room > 0 ? room - 1 : 0;
    for (size_t row = 0; row < shown; row++)
        for (size_t column = 0; column < t->columns; column++)
            assert_int_equal(t->cells[row][column], column < first_len + row ? letter : ' ');
    if (shown < count && room > 0)
        assert_memory_equal(t->cells[shown], "... ", 4);
    for (size_t row = shown + (shown < count && room > 0); row < t->rows; row++)
        for (size_t column = 0; column < t->columns; column++)
            assert_int_equal(t->cells[row][column], ' ');
}

static void frames_replace_each_other(void **state)
{
    (void)state;
    for (size_t rows = 1; rows <= ROWS_MAX; rows++)
        for (size_t first = 0; first < 15; first++)
            for (size_t second = 0; second < 15; second += 2) {
                struct terminal terminal = { .rows = rows, .columns = COLUMNS_MAX };
                struct screen screen = { .rows = rows, .columns = COLUMNS_MAX };
                const size_t counts[] = { first, second };
                for (size_t i = 0; i < countof(counts); i++) {
                    char *out = NULL, *text = frame_make("ab"[i], counts[i], 2);
                    size_t len = 0;
                    FILE *to = open_memstream(&out, &len);
                    screen_draw(&screen, to, text, strlen(text));
                    (void)fclose(to);
                    terminal_eat(&terminal, out, strlen(out));
                    terminal_check(&terminal, "ab"[i], counts[i], 2);
                    free(out);
                    free(text);
                }
            }
}

static void an_unknown_size_cuts_nothing(void **state)
{
    struct screen screen = { 0 };
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);
    (void)state;
    screen_draw(&screen, to, "one\ntwo", 7);
    screen_draw(&screen, to, "", 0);
    (void)fclose(to);
    assert_string_equal(out, "\033[2J\033[Hone\033[K\ntwo\033[K\n\033[J\033[H\033[J");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_replace_each_other),
        cmocka_unit_test(an_unknown_size_cuts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
