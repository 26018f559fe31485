#include "oracle/oracle_values.h"

#include "wire/out.h"

static int64_t random_number(struct prng *prng)
{
    switch (prng_below(prng, 4)) {
    case 0: return 0;
    case 1: return -1;
    case 2: return (int64_t)prng_below(prng, 300);
    default: return (int64_t)prng_next(prng);
    }
}

/* ASCII with now and then a two-, three- or four-byte character. */
static struct odk_bytes random_text(struct prng *prng, struct arena *arena, size_t characters)
{
    static const char *const odd[] = { "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x88" };
    uint8_t *text = arena_alloc(arena, characters * 4 + 1, 1);
    size_t len = 0;
    for (size_t i = 0; i < characters; i++) {
        const char *add = odd[prng_below(prng, 3)];
        if (prng_below(prng, 10) > 0) {
            text[len++] = (uint8_t)prng_between(prng, 0x20, 0x7e);
        } else {
            memcpy(text + len, add, strlen(add));
            len += strlen(add);
        }
    }
    return (struct odk_bytes){ .data = text, .len = len };
}

static struct odk_bytes random_view(struct prng *prng, struct arena *arena)
{
    size_t len = prng_below(prng, 20) == 0 ? prng_below(prng, 400) : prng_below(prng, 12);
    return random_text(prng, arena, len);
}

static struct wire_records random_records(struct prng *prng, struct arena *arena, bool nullable)
{
    if (nullable && prng_below(prng, 5) == 0)
        return (struct wire_records){ .null = true };
    struct iovec *parts = arena_new(arena, struct iovec, 3);
    struct wire_records records = { .parts = parts, .part_count = (uint32_t)prng_below(prng, 4) };
    for (uint32_t i = 0; i < records.part_count; i++) {
        struct odk_bytes bytes = random_view(prng, arena);
        parts[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.len };
        records.len += bytes.len;
    }
    return records;
}

static void random_value(const struct wire_field *field, uint8_t *p, bool nullable, struct prng *prng,
                         struct arena *arena)
{
    int64_t number = random_number(prng);
    switch (field->kind) {
    case WIRE_BOOL: *p = number & 1; return;
    case WIRE_INT8:
    case WIRE_INT16:
    case WIRE_UINT16:
    case WIRE_INT32:
    case WIRE_INT64: memcpy(p, &number, oracle_element_size(field)); return;
    case WIRE_FLOAT64: {
        double value = (double)number / 8;
        memcpy(p, &value, sizeof(value));
        return;
    }
    case WIRE_UUID: memcpy(p, &number, sizeof(number)); return;
    case WIRE_STRING:
    case WIRE_BYTES: {
        bool null = nullable && prng_below(prng, 5) == 0;
        struct odk_bytes view = null ? (struct odk_bytes){ 0 } : random_view(prng, arena);
        memcpy(p, &view, sizeof(view));
        return;
    }
    case WIRE_RECORDS: {
        struct wire_records records = random_records(prng, arena, nullable);
        memcpy(p, &records, sizeof(records));
        return;
    }
    case WIRE_STRUCT: return;
    }
}

static void random_array(struct oracle_walk *walk, const struct wire_field *field, uint8_t *base, struct prng *prng,
                         struct arena *arena)
{
    bool null = oracle_nullable(field, walk->version) && prng_below(prng, 5) == 0;
    int32_t count = null ? -1 : (int32_t)prng_below(prng, walk->depth < 3 ? 4 : 3);
    if (count > 0 && field->kind != WIRE_STRUCT && prng_below(prng, 30) == 0)
        count = 200; /* two bytes of compact length */
    *oracle_count(field, base) = count;
    if (count <= 0)
        return;
    uint8_t *elements = arena_alloc(arena, (size_t)count, oracle_element_size(field));
    oracle_pointer_set(base + field->offset, elements);
    if (field->kind == WIRE_STRUCT)
        oracle_push(walk, (struct oracle_level){ .of = field->of, .base = elements, .elements = count });
    for (int32_t i = 0; i < count && field->kind != WIRE_STRUCT; i++)
        random_value(field, elements + (size_t)i * oracle_element_size(field), false, prng, arena);
}

static void random_struct(struct oracle_walk *walk, const struct wire_field *field, uint8_t *p, struct prng *prng,
                          struct arena *arena)
{
    bool may_miss = field->tag >= 0 || oracle_nullable(field, walk->version);
    if (field->pointer && may_miss && prng_below(prng, 3) == 0)
        return;
    if (field->pointer) {
        uint8_t *made = arena_alloc(arena, 1, field->of->size);
        oracle_pointer_set(p, made);
        p = made;
    }
    oracle_push(walk, (struct oracle_level){ .of = field->of, .base = p, .elements = 1 });
}

void oracle_random(void *body, const struct wire_message *message, int16_t version, struct prng *prng,
                   struct arena *arena)
{
    struct oracle_walk walk = { .version = version, .flexible = version >= message->flexible_from };
    oracle_push(&walk, (struct oracle_level){ .of = message->body, .base = body, .elements = 1 });
    while (walk.depth > 0) {
        struct oracle_level *level = oracle_top(&walk);
        if (level->step == level->of->field_count) {
            level->step = 0;
            level->base += level->of->size;
            walk.depth -= --level->elements == 0;
            continue;
        }
        const struct wire_field *field = &level->of->fields[level->step++];
        uint8_t *p = level->base + field->offset;
        oracle_set_initial(field, level->base);
        if (!wire_range_has(field->versions, version) || (field->tag >= 0 && prng_below(prng, 3) == 0))
            continue;
        if (field->array)
            random_array(&walk, field, level->base, prng, arena);
        else if (field->kind == WIRE_STRUCT)
            random_struct(&walk, field, p, prng, arena);
        else
            random_value(field, p, oracle_nullable(field, version), prng, arena);
    }
    ASSERT(!walk.failed);
}
