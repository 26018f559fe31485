#include "server/inbox.h"

bool inbox_push(struct inbox *inbox, struct task *task)
{
    struct task *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do {
        task->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, task, memory_order_release,
                                                    memory_order_relaxed));
    return newest == NULL;
}

struct task *inbox_take(struct inbox *inbox)
{
    struct task *task = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    struct task *oldest = NULL;
    while (task) {
        struct task *next = task->next;
        task->next = oldest;
        oldest = task;
        task = next;
    }
    return oldest;
}

bool inbox_empty(struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->newest, memory_order_relaxed) == NULL;
}
