/* ConsumerGroupHeartbeat: a member joins, says what it wants and owns, and learns what it may own. */
#include "coordinator/modern.h"

#include "base/limits.h"
#include "base/uuid.h"
#include "coordinator/modern_migrate.h"
#include "coordinator/texts.h"

/* A heartbeat on its way through the checks; only when all are passed does anything change. */
struct beat {
    struct group *group;
    struct group_call *call;
    const struct consumer_group_heartbeat_request *in;
    struct odk_str member_id;
    struct modern_member *member;   /* NULL: new */
    struct modern_member *replaced; /* the static member whose place it takes; NULL: none */
    struct consumer_group_member_metadata_value told;
    struct modern_match match; /* of a regular expression that is new to the group */
    struct tp_set owned_set;
    const struct tp_set *owned; /* NULL: it does not say */
};

#define REFUSE(beat, error, ...) (modern_refuse((beat)->group, (beat)->call, (error), __VA_ARGS__), false)

static struct arena *scratch_of(const struct beat *beat)
{
    return &beat->group->groups->scratch;
}

static bool joins(const struct beat *beat)
{
    return beat->in->member_epoch == MODERN_EPOCH_JOIN;
}

static void read_owned(struct beat *beat)
{
    const struct consumer_group_heartbeat_request *in = beat->in;
    size_t total = 0;
    if (in->topic_partitions_count < 0)
        return;
    for (int32_t i = 0; i < in->topic_partitions_count; i++)
        total += (size_t)in->topic_partitions[i].partitions_count;
    struct tp *at = tp_room(scratch_of(beat), total);
    uint32_t count = 0;
    for (int32_t i = 0; i < in->topic_partitions_count; i++)
        for (int32_t j = 0; j < in->topic_partitions[i].partitions_count; j++)
            at[count++] = (struct tp){ .topic = in->topic_partitions[i].topic_id,
                                       .partition = in->topic_partitions[i].partitions[j] };
    beat->owned_set = tp_sorted(at, count);
    beat->owned = &beat->owned_set;
}

/* -- who is it ---------------------------------------------------------------------------------------------------- */

/* Before version 1 the coordinator makes the id. */
static bool name_member(struct beat *beat)
{
    struct odk_uuid id;
    const struct groups_env *env = &beat->group->groups->env;
    beat->member_id = beat->in->member_id;
    if (beat->member_id.len > 0)
        return true;
    char *text = arena_alloc(beat->call->arena, UUID_TEXT_LEN + 1, 1);
    if (!text)
        return REFUSE(beat, KAFKA_UNKNOWN_SERVER_ERROR, "out of memory");
    do { /* ids that begin with a dash look like options in a shell */
        env->random(env->context, id.b, sizeof(id.b));
        uuid_print(id, text);
    } while (text[0] == '-');
    beat->member_id = (struct odk_str){ .data = text, .len = UUID_TEXT_LEN };
    return true;
}

static bool find_dynamic(struct beat *beat, const struct modern *modern)
{
    beat->member = modern_member_find(modern, beat->member_id);
    if (!beat->member && !joins(beat))
        return REFUSE(beat, KAFKA_UNKNOWN_MEMBER_ID, "the group has no member %.*s", ODK_STR_FMT(beat->member_id));
    return !beat->member || modern_epoch_check(beat->member, beat->call, beat->owned);
}

/* A static member that joins under a new id takes the place of the one that left for a while, or of one that still
 * speaks the classic protocol. */
static bool find_static(struct beat *beat, const struct modern *modern)
{
    struct odk_str instance_id = beat->in->instance_id;
    struct modern_member *holder = modern_member_find_instance(modern, instance_id);
    if (!holder && joins(beat)) {
        beat->member = modern_member_find(modern, beat->member_id);
        return true;
    }
    if (!holder)
        return REFUSE(beat, KAFKA_UNKNOWN_MEMBER_ID, "the group has no member with instance id %.*s",
                      ODK_STR_FMT(instance_id));
    if (odk_str_eq(modern_member_id(holder), beat->member_id)) {
        beat->member = holder;
        return modern_epoch_check(holder, beat->call, beat->owned);
    }
    if (!joins(beat))
        return REFUSE(beat, KAFKA_FENCED_INSTANCE_ID, "the instance id %.*s belongs to member %.*s now",
                      ODK_STR_FMT(instance_id), ODK_STR_FMT(modern_member_id(holder)));
    if (!modern_member_is_classic(holder) && holder->epoch != MODERN_EPOCH_AWAY)
        return REFUSE(beat, KAFKA_UNRELEASED_INSTANCE_ID, "the instance id %.*s is in use by member %.*s",
                      ODK_STR_FMT(instance_id), ODK_STR_FMT(modern_member_id(holder)));
    beat->replaced = holder;
    return true;
}

/* The group as one of the newer protocol; a classic one is turned into one, an empty one begins anew. */
static bool find_group(struct beat *beat)
{
    struct group *group = beat->group;
    if (!group->modern && !joins(beat))
        return REFUSE(beat, KAFKA_GROUP_ID_NOT_FOUND, "there is no consumer group %.*s", ODK_STR_FMT(group_id(group)));
    if (group->classic && classic_empty(group))
        group_end(group);
    if (group->classic)
        return modern_upgrade(group, beat->call);
    (void)modern_take(group);
    return true;
}

static bool find_member(struct beat *beat)
{
    const struct modern *modern = beat->group->modern;
    return beat->in->instance_id.data ? find_static(beat, modern) : find_dynamic(beat, modern);
}

/* -- what does it say --------------------------------------------------------------------------------------------- */

static void read_names(struct beat *beat)
{
    uint32_t count = (uint32_t)beat->in->subscribed_topic_names_count;
    struct odk_str *names = arena_new(scratch_of(beat), struct odk_str, count);
    ASSERT(names != NULL);
    for (uint32_t i = 0; i < count; i++)
        names[i] = beat->in->subscribed_topic_names[i];
    beat->told.subscribed_topic_names = names;
    beat->told.subscribed_topic_names_count = (int32_t)texts_sort(names, count);
}

/* What the member said before, and over it what it says now: null is "as before". */
static void read_told(struct beat *beat)
{
    const struct consumer_group_heartbeat_request *in = beat->in;
    const struct modern_member *before = beat->member ? beat->member : beat->replaced;
    struct consumer_group_member_metadata_value *told = &beat->told;
    consumer_group_member_metadata_value_init(told);
    if (before)
        *told = *before->told;
    told->classic_member_metadata = NULL;
    told->client_id = modern_client_text(beat->call->client_id);
    told->client_host = modern_client_text(beat->call->client_host);
    if (in->instance_id.data)
        told->instance_id = in->instance_id;
    if (in->rack_id.data)
        told->rack_id = in->rack_id;
    if (in->rebalance_timeout_ms != -1)
        told->rebalance_timeout_ms = in->rebalance_timeout_ms;
    if (in->server_assignor.data)
        told->server_assignor = in->server_assignor;
    if (in->subscribed_topic_names_count >= 0)
        read_names(beat);
    if (in->subscribed_topic_regex.data)
        told->subscribed_topic_regex = in->subscribed_topic_regex;
    if (told->subscribed_topic_regex.len == 0)
        told->subscribed_topic_regex = (struct odk_str){ 0 };
}

static bool is_new_pattern(const struct modern *modern, struct odk_str text)
{
    return text.len > 0 && !modern_regex_find(modern, text);
}

static bool find_room(struct beat *beat)
{
    const struct modern *modern = beat->group->modern;
    const struct modern_member *before = beat->member ? beat->member : beat->replaced;
    int32_t members_max = MIN(beat->group->groups->env.config->modern_size_max, (int32_t)GROUP_MEMBERS_MAX);
    if (before && beat->in->subscribed_topic_names_count < 0 && !beat->in->subscribed_topic_regex.data)
        return true; /* it says nothing that takes room, as most heartbeats do */
    size_t own = modern_told_bytes(&beat->told), old = before ? modern_told_bytes(before->told) : 0;
    if (!before && (int64_t)HASH_CNT(by_id, modern->members) >= members_max)
        return REFUSE(beat, KAFKA_GROUP_MAX_SIZE_REACHED, "the group has reached its %d members", members_max);
    if (modern->told_bytes + own - old > GROUP_TOLD_ALL_BYTES_MAX)
        return REFUSE(beat, KAFKA_GROUP_MAX_SIZE_REACHED, "the subscriptions of the group have reached their %u bytes",
                      (unsigned)GROUP_TOLD_ALL_BYTES_MAX);
    bool pattern = is_new_pattern(modern, beat->told.subscribed_topic_regex);
    if (pattern && HASH_CNT(by_text, modern->regexes) >= GROUP_PATTERNS_MAX)
        return REFUSE(beat, KAFKA_GROUP_MAX_SIZE_REACHED,
                      "the group has reached its %u different regular expressions", GROUP_PATTERNS_MAX);
    if ((own > old || pattern) && groups_full(beat->group->groups))
        return REFUSE(beat, KAFKA_GROUP_MAX_SIZE_REACHED, "groups have reached their memory (group.memory.bytes)");
    return true;
}

/* A regular expression that the group does not know is read before anything changes: it may be none. */
static bool read_regex(struct beat *beat)
{
    struct group *group = beat->group;
    struct odk_str text = beat->in->subscribed_topic_regex;
    char why[TOPIC_REGEX_WHY_BYTES];
    const struct modern_regex *known = group->modern ? modern_regex_find(group->modern, text) : NULL;
    if (text.len == 0 || (known && known->match.topics))
        return true;
    struct topic_regex *regex = topic_regex_new(text, why);
    if (!regex)
        return REFUSE(beat, KAFKA_INVALID_REGULAR_EXPRESSION, "%.*s is not a regular expression of RE2: %s",
                      ODK_STR_FMT(text), why);
    enum modern_resolved resolved = modern_resolve_now(group->groups, regex, &beat->match.topics, &beat->match.count);
    topic_regex_free(regex);
    return resolved != MODERN_RESOLVE_TOO_COSTLY ||
           REFUSE(beat, KAFKA_INVALID_REGULAR_EXPRESSION, "matching %.*s has to follow too many alternatives",
                  ODK_STR_FMT(text));
}

/* -- the answer --------------------------------------------------------------------------------------------------- */

/* Everything that a client says when it begins anew, after an error for instance. */
static bool says_all(const struct consumer_group_heartbeat_request *in)
{
    return in->rebalance_timeout_ms != -1 && in->topic_partitions_count >= 0 &&
           (in->subscribed_topic_names_count >= 0 || in->subscribed_topic_regex.data);
}

static struct consumer_group_heartbeat_response_assignment *assignment_of(const struct modern_member *member,
                                                                          struct arena *arena)
{
    struct consumer_group_heartbeat_response_assignment *assignment =
        arena_new(arena, struct consumer_group_heartbeat_response_assignment, 1);
    if (!assignment)
        return NULL;
    struct tp_run *runs = tp_runs(&member->assigned, arena, &assignment->topic_partitions_count);
    assignment->topic_partitions = arena_new(arena, struct consumer_group_heartbeat_response_topic_partitions,
                                             (size_t)assignment->topic_partitions_count);
    if (!runs || !assignment->topic_partitions)
        return NULL;
    for (int32_t i = 0; i < assignment->topic_partitions_count; i++) {
        assignment->topic_partitions[i].topic_id = runs[i].topic;
        assignment->topic_partitions[i].partitions = runs[i].partitions;
        assignment->topic_partitions[i].partitions_count = runs[i].count;
    }
    return assignment;
}

static void answer(struct beat *beat, const struct modern_member *member, bool with_assignment)
{
    struct groups *groups = beat->group->groups;
    struct consumer_group_heartbeat_response *out = beat->call->out;
    struct group_settings settings;
    groups->env.settings(groups->env.context, group_id(beat->group), &settings);
    out->member_id = call_text(beat->call, modern_member_id(member));
    out->member_epoch = member->epoch;
    out->heartbeat_interval_ms = settings.heartbeat_interval_ms;
    out->assignment = with_assignment ? assignment_of(member, beat->call->arena) : NULL;
    if (!out->member_id.data || (with_assignment && !out->assignment))
        group_call_refuse(beat->call, KAFKA_UNKNOWN_SERVER_ERROR);
    groups_answer(groups, beat->call);
}

static void beat_all(struct beat *beat)
{
    bool resubscribed;
    struct modern *modern = beat->group->modern;
    if (beat->replaced) {
        beat->member = modern_replace(beat->replaced, beat->member_id);
        read_told(beat); /* what it showed is gone */
    }
    int32_t epoch_before = beat->member ? beat->member->epoch : MODERN_EPOCH_JOIN;
    struct modern_member *member = modern_say(modern, beat->member_id, &beat->told, &beat->match, &resubscribed);
    bool changed = modern_reconcile(member, beat->owned, resubscribed);
    bool missed = beat->in->member_epoch != epoch_before;
    modern_touch(member);
    answer(beat, member, joins(beat) || missed || changed || says_all(beat->in));
}

void modern_heartbeat(struct group *group, struct group_call *call)
{
    struct beat beat = { .group = group, .call = call, .in = call->in };
    if (!group->groups->env.config->consumer_enabled)
        modern_refuse(group, call, KAFKA_UNSUPPORTED_VERSION, "the consumer protocol is switched off");
    else if (!modern_beat_check(group, call))
        return;
    else if (beat.in->member_epoch < 0)
        modern_leave_beat(group, call);
    else if (name_member(&beat) && read_regex(&beat) && find_group(&beat)) {
        read_owned(&beat);
        if (find_member(&beat)) {
            read_told(&beat);
            if (find_room(&beat))
                beat_all(&beat);
        }
    }
    modern_tidy(group);
}
