#include "broker/properties.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct properties properties_init(struct odk_str text)
{
    const char *at = text.data ? text.data : "";
    return (struct properties){ .at = at, .end = at + text.len, .line = xcalloc(text.len + 1, 1), .line_number = 1 };
}

void properties_deinit(struct properties *properties)
{
    free(properties->line);
    properties->line = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

/* The next physical line without its end and without leading blanks; false at the end of the text. */
static bool physical_line(struct properties *properties, struct odk_str *ret)
{
    if (properties->at >= properties->end)
        return false;
    const char *start = properties->at;
    const char *at = start;
    while (at < properties->end && *at != '\n' && *at != '\r')
        at++;
    size_t len = (size_t)(at - start);
    if (at < properties->end && *at == '\r')
        at++;
    if (at < properties->end && *at == '\n')
        at++;
    properties->at = at;
    properties->line_number++;
    while (len > 0 && is_blank(*start)) {
        start++;
        len--;
    }
    *ret = (struct odk_str){ .data = start, .len = len };
    return true;
}

/* An odd number of backslashes at the end continues the line. */
static bool is_continued(struct odk_str line)
{
    size_t count = 0;
    while (count < line.len && line.data[line.len - 1 - count] == '\\')
        count++;
    return count % 2 == 1;
}

/* Gathers one logical line, escapes unresolved; false at the end. */
static bool logical_line(struct properties *properties, size_t *ret_len, uint32_t *ret_number)
{
    struct odk_str part;
    do {
        *ret_number = properties->line_number;
        if (!physical_line(properties, &part))
            return false;
    } while (part.len == 0 || part.data[0] == '#' || part.data[0] == '!');
    size_t len = 0;
    for (;;) {
        bool more = is_continued(part);
        size_t take = part.len - (more ? 1 : 0);
        memcpy(properties->line + len, part.data, take);
        len += take;
        if (!more || !physical_line(properties, &part))
            break;
    }
    *ret_len = len;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool unicode_parse(const char *at, size_t len, uint32_t *ret)
{
    uint32_t code = 0;
    if (len < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    *ret = code;
    return true;
}

/* Up to three bytes; six characters of source became them. Surrogates stay as they are: no setting has them. */
static size_t utf8_put(char *dst, uint32_t code)
{
    if (code < 0x80) {
        dst[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        dst[0] = (char)(0xc0 | code >> 6);
        dst[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    dst[0] = (char)(0xe0 | code >> 12);
    dst[1] = (char)(0x80 | (code >> 6 & 0x3f));
    dst[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

static char escape_value(char c)
{
    switch (c) {
    case 't': return '\t';
    case 'n': return '\n';
    case 'r': return '\r';
    case 'f': return '\f';
    default: return c;
    }
}

/* Resolves escapes in place; false for a broken \u. */
static bool unescape(char *text, size_t *len)
{
    size_t out = 0, in = 0;
    while (in < *len) {
        if (text[in] != '\\' || in + 1 == *len) {
            text[out++] = text[in++];
            continue;
        }
        in++;
        if (text[in] != 'u') {
            text[out++] = escape_value(text[in++]);
            continue;
        }
        uint32_t code;
        if (!unicode_parse(text + in + 1, *len - in - 1, &code))
            return false;
        in += 5;
        out += utf8_put(text + out, code);
    }
    *len = out;
    return true;
}

/* Where the key ends: the first blank, '=' or ':' that is not escaped. */
static size_t key_end(const char *line, size_t len)
{
    size_t at = 0;
    while (at < len && !is_blank(line[at]) && line[at] != '=' && line[at] != ':')
        at += line[at] == '\\' && at + 1 < len ? 2 : 1;
    return at;
}

static size_t value_start(const char *line, size_t len, size_t at)
{
    while (at < len && is_blank(line[at]))
        at++;
    if (at < len && (line[at] == '=' || line[at] == ':'))
        at++;
    while (at < len && is_blank(line[at]))
        at++;
    return at;
}

bool properties_next(struct properties *properties, struct property *ret)
{
    size_t len;
    uint32_t number;
    if (properties->bad_line || !logical_line(properties, &len, &number))
        return false;
    char *line = properties->line;
    size_t key_len = key_end(line, len);
    size_t value_at = value_start(line, len, key_len);
    size_t value_len = len - value_at;
    if (!unescape(line, &key_len) || !unescape(line + value_at, &value_len)) {
        properties->bad_line = number;
        return false;
    }
    *ret = (struct property){
        .key = { .data = line, .len = key_len },
        .value = { .data = line + value_at, .len = value_len },
        .line = number,
    };
    return true;
}
