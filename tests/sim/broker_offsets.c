/*
 * What all group actors share: commits and fetches of offsets in every version, and which errors are in order.
 */
#include <stdio.h>
#include <string.h>

#include "broker_fleet.h"
#include "wire/messages.h"

#define VERSION_OFFSETS_OF_GROUPS 8
#define VERSION_OFFSETS_BY_ID     10

bool fleet_excuses_coordinator(struct fleet *fleet, int16_t error, const char *what)
{
    if (error == ERROR_LOADING)
        return true;
    if (error == ERROR_NO_COORDINATOR && !kclient_promised(&fleet->acting->client))
        return true; /* also said to who is sent away when the server stops */
    bool storage = error == ERROR_NO_COORDINATOR || error == ERROR_OTHER_COORDINATOR || error == ERROR_UNKNOWN;
    return fleet_excuses(fleet, storage ? ERROR_STORAGE : error, what, NULL);
}

static const struct model_topic *slot_topic(const struct fleet *fleet, uint32_t slot)
{
    char name[32];
    fleet_long_name(name, slot / MODEL_PARTS_MAX);
    return model_topic_named(&fleet->model, name);
}

bool fleet_slot_exists(const struct fleet *fleet, uint32_t slot)
{
    const struct model_topic *topic = slot_topic(fleet, slot);
    return topic && (int32_t)(slot % MODEL_PARTS_MAX) < topic->part_count;
}

/* -- commits ------------------------------------------------------------------------------------------------------ */

bool commit_send(struct actor *actor, struct commit_load *load, const struct commit_as *as, uint64_t now_ns)
{
    struct fleet *fleet = actor->fleet;
    struct offset_commit_request request;
    struct offset_commit_request_topic topics[GROUP_TOPICS];
    struct offset_commit_request_partition parts[GROUP_SLOTS];
    char notes[GROUP_SLOTS][24];
    int16_t version = kclient_version(&actor->client, KEY_OFFSET_COMMIT, as->version_least, INT16_MAX);
    offset_commit_request_init(&request);
    request.group_id = odk_str_from(load->group->id);
    request.generation_id_or_member_epoch = as->generation;
    request.member_id = as->member_id;
    request.group_instance_id = as->instance_id;
    request.topics = topics;
    int32_t part_count = 0;
    for (uint32_t t = 0; t < GROUP_TOPICS; t++) {
        struct offset_commit_request_topic *topic = &topics[request.topics_count];
        offset_commit_request_topic_init(topic);
        topic->partitions = &parts[part_count];
        for (uint32_t slot = t * MODEL_PARTS_MAX; slot < (t + 1) * MODEL_PARTS_MAX; slot++) {
            if (!load->slots[slot])
                continue;
            load->places[slot] = group_commit_begin(&fleet->groups, load->group, slot, load->generation, false);
            int64_t offset = load->group->slots[slot].commits[load->places[slot]].offset;
            group_metadata_of(offset, notes[part_count]);
            parts[part_count] = (struct offset_commit_request_partition){
                .partition_index = (int32_t)(slot % MODEL_PARTS_MAX),
                .committed_offset = offset,
                .committed_leader_epoch = -1,
                .commit_timestamp = -1,
                .committed_metadata = odk_str_from(notes[part_count]),
            };
            part_count++;
            topic->partitions_count++;
        }
        if (topic->partitions_count == 0)
            continue;
        topic->name = odk_str_from(slot_topic(fleet, t * MODEL_PARTS_MAX)->name);
        topic->topic_id = slot_topic(fleet, t * MODEL_PARTS_MAX)->id;
        request.topics_count++;
    }
    if (part_count == 0 || version < 0)
        return false;
    kclient_send(&actor->client, KEY_OFFSET_COMMIT, version, &request, KCLIENT_ANSWER, load, now_ns);
    return true;
}

static void commit_judge(struct actor *actor, struct commit_load *load, uint32_t slot, int16_t error)
{
    struct fleet *fleet = actor->fleet;
    load->slots[slot] = false;
    if (error == 0) {
        fleet->tally->commits++;
        group_commit_acked(&fleet->groups, load->group, slot, load->places[slot]);
        return;
    }
    load->error = error;
    switch (error) {
    case ERROR_GENERATION:
    case ERROR_MEMBER:
    case ERROR_REBALANCE:
    case ERROR_FENCED_INSTANCE:
    case ERROR_FENCED_EPOCH:
    case ERROR_STALE_EPOCH:
    case ERROR_NO_GROUP:
    case ERROR_LOADING: group_commit_refused(load->group, slot, load->places[slot]); return;
    case ERROR_UNKNOWN_TOPIC:
    case ERROR_UNKNOWN_ID: (void)fleet_excuses_absence(fleet, slot_topic(fleet, slot), "OffsetCommit"); return;
    default: (void)fleet_excuses_coordinator(fleet, error, "OffsetCommit"); return; /* its fate is open */
    }
}

void commit_answered(struct actor *actor, struct commit_load *load, const struct offset_commit_response *reply,
                     int16_t version)
{
    load->error = 0;
    for (int32_t t = 0; t < reply->topics_count; t++) {
        const struct offset_commit_response_topic *topic = &reply->topics[t];
        for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++) {
            const struct model_topic *known = load->slots[slot] ? slot_topic(actor->fleet, slot) : NULL;
            bool same = known && (version >= VERSION_OFFSETS_BY_ID ? odk_uuid_eq(topic->topic_id, known->id)
                                                                    : odk_str_eq(topic->name, odk_str_from(known->name)));
            for (int32_t p = 0; same && p < topic->partitions_count; p++) {
                if (topic->partitions[p].partition_index != (int32_t)(slot % MODEL_PARTS_MAX))
                    continue;
                commit_judge(actor, load, slot, topic->partitions[p].error_code);
                break;
            }
        }
    }
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++) {
        if (load->slots[slot])
            violation_set(actor->fleet->violation, "OffsetCommit: no answer for a partition");
    }
}

/* -- reading back ------------------------------------------------------------------------------------------------- */

void offsets_ask(struct actor *actor, struct group_model *group, const struct commit_as *as, uint64_t now_ns)
{
    struct fleet *fleet = actor->fleet;
    struct offset_fetch_request request;
    struct offset_fetch_request_group asked;
    struct offset_fetch_request_topic old[GROUP_TOPICS];
    struct offset_fetch_request_group_topic topics[GROUP_TOPICS];
    int32_t indexes[MODEL_PARTS_MAX] = { 0, 1, 2, 3 };
    int16_t version = kclient_version(&actor->client, KEY_OFFSET_FETCH, 1, INT16_MAX);
    int32_t count = 0;
    for (uint32_t t = 0; t < GROUP_TOPICS; t++) {
        const struct model_topic *topic = slot_topic(fleet, t * MODEL_PARTS_MAX);
        if (!topic)
            continue;
        offset_fetch_request_topic_init(&old[count]);
        offset_fetch_request_group_topic_init(&topics[count]);
        old[count].name = topics[count].name = odk_str_from(topic->name);
        topics[count].topic_id = topic->id;
        old[count].partition_indexes = topics[count].partition_indexes = indexes;
        old[count].partition_indexes_count = topics[count].partition_indexes_count = topic->part_count;
        count++;
    }
    offset_fetch_request_init(&request);
    offset_fetch_request_group_init(&asked);
    asked.group_id = request.group_id = odk_str_from(group->id);
    if (as->member_id.len > 0) {
        asked.member_id = as->member_id;
        asked.member_epoch = as->generation;
    }
    asked.topics = topics;
    asked.topics_count = count;
    request.topics = old;
    request.topics_count = count;
    request.groups = &asked;
    request.groups_count = 1;
    actor->asking = true;
    kclient_send(&actor->client, KEY_OFFSET_FETCH, version, &request, KCLIENT_ANSWER, group, now_ns);
}

struct seen {
    int16_t error;
    int64_t offset;
    struct odk_str metadata;
};

static bool seen_old(const struct offset_fetch_response *reply, const struct model_topic *topic, int32_t index,
                     struct seen *ret)
{
    for (int32_t t = 0; t < reply->topics_count; t++) {
        const struct offset_fetch_response_topic *found = &reply->topics[t];
        for (int32_t p = 0; p < found->partitions_count && odk_str_eq(found->name, odk_str_from(topic->name)); p++) {
            const struct offset_fetch_response_partition *part = &found->partitions[p];
            *ret = (struct seen){ part->error_code, part->committed_offset, part->metadata };
            if (part->partition_index == index)
                return true;
        }
    }
    return false;
}

static bool seen_new(const struct offset_fetch_response_group *reply, int16_t version, const struct model_topic *topic,
                     int32_t index, struct seen *ret)
{
    for (int32_t t = 0; t < reply->topics_count; t++) {
        const struct offset_fetch_response_group_topic *found = &reply->topics[t];
        bool same = version >= VERSION_OFFSETS_BY_ID ? odk_uuid_eq(found->topic_id, topic->id)
                                                     : odk_str_eq(found->name, odk_str_from(topic->name));
        for (int32_t p = 0; p < found->partitions_count && same; p++) {
            const struct offset_fetch_response_group_topic_partition *part = &found->partitions[p];
            *ret = (struct seen){ part->error_code, part->committed_offset, part->metadata };
            if (part->partition_index == index)
                return true;
        }
    }
    return false;
}

int16_t offsets_answered(struct actor *actor, const struct kcall *call, const struct offset_fetch_response *reply)
{
    struct fleet *fleet = actor->fleet;
    struct group_model *group = call->context;
    bool of_groups = call->version >= VERSION_OFFSETS_OF_GROUPS;
    actor->asking = false;
    if (of_groups && reply->groups_count != 1) {
        violation_set(fleet->violation, "OffsetFetch: %d groups in the answer", reply->groups_count);
        return -1;
    }
    int16_t error = of_groups ? reply->groups[0].error_code : reply->error_code;
    for (uint32_t slot = 0; slot < GROUP_SLOTS && error == 0 && !fleet->violation->found; slot++) {
        const struct model_topic *topic = slot_topic(fleet, slot);
        int32_t index = (int32_t)(slot % MODEL_PARTS_MAX);
        struct seen seen;
        if (!topic || topic->live_moment >= call->moment || index >= topic->part_count ||
            (topic->grown_moment >= call->moment && index > 0))
            continue;
        bool found = of_groups ? seen_new(&reply->groups[0], call->version, topic, index, &seen)
                               : seen_old(reply, topic, index, &seen);
        if (!found)
            violation_set(fleet->violation, "OffsetFetch: no answer for %s-%d", topic->name, index);
        else if (seen.error != 0)
            error = seen.error;
        else
            group_offset_seen(&fleet->groups, group, slot, seen.offset, seen.metadata, call->moment);
    }
    fleet->tally->offsets_seen += error == 0;
    if (error != 0 && error != ERROR_STALE_EPOCH && error != ERROR_MEMBER && error != ERROR_NO_GROUP)
        (void)fleet_excuses_coordinator(fleet, error, "OffsetFetch");
    return error;
}
