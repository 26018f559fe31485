/*
 * Reading: find the batch, cut at a batch's border, give out pinned memory.
 *
 * A segment's bytes are in its file up to `filed` and in its tail from `begin` on; a read takes from the tail what it
 * has, and the rest from a mapping. Mapped pages that are not in memory are brought in first (ODK_ERR_PENDING), so that
 * a cold read never stalls the loop; after a few rounds of losing that race the read goes on anyway.
 */
#include "store/log.h"

#include <stdlib.h>

#include "base/diag.h"
#include "base/units.h"
#include "store/store.h"

#define ATTEMPTS_MAX        3u
#define WALK_AHEAD_BYTES    (128u << 10)
#define REBUILDS_MAX        1u

/* What read->priv holds. */
struct read_pins {
    struct odk_log *log;
    struct file_map *map;
    struct chunk *chunks;
    uint32_t chunk_count;
    uint32_t attempts;
};
_Static_assert(sizeof(struct read_pins) <= sizeof(((struct odk_read *)0)->priv), "struct odk_read has room");

static struct read_pins *pins_of(struct odk_read *read)
{
    return (struct read_pins *)(void *)read->priv;
}

/* -- peeking ------------------------------------------------------------------------------------------------------- */

/* Position from which on the tail has the bytes. */
static uint64_t tail_from(const struct segment *segment)
{
    return segment->tail.count > 0 ? segment->tail.begin : segment->tail.end;
}

/* [pos, pos + len) of the file, mapped. */
static enum odk_err file_view(struct odk_log *log, struct segment *segment, uint64_t pos, uint64_t len, bool may_block,
                              struct absent *ret_absent)
{
    enum odk_err err = log_map_data(log, segment, pos + len);
    if (err != ODK_OK)
        return err;
    const uint8_t *data = segment->data->map.data + pos;
    if (may_block || log->store->io->ops->resident(log->store->io, data, len))
        return ODK_OK;
    *ret_absent = (struct absent){ .data = data, .len = len, .map = segment->data };
    return ODK_ERR_PENDING;
}

enum odk_err log_peek(struct odk_log *log, struct segment *segment, uint64_t pos, void *dst, size_t len,
                      bool may_block, struct absent *ret_absent)
{
    ASSERT(pos + len <= segment->size);
    uint64_t split = tail_from(segment);
    uint64_t from_file = pos < split ? MIN(len, split - pos) : 0;
    if (from_file > 0) {
        enum odk_err err = file_view(log, segment, pos, from_file, may_block, ret_absent);
        if (err == ODK_ERR_PENDING) /* the walk goes on behind it */
            ret_absent->len = MAX(from_file, MIN((uint64_t)WALK_AHEAD_BYTES, MIN(split, segment->data->map.len) - pos));
        if (err != ODK_OK)
            return err;
        memcpy(dst, segment->data->map.data + pos, from_file);
        if (segment->data->map.broken)
            return ODK_ERR_IO;
    }
    if (len > from_file)
        tail_copy(&segment->tail, pos + from_file, (uint8_t *)dst + from_file, len - from_file);
    return ODK_OK;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

struct finder {
    struct odk_log *log;
    struct segment *segment;
    int64_t segment_end; /* offset */
    bool may_block;
    struct absent absent;
};

static enum odk_err header_at(struct finder *f, uint64_t pos, struct odk_batch *ret)
{
    uint8_t header[ODK_BATCH_HEADER_BYTES];
    if (f->segment->size - pos < sizeof(header))
        return ODK_ERR_CORRUPT;
    enum odk_err err = log_peek(f->log, f->segment, pos, header, sizeof(header), f->may_block, &f->absent);
    if (err != ODK_OK)
        return err;
    if (odk_batch_decode(header, sizeof(header), ret) != ODK_OK || odk_batch_bytes(ret) > f->segment->size - pos ||
        ret->last_offset_delta < 0)
        return ODK_ERR_CORRUPT;
    return ODK_OK;
}

/* Position of the first batch with records that ends at or behind offset: what compaction has emptied is passed by, because
 * not every client gets past a batch without records. ODK_ERR_NOT_FOUND: the segment has none. */
static enum odk_err find_start(struct finder *f, struct odk_bytes offsets, int64_t offset, uint64_t *ret_pos,
                               struct odk_batch *ret_batch)
{
    struct offset_entry floor = { 0 };
    offset = MAX(offset, f->segment->base);
    bool indexed = offset_index_floor(offsets, (uint32_t)(offset - f->segment->base), &floor);
    int64_t last_offset = f->segment->base - 1;
    for (uint64_t pos = floor.pos; pos < f->segment->size; pos += odk_batch_bytes(ret_batch)) {
        enum odk_err err = header_at(f, pos, ret_batch);
        if (err != ODK_OK)
            return err;
        int64_t batch_last = odk_batch_last_offset(ret_batch);
        if (indexed && pos == floor.pos && batch_last - f->segment->base != (int64_t)floor.rel_offset)
            return ODK_ERR_CORRUPT;
        if (batch_last <= last_offset || ret_batch->base_offset < f->segment->base)
            return ODK_ERR_CORRUPT;
        last_offset = batch_last;
        if (batch_last >= offset && ret_batch->record_count > 0) {
            *ret_pos = pos;
            return ODK_OK;
        }
    }
    return ODK_ERR_NOT_FOUND;
}

/* The end of the last batch that ends at or before start + bytes_max, and the offset behind it. */
static enum odk_err find_cut(struct finder *f, struct odk_bytes offsets, uint64_t start, uint64_t bytes_max,
                             uint64_t *ret_cut, int64_t *ret_next)
{
    if (start + bytes_max >= f->segment->size) {
        *ret_cut = f->segment->size;
        *ret_next = f->segment_end;
        return ODK_OK;
    }
    uint64_t limit = start + bytes_max;
    uint64_t cut = start;
    struct offset_entry floor;
    if (offset_index_floor_pos(offsets, (uint32_t)MIN(limit, (uint64_t)UINT32_MAX), &floor) && floor.pos > start)
        cut = floor.pos;
    for (;;) {
        struct odk_batch batch;
        enum odk_err err = header_at(f, cut, &batch);
        if (err != ODK_OK)
            return err;
        *ret_next = batch.base_offset;
        *ret_cut = cut;
        if (cut + odk_batch_bytes(&batch) > limit)
            return ODK_OK;
        cut += odk_batch_bytes(&batch);
    }
}

/* -- giving out ---------------------------------------------------------------------------------------------------- */

static void read_reset(struct odk_read *read)
{
    read->part_count = 0;
    read->bytes = 0;
    read->next_offset = read->offset;
}

/* Pins [start, cut). ODK_ERR_LIMIT: too many parts; ret_len is how many bytes would fit. */
static enum odk_err parts_fill(struct finder *f, struct odk_read *read, uint64_t start, uint64_t cut,
                               uint64_t *ret_len)
{
    struct odk_log *log = f->log;
    struct segment *segment = f->segment;
    struct read_pins *pins = pins_of(read);
    uint64_t split = MAX(start, MIN(cut, tail_from(segment)));
    uint32_t count = 0;
    if (split > start) {
        enum odk_err err = file_view(log, segment, start, split - start, f->may_block, &f->absent);
        if (err != ODK_OK)
            return err;
        union {
            const uint8_t *given;
            void *wanted;
        } data = { .given = segment->data->map.data + start };
        read->parts[count++] = (struct iovec){ .iov_base = data.wanted, .iov_len = split - start };
    }
    if (cut > split) {
        uint64_t len;
        count += tail_views(&segment->tail, split, cut, read->parts + count, ODK_READ_PARTS_MAX - count, &len);
        *ret_len = split - start + len;
        if (len < cut - split)
            return ODK_ERR_LIMIT;
        pins->chunks = tail_pin(&segment->tail, split, cut, &pins->chunk_count);
    }
    if (split > start) {
        pins->map = segment->data;
        file_map_pin(&log->store->files, segment->data);
    }
    pins->log = log;
    log_hold(log);
    read->part_count = count;
    read->bytes = (uint32_t)(cut - start);
    return ODK_OK;
}

static enum odk_err read_segment(struct finder *f, struct odk_bytes offsets, struct odk_read *read)
{
    struct odk_batch first;
    uint64_t start = 0, cut = 0, fits = 0;
    enum odk_err err = find_start(f, offsets, read->offset, &start, &first);
    uint64_t bytes_max = read->bytes_max;
    while (err == ODK_OK) {
        int64_t next = 0;
        err = find_cut(f, offsets, start, bytes_max, &cut, &next);
        if (err != ODK_OK)
            break;
        if (cut == start) {
            if (!read->at_least_one)
                return ODK_OK;
            cut = start + odk_batch_bytes(&first);
            next = odk_batch_next_offset(&first);
        }
        err = parts_fill(f, read, start, cut, &fits);
        if (err == ODK_OK)
            read->next_offset = next;
        if (err != ODK_ERR_LIMIT || fits < odk_batch_bytes(&first))
            break; /* LIMIT: one batch in more pieces than parts: it is read from the file once it is there */
        bytes_max = fits;
        err = ODK_OK;
    }
    return err;
}

static enum odk_err read_try(struct odk_log *log, struct odk_read *read, struct absent *ret_absent)
{
    struct log_body *body = log->body;
    read_reset(read);
    if (read->offset < body->start_offset || read->offset > body->end_offset)
        return ODK_ERR_RANGE;
    if (read->offset == body->end_offset)
        return ODK_OK;
    uint32_t idx = log_segment_of(body, read->offset);
    struct finder f = {
        .log = log,
        .segment = body->segments[idx],
        .segment_end = log_segment_end(body, idx),
        .may_block = pins_of(read)->attempts >= ATTEMPTS_MAX,
    };
    for (uint32_t rebuilds = 0;;) {
        struct odk_bytes offsets, times;
        enum odk_err err = log_index_views(log, f.segment, &offsets, &times);
        if (err == ODK_OK)
            err = read_segment(&f, offsets, read);
        *ret_absent = f.absent;
        if (err == ODK_ERR_NOT_FOUND && body->compacted && idx + 1 < body->count) { /* the rest of it has been compacted away */
            f.segment = body->segments[++idx];
            f.segment_end = log_segment_end(body, idx);
            continue;
        }
        if (err != ODK_ERR_CORRUPT && err != ODK_ERR_NOT_FOUND)
            return err;
        if (rebuilds++ >= REBUILDS_MAX || f.segment->in_memory)
            return FAIL(log->store->diag, ODK_ERR_CORRUPT, "%s/%s: segment %lld: offset %lld cannot be found",
                        log->store->dir, log->name, (long long)f.segment->base, (long long)read->offset);
        err = log_index_rebuild(log, f.segment);
        if (err != ODK_OK)
            return err;
    }
}

/* -- attempts ------------------------------------------------------------------------------------------------------ */

static enum odk_err read_attempt(struct odk_log *log, struct odk_read *read);

static void read_on_waited(struct odk_log *log, void *object, enum odk_err err)
{
    struct odk_read *read = object;
    if (err == ODK_OK)
        err = read_attempt(log, read);
    if (err == ODK_ERR_PENDING)
        return;
    if (err != ODK_OK)
        read_reset(read);
    read->done(read, err);
}

/* One attempt; ODK_ERR_PENDING: another one follows by itself. */
static enum odk_err read_attempt(struct odk_log *log, struct odk_read *read)
{
    struct absent absent = { 0 };
    enum odk_err err = read_try(log, read, &absent);
    pins_of(read)->attempts++;
    if (err == ODK_ERR_LIMIT)
        log_wait(log, NULL, read_on_waited, read);
    else if (err == ODK_ERR_PENDING)
        log_wait(log, &absent, read_on_waited, read);
    return err == ODK_ERR_LIMIT ? ODK_ERR_PENDING : err;
}

enum odk_err odk_log_read(struct odk_log *log, struct odk_read *read)
{
    memset(read->priv, 0, sizeof(read->priv));
    read_reset(read);
    if (log->deleted)
        return ODK_ERR_CLOSED;
    if (!log_use(log))
        return log->err;
    enum odk_err err = read_attempt(log, read);
    if (err != ODK_OK)
        read_reset(read);
    return err;
}

void odk_log_read_release(struct odk_log *log, struct odk_read *read)
{
    struct read_pins *pins = pins_of(read);
    if (!pins->log) /* then log may be gone: only pins keep a deleted one */
        return;
    ASSERT(pins->log == log);
    struct odk_store *store = log->store;
    if (pins->map)
        file_map_unpin(&store->files, pins->map);
    if (pins->chunk_count > 0)
        tail_unpin(&store->pool, pins->chunks, pins->chunk_count);
    memset(read->priv, 0, sizeof(read->priv));
    log_unhold(log);
}
