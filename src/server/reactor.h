/*
 * One loop: an io, a store, a broker, the connections of one thread. Production runs reactor_tick for ever on one thread
 * per core; the simulator calls the ticks of several reactors in an order drawn from its seed.
 */
#pragma once
#include <stdbool.h>

#include <odradek/io.h>
#include <odradek/store.h>

#include "base/diag.h"
#include "base/list.h"
#include "base/timer.h"
#include "broker/broker.h"
#include "server/buffers.h"
#include "server/inbox.h"

struct reactor;

/* Limits that every connection obeys; from the broker's configuration. */
struct reactor_limits {
    uint32_t frame_bytes_max;  /* socket.request.max.bytes */
    uint64_t idle_ns;          /* connections.max.idle.ms */
    uint64_t frame_ns;         /* a frame that has begun must be complete after this */
    size_t body_bytes_budget;  /* this reactor's share of request.memory.bytes */
};

struct reactor_options {
    struct odk_io *io;         /* owned from here on */
    const struct odk_store_options *store;
    const struct broker_env *env; /* timers is filled in by the reactor */
    const struct odk_diag *diag;
    struct reactor_limits limits;
    void (*conn_closed)(void *context, uint32_t shard, const char *host); /* a connection has gone */
    void *context;
};

enum reactor_phase { REACTOR_RUNS, REACTOR_DRAINS, REACTOR_CLOSES, REACTOR_CLOSED };

struct reactor {
    struct odk_io *io;
    struct odk_store *store;
    struct broker *broker;
    const struct odk_diag *diag;
    struct reactor_limits limits;
    struct timers timers;
    struct inbox inbox;
    struct buffers buffers;
    struct list conns;
    struct list ready;
    struct list starved;
    struct list slots_free;
    struct conn *privileged;
    uint32_t slots_free_count;
    uint32_t conn_count;
    uint32_t shard;
    uint64_t now_ns;
    int64_t wall_ms;
    uint64_t store_next_ns;
    enum reactor_phase phase;
    enum odk_err close_err;
    struct timer drain_timer;
    void (*drained)(void *context, uint32_t shard);
    void (*conn_closed)(void *context, uint32_t shard, const char *host);
    void *context;
    struct diag_rate bad_frame_rate;
    struct diag_rate accept_rate;
};

/* Opens store and broker over options->io, in the calling thread. On failure the io is freed. */
MUST_USE enum odk_err reactor_open(struct reactor *reactor, const struct reactor_options *options);
/* Frees everything; the phase is CLOSED, or the process is abandoning it. */
void reactor_deinit(struct reactor *reactor);

void reactor_tick(struct reactor *reactor);

/* On the reactor's thread. Reads nothing more from clients; calls drained once all connections are gone, at the latest
 * after a few seconds. */
void reactor_drain(struct reactor *reactor, void (*drained)(void *context, uint32_t shard));
/* On the reactor's thread, when every reactor has drained: closes the store; phase becomes CLOSED. */
void reactor_close(struct reactor *reactor);

/* From any thread: runs task on the reactor. */
void reactor_post(struct reactor *reactor, struct task *task);

/* A connection of this reactor, from host, is gone. */
void reactor_conn_gone(struct reactor *reactor, const char *host);

/* A slot for a request, zeroed or released. */
struct slot *reactor_slot_take(struct reactor *reactor);
void reactor_slot_give(struct reactor *reactor, struct slot *slot);
