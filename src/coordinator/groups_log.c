/* Groups from their log and back: which record belongs to what. */
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

static enum odk_err replay_classic(struct groups *groups, struct odk_bytes key_rest, struct odk_bytes value)
{
    struct group_key key;
    struct rd r = rd_init(key_rest.data, key_rest.len);
    arena_reset(&groups->reading);
    if (!group_key_decode(&key, &r, &groups->reading, 0) || rd_left(&r) > 0)
        return ODK_ERR_CORRUPT;
    struct group *group = value.data ? groups_take(groups, key.group_id) : groups_find(groups, key.group_id);
    if (!group)
        return ODK_OK;
    if (value.data && group->modern) {
        modern_free(group->modern, KAFKA_NONE);
        group->modern = NULL;
    }
    enum odk_err err = classic_replay(group, value);
    groups_tidy(group);
    return err;
}

static bool is_offset(int16_t kind)
{
    return kind == GROUP_RECORD_OFFSET || kind == GROUP_RECORD_OFFSET_OLD;
}

static enum odk_err replay(struct groups *groups, int16_t kind, struct odk_bytes key_rest, struct odk_bytes value)
{
    if (is_offset(kind)) {
        groups_pending_overtake(groups, key_rest, UINT64_MAX);
        return groups_offset_replay(groups, kind, key_rest, value);
    }
    if (kind == GROUP_RECORD_CLASSIC)
        return replay_classic(groups, key_rest, value);
    if ((kind >= GROUP_RECORD_CONSUMER && kind <= GROUP_RECORD_CURRENT) || kind == GROUP_RECORD_REGEX)
        return modern_replay(groups, kind, key_rest, value);
    return ODK_OK;
}

enum odk_err groups_replay_of(struct groups *groups, int64_t producer_id, struct odk_bytes key, struct odk_bytes value)
{
    ASSERT(groups->loading);
    struct rd r = rd_init(key.data, key.len);
    int16_t kind = rd_i16(&r);
    struct odk_bytes rest = { .data = r.at, .len = rd_left(&r) };
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if (producer_id < 0 || !is_offset(kind) || !value.data)
        return replay(groups, kind, rest, value);
    groups_pending_add(groups, producer_id, kind, rest, value);
    return ODK_OK;
}

enum odk_err groups_replay(struct groups *groups, struct odk_bytes key, struct odk_bytes value)
{
    return groups_replay_of(groups, -1, key, value);
}

void groups_snapshot(const struct groups *groups,
                     void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    struct group *group, *next;
    HASH_ITER(by_id, groups->by_id, group, next)
    {
        group_offsets_snapshot(group, record, context);
        if (group->classic)
            classic_snapshot(group, record, context);
        if (group->modern)
            modern_snapshot(group, record, context);
    }
}

static void count_one(void *context, struct odk_bytes key, struct odk_bytes value)
{
    (void)key;
    (void)value;
    ++*(uint64_t *)context;
}

uint64_t groups_fact_count(const struct groups *groups)
{
    uint64_t count = 0;
    groups_snapshot(groups, count_one, &count);
    return count;
}
