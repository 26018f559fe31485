/*
 * One simulated world: a seed, a virtual clock, a disk, a network, and any number of struct odk_io over them.
 *
 * Nothing happens in parallel and nothing happens by itself: the driver asks sim_next() which io has something to do,
 * lets the owner of that io run one turn (which calls run() once), and repeats. Virtual time moves only in sim_next(),
 * and only when no io is runnable. Every choice is drawn from the seed, so the same driver with the same seed gives the
 * same trace hash.
 *
 *   (W1) done callbacks run only inside run() of the io they belong to.
 *   (W2) a completed operation has had its effect; an operation in flight may have had it wholly, partly or not at all,
 *        which a crash decides.
 *   (W3) what a crash leaves is decided at the moment of the crash; nothing of the dead process acts later.
 *
 * Straight-line code (start-up, tools) waits inside run(): set sim_straight(io, true) around it and run() moves virtual
 * time itself. A driver whose loop body may block (an opening that reads a file) sets it around all but the loop's own
 * run().
 *
 * Crash. The ios of the process are dead from then on: no operation of theirs has an effect any more, immediate ones
 * return -EIO, asynchronous ones complete with -EIO if run() is still called, so that code in the middle of something
 * can return to the driver, which sees sim_dead(). The memory of the program is the driver's: either it calls the
 * program's own freeing functions on the dead io, or it drops everything with an arena of its own. sim_io_free() then
 * frees the io. Mappings of a dead io stay readable until sim_world_free().
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/io.h>

#include "sim_faults.h"

struct sim_world;

/* No single file may grow beyond this (-EFBIG). */
#define SIM_FILE_BYTES_MAX (UINT64_C(64) << 20)

struct sim_world *sim_world_new(uint64_t seed, const struct sim_faults *faults);
/* All ios must have been freed. */
void sim_world_free(struct sim_world *world);

/* -- ios -------------------------------------------------------------------------------------------------------- */

struct sim_io_options {
    uint32_t process;      /* ios of one process die together */
    bool remote;           /* on another machine: survives sim_crash_power */
    uint32_t recv_buffers; /* 0: 64 */
};

struct odk_io *sim_io_new(struct sim_world *world, const struct sim_io_options *options);
/* Frees an io in any state, dead or alive; operations in flight are forgotten. ops->free does the same after checking
 * that none is. */
void sim_io_free(struct odk_io *io);
/* While on, run() moves virtual time until something is due for this io. */
void sim_straight(struct odk_io *io, bool on);
bool sim_dead(const struct odk_io *io);

/* -- time ------------------------------------------------------------------------------------------------------- */

/* An io that has a completion, was woken or has reached its wanted time, drawn from the seed; moves virtual time while
 * there is none. NULL when nothing will ever happen again, or virtual time has reached until_ns. */
struct odk_io *sim_next(struct sim_world *world, uint64_t until_ns);
/* Moves virtual time to the next event or wanted time and applies it. False when there is none. */
bool sim_step(struct sim_world *world);
/* Nothing is due, in flight or wanted. */
bool sim_idle(const struct sim_world *world);
uint64_t sim_now_ns(const struct sim_world *world);
/* 64 bits that every event was folded into. */
uint64_t sim_trace_hash(const struct sim_world *world);
/* Operations begun so far, the unit in which crashes are timed. */
uint64_t sim_op_count(const struct sim_world *world);
/* The seed's stream, for the driver's own choices. */
struct prng *sim_rng(struct sim_world *world);
/* Every event as a line on stderr, for a person with one failing seed. */
void sim_verbose(struct sim_world *world, bool on);

/* -- faults ----------------------------------------------------------------------------------------------------- */

enum sim_crash { SIM_CRASH_KILL, SIM_CRASH_POWER };

/* The process dies; page cache and kernel survive. */
void sim_crash_kill(struct sim_world *world, uint32_t process);
/* The machine loses power: everything not remote dies, the disk keeps what README.md says. */
void sim_crash_power(struct sim_world *world);
/* The same by itself, when op_count operations from now have begun (1: the next one). 0 disarms. */
void sim_crash_arm(struct sim_world *world, enum sim_crash kind, uint32_t process, uint64_t op_count);
/* Crashes since the world began. */
uint32_t sim_crash_count(const struct sim_world *world);

/* Replaces the faults from now on. */
void sim_faults_set(struct sim_world *world, const struct sim_faults *faults);
const struct sim_faults *sim_faults_get(const struct sim_world *world);
/* Write-back errors of the past count as reported: what fails from now on is new. */
void sim_disk_settle(struct sim_world *world);
/* The next operation of the kind, on a path that contains part (NULL: any), gets error, a negative errno. */
enum sim_fail { SIM_FAIL_READ, SIM_FAIL_WRITE, SIM_FAIL_SYNC, SIM_FAIL_META, SIM_FAIL_MAP };
void sim_fail_next(struct sim_world *world, enum sim_fail kind, const char *part, int32_t error);

/* Planted bugs: the io lies to the program as a program with that bug would lie to itself. A workload whose oracle is
 * worth anything finds each of them within its seeds. */
enum sim_lie {
    SIM_LIE_NONE,
    SIM_LIE_SYNC,      /* a file's sync is acknowledged and forgotten */
    SIM_LIE_DIR_SYNC,  /* a directory's likewise */
    SIM_LIE_DSYNC,     /* a synchronous write is acknowledged when it is in the device's volatile cache */
    SIM_LIE_SHORT,     /* a short write claims to be whole */
    SIM_LIE_STALE,     /* a write claims to be done and is not, once in a while */
    SIM_LIE_SYNC_ERROR, /* a failed sync reports success */
    SIM_LIE_READ,      /* a read delivers one wrong bit, once in a while */
    SIM_LIE_COUNT,
};
void sim_lie(struct sim_world *world, enum sim_lie lie);

/* -- looking at the disk from outside ------------------------------------------------------------------------------ */

/* Flips one bit of the file, on the device and in the cache. False when there is no such byte. */
bool sim_disk_flip(struct sim_world *world, const char *path, uint64_t byte, uint32_t bit);
/* What programs see of a file now: size, or -1 when it does not exist; ret_data (may be NULL) points into the cache. */
int64_t sim_disk_peek(struct sim_world *world, const char *path, const uint8_t **ret_data);
/* What a power loss would surely leave of it: size, or -1; a lower bound, ret_data as above. */
int64_t sim_disk_peek_durable(struct sim_world *world, const char *path, const uint8_t **ret_data);
uint64_t sim_disk_used(const struct sim_world *world);
