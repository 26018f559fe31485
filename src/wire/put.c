#include "wire/put.h"

static void put_len(struct out *out, size_t len, bool flex, size_t max)
{
    if (len > max)
        out->bad = true;
    else if (flex)
        out_uvarint(out, (uint32_t)len + 1);
    else if (max == INT16_MAX)
        out_i16(out, (int16_t)len);
    else
        out_i32(out, (int32_t)len);
}

static void put_null(struct out *out, bool flex, bool wide)
{
    if (flex)
        out_uvarint(out, 0);
    else if (wide)
        out_i32(out, -1);
    else
        out_i16(out, -1);
}

void put_str(struct out *out, struct odk_str value, bool flex, bool nullable)
{
    if (!value.data && nullable) {
        put_null(out, flex, false);
        return;
    }
    put_len(out, value.len, flex, INT16_MAX);
    out_raw(out, value.data, value.len);
}

void put_bytes(struct out *out, struct odk_bytes value, bool flex, bool nullable)
{
    if (!value.data && nullable) {
        put_null(out, flex, true);
        return;
    }
    put_len(out, value.len, flex, INT32_MAX);
    out_raw(out, value.data, value.len);
}

void put_records(struct out *out, const struct wire_records *value, bool flex, bool nullable)
{
    if (value->null && nullable) {
        put_null(out, flex, true);
        return;
    }
    put_len(out, value->len, flex, INT32_MAX);
    out_records(out, value->parts, value->part_count, value->len);
}

void put_count(struct out *out, int32_t count, bool flex, bool nullable)
{
    if (count >= 0)
        put_len(out, (size_t)count, flex, INT32_MAX);
    else if (nullable)
        put_null(out, flex, true);
    else
        out->bad = true;
}

bool put_present(struct out *out, bool present)
{
    out_i8(out, present ? 1 : -1);
    return present;
}

bool out_tag_step(struct out_tag *t, struct out **out)
{
    t->turn++;
    if (t->turn == 1) {
        t->measure = out_measure();
        *out = &t->measure;
        return true;
    }
    if (t->turn > 2)
        return false;
    t->real->bad |= t->measure.bad;
    *out = t->real;
    out_uvarint(t->real, t->tag);
    out_uvarint(t->real, (uint32_t)out_bytes(&t->measure));
    return true;
}
