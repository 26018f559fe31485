/*
 * A group as `odradek group describe` shows it: parts that can be chosen, as tables for people or as JSON.
 *
 * The views point into what the cluster has answered and live as long.
 */
#pragma once
#include <stdio.h>

#include "client/admin_groups.h"

/* A partition that a group has committed in, or that a member reads. */
struct group_row {
    struct odk_str topic;
    int32_t partition;
    const struct admin_offset *committed; /* NULL: nothing */
    const struct admin_member *member;    /* NULL: nobody */
    int64_t end;                          /* -1: unknown */
};

struct group_view {
    struct admin_group *group;
    struct group_row *rows; /* ordered */
    size_t row_count;
    size_t partition_count;
    size_t unknown_count; /* partitions whose lag is not known */
    int64_t lag;          /* of all others */
};

struct group_parts {
    bool offsets, members, state;
};

/* By topic, then partition. */
int group_row_order(const void *left, const void *right);
/* The log's end minus the committed offset, where both are known. */
bool group_row_lag(const struct group_row *row, int64_t *ret);

/* Groups with an error are left out. */
void group_views_tables(const struct group_parts *parts, const struct cluster *cluster, const struct group_view *views,
                        size_t count, FILE *out);
/* One line for each group, also for those with an error. */
void group_views_json(const struct group_parts *parts, const struct cluster *cluster, const struct group_view *views,
                      size_t count, FILE *out);
