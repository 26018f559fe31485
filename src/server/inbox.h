/*
 * Messages from other reactors: a lock-free stack that its owner empties whole and reverses, so tasks of one sender run
 * in the order in which they were posted. Unbounded in itself: every task is embedded in a request or a connection, and
 * those are bounded.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

#include "broker/broker.h"

struct inbox {
    _Atomic(struct task *) newest;
};

/* From any thread. True if the inbox was empty: the owner may be asleep and must be woken. */
bool inbox_push(struct inbox *inbox, struct task *task);

/* Takes everything, oldest first, linked through next; NULL when empty. Owner only. */
struct task *inbox_take(struct inbox *inbox);

bool inbox_empty(struct inbox *inbox);
