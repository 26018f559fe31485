/*
 * What generated decoders are made of: a reader with a memory to put arrays into and a budget of elements.
 *
 * Every announced count is held against the bytes that are left and against the budget before memory is taken, so
 * a frame of n bytes can never ask for more than n times a constant.
 */
#pragma once
#include "wire/out.h"

#include "wire/wire_limits.h"

struct in {
    struct rd r;
    struct arena *arena;
    uint32_t elements_left;
};

/* The tagged fields at the end of a structure. While one is read, the reader ends where the field ends. */
struct in_tags {
    const uint8_t *end; /* of the reader, while it is narrowed to a field; else NULL */
    uint32_t left;
    uint32_t tag;
    uint32_t tag_min; /* tags rise */
};

static inline struct in in_init(const struct rd *r, struct arena *arena)
{
    return (struct in){ .r = *r, .arena = arena, .elements_left = WIRE_ELEMENTS_MAX };
}

/* Everything a client may write into a bool: zero is false. */
static inline bool in_bool(struct in *in)
{
    return rd_i8(&in->r) != 0;
}

struct odk_uuid in_uuid(struct in *in);

/* Length and bytes of a text; must be UTF-8. The view points into the frame; data is NULL only for null. */
struct odk_str in_str(struct in *in, bool flex, bool nullable);
struct odk_bytes in_bytes(struct in *in, bool flex, bool nullable);
/* The bytes become one part that points into the frame. */
struct wire_records in_records(struct in *in, bool flex, bool nullable);

/* A count that element_min bytes each and the budget allow; -1 for null. Zero when bad. */
int32_t in_count(struct in *in, bool flex, bool nullable, size_t element_min);
/* Zeroed memory for them; NULL, and the reader bad, when there is none. Of no or null elements: NULL and not bad. */
void *in_new(struct in *in, int32_t count, size_t size);
/* Whether a structure that may be null follows. */
bool in_present(struct in *in);

struct in_tags in_tags_begin(struct in *in);
/* Goes to the next tagged field. The one before must have been read to its end or skipped. */
bool in_tags_next(struct in *in, struct in_tags *tags);
void in_tags_skip(struct in *in);

static inline void in_tag_skip(struct in *in)
{
    in->r.at = in->r.end;
}
