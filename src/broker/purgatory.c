#include "broker/purgatory.h"

void purgatory_watch(struct list *waiters, struct fetch_watch *watch)
{
    ASSERT(watch->wake != NULL);
    list_push_back(waiters, &watch->node);
}

void purgatory_unwatch(struct fetch_watch *watch)
{
    list_remove(&watch->node);
}

void purgatory_wake(struct list *waiters)
{
    struct list due;
    if (list_empty(waiters))
        return;
    list_init(&due);
    list_splice(&due, waiters);
    /* One wake may end other watches of the same request, in this list too: always take the first that is left. */
    for (struct list *node; (node = list_pop_front(&due)) != NULL;) {
        struct fetch_watch *watch = list_entry(node, struct fetch_watch, node);
        watch->wake(watch);
    }
}
