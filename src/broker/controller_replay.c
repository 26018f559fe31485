/*
 * The start of the controller: read the metadata log from its beginning, keep what is still true, and apply it to all
 * shards as one big decision. Folders of topics whose deletion was not finished are swept away first, because a topic
 * of the same name may have come since.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/uuid.h"
#include "broker/controller_internal.h"

#define REPLAY_READ_BYTES MIB(4)

/* Records that are history before the log is worth shortening: a few milliseconds of reading. */
#define REPLAY_HISTORY_MIN 4096u

struct replay {
    struct controller *controller;
    struct odk_read read;
    int64_t offset;
    int64_t expected; /* base offset of the next batch: this log has no gaps */
    uint64_t record_count;
    struct facts facts;
    struct arena arena;
    void (*done)(void *context, enum odk_err err);
    void *context;
    struct controller_op op;
};

void controller_replay_free(struct replay *replay)
{
    if (!replay)
        return;
    facts_deinit(&replay->facts);
    arena_deinit(&replay->arena);
    free(replay->op.creates);
    free(replay->op.deletes);
    free(replay->op.alters);
    free(replay);
}

/* The end: the queue opens, or the server does not start. */
static void replay_finish(struct replay *replay, enum odk_err err)
{
    struct controller *controller = replay->controller;
    void (*done)(void *, enum odk_err) = replay->done;
    void *context = replay->context;
    controller->replay = NULL;
    controller->current = NULL;
    controller_replay_free(replay);
    done(context, err);
    if (err == ODK_OK)
        controller_next(controller);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static enum odk_err replay_batch(struct replay *replay, struct odk_bytes batch)
{
    struct odk_record_iter it;
    struct odk_record record;
    enum odk_err err = odk_record_iter_init(&it, batch, METADATA_BATCH_BYTES_MAX);
    if (err != ODK_OK)
        return err;
    while (err == ODK_OK && odk_record_next(&it, &record)) {
        struct metadata_record fact;
        arena_reset(&replay->arena);
        err = metadata_record_read(record.value, &replay->arena, &fact);
        if (err == ODK_OK)
            err = facts_take(&replay->facts, &fact);
        replay->record_count++;
        if (err != ODK_OK)
            DIAG_ERROR(replay->controller->broker->env.diag, "metadata log: record at offset %" PRId64 ": %s",
                       record.offset, odk_err_text(err));
    }
    enum odk_err end = odk_record_iter_end(&it);
    return err != ODK_OK ? err : end;
}

/* Batches may lie across parts: they are put together first. */
static enum odk_err replay_bytes(struct replay *replay, const uint8_t *data, size_t len)
{
    enum odk_err err = ODK_OK;
    while (err == ODK_OK && len > 0) {
        struct odk_batch batch;
        err = odk_batch_decode(data, len, &batch);
        if (err == ODK_OK && odk_batch_bytes(&batch) > len)
            err = ODK_ERR_TRUNCATED;
        if (err != ODK_OK)
            return err;
        struct odk_bytes bytes = { .data = data, .len = odk_batch_bytes(&batch) };
        err = odk_batch_check_crc(bytes);
        if (err == ODK_OK && batch.base_offset != replay->expected)
            err = ODK_ERR_CORRUPT;
        replay->expected = odk_batch_next_offset(&batch);
        if (err == ODK_OK)
            err = replay_batch(replay, bytes);
        data += bytes.len;
        len -= bytes.len;
    }
    return err;
}

static enum odk_err replay_take(struct replay *replay)
{
    const struct odk_read *read = &replay->read;
    uint8_t *data = xcalloc(MAX(read->bytes, 1u), 1);
    size_t len = 0;
    for (uint32_t i = 0; i < read->part_count; i++) {
        memcpy(data + len, read->parts[i].iov_base, read->parts[i].iov_len);
        len += read->parts[i].iov_len;
    }
    ASSERT(len == read->bytes);
    enum odk_err err = replay_bytes(replay, data, len);
    free(data);
    return err;
}

static void replay_shorten(struct replay *replay);
static void replay_run(struct replay *replay);

static void replay_fail(struct replay *replay, enum odk_err err)
{
    DIAG_ERROR(replay->controller->broker->env.diag,
               "metadata log " METADATA_LOG_NAME ": cannot be read from offset %" PRId64 " on: %s; no topic can be trusted, "
               "restore the folder from a copy", replay->offset, odk_err_text(err));
    replay_finish(replay, err);
}

/* True if there may be more to read. */
static bool replay_step(struct replay *replay, enum odk_err err)
{
    struct odk_log *log = replay->controller->log;
    if (err == ODK_OK)
        err = replay_take(replay);
    odk_log_read_release(log, &replay->read);
    if (err != ODK_OK) {
        replay_fail(replay, err);
        return false;
    }
    if (replay->read.next_offset == replay->offset) {
        enum odk_err state = odk_log_state(log);
        if (state != ODK_OK && state != ODK_ERR_FULL) /* what is readable ends before what was written */
            replay_fail(replay, ODK_ERR_CORRUPT);
        else
            replay_shorten(replay);
        return false;
    }
    replay->offset = replay->read.next_offset;
    return true;
}

static void replay_on_read(struct odk_read *read, enum odk_err err)
{
    struct replay *replay = container_of(read, struct replay, read);
    if (replay_step(replay, err))
        replay_run(replay);
}

static void replay_run(struct replay *replay)
{
    enum odk_err err;
    do {
        replay->read = (struct odk_read){
            .offset = replay->offset, .bytes_max = REPLAY_READ_BYTES, .at_least_one = true, .done = replay_on_read
        };
        err = odk_log_read(replay->controller->log, &replay->read);
        if (err == ODK_ERR_PENDING)
            return;
    } while (replay_step(replay, err));
}

/* -- applying ----------------------------------------------------------------------------------------------------- */

static void replay_on_done(struct controller_op *op, struct broker *at)
{
    (void)at;
    replay_finish(container_of(op, struct replay, op), ODK_OK);
}

static void replay_apply_live(struct replay *replay)
{
    const struct facts *facts = &replay->facts;
    struct controller_op *op = &replay->op;
    op->kind = CONTROLLER_CREATE;
    op->done = replay_on_done;
    op->count = 0;
    op->creates = xcalloc(HASH_COUNT(facts->topics) + 1, sizeof(*op->creates));
    for (struct facts_topic *topic = facts->topics; topic; topic = topic->hh.next) {
        if (topic->deleted)
            continue;
        config_own_refresh(&topic_config_table, &topic->config, facts->broker->env.config);
        op->creates[op->count++] = (struct create_item){
            .name = odk_str_from(topic->name),
            .id = topic->id,
            .partition_count = topic->partition_count,
            .replication = 1,
            .config = topic->config,
            .internal = topic_name_is_internal(odk_str_from(topic->name)),
        };
    }
    controller_apply(replay->controller, op);
}

static void replay_on_swept(struct controller_op *op, struct broker *at)
{
    (void)at;
    replay_apply_live(container_of(op, struct replay, op));
}

static void replay_apply_deleted(struct replay *replay)
{
    const struct facts *facts = &replay->facts;
    struct controller_op *op = &replay->op;
    op->kind = CONTROLLER_SWEEP;
    op->done = replay_on_swept;
    op->count = 0;
    op->deletes = xcalloc(HASH_COUNT(facts->topics) + 1, sizeof(*op->deletes));
    for (struct facts_topic *topic = facts->topics; topic; topic = topic->hh.next) {
        if (topic->deleted)
            op->deletes[op->count++] = (struct delete_item){ .name = odk_str_from(topic->name),
                                                             .id = topic->id,
                                                             .partition_count = topic->partition_count };
    }
    controller_apply(replay->controller, op);
}

static void replay_on_configured(struct controller_op *op, struct broker *at)
{
    (void)at;
    replay_apply_deleted(container_of(op, struct replay, op));
}

/* Settings come first: topics take what they do not set from the broker's. */
static void replay_apply(struct replay *replay)
{
    const struct facts *facts = &replay->facts;
    struct controller_op *op = &replay->op;
    replay->controller->producer_ids_end = facts->producer_ids_end;
    op->kind = CONTROLLER_ALTER;
    op->done = replay_on_configured;
    op->alters = xcalloc(HASH_COUNT(facts->settings) + 1, sizeof(*op->alters));
    for (struct facts_settings *entry = facts->settings; entry; entry = entry->hh.next) {
        bool broker = entry->kind == METADATA_BROKER_CONFIG;
        op->alters[op->count++] = (struct alter_item){ .type = broker ? CONFIG_RESOURCE_BROKER : CONFIG_RESOURCE_GROUP,
                                                       .name = entry->name,
                                                       .changed = true,
                                                       .settings = entry->settings,
                                                       .setting_count = entry->setting_count };
    }
    controller_apply(replay->controller, op);
}

/* -- shortening ---------------------------------------------------------------------------------------------------- */

static void replay_on_shortened(void *context)
{
    replay_apply(context);
}

static void replay_shorten(struct replay *replay)
{
    uint64_t live = facts_record_count(&replay->facts);
    if (replay->record_count < 2 * live + REPLAY_HISTORY_MIN) {
        replay_apply(replay);
        return;
    }
    struct metadata_record *records = xcalloc(live, sizeof(*records));
    uint32_t count = facts_records(&replay->facts, records);
    DIAG_INFO(replay->controller->broker->env.diag, "metadata log: %" PRIu64 " records shortened to %u",
              replay->record_count, count);
    controller_snapshot(replay->controller, records, count, replay_on_shortened, replay);
}

void controller_start(struct controller *controller, void (*done)(void *context, enum odk_err err), void *context)
{
    struct broker *broker = controller->broker;
    struct odk_log_spec spec = {
        .name = ODK_STR(METADATA_LOG_NAME),
        .id = { .b = { 'o', 'd', 'r', 'a', 'd', 'e', 'k', '.', 'm', 'e', 't', 'a', 'd', 'a', 't', 'a' } },
        .config = { .segment_bytes = (int32_t)MIB(64),
                    .segment_ms = INT64_MAX,
                    .index_interval_bytes = 4096,
                    .segment_index_bytes = (int32_t)MIB(1) },
    };
    enum odk_err err = odk_log_open(broker->store, &spec, &controller->log);
    if (err != ODK_OK) {
        controller->log = NULL;
        DIAG_ERROR(broker->env.diag, "metadata log %s cannot be opened: %s", METADATA_LOG_NAME, odk_err_text(err));
        done(context, err);
        return;
    }
    struct replay *replay = xcalloc(1, sizeof(*replay));
    replay->controller = controller;
    replay->facts.broker = broker;
    replay->offset = MAX(odk_log_start_offset(controller->log), 0); /* unreadable: the read below says so */
    replay->expected = replay->offset;
    replay->done = done;
    replay->context = context;
    controller->replay = replay;
    replay_run(replay);
}
