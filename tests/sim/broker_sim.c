/*
 * The whole broker under simulation: several lives of one data directory, clients that outlive them.
 *
 * A life boots, serves under drawn faults, and ends: killed or without power at a drawn operation (perhaps while it
 * starts or stops), or cleanly. Before some ends the faults stop, and everything that was asked must be answered. The
 * last two lives have no faults: the first takes what clients still want to send and is read back whole, ends in a
 * clean stop or a crash, and the second must hold the same.
 */
#include "broker_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define LIFE_NS     (120 * NS_PER_S) /* a life with faults is ended after this */
#define SETTLE_NS   (400 * NS_PER_S) /* without faults everything is done within this */
#define PATIENCE_NS (40 * NS_PER_S)  /* clients among faults */
#define PROMISE_NS  (60 * NS_PER_S)  /* an answer when there are no faults */

struct run {
    const struct broker_sim_options *options;
    struct sim_world *world;
    struct prng rng;
    struct violation *violation;
    struct broker_sim_tally *tally;
    struct sim_faults faults;
    struct odk_diag diag;
    struct broker_config config;
    struct odk_store_options store;
    struct fleet fleet;
    struct node node;
    bool honest;   /* no planted bug */
    bool restless; /* clients are */
};

static bool over(const struct run *run)
{
    return run->violation->found || node_dead(&run->node);
}

/* -- the loop -------------------------------------------------------------------------------------------------------
 */

typedef bool run_until(struct run *run);

static bool node_left_start(struct run *run)
{
    return run->node.state != NODE_STARTING;
}

static bool work_done(struct run *run)
{
    return run->fleet.work_left == 0;
}

static bool nothing_waits(struct run *run)
{
    return !fleet_waits(&run->fleet);
}

static bool all_settled(struct run *run)
{
    return fleet_idle(&run->fleet);
}

static bool node_has_stopped(struct run *run)
{
    return run->node.state == NODE_STOPPED;
}

/* Turns in the world's order until done, a crash, a violation, or the time is over. True if done. */
static bool drive(struct run *run, run_until *done, uint64_t time_ns)
{
    uint64_t deadline_ns = sim_now_ns(run->world) + time_ns;
    while (!over(run) && !done(run)) {
        struct odk_io *io = sim_next(run->world, deadline_ns);
        if (io == NULL)
            return false;
        if (io == run->fleet.io)
            fleet_turn(&run->fleet);
        else
            (void)node_turn(&run->node, io);
    }
    return !over(run);
}

/* -- moods ----------------------------------------------------------------------------------------------------------
 */

static void mood_set(struct run *run, bool calm)
{
    struct kclient_mood *mood = &run->fleet.mood;
    mood->timeout_ns = calm ? PROMISE_NS : PATIENCE_NS;
    if (calm && !mood->calm)
        mood->calm_count++;
    mood->calm = calm;
    mood->unforgiving = false;
    mood->restless = !calm && run->restless;
}

static struct sim_faults no_faults(const struct run *run)
{
    struct sim_faults none = sim_faults_none();
    none.strict = run->faults.strict;
    none.no_direct = run->faults.no_direct;
    return none;
}

static bool may_fail(const struct run *run)
{
    const struct sim_faults *f = &run->faults;
    return f->write_eio || f->read_eio || f->sync_fail || f->meta_eio || f->map_eio || f->space_bytes;
}

static void say(const struct run *run, const char *what)
{
    fleet_say(&run->fleet, "-- %s", what);
}

static void crash_now(struct run *run)
{
    if (prng_chance(&run->rng, 500000)) {
        run->tally->powers++;
        sim_crash_power(run->world);
    } else {
        run->tally->kills++;
        sim_crash_kill(run->world, NODE_PROCESS);
    }
}

static void crash_arm(struct run *run, uint64_t ops_max)
{
    bool power = prng_chance(&run->rng, 600000);
    *(power ? &run->tally->powers : &run->tally->kills) += 1;
    sim_crash_arm(run->world, power ? SIM_CRASH_POWER : SIM_CRASH_KILL, NODE_PROCESS,
                  prng_between(&run->rng, 1, ops_max));
}

/* -- start and end of a life ----------------------------------------------------------------------------------------
 */

static void start_failed(struct run *run)
{
    run->tally->failed_starts++;
    if (node_dead(&run->node))
        run->tally->crashed_starts++;
    else if (!run->fleet.excused && run->honest)
        violation_set(run->violation, "the start fails: %s, which no fault explains", odk_err_name(run->node.err));
    else if (!run->fleet.excused)
        violation_set(run->violation, "the start fails: %s", odk_err_name(run->node.err));
}

/* True when the broker serves. */
static bool start(struct run *run)
{
    struct node_options options = { .world = run->world,
                                    .violation = run->violation,
                                    .diag = &run->diag,
                                    .config = &run->config,
                                    .store = run->store,
                                    .reactor_count = (uint32_t)prng_between(&run->rng, 1, NODE_REACTORS_MAX),
                                    .bug = run->options->bug };
    run->tally->lives++;
    run->fleet.mood.life++;
    say(run, "start");
    node_start(&run->node, &options);
    if (!over(run) && run->node.state == NODE_STARTING && !drive(run, node_left_start, SETTLE_NS) && !over(run))
        violation_set(run->violation, "the start does not end");
    if (run->violation->found)
        return false;
    if (run->node.boot != NULL)
        run->tally->redone_bytes += run->node.identity.redone_bytes;
    if (run->node.state == NODE_UP && !node_dead(&run->node))
        return true;
    start_failed(run);
    return false;
}

static void stop(struct run *run)
{
    run->tally->stops++;
    say(run, "stop");
    mood_set(run, false);
    node_stop(&run->node);
    if (!drive(run, node_has_stopped, SETTLE_NS) && !over(run))
        violation_set(run->violation, "the stop does not end (state %d)", (int)run->node.state);
    if (over(run))
        return;
    run->tally->clean_stops += run->node.clean;
    if (!run->node.clean && !run->fleet.excused)
        violation_set(run->violation, "the stop is not clean: %s", odk_err_name(run->node.err));
}

static void bury(struct run *run)
{
    sim_crash_arm(run->world, SIM_CRASH_KILL, NODE_PROCESS, 0);
    say(run, node_dead(&run->node) ? "crashed" : "the life ends");
    if (run->node.state != NODE_STOPPED && run->node.boot_io != NULL && !node_dead(&run->node))
        crash_now(run);
    node_bury(&run->node);
    mood_set(run, false);
}

/* -- lives ----------------------------------------------------------------------------------------------------------
 */

/* The faults end, the life does not: whatever was asked is answered. Where connections may have gone silent before,
 * nothing can be asked of them. */
static void faults_stop(struct run *run)
{
    struct sim_faults none = no_faults(run);
    say(run, "the faults stop");
    sim_crash_arm(run->world, SIM_CRASH_KILL, NODE_PROCESS, 0);
    sim_faults_set(run->world, &none);
    mood_set(run, true);
    run->fleet.mood.unforgiving = run->faults.net_vanish == 0;
    run->fleet.work_left = 0;
    if (!drive(run, nothing_waits, PROMISE_NS + PATIENCE_NS) && !over(run))
        violation_set(run->violation, "requests are not answered although the faults have stopped");
}

static uint64_t work_drawn(struct run *run)
{
    uint64_t dice = prng_below(&run->rng, 10);
    uint64_t factor = run->fleet.has_groups ? 3 : 1; /* a round of a group takes many requests */
    return factor * prng_between(&run->rng, 20, dice < 6 ? 150 : dice < 9 ? 500 : 1200);
}

static void faulty_life(struct run *run)
{
    sim_faults_set(run->world, &run->faults);
    mood_set(run, false);
    run->fleet.excused = may_fail(run);
    run->fleet.work_left = work_drawn(run);
    if (prng_chance(&run->rng, 200000))
        crash_arm(run, 200);
    if (start(run)) {
        if (prng_chance(&run->rng, 700000))
            crash_arm(run, prng_chance(&run->rng, 500000) ? 600 : 6000);
        (void)drive(run, work_done, LIFE_NS);
        if (!over(run) && prng_chance(&run->rng, 400000))
            faults_stop(run);
        if (!over(run) && prng_chance(&run->rng, 500000))
            stop(run);
    }
    bury(run);
}

/* Everything clients still want is done, and everything is read back. */
static void settle(struct run *run)
{
    run->fleet.work_left = prng_between(&run->rng, 5, 20);
    if (!drive(run, all_settled, SETTLE_NS) && !over(run))
        violation_set(run->violation, "clients do not come to an end although there are no faults");
    fleet_verify(&run->fleet);
    if (!over(run) && !drive(run, all_settled, SETTLE_NS) && !over(run))
        violation_set(run->violation, "the logs cannot be read back to their ends");
}

static void calm_life(struct run *run)
{
    struct sim_faults none = no_faults(run);
    sim_faults_set(run->world, &none);
    run->fleet.excused = false;
    run->fleet.work_left = 0;
    if (start(run)) {
        mood_set(run, true);
        settle(run);
        if (!over(run) && prng_chance(&run->rng, 700000))
            stop(run);
    }
    bury(run);
}

/* -- one seed -------------------------------------------------------------------------------------------------------
 */

static void diag_write(void *context, enum odk_diag_level level, const char *line)
{
    struct run *run = context;
    (void)fprintf(stderr, "%12.6f ms  broker %d: %s\n", run->world ? (double)sim_now_ns(run->world) / 1e6 : 0.0,
                  (int)level, line);
}

static void config_put(struct run *run, const char *key, uint64_t value)
{
    char text[32];
    struct config_why why;
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    enum odk_err err =
        broker_config_set(&run->config, odk_str_from(key), odk_str_from(text), CONFIG_FROM_FLAG, NULL, &why);
    ASSERT(err == ODK_OK);
}

static void config_draw(struct run *run)
{
    struct prng *rng = &run->rng;
    broker_config_init(&run->config);
    config_put(run, "num.partitions", prng_between(rng, 1, MODEL_PARTS_MAX));
    config_put(run, "log.segment.bytes", KIB(16) << prng_below(rng, 3));
    config_put(run, "log.index.interval.bytes", KIB(1) << prng_below(rng, 3));
    config_put(run, "log.retention.ms", INT64_MAX); /* its records are from 2020 */
    config_put(run, "log.message.timestamp.after.max.ms", INT64_MAX);
    config_put(run, "log.message.timestamp.before.max.ms", INT64_MAX);
    config_put(run, "max.incremental.fetch.session.cache.slots", prng_between(rng, 0, 6));
    config_put(run, "request.memory.bytes", MIB(1) << prng_below(rng, 5));
    config_put(run, "offsets.topic.num.partitions", prng_between(rng, 1, 5));
    config_put(run, "offsets.topic.segment.bytes", KIB(8) << prng_below(rng, 4));
    config_put(run, "offsets.retention.minutes", INT32_MAX); /* the wall clock steps */
    config_put(run, "group.initial.rebalance.delay.ms", prng_chance(rng, 500000) ? prng_below(rng, 3000) : 0);
    config_put(run, "group.min.session.timeout.ms", 1000);
    config_put(run, "group.consumer.min.session.timeout.ms", 1000);
    config_put(run, "group.consumer.session.timeout.ms", FLEET_SESSION_MS);
    config_put(run, "group.consumer.min.heartbeat.interval.ms", 100);
    config_put(run, "group.consumer.heartbeat.interval.ms", prng_between(rng, 100, 2000));
    config_put(run, "group.consumer.assignment.interval.ms", prng_below(rng, 2) * 1000);
    struct odk_store_options *o = &run->store;
    o->journal_file_bytes = (uint32_t)KIB(128) << prng_below(rng, 2);
    o->journal_bytes_max = (uint64_t)o->journal_file_bytes * prng_between(rng, 2, 6);
    o->tail_bytes_max = KIB(256) << prng_below(rng, 3);
    o->files_max = (uint32_t)prng_between(rng, 16, 64);
    o->spill_bytes = (uint32_t)KIB(4) << prng_below(rng, 5);
    o->quiet_ms = (uint32_t)prng_between(rng, 1, 200);
    o->checkpoint_ms = (uint32_t)prng_between(rng, 5, 1000);
}

static void lives(struct run *run)
{
    uint64_t count = prng_between(&run->rng, 1, 4);
    for (uint64_t i = 0; i < count && !run->violation->found; i++)
        faulty_life(run);
    for (int i = 0; i < 2 && !run->violation->found; i++)
        calm_life(run);
}

uint64_t broker_sim_run(const struct broker_sim_options *options, struct broker_sim_tally *tally,
                        struct violation *violation)
{
    struct run *run = xcalloc(1, sizeof(*run));
    *run = (struct run){
        .options = options, .rng.state = options->seed ^ UINT64_C(0xb20ce2), .violation = violation, .tally = tally
    };
    run->honest = options->lie == SIM_LIE_NONE && options->bug == NODE_BUG_NONE;
    run->faults = sim_faults_draw(&run->rng);
    bool talks = options->verbose || options->talk;
    run->diag = (struct odk_diag){ .write = talks ? diag_write : NULL, .context = run, .least = ODK_DIAG_DEBUG };
    config_draw(run);
    run->world = sim_world_new(options->seed, &run->faults);
    sim_verbose(run->world, options->verbose);
    sim_lie(run->world, options->lie);
    fleet_init(&run->fleet, run->world, prng_next(&run->rng), violation, &tally->fleet);
    run->fleet.talks = talks;
    run->fleet.fat = prng_chance(&run->rng, 200000);
    run->restless = prng_chance(&run->rng, 400000);
    run->fleet.may_fail = may_fail(run);
    lives(run);
    uint64_t hash = sim_trace_hash(run->world) ^ run->fleet.model.fold;
    tally->seeds++;
    tally->ops += sim_op_count(run->world);
    fleet_deinit(&run->fleet);
    if (!violation->found)
        sim_world_free(run->world);
    broker_config_deinit(&run->config);
    free(run);
    return hash;
}
