/*
 * The model's own promise over many seeds: bytes that a sync or a synchronous write has acknowledged survive every
 * crash, and the same seed gives the same world.
 *
 * Each seed appends random runs to one file, buffered with syncs or direct and synchronous, under drawn faults, crashes
 * at a drawn operation, and looks at what is left. The counters at the end keep the model from silently going soft.
 */
#include "desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

enum { SEEDS = 5000, LEN_MAX = 256 * 1024, TAIL_SLACK = 64 };

struct tally {
    uint32_t power, kill, torn_tail, lost_tail, sync_failures, short_writes, full, hole;
};

struct run {
    struct desk desk;
    struct prng rng;
    uint8_t *content; /* what the file should hold */
    uint64_t written; /* complete writes */
    uint64_t promised; /* acknowledged as durable */
    bool direct;
    bool failed; /* after a failed sync nothing more may be promised */
    struct tally *tally;
};

static void fill(struct run *run, uint64_t from, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        run->content[from + i] = (uint8_t)(1 + prng_below(&run->rng, 255));
}

/* One append, resumed after short writes. False when the run is over. */
static bool append(struct run *run, int32_t file)
{
    uint64_t unit = run->direct ? ODK_IO_BLOCK : 1;
    uint64_t len = prng_between(&run->rng, 1, run->direct ? 4 : 9000) * unit;
    if (run->written + len > LEN_MAX)
        return false;
    fill(run, run->written, len);
    uint64_t end = run->written + len;
    while (run->written < end) {
        uint32_t rest = (uint32_t)(end - run->written);
        int32_t wrote = desk_write(&run->desk, file, run->content + run->written, rest, run->written);
        if (wrote == -EINTR || wrote == -EAGAIN)
            continue;
        run->tally->full += wrote == -ENOSPC;
        if (wrote <= 0)
            return false;
        run->tally->short_writes += (uint32_t)wrote < rest;
        run->written += (uint32_t)wrote;
        if (run->direct)
            run->promised = run->written;
    }
    return true;
}

static void sync_file(struct run *run, int32_t file)
{
    uint64_t target = run->written;
    int32_t result = desk_sync(&run->desk, file);
    if (result == 0 && !run->failed && !run->direct)
        run->promised = target;
    if (result < 0 && !sim_dead(run->desk.io)) {
        run->failed = true;
        run->tally->sync_failures++;
    }
}

static void work(struct run *run)
{
    uint32_t flags = DESK_NEW | (run->direct ? ODK_IO_DIRECT | ODK_IO_DSYNC : 0);
    int32_t file = desk_open(&run->desk, "file", flags);
    if (file < 0 || desk_sync_dir(&run->desk, "/") != 0)
        return;
    for (int i = 0; i < 40 && !run->failed && append(run, file); i++) {
        if (!run->direct && prng_chance(&run->rng, 300000))
            sync_file(run, file);
    }
}

static void check(struct run *run, uint64_t seed)
{
    const uint8_t *data = NULL;
    int64_t size = sim_disk_peek(run->desk.world, "file", &data);
    if (run->promised > 0 && (size < (int64_t)run->promised || memcmp(data, run->content, run->promised) != 0)) {
        print_error("seed %llu: %llu bytes were promised\n", (unsigned long long)seed,
                    (unsigned long long)run->promised);
        fail();
    }
    if (size < 0)
        return;
    uint64_t tail = (uint64_t)size - run->promised;
    run->tally->lost_tail += run->written > (uint64_t)size;
    if (tail > 0 && tail + run->promised <= run->written)
        run->tally->torn_tail += memcmp(data + run->promised, run->content + run->promised, tail) != 0;
    if (tail >= 8192 && tail + run->promised <= run->written)
        run->tally->hole += data[run->promised + 1] == 0 && memcmp(data + size - 8, run->content + size - 8, 8) == 0;
}

static uint64_t one_seed(uint64_t seed, struct tally *tally)
{
    struct run run = { .rng.state = seed * 77, .tally = tally };
    struct sim_faults faults = sim_faults_draw(&run.rng);
    faults.space_bytes /= 32; /* small enough to be met */
    run.direct = prng_chance(&run.rng, 400000) && !faults.no_direct;
    run.content = malloc(LEN_MAX + TAIL_SLACK);
    assert_non_null(run.content);
    desk_init(&run.desk, seed, &faults);
    bool kill = prng_chance(&run.rng, 300000);
    sim_crash_arm(run.desk.world, kill ? SIM_CRASH_KILL : SIM_CRASH_POWER, 1, prng_between(&run.rng, 1, 70));
    work(&run);
    sim_crash_arm(run.desk.world, SIM_CRASH_POWER, 1, 0);
    if (!sim_dead(run.desk.io))
        sim_crash_power(run.desk.world);
    *(kill ? &tally->kill : &tally->power) += 1;
    check(&run, seed);
    desk_restart(&run.desk);
    check(&run, seed);
    uint64_t hash = sim_trace_hash(run.desk.world);
    desk_deinit(&run.desk);
    free(run.content);
    return hash;
}

static void promised_bytes_survive_every_crash(void **state)
{
    (void)state;
    struct tally tally = { 0 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        (void)one_seed(seed, &tally);
    print_message("%u power, %u kill; %u torn tails, %u lost tails, %u holes, %u failed syncs, %u short writes, "
                  "%u full\n", tally.power, tally.kill, tally.torn_tail, tally.lost_tail, tally.hole, tally.sync_failures,
                  tally.short_writes, tally.full);
    assert_true(tally.torn_tail > SEEDS / 20);
    assert_true(tally.lost_tail > SEEDS / 20);
    assert_true(tally.hole > 0);
    assert_true(tally.full > 0);
    assert_true(tally.sync_failures > 0);
    assert_true(tally.short_writes > SEEDS / 10);
}

static void same_seed_gives_the_same_trace(void **state)
{
    (void)state;
    struct tally tally = { 0 };
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t first = one_seed(seed, &tally);
        assert_int_equal(first, one_seed(seed, &tally));
        assert_int_not_equal(first, one_seed(seed + 1, &tally));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promised_bytes_survive_every_crash),
        cmocka_unit_test(same_seed_gives_the_same_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
