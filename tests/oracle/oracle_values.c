#include "oracle/oracle_values.h"

#include "wire/out.h"

int64_t oracle_number(const struct wire_field *field, const void *p)
{
    int8_t i8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    int64_t i64;
    switch (field->kind) {
    case WIRE_BOOL: return *(const bool *)p;
    case WIRE_INT8: return memcpy(&i8, p, sizeof(i8)), i8;
    case WIRE_INT16: return memcpy(&i16, p, sizeof(i16)), i16;
    case WIRE_UINT16: return memcpy(&u16, p, sizeof(u16)), u16;
    case WIRE_INT32: return memcpy(&i32, p, sizeof(i32)), i32;
    case WIRE_INT64: return memcpy(&i64, p, sizeof(i64)), i64;
    case WIRE_FLOAT64:
    case WIRE_UUID:
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
    case WIRE_STRUCT: break;
    }
    return 0;
}

size_t oracle_element_size(const struct wire_field *field)
{
    switch (field->kind) {
    case WIRE_BOOL: return sizeof(bool);
    case WIRE_INT8: return 1;
    case WIRE_INT16:
    case WIRE_UINT16: return 2;
    case WIRE_INT32: return 4;
    case WIRE_INT64:
    case WIRE_FLOAT64: return 8;
    case WIRE_UUID: return 16;
    case WIRE_STRING: return sizeof(struct odk_str);
    case WIRE_BYTES: return sizeof(struct odk_bytes);
    case WIRE_RECORDS: return sizeof(struct wire_records);
    case WIRE_STRUCT: return field->of->size;
    }
    return 0;
}

void oracle_push(struct oracle_walk *walk, struct oracle_level level)
{
    if (walk->depth == ORACLE_DEPTH_MAX)
        walk->failed = true;
    else
        walk->levels[walk->depth++] = level;
}

const struct wire_field *oracle_tagged(const struct wire_struct *of, uint32_t tag, int16_t version)
{
    for (uint32_t i = 0; i < of->field_count; i++) {
        const struct wire_field *field = &of->fields[i];
        if (field->tag >= 0 && (uint32_t)field->tag == tag && wire_range_has(field->versions, version))
            return field;
    }
    return NULL;
}

const struct wire_field *oracle_untagged(const struct oracle_level *level, int16_t version)
{
    const struct wire_field *field = &level->of->fields[level->step];
    return field->tag < 0 && wire_range_has(field->versions, version) ? field : NULL;
}

bool oracle_nullable(const struct wire_field *field, int16_t version)
{
    return wire_range_has(field->null, version);
}

int32_t *oracle_count(const struct wire_field *field, uint8_t *base)
{
    return (int32_t *)(void *)(base + field->count_offset);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

/* A struct in line is not looked into: what it holds is checked when it is there. */
bool oracle_is_initial(const struct wire_field *field, const uint8_t *base)
{
    const uint8_t *p = base + field->offset;
    int32_t count;
    if (field->array)
        return memcpy(&count, base + field->count_offset, sizeof(count)), count == field->initial;
    if (field->pointer)
        return all_zero(p, sizeof(void *));
    if (field->kind == WIRE_STRUCT)
        return true;
    if (field->kind <= WIRE_INT64)
        return oracle_number(field, p) == field->initial;
    if (field->kind == WIRE_STRING || field->kind == WIRE_BYTES)
        return all_zero(p, sizeof(void *));
    return all_zero(p, oracle_element_size(field));
}

void oracle_set_initial(const struct wire_field *field, uint8_t *base)
{
    /* Little-endian hosts only, as the whole program: the low bytes of the number are the number. */
    if (field->array)
        *oracle_count(field, base) = (int32_t)field->initial;
    else if (field->kind <= WIRE_INT64)
        memcpy(base + field->offset, &field->initial, oracle_element_size(field));
}
