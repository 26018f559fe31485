/* Clock, events, scheduling and crashes of a simulated world. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim_internal.h"

/* -- trace ------------------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 32);
}

void sim_trace(struct sim_world *world, const char *what, uint64_t a, uint64_t b, int64_t c)
{
    uint64_t hash = mix(world->trace_hash, world->now_ns);
    for (const char *at = what; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    world->trace_hash = mix(mix(mix(hash, a), b), (uint64_t)c);
    if (world->verbose)
        (void)fprintf(stderr, "%12.6f ms  op %-6" PRIu64 " %-16s %" PRIu64 " %" PRIu64 " -> %" PRId64 "\n",
                      (double)world->now_ns / 1e6, world->op_count, what, a, b, c);
}

/* -- event heap ------------------------------------------------------------------------------------------------- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->tie < b->tie;
}

static void heap_put(struct sim_world *world, uint32_t pos, struct sim_event *event)
{
    world->heap[pos] = event;
    event->heap_pos = pos;
}

static void heap_up(struct sim_world *world, struct sim_event *event, uint32_t pos)
{
    while (pos > 1 && event_before(event, world->heap[pos / 2])) {
        heap_put(world, pos, world->heap[pos / 2]);
        pos /= 2;
    }
    heap_put(world, pos, event);
}

static void heap_down(struct sim_world *world, struct sim_event *event, uint32_t pos)
{
    for (;;) {
        uint32_t child = pos * 2;
        if (child > world->heap_count)
            break;
        if (child < world->heap_count && event_before(world->heap[child + 1], world->heap[child]))
            child++;
        if (!event_before(world->heap[child], event))
            break;
        heap_put(world, pos, world->heap[child]);
        pos = child;
    }
    heap_put(world, pos, event);
}

void sim_schedule(struct sim_world *world, struct sim_event *event, uint64_t delay_ns)
{
    ASSERT(event->heap_pos == 0);
    ASSERT(event->fire != NULL);
    event->at_ns = world->now_ns + delay_ns;
    event->tie = prng_next(&world->rng);
    if (world->heap_count + 2 > world->heap_cap) {
        world->heap_cap = MAX(64u, world->heap_cap * 2);
        world->heap = xrealloc(world->heap, world->heap_cap * sizeof(struct sim_event *));
    }
    world->heap_count++;
    heap_up(world, event, world->heap_count);
}

void sim_cancel(struct sim_world *world, struct sim_event *event)
{
    uint32_t pos = event->heap_pos;
    if (pos == 0)
        return;
    event->heap_pos = 0;
    struct sim_event *last = world->heap[world->heap_count--];
    if (last == event)
        return;
    if (pos > 1 && event_before(last, world->heap[pos / 2]))
        heap_up(world, last, pos);
    else
        heap_down(world, last, pos);
}

uint64_t sim_latency(struct sim_world *world, uint64_t typical_ns)
{
    uint64_t typical = MAX(typical_ns, UINT64_C(2));
    uint64_t drawn = typical / 2 + prng_below(&world->rng, typical + typical / 2);
    /* Each leading one doubles: the tail of a log-normal, near enough. */
    uint64_t bits = prng_next(&world->rng) & 0xff;
    for (uint64_t bit = 7; (bits & bit) == bit && bit < 0xff; bit = bit << 1 | 1)
        drawn *= 2;
    return drawn;
}

/* -- life ------------------------------------------------------------------------------------------------------- */

struct sim_world *sim_world_new(uint64_t seed, const struct sim_faults *faults)
{
    struct sim_world *world = xcalloc(1, sizeof(*world));
    world->seed = seed;
    struct prng root = { .state = seed };
    world->rng.state = prng_next(&root);
    world->data_rng.state = prng_next(&root);
    world->faults = *faults;
    world->now_ns = NS_PER_S + prng_below(&world->rng, 1000 * NS_PER_S);
    world->wall_offset_ms = 1700000000000 + (int64_t)prng_below(&world->rng, 100000000);
    world->trace_hash = seed;
    world->next_port = 20000;
    list_init(&world->ios);
    list_init(&world->inodes);
    list_init(&world->sockets);
    sim_fs_init(world);
    return world;
}

void sim_world_free(struct sim_world *world)
{
    if (world == NULL)
        return;
    ASSERT(list_empty(&world->ios));
    ASSERT(list_empty(&world->sockets));
    sim_fs_deinit(world);
    for (uint32_t i = 0; i < world->orphan_count; i++)
        (void)munmap(world->orphans[i].mem, world->orphans[i].len);
    free(world->orphans);
    free(world->maps);
    free(world->map_inodes);
    free(world->map_ios);
    free(world->heap);
    free(world);
}

/* -- time ------------------------------------------------------------------------------------------------------- */

static bool io_runnable(const struct sim_io *io)
{
    if (io->dead)
        return false;
    return !list_empty(&io->due) || io->woken || io->wanted_ns <= io->world->now_ns;
}

static uint64_t earliest_ns(const struct sim_world *world)
{
    uint64_t earliest = world->heap_count > 0 ? world->heap[1]->at_ns : UINT64_MAX;
    list_each(at, &world->ios) {
        const struct sim_io *io = list_entry(at, struct sim_io, in_world);
        if (!io->dead && io->wanted_ns > world->now_ns) /* else it is runnable already */
            earliest = MIN(earliest, io->wanted_ns);
    }
    return earliest;
}

static void fire_first(struct sim_world *world)
{
    struct sim_event *event = world->heap[1];
    world->now_ns = MAX(world->now_ns, event->at_ns);
    sim_cancel(world, event);
    event->fire(world, event);
}

bool sim_step(struct sim_world *world)
{
    uint64_t earliest = earliest_ns(world);
    if (earliest == UINT64_MAX)
        return false;
    if (world->heap_count > 0 && world->heap[1]->at_ns <= earliest)
        fire_first(world);
    else
        world->now_ns = MAX(world->now_ns, earliest);
    return true;
}

bool sim_idle(const struct sim_world *world)
{
    list_each(at, &world->ios) {
        if (io_runnable(list_entry(at, struct sim_io, in_world)))
            return false;
    }
    return earliest_ns(world) == UINT64_MAX;
}

static struct sim_io *pick_runnable(struct sim_world *world)
{
    struct sim_io *picked = NULL;
    uint64_t seen = 0;
    list_each(at, &world->ios) {
        struct sim_io *io = list_entry(at, struct sim_io, in_world);
        if (!io_runnable(io))
            continue;
        seen++;
        if (prng_below(&world->rng, seen) == 0)
            picked = io;
    }
    return picked;
}

struct odk_io *sim_next(struct sim_world *world, uint64_t until_ns)
{
    for (;;) {
        while (world->heap_count > 0 && world->heap[1]->at_ns <= world->now_ns)
            fire_first(world);
        struct sim_io *io = pick_runnable(world);
        if (io != NULL)
            return &io->base;
        uint64_t earliest = earliest_ns(world);
        if (earliest == UINT64_MAX)
            return NULL;
        if (earliest > until_ns) {
            world->now_ns = MAX(world->now_ns, until_ns);
            return NULL;
        }
        (void)sim_step(world);
    }
}

bool sim_step_until(struct sim_world *world, uint64_t until_ns)
{
    if (world->heap_count > 0 && world->heap[1]->at_ns <= until_ns)
        fire_first(world);
    else if (until_ns != UINT64_MAX)
        world->now_ns = MAX(world->now_ns, until_ns);
    else
        return false;
    return true;
}

uint64_t sim_now_ns(const struct sim_world *world)
{
    return world->now_ns;
}

uint64_t sim_trace_hash(const struct sim_world *world)
{
    return world->trace_hash;
}

uint64_t sim_op_count(const struct sim_world *world)
{
    return world->op_count;
}

struct prng *sim_rng(struct sim_world *world)
{
    return &world->rng;
}

void sim_verbose(struct sim_world *world, bool on)
{
    world->verbose = on;
}

/* -- faults ----------------------------------------------------------------------------------------------------- */

void sim_faults_set(struct sim_world *world, const struct sim_faults *faults)
{
    world->faults = *faults;
}

const struct sim_faults *sim_faults_get(const struct sim_world *world)
{
    return &world->faults;
}

void sim_fail_next(struct sim_world *world, enum sim_fail kind, const char *part, int32_t error)
{
    ASSERT(error < 0);
    struct sim_planned_fail *plan = &world->planned[kind];
    plan->armed = true;
    plan->error = error;
    int len = snprintf(plan->part, sizeof(plan->part), "%s", part ? part : "");
    ASSERT(len >= 0 && (size_t)len < sizeof(plan->part));
}

int32_t sim_planned(struct sim_world *world, enum sim_fail kind, const char *name)
{
    struct sim_planned_fail *plan = &world->planned[kind];
    if (!plan->armed || strstr(name, plan->part) == NULL)
        return 0;
    plan->armed = false;
    return plan->error;
}

void sim_lie(struct sim_world *world, enum sim_lie lie)
{
    world->lie = lie;
}

bool sim_lies(struct sim_world *world, enum sim_lie lie, uint32_t ppm)
{
    return world->lie == lie && prng_chance(&world->rng, ppm);
}

static void io_die(struct sim_io *io, enum sim_crash kind)
{
    io->dead = true;
    list_each(at, &io->flying) {
        struct sim_op *op = list_entry(at, struct sim_op, in_io);
        sim_cancel(io->world, &op->event);
        sim_file_orphan(op, kind);
    }
    sim_net_crash(io->world, io, kind);
    /* What was under way or not yet reported has an unknown outcome; only straight-line code that is being unwound
     * will ever be told, and it is told that everything failed. */
    list_splice(&io->due, &io->flying);
    list_each(at, &io->due)
        list_entry(at, struct sim_op, in_io)->result = -EIO;
}

void sim_crash_kill(struct sim_world *world, uint32_t process)
{
    sim_trace(world, "crash.kill", process, 0, 0);
    world->crashes++;
    list_each(at, &world->ios) {
        struct sim_io *io = list_entry(at, struct sim_io, in_world);
        if (io->dead || io->options.process != process)
            continue;
        io_die(io, SIM_CRASH_KILL);
        sim_disk_kill(world, io);
        sim_file_forget(io);
    }
}

void sim_crash_power(struct sim_world *world)
{
    sim_trace(world, "crash.power", 0, 0, 0);
    world->crashes++;
    list_each(at, &world->ios) {
        struct sim_io *io = list_entry(at, struct sim_io, in_world);
        if (!io->dead && !io->options.remote)
            io_die(io, SIM_CRASH_POWER);
    }
    sim_disk_power(world);
    list_each(at, &world->ios) {
        struct sim_io *io = list_entry(at, struct sim_io, in_world);
        if (io->dead)
            sim_file_forget(io);
    }
}

void sim_crash_arm(struct sim_world *world, enum sim_crash kind, uint32_t process, uint64_t op_count)
{
    world->crash_at = op_count ? world->op_count + op_count : 0;
    world->crash_kind = kind;
    world->crash_process = process;
}

uint32_t sim_crash_count(const struct sim_world *world)
{
    return world->crashes;
}

bool sim_begin(struct sim_io *io)
{
    if (io->dead)
        return false;
    struct sim_world *world = io->world;
    world->op_count++;
    if (world->crash_at != 0 && world->op_count >= world->crash_at) {
        world->crash_at = 0;
        if (world->crash_kind == SIM_CRASH_KILL)
            sim_crash_kill(world, world->crash_process);
        else
            sim_crash_power(world);
    }
    return !io->dead;
}
