#include "wire/in.h"

#include "base/base.h"

struct odk_uuid in_uuid(struct in *in)
{
    struct odk_uuid value = { 0 };
    const uint8_t *taken = rd_take(&in->r, sizeof(value.b));
    if (taken)
        memcpy(value.b, taken, sizeof(value.b));
    return value;
}

/* Bytes of the character at p if it is well formed (shortest form, no surrogates, at most U+10FFFF), else 0. */
static size_t utf8_char_len(const uint8_t *p, size_t left)
{
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > left)
        return 0;
    uint8_t second_min = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t second_max = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < second_min || p[1] > second_max)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

static bool utf8_is_valid(const uint8_t *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight = UINT64_C(1) << 63;
        if (len - i >= sizeof(eight))
            memcpy(&eight, p + i, sizeof(eight));
        if ((eight & UINT64_C(0x8080808080808080)) == 0) {
            i += sizeof(eight);
        } else if (p[i] < 0x80) {
            i++;
        } else {
            size_t step = utf8_char_len(p + i, len - i);
            if (step == 0)
                return false;
            i += step;
        }
    }
    return true;
}

/* A length: -1 for null, which only the nullable may be. Zero when bad. */
static int64_t in_len(struct in *in, bool flex, bool nullable, bool wide)
{
    int64_t len = flex ? (int64_t)rd_uvarint(&in->r) - 1 : wide ? rd_i32(&in->r) : rd_i16(&in->r);
    if (in->r.bad)
        return 0;
    if (len < -1 || (len == -1 && !nullable)) {
        in->r.bad = true;
        return 0;
    }
    return len;
}

struct odk_str in_str(struct in *in, bool flex, bool nullable)
{
    int64_t len = in_len(in, flex, nullable, false);
    if (len < 0 || in->r.bad)
        return (struct odk_str){ 0 };
    const uint8_t *taken = rd_take(&in->r, (size_t)len);
    if (!taken)
        return (struct odk_str){ 0 };
    if (!utf8_is_valid(taken, (size_t)len))
        in->r.bad = true;
    return (struct odk_str){ .data = (const char *)taken, .len = (size_t)len };
}

struct odk_bytes in_bytes(struct in *in, bool flex, bool nullable)
{
    int64_t len = in_len(in, flex, nullable, true);
    if (len < 0 || in->r.bad)
        return (struct odk_bytes){ 0 };
    return rd_bytes(&in->r, (size_t)len);
}

struct wire_records in_records(struct in *in, bool flex, bool nullable)
{
    int64_t len = in_len(in, flex, nullable, true);
    if (len < 0)
        return (struct wire_records){ .null = true };
    struct odk_bytes bytes = rd_bytes(&in->r, (size_t)len);
    struct iovec *part = in->r.bad || len == 0 ? NULL : in_new(in, 1, sizeof(*part));
    if (!part)
        return (struct wire_records){ 0 };
    /* iovec has no const; who reads parts does not write through them. */
    *part = (struct iovec){ .iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.len };
    return (struct wire_records){ .parts = part, .part_count = 1, .len = bytes.len };
}

int32_t in_count(struct in *in, bool flex, bool nullable, size_t element_min)
{
    int64_t count = in_len(in, flex, nullable, true);
    if (count <= 0)
        return (int32_t)count;
    if ((uint64_t)count > rd_left(&in->r) / element_min || count > in->elements_left) {
        in->r.bad = true;
        return 0;
    }
    in->elements_left -= (uint32_t)count;
    return (int32_t)count;
}

void *in_new(struct in *in, int32_t count, size_t size)
{
    if (in->r.bad || count <= 0)
        return NULL;
    void *memory = arena_alloc(in->arena, (size_t)count, size);
    if (!memory)
        in->r.bad = true;
    return memory;
}

bool in_present(struct in *in)
{
    return rd_i8(&in->r) >= 0 && !in->r.bad;
}

struct in_tags in_tags_begin(struct in *in)
{
    struct in_tags tags = { .left = rd_uvarint(&in->r) };
    if (tags.left > WIRE_TAGS_MAX)
        in->r.bad = true;
    return tags;
}

bool in_tags_next(struct in *in, struct in_tags *tags)
{
    if (tags->end) {
        if (in->r.at != in->r.end)
            in->r.bad = true;
        in->r.end = tags->end;
        tags->end = NULL;
    }
    if (in->r.bad || tags->left == 0)
        return false;
    tags->left--;
    tags->tag = rd_uvarint(&in->r);
    uint32_t len = rd_uvarint(&in->r);
    if (in->r.bad || tags->tag < tags->tag_min || tags->tag == UINT32_MAX || len > rd_left(&in->r)) {
        in->r.bad = true;
        return false;
    }
    tags->tag_min = tags->tag + 1;
    tags->end = in->r.end;
    in->r.end = in->r.at + len;
    return true;
}

void in_tags_skip(struct in *in)
{
    struct in_tags tags = in_tags_begin(in);
    while (in_tags_next(in, &tags))
        in_tag_skip(in);
}
