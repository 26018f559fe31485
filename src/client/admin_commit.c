#include <stdlib.h>

#include "client/admin_driver.h"

#define FETCH_VERSION_MAX         9 /* by name; later ones have topic ids */
#define FETCH_VERSION_ALL         2 /* all partitions can be asked for from here on */
#define FETCH_VERSION_SEVERAL     8 /* several groups in one request */
#define COMMIT_VERSION_MAX        9 /* by name */
#define LEAVE_VERSION_MAX         5
#define LEAVE_VERSION_SEVERAL     3 /* several members in one request */
#define OFFSET_DELETE_VERSION_MAX 0
#define NO_GENERATION             (-1)

/* -- fetch ----------------------------------------------------------------------------------------------------------
 */

static int group_offset_order(const void *left, const void *right)
{
    const struct admin_offset *a = left;
    const struct admin_offset *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static void offset_add(struct admin_group *group, struct odk_str topic,
                       const struct offset_fetch_response_group_topic_partition *from)
{
    if (from->committed_offset < 0 && from->error_code == KAFKA_NONE)
        return;
    group->offsets[group->offset_count++] = (struct admin_offset){ .topic = topic,
                                                                   .partition = from->partition_index,
                                                                   .offset = from->committed_offset,
                                                                   .leader_epoch = from->committed_leader_epoch,
                                                                   .metadata = from->metadata,
                                                                   .error = from->error_code };
}

/* A group that is not there has no offsets; that is no error here. */
static void group_error_take(struct admin_group *group, int16_t error)
{
    group->error = error == KAFKA_GROUP_ID_NOT_FOUND ? KAFKA_NONE : error;
    group->offset_count = 0;
}

static void several_take(struct client *client, struct admin_group *group,
                         const struct offset_fetch_response_group *from)
{
    size_t count = 0;
    group_error_take(group, from->error_code);
    for (int32_t t = 0; t < from->topics_count; t++)
        count += (size_t)MAX(from->topics[t].partitions_count, 0);
    group->offsets = client_new(client, struct admin_offset, count);
    for (int32_t t = 0; t < from->topics_count; t++)
        for (int32_t p = 0; p < from->topics[t].partitions_count; p++)
            offset_add(group, from->topics[t].name, &from->topics[t].partitions[p]);
    qsort(group->offsets, group->offset_count, sizeof(*group->offsets), group_offset_order);
}

static void single_take(struct client *client, struct admin_group *group, const struct offset_fetch_response *from)
{
    size_t count = 0;
    group_error_take(group, from->error_code);
    for (int32_t t = 0; t < from->topics_count; t++)
        count += (size_t)MAX(from->topics[t].partitions_count, 0);
    group->offsets = client_new(client, struct admin_offset, count);
    for (int32_t t = 0; t < from->topics_count; t++)
        for (int32_t p = 0; p < from->topics[t].partitions_count; p++) {
            const struct offset_fetch_response_partition *old = &from->topics[t].partitions[p];
            struct offset_fetch_response_group_topic_partition partition = {
                old->partition_index, old->committed_offset, old->committed_leader_epoch, old->metadata, old->error_code
            };
            offset_add(group, from->topics[t].name, &partition);
        }
    qsort(group->offsets, group->offset_count, sizeof(*group->offsets), group_offset_order);
}

/* All offsets of one group, or from FETCH_VERSION_SEVERAL on of several. */
static void fetch_build(struct client *client, struct admin_group **groups, size_t count,
                        struct offset_fetch_request *ret)
{
    offset_fetch_request_init(ret);
    ret->group_id = groups[0]->id;
    ret->topics_count = -1;
    ret->groups = client_new(client, struct offset_fetch_request_group, count);
    ret->groups_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        offset_fetch_request_group_init(&ret->groups[i]);
        ret->groups[i].group_id = groups[i]->id;
        ret->groups[i].topics_count = -1;
    }
}

static void fetch_take(struct client *client, struct admin_group **groups, size_t count, int16_t version,
                       const struct offset_fetch_response *response)
{
    if (version < FETCH_VERSION_SEVERAL) {
        single_take(client, groups[0], response);
        return;
    }
    for (int32_t i = 0; i < response->groups_count; i++) {
        struct admin_group *group = admin_groups_find(groups, count, (size_t)i, response->groups[i].group_id);
        if (group)
            several_take(client, group, &response->groups[i]);
    }
}

static enum exit_code committed_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    struct client_call call = { WIRE_KEY_OFFSET_FETCH, -1, &request, &response };
    enum exit_code code = EXIT_CODE_OK;
    (void)context;
    call.version = client_version(client, call.key, FETCH_VERSION_MAX);
    size_t step = call.version >= FETCH_VERSION_SEVERAL ? count : 1;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i += step) {
        fetch_build(client, groups + i, step, &request);
        code = client_call(client, &call);
        if (code == EXIT_CODE_OK)
            fetch_take(client, groups + i, step, call.version, &response);
    }
    return code;
}

enum exit_code admin_groups_committed(struct cluster *cluster, struct admin_group *groups, size_t count)
{
    return admin_groups_ask_all(cluster, groups, count, committed_ask, NULL);
}

const struct admin_offset *admin_offset_find(const struct admin_group *group, struct odk_str topic, int32_t partition)
{
    struct admin_offset key = { .topic = topic, .partition = partition };
    if (group->offset_count == 0)
        return NULL;
    return bsearch(&key, group->offsets, group->offset_count, sizeof(key), group_offset_order);
}

/* -- commit ---------------------------------------------------------------------------------------------------------
 */

static void leave_build(struct client *client, const struct admin_group *group, struct leave_group_request *ret)
{
    leave_group_request_init(ret);
    ret->group_id = group->id;
    ret->members = client_new(client, struct leave_group_request_member, (size_t)group->member_count);
    for (int32_t i = 0; i < group->member_count; i++) {
        const struct admin_member *member = &group->members[i];
        struct leave_group_request_member *leaving = &ret->members[ret->members_count++];
        leave_group_request_member_init(leaving);
        /* A static member goes by its instance: its member id changes with each restart. */
        leaving->member_id = member->instance_id.data ? ODK_STR("") : member->id;
        leaving->group_instance_id = member->instance_id;
        leaving->reason = ODK_STR("offsets are reset by odradek group reset");
    }
}

static void commit_build(struct client *client, const struct admin_group *group, const struct admin_commit *commit,
                         struct offset_commit_request *ret)
{
    struct offset_commit_request_topic *topic = NULL;
    offset_commit_request_init(ret);
    ret->group_id = group->id;
    ret->member_id = ODK_STR("");
    ret->generation_id_or_member_epoch = NO_GENERATION;
    ret->topics = client_new(client, struct offset_commit_request_topic, commit->count);
    struct offset_commit_request_partition *partitions =
        client_new(client, struct offset_commit_request_partition, commit->count);
    for (size_t i = 0; i < commit->count; i++) {
        if (!topic || !odk_str_eq(topic->name, commit->rows[i].topic)) {
            topic = &ret->topics[ret->topics_count++];
            topic->name = commit->rows[i].topic;
            topic->partitions = &partitions[i];
        }
        struct offset_commit_request_partition *partition = &topic->partitions[topic->partitions_count++];
        offset_commit_request_partition_init(partition);
        partition->partition_index = commit->rows[i].partition;
        partition->committed_offset = commit->rows[i].target;
        partition->committed_metadata = ODK_STR("");
    }
}

static void commit_take(struct admin_group *group, struct admin_commit *commit,
                        const struct offset_commit_response *response)
{
    for (size_t i = 0; i < commit->count; i++)
        commit->errors[i] = KAFKA_UNKNOWN_SERVER_ERROR; /* until it is answered */
    for (int32_t t = 0; t < response->topics_count; t++) {
        const struct offset_commit_response_topic *topic = &response->topics[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct plan_row key = { .topic = topic->name, .partition = topic->partitions[p].partition_index };
            const struct plan_row *row = bsearch(&key, commit->rows, commit->count, sizeof(key), plan_row_order);
            if (row)
                commit->errors[row - commit->rows] = topic->partitions[p].error_code;
            if (admin_group_error_passes(topic->partitions[p].error_code))
                group->error = topic->partitions[p].error_code;
        }
    }
}

static void stored_take(const struct admin_group *group, struct admin_commit *commit)
{
    for (size_t i = 0; i < commit->count; i++) {
        const struct admin_offset *found = admin_offset_find(group, commit->rows[i].topic, commit->rows[i].partition);
        commit->stored[i] = found && found->error == KAFKA_NONE ? found->offset : -1;
    }
}

/* The answer to leave counts where it is about the group; a member that has gone by itself is no failure. */
static bool leave_failed(const struct leave_group_response *response)
{
    return response->error_code != KAFKA_NONE && response->error_code != KAFKA_UNKNOWN_MEMBER_ID &&
           response->error_code != KAFKA_GROUP_ID_NOT_FOUND;
}

static enum exit_code commit_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct admin_group *group = groups[0];
    struct admin_commit *commit = context;
    struct leave_group_request leave;
    struct leave_group_response left;
    struct offset_commit_request request;
    struct offset_commit_response response;
    struct offset_fetch_request fetch;
    struct offset_fetch_response fetched;
    struct client_call calls[] = { { WIRE_KEY_LEAVE_GROUP, -1, &leave, &left },
                                   { WIRE_KEY_OFFSET_COMMIT, -1, &request, &response },
                                   { WIRE_KEY_OFFSET_FETCH, -1, &fetch, &fetched } };
    bool leaving = group->member_count > 0;
    size_t skipped = leaving ? 0 : 1;
    ASSERT(count == 1);
    calls[0].version = client_version(client, calls[0].key, LEAVE_VERSION_MAX);
    calls[1].version = client_version(client, calls[1].key, COMMIT_VERSION_MAX);
    calls[2].version = client_version(client, calls[2].key, FETCH_VERSION_MAX);
    if (leaving && calls[0].version < LEAVE_VERSION_SEVERAL) {
        group->error = KAFKA_UNSUPPORTED_VERSION;
        group->error_message = ODK_STR("the broker cannot remove members (LeaveGroup 3)");
        return EXIT_CODE_OK;
    }
    leave_build(client, group, &leave);
    commit_build(client, group, commit, &request);
    fetch_build(client, groups, 1, &fetch);
    enum exit_code code = client_calls(client, calls + skipped, countof(calls) - skipped);
    if (code != EXIT_CODE_OK)
        return code;
    fetch_take(client, groups, 1, calls[2].version, &fetched);
    commit_take(group, commit, &response);
    stored_take(group, commit);
    if (leaving && leave_failed(&left))
        group->error = left.error_code;
    return EXIT_CODE_OK;
}

enum exit_code admin_commit(struct cluster *cluster, struct admin_group *group, struct admin_commit *commit)
{
    return admin_groups_ask(cluster, &group, 1, commit_ask, commit);
}

/* -- delete ---------------------------------------------------------------------------------------------------------
 */

struct forgetting {
    struct admin_offset *offsets;
    size_t count;
};

static void forget_build(struct client *client, const struct admin_group *group, const struct forgetting *forgetting,
                         struct offset_delete_request *ret)
{
    struct offset_delete_request_topic *topic = NULL;
    offset_delete_request_init(ret);
    ret->group_id = group->id;
    ret->topics = client_new(client, struct offset_delete_request_topic, forgetting->count);
    struct offset_delete_request_partition *partitions =
        client_new(client, struct offset_delete_request_partition, forgetting->count);
    for (size_t i = 0; i < forgetting->count; i++) {
        if (!topic || !odk_str_eq(topic->name, forgetting->offsets[i].topic)) {
            topic = &ret->topics[ret->topics_count++];
            topic->name = forgetting->offsets[i].topic;
            topic->partitions = &partitions[i];
        }
        topic->partitions[topic->partitions_count++].partition_index = forgetting->offsets[i].partition;
    }
}

static enum exit_code forget_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct forgetting *forgetting = context;
    struct offset_delete_request request;
    struct offset_delete_response response;
    struct client_call call = { WIRE_KEY_OFFSET_DELETE, -1, &request, &response };
    ASSERT(count == 1);
    call.version = client_version(client, call.key, OFFSET_DELETE_VERSION_MAX);
    forget_build(client, groups[0], forgetting, &request);
    enum exit_code code = client_call(client, &call);
    if (code != EXIT_CODE_OK)
        return code;
    groups[0]->error = response.error_code;
    for (size_t i = 0; i < forgetting->count; i++)
        forgetting->offsets[i].error = KAFKA_UNKNOWN_SERVER_ERROR; /* until it is answered */
    for (int32_t t = 0; t < response.topics_count; t++)
        for (int32_t p = 0; p < response.topics[t].partitions_count; p++) {
            struct admin_offset key = { .topic = response.topics[t].name,
                                        .partition = response.topics[t].partitions[p].partition_index };
            struct admin_offset *found =
                bsearch(&key, forgetting->offsets, forgetting->count, sizeof(key), group_offset_order);
            if (found)
                found->error = response.topics[t].partitions[p].error_code;
        }
    return EXIT_CODE_OK;
}

enum exit_code admin_group_offsets_delete(struct cluster *cluster, struct admin_group *group,
                                          struct admin_offset *offsets, size_t count)
{
    struct forgetting forgetting = { .offsets = offsets, .count = count };
    return admin_groups_ask(cluster, &group, 1, forget_ask, &forgetting);
}
