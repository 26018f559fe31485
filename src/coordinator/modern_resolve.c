/*
 * Which topics a regular expression matches. A few steps are done in the event that asks; what is left goes on in the
 * background, some steps in each turn of the loop, so that neither patterns nor topics can hold up others.
 *
 * Until it is done the pattern has no topics (match.topics NULL), and what the member has stays as it is. Then the topics are
 * recorded, and if the group subscribes to something else by that, there is a new epoch.
 *
 * The walk goes over topics in the order of their coming, and remembers the name where it stands: later ones are found at
 * the end. If that one is gone the walk begins again; others that are gone are left out at the end.
 */
#include "coordinator/modern.h"

#include <stdlib.h>

#include "base/limits.h"
#include "coordinator/texts.h"

struct walk {
    struct groups *groups;
    const struct topic_regex *regex;
    uint64_t left;  /* steps until the pattern is too costly */
    bool too_costly;
    char **names;   /* matched so far, each from malloc */
    uint32_t count, capacity;
    char *after;    /* where it stands; NULL: at the beginning */
};

struct modern_job {
    struct list node; /* groups->resolving */
    struct modern *modern;
    struct modern_regex *regex;
    struct walk walk;
};

/* -- walking ------------------------------------------------------------------------------------------------------ */

static void walk_begin(struct walk *walk)
{
    for (uint32_t i = 0; i < walk->count; i++)
        free(walk->names[i]);
    free(walk->names);
    free(walk->after);
    walk->names = NULL;
    walk->after = NULL;
    walk->count = walk->capacity = 0;
}

static void walk_found(struct walk *walk, struct odk_str name)
{
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity * 2 + 16;
        walk->names = xrealloc(walk->names, walk->capacity * sizeof(*walk->names));
    }
    walk->names[walk->count++] = xstrndup(name.data, name.len);
}

static uint32_t *turn_steps(struct groups *groups)
{
    struct group_turn *turn = groups->env.turn;
    if (turn->now_ns != *groups->env.now_ns)
        *turn = (struct group_turn){ .now_ns = *groups->env.now_ns, .pattern_steps = GROUP_REGEX_TURN_STEPS };
    return &turn->pattern_steps;
}

/* One name costs its steps, and one. */
static bool walk_one(void *context, const struct group_topic *topic)
{
    struct walk *walk = context;
    uint64_t granted = MIN(walk->left, (uint64_t)GROUP_REGEX_STEPS_MAX), steps = granted;
    if (!modern_turn_has_steps(walk->groups))
        return false;
    enum topic_regex_verdict verdict = topic_regex_match(walk->regex, topic->name, &steps);
    uint64_t used = granted - steps + 1;
    walk->left -= MIN(walk->left, used);
    modern_turn_spend(walk->groups, used);
    walk->too_costly = verdict == TOPIC_REGEX_TOO_COSTLY || walk->left == 0;
    if (verdict == TOPIC_REGEX_YES)
        walk_found(walk, topic->name);
    free(walk->after);
    walk->after = xstrndup(topic->name.data, topic->name.len);
    return !walk->too_costly;
}

/* True: it has come to an end, be it that the pattern is too costly. */
static bool walk_on(struct walk *walk)
{
    const struct groups_env *env = &walk->groups->env;
    struct odk_str after = { .data = walk->after, .len = walk->after ? strlen(walk->after) : 0 };
    bool ended = false;
    if (!env->topics_from(env->context, after, walk_one, walk, &ended)) {
        walk_begin(walk);
        return false;
    }
    return ended || walk->too_costly;
}

/* What was found and is there still; in scratch. */
static struct odk_str *walk_topics(const struct walk *walk, uint32_t *ret_count)
{
    const struct groups_env *env = &walk->groups->env;
    struct odk_str *topics = arena_new(&walk->groups->scratch, struct odk_str, (size_t)walk->count + 1);
    struct group_topic topic;
    uint32_t count = 0;
    ASSERT(topics != NULL);
    for (uint32_t i = 0; i < walk->count; i++)
        if (env->topic_by_name(env->context, odk_str_from(walk->names[i]), &topic))
            topics[count++] = topic.name;
    *ret_count = texts_sort(topics, count);
    return topics;
}

enum modern_resolved modern_resolve_now(struct groups *groups, const struct topic_regex *regex,
                                        struct odk_str **ret_topics, uint32_t *ret_count)
{
    struct walk walk = { .groups = groups, .regex = regex, .left = GROUP_REGEX_RESOLVE_STEPS_MAX };
    enum modern_resolved resolved = MODERN_RESOLVE_LATER;
    if (walk_on(&walk))
        resolved = walk.too_costly ? MODERN_RESOLVE_TOO_COSTLY : MODERN_RESOLVED;
    if (resolved == MODERN_RESOLVED)
        *ret_topics = walk_topics(&walk, ret_count);
    walk_begin(&walk);
    return resolved;
}

/* -- in the background --------------------------------------------------------------------------------------------- */

bool modern_turn_has_steps(struct groups *groups)
{
    return *turn_steps(groups) > 0;
}

void modern_turn_spend(struct groups *groups, uint64_t steps)
{
    uint32_t *left = turn_steps(groups);
    *left -= (uint32_t)MIN((uint64_t)*left, steps);
}

void modern_turn_go_on(struct groups *groups)
{
    bool work = !list_empty(&groups->resolving) || !list_empty(&groups->news);
    if (work && !timer_armed(&groups->resolving_timer))
        timer_arm(groups->env.timers, &groups->resolving_timer, groups_deadline(groups, GROUP_REGEX_PAUSE_MS));
}

void modern_resolve_later(struct modern *modern, struct modern_regex *regex)
{
    struct groups *groups = modern_groups(modern);
    if (regex->job)
        return;
    struct modern_job *job = xcalloc(1, sizeof(*job));
    *job = (struct modern_job){ .modern = modern, .regex = regex };
    job->walk = (struct walk){ .groups = groups, .left = GROUP_REGEX_RESOLVE_STEPS_MAX };
    regex->job = job;
    list_push_back(&groups->resolving, &job->node);
    modern_turn_go_on(groups);
}

void modern_resolve_cancel(struct modern_regex *regex)
{
    struct modern_job *job = regex->job;
    if (!job)
        return;
    regex->job = NULL;
    list_remove(&job->node);
    walk_begin(&job->walk);
    free(job);
}

static void job_finish(struct modern_job *job)
{
    struct modern *modern = job->modern;
    struct modern_regex *regex = job->regex;
    uint32_t count = 0;
    bool costly = job->walk.too_costly;
    if (costly)
        walk_begin(&job->walk);
    struct odk_str *topics = walk_topics(&job->walk, &count);
    modern_resolve_cancel(regex);
    if (!costly || !regex->match.topics) /* too costly from the first: it matches nothing */
        modern_regex_resolved(modern, regex, topics, count);
    if (costly)
        modern_regex_broken(modern, regex, MODERN_TOO_COSTLY);
    group_weigh(modern->group);
}

void groups_resolving_fire(struct timer *timer, uint64_t now_ns)
{
    struct groups *groups = container_of(timer, struct groups, resolving_timer);
    (void)now_ns;
    modern_news_tell(groups);
    while (!list_empty(&groups->resolving) && modern_turn_has_steps(groups)) {
        struct modern_job *job = list_entry(groups->resolving.next, struct modern_job, node);
        job->walk.regex = modern_regex_ready(job->modern, job->regex);
        if (!job->walk.regex)
            modern_resolve_cancel(job->regex);
        else if (walk_on(&job->walk))
            job_finish(job);
    }
    modern_turn_go_on(groups);
    groups_flush(groups);
}
