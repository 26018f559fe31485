/*
 * Goal: what the commands print is exactly what was promised: JSON stays valid whatever the bytes, formats expand their
 * tokens, tables line up and let no control byte through; lines are cut as they come.
 * Method: output into memory, compared as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/args.h"
#include "client/format.h"
#include "client/json.h"
#include "client/lines.h"
#include "client/table.h"

struct sink {
    FILE *to;
    char *text;
    size_t len;
};

static void sink_open(struct sink *sink)
{
    sink->to = open_memstream(&sink->text, &sink->len);
    assert_non_null(sink->to);
}

static void sink_check(struct sink *sink, const char *want)
{
    (void)fclose(sink->to);
    assert_string_equal(sink->text, want);
    free(sink->text);
}

static void json_nests_and_separates(void **state)
{
    (void)state;
    struct sink sink;
    struct json json;
    sink_open(&sink);
    json_init(&json, sink.to);
    json_object(&json, NULL);
    json_int(&json, "a", -5);
    json_array(&json, "b");
    json_int(&json, NULL, 1);
    json_object(&json, NULL);
    json_end(&json);
    json_bool(&json, NULL, true);
    json_end(&json);
    json_text(&json, "c", NULL);
    json_end(&json);
    json_line(&json);
    json_array(&json, NULL);
    json_end(&json);
    json_line(&json);
    sink_check(&sink, "{\"a\":-5,\"b\":[1,{},true],\"c\":null}\n[]\n");
}

static void json_survives_any_bytes(void **state)
{
    (void)state;
    struct sink sink;
    struct json json;
    sink_open(&sink);
    json_init(&json, sink.to);
    json_array(&json, NULL);
    json_str(&json, NULL,
             ODK_STR("q\"b\\n\nt\tz\x01"
                     "d\x7f"));
    json_str(&json, NULL, ODK_STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    json_str(&json, NULL, ODK_STR("\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80"));
    json_str(&json, NULL, (struct odk_str){ "\0x", 2 });
    json_end(&json);
    sink_check(&sink,
               "[\"q\\\"b\\\\n\\nt\\tz\\u0001d\\u007f\",\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\","
               "\"\\ufffd|\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd\",\"\\u0000x\"]");
}

static void base64_pads(void **state)
{
    static const struct {
        const char *bytes;
        const char *want;
    } cases[] = {
        { "", "\"\"" }, { "f", "\"Zg==\"" }, { "fo", "\"Zm8=\"" }, { "foo", "\"Zm9v\"" }, { "foob", "\"Zm9vYg==\"" }
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct sink sink;
        struct json json;
        struct odk_str text = odk_str_from(cases[i].bytes);
        sink_open(&sink);
        json_init(&json, sink.to);
        json_base64(&json, NULL, (struct odk_bytes){ (const uint8_t *)text.data, text.len });
        sink_check(&sink, cases[i].want);
    }
}

static struct odk_bytes bytes_of(const char *text)
{
    return (struct odk_bytes){ (const uint8_t *)text, strlen(text) };
}

static void formats_expand(void **state)
{
    (void)state;
    struct sink sink;
    const struct format_header headers[] = { { ODK_STR("a"), bytes_of("1") }, { ODK_STR("b"), { 0 } } };
    struct format_record record = { .topic = ODK_STR("t"),
                                    .partition = 3,
                                    .offset = 42,
                                    .timestamp_ms = 1700000000000,
                                    .key = { 0 },
                                    .value = bytes_of("hey"),
                                    .headers = headers,
                                    .header_count = 2 };
    const char *format = "%t[%p]@%o %T k=%k(%K) v=%s(%S) %h 100%%\\t\\x41\\n";
    assert_null(format_check(format));
    sink_open(&sink);
    format_write(sink.to, format, &record);
    sink_check(&sink, "t[3]@42 1700000000000 k=(-1) v=hey(3) a=1,b=NULL 100%\tA\n");
    assert_non_null(format_check("%"));
    assert_non_null(format_check("%y"));
    assert_non_null(format_check("\\q"));
    assert_non_null(format_check("\\x4"));
    assert_non_null(format_check("tail\\"));
}

static void tables_line_up_and_escape(void **state)
{
    static const char *const heads[] = { "NAME", "N" };
    (void)state;
    struct sink sink;
    struct table table;
    sink_open(&sink);
    table_init(&table, heads, 2);
    table_text(&table, "long-name");
    table_int(&table, 7);
    table_text(&table, "\x1b[31m");
    table_int_or_dash(&table, -1);
    table_print(&table, sink.to, TABLE_HEADS);
    sink_check(&sink, "NAME       N\nlong-name  7\n\\x1b[31m   -\n");
}

static void durations_and_numbers_are_strict(void **state)
{
    int64_t value = 0;
    (void)state;
    assert_true(args_ms("250ms", &value) && value == 250);
    assert_true(args_ms("5s", &value) && value == 5000);
    assert_true(args_ms("2m", &value) && value == 120000);
    assert_true(args_ms("1h", &value) && value == 3600000);
    assert_true(args_ms("7d", &value) && value == 604800000);
    assert_true(args_ms("17", &value) && value == 17);
    assert_false(args_ms("", &value));
    assert_false(args_ms("5 s", &value));
    assert_false(args_ms("s", &value));
    assert_false(args_ms("9223372036854775807d", &value));
    assert_true(args_int("-9", &value) && value == -9);
    assert_false(args_int("9x", &value));
    assert_false(args_int(" 9", &value));
    assert_false(args_int("99999999999999999999", &value));
}

static void lines_are_cut(void **state)
{
    (void)state;
    int fds[2], stop[2];
    struct lines lines;
    const char *line;
    size_t len;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pipe(stop), 0);
    lines_init(&lines, fds[0], stop[0]);
    assert_int_equal(write(fds[1], "one\n\ntwo", 8), 8);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_LINE);
    assert_memory_equal(line, "one", 3);
    assert_int_equal(len, 3);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_LINE);
    assert_int_equal(len, 0);
    assert_int_equal(close(fds[1]), 0);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_LINE);
    assert_int_equal(len, 3);
    assert_memory_equal(line, "two", 3);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_END);
    lines_deinit(&lines);
    (void)close(fds[0]);

    assert_int_equal(pipe(fds), 0);
    lines_init(&lines, fds[0], stop[0]);
    assert_int_equal(write(stop[1], "x", 1), 1);
    assert_int_equal(lines_next(&lines, &line, &len), LINES_STOPPED);
    lines_deinit(&lines);
    for (size_t i = 0; i < 2; i++) {
        (void)close(fds[i]);
        (void)close(stop[i]);
    }
}

static void options_fill_their_variables(void **state)
{
    (void)state;
    bool flag = false;
    int64_t number = 5;
    const char *text = NULL;
    struct args_list list = { 0 };
    const struct args_option options[] = {
        { "flag", 'f', ARGS_FLAG, NULL, "", &flag },
        { "number", 'n', ARGS_INT, "N", "", &number, 1, 10 },
        { "text", 't', ARGS_TEXT, "T", "", &text },
        { "list", 'l', ARGS_LIST, "L", "", &list },
    };
    struct args_spec spec = { "verb", "", "NAME", options, countof(options), 1, 2, NULL };
    struct args_operands operands;
    char *argv[] = { (char[]){ "verb" },
                     (char[]){ "-l" },
                     (char[]){ "a" },
                     (char[]){ "name" },
                     (char[]){ "--list=b" },
                     (char[]){ "-fn3" },
                     (char[]){ "--text" },
                     (char[]){ "x" },
                     (char[]){ "--" },
                     (char[]){ "-z" },
                     NULL };
    assert_int_equal(args_parse(&spec, 10, argv, &operands), ARGS_GO_ON);
    assert_true(flag);
    assert_int_equal(number, 3);
    assert_string_equal(text, "x");
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1], "b");
    assert_int_equal(operands.count, 2);
    assert_string_equal(operands.items[0], "name");
    assert_string_equal(operands.items[1], "-z");
    args_list_deinit(&list);
}

static void mistakes_are_usage(void **state)
{
    (void)state;
    int64_t number = 5;
    const struct args_option options[] = { { "number", 'n', ARGS_INT, "N", "", &number, 1, 10 } };
    struct args_spec spec = { "verb", "", "NAME", options, countof(options), 1, 1, NULL };
    struct args_operands operands;
    char *cases[][4] = {
        { (char[]){ "verb" }, (char[]){ "-n" }, (char[]){ "11" }, (char[]){ "x" } },
        { (char[]){ "verb" }, (char[]){ "-n" }, (char[]){ "q" }, (char[]){ "x" } },
        { (char[]){ "verb" }, (char[]){ "x" }, (char[]){ "y" }, (char[]){ "z" } },
        { (char[]){ "verb" }, (char[]){ "--nope" }, (char[]){ "x" }, (char[]){ "z" } },
        { (char[]){ "verb" }, (char[]){ "-q" }, (char[]){ "x" }, (char[]){ "z" } },
        { (char[]){ "verb" }, (char[]){ "x" }, (char[]){ "-n" }, NULL },
        { (char[]){ "verb" }, NULL, NULL, NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        int argc = 0;
        while (argc < 4 && cases[i][argc])
            argc++;
        char *argv[5] = { cases[i][0], cases[i][1], cases[i][2], cases[i][3], NULL };
        assert_int_equal(args_parse(&spec, argc, argv, &operands), EXIT_CODE_USAGE);
    }
    assert_int_equal(number, 5);
}

static void values_may_be_left_out(void **state)
{
    static const struct {
        const char *argv[5];
        const char *value;
        size_t operands;
    } cases[] = {
        { { "verb", "x", "y" }, NULL, 2 },
        { { "verb", "--watch", "x", "y" }, "2", 2 },
        { { "verb", "x", "--watch", "5" }, "5", 1 },
        { { "verb", "--watch", "5s", "x" }, "5s", 1 },
        { { "verb", "--watch=7", "5s", "x" }, "7", 2 },
        { { "verb", "x", "-w" }, "2", 1 },
        { { "verb", "x", "-w9" }, "9", 1 },
        { { "verb", "--watch", "--", "5" }, "2", 1 },
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        const char *value = NULL;
        const struct args_option options[] = { { "watch", 'w', ARGS_TEXT, "[S]", "", &value, .otherwise = "2" } };
        struct args_spec spec = { "verb", "", "NAME...", options, countof(options), 1, 9, NULL };
        struct args_operands operands;
        char words[5][16] = { "" }, *argv[6] = { NULL };
        int argc = 0;
        for (; argc < 5 && cases[i].argv[argc]; argc++) {
            (void)snprintf(words[argc], sizeof(words[argc]), "%s", cases[i].argv[argc]);
            argv[argc] = words[argc];
        }
        assert_int_equal(args_parse(&spec, argc, argv, &operands), ARGS_GO_ON);
        assert_int_equal(operands.count, cases[i].operands);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        else
            assert_null(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_nests_and_separates),
        cmocka_unit_test(json_survives_any_bytes),
        cmocka_unit_test(base64_pads),
        cmocka_unit_test(formats_expand),
        cmocka_unit_test(tables_line_up_and_escape),
        cmocka_unit_test(durations_and_numbers_are_strict),
        cmocka_unit_test(lines_are_cut),
        cmocka_unit_test(options_fill_their_variables),
        cmocka_unit_test(mistakes_are_usage),
        cmocka_unit_test(values_may_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
