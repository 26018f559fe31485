/* Paths of the data directory's own files, beside format.h, which names those of a partition. */
#pragma once
#include <odradek/bytes.h>

#include "base/base.h"

#define LAYOUT_PATH_MAX     4096u
#define LAYOUT_NAME_MAX     255u /* a file name's bound: Kafka's 249 for a topic, dash, partition */
#define LAYOUT_STATE_NAME   "odradek.state"
#define LAYOUT_MARKER_NAME  ".odradek_cleanshutdown"
#define LAYOUT_KNOWN_NAME   ".odradek_known" /* the newest marker, once it has been taken */
#define LAYOUT_START_NAME   "log-start-offset-checkpoint"

/* Formats a path; false when it does not fit. */
bool layout_path(char dst[LAYOUT_PATH_MAX], const char *format, ...) PRINTF(2, 3);
/* DIR/NAME/BASE.suffix */
bool layout_segment(char dst[LAYOUT_PATH_MAX], const char *folder, int64_t base, const char *suffix);
/* DIR/BASE-END.swap */
bool layout_swap(char dst[LAYOUT_PATH_MAX], const char *folder, int64_t base, int64_t end);
bool layout_swap_parse(const char *name, int64_t *ret_base, int64_t *ret_end);
/* True for [A-Za-z0-9._-]{1,255}, not "." and not "..", not a name the store uses itself. */
bool layout_name_ok(struct odk_str name);
/* What the folder of a deleted log is called: NAME.ID-delete. Of a long name only its end, which tells partitions apart. */
void layout_doomed_print(struct odk_str name, struct odk_uuid id, char dst[LAYOUT_NAME_MAX + 1]);
/* "00000000000000000042.log" with that suffix to 42; false when it is something else. */
bool layout_segment_parse(const char *name, const char *suffix, int64_t *ret_base);

#define LAYOUT_METADATA_MAX 128u
/* Kafka's partition.metadata. Returns the length. */
size_t layout_metadata_print(struct odk_uuid id, char dst[LAYOUT_METADATA_MAX]);
bool layout_metadata_parse(struct odk_str text, struct odk_uuid *ret_id);

#define LAYOUT_START_MAX 512u
/* A log's start offset in the form of Kafka's checkpoint files: version, count, "topic partition offset". */
size_t layout_start_print(struct odk_str folder_name, int64_t offset, char dst[LAYOUT_START_MAX]);
bool layout_start_parse(struct odk_str text, int64_t *ret_offset);
