/*
 * What the parts of the store's simulation share.
 *
 *   store_sim.c   a seed: generations, crashes, the loop      store_work.c  what is done to logs, and its callbacks
 *   store_model.c the oracle
 */
#pragma once
#include "base/list.h"
#include "base/prng.h"
#include "base/units.h"

#include "store_sim.h"

enum { PROCESS = 1, SHARDS_MAX = 3, LOGS_MAX = 10, FLYING_MAX = 48, RECORDS_MAX = 4 };

enum log_state { LOG_LIVE, LOG_DELETING, LOG_GONE };

struct sim_log {
    char name[32];
    struct odk_uuid id;
    struct odk_uuid spare; /* the next life's; one creation that failed may have left it behind */
    enum log_state state;
    struct odk_log_config config;
    struct odk_log *log; /* this generation's; NULL: could not be opened */
    struct shard *shard;
    struct run *run;
    struct model_log model;
    bool trimming;
    int64_t trim_to;
    bool compacted; /* is compacted now and then */
    bool cleaning;
    struct odk_clean clean;
};

struct shard {
    struct odk_io *io;
    struct odk_store *store;
    struct prng rng;
    uint64_t next_action_ns;
    uint32_t flying; /* appends */
    uint32_t reading;
    uint64_t spin_ops, spin_turns; /* turns asked for at once in a row, without starting an operation */
    bool closing, closed;
    enum odk_err close_err;
};

struct run {
    struct sim_world *world;
    struct prng rng;
    struct verdict *verdict;
    struct store_sim_tally *tally;
    struct sim_faults faults;
    bool faulty;  /* this generation */
    bool roomy;   /* this generation, from some moment on: space without bound */
    bool verbose;
    bool crashed; /* the life ended by a crash in the middle */
    bool fixed;   /* the crash was given, none is drawn */
    struct sim_log logs[LOGS_MAX];
    uint32_t log_count;
    struct odk_boot_options boot_options;
    struct odk_store_options store_options;
    struct odk_io *boot_io;
    struct odk_boot *boot;
    struct shard shards[SHARDS_MAX];
    uint32_t shard_count;
    struct list flights; /* appends and reads of this generation */
    uint32_t actions_left;
    int64_t next_id;
    uint64_t next_uuid;
};

/* One append or one read in the air. */
struct flight {
    struct list in_run;
    struct sim_log *log;
    struct shard *shard;
    uint8_t *bytes;
    bool reading;
    bool waits;
    bool ready;
    enum odk_err err;
    struct odk_append append;
    struct odk_read read;
};

static inline bool over(const struct run *run)
{
    return run->verdict->failed || sim_dead(run->boot_io);
}

/* A line for the reader of one failing seed. */
void say(const struct run *run, const struct sim_log *log, const char *what, int64_t a, int64_t b);

/* True when drawn faults may make an operation fail for good. */
bool may_fail(const struct run *run);
/* A violation, unless the faults explain err. log may be NULL. */
void check_error(struct run *run, enum odk_err err, const char *what, const struct sim_log *log);
/* The same for a read, which may also race with trims and deletes. */
void check_read_error(struct run *run, const struct flight *flight, enum odk_err err);

void flight_free(struct flight *flight);
struct flight *flight_new(struct run *run, struct sim_log *log, bool reading);
/* What a finished read delivered, against the model. Returns the offset behind it, or -1. */
int64_t take_read(struct run *run, struct sim_log *log, struct odk_read *read);
void read_on_done(struct odk_read *read, enum odk_err err);

/* Where the log begins and ends. False when it could not be loaded: then both read as 0 and its state says why. */
bool log_range(struct run *run, struct sim_log *log, int64_t *ret_start, int64_t *ret_end);
/* Another life under the same name: the spare id, an empty model. */
void log_reborn(struct run *run, struct sim_log *log);
void uuid_draw(struct run *run, struct odk_uuid *ret);
/* Nothing may be in flight on the log. */
void act_delete(struct run *run, struct sim_log *log);
/* One drawn action on one of the shard's logs. */
void act(struct run *run, struct shard *shard);
