/*
 * Writing journal entries into segments again (recover.h, steps 3 to 6). Blocking.
 *
 *   redo_note for every entry of the blocks that hold a TRIM or DELETE, in order; then redo_apply for every entry of all
 *   blocks, in order; then redo_finish.
 */
#pragma once
#include <odradek/diag.h>
#include <odradek/io.h>

#include "base/base.h"
#include "base/list.h"
#include "store/epochs.h"
#include "store/journal_format.h"
#include "store/recover.h"

struct redo_log;

struct redo {
    struct odk_io *io;
    const struct odk_diag *diag;
    const char *dir;
    uint64_t run_bytes_max;
    uint32_t files_max;
    struct redo_log **table; /* open addressing; capacity a power of two */
    uint32_t capacity;
    uint32_t count;
    struct redo_log **numbers; /* the current block's */
    uint32_t number_count;
    uint32_t number_capacity;
    struct list open; /* logs with an open file, least recently written first */
    uint32_t open_count;
    struct list filled; /* logs with memory for bytes that wait to be written, longest in use first */
    uint64_t run_bytes; /* all such memory */
    uint64_t bytes;     /* redone */
};

void redo_init(struct redo *redo, const struct recover_options *options);
void redo_deinit(struct redo *redo);
/* Call before the entries of each block. */
void redo_block(struct redo *redo);
MUST_USE enum odk_err redo_note(struct redo *redo, uint64_t seq, const struct journal_entry *entry);
MUST_USE enum odk_err redo_apply(struct redo *redo, uint64_t seq, const struct journal_entry *entry);
MUST_USE enum odk_err redo_finish(struct redo *redo);
