#include "coordinator/group_records.h"

#include "wire/messages.h"

void group_writer_init(struct group_writer *writer,
                       void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    *writer = (struct group_writer){ .record = record, .context = context };
}

void group_writer_deinit(struct group_writer *writer)
{
    arena_deinit(&writer->arena);
}

void group_record_begin(struct group_writer *writer, enum group_record_kind kind, int16_t version)
{
    arena_reset(&writer->arena);
    out_init(&writer->key, &writer->arena);
    out_init(&writer->value, &writer->arena);
    writer->tombstone = version == GROUP_RECORD_TOMBSTONE;
    out_i16(&writer->key, (int16_t)kind);
    if (!writer->tombstone)
        out_i16(&writer->value, version);
}

static struct odk_bytes in_one_piece(struct out *out)
{
    const struct iovec *parts;
    uint32_t count;
    bool good = out_iov(out, &parts, &count);
    ASSERT(good);
    if (count == 1)
        return (struct odk_bytes){ .data = parts[0].iov_base, .len = parts[0].iov_len };
    size_t len = 0;
    uint8_t *whole = arena_alloc(out->arena, out_bytes(out), 1);
    ASSERT(whole != NULL);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(whole + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    return (struct odk_bytes){ .data = whole, .len = len };
}

struct odk_bytes group_record_end(struct group_writer *writer)
{
    struct odk_bytes key = in_one_piece(&writer->key);
    struct odk_bytes value = writer->tombstone ? (struct odk_bytes){ 0 } : in_one_piece(&writer->value);
    writer->record(writer->context, key, value);
    return value;
}

void group_record_bytes(struct group_writer *writer, enum group_record_kind kind, struct odk_str group_id,
                        struct odk_bytes value)
{
    struct group_key key = { .group_id = group_id };
    group_record_begin(writer, kind, GROUP_RECORD_TOMBSTONE);
    bool good = group_key_encode(&key, &writer->key, 0);
    ASSERT(good);
    writer->record(writer->context, in_one_piece(&writer->key), value);
}
