/*
 * A request's way to the groups and back: one leg for each shard that owns some of the groups it asks for.
 *
 *   home shard: group_trip_add ...; group_trip_go -- (the topic of the groups is made when it is not there)
 *                                                 -- task --> owner: each call to its groups, answers through their gate
 *               home                              <-- task -- all answered
 *   cancel                                        -- stop --> owner: whoever waits is answered;  both tasks go home
 *
 * Everything is in the request's arena, made at home before the first leg goes; a leg is touched by one shard at a time.
 * Memory of answers: with one leg the request's arena goes with it; else each leg has one of its own.
 *
 * (T1) home runs exactly once, on the home shard, when every task is back. Nothing is freed before.
 */
#pragma once
#include "base/arena.h"
#include "broker/group_host.h"
#include "broker/request.h"

struct group_leg;
struct group_step;

struct group_trip {
    struct request *request;
    struct group_topic_waiter waiter;
    struct group_step *steps; /* calls, the last one first */
    struct group_leg *legs;   /* one for each shard */
    struct odk_str client_host;
    uint32_t away;
    bool cancelled;
    void (*home)(struct group_trip *trip);
};

/* False: no memory. */
MUST_USE bool group_trip_init(struct group_trip *trip, struct request *request, void (*home)(struct group_trip *trip));
/* One call for a group; in and out as enum group_call_kind says, and alive until home. False: no memory. */
MUST_USE bool group_trip_add(struct group_trip *trip, enum group_call_kind kind, struct odk_str group_id, const void *in,
                             void *out);
/* The same for all groups of one partition. The topic must be there. */
MUST_USE bool group_trip_add_partition(struct group_trip *trip, enum group_call_kind kind, int32_t partition,
                                       const void *in, void *out);
/* Takes request->state, cancel and release. home may run inside. */
void group_trip_go(struct group_trip *trip);
