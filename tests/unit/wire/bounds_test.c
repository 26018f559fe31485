/* Goal: what a hostile message may not do: lengths, counts, nulls, tags, text, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/in.h"
#include "wire/messages.h"
#include "wire/wire_limits.h"

#define BYTES(...) ((struct odk_bytes){ (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }) })

static struct in in_of(struct odk_bytes bytes, struct arena *arena)
{
    struct rd r = rd_init(bytes.data, bytes.len);
    return in_init(&r, arena);
}

static bool str_taken(struct odk_bytes bytes, bool flex, bool nullable)
{
    struct in in = in_of(bytes, NULL);
    (void)in_str(&in, flex, nullable);
    return !in.r.bad;
}

static void nulls_only_where_allowed(void **state)
{
    (void)state;
    assert_true(str_taken(BYTES(0xff, 0xff), false, true));
    assert_false(str_taken(BYTES(0xff, 0xff), false, false));
    assert_false(str_taken(BYTES(0xff, 0xfe), false, true));
    assert_true(str_taken(BYTES(0), true, true));
    assert_false(str_taken(BYTES(0), true, false));
    struct in in = in_of(BYTES(0), NULL);
    struct odk_str null = in_str(&in, true, true);
    assert_null(null.data);
    in = in_of(BYTES(1), NULL);
    struct odk_str empty = in_str(&in, true, true);
    assert_non_null(empty.data);
    assert_int_equal(empty.len, 0);
}

static void text_is_utf8(void **state)
{
    (void)state;
    assert_true(str_taken(BYTES(3, 0xc3, 0xa4), true, false));
    assert_true(str_taken(BYTES(4, 0xe2, 0x82, 0xac), true, false));
    assert_true(str_taken(BYTES(5, 0xf0, 0x9f, 0x90, 0x88), true, false));
    assert_true(str_taken(BYTES(5, 0xf4, 0x8f, 0xbf, 0xbf), true, false));
    assert_true(str_taken(BYTES(11, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 0xc3, 0xa4), true, false));
    assert_false(str_taken(BYTES(2, 0x80), true, false));
    assert_false(str_taken(BYTES(2, 0xc3), true, false));
    assert_false(str_taken(BYTES(3, 0xc0, 0x80), true, false));             /* long form of NUL */
    assert_false(str_taken(BYTES(3, 0xc1, 0xbf), true, false));             /* long form */
    assert_false(str_taken(BYTES(4, 0xe0, 0x9f, 0xbf), true, false));       /* long form */
    assert_false(str_taken(BYTES(4, 0xed, 0xa0, 0x80), true, false));       /* surrogate */
    assert_false(str_taken(BYTES(5, 0xf0, 0x8f, 0xbf, 0xbf), true, false)); /* long form */
    assert_false(str_taken(BYTES(5, 0xf4, 0x90, 0x80, 0x80), true, false)); /* beyond U+10FFFF */
    assert_false(str_taken(BYTES(5, 0xf5, 0x80, 0x80, 0x80), true, false));
    assert_false(str_taken(BYTES(10, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 0xff), true, false));
}

static bool count_taken(struct odk_bytes bytes, bool flex, bool nullable, size_t element_min)
{
    struct in in = in_of(bytes, NULL);
    (void)in_count(&in, flex, nullable, element_min);
    return !in.r.bad;
}

static void counts_fit_the_bytes_that_are_left(void **state)
{
    (void)state;
    assert_true(count_taken(BYTES(0, 0, 0, 2, 1, 2), false, false, 1));
    assert_false(count_taken(BYTES(0, 0, 0, 3, 1, 2), false, false, 1));
    assert_false(count_taken(BYTES(0, 0, 0, 2, 1, 2, 3), false, false, 2));
    assert_false(count_taken(BYTES(0x7f, 0xff, 0xff, 0xff, 1, 2), false, false, 1));
    assert_false(count_taken(BYTES(0x80, 0, 0, 0, 1, 2), false, true, 1));
    assert_false(count_taken(BYTES(0xff, 0xff, 0xff, 0xff), false, false, 1));
    assert_true(count_taken(BYTES(0xff, 0xff, 0xff, 0xff), false, true, 1));
    assert_false(count_taken(BYTES(0xff, 0xff, 0xff, 0xff, 0x0f), true, true, 1)); /* 2^32 - 2 */
    assert_false(count_taken(BYTES(0xff, 0xff, 0xff, 0xff, 0x1f), true, true, 1)); /* more than 32 bits */
    assert_false(count_taken(BYTES(0xff), true, true, 1));
}

/* A million and one empty names are 2 MB on the wire; they would be 16 MB in memory. */
static void elements_have_a_budget(void **state)
{
    (void)state;
    for (uint32_t extra = 0; extra <= 1; extra++) {
        uint32_t count = WIRE_ELEMENTS_MAX + extra;
        size_t len = 4 + 2 * (size_t)count + 4;
        uint8_t *bytes = calloc(len, 1);
        struct wr w = wr_init(bytes, len);
        wr_i32(&w, (int32_t)count);
        struct arena arena = { 0 };
        struct delete_topics_request request;
        struct rd r = rd_init(bytes, len);
        assert_int_equal(delete_topics_request_decode(&request, &r, &arena, 1), extra == 0);
        arena_deinit(&arena);
        free(bytes);
    }
}

static void memory_has_a_bound(void **state)
{
    (void)state;
    uint8_t bytes[4 + 2 * 1000 + 4] = { 0, 0, 0x03, 0xe8 };
    struct arena arena = { .limit = 8000 };
    struct delete_topics_request request;
    struct rd r = rd_init(bytes, sizeof(bytes));
    assert_false(delete_topics_request_decode(&request, &r, &arena, 1));
    assert_true(r.bad);
    arena_deinit(&arena);
}

/* A Heartbeat 4 ends in tags it does not know: they are skipped if they keep the rules. */
static bool tags_taken(struct odk_bytes tags)
{
    uint8_t bytes[256] = { 2, 'g', 0, 0, 0, 1, 2, 'm', 0 };
    memcpy(bytes + 9, tags.data, tags.len);
    struct arena arena = { 0 };
    struct heartbeat_request request;
    struct rd r = rd_init(bytes, 9 + tags.len);
    bool taken = heartbeat_request_decode(&request, &r, &arena, 4) && rd_left(&r) == 0;
    arena_deinit(&arena);
    return taken;
}

static void tags_rise_and_stay_inside(void **state)
{
    (void)state;
    assert_true(tags_taken(BYTES(0)));
    assert_true(tags_taken(BYTES(2, 0, 1, 0xaa, 5, 0)));
    assert_false(tags_taken(BYTES(2, 5, 0, 5, 0)));                      /* twice */
    assert_false(tags_taken(BYTES(2, 5, 0, 4, 0)));                      /* falling */
    assert_false(tags_taken(BYTES(1, 0, 2, 0xaa)));                      /* beyond the end */
    assert_false(tags_taken(BYTES(2, 0, 0)));                            /* one is missing */
    assert_false(tags_taken(BYTES(1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f))); /* 4 GiB long */
    assert_false(tags_taken(BYTES(1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0))); /* no tag is 2^32 - 1 */
    uint8_t many[1 + 2 * (WIRE_TAGS_MAX + 1)] = { WIRE_TAGS_MAX };
    for (uint32_t i = 0; i <= WIRE_TAGS_MAX; i++)
        many[1 + 2 * i] = (uint8_t)i;
    assert_true(tags_taken((struct odk_bytes){ many, 1 + 2 * WIRE_TAGS_MAX }));
    many[0]++;
    assert_false(tags_taken((struct odk_bytes){ many, sizeof(many) }));
}

/* ApiVersions 3 responses carry known tags: their content must fill them exactly. */
static bool known_tag_taken(struct odk_bytes tags)
{
    uint8_t bytes[64] = { 0, 0, 1, 0, 0, 0, 0 };
    memcpy(bytes + 7, tags.data, tags.len);
    struct arena arena = { 0 };
    struct api_versions_response response;
    struct rd r = rd_init(bytes, 7 + tags.len);
    bool taken = api_versions_response_decode(&response, &r, &arena, 3) && rd_left(&r) == 0;
    arena_deinit(&arena);
    return taken;
}

static void known_tags_are_filled_exactly(void **state)
{
    (void)state;
    assert_true(known_tag_taken(BYTES(1, 1, 8, 0, 0, 0, 0, 0, 0, 0, 7)));
    assert_false(known_tag_taken(BYTES(1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 7, 0)));
    assert_false(known_tag_taken(BYTES(1, 1, 7, 0, 0, 0, 0, 0, 0, 0, 7)));
    /* An array inside a tag cannot reach beyond the tag. */
    assert_true(known_tag_taken(BYTES(2, 0, 1, 1, 3, 1, 1)));
    assert_false(known_tag_taken(BYTES(2, 0, 1, 2, 3, 1, 1)));
}

static void versions_outside_the_range_are_refused(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct heartbeat_request request;
    struct rd r = rd_init("", 0);
    assert_false(heartbeat_request_decode(&request, &r, &arena, -1));
    assert_false(heartbeat_request_decode(&request, &r, &arena, 5));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nulls_only_where_allowed),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(counts_fit_the_bytes_that_are_left),
        cmocka_unit_test(elements_have_a_budget),
        cmocka_unit_test(memory_has_a_bound),
        cmocka_unit_test(tags_rise_and_stay_inside),
        cmocka_unit_test(known_tags_are_filled_exactly),
        cmocka_unit_test(versions_outside_the_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
