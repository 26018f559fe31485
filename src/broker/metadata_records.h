/*
 * What the metadata log holds: one record per fact, in the value; keys are not used.
 *
 *   kind i8 | version i8 = 0 | fields, big-endian
 *   TOPIC             id uuid | name | partitions i32 | settings
 *   TOPIC_DELETED     id uuid                    the topic is gone for clients
 *   TOPIC_PURGED      id uuid                    its folders are gone, too
 *   PRODUCER_IDS      end i64                    all producer ids below may have been given out
 *   TOPIC_CONFIG      id uuid | settings         the topic sets these and no others
 *   BROKER_CONFIG     name | settings            what was set at run time for the broker of that id; "": for all
 *   GROUP_CONFIG      name | settings            the group sets these and no others
 *   TOPIC_PARTITIONS  id uuid | partitions i32   the topic has that many
 *
 *   name = length u16 + bytes; settings = count u16 of (key u16 + bytes, value u16 + bytes)
 *
 * A kind or version that is not known stops the start: a newer program has written it.
 */
#pragma once
#include <odradek/bytes.h>
#include <odradek/err.h>

#include "base/arena.h"
#include "base/cursor.h"

enum metadata_kind {
    METADATA_TOPIC = 1,
    METADATA_TOPIC_DELETED = 2,
    METADATA_TOPIC_PURGED = 3,
    METADATA_PRODUCER_IDS = 4,
    METADATA_TOPIC_CONFIG = 5,
    METADATA_BROKER_CONFIG = 6,
    METADATA_GROUP_CONFIG = 7,
    METADATA_TOPIC_PARTITIONS = 8,
};
#define METADATA_KIND_LAST METADATA_TOPIC_PARTITIONS

struct metadata_setting {
    struct odk_str key;
    struct odk_str value;
};

struct metadata_record {
    enum metadata_kind kind;
    struct odk_uuid id;                /* of a topic */
    struct odk_str name;               /* TOPIC, BROKER_CONFIG, GROUP_CONFIG */
    int32_t partition_count;           /* TOPIC, TOPIC_PARTITIONS */
    struct metadata_setting *settings; /* TOPIC and the CONFIGs */
    uint32_t setting_count;
    int64_t producer_ids_end; /* PRODUCER_IDS */
};

/* Writes the value; w may be an empty one that measures. */
void metadata_record_write(struct wr *w, const struct metadata_record *record);

/*
 * Reads a value; text points into it, settings are in the arena.
 *
 * ODK_ERR_VERSION  kind or version unknown; ODK_ERR_CORRUPT too short, too long, or nonsense
 */
ODK_MUST_USE enum odk_err metadata_record_read(struct odk_bytes value, struct arena *arena,
                                               struct metadata_record *ret);
