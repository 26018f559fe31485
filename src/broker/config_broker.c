/* The broker's half of config.h: values of file, environment and command line, the strongest origin wins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/diag.h"
#include "broker/config_value.h"
#include "broker/properties.h"

#define X(field, key, type, fallback, min, max, choices, effect, doc)                                                  \
    [BROKER_CONFIG_##                                                                                                  \
        field] = { key, CONFIG_##type, effect, offsetof(struct broker_config, field), fallback, min, max, choices, "", \
                   doc },
const struct config_row broker_config_rows[BROKER_CONFIG_COUNT] = {
#include "broker/broker_config.def"
};
#undef X

/* Families of keys that belong to Kafka's plugins, its variants for one listener and its past: known, without effect. */
static const char *const inert_prefixes[] = {
    "listener.name.", "kafka.metrics.",    "metrics.jmx.", "rlmm.config.",     "rsm.config.",
    "confluent.",     "password.encoder.", "zookeeper.",   "delegation.token.",
};

enum broker_config_id broker_config_find(struct odk_str key)
{
    return (enum broker_config_id)config_row_find(broker_config_rows, BROKER_CONFIG_COUNT, key);
}

void broker_config_init(struct broker_config *config)
{
    *config = (struct broker_config){ 0 };
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++)
        config_value_default(&broker_config_rows[id], config);
}

void broker_config_deinit(struct broker_config *config)
{
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        free(config->set[id]);
        config->set[id] = NULL;
    }
    free(config->others);
    config->others = NULL;
}

static bool key_has_inert_prefix(struct odk_str key)
{
    for (uint32_t i = 0; i < countof(inert_prefixes); i++) {
        size_t len = strlen(inert_prefixes[i]);
        if (key.len > len && memcmp(key.data, inert_prefixes[i], len) == 0)
            return true;
    }
    return false;
}

/* A line, or a place among those of which one line tells. */
static void unknown_take(struct broker_config *config, struct odk_str key, const struct odk_diag *sink)
{
    char shown[128];
    diag_escape(shown, sizeof(shown), key);
    if (!key_has_inert_prefix(key)) {
        DIAG_WARN(sink, "%s: unknown setting, ignored", shown);
        return;
    }
    size_t len = config->others ? strlen(config->others) : 0, size = len + strlen(shown) + sizeof(", ");
    char *others = xcalloc(size, 1);
    (void)snprintf(others, size, "%s%s%s", len > 0 ? config->others : "", len > 0 ? ", " : "", shown);
    free(config->others);
    config->others = others;
}

/* Names that one line can hold, and how many there are more. */
struct names {
    char text[800];
    size_t len;
    uint32_t more;
};

static void names_add(struct names *names, struct odk_str name)
{
    size_t left = sizeof(names->text) - names->len;
    if (names->more > 0 || name.len + sizeof(", ") > left) {
        names->more++;
        return;
    }
    names->len += (size_t)snprintf(names->text + names->len, left, "%s%.*s", names->len > 0 ? ", " : "",
                                   ODK_STR_FMT(name));
}

void broker_config_say_inert(const struct broker_config *config, const struct odk_diag *sink)
{
    struct names names = { 0 };
    struct odk_str others = odk_str_from(config->others ? config->others : ""), name;
    for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        if (config->set[id] && (broker_config_rows[id].effect & CONFIG_INERT))
            names_add(&names, odk_str_from(broker_config_rows[id].key));
    }
    while (config_list_next(&others, &name))
        names_add(&names, name);
    if (names.more > 0)
        DIAG_INFO(sink, "accepted, no effect: %s and %u more; --print-config shows all", names.text, names.more);
    else if (names.len > 0)
        DIAG_INFO(sink, "accepted, no effect: %s", names.text);
}

/* node.id has an older name. */
static void settle_node_id(struct broker_config *config)
{
    if (!config->set[BROKER_CONFIG_node_id] && config->set[BROKER_CONFIG_broker_id] && config->broker_id >= 0)
        config->node_id = config->broker_id;
}

enum odk_err broker_config_set(struct broker_config *config, struct odk_str key, struct odk_str value,
                               enum config_origin origin, const struct odk_diag *sink, struct config_why *ret_why)
{
    enum broker_config_id id = broker_config_find(key);
    if (id == BROKER_CONFIG_COUNT) {
        unknown_take(config, key, sink);
        return ODK_OK;
    }
    if (origin < config->origin[id])
        return ODK_OK;
    const struct config_row *row = &broker_config_rows[id];
    char *text = config_text_take(row, value, ret_why);
    if (!text)
        return ODK_ERR_INVALID;
    enum odk_err err = config_value_parse(row, text, config, ret_why);
    if (err != ODK_OK) {
        free(text);
        return err;
    }
    free(config->set[id]);
    config->set[id] = text;
    config->origin[id] = (uint8_t)origin;
    config->line[id] = 0;
    settle_node_id(config);
    return ODK_OK;
}

enum odk_err broker_config_load(struct broker_config *config, struct odk_str text, enum config_origin origin,
                                const struct odk_diag *sink, struct config_why *ret_why)
{
    struct properties properties = properties_init(text);
    struct property property;
    while (properties_next(&properties, &property)) {
        struct config_why why;
        enum odk_err err = broker_config_set(config, property.key, property.value, origin, sink, &why);
        enum broker_config_id id = broker_config_find(property.key);
        if (id < BROKER_CONFIG_COUNT && config->origin[id] == origin)
            config->line[id] = property.line;
        if (err != ODK_OK) {
            (void)snprintf(ret_why->text, sizeof(ret_why->text), "line %u: %.400s", property.line, why.text);
            properties_deinit(&properties);
            return err;
        }
    }
    uint32_t bad_line = properties.bad_line;
    properties_deinit(&properties);
    if (bad_line == 0)
        return ODK_OK;
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "line %u: a \\u must be followed by four hexadecimal digits",
                   bad_line);
    return ODK_ERR_INVALID;
}

/* -- changes at run time ------------------------------------------------------------------------------------------ */

void broker_config_share(struct broker_config *dst, const struct broker_config *src)
{
    *dst = *src;
    for (uint32_t layer = 0; layer < CONFIG_LAYERS; layer++) {
        for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++)
            ASSERT(!src->dynamic[layer][id]);
    }
}

void broker_config_unshare(struct broker_config *config)
{
    for (uint32_t layer = 0; layer < CONFIG_LAYERS; layer++) {
        for (uint32_t id = 0; id < BROKER_CONFIG_COUNT; id++)
            free(config->dynamic[layer][id]);
    }
    *config = (struct broker_config){ 0 };
}

const char *broker_config_given(const struct broker_config *config, enum broker_config_id id)
{
    for (uint32_t layer = CONFIG_LAYERS; layer > 0; layer--) {
        if (config->dynamic[layer - 1][id])
            return config->dynamic[layer - 1][id];
    }
    return config->set[id];
}

enum odk_err broker_config_change(struct broker_config *config, enum config_layer layer, enum broker_config_id id,
                                  struct odk_str value, struct config_why *ret_why)
{
    const struct config_row *row = &broker_config_rows[id];
    char *old = config->dynamic[layer][id];
    if (!old && !value.data)
        return ODK_OK;
    char *copy = value.data ? config_text_take(row, value, ret_why) : NULL;
    if (value.data && !copy)
        return ODK_ERR_INVALID;
    if (copy && config_value_parse(row, copy, config, ret_why) != ODK_OK) {
        free(copy);
        return ODK_ERR_INVALID;
    }
    config->dynamic[layer][id] = copy;
    const char *given = broker_config_given(config, id);
    if (given)
        ASSERT(config_value_parse(row, given, config, ret_why) == ODK_OK); /* was parsed when it was given */
    else
        config_value_default(row, config);
    free(old);
    return ODK_OK;
}
