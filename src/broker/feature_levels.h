/*
 * Feature levels: what ApiVersions shows and UpdateFeatures checks. A feature in the table is on, at its level, from
 * the first start; nothing switches it at run time but the configuration. Source: KIP-584, KIP-1022.
 *
 * A client reads more than the level: with transaction.version 2 it leaves AddPartitionsToTxn out, with group.version 1
 * it may use the newer group protocol. So a row comes with the code behind it, not before.
 */
#pragma once
#include <stdint.h>

#include <odradek/bytes.h>

struct feature {
    const char *name;
    int16_t first; /* levels that this program understands */
    int16_t last;
    int16_t level; /* the one it runs at, unless it is off */
};

struct broker_config;

/* All of them; static. */
const struct feature *feature_rows(uint32_t *ret_count);
/* The level that the feature is at: 0 when the configuration has it off. */
int16_t feature_level(const struct feature *feature, const struct broker_config *config);
/* NULL when there is no such feature. */
const struct feature *feature_find(struct odk_str name);
