/* What the files of compaction offer each other; see clean.c. */
#pragma once
#include "store/clean_batch.h"
#include "store/log.h"
#include "store/put.h"
#include "store/store.h"

enum clean_state {
    CLEAN_NOTE_FIRST,
    CLEAN_MAP,
    CLEAN_COPY,
    CLEAN_SYNC,
    CLEAN_NAMES,
    CLEAN_JOURNAL,
    CLEAN_COMMIT,
    CLEAN_SWITCH,
    CLEAN_SETTLE,
    CLEAN_NOTE_LAST,
    CLEAN_DONE,
};

struct clean {
    struct list link; /* in store.cleans */
    struct odk_log *log;
    struct odk_clean *request; /* NULL: only a swap is to be finished */
    enum clean_state state;
    bool busy; /* an operation is in flight */
    bool synced; /* of COMMIT, SWITCH and SETTLE: the folder */
    struct odk_io_op op;
    struct odk_io_write write;
    struct iovec iov;
    struct put put;
    int32_t folder;
    int32_t in_file;
    int32_t out_file;
    /* what is read: [base of in_segment, end of the pass) */
    struct segment *in_segment;
    uint64_t in_pos; /* of the window's first byte that is not used up */
    struct buffer {
        uint8_t *data;
        size_t capacity;
        size_t from, to; /* bytes in use */
    } in, out;
    struct clean_map map;
    struct clean_rules rules;
    struct clean_scratch scratch;
    /* the group */
    uint32_t group_count; /* segments */
    int64_t group_base;
    int64_t group_end;
    uint64_t group_bytes;
    struct segment *fresh; /* what the group becomes */
    bool in_row;           /* the log has it already */
    uint64_t journal_seq;
};

bool clean_path(const struct clean *c, char dst[LAYOUT_PATH_MAX]); /* of the file that is written */
void clean_file_close(struct clean *c, int32_t *file);
/* Ends the pass, which is gone then. What failed is not tried again in this life, except for want of space. The log itself
 * is whole. Returns false. */
bool clean_fail(struct clean *c, const char *what, enum odk_err err);

/* Each step returns true when it has finished at once; else an operation is in flight, or it waits, or c is gone. */

/* -- clean_copy.c --------------------------------------------------------------------------------------------------- */

uint32_t clean_segment_idx(const struct log_body *body, int64_t base);
/* The next group: neighbours from base on that make one segment. False: there is none left. */
bool clean_group_choose(struct clean *c, int64_t base);
/* The pass covers segments below request->up_to. */
bool clean_step_map(struct clean *c);
bool clean_step_copy(struct clean *c);
bool clean_step_sync(struct clean *c);

/* -- clean_exchange.c ----------------------------------------------------------------------------------------------- */

bool clean_step_names(struct clean *c);
bool clean_step_journal(struct clean *c);
bool clean_step_commit(struct clean *c);
bool clean_step_switch(struct clean *c);
bool clean_step_settle(struct clean *c);
