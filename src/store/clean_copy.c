/*
 * The first half of a pass (clean.c): what is dirty is read for its keys, then group by group for what stays of it.
 */
#include "store/clean_internal.h"

#include <stdlib.h>

#include "store/format.h"

#define BYTES_PER_RUN   (256u << 10) /* opened in one turn, at least one batch */
#define WINDOW_BYTES    (1u << 20)   /* read and written at once; more for one larger batch */

/* -- reading ------------------------------------------------------------------------------------------------------- */

uint32_t clean_segment_idx(const struct log_body *body, int64_t base)
{
    uint32_t idx = log_segment_of(body, base);
    ASSERT(body->segments[idx]->base == base); /* C4 */
    return idx;
}

static enum odk_err in_open(struct clean *c, struct segment *segment)
{
    struct odk_io *io = c->log->store->io;
    char path[LAYOUT_PATH_MAX];
    clean_file_close(c, &c->in_file);
    if (!log_segment_path(c->log, segment, FORMAT_LOG_SUFFIX, path))
        return ODK_ERR_INVALID;
    int32_t file = io->ops->open(io, path, ODK_IO_READ);
    if (file < 0)
        return odk_err_from_errno(file);
    c->in_file = file;
    c->in_segment = segment;
    c->in_pos = 0;
    c->in.from = c->in.to = 0;
    return ODK_OK;
}

static bool buffer_reserve(struct buffer *buffer, size_t need)
{
    if (buffer->capacity >= need)
        return true;
    uint8_t *grown = realloc(buffer->data, need);
    if (!grown)
        return false;
    buffer->data = grown;
    buffer->capacity = need;
    return true;
}

static void read_on_done(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    if (result <= 0)
        (void)clean_fail(c, "a segment cannot be read", result < 0 ? odk_err_from_errno(result) : ODK_ERR_CORRUPT);
    else
        c->in.to += (size_t)result;
}

/* Brings more of the segment into the window, which then holds need bytes or is read again. */
static bool window_fill(struct clean *c, size_t need)
{
    struct odk_io *io = c->log->store->io;
    struct buffer *in = &c->in;
    if (in->from < in->to)
        memmove(in->data, in->data + in->from, in->to - in->from);
    in->to -= in->from;
    in->from = 0;
    if (!buffer_reserve(in, MAX(need, (size_t)WINDOW_BYTES)))
        return clean_fail(c, "no memory to read with", ODK_ERR_MEMORY);
    uint64_t pos = c->in_pos + in->to;
    uint64_t len = MIN((uint64_t)(in->capacity - in->to), c->in_segment->size - pos);
    c->busy = true;
    c->op.done = read_on_done;
    io->ops->read(io, &c->op, c->in_file, in->data + in->to, (uint32_t)len, pos);
    return false;
}

/* The next whole batch of the segment. False: an operation is in flight, or c is gone. */
static bool batch_next(struct clean *c, struct odk_batch *ret, struct odk_bytes *ret_data)
{
    struct buffer *in = &c->in;
    size_t have = in->to - in->from;
    uint64_t left = c->in_segment->size - c->in_pos;
    if (have < ODK_BATCH_HEADER_BYTES && left >= ODK_BATCH_HEADER_BYTES)
        return window_fill(c, ODK_BATCH_HEADER_BYTES);
    if (odk_batch_decode(in->data + in->from, have, ret) != ODK_OK || odk_batch_bytes(ret) > left)
        return clean_fail(c, "a segment holds what is no batch", ODK_ERR_CORRUPT);
    if (odk_batch_bytes(ret) > have)
        return window_fill(c, odk_batch_bytes(ret));
    *ret_data = (struct odk_bytes){ .data = in->data + in->from, .len = odk_batch_bytes(ret) };
    if (odk_batch_check_crc(*ret_data) != ODK_OK || ret->last_offset_delta < 0)
        return clean_fail(c, "a batch is damaged", ODK_ERR_CORRUPT);
    return true;
}

static void batch_used(struct clean *c, size_t len)
{
    c->in.from += len;
    c->in_pos += len;
    c->request->bytes_read += len;
}

/* -- the map ------------------------------------------------------------------------------------------------------- */

/* The pass covers segments below request->up_to. */
bool clean_step_map(struct clean *c)
{
    struct log_body *body = c->log->body;
    for (size_t used = 0; c->rules.map_end < c->request->up_to;) {
        struct odk_batch batch;
        struct odk_bytes data;
        struct segment *segment = body->segments[log_segment_of(body, c->rules.map_end)];
        if (c->in_segment != segment || c->in_file < 0) {
            enum odk_err err = in_open(c, segment);
            if (err != ODK_OK)
                return clean_fail(c, "a segment cannot be opened", err);
        }
        if (c->in_pos == segment->size) { /* what is left of its offsets was lost before */
            c->rules.map_end = log_segment_end(body, log_segment_of(body, segment->base));
            continue;
        }
        if (used > BYTES_PER_RUN || !batch_next(c, &batch, &data))
            return false;
        if (odk_batch_last_offset(&batch) >= c->log->body->first_dirty) {
            enum odk_err err = clean_note(&c->map, data);
            if (err == ODK_ERR_LIMIT)
                break; /* the rest is for the next pass */
            if (err != ODK_OK)
                return clean_fail(c, "keys cannot be noted", err);
        }
        used += data.len;
        c->rules.map_end = MAX(c->rules.map_end, odk_batch_next_offset(&batch));
        batch_used(c, data.len);
    }
    c->in_segment = NULL;
    clean_file_close(c, &c->in_file);
    if (c->rules.map_end <= body->first_dirty)
        return clean_fail(c, "log.cleaner.dedupe.buffer.size has no room for the keys of one batch", ODK_ERR_LIMIT);
    return true;
}

/* -- groups -------------------------------------------------------------------------------------------------------- */

/* The next group: neighbours from base on that make one segment. False: there is none left. */
bool clean_group_choose(struct clean *c, int64_t base)
{
    const struct log_body *body = c->log->body;
    const struct odk_log_config *config = &c->log->config;
    uint32_t first = log_segment_of(body, base);
    uint64_t bytes = 0;
    c->group_count = 0;
    for (uint32_t i = first; i + 1 < body->count; i++) {
        const struct segment *segment = body->segments[i];
        int64_t end = log_segment_end(body, i);
        uint64_t entries = (bytes + segment->size) / (uint64_t)MAX(config->index_interval_bytes, 1) + 2;
        bool fits = bytes + segment->size <= (uint64_t)config->segment_bytes &&
                    end - body->segments[first]->base <= INT32_MAX &&
                    entries * FORMAT_TIME_ENTRY_BYTES <= (uint64_t)config->segment_index_bytes;
        if (segment->base >= c->rules.map_end || (c->group_count > 0 && !fits))
            break;
        bytes += segment->size;
        c->group_count++;
        c->group_end = end;
    }
    c->group_base = body->segments[first]->base;
    c->group_bytes = bytes;
    return c->group_count > 0;
}

static bool group_open(struct clean *c)
{
    struct odk_io *io = c->log->store->io;
    char path[LAYOUT_PATH_MAX];
    if (!clean_path(c, path))
        return clean_fail(c, "the path is too long", ODK_ERR_INVALID);
    c->out_file = io->ops->open(io, path, ODK_IO_READ | ODK_IO_WRITE | ODK_IO_CREATE);
    int32_t result = c->out_file < 0 ? c->out_file : io->ops->truncate(io, c->out_file, 0);
    if (result < 0)
        return clean_fail(c, "a new segment cannot be made", odk_err_from_errno(result));
    c->out.from = c->out.to = 0;
    c->fresh = segment_new(c->group_base, 0);
    c->fresh->in_memory = true;
    enum odk_err err = in_open(c, c->log->body->segments[clean_segment_idx(c->log->body, c->group_base)]);
    return err == ODK_OK ? true : clean_fail(c, "a segment cannot be opened", err);
}

/* -- copying ------------------------------------------------------------------------------------------------------- */

static void write_on_done(struct odk_io_write *write, int64_t result)
{
    struct clean *c = container_of(write, struct clean, write);
    c->busy = false;
    if (result < 0) {
        (void)clean_fail(c, "a new segment cannot be written", odk_err_from_errno((int32_t)result));
        return;
    }
    c->request->bytes_written += (uint64_t)result;
    c->out.to = 0;
}

static bool out_flush(struct clean *c)
{
    c->iov = (struct iovec){ .iov_base = c->out.data, .iov_len = c->out.to };
    c->write.done = write_on_done;
    c->busy = true;
    odk_io_write(c->log->store->io, &c->write, c->out_file, &c->iov, 1, c->fresh->size - c->out.to);
    return false;
}

static bool out_add(struct clean *c, struct odk_bytes data)
{
    struct odk_batch batch;
    if (!buffer_reserve(&c->out, MAX((size_t)WINDOW_BYTES, c->out.to + data.len)))
        return clean_fail(c, "no memory to write with", ODK_ERR_MEMORY);
    if (odk_batch_decode(data.data, data.len, &batch) != ODK_OK || c->fresh->size + data.len > INT32_MAX)
        return clean_fail(c, "a segment would become too large", ODK_ERR_TOO_LARGE);
    memcpy(c->out.data + c->out.to, data.data, data.len);
    c->out.to += data.len;
    segment_index(c->fresh, &batch, (uint32_t)c->fresh->size, (uint32_t)c->log->config.index_interval_bytes);
    c->fresh->size += data.len;
    return true;
}

/* The next segment of the group. False: there is none. */
static bool in_next(struct clean *c, enum odk_err *ret_err)
{
    const struct log_body *body = c->log->body;
    uint32_t idx = clean_segment_idx(body, c->in_segment->base) + 1;
    *ret_err = ODK_OK;
    if (idx == clean_segment_idx(body, c->group_base) + c->group_count)
        return false;
    *ret_err = in_open(c, body->segments[idx]);
    return *ret_err == ODK_OK;
}

static bool is_last_of_group(const struct clean *c)
{
    const struct log_body *body = c->log->body;
    return c->in_segment == body->segments[clean_segment_idx(body, c->group_base) + c->group_count - 1];
}

static bool group_end(struct clean *c)
{
    if (c->out.to > 0)
        return out_flush(c);
    struct segment *fresh = c->fresh;
    segment_seal(fresh);
    fresh->synced = fresh->size;
    tail_init(&fresh->tail, fresh->size);
    fresh->on_disk = true;
    return true;
}

bool clean_step_copy(struct clean *c)
{
    if (!c->fresh && !group_open(c))
        return false;
    for (size_t used = 0;;) {
        struct odk_batch batch;
        struct odk_bytes data, out;
        enum odk_err err;
        if (c->out.to >= WINDOW_BYTES / 2)
            return out_flush(c);
        if (c->in_pos == c->in_segment->size) {
            if (in_next(c, &err))
                continue;
            return err == ODK_OK ? group_end(c) : clean_fail(c, "a segment cannot be opened", err);
        }
        if (used > BYTES_PER_RUN || !batch_next(c, &batch, &data))
            return false;
        bool last = c->fresh->size == 0 && c->in_pos + data.len == c->in_segment->size && is_last_of_group(c); /* C1 */
        err = clean_batch(&c->rules, data, last, &c->scratch, &out);
        if (err != ODK_OK)
            return clean_fail(c, "a batch cannot be written anew", err);
        if (out.len > 0 && !out_add(c, out))
            return false;
        used += data.len;
        batch_used(c, data.len);
    }
}

static void sync_on_done(struct odk_io_op *op, int32_t result)
{
    struct clean *c = container_of(op, struct clean, op);
    c->busy = false;
    if (result < 0)
        (void)clean_fail(c, "a new segment cannot be synced", odk_err_from_errno(result));
    else
        c->state++;
}

bool clean_step_sync(struct clean *c)
{
    c->busy = true;
    c->op.done = sync_on_done;
    c->log->store->io->ops->sync(c->log->store->io, &c->op, c->out_file);
    return false;
}
