#include "broker/group_configs.h"

#include <stdlib.h>

#include "broker/broker_internal.h"

struct group_configs_entry *group_configs_find(const struct group_configs *configs, struct odk_str group_id)
{
    struct group_configs_entry *entry = NULL;
    if (group_id.data)
        HASH_FIND(hh, configs->by_id, group_id.data, group_id.len, entry);
    return entry;
}

void group_configs_settings(const struct broker *broker, struct odk_str group_id, struct group_settings *ret)
{
    const struct broker_config *config = broker->env.config;
    const struct group_configs_entry *entry = group_configs_find(&broker->group_configs, group_id);
    ret->session_timeout_ms = config->group_consumer_session_timeout_ms;
    ret->heartbeat_interval_ms = config->group_consumer_heartbeat_interval_ms;
    ret->assignment_interval_ms = config->group_consumer_assignment_interval_ms;
    if (!entry)
        return;
    ret->session_timeout_ms = group_config_bounded(&entry->config, GROUP_CONFIG_consumer_session_timeout_ms, config);
    ret->heartbeat_interval_ms =
        group_config_bounded(&entry->config, GROUP_CONFIG_consumer_heartbeat_interval_ms, config);
    ret->assignment_interval_ms =
        group_config_bounded(&entry->config, GROUP_CONFIG_consumer_assignment_interval_ms, config);
}

static void entry_free(struct group_configs *configs, struct group_configs_entry *entry)
{
    HASH_DEL(configs->by_id, entry);
    config_own_deinit(&group_config_table, &entry->config);
    free(entry->group_id);
    free(entry);
}

void group_configs_apply(struct broker *broker, struct odk_str group_id, const struct metadata_setting *settings,
                         uint32_t count)
{
    struct group_configs *configs = &broker->group_configs;
    struct group_configs_entry *entry = group_configs_find(configs, group_id);
    if (entry)
        entry_free(configs, entry);
    if (count == 0)
        return;
    entry = xcalloc(1, sizeof(*entry));
    entry->group_id = xstrndup(group_id.data, group_id.len);
    config_own_init(&group_config_table, &entry->config, broker->env.config);
    for (uint32_t i = 0; i < count; i++) {
        struct config_why why;
        if (config_own_set(&group_config_table, &entry->config, settings[i].key, settings[i].value, &why) != ODK_OK)
            DIAG_WARN(broker->env.diag, "group %s: stored setting ignored: %s", entry->group_id, why.text);
    }
    HASH_ADD_KEYPTR(hh, configs->by_id, entry->group_id, group_id.len, entry);
}

void group_configs_refresh(struct broker *broker)
{
    struct group_configs_entry *entry, *next;
    HASH_ITER(hh, broker->group_configs.by_id, entry, next)
    config_own_refresh(&group_config_table, &entry->config, broker->env.config);
}

void group_configs_deinit(struct group_configs *configs)
{
    struct group_configs_entry *entry, *next;
    HASH_ITER(hh, configs->by_id, entry, next)
    entry_free(configs, entry);
}
