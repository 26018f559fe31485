#include "store/index_sum.h"

#include <xxhash.h>

#include "base/cursor.h"

#define SUM_MAGIC   0x4f444b58u /* ODKX */
#define SUM_VERSION 1
#define SUM_WHOLE   1
#define HASH_POS    24u

static uint64_t hash_of(const uint8_t head[HASH_POS], struct odk_bytes offsets, struct odk_bytes times)
{
    uint64_t hash = XXH3_64bits(head, HASH_POS);
    if (offsets.len > 0)
        hash = XXH3_64bits_withSeed(offsets.data, offsets.len, hash);
    if (times.len > 0)
        hash = XXH3_64bits_withSeed(times.data, times.len, hash);
    return hash;
}

void index_sum_print(const struct index_sum *sum, uint8_t dst[INDEX_SUM_BYTES])
{
    ASSERT(sum->offsets.len <= INT32_MAX && sum->times.len <= INT32_MAX);
    struct wr w = wr_init(dst, INDEX_SUM_BYTES);
    wr_i32(&w, (int32_t)SUM_MAGIC);
    wr_i16(&w, SUM_VERSION);
    wr_i16(&w, sum->whole ? SUM_WHOLE : 0);
    wr_i64(&w, (int64_t)sum->log_bytes);
    wr_i32(&w, (int32_t)sum->offsets.len);
    wr_i32(&w, (int32_t)sum->times.len);
    ASSERT(w.pos == HASH_POS);
    wr_i64(&w, (int64_t)hash_of(dst, sum->offsets, sum->times));
}

enum odk_err index_sum_check(struct odk_bytes sum, struct odk_bytes offsets, struct odk_bytes times,
                             struct index_sum *ret)
{
    struct rd r = rd_init(sum.data, sum.len);
    bool known = rd_u32(&r) == SUM_MAGIC;
    known &= rd_i16(&r) == SUM_VERSION;
    int16_t flags = rd_i16(&r);
    int64_t log_bytes = rd_i64(&r);
    uint32_t offsets_len = rd_u32(&r);
    uint32_t times_len = rd_u32(&r);
    uint64_t hash = (uint64_t)rd_i64(&r);
    if (r.bad || !known || rd_left(&r) > 0 || offsets_len > offsets.len || times_len > times.len)
        return ODK_ERR_CORRUPT;
    offsets.len = offsets_len;
    times.len = times_len;
    if (hash_of(sum.data, offsets, times) != hash)
        return ODK_ERR_CORRUPT;
    *ret = (struct index_sum){
        .whole = flags & SUM_WHOLE,
        .log_bytes = (uint64_t)log_bytes,
        .offsets = offsets,
        .times = times,
    };
    return ODK_OK;
}
