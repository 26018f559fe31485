/* LZ4 frames. The library checks header, block and content checksums and bounds blocks to 4 MiB. */
#include <lz4frame.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/compress.h"
#include "store/sink.h"

#define LZ4_LEVEL_FAST 9 /* as Kafka has it: this one is the fast compressor, all others the thorough one */

/* magic u32 | FLG | BD | FLG bit 3: content size u64 | FLG bit 0: dictionary id u32 | header checksum */
#define LZ4_POS_FLG          4u
#define LZ4_FLG_SIZE         0x08
#define LZ4_FLG_DICTIONARY   0x01
#define LZ4_HEADER_BYTES_MAX 19u

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

/* The header with the checksum that it should have. Clients of format 0 took it over the magic number as well. */
static enum odk_err lz4_header_mended(LZ4F_dctx *context, struct odk_bytes *src)
{
    uint8_t header[LZ4_HEADER_BYTES_MAX];
    if (src->len <= LZ4_POS_FLG)
        return ODK_ERR_CORRUPT;
    uint8_t flags = src->data[LZ4_POS_FLG];
    size_t sum_at = LZ4_POS_FLG + 2 + (flags & LZ4_FLG_SIZE ? 8 : 0) + (flags & LZ4_FLG_DICTIONARY ? 4 : 0);
    if (src->len <= sum_at)
        return ODK_ERR_CORRUPT;
    memcpy(header, src->data, sum_at);
    header[sum_at] = (uint8_t)(XXH32(header + LZ4_POS_FLG, sum_at - LZ4_POS_FLG, 0) >> 8);
    struct odk_bytes mended = { header, sum_at + 1 };
    enum odk_err err = lz4_header(context, &mended);
    if (err != ODK_OK)
        return err;
    ASSERT(mended.len == 0);
    src->data += sum_at + 1;
    src->len -= sum_at + 1;
    return ODK_OK;
}

static enum odk_err lz4_frame(struct odk_bytes src, bool any_sum, struct sink *sink)
{
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return ODK_ERR_MEMORY;
    enum odk_err err = any_sum ? lz4_header_mended(context, &src) : lz4_header(context, &src);
    size_t hint = 1;
    while (err == ODK_OK && hint != 0)
        err = lz4_step(context, &src, sink, &hint);
    if (err == ODK_OK && src.len > 0)
        err = ODK_ERR_CORRUPT;
    (void)LZ4F_freeDecompressionContext(context);
    return err;
}

enum odk_err lz4_decompress(struct odk_bytes src, struct sink *sink)
{
    return lz4_frame(src, false, sink);
}

enum odk_err lz4_decompress_any_sum(struct odk_bytes src, struct sink *sink)
{
    return lz4_frame(src, true, sink);
}

static LZ4F_preferences_t lz4_preferences(int level)
{
    int thorough = MAX(LZ4HC_CLEVEL_MIN, MIN(level, LZ4HC_CLEVEL_MAX));
    return (LZ4F_preferences_t){
        .frameInfo = { .blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent },
        .compressionLevel = level == LZ4_LEVEL_FAST ? 0 : thorough,
    };
}

size_t lz4_bound(size_t len)
{
    LZ4F_preferences_t preferences = lz4_preferences(LZ4_LEVEL_FAST);
    return LZ4F_compressFrameBound(len, &preferences);
}

/* The library wants room for the worst case, so what is smaller goes through a buffer of that size. */
enum odk_err lz4_compress(int level, struct odk_bytes src, uint8_t *dst, size_t dst_max, size_t *ret_len)
{
    LZ4F_preferences_t preferences = lz4_preferences(level);
    size_t bound = lz4_bound(src.len);
    uint8_t *room = bound <= dst_max ? dst : malloc(bound);
    if (!room)
        return ODK_ERR_MEMORY;
    size_t len = LZ4F_compressFrame(room, bound, src.data, src.len, &preferences);
    enum odk_err err = LZ4F_isError(len) ? ODK_ERR_MEMORY : len > dst_max ? ODK_ERR_TOO_LARGE : ODK_OK;
    if (err == ODK_OK && room != dst)
        memcpy(dst, room, len);
    if (room != dst)
        free(room);
    *ret_len = len;
    return err;
}
