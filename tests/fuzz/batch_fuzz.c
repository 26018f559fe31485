/* Batches: whatever the bytes, verifying and walking ends, stays inside them and inside its bound. */
#include <odradek/batch.h>

#include "mutate.h"
#include "store/producers.h"
#include "unit/store/golden_kafka.h"
#include "unit/store/views.h"

#define BYTES_MAX ((size_t)1 << 16)

static void touch(struct odk_bytes bytes)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sum = (uint8_t)(sum + bytes.data[i]);
}

static void walk(struct odk_bytes data)
{
    struct odk_record_iter it;
    struct odk_record record;
    int64_t last_offset = -1;
    int32_t count = 0;
    enum odk_err err = odk_record_iter_init(&it, data, BYTES_MAX);
    while (odk_record_next(&it, &record)) {
        touch(record.key);
        touch(record.value);
        touch(record.headers);
        ASSERT(record.offset > last_offset);
        ASSERT(record.offset <= odk_batch_last_offset(&it.batch));
        last_offset = record.offset;
        count++;
    }
    enum odk_err end_err = odk_record_iter_end(&it);
    ASSERT(err == ODK_OK || end_err == err);
    if (end_err == ODK_OK)
        ASSERT(count == it.batch.record_count);
}

static void replay(struct odk_bytes data)
{
    struct producers producers = { 0 };
    if (producers_replay(&producers, data) == ODK_OK)
        ASSERT(producers_count(&producers) <= 1);
    producers_deinit(&producers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct odk_bytes bytes = { data, len };
    struct odk_batch batch;
    enum odk_err err = odk_batch_verify(bytes, &batch, NULL);
    if (err == ODK_OK) {
        ASSERT(odk_batch_bytes(&batch) == len);
        ASSERT(odk_batch_check_crc(bytes) == ODK_OK);
    }
    walk(bytes);
    if (odk_batch_check_crc(bytes) == ODK_OK)
        replay(bytes);
    return 0;
}

#ifndef ODK_LIBFUZZER
/* Length and CRC as they should be: now the damage is inside. */
static void fix(uint8_t *data, size_t len)
{
    if (len < ODK_BATCH_HEADER_BYTES)
        return;
    uint32_t length = __builtin_bswap32((uint32_t)(len - ODK_BATCH_LENGTH_END));
    memcpy(data + 8, &length, sizeof(length));
    data[16] = 2;
    seal_batch(data, len);
}

/* Without golden_zstd_22: a sanitizer marks every byte of its window of 128 MiB, which takes all the time there is. */
int main(int argc, char **argv)
{
    static const struct odk_bytes corpus[] = {
        VIEW(golden_plain),         VIEW(golden_gzip),         VIEW(golden_snappy),    VIEW(golden_lz4),
        VIEW(golden_zstd),          VIEW(golden_snappy_large), VIEW(golden_lz4_large), VIEW(golden_idempotent),
        VIEW(golden_transactional), VIEW(golden_commit),       VIEW(golden_built),     VIEW(golden_append_time),
    };
    return fuzz_main(argc, argv, corpus, countof(corpus), fix);
}
#endif
