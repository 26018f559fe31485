/*
 * What generated encoders are made of, above the plain numbers of out.h.
 *
 * A text or bytes without data is null where null is allowed and empty where it is not. An array of -1 elements
 * where the version has no null makes the frame bad.
 */
#pragma once
#include "wire/out.h"

void put_str(struct out *out, struct odk_str value, bool flex, bool nullable);
void put_bytes(struct out *out, struct odk_bytes value, bool flex, bool nullable);
void put_records(struct out *out, const struct wire_records *value, bool flex, bool nullable);
void put_count(struct out *out, int32_t count, bool flex, bool nullable);
/* Writes the mark in front of a structure that may be null; returns whether the structure follows. */
bool put_present(struct out *out, bool present);

/*
 * One tagged field, in two turns of the same code: the first measures, the second writes tag, length and value.
 *
 *     for (struct out_tag t = out_tag_begin(out, 3, present); out_tag_step(&t, &out);)
 *         put_something(out, ...);
 */
struct out_tag {
    struct out measure;
    struct out *real;
    uint32_t tag;
    uint32_t turn; /* 0 = not begun, 1 = measuring, 2 = writing */
};

static inline struct out_tag out_tag_begin(struct out *out, uint32_t tag, bool present)
{
    return (struct out_tag){ .real = out, .tag = tag, .turn = present ? 0 : 2 };
}

/* Sets *out to the one to write to; false when both turns are over. */
bool out_tag_step(struct out_tag *t, struct out **out);
