/* Reads and searches that cannot go on at once: for pages of a mapping, or for a spill of the log. */
#include "store/log.h"

#include <stdlib.h>

#include "base/diag.h"
#include "store/store.h"

struct log_wait {
    struct odk_io_op op;
    struct list link; /* in store.waits */
    struct odk_log *log;
    struct file_map *map; /* pinned while being brought in; NULL: waits for a spill, or a turn */
    bool turn;
    log_resume *resume;
    void *object;
};

static void wait_end(struct log_wait *wait, enum odk_err err)
{
    struct odk_log *log = wait->log;
    log_resume *resume = wait->resume;
    void *object = wait->object;
    list_remove(&wait->link);
    if (wait->map)
        file_map_unpin(&log->store->files, wait->map);
    free(wait);
    resume(log, object, log->deleted ? ODK_ERR_CLOSED : err);
    log_unhold(log);
}

static void wait_on_present(struct odk_io_op *op, int32_t result)
{
    struct log_wait *wait = container_of(op, struct log_wait, op);
    if (result < 0)
        DIAG_ERROR(wait->log->store->diag, "%s/%s: a range cannot be read from the device: %s", wait->log->store->dir,
                   wait->log->name, strerror(-result));
    wait_end(wait, result < 0 ? odk_err_from_errno(result) : ODK_OK);
}

static struct log_wait *wait_new(struct odk_log *log, log_resume *resume, void *object)
{
    struct log_wait *wait = xcalloc(1, sizeof(*wait));
    wait->op.done = wait_on_present;
    wait->log = log;
    wait->resume = resume;
    wait->object = object;
    log_hold(log);
    list_push_back(&log->store->waits, &wait->link);
    return wait;
}

void log_wait(struct odk_log *log, const struct absent *absent, log_resume *resume, void *object)
{
    struct odk_store *store = log->store;
    struct log_wait *wait = wait_new(log, resume, object);
    if (!absent) {
        spill_request(log, true);
        return;
    }
    wait->map = absent->map;
    file_map_pin(&store->files, wait->map);
    store->io->ops->prefault(store->io, &wait->op, absent->data, absent->len);
}

void log_wait_on_spilled(struct odk_log *log)
{
    struct list ready; /* trying again may make new waits: these only */
    list_init(&ready);
    list_each(node, &log->store->waits) {
        const struct log_wait *wait = list_entry(node, struct log_wait, link);
        if (wait->log == log && !wait->map && !wait->turn) {
            list_remove(node);
            list_push_back(&ready, node);
        }
    }
    enum odk_err err = log->err;
    for (struct list *node = list_pop_front(&ready); node; node = list_pop_front(&ready))
        wait_end(list_entry(node, struct log_wait, link), err);
}

void log_wait_turn(struct odk_log *log, log_resume *resume, void *object)
{
    wait_new(log, resume, object)->turn = true;
}

/* Moves those that wait for a turn to ready. */
static void turns_take(struct odk_store *store, struct list *ready)
{
    list_each(node, &store->waits) {
        if (!list_entry(node, struct log_wait, link)->turn)
            continue;
        list_remove(node);
        list_push_back(ready, node);
    }
}

bool log_wait_turn_run(struct odk_store *store)
{
    struct list ready;
    list_init(&ready);
    store->searched_bytes = 0;
    turns_take(store, &ready);
    for (struct list *node = list_pop_front(&ready); node; node = list_pop_front(&ready))
        wait_end(list_entry(node, struct log_wait, link), ODK_OK);
    list_each(node, &store->waits) {
        if (list_entry(node, struct log_wait, link)->turn)
            return true;
    }
    return false;
}

bool log_wait_in_flight(struct odk_store *store)
{
    list_each(node, &store->waits) {
        if (list_entry(node, struct log_wait, link)->map)
            return true;
    }
    return false;
}

void log_wait_abandon(struct odk_store *store)
{
    list_each(node, &store->waits) {
        struct log_wait *wait = list_entry(node, struct log_wait, link);
        if (wait->map)
            file_map_unpin(&store->files, wait->map);
        list_remove(&wait->link);
        free(wait);
    }
}
