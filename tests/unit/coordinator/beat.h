/*
 * Heartbeats of the newer protocol in short form: what a member says and what it is told, as text.
 *
 * Sets of partitions are written "t:0,1 u:2": names of topics of the rig, sorted as the groups answer or not.
 */
#pragma once
#include "rig.h"

struct beat_in {
    const char *group; /* "g" when NULL */
    const char *member;
    const char *instance, *rack, *regex, *assignor;
    const char *names;  /* "t,u"; NULL: as before */
    const char *owned;  /* NULL: as before */
    const char *client; /* "client" when NULL */
    int32_t epoch;
    int32_t timeout_ms; /* 0: not said */
    int16_t version;    /* 1 when 0; -1: version 0 */
};

struct beat_out {
    int16_t error;
    int32_t epoch;
    int32_t interval_ms;
    bool assigned;         /* the answer has an assignment */
    char assignment[4096]; /* topics by name */
    char member[128];
    char message[512];
    size_t message_len; /* as it was */
};

struct beat_out beat_send(struct rig *rig, const struct beat_in *in);
#define BEAT(rig, ...) beat_send((rig), &(struct beat_in){ __VA_ARGS__ })

/* A join with everything that it needs. */
#define JOIN(rig, member_, names_) BEAT(rig, .member = (member_), .names = (names_), .owned = "", .timeout_ms = 60000)
/* A heartbeat that says what it owns. */
#define OWNS(rig, member_, epoch_, owned_) BEAT(rig, .member = (member_), .epoch = (epoch_), .owned = (owned_))
#define LEAVE(rig, member_)                BEAT(rig, .member = (member_), .epoch = -1)

/* The answer is good and says this epoch; assignment NULL: none is sent. */
#define beat_is(out_, epoch_, assignment_)                                                                             \
    do {                                                                                                               \
        const struct beat_out beat_is_out = (out_);                                                                    \
        const char *beat_is_assignment = (assignment_);                                                                \
        assert_int_equal(beat_is_out.error, KAFKA_NONE);                                                               \
        assert_int_equal(beat_is_out.epoch, (epoch_));                                                                 \
        assert_int_equal(beat_is_out.assigned, beat_is_assignment != NULL);                                            \
        if (beat_is_assignment)                                                                                        \
            assert_string_equal(beat_is_out.assignment, beat_is_assignment);                                           \
    } while (0)
#define beat_refused(out_, error_) assert_int_equal((out_).error, (error_))

/* ConsumerGroupDescribe of a group, as text: "Stable epoch=3 target=3 uniform" and a line for each member,
 * "m epoch=3 type=1 names=t regex= assigned=t:0 target=t:0", by member id. NULL arena: static memory. */
const char *describe_text(struct rig *rig, const char *group);
