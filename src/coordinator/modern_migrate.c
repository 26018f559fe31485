#include "coordinator/modern_migrate.h"

#include <stdlib.h>

#include "base/limits.h"
#include "coordinator/classic.h"
#include "coordinator/consumer_blob.h"
#include "coordinator/texts.h"

static void *scratch_alloc(struct arena *scratch, size_t count, size_t size)
{
    void *memory = arena_alloc(scratch, count, size);
    ASSERT(memory != NULL);
    return memory;
}

#define scratch_new(arena, type, count) ((type *)scratch_alloc((arena), (count), sizeof(type)))

static struct odk_str text_copy(struct odk_str text, struct arena *scratch)
{
    if (!text.data)
        return text;
    char *copy = scratch_new(scratch, char, text.len + 1);
    memcpy(copy, text.data, text.len);
    return (struct odk_str){ .data = copy, .len = text.len };
}

static struct odk_bytes bytes_copy(struct odk_bytes bytes, struct arena *scratch)
{
    struct odk_str copy = text_copy((struct odk_str){ (const char *)bytes.data, bytes.len }, scratch);
    return (struct odk_bytes){ .data = (const uint8_t *)copy.data, .len = copy.len };
}

/* -- from the classic protocol ------------------------------------------------------------------------------------ */

/* A member on its way over; nothing of it points into the classic group. */
struct mover {
    struct odk_str id;
    struct consumer_group_member_metadata_value told;
    struct consumer_group_member_metadata_value_classic_member_metadata classic;
    struct tp_set assigned;
};

static void copy_protocols(const struct classic_member *from, struct arena *scratch, struct mover *to)
{
    to->classic.session_timeout_ms = from->session_timeout_ms;
    to->classic.supported_protocols_count = (int32_t)from->protocol_count;
    to->classic.supported_protocols =
        scratch_new(scratch, struct consumer_group_member_metadata_value_supported_protocol, from->protocol_count);
    for (uint32_t i = 0; i < from->protocol_count; i++) {
        to->classic.supported_protocols[i].name = text_copy(from->protocols[i].name, scratch);
        to->classic.supported_protocols[i].metadata = bytes_copy(from->protocols[i].metadata, scratch);
    }
}

/* What it says of itself for the protocol that the group has chosen; in a round, for the first that can be read. */
static bool read_subscription(const struct classic_member *from, const struct mover *to, struct arena *scratch,
                              struct consumer_protocol_subscription *ret)
{
    struct odk_bytes chosen = classic_member_metadata(from);
    int16_t version;
    if (chosen.data)
        return subscription_read(bytes_copy(chosen, scratch), scratch, ret, &version);
    return subscription_read_any(to->classic.supported_protocols, to->classic.supported_protocols_count, scratch, ret,
                                 &version);
}

/* False: what it said when it joined, or was given by the leader, cannot be read. */
static bool copy_member(const struct groups *groups, const struct classic_member *from, struct arena *scratch,
                        struct mover *to)
{
    struct consumer_protocol_subscription subscription;
    struct odk_bytes assignment = { from->assignment, from->assignment_len };
    to->id = text_copy(from->id, scratch);
    copy_protocols(from, scratch, to);
    if (!read_subscription(from, to, scratch, &subscription) ||
        !assignment_read(groups, bytes_copy(assignment, scratch), scratch, &to->assigned))
        return false;
    consumer_group_member_metadata_value_init(&to->told);
    to->told.instance_id = text_copy(from->instance_id, scratch);
    to->told.client_id = text_copy(from->client_id, scratch);
    to->told.client_host = text_copy(from->client_host, scratch);
    to->told.rack_id = subscription.rack_id;
    to->told.rebalance_timeout_ms = from->rebalance_timeout_ms;
    to->told.subscribed_topic_names = subscription.topics;
    to->told.subscribed_topic_names_count =
        (int32_t)texts_sort(subscription.topics, (uint32_t)subscription.topics_count);
    to->told.classic_member_metadata = &to->classic;
    return true;
}

/* Two classic members may have been given the same partition; the first one keeps it. */
static struct tp_set not_owned(const struct modern *modern, const struct tp_set *set, int32_t epoch)
{
    struct tp_set part = { .at = tp_room(modern_scratch(modern), set->count) };
    for (uint32_t i = 0; i < set->count; i++) {
        if (modern_owner(modern, set->at[i].topic, set->at[i].partition))
            continue;
        part.at[part.count] = set->at[i];
        part.at[part.count++].epoch = epoch;
    }
    return part;
}

static void found(struct group *group, const struct mover *movers, uint32_t count, int32_t generation)
{
    struct modern *modern = modern_take(group);
    for (uint32_t i = 0; i < count; i++)
        (void)modern_put_told(modern, movers[i].id, &movers[i].told);
    modern_put_epoch(modern, generation, modern_hash(modern));
    for (uint32_t i = 0; i < count; i++) {
        struct modern_member *member = modern_member_find(modern, movers[i].id);
        struct modern_current current = { .epoch = generation, .previous_epoch = generation, .state = MODERN_STABLE };
        current.assigned = not_owned(modern, &movers[i].assigned, generation);
        modern_put_target(member, &current.assigned);
        modern_put_current(member, &current);
        modern_touch(member);
    }
    modern_put_target_epoch(modern, generation);
}

/* Why the group cannot change its protocol; NULL: it can. */
static const char *obstacle(const struct group *group)
{
    const struct groups_config *config = group->groups->env.config;
    const struct classic *classic = group->classic;
    if (!config->upgrade)
        return "switched off by group.consumer.migration.policy";
    if (!classic_is_consumer(classic))
        return "its members are no consumers";
    if ((int64_t)classic_members_count(classic) > MIN(config->modern_size_max, (int32_t)GROUP_MEMBERS_MAX))
        return "it has more members than a consumer group may have";
    return NULL;
}

static bool has_room(const struct group *group, const struct consumer_group_heartbeat_request *in)
{
    int32_t members_max = MIN(group->groups->env.config->modern_size_max, (int32_t)GROUP_MEMBERS_MAX);
    const struct classic *classic = group->classic;
    bool known = classic_member_find(classic, in->member_id) ||
                 (in->instance_id.data && classic_member_find_instance(classic, in->instance_id));
    return known || ((int64_t)classic_members_count(classic) < members_max && !groups_full(group->groups));
}

bool modern_upgrade(struct group *group, struct group_call *call)
{
    struct groups *groups = group->groups;
    struct classic *classic = group->classic;
    const char *why = obstacle(group);
    struct mover *movers = scratch_new(&groups->scratch, struct mover, classic_members_count(classic));
    uint32_t count = 0;
    for (const struct classic_member *member = classic->members; member && !why; member = member->by_id.next)
        if (!copy_member(groups, member, &groups->scratch, &movers[count++]))
            why = "what a member says of itself, or was given by an assignor of its own, cannot be read";
    if (why) {
        modern_refuse(group, call, KAFKA_GROUP_ID_NOT_FOUND,
                      "the classic group %.*s cannot become a consumer group: %s", ODK_STR_FMT(group_id(group)), why);
        return false;
    }
    if (!has_room(group, call->in)) {
        modern_refuse(group, call, KAFKA_GROUP_MAX_SIZE_REACHED, "the group has reached its %u members, or all groups their memory",
                      count);
        return false;
    }
    int32_t generation = MAX(classic->generation, 1);
    classic_remove(group);
    classic_free(classic, KAFKA_REBALANCE_IN_PROGRESS);
    group->classic = NULL;
    found(group, movers, count, generation);
    groups_say(group, "goes over to the consumer protocol", ODK_STR(""));
    return true;
}

/* -- to the classic protocol -------------------------------------------------------------------------------------- */

struct returner {
    struct classic_member_spec spec;
    struct odk_bytes assignment;
};

static bool copy_returner(const struct modern_member *from, struct arena *scratch, struct returner *to)
{
    const struct consumer_group_member_metadata_value *told = from->told;
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic = told->classic_member_metadata;
    struct classic_protocol *protocols =
        scratch_new(scratch, struct classic_protocol, (size_t)classic->supported_protocols_count);
    for (int32_t i = 0; i < classic->supported_protocols_count; i++) {
        protocols[i].name = text_copy(classic->supported_protocols[i].name, scratch);
        protocols[i].metadata = bytes_copy(classic->supported_protocols[i].metadata, scratch);
    }
    to->spec = (struct classic_member_spec){
        .id = text_copy(modern_member_id(from), scratch),
        .instance_id = text_copy(told->instance_id, scratch),
        .client_id = text_copy(told->client_id, scratch),
        .client_host = text_copy(told->client_host, scratch),
        .rebalance_timeout_ms = told->rebalance_timeout_ms,
        .session_timeout_ms = classic->session_timeout_ms,
        .protocols = protocols,
        .protocol_count = (uint32_t)classic->supported_protocols_count,
    };
    struct consumer_protocol_subscription subscription;
    int16_t version;
    if (!subscription_read_any(classic->supported_protocols, classic->supported_protocols_count, scratch, &subscription,
                               &version))
        return false;
    to->assignment = assignment_write(modern_groups(from->modern), &from->assigned, version, scratch);
    return to->assignment.data != NULL;
}

static bool speaks(const struct modern_member *member, struct odk_str protocol)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        member->told->classic_member_metadata;
    for (int32_t i = 0; i < classic->supported_protocols_count; i++)
        if (odk_str_eq(classic->supported_protocols[i].name, protocol))
            return true;
    return false;
}

bool modern_all_speak(const struct modern *modern, struct odk_str protocol, const struct modern_member *except)
{
    for (const struct modern_member *member = modern->members; member; member = member->by_id.next)
        if (member != except && modern_member_is_classic(member) && !speaks(member, protocol))
            return false;
    return true;
}

/* A classic group has a protocol that all speak. Not so only in a log that somebody else wrote. */
static bool have_common(const struct modern *modern)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        modern->members->told->classic_member_metadata;
    for (int32_t i = 0; i < classic->supported_protocols_count; i++)
        if (modern_all_speak(modern, classic->supported_protocols[i].name, NULL))
            return true;
    return false;
}

static bool may_downgrade(const struct group *group)
{
    const struct groups_config *config = group->groups->env.config;
    const struct modern *modern = group->modern;
    uint32_t count = HASH_CNT(by_id, modern->members);
    return count > 0 && modern->classic_count == count && config->downgrade && config->classic_enabled &&
           (int64_t)count <= config->size_max && have_common(modern);
}

/* Everybody there, in the bounds of a classic group. NULL: not so. */
static struct returner *returners(const struct modern *modern)
{
    struct arena *scratch = modern_scratch(modern);
    struct returner *list = scratch_new(scratch, struct returner, HASH_CNT(by_id, modern->members));
    uint32_t count = 0;
    size_t kept = 0, assigned = 0;
    for (const struct modern_member *member = modern->members; member; member = member->by_id.next) {
        if (!copy_returner(member, scratch, &list[count]))
            return NULL;
        kept += classic_spec_bytes(&list[count].spec);
        assigned += list[count++].assignment.len;
    }
    return kept <= GROUP_BYTES_MAX && assigned <= GROUP_BYTES_MAX ? list : NULL;
}

bool modern_downgrade(struct group *group, enum modern_downgrade how)
{
    struct returner *list = may_downgrade(group) ? returners(group->modern) : NULL;
    if (!list)
        return false;
    uint32_t count = HASH_CNT(by_id, group->modern->members);
    int32_t generation = group->modern->epoch;
    group_end(group);
    struct classic *classic = classic_take(group);
    classic->generation = generation;
    for (uint32_t i = 0; i < count; i++) {
        struct classic_member *member = classic_member_add(classic, &list[i].spec, ODK_STR("consumer"));
        classic_member_assign(member, list[i].assignment);
    }
    classic->leader = classic->members;
    classic_restored(classic);
    if (how == MODERN_DOWNGRADE_REBALANCE)
        classic_rebalance(classic, "rebalance: back from the consumer protocol", ODK_STR(""));
    return true;
}
