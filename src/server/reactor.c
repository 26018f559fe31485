#include "server/reactor.h"

#include <stdlib.h>

#include "base/units.h"
#include "server/conn.h"

#define SLOTS_KEPT_MAX 1024u        /* idle request objects kept for reuse, per reactor */
#define DRAIN_MS_MAX 5000           /* a peer that does not take its last reply is cut off after this */

enum odk_err reactor_open(struct reactor *reactor, const struct reactor_options *options)
{
    *reactor = (struct reactor){ .io = options->io,
                                 .diag = options->diag,
                                 .limits = options->limits,
                                 .shard = options->env->shard,
                                 .conn_closed = options->conn_closed,
                                 .context = options->context,
                                 .store_next_ns = 0 };
    list_init(&reactor->conns);
    list_init(&reactor->ready);
    list_init(&reactor->starved);
    list_init(&reactor->slots_free);
    buffers_init(&reactor->buffers, options->limits.body_bytes_budget);
    enum odk_err err = odk_store_open(options->store, &reactor->store);
    if (err != ODK_OK) {
        reactor->io->ops->free(reactor->io);
        reactor->io = NULL;
        return err;
    }
    struct broker_env env = *options->env;
    env.timers = &reactor->timers;
    reactor->broker = broker_new(&env, reactor->store);
    reactor->now_ns = reactor->io->ops->mono_ns(reactor->io);
    reactor->wall_ms = reactor->io->ops->wall_ms(reactor->io);
    broker_tick(reactor->broker, reactor->now_ns, reactor->wall_ms);
    return ODK_OK;
}

void reactor_deinit(struct reactor *reactor)
{
    if (!reactor->io)
        return;
    broker_free(reactor->broker);
    odk_store_free(reactor->store);
    list_each(node, &reactor->slots_free) {
        struct slot *slot = list_entry(node, struct slot, node);
        request_deinit(&slot->request);
        free(slot);
    }
    buffers_deinit(&reactor->buffers);
    timers_deinit(&reactor->timers);
    reactor->io->ops->free(reactor->io);
    *reactor = (struct reactor){ 0 };
}

static void tasks_run(struct reactor *reactor)
{
    struct task *task = inbox_take(&reactor->inbox);
    while (task) {
        struct task *next = task->next;
        task->run(task, reactor->broker);
        task = next;
    }
}

static void conns_step(struct reactor *reactor)
{
    struct list due;
    list_init(&due);
    list_splice(&due, &reactor->ready);
    struct list *node;
    while ((node = list_pop_front(&due)))
        conn_step(list_entry(node, struct conn, ready_node));
}

static bool bodies_have_room(const struct reactor *reactor)
{
    return reactor->buffers.charged + BUFFER_CHARGE_STEP <= reactor->buffers.budget;
}

/* True if a connection that waits for budget can go on. */
static bool starved_due(const struct reactor *reactor)
{
    return !list_empty(&reactor->starved) && (bodies_have_room(reactor) || !reactor->privileged);
}

static void starved_resume(struct reactor *reactor)
{
    if (!starved_due(reactor))
        return;
    struct conn *first = list_entry(reactor->starved.next, struct conn, starved_node);
    if (!bodies_have_room(reactor)) {
        reactor->privileged = first;
        first->privileged = true;
    }
    list_remove(&first->starved_node);
    first->frame_start_ns = reactor->now_ns;
    conn_ready(first);
}

static uint64_t wait_until_ns(struct reactor *reactor)
{
    if (!inbox_empty(&reactor->inbox) || broker_is_due(reactor->broker) || !list_empty(&reactor->ready) || starved_due(reactor))
        return 0;
    return MIN(timers_next_ns(&reactor->timers), reactor->store_next_ns);
}

void reactor_tick(struct reactor *reactor)
{
    reactor->io->ops->run(reactor->io, wait_until_ns(reactor));
    reactor->now_ns = reactor->io->ops->mono_ns(reactor->io);
    reactor->wall_ms = reactor->io->ops->wall_ms(reactor->io);
    broker_tick(reactor->broker, reactor->now_ns, reactor->wall_ms);
    tasks_run(reactor);
    conns_step(reactor);
    starved_resume(reactor);
    timers_fire(&reactor->timers, reactor->now_ns);
    broker_flush(reactor->broker);
    reactor->store_next_ns = odk_store_tick(reactor->store, reactor->now_ns);
    if (list_empty(&reactor->ready))
        return;
    conns_step(reactor); /* may append: nothing else would start the journal's write before the next event */
    reactor->store_next_ns = odk_store_tick(reactor->store, reactor->now_ns);
}

void reactor_post(struct reactor *reactor, struct task *task)
{
    if (inbox_push(&reactor->inbox, task))
        reactor->io->ops->wake(reactor->io);
}

static void drain_check(struct reactor *reactor)
{
    if (reactor->phase != REACTOR_DRAINS || reactor->conn_count > 0 || !reactor->drained)
        return;
    timer_cancel(&reactor->timers, &reactor->drain_timer);
    void (*drained)(void *context, uint32_t shard) = reactor->drained;
    reactor->drained = NULL;
    drained(reactor->context, reactor->shard);
}

static void drain_timeout(struct timer *timer, uint64_t now_ns)
{
    (void)now_ns;
    struct reactor *reactor = container_of(timer, struct reactor, drain_timer);
    list_each(node, &reactor->conns)
        conn_close(list_entry(node, struct conn, node));
}

void reactor_drain(struct reactor *reactor, void (*drained)(void *context, uint32_t shard))
{
    ASSERT(reactor->phase == REACTOR_RUNS);
    reactor->phase = REACTOR_DRAINS;
    reactor->drained = drained;
    reactor->drain_timer.fire = drain_timeout;
    timer_arm(&reactor->timers, &reactor->drain_timer, deadline_after_ms(reactor->now_ns, DRAIN_MS_MAX));
    list_each(node, &reactor->conns)
        conn_drain(list_entry(node, struct conn, node));
    drain_check(reactor);
}

static void reactor_on_store_closed(void *context, enum odk_err err)
{
    struct reactor *reactor = context;
    reactor->close_err = err;
    reactor->phase = REACTOR_CLOSED;
}

void reactor_close(struct reactor *reactor)
{
    ASSERT(reactor->conn_count == 0);
    reactor->phase = REACTOR_CLOSES;
    odk_store_close(reactor->store, reactor_on_store_closed, reactor);
}

struct slot *reactor_slot_take(struct reactor *reactor)
{
    struct list *node = list_pop_front(&reactor->slots_free);
    if (!node)
        return xcalloc(1, sizeof(struct slot));
    reactor->slots_free_count--;
    return list_entry(node, struct slot, node);
}

void reactor_slot_give(struct reactor *reactor, struct slot *slot)
{
    if (reactor->slots_free_count >= SLOTS_KEPT_MAX) {
        request_deinit(&slot->request);
        free(slot);
        return;
    }
    reactor->slots_free_count++;
    list_push_front(&reactor->slots_free, &slot->node);
}

void reactor_conn_gone(struct reactor *reactor, const char *host)
{
    ASSERT(reactor->conn_count > 0);
    reactor->conn_count--;
    if (reactor->conn_closed)
        reactor->conn_closed(reactor->context, reactor->shard, host);
    drain_check(reactor);
}
