#include "broker_fleet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "broker_node.h"
#include "wire/messages.h"

#define CLIENTS_PROCESS 2u

/* -- life -----------------------------------------------------------------------------------------------------------
 */

void actor_init(struct actor *actor, struct fleet *fleet, const struct actor_kind *kind)
{
    actor->fleet = fleet;
    actor->kind = kind;
    actor->rng.state = prng_next(&fleet->rng);
    struct kclient_options options = { .io = fleet->io,
                                       .to = node_address(),
                                       .model = &fleet->model,
                                       .seed = prng_next(&fleet->rng),
                                       .owner = actor,
                                       .answered = kind->answered,
                                       .lost = kind->lost };
    kclient_init(&actor->client, &options, &fleet->mood);
}

void actor_deinit(struct actor *actor)
{
    kclient_deinit(&actor->client);
}

/* Half of all seeds have groups, of all kinds or of some. */
static void groups_add(struct fleet *fleet)
{
    uint64_t kinds = prng_chance(&fleet->rng, 500000) ? prng_between(&fleet->rng, 1, 7) : 0;
    fleet->has_groups = kinds != 0;
    for (uint64_t i = kinds & 1 ? prng_between(&fleet->rng, 1, 3) : 0; i > 0; i--)
        fleet->actors[fleet->actor_count++] = member_new(fleet);
    for (uint64_t i = kinds & 2 ? prng_between(&fleet->rng, 1, 3) : 0; i > 0; i--)
        fleet->actors[fleet->actor_count++] = modern_new(fleet);
    for (uint64_t i = kinds ? prng_between(&fleet->rng, 1, 2) : 0; i > 0; i--) /* they read back all groups */
        fleet->actors[fleet->actor_count++] = alone_new(fleet);
}

void fleet_init(struct fleet *fleet, struct sim_world *world, uint64_t seed, struct violation *violation,
                struct fleet_tally *tally)
{
    *fleet = (struct fleet){ .world = world, .violation = violation, .tally = tally, .rng.state = seed };
    model_init(&fleet->model, violation);
    groups_model_init(&fleet->groups, &fleet->model);
    fleet->io = sim_io_new(world, &(struct sim_io_options){ .process = CLIENTS_PROCESS, .remote = true });
    uint64_t producers = prng_between(&fleet->rng, 1, 4);
    uint64_t consumers = prng_between(&fleet->rng, 1, 3);
    for (uint64_t i = 0; i < producers; i++)
        fleet->actors[fleet->actor_count++] = producer_new(fleet);
    for (uint64_t i = 0; i < consumers; i++)
        fleet->actors[fleet->actor_count++] = consumer_new(fleet);
    fleet->actors[fleet->actor_count++] = admin_new(fleet);
    groups_add(fleet);
}

void fleet_deinit(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->actor_count; i++) {
        fleet->tally->connections += fleet->actors[i]->client.serial;
        fleet->actors[i]->kind->free(fleet->actors[i]);
    }
    sim_io_free(fleet->io);
    groups_model_deinit(&fleet->groups);
    model_deinit(&fleet->model);
}

/* -- turns ----------------------------------------------------------------------------------------------------------
 */

static uint64_t actor_turn(struct actor *actor, uint64_t now_ns)
{
    actor->fleet->acting = actor;
    if (kclient_step(&actor->client, now_ns) && !actor->fleet->violation->found)
        actor->kind->step(actor, now_ns);
    uint64_t next_ns = kclient_next_ns(&actor->client);
    bool acts = actor->client.state == KCLIENT_READY && actor->next_ns > now_ns;
    return acts ? MIN(next_ns, actor->next_ns) : next_ns;
}

void fleet_turn(struct fleet *fleet)
{
    uint64_t now_ns = sim_now_ns(fleet->world);
    uint64_t until_ns = UINT64_MAX;
    for (uint32_t i = 0; i < fleet->actor_count && !fleet->violation->found; i++)
        until_ns = MIN(until_ns, actor_turn(fleet->actors[i], now_ns));
    fleet->io->ops->run(fleet->io, until_ns);
}

bool fleet_waits(const struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->actor_count; i++) {
        if (fleet->actors[i]->client.call_count > 0)
            return true;
    }
    return false;
}

bool fleet_idle(const struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->actor_count; i++) {
        struct actor *actor = fleet->actors[i];
        if (actor->client.call_count > 0 || actor->kind->busy(actor))
            return false;
    }
    return fleet->work_left == 0;
}

void fleet_verify(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->actor_count; i++) {
        if (fleet->actors[i]->kind->verify)
            fleet->actors[i]->kind->verify(fleet->actors[i]);
    }
}

void fleet_say(const struct fleet *fleet, const char *format, ...)
{
    if (!fleet->talks)
        return;
    (void)fprintf(stderr, "%12.6f ms  client: ", (double)sim_now_ns(fleet->world) / 1e6);
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

/* -- what answers may say -------------------------------------------------------------------------------------------
 */

bool fleet_excuses(struct fleet *fleet, int16_t error, const char *what, const struct model_topic *topic)
{
    bool old_news = fleet->may_fail && !kclient_promised(&fleet->acting->client);
    if (error == ERROR_STORAGE && (fleet->excused || old_news))
        return true;
    violation_set(fleet->violation, "%s of %s: error %d, which no fault explains", what,
                  topic ? topic->name : "the broker", error);
    return false;
}

bool fleet_excuses_absence(struct fleet *fleet, const struct model_topic *topic, const char *what)
{
    if (topic->state != TOPIC_LIVE)
        return true;
    violation_set(fleet->violation, "%s: topic %s is said not to exist", what, topic->name);
    return false;
}

void fleet_long_name(char dst[32], uint64_t number)
{
    (void)snprintf(dst, 32, "l-%u", (unsigned)(number % LONG_NAMES));
}

struct model_topic *fleet_live_topic(struct fleet *fleet, struct prng *rng, bool short_lived)
{
    struct model_topic *picked = NULL;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < fleet->model.topic_count; i++) {
        struct model_topic *topic = fleet->model.topics[i];
        if (topic->state == TOPIC_LIVE && topic->short_lived == short_lived && prng_below(rng, ++seen) == 0)
            picked = topic;
    }
    return picked;
}

/* -- Metadata -------------------------------------------------------------------------------------------------------
 */

static void metadata_send(struct actor *actor, const struct metadata_request *ask, int16_t least, void *all,
                          uint64_t now_ns)
{
    int16_t version = kclient_version(&actor->client, KEY_METADATA, least, INT16_MAX);
    if (version < 0) {
        violation_set(actor->fleet->violation, "no common version of Metadata");
        return;
    }
    actor->asking = true;
    kclient_send(&actor->client, KEY_METADATA, version, ask, KCLIENT_ANSWER, all, now_ns);
}

void metadata_ask(struct actor *actor, const char *name, uint64_t now_ns)
{
    struct metadata_request ask;
    struct metadata_request_topic topic;
    metadata_request_init(&ask);
    metadata_request_topic_init(&topic);
    topic.name = odk_str_from(name);
    ask.topics = &topic;
    ask.topics_count = 1;
    metadata_send(actor, &ask, 10, NULL, now_ns);
}

void metadata_ask_all(struct actor *actor, uint64_t now_ns)
{
    struct metadata_request ask;
    metadata_request_init(&ask);
    ask.topics_count = -1;
    metadata_send(actor, &ask, 1, actor, now_ns);
}

static bool partitions_ok(struct fleet *fleet, const struct metadata_response_topic *topic)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        const struct metadata_response_partition *part = &topic->partitions[i];
        if (part->partition_index < 0 || part->partition_index >= topic->partitions_count)
            violation_set(fleet->violation, "Metadata of %.*s: partition %d of %d", ODK_STR_FMT(topic->name),
                          part->partition_index, topic->partitions_count);
        if (part->error_code != 0)
            (void)fleet_excuses(fleet, part->error_code, "Metadata", NULL);
    }
    return !fleet->violation->found;
}

struct listing {
    const struct metadata_response *reply;
    int16_t version;
};

static bool listing_has(void *context, const struct model_topic *topic)
{
    const struct listing *listing = context;
    for (int32_t i = 0; i < listing->reply->topics_count; i++) {
        const struct metadata_response_topic *seen = &listing->reply->topics[i];
        if (listing->version >= 10 ? odk_uuid_eq(seen->topic_id, topic->id)
                                   : odk_str_eq(seen->name, odk_str_from(topic->name)))
            return true;
    }
    return false;
}

static void topic_take(struct fleet *fleet, const struct kcall *call, const struct metadata_response_topic *topic)
{
    if (topic->is_internal)
        return;
    if (topic->error_code == ERROR_UNKNOWN_TOPIC || topic->error_code == ERROR_LEADER_NOT_AVAILABLE) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%.*s", ODK_STR_FMT(topic->name));
        const struct model_topic *known = model_topic_named(&fleet->model, name);
        if (known && known->live_moment < call->moment)
            (void)fleet_excuses_absence(fleet, known, "Metadata");
        return;
    }
    if (topic->error_code != 0) {
        (void)fleet_excuses(fleet, topic->error_code, "Metadata", NULL);
        return;
    }
    if (partitions_ok(fleet, topic) && call->version >= 10)
        (void)model_topic_seen(&fleet->model, topic->name, topic->topic_id, topic->partitions_count, call->moment);
}

void metadata_answered(struct actor *actor, const struct kcall *call, const void *body)
{
    struct fleet *fleet = actor->fleet;
    const struct metadata_response *reply = body;
    actor->asking = false;
    if (reply->brokers_count != 1)
        violation_set(fleet->violation, "Metadata knows %d brokers", reply->brokers_count);
    bool all = call->context != NULL;
    if (all) {
        struct listing listing = { .reply = reply, .version = call->version };
        model_topics_all(&fleet->model, call->moment, listing_has, &listing);
    }
    for (int32_t i = 0; i < reply->topics_count && !fleet->violation->found; i++)
        topic_take(fleet, call, &reply->topics[i]);
}
