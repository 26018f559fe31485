/*
 * Shortens the metadata log: what is still true is written again at its end, then everything before is trimmed.
 *
 * A crash before the trim leaves facts that are said twice, which replay takes as said already.
 */
#include <stdlib.h>

#include "broker/controller_internal.h"

/* Records in one batch: with the longest settings, they stay below METADATA_BATCH_BYTES_MAX. */
#define BATCH_RECORDS 64u

struct snapshot {
    struct controller *controller;
    struct metadata_record *records;
    uint32_t count;
    uint32_t next;        /* the first one that is not in the log yet */
    int64_t start_offset; /* of the first batch; -1 before */
    struct odk_append append;
    uint8_t *batch;
    void (*done)(void *context);
    void *context;
};

static void snapshot_finish(struct snapshot *snapshot)
{
    void (*done)(void *) = snapshot->done;
    void *context = snapshot->context;
    metadata_records_free(snapshot->records, snapshot->count);
    free(snapshot->batch);
    free(snapshot);
    done(context);
}

/* The log stays long: not a reason not to start. */
static void snapshot_fail(struct snapshot *snapshot, enum odk_err err)
{
    DIAG_WARN(snapshot->controller->broker->env.diag, "the metadata log could not be shortened: %s", odk_err_text(err));
    snapshot_finish(snapshot);
}

static void snapshot_on_trimmed(void *context, enum odk_err err)
{
    struct snapshot *snapshot = context;
    if (err != ODK_OK)
        snapshot_fail(snapshot, err);
    else
        snapshot_finish(snapshot);
}

static void snapshot_write(struct snapshot *snapshot);

static void snapshot_on_appended(struct odk_append *append, enum odk_err err)
{
    struct snapshot *snapshot = container_of(append, struct snapshot, append);
    free(snapshot->batch);
    snapshot->batch = NULL;
    if (err != ODK_OK) {
        snapshot_fail(snapshot, err);
        return;
    }
    if (snapshot->start_offset < 0)
        snapshot->start_offset = append->base_offset;
    if (snapshot->next < snapshot->count)
        snapshot_write(snapshot);
    else
        odk_log_trim(snapshot->controller->log, snapshot->start_offset, snapshot_on_trimmed, snapshot);
}

static void snapshot_write(struct snapshot *snapshot)
{
    struct controller *controller = snapshot->controller;
    uint32_t count = MIN(BATCH_RECORDS, snapshot->count - snapshot->next);
    size_t len = 0;
    enum odk_err err = controller_batch_build(&snapshot->records[snapshot->next], count, controller->broker->wall_ms,
                                              &snapshot->batch, &len);
    if (err != ODK_OK) {
        snapshot_fail(snapshot, err);
        return;
    }
    snapshot->next += count;
    snapshot->append = (struct odk_append){ .batch = snapshot->batch, .len = len, .done = snapshot_on_appended };
    odk_log_append(controller->log, &snapshot->append);
}

void controller_snapshot(struct controller *controller, struct metadata_record *records, uint32_t count,
                         void (*done)(void *context), void *context)
{
    ASSERT(count > 0);
    struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));
    *snapshot = (struct snapshot){ .controller = controller,
                                   .records = records,
                                   .count = count,
                                   .start_offset = -1,
                                   .done = done,
                                   .context = context };
    snapshot_write(snapshot);
}
