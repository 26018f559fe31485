#include "client/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* -- computing ------------------------------------------------------------------------------------------------------
 */

static int64_t shifted(int64_t current, int64_t by)
{
    int64_t sum;
    if (!__builtin_add_overflow(current, by, &sum))
        return sum;
    return by < 0 ? INT64_MIN : INT64_MAX;
}

static void clamp(struct plan_row *row)
{
    row->target = row->wanted;
    if (row->wanted > row->end) {
        row->target = row->end;
        row->note = PLAN_LOWERED;
    } else if (row->wanted < row->start) {
        row->target = row->start;
        row->note = PLAN_RAISED;
    }
}

static void to_current(struct plan_row *row)
{
    row->note = row->current < 0 ? PLAN_UNCOMMITTED : PLAN_PLAIN;
    row->wanted = row->current < 0 ? row->end : row->current;
    row->target = row->wanted;
}

static void to_moment(struct plan_row *row)
{
    row->note = row->asked < 0 ? PLAN_TOO_YOUNG : PLAN_PLAIN;
    row->wanted = row->asked < 0 ? row->end : row->asked;
    row->target = row->wanted;
}

bool plan_solve(const struct plan_scenario *scenario, struct plan_row *row)
{
    row->note = PLAN_PLAIN;
    switch (scenario->kind) {
    case PLAN_NONE: UNREACHABLE();
    case PLAN_TO_EARLIEST: row->wanted = row->start; break;
    case PLAN_TO_LATEST: row->wanted = row->end; break;
    case PLAN_TO_CURRENT: to_current(row); return true;
    case PLAN_TO_MOMENT: to_moment(row); return true;
    case PLAN_TO_OFFSET: row->wanted = scenario->value; break;
    case PLAN_FROM_FILE: row->wanted = row->asked; break;
    case PLAN_SHIFT_BY:
        if (row->current < 0)
            return false;
        row->wanted = shifted(row->current, scenario->value);
        break;
    }
    clamp(row);
    return true;
}

const char *plan_note_text(enum plan_note note)
{
    switch (note) {
    case PLAN_PLAIN: return "";
    case PLAN_RAISED: return "moved up to the log's start";
    case PLAN_LOWERED: return "moved back to the log's end";
    case PLAN_TOO_YOUNG: return "no record is that young: the log's end";
    case PLAN_UNCOMMITTED: return "nothing was committed: the log's end";
    }
    UNREACHABLE();
}

bool plan_change(const struct plan_row *row, int64_t *ret)
{
    if (row->current < 0)
        return false;
    *ret = row->target - row->current;
    return true;
}

int plan_row_order(const void *left, const void *right)
{
    const struct plan_row *a = left;
    const struct plan_row *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* -- the file -------------------------------------------------------------------------------------------------------
 */

#define FIELDS_WITHOUT_GROUP 3u
#define FIELDS_MAX           4u

/* A quoted field; *at stands behind the first quote. Its text is unfolded into the arena. */
static bool quoted_field(const char **at, const char *end, struct arena *arena, struct odk_str *ret)
{
    const char *p = *at;
    char *text = arena_new(arena, char, (size_t)(end - p) + 1);
    size_t len = 0;
    ASSERT(text != NULL); /* the arena has no limit */
    for (; p < end; p++) {
        if (*p == '"' && (p + 1 == end || p[1] != '"'))
            break;
        p += *p == '"';
        text[len++] = *p;
    }
    if (p == end)
        return false;
    *at = p + 1;
    *ret = (struct odk_str){ text, len };
    return true;
}

/* Number of fields of a line; 0: it has another shape. */
static size_t fields_read(const char *at, const char *end, struct arena *arena, struct odk_str *ret)
{
    for (size_t count = 0; count < FIELDS_MAX;) {
        if (at < end && *at == '"') {
            at++;
            if (!quoted_field(&at, end, arena, &ret[count]))
                return 0;
        } else {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            ret[count] = (struct odk_str){ at, (size_t)((comma ? comma : end) - at) };
            at += ret[count].len;
        }
        count++;
        if (at == end)
            return count;
        if (*at++ != ',')
            return 0;
    }
    return 0;
}

static bool number(struct odk_str text, int64_t most, int64_t *ret)
{
    int64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int64_t digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret = value;
    return value <= most;
}

enum line_result { LINE_ROW, LINE_OTHER_GROUP, LINE_BAD };

static enum line_result line_read(const char *line, const char *end, struct odk_str group, struct arena *arena,
                                  struct plan_row *ret)
{
    struct odk_str fields[FIELDS_MAX];
    int64_t partition, offset;
    size_t count = fields_read(line, end, arena, fields);
    if (count < FIELDS_WITHOUT_GROUP)
        return LINE_BAD;
    const struct odk_str *row = fields + (count - FIELDS_WITHOUT_GROUP);
    if (row[0].len == 0 || !number(row[1], INT32_MAX, &partition) || !number(row[2], INT64_MAX, &offset))
        return LINE_BAD;
    if (count > FIELDS_WITHOUT_GROUP && !odk_str_eq(fields[0], group))
        return LINE_OTHER_GROUP;
    *ret = (struct plan_row){ .topic = row[0], .partition = (int32_t)partition, .asked = offset, .current = -1 };
    return LINE_ROW;
}

static size_t lines_count(struct odk_str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == '\n';
    return count;
}

/* Sorts; false when a partition is there twice. */
static bool rows_order(struct plan_row *rows, size_t count, char *ret_why, size_t why_len)
{
    qsort(rows, count, sizeof(*rows), plan_row_order);
    for (size_t i = 1; i < count; i++)
        if (plan_row_order(&rows[i - 1], &rows[i]) == 0) {
            (void)snprintf(ret_why, why_len, "partition %d of topic %.*s is there twice", rows[i].partition,
                           (int)MIN(rows[i].topic.len, (size_t)250), rows[i].topic.data);
            return false;
        }
    return true;
}

bool plan_csv_read(struct odk_str text, struct odk_str group, struct arena *arena, struct plan_row **ret_rows,
                   size_t *ret_count, char *ret_why, size_t why_len)
{
    struct plan_row *rows = arena_new(arena, struct plan_row, lines_count(text));
    const char *end = text.data + text.len;
    size_t count = 0, number_of_line = 1;
    ASSERT(rows != NULL); /* the arena has no limit */
    for (const char *line = text.data; line < end; number_of_line++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        const char *stop_text = stop > line && stop[-1] == '\r' ? stop - 1 : stop;
        enum line_result result =
            stop_text == line ? LINE_OTHER_GROUP : line_read(line, stop_text, group, arena, &rows[count]);
        if (result == LINE_BAD) {
            (void)snprintf(ret_why, why_len,
                           "line %zu is neither topic,partition,offset nor group,topic,partition,offset",
                           number_of_line);
            return false;
        }
        count += result == LINE_ROW;
        line = newline ? newline + 1 : end;
    }
    *ret_rows = rows;
    *ret_count = count;
    return rows_order(rows, count, ret_why, why_len);
}

void plan_csv_write(FILE *to, const struct plan_row *row)
{
    bool plain = true;
    for (size_t i = 0; i < row->topic.len; i++)
        plain = plain && row->topic.data[i] != ',' && row->topic.data[i] != '"';
    if (!plain)
        (void)fputc('"', to);
    for (size_t i = 0; i < row->topic.len; i++) {
        if (row->topic.data[i] == '"')
            (void)fputc('"', to);
        (void)fputc(row->topic.data[i], to);
    }
    (void)fprintf(to, "%s,%d,%lld\n", plain ? "" : "\"", row->partition, (long long)row->target);
}
