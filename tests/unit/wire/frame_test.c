/* Goal: the outside of a message: lengths, headers of all kinds, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/wire_limits.h"

#define BYTES(...) ((struct odk_bytes){ (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }) })

static enum frame_result next(struct odk_bytes received, struct odk_bytes *ret_body, size_t *ret_len)
{
    return frame_next(received, WIRE_FRAME_BYTES_MAX, ret_body, ret_len);
}

static void length_is_checked_before_the_body_is_there(void **state)
{
    (void)state;
    struct odk_bytes body;
    size_t len = 99;
    assert_int_equal(next(BYTES(0, 0, 0), &body, &len), FRAME_PARTIAL);
    assert_int_equal(len, 0);
    assert_int_equal(next(BYTES(0, 0, 0, 2, 7), &body, &len), FRAME_PARTIAL);
    assert_int_equal(len, 6);
    struct odk_bytes two_frames = BYTES(0, 0, 0, 2, 7, 8, 9);
    assert_int_equal(next(two_frames, &body, &len), FRAME_WHOLE);
    assert_int_equal(len, 6);
    assert_int_equal(body.len, 2);
    assert_ptr_equal(body.data, two_frames.data + 4);
    assert_int_equal(next(BYTES(0, 0, 0, 0), &body, &len), FRAME_REFUSED);
    assert_int_equal(next(BYTES(0xff, 0xff, 0xff, 0xff), &body, &len), FRAME_REFUSED);
    assert_int_equal(next(BYTES(0x7f, 0xff, 0xff, 0xff), &body, &len), FRAME_REFUSED);
    assert_int_equal(next(BYTES(0x06, 0x40, 0, 0), &body, &len), FRAME_PARTIAL); /* 100 MiB */
    assert_int_equal(next(BYTES(0x06, 0x40, 0, 1), &body, &len), FRAME_REFUSED);
    assert_int_equal(next(BYTES(0x16, 0x03, 0x01, 0x02), &body, &len), FRAME_REFUSED); /* a TLS hello */
    assert_int_equal(next(BYTES('G', 'E', 'T', ' '), &body, &len), FRAME_REFUSED);
    assert_int_equal(frame_next(BYTES(0, 1, 0, 1), WIRE_FRAME_BYTES_UNAUTHENTICATED_MAX, &body, &len), FRAME_REFUSED);
}

static enum header_result header_of(struct odk_bytes bytes, struct request_header *ret, size_t *ret_left)
{
    struct rd r = rd_init(bytes.data, bytes.len);
    enum header_result result = request_header_decode(ret, &r);
    *ret_left = rd_left(&r);
    return result;
}

static void header_follows_key_and_version(void **state)
{
    (void)state;
    struct request_header h;
    size_t left;
    /* Heartbeat 3: header v1. */
    assert_int_equal(header_of(BYTES(0, 12, 0, 3, 0, 0, 0, 5, 0, 1, 'c', 0xaa), &h, &left), HEADER_OK);
    assert_int_equal(h.key, 12);
    assert_int_equal(h.version, 3);
    assert_int_equal(h.correlation_id, 5);
    assert_true(odk_str_eq(h.client_id, ODK_STR("c")));
    assert_int_equal(left, 1);
    /* Heartbeat 4: header v2, here with a tag nobody knows and no client id. */
    assert_int_equal(header_of(BYTES(0, 12, 0, 4, 0, 0, 0, 5, 0xff, 0xff, 1, 9, 2, 1, 1, 0xaa), &h, &left), HEADER_OK);
    assert_null(h.client_id.data);
    assert_int_equal(left, 1);
}

static void header_refuses(void **state)
{
    (void)state;
    struct request_header h;
    size_t left;
    assert_int_equal(header_of(BYTES(0, 12, 0, 3, 0, 0, 0), &h, &left), HEADER_MALFORMED);
    assert_int_equal(header_of(BYTES(0, 12, 0, 3, 0, 0, 0, 5, 0, 2, 'c'), &h, &left), HEADER_MALFORMED);
    assert_int_equal(header_of(BYTES(0, 12, 0, 3, 0, 0, 0, 5, 0xff, 0xfe), &h, &left), HEADER_MALFORMED);
    assert_int_equal(header_of(BYTES(0, 12, 0, 3, 0, 0, 0, 5, 0, 1, 0xff), &h, &left), HEADER_MALFORMED); /* UTF-8 */
    assert_int_equal(header_of(BYTES(0, 4, 0, 0, 0, 0, 0, 5, 0, 0), &h, &left), HEADER_UNKNOWN_KEY);
    assert_int_equal(header_of(BYTES(0x7f, 0xff, 0, 0, 0, 0, 0, 5, 0, 0), &h, &left), HEADER_UNKNOWN_KEY);
    assert_int_equal(header_of(BYTES(0xff, 0xff, 0, 0, 0, 0, 0, 5, 0, 0), &h, &left), HEADER_UNKNOWN_KEY);
    assert_int_equal(header_of(BYTES(0, 12, 0xff, 0xff, 0, 0, 0, 5, 0, 0), &h, &left), HEADER_UNKNOWN_VERSION);
    assert_int_equal(header_of(BYTES(0, 0, 0, 14, 0, 0, 0, 5, 0, 0), &h, &left), HEADER_UNKNOWN_VERSION); /* Produce 14 */
    /* ApiVersions of the future: the correlation id is needed for the answer, the rest may be anything. */
    assert_int_equal(header_of(BYTES(0, 18, 0, 99, 0, 0, 0, 5, 0xee), &h, &left), HEADER_UNKNOWN_VERSION);
    assert_int_equal(h.correlation_id, 5);
    assert_int_equal(h.version, 99);
}

static void response_header_has_tags_unless_api_versions(void **state)
{
    (void)state;
    int32_t correlation_id;
    struct odk_bytes bytes = BYTES(0, 0, 0, 5, 0, 0xaa);
    struct rd r = rd_init(bytes.data, bytes.len);
    assert_true(response_header_decode(&r, WIRE_KEY_HEARTBEAT, 4, &correlation_id));
    assert_int_equal(rd_left(&r), 1);
    r = rd_init(bytes.data, bytes.len);
    assert_true(response_header_decode(&r, WIRE_KEY_HEARTBEAT, 3, &correlation_id));
    assert_int_equal(rd_left(&r), 2);
    r = rd_init(bytes.data, bytes.len);
    assert_true(response_header_decode(&r, WIRE_KEY_API_VERSIONS, 3, &correlation_id));
    assert_int_equal(rd_left(&r), 2);
    assert_int_equal(correlation_id, 5);
    r = rd_init(bytes.data, 3);
    assert_false(response_header_decode(&r, WIRE_KEY_API_VERSIONS, 3, &correlation_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_is_checked_before_the_body_is_there),
        cmocka_unit_test(header_follows_key_and_version),
        cmocka_unit_test(header_refuses),
        cmocka_unit_test(response_header_has_tags_unless_api_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
