/* What the subcommands share: the options that all of them have, and how a failure is told. */
#pragma once
#include "client/args.h"
#include "client/client.h"
#include "client/cluster.h"

struct cli_common {
    const char *brokers;
    int64_t timeout_ms;
    bool json;
};

/* Rows of the option table. */
#define CLI_BROKERS_ROW(c)                                                                                             \
    {                                                                                                                  \
        "brokers", 'b', ARGS_TEXT, "HOST:PORT", "broker address (default 127.0.0.1:9092, or $ODRADEK_BROKERS)",        \
            &(c).brokers                                                                                               \
    }
#define CLI_TIMEOUT_ROW(c)                                                                                             \
    {                                                                                                                  \
        "timeout", 0, ARGS_MS, "TIME", "give up after this (default 10s)", &(c).timeout_ms                             \
    }
#define CLI_JSON_ROW(c)                                                                                                \
    {                                                                                                                  \
        "json", 0, ARGS_FLAG, NULL, "print JSON", &(c).json                                                            \
    }

/* One row of the table of subcommands. */
struct cli_verb {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
};

/* Defaults, the environment included. */
struct cli_common cli_common(void);
/* Connects; on failure says why and returns the exit code. ret_client must be closed in any case. */
int cli_connect(const struct cli_common *common, struct client **ret_client);
/* The same to all nodes of a cluster, each when it is needed. */
int cli_cluster(const struct cli_common *common, struct cluster **ret_cluster);
/* What both make of the command line. */
struct client_options cli_options(const struct cli_common *common);
/* "odradek: ..." on stderr; returns code. */
int cli_fail(enum exit_code code, const char *format, ...) PRINTF(2, 3);
/* Runs the verb that argv[1] names; help and mistakes are handled here. path: what was typed before, "odradek topic".
 */
int cli_dispatch(const struct cli_verb *verbs, size_t count, const char *path, int argc, char **argv);
/* Text from the wire, safe for a terminal; static length, cut. */
struct cli_text {
    char text[1100];
};
struct cli_text cli_escaped(struct odk_str text);
/* Of several outcomes the gravest counts. */
static inline int cli_worse(int a, int b)
{
    return a > b ? a : b;
}
/* What the broker says of an error, else what the protocol calls it. scratch lives as long as the result is used. */
const char *cli_error_text(int16_t error, struct odk_str message, struct cli_text *scratch);
/* True when output of data failed (a full disk, a closed pipe); flushes. */
int cli_end(int code);

int cmd_topic(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_produce(int argc, char **argv);
int cmd_consume(int argc, char **argv);
int cmd_group(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_health(int argc, char **argv);
int cmd_version(int argc, char **argv);
