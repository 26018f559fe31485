/*
 * Which faults a simulated world may show, and how often. Every rate is per million operations of its kind; zero
 * switches the kind off. README.md says what each one may destroy; whatever it may not destroy must survive.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct sim_faults {
    /* disk, results */
    uint32_t write_short; /* fewer bytes than asked, at least one (whole blocks with ODK_IO_DIRECT) */
    uint32_t write_eio;   /* nothing, or a part, is written */
    uint32_t write_again; /* -EINTR or -EAGAIN, nothing written */
    uint32_t read_eio;
    uint32_t read_short;
    uint32_t sync_fail; /* -EIO or -ENOSPC; half of what it covered is lost although the pages count as clean */
    uint32_t meta_eio;  /* open, mkdir, rename, unlink, truncate, list */
    uint32_t map_eio;   /* a page of a mapping turns out unreadable */
    uint32_t map_cold;  /* resident() says no */
    /* disk, order and time */
    uint32_t writeback; /* a dirty page reaches the device on its own, right after a write */
    uint32_t journal;   /* the file system commits its journal on its own, right after a directory operation */
    uint32_t stall;     /* an operation takes 1-30 s */
    uint32_t garbage;   /* per sector torn at power loss: random bytes where nothing was before */
    uint64_t latency_ns; /* typical time of one operation */
    bool strict;        /* directories persist independently: only the own directory's sync helps */
    bool no_direct;     /* ODK_IO_DIRECT is refused */
    uint64_t space_bytes; /* capacity; 0: without bound */
    uint32_t files_max;   /* open handles per io; 0: without bound */
    /* clock */
    uint32_t wall_jump; /* a reading of the wall clock has jumped by up to a day, either way */
    /* network */
    uint32_t net_reset;  /* per delivery: connection reset, bytes under way are lost */
    uint32_t net_vanish; /* per delivery: the connection goes silent for good, no end is signalled */
    uint32_t net_clog;   /* per delivery: this direction pauses 0.1-10 s */
    uint32_t net_small;  /* per delivery: a tiny piece (1 byte, 4 bytes, one short of all) */
    uint32_t net_window; /* bytes that may be under way in one direction; at least 1 */
    uint32_t net_piece;  /* largest piece delivered at once; at least 1 */
    uint64_t net_ns;     /* typical delay of one delivery */
};

/* No fault at all; short fixed-range latencies. */
struct sim_faults sim_faults_none(void);

/* Swarm: one seed in eight has none, one in eight exactly one kind, the others each kind with a probability of one
 * half; then the rates are drawn. */
struct sim_faults sim_faults_draw(struct prng *rng);
