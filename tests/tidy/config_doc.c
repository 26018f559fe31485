/*
 * Writes what is derived from the tables of settings: config_doc conf > config/server.conf, config_doc page >
 * docs/CONFIG.md. With a file name behind it, compares instead and fails when the file is not what the tables say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "broker/config.h"

static void print_wrapped(FILE *to, const char *prefix, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > 110) {
            (void)fputc('\n', to);
            column = 0;
        }
        (void)fprintf(to, "%s%.*s", column == 0 ? prefix : " ", (int)word, text);
        column += word + 1;
        text += word + strspn(text + word, " ");
    }
    (void)fputc('\n', to);
}

static bool is_number(const struct config_row *row)
{
    return row->type == CONFIG_INT || row->type == CONFIG_SHORT || row->type == CONFIG_LONG;
}

/* What may be given, as words. */
static void range_print(char *dst, size_t len, const struct config_row *row)
{
    dst[0] = '\0';
    if (is_number(row) && row->max == INT64_MAX)
        (void)snprintf(dst, len, "from %lld on", (long long)row->min);
    else if (is_number(row))
        (void)snprintf(dst, len, "%lld to %lld", (long long)row->min, (long long)row->max);
    else if (row->type == CONFIG_BOOL)
        (void)snprintf(dst, len, "true, false");
    else if (row->choices[0] != '\0')
        (void)snprintf(dst, len, "%s%s", row->type == CONFIG_FLAGS ? "any of " : "", row->choices);
}

/* -- config/server.conf ------------------------------------------------------------------------------------------- */

static void conf_row(FILE *to, const struct config_row *row)
{
    char range[256];
    range_print(range, sizeof(range), row);
    (void)fputc('\n', to);
    print_wrapped(to, "# ", row->doc);
    if (range[0] != '\0')
        (void)fprintf(to, "# Allowed: %s.\n", range);
    (void)fprintf(to, "#%s=%s\n", row->key, row->fallback ? row->fallback : "");
}

static void conf_write(FILE *to)
{
    (void)fputs(
        "# Settings of odradek serve, in Java's .properties form. Every key stands here with its default.\n"
        "# A KAFKA_ environment variable (KAFKA_NUM_PARTITIONS) comes before this file, --override before both.\n",
        to);
    for (uint32_t i = 0; i < BROKER_CONFIG_COUNT; i++) {
        if (!(broker_config_rows[i].effect & CONFIG_INERT))
            conf_row(to, &broker_config_rows[i]);
    }
    (void)fputs("\n# ---- Known from Kafka, accepted, without effect ----\n", to);
    for (uint32_t i = 0; i < BROKER_CONFIG_COUNT; i++) {
        if (broker_config_rows[i].effect & CONFIG_INERT)
            conf_row(to, &broker_config_rows[i]);
    }
}

/* -- docs/CONFIG.md ----------------------------------------------------------------------------------------------- */

static void page_row(FILE *to, const struct config_row *row)
{
    static const char *const types[] = {
        [CONFIG_BOOL] = "boolean", [CONFIG_INT] = "int",          [CONFIG_SHORT] = "short",
        [CONFIG_LONG] = "long",    [CONFIG_DOUBLE] = "double",    [CONFIG_CHOICE] = "choice",
        [CONFIG_FLAGS] = "list",   [CONFIG_STRING] = "string",    [CONFIG_LIST] = "list",
        [CONFIG_CLASS] = "class",  [CONFIG_PASSWORD] = "password"
    };
    char range[256];
    range_print(range, sizeof(range), row);
    (void)fprintf(to, "| `%s` | %s | %s | %s | %s", row->key, types[row->type], row->fallback ? row->fallback : "",
                  range, row->doc);
    if (row->effect & CONFIG_DYNAMIC)
        (void)fputs(" May be changed while the broker runs.", to);
    if (row->synonyms[0] != '\0')
        (void)fprintf(to, " Default from `%s`.", row->synonyms);
    (void)fputs(" |\n", to);
}

static void page_table(FILE *to, const char *title, const struct config_row *rows, uint32_t count,
                       enum config_effect effect)
{
    (void)fprintf(to, "\n## %s\n\n| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n", title);
    for (uint32_t i = 0; i < count; i++) {
        if ((rows[i].effect & CONFIG_INERT) == (int)effect)
            page_row(to, &rows[i]);
    }
}

static void page_write(FILE *to)
{
    (void)fputs(
        "# Settings\n\nMade by tests/tidy/config_doc.c from src/broker/broker_config.def, topic_config.def and "
        "group_config.def; not edited by hand.\n\nStrength, weakest first: default, file, environment (`KAFKA_` or `KAFKA_CFG_` + the key in "
        "capitals, `.` as `_`, `_` as `__`, `-` as `___`), command line.\nUnknown keys are reported and ignored; "
        "values that are not allowed stop the start.\nOver all of them stand changes at run time (`odradek config alter`, kafka-configs): for all brokers, then for "
        "this one.\n",
        to);
    page_table(to, "Broker", broker_config_rows, BROKER_CONFIG_COUNT, CONFIG_ACTS);
    page_table(to, "Topics", topic_config_rows, TOPIC_CONFIG_COUNT, CONFIG_ACTS);
    page_table(to, "Groups", group_config_rows, GROUP_CONFIG_COUNT, CONFIG_ACTS);
    page_table(to, "Broker: accepted, without effect", broker_config_rows, BROKER_CONFIG_COUNT, CONFIG_INERT);
    page_table(to, "Topics: kept and shown, without effect", topic_config_rows, TOPIC_CONFIG_COUNT, CONFIG_INERT);
    page_table(to, "Groups: kept and shown, without effect", group_config_rows, GROUP_CONFIG_COUNT, CONFIG_INERT);
}

static int compare(const char *text, size_t len, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *there = xcalloc(len + 2, 1);
    size_t there_len = file ? fread(there, 1, len + 1, file) : 0;
    bool same = file && there_len == len && memcmp(there, text, len) == 0;
    if (file)
        (void)fclose(file);
    free(there);
    if (!same)
        (void)fprintf(stderr, "%s is not what the tables of settings say; write it again with config_doc\n", path);
    return same ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || (strcmp(argv[1], "conf") != 0 && strcmp(argv[1], "page") != 0)) {
        (void)fputs("usage: config_doc conf|page [FILE]\n", stderr);
        return 2;
    }
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return 2;
    if (strcmp(argv[1], "conf") == 0)
        conf_write(to);
    else
        page_write(to);
    (void)fclose(to);
    int status = 0;
    if (argc == 3)
        status = compare(text, len, argv[2]);
    else
        status = fwrite(text, 1, len, stdout) == len ? 0 : 2;
    free(text);
    return status;
}
