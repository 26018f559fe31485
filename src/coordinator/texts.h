/* Sets of texts: arrays of views, ascending by bytes, each text once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>

int texts_compare(const void *a, const void *b);
/* Brings them into order and drops what is there twice. Returns how many are left. */
uint32_t texts_sort(struct odk_str *texts, uint32_t count);
bool texts_has(const struct odk_str *texts, uint32_t count, struct odk_str text);
bool texts_equal(const struct odk_str *a, uint32_t a_count, const struct odk_str *b, uint32_t b_count);
/* A copy with what it shows, in one block from malloc, never NULL. */
struct odk_str *texts_copy(const struct odk_str *texts, uint32_t count);
