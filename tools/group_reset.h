/* What planning and doing share in `odradek group reset`. */
#pragma once
#include "group.h"

struct reset {
    struct cli_common common;
    struct args_list topics;
    bool all_topics;
    bool to_earliest, to_latest, to_current;
    int64_t to_offset, shift_by; /* INT64_MIN: not given */
    const char *to_datetime, *by_duration, *from_file;
    bool execute, live, export;
    /* the run */
    struct plan_scenario scenario;
    struct cluster *cluster;
    struct admin_group *group;
    struct plan_row *rows; /* ordered */
    size_t row_count;
    char *file;
};

/* Memory and clock of the run. */
struct client *reset_memory(struct reset *reset);
/* Tells why a question to the cluster, or about the group, has failed; returns the exit code. */
int reset_failed(const struct reset *reset, enum exit_code code);
int reset_group_failed(const struct reset *reset);

/* Which partitions, where they stand, where they are to stand. Fills rows, or explains and returns the exit code. */
int reset_plan(struct reset *reset);
/* As a table, as CSV or as JSON, as the command line says; JSON also says what of it was done. */
void reset_plan_show(const struct reset *reset, const struct admin_commit *commit);
