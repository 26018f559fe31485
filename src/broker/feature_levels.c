#include "broker/feature_levels.h"

#include <stddef.h>

#include "base/base.h"
#include "broker/config.h"

#define GROUP_VERSION "group.version" /* the newer group protocol */

/* Level 25 of metadata.version is Kafka 4.0: below what needs a feature of its own. */
static const struct feature rows[] = {
    { .name = GROUP_VERSION, .first = 0, .last = 1, .level = 1 },
    { .name = "metadata.version", .first = 7, .last = 25, .level = 25 },
};

const struct feature *feature_rows(uint32_t *ret_count)
{
    *ret_count = countof(rows);
    return rows;
}

int16_t feature_level(const struct feature *feature, const struct broker_config *config)
{
    bool off = odk_str_eq(odk_str_from(feature->name), ODK_STR(GROUP_VERSION)) &&
               !(config->group_coordinator_rebalance_protocols & GROUP_PROTOCOL_CONSUMER);
    return off ? 0 : feature->level;
}

const struct feature *feature_find(struct odk_str name)
{
    for (size_t i = 0; i < countof(rows); i++) {
        if (odk_str_eq(name, odk_str_from(rows[i].name)))
            return &rows[i];
    }
    return NULL;
}
