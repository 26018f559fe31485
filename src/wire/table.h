/*
 * The schema as data, for everything that treats all messages alike: printing, tests, ApiVersions.
 *
 * The request path does not go through here; it uses the generated functions.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cursor.h"

struct out;

enum wire_kind {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_UINT16,
    WIRE_INT32,
    WIRE_INT64,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_STRUCT,
};

/* Inclusive; first > last holds no version. */
struct wire_range {
    int16_t first, last;
};

static inline bool wire_range_has(struct wire_range range, int16_t version)
{
    return version >= range.first && version <= range.last;
}

struct wire_struct;

struct wire_field {
    const char *name;
    const struct wire_struct *of; /* WIRE_STRUCT: its fields */
    enum wire_kind kind;          /* of the element, for an array */
    bool array;                   /* the member is a pointer, with a count beside it; count -1 = null */
    bool pointer;                 /* the member is a pointer to one struct; NULL = null or absent */
    int16_t tag;                  /* -1 = in line */
    struct wire_range versions;   /* a field is there when those above it are, too */
    struct wire_range null;       /* versions in which it may be null */
    uint32_t offset;              /* of the member in its C struct */
    uint32_t count_offset;        /* of the int32_t count, for an array */
    int64_t initial;              /* value when absent; for an array the count */
};

struct wire_struct {
    const char *name;
    const struct wire_field *fields;
    uint32_t field_count;
    uint32_t size; /* of the C struct */
};

/* A request, a response, or a record of an internal topic (key -1). */
struct wire_message {
    const char *name;
    const struct wire_struct *body;
    bool (*decode)(void *ret, struct rd *r, struct arena *arena, int16_t version);
    bool (*encode)(const void *message, struct out *out, int16_t version);
    int16_t key;
    struct wire_range versions;
    int16_t flexible_from; /* 32767 = never */
};

struct wire_api {
    const char *name; /* NULL: no such key */
    const struct wire_message *request, *response;
    struct wire_range advertised; /* what ApiVersions says; what can be read stands in request->versions */
};

extern const struct wire_message wire_messages[];
extern const uint32_t wire_message_count;
extern const struct wire_api wire_apis[]; /* by key; wire_key_limit of them, with gaps */
extern const int16_t wire_key_limit;

/* NULL when the key is not known. */
static inline const struct wire_api *wire_api_find(int16_t key)
{
    return key >= 0 && key < wire_key_limit && wire_apis[key].name ? &wire_apis[key] : NULL;
}
