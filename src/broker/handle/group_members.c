/*
 * What members of a group send: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetDelete, and
 * ConsumerGroupHeartbeat of the newer protocol. Each asks one group one thing; src/coordinator answers. Join and Sync may
 * wait there for minutes. Source: protocol guide; KIP-62, KIP-345, KIP-848.
 */
#include "broker/api.h"
#include "broker/broker_internal.h"
#include "broker/group_trip.h"
#include "wire/messages.h"

/* Decode, ask, encode: X(wire name, kind of call). */
#define GROUP_QUESTIONS(X)                                                                                             \
    X(join_group, GROUP_CALL_JOIN)                                                                                     \
    X(sync_group, GROUP_CALL_SYNC)                                                                                     \
    X(heartbeat, GROUP_CALL_HEARTBEAT)                                                                                 \
    X(leave_group, GROUP_CALL_LEAVE)                                                                                   \
    X(offset_commit, GROUP_CALL_COMMIT)                                                                                \
    X(offset_delete, GROUP_CALL_OFFSET_DELETE)                                                                         \
    X(consumer_group_heartbeat, GROUP_CALL_CONSUMER_HEARTBEAT)

static void ask(struct group_trip *trip, struct request *request, void (*home)(struct group_trip *trip),
                const struct group_call *call, struct odk_str group_id)
{
    if (group_trip_init(trip, request, home) && group_trip_add(trip, call->kind, group_id, call->in, call->out))
        group_trip_go(trip);
    else
        request_too_large(request);
}

#define X(name, call_kind)                                                                                             \
    struct name {                                                                                                      \
        struct group_trip trip;                                                                                        \
        struct name##_request in;                                                                                      \
        struct name##_response out;                                                                                    \
    };                                                                                                                 \
                                                                                                                       \
    static void name##_home(struct group_trip *trip)                                                                   \
    {                                                                                                                  \
        const struct name *own = container_of(trip, struct name, trip);                                                \
        struct request *request = trip->request;                                                                       \
        request_reply(request, name##_response_encode(&own->out, request_reply_begin(request), request->version));     \
    }                                                                                                                  \
                                                                                                                       \
    void handle_##name(struct request *request)                                                                        \
    {                                                                                                                  \
        struct name *own = arena_new(&request->arena, struct name, 1);                                                 \
        if (!own) {                                                                                                    \
            request_too_large(request);                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
        if (!request_decoded(                                                                                          \
                request, name##_request_decode(&own->in, &request->body, &request->arena, request->version)))          \
            return;                                                                                                    \
        name##_response_init(&own->out);                                                                               \
        struct group_call call = { .kind = call_kind, .in = &own->in, .out = &own->out };                              \
        ask(&own->trip, request, name##_home, &call, own->in.group_id);                                                \
    }
GROUP_QUESTIONS(X)
#undef X
