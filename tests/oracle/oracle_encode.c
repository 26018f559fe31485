#include "oracle/oracle_values.h"

#include "wire/out.h"

static void write_len(struct wr *w, int64_t len, bool flexible, bool two_bytes)
{
    if (flexible)
        wr_uvarint(w, (uint32_t)(len + 1));
    else if (two_bytes)
        wr_i16(w, (int16_t)len);
    else
        wr_i32(w, (int32_t)len);
}

static void write_records(struct oracle_walk *walk, struct wr *w, const struct wire_records *records)
{
    write_len(w, records->null ? -1 : (int64_t)records->len, walk->flexible, false);
    for (uint32_t i = 0; i < records->part_count; i++)
        wr_raw(w, records->parts[i].iov_base, records->parts[i].iov_len);
}

static void write_view(struct oracle_walk *walk, struct wr *w, const struct wire_field *field, const void *data,
                       size_t len)
{
    bool null = !data && !field->array && oracle_nullable(field, walk->version);
    write_len(w, null ? -1 : (int64_t)len, walk->flexible, field->kind == WIRE_STRING);
    wr_raw(w, data, len);
}

static void write_value(struct oracle_walk *walk, struct wr *w, const struct wire_field *field, const uint8_t *p)
{
    struct odk_str str;
    struct odk_bytes bytes;
    struct wire_records records;
    int64_t number = oracle_number(field, p);
    switch (field->kind) {
    case WIRE_BOOL:
    case WIRE_INT8: wr_i8(w, (int8_t)number); break;
    case WIRE_INT16:
    case WIRE_UINT16: wr_i16(w, (int16_t)number); break;
    case WIRE_INT32: wr_i32(w, (int32_t)number); break;
    case WIRE_INT64: wr_i64(w, number); break;
    case WIRE_FLOAT64: memcpy(&number, p, sizeof(number)), wr_i64(w, number); break;
    case WIRE_UUID: wr_raw(w, p, 16); break;
    case WIRE_STRING: memcpy(&str, p, sizeof(str)), write_view(walk, w, field, str.data, str.len); break;
    case WIRE_BYTES: memcpy(&bytes, p, sizeof(bytes)), write_view(walk, w, field, bytes.data, bytes.len); break;
    case WIRE_RECORDS: memcpy(&records, p, sizeof(records)), write_records(walk, w, &records); break;
    case WIRE_STRUCT: walk->failed = true; break;
    }
}

static void write_array(struct oracle_walk *walk, struct wr *w, const struct wire_field *field, uint8_t *base,
                        size_t mark)
{
    int32_t count = *oracle_count(field, base);
    uint8_t *elements = oracle_pointer_get(base + field->offset);
    if (count < 0 && !oracle_nullable(field, walk->version))
        walk->failed = true;
    write_len(w, count, walk->flexible, false);
    if (field->kind == WIRE_STRUCT && count > 0)
        oracle_push(walk, (struct oracle_level){ .of = field->of, .base = elements, .elements = count, .mark = mark });
    for (int32_t i = 0; i < count && field->kind != WIRE_STRUCT; i++)
        write_value(walk, w, field, elements + (size_t)i * oracle_element_size(field));
}

/* Writes a field, or pushes the struct that it is; mark belongs to the tag around it. */
static void write_field(struct oracle_walk *walk, struct wr *w, const struct wire_field *field, size_t mark)
{
    uint8_t *base = oracle_top(walk)->base;
    uint8_t *p = base + field->offset;
    if (field->array) {
        write_array(walk, w, field, base, mark);
        return;
    }
    if (field->kind != WIRE_STRUCT) {
        write_value(walk, w, field, p);
        return;
    }
    if (field->pointer)
        p = oracle_pointer_get(p);
    if (oracle_nullable(field, walk->version))
        wr_i8(w, p ? 1 : -1);
    if (p)
        oracle_push(walk, (struct oracle_level){ .of = field->of, .base = p, .elements = 1, .mark = mark });
}

/* The length of a tag is known when its value is there: the value moves to make room. */
static void tag_finish(struct wr *w, size_t mark)
{
    uint8_t len_bytes[10];
    struct wr len = wr_init(len_bytes, sizeof(len_bytes));
    wr_uvarint(&len, (uint32_t)(w->pos - mark));
    size_t value_len = w->pos - mark;
    wr_raw(w, len_bytes, len.pos);
    if (w->bad)
        return;
    memmove(w->start + mark + len.pos, w->start + mark, value_len);
    memcpy(w->start + mark, len_bytes, len.pos);
}

static bool tag_is_there(const struct oracle_level *level, const struct wire_field *field)
{
    if (field->kind == WIRE_STRING && !field->array && field->null.first > field->null.last) {
        struct odk_str str;
        memcpy(&str, level->base + field->offset, sizeof(str));
        return str.len > 0;
    }
    return !oracle_is_initial(field, level->base);
}

static void write_tag_count(struct oracle_walk *walk, struct wr *w)
{
    struct oracle_level *level = oracle_top(walk);
    uint32_t count = 0;
    for (uint32_t tag = 0; tag < level->of->field_count; tag++) {
        const struct wire_field *field = oracle_tagged(level->of, tag, walk->version);
        count += field && tag_is_there(level, field);
    }
    if (walk->flexible)
        wr_uvarint(w, count);
}

static void write_tag(struct oracle_walk *walk, struct wr *w, uint32_t tag)
{
    struct oracle_level *level = oracle_top(walk);
    const struct wire_field *field = oracle_tagged(level->of, tag, walk->version);
    if (!walk->flexible || !field || !tag_is_there(level, field))
        return;
    wr_uvarint(w, tag);
    size_t mark = w->pos;
    uint32_t depth = walk->depth;
    write_field(walk, w, field, mark);
    if (walk->depth == depth && !walk->failed)
        tag_finish(w, mark);
}

static void level_end(struct oracle_walk *walk, struct wr *w)
{
    struct oracle_level *level = oracle_top(walk);
    level->elements--;
    level->step = 0;
    level->base += level->of->size;
    if (level->elements > 0)
        return;
    size_t mark = level->mark;
    walk->depth--;
    if (mark != SIZE_MAX)
        tag_finish(w, mark);
}

bool oracle_encode(const void *body, const struct wire_message *message, int16_t version, struct wr *w,
                   uint32_t *ret_strays)
{
    struct oracle_walk walk = { .version = version, .flexible = version >= message->flexible_from };
    uint32_t strays = 0;
    oracle_push(&walk, (struct oracle_level){
                           .of = message->body, .base = (uint8_t *)(uintptr_t)body, .elements = 1, .mark = SIZE_MAX });
    while (walk.depth > 0 && !walk.failed && !w->bad) {
        struct oracle_level *level = oracle_top(&walk);
        uint32_t step = level->step++;
        if (step < level->of->field_count) {
            const struct wire_field *field = &level->of->fields[step];
            if (!wire_range_has(field->versions, version))
                strays += !oracle_is_initial(field, level->base);
            else if (field->tag < 0)
                write_field(&walk, w, field, SIZE_MAX);
        } else if (step == level->of->field_count) {
            write_tag_count(&walk, w);
        } else if (step <= 2 * level->of->field_count) {
            write_tag(&walk, w, step - level->of->field_count - 1);
        } else {
            level_end(&walk, w);
        }
    }
    *ret_strays = strays;
    return !walk.failed && !w->bad;
}
