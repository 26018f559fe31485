/*
 * The bytes of the journal: blocks of entries. Pure functions, no I/O.
 *
 * A journal file is a row of blocks, each a multiple of 4096 bytes, each written by one write:
 *
 *   off 0  magic u32 "ODKJ" | 4 version u16 | 6 header bytes u16 (64) | 8 seq u64 | 16 incarnation u64
 *   24 checkpoint seq u64 | 32 payload bytes u32 | 36 entry count u32 | 40 shard u32 | 44 zero u32 | 48 zero u64
 *   56 XXH3-64 of the payload, seeded with the XXH3-64 of bytes 0..55 | 64 payload | zeros up to the next multiple of 4096
 *
 * An entry is 32 bytes of header, its bytes, and zeros up to the next multiple of 8:
 *
 *   off 0  type u8 | 1 zero u8[3] | 4 bytes u32 | 8 log number u32 | 12 position u32 | 16 segment base i64 | 24 offset i64
 *
 *   NAME    gives a log its number for the rest of this block: bytes = id (16), folder name
 *   DATA    these bytes stand at position of the segment with that base; offset = the batch's base offset
 *   TRIM    the log starts at offset
 *   DELETE  the log's life under this id is over
 *   CLEAN   everything below offset is in synced files, which may since have been compacted: DATA below it is void
 *
 * All integers big-endian.
 *
 * (I1) A block stands alone: every log number in it is given by a NAME in the same block, so recovery keeps no state
 *      between blocks, and a block may go to any file, decided when it is written.
 * (I2) seq rises by one from block to block within an incarnation; at most the last one can be torn.
 * (I3) All blocks with seq <= the largest checkpoint seq found are no longer needed.
 *      A block without entries is a note: it repeats the seq of the last block and only carries a checkpoint seq.
 * (I4) The incarnation is random and new at every start of the process: no byte that an earlier life wrote, and no
 *      payload a client chose, is ever taken for a block.
 */
#pragma once
#include <odradek/bytes.h>

#include "base/base.h"

#define JOURNAL_VERSION       1
#define JOURNAL_HEADER_BYTES  64u
#define JOURNAL_ENTRY_BYTES   32u
#define JOURNAL_PAYLOAD_MAX   UINT32_C(0x7fff0000)
#define JOURNAL_BLOCK_ALIGN   4096u

struct journal_block {
    uint64_t seq;
    uint64_t incarnation;
    uint64_t checkpoint_seq;
    uint32_t payload_len;
    uint32_t entry_count;
    uint32_t shard;
};

enum journal_entry_type { JOURNAL_NAME = 1, JOURNAL_DATA = 2, JOURNAL_TRIM = 3, JOURNAL_DELETE = 4, JOURNAL_CLEAN = 5 };

struct journal_entry {
    enum journal_entry_type type;
    uint32_t log;
    uint32_t position;
    int64_t segment_base;
    int64_t offset;
    struct odk_bytes bytes;
};

/* Bytes of a block on disk. */
static inline uint64_t journal_block_bytes(uint32_t payload_len)
{
    return align_up((uint64_t)JOURNAL_HEADER_BYTES + payload_len, JOURNAL_BLOCK_ALIGN);
}

/* Bytes of an entry in a payload. */
static inline uint64_t journal_entry_bytes(size_t len)
{
    return align_up((uint64_t)JOURNAL_ENTRY_BYTES + len, 8);
}

/* Fills the 64 bytes at data, whose payload already stands behind them, and computes the checksum. */
void journal_block_encode(uint8_t *data, const struct journal_block *block);

/* Reads the header only; false unless magic, version and lengths make sense. */
bool journal_block_peek(const uint8_t data[JOURNAL_HEADER_BYTES], struct journal_block *ret);
/* True if data, which holds the whole block, has the right checksum. */
bool journal_block_valid(const uint8_t *data, size_t len);

/* Writes one entry at dst, padded; dst has journal_entry_bytes of room. */
void journal_entry_encode(uint8_t *dst, const struct journal_entry *entry);

/* Walks the payload of a valid block: false at its end. A malformed entry also ends it and sets bad. */
struct journal_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};
bool journal_entry_next(struct journal_reader *reader, struct journal_entry *ret);
