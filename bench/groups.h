/*
 * What the measurements of groups share: options, the figures they print, and asking until the coordinator is there.
 *
 * Each measurement prints one line of JSON. An unexpected error code ends the program.
 */
#pragma once
#include "bench/histogram.h"
#include "bench/talk.h"

struct groups_options {
    struct talk_loop *loop;
    const char *topic;  /* exists, with that many partitions */
    const char *prefix; /* of group names */
    uint32_t partitions;
    uint32_t members;
    uint32_t connections;
    uint32_t outstanding; /* on each connection, each to a group of its own */
    uint32_t groups;
    uint32_t group_partitions; /* with an offset, in each group */
    uint32_t rounds;
    uint32_t delay_ms; /* the server's group.initial.rebalance.delay.ms */
    double seconds;
};

/* Offsets: commits as fast as they are answered; groups that only have offsets; the lag of all of them. */
void groups_commit(const struct groups_options *options);
void groups_fill(const struct groups_options *options);
void groups_lag(const struct groups_options *options);
/* A classic group whose members all come at once, and then one more. */
void groups_join(const struct groups_options *options);
/* A group of the newer protocol that one more member joins while all read. */
void groups_move(const struct groups_options *options);

#define GROUP_NAME_BYTES 128u

/* The name of a group, in dst. */
struct odk_str group_name(const struct groups_options *options, uint32_t number, char dst[GROUP_NAME_BYTES]);

/* Asks for the group's coordinator until there is one: Apache Kafka makes its topic for offsets on the first question.
 */
void group_ready(struct talk *talk, struct odk_str group);
/* True: the coordinator is not there yet, ask again. */
bool group_is_loading(int16_t error);

static inline double ms_of(uint64_t ns)
{
    return (double)ns / 1e6;
}
