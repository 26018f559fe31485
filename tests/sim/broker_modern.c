/*
 * Members of groups of the newer protocol (KIP-848): one heartbeat says what they hold and hears what they shall hold.
 *
 * A member gives up what is taken from it when it hears of it, and says so with its next heartbeat. A lost heartbeat that
 * would have joined or left may still arrive at any time; the member comes back under another name then, as a process that
 * was started again does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "broker_fleet.h"
#include "wire/messages.h"

#define REBALANCE_MS 20000

struct modern {
    struct actor actor;
    struct group_model *group;
    char id[40];
    int32_t epoch; /* 0: it joins */
    int32_t said_epoch; /* in the heartbeat in the air */
    bool slots[GROUP_SLOTS];
    uint64_t heartbeat_ns;
    uint64_t sent_ns;
    struct commit_load load;
};

static struct modern *modern_of(struct actor *actor)
{
    return container_of(actor, struct modern, actor);
}

static void lose_all(struct modern *modern)
{
    memset(modern->slots, 0, sizeof(modern->slots));
    group_holding_ends(modern->group, modern);
}

static void another_name(struct modern *modern)
{
    modern->epoch = 0;
    lose_all(modern);
    (void)snprintf(modern->id, sizeof(modern->id), "member-%llx",
                   (unsigned long long)prng_next(&modern->actor.rng));
}

static const struct model_topic *long_topic(const struct modern *modern, uint32_t number)
{
    char name[32];
    fleet_long_name(name, number);
    return model_topic_named(&modern->actor.fleet->model, name);
}

static unsigned slots_bits(const bool slots[GROUP_SLOTS])
{
    unsigned bits = 0;
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        bits |= (unsigned)slots[slot] << slot;
    return bits;
}

/* -- heartbeats ----------------------------------------------------------------------------------------------------- */

struct heartbeat_room {
    struct consumer_group_heartbeat_request request;
    struct odk_str names[GROUP_TOPICS];
    char texts[GROUP_TOPICS][32];
    struct consumer_group_heartbeat_request_topic_partition topics[GROUP_TOPICS];
    int32_t indexes[GROUP_SLOTS];
};

static void holdings_put(const struct modern *modern, struct heartbeat_room *room)
{
    int32_t *index = room->indexes;
    room->request.topic_partitions = room->topics;
    room->request.topic_partitions_count = 0;
    for (uint32_t t = 0; t < GROUP_TOPICS; t++) {
        const struct model_topic *topic = long_topic(modern, t);
        struct consumer_group_heartbeat_request_topic_partition *out =
            &room->topics[room->request.topic_partitions_count];
        *out = (struct consumer_group_heartbeat_request_topic_partition){ .partitions = index };
        for (int32_t p = 0; topic && p < MODEL_PARTS_MAX; p++) {
            if (modern->slots[group_slot_of(t, p)]) {
                *index++ = p;
                out->partitions_count++;
            }
        }
        if (out->partitions_count == 0)
            continue;
        out->topic_id = topic->id;
        room->request.topic_partitions_count++;
    }
}

static void heartbeat(struct modern *modern, int32_t epoch, uint64_t now_ns)
{
    struct actor *actor = &modern->actor;
    struct heartbeat_room room;
    consumer_group_heartbeat_request_init(&room.request);
    room.request.group_id = odk_str_from(modern->group->id);
    room.request.member_id = odk_str_from(modern->id);
    room.request.member_epoch = epoch;
    room.request.rebalance_timeout_ms = -1;
    room.request.subscribed_topic_names_count = -1;
    if (epoch == 0) {
        room.request.rebalance_timeout_ms = REBALANCE_MS;
        room.request.subscribed_topic_names = room.names;
        room.request.subscribed_topic_names_count = (int32_t)GROUP_TOPICS;
        for (uint32_t i = 0; i < GROUP_TOPICS; i++) {
            fleet_long_name(room.texts[i], i);
            room.names[i] = odk_str_from(room.texts[i]);
        }
    }
    if (epoch >= 0)
        holdings_put(modern, &room);
    else
        room.request.topic_partitions_count = -1;
    int16_t version = kclient_version(&actor->client, KEY_CONSUMER_HEARTBEAT, 1, INT16_MAX);
    fleet_say(actor->fleet, "%s of %s heartbeats, epoch %d, holds %x", modern->id, modern->group->id, epoch,
              slots_bits(modern->slots));
    modern->said_epoch = epoch;
    modern->sent_ns = now_ns;
    actor->asking = true;
    kclient_send(&actor->client, KEY_CONSUMER_HEARTBEAT, version, &room.request, KCLIENT_ANSWER, NULL, now_ns);
}

static bool assignment_take(struct modern *modern, const struct consumer_group_heartbeat_response_assignment *assignment)
{
    struct fleet *fleet = modern->actor.fleet;
    memset(modern->slots, 0, sizeof(modern->slots));
    for (int32_t t = 0; t < assignment->topic_partitions_count; t++) {
        const struct consumer_group_heartbeat_response_topic_partitions *from = &assignment->topic_partitions[t];
        for (uint32_t number = 0; number < GROUP_TOPICS; number++) {
            const struct model_topic *topic = long_topic(modern, number);
            if (!topic || !odk_uuid_eq(topic->id, from->topic_id))
                continue; /* one that no client has seen yet is not used */
            for (int32_t p = 0; p < from->partitions_count; p++) {
                if (from->partitions[p] < 0 || from->partitions[p] >= MODEL_PARTS_MAX) {
                    violation_set(fleet->violation, "group %s: partition %d is assigned", modern->group->id,
                                  from->partitions[p]);
                    return false;
                }
                modern->slots[group_slot_of(number, from->partitions[p])] = true;
            }
        }
    }
    return true;
}

static void heartbeat_answered(struct modern *modern, const struct consumer_group_heartbeat_response *reply,
                               uint64_t now_ns)
{
    struct fleet *fleet = modern->actor.fleet;
    if (reply->error_code != 0)
        fleet_say(fleet, "%s of %s hears error %d", modern->id, modern->group->id, reply->error_code);
    switch (reply->error_code) {
    case 0: break;
    case ERROR_FENCED_EPOCH:
    case ERROR_MEMBER:
        modern->epoch = 0;
        lose_all(modern);
        return;
    default: (void)fleet_excuses_coordinator(fleet, reply->error_code, "ConsumerGroupHeartbeat"); return;
    }
    if (modern->said_epoch < 0) /* it has left */
        return;
    fleet->tally->heartbeats++;
    modern->epoch = reply->member_epoch;
    modern->heartbeat_ns =
        now_ns + prng_between(&modern->actor.rng, 50, (uint64_t)MAX(reply->heartbeat_interval_ms, 100)) * NS_PER_MS;
    if (reply->assignment && !assignment_take(modern, reply->assignment))
        return;
    fleet_say(fleet, "%s of %s is told epoch %d, %s %x", modern->id, modern->group->id, modern->epoch,
              reply->assignment ? "assignment" : "nothing new, holds", slots_bits(modern->slots));
    uint64_t session_ns = (uint64_t)FLEET_SESSION_MS * NS_PER_MS;
    group_holding_told(&fleet->groups, modern->group, modern, modern->slots, modern->sent_ns + session_ns, now_ns);
}

/* -- the actor ------------------------------------------------------------------------------------------------------ */

static void commit(struct modern *modern, uint64_t now_ns)
{
    struct actor *actor = &modern->actor;
    struct commit_as as = { .generation = modern->epoch, .member_id = odk_str_from(modern->id), .version_least = 9 };
    modern->load = (struct commit_load){ .group = modern->group, .generation = -1 };
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        modern->load.slots[slot] =
            modern->slots[slot] && fleet_slot_exists(actor->fleet, slot) && prng_chance(&actor->rng, 600000);
    actor->asking = commit_send(actor, &modern->load, &as, now_ns);
}

static void modern_answered(void *owner, const struct kcall *call, const void *body)
{
    struct modern *modern = modern_of(owner);
    modern->actor.asking = false;
    if (call->key == KEY_CONSUMER_HEARTBEAT)
        heartbeat_answered(modern, body, sim_now_ns(modern->actor.fleet->world));
    else if (call->key == KEY_OFFSET_COMMIT)
        commit_answered(&modern->actor, &modern->load, body, call->version);
    else
        (void)offsets_answered(&modern->actor, call, body);
}

static void modern_lost(void *owner, const struct kcall *call)
{
    struct modern *modern = modern_of(owner);
    modern->actor.asking = false;
    if (call->key == KEY_CONSUMER_HEARTBEAT && modern->said_epoch <= 0)
        another_name(modern);
}

static void modern_step(struct actor *actor, uint64_t now_ns)
{
    static const struct commit_as nobody = { .generation = -1, .member_id = { .data = "", .len = 0 } };
    struct modern *modern = modern_of(actor);
    if (actor->asking || now_ns < actor->next_ns || actor->fleet->work_left == 0)
        return;
    actor->next_ns = now_ns + prng_below(&actor->rng, 200 * NS_PER_MS);
    actor->fleet->work_left--;
    uint64_t dice = prng_below(&actor->rng, 100);
    if (modern->epoch == 0 || now_ns >= modern->heartbeat_ns) {
        heartbeat(modern, modern->epoch, now_ns);
    } else if (dice < 55) {
        commit(modern, now_ns);
    } else if (dice < 75) {
        offsets_ask(actor, modern->group, &nobody, now_ns);
    } else if (dice < 79) {
        lose_all(modern);
        heartbeat(modern, -1, now_ns);
        modern->epoch = 0;
    } else if (dice < 82) {
        another_name(modern); /* another process takes over; the server finds out when the session ends */
    } else {
        heartbeat(modern, modern->epoch, now_ns);
    }
}

static bool modern_busy(struct actor *actor)
{
    (void)actor;
    return false;
}

static void modern_free(struct actor *actor)
{
    actor_deinit(actor);
    free(modern_of(actor));
}

static const struct actor_kind modern_kind = {
    .step = modern_step, .answered = modern_answered, .lost = modern_lost, .busy = modern_busy, .free = modern_free
};

struct actor *modern_new(struct fleet *fleet)
{
    struct modern *modern = xcalloc(1, sizeof(*modern));
    actor_init(&modern->actor, fleet, &modern_kind);
    modern->group = &fleet->groups.groups[GROUPS_CLASSIC + prng_below(&modern->actor.rng, GROUPS_MODERN)];
    another_name(modern);
    return &modern->actor;
}
