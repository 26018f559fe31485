/*
 * Aligned columns for people: cells are collected, widths are known at the end. Numbers go to the right.
 * Text from the wire is escaped when it is added.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <odradek/bytes.h>

struct table_cell {
    const char *text; /* owned */
    bool number;
};

struct table {
    const char *const *heads; /* static; upper case */
    size_t columns;
    struct table_cell *cells; /* row after row */
    size_t count;
    size_t capacity;
};

void table_init(struct table *table, const char *const *heads, size_t columns);
void table_str(struct table *table, struct odk_str text);
void table_text(struct table *table, const char *text);
void table_int(struct table *table, int64_t value);
/* A number below zero means that there is none: a dash. */
void table_int_or_dash(struct table *table, int64_t value);
/* A place without a number. */
void table_dash(struct table *table);
/* With its sign: +7, -7, 0. */
void table_change(struct table *table, int64_t value);
/* Prints everything and frees it. heads: whether the line of titles is wanted. */
enum table_heads { TABLE_HEADS, TABLE_NO_HEADS };
void table_print(struct table *table, FILE *to, enum table_heads heads);
