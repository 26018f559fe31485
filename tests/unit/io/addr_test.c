/* Addresses as text: what is accepted, what is refused, and that printing gives back what was parsed. */
#include "world.h"

#include <netinet/in.h>
#include <string.h>

static void check_round(const char *text, const char *printed)
{
    struct odk_addr addr;
    char back[64];
    assert_int_equal(odk_addr_parse(text, &addr), ODK_OK);
    odk_addr_print(&addr, back, sizeof(back));
    assert_string_equal(back, printed);
}

static void text_round_trips(void **state)
{
    (void)state;
    check_round("127.0.0.1:9092", "127.0.0.1:9092");
    check_round("0.0.0.0:0", "0.0.0.0:0");
    check_round("[::1]:65535", "[::1]:65535");
    check_round("[fe80:0:0::1]:1", "[fe80::1]:1");
    check_round(":9092", "[::]:9092");
    check_round("[::ffff:10.1.2.3]:80", "10.1.2.3:80");
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",        "localhost", "127.0.0.1:",     "127.0.0.1:65536", "127.0.0.1:-1",
                                         "a:9 ",    "::1:9092",  "[::1]",          "[::1]9092",       "[]:9092",
                                         "[::1:9",  ":",         "127.0.0.1:0x10", "[:9092",          "a:99999999999",
                                         "]:9092x", "[::1] :9",  "127.0.0.1:9092 " };
    for (size_t i = 0; i < countof(wrong); i++) {
        struct odk_addr addr = { .len = 77 };
        if (odk_addr_parse(wrong[i], &addr) != ODK_ERR_INVALID)
            fail_msg("\"%s\" was not refused", wrong[i]);
        assert_int_equal(addr.len, 77);
    }
    char host[300];
    memset(host, 'a', sizeof(host));
    memcpy(host + sizeof(host) - 4, ":12", 4);
    struct odk_addr addr;
    assert_int_equal(odk_addr_parse(host, &addr), ODK_ERR_INVALID);
}

static void names_are_resolved(void **state)
{
    (void)state;
    struct odk_addr addr;
    char host[64];
    assert_int_equal(odk_addr_parse("localhost:19092", &addr), ODK_OK);
    assert_int_equal(odk_addr_host(&addr, host, sizeof(host)), 19092);
    assert_true(strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0);
    assert_int_equal(odk_addr_parse("no-such-host.invalid:1", &addr), ODK_ERR_NOT_FOUND);
}

static void short_destinations_are_terminated(void **state)
{
    (void)state;
    struct odk_addr addr;
    assert_int_equal(odk_addr_parse("127.0.0.1:9092", &addr), ODK_OK);
    char small[6];
    memset(small, 'x', sizeof(small));
    odk_addr_print(&addr, small, sizeof(small));
    assert_string_equal(small, "127.0");
    struct odk_addr none = { 0 };
    char text[16];
    odk_addr_print(&none, text, sizeof(text));
    assert_string_equal(text, "?:0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(short_destinations_are_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
