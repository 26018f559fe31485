/* CRC-32C (Castagnoli), as in record batches: of "123456789" it is 0xE3069283. Chunks: pass the last result as crc,
 * 0 at first. ISA-L does the work. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
