/* What administrators ask of all kinds of groups: DescribeGroups, ListGroups (KIP-518, 848), DeleteGroups (KIP-229). */
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

/* From here on a group that is not there is an error, and not a dead group. */
#define DESCRIBE_VERSION_GROUP_ID_NOT_FOUND 6

bool group_empty(const struct group *group)
{
    if (group->modern)
        return modern_empty(group);
    return !group->classic || classic_empty(group);
}

bool group_subscribed(const struct group *group, struct odk_str topic)
{
    if (group->modern)
        return modern_subscribed(group, topic);
    return group->classic && classic_subscribed(group, topic);
}

struct odk_str group_protocol_type(const struct group *group)
{
    if (group->modern)
        return ODK_STR("consumer");
    return group->classic ? classic_protocol_type(group) : ODK_STR("");
}

/* A group that is nothing but offsets counts as an empty classic one. */
static struct odk_str group_state(const struct group *group)
{
    if (group->modern)
        return odk_str_from(modern_state(group));
    return group->classic ? odk_str_from(classic_state(group)) : ODK_STR("Empty");
}

static struct odk_str group_type(const struct group *group)
{
    return group->modern ? ODK_STR("consumer") : ODK_STR("classic");
}

void group_end(struct group *group)
{
    if (group->classic) {
        classic_remove(group);
        classic_free(group->classic, KAFKA_UNKNOWN_MEMBER_ID);
        group->classic = NULL;
    }
    if (group->modern) {
        modern_remove(group);
        modern_free(group->modern, KAFKA_UNKNOWN_MEMBER_ID);
        group->modern = NULL;
    }
}

/* -- describe ----------------------------------------------------------------------------------------------------- */

static void describe_absent(struct group_call *call, const char *why)
{
    struct describe_groups_response_group *out = call->out;
    out->group_state = ODK_STR("Dead");
    if (call->version < DESCRIBE_VERSION_GROUP_ID_NOT_FOUND)
        return;
    out->error_code = KAFKA_GROUP_ID_NOT_FOUND;
    out->error_message = odk_str_from(why);
}

void groups_call_describe(struct groups *groups, struct group_call *call)
{
    struct describe_groups_response_group *out = call->out;
    struct group *group = groups_find(groups, *(const struct odk_str *)call->in);
    out->group_id = *(const struct odk_str *)call->in;
    if (!group)
        describe_absent(call, "There is no group of this name.");
    else if (group->modern)
        describe_absent(call, "The group is not a classic group.");
    else if (group->classic)
        classic_describe(group, call);
    else
        out->group_state = group_state(group);
    groups_answer(groups, call);
}

/* -- list --------------------------------------------------------------------------------------------------------- */

static uint8_t lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_word(struct odk_str a, struct odk_str b)
{
    bool same = a.len == b.len;
    for (size_t i = 0; same && i < a.len; i++)
        same = lower(a.data[i]) == lower(b.data[i]);
    return same;
}

/* Without blanks at the ends, as Java trims. */
static struct odk_str trimmed(struct odk_str text)
{
    while (text.len > 0 && (uint8_t)text.data[0] <= ' ')
        text = (struct odk_str){ text.data + 1, text.len - 1 };
    while (text.len > 0 && (uint8_t)text.data[text.len - 1] <= ' ')
        text.len--;
    return text;
}

static const char *const state_names[] = { "Empty",  "PreparingRebalance", "CompletingRebalance",
                                           "Stable", "Assigning",          "Reconciling" };
static const char *const type_names[] = { "classic", "consumer" };

/* Which names a filter lets through, found out once: no filter lets all through, words that are no name let none. */
static uint32_t filter_read(const struct odk_str *filter, int32_t filter_count, const char *const *names, size_t count)
{
    uint32_t wanted = filter_count > 0 ? 0 : UINT32_MAX;
    for (int32_t i = 0; i < filter_count; i++)
        for (size_t j = 0; j < count; j++)
            if (same_word(trimmed(filter[i]), odk_str_from(names[j])))
                wanted |= 1u << j;
    return wanted;
}

static bool passes(uint32_t wanted, const char *const *names, size_t count, struct odk_str name)
{
    for (size_t i = 0; i < count; i++)
        if (odk_str_eq(name, odk_str_from(names[i])))
            return wanted & 1u << i;
    UNREACHABLE();
}

static bool list_fill(struct group_call *call, const struct group *group, struct list_groups_response_group *ret)
{
    ret->group_id = call_text(call, group_id(group));
    ret->protocol_type = call_text(call, group_protocol_type(group));
    ret->group_state = group_state(group);
    ret->group_type = group_type(group);
    return ret->group_id.data && ret->protocol_type.data;
}

void groups_call_list(struct groups *groups, struct group_call *call)
{
    const struct list_groups_request *in = call->in;
    struct list_groups_response *out = call->out;
    uint32_t states = filter_read(in->states_filter, in->states_filter_count, state_names, countof(state_names));
    uint32_t types = filter_read(in->types_filter, in->types_filter_count, type_names, countof(type_names));
    out->groups = arena_new(call->arena, struct list_groups_response_group, HASH_CNT(by_id, groups->by_id));
    bool good = out->groups != NULL;
    for (const struct group *group = groups->by_id; group && good; group = group->by_id.next)
        if (passes(states, state_names, countof(state_names), group_state(group)) &&
            passes(types, type_names, countof(type_names), group_type(group)))
            good = list_fill(call, group, &out->groups[out->groups_count++]);
    if (!good)
        group_call_refuse(call, KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(groups, call);
}

/* -- delete ------------------------------------------------------------------------------------------------------- */

void groups_call_delete(struct groups *groups, struct group_call *call)
{
    struct delete_groups_response_group *out = call->out;
    struct group *group = groups_find(groups, *(const struct odk_str *)call->in);
    out->group_id = *(const struct odk_str *)call->in;
    if (!group) {
        out->error_code = KAFKA_GROUP_ID_NOT_FOUND;
        out->error_message = ODK_STR("There is no group of this name.");
    } else if (!group_empty(group)) {
        out->error_code = KAFKA_NON_EMPTY_GROUP;
        out->error_message = ODK_STR("The group has members.");
    } else {
        group_offsets_forget_all(group);
        group_end(group);
        groups_tidy(group);
    }
    groups_answer(groups, call);
}
