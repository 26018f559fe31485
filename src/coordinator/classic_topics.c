/*
 * Which topics the members of a consumer group subscribe to: read from their metadata (ConsumerProtocolSubscription),
 * whose first fields are the same in all versions. Groups of other kinds are closed books.
 */
#include <stdlib.h>

#include "coordinator/classic.h"
#include "wire/messages.h"

void classic_topics_clear(struct classic *classic)
{
    struct classic_topic *topic, *next;
    HASH_ITER(by_name, classic->topics, topic, next)
    {
        HASH_DELETE(by_name, classic->topics, topic);
        free(topic);
    }
    classic->topics_known = false;
}

static void topic_add(struct classic *classic, struct odk_str name)
{
    struct classic_topic *topic = NULL;
    HASH_FIND(by_name, classic->topics, name.len ? name.data : "", name.len, topic);
    if (topic || name.len == 0)
        return;
    topic = xcalloc(1, sizeof(*topic) + name.len + 1);
    memcpy(topic->name, name.data, name.len);
    HASH_ADD_KEYPTR(by_name, classic->topics, topic->name, name.len, topic);
}

static bool member_topics_add(struct classic *classic, const struct classic_member *member)
{
    struct arena *arena = &classic_groups(classic)->reading;
    struct odk_bytes metadata = classic_member_metadata(member);
    struct consumer_protocol_subscription subscription;
    struct rd r = rd_init(metadata.data, metadata.len);
    int16_t version = rd_i16(&r);
    arena_reset(arena);
    if (r.bad || version < 0 || !consumer_protocol_subscription_decode(&subscription, &r, arena, 0))
        return false;
    for (int32_t i = 0; i < subscription.topics_count; i++)
        topic_add(classic, subscription.topics[i]);
    return true;
}

void classic_topics_read(struct classic *classic)
{
    classic_topics_clear(classic);
    if (!classic_is_consumer(classic))
        return;
    classic->topics_known = true;
    for (const struct classic_member *member = classic->members; member && classic->topics_known;
         member = member->by_id.next)
        classic->topics_known = member_topics_add(classic, member);
    if (!classic->topics_known) {
        classic_topics_clear(classic);
        groups_say(classic->group, "topics not known: the metadata of a member cannot be read", ODK_STR(""));
    }
}

bool classic_subscribed(const struct group *group, struct odk_str topic)
{
    const struct classic *classic = group->classic;
    if (!classic->topics_known)
        return classic_is_consumer(classic);
    struct classic_topic *found = NULL;
    HASH_FIND(by_name, classic->topics, topic.len ? topic.data : "", topic.len, found);
    return found != NULL;
}
