/* Goal: one line per message, bounded, escaped, without secrets; and the error table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/errors.h"
#include "wire/messages.h"
#include "wire/print.h"

static const struct wire_message *request_of(int16_t key)
{
    return wire_api_find(key)->request;
}

static void fields_of_the_version_are_printed(void **state)
{
    (void)state;
    char text[1000];
    struct heartbeat_request heartbeat = { .group_id = ODK_STR("g\"\n\xc3\xa4"),
                                           .generation_id = -1,
                                           .member_id = ODK_STR("") };
    size_t len = wire_print(text, sizeof(text), request_of(WIRE_KEY_HEARTBEAT), &heartbeat, 2);
    assert_string_equal(text, "HeartbeatRequest v2 {group_id=\"g\\x22\\x0a\\xc3\\xa4\", generation_id=-1, "
                              "member_id=\"\"}");
    assert_int_equal(len, strlen(text));
    (void)wire_print(text, sizeof(text), request_of(WIRE_KEY_HEARTBEAT), &heartbeat, 3);
    assert_non_null(strstr(text, "member_id=\"\", group_instance_id=null}"));
}

static void arrays_and_structs_nest(void **state)
{
    (void)state;
    char text[1000];
    int32_t partitions[] = { 1, 2 };
    struct offset_fetch_request_topic topics[] = {
        { .name = ODK_STR("a"), .partition_indexes = partitions, .partition_indexes_count = 2 },
        { .name = ODK_STR("b") }
    };
    struct offset_fetch_request request = { .group_id = ODK_STR("g"), .topics = topics, .topics_count = 2 };
    (void)wire_print(text, sizeof(text), request_of(WIRE_KEY_OFFSET_FETCH), &request, 1);
    assert_string_equal(text, "OffsetFetchRequest v1 {group_id=\"g\", topics=[{name=\"a\", partition_indexes=[1, 2]}, "
                              "{name=\"b\", partition_indexes=[]}]}");
    request.topics_count = -1;
    (void)wire_print(text, sizeof(text), request_of(WIRE_KEY_OFFSET_FETCH), &request, 2);
    assert_string_equal(text, "OffsetFetchRequest v2 {group_id=\"g\", topics=null}");
}

static void bytes_are_not_shown(void **state)
{
    (void)state;
    char text[200];
    struct sasl_authenticate_request request = { .auth_bytes = { (const uint8_t *)"secret", 6 } };
    (void)wire_print(text, sizeof(text), request_of(WIRE_KEY_SASL_AUTHENTICATE), &request, 0);
    assert_string_equal(text, "SaslAuthenticateRequest v0 {auth_bytes=<6 bytes>}");
}

static void every_capacity_is_kept(void **state)
{
    (void)state;
    struct heartbeat_request heartbeat = { .group_id = ODK_STR("group"), .member_id = ODK_STR("member") };
    for (size_t capacity = 5; capacity < 120; capacity++) {
        char text[130];
        memset(text, '#', sizeof(text));
        size_t len = wire_print(text, capacity, request_of(WIRE_KEY_HEARTBEAT), &heartbeat, 3);
        assert_true(len < capacity);
        assert_int_equal(text[len], '\0');
        assert_int_equal(text[capacity], '#');
        assert_true(text[len - 1] == '}' || strcmp(text + len - 3, "...") == 0);
    }
}

static void errors_have_names(void **state)
{
    (void)state;
    assert_string_equal(kafka_error_name(KAFKA_NONE), "NONE");
    assert_string_equal(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR");
    assert_string_equal(kafka_error_name(KAFKA_KAFKA_STORAGE_ERROR), "KAFKA_STORAGE_ERROR");
    assert_string_equal(kafka_error_name(-2), "UNKNOWN");
    assert_string_equal(kafka_error_name(KAFKA_ERROR_LAST + 1), "UNKNOWN");
    assert_true(kafka_error_is_retriable(KAFKA_LEADER_NOT_AVAILABLE));
    assert_false(kafka_error_is_retriable(KAFKA_TOPIC_ALREADY_EXISTS));
    assert_true(strlen(kafka_error_text(KAFKA_REBOOTSTRAP_REQUIRED)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_the_version_are_printed),
        cmocka_unit_test(arrays_and_structs_nest),
        cmocka_unit_test(bytes_are_not_shown),
        cmocka_unit_test(every_capacity_is_kept),
        cmocka_unit_test(errors_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
