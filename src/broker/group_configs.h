/*
 * Which groups have settings of their own, and what they are: one replica per shard, changed as decisions of the
 * controller are applied. A group need not exist to have settings.
 */
#pragma once
#include "base/hash_table.h"
#include "broker/config.h"
#include "broker/metadata_records.h"
#include "coordinator/groups.h"

struct broker;

struct group_configs_entry {
    char *group_id;
    struct group_config config;
    UT_hash_handle hh;
};

struct group_configs {
    struct group_configs_entry *by_id;
};

/* NULL: the group sets nothing. */
struct group_configs_entry *group_configs_find(const struct group_configs *configs, struct odk_str group_id);

/* What counts for a group: its own values, kept inside the broker's bounds, else the broker's. */
void group_configs_settings(const struct broker *broker, struct odk_str group_id, struct group_settings *ret);

/* The group has these settings and no others from now on. A value that is not allowed any more is left out, with a
 * line. */
void group_configs_apply(struct broker *broker, struct odk_str group_id, const struct metadata_setting *settings,
                         uint32_t count);
/* The broker's values have changed. */
void group_configs_refresh(struct broker *broker);

void group_configs_deinit(struct group_configs *configs);
