/* One seed of the broker's simulation; broker_sim_main.c runs many. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "broker_fleet.h"
#include "broker_node.h"
#include "sim_world.h"

struct broker_sim_options {
    uint64_t seed;
    enum sim_lie lie;  /* a planted bug below the broker, in its io */
    enum node_bug bug; /* one above */
    bool verbose;      /* every event and every line of the broker */
    bool talk;         /* the broker's lines only */
};

/* What the seeds together reached: a run that explores nothing is caught by these. */
struct broker_sim_tally {
    uint64_t seeds, lives, kills, powers, stops, clean_stops, failed_starts, crashed_starts, redone_bytes, ops;
    struct fleet_tally fleet;
};

/* Runs the seed to its end or its first violation; adds to tally. Returns the trace hash of the world and of all that
 * the clients were told. */
uint64_t broker_sim_run(const struct broker_sim_options *options, struct broker_sim_tally *tally,
                        struct violation *violation);
