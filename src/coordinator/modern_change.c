/* What members say of themselves, and what follows from it for the group. */
#include "coordinator/modern.h"

#include "coordinator/texts.h"

struct odk_str modern_client_text(struct odk_str text)
{
    return text.data ? text_cut(text) : ODK_STR("");
}

static bool text_same(struct odk_str a, struct odk_str b)
{
    return (a.data == NULL) == (b.data == NULL) && odk_str_eq(a, b);
}

static bool classic_same(const struct consumer_group_member_metadata_value_classic_member_metadata *a,
                         const struct consumer_group_member_metadata_value_classic_member_metadata *b)
{
    if (!a || !b)
        return a == b;
    bool same =
        a->session_timeout_ms == b->session_timeout_ms && a->supported_protocols_count == b->supported_protocols_count;
    for (int32_t i = 0; same && i < a->supported_protocols_count; i++) {
        struct odk_bytes x = a->supported_protocols[i].metadata, y = b->supported_protocols[i].metadata;
        same = odk_str_eq(a->supported_protocols[i].name, b->supported_protocols[i].name) && x.len == y.len &&
               (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
    }
    return same;
}

bool modern_told_same_topics(const struct consumer_group_member_metadata_value *a,
                             const struct consumer_group_member_metadata_value *b)
{
    return odk_str_eq(a->subscribed_topic_regex, b->subscribed_topic_regex) &&
           texts_equal(a->subscribed_topic_names, (uint32_t)a->subscribed_topic_names_count, b->subscribed_topic_names,
                       (uint32_t)b->subscribed_topic_names_count);
}

bool modern_told_equal(const struct consumer_group_member_metadata_value *a,
                       const struct consumer_group_member_metadata_value *b)
{
    return text_same(a->instance_id, b->instance_id) && text_same(a->rack_id, b->rack_id) &&
           text_same(a->client_id, b->client_id) && text_same(a->client_host, b->client_host) &&
           text_same(a->server_assignor, b->server_assignor) && a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           modern_told_same_topics(a, b) && classic_same(a->classic_member_metadata, b->classic_member_metadata);
}

struct modern_member *modern_say(struct modern *modern, struct odk_str member_id,
                                 const struct consumer_group_member_metadata_value *told,
                                 const struct modern_match *match, bool *ret_resubscribed)
{
    static const struct consumer_group_member_metadata_value nothing = { 0 };
    struct modern_member *member = modern_member_find(modern, member_id);
    bool is_new = member == NULL;
    *ret_resubscribed = !modern_told_same_topics(member ? member->told : &nothing, told);
    if (!member || !modern_told_equal(member->told, told))
        member = modern_put_told(modern, member_id, told); /* told may be gone now, if it showed what was said before */
    struct modern_regex *regex = modern_regex_find(modern, member->told->subscribed_topic_regex);
    if (regex && !regex->match.topics && match->topics)
        modern_put_regex(modern, modern_regex_text(regex), match->topics, match->count);
    bool later = regex && !regex->match.topics && !regex->broken;
    if (later)
        modern_resolve_later(modern, regex);
    if (*ret_resubscribed)
        modern_regexes_tidy(modern);
    if (later && !is_new)
        *ret_resubscribed = false;
    if (*ret_resubscribed || modern->epoch == 0)
        modern_bump(modern);
    return member;
}
