#include "wire/out.h"

void out_init(struct out *out, struct arena *arena)
{
    ASSERT(arena != NULL);
    *out = (struct out){ .arena = arena };
}

static bool parts_grow(struct out *out)
{
    uint32_t capacity = out->part_capacity ? out->part_capacity * 2 : 8;
    struct iovec *parts = capacity > out->part_capacity ? arena_new(out->arena, struct iovec, capacity) : NULL;
    if (!parts) {
        out->bad = true;
        return false;
    }
    if (out->part_count > 0)
        memcpy(parts, out->parts, out->part_count * sizeof(*parts));
    out->parts = parts;
    out->part_capacity = capacity;
    return true;
}

static void part_add(struct out *out, void *data, size_t len)
{
    if (out->bad || len == 0)
        return;
    if (out->part_count == out->part_capacity && !parts_grow(out))
        return;
    out->parts[out->part_count++] = (struct iovec){ .iov_base = data, .iov_len = len };
    out->part_bytes += len;
}

/* Turns what was written since the last part into a part; the chunk goes on behind it. */
static void run_close(struct out *out)
{
    uint8_t *run = out->run;
    size_t len = (size_t)(out->at - run);
    out->run = out->at;
    part_add(out, run, len);
}

uint8_t *out_room_slow(struct out *out, size_t n)
{
    if (!out->arena) {
        out->part_bytes += n;
        return NULL;
    }
    run_close(out);
    uint32_t size = MIN(MAX(out->chunk_bytes * 2, OUT_CHUNK_BYTES_MIN), OUT_CHUNK_BYTES_MAX);
    uint8_t *chunk = out->bad ? NULL : arena_alloc(out->arena, MAX(n, size), 1);
    if (!chunk) {
        out->bad = true;
        out->run = out->at = out->end = NULL;
        return NULL;
    }
    out->chunk_bytes = size;
    out->run = chunk;
    out->at = chunk + n;
    out->end = chunk + MAX(n, size);
    return chunk;
}

void out_uvarint(struct out *out, uint32_t value)
{
    uint8_t buf[5];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        buf[len++] = (uint8_t)(value | 0x80);
    buf[len++] = (uint8_t)value;
    out_raw(out, buf, len);
}

void out_records(struct out *out, const struct iovec *parts, uint32_t count, size_t len)
{
    if (!out->arena) {
        out->part_bytes += len;
        return;
    }
    run_close(out);
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        part_add(out, parts[i].iov_base, parts[i].iov_len);
        sum += parts[i].iov_len;
    }
    ASSERT(sum == len);
}

void out_begin_frame(struct out *out)
{
    ASSERT(out_bytes(out) == 0);
    out->length = out_room(out, sizeof(uint32_t));
}

bool out_end_frame(struct out *out)
{
    size_t len = out_bytes(out) - sizeof(uint32_t);
    if (out->bad || len > INT32_MAX)
        return false;
    ASSERT(out->length != NULL);
    uint32_t swapped = __builtin_bswap32((uint32_t)len);
    memcpy(out->length, &swapped, sizeof(swapped));
    return true;
}

bool out_iov(struct out *out, const struct iovec **ret, uint32_t *ret_count)
{
    run_close(out);
    if (out->bad)
        return false;
    *ret = out->parts;
    *ret_count = out->part_count;
    return true;
}
