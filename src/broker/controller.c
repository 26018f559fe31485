#include "broker/controller.h"

#include <stdlib.h>

#include "broker/controller_internal.h"

static void op_finish(struct controller *controller, struct controller_op *op);

/* -- coming and going --------------------------------------------------------------------------------------------- */

static void op_on_arrival(struct task *task, struct broker *at)
{
    struct controller_op *op = container_of(task, struct controller_op, task);
    list_push_back(&at->controller->queue, &op->node);
    controller_next(at->controller);
}

void controller_submit(struct broker *broker, struct controller_op *op)
{
    op->shard = broker->env.shard;
    op->task.run = op_on_arrival;
    broker_post(broker, 0, &op->task);
}

static void op_on_return(struct task *task, struct broker *at)
{
    struct controller_op *op = container_of(task, struct controller_op, task);
    op->done(op, at);
}

static void op_finish(struct controller *controller, struct controller_op *op)
{
    op->task.run = op_on_return;
    broker_post(controller->broker, op->shard, &op->task);
}

/* -- the log ------------------------------------------------------------------------------------------------------ */

static uint8_t *record_value(const struct metadata_record *record, size_t *ret_len)
{
    struct wr measure = wr_init(NULL, 0);
    metadata_record_write(&measure, record);
    uint8_t *value = xcalloc(1, measure.pos);
    struct wr w = wr_init(value, measure.pos);
    metadata_record_write(&w, record);
    ASSERT(!w.bad);
    *ret_len = w.pos;
    return value;
}

enum odk_err controller_batch_build(const struct metadata_record *records, uint32_t count, int64_t wall_ms,
                                    uint8_t **ret_batch, size_t *ret_len)
{
    struct odk_record_new *values = xcalloc(count, sizeof(*values));
    for (uint32_t i = 0; i < count; i++) {
        size_t len;
        uint8_t *value = record_value(&records[i], &len);
        values[i] = (struct odk_record_new){ .timestamp = wall_ms, .value = { .data = value, .len = len } };
    }
    struct odk_batch_new batch = {
        .producer_id = -1, .producer_epoch = -1, .base_sequence = -1, .records = values, .record_count = (int32_t)count
    };
    enum odk_err err = odk_batch_build(&batch, ret_batch, ret_len);
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)values[i].value.data);
    free(values);
    if (err == ODK_OK && *ret_len > METADATA_BATCH_BYTES_MAX) {
        free(*ret_batch);
        err = ODK_ERR_TOO_LARGE;
    }
    return err;
}

void metadata_records_free(struct metadata_record *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(records[i].settings);
    free(records);
}

static void controller_on_appended(struct odk_append *append, enum odk_err err)
{
    struct controller *controller = container_of(append, struct controller, append);
    struct controller_op *op = controller->current;
    free(controller->batch);
    controller->batch = NULL;
    if (err == ODK_OK) {
        controller_apply(controller, op);
        return;
    }
    DIAG_ERROR(controller->broker->env.diag, "the metadata log refused a change: %s", odk_err_text(err));
    controller_undecide(op, err);
    controller->current = NULL;
    op_finish(controller, op);
    controller_next(controller);
}

/* Decides and writes one op. True if it is over already. */
static bool op_begin(struct controller *controller, struct controller_op *op)
{
    struct metadata_record *records;
    uint32_t count;
    size_t len;
    controller_decide(controller, op, &records, &count);
    if (count == 0) {
        metadata_records_free(records, count);
        return true;
    }
    enum odk_err err = controller_batch_build(records, count, controller->broker->wall_ms, &controller->batch, &len);
    metadata_records_free(records, count);
    if (err != ODK_OK) {
        controller_undecide(op, err);
        return true;
    }
    controller->current = op;
    bool urgent = op->kind == CONTROLLER_DELETE || op->kind == CONTROLLER_PURGED;
    controller->append = (struct odk_append){
        .batch = controller->batch, .len = len, .urgent = urgent, .done = controller_on_appended
    };
    odk_log_append(controller->log, &controller->append);
    return false;
}

void controller_next(struct controller *controller)
{
    if (controller->stepping) /* an op that ended at once; the loop below goes on */
        return;
    controller->stepping = true;
    while (!controller->current && !controller->replay && controller->log && !list_empty(&controller->queue)) {
        struct controller_op *op = list_entry(list_pop_front(&controller->queue), struct controller_op, node);
        if (op_begin(controller, op))
            op_finish(controller, op);
    }
    controller->stepping = false;
}

/* -- applying ----------------------------------------------------------------------------------------------------- */

static void purge_on_told(struct task *task, struct broker *at);

/* On the shard of leg: its folders of the topic are gone, or could not be removed. */
static void purge_on_deleted(void *context, enum odk_err err)
{
    struct purge_leg *leg = context;
    leg->err = err;
    leg->task.run = purge_on_told;
    broker_post(leg->at, 0, &leg->task);
}

static void purge_on_recorded(struct controller_op *op, struct broker *at)
{
    (void)at; /* a record that could not be written is written after the next start */
    struct purge *purge = container_of(op, struct purge, op);
    list_remove(&purge->node);
    free(purge);
}

static void purge_on_told(struct task *task, struct broker *at)
{
    struct purge_leg *leg = container_of(task, struct purge_leg, task);
    struct purge *purge = leg->purge;
    if (leg->err != ODK_OK)
        purge->err = leg->err;
    if (--purge->left > 0)
        return;
    if (purge->err != ODK_OK) {
        list_remove(&purge->node);
        free(purge);
        return;
    }
    purge->op = (struct controller_op){ .kind = CONTROLLER_PURGED, .done = purge_on_recorded, .purged_id = purge->id };
    controller_submit(at, &purge->op);
}

static struct purge *purge_new(struct controller *controller, struct odk_uuid id)
{
    uint32_t shard_count = controller->broker->env.shard_count;
    struct purge *purge = xcalloc(1, sizeof(*purge) + shard_count * sizeof(purge->legs[0]));
    purge->controller = controller;
    purge->id = id;
    purge->left = shard_count;
    for (uint32_t i = 0; i < shard_count; i++)
        purge->legs[i].purge = purge;
    list_push_back(&controller->purges, &purge->node);
    return purge;
}

static void create_apply(struct broker *at, const struct create_item *item)
{
    struct topic_new topic = { .name = item->name,
                               .id = item->id,
                               .partition_count = item->partition_count,
                               .internal = item->internal,
                               .config = &item->config };
    if (item->error == KAFKA_NONE)
        topics_apply_created(at, &topic);
}

static void delete_apply(struct broker *at, const struct delete_item *item)
{
    if (item->error != KAFKA_NONE)
        return;
    struct purge_leg *leg = &item->purge->legs[at->env.shard];
    leg->at = at;
    topics_apply_deleted(at, item->id, purge_on_deleted, leg);
}

static void sweep_apply(struct broker *at, const struct delete_item *item)
{
    struct topic_new topic = { .name = item->name, .id = item->id, .partition_count = item->partition_count };
    item->purge->legs[at->env.shard].at = at;
    topics_apply_swept(at, &topic, purge_on_deleted, &item->purge->legs[at->env.shard]);
}

static void alter_apply(struct broker *at, const struct alter_item *item)
{
    enum config_layer layer;
    if (item->error != KAFKA_NONE || !item->changed)
        return;
    if (item->type == CONFIG_RESOURCE_TOPIC)
        topics_apply_configured(at, item->id, item->settings, item->setting_count);
    else if (item->type == CONFIG_RESOURCE_GROUP)
        group_configs_apply(at, item->name, item->settings, item->setting_count);
    else if (controller_alter_layer(at, item->name, &layer)) /* else another node's, whose number this one had once */
        broker_apply_configured(at, layer, item->settings, item->setting_count);
}

/* One shard follows a decision. */
static void op_apply_here(struct broker *at, const struct controller_op *op)
{
    for (uint32_t i = 0; i < op->count; i++) {
        switch (op->kind) {
        case CONTROLLER_CREATE: create_apply(at, &op->creates[i]); break;
        case CONTROLLER_DELETE: delete_apply(at, &op->deletes[i]); break;
        case CONTROLLER_SWEEP: sweep_apply(at, &op->deletes[i]); break;
        case CONTROLLER_GROW:
            if (op->grows[i].error == KAFKA_NONE)
                topics_apply_grown(at, op->grows[i].id, op->grows[i].partition_count);
            break;
        case CONTROLLER_ALTER: alter_apply(at, &op->alters[i]); break;
        case CONTROLLER_PRODUCER_IDS:
        case CONTROLLER_PURGED: UNREACHABLE(); /* nothing that is counted */
        }
    }
}

static void leg_on_return(struct task *task, struct broker *at)
{
    struct controller_leg *leg = container_of(task, struct controller_leg, task);
    struct controller *controller = leg->controller;
    struct controller_op *op = leg->op;
    (void)at;
    if (--controller->legs_left > 0)
        return;
    controller->current = NULL;
    op_finish(controller, op);
    controller_next(controller);
}

static void leg_on_arrival(struct task *task, struct broker *at)
{
    struct controller_leg *leg = container_of(task, struct controller_leg, task);
    op_apply_here(at, leg->op);
    leg->task.run = leg_on_return;
    broker_post(at, 0, &leg->task);
}

void controller_apply(struct controller *controller, struct controller_op *op)
{
    struct broker *broker = controller->broker;
    controller->current = op;
    if (op->kind == CONTROLLER_PRODUCER_IDS)
        controller->producer_ids_end = op->first_id + PRODUCER_ID_BLOCK;
    bool removes = op->kind == CONTROLLER_DELETE || op->kind == CONTROLLER_SWEEP;
    for (uint32_t i = 0; removes && i < op->count; i++) {
        if (op->deletes[i].error == KAFKA_NONE)
            op->deletes[i].purge = purge_new(controller, op->deletes[i].id);
    }
    bool alone = op->kind == CONTROLLER_PRODUCER_IDS || op->kind == CONTROLLER_PURGED;
    uint32_t leg_count = alone ? 1 : broker->env.shard_count;
    controller->legs_left = leg_count;
    for (uint32_t shard = leg_count; shard > 0; shard--) { /* this one last: it may finish the op */
        struct controller_leg *leg = &controller->legs[shard - 1];
        *leg = (struct controller_leg){ .controller = controller, .op = op, .task.run = leg_on_arrival };
        broker_post(broker, shard - 1, &leg->task);
    }
}

/* -- life --------------------------------------------------------------------------------------------------------- */

struct controller *controller_new(struct broker *broker)
{
    struct controller *controller = xcalloc(1, sizeof(*controller));
    controller->broker = broker;
    controller->legs = xcalloc(broker->env.shard_count, sizeof(*controller->legs));
    list_init(&controller->queue);
    list_init(&controller->purges);
    return controller;
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    while (!list_empty(&controller->purges))
        free(list_entry(list_pop_front(&controller->purges), struct purge, node));
    controller_replay_free(controller->replay);
    free(controller->batch);
    free(controller->legs);
    free(controller);
}

int64_t controller_log_end(struct controller *controller)
{
    return odk_log_end_offset(controller->log);
}
