/*
 * Bounded reading and writing of big-endian bytes, with failure that sticks.
 *
 * A reader that meets the end, an impossible length or an overlong varint becomes bad: every later read returns
 * zero and moves nothing. Callers read straight through and look at bad once. Two reads never share an
 * expression: C leaves their order open.
 *
 * A writer that meets its end becomes bad and drops the rest; w.pos still counts what would have been written,
 * so a first pass over an empty buffer measures.
 *
 * Varints: 7 bits per byte, low first; at most 5 bytes (10 for 64 bits), surplus bits in the last byte are refused.
 * Signed ones are zigzag.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <odradek/bytes.h>

#include "base/base.h"

struct rd {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

struct wr {
    uint8_t *start;
    size_t len; /* capacity */
    size_t pos; /* bytes written or wanted */
    bool bad;
};

static inline struct rd rd_init(const void *data, size_t len)
{
    const uint8_t *at = data;
    return (struct rd){ .at = at, .end = at + len, .bad = false };
}

static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->at);
}

/* The next n bytes as a pointer, or NULL when there are fewer. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
    if (__builtin_expect(r->bad || n > rd_left(r), 0)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *taken = r->at;
    r->at += n;
    return taken;
}

static inline struct odk_bytes rd_bytes(struct rd *r, size_t n)
{
    const uint8_t *taken = rd_take(r, n);
    return (struct odk_bytes){ .data = taken, .len = taken ? n : 0 };
}

static inline void wr_raw(struct wr *w, const void *data, size_t len);

#define CURSOR_INT(bits, swap)                                                                      \
    static inline int##bits##_t rd_i##bits(struct rd *r)                                            \
    {                                                                                               \
        const uint8_t *taken = rd_take(r, sizeof(uint##bits##_t));                                  \
        uint##bits##_t value = 0;                                                                   \
        if (taken)                                                                                  \
            memcpy(&value, taken, sizeof(value));                                                   \
        return (int##bits##_t)swap(value);                                                          \
    }                                                                                               \
    static inline uint##bits##_t rd_u##bits(struct rd *r)                                           \
    {                                                                                               \
        return (uint##bits##_t)rd_i##bits(r);                                                       \
    }                                                                                               \
    static inline void wr_i##bits(struct wr *w, int##bits##_t number)                               \
    {                                                                                               \
        uint##bits##_t value = (uint##bits##_t)swap((uint##bits##_t)number);                        \
        wr_raw(w, &value, sizeof(value));                                                           \
    }

static inline struct wr wr_init(void *data, size_t len)
{
    return (struct wr){ .start = data, .len = len };
}

static inline void wr_raw(struct wr *w, const void *data, size_t len)
{
    if (__builtin_expect(w->bad || len > w->len - w->pos, 0))
        w->bad = true;
    else if (len > 0)
        memcpy(w->start + w->pos, data, len);
    w->pos += len;
}

#define CURSOR_SAME(value) (value)
CURSOR_INT(8, CURSOR_SAME)
CURSOR_INT(16, __builtin_bswap16)
CURSOR_INT(32, __builtin_bswap32)
CURSOR_INT(64, __builtin_bswap64)
#undef CURSOR_INT
#undef CURSOR_SAME

static inline double rd_f64(struct rd *r)
{
    uint64_t raw = rd_u64(r);
    double value;
    memcpy(&value, &raw, sizeof(value));
    return value;
}

static inline void wr_f64(struct wr *w, double value)
{
    int64_t raw;
    memcpy(&raw, &value, sizeof(raw));
    wr_i64(w, raw);
}

uint64_t rd_uvarint_slow(struct rd *r, unsigned bytes_max, uint8_t last_max);

static inline uint32_t rd_uvarint(struct rd *r)
{
    if (__builtin_expect(!r->bad && r->at < r->end && *r->at < 0x80, 1))
        return *r->at++;
    return (uint32_t)rd_uvarint_slow(r, 5, 0x0f);
}

static inline uint64_t rd_uvarlong(struct rd *r)
{
    if (__builtin_expect(!r->bad && r->at < r->end && *r->at < 0x80, 1))
        return *r->at++;
    return rd_uvarint_slow(r, 10, 0x01);
}

static inline int32_t rd_varint(struct rd *r)
{
    uint32_t raw = rd_uvarint(r);
    return (int32_t)((raw >> 1) ^ (0u - (raw & 1)));
}

static inline int64_t rd_varlong(struct rd *r)
{
    uint64_t raw = rd_uvarlong(r);
    return (int64_t)((raw >> 1) ^ (0ull - (raw & 1)));
}

void wr_uvarlong(struct wr *w, uint64_t value);

static inline void wr_uvarint(struct wr *w, uint32_t value)
{
    wr_uvarlong(w, value);
}

static inline void wr_varint(struct wr *w, int32_t value)
{
    wr_uvarlong(w, ((uint32_t)value << 1) ^ (uint32_t)(value >> 31));
}

static inline void wr_varlong(struct wr *w, int64_t value)
{
    wr_uvarlong(w, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* Bytes that wr_uvarlong would write. */
static inline size_t uvarlong_len(uint64_t value)
{
    size_t len = 1;
    for (; value >= 0x80; value >>= 7)
        len++;
    return len;
}
