#include "base/cursor.h"

uint64_t rd_uvarint_slow(struct rd *r, unsigned bytes_max, uint8_t last_max)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max; i++) {
        const uint8_t *taken = rd_take(r, 1);
        if (!taken)
            return 0;
        if (i == bytes_max - 1 && *taken > last_max)
            break;
        value |= (uint64_t)(*taken & 0x7f) << (7 * i);
        if (*taken < 0x80)
            return value;
    }
    r->bad = true;
    return 0;
}

void wr_uvarlong(struct wr *w, uint64_t value)
{
    uint8_t buf[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        buf[len++] = (uint8_t)(value | 0x80);
    buf[len++] = (uint8_t)value;
    wr_raw(w, buf, len);
}
