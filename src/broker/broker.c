#include "broker/broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/broker_internal.h"
#include "broker/controller.h"
#include "broker/group_host.h"

struct broker *broker_new(const struct broker_env *env, struct odk_store *store)
{
    ASSERT(env->shard < env->shard_count);
    struct broker *broker = xcalloc(1, sizeof(*broker));
    broker->env = *env;
    broker_config_share(&broker->config, env->config);
    broker->env.config = &broker->config;
    broker->store = store;
    producer_ids_init(&broker->producer_ids);
    list_init(&broker->deletions);
    retention_init(broker);
    compaction_init(broker);
    fetch_sessions_init(&broker->fetch_sessions, (uint32_t)env->config->max_incremental_fetch_session_cache_slots);
    broker->groups = group_host_new(broker);
    if (env->shard == 0)
        broker->controller = controller_new(broker);
    return broker;
}

void broker_free(struct broker *broker)
{
    if (!broker)
        return;
    retention_stop(broker);
    compaction_stop(broker);
    controller_free(broker->controller);
    group_host_free(broker->groups);
    fetch_sessions_deinit(&broker->fetch_sessions);
    odk_batch_builder_deinit(&broker->builder);
    topics_deinit(broker);
    group_configs_deinit(&broker->group_configs);
    broker_config_unshare(&broker->config);
    free(broker);
}

const struct broker_config *broker_settings(const struct broker *broker)
{
    return &broker->config;
}

void broker_tick(struct broker *broker, uint64_t now_ns, int64_t wall_ms)
{
    broker->now_ns = now_ns;
    broker->wall_ms = wall_ms;
    retention_on_tick(broker);
    compaction_on_tick(broker);
}

void broker_flush(struct broker *broker)
{
    group_host_flush(broker->groups);
}

bool broker_is_due(const struct broker *broker)
{
    return group_host_is_due(broker->groups);
}

void broker_start(struct broker *broker, void (*done)(void *context, enum odk_err err), void *context)
{
    ASSERT(broker->controller);
    controller_start(broker->controller, done, context);
}

void broker_post(struct broker *broker, uint32_t shard, struct task *task)
{
    if (shard == broker->env.shard)
        task->run(task, broker);
    else
        broker->env.post(broker->env.context, shard, task);
}

/* The value of a key among settings; data NULL: it is not there. */
static struct odk_str setting_find(const struct metadata_setting *settings, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (odk_str_eq(settings[i].key, odk_str_from(key)))
            return settings[i].value;
    }
    return (struct odk_str){ 0 };
}

void broker_apply_configured(struct broker *broker, enum config_layer layer, const struct metadata_setting *settings,
                             uint32_t count)
{
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        const struct config_row *row = &broker_config_rows[id];
        struct odk_str value = setting_find(settings, count, row->key);
        struct config_why why = { .text = "cannot be changed any more while the broker runs" };
        bool good = !value.data || (row->effect & CONFIG_DYNAMIC);
        if (good && broker_config_change(&broker->config, layer, (enum broker_config_id)id, value, &why) == ODK_OK)
            continue;
        DIAG_WARN(broker->env.diag, "%s: stored setting ignored: %s", row->key, why.text);
    }
    topics_refresh(broker);
    group_configs_refresh(broker);
    group_host_configured(broker->groups);
}

bool broker_advertised(struct request *request, struct odk_str *ret_host, int32_t *ret_port)
{
    const struct broker_config *config = request->broker->env.config;
    struct config_listener listener = { 0 };
    if (!broker_config_advertised(config, request->peer->listener, &listener))
        listener.port = odk_addr_host(&request->peer->local, listener.host, sizeof(listener.host));
    size_t len = strlen(listener.host);
    char *host = arena_new(&request->arena, char, len);
    if (!host)
        return false;
    memcpy(host, listener.host, len);
    *ret_host = (struct odk_str){ .data = host, .len = len };
    *ret_port = listener.port;
    return true;
}
