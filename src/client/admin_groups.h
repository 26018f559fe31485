/*
 * What the command line asks of consumer groups, of both protocols, each of its coordinator.
 *
 * A call that fails as a whole returns a code other than EXIT_CODE_OK, with cluster_why. What a broker says of one
 * group is that group's error; groups with an error keep out of later calls. "The coordinator is not ready yet" is
 * asked again until the timeout of the cluster's options. Everything returned lives until cluster_close.
 *
 * Source: KIP-222, 229, 345, 496, 518, 709, 848.
 */
#pragma once
#include "client/cluster.h"
#include "client/plan.h"

struct admin_partition {
    struct odk_str topic;
    int32_t partition;
};

/* By topic, then partition. */
int admin_group_partition_order(const void *left, const void *right);

struct admin_assignment {
    const struct admin_partition *partitions; /* ordered */
    size_t count;
    bool opaque;  /* not a consumer's: partitions are unknown */
    size_t bytes; /* of an opaque one */
};

struct admin_member {
    struct odk_str id;
    struct odk_str instance_id; /* data NULL: a dynamic member */
    struct odk_str client_id;
    struct odk_str host;
    int32_t epoch; /* -1: of a classic group */
    struct admin_assignment current;
    struct admin_assignment target; /* empty in a classic group */
};

struct admin_offset {
    struct odk_str topic;
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch; /* -1: unknown */
    struct odk_str metadata;
    int16_t error;
};

enum admin_group_type {
    ADMIN_CLASSIC,
    ADMIN_CONSUMER, /* KIP-848 */
    ADMIN_OTHER,    /* share, streams: type_name says which */
};

struct admin_group {
    struct odk_str id;
    int16_t error;
    struct odk_str error_message; /* of the broker; may be empty */
    int32_t coordinator;          /* node; -1: not found yet */
    /* of admin_groups_list and admin_groups_describe */
    enum admin_group_type type;
    struct odk_str type_name; /* as ListGroups says it; data NULL: unknown */
    struct odk_str protocol_type;
    struct odk_str state;
    /* of admin_groups_describe */
    struct odk_str assignor;  /* the protocol members agreed on; may be empty */
    int32_t epoch;            /* -1: of a classic group */
    int32_t assignment_epoch; /* likewise */
    struct admin_member *members;
    int32_t member_count; /* -1: unknown */
    /* of admin_groups_committed; ordered */
    struct admin_offset *offsets;
    size_t offset_count;
};

/* Groups to ask about; each once, *count becomes how many that are. */
struct admin_group *admin_groups_named(struct cluster *cluster, char *const *ids, size_t *count);

struct admin_groups_filter {
    struct odk_str *states; /* none: all */
    size_t state_count;
    struct odk_str *types;
    size_t type_count;
};
/* All groups of all nodes, by id. */
ODK_MUST_USE enum exit_code admin_groups_list(struct cluster *cluster, const struct admin_groups_filter *filter,
                                              struct admin_group **ret_groups, size_t *ret_count);

/* State and members. A group that nobody knows has the error GROUP_ID_NOT_FOUND. */
ODK_MUST_USE enum exit_code admin_groups_describe(struct cluster *cluster, struct admin_group *groups, size_t count);
/* All committed offsets. A group that nobody knows has none. */
ODK_MUST_USE enum exit_code admin_groups_committed(struct cluster *cluster, struct admin_group *groups, size_t count);
/* What admin_groups_committed found for a partition; NULL: nothing. */
const struct admin_offset *admin_offset_find(const struct admin_group *group, struct odk_str topic, int32_t partition);
ODK_MUST_USE enum exit_code admin_groups_delete(struct cluster *cluster, struct admin_group *groups, size_t count);

/* Forgets offsets, which are ordered; the outcome of each is its error. */
ODK_MUST_USE enum exit_code admin_group_offsets_delete(struct cluster *cluster, struct admin_group *group,
                                                       struct admin_offset *offsets, size_t count);

/*
 * Stores the targets of a plan as the group's offsets and reads them back. Rows are ordered; a row's error is in
 * errors, as is what was read back in stored (-1: nothing).
 *
 * With members (from admin_groups_describe) these are removed first, in the same breath: leave, commit and fetch go out
 * in one piece, so that a member which joins again finds the new offsets, unless it gets in between: then errors says
 * so.
 */
struct admin_commit {
    const struct plan_row *rows;
    size_t count;
    int16_t *errors;
    int64_t *stored;
};
ODK_MUST_USE enum exit_code admin_commit(struct cluster *cluster, struct admin_group *group,
                                         struct admin_commit *commit);

/*
 * The members' partitions of a classic consumer, from SyncGroup's bytes (KIP-62's ConsumerProtocolAssignment). Opaque
 * when they are something else.
 */
struct admin_assignment admin_group_assignment_read(struct odk_bytes bytes, struct arena *arena);
