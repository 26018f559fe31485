#include "sim_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { READ_BYTES = 16384 };

struct bytes {
    uint8_t *data;
    size_t len, cap;
};

struct sim_client {
    struct odk_io *io;
    struct odk_io_op connect, recv, send;
    struct odk_addr to;
    int32_t sock; /* -1: none */
    enum sim_client_state state;
    int32_t error;
    bool connecting, receiving, sending, paused, freed;
    struct bytes in, out;
    struct bytes flying; /* what the send operation in flight points to */
    struct iovec iov;
    uint8_t chunk[READ_BYTES];
};

static void bytes_put(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes->len + len > bytes->cap) {
        bytes->cap = MAX((size_t)4096, 2 * (bytes->len + len));
        bytes->data = xrealloc(bytes->data, bytes->cap);
    }
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

void sim_client_drop(struct sim_client *client)
{
    free(client->in.data);
    free(client->out.data);
    free(client->flying.data);
    free(client);
}

static void free_when_quiet(struct sim_client *client)
{
    if (!client->freed || client->connecting || client->receiving || client->sending)
        return;
    if (client->sock >= 0)
        client->io->ops->close_socket(client->io, client->sock);
    sim_client_drop(client);
}

static void end(struct sim_client *client, int32_t error)
{
    if (client->state == SIM_CLIENT_ENDED)
        return;
    client->state = SIM_CLIENT_ENDED;
    client->error = error;
    if (client->sock >= 0)
        client->io->ops->shutdown(client->io, client->sock);
}

static void start_recv(struct sim_client *client);

static void client_on_recv(struct odk_io_op *op, int32_t result)
{
    struct sim_client *client = container_of(op, struct sim_client, recv);
    client->receiving = false;
    if (result > 0)
        bytes_put(&client->in, client->chunk, (size_t)result);
    else
        end(client, result);
    start_recv(client);
    free_when_quiet(client);
}

static void start_recv(struct sim_client *client)
{
    if (client->state != SIM_CLIENT_OPEN || client->receiving || client->paused || client->freed)
        return;
    client->receiving = true;
    client->recv.done = client_on_recv;
    client->io->ops->recv(client->io, &client->recv, client->sock, client->chunk, READ_BYTES);
}

static void start_send(struct sim_client *client);

static void client_on_sent(struct odk_io_op *op, int32_t result)
{
    struct sim_client *client = container_of(op, struct sim_client, send);
    client->sending = false;
    client->flying.len = 0;
    if (result < 0)
        end(client, result);
    start_send(client);
    free_when_quiet(client);
}

static void start_send(struct sim_client *client)
{
    if (client->state != SIM_CLIENT_OPEN || client->sending || client->freed || client->out.len == 0)
        return;
    struct bytes empty = client->flying;
    client->flying = client->out;
    client->out = empty;
    client->iov = (struct iovec){ .iov_base = client->flying.data, .iov_len = client->flying.len };
    client->sending = true;
    client->send.done = client_on_sent;
    client->io->ops->sendv(client->io, &client->send, client->sock, &client->iov, 1);
}

static void client_on_connect(struct odk_io_op *op, int32_t result)
{
    struct sim_client *client = container_of(op, struct sim_client, connect);
    client->connecting = false;
    if (result < 0) {
        end(client, result);
    } else {
        client->sock = result;
        client->state = SIM_CLIENT_OPEN;
        start_send(client);
        start_recv(client);
    }
    free_when_quiet(client);
}

struct sim_client *sim_client_new(struct odk_io *io, const struct odk_addr *to)
{
    struct sim_client *client = xcalloc(1, sizeof(*client));
    client->io = io;
    client->to = *to;
    client->sock = -1;
    client->connecting = true;
    client->connect.done = client_on_connect;
    io->ops->connect(io, &client->connect, &client->to);
    return client;
}

void sim_client_free(struct sim_client *client)
{
    if (client == NULL)
        return;
    client->freed = true;
    end(client, -ECANCELED);
    free_when_quiet(client);
}

enum sim_client_state sim_client_state(const struct sim_client *client)
{
    return client->state;
}

int32_t sim_client_error(const struct sim_client *client)
{
    return client->error;
}

void sim_client_send(struct sim_client *client, const void *data, size_t len)
{
    if (client->state == SIM_CLIENT_ENDED)
        return;
    bytes_put(&client->out, data, len);
    start_send(client);
}

size_t sim_client_unsent(const struct sim_client *client)
{
    return client->out.len + client->flying.len;
}

const uint8_t *sim_client_received(const struct sim_client *client, size_t *ret_len)
{
    *ret_len = client->in.len;
    return client->in.data;
}

void sim_client_consume(struct sim_client *client, size_t len)
{
    ASSERT(len <= client->in.len);
    memmove(client->in.data, client->in.data + len, client->in.len - len);
    client->in.len -= len;
}

const uint8_t *sim_client_frame(const struct sim_client *client, size_t *ret_len)
{
    const uint8_t *data = client->in.data;
    if (client->in.len < 4)
        return NULL;
    uint32_t len = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    if (client->in.len - 4 < len)
        return NULL;
    *ret_len = len;
    return data + 4;
}

void sim_client_pause(struct sim_client *client, bool paused)
{
    client->paused = paused;
    start_recv(client);
}
