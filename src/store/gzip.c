/* gzip through zlib's streaming inflate: one member, its CRC checked by the library; and deflate. */
#define ZLIB_CONST
#include <zlib.h>

#include "store/compress.h"
#include "store/sink.h"

#define GZIP_WINDOW_BITS (15 + 16) /* the largest window; + 16: a gzip header and nothing else */

static enum odk_err gzip_step(z_stream *stream, struct sink *sink, int *ret_status)
{
    enum odk_err err = sink_reserve(sink);
    if (err != ODK_OK)
        return err;
    uInt room = (uInt)MIN(sink_room(sink), (size_t)UINT32_MAX);
    stream->next_out = sink->data + sink->len;
    stream->avail_out = room;
    *ret_status = inflate(stream, Z_NO_FLUSH);
    sink->len += room - stream->avail_out;
    switch (*ret_status) {
    case Z_OK: return ODK_OK;
    case Z_STREAM_END: return stream->avail_in == 0 ? ODK_OK : ODK_ERR_CORRUPT;
    case Z_MEM_ERROR: return ODK_ERR_MEMORY;
    default: return ODK_ERR_CORRUPT; /* Z_BUF_ERROR too: no input left, yet no end */
    }
}

enum odk_err gzip_decompress(struct odk_bytes src, struct sink *sink)
{
    if (src.len > UINT32_MAX)
        return ODK_ERR_TOO_LARGE;
    z_stream stream = { .next_in = src.data, .avail_in = (uInt)src.len };
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return ODK_ERR_MEMORY;
    int status = Z_OK;
    enum odk_err err = ODK_OK;
    while (err == ODK_OK && status != Z_STREAM_END)
        err = gzip_step(&stream, sink, &status);
    (void)inflateEnd(&stream);
    return err;
}

size_t gzip_bound(size_t len)
{
    return compressBound((uLong)len) + 18; /* a gzip header and trailer are 12 bytes longer than zlib's */
}

enum odk_err gzip_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    if (src.len > UINT32_MAX)
        return ODK_ERR_TOO_LARGE;
    z_stream stream = { .next_in = src.data, .avail_in = (uInt)src.len };
    int kept = MAX(Z_DEFAULT_COMPRESSION, MIN(level, Z_BEST_COMPRESSION));
    if (deflateInit2(&stream, kept, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ODK_ERR_MEMORY;
    stream.next_out = dst;
    stream.avail_out = (uInt)MIN(dst_max, (size_t)UINT32_MAX);
    int status = deflate(&stream, Z_FINISH);
    *ret_len = stream.total_out;
    (void)deflateEnd(&stream);
    return status == Z_STREAM_END ? ODK_OK : ODK_ERR_TOO_LARGE;
}
