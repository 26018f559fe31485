#include "wire/print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/uuid.h"
#include "wire/out.h"

#define DEPTH_MAX 10u
#define CUT_MARK  "..."

/* One struct, or the rest of an array of them, that is being printed. */
struct level {
    const struct wire_struct *of;
    const uint8_t *base;
    int32_t elements; /* left, the current one included */
    uint32_t field_idx;
    bool in_array;
    bool began; /* a field of this element has been printed */
};

struct printer {
    char *dst;
    size_t capacity; /* without the mark and the NUL */
    size_t len;
    bool full;
    int16_t version;
    uint32_t depth;
    struct level levels[DEPTH_MAX];
};

static void print_text(struct printer *p, const char *text, size_t len)
{
    size_t fits = MIN(len, p->capacity - p->len);
    memcpy(p->dst + p->len, text, fits);
    p->len += fits;
    p->full |= fits < len;
}

static void print_literal(struct printer *p, const char *text)
{
    print_text(p, text, strlen(text));
}

PRINTF(2, 3) static void print_format(struct printer *p, const char *format, ...)
{
    char buf[64];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    ASSERT(len >= 0);
    print_text(p, buf, MIN((size_t)len, sizeof(buf) - 1));
}

static void print_str(struct printer *p, struct odk_str str)
{
    if (!str.data) {
        print_literal(p, "null");
        return;
    }
    print_literal(p, "\"");
    for (size_t i = 0; i < MIN(str.len, PRINT_STR_BYTES_MAX) && !p->full; i++) {
        uint8_t byte = (uint8_t)str.data[i];
        if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
            print_format(p, "\\x%02x", byte);
        else
            print_text(p, &str.data[i], 1);
    }
    print_literal(p, str.len > PRINT_STR_BYTES_MAX ? CUT_MARK "\"" : "\"");
}

static void print_view_len(struct printer *p, bool null, size_t len)
{
    if (null)
        print_literal(p, "null");
    else
        print_format(p, "<%zu bytes>", len);
}

static void print_uuid(struct printer *p, const uint8_t *at)
{
    struct odk_uuid id;
    char text[UUID_TEXT_LEN + 1];
    memcpy(&id, at, sizeof(id));
    uuid_print(id, text);
    print_literal(p, text);
}

#define MEMBER(type) (*(const type *)(const void *)at)

/* Returns the size of the member. */
static size_t print_value(struct printer *p, enum wire_kind kind, const uint8_t *at)
{
    switch (kind) {
    case WIRE_BOOL: print_literal(p, MEMBER(bool) ? "true" : "false"); return sizeof(bool);
    case WIRE_INT8: print_format(p, "%d", MEMBER(int8_t)); return sizeof(int8_t);
    case WIRE_INT16: print_format(p, "%d", MEMBER(int16_t)); return sizeof(int16_t);
    case WIRE_UINT16: print_format(p, "%u", MEMBER(uint16_t)); return sizeof(uint16_t);
    case WIRE_INT32: print_format(p, "%" PRId32, MEMBER(int32_t)); return sizeof(int32_t);
    case WIRE_INT64: print_format(p, "%" PRId64, MEMBER(int64_t)); return sizeof(int64_t);
    case WIRE_FLOAT64: print_format(p, "%.17g", MEMBER(double)); return sizeof(double);
    case WIRE_UUID: print_uuid(p, at); return sizeof(struct odk_uuid);
    case WIRE_STRING: print_str(p, MEMBER(struct odk_str)); return sizeof(struct odk_str);
    case WIRE_BYTES: {
        struct odk_bytes bytes = MEMBER(struct odk_bytes);
        print_view_len(p, !bytes.data, bytes.len);
        return sizeof(bytes);
    }
    case WIRE_RECORDS: {
        struct wire_records records = MEMBER(struct wire_records);
        print_view_len(p, records.null, records.len);
        return sizeof(records);
    }
    case WIRE_STRUCT: break;
    }
    UNREACHABLE();
}
#undef MEMBER

static void level_push(struct printer *p, const struct wire_field *field, const uint8_t *base, int32_t elements)
{
    ASSERT(p->depth < DEPTH_MAX);
    p->levels[p->depth++] =
        (struct level){ .of = field->of, .base = base, .elements = elements, .in_array = field->array };
    print_literal(p, "{");
}

static void print_array(struct printer *p, const struct wire_field *field, const uint8_t *base)
{
    int32_t count = *(const int32_t *)(const void *)(base + field->count_offset);
    const uint8_t *at = *(const uint8_t *const *)(const void *)(base + field->offset);
    if (count < 0) {
        print_literal(p, "null");
        return;
    }
    print_literal(p, "[");
    if (field->kind == WIRE_STRUCT && count > 0) {
        level_push(p, field, at, count);
        return;
    }
    for (int32_t i = 0; i < count && !p->full; i++) {
        if (i > 0)
            print_literal(p, ", ");
        at += print_value(p, field->kind, at);
    }
    print_literal(p, "]");
}

static void print_struct(struct printer *p, const struct wire_field *field, const uint8_t *at)
{
    if (field->pointer)
        at = *(const uint8_t *const *)(const void *)at;
    if (at)
        level_push(p, field, at, 1);
    else
        print_literal(p, "null");
}

static void print_field(struct printer *p, struct level *level, const struct wire_field *field)
{
    if (level->began)
        print_literal(p, ", ");
    level->began = true;
    print_literal(p, field->name);
    print_literal(p, "=");
    if (field->array)
        print_array(p, field, level->base);
    else if (field->kind == WIRE_STRUCT)
        print_struct(p, field, level->base + field->offset);
    else
        (void)print_value(p, field->kind, level->base + field->offset);
}

/* The current element is complete: the next one, or back to what holds it. */
static void level_end(struct printer *p)
{
    struct level *level = &p->levels[p->depth - 1];
    print_literal(p, "}");
    level->elements--;
    if (level->elements > 0) {
        print_literal(p, ", {");
        level->base += level->of->size;
        level->field_idx = 0;
        level->began = false;
        return;
    }
    if (level->in_array)
        print_literal(p, "]");
    p->depth--;
}

size_t wire_print(char *dst, size_t capacity, const struct wire_message *message, const void *body, int16_t version)
{
    ASSERT(capacity > sizeof(CUT_MARK));
    struct printer p = { .dst = dst, .capacity = capacity - sizeof(CUT_MARK), .version = version };
    const struct wire_field whole = { .of = message->body };
    print_literal(&p, message->name);
    print_format(&p, " v%d ", version);
    level_push(&p, &whole, body, 1);
    while (p.depth > 0 && !p.full) {
        struct level *level = &p.levels[p.depth - 1];
        if (level->field_idx == level->of->field_count) {
            level_end(&p);
            continue;
        }
        const struct wire_field *field = &level->of->fields[level->field_idx++];
        if (wire_range_has(field->versions, version))
            print_field(&p, level, field);
    }
    if (p.full)
        memcpy(dst + p.len, CUT_MARK, sizeof(CUT_MARK) - 1);
    p.len += p.full ? sizeof(CUT_MARK) - 1 : 0;
    dst[p.len] = '\0';
    return p.len;
}
