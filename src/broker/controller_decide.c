/* The rules for creating, growing and deleting topics. Nothing here changes anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/controller_internal.h"

/* -- create ------------------------------------------------------------------------------------------------------- */

static void refuse(struct create_item *item, enum kafka_error error, const char *message)
{
    item->error = error;
    item->message = message;
}

/* Equal for names that are the same or collide, so that most pairs of a request need no other look. */
static uint64_t plain_hash(struct odk_str name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)(name.data[i] == '.' ? '_' : name.data[i])) * UINT64_C(0x100000001b3);
    return hash;
}

/* True if no other item of the request stands against the name. */
static bool name_is_alone(const struct controller_op *op, const uint64_t *hashes, struct create_item *item)
{
    uint32_t own = (uint32_t)(item - op->creates);
    for (uint32_t i = 0; i < op->count; i++) {
        const struct create_item *other = &op->creates[i];
        if (i == own || hashes[i] != hashes[own])
            continue;
        if (odk_str_eq(other->name, item->name)) {
            refuse(item, KAFKA_INVALID_REQUEST, "the request names the topic more than once");
            return false;
        }
        if (i < own && other->error == KAFKA_NONE && topic_names_collide(other->name, item->name)) {
            refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, "the name collides with another one of the request");
            return false;
        }
    }
    return true;
}

static bool name_decide(struct controller *controller, const struct controller_op *op, const uint64_t *hashes,
                        struct create_item *item)
{
    const struct topics *topics = &controller->broker->topics;
    const char *wrong = topic_name_check(item->name);
    if (wrong) {
        refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, wrong);
        return false;
    }
    if (topic_name_is_reserved(item->name) && !item->internal) {
        refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, "the name is reserved for an internal topic");
        return false;
    }
    if (!name_is_alone(op, hashes, item))
        return false;
    if (topics_by_name(topics, item->name)) {
        refuse(item, KAFKA_TOPIC_ALREADY_EXISTS, "the topic already exists");
        return false;
    }
    const struct topic *other = topics_colliding(topics, item->name);
    if (other) {
        (void)snprintf(item->why.text, sizeof(item->why.text), "the name collides with the topic %s", other->name);
        refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, item->why.text);
    }
    return !other;
}

/* planned: partitions of earlier items of the same request. */
static bool size_decide(struct controller *controller, struct create_item *item, int64_t planned)
{
    const struct broker_config *config = controller->broker->env.config;
    if (item->partition_count == -1)
        item->partition_count = config->num_partitions;
    if (item->replication == -1)
        item->replication = (int16_t)config->default_replication_factor;
    if (item->partition_count < 1) {
        refuse(item, KAFKA_INVALID_PARTITIONS, "the number of partitions must be larger than 0");
        return false;
    }
    int64_t total = controller->broker->topics.partition_count + planned + item->partition_count;
    if (item->partition_count > PARTITIONS_PER_TOPIC_MAX || total > config->max_partitions) {
        refuse(item, KAFKA_INVALID_PARTITIONS, "more partitions than max.partitions allows");
        return false;
    }
    if (item->replication < 1) {
        refuse(item, KAFKA_INVALID_REPLICATION_FACTOR, "the replication factor must be larger than 0");
        return false;
    }
    if (item->replication > 1 && !config->replication_factor_clamp) {
        refuse(item, KAFKA_INVALID_REPLICATION_FACTOR, "the replication factor is larger than the number of nodes, 1");
        return false;
    }
    return true;
}

static bool settings_decide(struct controller *controller, struct create_item *item)
{
    topic_config_init(&item->config, controller->broker->env.config);
    for (uint32_t i = 0; i < item->setting_count; i++) {
        const struct create_setting *setting = &item->settings[i];
        enum odk_err err = ODK_ERR_INVALID;
        if (setting->value.data)
            err = topic_config_set(&item->config, setting->key, setting->value, &item->why);
        else
            (void)snprintf(item->why.text, sizeof(item->why.text), "a setting cannot be null here");
        if (err != ODK_OK) {
            topic_config_deinit(&item->config);
            refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
            return false;
        }
    }
    if (topic_config_check(&item->config, &item->why) == ODK_OK)
        return true;
    topic_config_deinit(&item->config);
    refuse(item, KAFKA_INVALID_CONFIG, item->why.text);
    return false;
}

/* A random id, of version 4, never one whose text begins with '-', which tools take for an option. */
static struct odk_uuid id_new(struct broker *broker)
{
    struct odk_uuid id;
    do {
        broker->env.random(broker->env.context, id.b, sizeof(id.b));
        id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
        id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
    } while (id.b[0] >> 2 == 62 || topics_by_id(&broker->topics, id));
    return id;
}

static void say_clamped(struct broker *broker, const struct create_item *item)
{
    uint32_t suppressed;
    if (diag_rate_ok(&broker->refused_rate, broker->now_ns, &suppressed))
        DIAG_INFO(broker->env.diag, "topic %.*s: replication factor %d taken as 1, the number of nodes",
                  ODK_STR_FMT(item->name), item->replication);
}

static void create_decide(struct controller *controller, struct controller_op *op, const uint64_t *hashes,
                          struct create_item *item, int64_t planned)
{
    struct broker *broker = controller->broker;
    item->error = item->refused;
    if (item->error != KAFKA_NONE || !name_decide(controller, op, hashes, item) ||
        !size_decide(controller, item, planned) || !settings_decide(controller, item))
        return;
    if (item->replication > 1 && !op->validate_only)
        say_clamped(broker, item);
    item->replication = 1;
    item->id = id_new(broker);
}

static uint32_t creates_decide(struct controller *controller, struct controller_op *op, struct metadata_record *records)
{
    uint32_t count = 0;
    int64_t planned = 0;
    uint64_t *hashes = xcalloc(MAX(op->count, 1u), sizeof(*hashes));
    for (uint32_t i = 0; i < op->count; i++)
        hashes[i] = plain_hash(op->creates[i].name);
    for (uint32_t i = 0; i < op->count; i++) {
        struct create_item *item = &op->creates[i];
        create_decide(controller, op, hashes, item, planned);
        if (item->error != KAFKA_NONE || op->validate_only)
            continue;
        planned += item->partition_count;
        metadata_record_of_topic(&records[count++], item->name, item->id, item->partition_count, &item->config);
    }
    free(hashes);
    return count;
}

/* -- delete ------------------------------------------------------------------------------------------------------- */

static struct topic *delete_find(struct controller *controller, const struct delete_item *item)
{
    const struct topics *topics = &controller->broker->topics;
    return item->name.data ? topics_by_name(topics, item->name) : topics_by_id(topics, item->id);
}

static bool deleted_before(const struct controller_op *op, const struct delete_item *item, struct odk_uuid id)
{
    for (const struct delete_item *other = op->deletes; other < item; other++) {
        if (other->error == KAFKA_NONE && odk_uuid_eq(other->id, id))
            return true;
    }
    return false;
}

static void delete_decide(struct controller *controller, struct controller_op *op, struct delete_item *item)
{
    item->error = item->refused;
    if (item->error != KAFKA_NONE)
        return;
    struct topic *topic = delete_find(controller, item);
    if (!topic) {
        item->error = item->name.data ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_UNKNOWN_TOPIC_ID;
        item->message = "there is no such topic";
    } else if (topic->internal) {
        item->error = KAFKA_INVALID_TOPIC_EXCEPTION;
        item->message = "an internal topic cannot be deleted";
    } else if (deleted_before(op, item, topic->id)) {
        item->error = KAFKA_INVALID_REQUEST;
        item->message = "the request names the topic more than once";
    } else {
        item->id = topic->id;
        (void)snprintf(item->name_found, sizeof(item->name_found), "%s", topic->name);
    }
}

static uint32_t deletes_decide(struct controller *controller, struct controller_op *op, struct metadata_record *records)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        struct delete_item *item = &op->deletes[i];
        delete_decide(controller, op, item);
        if (item->error == KAFKA_NONE)
            records[count++] = (struct metadata_record){ .kind = METADATA_TOPIC_DELETED, .id = item->id };
    }
    return count;
}

/* -- grow --------------------------------------------------------------------------------------------------------- */

static void grow_refuse(struct grow_item *item, enum kafka_error error, const char *message)
{
    item->error = error;
    item->message = message;
}

static bool grow_size_decide(const struct topic *topic, struct grow_item *item)
{
    int32_t now = topic->partition_count;
    if (item->partition_count == now)
        (void)snprintf(item->why.text, sizeof(item->why.text), "Topic already has %d partition(s).", now);
    else if (item->partition_count < now)
        (void)snprintf(item->why.text, sizeof(item->why.text),
                       "The topic %s currently has %d partition(s); %d would not be an increase.", topic->name, now,
                       item->partition_count);
    if (item->partition_count <= now) {
        grow_refuse(item, KAFKA_INVALID_PARTITIONS, item->why.text);
        return false;
    }
    int32_t more = item->partition_count - now;
    if (item->assignment_count >= 0 && item->assignment_count != more) {
        (void)snprintf(item->why.text, sizeof(item->why.text),
                       "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", more,
                       item->assignment_count);
        grow_refuse(item, KAFKA_INVALID_REPLICA_ASSIGNMENT, item->why.text);
        return false;
    }
    return true;
}

/* planned: partitions that earlier items of the same request add. */
static void grow_decide(struct controller *controller, struct grow_item *item, int64_t *planned)
{
    struct broker *broker = controller->broker;
    struct topic *topic = topics_by_name(&broker->topics, item->name);
    item->error = item->refused;
    if (item->error != KAFKA_NONE)
        return;
    if (!topic) {
        grow_refuse(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
        return;
    }
    if (topic->internal) {
        grow_refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, "an internal topic cannot grow");
        return;
    }
    if (!grow_size_decide(topic, item))
        return;
    int64_t more = item->partition_count - topic->partition_count;
    int64_t total = broker->topics.partition_count + *planned + more;
    if (item->partition_count > PARTITIONS_PER_TOPIC_MAX || total > broker->env.config->max_partitions) {
        grow_refuse(item, KAFKA_INVALID_PARTITIONS, "more partitions than max.partitions allows");
        return;
    }
    if (item->assignment_wrong) {
        grow_refuse(item, KAFKA_INVALID_REPLICA_ASSIGNMENT, item->assignment_wrong);
        return;
    }
    *planned += more;
    item->id = topic->id;
}

static uint32_t grows_decide(struct controller *controller, struct controller_op *op, struct metadata_record *records)
{
    uint32_t count = 0;
    int64_t planned = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        struct grow_item *item = &op->grows[i];
        grow_decide(controller, item, &planned);
        if (item->error == KAFKA_NONE && !op->validate_only)
            records[count++] = (struct metadata_record){ .kind = METADATA_TOPIC_PARTITIONS,
                                                         .id = item->id,
                                                         .partition_count = item->partition_count };
    }
    return count;
}

/* -- all ---------------------------------------------------------------------------------------------------------- */

static uint32_t alters_decide(struct controller *controller, struct controller_op *op, struct metadata_record *records)
{
    uint32_t count = 0, groups_planned = 0;
    for (uint32_t i = 0; i < op->count; i++)
        count += controller_alter_decide(controller, op, &op->alters[i], &groups_planned, &records[count]);
    return count;
}

void controller_decide(struct controller *controller, struct controller_op *op, struct metadata_record **ret_records,
                       uint32_t *ret_count)
{
    struct metadata_record *records = xcalloc(MAX(op->count, 1u), sizeof(*records));
    uint32_t count = 0;
    switch (op->kind) {
    case CONTROLLER_CREATE: count = creates_decide(controller, op, records); break;
    case CONTROLLER_DELETE: count = deletes_decide(controller, op, records); break;
    case CONTROLLER_GROW: count = grows_decide(controller, op, records); break;
    case CONTROLLER_ALTER: count = alters_decide(controller, op, records); break;
    case CONTROLLER_PRODUCER_IDS:
        op->first_id = controller->producer_ids_end;
        records[count++] = (struct metadata_record){ .kind = METADATA_PRODUCER_IDS,
                                                     .producer_ids_end = op->first_id + PRODUCER_ID_BLOCK };
        break;
    case CONTROLLER_SWEEP: UNREACHABLE(); /* was decided in an earlier life */
    case CONTROLLER_PURGED:
        records[count++] = (struct metadata_record){ .kind = METADATA_TOPIC_PURGED, .id = op->purged_id };
        break;
    }
    *ret_records = records;
    *ret_count = count;
}

void controller_undecide(struct controller_op *op, enum odk_err err)
{
    op->err = err;
    for (uint32_t i = 0; i < op->count; i++) {
        if (op->kind == CONTROLLER_CREATE && op->creates[i].error == KAFKA_NONE) {
            topic_config_deinit(&op->creates[i].config);
            refuse(&op->creates[i], kafka_error_of(err), odk_err_text(err));
        } else if (op->kind == CONTROLLER_DELETE && op->deletes[i].error == KAFKA_NONE) {
            op->deletes[i].error = kafka_error_of(err);
            op->deletes[i].message = odk_err_text(err);
        } else if (op->kind == CONTROLLER_GROW && op->grows[i].error == KAFKA_NONE) {
            grow_refuse(&op->grows[i], kafka_error_of(err), odk_err_text(err));
        } else if (op->kind == CONTROLLER_ALTER && op->alters[i].error == KAFKA_NONE && op->alters[i].changed) {
            op->alters[i].error = kafka_error_of(err);
            op->alters[i].message = odk_err_text(err);
        }
    }
}
