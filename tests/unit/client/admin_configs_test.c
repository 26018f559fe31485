/* Settings on the command line: how changes are written, and what the protocol's numbers are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/admin_configs.h"

static void changes_are_key_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum admin_how how;
        bool good;
        const char *key, *value; /* value NULL: none */
    } rows[] = {
        { "a.b=1", ADMIN_SET, true, "a.b", "1" },     { "a.b=", ADMIN_SET, true, "a.b", "" },
        { "a=b=c", ADMIN_APPEND, true, "a", "b=c" },  { "a", ADMIN_SET, false, NULL, NULL },
        { "=1", ADMIN_SET, false, NULL, NULL },       { "", ADMIN_SET, false, NULL, NULL },
        { "a.b", ADMIN_DELETE, true, "a.b", NULL },   { "a.b=1", ADMIN_DELETE, false, NULL, NULL },
        { "", ADMIN_DELETE, false, NULL, NULL },      { "x=1,2", ADMIN_SUBTRACT, true, "x", "1,2" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct admin_change change;
        assert_int_equal(admin_change_parse(rows[i].text, rows[i].how, &change), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_int_equal(change.how, rows[i].how);
        assert_true(odk_str_eq(change.key, odk_str_from(rows[i].key)));
        assert_int_equal(change.value.data != NULL, rows[i].value != NULL);
        if (rows[i].value)
            assert_true(odk_str_eq(change.value, odk_str_from(rows[i].value)));
    }
}

static void numbers_have_names(void **state)
{
    (void)state;
    static const char *const sources[] = { "unknown", "topic",   "broker",  "brokers", "start",
                                           "default", "unknown", "unknown", "group",   "unknown" };
    for (int8_t i = 0; i < (int8_t)countof(sources); i++)
        assert_string_equal(admin_config_source_name(i), sources[i]);
    assert_string_equal(admin_config_source_name(-1), "unknown");
    assert_string_equal(admin_config_type_name(2), "topic");
    assert_string_equal(admin_config_type_name(32), "group");
    assert_null(admin_config_type_name(16));
}

static bool given(enum admin_config_type type, int8_t source)
{
    struct describe_configs_response_config config;
    describe_configs_response_config_init(&config);
    config.config_source = source;
    return admin_config_is_given(type, &config);
}

static void what_is_given_is_told_from_what_is_inherited(void **state)
{
    (void)state;
    for (int8_t source = 1; source <= 8; source++) {
        assert_int_equal(given(ADMIN_CONFIG_TOPIC, source), source == 1);
        assert_int_equal(given(ADMIN_CONFIG_GROUP, source), source == 8);
        assert_int_equal(given(ADMIN_CONFIG_BROKER, source), source != 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_key_and_value),
        cmocka_unit_test(numbers_have_names),
        cmocka_unit_test(what_is_given_is_told_from_what_is_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
