/*
 * Goal: bytes that were written down by hand from the protocol guide, not by this code.
 *
 * Method: encode a known message and compare; decode the bytes and look at the fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/errors.h"
#include "wire/frame.h"
#include "wire/messages.h"

/* Compares a frame with hex digits; blanks only group. */
static void check_out(struct out *out, const char *hex)
{
    const struct iovec *parts;
    uint32_t count;
    char seen[2048] = "", wanted[2048] = "";
    size_t len = 0;
    assert_true(out_iov(out, &parts, &count));
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = parts[i].iov_base;
        for (size_t j = 0; j < parts[i].iov_len; j++, len += 2)
            assert_int_equal(snprintf(seen + len, sizeof(seen) - len, "%02x", bytes[j]), 2);
    }
    for (size_t from = 0, to = 0; hex[from]; from++) {
        if (hex[from] != ' ')
            wanted[to++] = hex[from];
    }
    assert_string_equal(seen, wanted);
}

static void api_versions_request_v3_has_header_v2(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct out out;
    out_init(&out, &arena);
    struct api_versions_request request = { .client_software_name = ODK_STR("librdkafka"),
                                            .client_software_version = ODK_STR("2.0.2") };
    request_begin(&out, &(struct request_header){
                            .key = 18, .version = 3, .correlation_id = 1, .client_id = ODK_STR("rdkafka") });
    assert_true(api_versions_request_encode(&request, &out, 3));
    assert_true(request_end(&out));
    check_out(&out, "00000024 0012 0003 00000001 0007 72646b61666b61 00"
                    "0b 6c696272646b61666b61 06 322e302e32 00");
    arena_deinit(&arena);
}

static void api_versions_response_always_has_header_v0(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct out out;
    struct api_versions_response_api apis[] = { { .api_key = 18, .min_version = 0, .max_version = 4 } };
    struct api_versions_response response = {
        .error_code = KAFKA_UNSUPPORTED_VERSION, .api_keys = apis, .api_keys_count = 1, .finalized_features_epoch = -1
    };
    out_init(&out, &arena);
    response_begin(&out, 18, 0, 7);
    assert_true(api_versions_response_encode(&response, &out, 0));
    assert_true(response_end(&out));
    check_out(&out, "00000010 00000007 0023 00000001 0012 0000 0004");

    struct api_versions_response_supported_feature feature[] = {
        { .name = ODK_STR("f"), .min_version = 1, .max_version = 2 }
    };
    response.supported_features = feature;
    response.supported_features_count = 1;
    response.finalized_features_epoch = 5;
    out_init(&out, &arena);
    response_begin(&out, 18, 3, 7);
    assert_true(api_versions_response_encode(&response, &out, 3));
    assert_true(response_end(&out));
    check_out(&out, "00000027 00000007 0023 02 0012 0000 0004 00 00000000"
                    "02 00 08 02 0266 0001 0002 00 01 08 0000000000000005");
    arena_deinit(&arena);
}

static void metadata_null_topics_differ_from_none(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    static const uint8_t all_v1[] = { 0xff, 0xff, 0xff, 0xff };
    static const uint8_t none_v1[] = { 0, 0, 0, 0 };
    static const uint8_t all_v9[] = { 0x00, 0x01, 0x00, 0x00, 0x00 };
    struct metadata_request request;
    struct rd r = rd_init(all_v1, sizeof(all_v1));
    assert_true(metadata_request_decode(&request, &r, &arena, 1));
    assert_int_equal(request.topics_count, -1);
    assert_true(request.allow_auto_topic_creation); /* the value when it is not sent */
    r = rd_init(none_v1, sizeof(none_v1));
    assert_true(metadata_request_decode(&request, &r, &arena, 1));
    assert_int_equal(request.topics_count, 0);
    r = rd_init(all_v9, sizeof(all_v9));
    assert_true(metadata_request_decode(&request, &r, &arena, 9));
    assert_int_equal(request.topics_count, -1);
    r = rd_init(all_v1, sizeof(all_v1));
    assert_false(metadata_request_decode(&request, &r, &arena, 0)); /* version 0 has no null */
    arena_deinit(&arena);
}

static void produce_v7_records_are_linked(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x05, 0xdc, 0, 0, 0, 1, 0,    1,    't',
                                     0,    0,    0,    1,    0,    0,    0,    2,    0, 0, 0, 3, 0xca, 0xfe, 0x99 };
    struct arena arena = { 0 };
    struct produce_request request;
    struct rd r = rd_init(bytes, sizeof(bytes));
    assert_true(produce_request_decode(&request, &r, &arena, 7));
    assert_int_equal(rd_left(&r), 0);
    assert_null(request.transactional_id.data);
    assert_int_equal(request.acks, -1);
    assert_int_equal(request.timeout_ms, 1500);
    assert_true(odk_str_eq(request.topic_data[0].name, ODK_STR("t")));
    struct produce_request_partition *partition = &request.topic_data[0].partition_data[0];
    assert_int_equal(partition->index, 2);
    struct odk_bytes view = wire_records_view(&partition->records);
    assert_ptr_equal(view.data, bytes + sizeof(bytes) - 3);
    assert_int_equal(view.len, 3);

    struct out out;
    out_init(&out, &arena);
    assert_true(produce_request_encode(&request, &out, 7));
    check_out(&out, "ffff ffff 000005dc 00000001 0001 74 00000001 00000002 00000003 cafe99");
    const struct iovec *parts;
    uint32_t count;
    assert_true(out_iov(&out, &parts, &count));
    assert_ptr_equal(parts[count - 1].iov_base, view.data);
    arena_deinit(&arena);
}

static void fetch_v12_response_sends_leader_as_tag(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct out out;
    struct fetch_response_current_leader leader = { .leader_id = 3, .leader_epoch = 4 };
    struct fetch_response_partition partition;
    fetch_response_partition_init(&partition);
    partition.error_code = KAFKA_NOT_LEADER_OR_FOLLOWER;
    partition.current_leader = &leader;
    struct fetch_response_topic topic = { .topic = ODK_STR("t"), .partitions = &partition, .partitions_count = 1 };
    struct fetch_response response = { .responses = &topic, .responses_count = 1 };
    out_init(&out, &arena);
    response_begin(&out, 1, 12, 9);
    assert_true(fetch_response_encode(&response, &out, 12));
    assert_true(response_end(&out));
    check_out(&out, "00000045 00000009 00 00000000 0000 00000000 02 02 74 02"
                    "00000000 0006 0000000000000000 ffffffffffffffff ffffffffffffffff 01 ffffffff 01"
                    "01 01 09 00000003 00000004 00 00 00");
    arena_deinit(&arena);
}

static void join_group_v0_has_no_rebalance_timeout(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 0,   1,   'g', 0,   0,   0x75, 0x30, 0, 0, 0, 8,    'c',
                                     'o', 'n', 's', 'u', 'm', 'e',  'r',  0, 0, 0, 1,    0,
                                     5,   'r', 'a', 'n', 'g', 'e',  0,    0, 0, 2, 0xab, 0xcd };
    struct arena arena = { 0 };
    struct join_group_request request;
    struct rd r = rd_init(bytes, sizeof(bytes));
    assert_true(join_group_request_decode(&request, &r, &arena, 0));
    assert_int_equal(rd_left(&r), 0);
    assert_int_equal(request.session_timeout_ms, 30000);
    assert_int_equal(request.rebalance_timeout_ms, -1);
    assert_int_equal(request.member_id.len, 0);
    assert_true(odk_str_eq(request.protocols[0].name, ODK_STR("range")));
    assert_int_equal(request.protocols[0].metadata.len, 2);
    arena_deinit(&arena);
}

/* A structure that may be null: one byte says whether it follows. */
static void describe_topic_partitions_cursor(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct out out;
    struct describe_topic_partitions_request_cursor cursor = { .topic_name = ODK_STR("t"), .partition_index = 1 };
    struct describe_topic_partitions_request request = { .response_partition_limit = 2000 };
    out_init(&out, &arena);
    assert_true(describe_topic_partitions_request_encode(&request, &out, 0));
    check_out(&out, "01 000007d0 ff 00");
    request.cursor = &cursor;
    out_init(&out, &arena);
    assert_true(describe_topic_partitions_request_encode(&request, &out, 0));
    check_out(&out, "01 000007d0 01 0274 00000001 00 00");
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_versions_request_v3_has_header_v2),
        cmocka_unit_test(api_versions_response_always_has_header_v0),
        cmocka_unit_test(metadata_null_topics_differ_from_none),
        cmocka_unit_test(produce_v7_records_are_linked),
        cmocka_unit_test(fetch_v12_response_sends_leader_as_tag),
        cmocka_unit_test(join_group_v0_has_no_rebalance_timeout),
        cmocka_unit_test(describe_topic_partitions_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
