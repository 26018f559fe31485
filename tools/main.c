/* odradek: one program, a table of subcommands. */
#include <string.h>

#include "cli.h"
#include "server/serve.h"

int main(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "serve", "run the broker", serve_main },
        { "dev", "run a broker for development, with friendly defaults", dev_main },
        { "topic", "create, list, describe, alter and delete topics", cmd_topic },
        { "config", "list, describe and alter settings", cmd_config },
        { "produce", "send lines as records", cmd_produce },
        { "consume", "print records", cmd_consume },
        { "group", "list, describe, reset and delete consumer groups", cmd_group },
        { "inspect", "look into a data directory, without a server", cmd_inspect },
        { "health", "ask whether the broker answers", cmd_health },
        { "version", "print the version", cmd_version },
    };
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return cli_end(cmd_version(1, argv));
    return cli_end(cli_dispatch(verbs, countof(verbs), "odradek", argc, argv));
}
