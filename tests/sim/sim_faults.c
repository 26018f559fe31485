/* Drawing the faults of a world: first which kinds exist, then how often they strike. */
#include "sim_faults.h"

#include "base/base.h"
#include "base/units.h"

struct sim_faults sim_faults_none(void)
{
    return (struct sim_faults){
        .latency_ns = 60000,
        .net_window = 256 * 1024,
        .net_piece = 64 * 1024,
        .net_ns = 50000,
    };
}

static uint32_t rate(struct prng *rng, uint32_t most)
{
    /* Small rates are as likely as large ones: both the rare and the permanent fault find bugs. */
    uint32_t drawn = (uint32_t)prng_between(rng, 1, most);
    return prng_chance(rng, 500000) ? drawn : MAX(1u, drawn / 16);
}

static uint32_t sometimes(struct prng *rng, bool enabled, uint32_t most)
{
    uint32_t drawn = rate(rng, most);
    return enabled ? drawn : 0;
}

/* The kinds by bit of a mask, so that a mask names a set. */
enum kind {
    KIND_WRITE_SHORT, KIND_WRITE_EIO, KIND_WRITE_AGAIN, KIND_READ_EIO, KIND_READ_SHORT, KIND_SYNC_FAIL, KIND_META_EIO,
    KIND_MAP, KIND_WRITEBACK, KIND_JOURNAL, KIND_STALL, KIND_GARBAGE, KIND_STRICT, KIND_NO_DIRECT, KIND_SPACE,
    KIND_WALL, KIND_NET_RESET, KIND_NET_VANISH, KIND_NET_CLOG, KIND_NET_SMALL, KIND_NET_WINDOW, KIND_COUNT,
};

static uint32_t draw_kinds(struct prng *rng)
{
    uint32_t all = (uint32_t)prng_next(rng) & ((1u << KIND_COUNT) - 1);
    uint32_t one = 1u << prng_below(rng, KIND_COUNT);
    uint64_t which = prng_below(rng, 8);
    if (which == 0)
        return 0;
    return which == 1 ? one : all;
}

static void draw_disk(struct sim_faults *f, struct prng *rng, uint32_t kinds)
{
#define ON(kind) ((kinds >> (kind) & 1u) != 0)
    f->write_short = sometimes(rng, ON(KIND_WRITE_SHORT), 200000);
    f->write_eio = sometimes(rng, ON(KIND_WRITE_EIO), 4000);
    f->write_again = sometimes(rng, ON(KIND_WRITE_AGAIN), 50000);
    f->read_eio = sometimes(rng, ON(KIND_READ_EIO), 4000);
    f->read_short = sometimes(rng, ON(KIND_READ_SHORT), 100000);
    f->sync_fail = sometimes(rng, ON(KIND_SYNC_FAIL), 20000);
    f->meta_eio = sometimes(rng, ON(KIND_META_EIO), 4000);
    f->map_eio = sometimes(rng, ON(KIND_MAP), 4000);
    f->map_cold = sometimes(rng, ON(KIND_MAP), 500000);
    f->writeback = sometimes(rng, ON(KIND_WRITEBACK), 400000);
    f->journal = sometimes(rng, ON(KIND_JOURNAL), 300000);
    f->stall = sometimes(rng, ON(KIND_STALL), 2000);
    f->garbage = sometimes(rng, ON(KIND_GARBAGE), 500000);
    f->strict = ON(KIND_STRICT);
    f->no_direct = ON(KIND_NO_DIRECT) && prng_chance(rng, 300000);
    uint64_t space_bytes = prng_between(rng, MIB(1), MIB(8));
    f->space_bytes = ON(KIND_SPACE) ? space_bytes : 0;
    f->latency_ns = prng_between(rng, 5000, 400000);
}

struct sim_faults sim_faults_draw(struct prng *rng)
{
    struct sim_faults f = sim_faults_none();
    uint32_t kinds = draw_kinds(rng);
    draw_disk(&f, rng, kinds);
    f.wall_jump = sometimes(rng, ON(KIND_WALL), 10000);
    f.net_reset = sometimes(rng, ON(KIND_NET_RESET), 5000);
    f.net_vanish = sometimes(rng, ON(KIND_NET_VANISH), 2000);
    f.net_clog = sometimes(rng, ON(KIND_NET_CLOG), 20000);
    f.net_small = sometimes(rng, ON(KIND_NET_SMALL), 600000);
    if (ON(KIND_NET_WINDOW)) {
        f.net_window = (uint32_t)prng_between(rng, 1, 65536);
        f.net_piece = (uint32_t)prng_between(rng, 1, 16384);
    }
    f.net_ns = prng_between(rng, 1000, 2000000);
    return f;
}
