#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"

#define DEFAULT_BROKERS    "127.0.0.1:9092"
#define DEFAULT_TIMEOUT_MS 10000

struct cli_common cli_common(void)
{
    const char *brokers = getenv("ODRADEK_BROKERS");
    return (struct cli_common){ .brokers = brokers && *brokers ? brokers : DEFAULT_BROKERS,
                                .timeout_ms = DEFAULT_TIMEOUT_MS };
}

int cli_fail(enum exit_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("odradek: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return (int)code;
}

struct client_options cli_options(const struct cli_common *common)
{
    return (
        struct client_options){ .brokers = common->brokers, .client_id = "odradek", .timeout_ms = common->timeout_ms };
}

int cli_connect(const struct cli_common *common, struct client **ret_client)
{
    struct client_options options = cli_options(common);
    enum exit_code code = client_open(&options, ret_client);
    return code == EXIT_CODE_OK ? EXIT_CODE_OK : cli_fail(code, "%s", client_why(*ret_client));
}

int cli_cluster(const struct cli_common *common, struct cluster **ret_cluster)
{
    struct client_options options = cli_options(common);
    enum exit_code code = cluster_open(&options, ret_cluster);
    return code == EXIT_CODE_OK ? EXIT_CODE_OK : cli_fail(code, "%s", cluster_why(*ret_cluster));
}

struct cli_text cli_escaped(struct odk_str text)
{
    struct cli_text escaped;
    diag_escape(escaped.text, sizeof(escaped.text), text);
    return escaped;
}

const char *cli_error_text(int16_t error, struct odk_str message, struct cli_text *scratch)
{
    if (message.len == 0)
        return kafka_error_text(error);
    *scratch = cli_escaped(message);
    return scratch->text;
}

int cli_end(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return cli_fail(EXIT_CODE_FAILURE, "cannot write the output");
}

static void verbs_print(FILE *to, const struct cli_verb *verbs, size_t count, const char *path)
{
    (void)fprintf(to, "usage: %s VERB [OPTION]...\n\nverbs:\n", path);
    size_t width = 10;
    for (size_t i = 0; i < count; i++)
        width = MAX(width, strlen(verbs[i].name));
    for (size_t i = 0; i < count; i++)
        (void)fprintf(to, "  %-*s  %s\n", (int)width, verbs[i].name, verbs[i].help);
    (void)fprintf(to, "\n%s VERB --help tells more\n", path);
}

static const struct cli_verb *verb_find(const struct cli_verb *verbs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

int cli_dispatch(const struct cli_verb *verbs, size_t count, const char *path, int argc, char **argv)
{
    char help_option[] = "--help";
    const char *name = argc > 1 ? argv[1] : NULL;
    bool word = name && strcmp(name, "help") == 0;
    bool help = word || (name && (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0));
    if (word && argc > 2) { /* "help VERB ...": as "VERB ... --help" */
        memmove(&argv[1], &argv[2], (size_t)(argc - 2) * sizeof(*argv));
        argv[argc - 1] = help_option;
        name = argv[1];
    } else if (help) {
        verbs_print(stdout, verbs, count, path);
        return EXIT_CODE_OK;
    }
    const struct cli_verb *verb = name ? verb_find(verbs, count, name) : NULL;
    if (verb)
        return verb->run(argc - 1, argv + 1);
    if (name)
        (void)fprintf(stderr, "odradek: there is no verb '%s'\n\n", cli_escaped(odk_str_from(name)).text);
    verbs_print(stderr, verbs, count, path);
    return EXIT_CODE_USAGE;
}
