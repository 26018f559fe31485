#include "store/compress.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "store/sink.h"

#define SINK_BYTES_MIN ((size_t)KIB(4))

static size_t sink_capacity_next(const struct sink *sink)
{
    size_t limit = sink->bytes_max == SIZE_MAX ? SIZE_MAX : sink->bytes_max + 1;
    if (sink->capacity > limit / 2)
        return limit;
    return MIN(limit, MAX(sink->capacity * 2, SINK_BYTES_MIN));
}

enum odk_err sink_reserve(struct sink *sink)
{
    ASSERT(sink->len <= sink->capacity); /* I1 */
    if (sink->len > sink->bytes_max)
        return ODK_ERR_TOO_LARGE;
    if (sink_room(sink) > 0)
        return ODK_OK;
    size_t capacity = sink_capacity_next(sink);
    uint8_t *data = realloc(sink->data, capacity);
    if (!data)
        return ODK_ERR_MEMORY;
    sink->data = data;
    sink->capacity = capacity;
    return ODK_OK;
}

static enum odk_err decompress_into(enum odk_codec codec, struct odk_bytes src, struct sink *sink)
{
    if (src.len == 0)
        return ODK_ERR_CORRUPT;
    switch (codec) {
    case ODK_CODEC_GZIP: return gzip_decompress(src, sink);
    case ODK_CODEC_SNAPPY: return snappy_decompress(src, sink);
    case ODK_CODEC_LZ4: return lz4_decompress(src, sink);
    case ODK_CODEC_ZSTD: return zstd_decompress(src, sink);
    case ODK_CODEC_NONE:
    case ODK_CODEC_COUNT: break;
    }
    return ODK_ERR_UNSUPPORTED;
}

typedef enum odk_err decompress_fn(enum odk_codec codec, struct odk_bytes src, struct sink *sink);

static enum odk_err decompress_by(decompress_fn *into, enum odk_codec codec, struct odk_bytes src, size_t bytes_max,
                                  uint8_t **ret_data, size_t *ret_len)
{
    struct sink sink = { .bytes_max = bytes_max };
    enum odk_err err = sink_reserve(&sink);
    if (err == ODK_OK)
        err = into(codec, src, &sink);
    if (err == ODK_OK && sink.len > bytes_max)
        err = ODK_ERR_TOO_LARGE;
    if (err != ODK_OK) {
        free(sink.data);
        return err;
    }
    *ret_data = sink.data;
    *ret_len = sink.len;
    return ODK_OK;
}

enum odk_err decompress(enum odk_codec codec, struct odk_bytes src, size_t bytes_max, uint8_t **ret_data,
                        size_t *ret_len)
{
    return decompress_by(decompress_into, codec, src, bytes_max, ret_data, ret_len);
}

static enum odk_err decompress_format_0(enum odk_codec codec, struct odk_bytes src, struct sink *sink)
{
    if (codec == ODK_CODEC_LZ4 && src.len > 0)
        return lz4_decompress_any_sum(src, sink);
    return decompress_into(codec, src, sink);
}

enum odk_err decompress_message(enum odk_codec codec, int8_t format, struct odk_bytes src, size_t bytes_max,
                                uint8_t **ret_data, size_t *ret_len)
{
    if (codec > ODK_CODEC_LZ4)
        return ODK_ERR_UNSUPPORTED;
    return decompress_by(format == 0 ? decompress_format_0 : decompress_into, codec, src, bytes_max, ret_data, ret_len);
}

size_t compress_bound(enum odk_codec codec, size_t len)
{
    switch (codec) {
    case ODK_CODEC_GZIP: return gzip_bound(len);
    case ODK_CODEC_SNAPPY: return snappy_bound_xerial(len);
    case ODK_CODEC_LZ4: return lz4_bound(len);
    case ODK_CODEC_ZSTD: return zstd_bound(len);
    case ODK_CODEC_NONE:
    case ODK_CODEC_COUNT: break;
    }
    return len;
}

static enum odk_err copy(struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    if (src.len > dst_max)
        return ODK_ERR_TOO_LARGE;
    if (src.len > 0)
        memcpy(dst, src.data, src.len);
    *ret_len = src.len;
    return ODK_OK;
}

enum odk_err compress_records(enum odk_codec codec, int level, struct odk_bytes src, uint8_t *dst, size_t dst_max,
                              size_t *ret_len)
{
    switch (codec) {
    case ODK_CODEC_NONE: return copy(src, dst, dst_max, ret_len);
    case ODK_CODEC_GZIP: return gzip_compress(level, src, dst, dst_max, ret_len);
    case ODK_CODEC_SNAPPY: return snappy_compress_xerial(src, dst, dst_max, ret_len);
    case ODK_CODEC_LZ4: return lz4_compress(level, src, dst, dst_max, ret_len);
    case ODK_CODEC_ZSTD: return zstd_compress(level, src, dst, dst_max, ret_len);
    case ODK_CODEC_COUNT: break;
    }
    return ODK_ERR_UNSUPPORTED;
}
