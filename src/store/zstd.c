/*
 * zstd: decompression streams, compression is of one piece.
 *
 * Window: up to 2^27 bytes, what Kafka's own broker takes. A Java producer at compression.zstd.level 22 streams without
 * announcing the size, so its frames ask for 2^27 however small the batch is; a lower bound would refuse real data. The
 * library takes the window as one untouched allocation and fills it from the front as output comes out, so the memory
 * that is really used stays bounded by bytes_max.
 */
#include <zstd.h>
#include <zstd_errors.h>

#include "base/cursor.h"
#include "store/compress.h"
#include "store/sink.h"

#define ZSTD_WINDOW_LOG_MAX 27

/* A plain frame, not a skippable one. */
static bool zstd_is_frame(struct odk_bytes src)
{
    static const uint8_t magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
    return src.len > sizeof(magic) && memcmp(src.data, magic, sizeof(magic)) == 0;
}

/* ret_hint becomes 0 when the frame is complete and all of it is out. */
static enum odk_err zstd_step(ZSTD_DCtx *context, ZSTD_inBuffer *in, struct sink *sink, size_t *ret_hint)
{
    enum odk_err err = sink_reserve(sink);
    if (err != ODK_OK)
        return err;
    size_t taken_before = in->pos;
    ZSTD_outBuffer out = { .dst = sink->data + sink->len, .size = sink_room(sink) };
    *ret_hint = ZSTD_decompressStream(context, &out, in);
    if (ZSTD_isError(*ret_hint))
        return ODK_ERR_CORRUPT;
    if (*ret_hint != 0 && out.pos == 0 && in->pos == taken_before)
        return ODK_ERR_CORRUPT; /* no way on: cut short */
    sink->len += out.pos;
    return ODK_OK;
}

enum odk_err zstd_decompress(struct odk_bytes src, struct sink *sink)
{
    if (!zstd_is_frame(src))
        return ODK_ERR_CORRUPT;
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return ODK_ERR_MEMORY;
    size_t set = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    ASSERT(!ZSTD_isError(set));
    ZSTD_inBuffer in = { .src = src.data, .size = src.len };
    enum odk_err err = ODK_OK;
    size_t hint = 1;
    while (err == ODK_OK && hint != 0)
        err = zstd_step(context, &in, sink, &hint);
    if (err == ODK_OK && in.pos < in.size)
        err = ODK_ERR_CORRUPT;
    (void)ZSTD_freeDCtx(context);
    return err;
}

size_t zstd_bound(size_t len)
{
    return ZSTD_compressBound(len);
}

enum odk_err zstd_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return ODK_ERR_MEMORY;
    int kept = MAX(ZSTD_minCLevel(), MIN(level, ZSTD_maxCLevel()));
    size_t len = ZSTD_compressCCtx(context, dst, dst_max, src.data, src.len, kept);
    (void)ZSTD_freeCCtx(context);
    if (ZSTD_isError(len))
        return ZSTD_getErrorCode(len) == ZSTD_error_dstSize_tooSmall ? ODK_ERR_TOO_LARGE : ODK_ERR_MEMORY;
    *ret_len = len;
    return ODK_OK;
}
