/*
 * A simulated network: listeners, connections as two byte queues, deliveries as events.
 *
 * The queue towards a socket belongs to that socket; its tail is under way, its head is readable. A delivery moves a
 * drawn piece from one to the other, so order inside a connection is kept and every boundary is possible. Addresses are
 * compared by port only: the world is one small network without names.
 *
 *   (T1) bytes arrive in order, without gaps or repetition, until the end, a reset, or silence.
 *   (T2) a reset loses what was not read; silence is told to nobody.
 *   (T3) a socket that is closed or dies leaves what it had sent under way; its peer sees the end behind it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim_internal.h"

struct pipe {
    struct sim_event deliver;
    uint8_t *data;
    uint64_t cap;
    uint64_t len;      /* readable and under way */
    uint64_t readable; /* at the head */
    bool end_queued;
    bool end_seen;
};

struct sim_socket {
    struct list in_world;
    struct list in_backlog; /* of its listener, before it is accepted */
    struct list backlog;
    struct sim_io *io;
    struct sim_socket *other; /* NULL: closed or never connected */
    uint32_t id;
    int32_t handle; /* -1 before it is accepted */
    bool listener;
    bool reset;
    bool silent;
    bool shut;
    struct odk_addr local, peer;
    struct pipe rx;
    struct sim_op *accept_op, *recv_op, *send_op;
};

/* -- addresses ---------------------------------------------------------------------------------------------------- */

static uint16_t addr_port(const struct odk_addr *addr)
{
    if (addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &addr->storage, sizeof(v6));
        return ntohs(v6.sin6_port);
    }
    struct sockaddr_in v4;
    memcpy(&v4, &addr->storage, sizeof(v4));
    return ntohs(v4.sin_port);
}

static void addr_set_port(struct odk_addr *addr, uint16_t port)
{
    if (addr->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &addr->storage, sizeof(v6));
        v6.sin6_port = htons(port);
        memcpy(&addr->storage, &v6, sizeof(v6));
        return;
    }
    struct sockaddr_in v4;
    memcpy(&v4, &addr->storage, sizeof(v4));
    v4.sin_port = htons(port);
    memcpy(&addr->storage, &v4, sizeof(v4));
}

static struct odk_addr loopback(uint16_t port)
{
    struct odk_addr addr = { .len = sizeof(struct sockaddr_in) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&addr.storage, &v4, sizeof(v4));
    return addr;
}

/* -- sockets and handles ------------------------------------------------------------------------------------------ */

static struct sim_socket *socket_new(struct sim_io *io)
{
    struct sim_socket *socket = xcalloc(1, sizeof(*socket));
    socket->io = io;
    socket->id = ++io->world->socket_ids;
    socket->handle = -1;
    list_init(&socket->backlog);
    list_push_back(&io->world->sockets, &socket->in_world);
    return socket;
}

static void sockets_reach(struct sim_io *io, uint32_t number)
{
    uint32_t count = MAX(16u, io->socket_count);
    while (count <= number)
        count *= 2;
    if (count == io->socket_count)
        return;
    io->sockets = xrealloc(io->sockets, count * sizeof(struct sim_socket *));
    memset(io->sockets + io->socket_count, 0, (count - io->socket_count) * sizeof(struct sim_socket *));
    io->socket_count = count;
}

/* The living io of the same process that has this handle; NULL: none. */
static struct sim_io *socket_holder(const struct sim_io *io, uint32_t number)
{
    list_each(at, &io->world->ios) {
        struct sim_io *other = list_entry(at, struct sim_io, in_world);
        bool same = other == io || (!other->dead && other->options.process == io->options.process);
        if (same && number < other->socket_count && other->sockets[number] != NULL)
            return other;
    }
    return NULL;
}

/* Handles are the process's: no two of its ios give out the same number. */
static int32_t socket_number(struct sim_io *io, struct sim_socket *socket)
{
    uint32_t i = 0;
    while (socket_holder(io, i) != NULL)
        i++;
    sockets_reach(io, i);
    io->sockets[i] = socket;
    socket->handle = (int32_t)i;
    return socket->handle;
}

/* A socket that another io of the process accepted is taken over at its first use here. */
static struct sim_socket *socket_adopt(struct sim_io *io, uint32_t number)
{
    struct sim_io *holder = socket_holder(io, number);
    ASSERT(holder != NULL);
    struct sim_socket *socket = holder->sockets[number];
    ASSERT(socket->recv_op == NULL);
    ASSERT(socket->send_op == NULL);
    ASSERT(socket->accept_op == NULL);
    holder->sockets[number] = NULL;
    sockets_reach(io, number);
    io->sockets[number] = socket;
    socket->io = io;
    return socket;
}

static struct sim_socket *socket_at(struct sim_io *io, int32_t sock)
{
    ASSERT(sock >= 0);
    uint32_t number = (uint32_t)sock;
    if (number < io->socket_count && io->sockets[number] != NULL)
        return io->sockets[number];
    return socket_adopt(io, number);
}

static void try_recv(struct sim_socket *socket);
static void pump(struct sim_socket *socket);

/* -- deliveries --------------------------------------------------------------------------------------------------- */

static void deliver_later(struct sim_socket *socket)
{
    struct pipe *rx = &socket->rx;
    struct sim_world *world = socket->io->world;
    bool nothing = rx->len == rx->readable && (!rx->end_queued || rx->end_seen);
    if (nothing || rx->deliver.heap_pos != 0 || socket->silent || socket->reset)
        return;
    sim_schedule(world, &rx->deliver, sim_latency(world, world->faults.net_ns));
}

static uint64_t draw_piece(struct sim_world *world, uint64_t waiting)
{
    uint64_t most = MIN(waiting, MAX(1u, world->faults.net_piece));
    uint64_t few = prng_between(&world->rng, 1, 8);
    if (!prng_chance(&world->rng, world->faults.net_small))
        return prng_chance(&world->rng, 500000) ? most : prng_between(&world->rng, 1, most);
    switch (prng_below(&world->rng, 4)) {
    case 0:
        return MIN(most, UINT64_C(4)); /* a length field, and nothing behind it */
    case 1:
        return MAX(UINT64_C(1), most - 1);
    case 2:
        return MIN(most, few);
    default:
        return 1;
    }
}

static void fail_op(struct sim_op **slot, int32_t error)
{
    struct sim_op *op = *slot;
    if (op == NULL)
        return;
    *slot = NULL;
    sim_cancel(op->io->world, &op->event);
    sim_op_complete(op, error);
}

static void reset_one(struct sim_socket *socket)
{
    if (socket == NULL || socket->reset)
        return;
    socket->reset = true;
    socket->rx.len = 0;
    socket->rx.readable = 0;
    sim_cancel(socket->io->world, &socket->rx.deliver);
    fail_op(&socket->recv_op, -ECONNRESET);
    fail_op(&socket->send_op, -ECONNRESET);
}

static void vanish(struct sim_socket *socket)
{
    socket->silent = true;
    sim_cancel(socket->io->world, &socket->rx.deliver);
}

/* True when a fault took the place of the delivery. */
static bool deliver_fault(struct sim_world *world, struct sim_socket *socket)
{
    const struct sim_faults *faults = &world->faults;
    if (prng_chance(&world->rng, faults->net_reset)) {
        sim_trace(world, "net.reset", socket->id, 0, 0);
        reset_one(socket->other);
        reset_one(socket);
        return true;
    }
    if (prng_chance(&world->rng, faults->net_vanish)) {
        sim_trace(world, "net.vanish", socket->id, 0, 0);
        if (socket->other != NULL)
            vanish(socket->other);
        vanish(socket);
        return true;
    }
    if (prng_chance(&world->rng, faults->net_clog)) {
        sim_schedule(world, &socket->rx.deliver, prng_between(&world->rng, NS_PER_S / 10, 10 * NS_PER_S));
        return true;
    }
    return false;
}

static void deliver_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_socket *socket = container_of(event, struct sim_socket, rx.deliver);
    struct pipe *rx = &socket->rx;
    if (deliver_fault(world, socket))
        return;
    uint64_t piece = 0;
    if (rx->len > rx->readable)
        piece = draw_piece(world, rx->len - rx->readable);
    else
        rx->end_seen = rx->end_queued;
    rx->readable += piece;
    sim_trace(world, "net.deliver", socket->id, piece, rx->end_seen);
    try_recv(socket);
    deliver_later(socket);
}

/* -- receiving ---------------------------------------------------------------------------------------------------- */

static uint8_t *recv_buffer(struct sim_io *io)
{
    uint32_t count = io->options.recv_buffers;
    if (io->recv_memory == NULL) {
        io->recv_memory = xcalloc(count, ODK_IO_RECV_BYTES);
        io->recv_free = xcalloc(count, sizeof(uint32_t));
        for (uint32_t i = 0; i < count; i++)
            io->recv_free[i] = i;
        io->recv_free_count = count;
    }
    if (io->recv_free_count == 0)
        return NULL;
    return io->recv_memory + (uint64_t)io->recv_free[--io->recv_free_count] * ODK_IO_RECV_BYTES;
}

void sim_net_recv_release(struct odk_io *base, void *buf)
{
    struct sim_io *io = sim_io_of(base);
    uint64_t distance = (uint64_t)((uint8_t *)buf - io->recv_memory);
    ASSERT(distance % ODK_IO_RECV_BYTES == 0);
    ASSERT(distance / ODK_IO_RECV_BYTES < io->options.recv_buffers);
    ASSERT(io->recv_free_count < io->options.recv_buffers); /* released twice */
    memset(buf, 0xdd, 64); /* whoever still reads it shall notice */
    io->recv_free[io->recv_free_count++] = (uint32_t)(distance / ODK_IO_RECV_BYTES);
}

static void consume(struct sim_socket *socket, uint8_t *dst, uint64_t len)
{
    struct pipe *rx = &socket->rx;
    memcpy(dst, rx->data, len);
    memmove(rx->data, rx->data + len, rx->len - len);
    rx->len -= len;
    rx->readable -= len;
    if (socket->other != NULL)
        pump(socket->other);
}

static void finish_recv(struct sim_socket *socket, int32_t result)
{
    struct sim_op *op = socket->recv_op;
    socket->recv_op = NULL;
    sim_op_complete(op, result);
}

static void try_recv(struct sim_socket *socket)
{
    struct sim_op *op = socket->recv_op;
    struct pipe *rx = &socket->rx;
    if (op == NULL)
        return;
    if (socket->reset) {
        finish_recv(socket, -ECONNRESET);
    } else if (rx->readable > 0) {
        uint64_t room = op->len;
        if (op->dst == NULL) {
            op->dst = recv_buffer(socket->io);
            if (op->dst == NULL) {
                finish_recv(socket, -ENOBUFS);
                return;
            }
            op->op->buf = op->dst;
            room = ODK_IO_RECV_BYTES;
        }
        uint64_t len = MIN(room, rx->readable);
        consume(socket, op->dst, len);
        finish_recv(socket, (int32_t)len);
    } else if (rx->end_seen || socket->shut) {
        finish_recv(socket, 0);
    }
}

void sim_net_recv(struct odk_io *base, struct odk_io_op *op, int32_t sock, void *dst, uint32_t len)
{
    struct sim_op *sim = sim_op_new(sim_io_of(base), op, SIM_OP_RECV);
    if (sim->io->dead)
        return;
    struct sim_socket *socket = socket_at(sim->io, sock);
    ASSERT(!socket->listener);
    ASSERT(socket->recv_op == NULL);
    ASSERT(dst == NULL || len > 0);
    sim->socket = socket;
    sim->dst = dst;
    sim->len = len;
    socket->recv_op = sim;
    try_recv(socket);
}

/* -- sending ------------------------------------------------------------------------------------------------------ */

static void pipe_put(struct pipe *rx, const uint8_t *src, uint64_t len)
{
    if (rx->len + len > rx->cap) {
        rx->cap = MAX(UINT64_C(4096), 2 * (rx->len + len));
        rx->data = xrealloc(rx->data, rx->cap);
    }
    memcpy(rx->data + rx->len, src, len);
    rx->len += len;
}

/* Copies what the window takes, starting behind op->sent. */
static void fill_window(struct sim_op *op, struct pipe *rx, uint64_t room)
{
    uint64_t skip = op->sent;
    for (uint32_t i = 0; i < op->iov_count && room > 0; i++) {
        uint64_t len = op->iov[i].iov_len;
        if (skip >= len) {
            skip -= len;
            continue;
        }
        uint64_t piece = MIN(room, len - skip);
        pipe_put(rx, (const uint8_t *)op->iov[i].iov_base + skip, piece);
        op->sent += piece;
        room -= piece;
        skip = 0;
    }
}

static bool send_broken(const struct sim_op *op)
{
    for (uint32_t i = 0; i < op->iov_count; i++) {
        if (sim_file_range_broken(op->io->world, op->iov[i].iov_base, op->iov[i].iov_len))
            return true;
    }
    return false;
}

static void pump(struct sim_socket *socket)
{
    struct sim_op *op = socket->send_op;
    if (op == NULL || op->event.heap_pos != 0)
        return; /* nothing to send, or not its time yet */
    if (socket->reset || socket->shut || socket->other == NULL) {
        fail_op(&socket->send_op, -EPIPE);
        return;
    }
    if (send_broken(op)) {
        fail_op(&socket->send_op, -EFAULT);
        return;
    }
    struct pipe *rx = &socket->other->rx;
    uint64_t window = MAX(1u, socket->io->world->faults.net_window);
    if (rx->len < window)
        fill_window(op, rx, window - rx->len);
    deliver_later(socket->other);
    if (op->sent == op->len) {
        socket->send_op = NULL;
        sim_op_complete(op, (int32_t)MIN(op->len, (uint64_t)INT32_MAX));
    }
}

static void send_fire(struct sim_world *world, struct sim_event *event)
{
    (void)world;
    pump(container_of(event, struct sim_op, event)->socket);
}

void sim_net_sendv(struct odk_io *base, struct odk_io_op *op, int32_t sock, const struct iovec *iov, uint32_t count)
{
    struct sim_op *sim = sim_op_new(sim_io_of(base), op, SIM_OP_SEND);
    if (sim->io->dead)
        return;
    struct sim_socket *socket = socket_at(sim->io, sock);
    ASSERT(!socket->listener);
    ASSERT(socket->send_op == NULL);
    sim->socket = socket;
    sim->iov = iov;
    sim->iov_count = count;
    for (uint32_t i = 0; i < count; i++)
        sim->len += iov[i].iov_len;
    socket->send_op = sim;
    sim_op_schedule(sim, send_fire, sim_latency(sim->io->world, 2000));
}

/* -- connections -------------------------------------------------------------------------------------------------- */

static uint16_t port_take(struct sim_world *world)
{
    world->next_port = world->next_port >= 60000 ? 20000 : (uint16_t)(world->next_port + 1);
    return world->next_port;
}

static struct sim_socket *find_listener(struct sim_world *world, uint16_t port)
{
    struct sim_socket *picked = NULL;
    uint64_t seen = 0;
    list_each(at, &world->sockets) {
        struct sim_socket *socket = list_entry(at, struct sim_socket, in_world);
        if (!socket->listener || socket->shut || addr_port(&socket->local) != port)
            continue;
        seen++;
        if (prng_below(&world->rng, seen) == 0)
            picked = socket;
    }
    return picked;
}

int32_t sim_net_listen(struct odk_io *base, const struct odk_addr *at, bool reuse_port, struct odk_addr *ret_bound)
{
    struct sim_io *io = sim_io_of(base);
    struct sim_world *world = io->world;
    if (!sim_begin(io))
        return -EIO;
    struct odk_addr bound = *at;
    if (addr_port(&bound) == 0)
        addr_set_port(&bound, port_take(world));
    else if (!reuse_port && find_listener(world, addr_port(&bound)) != NULL)
        return -EADDRINUSE;
    struct sim_socket *socket = socket_new(io);
    socket->listener = true;
    socket->local = bound;
    if (ret_bound != NULL)
        *ret_bound = bound;
    sim_trace(world, "net.listen", socket->id, addr_port(&bound), 0);
    return socket_number(io, socket);
}

static void try_accept(struct sim_socket *listener)
{
    if (listener->accept_op == NULL || list_empty(&listener->backlog))
        return;
    struct sim_socket *socket = list_entry(list_pop_front(&listener->backlog), struct sim_socket, in_backlog);
    struct sim_op *op = listener->accept_op;
    listener->accept_op = NULL;
    sim_op_complete(op, socket_number(listener->io, socket));
}

void sim_net_accept(struct odk_io *base, struct odk_io_op *op, int32_t listener)
{
    struct sim_op *sim = sim_op_new(sim_io_of(base), op, SIM_OP_ACCEPT);
    if (sim->io->dead)
        return;
    struct sim_socket *socket = socket_at(sim->io, listener);
    ASSERT(socket->listener);
    ASSERT(socket->accept_op == NULL);
    sim->socket = socket;
    socket->accept_op = sim;
    if (socket->shut)
        fail_op(&socket->accept_op, -EINVAL);
    else
        try_accept(socket);
}

static void connect_fire(struct sim_world *world, struct sim_event *event)
{
    struct sim_op *op = container_of(event, struct sim_op, event);
    struct sim_socket *listener = find_listener(world, addr_port(&op->addr));
    if (listener == NULL) {
        sim_op_complete(op, -ECONNREFUSED);
        return;
    }
    struct sim_socket *client = socket_new(op->io);
    struct sim_socket *server = socket_new(listener->io);
    client->rx.deliver.fire = deliver_fire;
    server->rx.deliver.fire = deliver_fire;
    client->other = server;
    server->other = client;
    client->local = loopback(port_take(world));
    client->peer = op->addr;
    server->local = op->addr;
    server->peer = client->local;
    sim_trace(world, "net.connect", client->id, server->id, 0);
    list_push_back(&listener->backlog, &server->in_backlog);
    sim_op_complete(op, socket_number(op->io, client));
    try_accept(listener);
}

void sim_net_connect(struct odk_io *base, struct odk_io_op *op, const struct odk_addr *to)
{
    struct sim_op *sim = sim_op_new(sim_io_of(base), op, SIM_OP_CONNECT);
    if (sim->io->dead)
        return;
    sim->addr = *to;
    sim_op_schedule(sim, connect_fire, sim_latency(sim->io->world, sim->io->world->faults.net_ns * 2));
}

/* -- ends --------------------------------------------------------------------------------------------------------- */

static void signal_end(struct sim_socket *other)
{
    if (other == NULL || other->silent || other->reset)
        return;
    other->rx.end_queued = true;
    deliver_later(other);
}

static void socket_free(struct sim_socket *socket)
{
    if (socket->other != NULL) {
        socket->other->other = NULL;
        if (!socket->silent)
            pump(socket->other);
    }
    sim_cancel(socket->io->world, &socket->rx.deliver);
    list_remove(&socket->in_backlog);
    list_remove(&socket->in_world);
    if (socket->handle >= 0)
        socket->io->sockets[socket->handle] = NULL;
    free(socket->rx.data);
    free(socket);
}

static void drop_backlog(struct sim_socket *listener)
{
    while (!list_empty(&listener->backlog)) {
        struct sim_socket *socket = list_entry(list_pop_front(&listener->backlog), struct sim_socket, in_backlog);
        reset_one(socket->other);
        socket_free(socket);
    }
}

void sim_net_shutdown(struct odk_io *base, int32_t sock)
{
    struct sim_io *io = sim_io_of(base);
    if (!sim_begin(io))
        return;
    struct sim_socket *socket = socket_at(io, sock);
    sim_trace(io->world, "net.shutdown", socket->id, 0, 0);
    socket->shut = true;
    fail_op(&socket->accept_op, -EINVAL);
    fail_op(&socket->recv_op, 0);
    fail_op(&socket->send_op, -EPIPE);
    drop_backlog(socket);
    signal_end(socket->other);
}

void sim_net_close(struct odk_io *base, int32_t sock)
{
    struct sim_io *io = sim_io_of(base);
    if (io->dead)
        return;
    struct sim_socket *socket = socket_at(io, sock);
    ASSERT(socket->accept_op == NULL);
    ASSERT(socket->recv_op == NULL);
    ASSERT(socket->send_op == NULL);
    sim_trace(io->world, "net.close", socket->id, 0, 0);
    drop_backlog(socket);
    if (socket->rx.len > 0 && !socket->silent)
        reset_one(socket->other); /* unread bytes: the peer learns that they were not wanted */
    else
        signal_end(socket->other);
    socket_free(socket);
}

int32_t sim_net_local(struct odk_io *base, int32_t sock, struct odk_addr *ret)
{
    struct sim_io *io = sim_io_of(base);
    if (io->dead)
        return -EIO;
    *ret = socket_at(io, sock)->local;
    return 0;
}

int32_t sim_net_peer(struct odk_io *base, int32_t sock, struct odk_addr *ret)
{
    struct sim_io *io = sim_io_of(base);
    if (io->dead)
        return -EIO;
    const struct sim_socket *socket = socket_at(io, sock);
    if (socket->listener)
        return -ENOTCONN;
    *ret = socket->peer;
    return 0;
}

/* The sockets of an io that dies; its operations have been taken off already and must not be touched. */
void sim_net_crash(struct sim_world *world, struct sim_io *io, enum sim_crash kind)
{
    for (uint32_t i = 0; i < io->socket_count; i++) {
        struct sim_socket *socket = io->sockets[i];
        if (socket == NULL)
            continue;
        socket->accept_op = NULL;
        socket->recv_op = NULL;
        socket->send_op = NULL;
    }
    for (uint32_t i = 0; i < io->socket_count; i++) {
        struct sim_socket *socket = io->sockets[i];
        if (socket == NULL)
            continue;
        drop_backlog(socket);
        if (socket->other != NULL && kind == SIM_CRASH_POWER && prng_chance(&world->rng, 500000))
            vanish(socket->other);
        else if (socket->rx.len > 0 || prng_chance(&world->rng, 300000))
            reset_one(socket->other);
        else
            signal_end(socket->other);
        socket_free(socket);
    }
}

void sim_net_forget(struct sim_io *io)
{
    for (uint32_t i = 0; i < io->socket_count; i++) {
        struct sim_socket *socket = io->sockets[i];
        if (socket == NULL)
            continue;
        drop_backlog(socket);
        signal_end(socket->other);
        socket_free(socket);
    }
    free(io->recv_memory);
    free(io->recv_free);
}
