/*
 * The store under simulation: several shards of one process over one disk, several lives ("generations") in a row.
 *
 * A generation boots, opens every log, reads all of it and compares with the model, then appends, reads, trims and
 * deletes under drawn faults until its work is done or a crash strikes at a drawn operation (during the boot too). The
 * last two generations have no faults: the first of them must find everything, the second the same again.
 */
#include "store_sim_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HANG_NS (600 * NS_PER_S)

enum { SPIN_TURNS_MAX = 2000 };

/* -- the loop ----------------------------------------------------------------------------------------------------- */

/* A store that asks for its next turn at once, again and again, and begins nothing would keep a core busy. */
static void check_spin(struct run *run, struct shard *shard, uint64_t until_ns, uint64_t now_ns)
{
    bool spins = until_ns <= now_ns && sim_op_count(run->world) == shard->spin_ops;
    shard->spin_turns = spins ? shard->spin_turns + 1 : 0;
    shard->spin_ops = sim_op_count(run->world);
    if (shard->spin_turns > SPIN_TURNS_MAX)
        verdict_fail(run->verdict, "the store wants a turn at %" PRIu64 " ns, but it is %" PRIu64 " ns: a busy loop%s",
                     until_ns, now_ns, shard->closing ? " while closing" : "");
}

static void shard_turn(struct run *run, struct shard *shard)
{
    const struct odk_io_ops *ops = shard->io->ops;
    uint64_t now_ns = ops->mono_ns(shard->io);
    sim_straight(shard->io, true); /* whatever waits outside the loop's own run() blocks the loop */
    bool acting = run->actions_left > 0 && !shard->closing;
    if (acting && now_ns >= shard->next_action_ns) {
        uint64_t count = prng_between(&shard->rng, 1, 6);
        for (uint64_t i = 0; i < count && run->actions_left > 0 && !over(run); i++)
            act(run, shard);
        bool quiet = prng_chance(&shard->rng, 20000);
        shard->next_action_ns = now_ns + prng_below(&shard->rng, quiet ? 3 * NS_PER_S : 4 * NS_PER_MS);
    }
    if (over(run))
        return;
    uint64_t until_ns = odk_store_tick(shard->store, now_ns);
    check_spin(run, shard, until_ns, now_ns);
    if (acting)
        until_ns = MIN(until_ns, shard->next_action_ns);
    sim_straight(shard->io, false);
    if (!over(run))
        ops->run(shard->io, until_ns);
}

static struct shard *shard_of(struct run *run, const struct odk_io *io)
{
    for (uint32_t i = 0; i < run->shard_count; i++) {
        if (run->shards[i].io == io)
            return &run->shards[i];
    }
    return NULL;
}

static bool work_left(const struct run *run)
{
    if (run->actions_left > 0 || !list_empty(&run->flights))
        return true;
    for (uint32_t i = 0; i < run->log_count; i++) {
        if (run->logs[i].state == LOG_DELETING && run->logs[i].shard != NULL && !may_fail(run))
            return true;
    }
    return false;
}

static bool all_closed(const struct run *run)
{
    for (uint32_t i = 0; i < run->shard_count; i++) {
        if (!run->shards[i].closed)
            return false;
    }
    return true;
}

/* Somebody frees space: what was staged when the disk became full may wait for that, and for nothing else. */
static bool make_room(struct run *run, uint64_t *deadline_ns)
{
    struct sim_faults roomy = run->faults;
    if (!run->faulty || run->roomy || run->faults.space_bytes == 0)
        return false;
    roomy.space_bytes = 0;
    sim_faults_set(run->world, &roomy);
    run->roomy = true;
    *deadline_ns += HANG_NS;
    return true;
}

/* Runs the shards in the world's order until done() or a crash; no progress within HANG_NS is a violation. */
static void drive(struct run *run, bool closing)
{
    uint64_t deadline_ns = sim_now_ns(run->world) + HANG_NS;
    while (!over(run) && (closing ? !all_closed(run) : work_left(run))) {
        struct odk_io *io = sim_next(run->world, deadline_ns);
        struct shard *shard = io ? shard_of(run, io) : NULL;
        if (io == NULL && !over(run) && !make_room(run, &deadline_ns)) {
            verdict_fail(run->verdict, "%s: nothing will ever happen", closing ? "closing" : "waiting for callbacks");
            return;
        }
        if (shard != NULL)
            shard_turn(run, shard);
        else if (io == run->boot_io)
            io->ops->run(io, UINT64_MAX);
    }
}

/* -- start-up ----------------------------------------------------------------------------------------------------- */

static enum odk_err read_blocking(struct run *run, struct flight *flight)
{
    struct shard *shard = flight->shard;
    enum odk_err err = odk_log_read(flight->log->log, &flight->read);
    while (err == ODK_ERR_PENDING && !flight->ready && !over(run)) {
        uint64_t now_ns = shard->io->ops->mono_ns(shard->io);
        shard->io->ops->run(shard->io, odk_store_tick(shard->store, now_ns));
    }
    return err == ODK_ERR_PENDING ? flight->err : err;
}

/* Reads all of a log, in pieces, after a restart. */
static void verify_log(struct run *run, struct sim_log *log)
{
    int64_t start, end;
    if (!log_range(run, log, &start, &end))
        return;
    model_look(&log->model);
    for (int64_t at = start; at < end && !over(run);) {
        struct flight *flight = flight_new(run, log, true);
        flight->waits = true;
        flight->read.offset = at;
        flight->read.bytes_max = (uint32_t)prng_between(&run->rng, 1, 100000);
        flight->read.at_least_one = true;
        flight->read.done = read_on_done;
        enum odk_err err = read_blocking(run, flight);
        if (over(run))
            return;
        int64_t next = err == ODK_OK ? take_read(run, log, &flight->read) : -1;
        if (err == ODK_OK)
            odk_log_read_release(log->log, &flight->read);
        else
            check_read_error(run, flight, err);
        flight_free(flight);
        if (next < 0)
            return; /* cannot be read in this life; the next one looks again */
        if (next <= at)
            verdict_fail(run->verdict, "%s: a read at %" PRId64 " makes no progress towards %" PRId64, log->name,
                         at, end);
        at = next;
    }
    if (over(run))
        return;
    model_settle(&log->model, run->verdict, start, end);
    if (run->verdict->failed) {
        struct verdict found = *run->verdict;
        run->verdict->failed = false;
        verdict_fail(run->verdict, "%s: %.300s", log->name, found.text);
    }
}

/* A deletion that was not confirmed happened or did not; what a broker does then is to delete again. */
static void settle_deletion(struct run *run, struct sim_log *log)
{
    bool gone = odk_log_end_offset(log->log) == 0 && odk_log_state(log->log) == ODK_OK;
    if (over(run))
        return;
    if (gone) {
        model_deinit(&log->model);
        act_delete(run, log);
        return;
    }
    log->state = LOG_LIVE;
    verify_log(run, log);
}

static enum odk_err open_log(struct run *run, struct sim_log *log)
{
    bool gone = log->state == LOG_GONE;
    struct odk_log_spec spec = { .name = odk_str_from(log->name), .id = gone ? log->spare : log->id,
                                 .config = log->config };
    enum odk_err err = odk_log_open(log->shard->store, &spec, &log->log);
    if (err != ODK_OK)
        return err;
    if (gone) {
        log_reborn(run, log);
        (void)odk_log_end_offset(log->log); /* the folder is looked at now, at the latest */
        if (odk_log_state(log->log) == ODK_ERR_EXISTS)
            verdict_fail(run->verdict, "%s: deleted durably, but its folder is back", log->name);
    }
    return ODK_OK;
}

static void open_logs(struct run *run)
{
    for (uint32_t i = 0; i < run->log_count && !over(run); i++) {
        struct sim_log *log = &run->logs[i];
        log->shard = &run->shards[i % run->shard_count];
        log->trimming = false;
        log->cleaning = false;
        log->log = NULL;
        enum odk_err err = open_log(run, log);
        if (err != ODK_OK) {
            log->log = NULL;
            check_error(run, err, "opening", log);
        } else if (log->state == LOG_DELETING && !over(run)) {
            settle_deletion(run, log);
        } else if (!over(run)) {
            verify_log(run, log);
        }
    }
}

static bool open_stores(struct run *run)
{
    for (uint32_t i = 0; i < run->shard_count; i++) {
        struct shard *shard = &run->shards[i];
        *shard = (struct shard){ .rng.state = prng_next(&run->rng) };
        shard->io = sim_io_new(run->world, &(struct sim_io_options){ .process = PROCESS });
        sim_straight(shard->io, true);
    }
    for (uint32_t i = 0; i < run->shard_count; i++) {
        struct shard *shard = &run->shards[i];
        struct odk_store_options options = run->store_options;
        options.boot = run->boot;
        options.io = shard->io;
        options.shard = i;
        options.shard_count = run->shard_count;
        enum odk_err err = odk_store_open(&options, &shard->store);
        if (err != ODK_OK) {
            shard->store = NULL;
            check_error(run, err, "opening", NULL);
            return false;
        }
    }
    return !over(run);
}

static bool boot(struct run *run)
{
    run->boot_io = sim_io_new(run->world, &(struct sim_io_options){ .process = PROCESS });
    sim_straight(run->boot_io, true);
    struct odk_boot_options options = run->boot_options;
    options.io = run->boot_io;
    run->boot = NULL;
    enum odk_err err = odk_boot_open(&options, &run->boot);
    if (sim_dead(run->boot_io))
        run->tally->crashed_boots++;
    if (err != ODK_OK) {
        run->boot = NULL;
        run->tally->failed_boots++;
        check_error(run, err, "boot", NULL);
        return false;
    }
    struct odk_boot_info info;
    odk_boot_info(run->boot, &info);
    run->tally->redone_bytes += info.redone_bytes;
    return !over(run);
}

/* -- the end of a life -------------------------------------------------------------------------------------------- */

static void close_on_done(void *context, enum odk_err err)
{
    struct shard *shard = context;
    shard->closed = true;
    shard->close_err = err;
}

static void stop_cleanly(struct run *run)
{
    for (uint32_t i = 0; i < run->shard_count; i++)
        run->shards[i].closing = true;
    for (uint32_t i = 0; i < run->shard_count; i++) {
        odk_store_close(run->shards[i].store, close_on_done, &run->shards[i]);
        run->shards[i].io->ops->wake(run->shards[i].io);
    }
    drive(run, true);
    if (over(run))
        return;
    bool clean = true;
    for (uint32_t i = 0; i < run->shard_count; i++) {
        check_error(run, run->shards[i].close_err, "close", NULL);
        clean = clean && run->shards[i].close_err == ODK_OK;
        odk_store_free(run->shards[i].store);
        run->shards[i].store = NULL;
    }
    sim_straight(run->boot_io, true);
    enum odk_err err = odk_boot_close(run->boot, clean);
    run->boot = NULL;
    check_error(run, err, "closing the directory", NULL);
    run->tally->clean_stops += clean && err == ODK_OK && !over(run);
}

/* Frees what a life leaves, dead or not; nothing here reaches the disk. */
static void bury(struct run *run)
{
    run->crashed = sim_dead(run->boot_io);
    sim_crash_arm(run->world, SIM_CRASH_KILL, PROCESS, 0);
    if (!sim_dead(run->boot_io)) {
        bool power = prng_chance(&run->rng, 500000);
        if (power)
            sim_crash_power(run->world);
        else
            sim_crash_kill(run->world, PROCESS);
    }
    for (uint32_t i = 0; i < run->shard_count; i++) {
        if (run->shards[i].store != NULL)
            odk_store_free(run->shards[i].store);
        run->shards[i].store = NULL;
    }
    while (!list_empty(&run->flights))
        flight_free(list_entry(run->flights.next, struct flight, in_run));
    if (run->boot != NULL) {
        enum odk_err ignored = odk_boot_close(run->boot, false); /* on a dead io: only frees */
        (void)ignored;
    }
    run->boot = NULL;
    for (uint32_t i = 0; i < run->shard_count; i++) {
        sim_io_free(run->shards[i].io);
        run->shards[i].io = NULL;
    }
    sim_io_free(run->boot_io);
    run->boot_io = NULL;
}

static void arm_crash(struct run *run, uint64_t ops_max)
{
    if (run->fixed)
        return;
    bool power = prng_chance(&run->rng, 600000);
    *(power ? &run->tally->powers : &run->tally->kills) += 1;
    sim_crash_arm(run->world, power ? SIM_CRASH_POWER : SIM_CRASH_KILL, PROCESS, prng_between(&run->rng, 1, ops_max));
}

static void work(struct run *run)
{
    for (uint32_t i = 0; i < run->shard_count; i++) {
        run->shards[i].next_action_ns = 0;
        sim_straight(run->shards[i].io, false);
    }
    sim_straight(run->boot_io, false);
    if (run->faulty && prng_chance(&run->rng, 750000))
        arm_crash(run, prng_chance(&run->rng, 500000) ? 200 : 2500);
    drive(run, false);
    if (!over(run) && prng_chance(&run->rng, 600000))
        stop_cleanly(run);
}

static void generation(struct run *run, uint32_t actions)
{
    run->tally->generations++;
    run->actions_left = actions;
    struct sim_faults none = sim_faults_none();
    none.strict = run->faults.strict;
    none.no_direct = run->faults.no_direct;
    sim_faults_set(run->world, run->faulty ? &run->faults : &none);
    run->roomy = false;
    if (!run->faulty)
        sim_disk_settle(run->world);
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        run->shards[i].io = NULL;
    if (run->faulty && prng_chance(&run->rng, 250000))
        arm_crash(run, 80);
    if (boot(run) && open_stores(run)) {
        open_logs(run);
        if (!over(run))
            work(run);
    }
    bury(run);
}

/* -- one seed ----------------------------------------------------------------------------------------------------- */

static void diag_write(void *context, enum odk_diag_level level, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "   diag %d: %s\n", (int)level, line);
}

static void draw_options(struct run *run)
{
    struct prng *rng = &run->rng;
    struct odk_store_options *o = &run->store_options;
    o->journal_file_bytes = (uint32_t)KIB(128) << prng_below(rng, 3);
    o->journal_bytes_max = (uint64_t)o->journal_file_bytes * prng_between(rng, 2, 6);
    o->tail_bytes_max = KIB(256) << prng_below(rng, 4);
    o->files_max = (uint32_t)prng_between(rng, 8, 64);
    o->spill_bytes = (uint32_t)KIB(8) << prng_below(rng, 5);
    o->quiet_ms = (uint32_t)prng_between(rng, 1, 200);
    o->checkpoint_ms = (uint32_t)prng_between(rng, 5, 1000);
    run->boot_options = (struct odk_boot_options){
        .dir = "data",
        .diag = o->diag,
        .node_id = 1,
        .redo_bytes_max = KIB(4) << prng_below(rng, 8),
        .redo_files_max = (uint32_t)prng_between(rng, 1, LOGS_MAX),
    };
    run->shard_count = (uint32_t)prng_between(rng, 1, SHARDS_MAX);
    run->log_count = (uint32_t)prng_between(rng, 1, LOGS_MAX);
    for (uint32_t i = 0; i < run->log_count; i++) {
        struct sim_log *log = &run->logs[i];
        log->run = run;
        (void)snprintf(log->name, sizeof(log->name), "topic-%u", i);
        log->compacted = prng_chance(rng, 400000);
        log->config = (struct odk_log_config){
            .segment_bytes = (int32_t)KIB(64) << (log->compacted ? 0 : prng_below(rng, 4)),
            .segment_ms = prng_chance(rng, 200000) ? (int64_t)prng_between(rng, 10, 300) : INT64_MAX / 2,
            .index_interval_bytes = (int32_t)KIB(1) << prng_below(rng, 4),
            .segment_index_bytes = (int32_t)KIB(16),
        };
        uuid_draw(run, &log->spare);
        log_reborn(run, log);
    }
}

static void generations(struct run *run)
{
    uint64_t lives = prng_between(&run->rng, 1, 4);
    if (run->fixed) {
        lives = 0;
        run->faulty = true;
        generation(run, STORE_SIM_FIXED_ACTIONS);
        run->tally->fixed_crashes += run->crashed;
        run->fixed = false;
    }
    for (uint64_t i = 0; i < lives && !run->verdict->failed; i++) {
        run->faulty = true;
        if (prng_chance(&run->rng, 200000))
            run->shard_count = (uint32_t)prng_between(&run->rng, 1, SHARDS_MAX);
        generation(run, (uint32_t)prng_between(&run->rng, 10, 250));
    }
    for (int i = 0; i < 2 && !run->verdict->failed; i++) {
        run->faulty = false;
        generation(run, i == 0 ? 10 : 0);
    }
}

uint64_t store_sim_run(const struct store_sim_options *options, struct store_sim_tally *tally, struct verdict *verdict)
{
    struct run run = { .rng.state = options->seed ^ UINT64_C(0x5eed), .verdict = verdict, .tally = tally,
                       .next_id = 1600000000000 };
    list_init(&run.flights);
    run.faults = sim_faults_draw(&run.rng);
    const struct odk_diag diag = { .write = options->verbose ? diag_write : NULL, .least = ODK_DIAG_DEBUG };
    run.store_options.diag = &diag;
    run.verbose = options->verbose;
    draw_options(&run);
    run.world = sim_world_new(options->seed, &run.faults);
    sim_verbose(run.world, options->verbose);
    sim_lie(run.world, options->lie);
    if (options->crash_op != 0) {
        run.fixed = true;
        sim_crash_arm(run.world, prng_chance(&run.rng, 700000) ? SIM_CRASH_POWER : SIM_CRASH_KILL, PROCESS,
                      options->crash_op);
    }
    generations(&run);
    tally->seeds++;
    tally->ops += sim_op_count(run.world);
    uint64_t hash = sim_trace_hash(run.world);
    for (uint32_t i = 0; i < run.log_count; i++)
        model_deinit(&run.logs[i].model);
    sim_world_free(run.world);
    return hash;
}
