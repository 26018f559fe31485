/* One seed of the store's simulation; store_sim_main.c runs many. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "sim_world.h"
#include "store_model.h"

struct store_sim_options {
    uint64_t seed;
    enum sim_lie lie; /* a planted bug that the oracle must find */
    uint64_t crash_op; /* 0: crashes are drawn; else one life of few actions that ends at this operation */
    bool verbose;
};

/* What the seeds together reached: a run that explores nothing is caught by these. */
struct store_sim_tally {
    uint64_t seeds, generations, kills, powers, clean_stops, crashed_boots, failed_boots;
    uint64_t appends, acked, refused, reads, deletes, trims, emptied, cleans, cleaned_bytes, offline;
    uint64_t redone_bytes, ops;
    uint64_t fixed_crashes; /* given crash_op was reached */
};

/* Actions of the one life that a fixed crash ends. */
#define STORE_SIM_FIXED_ACTIONS 25u

/* Runs the seed to its end or its first violation; adds to tally. Returns the world's trace hash. */
uint64_t store_sim_run(const struct store_sim_options *options, struct store_sim_tally *tally, struct verdict *verdict);
