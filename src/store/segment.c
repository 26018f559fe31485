#include "store/segment.h"

#include <stdlib.h>

struct segment *segment_new(int64_t base, uint64_t size)
{
    struct segment *segment = xcalloc(1, sizeof(*segment));
    segment->base = base;
    segment->size = size;
    segment->synced = size;
    segment->first_timestamp = -1;
    segment->last_offset = base - 1;
    segment->direct = -1;
    segment->plain = -1;
    tail_init(&segment->tail, size);
    return segment;
}

void segment_close(struct segment *segment, struct files *files)
{
    int32_t *handles[] = { &segment->direct, &segment->plain };
    for (size_t i = 0; i < countof(handles); i++) {
        if (*handles[i] < 0)
            continue;
        (void)files->io->ops->close(files->io, *handles[i]); /* durability was decided by a sync (S2) */
        *handles[i] = -1;
        files->handle_count--;
    }
}

void segment_free(struct segment *segment, struct files *files, struct tail_pool *pool)
{
    tail_deinit(&segment->tail, pool);
    offset_index_deinit(&segment->offsets);
    time_index_deinit(&segment->times);
    files_let_go(files, &segment->data);
    files_let_go(files, &segment->offsets_map);
    files_let_go(files, &segment->times_map);
    segment_close(segment, files);
    free(segment);
}

void segment_index(struct segment *segment, const struct odk_batch *batch, uint32_t pos, uint32_t interval_bytes)
{
    int64_t last_offset = odk_batch_last_offset(batch);
    uint32_t rel_offset = (uint32_t)(last_offset - segment->base);
    if (pos == 0)
        segment->first_timestamp = batch->max_timestamp;
    segment->last_offset = last_offset;
    time_index_observe(&segment->times, batch->max_timestamp, rel_offset);
    if (pos - segment->last_indexed_pos <= interval_bytes)
        return;
    offset_index_append(&segment->offsets, rel_offset, pos);
    time_index_append_max(&segment->times);
    segment->last_indexed_pos = pos;
    segment->index_dirty = true;
}

void segment_seal(struct segment *segment)
{
    time_index_append_max(&segment->times);
    segment->sealed = true;
    segment->index_dirty = true;
}
