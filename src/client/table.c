#include "client/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/diag.h"

void table_init(struct table *table, const char *const *heads, size_t columns)
{
    ASSERT(columns > 0);
    *table = (struct table){ .heads = heads, .columns = columns };
}

static void cell_add(struct table *table, char *text, bool number)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = xrealloc(table->cells, table->capacity * sizeof(*table->cells));
    }
    table->cells[table->count++] = (struct table_cell){ .text = text, .number = number };
}

void table_str(struct table *table, struct odk_str text)
{
    size_t room = text.len * 4 + 8; /* every byte may become \xNN */
    char *escaped = xcalloc(1, room);
    cell_add(table, diag_escape(escaped, room, text), false);
}

void table_text(struct table *table, const char *text)
{
    table_str(table, odk_str_from(text));
}

void table_int(struct table *table, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)value);
    cell_add(table, xstrndup(digits, (size_t)len), true);
}

void table_dash(struct table *table)
{
    cell_add(table, xstrndup("-", 1), true);
}

void table_change(struct table *table, int64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), value > 0 ? "+%lld" : "%lld", (long long)value);
    cell_add(table, xstrndup(digits, (size_t)len), true);
}

void table_int_or_dash(struct table *table, int64_t value)
{
    if (value < 0)
        table_dash(table);
    else
        table_int(table, value);
}

static size_t column_width(const struct table *table, size_t column, size_t width)
{
    for (size_t i = column; i < table->count; i += table->columns)
        width = MAX(width, strlen(table->cells[i].text));
    return width;
}

/* Nothing stands behind the last text of a line. */
static void row_print(FILE *to, const struct table_cell *cells, const size_t *widths, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        bool last = c + 1 == columns || (c + 2 == columns && cells[c + 1].text[0] == '\0');
        if (cells[c].number)
            (void)fprintf(to, "%*s", (int)widths[c], cells[c].text);
        else
            (void)fprintf(to, "%-*s", last ? 0 : (int)widths[c], cells[c].text);
        if (last)
            break;
        (void)fputs("  ", to);
    }
    (void)fputc('\n', to);
}

/* Titles stand where the cells below them do. */
static void heads_print(const struct table *table, FILE *to, const size_t *widths)
{
    struct table_cell *heads = xcalloc(table->columns, sizeof(*heads));
    for (size_t c = 0; c < table->columns; c++)
        heads[c] = (struct table_cell){ .text = table->heads[c], .number = table->count > c && table->cells[c].number };
    row_print(to, heads, widths, table->columns);
    free(heads);
}

void table_print(struct table *table, FILE *to, enum table_heads heads)
{
    ASSERT(table->count % table->columns == 0);
    size_t *widths = xcalloc(table->columns, sizeof(*widths));
    for (size_t c = 0; c < table->columns; c++)
        widths[c] = column_width(table, c, heads == TABLE_HEADS ? strlen(table->heads[c]) : 0);
    if (heads == TABLE_HEADS)
        heads_print(table, to, widths);
    for (size_t i = 0; i < table->count; i += table->columns)
        row_print(to, &table->cells[i], widths, table->columns);
    for (size_t i = 0; i < table->count; i++)
        free((void *)(uintptr_t)table->cells[i].text);
    free(widths);
    free(table->cells);
    *table = (struct table){ 0 };
}
