/* What the files of redo offer each other. */
#pragma once
#include "store/layout.h"
#include "store/redo.h"

/* One life of one folder. */
struct redo_log {
    struct list link; /* in redo.open */
    struct odk_uuid id;
    char *name;
    uint64_t deleted_seq; /* entries up to here are void; 0: lives */
    int64_t start_offset; /* from TRIM; -1: none */
    int64_t clean_offset; /* from CLEAN: DATA below it is void */
    bool prepared;        /* the folder is there and is ours */
    bool written;         /* has a segment below */
    bool dirty;           /* file was written or cut since it was opened */
    int32_t file;         /* of the segment, -1 when closed */
    int64_t base;         /* of the last segment redone */
    uint64_t end;         /* behind the last byte redone, the run included */
    uint64_t size;        /* of the file when it was entered */
    struct list filled;   /* in redo.filled while run has memory */
    uint8_t *run;         /* the last run_len bytes before end, not written yet */
    uint32_t run_len;
    uint32_t run_capacity;
    struct epochs epochs;
    bool epochs_loaded;
    bool epochs_changed;
};

MUST_USE enum odk_err redo_failed(struct redo *redo, const char *path, const char *what, int32_t result);

/* -- redo_segment.c ------------------------------------------------------------------------------------------------ */

/* The bytes of a DATA entry go to their place, at the latest when the segment is finished. ODK_ERR_RANGE: the segment was
 * trimmed away, the entry is void. */
MUST_USE enum odk_err redo_segment_take(struct redo *redo, struct redo_log *log, const struct journal_entry *entry);
/* Writes what waits and cuts the log's segment to its last byte. */
MUST_USE enum odk_err redo_segment_finish(struct redo *redo, struct redo_log *log);
/* Makes the data of open segments durable, and closes them. */
MUST_USE enum odk_err redo_segments_settle(struct redo *redo);
/* Gives memory and file back, whatever has become of them. */
void redo_segment_drop(struct redo *redo, struct redo_log *log);
