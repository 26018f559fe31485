/*
 * Rows that are printed as they come, as aligned columns or as JSON, one object a line: for output that must begin before
 * everything is known. Columns have a least width; a cell that is longer moves the rest of its line.
 *
 *   rows_begin(&rows, columns, countof(columns), json, heads); then for each row a call for each column, in order
 *
 * The first row is written out at once.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>

#include "client/json.h"

enum rows_kind {
    ROWS_TEXT,
    ROWS_INT,      /* below zero: none */
    ROWS_TIME,     /* ms since 1970, below zero: none; JSON: KEY_ms as number, KEY as ISO 8601 */
    ROWS_DURATION, /* ms, below zero: none; JSON: a number */
    ROWS_BOOL,     /* zero or not */
};

#define ROWS_COLUMNS_MAX 16u

struct rows_column {
    const char *title; /* upper case */
    const char *key;   /* in JSON; of a duration and with KEY_ms of a time, the unit is in it */
    enum rows_kind kind;
    int width;
};

struct rows {
    const struct rows_column *columns;
    size_t count;
    size_t at; /* column of the next cell */
    int widths[ROWS_COLUMNS_MAX];
    bool as_json;
    bool heads; /* still to be printed */
    bool begun;
    struct json json;
};

enum rows_heads { ROWS_HEADS, ROWS_NO_HEADS };
void rows_begin(struct rows *rows, const struct rows_column *columns, size_t count, bool as_json, enum rows_heads heads);
/* Before the first row: column is to have at least that width. */
void rows_widen(struct rows *rows, size_t column, size_t width);
void rows_str(struct rows *rows, struct odk_str text); /* data NULL: none */
void rows_text(struct rows *rows, const char *text);   /* NULL: none */
void rows_int(struct rows *rows, int64_t value);       /* of every kind but text */

#define ROWS_TIME_BYTES 32u
/* 2026-11-22T10:00:00.123Z; "-" for a time below zero. */
void rows_time_print(int64_t ms, char dst[ROWS_TIME_BYTES]);
/* 950ms, 12s, 5m03s, 3h20m, 12d4h; "-" below zero. */
void rows_duration_print(int64_t ms, char dst[ROWS_TIME_BYTES]);
