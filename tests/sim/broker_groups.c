#include "broker_groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void groups_model_init(struct groups_model *groups, struct model *model)
{
    *groups = (struct groups_model){ .model = model, .next_offset = 1 };
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        const char *kind = i < GROUPS_CLASSIC ? "classic" : i < GROUPS_CLASSIC + GROUPS_MODERN ? "modern" : "alone";
        (void)snprintf(groups->groups[i].id, sizeof(groups->groups[i].id), "%s-%u", kind, i);
    }
}

void groups_model_deinit(struct groups_model *groups)
{
    for (uint32_t i = 0; i < GROUPS_MAX; i++) {
        for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++)
            free(groups->groups[i].slots[slot].commits);
        free(groups->groups[i].rounds);
    }
}

/* -- commits ------------------------------------------------------------------------------------------------------ */

uint32_t group_commit_begin(struct groups_model *groups, struct group_model *group, uint32_t slot_number,
                            int32_t generation, bool none)
{
    struct group_slot *slot = &group->slots[slot_number];
    if (slot->count == slot->cap) {
        slot->cap = slot->cap ? slot->cap * 2 : 16;
        slot->commits = xrealloc(slot->commits, slot->cap * sizeof(*slot->commits));
    }
    slot->commits[slot->count] = (struct group_commit){ .offset = none ? GROUP_OFFSET_NONE : groups->next_offset++,
                                                        .sent = groups->model->moment + 1,
                                                        .generation = generation };
    return slot->count++;
}

/* (GB3) */
static void generation_check(struct groups_model *groups, const struct group_model *group,
                             const struct group_commit *commit)
{
    for (uint32_t i = 0; commit->generation >= 0 && i < group->round_count; i++) {
        const struct group_round *round = &group->rounds[i];
        if (round->generation > commit->generation && round->moment < commit->sent)
            violation_set(groups->model->violation,
                          "group %s: a commit of generation %d is accepted although %d had been handed out", group->id,
                          commit->generation, round->generation);
    }
}

void group_commit_acked(struct groups_model *groups, struct group_model *group, uint32_t slot, uint32_t place)
{
    struct group_commit *commit = &group->slots[slot].commits[place];
    commit->state = GROUP_COMMIT_ACKED;
    commit->acked = groups->model->moment;
    generation_check(groups, group, commit);
}

void group_commit_refused(struct group_model *group, uint32_t slot, uint32_t place)
{
    group->slots[slot].commits[place].state = GROUP_COMMIT_REFUSED;
}

/* True if something else was surely committed after a commit acknowledged at that moment, and before the question. */
static bool surely_replaced(const struct group_slot *slot, uint64_t acked, uint64_t asked)
{
    for (uint32_t i = 0; i < slot->count; i++) {
        const struct group_commit *later = &slot->commits[i];
        if (later->state == GROUP_COMMIT_ACKED && later->sent > acked && later->acked < asked)
            return true;
    }
    return false;
}

static bool may_stand(const struct group_slot *slot, int64_t offset, uint64_t asked)
{
    if (offset == GROUP_OFFSET_NONE && !surely_replaced(slot, 0, asked)) /* as at the beginning */
        return true;
    for (uint32_t i = 0; i < slot->count; i++) {
        const struct group_commit *commit = &slot->commits[i];
        if (commit->offset != offset || commit->state == GROUP_COMMIT_REFUSED)
            continue;
        if (commit->state == GROUP_COMMIT_OPEN || commit->acked >= asked || !surely_replaced(slot, commit->acked, asked))
            return true;
    }
    return false;
}

void group_metadata_of(int64_t offset, char dst[24])
{
    (void)snprintf(dst, 24, "m%" PRId64, offset);
}

void group_offset_seen(struct groups_model *groups, const struct group_model *group, uint32_t slot, int64_t offset,
                       struct odk_str metadata, uint64_t sent)
{
    char wanted[24] = "";
    if (offset != GROUP_OFFSET_NONE)
        group_metadata_of(offset, wanted);
    groups->model->fold = (groups->model->fold ^ (uint64_t)offset) * UINT64_C(0x9fb21c651e98df25);
    if (!may_stand(&group->slots[slot], offset, sent))
        violation_set(groups->model->violation,
                      "group %s: OffsetFetch shows %" PRId64 " for l-%u-%u, which is older than what was acknowledged, "
                      "or was never committed",
                      group->id, offset, slot / MODEL_PARTS_MAX, slot % MODEL_PARTS_MAX);
    else if (!odk_str_eq(metadata, odk_str_from(wanted)))
        violation_set(groups->model->violation, "group %s: beside offset %" PRId64 " stands \"%.*s\"", group->id, offset,
                      ODK_STR_FMT(metadata));
}

bool group_must_be_listed(const struct group_model *group, uint64_t sent)
{
    for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
        if (!may_stand(&group->slots[i], GROUP_OFFSET_NONE, sent))
            return true;
    }
    return false;
}

/* -- rounds (GB2) ------------------------------------------------------------------------------------------------- */

static struct group_round *round_take(struct groups_model *groups, struct group_model *group, int32_t generation,
                                      uint64_t leader_mark)
{
    for (uint32_t i = 0; i < group->round_count; i++) {
        if (group->rounds[i].generation == generation)
            return &group->rounds[i];
    }
    if (group->round_count == group->round_cap) {
        group->round_cap = group->round_cap ? group->round_cap * 2 : 16;
        group->rounds = xrealloc(group->rounds, group->round_cap * sizeof(*group->rounds));
    }
    struct group_round *round = &group->rounds[group->round_count++];
    *round = (struct group_round){
        .generation = generation, .leader_mark = leader_mark, .moment = groups->model->moment
    };
    return round;
}

void group_round_told(struct groups_model *groups, struct group_model *group, int32_t generation, uint64_t leader_mark,
                      const bool slots[GROUP_SLOTS], const void *owner)
{
    struct group_round *round = round_take(groups, group, generation, leader_mark);
    if (round->leader_mark != leader_mark)
        violation_set(groups->model->violation, "group %s: generation %d has the assignments of two leaders", group->id,
                      generation);
    for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
        if (!slots[i])
            continue;
        if (round->owners[i] && round->owners[i] != owner)
            violation_set(groups->model->violation, "group %s: in generation %d two members own l-%u-%u", group->id,
                          generation, i / MODEL_PARTS_MAX, i % MODEL_PARTS_MAX);
        round->owners[i] = owner;
    }
}

/* -- holdings (GB4) ------------------------------------------------------------------------------------------------ */

static struct group_holding *holding_of(struct group_model *group, const void *owner)
{
    struct group_holding *unused = NULL;
    for (uint32_t i = 0; i < GROUP_HOLDINGS_MAX; i++) {
        if (group->holdings[i].owner == owner)
            return &group->holdings[i];
        if (!group->holdings[i].owner)
            unused = &group->holdings[i];
    }
    ASSERT(unused != NULL);
    *unused = (struct group_holding){ .owner = owner };
    return unused;
}

void group_holding_told(struct groups_model *groups, struct group_model *group, const void *owner,
                        const bool slots[GROUP_SLOTS], uint64_t until_ns, uint64_t now_ns)
{
    struct group_holding *own = holding_of(group, owner);
    if (now_ns >= until_ns) { /* the answer took so long that it may be outlawed already */
        memset(own->slots, 0, sizeof(own->slots));
        return;
    }
    for (uint32_t i = 0; i < GROUP_HOLDINGS_MAX; i++) {
        const struct group_holding *other = &group->holdings[i];
        if (other == own || !other->owner || now_ns >= other->until_ns)
            continue;
        for (uint32_t slot = 0; slot < GROUP_SLOTS; slot++) {
            if (slots[slot] && other->slots[slot])
                violation_set(groups->model->violation, "group %s: two members own l-%u-%u at one time", group->id,
                              slot / MODEL_PARTS_MAX, slot % MODEL_PARTS_MAX);
        }
    }
    own->until_ns = until_ns;
    memcpy(own->slots, slots, sizeof(own->slots));
}

void group_holding_ends(struct group_model *group, const void *owner)
{
    struct group_holding *own = holding_of(group, owner);
    memset(own->slots, 0, sizeof(own->slots));
}
