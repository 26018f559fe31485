#include "oracle/oracle_values.h"

#include "wire/out.h"

static int64_t read_len(struct oracle_walk *walk, struct rd *r, bool two_bytes, bool nullable)
{
    int64_t len = walk->flexible ? (int64_t)rd_uvarint(r) - 1 : two_bytes ? rd_i16(r) : rd_i32(r);
    if (len < (nullable ? -1 : 0) || len > (int64_t)rd_left(r))
        walk->failed = true;
    return walk->failed ? 0 : len;
}

static void read_view(struct oracle_walk *walk, struct rd *r, const struct wire_field *field, struct arena *arena,
                      uint8_t *p)
{
    bool nullable = !field->array && oracle_nullable(field, walk->version);
    int64_t len = read_len(walk, r, field->kind == WIRE_STRING, nullable);
    const uint8_t *data = len < 0 ? NULL : rd_take(r, (size_t)len);
    struct odk_bytes view = { .data = data, .len = len < 0 ? 0 : (size_t)len };
    if (field->kind != WIRE_RECORDS) {
        /* odk_str and odk_bytes have the same shape: pointer, length. */
        memcpy(p, &view, sizeof(view));
        return;
    }
    struct iovec *part = arena_new(arena, struct iovec, 1);
    *part = (struct iovec){ .iov_base = (void *)(uintptr_t)data, .iov_len = view.len };
    struct wire_records records = { .parts = part, .part_count = view.len > 0, .null = len < 0, .len = view.len };
    memcpy(p, &records, sizeof(records));
}

static void read_value(struct oracle_walk *walk, struct rd *r, const struct wire_field *field, struct arena *arena,
                       uint8_t *p)
{
    int64_t number = 0;
    switch (field->kind) {
    case WIRE_BOOL: number = rd_i8(r) != 0; break;
    case WIRE_INT8: number = rd_i8(r); break;
    case WIRE_INT16:
    case WIRE_UINT16: number = rd_i16(r); break;
    case WIRE_INT32: number = rd_i32(r); break;
    case WIRE_INT64:
    case WIRE_FLOAT64: number = rd_i64(r); break;
    case WIRE_UUID: {
        const uint8_t *taken = rd_take(r, 16);
        if (taken)
            memcpy(p, taken, 16);
        return;
    }
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS: read_view(walk, r, field, arena, p); return;
    case WIRE_STRUCT: walk->failed = true; return;
    }
    memcpy(p, &number, oracle_element_size(field));
}

static void read_array(struct oracle_walk *walk, struct rd *r, const struct wire_field *field, struct arena *arena,
                       const uint8_t *end)
{
    uint8_t *base = oracle_top(walk)->base;
    int64_t count = read_len(walk, r, false, oracle_nullable(field, walk->version));
    *oracle_count(field, base) = (int32_t)count;
    if (count <= 0)
        return;
    uint8_t *elements = arena_alloc(arena, (size_t)count, oracle_element_size(field));
    oracle_pointer_set(base + field->offset, elements);
    if (field->kind == WIRE_STRUCT) {
        oracle_push(walk,
                    (struct oracle_level){ .of = field->of, .base = elements, .elements = (int32_t)count, .end = end });
        return;
    }
    for (int64_t i = 0; i < count && !r->bad && !walk->failed; i++)
        read_value(walk, r, field, arena, elements + (size_t)i * oracle_element_size(field));
}

static void read_field(struct oracle_walk *walk, struct rd *r, const struct wire_field *field, struct arena *arena,
                       const uint8_t *end)
{
    uint8_t *p = oracle_top(walk)->base + field->offset;
    if (field->array) {
        read_array(walk, r, field, arena, end);
        return;
    }
    if (field->kind != WIRE_STRUCT) {
        read_value(walk, r, field, arena, p);
        return;
    }
    if (oracle_nullable(field, walk->version) && rd_i8(r) < 0)
        return;
    if (field->pointer) {
        uint8_t *made = arena_alloc(arena, 1, field->of->size);
        oracle_pointer_set(p, made);
        p = made;
    }
    oracle_push(walk, (struct oracle_level){ .of = field->of, .base = p, .elements = 1, .end = end });
}

/* Leaves a tag: all of it must have been read. */
static void tag_leave(struct oracle_walk *walk, struct rd *r, const uint8_t *end)
{
    if (r->at != r->end)
        walk->failed = true;
    r->end = end;
}

static void read_tag(struct oracle_walk *walk, struct rd *r, struct arena *arena)
{
    struct oracle_level *level = oracle_top(walk);
    int64_t tag = rd_uvarint(r);
    uint32_t len = rd_uvarint(r);
    if (r->bad || tag <= level->tag_last || len > rd_left(r)) {
        walk->failed = true;
        return;
    }
    level->tag_last = tag;
    level->tags_left--;
    const uint8_t *end = r->end;
    r->end = r->at + len;
    const struct wire_field *field = oracle_tagged(level->of, (uint32_t)tag, walk->version);
    uint32_t depth = walk->depth;
    if (field)
        read_field(walk, r, field, arena, end);
    else
        r->at = r->end;
    if (walk->depth == depth)
        tag_leave(walk, r, end);
}

/* Before the first field: what is not on the wire keeps its initial value. */
static void initial_values(struct oracle_level *level)
{
    for (uint32_t i = 0; i < level->of->field_count; i++)
        oracle_set_initial(&level->of->fields[i], level->base);
}

static void level_end(struct oracle_walk *walk, struct rd *r)
{
    struct oracle_level *level = oracle_top(walk);
    level->step = 0;
    level->base += level->of->size;
    if (--level->elements > 0)
        return;
    const uint8_t *end = level->end;
    walk->depth--;
    if (end)
        tag_leave(walk, r, end);
}

bool oracle_decode(void *body, const struct wire_message *message, int16_t version, struct rd *r, struct arena *arena)
{
    struct oracle_walk walk = { .version = version, .flexible = version >= message->flexible_from };
    oracle_push(&walk, (struct oracle_level){ .of = message->body, .base = body, .elements = 1 });
    while (walk.depth > 0 && !walk.failed && !r->bad) {
        struct oracle_level *level = oracle_top(&walk);
        uint32_t fields = level->of->field_count;
        if (level->step == 0)
            initial_values(level);
        if (level->step < fields) {
            const struct wire_field *field = oracle_untagged(level, version);
            level->step++;
            if (field)
                read_field(&walk, r, field, arena, NULL);
        } else if (level->step == fields) {
            level->step++;
            level->tag_last = -1;
            level->tags_left = walk.flexible ? rd_uvarint(r) : 0;
            walk.failed |= level->tags_left > 64;
        } else if (level->tags_left > 0) {
            read_tag(&walk, r, arena);
        } else {
            level_end(&walk, r);
        }
    }
    return !walk.failed && !r->bad;
}
