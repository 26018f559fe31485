/*
 * Message sets of formats 0 and 1: what clients wrote and read before record batches.
 *
 *   offset i64 | size i32 | crc u32 | magic i8 (the format) | attributes i8 | format 1: timestamp i64
 *   | key i32 + bytes | value i32 + bytes                       (length -1: null)
 *
 * size counts the bytes behind it; the CRC-32 covers magic to the end. Attributes: bits 0-2 codec, 3 timestamp type. The
 * value of a compressed message is a message set of the same format, once compressed; inside one of format 1 offsets count
 * from 0. The header checksum of an LZ4 frame is wrong in format 0 by tradition, and is not looked at there.
 *
 * Source: Kafka's protocol guide, "Old Message Format"; KIP-31, KIP-32, KIP-57.
 */
#pragma once
#include <odradek/batch.h>

/* One message. Views point into the set, or into the iterator's buffer when it was compressed. */
struct odk_message {
    int64_t offset;    /* as it stands in the set */
    int64_t timestamp; /* -1 in format 0 */
    struct odk_bytes key;   /* data NULL: no key */
    struct odk_bytes value; /* data NULL: tombstone */
    int8_t format;
    bool append_time; /* the timestamp is said to be that of the append */
};

/*
 * Walks the messages of a set, opening compressed ones; never more than opened_max decompressed bytes in all.
 *
 *   odk_message_iter_init(&it, set, opened_max) ; while (odk_message_next(&it, &message)) ... ;
 *   err = odk_message_iter_end(&it)   -- says whether it ended because of damage; frees
 *
 * ODK_ERR_TRUNCATED    the set ends inside a message
 * ODK_ERR_CRC          a checksum differs
 * ODK_ERR_INVALID      another format; compressed inside compressed; a compressed message without messages
 * ODK_ERR_CORRUPT      lengths that make no sense, damaged compression
 * ODK_ERR_TOO_LARGE    more than opened_max would come out
 * ODK_ERR_UNSUPPORTED  a codec that these formats do not have
 * ODK_ERR_MEMORY
 *
 * Cost: one CRC pass over everything; one allocation at a time for each compressed message.
 */
struct odk_message_iter {
    struct odk_bytes outer; /* what is left of the set */
    struct odk_bytes inner; /* what is left of the compressed message */
    uint8_t *owned;         /* its decompressed bytes */
    size_t opened_left;
    int64_t wrapper_timestamp;
    enum odk_codec codec; /* of the last compressed message; ODK_CODEC_NONE until there is one */
    int8_t wrapper_format;
    bool wrapper_append_time;
    enum odk_err err;
};
void odk_message_iter_init(struct odk_message_iter *it, struct odk_bytes set, size_t opened_max);
bool odk_message_next(struct odk_message_iter *it, struct odk_message *ret);
ODK_MUST_USE enum odk_err odk_message_iter_end(struct odk_message_iter *it);

/* Bytes of the message in its format; SIZE_MAX when it cannot be said in it (lengths above INT32_MAX). */
size_t odk_message_bytes(const struct odk_message *message);
/* Writes the message, uncompressed: odk_message_bytes bytes. */
void odk_message_write(const struct odk_message *message, uint8_t *dst);
