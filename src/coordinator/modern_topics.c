/* What a newer group subscribes to, and what has become of those topics. */
#include "coordinator/modern.h"

#include <stdlib.h>

#include "base/diag.h"
#include "base/limits.h"
#include "base/xxh3.h"
#include "coordinator/texts.h"

static bool topic_by_name(const struct groups *groups, struct odk_str name, struct group_topic *ret)
{
    return groups->env.topic_by_name(groups->env.context, name, ret);
}

static struct odk_str name_text(const struct modern_name *name)
{
    return name_entry_text(name->name);
}

static uint64_t topic_hash(const struct group_topic *topic)
{
    uint64_t seed = xxh3(&topic->partition_count, sizeof(topic->partition_count), 0);
    seed = xxh3(topic->id.b, sizeof(topic->id.b), seed);
    return xxh3(topic->name.data, topic->name.len, seed);
}

int64_t modern_hash(const struct modern *modern)
{
    uint64_t sum = 0;
    struct group_topic topic;
    for (const struct modern_name *name = modern->names; name; name = name->by_name.next)
        if (topic_by_name(modern_groups(modern), name_text(name), &topic))
            sum += topic_hash(&topic);
    return (int64_t)sum;
}

bool modern_subscribed(const struct group *group, struct odk_str topic)
{
    const struct modern_name *name = NULL;
    HASH_FIND(by_name, group->modern->names, topic.data, topic.len, name);
    return name != NULL;
}

/* -- regular expressions ------------------------------------------------------------------------------------------ */

void modern_regexes_tidy(struct modern *modern)
{
    struct modern_regex *regex, *next;
    HASH_ITER(by_text, modern->regexes, regex, next)
    if (regex->member_count == 0)
        modern_drop_regex(modern, regex);
}

void modern_regex_broken(struct modern *modern, struct modern_regex *regex, const char *why)
{
    regex->broken = true;
    DIAG_WARN(modern_groups(modern)->env.diag, "group %.*s: a subscription no longer follows new topics: %s",
              ODK_STR_FMT(group_id(modern->group)), why);
}

/* The pattern was checked when a member came with it; it is none only in a log that somebody else wrote. */
const struct topic_regex *modern_regex_ready(struct modern *modern, struct modern_regex *regex)
{
    char why[TOPIC_REGEX_WHY_BYTES] = "";
    if (!regex->compiled && !regex->broken) {
        regex->compiled = topic_regex_new(modern_regex_text(regex), why);
        if (!regex->compiled)
            modern_regex_broken(modern, regex, why);
    }
    return regex->broken ? NULL : regex->compiled;
}

static bool regex_put_if_news(struct modern *modern, struct modern_regex *regex, struct odk_str *topics, uint32_t count)
{
    bool news = !regex->match.topics || !texts_equal(topics, count, regex->match.topics, regex->match.count);
    if (news)
        modern_put_regex(modern, modern_regex_text(regex), topics, count);
    return news;
}

static void regex_refresh(struct modern *modern, struct modern_regex *regex)
{
    const struct topic_regex *compiled = modern_regex_ready(modern, regex);
    struct odk_str *topics;
    uint32_t count;
    if (!compiled)
        return;
    switch (modern_resolve_now(modern_groups(modern), compiled, &topics, &count)) {
    case MODERN_RESOLVED: (void)regex_put_if_news(modern, regex, topics, count); return;
    case MODERN_RESOLVE_LATER: modern_resolve_later(modern, regex); return;
    case MODERN_RESOLVE_TOO_COSTLY: modern_regex_broken(modern, regex, MODERN_TOO_COSTLY); return;
    }
}

/* The topic is to be among those that the pattern matched, or not. */
static void regex_topic_set(struct modern *modern, struct modern_regex *regex, struct odk_str topic, bool in)
{
    const struct modern_match *match = &regex->match;
    if (texts_has(match->topics, match->count, topic) == in)
        return;
    struct odk_str *topics = arena_new(modern_scratch(modern), struct odk_str, (size_t)match->count + 1);
    ASSERT(topics != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < match->count; i++)
        if (!odk_str_eq(match->topics[i], topic))
            topics[count++] = match->topics[i];
    if (in)
        topics[count++] = topic;
    modern_put_regex(modern, modern_regex_text(regex), topics, texts_sort(topics, count));
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

static bool regex_matches(struct modern *modern, struct modern_regex *regex, struct odk_str topic)
{
    uint64_t steps = GROUP_REGEX_STEPS_MAX;
    enum topic_regex_verdict verdict = topic_regex_match(regex->compiled, topic, &steps);
    modern_turn_spend(modern_groups(modern), GROUP_REGEX_STEPS_MAX - steps + 1);
    if (verdict == TOPIC_REGEX_TOO_COSTLY)
        modern_regex_broken(modern, regex, MODERN_TOO_COSTLY);
    return verdict == TOPIC_REGEX_YES;
}

static void bump_if_changed(struct modern *modern)
{
    if (HASH_CNT(by_id, modern->members) > 0 && modern_hash(modern) != modern->hash)
        modern_bump(modern);
}

/* A member may have changed to it and waited with its bump: there is one even if the topics are those of before. */
void modern_regex_resolved(struct modern *modern, struct modern_regex *regex, struct odk_str *topics, uint32_t count)
{
    bool waited = !regex->match.topics;
    (void)regex_put_if_news(modern, regex, topics, count);
    if (waited && HASH_CNT(by_id, modern->members) > 0)
        modern_bump(modern);
    else
        bump_if_changed(modern);
}

static void patterned_changed(struct modern *modern, const struct group_topic *topic, bool gone)
{
    bool before = modern_subscribed(modern->group, topic->name);
    struct modern_regex *regex, *next;
    HASH_ITER(by_text, modern->regexes, regex, next)
    if (regex->match.topics && modern_regex_ready(modern, regex)) /* else the walk comes to it */
        regex_topic_set(modern, regex, topic->name, !gone && regex_matches(modern, regex, topic->name));
    if (before || modern_subscribed(modern->group, topic->name))
        bump_if_changed(modern);
}

/* A topic that is gone concerns those that subscribe to it, or whose pattern has matched it. */
static void gone_from(const struct name_entry *entry, const struct group_topic *topic)
{
    bool last = false;
    for (struct list *node = entry->users.next, *next; !last; node = next) {
        struct modern *modern = list_entry(node, struct modern_name, same_name)->modern;
        next = node->next;
        last = next == &entry->users; /* the entry goes with its last user */
        if (modern->regexes)
            patterned_changed(modern, topic, true);
        else
            bump_if_changed(modern);
    }
}

/*
 * Any pattern may match a topic that comes: all groups with patterns are asked, one after the other, as far as this turn has
 * steps left; the rest in the next turns (modern_resolve.c). Topics are taken in the order of their coming.
 */
struct topic_news {
    struct list node; /* groups->news */
    size_t name_len;
    char name[];
};

static void news_add(struct groups *groups, struct odk_str name)
{
    struct topic_news *news = xcalloc(1, sizeof(*news) + name.len);
    news->name_len = name.len;
    memcpy(news->name, name.data, name.len);
    if (list_empty(&groups->news))
        groups->news_at = groups->patterned.next;
    list_push_back(&groups->news, &news->node);
}

static void news_pop(struct groups *groups)
{
    free(list_entry(list_pop_front(&groups->news), struct topic_news, node));
    groups->news_at = groups->patterned.next;
}

void modern_news_clear(struct groups *groups)
{
    while (!list_empty(&groups->news))
        news_pop(groups);
}

void modern_news_tell(struct groups *groups)
{
    while (!list_empty(&groups->news) && modern_turn_has_steps(groups)) {
        const struct topic_news *news = list_entry(groups->news.next, struct topic_news, node);
        struct group_topic topic;
        struct list *at = groups->news_at;
        if (at == &groups->patterned ||
            !topic_by_name(groups, (struct odk_str){ .data = news->name, .len = news->name_len }, &topic)) {
            news_pop(groups);
            continue;
        }
        groups->news_at = at->next;
        patterned_changed(list_entry(at, struct modern, patterned), &topic, false);
    }
}

static void come_to(struct groups *groups, const struct group_topic *topic)
{
    const struct name_entry *entry = name_index_find(&groups->subscribed_topics, topic->name);
    if (entry)
        list_each(node, &entry->users)
            bump_if_changed(list_entry(node, struct modern_name, same_name)->modern);
    if (list_empty(&groups->patterned))
        return;
    news_add(groups, topic->name);
    modern_news_tell(groups);
    modern_turn_go_on(groups);
}

void modern_topics_changed(struct groups *groups, const struct group_topic *topic, bool gone)
{
    const struct name_entry *entry = gone ? name_index_find(&groups->subscribed_topics, topic->name) : NULL;
    if (!gone)
        come_to(groups, topic);
    else if (entry)
        gone_from(entry, topic);
}

void modern_topics_loaded(struct modern *modern)
{
    modern_regexes_tidy(modern);
    struct modern_regex *regex, *next;
    HASH_ITER(by_text, modern->regexes, regex, next)
    regex_refresh(modern, regex);
    bump_if_changed(modern);
}
