#include "client/json.h"

#include <string.h>

#include "base/base.h"

void json_init(struct json *json, FILE *to)
{
    *json = (struct json){ .to = to };
}

/* Length of the UTF-8 sequence at text, 0 when it is none (overlong forms and surrogates included). */
static size_t sequence_len(const uint8_t *text, size_t left)
{
    uint8_t first = text[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool surrogate = first == 0xed && text[1] >= 0xa0;
    bool beyond = first == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : len;
}

bool json_is_utf8(struct odk_bytes text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = sequence_len(text.data + at, text.len - at);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}

static void escape(FILE *to, uint8_t c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(shorts); i += 2)
        if ((uint8_t)shorts[i] == c) {
            (void)fprintf(to, "\\%c", shorts[i + 1]);
            return;
        }
    (void)fprintf(to, "\\u%04x", c);
}

static void quoted(FILE *to, struct odk_str text)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    (void)fputc('"', to);
    for (size_t at = 0; at < text.len;) {
        uint8_t c = bytes[at];
        size_t len = sequence_len(bytes + at, text.len - at);
        if (len == 0)
            (void)fputs("\\ufffd", to);
        else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            escape(to, c);
        else
            (void)fwrite(bytes + at, 1, len, to);
        at += MAX(len, (size_t)1);
    }
    (void)fputc('"', to);
}

static void lead(struct json *json, const char *key)
{
    uint32_t bit = 1u << json->depth;
    if (json->depth > 0)
        ASSERT(((json->arrays & bit) != 0) == (key == NULL));
    if (json->filled & bit)
        (void)fputc(',', json->to);
    json->filled |= bit;
    if (!key)
        return;
    quoted(json->to, odk_str_from(key));
    (void)fputc(':', json->to);
}

static void enter(struct json *json, const char *key, bool array)
{
    lead(json, key);
    json->depth++;
    ASSERT(json->depth < JSON_DEPTH_MAX);
    uint32_t bit = 1u << json->depth;
    json->filled &= ~bit;
    json->arrays = array ? json->arrays | bit : json->arrays & ~bit;
    (void)fputc(array ? '[' : '{', json->to);
}

void json_object(struct json *json, const char *key)
{
    enter(json, key, false);
}

void json_array(struct json *json, const char *key)
{
    enter(json, key, true);
}

void json_end(struct json *json)
{
    ASSERT(json->depth > 0);
    (void)fputc(json->arrays & (1u << json->depth) ? ']' : '}', json->to);
    json->depth--;
}

void json_str(struct json *json, const char *key, struct odk_str value)
{
    lead(json, key);
    if (value.data)
        quoted(json->to, value);
    else
        (void)fputs("null", json->to);
}

void json_text(struct json *json, const char *key, const char *value)
{
    json_str(json, key, value ? odk_str_from(value) : (struct odk_str){ 0 });
}

void json_base64(struct json *json, const char *key, struct odk_bytes value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    lead(json, key);
    (void)fputc('"', json->to);
    for (size_t at = 0; at < value.len; at += 3) {
        size_t have = MIN(value.len - at, (size_t)3);
        uint32_t bits = (uint32_t)value.data[at] << 16;
        bits |= have > 1 ? (uint32_t)value.data[at + 1] << 8 : 0;
        bits |= have > 2 ? value.data[at + 2] : 0;
        char out[4] = { digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63] };
        memset(out + have + 1, '=', 3 - have);
        (void)fwrite(out, 1, sizeof(out), json->to);
    }
    (void)fputc('"', json->to);
}

void json_int(struct json *json, const char *key, int64_t value)
{
    lead(json, key);
    (void)fprintf(json->to, "%lld", (long long)value);
}

void json_bool(struct json *json, const char *key, bool value)
{
    lead(json, key);
    (void)fputs(value ? "true" : "false", json->to);
}

void json_null(struct json *json, const char *key)
{
    lead(json, key);
    (void)fputs("null", json->to);
}

void json_line(struct json *json)
{
    ASSERT(json->depth == 0);
    json->filled = 0;
    (void)fputc('\n', json->to);
}
