#include "store/compress.h"

#include <stdlib.h>

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

enum odk_err decompress(enum odk_codec codec, struct odk_bytes src, size_t bytes_max, uint8_t **ret_data,
                        size_t *ret_len)
{
    struct sink sink = { .bytes_max = bytes_max };
    enum odk_err err = sink_reserve(&sink);
    if (err == ODK_OK)
        err = decompress_into(codec, src, &sink);
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
