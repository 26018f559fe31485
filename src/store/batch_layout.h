/* Positions inside a record batch v2 that reader and builder share; <odradek/batch.h> shows the whole picture. */
#pragma once
#include <odradek/batch.h>

#define BATCH_MAGIC             2
#define BATCH_LENGTH_MIN        ((int32_t)(ODK_BATCH_HEADER_BYTES - ODK_BATCH_LENGTH_END))
#define BATCH_POS_BASE_OFFSET   0u
#define BATCH_POS_LEADER_EPOCH  12u
#define BATCH_POS_CRC           17u
#define BATCH_POS_ATTRIBUTES    21u
#define BATCH_POS_MAX_TIMESTAMP 35u

#define RECORD_HEADER_BYTES_MIN 2u /* a key length and a value length */
