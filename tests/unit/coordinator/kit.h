/* Short ways to say what clients of the classic protocol send, for the tests. */
#pragma once
#include "rig.h"

/* A JoinGroup of a consumer that offers "range" with what as metadata; change it before sending. */
struct kit_join {
    int16_t version;
    const char *client_id;
    struct join_group_request_protocol protocols[4];
    struct join_group_request request;
};

void kit_join_init(struct kit_join *join, int16_t version, const char *group, const char *member_id,
                   const char *instance_id, const char *what);
struct rig_call *kit_join_send(struct rig *rig, struct kit_join *join);
/* Both in one. instance_id NULL: a dynamic member. */
struct rig_call *kit_join(struct rig *rig, int16_t version, const char *group, const char *member_id,
                          const char *instance_id, const char *what);
/* assignments: pairs of member id and assignment, NULL at the end; NULL: none, as followers send. */
struct rig_call *kit_sync(struct rig *rig, const char *group, const char *member_id, int32_t generation,
                          const char *const *assignments);
int16_t kit_heartbeat(struct rig *rig, const char *group, const char *member_id, const char *instance_id,
                      int32_t generation);
/* Version 3 and later, one member; the error is the member's. */
int16_t kit_leave(struct rig *rig, const char *group, const char *member_id, const char *instance_id);
/* One partition; the error is the partition's. */
int16_t kit_commit(struct rig *rig, int16_t version, const char *group, const char *member_id, int32_t generation,
                   const char *topic, int32_t partition, int64_t offset);
/* The committed offset; -1 where there is none. */
int64_t kit_fetch(struct rig *rig, const char *group, const char *topic, int32_t partition);
int16_t kit_delete_group(struct rig *rig, const char *group);
/* DescribeGroups: the state of a group, and its members. */
const char *kit_state(struct rig *rig, const char *group);
int kit_member_count(struct rig *rig, const char *group);

/* A member with an id that has been given out, of a group that is stable with it alone: who it is. */
struct kit_member {
    char id[128];
    int32_t generation;
};

/* Joins and syncs the only member of a group; group is made Stable. */
struct kit_member kit_alone(struct rig *rig, const char *group, const char *instance_id, const char *what);
/* What the answer of a join says; the call is freed. The error must be none. */
struct kit_member kit_joined(struct rig_call *call);
/* The first half of KIP-394: an id to come back with. */
struct kit_member kit_given_id(struct rig *rig, const char *group);

/* Metadata of a consumer that subscribes to one topic. */
struct odk_bytes kit_subscription(const char *topic);

#define assert_text(view, text) assert_true(odk_str_eq((view), odk_str_from(text)))
