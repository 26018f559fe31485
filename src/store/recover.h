/*
 * After a crash: what the journals hold goes into the segments.
 *
 * Physical redo. An entry says which bytes stand where; writing them again over themselves changes nothing, so recovery
 * may itself be cut off anywhere and start again. In order:
 *
 *   1. read all journal files, past the page cache; keep the valid blocks of this incarnation
 *   2. per shard: skip blocks <= the largest checkpoint seq; the rest must be a row without a gap. A missing block with
 *      valid ones behind it is damage, not a torn tail: nothing is altered. The last block is written once more as it
 *      is: nobody may have been told that it is durable
 *   3. note what was deleted and trimmed: entries of a dead log are skipped
 *   4. write DATA, neighbours gathered, create what is missing; cut each log's last segment to its last byte, remove segments behind it
 *   5. bring the leader epochs up to date, write log starts, rename deleted folders away
 *   6. sync every file and folder touched
 *
 * The caller then persists a new incarnation, which voids the blocks, and only then removes the journal files.
 */
#pragma once
#include <odradek/diag.h>
#include <odradek/io.h>

#include "base/base.h"

struct recover_options {
    struct odk_io *io;
    const struct odk_diag *diag;
    const char *dir;
    uint64_t incarnation;
    bool direct;
    uint64_t run_bytes_max; /* memory for bytes on their way into segments */
    uint32_t files_max;     /* segments open at once */
};

/* ODK_ERR_CORRUPT (nothing altered before step 4), ODK_ERR_IO, ODK_ERR_FULL, ... */
MUST_USE enum odk_err recover_run(const struct recover_options *options, uint64_t *ret_redone_bytes);

/* Whether there is any journal file. */
MUST_USE enum odk_err recover_has_journal(struct odk_io *io, const char *dir, bool *ret_any);
/* Removes the journal files, durably. */
MUST_USE enum odk_err recover_drop_journal(struct odk_io *io, const struct odk_diag *to, const char *dir);
