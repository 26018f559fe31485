/*
 * Consumers that assign themselves: they commit without membership, look, and now and then delete what they have
 * committed. Also the ones that read every group back at the end.
 */
#include <stdlib.h>

#include "base/units.h"
#include "broker_fleet.h"
#include "wire/messages.h"

struct alone {
    struct actor actor;
    struct group_model *group;
    struct commit_load load;
    uint32_t deleting[GROUP_SLOTS]; /* places of the commits that the deletion is */
    uint32_t verify_next;           /* of all groups */
    bool verifying;
};

static const struct commit_as nobody = { .generation = -1, .member_id = { .data = "", .len = 0 }, .version_least = 1 };

static struct alone *alone_of(struct actor *actor)
{
    return container_of(actor, struct alone, actor);
}

static void commit(struct alone *alone, uint64_t now_ns)
{
    struct actor *actor = &alone->actor;
    alone->load = (struct commit_load){ .group = alone->group, .generation = -1 };
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        alone->load.slots[slot] = fleet_slot_exists(actor->fleet, slot) && prng_chance(&actor->rng, 400000);
    actor->asking = commit_send(actor, &alone->load, &nobody, now_ns);
}

static void list(struct actor *actor, uint64_t now_ns)
{
    struct list_groups_request request;
    list_groups_request_init(&request);
    int16_t version = kclient_version(&actor->client, KEY_LIST_GROUPS, 0, INT16_MAX);
    actor->asking = true;
    kclient_send(&actor->client, KEY_LIST_GROUPS, version, &request, KCLIENT_ANSWER, NULL, now_ns);
}

static void listed(struct actor *actor, const struct kcall *call, const struct list_groups_response *reply)
{
    struct fleet *fleet = actor->fleet;
    if (reply->error_code != 0) {
        (void)fleet_excuses_coordinator(fleet, reply->error_code, "ListGroups");
        return;
    }
    bool complete = !fleet->may_fail || kclient_promised(&actor->client); /* a partition that has failed is left out */
    for (uint32_t i = 0; i < GROUPS_MAX && complete; i++) {
        bool found = false;
        for (int32_t g = 0; g < reply->groups_count; g++)
            found |= odk_str_eq(reply->groups[g].group_id, odk_str_from(fleet->groups.groups[i].id));
        if (!found && group_must_be_listed(&fleet->groups.groups[i], call->moment))
            violation_set(fleet->violation, "ListGroups does not show group %s", fleet->groups.groups[i].id);
    }
}

static void find(struct alone *alone, uint64_t now_ns)
{
    struct actor *actor = &alone->actor;
    struct find_coordinator_request request;
    struct odk_str key = odk_str_from(alone->group->id);
    find_coordinator_request_init(&request);
    request.key = key;
    request.coordinator_keys = &key;
    request.coordinator_keys_count = 1;
    int16_t version = kclient_version(&actor->client, KEY_FIND_COORDINATOR, 0, INT16_MAX);
    actor->asking = true;
    kclient_send(&actor->client, KEY_FIND_COORDINATOR, version, &request, KCLIENT_ANSWER, NULL, now_ns);
}

static void found(struct actor *actor, const struct kcall *call, const struct find_coordinator_response *reply)
{
    int16_t error = call->version < 4 ? reply->error_code : reply->coordinators[0].error_code;
    if (error != 0)
        (void)fleet_excuses_coordinator(actor->fleet, error, "FindCoordinator");
}

/* The whole group: a commit of nothing for everything. */
static void delete_group(struct alone *alone, uint64_t now_ns)
{
    struct actor *actor = &alone->actor;
    struct delete_groups_request request;
    struct odk_str id = odk_str_from(alone->group->id);
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
        alone->deleting[slot] = group_commit_begin(&actor->fleet->groups, alone->group, slot, -1, true);
    delete_groups_request_init(&request);
    request.groups_names = &id;
    request.groups_names_count = 1;
    int16_t version = kclient_version(&actor->client, KEY_DELETE_GROUPS, 0, INT16_MAX);
    actor->asking = true;
    kclient_send(&actor->client, KEY_DELETE_GROUPS, version, &request, KCLIENT_ANSWER, NULL, now_ns);
}

static void group_deleted(struct alone *alone, const struct delete_groups_response *reply)
{
    struct fleet *fleet = alone->actor.fleet;
    int16_t error = reply->results_count == 1 ? reply->results[0].error_code : ERROR_UNKNOWN;
    bool gone = error == 0 || error == ERROR_NO_GROUP;
    for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++) {
        if (gone)
            group_commit_acked(&fleet->groups, alone->group, slot, alone->deleting[slot]);
        else if (error == ERROR_LOADING)
            group_commit_refused(alone->group, slot, alone->deleting[slot]);
    }
    fleet->tally->groups_deleted += gone;
    if (!gone)
        (void)fleet_excuses_coordinator(fleet, error, "DeleteGroups");
}

static void alone_answered(void *owner, const struct kcall *call, const void *body)
{
    struct actor *actor = owner;
    struct alone *alone = alone_of(actor);
    actor->asking = false;
    if (call->key == KEY_OFFSET_COMMIT)
        commit_answered(actor, &alone->load, body, call->version);
    else if (call->key == KEY_LIST_GROUPS)
        listed(actor, call, body);
    else if (call->key == KEY_FIND_COORDINATOR)
        found(actor, call, body);
    else if (call->key == KEY_DELETE_GROUPS)
        group_deleted(alone, body);
    else if (offsets_answered(actor, call, body) == 0 && alone->verifying)
        alone->verify_next++;
}

static void alone_lost(void *owner, const struct kcall *call)
{
    struct actor *actor = owner;
    (void)call; /* what was sent may come true at any time: it stays open */
    actor->asking = false;
}

static void alone_step(struct actor *actor, uint64_t now_ns)
{
    struct alone *alone = alone_of(actor);
    if (actor->asking || now_ns < actor->next_ns)
        return;
    actor->next_ns = now_ns + prng_below(&actor->rng, 100 * NS_PER_MS);
    if (alone->verifying) {
        if (alone->verify_next < GROUPS_MAX)
            offsets_ask(actor, &actor->fleet->groups.groups[alone->verify_next], &nobody, now_ns);
        return;
    }
    if (actor->fleet->work_left == 0)
        return;
    actor->fleet->work_left--;
    uint64_t dice = prng_below(&actor->rng, 100);
    if (dice < 60)
        commit(alone, now_ns);
    else if (dice < 85)
        offsets_ask(actor, alone->group, &nobody, now_ns);
    else if (dice < 91)
        list(actor, now_ns);
    else if (dice < 97)
        find(alone, now_ns);
    else
        delete_group(alone, now_ns);
}

static void alone_verify(struct actor *actor)
{
    alone_of(actor)->verifying = true;
    alone_of(actor)->verify_next = 0;
}

static bool alone_busy(struct actor *actor)
{
    return alone_of(actor)->verifying && alone_of(actor)->verify_next < GROUPS_MAX;
}

static void alone_free(struct actor *actor)
{
    actor_deinit(actor);
    free(alone_of(actor));
}

static const struct actor_kind alone_kind = { .step = alone_step,
                                              .answered = alone_answered,
                                              .lost = alone_lost,
                                              .busy = alone_busy,
                                              .verify = alone_verify,
                                              .free = alone_free };

struct actor *alone_new(struct fleet *fleet)
{
    struct alone *alone = xcalloc(1, sizeof(*alone));
    actor_init(&alone->actor, fleet, &alone_kind);
    uint64_t number = prng_below(&alone->actor.rng, GROUPS_ALONE);
    alone->group = &fleet->groups.groups[GROUPS_CLASSIC + GROUPS_MODERN + number];
    return &alone->actor;
}
