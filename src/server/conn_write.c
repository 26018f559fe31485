#include "server/conn_write.h"

#include <string.h>

#include "base/diag.h"
#include "server/conn.h"
#include "server/conn_read.h"
#include "server/reactor.h"

#define SEND_IOV_MAX 1024u /* the kernel's IOV_MAX */

static void slot_drop(struct conn *conn, struct slot *slot)
{
    ASSERT(slot->state != SLOT_RUNNING);
    list_remove(&slot->node);
    conn->slot_count--;
    conn->unsent_bytes -= slot->reply_bytes;
    slot->reply_bytes = 0;
    buffer_give(&conn->reactor->buffers, &slot->body);
    if (slot->state == SLOT_ENDED) /* else the broker has never seen it */
        request_release(&slot->request);
    reactor_slot_give(conn->reactor, slot);
}

static void head_drop(struct conn *conn)
{
    slot_drop(conn, list_entry(conn->slots.next, struct slot, node));
}

void conn_write_drop_all(struct conn *conn)
{
    while (!list_empty(&conn->slots))
        head_drop(conn);
}

static void conn_on_sent(struct odk_io_op *op, int32_t result)
{
    struct conn *conn = container_of(op, struct conn, send_op);
    conn->send_result = result;
    conn->sent = true;
    conn_ready(conn);
}

void conn_write_finish(struct conn *conn)
{
    if (!conn->sent)
        return;
    conn->sent = false;
    conn->sending = false;
    conn->active_ns = conn->reactor->now_ns;
    for (; conn->sending_count > 0; conn->sending_count--)
        head_drop(conn);
    if (conn->send_result < 0 || (size_t)conn->send_result != conn->sending_bytes)
        conn_close(conn);
}

/* Takes no-reply slots off the head, and closes for a head that asks for it. False: nothing can be sent now. */
static bool head_ready(struct conn *conn)
{
    while (!list_empty(&conn->slots)) {
        struct slot *slot = list_entry(conn->slots.next, struct slot, node);
        if (slot->state != SLOT_ENDED)
            return false;
        if (slot->end == REQUEST_REPLY)
            return true;
        if (slot->end == REQUEST_CLOSE) {
            conn_close(conn);
            return false;
        }
        head_drop(conn);
    }
    return false;
}

/* The parts of an ended slot's reply; an encoded reply always has them. */
static const struct iovec *slot_parts(struct slot *slot, uint32_t *ret_count)
{
    const struct iovec *parts;
    bool ok = out_iov(&slot->request.out, &parts, ret_count);
    ASSERT(ok);
    return parts;
}

/* How many slots from the head on can be sent together, and how many parts they have. */
static uint32_t sendable_count(struct conn *conn, uint32_t *ret_part_count)
{
    uint32_t slot_count = 0;
    *ret_part_count = 0;
    list_each(node, &conn->slots) {
        struct slot *slot = list_entry(node, struct slot, node);
        if (slot->state != SLOT_ENDED || slot->end != REQUEST_REPLY)
            break;
        uint32_t part_count;
        (void)slot_parts(slot, &part_count);
        if (slot_count > 0 && *ret_part_count + part_count > SEND_IOV_MAX)
            break;
        *ret_part_count += part_count;
        slot_count++;
    }
    return slot_count;
}

/* One array over the replies of the first slot_count slots, in the first one's arena; NULL when that is full. */
static const struct iovec *gather(struct conn *conn, uint32_t slot_count, uint32_t part_count)
{
    struct slot *first = list_entry(conn->slots.next, struct slot, node);
    struct iovec *all = arena_new(&first->request.arena, struct iovec, part_count);
    uint32_t filled = 0;
    struct list *node = conn->slots.next;
    for (uint32_t i = 0; i < slot_count && all; i++, node = node->next) {
        uint32_t count;
        const struct iovec *parts = slot_parts(list_entry(node, struct slot, node), &count);
        memcpy(all + filled, parts, count * sizeof(*parts));
        filled += count;
    }
    return all;
}

void conn_write_start(struct conn *conn)
{
    if (conn->sending || conn->closing || !head_ready(conn))
        return;
    struct slot *first = list_entry(conn->slots.next, struct slot, node);
    uint32_t part_count;
    uint32_t slot_count = sendable_count(conn, &part_count);
    const struct iovec *parts = slot_count > 1 ? gather(conn, slot_count, part_count) : NULL;
    if (!parts) {
        slot_count = 1;
        parts = slot_parts(first, &part_count);
    }
    conn->sending_bytes = 0;
    for (uint32_t i = 0; i < part_count; i++)
        conn->sending_bytes += parts[i].iov_len;
    conn->sending = true;
    conn->sending_count = slot_count;
    conn->send_op.done = conn_on_sent;
    conn->reactor->io->ops->sendv(conn->reactor->io, &conn->send_op, conn->sock, parts, part_count);
}
