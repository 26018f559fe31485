/*
 * From argv, environment and configuration file to server_options. Precedence: flag > environment (KAFKA_*, KAFKA_CFG_*)
 * > file > default.
 */
#pragma once
#include "server/server.h"
#include "server/stderr.h"

enum options_mode { OPTIONS_SERVE, OPTIONS_DEV };

struct options {
    struct server_options server;
    struct broker_config config;
    struct stderr_sink sink;
    struct config_listener listeners[LISTENERS_MAX];
    bool help;         /* --help was asked for and printed */
    bool print_config; /* --print-config: show every value and where it came from, then end */
    bool json;         /* as JSON */
    const char *config_path; /* of the file; NULL: none */
    char *data_dir;
};

/*
 * Fills everything. Errors are printed to standard error. io is the main thread's posix backend.
 *
 * ODK_ERR_INVALID  usage or configuration: exit code 2
 */
MUST_USE enum odk_err options_parse(struct options *options, enum options_mode mode, struct odk_io *io, int argc,
                                    char **argv);
void options_deinit(struct options *options);
