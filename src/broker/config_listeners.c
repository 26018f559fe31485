/* Listener texts of config.h, and what must hold between several settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/diag.h"
#include "broker/config_value.h"
#include "coordinator/assign.h"

static enum odk_err refuse(struct odk_str item, const char *reason, struct config_why *ret_why)
{
    char shown[160];
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "listener \"%s\": %s", diag_escape(shown, sizeof(shown), item),
                   reason);
    return ODK_ERR_INVALID;
}

static bool text_put(char *dst, size_t len, struct odk_str text)
{
    if (text.len >= len)
        return false;
    if (text.len > 0)
        memcpy(dst, text.data, text.len);
    dst[text.len] = '\0';
    return true;
}

static bool port_parse(struct odk_str text, uint16_t *ret)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

static struct odk_str part(struct odk_str text, size_t begin, size_t end)
{
    return (struct odk_str){ .data = text.data + begin, .len = end - begin };
}

static size_t find_last(struct odk_str text, char c)
{
    for (size_t i = text.len; i > 0; i--) {
        if (text.data[i - 1] == c)
            return i - 1;
    }
    return text.len;
}

static enum odk_err listener_parse(struct odk_str item, struct config_listener *ret, struct config_why *ret_why)
{
    const char *mark = item.len >= 3 ? memmem(item.data, item.len, "://", 3) : NULL;
    if (!mark || mark == item.data)
        return refuse(item, "must be NAME://HOST:PORT", ret_why);
    size_t name_len = (size_t)(mark - item.data);
    struct odk_str address = part(item, name_len + 3, item.len);
    size_t colon = find_last(address, ':');
    if (colon == address.len)
        return refuse(item, "has no port", ret_why);
    struct odk_str host = part(address, 0, colon);
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
        host = part(host, 1, host.len - 1);
    else if (host.len > 0 && memchr(host.data, ':', host.len))
        return refuse(item, "an IPv6 address must stand in brackets", ret_why);
    if (!port_parse(part(address, colon + 1, address.len), &ret->port))
        return refuse(item, "the port must be a number from 0 to 65535", ret_why);
    if (!text_put(ret->name, sizeof(ret->name), part(item, 0, name_len)) ||
        !text_put(ret->host, sizeof(ret->host), host))
        return refuse(item, "name or host is too long", ret_why);
    return ODK_OK;
}

enum odk_err config_listeners_parse(const char *text, struct config_listener ret[LISTENERS_MAX], uint32_t *ret_count,
                                    struct config_why *ret_why)
{
    struct odk_str rest = odk_str_from(text ? text : ""), item;
    uint32_t count = 0;
    while (config_list_next(&rest, &item)) {
        if (count == LISTENERS_MAX) {
            (void)snprintf(ret_why->text, sizeof(ret_why->text), "more than %u listeners", LISTENERS_MAX);
            return ODK_ERR_LIMIT;
        }
        enum odk_err err = listener_parse(item, &ret[count], ret_why);
        if (err != ODK_OK)
            return err;
        count++;
    }
    *ret_count = count;
    return ODK_OK;
}

static bool list_has(const char *list, const char *name)
{
    struct odk_str rest = odk_str_from(list ? list : ""), item;
    while (config_list_next(&rest, &item)) {
        if (odk_str_eq(item, odk_str_from(name)))
            return true;
    }
    return false;
}

enum odk_err broker_config_listeners(const struct broker_config *config, struct config_listener ret[LISTENERS_MAX],
                                     uint32_t *ret_count, struct config_why *ret_why)
{
    uint32_t count = 0, kept = 0;
    enum odk_err err = config_listeners_parse(config->listeners, ret, &count, ret_why);
    if (err != ODK_OK)
        return err;
    for (uint32_t i = 0; i < count; i++) {
        if (!list_has(config->controller_listener_names, ret[i].name))
            ret[kept++] = ret[i];
    }
    *ret_count = kept;
    return ODK_OK;
}

struct odk_str broker_config_data_dir(const struct broker_config *config)
{
    struct odk_str rest = odk_str_from(config->log_dirs ? config->log_dirs : config->log_dir ? config->log_dir : "");
    struct odk_str dir = { 0 };
    while (config_list_next(&rest, &dir) && dir.len == 0)
        ;
    return dir.len > 0 ? dir : (struct odk_str){ 0 };
}

bool broker_config_advertised(const struct broker_config *config, const char *listener, struct config_listener *ret)
{
    struct config_listener all[LISTENERS_MAX];
    struct config_why why;
    uint32_t count = 0;
    if (!config->advertised_listeners || !listener ||
        config_listeners_parse(config->advertised_listeners, all, &count, &why) != ODK_OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (strcasecmp(all[i].name, listener) == 0) {
            *ret = all[i];
            return true;
        }
    }
    return false;
}

/* The protocol that a listener name stands for: its entry in the map, else the name itself when it is one of a protocol;
 * data NULL: none. */
static struct odk_str protocol_of(const struct broker_config *config, const char *name)
{
    struct odk_str rest = odk_str_from(config->listener_security_protocol_map), item;
    size_t name_len = strlen(name);
    while (config_list_next(&rest, &item)) {
        if (item.len > name_len && item.data[name_len] == ':' && strncasecmp(item.data, name, name_len) == 0)
            return part(item, name_len + 1, item.len);
    }
    return list_has("PLAINTEXT,SSL,SASL_PLAINTEXT,SASL_SSL", name) ? odk_str_from(name) : (struct odk_str){ 0 };
}

static enum odk_err check_protocol(const struct broker_config *config, const struct config_listener *listener,
                                   struct config_why *ret_why)
{
    struct odk_str protocol = protocol_of(config, listener->name);
    if (odk_str_eq(protocol, ODK_STR("PLAINTEXT")))
        return ODK_OK;
    if (!protocol.data)
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "listeners: no protocol is defined for %s; add %s:PLAINTEXT to listener.security.protocol.map",
                       listener->name, listener->name);
    else
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "listeners: %s speaks %.*s, and only PLAINTEXT is served here; take it out of listeners, or map "
                       "it: listener.security.protocol.map=%s:PLAINTEXT",
                       listener->name, ODK_STR_FMT(protocol), listener->name);
    return ODK_ERR_UNSUPPORTED;
}

static enum odk_err check_listeners(const struct broker_config *config, struct config_why *ret_why)
{
    struct config_listener listeners[LISTENERS_MAX];
    uint32_t count = 0;
    enum odk_err err = broker_config_listeners(config, listeners, &count, ret_why);
    for (uint32_t i = 0; i < count && err == ODK_OK; i++) {
        err = check_protocol(config, &listeners[i], ret_why);
        for (uint32_t o = 0; o < i && err == ODK_OK; o++) {
            if (strcasecmp(listeners[i].name, listeners[o].name) != 0)
                continue;
            (void)snprintf(ret_why->text, sizeof(ret_why->text), "listeners: the name %s stands there twice",
                           listeners[i].name);
            err = ODK_ERR_INVALID;
        }
    }
    if (err != ODK_OK || count > 0)
        return err;
    (void)snprintf(ret_why->text, sizeof(ret_why->text),
                   "listeners: there is none for clients; add one that is not in controller.listener.names, such as "
                   "PLAINTEXT://:9092");
    return ODK_ERR_INVALID;
}

enum odk_err config_override_next(struct odk_str *rest, struct odk_str *ret_host, uint32_t *ret_count)
{
    struct odk_str item;
    if (!config_list_next(rest, &item))
        return ODK_ERR_NOT_FOUND;
    size_t colon = find_last(item, ':');
    struct odk_str digits = part(item, MIN(colon + 1, item.len), item.len);
    uint64_t count = 0;
    if (colon == 0 || digits.len == 0 || digits.len > 10)
        return ODK_ERR_INVALID;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return ODK_ERR_INVALID;
        count = count * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *ret_host = part(item, 0, colon);
    *ret_count = (uint32_t)count;
    return count <= INT32_MAX ? ODK_OK : ODK_ERR_INVALID;
}

/* -- conditions between values ------------------------------------------------------------------------------------- */

static enum odk_err check_assignors(const struct broker_config *config, struct config_why *ret_why)
{
    struct odk_str rest = odk_str_from(config->group_consumer_assignors), item;
    enum group_assignor assignor;
    uint32_t count = 0;
    for (; config_list_next(&rest, &item); count++) {
        if (!group_assignor_parse(item, &assignor)) {
            (void)snprintf(ret_why->text, sizeof(ret_why->text),
                           "group.consumer.assignors: \"%.*s\" is none; there are uniform and range",
                           (int)MIN(item.len, (size_t)80), item.data);
            return ODK_ERR_INVALID;
        }
    }
    if (count > 0)
        return ODK_OK;
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "group.consumer.assignors: there must be one");
    return ODK_ERR_INVALID;
}

/* Kafka's conditions on the settings of groups. */
static enum odk_err check_groups(const struct broker_config *config, struct config_why *ret_why)
{
    const char *wrong = NULL;
    if (!(config->group_coordinator_rebalance_protocols & GROUP_PROTOCOL_CLASSIC))
        wrong = "group.coordinator.rebalance.protocols: classic cannot be left out";
    else if (config->group_min_session_timeout_ms > config->group_max_session_timeout_ms)
        wrong = "group.min.session.timeout.ms is above group.max.session.timeout.ms";
    else if (config->group_consumer_assignment_interval_ms < config->group_consumer_min_assignment_interval_ms ||
             config->group_consumer_assignment_interval_ms > config->group_consumer_max_assignment_interval_ms)
        wrong = "group.consumer.assignment.interval.ms is outside its .min. and .max.";
    else if (config->group_consumer_session_timeout_ms < config->group_consumer_min_session_timeout_ms ||
             config->group_consumer_session_timeout_ms > config->group_consumer_max_session_timeout_ms)
        wrong = "group.consumer.session.timeout.ms is outside its .min. and .max.";
    else if (config->group_consumer_heartbeat_interval_ms < config->group_consumer_min_heartbeat_interval_ms ||
             config->group_consumer_heartbeat_interval_ms > config->group_consumer_max_heartbeat_interval_ms)
        wrong = "group.consumer.heartbeat.interval.ms is outside its .min. and .max.";
    else if (config->group_consumer_heartbeat_interval_ms >= config->group_consumer_session_timeout_ms)
        wrong = "group.consumer.heartbeat.interval.ms must be below group.consumer.session.timeout.ms";
    if (!wrong)
        return check_assignors(config, ret_why);
    (void)snprintf(ret_why->text, sizeof(ret_why->text), "%s", wrong);
    return ODK_ERR_INVALID;
}

/* Neither gzip's default, which is -1, nor a level that compresses. */
static enum odk_err check_gzip(const struct broker_config *config, struct config_why *ret_why)
{
    if (config->compression_gzip_level != 0)
        return ODK_OK;
    (void)snprintf(ret_why->text, sizeof(ret_why->text),
                   "compression.gzip.level: 0 is not allowed; it must be -1 or a whole number from 1 to 9");
    return ODK_ERR_INVALID;
}

/* Unlimited is -1; no time at all would remove what was just written. */
static enum odk_err check_retention(const struct broker_config *config, struct config_why *ret_why)
{
    static const enum broker_config_id ids[] = { BROKER_CONFIG_log_retention_ms, BROKER_CONFIG_log_retention_minutes,
                                                 BROKER_CONFIG_log_retention_hours };
    for (uint32_t i = 0; i < countof(ids); i++) {
        if (config_number(&broker_config_rows[ids[i]], config) != 0)
            continue;
        (void)snprintf(ret_why->text, sizeof(ret_why->text),
                       "%s must be unlimited (-1) or, greater than or equal to 1", broker_config_rows[ids[i]].key);
        return ODK_ERR_INVALID;
    }
    return ODK_OK;
}

static enum odk_err check_overrides(const struct broker_config *config, struct config_why *ret_why)
{
    struct odk_str rest = odk_str_from(config->max_connections_per_ip_overrides), host;
    uint32_t count;
    enum odk_err err;
    while ((err = config_override_next(&rest, &host, &count)) == ODK_OK)
        ;
    if (err == ODK_ERR_NOT_FOUND)
        return ODK_OK;
    (void)snprintf(ret_why->text, sizeof(ret_why->text),
                   "max.connections.per.ip.overrides: must be ADDRESS:COUNT, separated by commas");
    return ODK_ERR_INVALID;
}

enum odk_err broker_config_check_values(const struct broker_config *config, struct config_why *ret_why)
{
    enum odk_err err = check_groups(config, ret_why);
    if (err == ODK_OK)
        err = check_retention(config, ret_why);
    if (err == ODK_OK)
        err = check_gzip(config, ret_why);
    return err == ODK_OK ? check_overrides(config, ret_why) : err;
}

/* Kafka's nodes can be controllers; nothing here is one. */
static void say_controllers(const struct broker_config *config, const struct odk_diag *sink)
{
    struct config_listener listeners[LISTENERS_MAX];
    struct config_why why;
    uint32_t count = 0;
    if (config_listeners_parse(config->listeners, listeners, &count, &why) != ODK_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (list_has(config->controller_listener_names, listeners[i].name))
            DIAG_INFO(sink, "listeners: %s is for Kafka's controllers and is not opened", listeners[i].name);
    }
}

static void warn_dangers(const struct broker_config *config, const struct odk_diag *sink)
{
    struct odk_str dir = broker_config_data_dir(config);
    const char *dirs = config->log_dirs ? config->log_dirs : config->log_dir;
    if (config->authorizer_class_name[0] != '\0')
        DIAG_WARN(sink, "authorizer.class.name: rules are not enforced; everybody who can connect may do everything");
    if (dirs && strchr(dirs, ','))
        DIAG_WARN(sink, "log.dirs: everything is kept in the first folder, %.*s; the others are not used",
                  ODK_STR_FMT(dir));
}

enum odk_err broker_config_check(const struct broker_config *config, bool served, const struct odk_diag *sink,
                                 struct config_why *ret_why)
{
    struct config_listener listeners[LISTENERS_MAX];
    uint32_t count = 0;
    enum odk_err err = served ? check_listeners(config, ret_why) : ODK_OK;
    if (err == ODK_OK)
        err = config_listeners_parse(config->advertised_listeners, listeners, &count, ret_why);
    if (err == ODK_OK)
        err = broker_config_check_values(config, ret_why);
    if (err == ODK_OK && served)
        say_controllers(config, sink);
    if (err == ODK_OK)
        warn_dangers(config, sink);
    return err;
}
