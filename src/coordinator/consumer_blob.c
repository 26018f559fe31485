#include "coordinator/consumer_blob.h"

#include "coordinator/groups_internal.h"
#include "wire/out.h"

#define VERSION_MAX 3

static bool version_read(struct rd *r, int16_t *ret)
{
    int16_t version = rd_i16(r);
    *ret = MIN(version, (int16_t)VERSION_MAX);
    return !r->bad && version >= 0;
}

bool subscription_read(struct odk_bytes bytes, struct arena *arena, struct consumer_protocol_subscription *ret,
                       int16_t *ret_version)
{
    struct rd r = rd_init(bytes.data, bytes.len);
    return version_read(&r, ret_version) && consumer_protocol_subscription_decode(ret, &r, arena, *ret_version);
}

/* The partitions of one topic that exist, behind what is there already. */
static void add_topic(const struct groups *groups, struct odk_str name, const int32_t *partitions, int32_t count,
                      struct tp_set *set)
{
    struct group_topic topic;
    if (!groups->env.topic_by_name(groups->env.context, name, &topic))
        return;
    for (int32_t i = 0; i < count; i++)
        if (partitions[i] >= 0 && partitions[i] < topic.partition_count)
            set->at[set->count++] = (struct tp){ .topic = topic.id, .partition = partitions[i] };
}

bool subscription_read_any(const struct consumer_group_member_metadata_value_supported_protocol *protocols,
                           int32_t count, struct arena *arena, struct consumer_protocol_subscription *ret,
                           int16_t *ret_version)
{
    bool good = false;
    for (int32_t i = 0; i < count && !good; i++)
        good = subscription_read(protocols[i].metadata, arena, ret, ret_version);
    return good;
}

struct tp_set subscription_owned(const struct groups *groups, const struct consumer_protocol_subscription *subscription,
                                 struct arena *arena)
{
    size_t total = 0;
    for (int32_t i = 0; i < subscription->owned_partitions_count; i++)
        total += (size_t)subscription->owned_partitions[i].partitions_count;
    struct tp_set set = { .at = tp_room(arena, total) };
    for (int32_t i = 0; i < subscription->owned_partitions_count; i++)
        add_topic(groups, subscription->owned_partitions[i].topic, subscription->owned_partitions[i].partitions,
                  subscription->owned_partitions[i].partitions_count, &set);
    return tp_sorted(set.at, set.count);
}

bool assignment_read(const struct groups *groups, struct odk_bytes bytes, struct arena *arena, struct tp_set *ret)
{
    struct consumer_protocol_assignment assignment;
    struct rd r = rd_init(bytes.data, bytes.len);
    int16_t version;
    *ret = (struct tp_set){ 0 };
    if (bytes.len == 0)
        return true; /* the member has none yet */
    if (!version_read(&r, &version) || !consumer_protocol_assignment_decode(&assignment, &r, arena, version) ||
        assignment.user_data.len > 0)
        return false;
    size_t total = 0;
    for (int32_t i = 0; i < assignment.assigned_partitions_count; i++)
        total += (size_t)assignment.assigned_partitions[i].partitions_count;
    ret->at = tp_room(arena, total);
    for (int32_t i = 0; i < assignment.assigned_partitions_count; i++)
        add_topic(groups, assignment.assigned_partitions[i].topic, assignment.assigned_partitions[i].partitions,
                  assignment.assigned_partitions[i].partitions_count, ret);
    *ret = tp_sorted(ret->at, ret->count);
    return true;
}

static struct odk_bytes in_one_piece(struct out *out)
{
    const struct iovec *parts;
    uint32_t count;
    uint8_t *bytes = out_iov(out, &parts, &count) ? arena_alloc(out->arena, out_bytes(out), 1) : NULL;
    if (!bytes)
        return (struct odk_bytes){ 0 };
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    return (struct odk_bytes){ .data = bytes, .len = len };
}

struct odk_bytes assignment_write(const struct groups *groups, const struct tp_set *set, int16_t version,
                                  struct arena *arena)
{
    struct consumer_protocol_assignment assignment = { 0 };
    struct out out;
    int32_t count;
    struct tp_run *runs = tp_runs(set, arena, &count);
    assignment.assigned_partitions =
        arena_new(arena, struct consumer_protocol_assignment_assigned_partition, (size_t)count);
    if (!runs || !assignment.assigned_partitions)
        return (struct odk_bytes){ 0 };
    for (int32_t i = 0; i < count; i++) {
        struct group_topic topic;
        if (!groups->env.topic_by_id(groups->env.context, runs[i].topic, &topic))
            continue;
        assignment.assigned_partitions[assignment.assigned_partitions_count++] =
            (struct consumer_protocol_assignment_assigned_partition){ .topic = topic.name,
                                                                      .partitions = runs[i].partitions,
                                                                      .partitions_count = runs[i].count };
    }
    out_init(&out, arena);
    out_i16(&out, version);
    bool good = consumer_protocol_assignment_encode(&assignment, &out, version);
    return good ? in_one_piece(&out) : (struct odk_bytes){ 0 };
}
