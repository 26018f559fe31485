#include "broker/feature_levels.h"

#include <stddef.h>

#include "base/base.h"

/* Level 25 of metadata.version is Kafka 4.0: below what needs a feature of its own. */
static const struct feature rows[] = {
    { .name = "metadata.version", .first = 7, .last = 25, .level = 25 },
};

const struct feature *feature_rows(uint32_t *ret_count)
{
    *ret_count = countof(rows);
    return rows;
}

const struct feature *feature_find(struct odk_str name)
{
    for (size_t i = 0; i < countof(rows); i++) {
        if (odk_str_eq(name, odk_str_from(rows[i].name)))
            return &rows[i];
    }
    return NULL;
}
