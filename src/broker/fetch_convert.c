#include "broker/fetch_convert.h"

#include <odradek/messages.h>
#include <string.h>

#include "base/base.h"
#include "base/limits.h"
#include "base/units.h"

#define CHUNK_BYTES     ((size_t)KIB(64))
#define PARTS_ROOM_MIN  16u

/* Bytes of a read, one batch after the other. */
struct walk {
    const struct iovec *parts;
    uint32_t part_count;
    size_t pos; /* in parts[0] */
};

/* One partition's messages in the making. */
struct target {
    struct fetch_convert *convert;
    struct fetch_converted *out;
    size_t bytes_left;
    uint32_t parts_room;
    uint8_t *at; /* in the last chunk */
    size_t room;
    bool full; /* the next message does not fit */
};

void fetch_convert_init(struct fetch_convert *convert, struct arena *arena, int16_t version, uint32_t bytes_max)
{
    *convert = (struct fetch_convert){
        .arena = arena,
        .bytes_left = MIN((size_t)bytes_max, (size_t)FETCH_CONVERT_BYTES_MAX),
        .opened_left = FETCH_CONVERT_OPENED_MAX,
        .format = version >= FETCH_VERSION_FORMAT_1 ? 1 : 0,
    };
}

/* -- bytes of the read --------------------------------------------------------------------------------------------- */

static void walk_skip(struct walk *walk, size_t len)
{
    walk->pos += len;
    while (walk->part_count > 0 && walk->pos >= walk->parts->iov_len) {
        walk->pos -= walk->parts->iov_len;
        walk->parts++;
        walk->part_count--;
    }
}

/* Copies the next len bytes; false: there are fewer. */
static bool walk_copy(struct walk walk, uint8_t *dst, size_t len)
{
    while (len > 0 && walk.part_count > 0) {
        size_t step = MIN(len, walk.parts->iov_len - walk.pos);
        memcpy(dst, (const uint8_t *)walk.parts->iov_base + walk.pos, step);
        dst += step;
        len -= step;
        walk_skip(&walk, step);
    }
    return len == 0;
}

static bool scratch_grow(struct fetch_convert *convert, size_t len)
{
    if (convert->scratch_len >= len)
        return true;
    size_t want = MAX(len, 2 * convert->scratch_len);
    convert->scratch = arena_new(convert->arena, uint8_t, want);
    convert->scratch_len = convert->scratch ? want : 0;
    return convert->scratch != NULL;
}

/* The next len bytes in one piece. */
static enum odk_err walk_view(struct fetch_convert *convert, const struct walk *walk, size_t len, struct odk_bytes *ret)
{
    if (len <= walk->parts->iov_len - walk->pos) {
        *ret = (struct odk_bytes){ (const uint8_t *)walk->parts->iov_base + walk->pos, len };
        return ODK_OK;
    }
    if (!scratch_grow(convert, len))
        return ODK_ERR_TOO_LARGE;
    *ret = (struct odk_bytes){ convert->scratch, len };
    return walk_copy(*walk, convert->scratch, len) ? ODK_OK : ODK_ERR_CORRUPT;
}

/* -- messages ------------------------------------------------------------------------------------------------------ */

static bool part_add(struct target *target)
{
    struct fetch_converted *out = target->out;
    if (out->part_count < target->parts_room)
        return true;
    uint32_t room = MAX(2 * target->parts_room, PARTS_ROOM_MIN);
    struct iovec *parts = arena_new(target->convert->arena, struct iovec, room);
    if (!parts)
        return false;
    for (uint32_t i = 0; i < out->part_count; i++)
        parts[i] = out->parts[i];
    out->parts = parts;
    target->parts_room = room;
    return true;
}

/* Room for a message of len bytes at target->at. */
static bool target_room(struct target *target, size_t len)
{
    if (target->room >= len)
        return true;
    size_t want = MAX(len, MIN(CHUNK_BYTES, target->bytes_left));
    uint8_t *chunk = arena_new(target->convert->arena, uint8_t, want);
    if (!chunk || !part_add(target))
        return false;
    target->out->parts[target->out->part_count++] = (struct iovec){ .iov_base = chunk };
    target->at = chunk;
    target->room = want;
    return true;
}

static void message_put(struct target *target, const struct odk_message *message)
{
    size_t len = odk_message_bytes(message);
    bool first = target->out->bytes == 0 && target->convert->bytes_left > 0;
    if ((len > target->bytes_left && !first) || len > INT32_MAX || !target_room(target, len)) {
        target->full = true;
        return;
    }
    odk_message_write(message, target->at);
    target->at += len;
    target->room -= len;
    target->bytes_left -= MIN(len, target->bytes_left);
    target->out->bytes += (uint32_t)len;
    target->out->parts[target->out->part_count - 1].iov_len += len;
}

static enum odk_err batch_convert(struct target *target, struct odk_bytes data, int64_t from)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_batch_check_crc(data);
    if (err != ODK_OK)
        return err;
    err = odk_record_iter_init(&it, data, BATCH_OPENED_BYTES_MAX);
    size_t opened = err == ODK_OK ? odk_record_iter_bytes(&it).len : BATCH_OPENED_BYTES_MAX; /* perhaps up to the bound */
    target->convert->opened_left -= MIN(opened, target->convert->opened_left);
    while (err == ODK_OK && !target->full && odk_record_next(&it, &record)) {
        struct odk_message message = { .offset = record.offset,
                                       .timestamp = record.timestamp,
                                       .key = record.key,
                                       .value = record.value,
                                       .format = target->convert->format,
                                       .append_time = it.batch.attributes & ODK_BATCH_LOG_APPEND_TIME };
        if (record.offset >= from)
            message_put(target, &message);
    }
    return odk_record_iter_end(&it);
}

/* The batch at the front of walk. ODK_ERR_NOT_FOUND: no more of them. */
static enum odk_err step(struct target *target, struct walk *walk, int64_t from)
{
    uint8_t header[ODK_BATCH_HEADER_BYTES];
    struct odk_batch batch;
    struct odk_bytes data;
    if (walk->part_count == 0 || target->full)
        return ODK_ERR_NOT_FOUND;
    if (!walk_copy(*walk, header, sizeof(header)) || odk_batch_decode(header, sizeof(header), &batch) != ODK_OK)
        return ODK_ERR_CORRUPT;
    size_t len = odk_batch_bytes(&batch);
    enum odk_err err = ODK_OK;
    if (!(batch.attributes & ODK_BATCH_CONTROL)) {
        if (target->convert->opened_left == 0)
            return ODK_ERR_NOT_FOUND;
        err = walk_view(target->convert, walk, len, &data);
        if (err == ODK_OK)
            err = batch_convert(target, data, from);
    }
    walk_skip(walk, len);
    return err;
}

void fetch_convert(struct fetch_convert *convert, const struct odk_read *read, uint32_t bytes_max,
                   struct fetch_converted *ret)
{
    struct walk walk = { .parts = read->parts, .part_count = read->part_count };
    struct target target = { .convert = convert, .out = ret, .bytes_left = MIN((size_t)bytes_max, convert->bytes_left) };
    *ret = (struct fetch_converted){ 0 };
    walk_skip(&walk, 0);
    enum odk_err err = ODK_OK;
    while (err == ODK_OK)
        err = step(&target, &walk, read->offset);
    convert->bytes_left -= MIN((size_t)ret->bytes, convert->bytes_left);
    bool stuck = err != ODK_ERR_NOT_FOUND || (target.full && convert->bytes_left > 0);
    if (ret->bytes == 0 && stuck)
        ret->error = err == ODK_ERR_NOT_FOUND || err == ODK_ERR_TOO_LARGE ? KAFKA_MESSAGE_TOO_LARGE : KAFKA_CORRUPT_MESSAGE;
}
