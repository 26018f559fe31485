/* Where a group lives: Java's hash of its id, as every other broker and tool computes it. */
#include "coordinator/groups.h"

#define REPLACEMENT 0xfffdu

/* The next character of text, at least one byte of it; what is not UTF-8 is one replacement for each bad byte. */
static uint32_t char_next(struct odk_str text, size_t *at)
{
    const uint8_t *p = (const uint8_t *)text.data + *at;
    size_t left = text.len - *at;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    bool good = len > 0 && len <= left;
    uint32_t point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; good && i < len; i++) {
        good = (p[i] & 0xc0) == 0x80;
        point = point << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    good = good && point >= least[len] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    *at += good ? len : 1;
    return good ? point : REPLACEMENT;
}

static int32_t java_hash(struct odk_str text)
{
    uint32_t hash = 0;
    for (size_t at = 0; at < text.len;) {
        uint32_t point = char_next(text, &at);
        if (point >= 0x10000) { /* two units of UTF-16 */
            hash = hash * 31 + 0xd800 + ((point - 0x10000) >> 10);
            point = 0xdc00 + (point & 0x3ff);
        }
        hash = hash * 31 + point;
    }
    return (int32_t)hash;
}

int32_t groups_partition_of(struct odk_str group_id, int32_t partition_count)
{
    ASSERT(partition_count > 0);
    int32_t hash = java_hash(group_id);
    return (hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash) % partition_count;
}
