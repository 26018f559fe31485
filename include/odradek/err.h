/*
 * Errors as values: one enum for every layer.
 *
 * A function that can fail for reasons outside the program returns enum odk_err; the compiler refuses
 * callers that drop it. A value exists only where a caller can act on it; the sentence for people is
 * emitted once, where the error is born (src/base/fail.h). Kafka's wire codes are chosen from these
 * values in one place, src/broker/errors.c.
 */
#pragma once

#define ODK_MUST_USE __attribute__((warn_unused_result))

/* name, text */
#define ODK_ERR_TABLE(X)                                                                            \
    X(OK, "success")                                                                                \
    X(PENDING, "started; the result comes later through the callback")                              \
    X(IO, "input or output failed")                                                                 \
    X(FULL, "no space left")                                                                        \
    X(CORRUPT, "stored data is damaged")                                                            \
    X(CRC, "checksum does not match")                                                               \
    X(TRUNCATED, "fewer bytes than announced")                                                      \
    X(INVALID, "value not allowed")                                                                 \
    X(UNSUPPORTED, "not supported")                                                                 \
    X(RANGE, "offset out of range")                                                                 \
    X(NOT_FOUND, "does not exist")                                                                  \
    X(EXISTS, "exists already")                                                                     \
    X(BUSY, "in use by another process")                                                            \
    X(ACCESS, "permission denied")                                                                  \
    X(VERSION, "written by a newer version")                                                        \
    X(LIMIT, "a configured or built-in limit is reached")                                           \
    X(TOO_LARGE, "larger than allowed")                                                             \
    X(MEMORY, "out of memory")                                                                      \
    X(OFFLINE, "taken out of service by an earlier storage failure")                                \
    X(CLOSED, "closing or closed")                                                                  \
    X(SEQUENCE, "producer sequence number out of order")                                            \
    X(PRODUCER_EPOCH, "producer epoch is older than the current one")                               \
    X(TIMESTAMP, "record timestamp outside the allowed range")

enum odk_err {
#define X(name, text) ODK_ERR_##name,
    ODK_ERR_TABLE(X)
#undef X
        ODK_ERR_COUNT,
    ODK_OK = ODK_ERR_OK,
};

/* The table's text for err, never NULL; static storage. */
const char *odk_err_text(enum odk_err err);

/* The table's name for err ("CORRUPT"), never NULL; static storage. */
const char *odk_err_name(enum odk_err err);
