#include "coordinator/texts.h"

#include <stdlib.h>

#include "base/base.h"

int texts_compare(const void *a, const void *b)
{
    const struct odk_str *x = a, *y = b;
    size_t common = MIN(x->len, y->len);
    int order = common > 0 ? memcmp(x->data, y->data, common) : 0;
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

uint32_t texts_sort(struct odk_str *texts, uint32_t count)
{
    if (count < 2)
        return count;
    qsort(texts, count, sizeof(*texts), texts_compare);
    uint32_t used = 1;
    for (uint32_t i = 1; i < count; i++)
        if (!odk_str_eq(texts[used - 1], texts[i]))
            texts[used++] = texts[i];
    return used;
}

bool texts_has(const struct odk_str *texts, uint32_t count, struct odk_str text)
{
    return count > 0 && bsearch(&text, texts, count, sizeof(text), texts_compare) != NULL;
}

bool texts_equal(const struct odk_str *a, uint32_t a_count, const struct odk_str *b, uint32_t b_count)
{
    bool equal = a_count == b_count;
    for (uint32_t i = 0; equal && a != b && i < a_count; i++)
        equal = odk_str_eq(a[i], b[i]);
    return equal;
}

struct odk_str *texts_copy(const struct odk_str *texts, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += texts[i].len;
    struct odk_str *copy = xcalloc(1, count * sizeof(*copy) + bytes + 1);
    char *at = (char *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = (struct odk_str){ .data = at, .len = texts[i].len };
        if (texts[i].len > 0)
            memcpy(at, texts[i].data, texts[i].len);
        at += texts[i].len;
    }
    return copy;
}
