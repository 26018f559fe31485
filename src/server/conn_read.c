#include "server/conn_read.h"

#include <errno.h>
#include <string.h>

#include "base/diag.h"
#include "base/units.h"
#include "server/conn.h"
#include "server/conn_write.h"
#include "server/reactor.h"

#define RECV_DIRECT_BYTES_MIN 4096u /* at least so much missing: straight into the body */

static void chunk_release(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    if (conn->held.data)
        buffer_give(&reactor->buffers, &conn->held);
    else if (conn->chunk)
        reactor->io->ops->recv_release(reactor->io, conn->chunk);
    conn->chunk = NULL;
    conn->chunk_len = 0;
    conn->chunk_pos = 0;
}

/* A blocked connection must not keep one of the io's few buffers: its bytes move to memory of its own. */
static void chunk_hold(struct conn *conn)
{
    if (!conn->chunk || conn->held.data)
        return;
    uint32_t left = conn->chunk_len - conn->chunk_pos;
    struct buffer held;
    if (!buffer_take(&conn->reactor->buffers, left, &held)) {
        conn_close(conn);
        return;
    }
    (void)buffer_charge(&conn->reactor->buffers, &held, left, true);
    memcpy(held.data, conn->chunk + conn->chunk_pos, left);
    chunk_release(conn);
    conn->held = held;
    conn->chunk = held.data;
    conn->chunk_len = left;
}

void conn_read_privilege_end(struct conn *conn)
{
    if (conn->reactor->privileged == conn)
        conn->reactor->privileged = NULL;
    conn->privileged = false;
}

void conn_read_drop(struct conn *conn)
{
    chunk_release(conn);
    buffer_give(&conn->reactor->buffers, &conn->body);
}

static void bad_frame(struct conn *conn, const char *why, int64_t size)
{
    struct reactor *reactor = conn->reactor;
    uint32_t suppressed;
    if (diag_rate_ok(&reactor->bad_frame_rate, reactor->now_ns, &suppressed))
        DIAG_WARN(reactor->diag, "connection from %s:%u closed: %s (frame size %lld, limit %u; %u such lines withheld)",
                  conn->host, conn->port, why, (long long)size, reactor->limits.frame_bytes_max, suppressed);
    conn_close(conn);
}

static bool frame_size_ok(struct conn *conn, int32_t size)
{
    if (size > 0 && (uint32_t)size <= conn->reactor->limits.frame_bytes_max)
        return true;
    if (conn->prefix[0] == 0x16 && conn->prefix[1] == 0x03)
        bad_frame(conn, "TLS hello on a plaintext port", size);
    else
        bad_frame(conn, "frame size out of range", size);
    return false;
}

static bool frame_begin(struct conn *conn)
{
    int32_t size = (int32_t)((uint32_t)conn->prefix[0] << 24 | (uint32_t)conn->prefix[1] << 16 |
                             (uint32_t)conn->prefix[2] << 8 | (uint32_t)conn->prefix[3]);
    if (!frame_size_ok(conn, size))
        return false;
    if (!buffer_take(&conn->reactor->buffers, (uint32_t)size, &conn->body)) {
        bad_frame(conn, "no memory for the frame", size);
        return false;
    }
    conn->body_len = (uint32_t)size;
    conn->body_have = 0;
    return true;
}

static void conn_on_request_done(struct request *request, enum request_end end)
{
    struct slot *slot = container_of(request, struct slot, request);
    struct conn *conn = slot->conn;
    ASSERT(slot->state == SLOT_RUNNING);
    ASSERT(conn->running_count > 0);
    slot->state = SLOT_ENDED;
    slot->end = end;
    slot->reply_bytes = end == REQUEST_REPLY ? out_bytes(&request->out) : 0;
    conn->unsent_bytes += slot->reply_bytes;
    conn->active_ns = conn->reactor->now_ns;
    conn->running_count--;
    buffer_give(&conn->reactor->buffers, &slot->body);
    conn_ready(conn);
}

/* Others may start now: not in here, this runs inside the broker. */
static void conn_on_request_went_on(struct request *request)
{
    conn_ready(container_of(request, struct slot, request)->conn);
}

static void frame_finish(struct conn *conn)
{
    struct slot *slot = reactor_slot_take(conn->reactor);
    slot->conn = conn;
    slot->state = SLOT_QUEUED;
    slot->body = conn->body;
    slot->body_len = conn->body_len;
    slot->may_overlap = broker_may_overlap(slot->body.data, slot->body_len);
    request_init(&slot->request, slot->body.data, slot->body_len, &conn->peer, conn_on_request_done);
    slot->request.went_on = conn_on_request_went_on;
    list_push_back(&conn->slots, &slot->node);
    conn->slot_count++;
    conn->body = (struct buffer){ 0 };
    conn->body_len = 0;
    conn->prefix_len = 0;
    conn->frame_start_ns = 0;
    conn_read_privilege_end(conn);
    conn_read_dispatch(conn);
}

/* True if slot may be handed to the broker now. (C2), (C3) */
static bool slot_may_run(const struct conn *conn, const struct slot *slot, bool all_overlap)
{
    return slot->state == SLOT_QUEUED && (conn->running_count == 0 || all_overlap) &&
           conn->unsent_bytes <= CONN_UNSENT_BYTES_MAX;
}

void conn_read_dispatch(struct conn *conn)
{
    bool all_overlap = true;
    for (struct list *node = conn->slots.next, *next; node != &conn->slots && !conn->closing; node = next) {
        next = node->next;
        struct slot *slot = list_entry(node, struct slot, node);
        if (slot->state == SLOT_ENDED)
            continue;
        all_overlap = all_overlap && slot->may_overlap && !slot->request.holds;
        if (slot_may_run(conn, slot, all_overlap)) {
            slot->state = SLOT_RUNNING;
            conn->running_count++;
            broker_request(conn->reactor->broker, &slot->request);
            if (conn->draining || conn->peer_done)
                conn_cancel(conn);
        }
        if (slot->state == SLOT_QUEUED)
            break;
    }
}

/* Pays for the bytes of the body up to need; false: the connection waits for budget. */
static bool body_pay(struct conn *conn, uint32_t need)
{
    if (buffer_charge(&conn->reactor->buffers, &conn->body, need, conn->privileged))
        return true;
    if (!list_linked(&conn->starved_node))
        list_push_back(&conn->reactor->starved, &conn->starved_node);
    return false;
}

/* One step of cutting; false when nothing more can be done with the chunk now. */
static bool consume_one(struct conn *conn)
{
    uint32_t left = conn->chunk_len - conn->chunk_pos;
    const uint8_t *at = conn->chunk + conn->chunk_pos;
    if (conn->frame_start_ns == 0)
        conn->frame_start_ns = MAX(conn->reactor->now_ns, 1u);
    if (conn->prefix_len < sizeof(conn->prefix)) {
        uint32_t part = MIN(left, (uint32_t)sizeof(conn->prefix) - conn->prefix_len);
        memcpy(conn->prefix + conn->prefix_len, at, part);
        conn->prefix_len += part;
        conn->chunk_pos += part;
        return conn->prefix_len < sizeof(conn->prefix) || frame_begin(conn);
    }
    uint32_t part = MIN(left, conn->body_len - conn->body_have);
    if (!body_pay(conn, conn->body_have + part))
        return false;
    memcpy(conn->body.data + conn->body_have, at, part);
    conn->body_have += part;
    conn->chunk_pos += part;
    if (conn->body_have == conn->body_len)
        frame_finish(conn);
    return true;
}

static bool slots_full(const struct conn *conn)
{
    return conn->slot_count >= CONN_SLOTS_MAX;
}

void conn_read_consume(struct conn *conn)
{
    while (conn->chunk_pos < conn->chunk_len && !slots_full(conn) && !conn->closing && !conn->draining)
        if (!consume_one(conn))
            break;
    if (conn->closing || conn->draining || conn->chunk_pos == conn->chunk_len)
        chunk_release(conn);
    else
        chunk_hold(conn);
    conn_read_dispatch(conn);
}

static void conn_on_recv(struct odk_io_op *op, int32_t result)
{
    struct conn *conn = container_of(op, struct conn, recv_op);
    conn->recv_result = result;
    conn->received = true;
    conn_ready(conn);
}

/* True if the missing part of a frame is worth receiving in place. */
static bool body_direct(const struct conn *conn)
{
    return conn->body.data && conn->body_len - conn->body_have >= RECV_DIRECT_BYTES_MIN;
}

void conn_read_start(struct conn *conn)
{
    struct reactor *reactor = conn->reactor;
    if (conn->receiving || conn->chunk || conn->peer_done || conn->draining || slots_full(conn) ||
        list_linked(&conn->starved_node))
        return;
    void *dst = NULL;
    uint32_t len = ODK_IO_RECV_BYTES;
    if (body_direct(conn)) {
        uint64_t step_end = align_down(conn->body_have + BUFFER_CHARGE_STEP, BUFFER_CHARGE_STEP); /* one charge each */
        len = MIN(conn->body_len, (uint32_t)step_end) - conn->body_have;
        if (!body_pay(conn, conn->body_have + len))
            return;
        dst = conn->body.data + conn->body_have;
    }
    conn->receiving = true;
    conn->recv_op.done = conn_on_recv;
    conn->recv_op.buf = dst;
    reactor->io->ops->recv(reactor->io, &conn->recv_op, conn->sock, dst, len);
}

static void body_received(struct conn *conn, uint32_t len)
{
    conn->body_have += len;
    ASSERT(conn->body_have <= conn->body_len);
    if (conn->body_have == conn->body_len)
        frame_finish(conn);
}

void conn_read_finish(struct conn *conn)
{
    if (!conn->received)
        return;
    conn->received = false;
    conn->receiving = false;
    bool direct = body_direct(conn) && conn->recv_op.buf == conn->body.data + conn->body_have;
    if (conn->recv_result == -ENOBUFS) {
        conn_ready(conn);
        return;
    }
    if (conn->recv_result < 0) {
        conn_close(conn);
        return;
    }
    conn->active_ns = conn->reactor->now_ns;
    if (conn->recv_result == 0) {
        conn->peer_done = true;
        conn_cancel(conn);
    } else if (direct)
        body_received(conn, (uint32_t)conn->recv_result);
    else {
        conn->chunk = conn->recv_op.buf;
        conn->chunk_len = (uint32_t)conn->recv_result;
        conn->chunk_pos = 0;
    }
}
