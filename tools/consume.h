/* What the ways to consume share: the command line, and printing. */
#pragma once
#include "client/json.h"
#include "client/range.h"
#include "rdk.h"

#define CONSUME_WAIT_MS 100 /* for a record; then signals are looked at */

struct span;

struct consume {
    struct cli_common common;
    const char *offset;
    const char *format;
    const char *group; /* NULL: none */
    int64_t count;     /* records still to print; INT64_MAX: any number */
    struct args_list partitions;
    struct args_list extra;
    bool exit_at_end;
    /* the run */
    struct range range;
    const char *topic;
    rd_kafka_t *rk;
    struct json json;
    bool lost; /* no broker is reached, and that has been told */
    /* without a group */
    rd_kafka_topic_t *rkt;
    struct span *spans;
    size_t span_count;
    size_t open_count;
};

void consume_print(struct consume *consume, const rd_kafka_message_t *message);
/* No broker is reached: told once, until records come again. */
void consume_lost(struct consume *consume);
/* Joins the group and prints until -n, -e or a signal ends it. Returns the exit code. */
int consume_group(struct consume *consume);
