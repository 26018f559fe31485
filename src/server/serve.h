/*
 * The subcommands `serve` and `dev`: the only readers of the command line, the environment and the configuration file.
 * Precedence: flag > environment (KAFKA_*, KAFKA_CFG_*) > file > default.
 */
#pragma once

/* argv[0] is the subcommand's name. Returns the exit code: 0, 1 failure, 2 usage or configuration, 6 damaged data. */
int serve_main(int argc, char **argv);
int dev_main(int argc, char **argv);
