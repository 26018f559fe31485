/* Changes of settings on the command line, as `config alter` and `topic alter` take them. */
#pragma once
#include "cli.h"
#include "client/admin_configs.h"

struct config_changes {
    struct args_list set, deleted, append, subtract;
};

/* Rows of the option table. */
#define CONFIG_CHANGES_ROWS(c)                                                                                         \
    { "set", 's', ARGS_LIST, "KEY=VALUE", "give a setting its value; may be repeated", &(c).set },                     \
        { "delete", 'd', ARGS_LIST, "KEY", "back to the default; may be repeated", &(c).deleted },                     \
        { "append", 0, ARGS_LIST, "KEY=VALUE", "add to a setting that is a list; may be repeated", &(c).append },      \
        { "subtract", 0, ARGS_LIST, "KEY=VALUE", "take out of a setting that is a list; may be repeated",              \
          &(c).subtract }

/* All changes, in memory's; without memory they are only checked and counted. ARGS_GO_ON, or the code of a mistake. */
int config_changes_take(const struct args_spec *spec, const struct config_changes *changes, struct client *memory,
                        struct admin_change **ret, size_t *ret_count);
void config_changes_deinit(struct config_changes *changes);
