/*
 * The start of the controller: read the metadata log from its beginning, keep what is still true, and apply it to all
 * shards as one big decision. Folders of topics whose deletion was not finished are swept away first, because a topic
 * of the same name may have come since.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/uuid.h"
#include "broker/controller_internal.h"

#define REPLAY_READ_BYTES MIB(4)

/* Records that are history before the log is worth shortening: a few milliseconds of reading. */
#define REPLAY_HISTORY_MIN 4096u

struct replay_topic {
    struct odk_uuid id;
    char *name;
    int32_t partition_count;
    struct topic_config config;
    bool deleted;
    UT_hash_handle hh; /* in the order of creation */
};

struct replay {
    struct controller *controller;
    struct odk_read read;
    int64_t offset;
    int64_t expected; /* base offset of the next batch: this log has no gaps */
    uint64_t record_count;
    struct replay_topic *topics;
    struct arena arena;
    void (*done)(void *context, enum odk_err err);
    void *context;
    struct controller_op op;
};

static void replay_topic_free(struct replay *replay, struct replay_topic *topic)
{
    HASH_DEL(replay->topics, topic);
    topic_config_deinit(&topic->config);
    free(topic->name);
    free(topic);
}

void controller_replay_free(struct replay *replay)
{
    if (!replay)
        return;
    struct replay_topic *topic, *next;
    HASH_ITER(hh, replay->topics, topic, next)
    replay_topic_free(replay, topic);
    arena_deinit(&replay->arena);
    free(replay->op.creates);
    free(replay->op.deletes);
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

static enum odk_err replay_created(struct replay *replay, const struct metadata_record *record)
{
    const struct broker *broker = replay->controller->broker;
    struct replay_topic *topic = NULL;
    HASH_FIND(hh, replay->topics, record->id.b, sizeof(record->id.b), topic);
    if (topic) /* said again by a snapshot */
        return ODK_OK;
    if (topic_name_check(record->name))
        return ODK_ERR_CORRUPT;
    topic = xcalloc(1, sizeof(*topic));
    topic->id = record->id;
    topic->name = xstrndup(record->name.data, record->name.len);
    topic->partition_count = record->partition_count;
    topic_config_init(&topic->config, broker->env.config);
    HASH_ADD(hh, replay->topics, id, sizeof(topic->id), topic);
    for (uint32_t i = 0; i < record->setting_count; i++) {
        struct config_why why;
        if (topic_config_set(&topic->config, record->settings[i].key, record->settings[i].value, &why) != ODK_OK)
            DIAG_WARN(broker->env.diag, "topic %s: stored setting ignored: %s", topic->name, why.text);
    }
    return ODK_OK;
}

static enum odk_err replay_record(struct replay *replay, const struct metadata_record *record)
{
    struct replay_topic *topic = NULL;
    replay->record_count++;
    if (record->kind == METADATA_TOPIC)
        return replay_created(replay, record);
    if (record->kind == METADATA_PRODUCER_IDS) {
        struct controller *controller = replay->controller;
        controller->producer_ids_end = MAX(controller->producer_ids_end, record->producer_ids_end);
        return ODK_OK;
    }
    HASH_FIND(hh, replay->topics, record->id.b, sizeof(record->id.b), topic);
    if (!topic)
        return ODK_ERR_CORRUPT;
    if (record->kind == METADATA_TOPIC_PURGED)
        replay_topic_free(replay, topic);
    else
        topic->deleted = true;
    return ODK_OK;
}

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
            err = replay_record(replay, &fact);
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
    struct controller_op *op = &replay->op;
    op->kind = CONTROLLER_CREATE;
    op->done = replay_on_done;
    op->count = 0;
    op->creates = xcalloc(HASH_COUNT(replay->topics) + 1, sizeof(*op->creates));
    for (struct replay_topic *topic = replay->topics; topic; topic = topic->hh.next) {
        if (topic->deleted)
            continue;
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

static void replay_apply(struct replay *replay)
{
    struct controller_op *op = &replay->op;
    op->kind = CONTROLLER_SWEEP;
    op->done = replay_on_swept;
    op->deletes = xcalloc(HASH_COUNT(replay->topics) + 1, sizeof(*op->deletes));
    for (struct replay_topic *topic = replay->topics; topic; topic = topic->hh.next) {
        if (topic->deleted)
            op->deletes[op->count++] = (struct delete_item){ .name = odk_str_from(topic->name),
                                                             .id = topic->id,
                                                             .partition_count = topic->partition_count };
    }
    controller_apply(replay->controller, op);
}

/* -- shortening ---------------------------------------------------------------------------------------------------- */

static void replay_on_shortened(void *context)
{
    replay_apply(context);
}

/* Everything that is still true, as records. */
static uint32_t facts_of(const struct replay *replay, struct metadata_record *records)
{
    uint32_t count = 0;
    records[count++] = (struct metadata_record){ .kind = METADATA_PRODUCER_IDS,
                                                 .producer_ids_end = replay->controller->producer_ids_end };
    for (const struct replay_topic *topic = replay->topics; topic; topic = topic->hh.next) {
        metadata_record_of_topic(&records[count++], odk_str_from(topic->name), topic->id, topic->partition_count,
                                 &topic->config);
        if (topic->deleted)
            records[count++] = (struct metadata_record){ .kind = METADATA_TOPIC_DELETED, .id = topic->id };
    }
    return count;
}

static void replay_shorten(struct replay *replay)
{
    uint64_t live = (uint64_t)HASH_COUNT(replay->topics) * 2 + 1;
    if (replay->record_count < 2 * live + REPLAY_HISTORY_MIN) {
        replay_apply(replay);
        return;
    }
    struct metadata_record *records = xcalloc(live, sizeof(*records));
    uint32_t count = facts_of(replay, records);
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
    replay->offset = MAX(odk_log_start_offset(controller->log), 0); /* unreadable: the read below says so */
    replay->expected = replay->offset;
    replay->done = done;
    replay->context = context;
    controller->replay = replay;
    replay_run(replay);
}
