/*
 * What a request costs in the network part: a server thread that answers 1 KiB with 1 KiB from provided buffers, and
 * clients on a second thread, for each backend and some numbers of connections. The clients always run on io_uring
 * where there is one. Prints round trips per second and the server thread's CPU time for each.
 *
 *   io_echo_bench [seconds]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <odradek/io.h>

#include "base/base.h"
#include "base/units.h"

#define MESSAGE_BYTES 1024u
#define CONNS_MAX     256u

struct server {
    struct odk_io *io;
    struct odk_addr at;
    int32_t listener;
    struct odk_io_op accept;
    struct server_conn *conns[CONNS_MAX];
    uint32_t conn_count;
    uint32_t receiving;
    bool accepting;
    double cpu_s;
    _Atomic bool stop;
};

struct server_conn {
    struct server *server;
    struct odk_io_op recv;
    struct odk_io_op send;
    struct iovec iov;
    int32_t sock;
};

static void conn_on_recv(struct odk_io_op *op, int32_t result)
{
    struct server_conn *conn = container_of(op, struct server_conn, recv);
    conn->server->receiving--;
    if (result <= 0)
        return; /* the server stops */
    conn->iov = (struct iovec){ op->buf, (size_t)result };
    conn->server->io->ops->sendv(conn->server->io, &conn->send, conn->sock, &conn->iov, 1);
}

static void conn_receive(struct server_conn *conn)
{
    conn->server->receiving++;
    conn->server->io->ops->recv(conn->server->io, &conn->recv, conn->sock, NULL, 0);
}

static void conn_on_sent(struct odk_io_op *op, int32_t result)
{
    struct server_conn *conn = container_of(op, struct server_conn, send);
    ASSERT(result > 0);
    conn->server->io->ops->recv_release(conn->server->io, conn->iov.iov_base);
    conn_receive(conn);
}

static void server_on_accept(struct odk_io_op *op, int32_t result)
{
    struct server *server = container_of(op, struct server, accept);
    server->accepting = false;
    if (result < 0)
        return; /* the listener was shut down */
    struct server_conn *conn = xcalloc(1, sizeof(*conn));
    *conn = (struct server_conn){ .server = server, .sock = result };
    conn->recv.done = conn_on_recv;
    conn->send.done = conn_on_sent;
    server->conns[server->conn_count++] = conn;
    conn_receive(conn);
    server->accepting = true;
    server->io->ops->accept(server->io, op, server->listener);
}

static void *server_main(void *context)
{
    struct server *server = context;
    server->accept.done = server_on_accept;
    server->accepting = true;
    server->io->ops->accept(server->io, &server->accept, server->listener);
    while (!atomic_load(&server->stop))
        server->io->ops->run(server->io, UINT64_MAX);
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    server->cpu_s = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    server->io->ops->shutdown(server->io, server->listener);
    for (uint32_t i = 0; i < server->conn_count; i++)
        server->io->ops->shutdown(server->io, server->conns[i]->sock);
    while (server->receiving > 0 || server->accepting)
        server->io->ops->run(server->io, UINT64_MAX);
    for (uint32_t i = 0; i < server->conn_count; i++)
        server->io->ops->close_socket(server->io, server->conns[i]->sock);
    server->io->ops->close_socket(server->io, server->listener);
    server->io->ops->free(server->io);
    for (uint32_t i = 0; i < server->conn_count; i++)
        free(server->conns[i]);
    return NULL;
}

struct client {
    struct odk_io *io;
    struct odk_io_op recv;
    struct odk_io_op send;
    struct iovec iov;
    int32_t sock;
    uint32_t got;
    uint64_t rounds;
    bool stop;
    bool busy;
    uint8_t out[MESSAGE_BYTES];
    uint8_t in[MESSAGE_BYTES];
};

static void client_begin(struct client *client)
{
    client->got = 0;
    client->busy = true;
    client->iov = (struct iovec){ client->out, MESSAGE_BYTES };
    client->io->ops->sendv(client->io, &client->send, client->sock, &client->iov, 1);
}

static void client_on_sent(struct odk_io_op *op, int32_t result)
{
    struct client *client = container_of(op, struct client, send);
    ASSERT(result == (int32_t)MESSAGE_BYTES);
    client->io->ops->recv(client->io, &client->recv, client->sock, client->in, MESSAGE_BYTES);
}

static void client_on_recv(struct odk_io_op *op, int32_t result)
{
    struct client *client = container_of(op, struct client, recv);
    ASSERT(result > 0);
    client->got += (uint32_t)result;
    if (client->got < MESSAGE_BYTES) {
        client->io->ops->recv(client->io, &client->recv, client->sock, client->in, MESSAGE_BYTES - client->got);
        return;
    }
    client->rounds++;
    client->busy = false;
    if (!client->stop)
        client_begin(client);
}

static struct odk_io *io_open(enum odk_io_kind kind)
{
    struct odk_io *io = NULL;
    char why[200] = "";
    enum odk_err err = odk_io_open(&(struct odk_io_options){ .kind = kind }, &io, why, sizeof(why));
    if (err != ODK_OK)
        printf("skipped: %s\n", why);
    return io;
}

static void clients_open(struct client *clients, uint32_t count, struct odk_io *io, const struct odk_addr *at)
{
    for (uint32_t i = 0; i < count; i++) {
        struct odk_io_wait wait;
        odk_io_wait_begin(&wait);
        io->ops->connect(io, &wait.op, at);
        clients[i] = (struct client){ .io = io, .sock = odk_io_wait(io, &wait) };
        ASSERT(clients[i].sock >= 0);
        clients[i].send.done = client_on_sent;
        clients[i].recv.done = client_on_recv;
    }
}

static void measure(enum odk_io_kind kind, uint32_t conns, double seconds)
{
    static struct client clients[CONNS_MAX];
    struct server server = { .io = io_open(kind) };
    struct odk_io *io = io_open(ODK_IO_AUTO);
    if (!server.io || !io)
        return;
    const char *name = server.io->ops->name;
    struct odk_addr any;
    enum odk_err err = odk_addr_parse("127.0.0.1:0", &any);
    ASSERT(err == ODK_OK);
    server.listener = server.io->ops->listen(server.io, &any, false, &server.at);
    ASSERT(server.listener >= 0);
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, server_main, &server);
    ASSERT(failed == 0);
    clients_open(clients, conns, io, &server.at);
    uint64_t begin_ns = io->ops->mono_ns(io);
    uint64_t until_ns = begin_ns + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < conns; i++)
        client_begin(&clients[i]);
    while (io->ops->mono_ns(io) < until_ns)
        io->ops->run(io, until_ns);
    uint64_t rounds = 0;
    for (uint32_t i = 0; i < conns; i++) {
        rounds += clients[i].rounds;
        clients[i].stop = true;
    }
    double elapsed_s = (double)(io->ops->mono_ns(io) - begin_ns) / 1e9;
    for (uint32_t i = 0; i < conns; i++) {
        while (clients[i].busy)
            io->ops->run(io, UINT64_MAX);
    }
    atomic_store(&server.stop, true);
    server.io->ops->wake(server.io);
    (void)pthread_join(thread, NULL);
    for (uint32_t i = 0; i < conns; i++)
        io->ops->close_socket(io, clients[i].sock);
    io->ops->free(io);
    printf("%-6s %4u connections %9.0f round trips/s %6.2f us CPU each\n", name, conns, (double)rounds / elapsed_s,
           server.cpu_s * 1e6 / (double)rounds);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 1.0;
    const enum odk_io_kind kinds[] = { ODK_IO_URING, ODK_IO_EPOLL, ODK_IO_POSIX };
    const uint32_t conns[] = { 1, 16, CONNS_MAX };
    for (size_t i = 0; i < countof(conns); i++) {
        for (size_t k = 0; k < countof(kinds); k++)
            measure(kinds[k], conns[i], seconds);
    }
    return 0;
}
