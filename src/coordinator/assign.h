/*
 * The assignors of the newer consumer groups: who shall own which partition. Pure: numbers in, numbers out.
 *
 * Topics and members are known by their index. What is owned is one array over all partitions of all topics, so a
 * partition has at most one owner whatever an assignor does.
 *
 *   uniform  balanced and sticky: no subscriber of a topic could take a partition of it from another one and the two be
 *            nearer to each other (so with equal subscriptions all loads differ by one at most), and of what somebody
 * owns only so much moves as that needs range    each topic is cut into runs in the order of its subscribers: topics
 * with as many partitions are cut alike. Not sticky
 *
 * Source: KIP-848.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <odradek/bytes.h>

#include "base/arena.h"

/* In the order in which they are preferred where members disagree evenly. */
enum group_assignor {
    GROUP_ASSIGNOR_UNIFORM,
    GROUP_ASSIGNOR_RANGE,
    GROUP_ASSIGNOR_COUNT,
};

/* "uniform", "range" */
struct odk_str group_assignor_name(enum group_assignor assignor);
/* False when there is none of this name. */
bool group_assignor_parse(struct odk_str name, enum group_assignor *ret);

#define ASSIGN_NOBODY (-1)

struct assign_topic {
    uint32_t first; /* place of partition 0 in owners */
    uint32_t partition_count;
};

struct assign_member {
    const uint32_t *topics; /* what it subscribes to: indexes, each once */
    uint32_t topic_count;
};

struct assign {
    const struct assign_topic *topics;
    uint32_t topic_count;
    const struct assign_member *members; /* in the order that range follows */
    uint32_t member_count;
    int32_t *owners; /* a member's index or ASSIGN_NOBODY */
};

/*
 * Changes owners from who owns to who shall own. A topic without subscribers is nobody's afterwards.
 *
 * scratch: unlimited.   Cost: sum of subscriptions + partitions moved * log(subscribers), times 16 at most.
 */
void assign_compute(const struct assign *assign, enum group_assignor assignor, struct arena *scratch);
