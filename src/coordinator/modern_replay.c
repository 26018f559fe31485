/* A newer group from its log: see modern_facts.c for what the records say. */
#include "coordinator/modern.h"

#include "base/limits.h"
#include "coordinator/consumer_blob.h"
#include "coordinator/texts.h"

#define VALUE_VERSION 0

/* What a fact is about. own: the member's id or the pattern; empty for facts of the whole group. */
struct subject {
    struct odk_str group_id;
    struct odk_str own;
};

static bool read_group_key(struct rd *key, struct arena *scratch, struct subject *ret)
{
    struct group_key fields;
    if (!group_key_decode(&fields, key, scratch, 0))
        return false;
    *ret = (struct subject){ .group_id = fields.group_id };
    return true;
}

static bool read_member_key(struct rd *key, struct arena *scratch, struct subject *ret)
{
    struct group_member_key fields;
    if (!group_member_key_decode(&fields, key, scratch, 0))
        return false;
    *ret = (struct subject){ .group_id = fields.group_id, .own = fields.member_id };
    return fields.member_id.len > 0;
}

static bool read_regex_key(struct rd *key, struct arena *scratch, struct subject *ret)
{
    struct consumer_group_regular_expression_key fields;
    if (!consumer_group_regular_expression_key_decode(&fields, key, scratch, 0))
        return false;
    *ret = (struct subject){ .group_id = fields.group_id, .own = fields.regular_expression };
    return fields.regular_expression.len > 0;
}

/* -- sets of partitions ------------------------------------------------------------------------------------------- */

static bool room_for(struct arena *scratch, size_t count, struct tp_set *ret)
{
    *ret = (struct tp_set){ .at = arena_new(scratch, struct tp, count) };
    return ret->at != NULL;
}

/* False when a number is none of a partition. */
static bool add_all(struct tp_set *set, struct odk_uuid topic, const int32_t *partitions, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (partitions[i] < 0 || partitions[i] >= PARTITIONS_PER_TOPIC_MAX)
            return false;
        set->at[set->count++] = (struct tp){ .topic = topic, .partition = partitions[i] };
    }
    return true;
}

static bool target_of(const struct consumer_group_target_assignment_member_value *value, struct arena *scratch,
                      struct tp_set *ret)
{
    size_t total = 0;
    for (int32_t i = 0; i < value->topic_partitions_count; i++)
        total += (size_t)value->topic_partitions[i].partitions_count;
    if (!room_for(scratch, total, ret))
        return false;
    for (int32_t i = 0; i < value->topic_partitions_count; i++)
        if (!add_all(ret, value->topic_partitions[i].topic_id, value->topic_partitions[i].partitions,
                     value->topic_partitions[i].partitions_count))
            return false;
    *ret = tp_sorted(ret->at, ret->count);
    return true;
}

/* epoch: of partitions for which the record says none, as old ones do. */
static bool current_of(const struct consumer_group_current_member_assignment_value_topic_partitions *topics,
                       int32_t count, int32_t epoch, struct arena *scratch, struct tp_set *ret)
{
    size_t total = 0;
    for (int32_t i = 0; i < count; i++)
        total += (size_t)topics[i].partitions_count;
    if (!room_for(scratch, total, ret))
        return false;
    for (int32_t i = 0; i < count; i++) {
        struct tp *first = &ret->at[ret->count];
        bool epochs = topics[i].assignment_epochs_count == topics[i].partitions_count;
        if (!add_all(ret, topics[i].topic_id, topics[i].partitions, topics[i].partitions_count))
            return false;
        for (int32_t j = 0; j < topics[i].partitions_count; j++)
            first[j].epoch = epochs ? topics[i].assignment_epochs[j] : epoch;
    }
    *ret = tp_sorted(ret->at, ret->count);
    return true;
}

/* -- values ------------------------------------------------------------------------------------------------------- */

/* Each reads a value and applies it; value NULL: a tombstone. False: not what the schema says. */

/* There must be a next one. */
static bool epoch_good(int32_t epoch)
{
    return epoch >= 0 && epoch < INT32_MAX;
}

static bool read_epoch(struct modern *modern, struct odk_str own, struct rd *value)
{
    (void)own;
    struct consumer_group_metadata_value fields = { 0 };
    if (value && !consumer_group_metadata_value_decode(&fields, value, modern_scratch(modern), VALUE_VERSION))
        return false;
    if (!epoch_good(fields.epoch))
        return false;
    modern_apply_epoch(modern, fields.epoch, fields.metadata_hash);
    return true;
}

/* Whoever speaks the classic protocol has said something that can be read. */
static bool classic_good(const struct consumer_group_member_metadata_value *told, struct arena *scratch)
{
    struct consumer_protocol_subscription subscription;
    int16_t version;
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic = told->classic_member_metadata;
    return !classic || subscription_read_any(classic->supported_protocols, classic->supported_protocols_count, scratch,
                                             &subscription, &version);
}

static bool read_told(struct modern *modern, struct odk_str own, struct rd *value)
{
    struct consumer_group_member_metadata_value fields;
    if (value && !consumer_group_member_metadata_value_decode(&fields, value, modern_scratch(modern), VALUE_VERSION))
        return false;
    if (value && !classic_good(&fields, modern_scratch(modern)))
        return false;
    if (value)
        fields.subscribed_topic_names_count =
            (int32_t)texts_sort(fields.subscribed_topic_names, (uint32_t)fields.subscribed_topic_names_count);
    modern_apply_told(modern, own, value ? &fields : NULL);
    return true;
}

static bool read_target_epoch(struct modern *modern, struct odk_str own, struct rd *value)
{
    (void)own;
    struct consumer_group_target_assignment_metadata_value fields = { 0 };
    if (value &&
        !consumer_group_target_assignment_metadata_value_decode(&fields, value, modern_scratch(modern), VALUE_VERSION))
        return false;
    if (!epoch_good(fields.assignment_epoch))
        return false;
    modern_apply_target_epoch(modern, fields.assignment_epoch, fields.assignment_timestamp);
    return true;
}

static bool read_target(struct modern *modern, struct odk_str own, struct rd *value)
{
    struct arena *scratch = modern_scratch(modern);
    struct consumer_group_target_assignment_member_value fields;
    struct tp_set target = { 0 };
    if (value && (!consumer_group_target_assignment_member_value_decode(&fields, value, scratch, VALUE_VERSION) ||
                  !target_of(&fields, scratch, &target)))
        return false;
    modern_apply_target(modern, own, value ? &target : NULL);
    return true;
}

static bool read_current(struct modern *modern, struct odk_str own, struct rd *value)
{
    struct arena *scratch = modern_scratch(modern);
    struct consumer_group_current_member_assignment_value fields;
    struct modern_current current = { 0 };
    if (!value) {
        modern_apply_current(modern, own, NULL);
        return true;
    }
    if (!consumer_group_current_member_assignment_value_decode(&fields, value, scratch, VALUE_VERSION) ||
        !current_of(fields.assigned_partitions, fields.assigned_partitions_count, fields.member_epoch, scratch,
                    &current.assigned) ||
        !current_of(fields.partitions_pending_revocation, fields.partitions_pending_revocation_count,
                    fields.member_epoch, scratch, &current.revoking))
        return false;
    /* A state that is not known comes from a newer Kafka: the member is brought to its target from wherever it is. */
    bool known = fields.state >= MODERN_STABLE && fields.state <= MODERN_UNRELEASED;
    current.state = known ? (enum modern_member_state)fields.state : MODERN_UNRELEASED;
    current.epoch = fields.member_epoch;
    current.previous_epoch = fields.previous_member_epoch;
    current.revoking = tp_without(&current.revoking, &current.assigned, scratch);
    modern_apply_current(modern, own, &current);
    return true;
}

static bool read_regex(struct modern *modern, struct odk_str own, struct rd *value)
{
    struct consumer_group_regular_expression_value fields;
    struct modern_match match = { 0 };
    if (value) {
        if (!consumer_group_regular_expression_value_decode(&fields, value, modern_scratch(modern), VALUE_VERSION))
            return false;
        match.topics = fields.topics;
        match.count = texts_sort(fields.topics, (uint32_t)fields.topics_count);
        match.at_ms = fields.timestamp;
    }
    modern_apply_regex(modern, own, value ? &match : NULL);
    return true;
}

/* -- records ------------------------------------------------------------------------------------------------------ */

struct kind {
    bool (*key)(struct rd *key, struct arena *scratch, struct subject *ret);
    bool (*value)(struct modern *modern, struct odk_str own, struct rd *value);
};

static const struct kind kinds[] = {
    [GROUP_RECORD_CONSUMER] = { read_group_key, read_epoch },
    [GROUP_RECORD_MEMBER] = { read_member_key, read_told },
    [GROUP_RECORD_TARGET] = { read_group_key, read_target_epoch },
    [GROUP_RECORD_TARGET_MEMBER] = { read_member_key, read_target },
    [GROUP_RECORD_CURRENT] = { read_member_key, read_current },
    [GROUP_RECORD_REGEX] = { read_regex_key, read_regex },
};

/* Facts of a group that is gone are gone with it, whatever is left of them in the log. */
static void replay_tombstone(struct groups *groups, const struct kind *kind, const struct subject *subject)
{
    struct group *group = groups_find(groups, subject->group_id);
    if (!group || !group->modern)
        return;
    if (kind->value != read_epoch) {
        bool good = kind->value(group->modern, subject->own, NULL);
        ASSERT(good);
        return;
    }
    modern_free(group->modern, KAFKA_NONE);
    group->modern = NULL;
    groups_tidy(group);
}

static enum odk_err replay_value(struct groups *groups, const struct kind *kind, const struct subject *subject,
                                 struct odk_bytes bytes)
{
    struct rd value = rd_init(bytes.data, bytes.len);
    int16_t version = rd_i16(&value);
    if (value.bad)
        return ODK_ERR_CORRUPT;
    if (version != VALUE_VERSION)
        return ODK_ERR_VERSION;
    struct group *group = groups_take(groups, subject->group_id);
    classic_free(group->classic, KAFKA_NONE); /* the group has gone over to the newer protocol */
    group->classic = NULL;
    bool good = kind->value(modern_take(group), subject->own, &value);
    return good && rd_left(&value) == 0 ? ODK_OK : ODK_ERR_CORRUPT;
}

enum odk_err modern_replay(struct groups *groups, int16_t number, struct odk_bytes key_rest, struct odk_bytes value)
{
    const struct kind *kind = (size_t)number < countof(kinds) ? &kinds[number] : NULL;
    if (!kind || !kind->key)
        return ODK_OK;
    struct rd key = rd_init(key_rest.data, key_rest.len);
    struct subject subject;
    enum odk_err err = ODK_OK;
    if (!kind->key(&key, &groups->scratch, &subject) || rd_left(&key) > 0 || subject.group_id.len == 0)
        err = ODK_ERR_CORRUPT;
    else if (value.data)
        err = replay_value(groups, kind, &subject, value);
    else
        replay_tombstone(groups, kind, &subject);
    arena_reset(&groups->scratch);
    return err;
}
