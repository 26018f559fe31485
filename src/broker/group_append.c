#include "broker/group_host_internal.h"

#include <stdlib.h>

/* Bytes of a partition in the log's hands: enough to keep the journal busy, little enough not to stand in the way of
 * other logs when a snapshot is written. */
#define FLYING_BYTES_MAX ((size_t)MIB(1))
/* Batches kept for reuse, with their memory unless it has grown large. */
#define BATCHES_FREE_MAX       64u
#define BATCH_BYTES_KEPT_MAX   (2 * GROUP_BATCH_BYTES)
/* Before groups are loaded again: what the log refused it may refuse again at once. */
#define RELOAD_MS              1000
/* What a record takes in a batch beside its key and value, at most. */
#define RECORD_BYTES_EXTRA 32u

static void batch_on_appended(struct odk_append *append, enum odk_err err);

/* -- batches ------------------------------------------------------------------------------------------------------ */

static struct group_batch *batch_take(struct group_partition *partition)
{
    struct group_host *host = partition->host;
    struct list *node = list_pop_front(&host->batches_free);
    struct group_batch *batch = node ? list_entry(node, struct group_batch, node) : xcalloc(1, sizeof(*batch));
    host->batches_free_count -= node != NULL;
    batch->partition = partition;
    batch->seq = ++partition->last_seq;
    odk_batch_builder_begin(&batch->builder);
    return batch;
}

void group_batch_free(struct group_batch *batch)
{
    odk_batch_builder_deinit(&batch->builder);
    free(batch);
}

static void batch_give(struct group_batch *batch)
{
    struct group_host *host = batch->partition->host;
    if (host->batches_free_count == BATCHES_FREE_MAX || batch->builder.capacity > BATCH_BYTES_KEPT_MAX) {
        group_batch_free(batch);
        return;
    }
    host->batches_free_count++;
    list_push_front(&host->batches_free, &batch->node);
}

static void batches_give(struct list *batches)
{
    for (struct list *node; (node = list_pop_front(batches)) != NULL;)
        batch_give(list_entry(node, struct group_batch, node));
}

/* -- records ------------------------------------------------------------------------------------------------------ */

static void due(struct group_partition *partition)
{
    if (!list_linked(&partition->due))
        list_push_back(&partition->host->due, &partition->due);
}

void group_append_seal(struct group_partition *partition)
{
    struct group_batch *batch = partition->open;
    if (!batch || batch->builder.record_count == 0)
        return;
    partition->open = NULL;
    odk_batch_builder_end(&batch->builder);
    list_push_back(&partition->sealed, &batch->node);
}

static enum odk_err record_add(struct group_partition *partition, const struct odk_record_new *record)
{
    size_t bytes = record->key.len + record->value.len + RECORD_BYTES_EXTRA;
    size_t bytes_max = MIN(GROUP_BATCH_BYTES_MAX, partition->host->segment_bytes);
    if (ODK_BATCH_HEADER_BYTES + bytes > bytes_max)
        return ODK_ERR_TOO_LARGE;
    if (partition->open && partition->open->builder.len + bytes > bytes_max)
        group_append_seal(partition);
    if (!partition->open)
        partition->open = batch_take(partition);
    return odk_batch_builder_add(&partition->open->builder, record);
}

void group_append_record(void *context, struct odk_bytes key, struct odk_bytes value)
{
    struct group_partition *partition = context;
    struct odk_record_new record = { .timestamp = partition->host->broker->wall_ms, .key = key, .value = value };
    ASSERT(partition->state == GROUP_PARTITION_ACTIVE);
    due(partition);
    if (partition->refused == ODK_OK)
        partition->refused = record_add(partition, &record);
}

void group_append_event_end(void *context)
{
    struct group_partition *partition = context;
    size_t bytes = MIN(GROUP_BATCH_BYTES, partition->host->segment_bytes / 4);
    if (partition->open && partition->open->builder.len >= bytes)
        group_append_seal(partition);
}

/* -- the gate ----------------------------------------------------------------------------------------------------- */

void group_append_answer(void *context, struct group_call *call)
{
    struct group_partition *partition = context;
    struct group_errand *errand = container_of(call, struct group_errand, call);
    ASSERT(errand->state == GROUP_ERRAND_ASKED);
    errand->state = GROUP_ERRAND_ANSWERED;
    errand->after = partition->refused == ODK_OK ? partition->last_seq : UINT64_MAX; /* H2: it may rest on nothing */
    list_push_back(&partition->answers, &call->node);
    due(partition);
}

void group_append_release(struct group_partition *partition)
{
    while (!list_empty(&partition->answers)) {
        struct group_call *call = list_entry(partition->answers.next, struct group_call, node);
        struct group_errand *errand = container_of(call, struct group_errand, call);
        if (errand->after > partition->durable_seq)
            return;
        list_remove(&call->node);
        errand->finished(errand);
    }
}

/* -- the log ------------------------------------------------------------------------------------------------------ */

void group_append_submit(struct group_partition *partition)
{
    while (!list_empty(&partition->sealed) && partition->flying_bytes < FLYING_BYTES_MAX &&
           partition->refused == ODK_OK) {
        struct group_batch *batch = list_entry(list_pop_front(&partition->sealed), struct group_batch, node);
        batch->append = (struct odk_append){ .batch = batch->builder.data,
                                             .len = batch->builder.len,
                                             .done = batch_on_appended };
        list_push_back(&partition->flying, &batch->node);
        partition->flying_bytes += batch->append.len;
        odk_log_append(partition->log, &batch->append); /* may end inside the call */
    }
}

static void batch_on_appended(struct odk_append *append, enum odk_err err)
{
    struct group_batch *batch = container_of(append, struct group_batch, append);
    struct group_partition *partition = batch->partition;
    list_remove(&batch->node);
    partition->flying_bytes -= append->len;
    due(partition);
    if (err != ODK_OK) {
        if (partition->refused == ODK_OK)
            partition->refused = err;
        batch_give(batch);
        return;
    }
    ASSERT(batch->seq == partition->durable_seq + 1); /* appends become durable in their order */
    partition->durable_seq = batch->seq;
    partition->durable_offset = append->base_offset + batch->builder.record_count;
    partition->log_bytes += append->len;
    group_snapshot_on_durable(partition, batch);
    batch_give(batch);
    group_append_release(partition);
}

/* -- refusals ----------------------------------------------------------------------------------------------------- */

/* Kafka's answers: come again, or look for the group elsewhere, or this one thing cannot be done. */
static enum kafka_error refusal_error(enum odk_err err)
{
    if (err == ODK_ERR_FULL)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (err == ODK_ERR_TOO_LARGE || err == ODK_ERR_MEMORY)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    return KAFKA_NOT_COORDINATOR;
}

static void answers_refuse(struct group_partition *partition, enum kafka_error error)
{
    list_each(node, &partition->answers)
        group_call_refuse(list_entry(node, struct group_call, node), error);
}

static void answers_send(struct group_partition *partition)
{
    for (struct list *node; (node = list_pop_front(&partition->answers)) != NULL;) {
        struct group_errand *errand =
            container_of(list_entry(node, struct group_call, node), struct group_errand, call);
        errand->finished(errand);
    }
}

static void say_refused(struct group_partition *partition, enum odk_err err)
{
    struct group_host *host = partition->host;
    uint32_t suppressed;
    if (err == ODK_ERR_CLOSED) /* the server stops */
        return;
    if (diag_rate_ok(&host->refused_rate, host->broker->now_ns, &suppressed))
        DIAG_WARN(host->broker->env.diag,
                  GROUP_TOPIC_NAME "-%d: the log refused a change of its groups: %s; %u such lines withheld",
                  partition->index, odk_err_text(err), suppressed);
}

void group_append_recover(struct group_partition *partition)
{
    enum odk_err err = partition->refused;
    bool again = err == ODK_ERR_FULL || err == ODK_ERR_TOO_LARGE || err == ODK_ERR_MEMORY;
    struct groups *groups = partition->groups;
    ASSERT(list_empty(&partition->flying));
    say_refused(partition, err);
    group_append_release(partition); /* what was durable in time */
    answers_refuse(partition, refusal_error(err));
    partition->groups = NULL;
    groups_free(groups); /* answers who waits there */
    if (partition->open)
        batch_give(partition->open);
    partition->open = NULL;
    batches_give(&partition->sealed);
    group_snapshot_abandon(partition);
    partition->durable_seq = partition->last_seq; /* nothing will come of the rest */
    partition->refused = ODK_OK;
    if (again)
        group_load_queue(partition, RELOAD_MS);
    else
        group_partition_fail(partition);
    answers_send(partition);
}

void group_append_deinit(struct group_partition *partition)
{
    if (partition->open)
        group_batch_free(partition->open);
    list_splice(&partition->sealed, &partition->flying);
    for (struct list *node; (node = list_pop_front(&partition->sealed)) != NULL;)
        group_batch_free(list_entry(node, struct group_batch, node));
}
