/*
 * The whole program inside the simulator: boot, reactors, brokers, stores, listener and connections as server.c runs
 * them, but in one thread, each reactor's tick when the world says so.
 *
 *   node_start  boot, reactors open (straight-line, like the start of the process)   -> NODE_STARTING, or NODE_FAILED
 *               metadata replayed, listener opened                                    -> NODE_UP, or NODE_FAILED
 *   node_stop   listener closed, connections drained, stores closed, marker written   -> NODE_STOPPED
 *   node_bury   whatever is left is abandoned, as a dead process leaves it
 *
 * The memory of an abandoned life is not returned: its requests and connections have no owner who could do it. Seeds
 * run in processes of their own.
 */
#pragma once
#include <stdatomic.h>

#include "broker/config.h"
#include "broker_model.h"
#include "server/listener.h"
#include "server/reactor.h"
#include "sim_world.h"

#define NODE_PROCESS      1u
#define NODE_REACTORS_MAX 3u

enum node_state { NODE_OFF, NODE_STARTING, NODE_UP, NODE_DRAINING, NODE_CLOSING, NODE_STOPPED, NODE_FAILED };

/* Bugs planted above the io: what a program with that bug would do. */
enum node_bug {
    NODE_BUG_NONE,
    NODE_BUG_LOST_REPLY,       /* now and then a reply is said to be sent and is not */
    NODE_BUG_NO_RECOVERY,      /* the start after a crash does not look into the journals */
    NODE_BUG_EAGER_GROUPS,     /* answers of groups do not wait for what they rest on */
    NODE_BUG_FORGETFUL_GROUPS, /* a start of groups passes over a record now and then */
    NODE_BUG_EAGER_TRIMS,      /* the beginning of a log is said to be gone before that is durable */
    NODE_BUG_LENIENT_GROUPS,   /* a commit of an earlier generation is taken for one of this */
};

struct node;

/* One reactor's io: the simulator's table with a few entries of our own. */
struct node_io {
    struct odk_io_ops ops; /* first: found through io->ops */
    const struct odk_io_ops *inner;
    struct odk_io *io; /* NULL: freed */
    struct node *node;
    bool loop_turn; /* the next run() is the loop's own; any other waits, so it moves time */
};

/* One reactor, and its mailbag from the main program. */
struct node_member {
    struct task command;
    struct node *node;
    uint32_t shard;
};

struct node_options {
    struct sim_world *world;
    struct violation *violation;
    const struct odk_diag *diag;
    const struct broker_config *config;
    struct odk_store_options store; /* sizes and times only */
    uint32_t reactor_count;
    enum node_bug bug;
};

struct node {
    struct node_options options;
    enum node_state state;
    enum odk_err err; /* why it failed */
    bool clean;       /* stopped with the marker written */
    struct odk_io *boot_io;
    struct odk_boot *boot;
    struct odk_boot_info identity;
    struct reactor *reactors;
    struct node_io ios[NODE_REACTORS_MAX];
    struct node_member members[NODE_REACTORS_MAX];
    struct listener *listener;
    struct odk_addr bound;
    struct admission admission;
    uint32_t waiting; /* reactors that a step of the stop still waits for */
    uint64_t sends;   /* counted for planted bugs */
};

/* Where the broker listens. */
struct odk_addr node_address(void);

void node_start(struct node *node, const struct node_options *options);
void node_stop(struct node *node);
/* One turn of the reactor that owns io, or nothing when io is not the node's. True if it was. */
bool node_turn(struct node *node, const struct odk_io *io);
bool node_dead(const struct node *node);
void node_bury(struct node *node);
