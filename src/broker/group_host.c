#include "broker/group_host.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "broker/config_value.h"
#include "broker/group_host_internal.h"

#define MS_PER_MINUTE 60000

/* -- what the groups see of the world ------------------------------------------------------------------------------ */

static struct group_topic topic_view(const struct topic *topic)
{
    return (struct group_topic){ .id = topic->id, .name = topic_name(topic), .partition_count = topic->partition_count };
}

static bool topic_take(const struct topic *topic, struct group_topic *ret)
{
    if (topic)
        *ret = topic_view(topic);
    return topic != NULL;
}

static bool env_topic_by_name(void *context, struct odk_str name, struct group_topic *ret)
{
    const struct group_partition *partition = context;
    return topic_take(topics_by_name(&partition->host->broker->topics, name), ret);
}

static bool env_topic_by_id(void *context, struct odk_uuid id, struct group_topic *ret)
{
    const struct group_partition *partition = context;
    return topic_take(topics_by_id(&partition->host->broker->topics, id), ret);
}

static bool env_topics_from(void *context, struct odk_str after,
                            bool (*visit)(void *visitor, const struct group_topic *topic), void *visitor,
                            bool *ret_ended)
{
    const struct group_partition *partition = context;
    const struct topics *topics = &partition->host->broker->topics;
    const struct topic *topic = after.data ? topics_by_name(topics, after) : topics->by_name;
    if (after.data && !topic)
        return false;
    topic = after.data ? topic->by_name.next : topic;
    bool on = true;
    for (; topic && on; topic = topic->by_name.next) {
        struct group_topic view = topic_view(topic);
        on = visit(visitor, &view);
    }
    *ret_ended = on;
    return true;
}

static void env_settings(void *context, struct odk_str group_id, struct group_settings *ret)
{
    const struct group_partition *partition = context;
    group_configs_settings(partition->host->broker, group_id, ret);
}

static void env_random(void *context, void *dst, size_t len)
{
    const struct broker_env *env = &((const struct group_partition *)context)->host->broker->env;
    env->random(env->context, dst, len);
}

struct groups *group_partition_groups_new(struct group_partition *partition)
{
    struct broker *broker = partition->host->broker;
    struct groups_env env = {
        .context = partition,
        .record = group_append_record,
        .flush = group_append_event_end,
        .answer = group_append_answer,
        .topic_by_name = env_topic_by_name,
        .topic_by_id = env_topic_by_id,
        .topics_from = env_topics_from,
        .settings = env_settings,
        .random = env_random,
        .now_ns = &broker->now_ns,
        .wall_ms = &broker->wall_ms,
        .timers = broker->env.timers,
        .config = &partition->host->config,
        .memory = &partition->host->memory,
        .turn = &partition->host->turn,
        .diag = broker->env.diag,
    };
    return groups_new(&env);
}

static void assignors_fill(struct groups_config *ret, const char *list)
{
    struct odk_str rest = odk_str_from(list), item;
    for (uint32_t count = 0; config_list_next(&rest, &item); count++) {
        enum group_assignor assignor = GROUP_ASSIGNOR_UNIFORM;
        if (!group_assignor_parse(item, &assignor))
            continue; /* broker_config_check lets none through */
        ret->assignors[assignor] = true;
        if (count == 0)
            ret->assignor_default = assignor;
    }
}

static void config_fill(struct groups_config *ret, const struct broker_config *config)
{
    uint8_t migration = config->group_consumer_migration_policy;
    uint8_t protocols = config->group_coordinator_rebalance_protocols;
    *ret = (struct groups_config){
        .session_timeout_ms_min = config->group_min_session_timeout_ms,
        .session_timeout_ms_max = config->group_max_session_timeout_ms,
        .initial_rebalance_delay_ms = config->group_initial_rebalance_delay_ms,
        .size_max = config->group_max_size,
        .modern_size_max = config->group_consumer_max_size,
        .offset_metadata_bytes_max = config->offset_metadata_max_bytes,
        .offsets_retention_ms = (int64_t)config->offsets_retention_minutes * MS_PER_MINUTE,
        .retention_check_interval_ms = config->offsets_retention_check_interval_ms,
        .classic_enabled = protocols & GROUP_PROTOCOL_CLASSIC,
        .consumer_enabled = protocols & GROUP_PROTOCOL_CONSUMER,
        .upgrade = migration == GROUP_MIGRATION_UPGRADE || migration == GROUP_MIGRATION_BIDIRECTIONAL,
        .downgrade = migration == GROUP_MIGRATION_DOWNGRADE || migration == GROUP_MIGRATION_BIDIRECTIONAL,
    };
    assignors_fill(ret, config->group_consumer_assignors);
}

/* -- partitions ----------------------------------------------------------------------------------------------------- */

void group_partition_activate(struct group_partition *partition)
{
    partition->state = GROUP_PARTITION_ACTIVE;
}

void group_partition_fail(struct group_partition *partition)
{
    ASSERT(!partition->groups);
    partition->state = GROUP_PARTITION_FAILED;
}

void group_partition_settle(struct group_partition *partition)
{
    group_append_release(partition);
}

static struct group_partition *partition_open(struct group_host *host, const struct partition *from)
{
    struct group_partition *partition = xcalloc(1, sizeof(*partition));
    partition->host = host;
    partition->log = from->log;
    partition->index = from->index;
    list_init(&partition->sealed);
    list_init(&partition->flying);
    list_init(&partition->answers);
    list_init(&partition->gone);
    if (!from->log)
        group_partition_fail(partition); /* the registry has said why */
    else if (odk_log_known_empty(from->log))
        group_partition_activate(partition);
    else
        group_load_queue(partition, 0);
    return partition;
}

static void partition_free(struct group_partition *partition)
{
    groups_free(partition->groups);
    group_append_deinit(partition);
    group_load_forget(partition);
    free(partition);
}

/* The topic of the groups is here. It is never deleted, and its number of partitions says where a group is: it stays. */
static void host_open(struct group_host *host, struct topic *topic)
{
    host->topic_id = topic->id;
    host->segment_bytes = (size_t)topic->config.segment_bytes;
    host->partition_count = topic->partition_count;
    host->partitions = xcalloc((size_t)topic->partition_count, sizeof(*host->partitions));
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i]->shard == host->broker->env.shard)
            host->partitions[i] = partition_open(host, topic->partitions[i]);
    }
}

/* -- topics -------------------------------------------------------------------------------------------------------- */

static void topic_tell(struct group_host *host, const struct topic *topic, bool gone)
{
    struct group_topic view = topic_view(topic);
    for (int32_t i = 0; i < host->partition_count; i++) {
        struct group_partition *partition = host->partitions[i];
        if (!partition)
            continue;
        if (gone && partition->state == GROUP_PARTITION_LOADING)
            group_load_topic_gone(partition, topic);
        if (partition->state != GROUP_PARTITION_ACTIVE || !partition->groups)
            continue;
        groups_topic_changed(partition->groups, &view, gone);
        group_partition_settle(partition);
    }
}

void group_host_topic_changed(struct group_host *host, struct topic *topic)
{
    if (odk_str_eq(topic_name(topic), ODK_STR(GROUP_TOPIC_NAME))) {
        if (host->partition_count == 0)
            host_open(host, topic);
    } else {
        topic_tell(host, topic, false);
    }
}

void group_host_topic_configured(struct group_host *host, const struct topic *topic)
{
    if (odk_uuid_eq(topic->id, host->topic_id))
        host->segment_bytes = (size_t)topic->config.segment_bytes;
}

void group_host_topic_gone(struct group_host *host, const struct topic *topic)
{
    ASSERT(!odk_uuid_eq(topic->id, host->topic_id));
    topic_tell(host, topic, true);
}

/* -- the topic of the groups ---------------------------------------------------------------------------------------- */

static void topic_on_created(struct controller_op *op, struct broker *at)
{
    struct group_host *host = container_of(op, struct group_host, op);
    struct create_item *item = &host->item;
    enum kafka_error error = KAFKA_NONE;
    struct list waiting;
    (void)at;
    host->asked = false;
    topic_config_deinit(&item->config);
    if (host->partition_count == 0) { /* else it is there, whoever has asked for it first */
        DIAG_ERROR(host->broker->env.diag, "the topic " GROUP_TOPIC_NAME " cannot be created: %s",
                   item->message ? item->message : "?");
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    list_init(&waiting);
    list_splice(&waiting, &host->waiting);
    for (struct list *node; (node = list_pop_front(&waiting)) != NULL;) {
        struct group_topic_waiter *waiter = list_entry(node, struct group_topic_waiter, node);
        waiter->ready(waiter, error);
    }
}

static void topic_create(struct group_host *host)
{
    const struct broker_config *config = host->broker->env.config;
    bool set = config->set[BROKER_CONFIG_offsets_topic_replication_factor] != NULL;
    (void)snprintf(host->segment_bytes_text, sizeof(host->segment_bytes_text), "%d", config->offsets_topic_segment_bytes);
    host->settings[0] = (struct create_setting){ ODK_STR("cleanup.policy"), ODK_STR("compact") };
    host->settings[1] = (struct create_setting){ ODK_STR("compression.type"), ODK_STR("producer") };
    host->settings[2] = (struct create_setting){ ODK_STR("segment.bytes"), odk_str_from(host->segment_bytes_text) };
    host->item = (struct create_item){
        .name = ODK_STR(GROUP_TOPIC_NAME),
        .partition_count = config->offsets_topic_num_partitions,
        .replication = set ? config->offsets_topic_replication_factor : 1,
        .settings = host->settings,
        .setting_count = countof(host->settings),
        .internal = true,
    };
    host->op = (struct controller_op){
        .kind = CONTROLLER_CREATE, .done = topic_on_created, .creates = &host->item, .count = 1
    };
    host->asked = true;
    controller_submit(host->broker, &host->op);
}

void group_host_need_topic(struct group_host *host, struct group_topic_waiter *waiter)
{
    if (host->partition_count > 0) {
        waiter->ready(waiter, KAFKA_NONE);
        return;
    }
    list_push_back(&host->waiting, &waiter->node);
    if (!host->asked)
        topic_create(host);
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

/* Calls that write, or may. Without space they are not begun: groups need not be loaded again then. */
static bool call_writes(enum group_call_kind kind)
{
    switch (kind) {
    case GROUP_CALL_JOIN:
    case GROUP_CALL_SYNC:
    case GROUP_CALL_LEAVE:
    case GROUP_CALL_COMMIT:
    case GROUP_CALL_OFFSET_DELETE:
    case GROUP_CALL_DELETE:
    case GROUP_CALL_CONSUMER_HEARTBEAT: return true;
    case GROUP_CALL_HEARTBEAT:
    case GROUP_CALL_FETCH:
    case GROUP_CALL_DESCRIBE:
    case GROUP_CALL_LIST:
    case GROUP_CALL_CONSUMER_DESCRIBE: return false;
    case GROUP_CALL_KIND_COUNT: break;
    }
    UNREACHABLE();
}

static enum kafka_error errand_check(const struct group_partition *partition, const struct group_errand *errand)
{
    enum group_call_kind kind = errand->call.kind;
    switch (partition->state) {
    case GROUP_PARTITION_LOADING: return KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    case GROUP_PARTITION_FAILED: return KAFKA_NOT_COORDINATOR;
    case GROUP_PARTITION_ACTIVE: break;
    }
    if (partition->refused != ODK_OK) /* about to be loaded again */
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (call_writes(kind) && odk_log_state(partition->log) == ODK_ERR_FULL)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    return KAFKA_NONE;
}

static void errand_refuse(struct group_errand *errand, enum kafka_error error)
{
    /* As Kafka: a member must not think that it is lost only because the groups are being loaded. */
    bool blind = errand->call.kind == GROUP_CALL_HEARTBEAT && error == KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    group_call_refuse(&errand->call, blind ? KAFKA_NONE : error);
    errand->state = GROUP_ERRAND_ANSWERED;
    errand->finished(errand);
}

void group_host_take(struct group_host *host, struct group_errand *errand)
{
    ASSERT(errand->partition >= 0 && errand->partition < host->partition_count);
    struct group_partition *partition = host->partitions[errand->partition];
    ASSERT(partition != NULL);
    enum kafka_error error = errand_check(partition, errand);
    if (error != KAFKA_NONE) {
        errand_refuse(errand, error);
        return;
    }
    if (!partition->groups) {
        partition->groups = group_partition_groups_new(partition);
        groups_loaded(partition->groups);
    }
    errand->state = GROUP_ERRAND_ASKED;
    groups_call(partition->groups, &errand->call);
    group_partition_settle(partition);
}

void group_host_cancel(struct group_host *host, struct group_errand *errand)
{
    if (errand->state != GROUP_ERRAND_ASKED)
        return;
    struct group_partition *partition = host->partitions[errand->partition];
    groups_cancel(partition->groups, &errand->call);
    group_partition_settle(partition);
}

/* -- turns --------------------------------------------------------------------------------------------------------- */

static void partition_flush(struct group_partition *partition)
{
    group_append_seal(partition);
    if (partition->state == GROUP_PARTITION_ACTIVE && partition->refused == ODK_OK)
        group_snapshot_check(partition);
    group_append_submit(partition);
    group_snapshot_settle(partition);
    if (partition->refused != ODK_OK && list_empty(&partition->flying))
        group_append_recover(partition);
    group_append_release(partition);
}

void group_host_flush(struct group_host *host)
{
    struct list due;
    if (list_empty(&host->due))
        return;
    list_init(&due);
    list_splice(&due, &host->due);
    for (struct list *node; (node = list_pop_front(&due)) != NULL;)
        partition_flush(list_entry(node, struct group_partition, due));
}

bool group_host_is_due(const struct group_host *host)
{
    return !list_empty(&host->due);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct group_host *group_host_new(struct broker *broker)
{
    struct group_host *host = xcalloc(1, sizeof(*host));
    host->broker = broker;
    config_fill(&host->config, broker->env.config);
    host->memory.max = (uint64_t)broker->env.config->group_memory_bytes / broker->env.shard_count;
    list_init(&host->due);
    list_init(&host->batches_free);
    list_init(&host->waiting);
    group_load_init(host);
    return host;
}

void group_host_configured(struct group_host *host)
{
    config_fill(&host->config, host->broker->env.config);
}

void group_host_free(struct group_host *host)
{
    if (!host)
        return;
    group_load_deinit(host);
    for (int32_t i = 0; i < host->partition_count; i++) {
        if (host->partitions[i])
            partition_free(host->partitions[i]);
    }
    for (struct list *node; (node = list_pop_front(&host->batches_free)) != NULL;)
        group_batch_free(list_entry(node, struct group_batch, node));
    free(host->partitions);
    free(host);
}
