/*
 * A queue of operations, linked through their private words, and the head of those words: every backend's private
 * struct starts with struct op_head. First in, first out; all steps O(1).
 */
#pragma once
#include <odradek/io.h>

#include "base/base.h"

struct op_head {
    struct odk_io_op *next;
    int32_t result; /* valid once the operation is in a queue of finished ones */
    uint32_t kind;  /* the backend's */
};

struct op_queue {
    struct odk_io_op *first;
    struct odk_io_op *last;
};

static inline struct op_head *op_head(struct odk_io_op *op)
{
    return (struct op_head *)(void *)op->priv;
}

static inline bool op_queue_empty(const struct op_queue *queue)
{
    return queue->first == NULL;
}

static inline void op_queue_push(struct op_queue *queue, struct odk_io_op *op)
{
    op_head(op)->next = NULL;
    if (queue->first)
        op_head(queue->last)->next = op;
    else
        queue->first = op;
    queue->last = op;
}

/* NULL when empty. */
static inline struct odk_io_op *op_queue_pop(struct op_queue *queue)
{
    struct odk_io_op *op = queue->first;
    if (op)
        queue->first = op_head(op)->next;
    return op;
}

/* Takes everything out at once. */
static inline struct op_queue op_queue_take(struct op_queue *queue)
{
    struct op_queue taken = *queue;
    *queue = (struct op_queue){ 0 };
    return taken;
}

static inline void op_queue_append(struct op_queue *to, struct op_queue from)
{
    if (op_queue_empty(&from))
        return;
    if (to->first)
        op_head(to->last)->next = from.first;
    else
        to->first = from.first;
    to->last = from.last;
}

static inline void op_finish(struct op_queue *finished, struct odk_io_op *op, int32_t result)
{
    op_head(op)->result = result;
    op_queue_push(finished, op);
}

/* Runs done of all that was in the queue at the call; what the callbacks add stays for the next time. */
static inline void op_queue_run(struct op_queue *finished)
{
    struct op_queue now = op_queue_take(finished);
    for (struct odk_io_op *op = op_queue_pop(&now); op; op = op_queue_pop(&now))
        op->done(op, op_head(op)->result);
}
