/* How much memory groups take, and what follows when it is too much. */
#include "coordinator/groups_internal.h"

static size_t bytes_of(const struct group *group)
{
    size_t bytes = sizeof(*group) + group_id(group).len + 2 * GROUP_ALLOC_BYTES + group->offsets.bytes;
    bytes += group->classic ? classic_bytes(group->classic) : 0;
    bytes += group->modern ? modern_bytes(group->modern) : 0;
    return bytes;
}

void group_weigh(struct group *group)
{
    size_t bytes = bytes_of(group);
    group->groups->env.memory->used += bytes - group->weight;
    group->weight = bytes;
}

void group_unweigh(struct group *group)
{
    group->groups->env.memory->used -= group->weight;
    group->weight = 0;
}

bool groups_full(struct groups *groups)
{
    const struct group_memory *memory = groups->env.memory;
    uint32_t suppressed;
    if (memory->used < memory->max)
        return false;
    if (diag_rate_ok(&groups->full_rate, *groups->env.now_ns, &suppressed))
        DIAG_WARN(groups->env.diag,
                  "groups have reached the %llu bytes of their memory: no new ones, no new members and offsets; "
                  "suppressed=%u",
                  (unsigned long long)memory->max, suppressed);
    return true;
}
