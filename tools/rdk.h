/*
 * The little that produce and consume share of librdkafka: making a handle, turning its errors into exit codes,
 * stopping on a signal.
 *
 * Before librdkafka is started the broker is asked by our own client, which fails at once and with a sentence where
 * librdkafka would go on trying.
 */
#pragma once
#include <librdkafka/rdkafka.h>

#include "cli.h"

/* Properties in the order given; a refused one is explained. */
struct rdk_property {
    const char *name;
    const char *value; /* NULL: left out */
};

/* -X NAME=VALUE from the command line comes last and wins. NULL: explained on stderr, *ret_code set. */
rd_kafka_conf_t *rdk_conf(const struct cli_common *common, const struct rdk_property *properties, size_t count,
                          const struct args_list *extra, int *ret_code);
/* Takes conf over. NULL: explained. */
rd_kafka_t *rdk_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);

enum exit_code rdk_exit_code(rd_kafka_resp_err_t err);
const char *rdk_error_text(rd_kafka_resp_err_t err);
/* "what: sentence" on stderr; returns the exit code. */
int rdk_fail(const char *what, rd_kafka_resp_err_t err);
/* "topic name: sentence", and where to look when there is no such topic. */
int rdk_topic_fail(const char *topic, rd_kafka_resp_err_t err);

/* Connects once with our own client and disconnects; explains a failure. */
int rdk_probe(const struct cli_common *common);

/* From now on SIGINT and SIGTERM are only noted; to be called before rdk_new, so that its threads inherit that. Returns
 * a descriptor that becomes readable when one of them comes, -1 if there is none to be had. */
int rdk_signals_hold(void);
/* True once one of them has come. */
bool rdk_interrupted(void);
