/*
 * A frame under construction: a chain of parts, handed to sendmsg as an iovec.
 *
 * Small things are copied into chunks from an arena. Record batches are not copied: out_records links memory that
 * somebody else keeps in place until the frame has been sent.
 *
 * Failure sticks: when the arena is used up, a length does not fit its field, or something is null where the
 * version has no null, bad is set and the frame must not be sent.
 *
 * A measuring out (out_measure) counts bytes and keeps none.
 *
 * (I1) parts[0..part_count) and then run..at, in this order, are the frame.
 * (I2) part_bytes is the sum of the lengths of parts[0..part_count).
 * (I3) what was handed out by out_room stays where it is until the arena is reset.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include <odradek/bytes.h>

#include "base/arena.h"
#include "base/cursor.h"

#define OUT_CHUNK_BYTES_MIN 256u
#define OUT_CHUNK_BYTES_MAX 4096u

/*
 * The value of a field of type records: bytes in one or more pieces, never looked into.
 *
 * A decoded one has at most one part, which points into the frame. A zeroed one is empty, not null: clients take
 * "no records" as length 0 and stumble over -1.
 */
struct wire_records {
    const struct iovec *parts; /* must outlive the sending of the frame */
    uint32_t part_count;
    bool null;
    size_t len; /* sum of the parts */
};

/* A decoded records field as one view; data is NULL when it is null or empty. */
static inline struct odk_bytes wire_records_view(const struct wire_records *records)
{
    ASSERT(records->part_count <= 1);
    if (records->part_count == 0)
        return (struct odk_bytes){ 0 };
    return (struct odk_bytes){ .data = records->parts[0].iov_base, .len = records->parts[0].iov_len };
}

struct out {
    struct arena *arena; /* NULL = measuring */
    uint8_t *run;        /* start of the open part */
    uint8_t *at;         /* next byte to write */
    uint8_t *end;        /* of the chunk */
    struct iovec *parts;
    uint32_t part_count, part_capacity;
    uint32_t chunk_bytes; /* size of the newest chunk */
    size_t part_bytes;    /* I2; for a measuring out: all bytes */
    uint8_t *length;      /* the reserved frame length, or NULL */
    bool bad;
};

/* An empty frame. The arena must live, unreset, until the frame has been sent. */
void out_init(struct out *out, struct arena *arena);

/* An out that only counts. */
static inline struct out out_measure(void)
{
    return (struct out){ 0 };
}

/* Bytes so far, linked ones and the length prefix included. */
static inline size_t out_bytes(const struct out *out)
{
    return out->part_bytes + (size_t)(out->at - out->run);
}

/* n bytes in one piece to be filled by the caller, or NULL when out is bad or measuring. */
uint8_t *out_room_slow(struct out *out, size_t n);

static inline uint8_t *out_room(struct out *out, size_t n)
{
    if (__builtin_expect((size_t)(out->end - out->at) < n, 0))
        return out_room_slow(out, n);
    uint8_t *room = out->at;
    out->at += n;
    return room;
}

static inline void out_raw(struct out *out, const void *data, size_t len)
{
    if (len == 0)
        return;
    uint8_t *room = out_room(out, len);
    if (room)
        memcpy(room, data, len);
}

static inline void out_i8(struct out *out, int8_t value)
{
    out_raw(out, &value, sizeof(value));
}

static inline void out_bool(struct out *out, bool value)
{
    out_i8(out, value);
}

static inline void out_u16(struct out *out, uint16_t value)
{
    value = __builtin_bswap16(value);
    out_raw(out, &value, sizeof(value));
}

static inline void out_i16(struct out *out, int16_t value)
{
    out_u16(out, (uint16_t)value);
}

static inline void out_i32(struct out *out, int32_t value)
{
    uint32_t swapped = __builtin_bswap32((uint32_t)value);
    out_raw(out, &swapped, sizeof(swapped));
}

static inline void out_i64(struct out *out, int64_t value)
{
    uint64_t swapped = __builtin_bswap64((uint64_t)value);
    out_raw(out, &swapped, sizeof(swapped));
}

static inline void out_f64(struct out *out, double value)
{
    int64_t raw;
    memcpy(&raw, &value, sizeof(raw));
    out_i64(out, raw);
}

static inline void out_uuid(struct out *out, struct odk_uuid value)
{
    out_raw(out, value.b, sizeof(value.b));
}

void out_uvarint(struct out *out, uint32_t value);

/* Links len bytes in count parts as they are; the memory must stay until the frame has been sent. */
void out_records(struct out *out, const struct iovec *parts, uint32_t count, size_t len);

/* Reserves the four bytes of the frame length; must come first. */
void out_begin_frame(struct out *out);
/* Fills them in. False: bad, or larger than a frame can be; send nothing then. */
MUST_USE bool out_end_frame(struct out *out);

/* The parts in order, for sendmsg. They are only for reading, and live as long as the arena. False: bad. */
MUST_USE bool out_iov(struct out *out, const struct iovec **ret, uint32_t *ret_count);
