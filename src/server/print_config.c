/* --print-config: each key's value and where it comes from. */
#include "server/print_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

extern char **environ;

/* The variable that gives the key, which is the strongest if there are several; NULL: none. */
static const char *variable_of(const char *key, size_t *ret_len)
{
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[256], is[256];
        if (!equals || (size_t)(equals - *entry) >= sizeof(name))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - *entry), *entry);
        if (!config_key_of_env(name, is, sizeof(is)) || strcmp(is, key) != 0)
            continue;
        *ret_len = (size_t)(equals - *entry);
        return *entry;
    }
    return NULL;
}

/* Where a value comes from, as one word or two. */
static void origin_print(char *dst, size_t len, const struct options *options, enum broker_config_id id)
{
    size_t name_len = 0;
    const char *variable = variable_of(broker_config_rows[id].key, &name_len);
    switch ((enum config_origin)options->config.origin[id]) {
    case CONFIG_FROM_DEFAULT: (void)snprintf(dst, len, "default"); break;
    case CONFIG_FROM_FILE:
        if (options->config.line[id] == 0)
            (void)snprintf(dst, len, "dev");
        else
            (void)snprintf(dst, len, "%s:%u", options->config_path, options->config.line[id]);
        break;
    case CONFIG_FROM_ENV: (void)snprintf(dst, len, "environment %.*s", (int)name_len, variable ? variable : ""); break;
    case CONFIG_FROM_FLAG: (void)snprintf(dst, len, "command line"); break;
    }
}

/* A string in quotes, as JSON wants it; data NULL: null. Bytes that are not ASCII are left as they are. */
static void json_print(struct odk_str text)
{
    if (!text.data) {
        printf("null");
        return;
    }
    putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void row_print(const struct options *options, enum broker_config_id id, struct odk_str value,
                      const char *origin)
{
    const struct config_row *row = &broker_config_rows[id];
    bool hidden = row->type == CONFIG_PASSWORD && options->config.set[id];
    printf("%s=%.*s # %s%s\n", row->key, ODK_STR_FMT(hidden ? ODK_STR("(hidden)") : value), origin,
           row->effect & CONFIG_INERT ? ", no effect" : "");
}

static void row_print_json(const struct options *options, enum broker_config_id id, struct odk_str value,
                           const char *origin)
{
    const struct config_row *row = &broker_config_rows[id];
    printf("{\"key\":\"%s\",\"value\":", row->key);
    json_print(value);
    printf(",\"origin\":");
    json_print(odk_str_from(origin));
    printf(",\"set\":%s,\"effect\":%s,\"dynamic\":%s,\"sensitive\":%s}", options->config.set[id] ? "true" : "false",
           row->effect & CONFIG_INERT ? "false" : "true", row->effect & CONFIG_DYNAMIC ? "true" : "false",
           row->type == CONFIG_PASSWORD ? "true" : "false");
}

void options_print_config(const struct options *options)
{
    if (options->json)
        printf("[");
    for (size_t id = 0; id < BROKER_CONFIG_COUNT; id++) {
        char text[CONFIG_TEXT_BYTES], origin[512];
        struct odk_str value = config_print(&broker_config_rows[id], &options->config, text);
        origin_print(origin, sizeof(origin), options, (enum broker_config_id)id);
        if (options->json && id > 0)
            printf(",\n");
        (options->json ? row_print_json : row_print)(options, (enum broker_config_id)id, value, origin);
    }
    if (options->json)
        printf("]\n");
}
