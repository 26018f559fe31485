/*
 * Goal: counts of different keys are right within the error that is promised, and frequent keys are found among very many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "client/sketch.h"

static void add_number(struct sketch *sketch, uint64_t number)
{
    char key[32];
    int len = snprintf(key, sizeof(key), "key-%llu", (unsigned long long)number);
    sketch_add(sketch, (struct odk_bytes){ (const uint8_t *)key, (size_t)len });
}

static void counts_different_keys(void **state)
{
    (void)state;
    static const uint64_t counts[] = { 0, 1, 10, 1000, 30000, 50000, 300000 };
    for (size_t i = 0; i < countof(counts); i++) {
        struct sketch *sketch = sketch_new();
        for (uint64_t n = 0; n < counts[i]; n++)
            add_number(sketch, n);
        for (uint64_t n = 0; n < counts[i]; n += 3)
            add_number(sketch, n); /* again */
        uint64_t found = sketch_distinct(sketch), off = counts[i] / 30; /* four times the standard error */
        assert_in_range(found, counts[i] - off, counts[i] + off);
        free(sketch);
    }
}

static void finds_frequent_keys(void **state)
{
    (void)state;
    struct sketch *sketch = sketch_new();
    for (uint64_t n = 0; n < 100000; n++) {
        add_number(sketch, n % 100 < 10 ? 1 : n % 100 < 15 ? 2 : 1000 + n);
        if (n % 200 == 0)
            sketch_add(sketch, (struct odk_bytes){ 0 });
    }
    sketch_sort(sketch);
    assert_memory_equal(sketch->keys[0].bytes, "key-1", 5);
    assert_memory_equal(sketch->keys[1].bytes, "key-2", 5);
    const uint64_t truth[] = { 10000, 5000 };
    for (size_t i = 0; i < countof(truth); i++) {
        assert_true(sketch->keys[i].count >= truth[i]);
        assert_true(sketch->keys[i].count - sketch->keys[i].over <= truth[i]);
    }
    assert_true(sketch->key_count <= SKETCH_KEYS);
    free(sketch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_different_keys),
        cmocka_unit_test(finds_frequent_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
