/*
 * The words all layers share for bytes somebody else owns: a view, a text view, an identifier.
 *
 * A view never owns. Text is not NUL-terminated. A null view (data == NULL) is distinct from an empty one
 * where the protocol makes that difference.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct odk_bytes {
    const uint8_t *data;
    size_t len;
};

struct odk_str {
    const char *data;
    size_t len;
};

/* 16 raw bytes in network order, as Kafka's topic ids. All zero = none. */
struct odk_uuid {
    uint8_t b[16];
};

/* A string literal as a view. */
#define ODK_STR(literal) ((struct odk_str){ .data = ("" literal), .len = sizeof(literal) - 1 })

/* printf arguments for "%.*s". */
#define ODK_STR_FMT(s) (int)(s).len, (s).data ? (s).data : ""

static inline struct odk_str odk_str_from(const char *nul_terminated)
{
    return (struct odk_str){ .data = nul_terminated, .len = strlen(nul_terminated) };
}

static inline bool odk_str_eq(struct odk_str a, struct odk_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Bytewise, the shorter first; below, at or above zero. */
static inline int odk_str_order(struct odk_str a, struct odk_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool odk_uuid_eq(struct odk_uuid a, struct odk_uuid b)
{
    return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

static inline bool odk_uuid_is_zero(struct odk_uuid a)
{
    return odk_uuid_eq(a, (struct odk_uuid){ 0 });
}
