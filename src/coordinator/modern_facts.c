/*
 * What a restart must know of a newer group: one record for each fact, written and applied in the same turn.
 *
 *   kind  of              says
 *      3  group           epoch, hash of the subscribed topics
 *      5  member          what it said of itself
 *      6  group           epoch of the target
 *      7  member          its part of the target
 *      8  member          its epochs, its state, what it owns and gives up
 *     16  group, pattern  the topics that it matched
 */
#include "coordinator/modern.h"

#define VALUE_VERSION 0

/* -- writing ------------------------------------------------------------------------------------------------------ */

/* Begins a record of the group, of one of its members, or of one of its patterns. */
static void begin_group(struct group_writer *writer, enum group_record_kind kind, const struct group *group,
                        int16_t version)
{
    struct group_key key = { .group_id = group_id(group) };
    group_record_begin(writer, kind, version);
    bool good = group_key_encode(&key, &writer->key, 0);
    ASSERT(good);
}

static void begin_member(struct group_writer *writer, enum group_record_kind kind, const struct group *group,
                         struct odk_str member_id, int16_t version)
{
    struct group_member_key key = { .group_id = group_id(group), .member_id = member_id };
    group_record_begin(writer, kind, version);
    bool good = group_member_key_encode(&key, &writer->key, 0);
    ASSERT(good);
}

static void begin_regex(struct group_writer *writer, const struct group *group, struct odk_str text, int16_t version)
{
    struct consumer_group_regular_expression_key key = { .group_id = group_id(group), .regular_expression = text };
    group_record_begin(writer, GROUP_RECORD_REGEX, version);
    bool good = consumer_group_regular_expression_key_encode(&key, &writer->key, 0);
    ASSERT(good);
}

static void end(struct group_writer *writer, bool good)
{
    ASSERT(good);
    group_record_end(writer);
}

static void write_epoch(struct group_writer *writer, const struct group *group, int32_t epoch, int64_t hash)
{
    struct consumer_group_metadata_value value = { .epoch = epoch, .metadata_hash = hash };
    begin_group(writer, GROUP_RECORD_CONSUMER, group, VALUE_VERSION);
    end(writer, consumer_group_metadata_value_encode(&value, &writer->value, VALUE_VERSION));
}

static void write_told(struct group_writer *writer, const struct group *group, struct odk_str member_id,
                       const struct consumer_group_member_metadata_value *told)
{
    begin_member(writer, GROUP_RECORD_MEMBER, group, member_id, VALUE_VERSION);
    end(writer, consumer_group_member_metadata_value_encode(told, &writer->value, VALUE_VERSION));
}

static void write_target_epoch(struct group_writer *writer, const struct group *group, int32_t epoch, int64_t wall_ms)
{
    struct consumer_group_target_assignment_metadata_value value = { .assignment_epoch = epoch,
                                                                     .assignment_timestamp = wall_ms };
    begin_group(writer, GROUP_RECORD_TARGET, group, VALUE_VERSION);
    end(writer, consumer_group_target_assignment_metadata_value_encode(&value, &writer->value, VALUE_VERSION));
}

static void write_target(struct group_writer *writer, const struct group *group, struct odk_str member_id,
                         const struct tp_set *target)
{
    begin_member(writer, GROUP_RECORD_TARGET_MEMBER, group, member_id, VALUE_VERSION);
    struct consumer_group_target_assignment_member_value value = { 0 };
    struct tp_run *runs = tp_runs(target, &writer->arena, &value.topic_partitions_count);
    size_t count = (size_t)value.topic_partitions_count;
    value.topic_partitions =
        arena_new(&writer->arena, struct consumer_group_target_assignment_member_value_topic_partition, count);
    ASSERT(runs != NULL && value.topic_partitions != NULL);
    for (size_t i = 0; i < count; i++) {
        value.topic_partitions[i].topic_id = runs[i].topic;
        value.topic_partitions[i].partitions = runs[i].partitions;
        value.topic_partitions[i].partitions_count = runs[i].count;
    }
    end(writer, consumer_group_target_assignment_member_value_encode(&value, &writer->value, VALUE_VERSION));
}

static struct consumer_group_current_member_assignment_value_topic_partitions *
current_topics(const struct tp_set *set, struct arena *arena, int32_t *ret_count)
{
    struct tp_run *runs = tp_runs(set, arena, ret_count);
    size_t count = (size_t)*ret_count;
    struct consumer_group_current_member_assignment_value_topic_partitions *topics =
        arena_new(arena, struct consumer_group_current_member_assignment_value_topic_partitions, count);
    ASSERT(runs != NULL && topics != NULL);
    for (size_t i = 0; i < count; i++) {
        topics[i].topic_id = runs[i].topic;
        topics[i].partitions = runs[i].partitions;
        topics[i].partitions_count = runs[i].count;
        topics[i].assignment_epochs = runs[i].epochs;
        topics[i].assignment_epochs_count = runs[i].count;
    }
    return topics;
}

static void write_current(struct group_writer *writer, const struct group *group, struct odk_str member_id,
                          const struct modern_current *current)
{
    begin_member(writer, GROUP_RECORD_CURRENT, group, member_id, VALUE_VERSION);
    struct consumer_group_current_member_assignment_value value = { .member_epoch = current->epoch,
                                                                    .previous_member_epoch = current->previous_epoch,
                                                                    .state = (int8_t)current->state };
    value.assigned_partitions = current_topics(&current->assigned, &writer->arena, &value.assigned_partitions_count);
    value.partitions_pending_revocation =
        current_topics(&current->revoking, &writer->arena, &value.partitions_pending_revocation_count);
    end(writer, consumer_group_current_member_assignment_value_encode(&value, &writer->value, VALUE_VERSION));
}

static void write_regex(struct group_writer *writer, const struct group *group, struct odk_str text,
                        const struct modern_match *match)
{
    struct consumer_group_regular_expression_value value = { .topics = match->topics,
                                                             .topics_count = (int32_t)match->count,
                                                             .timestamp = match->at_ms };
    begin_regex(writer, group, text, VALUE_VERSION);
    end(writer, consumer_group_regular_expression_value_encode(&value, &writer->value, VALUE_VERSION));
}

/* -- facts -------------------------------------------------------------------------------------------------------- */

static struct group_writer *writer_of(const struct modern *modern)
{
    return groups_writer(modern_groups(modern));
}

static int64_t wall_ms(const struct modern *modern)
{
    return *modern_groups(modern)->env.wall_ms;
}

void modern_put_epoch(struct modern *modern, int32_t epoch, int64_t hash)
{
    write_epoch(writer_of(modern), modern->group, epoch, hash);
    modern_apply_epoch(modern, epoch, hash);
}

struct modern_member *modern_put_told(struct modern *modern, struct odk_str member_id,
                                      const struct consumer_group_member_metadata_value *told)
{
    write_told(writer_of(modern), modern->group, member_id, told);
    modern_apply_told(modern, member_id, told);
    return modern_member_find(modern, member_id);
}

void modern_put_target_epoch(struct modern *modern, int32_t epoch)
{
    write_target_epoch(writer_of(modern), modern->group, epoch, wall_ms(modern));
    modern_apply_target_epoch(modern, epoch, wall_ms(modern));
}

void modern_put_target(struct modern_member *member, const struct tp_set *target)
{
    struct modern *modern = member->modern;
    write_target(writer_of(modern), modern->group, modern_member_id(member), target);
    modern_apply_target(modern, modern_member_id(member), target);
}

void modern_put_current(struct modern_member *member, const struct modern_current *current)
{
    struct modern *modern = member->modern;
    write_current(writer_of(modern), modern->group, modern_member_id(member), current);
    modern_apply_current(modern, modern_member_id(member), current);
}

void modern_put_regex(struct modern *modern, struct odk_str text, struct odk_str *topics, uint32_t count)
{
    struct modern_match match = { .topics = topics, .count = count, .at_ms = wall_ms(modern) };
    write_regex(writer_of(modern), modern->group, text, &match);
    modern_apply_regex(modern, text, &match);
}

void modern_drop_regex(struct modern *modern, struct modern_regex *regex)
{
    begin_regex(writer_of(modern), modern->group, modern_regex_text(regex), GROUP_RECORD_TOMBSTONE);
    group_record_end(writer_of(modern));
    modern_apply_regex(modern, modern_regex_text(regex), NULL);
}

static void tombstone(struct modern *modern, enum group_record_kind kind, struct odk_str member_id)
{
    begin_member(writer_of(modern), kind, modern->group, member_id, GROUP_RECORD_TOMBSTONE);
    group_record_end(writer_of(modern));
}

void modern_drop_member(struct modern_member *member)
{
    struct modern *modern = member->modern;
    struct odk_str id = modern_member_id(member);
    tombstone(modern, GROUP_RECORD_CURRENT, id);
    modern_apply_current(modern, id, NULL);
    tombstone(modern, GROUP_RECORD_TARGET_MEMBER, id);
    modern_apply_target(modern, id, NULL);
    tombstone(modern, GROUP_RECORD_MEMBER, id);
    modern_apply_told(modern, id, NULL);
}

void modern_remove(struct group *group)
{
    struct modern *modern = group->modern;
    struct group_writer *writer = writer_of(modern);
    struct modern_member *member, *next;
    HASH_ITER(by_id, modern->members, member, next)
    modern_drop_member(member);
    modern_regexes_tidy(modern);
    ASSERT(modern->regexes == NULL);
    begin_group(writer, GROUP_RECORD_TARGET, group, GROUP_RECORD_TOMBSTONE);
    group_record_end(writer);
    begin_group(writer, GROUP_RECORD_CONSUMER, group, GROUP_RECORD_TOMBSTONE);
    group_record_end(writer);
}

/* -- the log in short --------------------------------------------------------------------------------------------- */

static void write_member(struct group_writer *writer, const struct group *group, const struct modern_member *member)
{
    struct odk_str id = modern_member_id(member);
    struct modern_current current = { .epoch = member->epoch,
                                      .previous_epoch = member->previous_epoch,
                                      .state = member->state,
                                      .assigned = member->assigned,
                                      .revoking = member->revoking };
    if (member->told) /* a host counts facts before groups_loaded has sorted out what a strange log left behind */
        write_told(writer, group, id, member->told);
    write_target(writer, group, id, &member->target);
    write_current(writer, group, id, &current);
}

void modern_snapshot(const struct group *group,
                     void (*record)(void *context, struct odk_bytes key, struct odk_bytes value), void *context)
{
    const struct modern *modern = group->modern;
    struct group_writer writer;
    group_writer_init(&writer, record, context);
    write_epoch(&writer, group, modern->epoch, modern->hash);
    write_target_epoch(&writer, group, modern->target_epoch, modern->target_ms);
    for (const struct modern_member *member = modern->members; member; member = member->by_id.next)
        write_member(&writer, group, member);
    for (const struct modern_regex *regex = modern->regexes; regex; regex = regex->by_text.next)
        if (regex->match.topics)
            write_regex(&writer, group, modern_regex_text(regex), &regex->match);
    group_writer_deinit(&writer);
}
