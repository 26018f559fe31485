/* Producer snapshots and epoch checkpoints: what is read can be used, and written and read again to the same. */
#include "mutate.h"
#include "store/epochs.h"
#include "store/producers.h"
#include "unit/store/golden_kafka.h"
#include "unit/store/views.h"

static void try_snapshot(struct odk_bytes bytes)
{
    struct producers producers = { 0 };
    if (producers_load(&producers, bytes) != ODK_OK)
        return;
    uint8_t *first;
    uint8_t *second;
    size_t first_len, second_len;
    producers_save(&producers, &first, &first_len);
    ASSERT(first_len == bytes.len);
    ASSERT(producers_load(&producers, (struct odk_bytes){ first, first_len }) == ODK_OK);
    producers_save(&producers, &second, &second_len);
    ASSERT(first_len == second_len && memcmp(first, second, first_len) == 0);
    struct producers_verdict verdict;
    struct odk_batch batch = { .producer_id = 4711, .producer_epoch = 3, .base_sequence = 42, .record_count = 1 };
    if (producers_check(&producers, &batch, &verdict) == ODK_OK)
        producers_apply(&producers, &batch, 100);
    producers_expire(&producers, 1700000000055, 0);
    free(first);
    free(second);
    producers_deinit(&producers);
}

static void try_epochs(struct odk_bytes bytes)
{
    struct epochs epochs = { 0 };
    if (epochs_parse(&epochs, bytes) != ODK_OK)
        return;
    char *text;
    size_t len;
    int32_t epoch;
    int64_t end;
    epochs_end_of(&epochs, 3, 100, &epoch, &end);
    epochs_print(&epochs, &text, &len);
    struct epochs again = { 0 };
    ASSERT(epochs_parse(&again, (struct odk_bytes){ (const uint8_t *)text, len }) == ODK_OK);
    ASSERT(again.count == epochs.count);
    (void)epochs_truncate_start(&epochs, 17);
    (void)epochs_truncate_end(&epochs, 18);
    free(text);
    epochs_deinit(&again);
    epochs_deinit(&epochs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_snapshot((struct odk_bytes){ data, len });
    try_epochs((struct odk_bytes){ data, len });
    return 0;
}

#ifndef ODK_LIBFUZZER
static void fix(uint8_t *data, size_t len)
{
    if (len < 10 || data[0] != 0) /* a checkpoint has no checksum */
        return;
    uint32_t crc = __builtin_bswap32(crc32c(0, data + 6, len - 6));
    memcpy(data + 2, &crc, sizeof(crc));
}

int main(int argc, char **argv)
{
    static const struct odk_bytes corpus[] = { VIEW(golden_snapshot), VIEW(golden_epochs) };
    return fuzz_main(argc, argv, corpus, countof(corpus), fix);
}
#endif
