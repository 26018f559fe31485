/*
 * What the clients may believe of consumer groups; beside broker_model.h, and as long-lived.
 *
 *   (GB1) what OffsetFetch shows was committed, byte for byte, and is no older than what had been acknowledged when the
 *         question was sent, unless a commit whose answer never came may have come in between.
 *   (GB2) in one generation of a classic group, one leader's assignment counts and a partition has one owner.
 *   (GB3) no commit is accepted that was sent when a later generation had been handed out.
 *   (GB4) a partition of a group of the newer protocol has one owner at a time, as long as the owner keeps its session.
 *   (GB5) a group whose commit was acknowledged is listed.
 *
 * A commit is known by its offset: a number that rises over the whole run. Deleting a group is a commit of nothing.
 */
#pragma once
#include "base/units.h"
#include "broker_model.h"

#define GROUPS_CLASSIC    2u
#define GROUPS_MODERN     2u
#define GROUPS_ALONE      2u /* of consumers that assign themselves */
#define GROUPS_MAX        (GROUPS_CLASSIC + GROUPS_MODERN + GROUPS_ALONE)
#define GROUP_TOPICS      3u /* "l-0" .. */
#define GROUP_SLOTS       (GROUP_TOPICS * MODEL_PARTS_MAX)
#define GROUP_OFFSET_NONE INT64_C(-1)

enum group_commit_state { GROUP_COMMIT_OPEN, GROUP_COMMIT_ACKED, GROUP_COMMIT_REFUSED };

struct group_commit {
    int64_t offset;
    uint64_t sent, acked; /* moments */
    int32_t generation;   /* of a classic member; -1: of nobody */
    enum group_commit_state state;
};

/* Everything that was ever committed for one partition by one group. */
struct group_slot {
    struct group_commit *commits;
    uint32_t count, cap;
};

/* One generation of a classic group whose assignment some member was told. */
struct group_round {
    int32_t generation;
    uint64_t leader_mark; /* what the leader wrote into every assignment */
    uint64_t moment;
    const void *owners[GROUP_SLOTS];
};

/* What one member of the newer protocol holds. */
struct group_holding {
    const void *owner;
    uint64_t until_ns; /* the server cannot have ended its session before */
    bool slots[GROUP_SLOTS];
};

#define GROUP_HOLDINGS_MAX 6u

struct group_model {
    char id[16];
    struct group_slot slots[GROUP_SLOTS];
    struct group_round *rounds;
    uint32_t round_count, round_cap;
    struct group_holding holdings[GROUP_HOLDINGS_MAX];
};

struct groups_model {
    struct model *model;
    struct group_model groups[GROUPS_MAX];
    int64_t next_offset;
};

void groups_model_init(struct groups_model *groups, struct model *model);
void groups_model_deinit(struct groups_model *groups);

/* A slot is a partition of one of the topics that live for ever. */
static inline uint32_t group_slot_of(uint32_t topic, int32_t partition)
{
    return topic * MODEL_PARTS_MAX + (uint32_t)partition;
}

/* A new commit is about to be sent. none: the group is to be deleted. Returns its place in the slot's commits. */
uint32_t group_commit_begin(struct groups_model *groups, struct group_model *group, uint32_t slot, int32_t generation,
                            bool none);
void group_commit_acked(struct groups_model *groups, struct group_model *group, uint32_t slot, uint32_t place);
/* For certain: it will never be seen. */
void group_commit_refused(struct group_model *group, uint32_t slot, uint32_t place);

/* OffsetFetch, sent at that moment, shows offset and metadata. */
void group_offset_seen(struct groups_model *groups, const struct group_model *group, uint32_t slot, int64_t offset,
                       struct odk_str metadata, uint64_t sent);
/* What stands beside an offset. */
void group_metadata_of(int64_t offset, char dst[24]);
/* True if a ListGroups that was sent at that moment must show the group. */
bool group_must_be_listed(const struct group_model *group, uint64_t sent);

/* A classic member was told its part of a generation. */
void group_round_told(struct groups_model *groups, struct group_model *group, int32_t generation, uint64_t leader_mark,
                      const bool slots[GROUP_SLOTS], const void *owner);

/* A member of the newer protocol was told what it holds, and asked for it (or showed that it lives) at sent_ns. */
void group_holding_told(struct groups_model *groups, struct group_model *group, const void *owner,
                        const bool slots[GROUP_SLOTS], uint64_t until_ns, uint64_t now_ns);
/* It may have lost everything. */
void group_holding_ends(struct group_model *group, const void *owner);
