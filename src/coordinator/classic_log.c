/* A classic group's record: GroupMetadataValue, version 3 written, all versions read. */
#include <stdlib.h>

#include "coordinator/classic.h"
#include "wire/messages.h"

#define VALUE_VERSION_MAX 4

static void durable_set(struct classic *classic, struct odk_bytes value)
{
    free(classic->durable);
    classic->durable = xcalloc(value.len + 1, 1);
    memcpy(classic->durable, value.data, value.len);
    classic->durable_len = value.len;
}

/* -- writing ------------------------------------------------------------------------------------------------------ */

static void value_members(const struct classic *classic, struct arena *arena, struct group_metadata_value *value)
{
    value->members = arena_new(arena, struct group_metadata_value_member_metadata, classic_members_count(classic));
    ASSERT(value->members != NULL);
    for (const struct classic_member *member = classic->members; member; member = member->by_id.next)
        value->members[value->members_count++] = (struct group_metadata_value_member_metadata){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .client_id = member->client_id,
            .client_host = member->client_host,
            .rebalance_timeout = member->rebalance_timeout_ms,
            .session_timeout = member->session_timeout_ms,
            .subscription = classic_member_metadata(member),
            .assignment = { member->assignment, member->assignment_len },
        };
}

void classic_record(struct classic *classic)
{
    struct group_writer *writer = groups_writer(classic_groups(classic));
    const struct group_key key = { .group_id = group_id(classic->group) };
    struct group_metadata_value value = {
        .protocol_type = classic_text(&classic->protocol_type),
        .generation = classic->generation,
        .protocol = classic_text(&classic->protocol),
        .leader = classic->leader ? classic->leader->id : (struct odk_str){ 0 },
        .current_state_timestamp = classic->state_since_ms,
    };
    group_record_begin(writer, GROUP_RECORD_CLASSIC, GROUP_METADATA_VALUE_VERSION);
    value_members(classic, &writer->arena, &value);
    bool good = group_key_encode(&key, &writer->key, 0) &&
                group_metadata_value_encode(&value, &writer->value, GROUP_METADATA_VALUE_VERSION);
    ASSERT(good);
    durable_set(classic, group_record_end(writer));
}

void classic_remove(struct group *group)
{
    if (group->classic->durable)
        group_record_bytes(groups_writer(group->groups), GROUP_RECORD_CLASSIC, group_id(group),
                           (struct odk_bytes){ 0 });
}

void classic_snapshot(const struct group *group,
                      void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    const struct classic *classic = group->classic;
    struct group_writer writer;
    if (!classic->durable)
        return;
    group_writer_init(&writer, record, context);
    group_record_bytes(&writer, GROUP_RECORD_CLASSIC, group_id(group),
                       (struct odk_bytes){ classic->durable, classic->durable_len });
    group_writer_deinit(&writer);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static enum odk_err value_read(struct odk_bytes bytes, struct arena *arena, struct group_metadata_value *ret)
{
    struct rd r = rd_init(bytes.data, bytes.len);
    int16_t version = rd_i16(&r);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if (version < 0 || version > VALUE_VERSION_MAX)
        return ODK_ERR_VERSION;
    if (!group_metadata_value_decode(ret, &r, arena, version) || rd_left(&r) > 0)
        return ODK_ERR_CORRUPT;
    return ret->members_count > 0 && !ret->protocol.data ? ODK_ERR_CORRUPT : ODK_OK;
}

static enum odk_err member_restore(struct classic *classic, const struct group_metadata_value *value,
                                   const struct group_metadata_value_member_metadata *row)
{
    const struct classic_protocol protocol = { value->protocol, row->subscription };
    const struct classic_member_spec spec = {
        .id = row->member_id,
        .instance_id = row->group_instance_id,
        .client_id = row->client_id,
        .client_host = row->client_host,
        .rebalance_timeout_ms = row->rebalance_timeout == -1 ? row->session_timeout : row->rebalance_timeout,
        .session_timeout_ms = row->session_timeout,
        .protocols = &protocol,
        .protocol_count = 1,
    };
    bool twice = classic_member_find(classic, row->member_id) ||
                 (row->group_instance_id.data && classic_member_find_instance(classic, row->group_instance_id));
    if (twice)
        return ODK_ERR_CORRUPT;
    struct classic_member *member = classic_member_add(classic, &spec, value->protocol_type);
    classic_member_assign(member, row->assignment);
    return ODK_OK;
}

enum odk_err classic_replay(struct group *group, struct odk_bytes bytes)
{
    classic_free(group->classic, KAFKA_NONE);
    group->classic = NULL;
    if (!bytes.data)
        return ODK_OK;
    struct group_metadata_value value;
    arena_reset(&group->groups->reading);
    enum odk_err err = value_read(bytes, &group->groups->reading, &value);
    if (err != ODK_OK)
        return err;
    struct classic *classic = classic_take(group);
    for (int32_t i = 0; i < value.members_count && err == ODK_OK; i++)
        err = member_restore(classic, &value, &value.members[i]);
    classic->generation = value.generation;
    classic->state = classic->members ? CLASSIC_STABLE : CLASSIC_EMPTY;
    classic->state_since_ms = value.current_state_timestamp;
    classic_text_set(&classic->protocol_type,
                     value.protocol_type.len > 0 ? value.protocol_type : (struct odk_str){ 0 });
    classic_text_set(&classic->protocol, value.protocol);
    classic->leader = value.leader.data ? classic_member_find(classic, value.leader) : NULL;
    durable_set(classic, bytes);
    return err;
}

void classic_loaded(struct group *group)
{
    struct classic *classic = group->classic;
    classic_topics_read(classic);
    for (struct classic_member *member = classic->members; member; member = member->by_id.next)
        classic_member_touch(member);
    if (classic_members_count(classic) > (uint32_t)MAX(group->groups->env.config->size_max, 0))
        classic_rebalance(classic, "rebalance: read from the log with more members than group.max.size allows",
                          ODK_STR(""));
}

void classic_restored(struct classic *classic)
{
    struct odk_str protocol = classic_vote(classic);
    classic_text_set(&classic->protocol, protocol);
    classic_topics_read(classic);
    classic_state_set(classic, CLASSIC_STABLE);
    classic_record(classic);
    for (struct classic_member *member = classic->members; member; member = member->by_id.next)
        classic_member_touch(member);
}
