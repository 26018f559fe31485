/*
 * A group changes its protocol while its members work on (KIP-848, online migration). Records of both sides are one
 * batch.
 */
#pragma once
#include "coordinator/modern.h"

/* A classic group becomes one of the newer protocol, with all its members, because a member of that protocol joins.
 * False: the heartbeat has been refused and nothing has changed. */
bool modern_upgrade(struct group *group, struct group_call *call);

enum modern_downgrade {
    MODERN_DOWNGRADE_REBALANCE, /* who is to own what has changed */
    MODERN_DOWNGRADE_QUIET,
};

/* When members are left and all of them speak the classic protocol, the group becomes a classic one, if that is
 * allowed. */
bool modern_downgrade(struct group *group, enum modern_downgrade how);

/* Do all members of the classic protocol, but this one, speak this protocol? */
bool modern_all_speak(const struct modern *modern, struct odk_str protocol, const struct modern_member *except);
