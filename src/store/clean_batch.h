/*
 * What compaction does to one batch. Pure: bytes in, bytes out.
 *
 * A record stays when no later record of its key is known; a mark of a deleted key (no value) stays until the horizon that
 * was put into its batch when compaction first met it. Offsets never change: a batch keeps its first and last offset,
 * producer, epoch and sequence, whatever it has lost. A batch without records is kept when it is the last of its producer,
 * or all that its segment will have, else it goes.
 *
 * Kept as they are: batches at or behind the end of what the map knows; control batches and those of transactions,
 * because nothing here tells which were aborted; batches that cannot be opened.
 *
 * Source: Kafka's Cleaner, MemoryRecords.filterTo; KIP-534.
 */
#pragma once
#include <odradek/batch.h>

#include "store/clean_map.h"
#include "store/producers.h"

struct clean_rules {
    const struct clean_map *map;
    int64_t map_end; /* records from this offset on are not judged */
    int64_t now_ms;
    int64_t delete_retention_ms;
    const struct producers *producers;
};

/* Memory for batches in the making, kept from one to the next. */
struct clean_scratch {
    uint8_t *records;
    size_t records_capacity;
    uint8_t *batch;
    size_t batch_capacity;
};
void clean_scratch_deinit(struct clean_scratch *scratch);

/* Notes the keys of a batch. ODK_ERR_LIMIT: there is no room for all; those that were noted do no harm. */
MUST_USE enum odk_err clean_note(struct clean_map *map, struct odk_bytes batch);

/*
 * What becomes of a batch: ret_out is in itself, or in scratch, or empty when nothing of it stays. last: its segment
 * would have nothing else, so at least its header stays.
 *
 * ODK_ERR_MEMORY
 *
 * Cost: opens the batch; compresses it again when records have gone.
 */
MUST_USE enum odk_err clean_batch(const struct clean_rules *rules, struct odk_bytes in, bool last,
                                  struct clean_scratch *scratch, struct odk_bytes *ret_out);
