/* LZ4 frames. The library checks header, block and content checksums and bounds blocks to 4 MiB. */
#include <lz4frame.h>

#include "store/sink.h"

static enum odk_err lz4_header(LZ4F_dctx *context, struct odk_bytes *src)
{
    LZ4F_frameInfo_t info = { 0 };
    size_t taken = src->len;
    if (LZ4F_isError(LZ4F_getFrameInfo(context, &info, src->data, &taken)))
        return ODK_ERR_CORRUPT;
    if (info.frameType != LZ4F_frame || info.dictID != 0)
        return ODK_ERR_CORRUPT;
    src->data += taken;
    src->len -= taken;
    return ODK_OK;
}

/* ret_hint becomes 0 when the frame is complete. */
static enum odk_err lz4_step(LZ4F_dctx *context, struct odk_bytes *src, struct sink *sink, size_t *ret_hint)
{
    enum odk_err err = sink_reserve(sink);
    if (err != ODK_OK)
        return err;
    size_t made = sink_room(sink);
    size_t taken = src->len;
    *ret_hint = LZ4F_decompress(context, sink->data + sink->len, &made, src->data, &taken, NULL);
    if (LZ4F_isError(*ret_hint))
        return ODK_ERR_CORRUPT;
    if (*ret_hint != 0 && made == 0 && taken == 0)
        return ODK_ERR_CORRUPT; /* no way on: cut short */
    sink->len += made;
    src->data += taken;
    src->len -= taken;
    return ODK_OK;
}

enum odk_err lz4_decompress(struct odk_bytes src, struct sink *sink)
{
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return ODK_ERR_MEMORY;
    enum odk_err err = lz4_header(context, &src);
    size_t hint = 1;
    while (err == ODK_OK && hint != 0)
        err = lz4_step(context, &src, sink, &hint);
    if (err == ODK_OK && src.len > 0)
        err = ODK_ERR_CORRUPT;
    (void)LZ4F_freeDecompressionContext(context);
    return err;
}
