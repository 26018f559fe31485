/*
 * How a question reaches the coordinators of groups: found first, asked node by node, asked again while one says "not
 * yet".
 */
#pragma once
#include "client/admin_groups.h"

#define ADMIN_NO_NODE  (-1)
#define ADMIN_PAUSE_MS 100

/* One request to one node about some groups. Sets error of each group; a group it leaves alone has error 0. */
typedef enum exit_code admin_groups_question(struct client *client, struct admin_group **groups, size_t count,
                                             void *context);

/* Of groups without an error. */
enum exit_code admin_groups_ask(struct cluster *cluster, struct admin_group **groups, size_t count,
                                admin_groups_question *ask, void *context);
/* Of all those without an error in an array. */
enum exit_code admin_groups_ask_all(struct cluster *cluster, struct admin_group *groups, size_t count,
                                    admin_groups_question *ask, void *context);

/* The coordinator is not there yet, has moved, or is loading. */
bool admin_group_error_passes(int16_t error);
/* Their ids, as requests want them. */
struct odk_str *admin_groups_ids(struct client *client, struct admin_group *const *groups, size_t count);
/* The one with this id; most likely at hint. NULL: none. */
struct admin_group *admin_groups_find(struct admin_group *const *groups, size_t count, size_t hint, struct odk_str id);
