/* The offsets of a group and their records: what is committed, forgotten, read from the log. */
#include "base/limits.h"
#include "coordinator/groups_internal.h"
#include "wire/messages.h"

/* The last version that carries its own time of expiry; later ones leave that to the group. */
#define VALUE_VERSION_EXPIRE 1
#define VALUE_VERSION_MAX    4

/* -- records ------------------------------------------------------------------------------------------------------ */

static void write_offset(struct group_writer *writer, const struct group *group, struct odk_str topic,
                         int32_t partition, const struct offset_fact *fact)
{
    const struct offset_commit_key key = { .group = group_id(group), .topic = topic, .partition = partition };
    int16_t version = !fact                   ? GROUP_RECORD_TOMBSTONE
                      : fact->expire_ms != -1 ? VALUE_VERSION_EXPIRE
                                              : OFFSET_COMMIT_VALUE_VERSION;
    group_record_begin(writer, GROUP_RECORD_OFFSET, version);
    bool good = offset_commit_key_encode(&key, &writer->key, GROUP_RECORD_OFFSET);
    if (fact) {
        const struct offset_commit_value value = {
            .offset = fact->offset,
            .leader_epoch = fact->leader_epoch,
            .metadata = fact->metadata,
            .commit_timestamp = fact->commit_ms,
            .expire_timestamp = fact->expire_ms,
        };
        good &= offset_commit_value_encode(&value, &writer->value, version);
    }
    ASSERT(good);
    (void)group_record_end(writer);
}

void group_offset_set(struct group *group, struct odk_str topic, int32_t partition, const struct offset_fact *fact)
{
    write_offset(groups_writer(group->groups), group, topic, partition, fact);
    offsets_apply(&group->offsets, topic, partition, fact);
}

void group_offsets_forget_all(struct group *group)
{
    struct offsets_topic *topic, *next;
    HASH_ITER(by_name, group->offsets.by_name, topic, next)
    {
        int32_t after;
        for (int32_t at = offsets_topic_next(topic, 0); at >= 0; at = after) {
            after = offsets_topic_next(topic, at + 1);
            group_offset_set(group, offsets_topic_name(topic), at, NULL);
            groups_flush_if_large(group->groups);
        }
    }
    ASSERT(group->offsets.count == 0);
}

void group_offsets_snapshot(const struct group *group,
                            void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    struct group_writer writer;
    group_writer_init(&writer, record, context);
    const struct offsets_topic *topic, *next;
    HASH_ITER(by_name, group->offsets.by_name, topic, next)
    {
        for (int32_t at = offsets_topic_next(topic, 0); at >= 0; at = offsets_topic_next(topic, at + 1))
            write_offset(&writer, group, offsets_topic_name(topic), at, offsets_topic_fact(topic, at));
    }
    group_writer_deinit(&writer);
}

/* -- replay ------------------------------------------------------------------------------------------------------- */

static enum odk_err fact_read(struct arena *arena, struct odk_bytes bytes, struct offset_fact *ret)
{
    struct offset_commit_value value;
    struct rd r = rd_init(bytes.data, bytes.len);
    int16_t version = rd_i16(&r);
    if (r.bad)
        return ODK_ERR_CORRUPT;
    if (version < 0 || version > VALUE_VERSION_MAX)
        return ODK_ERR_VERSION;
    if (!offset_commit_value_decode(&value, &r, arena, version) || rd_left(&r) > 0)
        return ODK_ERR_CORRUPT;
    *ret = (struct offset_fact){
        .offset = value.offset,
        .leader_epoch = value.leader_epoch,
        .metadata = value.metadata,
        .commit_ms = value.commit_timestamp,
        .expire_ms = value.expire_timestamp,
    };
    return ODK_OK;
}

enum odk_err groups_offset_replay(struct groups *groups, int16_t kind, struct odk_bytes key_rest,
                                  struct odk_bytes value)
{
    struct offset_commit_key key;
    struct rd r = rd_init(key_rest.data, key_rest.len);
    arena_reset(&groups->reading);
    if (!offset_commit_key_decode(&key, &r, &groups->reading, kind) || rd_left(&r) > 0)
        return ODK_ERR_CORRUPT;
    if (key.partition < 0 || key.partition >= PARTITIONS_PER_TOPIC_MAX)
        return ODK_ERR_CORRUPT;
    struct offset_fact fact;
    enum odk_err err = value.data ? fact_read(&groups->reading, value, &fact) : ODK_OK;
    if (err != ODK_OK)
        return err;
    struct group *group = value.data ? groups_take(groups, key.group) : groups_find(groups, key.group);
    if (!group)
        return ODK_OK;
    offsets_apply(&group->offsets, key.topic, key.partition, value.data ? &fact : NULL);
    groups_tidy(group);
    return ODK_OK;
}
