#include "broker/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/diag.h"

static void *member(const struct config_row *row, void *config)
{
    return (char *)config + row->offset;
}

static const void *member_const(const struct config_row *row, const void *config)
{
    return (const char *)config + row->offset;
}

static enum odk_err refuse(const struct config_row *row, const char *text, struct config_why *ret_why,
                           const char *allowed)
{
    char value[128];
    diag_escape(value, sizeof(value), odk_str_from(text));
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s: \"%s\" is not allowed; it must be %s", row->key, value,
                   allowed);
    return ODK_ERR_INVALID;
}

/* -- lists -------------------------------------------------------------------------------------------------------- */

static struct odk_str trim(struct odk_str text)
{
    while (text.len > 0 && isspace((unsigned char)text.data[0]))
        text = (struct odk_str){ .data = text.data + 1, .len = text.len - 1 };
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        text.len--;
    return text;
}

bool config_list_next(struct odk_str *rest, struct odk_str *ret_item)
{
    if (!rest->data || rest->len == 0)
        return false;
    const char *comma = memchr(rest->data, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->data) : rest->len;
    *ret_item = trim((struct odk_str){ .data = rest->data, .len = len });
    size_t used = comma ? len + 1 : len;
    *rest = (struct odk_str){ .data = rest->data + used, .len = rest->len - used };
    return true;
}

/* The position of item among the row's choices, or -1. */
static int choice_find(const struct config_row *row, struct odk_str item)
{
    struct odk_str rest = odk_str_from(row->choices), choice;
    for (int i = 0; config_list_next(&rest, &choice); i++) {
        if (odk_str_eq(choice, item))
            return i;
    }
    return -1;
}

static struct odk_str choice_at(const struct config_row *row, int position)
{
    struct odk_str rest = odk_str_from(row->choices), choice = { 0 };
    for (int i = 0; i <= position && config_list_next(&rest, &choice); i++)
        ;
    return choice;
}

/* -- numbers ------------------------------------------------------------------------------------------------------ */

int64_t config_number(const struct config_row *row, const void *config)
{
    const void *at = member_const(row, config);
    if (row->type == CONFIG_INT)
        return *(const int32_t *)at;
    if (row->type == CONFIG_SHORT)
        return *(const int16_t *)at;
    ASSERT(row->type == CONFIG_LONG);
    return *(const int64_t *)at;
}

void config_number_put(const struct config_row *row, void *config, int64_t value)
{
    void *at = member(row, config);
    if (row->type == CONFIG_INT)
        *(int32_t *)at = (int32_t)value;
    else if (row->type == CONFIG_SHORT)
        *(int16_t *)at = (int16_t)value;
    else
        *(int64_t *)at = value;
}

static enum odk_err number_parse(const struct config_row *row, const char *text, void *config,
                                 struct config_why *ret_why)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < row->min || value > row->max) {
        char allowed[96];
        (void)snprintf(allowed, sizeof(allowed), "a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
        return refuse(row, text, ret_why, allowed);
    }
    config_number_put(row, config, value);
    return ODK_OK;
}

static enum odk_err double_parse(const struct config_row *row, const char *text, void *config,
                                 struct config_why *ret_why)
{
    char *end;
    double value = strtod(text, &end);
    bool unbounded = row->max == INT64_MAX;
    if (end == text || *end != '\0' || !isfinite(value) || value < (double)row->min ||
        (!unbounded && value > (double)row->max)) {
        char allowed[96];
        if (unbounded)
            (void)snprintf(allowed, sizeof(allowed), "a number from %" PRId64 " on", row->min);
        else
            (void)snprintf(allowed, sizeof(allowed), "a number from %" PRId64 " to %" PRId64, row->min, row->max);
        return refuse(row, text, ret_why, allowed);
    }
    *(double *)member(row, config) = value;
    return ODK_OK;
}

/* -- words -------------------------------------------------------------------------------------------------------- */

static enum odk_err bool_parse(const struct config_row *row, const char *text, void *config, struct config_why *ret_why)
{
    bool yes = strcasecmp(text, "true") == 0;
    if (!yes && strcasecmp(text, "false") != 0)
        return refuse(row, text, ret_why, "true or false");
    *(bool *)member(row, config) = yes;
    return ODK_OK;
}

static enum odk_err words_parse(const struct config_row *row, const char *text, void *config,
                                struct config_why *ret_why)
{
    struct odk_str rest = odk_str_from(text), item;
    uint8_t flags = 0;
    int first = -1, last = -1;
    char allowed[160];
    (void)snprintf(allowed, sizeof(allowed), "%s %s", row->type == CONFIG_CHOICE ? "one of" : "any of", row->choices);
    while (config_list_next(&rest, &item)) {
        if (row->type == CONFIG_CHOICE && last >= 0)
            return refuse(row, text, ret_why, allowed);
        last = choice_find(row, item);
        if (last < 0)
            return refuse(row, text, ret_why, allowed);
        flags = (uint8_t)(flags | 1u << last);
        first = first < 0 ? last : first;
    }
    flags = (uint8_t)(flags | (first > last ? CONFIG_FLAGS_TURNED : 0));
    if (row->type == CONFIG_CHOICE && last < 0)
        return refuse(row, text, ret_why, allowed);
    *(uint8_t *)member(row, config) = row->type == CONFIG_CHOICE ? (uint8_t)last : flags;
    return ODK_OK;
}

enum odk_err config_value_parse(const struct config_row *row, const char *text, void *config,
                                struct config_why *ret_why)
{
    switch (row->type) {
    case CONFIG_BOOL: return bool_parse(row, text, config, ret_why);
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG: return number_parse(row, text, config, ret_why);
    case CONFIG_DOUBLE: return double_parse(row, text, config, ret_why);
    case CONFIG_CHOICE:
    case CONFIG_FLAGS: return words_parse(row, text, config, ret_why);
    case CONFIG_STRING:
    case CONFIG_LIST:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD: *(const char **)member(row, config) = text; return ODK_OK;
    }
    UNREACHABLE();
}

void config_value_default(const struct config_row *row, void *config)
{
    struct config_why why;
    if (row->fallback) {
        ASSERT(config_value_parse(row, row->fallback, config, &why) == ODK_OK); /* tables are tested */
        return;
    }
    switch (row->type) {
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG: config_number_put(row, config, row->min - 1); break;
    case CONFIG_STRING:
    case CONFIG_LIST:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD: *(const char **)member(row, config) = NULL; break;
    case CONFIG_BOOL:
    case CONFIG_DOUBLE:
    case CONFIG_CHOICE:
    case CONFIG_FLAGS: UNREACHABLE();
    }
}

uint32_t config_row_find(const struct config_row *rows, uint32_t count, struct odk_str key)
{
    uint32_t begin = 0, end = count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        struct odk_str at = odk_str_from(rows[middle].key);
        int order = key.len ? memcmp(at.data, key.data, MIN(at.len, key.len)) : 1;
        if (order == 0 && at.len == key.len)
            return middle;
        if (order < 0 || (order == 0 && at.len < key.len))
            begin = middle + 1;
        else
            end = middle;
    }
    return count;
}

char *config_text_copy(struct odk_str text)
{
    text = trim(text);
    if (text.len > CONFIG_VALUE_BYTES_MAX || (text.len > 0 && memchr(text.data, '\0', text.len)))
        return NULL;
    return xstrndup(text.len ? text.data : "", text.len);
}

char *config_text_take(const struct config_row *row, struct odk_str text, struct config_why *ret_why)
{
    char *copy = config_text_copy(text);
    if (!copy)
        (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s: the value is longer than %u bytes or has a NUL",
                       row->key, CONFIG_VALUE_BYTES_MAX);
    return copy;
}

/* -- showing ------------------------------------------------------------------------------------------------------ */

static struct odk_str flags_print(const struct config_row *row, uint8_t flags, char dst[CONFIG_TEXT_BYTES])
{
    size_t len = 0;
    dst[0] = '\0';
    for (int i = 0; i < 7; i++) {
        int at = flags & CONFIG_FLAGS_TURNED ? 6 - i : i;
        if (!(flags & 1u << at))
            continue;
        struct odk_str choice = choice_at(row, at);
        int more = snprintf(dst + len, CONFIG_TEXT_BYTES - len, "%s%.*s", len ? "," : "", ODK_STR_FMT(choice));
        ASSERT(more > 0);
        len += (size_t)more;
        ASSERT(len < CONFIG_TEXT_BYTES);
    }
    return (struct odk_str){ .data = dst, .len = len };
}

static struct odk_str number_print(const struct config_row *row, const void *config, char dst[CONFIG_TEXT_BYTES])
{
    int64_t value = config_number(row, config);
    if (!row->fallback && value < row->min)
        return (struct odk_str){ 0 };
    int len = snprintf(dst, CONFIG_TEXT_BYTES, "%" PRId64, value);
    return (struct odk_str){ .data = dst, .len = (size_t)len };
}

/* As Java prints doubles: 0.5, 1.0, 1.0E-4; the fewest digits that read back as the same number. */
static struct odk_str double_print(double value, char dst[CONFIG_TEXT_BYTES])
{
    char digits[40];
    int places = 0, len;
    for (; places < 17; places++) { /* behind the first digit */
        (void)snprintf(digits, sizeof(digits), "%.*e", places, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    int exponent = value == 0 ? 0 : (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent >= -3 && exponent < 7)
        len = snprintf(dst, CONFIG_TEXT_BYTES, "%.*f", MAX(places - exponent, 1), value);
    else
        len = snprintf(dst, CONFIG_TEXT_BYTES, "%.*s%sE%d", (int)(strchr(digits, 'e') - digits), digits,
                       places == 0 ? ".0" : "", exponent);
    return (struct odk_str){ .data = dst, .len = (size_t)len };
}

struct odk_str config_print(const struct config_row *row, const void *config, char dst[CONFIG_TEXT_BYTES])
{
    const void *at = member_const(row, config);
    switch (row->type) {
    case CONFIG_BOOL: return *(const bool *)at ? ODK_STR("true") : ODK_STR("false");
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG: return number_print(row, config, dst);
    case CONFIG_DOUBLE: return double_print(*(const double *)at, dst);
    case CONFIG_CHOICE: return choice_at(row, *(const uint8_t *)at);
    case CONFIG_FLAGS: return flags_print(row, *(const uint8_t *)at, dst);
    case CONFIG_STRING:
    case CONFIG_LIST:
    case CONFIG_CLASS: {
        const char *text = *(const char *const *)at;
        return text ? odk_str_from(text) : (struct odk_str){ 0 };
    }
    case CONFIG_PASSWORD: return (struct odk_str){ 0 };
    }
    UNREACHABLE();
}

int8_t config_type_code(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOL: return 1;
    case CONFIG_CHOICE:
    case CONFIG_STRING: return 2;
    case CONFIG_INT: return 3;
    case CONFIG_SHORT: return 4;
    case CONFIG_LONG: return 5;
    case CONFIG_DOUBLE: return 6;
    case CONFIG_FLAGS:
    case CONFIG_LIST: return 7;
    case CONFIG_CLASS: return 8;
    case CONFIG_PASSWORD: return 9;
    }
    UNREACHABLE();
}
