#include "client/admin_groups.h"

#include <stdlib.h>
#include <strings.h>

#include "client/admin_driver.h"

#define LIST_VERSION_MAX          5
#define LIST_VERSION_STATES       4 /* states are told, and can be asked for */
#define LIST_VERSION_TYPES        5
#define DESCRIBE_VERSION_MAX      6
#define DESCRIBE_CONSUMER_VERSION 1
#define DELETE_VERSION_MAX        3
#define ASSIGNMENT_VERSION_MAX    3

static int group_order(const void *left, const void *right)
{
    const struct admin_group *a = left;
    const struct admin_group *b = right;
    return odk_str_order(a->id, b->id);
}

static void group_init(struct admin_group *group, struct odk_str id)
{
    *group = (struct admin_group){
        .id = id, .coordinator = ADMIN_NO_NODE, .epoch = -1, .assignment_epoch = -1, .member_count = -1
    };
}

struct admin_group *admin_groups_named(struct cluster *cluster, char *const *ids, size_t *count)
{
    struct admin_group *groups = client_new(cluster_first(cluster), struct admin_group, *count);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool known = false;
        for (size_t k = 0; k < kept && !known; k++)
            known = odk_str_eq(groups[k].id, odk_str_from(ids[i]));
        if (!known)
            group_init(&groups[kept++], odk_str_from(ids[i]));
    }
    *count = kept;
    return groups;
}

/* -- assignments ----------------------------------------------------------------------------------------------------
 */

int admin_group_partition_order(const void *left, const void *right)
{
    const struct admin_partition *a = left;
    const struct admin_partition *b = right;
    int order = odk_str_order(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static struct admin_assignment assignment_flatten(const struct consumer_protocol_assignment *decoded,
                                                  struct arena *arena)
{
    struct admin_assignment flat = { 0 };
    size_t count = 0;
    for (int32_t t = 0; t < decoded->assigned_partitions_count; t++)
        count += (size_t)MAX(decoded->assigned_partitions[t].partitions_count, 0);
    struct admin_partition *partitions = arena_new(arena, struct admin_partition, count);
    ASSERT(partitions != NULL); /* the arena has no limit */
    for (int32_t t = 0; t < decoded->assigned_partitions_count; t++)
        for (int32_t p = 0; p < decoded->assigned_partitions[t].partitions_count; p++)
            partitions[flat.count++] = (struct admin_partition){ decoded->assigned_partitions[t].topic,
                                                                 decoded->assigned_partitions[t].partitions[p] };
    qsort(partitions, flat.count, sizeof(*partitions), admin_group_partition_order);
    flat.partitions = partitions;
    return flat;
}

struct admin_assignment admin_group_assignment_read(struct odk_bytes bytes, struct arena *arena)
{
    struct consumer_protocol_assignment decoded;
    struct rd r = rd_init(bytes.data, bytes.len);
    if (bytes.len == 0)
        return (struct admin_assignment){ 0 };
    int16_t version = rd_i16(&r);
    if (r.bad || version < 0 ||
        !consumer_protocol_assignment_decode(&decoded, &r, arena, MIN(version, ASSIGNMENT_VERSION_MAX)))
        return (struct admin_assignment){ .opaque = true, .bytes = bytes.len };
    return assignment_flatten(&decoded, arena);
}

static struct admin_assignment modern_assignment(struct client *client,
                                                 const struct consumer_group_describe_response_assignment *from)
{
    struct admin_assignment assignment = { 0 };
    size_t count = 0;
    for (int32_t t = 0; t < from->topic_partitions_count; t++)
        count += (size_t)MAX(from->topic_partitions[t].partitions_count, 0);
    struct admin_partition *partitions = client_new(client, struct admin_partition, count);
    for (int32_t t = 0; t < from->topic_partitions_count; t++)
        for (int32_t p = 0; p < from->topic_partitions[t].partitions_count; p++)
            partitions[assignment.count++] = (struct admin_partition){ from->topic_partitions[t].topic_name,
                                                                       from->topic_partitions[t].partitions[p] };
    qsort(partitions, assignment.count, sizeof(*partitions), admin_group_partition_order);
    assignment.partitions = partitions;
    return assignment;
}

/* -- describe -------------------------------------------------------------------------------------------------------
 */

static void modern_take(struct client *client, struct admin_group *group,
                        const struct consumer_group_describe_response_group *from)
{
    group->error = from->error_code;
    group->error_message = from->error_message;
    if (from->error_code != KAFKA_NONE)
        return;
    group->type = ADMIN_CONSUMER;
    group->type_name = ODK_STR("consumer");
    group->protocol_type = ODK_STR("consumer");
    group->state = from->group_state;
    group->assignor = from->assignor_name;
    group->epoch = from->group_epoch;
    group->assignment_epoch = from->assignment_epoch;
    group->member_count = MAX(from->members_count, 0);
    group->members = client_new(client, struct admin_member, (size_t)group->member_count);
    for (int32_t i = 0; i < group->member_count; i++) {
        const struct consumer_group_describe_response_member *member = &from->members[i];
        group->members[i] = (struct admin_member){ .id = member->member_id,
                                                   .instance_id = member->instance_id,
                                                   .client_id = member->client_id,
                                                   .host = member->client_host,
                                                   .epoch = member->member_epoch,
                                                   .current = modern_assignment(client, &member->assignment),
                                                   .target = modern_assignment(client, &member->target_assignment) };
    }
}

static enum exit_code modern_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct consumer_group_describe_request request;
    struct consumer_group_describe_response response;
    struct client_call call = { WIRE_KEY_CONSUMER_GROUP_DESCRIBE, -1, &request, &response };
    (void)context;
    call.version = client_version(client, call.key, DESCRIBE_CONSUMER_VERSION);
    consumer_group_describe_request_init(&request);
    request.group_ids = admin_groups_ids(client, groups, count);
    request.group_ids_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        groups[i]->error = KAFKA_GROUP_ID_NOT_FOUND; /* a broker without that protocol has no such group */
    if (call.version < 0)
        return EXIT_CODE_OK;
    enum exit_code code = client_call(client, &call);
    for (int32_t i = 0; i < response.groups_count && code == EXIT_CODE_OK; i++) {
        struct admin_group *group = admin_groups_find(groups, count, (size_t)i, response.groups[i].group_id);
        if (group)
            modern_take(client, group, &response.groups[i]);
    }
    return code;
}

static void classic_take(struct client *client, struct admin_group *group,
                         const struct describe_groups_response_group *from)
{
    bool consumer = odk_str_eq(from->protocol_type, ODK_STR("consumer"));
    bool dead = odk_str_eq(from->group_state, ODK_STR("Dead"));
    group->error = from->error_code == KAFKA_NONE && dead ? KAFKA_GROUP_ID_NOT_FOUND : from->error_code;
    group->error_message = from->error_message;
    if (group->error != KAFKA_NONE)
        return;
    group->type = ADMIN_CLASSIC;
    group->type_name = ODK_STR("classic");
    group->protocol_type = from->protocol_type;
    group->state = from->group_state;
    group->assignor = from->protocol_data;
    group->member_count = MAX(from->members_count, 0);
    group->members = client_new(client, struct admin_member, (size_t)group->member_count);
    for (int32_t i = 0; i < group->member_count; i++) {
        const struct describe_groups_response_member *member = &from->members[i];
        struct admin_assignment opaque = { .opaque = true, .bytes = member->member_assignment.len };
        group->members[i] = (struct admin_member){
            .id = member->member_id,
            .instance_id = member->group_instance_id,
            .client_id = member->client_id,
            .host = member->client_host,
            .epoch = -1,
            .current = consumer ? admin_group_assignment_read(member->member_assignment, client_arena(client)) : opaque
        };
    }
}

static enum exit_code classic_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct describe_groups_request request;
    struct describe_groups_response response;
    struct client_call call = { WIRE_KEY_DESCRIBE_GROUPS, -1, &request, &response };
    (void)context;
    call.version = client_version(client, call.key, DESCRIBE_VERSION_MAX);
    describe_groups_request_init(&request);
    request.groups = admin_groups_ids(client, groups, count);
    request.groups_count = (int32_t)count;
    enum exit_code code = client_call(client, &call);
    for (int32_t i = 0; i < response.groups_count && code == EXIT_CODE_OK; i++) {
        struct admin_group *group = admin_groups_find(groups, count, (size_t)i, response.groups[i].group_id);
        if (group)
            classic_take(client, group, &response.groups[i]);
    }
    return code;
}

/* A group that neither question knows may be of a kind that has questions of its own: the list tells. */
static enum exit_code unknown_look_up(struct cluster *cluster, struct admin_group *groups, size_t count)
{
    struct admin_groups_filter all = { 0 };
    struct admin_group *listed = NULL;
    size_t listed_count = 0, unknown = 0;
    for (size_t i = 0; i < count; i++)
        unknown += groups[i].error == KAFKA_GROUP_ID_NOT_FOUND;
    if (unknown == 0)
        return EXIT_CODE_OK;
    enum exit_code code = admin_groups_list(cluster, &all, &listed, &listed_count);
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        const struct admin_group *found = bsearch(&groups[i], listed, listed_count, sizeof(*listed), group_order);
        if (!found || found->type != ADMIN_OTHER || groups[i].error != KAFKA_GROUP_ID_NOT_FOUND)
            continue;
        groups[i].type = ADMIN_OTHER;
        groups[i].type_name = found->type_name;
        groups[i].state = found->state;
    }
    return code;
}

enum exit_code admin_groups_describe(struct cluster *cluster, struct admin_group *groups, size_t count)
{
    struct admin_group **chosen = client_new(cluster_first(cluster), struct admin_group *, count);
    size_t chosen_count = 0;
    enum exit_code code = admin_groups_ask_all(cluster, groups, count, modern_ask, NULL);
    for (size_t i = 0; i < count; i++) {
        if (groups[i].error != KAFKA_GROUP_ID_NOT_FOUND && groups[i].error != KAFKA_UNSUPPORTED_VERSION)
            continue;
        groups[i].error = KAFKA_NONE;
        groups[i].error_message = (struct odk_str){ 0 };
        chosen[chosen_count++] = &groups[i];
    }
    if (code == EXIT_CODE_OK)
        code = admin_groups_ask(cluster, chosen, chosen_count, classic_ask, NULL);
    return code == EXIT_CODE_OK ? unknown_look_up(cluster, groups, count) : code;
}

/* -- list -----------------------------------------------------------------------------------------------------------
 */

struct listing {
    struct admin_group *groups;
    size_t count;
};

static void list_take(struct client *memory, struct listing *listing, const struct list_groups_response *response,
                      int32_t node)
{
    size_t more = (size_t)MAX(response->groups_count, 0);
    struct admin_group *groups = client_new(memory, struct admin_group, listing->count + more);
    if (listing->count > 0)
        memcpy(groups, listing->groups, listing->count * sizeof(*groups));
    for (size_t i = 0; i < more; i++) {
        const struct list_groups_response_group *from = &response->groups[i];
        struct admin_group *group = &groups[listing->count++];
        bool classic = from->group_type.len == 0 || strncasecmp(from->group_type.data, "classic", 7) == 0;
        bool consumer = !classic && strncasecmp(from->group_type.data, "consumer", 8) == 0;
        group_init(group, from->group_id);
        group->coordinator = node;
        group->type = classic ? ADMIN_CLASSIC : consumer ? ADMIN_CONSUMER : ADMIN_OTHER;
        group->type_name = from->group_type.len == 0 ? ODK_STR("classic") : from->group_type;
        group->protocol_type = from->protocol_type;
        group->state = from->group_state;
    }
    listing->groups = groups;
}

static enum exit_code node_list(struct cluster *cluster, const struct admin_groups_filter *filter, int32_t node,
                                struct listing *listing)
{
    struct list_groups_request request;
    struct list_groups_response response;
    struct client_call call = { WIRE_KEY_LIST_GROUPS, -1, &request, &response };
    struct client *client;
    enum exit_code code = cluster_reach(cluster, node, &client);
    if (code != EXIT_CODE_OK)
        return code;
    call.version = client_version(client, call.key, LIST_VERSION_MAX);
    if ((filter->state_count > 0 && call.version < LIST_VERSION_STATES) ||
        (filter->type_count > 0 && call.version < LIST_VERSION_TYPES))
        return cluster_fail(cluster, EXIT_CODE_FAILURE, "%s cannot choose groups by state or type",
                            client_address(client));
    list_groups_request_init(&request);
    request.states_filter = filter->states;
    request.states_filter_count = (int32_t)filter->state_count;
    request.types_filter = filter->types;
    request.types_filter_count = (int32_t)filter->type_count;
    for (int64_t until = cluster_deadline(cluster);; client_pause(client, ADMIN_PAUSE_MS)) {
        code = client_call(client, &call);
        if (code != EXIT_CODE_OK || !admin_group_error_passes(response.error_code) || client_mono_ms(client) >= until)
            break;
    }
    if (code != EXIT_CODE_OK)
        return cluster_note(cluster, client, code);
    if (response.error_code != KAFKA_NONE)
        return cluster_fail(cluster, client_exit_code(response.error_code), "listing groups of %s: %s",
                            client_address(client), kafka_error_text(response.error_code));
    list_take(cluster_first(cluster), listing, &response, node);
    return EXIT_CODE_OK;
}

enum exit_code admin_groups_list(struct cluster *cluster, const struct admin_groups_filter *filter,
                                 struct admin_group **ret_groups, size_t *ret_count)
{
    struct listing listing = { 0 };
    enum exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < cluster_node_count(cluster) && code == EXIT_CODE_OK; i++)
        code = node_list(cluster, filter, cluster_node(cluster, i)->node_id, &listing);
    if (listing.count > 0)
        qsort(listing.groups, listing.count, sizeof(*listing.groups), group_order);
    *ret_groups = listing.groups;
    *ret_count = listing.count;
    return code;
}

/* -- delete ---------------------------------------------------------------------------------------------------------
 */

static enum exit_code delete_ask(struct client *client, struct admin_group **groups, size_t count, void *context)
{
    struct delete_groups_request request;
    struct delete_groups_response response;
    struct client_call call = { WIRE_KEY_DELETE_GROUPS, -1, &request, &response };
    (void)context;
    call.version = client_version(client, call.key, DELETE_VERSION_MAX);
    delete_groups_request_init(&request);
    request.groups_names = admin_groups_ids(client, groups, count);
    request.groups_names_count = (int32_t)count;
    enum exit_code code = client_call(client, &call);
    for (int32_t i = 0; i < response.results_count && code == EXIT_CODE_OK; i++) {
        struct admin_group *group = admin_groups_find(groups, count, (size_t)i, response.results[i].group_id);
        if (!group)
            continue;
        group->error = response.results[i].error_code;
        group->error_message = response.results[i].error_message;
    }
    return code;
}

enum exit_code admin_groups_delete(struct cluster *cluster, struct admin_group *groups, size_t count)
{
    return admin_groups_ask_all(cluster, groups, count, delete_ask, NULL);
}
