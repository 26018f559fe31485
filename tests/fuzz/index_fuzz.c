/* Index files: what the check lets through is safe to search; what it does not is only refused. */
#include "mutate.h"
#include "store/offset_index.h"
#include "store/time_index.h"
#include "unit/store/golden_kafka.h"
#include "unit/store/views.h"

#define LOG_BYTES  1000u
#define OFFSET_MAX 30u

static void search_offsets(struct odk_bytes index)
{
    struct offset_entry entry;
    for (uint32_t key = 0; key < LOG_BYTES; key += 7) {
        if (offset_index_floor(index, key, &entry))
            ASSERT(entry.rel_offset <= key && entry.pos < LOG_BYTES);
        if (offset_index_floor_pos(index, key, &entry))
            ASSERT(entry.pos <= key);
    }
}

static void search_times(struct odk_bytes index)
{
    struct time_entry entry;
    for (int64_t key = 1699999999990; key < 1700000000080; key++)
        if (time_index_floor(index, key, &entry))
            ASSERT(entry.timestamp <= key && entry.rel_offset <= OFFSET_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct odk_bytes bytes = { data, len };
    if (offset_index_check(bytes, LOG_BYTES) == ODK_OK) {
        struct offset_index index = { 0 };
        offset_index_load(&index, bytes);
        search_offsets(offset_index_bytes(&index, 0));
        offset_index_truncate(&index, 9);
        search_offsets(offset_index_bytes(&index, 0));
        offset_index_deinit(&index);
    }
    if (time_index_check(bytes, OFFSET_MAX) == ODK_OK) {
        struct time_index index = { 0 };
        time_index_load(&index, bytes);
        search_times(time_index_bytes(&index, 0));
        time_index_truncate(&index, 9);
        search_times(time_index_bytes(&index, 0));
        time_index_deinit(&index);
    }
    return 0;
}

#ifndef ODK_LIBFUZZER
int main(int argc, char **argv)
{
    static const struct odk_bytes corpus[] = { VIEW(golden_segment_index), VIEW(golden_segment_timeindex) };
    return fuzz_main(argc, argv, corpus, countof(corpus), NULL);
}
#endif
