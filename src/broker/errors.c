#include "broker/errors.h"

#include "base/base.h"

enum kafka_error kafka_error_of(enum odk_err err)
{
    switch (err) {
    case ODK_OK: return KAFKA_NONE;
    case ODK_ERR_IO:
    case ODK_ERR_FULL:
    case ODK_ERR_OFFLINE:
    case ODK_ERR_CORRUPT:
    case ODK_ERR_BUSY:
    case ODK_ERR_ACCESS:
    case ODK_ERR_VERSION: return KAFKA_KAFKA_STORAGE_ERROR;
    case ODK_ERR_CRC:
    case ODK_ERR_TRUNCATED: return KAFKA_CORRUPT_MESSAGE;
    case ODK_ERR_INVALID: return KAFKA_INVALID_RECORD;
    case ODK_ERR_UNSUPPORTED: return KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    case ODK_ERR_RANGE: return KAFKA_OFFSET_OUT_OF_RANGE;
    case ODK_ERR_NOT_FOUND:
    case ODK_ERR_CLOSED: return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case ODK_ERR_EXISTS: return KAFKA_TOPIC_ALREADY_EXISTS;
    case ODK_ERR_LIMIT: return KAFKA_POLICY_VIOLATION;
    case ODK_ERR_TOO_LARGE: return KAFKA_RECORD_LIST_TOO_LARGE;
    case ODK_ERR_SEQUENCE: return KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case ODK_ERR_PRODUCER_EPOCH: return KAFKA_INVALID_PRODUCER_EPOCH;
    case ODK_ERR_TIMESTAMP: return KAFKA_INVALID_TIMESTAMP;
    case ODK_ERR_MEMORY: return KAFKA_UNKNOWN_SERVER_ERROR;
    case ODK_ERR_PENDING:
    case ODK_ERR_COUNT: break;
    }
    UNREACHABLE();
}
