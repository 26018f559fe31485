#include "rows.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/diag.h"

#define CELL_BYTES 1100u

void rows_begin(struct rows *rows, const struct rows_column *columns, size_t count, bool as_json, enum rows_heads heads)
{
    ASSERT(count > 0 && count <= ROWS_COLUMNS_MAX);
    *rows = (struct rows){ .columns = columns, .count = count, .as_json = as_json };
    rows->heads = heads == ROWS_HEADS && !as_json;
    for (size_t i = 0; i < count; i++)
        rows->widths[i] = MAX(columns[i].width, (int)strlen(columns[i].title));
    json_init(&rows->json, stdout);
}

void rows_widen(struct rows *rows, size_t column, size_t width)
{
    ASSERT(column < rows->count && !rows->begun);
    rows->widths[column] = MAX(rows->widths[column], (int)MIN(width, 80));
}

static void cell_print(const struct rows *rows, size_t column, const char *text)
{
    bool last = column + 1 == rows->count;
    if (column > 0)
        (void)fputs("  ", stdout);
    if (rows->columns[column].kind != ROWS_TEXT && rows->columns[column].kind != ROWS_TIME)
        (void)printf("%*s", rows->widths[column], text);
    else
        (void)printf("%-*s", last ? 0 : rows->widths[column], text);
}

static void row_start(struct rows *rows)
{
    if (rows->at > 0)
        return;
    if (rows->as_json)
        json_object(&rows->json, NULL);
    for (size_t i = 0; i < rows->count && rows->heads; i++)
        cell_print(rows, i, rows->columns[i].title);
    if (rows->heads)
        (void)fputc('\n', stdout);
    rows->heads = false;
}

static void cell_end(struct rows *rows)
{
    if (++rows->at < rows->count)
        return;
    rows->at = 0;
    if (rows->as_json) {
        json_end(&rows->json);
        json_line(&rows->json);
    } else {
        (void)fputc('\n', stdout);
    }
    if (!rows->begun)
        (void)fflush(stdout);
    rows->begun = true;
}

void rows_str(struct rows *rows, struct odk_str text)
{
    row_start(rows);
    const struct rows_column *column = &rows->columns[rows->at];
    ASSERT(column->kind == ROWS_TEXT);
    char cell[CELL_BYTES];
    if (rows->as_json)
        json_str(&rows->json, column->key, text);
    else
        cell_print(rows, rows->at, text.data ? diag_escape(cell, sizeof(cell), text) : "-");
    cell_end(rows);
}

void rows_text(struct rows *rows, const char *text)
{
    rows_str(rows, text ? odk_str_from(text) : (struct odk_str){ 0 });
}

static void int_json(struct json *json, const struct rows_column *column, int64_t value)
{
    char text[ROWS_TIME_BYTES], key[48];
    if (column->kind == ROWS_BOOL) {
        json_bool(json, column->key, value != 0);
        return;
    }
    if (column->kind != ROWS_TIME) {
        value < 0 ? json_null(json, column->key) : json_int(json, column->key, value);
        return;
    }
    (void)snprintf(key, sizeof(key), "%s_ms", column->key);
    rows_time_print(value, text);
    value < 0 ? json_null(json, key) : json_int(json, key, value);
    json_text(json, column->key, value < 0 ? NULL : text);
}

void rows_int(struct rows *rows, int64_t value)
{
    row_start(rows);
    const struct rows_column *column = &rows->columns[rows->at];
    ASSERT(column->kind != ROWS_TEXT);
    char text[ROWS_TIME_BYTES] = "-";
    if (column->kind == ROWS_TIME)
        rows_time_print(value, text);
    else if (column->kind == ROWS_DURATION)
        rows_duration_print(value, text);
    else if (column->kind == ROWS_BOOL)
        (void)snprintf(text, sizeof(text), "%s", value ? "yes" : "no");
    else if (value >= 0)
        (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    if (rows->as_json)
        int_json(&rows->json, column, value);
    else
        cell_print(rows, rows->at, text);
    cell_end(rows);
}

void rows_time_print(int64_t ms, char dst[ROWS_TIME_BYTES])
{
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000);
    char day[24];
    if (ms < 0 || ms / 1000 > INT64_C(253402300799) || !gmtime_r(&seconds, &tm) ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        (void)snprintf(dst, ROWS_TIME_BYTES, ms < 0 ? "-" : "%lld", (long long)ms);
    else
        (void)snprintf(dst, ROWS_TIME_BYTES, "%s.%03dZ", day, (int)(ms % 1000));
}

void rows_duration_print(int64_t ms, char dst[ROWS_TIME_BYTES])
{
    long long s = ms / 1000;
    if (ms < 0)
        (void)snprintf(dst, ROWS_TIME_BYTES, "-");
    else if (ms < 1000)
        (void)snprintf(dst, ROWS_TIME_BYTES, "%lldms", (long long)ms);
    else if (s < 60)
        (void)snprintf(dst, ROWS_TIME_BYTES, "%llds", s);
    else if (s < 3600)
        (void)snprintf(dst, ROWS_TIME_BYTES, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(dst, ROWS_TIME_BYTES, "%lldh%02lldm", s / 3600, s / 60 % 60);
    else
        (void)snprintf(dst, ROWS_TIME_BYTES, "%lldd%lldh", s / 86400, s / 3600 % 24);
}
