#include "server/conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/units.h"
#include "server/conn_read.h"
#include "server/conn_write.h"
#include "server/reactor.h"

#define CONN_MAGIC 0x6e6e6f63u

static void conn_on_timer(struct timer *timer, uint64_t now_ns);

/* A socket that was on its way here when the stop began. */
static void conn_refuse(struct reactor *reactor, const struct arrival *arrival)
{
    reactor->io->ops->shutdown(reactor->io, arrival->sock);
    reactor->io->ops->close_socket(reactor->io, arrival->sock);
    reactor->conn_count++;
    reactor_conn_gone(reactor, arrival->host);
}

void conn_open(struct reactor *reactor, const struct arrival *arrival)
{
    if (reactor->phase != REACTOR_RUNS) {
        conn_refuse(reactor, arrival);
        return;
    }
    struct conn *conn = xcalloc(1, sizeof(*conn));
    conn->magic = CONN_MAGIC;
    conn->reactor = reactor;
    conn->sock = arrival->sock;
    conn->port = arrival->port;
    memcpy(conn->host, arrival->host, sizeof(conn->host));
    conn->active_ns = reactor->now_ns;
    list_init(&conn->slots);
    (void)reactor->io->ops->local_addr(reactor->io, conn->sock, &conn->peer.local);
    conn->peer.client_host = conn->host;
    conn->peer.listener = arrival->listener;
    conn->timer.fire = conn_on_timer;
    timer_arm(&reactor->timers, &conn->timer, reactor->now_ns + MIN(reactor->limits.idle_ns, reactor->limits.frame_ns));
    list_push_back(&reactor->conns, &conn->node);
    reactor->conn_count++;
    conn_ready(conn);
}

void conn_ready(struct conn *conn)
{
    ASSERT(conn->magic == CONN_MAGIC);
    if (!list_linked(&conn->ready_node))
        list_push_back(&conn->reactor->ready, &conn->ready_node);
}

/* When this connection has to be looked at again: the end of an unfinished frame's time, or of idleness. */
static uint64_t conn_deadline_ns(const struct conn *conn)
{
    const struct reactor_limits *limits = &conn->reactor->limits;
    uint64_t idle_ns = conn->active_ns + limits->idle_ns;
    if (conn->frame_start_ns == 0)
        return idle_ns;
    return MIN(idle_ns, conn->frame_start_ns + limits->frame_ns);
}

/* The timer is not moved at each byte: when it fires it looks whether time is really up. Who waits for an answer or for
 * our memory is not to blame. */
static void conn_on_timer(struct timer *timer, uint64_t now_ns)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    uint64_t deadline_ns = conn_deadline_ns(conn);
    bool waits = (conn->running_count > 0 && conn->frame_start_ns == 0) || list_linked(&conn->starved_node);
    if (now_ns >= deadline_ns && !waits) {
        conn_close(conn);
        return;
    }
    uint64_t again_ns = now_ns + conn->reactor->limits.frame_ns;
    timer_arm(&conn->reactor->timers, timer, now_ns < deadline_ns ? MIN(deadline_ns, again_ns) : again_ns);
}

void conn_cancel(struct conn *conn)
{
    list_each(node, &conn->slots) {
        struct slot *slot = list_entry(node, struct slot, node);
        if (slot->state == SLOT_RUNNING)
            broker_cancel(conn->reactor->broker, &slot->request);
    }
}

void conn_drain(struct conn *conn)
{
    conn->draining = true;
    conn_cancel(conn);
    conn_ready(conn);
}

void conn_close(struct conn *conn)
{
    ASSERT(conn->magic == CONN_MAGIC);
    if (conn->closing)
        return;
    conn->closing = true;
    conn->reactor->io->ops->shutdown(conn->reactor->io, conn->sock);
    conn_read_privilege_end(conn);
    list_remove(&conn->starved_node);
    conn_cancel(conn);
    conn_ready(conn);
}

/* (C4): true when nothing refers to the object any more. */
static bool conn_free_try(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    if (!conn->closing || conn->receiving || conn->sending || conn->running_count > 0)
        return false;
    conn_write_drop_all(conn);
    conn_read_drop(conn);
    timer_cancel(&reactor->timers, &conn->timer);
    list_remove(&conn->ready_node);
    list_remove(&conn->node);
    reactor->io->ops->close_socket(reactor->io, conn->sock);
    reactor_conn_gone(reactor, conn->host);
    conn->magic = 0;
    free(conn);
    return true;
}

void conn_step(struct conn *conn)
{
    ASSERT(conn->magic == CONN_MAGIC);
    conn_write_finish(conn);
    conn_read_finish(conn);
    conn_read_consume(conn);
    conn_write_start(conn);
    bool answered = conn->slot_count == 0 && !conn->sending;
    if (answered && (conn->draining || (conn->peer_done && conn->chunk_pos == conn->chunk_len)))
        conn_close(conn);
    if (!conn->closing)
        conn_read_start(conn);
    (void)conn_free_try(conn);
}
