/*
 * Snappy, in the two shapes that Kafka's clients send.
 *
 *   xerial (Java, Go):       82 'SNAPPY' 00 | i32 version | i32 least compatible version | { i32 length | raw block
 * }... raw (librdkafka, C, ...): one raw block: uvarint of the length | elements
 *
 * A raw block declares its length in front. An element of 3 bytes makes at most 64, so a block that declares more than
 * 22 times its own size lies and is refused before any memory is taken for it.
 */
#include <snappy-c.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "store/compress.h"
#include "store/sink.h"

#define XERIAL_MAGIC_BYTES  8u
#define XERIAL_HEADER_BYTES 16u
#define XERIAL_VERSION      1
#define XERIAL_BLOCK_BYTES  ((size_t)32 * 1024)
#define SNAPPY_RATIO_MAX    22u

static const uint8_t xerial_magic[XERIAL_MAGIC_BYTES] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };

/* Makes room for one whole block; exact, since a block's length is known and checked against its ratio. */
static enum odk_err sink_reserve_block(struct sink *sink, size_t len)
{
    if (len > sink->bytes_max - sink->len)
        return ODK_ERR_TOO_LARGE;
    if (len <= sink_room(sink))
        return ODK_OK;
    size_t doubled = sink->capacity > sink->bytes_max / 2 ? sink->bytes_max : sink->capacity * 2;
    size_t capacity = MAX(sink->len + len, doubled);
    uint8_t *data = realloc(sink->data, capacity);
    if (!data)
        return ODK_ERR_MEMORY;
    sink->data = data;
    sink->capacity = capacity;
    return ODK_OK;
}

static enum odk_err snappy_block(struct odk_bytes block, struct sink *sink)
{
    size_t len = 0;
    const char *data = (const char *)block.data;
    if (snappy_uncompressed_length(data, block.len, &len) != SNAPPY_OK)
        return ODK_ERR_CORRUPT;
    if (len / SNAPPY_RATIO_MAX > block.len)
        return ODK_ERR_CORRUPT;
    enum odk_err err = sink_reserve_block(sink, len);
    if (err != ODK_OK)
        return err;
    if (snappy_uncompress(data, block.len, (char *)sink->data + sink->len, &len) != SNAPPY_OK)
        return ODK_ERR_CORRUPT;
    sink->len += len;
    return ODK_OK;
}

static enum odk_err xerial_decompress(struct odk_bytes src, struct sink *sink)
{
    struct rd r = rd_init(src.data, src.len);
    (void)rd_take(&r, XERIAL_MAGIC_BYTES);
    int32_t version = rd_i32(&r);
    int32_t version_least = rd_i32(&r);
    if (r.bad || version < XERIAL_VERSION || version_least > XERIAL_VERSION)
        return ODK_ERR_CORRUPT;
    while (rd_left(&r) > 0) {
        int32_t len = rd_i32(&r);
        if (len <= 0)
            return ODK_ERR_CORRUPT;
        struct odk_bytes block = rd_bytes(&r, (size_t)len);
        if (r.bad)
            return ODK_ERR_CORRUPT;
        enum odk_err err = snappy_block(block, sink);
        if (err != ODK_OK)
            return err;
    }
    return ODK_OK;
}

enum odk_err snappy_decompress(struct odk_bytes src, struct sink *sink)
{
    if (src.len >= XERIAL_HEADER_BYTES && memcmp(src.data, xerial_magic, XERIAL_MAGIC_BYTES) == 0)
        return xerial_decompress(src, sink);
    return snappy_block(src, sink);
}

size_t snappy_bound_xerial(size_t len)
{
    size_t blocks = len / XERIAL_BLOCK_BYTES + 1;
    return XERIAL_HEADER_BYTES + blocks * (4 + snappy_max_compressed_length(XERIAL_BLOCK_BYTES));
}

/* The library wants room for the worst case of a block. */
static enum odk_err block_write(struct odk_bytes plain, struct wr *w)
{
    char block[XERIAL_BLOCK_BYTES + XERIAL_BLOCK_BYTES / 6 + 32];
    size_t len = sizeof(block);
    ASSERT(snappy_max_compressed_length(plain.len) <= len);
    snappy_status status = snappy_compress((const char *)plain.data, plain.len, block, &len);
    ASSERT(status == SNAPPY_OK);
    wr_i32(w, (int32_t)len);
    wr_raw(w, block, len);
    return w->bad ? ODK_ERR_TOO_LARGE : ODK_OK;
}

enum odk_err snappy_compress_xerial(struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    struct wr w = wr_init(dst, dst_max);
    wr_raw(&w, xerial_magic, sizeof(xerial_magic));
    wr_i32(&w, XERIAL_VERSION);
    wr_i32(&w, XERIAL_VERSION);
    enum odk_err err = w.bad ? ODK_ERR_TOO_LARGE : ODK_OK;
    for (size_t at = 0; at < src.len && err == ODK_OK; at += XERIAL_BLOCK_BYTES)
        err = block_write((struct odk_bytes){ src.data + at, MIN(src.len - at, XERIAL_BLOCK_BYTES) }, &w);
    *ret_len = w.pos;
    return err;
}
