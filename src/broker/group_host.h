/*
 * Where the groups of one shard live: one `struct groups` (src/coordinator) for every partition of __consumer_offsets that
 * this shard owns, fed from the partition's log at a start and writing to it ever after.
 *
 *   LOADING  the log is read                              -> calls get COORDINATOR_LOAD_IN_PROGRESS
 *   ACTIVE   calls are taken; records go into the log
 *   FAILED   the log cannot be read, or written any more  -> calls get NOT_COORDINATOR
 *
 * One event of the groups records facts and answers calls. The records of one turn of the loop become one batch for each
 * partition (group_host_flush), which goes through the shard's journal as any produce does.
 *
 * (H1) An answer leaves when everything that was recorded before it is durable; answers of a partition keep their order.
 * (H2) When the log refuses a batch, nothing that came after it is written; its answers become errors, and the groups are
 *      thrown away and loaded again from what is durable.
 * (H3) Groups are never entered from inside themselves: what they answer waits until their turn is over.
 *
 * The log does not grow for ever: when most of it is history, what is true is written again and the rest is cut off.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "coordinator/groups.h"
#include "wire/errors.h"

#define GROUP_TOPIC_NAME "__consumer_offsets"

struct group_host;
struct topic;

struct group_host *group_host_new(struct broker *broker);
/* Frees memory only; no call may be in flight. */
void group_host_free(struct group_host *host);

/* The broker's settings have changed. */
void group_host_configured(struct group_host *host);

/* End of a turn: hands to the logs what was recorded, lets answers go. */
void group_host_flush(struct group_host *host);
/* True if there is something to be flushed. */
bool group_host_is_due(const struct group_host *host);

/* -- what happens to topics; called by the registry on every shard -------------------------------------------------- */

/* A topic has come into being, or has more partitions. */
void group_host_topic_changed(struct group_host *host, struct topic *topic);
/* A topic's settings have changed. */
void group_host_topic_configured(struct group_host *host, const struct topic *topic);
/* A topic is gone from the registry; its name and id are still there. */
void group_host_topic_gone(struct group_host *host, const struct topic *topic);

/* -- the topic of the groups ---------------------------------------------------------------------------------------- */

/* Somebody who needs __consumer_offsets; embedded in a parked request's state. */
struct group_topic_waiter {
    struct list node;
    /* KAFKA_NONE: the topic is there, on every shard. */
    void (*ready)(struct group_topic_waiter *waiter, enum kafka_error error);
};

/* Calls waiter->ready once, at once when the topic is there; else it is created first. */
void group_host_need_topic(struct group_host *host, struct group_topic_waiter *waiter);

/* -- calls, on the owner's shard ------------------------------------------------------------------------------------- */

enum group_errand_state { GROUP_ERRAND_NEW, GROUP_ERRAND_ASKED, GROUP_ERRAND_ANSWERED };

/* One call on its way to the groups of a partition. All fields are the owner's while it is there. */
struct group_errand {
    struct group_call call;
    int32_t partition; /* of __consumer_offsets */
    enum group_errand_state state;
    uint64_t after;    /* number of the batch that must be durable first (H1) */
    void (*finished)(struct group_errand *errand); /* the answer may leave; may run inside group_host_take */
};

void group_host_take(struct group_host *host, struct group_errand *errand);
/* Ends the waiting of an errand that the groups keep; harmless else. */
void group_host_cancel(struct group_host *host, struct group_errand *errand);
