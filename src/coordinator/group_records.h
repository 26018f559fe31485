/*
 * The records of __consumer_offsets: an int16 and fields, in key and in value.
 *
 * In front of a key stands its kind, in front of a value its version. The fields are generated from
 * src/wire/schema/records.wire.
 */
#pragma once
#include <odradek/bytes.h>

#include "base/arena.h"
#include "wire/out.h"

enum group_record_kind {
    GROUP_RECORD_OFFSET_OLD = 0, /* as OFFSET */
    GROUP_RECORD_OFFSET = 1,
    GROUP_RECORD_CLASSIC = 2,
    GROUP_RECORD_CONSUMER = 3,
    GROUP_RECORD_PARTITIONS = 4, /* no longer written by Kafka */
    GROUP_RECORD_MEMBER = 5,
    GROUP_RECORD_TARGET = 6,
    GROUP_RECORD_TARGET_MEMBER = 7,
    GROUP_RECORD_CURRENT = 8,
    GROUP_RECORD_REGEX = 16,
};

/* Readers outside the broker stumble over 4 (flexible). */
#define OFFSET_COMMIT_VALUE_VERSION  3
#define GROUP_METADATA_VALUE_VERSION 3
#define GROUP_RECORD_TOMBSTONE       (-1)

/* Builds one record after the other and hands each to record; its memory is used again. */
struct group_writer {
    struct arena arena;
    struct out key;
    struct out value;
    bool tombstone;
    void (*record)(void *context, struct odk_bytes key, struct odk_bytes value);
    void *context;
};

void group_writer_init(struct group_writer *writer,
                       void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context);
void group_writer_deinit(struct group_writer *writer);

/* After it the caller encodes fields into writer->key and, unless version is GROUP_RECORD_TOMBSTONE, writer->value. */
void group_record_begin(struct group_writer *writer, enum group_record_kind kind, int16_t version);
/* What was encoded must be encodable: everything that goes into records is bounded where it comes in. Returns the
 * value, which stays until the next record begins. */
struct odk_bytes group_record_end(struct group_writer *writer);
/* A record whose key is the group alone (kinds 2, 3 and 6), with a value as it is: version and fields. data NULL is a
 * tombstone. */
void group_record_bytes(struct group_writer *writer, enum group_record_kind kind, struct odk_str group_id,
                        struct odk_bytes value);
