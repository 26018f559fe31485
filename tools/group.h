/* What the verbs of `odradek group` share. */
#pragma once
#include "cli.h"
#include "client/admin_groups.h"

int group_describe(int argc, char **argv);
int group_reset(int argc, char **argv);
int group_delete_offsets(int argc, char **argv);

/* What is wrong with a group, and what to do about it: one sentence that names it. */
struct group_why {
    char text[2400];
};
struct group_why group_why(const struct admin_group *group);
/* The exit code that its error stands for. */
int group_exit_code(const struct admin_group *group);
/* For a partition, as text and code are chosen for the group. */
const char *group_error_text(int16_t error);

/* TOPIC or TOPIC:0,1,2 */
struct group_scope {
    struct odk_str topic;
    const char *partitions; /* what is behind the colon; NULL: all */
};
struct group_scope group_scope(const char *text);
/* ARGS_GO_ON, or the mistake in a --topic is explained. */
int group_scope_check(const struct args_spec *spec, const char *text);
/* The next partition of a list "0,1,2"; moves *at. -1: the list is over; -2: not a list of partitions. */
int64_t group_scope_next(const char **at);
