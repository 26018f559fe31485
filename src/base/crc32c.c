#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/base.h"
#include "base/units.h"

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    uint32_t raw = ~crc;
    unsigned char *at = (unsigned char *)(uintptr_t)data; /* the library's pointer is not const, it only reads */
    while (len > 0) {
        int part = (int)MIN(len, (size_t)GIB(1));
        raw = crc32_iscsi(at, part, raw);
        at += part;
        len -= (size_t)part;
    }
    return ~raw;
}
