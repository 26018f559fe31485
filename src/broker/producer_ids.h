/*
 * Producer ids for idempotent producers. The controller writes a record for each block of 1000 before any id of it is
 * used, so no id is ever given twice; a restart forgets what was left of a block.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/controller.h"

struct broker;
struct request;

/* Somebody who waits for an id; embedded in a parked request's state. */
struct producer_id_waiter {
    struct list node;
    /* id -1: the controller could not write a block. */
    void (*got)(struct producer_id_waiter *waiter, int64_t id);
};

/* One shard's block. */
struct producer_ids {
    int64_t next;
    int64_t end;         /* exclusive; next == end: used up */
    struct list waiting; /* struct producer_id_waiter */
    struct controller_op op;
    bool asked; /* op is on its way */
};

void producer_ids_init(struct producer_ids *ids);
/* Calls waiter->got once, perhaps at once. */
void producer_ids_take(struct broker *broker, struct producer_id_waiter *waiter);
