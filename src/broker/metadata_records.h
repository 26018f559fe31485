/*
 * What the metadata log holds: one record per fact, in the value; keys are not used.
 *
 *   kind i8 | version i8 = 0 | fields, big-endian
 *   TOPIC          id uuid | name u16 + bytes | partitions i32 | count u16 of (key u16 + bytes, value u16 + bytes)
 *   TOPIC_DELETED  id uuid      the topic is gone for clients
 *   TOPIC_PURGED   id uuid      its folders are gone, too
 *   PRODUCER_IDS   end i64      all producer ids below may have been given out
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
};

struct metadata_setting {
    struct odk_str key;
    struct odk_str value;
};

struct metadata_record {
    enum metadata_kind kind;
    struct odk_uuid id;                /* all but PRODUCER_IDS */
    struct odk_str name;               /* TOPIC */
    int32_t partition_count;           /* TOPIC */
    struct metadata_setting *settings; /* TOPIC */
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
