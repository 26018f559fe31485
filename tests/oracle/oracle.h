/*
 * A second codec for every message: an interpreter over the field tables, against which the generated code is held.
 *
 * It shares the tables and the C structs with the generated code, and nothing else: its own lengths, nulls, tags and
 * defaults, its own reader of counts, one flat buffer instead of a chain. Depth is bounded by a stack.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cursor.h"
#include "base/prng.h"
#include "wire/table.h"

#define ORACLE_DEPTH_MAX 10

/* Fills a zeroed body with random values that version can carry; what it cannot carry gets its initial value. */
void oracle_random(void *body, const struct wire_message *message, int16_t version, struct prng *prng,
                   struct arena *arena);

/*
 * Writes body into w. False: it does not fit, or nests too deep.
 *
 * ret_strays: fields that version does not carry and that differ from their initial value; a decoder must leave none.
 */
bool oracle_encode(const void *body, const struct wire_message *message, int16_t version, struct wr *w,
                   uint32_t *ret_strays);

/* Reads body from r, arrays into arena. False: malformed. */
bool oracle_decode(void *body, const struct wire_message *message, int16_t version, struct rd *r, struct arena *arena);

/* The value of a number, bool included, at p. */
int64_t oracle_number(const struct wire_field *field, const void *p);
/* Bytes of one element in memory. */
size_t oracle_element_size(const struct wire_field *field);
