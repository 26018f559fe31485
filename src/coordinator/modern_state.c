/* The state of a newer group in memory: its indexes, and how each fact changes it. */
#include "coordinator/modern.h"

#include <stdlib.h>

#include "base/units.h"
#include "coordinator/texts.h"

/* -- owners (M1) -------------------------------------------------------------------------------------------------- */

static struct modern_topic *topic_find(const struct modern *modern, struct odk_uuid id)
{
    struct modern_topic *topic = NULL;
    HASH_FIND(by_id, modern->topics, &id, sizeof(id), topic);
    return topic;
}

struct modern_member *modern_owner(const struct modern *modern, struct odk_uuid topic_id, int32_t partition)
{
    const struct modern_topic *topic = topic_find(modern, topic_id);
    return topic && (uint32_t)partition < topic->capacity ? topic->owners[partition] : NULL;
}

static struct modern_topic *topic_take(struct modern *modern, struct odk_uuid id, int32_t partition_last)
{
    struct modern_topic *topic = topic_find(modern, id);
    if (!topic) {
        topic = xcalloc(1, sizeof(*topic));
        topic->id = id;
        HASH_ADD(by_id, modern->topics, id, sizeof(topic->id), topic);
    }
    uint32_t need = (uint32_t)partition_last + 1;
    if (need > topic->capacity) {
        need = MAX(need, topic->capacity * 2);
        topic->owners = xrealloc(topic->owners, need * sizeof(struct modern_member *));
        memset(&topic->owners[topic->capacity], 0, (need - topic->capacity) * sizeof(struct modern_member *));
        modern->owner_slots += need - topic->capacity;
        topic->capacity = need;
    }
    return topic;
}

static void own(struct modern_member *member, const struct tp_set *set)
{
    member->modern->set_count += set->count;
    for (uint32_t begin = 0, end; begin < set->count; begin = end) {
        end = tp_run_end(set, begin);
        struct modern_topic *topic = topic_take(member->modern, set->at[begin].topic, set->at[end - 1].partition);
        for (uint32_t i = begin; i < end; i++) {
            struct modern_member **owner = &topic->owners[set->at[i].partition];
            if (!modern_groups(member->modern)->loading)
                ASSERT(*owner == NULL);
            topic->owned_count += *owner == NULL;
            *owner = member;
        }
    }
}

static void disown(struct modern_member *member, struct tp_set *set)
{
    for (uint32_t begin = 0, end; begin < set->count; begin = end) {
        end = tp_run_end(set, begin);
        struct modern_topic *topic = topic_find(member->modern, set->at[begin].topic);
        for (uint32_t i = begin; topic && i < end; i++) {
            /* In a damaged log somebody else may have taken it meanwhile, or the table have been made anew. */
            uint32_t partition = (uint32_t)set->at[i].partition;
            if (partition >= topic->capacity || topic->owners[partition] != member)
                continue;
            topic->owners[partition] = NULL;
            topic->owned_count--;
        }
        if (topic && topic->owned_count == 0) {
            HASH_DELETE(by_id, member->modern->topics, topic);
            member->modern->owner_slots -= topic->capacity;
            free(topic->owners);
            free(topic);
        }
    }
    member->modern->set_count -= set->count;
    free(set->at);
    *set = (struct tp_set){ 0 };
}

/* -- names and regular expressions (M3) ---------------------------------------------------------------------------- */

static struct modern_name *name_find(const struct modern *modern, struct odk_str text)
{
    struct modern_name *name = NULL;
    HASH_FIND(by_name, modern->names, text.data, text.len, name);
    return name;
}

static struct modern_name *name_take(struct modern *modern, struct odk_str text)
{
    struct modern_name *name = name_find(modern, text);
    if (name)
        return name;
    name = xcalloc(1, sizeof(*name));
    name->modern = modern;
    name->name = name_index_add(&modern_groups(modern)->subscribed_topics, text, &name->same_name);
    HASH_ADD_KEYPTR(by_name, modern->names, name->name->name, text.len, name);
    return name;
}

static void name_tidy(struct modern *modern, struct modern_name *name)
{
    if (name->member_count > 0 || name->regex_count > 0)
        return;
    HASH_DELETE(by_name, modern->names, name);
    name_index_remove(&modern_groups(modern)->subscribed_topics, name->name, &name->same_name);
    free(name);
}

struct modern_regex *modern_regex_find(const struct modern *modern, struct odk_str text)
{
    struct modern_regex *regex = NULL;
    if (text.len > 0)
        HASH_FIND(by_text, modern->regexes, text.data, text.len, regex);
    return regex;
}

/* What it takes besides its topics: compiled, a pattern has several times its length, and PCRE2's state a KiB. */
static size_t regex_bytes(struct odk_str text)
{
    return sizeof(struct modern_regex) + 16 * text.len + KIB(1);
}

static size_t topics_bytes(const struct modern_match *match)
{
    size_t bytes = match->count * sizeof(struct odk_str);
    for (uint32_t i = 0; i < match->count; i++)
        bytes += match->topics[i].len;
    return bytes;
}

static struct modern_regex *regex_take(struct modern *modern, struct odk_str text)
{
    struct modern_regex *regex = modern_regex_find(modern, text);
    if (regex)
        return regex;
    if (!modern->regexes)
        list_push_back(&modern_groups(modern)->patterned, &modern->patterned);
    regex = xcalloc(1, sizeof(*regex) + text.len + 1);
    memcpy(regex->text, text.data, text.len);
    HASH_ADD(by_text, modern->regexes, text[0], text.len, regex);
    modern->match_bytes += regex_bytes(text);
    return regex;
}

static void regex_tidy(struct modern *modern, struct modern_regex *regex)
{
    if (regex->member_count > 0 || regex->match.topics)
        return;
    modern->match_bytes -= regex_bytes(modern_regex_text(regex));
    HASH_DELETE(by_text, modern->regexes, regex);
    modern_resolve_cancel(regex);
    topic_regex_free(regex->compiled);
    free(regex);
    if (modern->regexes)
        return;
    if (modern_groups(modern)->news_at == &modern->patterned)
        modern_groups(modern)->news_at = modern->patterned.next;
    list_remove(&modern->patterned);
}

static void regex_forget_topics(struct modern *modern, struct modern_regex *regex)
{
    for (uint32_t i = 0; i < regex->match.count; i++) {
        struct modern_name *name = name_find(modern, regex->match.topics[i]);
        name->regex_count--;
        name_tidy(modern, name);
    }
    modern->match_bytes -= topics_bytes(&regex->match);
    free(regex->match.topics);
    regex->match = (struct modern_match){ 0 };
}

void modern_apply_regex(struct modern *modern, struct odk_str text, const struct modern_match *match)
{
    struct modern_regex *regex = match ? regex_take(modern, text) : modern_regex_find(modern, text);
    if (!regex)
        return;
    struct odk_str *copy = match ? texts_copy(match->topics, match->count) : NULL;
    regex_forget_topics(modern, regex);
    if (match)
        regex->match = (struct modern_match){ .topics = copy, .count = match->count, .at_ms = match->at_ms };
    modern->match_bytes += topics_bytes(&regex->match);
    for (uint32_t i = 0; i < regex->match.count; i++)
        name_take(modern, copy[i])->regex_count++;
    regex_tidy(modern, regex);
}

/* -- what a member said of itself ---------------------------------------------------------------------------------- */

/* Memory for a copy: counts when there is none yet. */
struct block {
    uint8_t *memory;
    size_t used;
};

static void *place(struct block *block, const void *data, size_t bytes)
{
    size_t at = block->used;
    block->used += align_up(bytes, 8);
    if (block->memory && bytes > 0)
        memcpy(block->memory + at, data, bytes);
    return block->memory ? block->memory + at : NULL;
}

static void place_text(struct block *block, struct odk_str *text)
{
    if (text->len > 0)
        text->data = place(block, text->data, text->len);
    else if (text->data)
        text->data = "";
}

static struct consumer_group_member_metadata_value_classic_member_metadata *
place_classic(struct block *block, const struct consumer_group_member_metadata_value_classic_member_metadata *from)
{
    struct consumer_group_member_metadata_value_classic_member_metadata *classic = place(block, from, sizeof(*from));
    size_t count = (size_t)from->supported_protocols_count;
    struct consumer_group_member_metadata_value_supported_protocol *protocols =
        place(block, from->supported_protocols, count * sizeof(*protocols));
    for (size_t i = 0; i < count; i++) {
        struct consumer_group_member_metadata_value_supported_protocol protocol = from->supported_protocols[i];
        place_text(block, &protocol.name);
        protocol.metadata.data = place(block, protocol.metadata.data, protocol.metadata.len);
        if (protocols)
            protocols[i] = protocol;
    }
    if (classic)
        classic->supported_protocols = protocols;
    return classic;
}

static void place_told(struct block *block, const struct consumer_group_member_metadata_value *from)
{
    struct consumer_group_member_metadata_value *head = place(block, from, sizeof(*from));
    struct consumer_group_member_metadata_value told = *from;
    size_t count = (size_t)from->subscribed_topic_names_count;
    told.subscribed_topic_names = place(block, from->subscribed_topic_names, count * sizeof(struct odk_str));
    for (size_t i = 0; i < count; i++) {
        struct odk_str name = from->subscribed_topic_names[i];
        place_text(block, &name);
        if (told.subscribed_topic_names)
            told.subscribed_topic_names[i] = name;
    }
    place_text(block, &told.instance_id);
    place_text(block, &told.rack_id);
    place_text(block, &told.client_id);
    place_text(block, &told.client_host);
    place_text(block, &told.subscribed_topic_regex);
    place_text(block, &told.server_assignor);
    if (from->classic_member_metadata)
        told.classic_member_metadata = place_classic(block, from->classic_member_metadata);
    if (head)
        *head = told;
}

size_t modern_told_bytes(const struct consumer_group_member_metadata_value *told)
{
    struct block block = { 0 };
    place_told(&block, told);
    return block.used;
}

static struct consumer_group_member_metadata_value *told_copy(const struct consumer_group_member_metadata_value *told)
{
    struct block block = { .memory = xcalloc(1, modern_told_bytes(told)) };
    place_told(&block, told);
    return (struct consumer_group_member_metadata_value *)(void *)block.memory;
}

static void instance_set(struct modern_member *member)
{
    struct odk_str id = member->told->instance_id;
    if (id.len == 0)
        return;
    struct modern_member *other = modern_member_find_instance(member->modern, id);
    if (other)
        HASH_DELETE(by_instance, member->modern->instances, other);
    HASH_ADD_KEYPTR(by_instance, member->modern->instances, id.data, id.len, member);
}

static void instance_unset(struct modern_member *member)
{
    if (modern_member_find_instance(member->modern, member->told->instance_id) == member)
        HASH_DELETE(by_instance, member->modern->instances, member);
}

/* Counts what a member said, or takes it out of the counts. */
static void told_count(struct modern *modern, const struct consumer_group_member_metadata_value *told, bool in)
{
    uint32_t step = in ? 1u : (uint32_t)-1;
    enum group_assignor assignor;
    modern->told_bytes += in ? modern_told_bytes(told) : -modern_told_bytes(told);
    modern->classic_count += told->classic_member_metadata ? step : 0;
    if (group_assignor_parse(told->server_assignor, &assignor))
        modern->assignor_votes[assignor] += step;
    for (int32_t i = 0; i < told->subscribed_topic_names_count; i++) {
        struct modern_name *name = name_take(modern, told->subscribed_topic_names[i]);
        name->member_count += step;
        name_tidy(modern, name);
    }
    if (told->subscribed_topic_regex.len > 0) {
        struct modern_regex *regex = regex_take(modern, told->subscribed_topic_regex);
        regex->member_count += step;
        regex_tidy(modern, regex);
    }
}

/* told: a copy to be kept, or NULL. The new is counted before the old is not, so what stays the same is not touched. */
static void told_set(struct modern_member *member, struct consumer_group_member_metadata_value *told)
{
    struct consumer_group_member_metadata_value *old = member->told;
    if (told)
        told_count(member->modern, told, true);
    if (old) {
        instance_unset(member);
        told_count(member->modern, old, false);
        free(old);
    }
    member->told = told;
    if (told)
        instance_set(member);
}

/* -- members ------------------------------------------------------------------------------------------------------ */

struct modern_member *modern_member_find(const struct modern *modern, struct odk_str id)
{
    struct modern_member *member = NULL;
    if (id.len > 0)
        HASH_FIND(by_id, modern->members, id.data, id.len, member);
    return member;
}

struct modern_member *modern_member_find_instance(const struct modern *modern, struct odk_str instance_id)
{
    struct modern_member *member = NULL;
    if (instance_id.len > 0)
        HASH_FIND(by_instance, modern->instances, instance_id.data, instance_id.len, member);
    return member;
}

bool modern_member_subscribes(const struct modern_member *member, struct odk_str topic)
{
    const struct consumer_group_member_metadata_value *told = member->told;
    if (texts_has(told->subscribed_topic_names, (uint32_t)told->subscribed_topic_names_count, topic))
        return true;
    const struct modern_regex *regex = modern_regex_find(member->modern, told->subscribed_topic_regex);
    return regex && texts_has(regex->match.topics, regex->match.count, topic);
}

static struct modern_member *member_take(struct modern *modern, struct odk_str id)
{
    struct modern_member *member = modern_member_find(modern, id);
    if (member)
        return member;
    member = xcalloc(1, sizeof(*member) + id.len + 1);
    member->modern = modern;
    member->session.fire = modern_session_fire;
    member->progress.fire = modern_progress_fire;
    memcpy(member->id, id.data, id.len);
    HASH_ADD(by_id, modern->members, id[0], id.len, member);
    return member;
}

/* The member's from now on. */
static void target_set(struct modern_member *member, struct tp_set target)
{
    member->modern->set_count += (uint64_t)target.count - member->target.count;
    free(member->target.at);
    member->target = target;
}

static void member_free(struct modern_member *member)
{
    struct groups *groups = modern_groups(member->modern);
    timer_cancel(groups->env.timers, &member->session);
    timer_cancel(groups->env.timers, &member->progress);
    told_set(member, NULL);
    disown(member, &member->assigned);
    disown(member, &member->revoking);
    target_set(member, (struct tp_set){ 0 });
    HASH_DELETE(by_id, member->modern->members, member);
    free(member);
}

void modern_apply_told(struct modern *modern, struct odk_str member_id,
                       const struct consumer_group_member_metadata_value *told)
{
    struct modern_member *member = told ? member_take(modern, member_id) : modern_member_find(modern, member_id);
    if (told)
        told_set(member, told_copy(told));
    else if (member)
        member_free(member);
}

void modern_apply_current(struct modern *modern, struct odk_str member_id, const struct modern_current *current)
{
    static const struct modern_current nothing = { 0 };
    struct modern_member *member = current ? member_take(modern, member_id) : modern_member_find(modern, member_id);
    if (!member)
        return;
    current = current ? current : &nothing;
    struct tp_set assigned = tp_keep(&current->assigned), revoking = tp_keep(&current->revoking);
    disown(member, &member->assigned);
    disown(member, &member->revoking);
    own(member, &assigned);
    own(member, &revoking);
    member->assigned = assigned;
    member->revoking = revoking;
    member->epoch = current->epoch;
    member->previous_epoch = current->previous_epoch;
    member->state = current->state;
}

void modern_apply_target(struct modern *modern, struct odk_str member_id, const struct tp_set *target)
{
    struct modern_member *member = target ? member_take(modern, member_id) : modern_member_find(modern, member_id);
    if (!member)
        return;
    target_set(member, target ? tp_keep(target) : (struct tp_set){ 0 });
}

void modern_apply_epoch(struct modern *modern, int32_t epoch, int64_t hash)
{
    modern->epoch = epoch;
    modern->hash = hash;
}

void modern_apply_target_epoch(struct modern *modern, int32_t epoch, int64_t at_ms)
{
    modern->target_epoch = epoch;
    modern->target_ms = at_ms;
}

/* -- groups ------------------------------------------------------------------------------------------------------- */

struct modern *modern_take(struct group *group)
{
    if (group->modern)
        return group->modern;
    struct modern *modern = xcalloc(1, sizeof(*modern));
    modern->group = group;
    modern->target_due.fire = modern_target_fire;
    group->modern = modern;
    return modern;
}

size_t modern_bytes(const struct modern *modern)
{
    size_t members = HASH_CNT(by_id, modern->members) * (sizeof(struct modern_member) + 5 * GROUP_ALLOC_BYTES);
    size_t name = sizeof(struct modern_name) + sizeof(struct name_entry) + 2 * GROUP_ALLOC_BYTES;
    size_t topics = HASH_CNT(by_id, modern->topics) * (sizeof(struct modern_topic) + 2 * GROUP_ALLOC_BYTES);
    return sizeof(*modern) + GROUP_ALLOC_BYTES + members + 2 * modern->told_bytes + modern->match_bytes +
           HASH_CNT(by_name, modern->names) * name + topics + modern->set_count * sizeof(struct tp) +
           modern->owner_slots * sizeof(struct modern_member *);
}

void modern_free(struct modern *modern, enum kafka_error error)
{
    (void)error; /* nobody waits here */
    if (!modern)
        return;
    timer_cancel(modern_groups(modern)->env.timers, &modern->target_due);
    struct modern_member *member, *next_member;
    HASH_ITER(by_id, modern->members, member, next_member)
    member_free(member);
    struct modern_regex *regex, *next_regex;
    HASH_ITER(by_text, modern->regexes, regex, next_regex)
    modern_apply_regex(modern, modern_regex_text(regex), NULL);
    ASSERT(modern->names == NULL);
    ASSERT(modern->topics == NULL);
    ASSERT(modern->set_count == 0 && modern->owner_slots == 0 && modern->match_bytes == 0);
    free(modern);
}
