/*
 * The broker of one reactor ("shard"): its share of the partitions, a replica of the topic registry, and the handlers.
 *
 * Nothing here reads a clock, opens a socket or knows a thread. Time is set by whoever runs the loop (broker_tick);
 * other shards are reached by posting tasks; answers leave through request_done.
 *
 * Shard 0 is also the controller: it owns the metadata log, decides every change of topics, and spreads it to all.
 */
#pragma once
#include <odradek/diag.h>
#include <odradek/log.h>
#include <odradek/store.h>

#include "base/list.h"
#include "base/prng.h"
#include "base/timer.h"

struct broker;
struct broker_config;
struct request;

/* A message to a shard: embedded in what it concerns, which stays alive until run has been called. run is called on the
 * target's thread. A task goes back the same way. */
struct task {
    struct task *next; /* the inbox's */
    void (*run)(struct task *task, struct broker *at);
};

/* What the surrounding program gives each broker. */
struct broker_env {
    void *context;
    void (*post)(void *context, uint32_t shard, struct task *task); /* to a shard's inbox; its own: runs
                                                                       in the next turn */
    void (*random)(void *context, void *dst, size_t len);
    const struct odk_diag *diag;
    struct timers *timers;              /* the reactor's */
    const struct broker_config *config; /* as it was at the start, shared; each shard works with a copy */
    struct odk_boot_info identity;
    uint32_t shard;
    uint32_t shard_count;
};

struct broker *broker_new(const struct broker_env *env, struct odk_store *store);
/* The settings that count now; good for as long as the broker, on its thread. They change when a change is applied. */
const struct broker_config *broker_settings(const struct broker *broker);
/* Frees memory only. No request may be in flight, and the store must be closed or abandoned. */
void broker_free(struct broker *broker);

/* Tells the time; to be called after every run() of the io and before anything else of the broker. */
void broker_tick(struct broker *broker, uint64_t now_ns, int64_t wall_ms);

/* The end of a turn of the loop: what was gathered in it goes into the logs. To be called before odk_store_tick. */
void broker_flush(struct broker *broker);
/* True if broker_flush has something to do: the loop must not sleep now. */
bool broker_is_due(const struct broker *broker);

/*
 * Shard 0 only, when all shards exist and their inboxes are drained: replays the metadata log, spreads the topics to
 * all shards, opens their logs; then done. ODK_ERR_CORRUPT and friends with a message already given.
 */
void broker_start(struct broker *broker, void (*done)(void *context, enum odk_err err), void *context);

/* Takes a decoded frame from here to request_done. */
void broker_request(struct broker *broker, struct request *request);

/* True if the request in this frame may run while earlier ones of its connection that may overlap too are unfinished:
 * produces, whose order per partition is kept by the order of the calls. Cost: two bytes looked at. */
bool broker_may_overlap(const uint8_t *frame, size_t len);

/* Ends the waiting of a parked request soon (its connection is gone, or the server stops). It still ends through done.
 */
void broker_cancel(struct broker *broker, struct request *request);

/* Runs task on shard: at once when it is this one, else through its inbox. */
void broker_post(struct broker *broker, uint32_t shard, struct task *task);
