/* Dispatch: what is offered, what is refused, and how. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "broker/api.h"
#include "broker/feature_levels.h"

static struct api_versions_response api_versions(struct harness *harness, int16_t version,
                                                 const struct api_versions_request *request)
{
    struct api_versions_response response;
    assert_int_equal(harness_call(harness, 0, WIRE_KEY_API_VERSIONS, version, request, &response), REQUEST_REPLY);
    return response;
}

static struct api_versions_request named_client(void)
{
    struct api_versions_request request;
    api_versions_request_init(&request);
    request.client_software_name = ODK_STR("unit-test");
    request.client_software_version = ODK_STR("1.0");
    return request;
}

static void api_versions_lists_what_has_a_handler(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct api_versions_request request = named_client();
    uint32_t count;
    const struct api *rows = api_rows(&count);
    for (int16_t version = 0; version <= 4; version++) {
        struct api_versions_response response = api_versions(harness, version, &request);
        assert_int_equal(response.error_code, KAFKA_NONE);
        assert_int_equal(response.api_keys_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(response.api_keys[i].api_key, rows[i].key);
            if (i > 0)
                assert_true(rows[i - 1].key < rows[i].key);
        }
        assert_int_equal(response.api_keys[0].api_key, WIRE_KEY_PRODUCE);
        assert_int_equal(response.api_keys[0].min_version, 0);
    }
    harness_free(harness);
}

/* Clients of before version 4 cannot read a range that begins at 0; a level of 0 is one that is not on. */
static void features_are_shown_as_each_version_can_read_them(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    struct api_versions_request request = named_client();
    uint32_t count;
    const struct feature *rows = feature_rows(&count);
    for (int16_t version = 0; version <= 4; version++) {
        struct api_versions_response got = api_versions(harness, version, &request);
        int32_t supported = 0, finalized = 0;
        for (uint32_t i = 0; i < count && version >= 3; i++) {
            if (rows[i].first > 0 || version >= 4) {
                assert_true(odk_str_eq(got.supported_features[supported].name, odk_str_from(rows[i].name)));
                assert_int_equal(got.supported_features[supported].min_version, rows[i].first);
                assert_int_equal(got.supported_features[supported++].max_version, rows[i].last);
            }
            if (rows[i].level > 0) {
                assert_true(odk_str_eq(got.finalized_features[finalized].name, odk_str_from(rows[i].name)));
                assert_int_equal(got.finalized_features[finalized++].max_version_level, rows[i].level);
            }
        }
        assert_int_equal(got.supported_features_count, supported);
        assert_int_equal(got.finalized_features_count, finalized);
        assert_int_equal(got.finalized_features_epoch, version >= 3 ? 0 : -1);
    }
    harness_free(harness);
    harness = harness_new(1, "group.coordinator.rebalance.protocols=classic\n"); /* the newer group protocol is off */
    struct api_versions_response got = api_versions(harness, 4, &request);
    assert_int_equal(got.supported_features_count, count);
    assert_int_equal(got.finalized_features_count, count - 1);
    assert_true(odk_str_eq(got.finalized_features[0].name, ODK_STR("metadata.version")));
    harness_free(harness);
}

static void unknown_version_of_api_versions_gets_version_0_with_35(void **state)
{
    (void)state;
    static const uint8_t frame[] = { 0, 18, 0, 99, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7 };
    static const uint8_t expected[] = { 0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5 };
    struct harness *harness = harness_new(1, NULL);
    uint8_t *reply;
    size_t len;
    assert_int_equal(harness_raw(harness, frame, sizeof(frame), &reply, &len), REQUEST_REPLY);
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(reply, expected, sizeof(expected));
    free(reply);
    harness_free(harness);
}

static void software_names_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int16_t error;
    } rows[] = { { "a", KAFKA_NONE },
                 { "apache-kafka.java", KAFKA_NONE },
                 { "", KAFKA_INVALID_REQUEST },
                 { "-a", KAFKA_INVALID_REQUEST },
                 { "a.", KAFKA_INVALID_REQUEST },
                 { "a b", KAFKA_INVALID_REQUEST } };
    struct harness *harness = harness_new(1, NULL);
    for (size_t i = 0; i < countof(rows); i++) {
        struct api_versions_request request = named_client();
        request.client_software_name = odk_str_from(rows[i].name);
        assert_int_equal(api_versions(harness, 3, &request).error_code, rows[i].error);
    }
    harness_free(harness);
}

static void another_cluster_or_node_is_told_to_start_over(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1, NULL);
    char cluster[UUID_TEXT_LEN + 1];
    uuid_print(harness->shards[0].broker->env.identity.cluster_id, cluster);
    struct api_versions_request request = named_client();
    assert_int_equal(api_versions(harness, 5, &request).error_code, KAFKA_NONE);
    request.cluster_id = odk_str_from(cluster);
    assert_int_equal(api_versions(harness, 5, &request).error_code, KAFKA_INVALID_REQUEST);
    request.node_id = 1;
    assert_int_equal(api_versions(harness, 5, &request).error_code, KAFKA_NONE);
    request.node_id = 2;
    assert_int_equal(api_versions(harness, 5, &request).error_code, KAFKA_REBOOTSTRAP_REQUIRED);
    harness_free(harness);
}

static void what_is_not_understood_closes_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } frames[] = {
#define FRAME(text) { text, sizeof(text) - 1 }
        FRAME("\0\x12\0\0\0\0\0\1"),                   /* header without client id */
        FRAME("\0\x12"),                               /* not even a header */
        FRAME("\3\xe7\0\0\0\0\0\1\xff\xff"),           /* key 999 */
        FRAME("\0\4\0\0\0\0\0\1\xff\xff"),             /* key 4: known, not offered */
        FRAME("\0\x03\0\x63\0\0\0\1\xff\xff\0\0\0\0"), /* Metadata 99 */
        FRAME("\0\x16\0\6\0\0\0\1\xff\xff\0"),         /* InitProducerId 6: in the schema, not offered */
        FRAME("\0\x03\0\1\0\0\0\1\xff\xff\0\0\0\1\0\5"
              "abc"),                                          /* a string longer than the frame */
        FRAME("\0\x03\0\1\0\0\0\1\xff\xff\x7f\xff\xff\xff"),   /* an array that cannot be there */
        FRAME("\0\0\0\1\0\0\0\1\xff\xff\0\1\0\0\0\1\0\0\0\1"), /* Produce 1, cut off */
#undef FRAME
    };
    struct harness *harness = harness_new(1, NULL);
    for (size_t i = 0; i < countof(frames); i++)
        assert_int_equal(harness_raw(harness, frames[i].bytes, frames[i].len, NULL, NULL), REQUEST_CLOSE);
    assert_non_null(strstr(harness->lines, "malformed request"));
    assert_non_null(strstr(harness->lines, "unsupported request"));
    harness_free(harness);
}

static void bytes_after_a_request_are_not_looked_at(void **state)
{
    (void)state;
    static const char api_versions_0[] = "\0\x12\0\0\0\0\0\1\xff\xff"
                                         "x";
    /* How librdkafka 2.11 asks for all topics: it makes room of four bytes for the number of topics, and uses one. */
    static const char metadata_13[] = "\0\3\0\x0d\0\0\0\3\0\7"
                                      "rdkafka\0"
                                      "\0\0\0\0"
                                      "\1\0\0";
    struct harness *harness = harness_new(1, NULL);
    uint8_t *reply;
    size_t len;
    assert_int_equal(harness_raw(harness, api_versions_0, sizeof(api_versions_0) - 1, &reply, &len), REQUEST_REPLY);
    free(reply);
    assert_int_equal(harness_raw(harness, metadata_13, sizeof(metadata_13) - 1, &reply, &len), REQUEST_REPLY);
    free(reply);
    harness_free(harness);
}

static void lines_about_bad_requests_are_escaped_and_limited(void **state)
{
    (void)state;
    static const char frame[] = "\0\3\0\0\0\0\0\1\0\3\x1b[m";
    struct harness *harness = harness_new(1, NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(harness_raw(harness, frame, sizeof(frame) - 1, NULL, NULL), REQUEST_CLOSE);
    assert_null(strchr(harness->lines, '\x1b'));
    assert_non_null(strstr(harness->lines, "\\x1b[m"));
    size_t count = 0;
    for (const char *at = harness->lines; (at = strstr(at, "malformed")) != NULL; at++)
        count++;
    assert_true(count <= 10);
    harness_free(harness);
}

/* -- Produce 0 to 2 ------------------------------------------------------------------------------------------------ */

static void old_produce_is_answered_in_its_own_shape(void **state)
{
    (void)state;
    static const char body[] = "\xff\xff"
                               "\0\1"
                               "\0\0\0\1"
                               "\0\0\0\1"
                               "\0\1t"
                               "\0\0\0\1"
                               "\0\0\0\7"
                               "\0\0\0\2zz";
    static const char answer_0[] = "\0\0\0\1"
                                   "\0\0\0\1"
                                   "\0\1t"
                                   "\0\0\0\1"
                                   "\0\0\0\7"
                                   "\0\3"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff";
    static const char answer_2[] = "\0\0\0\1"
                                   "\0\0\0\1"
                                   "\0\1t"
                                   "\0\0\0\1"
                                   "\0\0\0\7"
                                   "\0\3"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\xff\xff\xff\xff\xff\xff\xff\xff"
                                   "\0\0\0\0";
    struct harness *harness = harness_new(1, NULL);
    for (int version = 0; version <= 2; version++) {
        char frame[8 + sizeof(body) - 1] = { 0, 0, 0, (char)version, 0, 0, 0, 1 };
        uint8_t *reply;
        size_t len;
        memcpy(frame + 8, body, sizeof(body) - 1);
        assert_int_equal(harness_raw(harness, frame, sizeof(frame), &reply, &len), REQUEST_REPLY);
        if (version == 0) {
            assert_int_equal(len, sizeof(answer_0) - 1);
            assert_memory_equal(reply, answer_0, len);
        } else if (version == 1) {
            assert_int_equal(len, sizeof(answer_0) - 1 + 4);
        } else {
            assert_int_equal(len, sizeof(answer_2) - 1);
            assert_memory_equal(reply, answer_2, len);
        }
        free(reply);
    }
    harness_free(harness);
}

static void only_produces_may_overlap(void **state)
{
    (void)state;
    assert_true(broker_may_overlap((const uint8_t *)"\0\0\0\7", 4));
    assert_false(broker_may_overlap((const uint8_t *)"\0\1\0\7", 4));
    assert_false(broker_may_overlap((const uint8_t *)"\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_versions_lists_what_has_a_handler),
        cmocka_unit_test(features_are_shown_as_each_version_can_read_them),
        cmocka_unit_test(unknown_version_of_api_versions_gets_version_0_with_35),
        cmocka_unit_test(software_names_are_checked),
        cmocka_unit_test(another_cluster_or_node_is_told_to_start_over),
        cmocka_unit_test(what_is_not_understood_closes_the_connection),
        cmocka_unit_test(bytes_after_a_request_are_not_looked_at),
        cmocka_unit_test(lines_about_bad_requests_are_escaped_and_limited),
        cmocka_unit_test(old_produce_is_answered_in_its_own_shape),
        cmocka_unit_test(only_produces_may_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
