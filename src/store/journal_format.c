#include "store/journal_format.h"

#include "base/cursor.h"
#include "base/xxh3.h"

#define MAGIC    UINT32_C(0x4f444b4a)
#define HASH_POS 56u

static uint64_t block_hash(const uint8_t *data, size_t payload_len)
{
    return xxh3(data + JOURNAL_HEADER_BYTES, payload_len, xxh3(data, HASH_POS, 0));
}

void journal_block_encode(uint8_t *data, const struct journal_block *block)
{
    struct wr w = wr_init(data, JOURNAL_HEADER_BYTES);
    wr_i32(&w, (int32_t)MAGIC);
    wr_i16(&w, JOURNAL_VERSION);
    wr_i16(&w, JOURNAL_HEADER_BYTES);
    wr_i64(&w, (int64_t)block->seq);
    wr_i64(&w, (int64_t)block->incarnation);
    wr_i64(&w, (int64_t)block->checkpoint_seq);
    wr_i32(&w, (int32_t)block->payload_len);
    wr_i32(&w, (int32_t)block->entry_count);
    wr_i32(&w, (int32_t)block->shard);
    wr_i32(&w, 0);
    wr_i64(&w, 0);
    wr_i64(&w, (int64_t)block_hash(data, block->payload_len));
    ASSERT(!w.bad && w.pos == JOURNAL_HEADER_BYTES);
}

bool journal_block_peek(const uint8_t data[JOURNAL_HEADER_BYTES], struct journal_block *ret)
{
    struct rd r = rd_init(data, JOURNAL_HEADER_BYTES);
    uint32_t magic = rd_u32(&r);
    uint16_t version = rd_u16(&r);
    uint16_t header_bytes = rd_u16(&r);
    struct journal_block block;
    block.seq = rd_u64(&r);
    block.incarnation = rd_u64(&r);
    block.checkpoint_seq = rd_u64(&r);
    block.payload_len = rd_u32(&r);
    block.entry_count = rd_u32(&r);
    block.shard = rd_u32(&r);
    if (magic != MAGIC || version != JOURNAL_VERSION || header_bytes != JOURNAL_HEADER_BYTES)
        return false;
    if (block.payload_len > JOURNAL_PAYLOAD_MAX || block.seq == 0 || block.checkpoint_seq > block.seq)
        return false;
    *ret = block;
    return true;
}

bool journal_block_valid(const uint8_t *data, size_t len)
{
    struct journal_block block;
    if (len < JOURNAL_HEADER_BYTES || !journal_block_peek(data, &block) ||
        len - JOURNAL_HEADER_BYTES < block.payload_len)
        return false;
    struct rd r = rd_init(data + HASH_POS, 8);
    return rd_u64(&r) == block_hash(data, block.payload_len);
}

void journal_entry_encode(uint8_t *dst, const struct journal_entry *entry)
{
    size_t room = journal_entry_bytes(entry->bytes.len);
    struct wr w = wr_init(dst, room);
    wr_i32(&w, (int32_t)entry->type << 24);
    wr_i32(&w, (int32_t)entry->bytes.len);
    wr_i32(&w, (int32_t)entry->log);
    wr_i32(&w, (int32_t)entry->position);
    wr_i64(&w, entry->segment_base);
    wr_i64(&w, entry->offset);
    wr_raw(&w, entry->bytes.data, entry->bytes.len);
    ASSERT(!w.bad);
    memset(dst + w.pos, 0, room - w.pos);
}

bool journal_entry_next(struct journal_reader *reader, struct journal_entry *ret)
{
    if (reader->at == reader->end || reader->bad)
        return false;
    struct rd r = rd_init(reader->at, (size_t)(reader->end - reader->at));
    uint8_t type = rd_u8(&r);
    (void)rd_take(&r, 3);
    uint32_t len = rd_u32(&r);
    struct journal_entry entry;
    entry.log = rd_u32(&r);
    entry.position = rd_u32(&r);
    entry.segment_base = rd_i64(&r);
    entry.offset = rd_i64(&r);
    entry.bytes = rd_bytes(&r, len);
    (void)rd_take(&r, (size_t)(journal_entry_bytes(len) - JOURNAL_ENTRY_BYTES - len));
    if (r.bad || type < JOURNAL_NAME || type > JOURNAL_CLEAN) {
        reader->bad = true;
        return false;
    }
    entry.type = (enum journal_entry_type)type;
    reader->at = r.at;
    *ret = entry;
    return true;
}
