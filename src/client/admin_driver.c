#include "client/admin_driver.h"

#define FIND_VERSION_MAX     5 /* 6 is for share partitions */
#define FIND_VERSION_SEVERAL 4 /* one request for several groups from here on */

bool admin_group_error_passes(int16_t error)
{
    return error == KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error == KAFKA_COORDINATOR_NOT_AVAILABLE ||
           error == KAFKA_NOT_COORDINATOR;
}

struct odk_str *admin_groups_ids(struct client *client, struct admin_group *const *groups, size_t count)
{
    struct odk_str *ids = client_new(client, struct odk_str, count);
    for (size_t i = 0; i < count; i++)
        ids[i] = groups[i]->id;
    return ids;
}

struct admin_group *admin_groups_find(struct admin_group *const *groups, size_t count, size_t hint, struct odk_str id)
{
    if (hint < count && odk_str_eq(groups[hint]->id, id))
        return groups[hint];
    for (size_t i = 0; i < count; i++)
        if (odk_str_eq(groups[i]->id, id))
            return groups[i];
    return NULL;
}

/* -- coordinators ---------------------------------------------------------------------------------------------------
 */

static void coordinator_take(struct admin_group *group, int16_t error, struct odk_str message, int32_t node)
{
    group->error = error;
    group->error_message = error ? message : (struct odk_str){ 0 };
    group->coordinator = error ? ADMIN_NO_NODE : node;
}

static enum exit_code coordinators_several(struct client *client, struct admin_group **groups, size_t count,
                                           int16_t version)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    struct client_call call = { WIRE_KEY_FIND_COORDINATOR, version, &request, &response };
    find_coordinator_request_init(&request);
    request.coordinator_keys = admin_groups_ids(client, groups, count);
    request.coordinator_keys_count = (int32_t)count;
    enum exit_code code = client_call(client, &call);
    for (int32_t i = 0; i < response.coordinators_count && code == EXIT_CODE_OK; i++) {
        const struct find_coordinator_response_coordinator *found = &response.coordinators[i];
        struct admin_group *group = admin_groups_find(groups, count, (size_t)i, found->key);
        if (group)
            coordinator_take(group, found->error_code, found->error_message, found->node_id);
    }
    return code;
}

static enum exit_code coordinators_single(struct client *client, struct admin_group **groups, size_t count,
                                          int16_t version)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    struct client_call call = { WIRE_KEY_FIND_COORDINATOR, version, &request, &response };
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        find_coordinator_request_init(&request);
        request.key = groups[i]->id;
        code = client_call(client, &call);
        if (code == EXIT_CODE_OK)
            coordinator_take(groups[i], response.error_code, response.error_message, response.node_id);
    }
    return code;
}

/* For groups whose coordinator is not known. Those for which none is found keep the error. */
static enum exit_code coordinators_find(struct cluster *cluster, struct admin_group **groups, size_t count)
{
    struct client *client = cluster_first(cluster);
    struct admin_group **homeless = client_new(client, struct admin_group *, count);
    size_t homeless_count = 0;
    for (size_t i = 0; i < count; i++)
        if (groups[i]->coordinator == ADMIN_NO_NODE)
            homeless[homeless_count++] = groups[i];
    if (homeless_count == 0)
        return EXIT_CODE_OK;
    int16_t version = client_version(client, WIRE_KEY_FIND_COORDINATOR, FIND_VERSION_MAX);
    enum exit_code code = version >= FIND_VERSION_SEVERAL
                              ? coordinators_several(client, homeless, homeless_count, version)
                              : coordinators_single(client, homeless, homeless_count, version);
    return cluster_note(cluster, client, code);
}

/* -- asking ---------------------------------------------------------------------------------------------------------
 */

static enum exit_code node_ask(struct cluster *cluster, int32_t node, struct admin_group **groups, size_t count,
                               admin_groups_question *ask, void *context)
{
    struct admin_group **mine = client_new(cluster_first(cluster), struct admin_group *, count);
    struct client *client;
    size_t mine_count = 0;
    for (size_t i = 0; i < count; i++)
        if (groups[i]->coordinator == node && groups[i]->error == KAFKA_NONE)
            mine[mine_count++] = groups[i];
    if (mine_count == 0)
        return EXIT_CODE_OK;
    enum exit_code code = cluster_reach(cluster, node, &client);
    return code == EXIT_CODE_OK ? cluster_note(cluster, client, ask(client, mine, mine_count, context)) : code;
}

/* Keeps the groups that are to be asked again. */
static size_t unanswered(struct admin_group **groups, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (admin_group_error_passes(groups[i]->error))
            groups[kept++] = groups[i];
    return kept;
}

static void forget_errors(struct admin_group **groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        groups[i]->error = KAFKA_NONE;
        groups[i]->coordinator = ADMIN_NO_NODE;
    }
}

enum exit_code admin_groups_ask(struct cluster *cluster, struct admin_group **groups, size_t count,
                                admin_groups_question *ask, void *context)
{
    struct client *first = cluster_first(cluster);
    struct admin_group **waiting = client_new(first, struct admin_group *, count);
    int64_t until_ms = cluster_deadline(cluster);
    if (count > 0)
        memcpy(waiting, groups, count * sizeof(*waiting));
    for (;;) {
        enum exit_code code = coordinators_find(cluster, waiting, count);
        for (size_t i = 0; i < cluster_node_count(cluster) && code == EXIT_CODE_OK; i++)
            code = node_ask(cluster, cluster_node(cluster, i)->node_id, waiting, count, ask, context);
        count = unanswered(waiting, count);
        if (code != EXIT_CODE_OK || count == 0 || client_mono_ms(first) >= until_ms)
            return code;
        client_pause(first, ADMIN_PAUSE_MS);
        forget_errors(waiting, count);
    }
}

enum exit_code admin_groups_ask_all(struct cluster *cluster, struct admin_group *groups, size_t count,
                                    admin_groups_question *ask, void *context)
{
    struct admin_group **good = client_new(cluster_first(cluster), struct admin_group *, count);
    size_t good_count = 0;
    for (size_t i = 0; i < count; i++)
        if (groups[i].error == KAFKA_NONE)
            good[good_count++] = &groups[i];
    return admin_groups_ask(cluster, good, good_count, ask, context);
}
